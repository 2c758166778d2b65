"""The install engine: steps, their runner, and what they share."""

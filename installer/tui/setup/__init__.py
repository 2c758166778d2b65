"""The setup: questions with the host's findings beside them, then the plan."""

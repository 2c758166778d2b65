"""The Flows area: live traffic and its verdicts."""

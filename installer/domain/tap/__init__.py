"""What the tap's kernel programs tell, and how it becomes flows."""

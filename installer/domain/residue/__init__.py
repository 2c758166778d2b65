"""What an install leaves on a host: inventories, whose a thing is, and what is left when all should be gone."""

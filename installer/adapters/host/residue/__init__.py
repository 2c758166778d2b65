"""Areas of the host: each looks at its things, takes ours away, and puts back what was changed."""

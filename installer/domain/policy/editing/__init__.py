"""What an editor of policies needs to know of its text: tokens, the place of the cursor, and what may stand there."""

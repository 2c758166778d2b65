"""The Policies area: a tree, an editor, and what a change would do before it is done."""

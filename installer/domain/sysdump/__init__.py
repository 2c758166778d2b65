"""A support archive: what is in it, how objects lose their secrets, and the page that leads to every file."""

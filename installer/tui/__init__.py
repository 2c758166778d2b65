"""The cockpit: a Textual app over the same services as the command line. It owns no logic."""

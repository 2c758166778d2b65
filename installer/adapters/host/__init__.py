"""The host itself: its programs, files, services and facts."""

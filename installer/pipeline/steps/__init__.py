"""The steps of an install, one file each."""

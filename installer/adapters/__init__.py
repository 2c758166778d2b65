"""One folder per outside system; each turns foreign errors into ours at its edge."""

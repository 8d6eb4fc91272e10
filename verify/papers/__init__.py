"""Published results as entries that can be run: statements beside wrong ones, and verdicts."""

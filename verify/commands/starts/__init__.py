"""Starts of files of one's own, and the command that writes them."""

"""The `specalign` command."""

"""The command `layers`: at which layer a network stops to align."""

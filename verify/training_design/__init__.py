"""The command `design`: its table, its figure, and SGD that confirms what was found."""

"""Laws that every model obeys, and their judge for a model of one's own."""

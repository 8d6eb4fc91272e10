"""What a network puts out, and the law of labels that it states."""

"""Ben Arous, Gheissari and Jagannath (2022): effective dynamics and critical scaling of SGD."""

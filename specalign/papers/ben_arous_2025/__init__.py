"""Ben Arous, Gheissari, Huang and Jagannath (2025): effective spectra and their transitions."""

"""Ben Arous, Gheissari, Huang and Jagannath (2023): SGD aligns with outlier eigenspaces."""

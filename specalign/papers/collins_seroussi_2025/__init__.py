"""Collins-Woodfin and Seroussi (2025): multi-class SGD with anisotropic classes."""

"""The nodes of a law as the equation for S meets them: weights, and sums over them in lanes."""

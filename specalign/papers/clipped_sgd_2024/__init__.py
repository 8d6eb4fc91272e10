"""Marshall, Xiao, Agarwala and Paquette (2024): SGD with clipped gradients in high dimension."""

"""What follows from a model: drift, diffusion, gradient, Hessian and G blocks, risk, finite-size
terms.
"""

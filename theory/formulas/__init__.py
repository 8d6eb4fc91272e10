"""Formulas of a model: drift, diffusion, gradient, Hessian, G, risk, finite size."""

"""Numbers for Gaussian expectations: quadrature, kinked integrands, certified digits."""

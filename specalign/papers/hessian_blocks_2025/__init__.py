"""Dong, Zhang, Luo, Yao and Sun (2025): blocks of the Hessian as classes grow."""

"""Entries of noise that is not Gaussian, for the generated kernels of all losses."""

from __future__ import annotations

import numpy as np

from numerics.core.random_numbers.gamma import gamma
from numerics.core.random_numbers.words import States, compiled, uniform
from numerics.core.random_numbers.ziggurat import normal
from numerics.core.validation import Array
from numerics.sgd.noise import LAWS

_RADEMACHER, _UNIFORM = LAWS.index("rademacher"), LAWS.index("uniform")
# half the width of the uniform law of variance 1
_HALF = 1.7320508075688772


@compiled
def draw_entries(state: States, law: int, degrees: float, scale: float, out: Array) -> None:
    """Fill ``out`` with independent entries of variance scale^2; Student's law if no other."""
    if law == _RADEMACHER:
        for i in range(out.size):
            out[i] = scale * (1.0 if uniform(state) < 0.5 else -1.0)
    elif law == _UNIFORM:
        for i in range(out.size):
            out[i] = scale * (2.0 * _HALF * uniform(state) - _HALF)
    else:
        for i in range(out.size):
            numerator = normal(state)
            root = np.sqrt(0.5 * (degrees - 2.0) / gamma(state, 0.5 * degrees))
            out[i] = scale * (numerator * root)

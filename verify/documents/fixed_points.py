"""What a derivation says about noiseless fixed points, of one layer and of two."""

from __future__ import annotations

from collections.abc import Iterator

import sympy as sp

from theory import InputError, Model, separated_fixed_point
from theory.names import CLUSTERS

from .notation import LOSS, RESULT, Statement


def fixed_point_statements(model: Model) -> Iterator[Statement]:
    """From the stationary drift to the overlaps and readouts that solve it."""
    if model.readout_size:
        yield from _separated(model)
    elif model.mixture.directions_gram == sp.eye(model.directions):
        yield from _implicit()
    else:
        expected = "orthonormal means for a derivation of the fixed point"
        remedy = "its numbers are solved: leave --document away, or --directions-gram"
        raise InputError("directions_gram", model.mixture.directions_gram, expected, remedy)


def _implicit() -> Iterator[Statement]:
    yield Statement(
        LOSS,
        r"Without noise, $\lambda\to\infty$, a feature is its mean and $R^\perp=0$. Where the drift"
        r" of the overlaps vanishes,",
        "fixed-point beta*m_a_s",
        "p_s*(delta_a_s - exp(m_a_s)/sum_b(exp(m_b_s)))",
        r"\beta m_{as}",
    )
    yield Statement(
        RESULT,
        r"The right-hand sides sum to 0 over $a$, and all $m_{as}$ with $a\ne s$ solve one"
        r" equation: they are equal. With the gaps $s_l=m_{ll}-m_{al}$,",
        "fixed-point m_a_s",
        "s_s*(delta_a_s - 1/k)",
        "m_{as}",
    )
    yield Statement(
        RESULT,
        r"and the equation of $m_{ll}$ becomes one for $s_l$ alone:",
        "fixed-point beta*s_l*(exp(s_l) + k - 1)",
        "k*p_l",
        "",
    )


def _separated(model: Model) -> Iterator[Statement]:
    names = [CLUSTERS[i % len(CLUSTERS)] for i in range(model.units)]
    point = separated_fixed_point(model, names)
    s = model.symbols
    picks = ", ".join(
        rf"${i + 1}\colon{name.replace('mu', chr(92) + 'mu').replace('nu', chr(92) + 'nu')}$"
        for i, name in enumerate(names)
    )
    text = (
        r"Without noise, $\lambda\to\infty$, a feature is its mean and $R^\perp=0$. Let every unit"
        rf" be active on one cluster only: units pick {picks}. Where the drift of the overlaps"
        " and that of the readout vanish, every unit is in balance,"
    )
    for i, overlap in enumerate(point.overlap.tolist()):
        for j, value in enumerate(overlap):
            if value != 0:
                left = sp.latex(s.overlap[i, j])
                yield Statement(LOSS, text, f"fixed-point m_{i + 1}_{j + 1}", str(value), left)
                text = ""
    text = (
        r"On a cluster the output is then $\pm\sum_iv_i^2$ over its units, and the stationary"
        r" readout says that $p\,|\sigma(f)-y|=\beta$ there. So"
    )
    for l in point.separated:
        squares = " + ".join(f"v_{i + 1}^2" for i in point.members[l])
        norm = str(point.squared_norms[l])
        yield Statement(RESULT, text, f"fixed-point {squares}", norm, "")
        text = ""

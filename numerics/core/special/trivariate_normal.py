r"""The trivariate normal probability, for generated code.

Along a straight path from X independent of (Y, Z) to its correlations (R. L. Plackett, Biometrika
41 (1954) 351; A. Genz, Statistics and Computing 14 (2004) 251, section 3.2), with the correlation
:math:`t\,r=\sin\theta` as variable,

.. math:: \Phi_3 = \Phi(a)\,\Phi_2(b, c; r_{yz}) + \sum_{k}\int_0^{\arcsin r_{xk}}
          \frac{d\theta}{2\pi}\,
          e^{-(a^2 - 2\sin\theta\,ak + k^2)/(2\cos^2\theta)}\ \Phi\big(q_k(\theta)\big),

where q is the bound of the third variable given the other two; Y and Z are the pair with the
largest correlation.  The integrals are Gauss-Kronrod rules, bisected until they agree.  The error
is about 1e-15, absolute, where no pair nearly coincides.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

from numerics.core.validation import Array

from .bivariate_normal import TWO_PI, bivariate_normal, normal_probability, over_arrays

# Gauss-Kronrod rule of 15 points on [-1, 1] (R. Piessens et al., QUADPACK, 1983): nodes, weights,
# and the weights of the Gauss rule of 7 points on every second of them
_NODES = np.array(
    [
        0.991455371120812639206854697526329,
        0.949107912342758524526189684047851,
        0.864864423359769072789712788640926,
        0.741531185599394439863864773280788,
        0.586087235467691130294144691693013,
        0.405845151377397166906606412076961,
        0.207784955007898467600689403773245,
        0.0,
    ]
)
_KRONROD = np.array(
    [
        0.022935322010529224963732008058970,
        0.063092092629978553290700663189204,
        0.104790010322250183839876322541518,
        0.140653259715525918745189590510238,
        0.169004726639267902826583426598550,
        0.190350578064785409913256402421014,
        0.204432940075298892414161999234649,
        0.209482141084727828012999174891714,
    ]
)
_GAUSS = np.array(
    [
        0.0,
        0.129484966168869693270611432679082,
        0.0,
        0.279705391489276667901467771423780,
        0.0,
        0.381830050505118944950369775488975,
        0.0,
        0.417959183673469387755102040816327,
    ]
)
# a piece is not bisected where its two rules agree so far, absolutely, or after so many halvings
AGREED, HALVINGS = 2e-16, 45


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _integrand(
    angle: float, a: float, k: float, other: float, r: float, s: float, rho: float
) -> float:
    """The rate of Phi_3 in the angle whose sine is the correlation of X with k; times 2 pi.

    ``r`` and ``s`` are the full correlations of X with k and the other, rho that of these two.
    """
    sine, cosine = math.sin(angle), math.cos(angle)
    square = cosine * cosine
    exponent = -((a - sine * k) ** 2 / square + k * k) / 2
    if not exponent > -740.0:
        return 0.0
    t = sine / r
    # of the three correlations t r, t s, rho
    determinant = (1 - rho) * (1 + rho) - t * t * ((r - s * rho) ** 2 + s * s * (1 - rho * rho))
    mean = ((s * t - rho * sine) * a + (rho - s * t * sine) * k) / square
    gap = other - mean
    if determinant > 0:
        share = normal_probability(gap * cosine / math.sqrt(determinant))
    else:
        share = 0.5 if gap == 0 else (1.0 if gap > 0 else 0.0)
    return math.exp(exponent) * share


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _rule(
    low: float, high: float, a: float, k: float, other: float, r: float, s: float, rho: float
) -> tuple[float, float]:
    """The Kronrod sum of one piece, and its difference to the Gauss sum."""
    half, middle = (high - low) / 2, (high + low) / 2
    kronrod = gauss = 0.0
    for i in range(8):
        x = half * _NODES[i]
        value = _integrand(middle + x, a, k, other, r, s, rho)
        if i < 7:
            value += _integrand(middle - x, a, k, other, r, s, rho)
        kronrod += _KRONROD[i] * value
        gauss += _GAUSS[i] * value
    return half * kronrod, abs(half * (kronrod - gauss))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _path(a: float, k: float, other: float, r: float, s: float, rho: float) -> float:
    """The integral over the angle, by bisection from the left."""
    end = math.asin(r)
    total, low, depth = 0.0, 0.0, 0
    width = end
    done = 0  # of 2**depth pieces of the present width, how many lie to the left
    while True:
        value, difference = _rule(low, low + width, a, k, other, r, s, rho)
        if difference > AGREED and depth < HALVINGS:
            depth, width, done = depth + 1, width / 2, 2 * done
            continue
        total += value
        done += 1
        while depth > 0 and done % 2 == 0:
            depth, width, done = depth - 1, width * 2, done // 2
        if depth == 0:
            return total
        low = done * width


@numba.njit(cache=True, nogil=True, error_model="numpy")
def trivariate_normal(a: float, b: float, c: float, rab: float, rac: float, rbc: float) -> float:
    """P(X < a, Y < b, Z < c) of standard normal variables with these correlations."""
    # the pair with the largest correlation starts together
    if abs(rab) > abs(rbc) and abs(rab) >= abs(rac):
        a, c, rab, rbc = c, a, rbc, rab
    elif abs(rac) > abs(rbc):
        a, b, rac, rbc = b, a, rbc, rac
    total = 0.0
    if rab != 0:
        total += _path(a, b, c, rab, rac, rbc)
    if rac != 0:
        total += _path(a, c, b, rac, rab, rbc)
    return normal_probability(a) * bivariate_normal(b, c, rbc) + total / TWO_PI


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fill(arguments: Array, out: Array) -> None:
    for i in range(out.size):
        a, b, c, rab, rac, rbc = arguments[:, i]
        out[i] = trivariate_normal(a, b, c, rab, rac, rbc)


def trivariate_normal_array(*arguments: Any) -> Any:
    """The same for arrays that broadcast, and for numbers that have a rule of their own."""
    return over_arrays("trivariate_normal", _fill, *arguments)

r"""How far a Gauss-Hermite rule can be from an integrand, from its singularities alone.

The n-point rule for the weight :math:`e^{-z^2/2}` misses a singularity at :math:`x+iy` by

.. math:: e^{-2I(y)+(y^2-x^2)/2},\qquad I(y)=\int_0^y\sqrt{n+t^2/4}\,dt\ \ (\to y\sqrt n)

up to a factor of order 1 (the function of the second kind over the Hermite polynomial), and an
entire function :math:`e^{isz}` by about :math:`(e\,s^2/4n)^n`.  Rules of one family share this
error, which their difference does not show: it is the independent witness of
:mod:`numerics.expectations.estimation`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from numerics.core.validation import Array

from .placement import Composite
from .scales import BRANCH, CUT, GROWTH, WAVE, Scales

# the factor of order 1, and the growth of derivatives of the function with the singularity
FACTOR = 150.0
# beyond this share of E|f| the rule may have missed the transition as a whole, E|f| included
UNSEEN = 1e-3


def hermite_miss(
    scales: Scales, label: float, mean: Array, factor: Array, readout: Array, sizes: Sequence[int]
) -> Array:
    """Error of tensor rules of n nodes a dimension relative to E|f|, at most 1, for n in ``sizes``.

    Parameters
    ----------
    scales : Scales
    label, mean, readout
        Of the component and state.
    factor : array, shape (D, C)
        The rows the nodes are multiplied with.
    sizes : sequence of int
    """
    n = np.asarray(sizes, dtype=float)[:, None]
    forms = scales.forms(label, readout)
    slopes = forms.slopes @ factor.T
    steepest = np.abs(slopes).max(axis=1, initial=0.0)
    length = np.linalg.norm(slopes, axis=1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        height = np.where(steepest > 0, forms.widths / steepest, np.inf)
        at = np.where(length > 0, np.abs(forms.offsets + forms.slopes @ mean) / length, np.inf)
        order = np.e * steepest**2 / 4 / n
    logarithm = _logarithm(n, height, at)
    logarithm = np.where(
        np.isin(forms.kinds, (WAVE,)), n * np.log(np.maximum(order, 1e-300)), logarithm
    )
    # what an exponential leaves beyond the outermost nodes is judged by its growth from rule to rule
    live = (forms.kinds != GROWTH) & (steepest > 0)
    worst = np.max(logarithm[:, live], axis=1, initial=-700.0)
    if scales.composite:
        worst = np.maximum(worst, _composite_miss(scales, label, mean, factor, readout, n))
    return np.minimum(FACTOR * np.exp(np.minimum(worst, 0.0)), 1.0)


def _logarithm(n: Array, y: Array, x: Array) -> Array:
    """-2 I(y) + (y^2 - x^2)/2, for singularities too far away to matter taken at a safe distance."""
    y = np.minimum(y, 2 * np.sqrt(n))
    path = y / 2 * np.sqrt(n + y**2 / 4) + n * np.arcsinh(y / (2 * np.sqrt(n)))
    return np.asarray(-2 * path + (y**2 - np.minimum(x, 1e3) ** 2) / 2)


def _composite_miss(
    scales: Scales, label: float, mean: Array, factor: Array, readout: Array, n: Array
) -> Array:
    """The same for arguments that are not affine: their scales along lines through the mean."""
    composite = Composite(scales, label, mean, readout)
    t = np.linspace(-7.0, 7.0, 561)
    middle = (t[1:] + t[:-1]) / 2
    kinked = np.isin(composite.kinds, (CUT, BRANCH))
    rays = list(factor)
    if len(rays) > 1:
        d = len(rays)
        signs = np.where(np.arange(d)[:, None] & (1 << np.arange(d)), -1.0, 1.0)[: d + 1]
        rays += list(signs @ factor / np.sqrt(d))
    worst = np.full(len(n), -700.0)
    for ray in rays:
        if not np.any(ray):
            continue
        g = composite.values(t[:, None] * ray)
        scale = composite.scale(g, float(t[1] - t[0]))
        scale = np.where(kinked & (g[:, 1:] * g[:, :-1] <= 0), 0.0, scale).min(axis=0)
        worst = np.maximum(worst, _logarithm(n, scale, np.abs(middle)).max(axis=1))
    return worst

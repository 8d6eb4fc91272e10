r"""How far a Gauss-Hermite rule can be from an integrand, from its singularities alone.

The n-point rule for the weight :math:`e^{-z^2/2}` misses a singularity at :math:`x+iy` by

.. math:: e^{-2I(y)+(y^2-x^2)/2},\qquad I(y)=\int_0^y\sqrt{n+t^2/4}\,dt\ \ (\to y\sqrt n)

up to a factor of order 1 (the function of the second kind over the Hermite polynomial), and an
entire function :math:`e^{isz}` by about :math:`(e\,s^2/4n)^n`.  Rules of one family share this
error, which their difference does not show: it is the independent witness of
:mod:`numerics.expectations.estimation`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from numerics.core.validation import Array

from .placement import Composite
from .scales import BRANCH, CUT, GROWTH, WAVE, Scales

# the factor of order 1, and the growth of derivatives of the function with the singularity
FACTOR = 150.0
# beyond this share of E|f| the rule may have missed the transition as a whole, E|f| included
UNSEEN = 1e-3


def hermite_miss(
    scales: Scales,
    label: float,
    mean: Array,
    factor: Array,
    readout: Array,
    sizes: Sequence[int],
    heights: Callable[[Array], Array],
) -> tuple[Array, Array]:
    """Error of tensor rules of n nodes a dimension, for every n of ``sizes``.

    Parameters
    ----------
    scales : Scales
    label, mean, readout
        Of the component and state.
    factor : array, shape (D, C)
        The rows the nodes are multiplied with.
    sizes : sequence of int
    heights : callable
        Absolute values of the integrands, shape (J, N), at mean + shift for shifts (N, C).

    Returns
    -------
    shares : array, shape (len(sizes),)
        Relative to E|f|, at most 1.
    beside : array, shape (len(sizes), J)
        What a transition adds that is higher than E|f| because it is rarely met.
    """
    n = np.asarray(sizes, dtype=float)[:, None]
    forms = scales.forms(label, readout)
    slopes = forms.slopes @ factor.T
    steepest = np.abs(slopes).max(axis=1, initial=0.0)
    length = np.linalg.norm(slopes, axis=1)
    # what an exponential leaves beyond the outermost nodes is judged by its growth from rule to
    # rule
    live = (forms.kinds != GROWTH) & (steepest > 0)
    slopes, steepest, length = slopes[live], steepest[live], length[live]
    level = forms.offsets[live] + forms.slopes[live] @ mean
    with np.errstate(over="ignore", divide="ignore"):
        order = np.maximum(np.e * steepest**2 / 4 / n, 1e-300)
    bend = _logarithm(n, forms.widths[live] / steepest, np.abs(level) / length)
    logarithm = np.where(forms.kinds[live] == WAVE, n * np.log(order), bend)
    worst = np.max(logarithm, axis=1, initial=-700.0)
    if scales.composite:
        worst = np.maximum(worst, _composite_miss(scales, label, mean, factor, readout, n))
    shares = np.minimum(FACTOR * np.exp(np.minimum(worst, 0.0)), 1.0)
    nearest = -(level / length**2)[:, None] * slopes
    with np.errstate(all="ignore"):
        peaks = np.nan_to_num(heights(nearest @ factor), nan=0.0, posinf=0.0)
    grown = FACTOR * np.exp(np.clip(logarithm, -700.0, 0.0))
    beside = (grown[:, None, :] * peaks[None]).max(axis=2, initial=0.0)
    return shares, beside


def _logarithm(n: Array, y: Array, x: Array) -> Array:
    """-2 I(y) + (y^2 - x^2)/2; singularities too far away to matter are taken nearer."""
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

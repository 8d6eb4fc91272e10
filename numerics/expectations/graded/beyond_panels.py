r"""What panels leave out: expectations that a transition adds farther out than the last panel.

Panels end at ten standard deviations and more, where the normal density is below rounding.  Of an
integrand that is nothing inside, such as a ramp whose unit is never active, what lies beyond is all
there is: two levels of panels agree on its absence.  Along the ray to each such transition

.. math:: \int_E^\infty \varphi(t)\,E_s|f(tn+sn^\perp)|\,dt

tells the order of it, with three values of s.  Three times that is what is stated.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from numerics.core.validation import Array

from .placement import LONGEST, edge_of, panel_nodes
from .scales import GROWTH, WAVE, Scales

# the normal density is no number beyond
LAST = 38.0
NODES = 10
# a ray meets a transition whose side is curved, or another one beside it
MARGIN = 3.0
# nodes and weights across a ray, exact for cubics
ACROSS, SHARES = np.sqrt(3.0) * np.array([-1.0, 0.0, 1.0]), np.array([1.0, 4.0, 1.0]) / 6
# rays along which arguments are looked at that are not affine
ANGLES = 12


def beyond_panels(
    scales: Scales,
    label: float,
    mean: Array,
    directions: Array,
    readout: Array,
    heights: Callable[[Array], Array],
) -> Array:
    """Bound of what the integrands have beyond the last panel, shape (J,).

    Parameters
    ----------
    scales : Scales
    label, mean, readout
        Of the component and state.
    directions : array, shape (rank, C)
        As :func:`numerics.expectations.graded.placement.place`.
    heights : callable
        Absolute values of the integrands, shape (J, N), at mean + shift for shifts (N, C).
    """
    forms = scales.forms(label, readout)
    slopes, level = forms.slopes @ directions.T, forms.offsets + forms.slopes @ mean
    length = np.linalg.norm(slopes, axis=1)
    edge = edge_of(scales, label, directions, readout)
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.where(length > 0, np.abs(level) / length, np.inf)
    bends = (forms.kinds != GROWTH) & (forms.kinds != WAVE)
    far = bends & (distance > edge) & (distance < LAST)
    rays = [
        (-np.sign(level[j]) * slopes[j] / length[j], float(distance[j]))
        for j in np.flatnonzero(far)
    ]
    if scales.composite and len(directions):
        turns = np.arange(ANGLES) * 2 * np.pi / ANGLES
        around = np.stack([np.cos(turns), np.sin(turns)], axis=1)
        rays += [(ray, edge) for ray in (around if len(directions) == 2 else around[::6, :1])]
    total = np.zeros(len(heights(np.zeros((1, len(mean))))) if rays else 0)
    for ray, at in rays:
        total = total + _along(ray, edge, at, directions, heights)
    return MARGIN * total


def _along(
    ray: Array, edge: float, at: float, directions: Array, heights: Callable[[Array], Array]
) -> Array:
    """The integral over one ray of panels that end at the transition."""
    ends = [np.linspace(edge, at, 2 + int((at - edge) / LONGEST))] if at > edge else []
    ends.append(np.linspace(at, LAST + 1.0, 2 + int((LAST + 1.0 - at) / LONGEST)))
    z, weights = panel_nodes(
        np.concatenate([np.stack([e[:-1], e[1:]], axis=1) for e in ends]), NODES
    )
    across = np.array([-ray[1], ray[0]]) if len(ray) == 2 else np.zeros(1)
    points = z[:, None, None] * ray + ACROSS[:, None] * across
    real = weights > 0
    with np.errstate(all="ignore"):
        found = heights(points[real].reshape(-1, len(ray)) @ directions)
        return np.asarray(found @ (weights[real, None] * SHARES).ravel())

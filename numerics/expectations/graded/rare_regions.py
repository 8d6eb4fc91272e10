r"""Where several wide fields are small at once: what scrambled nodes may all miss.

Activations bend where their field is of order one.  A product of slopes such as
:math:`\sigma'(u_1)\sigma'(u_2)` is nothing elsewhere, and fields of deviation s are there with a
probability of about :math:`s^{-2}`.  Scramblings none of which has a node there agree with each
other, on a number that is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import combinations

import numpy as np
import scipy.special

from numerics.core.validation import Array

# half the width of a transition; nodes that have to fall into a region before their spread says
# anything; nodes that look what the integrands are in it, and the factor that so few of them need
REACH, ENOUGH, LOOKS, LOOSELY = 3.0, 64, 64, 2.0


def rare_regions(
    mean: Array, covariance: Array, heights: Callable[[Array], Array], nodes: float
) -> Array | None:
    r"""Bound of what so many nodes leave unseen, twice :math:`\max_S P(|u_a|\le 3, a\in S)\,
    E[|f_j|\mid u_S\ \text{there}]`, over sets S of one, two and all wide fields.

    Parameters
    ----------
    mean, covariance : array, shape (C,), (C, C)
        Of the fields.
    heights : callable
        From shifts (N, C) of the mean to :math:`|f_j|`, shape (J, N).
    nodes : float
        Of all scramblings.

    Returns
    -------
    array of shape (J,), or None where all regions are seen.
    """
    found = None
    for chosen in _sets(covariance):
        probability = _probability(mean, covariance, chosen)
        if not 0.0 < probability * nodes < ENOUGH:
            continue
        with np.errstate(all="ignore"):
            inside = heights(_shifts_into(mean, covariance, chosen))
        added = LOOSELY * probability * np.nan_to_num(inside, nan=0.0).mean(axis=1)
        found = added if found is None else np.maximum(found, added)
    return found


def _sets(covariance: Array) -> Iterator[list[int]]:
    wide = np.flatnonzero(np.diag(covariance) > REACH**2).tolist()
    for size in dict.fromkeys((1, 2, len(wide))):
        if 0 < size <= len(wide):
            yield from map(list, combinations(wide, size))


def _probability(mean: Array, covariance: Array, chosen: list[int]) -> float:
    """At most that of the fields' being there: volume times density, of all and of each alone."""
    variances = covariance[chosen, chosen]
    away = np.maximum(np.abs(mean[chosen]) - REACH, 0.0) ** 2 / variances
    each = 2 * REACH / np.sqrt(2 * np.pi * variances) * np.exp(-0.5 * away)
    sign, logarithm = np.linalg.slogdet(covariance[np.ix_(chosen, chosen)])
    alone = float(each.min())
    if sign <= 0:
        return alone
    density = -0.5 * (len(chosen) * np.log(2 * np.pi) + logarithm + float(away.max()))
    return min(alone, float(np.exp(len(chosen) * np.log(2 * REACH) + density)))


def _shifts_into(mean: Array, covariance: Array, chosen: list[int]) -> Array:
    """Shifts of the mean with the chosen fields in the region, the others under their law there."""
    fields = len(mean)
    points = _points(fields + len(chosen))
    normals = scipy.special.ndtri(points[:, :fields])
    values, vectors = np.linalg.eigh(covariance)
    shift = normals @ (vectors * np.sqrt(np.clip(values, 0.0, None))).T
    target = REACH * (2 * points[:, fields:] - 1) - mean[chosen]
    gain = np.linalg.pinv(covariance[np.ix_(chosen, chosen)], hermitian=True) @ covariance[chosen]
    return np.asarray(shift + (target - shift[:, chosen]) @ gain, dtype=float)


@lru_cache(maxsize=64)
def _points(dimension: int) -> Array:
    """The same points every time: what is looked at is no part of the randomness of a rule."""
    return np.random.default_rng(1).uniform(size=(LOOKS, dimension))

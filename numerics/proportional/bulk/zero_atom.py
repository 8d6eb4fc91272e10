r"""Mass at zero of a limiting spectrum: how far the columns of the samples fail to fill the space.

Weights of rank one, D = s f f^T, put M columns :math:`f_i\otimes Y_i` into k d dimensions.  For
features in general position their rank is that of a union of d matroids (Edmonds), per dimension

.. math:: \min_{W\subseteq R^k}\big(\dim W+\phi\,P(s\ne0,\ f\notin W)\big),

a count, whatever the size of the weights and of the noise in bands: units that are active together
send all of their samples into one direction of R^k, which d samples fill.
"""

from __future__ import annotations

import numpy as np

from numerics.core.errors import ResolventError
from numerics.core.packed_symmetric import Array
from numerics.proportional.nodes.node_weights import RankOne, distinct_directions
from numerics.proportional.nodes.weight_law import WeightLaw
from numerics.proportional.resolvent import Resolvent

from .continuation import descend

# a direction this close to a subspace marks the subspace as worth counting
NEAR = 1e-3
# how close to zero, in units of the largest weight, an atom shows its subspace
HEIGHTS = np.logspace(1, -9, 21)


def atom_at_zero(resolvent: Resolvent) -> float:
    """Mass at zero of the rows that are not null, per such row."""
    noise = resolvent.noise
    if isinstance(noise, RankOne) and not noise.size.any():  # at most readout parameters are met
        return 1.0
    # the columns of several tokens are no products f x Y: the count is another
    if isinstance(noise, RankOne) and resolvent.law.tokens == 1:
        return 1 - _rank_share(resolvent, noise)
    return _limit_at_zero(resolvent)


def _limit_at_zero(resolvent: Resolvent) -> float:
    """The limit of -z tr S / k on the way down to zero."""
    heights, masses = resolvent.scale * np.array([1e-5, 1e-7, 1e-9]), []
    for height in heights:
        s = descend(resolvent, 0.0, float(height))
        if s is None:
            raise ResolventError(1j * float(height), np.inf, "the mass at zero was not found")
        masses.append(float((-1j * height * resolvent.trace(s)).real) / resolvent.rows)
    if abs(masses[0] - masses[2]) <= 1e-9:
        return masses[2]
    # beside an atom there are terms of order sqrt(height) at most, if the density diverges
    bend = max(masses[0] - 2 * masses[1] + masses[2], 1e-300)
    return float(np.clip(masses[2] - (masses[1] - masses[2]) ** 2 / bend, 0.0, 1.0))


def _rank_share(resolvent: Resolvent, weights: RankOne) -> float:
    """Rank over k d: the least count over subspaces, which the same equation shows where D is
    replaced by its projector.
    """
    directions, which = distinct_directions(weights)
    shares = np.asarray(
        np.bincount(which, resolvent.law.probability[weights.size != 0], len(directions)), float
    )
    k = directions.shape[1]

    def count(span: Array) -> float:
        """dim W + phi P(f not in W), for W spanned by orthonormal rows."""
        outside = directions - directions @ span.T @ span
        return len(span) + resolvent.aspect_ratio * float(
            shares[np.linalg.norm(outside, axis=1) > 1e-6].sum()
        )

    least = min(float(k), count(np.zeros((0, k))))
    if k == 1:
        return least / k
    projectors = directions[:, :, None] * directions[:, None, :]
    law = WeightLaw(
        shares,
        projectors,
        k,
        np.ones((len(shares), 1)),
        np.zeros((1, 1, 1)),
        1.0,
        resolvent.law.basis,
    )
    flat = Resolvent(law, resolvent.aspect_ratio)
    s = flat.multiple(1 / HEIGHTS[0])
    for height in HEIGHTS:
        s = flat.solve_at(-float(height), s)
    # filled subspaces are those where -z S vanishes
    _, vectors = np.linalg.eigh(s[0])
    axes = vectors.T @ flat.range
    for dimension in range(1, k):
        candidate = axes[:dimension]
        outside = directions - directions @ candidate.T @ candidate
        inside = np.linalg.norm(outside, axis=1) < NEAR
        if inside.any():
            _, sizes, rows = np.linalg.svd(directions[inside], full_matrices=False)
            least = min(least, count(rows[sizes > NEAR * sizes[0]]))
    return least / k

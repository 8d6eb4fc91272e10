"""A law of the weights with fewer nodes, for the density inside the support.

Where every weight lies in one of few directions (the patterns of active units), each direction
needs the law of one number, and S sees it only through E[s / (1 + s x)]: a Gauss rule of that law
takes the place of thousands of nodes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from numerics.core.packed_symmetric import Array
from numerics.proportional.nodes.node_weights import RankOne, distinct_directions
from numerics.proportional.resolvent import Resolvent

# nodes of a Gauss rule: its error falls like exp(-2 nodes * distance from the support)
GAUSS_NODES = 48
# worth it where so many times fewer nodes are left
GAIN = 4


def compressed(resolvent: Resolvent) -> Resolvent:
    """The same equation for S with a Gauss rule in every direction, if these are few."""
    weights, law = resolvent.noise, resolvent.law
    if not isinstance(weights, RankOne) or law.is_discrete:
        return resolvent
    some = np.flatnonzero(weights.size)
    directions, which = distinct_directions(weights)
    few = GAIN * GAUSS_NODES * len(directions) * law.covariances.groups <= weights.size.size
    if not few or not some.size:  # no weight at all: the rows meet readout parameters alone
        return resolvent
    sizes = weights.size[some] * np.sum(weights.direction[some] ** 2, axis=1)
    groups = law.covariances.groups
    group = np.zeros(len(some), dtype=np.intp) if law.group is None else law.group[some]
    # nodes of one group stand together
    pairs = [(g, i) for g in range(groups) for i in range(len(directions))]
    members = [(group == g) & (which == i) for g, i in pairs]
    parts = [gauss_rule(sizes[of], law.probability[some][of]) for of in members]
    count = [len(values) for values, _ in parts]
    along = np.repeat(np.tile(directions @ resolvent.at_tokens, (groups, 1)), count, axis=0)
    values = np.concatenate([values for values, _ in parts])
    less = replace(
        law,
        probability=np.concatenate([shares for _, shares in parts]),
        weight=values[:, None, None] * along[:, :, None] * along[:, None, :],
        place=np.zeros((values.size, law.place.shape[1])),
        lost=None,
        group=None if law.group is None else np.repeat([g for g, _ in pairs], count),
    )
    return Resolvent(less, resolvent.aspect_ratio, (resolvent.null, resolvent.range))


def gauss_rule(values: Array, shares: Array) -> tuple[Array, Array]:
    """At most GAUSS_NODES values with the moments of the given ones, by the Lanczos process.

    Examples
    --------
    >>> x, q = gauss_rule(np.linspace(0, 1, 200), np.full(200, 0.005))
    >>> bool(abs((q * x**20).sum() - (0.005 * np.linspace(0, 1, 200)**20).sum()) < 1e-13)
    True
    """
    if values.size <= GAUSS_NODES:
        return values, shares
    basis = np.zeros((GAUSS_NODES, values.size))
    basis[0] = np.sqrt(shares / shares.sum())
    diagonal, beside = np.zeros(GAUSS_NODES), np.zeros(GAUSS_NODES)
    scale = float(np.abs(values).max())
    last = GAUSS_NODES
    for n in range(GAUSS_NODES):
        step = values / scale * basis[n]
        diagonal[n] = step @ basis[n]
        for _ in range(2):  # twice is enough against lost orthogonality
            step = step - basis[: n + 1].T @ (basis[: n + 1] @ step)
        beside[n] = np.linalg.norm(step)
        if beside[n] < 1e-14:  # the values are fewer than they look
            last = n + 1
            break
        if n + 1 < GAUSS_NODES:
            basis[n + 1] = step / beside[n]
    off = beside[: last - 1]
    nodes, vectors = np.linalg.eigh(np.diag(diagonal[:last]) + np.diag(off, 1) + np.diag(off, -1))
    return scale * nodes, shares.sum() * vectors[0] ** 2

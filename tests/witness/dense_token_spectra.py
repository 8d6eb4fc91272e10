"""Dense Hessians and G-matrices of samples of several tokens, by NumPy alone from derivatives that
are written out by hand; nothing of the engine enters.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import sympy as sp
from token_cases import LOSSES, TokenCase, draw, slopes_at

from theory import Mixture, Model

# directions and weights with outliers far from the bulk, in the first coordinates: overlaps with
# all directions, and parts beside them
WEIGHTS = {
    "patches": [[0.8, -0.3, 0.0], [-0.2, 0.7, 0.3]],
    "three units": [[0.9, 0.3, 0.0, 0.0], [-0.7, 0.3, 0.4, 0.0], [0.3, 0.0, 0.3, 0.6]],
    "attention": [[1.2, -1.0, 0.5, 0.0], [1.0, 0.3, 0.4, 0.7]],
    "contrastive": [[1.0, 0.5]],
}
READOUT = {"patches": [1.5, -1.5], "three units": [1.2, -1.0, 0.8]}
PRECISION = {"patches": 4, "three units": 4, "attention": 6, "contrastive": 6}


def separated_case(name, lost=False):
    """A case of fixed numbers; ``lost``: its last token has no mean."""
    loss, means, labels, gradient, second = LOSSES[name]()
    r = len(means[0][0])
    data = Mixture.build(
        weights=["2/5", "3/5"],
        labels=labels,
        tokens=[[*rows[:-1], [0] * r] for rows in means] if lost else means,
        directions_gram=(sp.eye(r) * 2 + sp.ones(r, r) / 4).tolist(),
        precision=PRECISION[name],
    )
    model = Model.build(data, loss, ridge=0, step=1, name=name)
    gram = np.array(data.directions_gram.tolist(), dtype=float)
    weights = np.array(WEIGHTS[name])
    directions = np.zeros((r, weights.shape[1]))
    directions[:, :r] = np.linalg.cholesky(gram)
    readout = np.array(READOUT.get(name, []))
    return TokenCase(model, directions, weights, readout, gradient, second)


def wider(case, dimension):
    """The same vectors in more dimensions."""

    def padded(rows):
        return np.pad(rows, [(0, 0), (0, dimension - rows.shape[1])])

    return replace(case, directions=padded(case.directions), weights=padded(case.weights))


def dense_matrix(case, kind, units, dimension, samples, rng):
    """(1/M) sum_i sum_pq D_i(a p, b q) Y_ip Y_iq^T of some units, without ridge."""
    case = wider(case, dimension)
    labels, features = draw(case, samples, rng)
    if kind == "gradient":
        slopes = slopes_at(case, labels, features)[0][:, units]
        rows = np.einsum("map,mpi->mai", slopes, features).reshape(samples, -1)
        return rows.T @ rows / samples
    u = np.einsum("ai,mpi->map", case.weights, features)
    second = case.second(labels, u, case.readout)
    c, tokens = len(units), features.shape[1]
    out = np.zeros((c, dimension, c, dimension))
    for i, a in enumerate(units):
        for j, b in enumerate(units[: i + 1]):
            for q in range(tokens):
                weighted = np.einsum("mp,mpi->mi", second[:, a, :, b, q], features)
                out[i, :, j] += weighted.T @ features[:, q] / samples
            if j < i:
                out[j, :, i] = out[i, :, j].T
    return out.reshape(c * dimension, c * dimension)


def overlaps(case, units, vectors, dimension):
    """Squared lengths of the projections of columns on span(directions, weights) in every row."""
    case = wider(case, dimension)
    basis = np.linalg.qr(np.concatenate([case.directions, case.weights]).T)[0]
    rows = vectors.reshape(len(units), dimension, -1)
    return np.sum(np.einsum("ain,ik->akn", rows, basis) ** 2, axis=(0, 1))

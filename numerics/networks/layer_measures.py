r"""How far each layer of a network is off its own low-dimensional space, at given weights.

A layer meets the means as feature vectors, whose span is its space; P projects on it
(mathematics.md section 13, :mod:`numerics.alignment.layer_alignment`).  Rows of weights V and the
Hessian and G block :math:`M_a` of unit a are in it up to

.. math:: \varepsilon_V = \frac{\|V(I-P)\|_F}{\|V\|_F},\qquad
          \varepsilon_M = \frac{\sum_a\|(I-P)M_a\|_{op}}{\sum_a\|M_a\|_{op}}

(mathematics.md section 8).  Random rows of n columns have :math:`\varepsilon=\sqrt{1-r/n}` with r
the dimension of the space.
"""

from __future__ import annotations

import numpy as np

from numerics.alignment.layer_alignment import LayerSpace, space_of_features, weight_rank
from numerics.core.validation import Array

from .dense_network import DenseNetwork, LayerDerivatives
from .train_network import Clusters, NetworkWeights

MATRICES = ("hessian", "gradient")
# an eigenvector counts as one of the space from this share of its squared length
ALIGNED = 0.75


def measure_layers(
    network: DenseNetwork,
    clusters: Clusters,
    weights: NetworkWeights,
    dimension: float,
    samples: int,
    generator: np.random.Generator,
) -> dict[str, Array]:
    """Measures of every layer, an array over layers each, and of the whole network.

    Layer 1 lives in d = ``dimension``, of which the weights may hold the span alone.

    ``weights``, ``hessian``, ``gradient``: epsilon; ``random``: that of random rows; ``rank``: the
    dimension of the space; ``weight_rank``; ``hessian_rank``, ``gradient_rank``: how many leading
    eigenvectors of the strongest unit's block lie in the space.  ``accuracy`` and that of the best
    classifier, ``best_accuracy``, on the same samples.
    """
    directions = clusters.means.shape[1]
    overlap, perp = np.hsplit(weights.first, [directions])
    # coordinates of span(means, x), and one more, which stands for all that is left
    factor = np.asarray(np.linalg.qr(perp.T, mode="r")).T
    first = np.hstack([overlap, factor, np.zeros((len(factor), 1))])
    component, seen = clusters.draw(generator, samples)
    rest = generator.standard_normal((factor.shape[1] + 1, samples)) / np.sqrt(clusters.precision)
    inputs = np.vstack([seen, rest])
    labels = clusters.labels[component]
    derivatives = network.derivatives(labels, first @ inputs, weights.readout, inputs)
    features = [
        np.pad(clusters.means, ((0, 0), (0, len(rest)))),
        *(h.T for h in network.features(overlap @ clusters.means.T, weights.readout)),
    ]
    spaces = [space_of_features(each, clusters.weights) for each in features]
    rows = [first, *network.weights(weights.readout)[1]]
    found = [
        _measures(v, space, derivatives[name])
        for v, space, name in zip(rows, spaces, network.layers, strict=True)
    ]
    measured = {key: np.array([each[key] for each in found]) for key in found[0]}
    columns = np.array([dimension, *(n for _, n in network.shapes)])
    measured["random"] = np.sqrt(1 - measured["rank"] / columns)
    guessed = network.guesses(first @ inputs, weights.readout)
    measured["accuracy"] = np.mean(guessed == labels)
    measured["best_accuracy"] = np.mean(clusters.best_guesses(seen) == labels)
    return measured


def _measures(rows: Array, space: LayerSpace, layer: LayerDerivatives) -> dict[str, float]:
    """Of one layer with these rows of weights."""
    off = np.eye(space.basis.shape[1]) - space.basis.T @ space.basis
    found = {
        "weights": float(np.sqrt(max(1.0 - space.share(rows), 0.0))),
        "rank": float(space.rank),
        "weight_rank": float(weight_rank(rows)),
    }
    for matrix in MATRICES:
        blocks = np.array([layer.block(matrix, a) for a in range(len(layer.slope))])
        norms = np.linalg.norm(blocks, 2, axis=(1, 2))
        outside = np.linalg.norm(off @ blocks, 2, axis=(1, 2))
        # of a block of zeros nothing is off
        found[matrix] = float(outside.sum() / norms.sum()) if norms.any() else 0.0
        found[f"{matrix}_rank"] = float(_aligned_rank(blocks[norms.argmax()], space))
    return found


def _aligned_rank(block: Array, space: LayerSpace) -> int:
    """How many leading eigenvectors lie in the space before the first that does not."""
    values, vectors = np.linalg.eigh(block)
    leading = vectors[:, np.argsort(-np.abs(values))[: space.rank]]
    inside = np.sum((space.basis @ leading) ** 2, axis=0) >= ALIGNED
    return space.rank if inside.all() else int(np.argmin(inside))

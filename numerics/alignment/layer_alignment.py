r"""Alignment of every layer of a network with its own low-dimensional space.

A layer meets the mean of component l as a feature vector :math:`\Phi_l`: the mean itself in
layer 1, the outputs of the layer below in the others (mathematics.md section 13).  Its space is the
span of the feature vectors, up to directions in which they hardly extend: the leading right
singular vectors
of :math:`(\sqrt{p_l}\,\Phi_l)_l`.  Nothing here is derived: features are those of the network's own
forward pass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from numerics.core import codegen
from numerics.core.covariance.band_arrays import inverse_of
from numerics.core.geometry import coordinates_of
from numerics.core.problem import Problem
from numerics.core.state import State
from numerics.core.validation import Array
from theory import Layer, Model
from theory.problem.layers import FIRST_LAYER, positions_of

# directions in which the features extend by less than this share of the largest do not count
EXTENT = 0.2


def aligned_layers(model: Model) -> tuple[str, ...]:
    """Names of the layers that have a space: the first one, and those with two columns or more.

    Examples
    --------
    >>> from theory import mlp, xor
    >>> aligned_layers(mlp(xor(2).mixture, units=[2, 2], biases=True))
    ('layer 1', 'layer 2', 'layer 3')
    """
    return (FIRST_LAYER, *(layer.name for layer in model.loss.layers if layer.columns > 1))


def weights_of_layer(model: Model, readout: Array, layer: str) -> Array:
    """The weight matrix of a layer of v, shape (rows, columns)."""
    chosen = _layer(model, layer)
    positions = list(positions_of(model.loss.layers, layer))
    return np.asarray(readout)[positions].reshape(chosen.rows, chosen.columns)


@dataclass(frozen=True)
class LayerSpace:
    """The span of what a layer sees of the means.

    Attributes
    ----------
    basis : array, shape (rank, columns)
        Orthonormal rows.
    extents : array
        Singular values of the weighted features, largest first.
    """

    basis: Array
    extents: Array

    @property
    def rank(self) -> int:
        return len(self.basis)

    def share(self, rows: Array) -> float:
        """Share of the squared length of some rows that lies in the space; 1 of zero rows."""
        total = float(np.sum(rows**2))
        return float(np.sum((rows @ self.basis.T) ** 2)) / total if total else 1.0


def space_of_features(features: Array, weights: Array, rank: int | None = None) -> LayerSpace:
    """The space of some feature vectors, a row for every component of these weights.

    Examples
    --------
    >>> space_of_features(np.array([[2.0, 0.0], [-2.0, 0.01]]), np.array([0.5, 0.5])).rank
    1
    """
    _, extents, right = np.linalg.svd(np.sqrt(weights)[:, None] * features, full_matrices=False)
    found = int(np.sum(extents > EXTENT * extents[0])) if rank is None else rank
    return LayerSpace(right[: max(found, 1)], extents)


def layer_space(problem: Problem, state: State, layer: str, rank: int | None = None) -> LayerSpace:
    """The space of a layer of v at a state, by the forward pass of its means."""
    model = problem.model
    function = _forward_pass(model, layer)
    u = state.overlap @ coordinates_of(model).T
    features = np.empty((_layer(model, layer).columns, model.components))
    function(u, state.readout, features)
    return space_of_features(features.T, problem.parameters.weights, rank)


def first_layer_share(problem: Problem, state: State) -> float:
    """Share of the squared length of all x^a, in all bands, in the span of the means; 1 of none."""
    off = float(np.trace(state.gram_perp, axis1=-2, axis2=-1).sum())
    inverse = inverse_of(problem.parameters.directions_gram)
    within = float(np.einsum("...as,...st,...at->", state.overlap, inverse, state.overlap))
    return within / (within + off) if within + off > 0 else 1.0


def weight_rank(weights: Array) -> int:
    """Number of singular values of a weight matrix beyond ``EXTENT`` of the largest."""
    values = np.linalg.svd(weights, compute_uv=False)
    return int(np.sum(values > EXTENT * values[0]))


def eigenspace_in_space(matrix: Array, space: LayerSpace, count: int) -> float:
    """Mean share of the ``count`` leading eigenvectors of a block in (rows) x (the space)."""
    vectors = np.linalg.eigh(matrix)[1].T[::-1][:count]
    rows = len(matrix) // space.basis.shape[1]
    inside = vectors.reshape(count, rows, -1) @ space.basis.T
    return float(np.sum(inside**2)) / count


@lru_cache(maxsize=64)
def _forward_pass(model: Model, layer: str) -> Callable[[Array, Array, Array], None]:
    """Code for the features of a layer of v, from the pre-activations of the first one."""
    features = _layer(model, layer).features
    assert features is not None  # layers of several columns state them
    arguments = (("u", model.symbols.preactivation), ("v", model.symbols.readout))
    source = codegen.generate_function("features", arguments, features, "numpy")
    compiled: Callable[[Array, Array, Array], None] = codegen.load_module(source).features
    return compiled


def _layer(model: Model, name: str) -> Layer:
    return next(layer for layer in model.loss.layers if layer.name == name)

r"""The law of a sample's weight D and of its coordinates w along span(directions, x), as a weighted set of nodes.

An empirical matrix is :math:`\frac1M\sum_i D_i\otimes Y_iY_i^T`; everything its spectrum depends on in the proportional
limit is the joint law of D, a function of the pre-activations u, and of :math:`w=L^TY`, L an orthonormal basis of the
span.  Given u, w is Gaussian with a mean linear in u and a fixed covariance, so nodes are needed for u alone, and of w
only :math:`E[ww^T\mid u]`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from theory import InputError, Model

from .compiled import gauge_directions
from .layout import SpanBasis, coordinates_of, labels_of, span_basis
from .quadrature import Rule
from .samples import compile_derivatives
from .span import BlockName
from .state import Array, Parameters, State

# singular values of the pre-activations' map below this, relative to the largest, are directions u does not move in
RANK = 1e-10


@dataclass(frozen=True)
class WeightLaw:
    """Nodes n with probabilities q_n.

    Attributes
    ----------
    probability : array, shape (N,)
        Sum 1.
    weight : array, shape (N, k, k)
        D_n, symmetric; k = 1 for a single block and C for the full first layer.
    moment : array, shape (N, rank, rank)
        E[w w^T | n].
    precision : float
        lambda: the other coordinates of Y have variance 1 / lambda.
    basis : SpanBasis
        L.
    """

    probability: Array
    weight: Array
    moment: Array
    precision: float
    basis: SpanBasis

    @property
    def rows(self) -> int:
        """k."""
        return int(self.weight.shape[1])


class WeightNodes:
    """Makes :class:`WeightLaw` of one matrix at one state with any quadrature rule.

    Parameters
    ----------
    model : theory.Model
    parameters : Parameters
    state : State
    matrix : {"hessian", "gradient"}
    block : (a, b) or "first_layer"
    """

    def __init__(self, model: Model, parameters: Parameters, state: State, matrix: str, block: BlockName) -> None:
        if isinstance(block, str) and block != "first_layer":
            raise InputError(
                "block", repr(block), "a pair of first-layer units, or 'first_layer'",
                "the readout has no proportional limit: its size stays finite",
            )
        self.model, self.parameters, self.state, self.matrix, self.block = model, parameters, state, matrix, block
        self.basis = span_basis(parameters, state)
        _, rows = gauge_directions(model)
        # u up to its gauge is rows^T t, t = (rows x) w: what moves t are the right singular vectors
        self._rows = rows
        left, sizes, right = np.linalg.svd(rows @ self.basis.weights, full_matrices=False)
        kept = sizes > RANK * sizes.max(initial=0.0)
        self._spread, self._along = left[:, kept] * sizes[kept], right[kept]

    @property
    def dimension(self) -> int:
        """Of the integrals over u."""
        return int(self._along.shape[0])

    def law(self, rule: Rule, replicate: int = 0) -> WeightLaw:
        """The law with one replicate of a rule of that dimension."""
        model, parameters = self.model, self.parameters
        scale = 1 / np.sqrt(parameters.precision)
        z = rule.nodes[replicate]
        nodes, components = len(z), model.components
        weights = np.full(nodes, 1 / nodes) if rule.weights is None else np.asarray(rule.weights)
        weights = weights / weights.sum()
        r, rank = self.basis.directions, self.basis.rank
        factor = self.basis.coordinates[:r, :r]
        means = np.zeros((components, rank))
        means[:, :r] = coordinates_of(model) @ factor
        place = means[:, None, :] + scale * (z @ self._along)[None]
        u = means[:, None, :] @ (self._rows @ self.basis.weights).T[None] + scale * (z @ self._spread.T)[None]
        u = (u @ self._rows).reshape(components * nodes, model.units)
        labels = np.repeat(labels_of(model), nodes)
        derivatives = compile_derivatives(model, self.matrix)(labels, u.T, self.state.readout)
        free = (np.eye(rank) - self._along.T @ self._along) / parameters.precision
        place = place.reshape(components * nodes, rank)
        return WeightLaw(
            np.repeat(parameters.weights, nodes) * np.tile(weights, components), self._weight(derivatives),
            place[:, :, None] * place[:, None, :] + free, parameters.precision, self.basis,
        )

    def _weight(self, derivatives: Array) -> Array:
        c = self.model.units
        if self.matrix == "gradient":
            derivatives = derivatives[:, None] * derivatives[None]
        if isinstance(self.block, tuple):
            a, b = self.block
            return np.ascontiguousarray(derivatives[a, b][:, None, None])
        return np.ascontiguousarray(np.moveaxis(derivatives[:c, :c], 2, 0))

r"""Laws of a sample's weight K and of its coordinates w along span(directions, x), with any rule of
quadrature.

An empirical matrix is :math:`\frac1M\sum_iJ_iK_iJ_i^T`, with :math:`J_i=\mathrm{diag}(I_C\otimes
Y_i,\,I_q)` and K the derivatives of the loss in (u, v): K = D for first-layer blocks, where it is
:math:`\frac1M\sum_iD_i\otimes Y_iY_i^T`. Everything its spectrum depends on in the proportional
limit is the joint law of K, a function of the pre-activations u, and of :math:`w=L^TY`, L an
orthonormal basis of the span.  Given u, w is Gaussian with a mean linear in u and a fixed
covariance, so nodes are needed for u alone, and of w only :math:`E[w\mid u]` and :math:`E[ww^T\mid
u]`.  A sample of P tokens has a row of K for every unit at every token, :math:`J_i` the features
:math:`Y_{i1}..Y_{iP}` below each other, and w the coordinates of all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from numerics.core.covariance.token_arrays import means_of_components, repeated
from numerics.core.flatten import held_of
from numerics.core.geometry import coordinates_of, field_coordinates, labels_of, span_basis
from numerics.core.parameters import Parameters
from numerics.core.state import State
from numerics.core.validation import Array
from numerics.data.derivatives import compile_derivatives, derivative_terms
from numerics.expectations.compiled import gauge_directions
from numerics.expectations.quadrature import Rule, sobol
from numerics.spectra.population_block import is_of_readout, readout_positions
from numerics.spectra.span_matrix import BlockName
from theory import Model
from theory.problem.model import check_no_statistics

from .covariance.field_noise import FieldNoise
from .covariance.noise_covariances import NoiseCovariances
from .line_rule import LineRule
from .nodes.weight_law import WeightLaw

# points beside the nodes of a rule, and how far out they lie, in standard deviations
SUPPORT_POINTS, SCALES = 2**9, (1.0, 2.0, 4.0, 8.0)
# so much of u and v is rounding, of them and of what is computed from it
NUDGE = 16 * float(np.finfo(float).eps)
# rounding of a term of a derivative
TERM = 4 * float(np.finfo(float).eps)
# weights that still grow by this factor so many times farther out have no bound
GROWTH, FARTHER = 1.5, 8.0


class WeightNodes:
    """Makes :class:`WeightLaw` of one matrix at one state with any quadrature rule.

    Parameters
    ----------
    model : theory.Model
    parameters : Parameters
    state : State
    matrix : {"hessian", "gradient", "gauss-newton", "fisher"}
    block : (a, b), "first_layer", "readout", "mixed" or "all"
    """

    def __init__(
        self, model: Model, parameters: Parameters, state: State, matrix: str, block: BlockName
    ) -> None:
        self.model, self.parameters, self.state = model, parameters, state
        self.matrix, self.block = matrix, block
        check_no_statistics(model, "an effective spectrum")
        self.held = held_of(model, parameters, state)
        self.basis = span_basis(parameters, state)
        _, rows = gauge_directions(model)
        self._rows = rows
        fields = field_coordinates(model, self.basis, parameters.precision)
        self._fields = repeated(fields, model.tokens)
        self.covariances = NoiseCovariances.of(model)
        self._noises = [
            FieldNoise.of(rows @ self._fields, self._deviations(variances))
            for variances in self.covariances.variances
        ]

    def _deviations(self, variances: Array) -> Array:
        """Of the coordinates w, and of label noise, in units of 1 / sqrt(lambda)."""
        out = np.ones(self._fields.shape[1])
        out[: self._places] = np.tile(np.sqrt(variances)[self.basis.bands], self.model.tokens)
        return out

    @property
    def _places(self) -> int:
        """Coordinates w of all tokens."""
        return self.basis.rank * self.model.tokens

    def _noise(self, component: int) -> FieldNoise:
        return self._noises[self.covariances.group_of(component)]

    @property
    def dimension(self) -> int:
        """Of the integrals over u."""
        return int(self._noises[0].along.shape[0])

    @property
    def units(self) -> int:
        """Rows of the matrix that multiply features, k of the law."""
        if isinstance(self.block, tuple):
            return 1
        return 0 if is_of_readout(self.block) else self.model.units

    @property
    def seeing(self) -> int:
        """Rows of K that multiply features: one for every token of a unit."""
        return self.units * self.model.tokens

    @property
    def parameters_beside(self) -> int:
        """Rows of the matrix that are readout parameters."""
        return len(readout_positions(self.model, self.block))

    @property
    def leading(self) -> int:
        """Dimension of the eigenspace that is compared with span(directions): r for a block, C r
        for all rows.
        """
        return self.model.directions * self.units

    def weight_shares(self, vector: Array) -> Array:
        """Squared cosines of a projected eigenvector with every x^a, each in its row."""
        lengths = np.linalg.norm(self.basis.weights, axis=1, keepdims=True)
        x = np.divide(
            self.basis.weights, lengths, out=np.zeros_like(self.basis.weights), where=lengths > 0
        )
        rows = vector[: self.units * self.basis.rank].reshape(self.units, self.basis.rank)
        # the one row of a block meets every x^a, the row of unit a in the full matrix x^a alone
        return np.asarray(np.sum(rows * x, axis=1) ** 2)

    def law(self, rule: Rule | LineRule, replicate: int = 0) -> WeightLaw:
        """The law with one replicate of a rule of that dimension."""
        rank = self._places
        points = self._points(rule, replicate)
        parts = [self.at(l, z) for l, (z, _) in enumerate(points)]
        shares = zip(self.parameters.weights, points, strict=True)
        free = np.zeros((self.covariances.groups, rank + 1, rank + 1))
        free[:, :rank, :rank] = [noise.unseen(rank) for noise in self._noises]
        return WeightLaw(
            np.concatenate([share * weights for share, (_, weights) in shares]),
            np.concatenate([weight for weight, _ in parts]),
            self.units,
            np.concatenate([place for _, place in parts]),
            free / self.parameters.precision,
            self.parameters.precision,
            self.basis,
            self._support_points,
            self._rounding(points, [weight for weight, _ in parts]),
            self.covariances,
            self._groups([len(weight) for weight, _ in parts]),
            self._groups([len(self._support_points) // len(parts)] * len(parts)),
            self.model.tokens,
        )

    def _groups(self, counts: Sequence[int]) -> NDArray[np.intp] | None:
        """The group of every node, from the number of nodes of every component."""
        if self.covariances.groups == 1:
            return None
        return np.repeat(np.arange(len(counts)), counts)

    @cached_property
    def _support_points(self) -> Array:
        """K at points that lie denser than nodes, and farther out."""
        return self._spread_out(*SCALES)

    def _spread_out(self, *scales: float) -> Array:
        """K at normal points times factors: where the law has density, however little."""
        if not self.dimension:
            return self._everywhere(np.zeros((len(scales), 0)))
        points = sobol(self.dimension, SUPPORT_POINTS, 2, 0).nodes[0]
        return self._everywhere(np.concatenate([scale * points for scale in scales]))

    @cached_property
    def unbounded_sides(self) -> tuple[int, ...]:
        """1 where D has no largest eigenvalue, -1 where it has no least: the spectrum has no edge
        there.
        """
        if not self.units:
            return ()
        near, far = (
            np.linalg.eigvalsh(self._spread_out(scale)[:, : self.seeing, : self.seeing])
            for scale in (SCALES[-1], FARTHER * SCALES[-1])
        )
        size = float(np.abs(near).max(initial=0.0))
        sides = (1, far[:, -1].max(), near[:, -1].max()), (-1, -far[:, 0].min(), -near[:, 0].min())
        return tuple(
            side for side, end, before in sides if end > GROWTH * max(before, 0) + 1e-6 * size
        )

    def mean(self, component: int) -> Array:
        """Mean of the pre-activations of a component, up to their gauge."""
        return np.asarray(self._means[component] @ self._seen)

    def directions(self, component: int) -> Array:
        """Rows that the normal coordinates are multiplied with: u - E u = z . directions."""
        spread = self._noise(component).spread
        return np.asarray(spread.T @ self._rows / np.sqrt(self.parameters.precision))

    @cached_property
    def _means(self) -> Array:
        """Of the features, in coordinates w."""
        return means_of_components(self.model, coordinates_of(self.model) @ self.basis.along)

    @cached_property
    def _seen(self) -> Array:
        """From coordinates w to pre-activations up to their gauge."""
        return np.asarray((self._rows @ self._fields[:, : self._places]).T @ self._rows)

    def _everywhere(self, z: Array) -> Array:
        """K of all components at the same points."""
        return np.concatenate([self.at(l, z)[0] for l in range(self.model.components)])

    def _points(self, rule: Rule | LineRule, replicate: int) -> list[tuple[Array, Array]]:
        """Nodes and weights of every component."""
        components = self.model.components
        if isinstance(rule, LineRule):
            return [rule.points(l) for l in range(components)]
        return [(rule.nodes[replicate], rule.weights)] * components

    def _rounding(self, points: list[tuple[Array, Array]], parts: list[Array]) -> Array:
        """Rounding of every K: of the terms that cancel to it, which are of size one where a loss
        is saturated and K is tiny, and of u and v.
        """
        lost = []
        for l, (z, _) in enumerate(points):
            moved = np.abs(parts[l] - self.at(l, z, NUDGE)[0])
            lost.append((moved + TERM * self._terms(l, z)).sum(axis=(1, 2)))
        return np.concatenate(lost)

    def _terms(self, component: int, z: Array) -> Array:
        """Sizes of the terms that add up to K."""
        labels, u = self._arguments(component, z)
        arguments = labels, u.T, self.held
        terms = derivative_terms(self.model, self.matrix)(*arguments)
        if self.matrix != "gradient":
            return self._part(terms)
        values = np.abs(compile_derivatives(self.model, self.matrix)(*arguments))
        return self._part(terms[:, None] * values[None] + values[:, None] * terms[None])

    def at(self, component: int, z: Array, nudge: float = 0.0) -> tuple[Array, Array]:
        """K and E[(w, 1)] of one component at normal points; u and v are longer by ``nudge``."""
        scale, mean = 1 / np.sqrt(self.parameters.precision), self._means[component]
        place = np.ones((len(z), self._places + 1))
        place[:, :-1] = mean + scale * (z @ self._noise(component).moved(self._places))
        labels, u = self._arguments(component, z)
        longer = 1 + nudge
        evaluate = compile_derivatives(self.model, self.matrix)
        found = evaluate(labels, longer * u.T, longer * self.held)
        return self._weight(found), place

    def _arguments(self, component: int, z: Array) -> tuple[Array, Array]:
        """Labels, and the fields of the loss, shape (N, fields)."""
        u = self.mean(component) + z @ self.directions(component)
        return np.full(len(z), labels_of(self.model)[component]), u

    def _weight(self, derivatives: Array) -> Array:
        if self.matrix == "gradient":
            derivatives = derivatives[:, None] * derivatives[None]
        return self._part(derivatives)

    def _part(self, derivatives: Array) -> Array:
        """K from the derivatives by all u and v, shape (P C + q, P C + q, N)."""
        c = len(self.model.loss.preactivation)
        if isinstance(self.block, tuple):
            rows, columns = (slice(a, c, self.model.units) for a in self.block)
            return np.ascontiguousarray(np.moveaxis(derivatives[rows, columns], 2, 0))
        part = [*range(self.seeing), *(c + i for i in readout_positions(self.model, self.block))]
        weight = np.ascontiguousarray(np.moveaxis(derivatives[np.ix_(part, part)], 2, 0))
        if self.block == "mixed":
            weight[:, :c, :c] = 0.0
            weight[:, c:, c:] = 0.0
        return weight

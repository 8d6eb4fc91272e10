"""Derived expressions as fast functions of (parameters, state).

A derived expression is a sum of products of outer symbols (weights, lambda, overlaps, ...),
expectation nodes E_l[f(u)] and elementary functions of outer symbols.  Compilation splits it
accordingly:

* all distinct integrands f become one generated numba function, looped over quadrature nodes
  (:mod:`numerics.expectations.smooth_integrands`, and
  :mod:`numerics.expectations.kinked_integrands` for losses with kinks);
* elementary factors become one generated function (*leaves*);
* what remains is a sparse polynomial in these values, stored as index arrays and evaluated by one
  loop, so that models with thousands of terms need no thousand-line function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import scipy.special
import sympy as sp

from numerics.core import codegen
from numerics.core.flatten import outer_symbols, outer_values
from numerics.core.parameters import Parameters
from numerics.core.problem import Problem
from numerics.core.state import State, check_state
from numerics.core.validation import Array, check_kind
from theory import Model
from theory.expectations.derived import find_expectations

from .estimate import Estimate
from .kink_forms import kink_forms
from .kinked_integrands import KinkedIntegrands
from .quadrature import Rule, choose_family, gauss_hermite, replicate_error, sobol, tensor_sizes
from .smooth_integrands import Fields, Integrands, PlainIntegrands
from .sparse_polynomial import SparsePolynomial

# of every Sobol estimate
SCRAMBLINGS = 8
# error of a sum over Sobol nodes and of the closed forms of control variates, relative to 1 + value
SOBOL_ROUNDING = 1e-14
# without control variates of second order, the rare side of a kink needs this many nodes over all
# scramblings before their spread says anything; sides less likely than this share of the tolerance
# cannot matter
RARE_NODES = 64
NEGLIGIBLE = 0.1
# exp of this is still a finite number, with room for factors
MAX_EXPONENT = 600.0


class CompiledExpressions:
    """A vector of expressions of one model, compiled.

    Use :func:`compile_expressions`, which caches.

    Parameters
    ----------
    model : theory.Model
    expressions : sequence of sympy.Expr
        In the canonical symbols of ``theory.symbols`` (see docs/conventions.md), with E_l nodes.
    target : {"numba", "numpy"}
        Code for the integrands: machine code for what an integrator calls thousands of times,
        arrays (no compilation to wait for) for what is evaluated once.

    Raises
    ------
    theory.InputError
        An expression holds a symbol the model does not have.
    """

    def __init__(self, model: Model, expressions: Sequence[sp.Expr], target: str = "numba") -> None:
        check_kind("model", model, Model, "give the model alone, such as problem.model")
        self.model = model
        self.target = target
        self.size = len(expressions)
        self._outer = outer_symbols(model)
        self.integrands = _distinct_integrands(expressions)
        position = {f: j for j, f in enumerate(self.integrands)}
        self._labels = np.array([float(y) for y in model.mixture.labels])
        self._coordinates = np.array(model.mixture.coordinates.tolist(), dtype=float)
        self._terms = SparsePolynomial(expressions, self._outer, position, model.components)
        kinked = kink_forms(model) is not None
        self._integrands: Integrands = (KinkedIntegrands if kinked else PlainIntegrands)(
            model, self.integrands, target
        )
        self._leaves = self._compile_leaves()
        self.uses_whitening = any(
            f.free_symbols & set(model.symbols.whitened) for f in self.integrands
        )
        self.quadrature_basis = self._quadrature_basis()

    @property
    def dimension(self) -> int:
        """Dimension of the Gaussian integrals, after the gauge."""
        return int(self.quadrature_basis.shape[0])

    @property
    def source(self) -> str:
        """The generated source of the integrands."""
        return self._integrands.source

    def array_integrands(
        self, u: Array, label: float | Array, v: Array, w: Array | None = None
    ) -> Array:
        """Evaluate all integrands with NumPy at u of shape (C, N); returns (number of integrands,
        N).

        The independent target of the same expressions: used to check the numba code, and for gauge
        detection.
        """
        return self._integrands.values(u, label, v, w)

    def _compile_leaves(self) -> Callable[[Array, Array], None] | None:
        if not self._terms.leaves:
            return None
        source = codegen.generate_function(
            "leaves", (("outer", self._outer),), self._terms.leaves, self.target
        )
        return codegen.load_module(source).leaves

    def _quadrature_basis(self) -> Array:
        """Orthonormal rows spanning the pre-activation directions the integrands depend on."""
        c = self.model.units
        gauge = self.model.loss.gauge
        if gauge is None or not self.integrands or self.uses_whitening:
            return np.eye(c)
        null, free = gauge_directions(self.model)
        # the loss guarantees it for its derivatives, but any integrand may be compiled: look
        rng = np.random.default_rng(0)
        u, v = rng.normal(size=(c, 4)), rng.normal(size=self.model.readout_size)
        for label in np.unique(self._labels):
            here = self.array_integrands(u, label, v)
            there = self.array_integrands(u + null @ rng.normal(size=(null.shape[1], 4)), label, v)
            if not np.allclose(here, there, rtol=1e-10, atol=1e-12):
                return np.eye(c)
        return free

    def evaluate(
        self,
        parameters: Parameters,
        overlap: Array,
        gram_perp: Array,
        readout: Array,
        rule: Rule,
        replicate: int = 0,
    ) -> Array:
        """Evaluate with one replicate of a rule; no validation (this is the hot path)."""
        parts = overlap[None], gram_perp[None], readout[None]
        return self._evaluate(parameters, *parts, rule, rule.nodes[replicate][None])[0][0]

    def evaluate_replicates(
        self, parameters: Parameters, overlap: Array, gram_perp: Array, readout: Array, rule: Rule
    ) -> Array:
        """Evaluate every replicate of a rule at a state of its own, shapes (R, ...); returns (R,
        size).
        """
        return self._evaluate(parameters, overlap, gram_perp, readout, rule, rule.nodes)[0]

    def _evaluate(
        self,
        parameters: Parameters,
        overlap: Array,
        gram_perp: Array,
        readout: Array,
        rule: Rule,
        nodes: Array,
        sizes: Array | None = None,
    ) -> tuple[Array, Array]:
        """Values of the expressions, and of all their factors; fills ``sizes``, if given, with
        absolute moments.
        """
        inverse_gamma = np.linalg.inv(parameters.directions_gram)
        gram = gram_perp + overlap @ inverse_gamma @ np.swapaxes(overlap, 1, 2)
        inverse: Array = np.zeros_like(gram)
        if self.uses_whitening:
            inverse = np.asarray(np.linalg.pinv(gram, hermitian=True), dtype=float)
        outer = outer_values(parameters, overlap, gram_perp, readout, gram, inverse)
        states = len(outer)
        moments = np.zeros((states, 0))
        if self.integrands:
            covariance = gram / parameters.precision
            shift = nodes @ self._factor(covariance)
            whitened = shift @ inverse if self.uses_whitening else shift
            means = self._coordinates @ np.swapaxes(overlap, 1, 2)
            # a copy, because code is compiled anew for every memory layout it meets
            v = np.array(readout)
            fields = Fields(
                self._labels, means, covariance, inverse, shift, whitened, rule.weights, v
            )
            moments = self._integrands.moments(fields, 1.0 / rule.size, sizes).reshape(states, -1)
        leaves = np.empty((states, len(self._terms.leaves)))
        if self._leaves is not None:
            for e in range(states):
                self._leaves(outer[e], leaves[e])
        factors = np.concatenate(
            [outer, 1.0 / outer[:, self._terms.reciprocals], moments, leaves], axis=1
        )
        return np.array([self._terms.evaluate(row) for row in factors]), factors

    def _values_and_sizes(
        self, parameters: Parameters, parts: tuple[Array, Array, Array], rule: Rule
    ) -> tuple[Array, Array]:
        r"""Values, and what their rounding errors are relative to.

        The size of an expression is the sum of the absolute values of its terms, with
        :math:`E|f|(1+|u|/n)` for :math:`E f` (n nodes a dimension): cancellation, in the sum over
        nodes or between terms, leaves it as it is.
        """
        sizes = np.zeros((1, self.model.components, len(self.integrands)))
        with np.errstate(over="ignore", invalid="ignore"):  # the caller looks whether all is finite
            overlap, gram_perp, readout = (x[None] for x in parts)
            values, factors = self._evaluate(
                parameters, overlap, gram_perp, readout, rule, rule.nodes[:1], sizes
            )
        absolute = np.abs(factors[0])
        absolute[self._terms.moments] = sizes.ravel()
        return values[0], self._terms.absolute(absolute)

    def _factor(self, covariance: Array) -> Array:
        """Rows F with F^T F = covariance on the quadrature subspace, for every state: shift = nodes
        @ F.

        The symmetric square root depends smoothly on the covariance, so a trajectory meets no jumps
        in the quadrature error.
        """
        reduced = self.quadrature_basis @ covariance @ self.quadrature_basis.T
        eigenvalues, vectors = np.linalg.eigh(reduced)
        root = np.sqrt(np.clip(eigenvalues, 0.0, None))
        return (vectors * root[:, None]) @ np.swapaxes(vectors, 1, 2) @ self.quadrature_basis

    def field_scale(self, parameters: Parameters, state: State) -> float:
        """Largest standard deviation of the pre-activations along the quadrature directions."""
        return self._scale(parameters, state.overlap, state.gram_perp)

    def _scale(self, parameters: Parameters, overlap: Array, gram_perp: Array) -> float:
        gram = gram_perp + overlap @ np.linalg.solve(parameters.directions_gram, overlap.T)
        reduced = self.quadrature_basis @ (gram / parameters.precision) @ self.quadrature_basis.T
        return float(np.sqrt(max(np.linalg.eigvalsh(reduced)[-1], 0.0))) if reduced.size else 0.0

    def estimate(
        self,
        problem: Problem | Parameters,
        state: State,
        *,
        tolerance: float | None = None,
        seed: int = 0,
        max_nodes: int = 2**16,
        judge: Callable[[Array], Array] | None = None,
    ) -> Estimate:
        """Evaluate with a rule chosen by dimension and smoothness, refined until the error is
        small.

        Parameters
        ----------
        parameters, state
        tolerance : float, optional
            Absolute error asked for; 1e-10 for tensor rules and 1e-4 for Sobol when omitted.  The
            error reached is reported whether or not it meets the tolerance.
        seed : int
            Root seed of the scramblings.
        max_nodes : int
            Largest Sobol size tried.
        judge : callable, optional
            Linear map of the values; Sobol rules are refined until the error of its result is
            small.

        Returns
        -------
        Estimate
        """
        if not isinstance(problem, Problem):
            problem = Problem(self.model, problem)
        parameters = problem.parameters
        check_state(self.model, state, "state")
        parts = (state.overlap, state.gram_perp, state.readout)
        if not self.integrands:
            rule = gauss_hermite(0, 1)
            values = self.evaluate(parameters, *parts, rule)
            return Estimate(values, np.zeros_like(values), rule)
        if choose_family(self.dimension, self.model.loss.is_smooth) == "gauss-hermite":
            return self._estimate_tensor(
                parameters, parts, 1e-10 if tolerance is None else tolerance
            )
        wanted = 1e-4 if tolerance is None else tolerance
        size = self._least_size(parameters, parts, wanted, max_nodes)
        overlap, gram_perp, readout = (np.repeat(x[None], SCRAMBLINGS, axis=0) for x in parts)
        while True:
            rule = sobol(self.dimension, size, SCRAMBLINGS, seed)
            samples = self.evaluate_replicates(parameters, overlap, gram_perp, readout, rule)
            judged = samples if judge is None else np.array([judge(row) for row in samples])
            error = sampling_error(judged).max(initial=0.0)
            if error <= wanted or size >= max_nodes:
                return Estimate(samples.mean(axis=0), sampling_error(samples), rule, samples)
            # the error falls at best like 1/N: a size that would then still miss the tolerance is
            # not tried
            size = min(max_nodes, size * 2 ** max(1, int(np.log2(error / wanted))))

    def _least_size(
        self,
        parameters: Parameters,
        parts: tuple[Array, Array, Array],
        tolerance: float,
        max_nodes: int,
    ) -> int:
        """Sobol size with which every side of a kink that can matter is seen often enough.

        Scramblings that all miss a side agree with each other and are wrong.  The control variates
        of :mod:`numerics.expectations.kinked_integrands` make up for that, except for whitened
        integrands, of higher degree in u.
        """
        forms = kink_forms(self.model)
        if forms is None or not self.uses_whitening:
            return min(256, max_nodes)
        overlap, gram_perp, readout = parts
        matrix, offsets = (array[0] for array in forms(readout[None]))
        gram = gram_perp + overlap @ np.linalg.solve(parameters.directions_gram, overlap.T)
        deviation = np.sqrt(
            np.clip(np.einsum("ja,ab,jb->j", matrix, gram, matrix), 0, None) / parameters.precision
        )
        height = np.abs(self._coordinates @ overlap.T @ matrix.T + offsets)
        distance = np.divide(
            height, deviation, out=np.full_like(height, np.inf), where=deviation > 0
        )
        rare = scipy.special.ndtr(-distance)
        rare = rare[rare >= NEGLIGIBLE * tolerance]
        if not rare.size:
            return min(256, max_nodes)
        needed = RARE_NODES / (SCRAMBLINGS * float(rare.min()))
        return int(min(max(256, 2 ** int(np.ceil(np.log2(needed)))), max_nodes))

    def _estimate_tensor(
        self, parameters: Parameters, parts: tuple[Array, Array, Array], tolerance: float
    ) -> Estimate:
        # Three rules at least: two may agree by accident.  For a converging sequence the last
        # difference bounds the error of the finest rule; doubled, and never less than a quarter of
        # the difference before it.
        sequence: list[Array] = []
        sizes: list[Array] = []
        rules: list[Rule] = []
        errors = np.full(self.size, np.inf)
        for n in tensor_sizes(self.dimension):
            rule = gauss_hermite(self.dimension, n)
            values, size = self._values_and_sizes(parameters, parts, rule)
            if not np.all(np.isfinite(size)):
                break  # overflow at the outermost nodes: coarser rules do not reach that far
            sequence.append(values)
            sizes.append(size)
            rules.append(rule)
            if len(sequence) >= 3:
                last, before = (np.abs(sequence[-i] - sequence[-i - 1]) for i in (1, 2))
                with np.errstate(over="ignore"):
                    errors = np.maximum(
                        2 * last * _missing_tail(sizes[-2:], rules[-2:]), 0.25 * before
                    )
                if errors.max(initial=0.0) <= tolerance:
                    break
        if len(sequence) < 3:
            raise ArithmeticError(
                f"an expectation of the model {self.model.name} overflows: the field, of standard deviation "
                f"{self._scale(parameters, *parts[:2]):.3g}, is too wide for a loss that grows so fast; "
                "raise the precision or take smaller weights"
            )
        # the weights of a rule are known to 2 n eps in each dimension, arguments and sums to a few
        # eps
        rounding = (8 + 2 * self.dimension * rules[-1].size) * np.finfo(float).eps
        return Estimate(sequence[-1], errors + rounding * sizes[-1], rules[-1])


@lru_cache(maxsize=64)
def compile_expressions(
    model: Model, expressions: tuple[sp.Expr, ...], target: str = "numba"
) -> CompiledExpressions:
    """Compile expressions of ``model``; the result is cached on all arguments.

    Examples
    --------
    >>> from theory import kgmm, derive_drift
    >>> model = kgmm(2)
    >>> compiled = compile_expressions(model, derive_drift(model).vector)
    >>> compiled.dimension          # two pre-activations, one removed by the softmax gauge
    1
    """
    return CompiledExpressions(model, expressions, target)


def gauge_directions(model: Model) -> tuple[Array, Array]:
    """Columns along which the derivatives of the loss are constant, and orthonormal rows spanning
    the rest.
    """
    gauge = model.loss.gauge
    if gauge is None:
        return np.zeros((model.units, 0)), np.eye(model.units)
    null = np.array(gauge.tolist(), dtype=float)
    full, _ = np.linalg.qr(null, mode="complete")
    return null, np.ascontiguousarray(full[:, null.shape[1] :].T)


def sampling_error(samples: Array) -> Array:
    """Error of the mean over scramblings (first axis): their spread, and rounding.

    Scramblings of an integrand that its control variate reproduces agree to rounding, right or not.
    """
    return replicate_error(samples) + SOBOL_ROUNDING * (1 + np.abs(samples).max(axis=0))


def _missing_tail(sizes: Sequence[Array], rules: Sequence[Rule]) -> Array:
    r"""Factor >= 1 by which what lies beyond the outermost nodes may exceed what a rule has seen.

    A rule that reaches z misses most of :math:`E\,e^{sr}=e^{s^2/2}` if :math:`s>z`: it finds
    :math:`e^{sz-z^2/2}`, up to a factor below 4.  Two rules that reach z and z' tell s; where
    :math:`E|f|` has settled, :math:`s=(z+z')/2<z'`.
    """
    near, far = (float(rule.nodes.max()) for rule in rules)
    ratio = np.divide(sizes[1], sizes[0], out=np.ones_like(sizes[0]), where=sizes[0] > 0)
    # doubled: sizes grow a little less than expectations, by their factor for the rounding of
    # arguments
    slope = np.log(2 * np.maximum(ratio, 1.0)) / (far - near) + (far + near) / 2
    beyond = np.exp(np.minimum(np.maximum(slope - far, 0.0) ** 2 / 2, MAX_EXPONENT))
    return np.where(slope > far, 4 * beyond, 1.0)


def _distinct_integrands(expressions: Sequence[sp.Expr]) -> tuple[sp.Expr, ...]:
    found: dict[sp.Expr, None] = {}
    for e in expressions:
        for node in find_expectations(e):
            found.setdefault(node.general_integrand)
    return tuple(found)

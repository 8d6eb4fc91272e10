"""Derived expressions as fast functions of (parameters, state).

A derived expression is a sum of products of outer symbols (weights, lambda, overlaps, ...), expectation nodes
E_l[f(u)] and elementary functions of outer symbols.  Compilation splits it accordingly:

* all distinct integrands f become one generated numba function, looped over quadrature nodes;
* elementary factors become one generated function (*leaves*);
* what remains is a sparse polynomial in these values, stored as index arrays and evaluated by one loop, so that
  models with thousands of terms need no thousand-line function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import cast

import numpy as np
import sympy as sp

from theory import Model, symbols
from theory.derived import find_expectations

from . import codegen
from .quadrature import Rule, choose_family, gauss_hermite, replicate_error, sobol, tensor_sizes
from .state import (
    Array,
    Parameters,
    State,
    check_parameters,
    check_state,
    outer_symbols,
    outer_values,
)
from .terms import SparsePolynomial

# eigenvalues of a Gram matrix below this, relative to the largest, are directions of length zero
RANK_TOLERANCE = 1e-13
# given where the sizes of the integrands are not asked for
_NO_SIZES: Array = np.empty((0, 0))
# exp of this is still a finite number, with room for factors
MAX_EXPONENT = 600.0
# entries of one chunk of array evaluation: bounds its memory
CHUNK_ENTRIES = 4_000_000


@dataclass(frozen=True)
class Estimate:
    """Values of compiled expressions with the error estimate of the quadrature.

    Attributes
    ----------
    values, errors : array, shape (number of expressions,)
        ``errors`` bounds the quadrature error (difference of two tensor rules and rounding of the sums, or a 99 %
        interval).
    rule : Rule
        The finer rule used.
    """

    values: Array
    errors: Array
    rule: Rule


class CompiledExpressions:
    """A vector of expressions of one model, compiled.

    Use :func:`compile_expressions`, which caches.

    Parameters
    ----------
    model : theory.Model
    expressions : sequence of sympy.Expr
        In the canonical symbols of ``theory.symbols`` (see docs/conventions.md), with E_l nodes.
    target : {"numba", "numpy"}
        Code for the integrands: machine code for what an integrator calls thousands of times, arrays (no
        compilation to wait for) for what is evaluated once.

    Raises
    ------
    theory.InputError
        An expression holds a symbol the model does not have.
    """

    def __init__(
        self, model: Model, expressions: Sequence[sp.Expr], target: str = "numba"
    ) -> None:
        self.model = model
        self.target = target
        self.size = len(expressions)
        self._outer = outer_symbols(model)
        self.integrands = _distinct_integrands(expressions)
        position = {f: j for j, f in enumerate(self.integrands)}
        self._labels = np.array([float(y) for y in model.mixture.labels])
        self._coordinates = np.array(model.mixture.coordinates.tolist(), dtype=float)
        self._terms = SparsePolynomial(expressions, self._outer, position, model.components)
        self._expectations = self._compile_integrands()
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
        return self._source

    def _arguments(self) -> codegen.Arguments:
        s = self.model.symbols
        return (
            ("y", (symbols.LABEL,)), ("u", s.preactivation), ("w", s.whitened), ("v", s.readout),
        )

    def _compile_integrands(self) -> Callable[..., None]:
        self._source = codegen.generate_function(
            "integrand", self._arguments(), self.integrands, self.target
        )
        if self.target == "numpy":
            return self._array_expectations
        self._source += _EXPECTATION_LOOP
        return codegen.load_module(self._source).expectations

    def _array_expectations(
        self, labels: Array, means: Array, shift: Array, whitened: Array, weights: Array, v: Array, reach: float,
        out: Array, sizes: Array,
    ) -> None:
        """The NumPy twin of the generated ``expectations``: same arguments, same sums."""
        chunk = max(1, CHUNK_ENTRIES // max(1, len(self.integrands)))
        for l, label in enumerate(labels):
            for start in range(0, weights.size, chunk):
                part = slice(start, start + chunk)
                u = (means[l] + shift[part]).T
                f = self.array_integrands(u, float(label), v, whitened[part].T)
                out[l] += f @ weights[part]
                if sizes.size:
                    sizes[l] += np.abs(f) @ (weights[part] * (1.0 + reach * np.abs(u).max(axis=0)))

    def array_integrands(self, u: Array, label: float | Array, v: Array, w: Array | None = None) -> Array:
        """Evaluate all integrands with NumPy at u of shape (C, N); returns (number of integrands, N).

        The independent target of the same expressions: used to check the numba code, and for gauge detection.
        """
        out = np.empty((len(self.integrands), u.shape[1]))
        self._array_function(label, u, np.zeros_like(u) if w is None else w, v, out)
        return out

    @cached_property
    def _array_function(self) -> Callable[..., None]:
        source = codegen.generate_function("integrand", self._arguments(), self.integrands, "numpy")
        return cast("Callable[..., None]", codegen.load_module(source).integrand)

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
        null = np.array(gauge.tolist(), dtype=float)
        # the loss guarantees it for its derivatives, but any integrand may be compiled: look
        rng = np.random.default_rng(0)
        u, v = rng.normal(size=(c, 4)), rng.normal(size=self.model.readout_size)
        for label in np.unique(self._labels):
            here = self.array_integrands(u, label, v)
            there = self.array_integrands(u + null @ rng.normal(size=(null.shape[1], 4)), label, v)
            if not np.allclose(here, there, rtol=1e-10, atol=1e-12):
                return np.eye(c)
        full, _ = np.linalg.qr(null, mode="complete")
        return np.ascontiguousarray(full[:, null.shape[1] :].T)

    def evaluate(
        self, parameters: Parameters, overlap: Array, gram_perp: Array, readout: Array, rule: Rule,
        replicate: int = 0,
    ) -> Array:
        """Evaluate with one replicate of a rule; no validation (this is the hot path)."""
        return self._evaluate(parameters, overlap, gram_perp, readout, rule, replicate, _NO_SIZES)[0]

    def _evaluate(
        self, parameters: Parameters, overlap: Array, gram_perp: Array, readout: Array, rule: Rule, replicate: int,
        sizes: Array,
    ) -> tuple[Array, Array]:
        """Values of the expressions, and of all their factors; fills ``sizes``, if not empty, with absolute moments."""
        inverse_gamma = np.linalg.inv(parameters.directions_gram)
        gram = gram_perp + overlap @ inverse_gamma @ overlap.T
        inverse: Array = np.zeros_like(gram)
        if self.uses_whitening:
            inverse = np.asarray(np.linalg.pinv(gram, hermitian=True), dtype=float)
        outer = outer_values(parameters, overlap, gram_perp, readout, gram, inverse)
        moments = np.zeros((self.model.components, len(self.integrands)))
        if self.integrands:
            factor = self._factor(gram / parameters.precision)
            shift = rule.nodes[replicate] @ factor
            whitened = shift @ inverse if self.uses_whitening else shift
            means = self._coordinates @ overlap.T
            self._expectations(
                self._labels, means, shift, whitened, rule.weights, readout, 1.0 / rule.size, moments, sizes
            )
        leaves = np.empty(len(self._terms.leaves))
        if self._leaves is not None:
            self._leaves(outer, leaves)
        values = np.concatenate([outer, 1.0 / outer[self._terms.reciprocals], moments.ravel(), leaves])
        return self._terms.evaluate(values), values

    def _values_and_sizes(
        self, parameters: Parameters, parts: tuple[Array, Array, Array], rule: Rule
    ) -> tuple[Array, Array]:
        r"""Values, and what their rounding errors are relative to.

        The size of an expression is the sum of the absolute values of its terms, with :math:`E|f|(1+|u|/n)` for
        :math:`E f` (n nodes a dimension): cancellation, in the sum over nodes or between terms, leaves it as it is.
        """
        sizes = np.zeros((self.model.components, len(self.integrands)))
        with np.errstate(over="ignore", invalid="ignore"):  # the caller looks whether all is finite
            values, factors = self._evaluate(parameters, *parts, rule, 0, sizes)
        factors = np.abs(factors)
        factors[self._terms.moments] = sizes.ravel()
        return values, self._terms.absolute(factors)

    def _factor(self, covariance: Array) -> Array:
        """Rows F with F^T F = covariance on the quadrature subspace: shift = nodes @ F.

        The symmetric square root depends smoothly on the covariance, so a trajectory meets no jumps in the
        quadrature error.
        """
        reduced = self.quadrature_basis @ covariance @ self.quadrature_basis.T
        eigenvalues, vectors = np.linalg.eigh(reduced)
        root = np.sqrt(np.clip(eigenvalues, 0.0, None))
        return (vectors * root) @ vectors.T @ self.quadrature_basis

    def field_scale(self, parameters: Parameters, state: State) -> float:
        """Largest standard deviation of the pre-activations along the quadrature directions."""
        return self._scale(parameters, state.overlap, state.gram_perp)

    def _scale(self, parameters: Parameters, overlap: Array, gram_perp: Array) -> float:
        gram = gram_perp + overlap @ np.linalg.solve(parameters.directions_gram, overlap.T)
        reduced = self.quadrature_basis @ (gram / parameters.precision) @ self.quadrature_basis.T
        return float(np.sqrt(max(np.linalg.eigvalsh(reduced)[-1], 0.0))) if reduced.size else 0.0

    def estimate(
        self, parameters: Parameters, state: State, *, tolerance: float | None = None,
        seed: int = 0, max_nodes: int = 2**16,
    ) -> Estimate:
        """Evaluate with a rule chosen by dimension and smoothness, refined until the error is small.

        Parameters
        ----------
        parameters, state
        tolerance : float, optional
            Absolute error asked for; 1e-10 for tensor rules and 1e-4 for Sobol when omitted.  The error reached
            is reported whether or not it meets the tolerance.
        seed : int
            Root seed of the scramblings.
        max_nodes : int
            Largest Sobol size tried.

        Returns
        -------
        Estimate
        """
        check_parameters(self.model, parameters)
        check_state(self.model, state, "state")
        parts = (state.overlap, state.gram_perp, state.readout)
        if not self.integrands:
            rule = gauss_hermite(0, 1)
            values = self.evaluate(parameters, *parts, rule)
            return Estimate(values, np.zeros_like(values), rule)
        if choose_family(self.dimension, self.model.loss.is_smooth) == "gauss-hermite":
            return self._estimate_tensor(parameters, parts, 1e-10 if tolerance is None else tolerance)
        wanted = 1e-4 if tolerance is None else tolerance
        size = 256
        while True:
            rule = sobol(self.dimension, size, 8, seed)
            samples = np.array([self.evaluate(parameters, *parts, rule, i) for i in range(8)])
            errors = replicate_error(samples)
            if errors.max(initial=0.0) <= wanted or size >= max_nodes:
                return Estimate(samples.mean(axis=0), errors, rule)
            size *= 2

    def _estimate_tensor(
        self, parameters: Parameters, parts: tuple[Array, Array, Array], tolerance: float
    ) -> Estimate:
        # Three rules at least: two may agree by accident.  For a converging sequence the last difference bounds the
        # error of the finest rule; doubled, and never less than a quarter of the difference before it.
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
                    errors = np.maximum(2 * last * _missing_tail(sizes[-2:], rules[-2:]), 0.25 * before)
                if errors.max(initial=0.0) <= tolerance:
                    break
        if len(sequence) < 3:
            raise ArithmeticError(
                f"an expectation of the model {self.model.name} overflows: the field, of standard deviation "
                f"{self._scale(parameters, *parts[:2]):.3g}, is too wide for a loss that grows so fast; "
                "raise the precision or take smaller weights"
            )
        # the weights of a rule are known to 2 n eps in each dimension, arguments and sums to a few eps
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


def _missing_tail(sizes: Sequence[Array], rules: Sequence[Rule]) -> Array:
    r"""Factor >= 1 by which what lies beyond the outermost nodes may exceed what a rule has seen.

    A rule that reaches z misses most of :math:`E\,e^{sr}=e^{s^2/2}` if :math:`s>z`: it finds :math:`e^{sz-z^2/2}`, up
    to a factor below 4.  Two rules that reach z and z' tell s; where :math:`E|f|` has settled, :math:`s=(z+z')/2<z'`.
    """
    near, far = (float(rule.nodes.max()) for rule in rules)
    ratio = np.divide(sizes[1], sizes[0], out=np.ones_like(sizes[0]), where=sizes[0] > 0)
    # doubled: sizes grow a little less than expectations, by their factor for the rounding of arguments
    slope = np.log(2 * np.maximum(ratio, 1.0)) / (far - near) + (far + near) / 2
    beyond = np.exp(np.minimum(np.maximum(slope - far, 0.0) ** 2 / 2, MAX_EXPONENT))
    return np.where(slope > far, 4 * beyond, 1.0)


def _distinct_integrands(expressions: Sequence[sp.Expr]) -> tuple[sp.Expr, ...]:
    found: dict[sp.Expr, None] = {}
    for e in expressions:
        for node in find_expectations(e):
            found.setdefault(node.general_integrand)
    return tuple(found)


_EXPECTATION_LOOP = '''

@numba.njit(cache=True, nogil=True, error_model='numpy')
def expectations(labels, means, shift, whitened, weights, v, reach, out, sizes):
    """out[l, j] += E_l[f_j]: component l has label labels[l] and pre-activations means[l] + shift[i].

    Unless ``sizes`` is empty, sizes[l, j] += E_l[|f_j| (1 + reach max_a |u_a|)].
    """
    units = shift.shape[1]
    u = np.empty(units)
    f = np.empty(out.shape[1])
    for l in range(labels.size):
        for i in range(weights.size):
            for a in range(units):
                u[a] = means[l, a] + shift[i, a]
            integrand(labels[l], u, whitened[i], v, f)
            for j in range(f.size):
                out[l, j] += weights[i] * f[j]
            if sizes.size > 0:
                largest = 0.0
                for a in range(units):
                    largest = max(largest, abs(u[a]))
                for j in range(f.size):
                    sizes[l, j] += weights[i] * abs(f[j]) * (1.0 + reach * largest)
'''

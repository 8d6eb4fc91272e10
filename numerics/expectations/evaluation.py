"""Derived expressions as functions of (parameters, state, rule): code, and its values on nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import sympy as sp

from numerics.core import codegen
from numerics.core.errors import IntegrandError
from numerics.core.flatten import (
    flatten,
    held_at,
    outer_symbols,
    outer_values,
    typical_values,
    unflatten,
)
from numerics.core.geometry import coordinates_of, labels_of
from numerics.core.parameters import Parameters
from numerics.core.validation import Array, check_kind
from theory import Model

from .blocked.blocked_integrands import BlockedIntegrands
from .blocked.right_hand_side import RightHandSide, remainder_of
from .closed.closed_moments import ClosedMoments, FieldLaws, closed_moments
from .component_laws import ComponentLaws, Parts, gauge_directions
from .contracted.contracted_terms import ContractedTerms, terms_of
from .estimate import KnownMoments
from .graded.placement import directions_of
from .graded.scales import Scales
from .kinked.kink_forms import kink_forms
from .kinked.kinked_integrands import KinkedIntegrands
from .placed_moments import placed_moments
from .product_integrands import MANY, ProductIntegrands
from .quadrature import MAX_PANEL_DIMENSION, Rule, sobol_beyond
from .smooth_integrands import Fields, Integrands, PlainIntegrands

# pre-activations within so many standard deviations are met
PLAUSIBLE = 6.0


class Evaluator:
    """A vector of expressions of one model, compiled, evaluated with a rule that is given.

    Parameters
    ----------
    model : theory.Model
    expressions : sequence of sympy.Expr
        In the canonical symbols of ``sa.symbols`` (see docs/conventions.md), with E_l nodes.
    target : {"numba", "numpy"}
        Code for the integrands: machine code for what an integrator calls thousands of times,
        arrays (no compilation to wait for) for what is evaluated once.
    closed_forms : bool, optional
        Use closed forms where all expectations have one.  When omitted: in machine code, and
        beyond the plane, where quadrature is slow or coarse.

    Raises
    ------
    theory.InputError
        An expression holds a symbol the model does not have.
    """

    def __init__(
        self,
        model: Model,
        expressions: Sequence[sp.Expr],
        target: str = "numba",
        *,
        closed_forms: bool | None = None,
    ) -> None:
        check_kind("model", model, Model, "give the model alone, such as problem.model")
        self.model = model
        self.target = target
        self.size = len(expressions)
        self._outer = outer_symbols(model)
        position, self._terms = terms_of(expressions, self._outer, model.components)
        self.integrands = tuple(position)
        self.labels, self.coordinates = labels_of(model), coordinates_of(model)
        self.functions: Integrands
        if kink_forms(model) is not None:
            self.functions = KinkedIntegrands(model, self.integrands, target)
        elif self.integrands and target == "numba":
            self.functions = BlockedIntegrands(model, self.integrands)
        elif len(self.integrands) >= MANY:
            self.functions = ProductIntegrands(model, self.integrands, target)
        else:
            self.functions = PlainIntegrands(model, self.integrands, target)
        self._leaves = self._compile_leaves()
        used = codegen.symbols_in(self.integrands)
        self.uses_whitening = bool(used & set(model.symbols.whitened))
        self.quadrature_basis = self._quadrature_basis()
        if closed_forms is None:
            closed_forms = target == "numba" or self.dimension > MAX_PANEL_DIMENSION
        self._use_closed = closed_forms
        self.laws = ComponentLaws(model, self.uses_whitening)

    @property
    def dimension(self) -> int:
        """Dimension of the Gaussian integrals, after the gauge."""
        return int(self.quadrature_basis.shape[0])

    @cached_property
    def closed(self) -> ClosedMoments | None:
        """All expectations in closed form, if they have one."""
        if not (self._use_closed and self.integrands):
            return None
        return closed_moments(self.model, self.integrands, self.target)

    @cached_property
    def scales(self) -> Scales:
        """Where the integrands bend, and how sharply."""
        return Scales(self.model, self.integrands)

    @property
    def source(self) -> str:
        """The generated source of the integrands."""
        return self.functions.source

    def array_integrands(
        self, u: Array, label: float | Array, v: Array, w: Array | None = None
    ) -> Array:
        """Evaluate all integrands with NumPy at u of shape (C, N); returns (number of integrands,
        N).

        The independent target of the same expressions: used to check the numba code, and for gauge
        detection.
        """
        return self.functions.values(u, label, v, w)

    def _compile_leaves(self) -> Callable[[Array, Array], None] | None:
        if not self._terms.leaves:
            return None
        source = codegen.generate_function(
            "leaves", (("outer", self._outer),), self._terms.leaves, self.target
        )
        return codegen.load_module(source).leaves

    def _quadrature_basis(self) -> Array:
        """Orthonormal rows spanning the pre-activation directions the integrands depend on."""
        c = len(self.model.loss.fields)
        gauge = self.model.loss.gauge
        if gauge is None or not self.integrands or self.uses_whitening:
            return np.eye(c)
        null, free = gauge_directions(self.model)
        # the loss guarantees it for its derivatives, but any integrand may be compiled: look
        rng = np.random.default_rng(0)
        u, v = rng.normal(size=(c, 4)), rng.normal(size=self.model.readout_size)
        v = np.concatenate([v, typical_values(self.model)])
        for label in np.unique(self.labels):
            here = self.array_integrands(u, label, v)
            there = self.array_integrands(u + null @ rng.normal(size=(null.shape[1], 4)), label, v)
            if not np.allclose(here, there, rtol=1e-10, atol=1e-12):
                return np.eye(c)
        return free

    def held(self, parameters: Parameters, parts: tuple[Array, Array, Array]) -> Array:
        """What the loss holds beside a sample, at one state."""
        return held_at(self.model, parameters, *parts)

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
        return self._evaluate(parameters, parts, rule, rule.nodes[replicate][None])[0][0]

    def evaluate_changed(
        self,
        parameters: Parameters,
        parts: Parts,
        rule: Rule,
        change: Callable[[Array, int], Array],
        count: int,
    ) -> Array:
        """Evaluate so many times at one state, under laws that are changed anew each time.

        ``change`` maps the Gram matrix of the fields, and the position of a law where components
        have laws of their own, to that of another law.
        """
        overlap, gram_perp, readout = (np.repeat(part[None], count, axis=0) for part in parts)
        nodes, several = np.repeat(rule.nodes[:1], count, axis=0), (overlap, gram_perp, readout)
        return self._evaluate(parameters, several, rule, nodes, change=change)[0]

    def evaluate_replicates(
        self, parameters: Parameters, overlap: Array, gram_perp: Array, readout: Array, rule: Rule
    ) -> Array:
        """Evaluate every replicate of a rule at a state of its own, shapes (R, ...); returns (R,
        size).
        """
        return self._evaluate(parameters, (overlap, gram_perp, readout), rule, rule.nodes)[0]

    def evaluate_vectors(self, parameters: Parameters, vectors: Array, rule: Rule) -> Array:
        """As :meth:`evaluate_replicates`, at state vectors, shape (R, size of a state)."""
        if rule.kind not in ("panels", "closed") and self._compiled is not None:
            found = self._at_vectors(parameters, vectors, rule, rule.nodes, None)
            if found is not None:
                return found[0]
        return self.evaluate_replicates(parameters, *unflatten(vectors, self.model), rule)

    def extend_replicates(
        self,
        parameters: Parameters,
        parts: tuple[Array, Array, Array],
        rule: Rule,
        known: KnownMoments | None,
    ) -> tuple[Array, KnownMoments]:
        """Evaluate as :meth:`evaluate_replicates`, only at the nodes that a scrambled rule of the
        same seed and fewer nodes had not, where its moments are ``known``; returns those of all.
        """
        here = rule if known is None else sobol_beyond(rule, known.size)
        values, factors = self._evaluate(parameters, parts, here, here.nodes)
        moments = factors[:, self._terms.moments]
        if known is not None:
            moments += known.size / rule.size * (known.moments - moments)
            values = self._terms.evaluate(factors)
        return values, KnownMoments(rule.size, moments)

    def _evaluate(
        self,
        parameters: Parameters,
        parts: Parts,
        rule: Rule,
        nodes: Array,
        sizes: Array | None = None,
        change: Callable[[Array, int], Array] | None = None,
    ) -> tuple[Array, Array]:
        """Values of expressions and of all their factors; fills ``sizes`` with absolute moments."""
        if change is None and rule.kind not in ("panels", "closed") and self._compiled is not None:
            found = self._at_vectors(parameters, flatten(*parts), rule, nodes, sizes)
            if found is not None:
                return found
        outer, moments = self._at_laws(parameters, parts, rule, nodes, sizes, change)
        states = len(outer)
        leaves = np.empty((states, len(self._terms.leaves)))
        if self._leaves is not None:
            for e in range(states):
                self._leaves(outer[e], leaves[e])
        factors = np.concatenate(
            [outer, 1.0 / outer[:, self._terms.reciprocals], moments, leaves], axis=1
        )
        return self._terms.evaluate(factors), factors

    @cached_property
    def _compiled(self) -> RightHandSide | None:
        """The same in one compiled loop, where one law serves all components."""
        remainder = None if self.uses_whitening else remainder_of(self._terms)
        if remainder is None or not isinstance(self.functions, BlockedIntegrands):
            return None
        return RightHandSide.of(self.model, self.functions, remainder, self.quadrature_basis)

    def _at_vectors(
        self, parameters: Parameters, vectors: Array, rule: Rule, nodes: Array, sizes: Array | None
    ) -> tuple[Array, Array] | None:
        """As :meth:`_evaluate`, compiled; None where a number is not finite."""
        assert self._compiled is not None
        found = self._compiled.evaluate(parameters, vectors, rule, nodes, sizes)
        if found is None:
            return None
        values, known = found
        if not values.shape[1] and isinstance(self._terms, ContractedTerms):
            values = self._terms.entries(known)
        return values, known[:, : self._terms.moments.stop]

    def _at_laws(
        self,
        parameters: Parameters,
        parts: Parts,
        rule: Rule,
        nodes: Array,
        sizes: Array | None,
        change: Callable[[Array, int], Array] | None,
    ) -> tuple[Array, Array]:
        """Values of outer symbols, and moments, whatever laws the components have."""
        gram, inverse, laws = self.laws.at(parameters, *parts, change)
        outer = outer_values(parameters, *parts, gram, inverse)
        if not self.integrands:
            return outer, np.zeros((len(outer), 0))
        if len(laws) == 1:
            found = [self._moments(laws[0], rule, nodes, sizes)]
        else:  # of one component each
            rows = [None if sizes is None else sizes[:, l : l + 1] for l in range(len(laws))]
            found = [
                self._moments(law, rule, nodes, row) for law, row in zip(laws, rows, strict=True)
            ]
        return outer, np.concatenate(found, axis=1).reshape(len(outer), -1)

    def _moments(
        self, laws: FieldLaws, rule: Rule, nodes: Array, sizes: Array | None = None
    ) -> Array:
        """E_l[f_j] of the components that a law is of, shape (R, their number, integrands)."""
        means, covariance, inverse, v = laws.means, laws.covariance, laws.inverse, laws.readout
        if rule.kind == "closed":
            assert self.closed is not None
            moments = self.closed.moments(laws)
            if sizes is not None:
                sizes[:] = np.abs(moments)
            return moments
        if rule.kind == "panels":
            moments = placed_moments(self, laws, rule.size, sizes)
        else:
            shift = nodes @ self.factor(covariance)
            whitened = shift @ inverse if self.uses_whitening else shift
            fields = Fields(
                laws.labels, means, covariance, inverse, shift, whitened, rule.weights, v
            )
            moments = self.functions.moments(fields, 1.0 / rule.size, sizes)
        # where closed forms have no value, quadrature takes their place
        self._check_numbers(moments, laws)
        return moments

    def _check_numbers(self, moments: Array, laws: FieldLaws) -> None:
        """Refuse NaN: by the name of the integrand that is none, or as an overflow far out."""
        missing = np.isnan(moments)
        if not missing.any():
            return
        means, covariance, v = laws.means, laws.covariance, laws.readout
        z = np.linspace(-PLAUSIBLE, PLAUSIBLE, 241)
        for e, l, j in np.argwhere(missing).tolist():
            directions = directions_of(covariance[e], self.quadrature_basis)
            for row in (np.zeros(len(covariance[e])), *directions):
                u = means[e, l][:, None] + row[:, None] * z
                with np.errstate(all="ignore"):
                    values = self.array_integrands(u, float(laws.labels[l]), v[e])[j]
                if np.isnan(values).any():
                    at = u[:, int(np.argmax(np.isnan(values)))]
                    raise IntegrandError(self.model.name, self.integrands[j], at, v[e])
        raise self.overflow(covariance)

    def overflow(self, covariance: Array) -> OverflowError:
        """The error of an integrand that outgrows the floating point numbers."""
        reduced = self.quadrature_basis @ covariance @ self.quadrature_basis.T
        spread = np.sqrt(max(float(np.linalg.eigvalsh(reduced).max()), 0.0))
        return OverflowError(
            f"an expectation of the model {self.model.name} overflows: the field, of standard "
            f"deviation {spread:.3g}, is too wide for a loss that grows so fast; raise the "
            "precision or take smaller weights"
        )

    def values_and_sizes(
        self,
        parameters: Parameters,
        parts: tuple[Array, Array, Array],
        rule: Rule,
        missed: Array | None = None,
    ) -> tuple[Array, Array, Array]:
        r"""Values, what their rounding errors are relative to, and what errors of moments cost.

        The size of an expression is the sum of the absolute values of its terms, with
        :math:`E|f|(1+|u|/n)` for :math:`E f` (n nodes a dimension): cancellation, in the sum over
        nodes or between terms, leaves it as it is.  Errors ``missed`` of the moments, shape (L,
        number of integrands), reach an expression through the same terms.
        """
        sizes = np.zeros((1, self.model.components, len(self.integrands)))
        with np.errstate(over="ignore", invalid="ignore"):  # the caller looks whether all is finite
            overlap, gram_perp, readout = (x[None] for x in parts)
            one = overlap, gram_perp, readout
            values, factors = self._evaluate(parameters, one, rule, rule.nodes[:1], sizes)
        absolute = np.abs(factors)
        absolute[:, self._terms.moments] = sizes.ravel()
        total = self._terms.absolute(absolute)[0]
        if missed is None:
            return values[0], total, np.zeros_like(total)
        absolute[:, self._terms.moments] = sizes.ravel() + missed.ravel()
        with np.errstate(over="ignore", invalid="ignore"):
            added = np.nan_to_num(self._terms.absolute(absolute)[0] - total, nan=np.inf)
        return values[0], total, np.maximum(added, 0.0)

    def factor(self, covariance: Array) -> Array:
        """Rows F with F^T F = covariance on the quadrature subspace, for every state: shift = nodes
        @ F.

        The symmetric square root depends smoothly on the covariance, so a trajectory meets no jumps
        in the quadrature error.
        """
        reduced = self.quadrature_basis @ covariance @ self.quadrature_basis.T
        eigenvalues, vectors = np.linalg.eigh(reduced)
        root = np.sqrt(np.clip(eigenvalues, 0.0, None))
        return (vectors * root[:, None]) @ np.swapaxes(vectors, 1, 2) @ self.quadrature_basis

    def spread(self, parameters: Parameters, overlap: Array, gram_perp: Array) -> float:
        """Largest standard deviation of the pre-activations along the quadrature directions."""
        covariances = self.laws.covariances(parameters, overlap, gram_perp)
        reduced = self.quadrature_basis @ covariances @ self.quadrature_basis.T
        if not reduced.size:
            return 0.0
        return float(np.sqrt(max(np.linalg.eigvalsh(reduced)[..., -1].max(), 0.0)))

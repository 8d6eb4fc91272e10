"""Derived expressions as fast functions of (parameters, state).

A derived expression is a sum of products of outer symbols (weights, lambda, overlaps, ...),
expectation nodes E_l[f(u)] and elementary functions of outer symbols.  Compilation splits it
accordingly:

* where all expectations have closed forms, these are evaluated wherever they keep their digits
  (:mod:`numerics.expectations.closed.closed_moments`), and nothing is integrated;
* else all distinct integrands f become one generated numba function, looped over quadrature nodes
  (:mod:`numerics.expectations.blocked.blocked_integrands`, and
  :mod:`numerics.expectations.kinked.kinked_integrands` for losses with kinks);
* elementary factors become one generated function (*leaves*);
* what remains is a sparse polynomial in these values, stored as index arrays and evaluated by one
  loop, so that models with thousands of terms need no thousand-line function; or, of quantities as
  they were derived, a contraction of tensors (:mod:`numerics.expectations.contracted`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import sympy as sp

from numerics.core.flatten import unflatten
from numerics.core.parameters import Parameters
from numerics.core.problem import Problem
from numerics.core.state import State, check_state
from numerics.core.validation import Array
from theory import Model
from theory.errors import brief
from theory.keywords import with_known_keywords
from theory.notebook import short_repr

from .closed.closed_values import closed_values
from .component_laws import Parts, gauge_directions
from .estimate import Estimate
from .estimation import (
    SCRAMBLINGS,
    estimate_panels,
    estimate_sobol,
    estimate_tensor,
    panel_rank,
    sampling_error,
)
from .evaluation import Evaluator
from .families import run_family
from .quadrature import MAX_PANEL_DIMENSION, Rule, closed_forms, gauss_hermite, tensor_sizes

__all__ = [
    "SCRAMBLINGS",
    "CompiledExpressions",
    "compile_expressions",
    "gauge_directions",
    "sampling_error",
]

# numbers of the nodes of several states that are laid out at once
LAID_OUT = 2**21


@with_known_keywords
class CompiledExpressions(Evaluator):
    """A vector of expressions of one model, compiled, evaluated with a rule of its own choice.

    Use :func:`compile_expressions`, which caches.

    Examples
    --------
    >>> from theory import derive_drift, kgmm
    >>> model = kgmm(2)
    >>> compiled = compile_expressions(model, derive_drift(model).vector)
    >>> zero = State(np.zeros((2, 2)), np.zeros((2, 2)))
    >>> found = compiled.estimate(Parameters([0.5, 0.5], 10, 0, 1), zero)
    >>> found.values[:4].round(6)                             # of the overlaps
    array([ 0.25, -0.25, -0.25,  0.25])
    """

    def __repr__(self) -> str:
        said = f"{self.size} expressions of {brief(self.model.name)!r}"
        inner = f"{len(self.integrands)} integrands over {self.dimension} dimensions"
        return short_repr(self, said, inner, self.target)

    def evaluate_states(
        self, parameters: Parameters, vectors: Array, rule: Rule, replicate: int
    ) -> Array:
        """Evaluate one replicate of a rule at many state vectors, shape (R, size of a state)."""
        nodes = rule.nodes[replicate]
        found = []
        some_states = max(1, LAID_OUT // max(1, nodes.size))
        for start in range(0, len(vectors), some_states):
            some = vectors[start : start + some_states]
            everywhere = np.broadcast_to(nodes, (len(some), *nodes.shape))
            parts = unflatten(some, self.model)
            found.append(self._evaluate(parameters, parts, rule, everywhere)[0])
        return np.concatenate(found)

    def estimate(
        self,
        problem: Problem | Parameters,
        state: State,
        *,
        tolerance: float | None = None,
        seed: int = 0,
        max_nodes: int = 2**16,
        judge: Callable[[Array], Array] | None = None,
        share: float = 0.0,
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
        share : float
            Where errors of this share of the largest value of that result are larger than the
            tolerance, Sobol rules are refined no further.

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
            return Estimate(values, 0.0 * values, rule)
        fine = 1e-10 if tolerance is None else tolerance
        if self.closed is None:
            return self._integrated(
                parameters, parts, fine, tolerance, seed, max_nodes, judge, share
            )
        rounded = Estimate(*closed_values(self, parameters, parts), closed_forms())
        if rounded.errors.max(initial=0.0) <= fine:
            return rounded
        try:
            other = self._integrated(
                parameters, parts, fine, tolerance, seed, max_nodes, judge, share
            )
        except ArithmeticError:
            if not np.all(np.isfinite(rounded.errors)):
                raise
            return rounded
        return _better(other, rounded)

    def _integrated(
        self,
        parameters: Parameters,
        parts: Parts,
        fine: float,
        tolerance: float | None,
        seed: int,
        max_nodes: int,
        judge: Callable[[Array], Array] | None,
        share: float,
    ) -> Estimate:
        """By quadrature alone."""
        best: Estimate | None = None
        if self.model.loss.is_smooth and tensor_sizes(self.dimension):
            best = estimate_tensor(self, parameters, parts, fine)
            if best.errors.max(initial=0.0) <= fine:
                return best
        family = run_family(self, parameters, [parts], closed=False)
        rank = panel_rank(self, parameters, parts)
        if rank <= MAX_PANEL_DIMENSION:
            try:
                return _better(best, estimate_panels(self, parameters, parts, fine, rank))
            except ArithmeticError:
                # an integrand that grows has no scale for panels: outer nodes tell how it grows
                if family != "gauss-hermite":
                    raise
        if best is not None and family == "gauss-hermite":
            return best
        wanted = 1e-4 if tolerance is None else tolerance
        return estimate_sobol(self, parameters, parts, wanted, seed, max_nodes, judge, share)


def _better(first: Estimate | None, second: Estimate) -> Estimate:
    """The estimate with the smaller largest error."""
    if first is None or second.errors.max(initial=0.0) <= first.errors.max(initial=0.0):
        return second
    return first


@lru_cache(maxsize=64)
@with_known_keywords
def compile_expressions(
    model: Model,
    expressions: Sequence[sp.Expr],
    target: str = "numba",
    *,
    closed_forms: bool | None = None,
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
    return CompiledExpressions(model, expressions, target, closed_forms=closed_forms)

"""Which family of rules a whole run can be trusted to: one rule for every state along it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import numpy as np

from numerics.core.errors import QuadratureError
from numerics.core.parameters import Parameters
from numerics.core.validation import Array

from .closed.closed_values import Parts, closed_values
from .evaluation import Evaluator
from .graded.beyond_panels import beyond_panels
from .graded.placement import directions_of
from .graded.rare_regions import rare_regions
from .graded.reliability import UNSEEN, hermite_miss
from .quadrature import (
    MAX_PANEL_DIMENSION,
    PANEL_RATIOS,
    Rule,
    closed_forms,
    gauss_hermite,
    panels,
    tensor_sizes,
)

# absolute errors that Sobol points with control variates reach in seconds
SAMPLED = 1e-5
# rounding at which closed forms still serve where nothing else is asked for
CLOSED_TOLERANCE = 1e-8
# of the integrator alone, which is refined where the rule is not
CLOSED_RUNS = 6


def hermite_misses(
    compiled: Evaluator, parameters: Parameters, parts: Parts, sizes: Sequence[int]
) -> tuple[Array, Array]:
    """What tensor rules of these sizes may miss, from the singularities alone.

    Returns the share of E|f|, shape (len(sizes),), and what rare and high transitions add to each
    component and integrand, shape (len(sizes), L, J).
    """
    worst = np.zeros(len(sizes))
    beside = np.zeros((len(sizes), len(compiled.labels), len(compiled.integrands)))
    held = compiled.held(parameters, parts)

    def factor_of(covariance: Array) -> Array:
        return compiled.factor(covariance[None])[0]

    components = _components(compiled, parameters, parts, held, factor_of)
    for l, (label, mean, factor, heights) in enumerate(components):
        shares, beside[:, l] = hermite_miss(
            compiled.scales, label, mean, factor, held, sizes, heights
        )
        worst = np.maximum(worst, shares)
    return worst, beside


def panel_misses(compiled: Evaluator, parameters: Parameters, parts: Parts) -> Array:
    """What no level of panels sees, of each component and integrand, shape (L, J)."""
    beyond = np.zeros((len(compiled.labels), len(compiled.integrands)))
    held = compiled.held(parameters, parts)
    span_of = partial(directions_of, basis=compiled.quadrature_basis)
    components = _components(compiled, parameters, parts, held, span_of)
    for l, (label, mean, directions, heights) in enumerate(components):
        found = beyond_panels(compiled.scales, label, mean, directions, held, heights)
        if found.size:
            beyond[l] = found
    return beyond


def sobol_misses(compiled: Evaluator, parameters: Parameters, parts: Parts, nodes: float) -> Array:
    """What so many scrambled nodes may leave unseen of each component and integrand, shape (L, J).

    Sides of kinks have a guard of their own (:func:`numerics.expectations.estimation.least_size`).
    """
    beyond = np.zeros((len(compiled.labels), len(compiled.integrands)))
    if not compiled.integrands:
        return beyond
    held = compiled.held(parameters, parts)
    components = _components(compiled, parameters, parts, held, lambda covariance: covariance)
    for l, (label, mean, covariance, heights) in enumerate(components):
        found = rare_regions(compiled.scales, label, mean, covariance, held, heights, nodes)
        if found is not None:
            beyond[l] = found
    return beyond


def _components(
    compiled: Evaluator,
    parameters: Parameters,
    parts: Parts,
    held: Array,
    span_of: Callable[[Array], Array],
) -> Iterator[tuple[float, Array, Array, Callable[[Array], Array]]]:
    """Label, mean and ``span_of`` the covariance of u in every component, and |f_j| at shifts from
    the mean.

    Components that share a covariance share its span.
    """
    overlap, gram_perp, _ = parts
    covariances = compiled.laws.covariances(parameters, overlap, gram_perp)
    spans = [span_of(covariance) for covariance in covariances]
    inverses = np.zeros_like(covariances)
    if compiled.uses_whitening:
        scaled = covariances * parameters.precision
        inverses = np.asarray(np.linalg.pinv(scaled, hermitian=True), dtype=float)
    means = compiled.laws.means(parameters, overlap)
    for l, (label, mean) in enumerate(zip(compiled.labels.tolist(), means, strict=True)):
        own = l if len(covariances) > 1 else 0

        def heights(
            shift: Array, label: float = label, mean: Array = mean, inverse: Array = inverses[own]
        ) -> Array:
            u, w = (mean + shift).T, (shift @ inverse).T
            return np.abs(compiled.array_integrands(u, label, held, w))

        yield label, mean, spans[own], heights


def run_family(
    compiled: Evaluator,
    parameters: Parameters,
    states: Iterable[Parts],
    tolerance: float | None = None,
    *,
    closed: bool = True,
) -> str:
    """Return the family that resolves the integrands at all of these states.

    "closed" where all have closed forms that keep their digits at these states (unless
    ``closed`` is false).  Else "gauss-hermite" where the finest affordable rule sees every
    transition, else "panels" on the line and the plane and "sobol" beyond.

    A run starts with the family of its first state, and is repeated with that of all its states if
    they widen on the way.  Kinks on the plane cost panels a tenth of a second a state, and are left
    to Sobol points unless more is asked than these give.
    """
    states = list(states)
    if closed and compiled.closed is not None:
        wanted = CLOSED_TOLERANCE if tolerance is None else tolerance
        if unseen_error(compiled, parameters, states, closed_forms()) <= wanted:
            return "closed"
    sizes = tensor_sizes(compiled.dimension)
    if compiled.model.loss.is_smooth and sizes:
        finest = sizes[-1:]
        misses = (hermite_misses(compiled, parameters, s, finest)[0][0] for s in states)
        if all(share < UNSEEN for share in misses):
            return "gauss-hermite"
    if not 0 < compiled.dimension <= MAX_PANEL_DIMENSION:
        return "sobol"
    sampled = tolerance is None or tolerance >= SAMPLED
    planar = compiled.dimension > 1 and not compiled.model.loss.is_smooth
    return "sobol" if planar and sampled else "panels"


def family_rules(family: str, dimension: int) -> list[Rule]:
    """The deterministic rules of a family, coarse to fine."""
    if family == "closed":
        return [closed_forms()] * CLOSED_RUNS
    if family == "panels":
        return [panels(dimension, size) for size in PANEL_RATIOS]
    return [gauss_hermite(dimension, size) for size in tensor_sizes(dimension)]


def unseen_error(
    compiled: Evaluator, parameters: Parameters, states: Iterable[Parts], rule: Rule
) -> float:
    """Largest error of any expression at these states that no two rules of the family would show.

    Infinite where a Gauss-Hermite rule may have missed a transition; the rounding of closed forms;
    of panels what lies beyond the last; of Sobol points, which are judged by their spread, regions
    that too few of them are in.
    """
    if rule.kind == "closed":
        errors = (closed_values(compiled, parameters, parts)[1] for parts in states)
        return max((float(e.max(initial=0.0)) for e in errors), default=0.0)
    if not compiled.integrands:
        return 0.0
    worst = 0.0
    for parts in states:
        if rule.kind in ("panels", "sobol"):
            if rule.kind == "panels":
                missed = panel_misses(compiled, parameters, parts)
            else:
                missed = sobol_misses(compiled, parameters, parts, len(rule.nodes) * rule.size)
            if missed.any():
                added = compiled.values_and_sizes(parameters, parts, rule, missed)[2]
                worst = max(worst, float(np.max(added, initial=0.0)))
            continue
        shares, beside = hermite_misses(compiled, parameters, parts, (rule.size,))
        if shares[0] >= UNSEEN:
            return float("inf")
        _, sizes, added = compiled.values_and_sizes(parameters, parts, rule, beside[0])
        worst = max(worst, float(np.max(shares[0] * sizes + added, initial=0.0)))
    return worst


def refuse_unresolved(compiled: Evaluator, parameters: Parameters, parts: Parts) -> QuadratureError:
    """The error of a run that no affordable rule resolves."""
    spread = compiled.spread(parameters, *parts[:2])
    return QuadratureError(
        f"no affordable rule resolves the integrands of {compiled.model.name}, where the "
        f"pre-activations have a standard deviation of {spread:.3g}; raise the precision, or take "
        "smaller weights"
    )

"""Which family of rules a whole run can be trusted to: one rule for every state along it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from numerics.core.errors import QuadratureError
from numerics.core.parameters import Parameters
from numerics.core.validation import Array

from .evaluation import Evaluator
from .graded.reliability import UNSEEN, hermite_miss
from .quadrature import MAX_PANEL_DIMENSION, PANEL_RATIOS, Rule, gauss_hermite, panels, tensor_sizes

# overlap, gram_perp, readout
Parts = tuple[Array, Array, Array]


def miss_shares(
    compiled: Evaluator, parameters: Parameters, parts: Parts, sizes: Sequence[int]
) -> Array:
    """Share of E|f| that tensor rules of these sizes may miss, from the singularities alone."""
    overlap, gram_perp, readout = parts
    covariance = compiled.covariance(parameters, overlap, gram_perp)
    factor = compiled.factor(covariance[None])[0]
    worst = np.zeros(len(sizes))
    for label, mean in zip(compiled.labels, compiled.coordinates @ overlap.T, strict=True):
        miss = hermite_miss(compiled.scales, float(label), mean, factor, readout, sizes)
        worst = np.maximum(worst, miss)
    return worst


def run_family(compiled: Evaluator, parameters: Parameters, states: Iterable[Parts]) -> str:
    """Return the family that resolves the integrands at all of these states.

    "gauss-hermite" where the finest affordable rule sees every transition, else "panels" on the
    line and the plane and "sobol" beyond.  A run starts with the family of its first state, and is
    repeated with that of all its states if they widen on the way.
    """
    sizes = tensor_sizes(compiled.dimension)
    if compiled.model.loss.is_smooth and sizes:
        finest = sizes[-1:]
        if all(miss_shares(compiled, parameters, s, finest)[0] < UNSEEN for s in states):
            return "gauss-hermite"
    return "panels" if 0 < compiled.dimension <= MAX_PANEL_DIMENSION else "sobol"


def family_rules(family: str, dimension: int) -> list[Rule]:
    """The deterministic rules of a family, coarse to fine."""
    if family == "panels":
        return [panels(dimension, size) for size in PANEL_RATIOS]
    return [gauss_hermite(dimension, size) for size in tensor_sizes(dimension)]


def unseen_error(
    compiled: Evaluator, parameters: Parameters, states: Iterable[Parts], rule: Rule
) -> float:
    """Largest error of any expression at these states that no two rules of the family would show.

    Infinite where a Gauss-Hermite rule may have missed a transition; 0 for the other families,
    which know the scales of the integrand or are judged by their spread.
    """
    if rule.kind != "gauss-hermite" or not compiled.integrands:
        return 0.0
    worst = 0.0
    for parts in states:
        share = float(miss_shares(compiled, parameters, parts, (rule.size,))[0])
        if share >= UNSEEN:
            return float("inf")
        _, sizes = compiled.values_and_sizes(parameters, parts, rule)
        worst = max(worst, float(np.max(np.where(sizes > 0, share * sizes, 0.0), initial=0.0)))
    return worst


def refuse_unresolved(compiled: Evaluator, parameters: Parameters, parts: Parts) -> QuadratureError:
    """The error of a run that no affordable rule resolves."""
    spread = compiled.spread(parameters, *parts[:2])
    return QuadratureError(
        f"no affordable rule resolves the integrands of {compiled.model.name}, where the "
        f"pre-activations have a standard deviation of {spread:.3g}; raise the precision, or take "
        "smaller weights"
    )

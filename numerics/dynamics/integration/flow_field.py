"""The effective drift as the right-hand side of an integrator, and what to say where it is no
number.
"""

from __future__ import annotations

import numpy as np

from numerics.core.errors import IntegrationError
from numerics.core.flatten import held_at, unflatten
from numerics.core.parameters import Parameters
from numerics.core.schedule import Pace
from numerics.core.validation import Array
from numerics.expectations.compiled import CompiledExpressions
from numerics.expectations.quadrature import Rule

from .collocation import Field

PLAIN = Pace()
# pre-activations looked at to find an integrand that is no number
SAMPLES = 1024
# longest expression printed in a message
LONGEST = 120


def right_hand_side(
    compiled: CompiledExpressions,
    parameters: Parameters,
    rule: Rule,
    replicate: int = 0,
    pace: Pace = PLAIN,
) -> Field:
    """The field F(t, s) for an integrator, with one replicate of a quadrature rule."""
    model = compiled.model

    def field(time: float, vector: Array) -> Array:
        overlap, gram_perp, readout = unflatten(vector, model)
        factor, now = pace.at(parameters, time)
        return factor * compiled.evaluate(now, overlap, gram_perp, readout, rule, replicate)

    return field


def replicated_field(
    compiled: CompiledExpressions, parameters: Parameters, rule: Rule, pace: Pace
) -> Field:
    """The fields of all replicates of a rule, each at a state of its own, as one system.

    The error of a quasi-Monte Carlo curve is the spread of the curves of its scramblings.  They
    are integrated in one vector, with common steps: that costs as many right-hand sides as one
    curve, and evaluates each for all scramblings in one call.
    """
    replicates = rule.replicates

    def field(time: float, vectors: Array) -> Array:
        factor, now = pace.at(parameters, time)
        slopes = compiled.evaluate_vectors(now, vectors.reshape(replicates, -1), rule)
        return factor * slopes.ravel()

    return field


def check_finite(
    compiled: CompiledExpressions, parameters: Parameters, time: float, vector: Array, slope: Array
) -> None:
    """Refuse a state at which the drift is no number, naming what is not.

    Raises
    ------
    IntegrationError
        Names the statistics, an integrand of theirs, and the time.
    """
    if np.all(np.isfinite(slope)):
        return
    model = compiled.model
    names = [str(s) for s, bad in zip(model.symbols.state, ~np.isfinite(slope), strict=True) if bad]
    shown = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
    raise IntegrationError(
        f"the drift of {shown} of {model.name} is not a finite number at t = {time:.6g}: "
        f"{_culprit(compiled, parameters, vector)}; write the loss so that it is defined for every "
        "pre-activation, or raise the precision if it overflows",
        time,
    )


def _culprit(compiled: CompiledExpressions, parameters: Parameters, vector: Array) -> str:
    """The simplest integrand that is no number at some pre-activation of the state."""
    model = compiled.model
    overlap, gram_perp, readout = unflatten(vector, model)
    held = held_at(model, parameters, overlap, gram_perp, readout)
    means = compiled.laws.means(parameters, overlap)
    eigenvalues, vectors = np.linalg.eigh(compiled.laws.covariances(parameters, overlap, gram_perp))
    factors = vectors * np.sqrt(np.clip(eigenvalues, 0.0, None))[:, None, :]
    normals = np.random.default_rng(0).normal(size=(means.shape[1], SAMPLES))
    worst: tuple[int, str] | None = None
    for l, label in enumerate(model.mixture.labels):
        u = means[l][:, None] + factors[min(l, len(factors) - 1)] @ normals
        with np.errstate(all="ignore"):  # what is not finite is what is looked for
            values = compiled.array_integrands(u, float(label), held)
        for integrand, row in zip(compiled.integrands, values, strict=True):
            bad = np.flatnonzero(~np.isfinite(row))
            if bad.size and (worst is None or len(str(integrand)) < worst[0]):
                at = ", ".join(f"{x:.3g}" for x in u[:, bad[0]])
                worst = len(str(integrand)), f"{_short(str(integrand))} at u = ({at})"
    if worst is None:
        return f"the expectations of the loss {_short(str(model.loss.expression))} overflow"
    return f"so is the integrand {worst[1]}"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."

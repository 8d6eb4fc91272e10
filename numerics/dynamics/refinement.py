"""A curve and its error: quadrature and integrator are refined until two solutions agree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from numerics.core.errors import IntegrationError
from numerics.core.flatten import unflatten
from numerics.core.parameters import Parameters
from numerics.core.schedule import Pace
from numerics.core.state import State
from numerics.core.validation import Array
from numerics.expectations.compiled import CompiledExpressions
from numerics.expectations.families import Parts, family_rules, run_family, unseen_error
from numerics.expectations.quadrature import MAX_PANEL_DIMENSION, Rule, replicate_error, sobol

from .integration.dense_difference import chunked, dense_times, largest_difference
from .integration.integrator import Trajectory
from .integration.trajectories import trajectory

# absolute errors asked for when nothing is said
TENSOR_TOLERANCE, SOBOL_TOLERANCE = 1e-8, 1e-4
SOBOL_REPLICATES = 8
# nodes of the first scrambled rule, and of the last
SOBOL_FIRST, SOBOL_LAST = 128, 2**15
# accuracy of an integration relative to the tolerance of the curve
TENSOR_SHARE, SOBOL_SHARE = 0.3, 0.03
# both resolutions of a tensor curve grow from run to run, so that a difference shows either's error
REFINEMENT = 5.0
# the integrator refuses relative accuracies near the rounding unit
MIN_ACCURACY = 3e-14
# rounding of an integrated curve, relative to its size: a few hundred steps of about an ulp each
ROUNDING = 1e-13
# states of a curve at which it is asked whether the rule resolves the integrands
LOOKED_AT = 17


@dataclass(frozen=True)
class Refined:
    """The best solution, the rule behind it, and what it cost.

    Attributes
    ----------
    trajectory : Trajectory
    rule : Rule
    error : float
        Largest absolute error of any statistic at any time.
    evaluations : int
        Right-hand sides of all runs.
    tolerance : float
        What was asked of the error.
    """

    trajectory: Trajectory
    rule: Rule
    error: float
    evaluations: int
    tolerance: float


@dataclass(frozen=True)
class Flow:
    """What is integrated: a compiled drift with its parameters, from a start to an end.

    Attributes
    ----------
    compiled : CompiledExpressions
    parameters : Parameters
    initial : State
    end : float
    pace : Pace
    """

    compiled: CompiledExpressions
    parameters: Parameters
    initial: State
    end: float
    pace: Pace

    @property
    def size(self) -> float:
        """Largest statistic at the start, at least 1: what a relative accuracy is worth there."""
        return max(1.0, float(np.abs(self.initial.flatten()).max(initial=0.0)))

    def first_family(self, tolerance: float | None, *, closed: bool = True) -> str:
        """The family of rules that resolves the integrands at the start."""
        if not self.compiled.integrands:
            return "gauss-hermite"
        start: Parts = (self.initial.overlap, self.initial.gram_perp, self.initial.readout)
        return run_family(self.compiled, self.parameters, [start], tolerance, closed=closed)

    def unseen(self, found: Trajectory, rule: Rule) -> float:
        """Error of the curve that all rules of the family share: what they miss of the drift,
        all the way.
        """
        if self.end == 0 or rule.kind not in ("gauss-hermite", "closed"):
            return 0.0
        ends = found.steps
        times = ends[np.unique(np.linspace(0, ends.size - 1, LOOKED_AT).round().astype(int))]
        states = [unflatten(v, self.compiled.model) for v in found.solution(times).T]
        return self.end * unseen_error(self.compiled, self.parameters, states, rule)

    def run(self, rule: Rule, accuracy: float) -> Trajectory:
        """Integrate with one rule and one accuracy."""
        return trajectory(
            self.compiled, self.parameters, self.initial, self.end, rule, accuracy, self.pace
        )


def refine(flow: Flow, tolerance: float | None, seed: int) -> Refined:
    """The curve by the family of rules that resolves the integrands at the start, and by another
    one where pre-activations widen on the way beyond what the first resolves.
    """
    dimension, family = flow.compiled.dimension, flow.first_family(tolerance)
    on_panels = 0 < dimension <= MAX_PANEL_DIMENSION
    if family == "closed":
        refined = refine_closed(flow, tolerance or TENSOR_TOLERANCE)
        if refined is not None:
            return refined
        family = flow.first_family(tolerance, closed=False)
    if family == "gauss-hermite":
        wanted = tolerance or TENSOR_TOLERANCE
        refined = refine_tensor(flow, wanted, family)
        if refined is not None and (refined.error <= wanted or not on_panels):
            return refined
        family = "panels" if on_panels else "sobol"
    if family == "panels":
        refined = refine_tensor(flow, tolerance or TENSOR_TOLERANCE, family)
        if refined is not None:
            return refined
    return refine_sobol(flow, tolerance or SOBOL_TOLERANCE, seed)


def refine_closed(flow: Flow, tolerance: float) -> Refined | None:
    """The curve by closed forms, if they have values and keep their digits all along it."""
    try:
        refined = refine_tensor(flow, tolerance, "closed")
    except IntegrationError:
        return None
    return refined if refined is not None and refined.error <= tolerance else None


def refine_tensor(flow: Flow, tolerance: float, family: str) -> Refined | None:
    """Refine quadrature and integrator together until two successive curves agree.

    None where the rules of the family do not resolve the integrands all along the curve.
    """
    previous: Trajectory | None = None
    size, total, accuracy = flow.size, 0, np.inf
    for i, rule in enumerate(family_rules(family, flow.compiled.dimension)):
        wanted = TENSOR_SHARE * tolerance / REFINEMENT**i / size
        # at the least accuracy two runs still take different steps, and show their rounding
        least = MIN_ACCURACY if accuracy > 2 * MIN_ACCURACY else REFINEMENT * MIN_ACCURACY
        accuracy = max(wanted, least)
        current = flow.run(rule, accuracy)
        total += current.evaluations
        if previous is not None:
            difference, largest = largest_difference(previous, current)
            size = max(size, largest)
            # Doubled: the difference to the coarser curve bounds the error of the finer one only if
            # it converges.  And two runs of few steps may take the same ones, and then differ by
            # less than the error of a step.
            error = 2 * difference + 2 * accuracy * (1.0 + largest)
            if error <= tolerance:
                error += flow.unseen(current, rule)
            if error <= tolerance:
                break
        previous = current
    else:
        error += flow.unseen(current, rule)
    if not np.isfinite(error):
        return None
    error += ROUNDING * (1.0 + largest)
    return Refined(current, rule, error, total, tolerance)


def refine_sobol(flow: Flow, tolerance: float, seed: int) -> Refined:
    """Integrate once per scrambling; the spread of the curves is the error, whatever the flow does
    to it.

    The loop balances two errors.  That of the integrator, which all scramblings share, is seen in
    one of them by a tighter run: it lowers the accuracy.  That of the quadrature is the spread: it
    raises the number of nodes.
    """
    nodes, total = SOBOL_FIRST, 0
    accuracy = max(SOBOL_SHARE * tolerance / flow.size, MIN_ACCURACY)
    while True:
        rule = sobol(flow.compiled.dimension, nodes, SOBOL_REPLICATES, seed)
        current = flow.run(rule, accuracy)
        tight = flow.run(rule.single(0), accuracy / 10)
        total += current.evaluations * rule.replicates + tight.evaluations
        quadrature, difference, largest = _compare_scramblings(current, tight, rule.replicates)
        # and that the same steps were taken does not show that there were enough of them
        integration = 2 * difference + 2 * accuracy * (1.0 + largest)
        error = quadrature + integration
        exhausted = nodes >= SOBOL_LAST and quadrature > integration
        if error <= tolerance or exhausted or accuracy <= MIN_ACCURACY:
            return Refined(current, rule, error, total, tolerance)
        if integration > 0.3 * tolerance:
            accuracy = max(accuracy * min(0.2, 0.15 * tolerance / integration), MIN_ACCURACY)
        if quadrature > 0.6 * tolerance:
            # the error of scrambled Sobol points falls at least like 1/sqrt(N), for these
            # integrands like 1/N
            doublings = int(np.ceil(np.log2(quadrature / (0.6 * tolerance))))
            nodes = min(SOBOL_LAST, nodes * 2 ** max(1, doublings))


def _compare_scramblings(
    current: Trajectory, tight: Trajectory, replicates: int
) -> tuple[float, float, float]:
    """Largest half width over scramblings, largest difference of the first one to its tighter run,
    and largest value, inside every step of both.
    """
    width = difference = largest = 0.0
    for times in chunked(dense_times(current, tight)):
        values: Array = current.solution(times).reshape(replicates, -1, times.size)
        width = max(width, float(replicate_error(values).max(initial=0.0)))
        largest = max(largest, float(np.abs(values).max(initial=0.0)))
        apart = np.abs(tight.solution(times) - values[0])
        difference = max(difference, float(apart.max(initial=0.0)))
    return width, difference, largest

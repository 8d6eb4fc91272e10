"""One judge of all claims: three stages in order, and one table that turns them into a finding.

A kind of claims says how its numbers are compared, how it is proved, how it is sampled, and what
there is to say where it is wrong (:class:`ClaimKind`); everything else is here, once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import mpmath

from verify.random_points.exact import Point

from .judgement import Counterexample, Finding, Stage, Status, Verdict
from .stages.digits import Gap

W = TypeVar("W")
STAGES = ("symbolic", "digits", "sampling")


@dataclass(frozen=True)
class Explanation:
    """What is said where a claim is wrong."""

    counterexample: Counterexample | None = None
    difference: str = ""
    repair: str = ""


class ClaimKind(Protocol[W]):
    """What a kind of claims brings; ``W`` is what it knows about the place of a refutation."""

    def without_value(self) -> str:
        """Why the claim has no meaning at some admissible point, empty where it has everywhere."""
        ...

    def compare(self) -> tuple[Stage, W | None]:
        """Stage ``digits``: claimed and derived as numbers, and where they differ."""
        ...

    def prove(self) -> Stage:
        """Stage ``symbolic``; asked only where the numbers do not differ."""
        ...

    def sample(self, wrong: W | None) -> tuple[Stage, bool]:
        """Stage ``sampling``, and whether it misses a difference that it should see."""
        ...

    def explain(self, wrong: W) -> Explanation:
        """Counterexample, difference and repair."""
        ...


# told after every stage what is known so far: the finding, once it is certain, and the stages
Watch = Callable[[Finding | None, Sequence[Stage]], None]


def ignore(finding: Finding | None, stages: Sequence[Stage]) -> None:
    """Nobody watches."""


def judge_stages(kind: ClaimKind[W], watch: Watch = ignore) -> Verdict:
    """Run the stages of a claim in order and say what they mean together.

    What does not exist is neither expanded nor measured: no stage is asked about it.
    """
    if reason := kind.without_value():
        stages = [Stage(name, Status.INCONCLUSIVE, reason) for name in STAGES]
        return Finding.INCONCLUSIVE, stages, None, "", ""
    digits, wrong = kind.compare()
    watch(None, [digits])
    if wrong is None:
        symbolic = kind.prove()
    else:
        symbolic = Stage("symbolic", Status.UNPROVED, "not attempted: the numbers differ")
    watch(None, [symbolic, digits])
    sampling, missed = kind.sample(wrong)
    finding = find(symbolic.status, digits.status, sampling.status, missed)
    stages = [symbolic, digits, sampling]
    watch(finding, stages)
    said = Explanation() if wrong is None else kind.explain(wrong)
    return finding, stages, said.counterexample, said.difference, said.repair


def find(symbolic: Status, digits: Status, sampling: Status, missed: bool = False) -> Finding:
    """The finding of three stages; ``missed`` as in :meth:`ClaimKind.sample`.

    Samples and the engine's own formula share nothing: where they disagree about a claim, one of
    the two is defective, and nothing is said about the claim.
    """
    engine_agrees = symbolic is Status.PROVED or digits is Status.AGREES
    table = (
        (sampling is Status.REFUTED and engine_agrees, Finding.CONTRADICTORY),
        (digits is Status.REFUTED and missed, Finding.CONTRADICTORY),
        (Status.REFUTED in (sampling, digits), Finding.REFUTED),
        (symbolic is Status.PROVED, Finding.PROVED),
        (digits is Status.AGREES, Finding.AGREES),
    )
    return next((finding for holds, finding in table if holds), Finding.INCONCLUSIVE)


def refuted_at(name: str, gap: Gap, point: Point) -> Stage:
    """Stage ``digits`` of a claim that is wrong at a point."""
    with mpmath.workdps(20):
        value, error = mpmath.nstr(gap.value, 12), mpmath.nstr(gap.error, 2)
    text = f"{name}: claimed - derived = {value}, certified to {error}"
    if gap.undefined:
        text = f"{name}: the claim is complex or infinite at an admissible point"
    difference = None if gap.undefined else float(gap.value)
    details = {"difference": difference, "points": [point.describe()]}
    return Stage("digits", Status.REFUTED, text, details)

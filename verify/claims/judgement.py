"""What is said about a claim: one result a stage, and a verdict."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from markupsafe import Markup

from theory import Model
from theory.errors import brief
from theory.keywords import with_known_keywords
from theory.notebook import short_repr
from verify.claims.language.tree import Node, show
from verify.verdict.notebook import heading, preformatted

from .quantities import EXPRESSION, Quantity

# characters of a claim that its repr shows
MOST_OF_CLAIM = 300


class Status(StrEnum):
    """Outcome of one stage."""

    PROVED = "proved"
    UNPROVED = "not proved"
    AGREES = "agrees"
    REFUTED = "refuted"
    INCONCLUSIVE = "inconclusive"


class Finding(StrEnum):
    """Verdict on a claim.

    ``PROVED``: exact identities bring the difference to zero.  ``AGREES``: it agrees to the digits
    stated, not proved. ``REFUTED``: there is a counterexample.  ``INCONCLUSIVE``: no stage could
    tell.  ``CONTRADICTORY``: the derived formula and the raw definition disagree about it, which
    points to a defect of the engine.  ``DEFECT``: judging it broke down; please report it.
    ``UNREADABLE``: it could not be read, or has no meaning for its model.  ``GAVE_UP``: its time
    was up.

    Examples
    --------
    >>> Finding("gave up").name, Finding.PROVED.value
    ('GAVE_UP', 'proved')
    >>> Finding.REFUTED == "refuted"
    True
    """

    PROVED = "proved"
    AGREES = "agrees"
    REFUTED = "refuted"
    INCONCLUSIVE = "inconclusive"
    CONTRADICTORY = "contradictory"
    DEFECT = "defect"
    UNREADABLE = "unreadable"
    GAVE_UP = "gave up"


@with_known_keywords
@dataclass(frozen=True)
class Claim:
    """Somebody's formula for a quantity of a model.

    Attributes
    ----------
    name : str
    model : Model
    quantity : Quantity
    formula : Node or sympy.Expr
        A tree of the language, or an expression.
    text : str
        As it was written.
    order : int, optional
        The claim holds up to and including this power of 1/``parameter`` only; exactly when None.
    parameter : str
        ``"lambda"`` or ``"d"``.
    source : str
        Where it is claimed.
    expected : str, optional
        The verdict its author expects of a checker: ``true`` or ``false``.
    little : bool
        What is left falls faster than that power, and not as fast as the next.

    Examples
    --------
    >>> from theory import kgmm
    >>> from verify import make_claim
    >>> claim = make_claim(kgmm(2), "drift m_a_s", "-beta*m_a_s")
    >>> claim.read_as, claim.is_text
    ('drift m_a_s = -beta*m_a_s', True)
    """

    name: str
    model: Model
    quantity: Quantity
    formula: Any
    text: str
    order: int | None = None
    parameter: str = "lambda"
    source: str = ""
    expected: str | None = None
    little: bool = False

    def __repr__(self) -> str:
        model = f"of {brief(self.model.name)!r}"
        return short_repr(self, repr(brief(self.name)), model, brief(self.read_as, MOST_OF_CLAIM))

    def _repr_html_(self) -> str:
        """What is claimed and how it is read, for notebooks."""
        said = Markup("<p><b>{}</b>, of {}</p>").format(self.name, self.model.name)
        return said + preformatted(brief(self.read_as))

    @property
    def is_text(self) -> bool:
        return isinstance(self.formula, Node)

    @property
    def read_as(self) -> str:
        """What the claim says as it was read: an equation in the plain language."""
        right = show(self.formula) if isinstance(self.formula, Node) else str(self.formula)
        power = f"{self.parameter}^-{self.order}"
        order = "" if self.order is None else f", up to {f'o({power})' if self.little else power}"
        kind = "" if self.quantity.kind == EXPRESSION else f"{self.quantity.kind} "
        return f"{kind}{self.quantity.entry} = {right}{order}"


@dataclass(frozen=True)
class Stage:
    """What one stage found.

    Attributes
    ----------
    name : str
        ``symbolic``, ``digits`` or ``sampling``.
    status : Status
    text : str
        In one sentence.
    details : dict
        Plain data: identities, digits, points, standard errors.
    """

    name: str
    status: Status
    text: str
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Counterexample:
    """Where a claim is wrong: the entry, the parameters, and both values."""

    entry: str
    model: str
    values: dict[str, str]
    claimed: str
    derived: str

    def __str__(self) -> str:
        """Where both values differ; numbers that are 0 are named together."""
        zeros = [name for name, value in self.values.items() if value == "0"]
        values = ", ".join(f"{n} = {value}" for n, value in self.values.items() if value != "0")
        rest = f"; 0 for {', '.join(zeros)}" if zeros else ""
        return (
            f"  counterexample  {self.entry} of {self.model} at {values}{rest}:\n"
            f"               claimed {self.claimed}, derived {self.derived}"
        )


# finding, stages, counterexample, difference and repair
Verdict = tuple[Finding, list[Stage], Counterexample | None, str, str]


@with_known_keywords
@dataclass(frozen=True, repr=False)
class Judgement:
    """Everything that is said about a claim.

    Attributes
    ----------
    claim : Claim
    finding : Finding
    stages : tuple of Stage
    counterexample : Counterexample, optional
    difference : str
        Claimed minus derived, simplified, of the entry of the counterexample.
    repair : str
        The single-term change that mends it, if one was found.
    hint : str
        The premise that a refuted claim lacks: it holds over orthonormal directions.
    seed : int
    seconds : float

    Examples
    --------
    >>> from theory import kgmm
    >>> from verify import check
    >>> found = check(kgmm(2), "g_1 + g_2", "0", name="sum of the gradients")
    >>> found, found.stands
    (Judgement('sum of the gradients': proved, seed 0), True)
    >>> found.stage("symbolic").text
    'claimed - derived = 0 by softmax probabilities sum to 1'
    """

    claim: Claim
    finding: Finding
    stages: tuple[Stage, ...]
    counterexample: Counterexample | None = None
    difference: str = ""
    repair: str = ""
    hint: str = ""
    seed: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        """Verdict, what every stage says and, for a refuted claim, where and how it is wrong."""
        lines = [f"{self.claim.name}: {self.finding.value}"]
        lines.append(f"  claimed      {self.claim.text.strip()}")
        lines.append(f"  read as      {self.claim.read_as}")
        lines += [f"  {s.name:<12} {s.status.value}: {s.text}" for s in self.stages]
        if self.counterexample is not None:
            lines += str(self.counterexample).splitlines()
        if self.difference:
            lines.append(f"  difference   claimed - derived = {self.difference}")
        if self.counterexample is not None:
            lines.append(f"  repair       {self.repair or 'no small repair'}")
        if self.hint:
            lines.append(f"  hint         {self.hint}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"Judgement({self.claim.name!r}: {self.finding.value}, seed {self.seed})"

    def _repr_html_(self) -> str:
        """The verdict and what it rests on, for notebooks."""
        _, _, details = str(self).partition("\n")
        return heading(self.claim.name, self.finding) + preformatted(details)

    @property
    def stands(self) -> bool:
        """Proved, or in agreement."""
        return self.finding in (Finding.PROVED, Finding.AGREES)

    @property
    def as_expected(self) -> bool | None:
        """Whether the verdict is the one that the claim expects, where it expects one."""
        if self.claim.expected is None:
            return None
        return self.stands if self.claim.expected == "true" else self.finding is Finding.REFUTED

    def stage(self, name: str) -> Stage:
        return next(s for s in self.stages if s.name == name)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        example = self.counterexample
        return {
            "name": self.claim.name,
            "model": self.claim.model.name,
            "quantity": f"{self.claim.quantity.kind} {self.claim.quantity.entry}".strip(),
            "formula": self.claim.text,
            "read_as": self.claim.read_as,
            "source": self.claim.source,
            "order": self.claim.order,
            "verdict": self.finding.value,
            "expected": self.claim.expected,
            "as_expected": self.as_expected,
            "stages": [
                {"name": s.name, "status": s.status.value, "text": s.text, **s.details}
                for s in self.stages
            ],
            "counterexample": None
            if example is None
            else {
                "entry": example.entry,
                "model": example.model,
                "values": example.values,
                "claimed": example.claimed,
                "derived": example.derived,
            },
            "difference": self.difference,
            "repair": self.repair,
            "hint": self.hint,
            "seed": self.seed,
            "seconds": self.seconds,
        }

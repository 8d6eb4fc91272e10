"""The entries that a claim is about, each with what is claimed, what is derived and how it is
measured.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import sympy as sp

from theory import GaussianExpectation, InputError, Model
from theory.expectations.derived import find_expectations
from theory.expectations.existence import why_undefined
from theory.expectations.well_formed import check_expression
from verify.claims.language.class_names import classes_are_alike, names_no_class, one_of_each
from verify.claims.language.conventions import DIMENSION
from verify.claims.language.tree import FormulaError, Name, Node, children, show
from verify.claims.language.vocabulary import Vocabulary

from .judgement import Claim
from .quantities import EXPRESSION, STEP, Target, derived

# more entries than this are not judged at once
MOST = 1500


@dataclass(frozen=True)
class Case:
    """One entry of a claim.

    Attributes
    ----------
    name : str
    bindings : dict
        Values of the open indices.
    claimed, derived : sympy.Expr
    target : Target, optional
        What is measured; of an expression ``raw`` is.
    raw : sympy.Expr, optional
        The raw reading of the left side.
    raw_claim : sympy.Expr, optional
        Of a statement about one sample, the raw reading of the claim.
    names_inverse : bool
        The inverse of Q stands in it by name: where Q is singular it means nothing.
    parts : tuple of GaussianExpectation
        Expectations as they were written, those that cancel too.
    """

    name: str
    bindings: Mapping[str, int]
    claimed: sp.Expr
    derived: sp.Expr
    target: Target | None = None
    raw: sp.Expr | None = None
    raw_claim: sp.Expr | None = None
    names_inverse: bool = False
    parts: tuple[GaussianExpectation, ...] = ()

    @cached_property
    def needs_full_rank(self) -> bool:
        """Coefficients on dependent vectors are not unique, and whitened pre-activations choose
        among them.
        """
        whitened = any(
            n.uses_whitening for e in (self.claimed, self.derived) for n in find_expectations(e)
        )
        inverse = any(re.fullmatch(r"P_\d+_\d+", str(s)) for s in self.claimed.free_symbols)
        coefficient = self.target is not None and any(
            part[0] in ("e", "x") for part in self.target.parts
        )
        if self.names_inverse:
            return True
        return (whitened or inverse) and (coefficient or not self._by_features)

    @property
    def _by_features(self) -> bool:
        """The whitened pre-activations stem from features, whose moments are unique."""
        return self.target is None or self.target.kind != EXPRESSION

    @cached_property
    def more(self) -> dict[sp.Symbol, sp.Expr]:
        """Values of symbols that are not of the model."""
        used = self.claimed.free_symbols | self.derived.free_symbols
        return {DIMENSION: sp.Integer(100)} if DIMENSION in used else {}


def cases_of(claim: Claim, model: Model | None = None) -> list[Case]:
    """All entries of a claim; of those that differ by the names of classes alone, one.

    Raises
    ------
    theory.InputError
        An entry that the model does not have, a formula that means nothing for it, too many
        entries.
    """
    model = claim.model if model is None else model
    quantity = claim.quantity
    bindings = _bindings(claim, model)
    if len(bindings) > MOST:
        got = f"{quantity.entry!r} with {len(bindings)} entries"
        expected = f"at most {MOST}"
        remedy = "give some of its indices as numbers, or take a smaller model"
        raise InputError("quantity", got, expected, remedy)
    if not claim.is_text and len(bindings) > 1:
        got = f"a SymPy expression for {len(bindings)} entries of {quantity.entry!r}"
        expected = "one entry"
        remedy = "name the entry with numbers, such as m_1_2, or give the formula as text"
        raise InputError("claim", got, expected, remedy)
    return [case_at(claim, model, b) for b in bindings]


def _bindings(claim: Claim, model: Model) -> list[Mapping[str, int]]:
    """Values of the open indices at which a claim is judged."""
    quantity = claim.quantity
    found: list[Mapping[str, int]] = list(quantity.instances(model))
    if len(found) == 1 or not claim.is_text or not classes_are_alike(model):
        return found
    named = (i for _, indices in quantity.parts for i in indices)
    alike = all(isinstance(i, str) for i in named) and names_no_class(claim.formula)
    alike = alike and (quantity.left is None or names_no_class(quantity.left))
    return one_of_each(found) if alike else found


def count_entries(claim: Claim) -> str:
    """How many entries are judged, and for how many they stand."""
    judged, total = (
        len(found)
        for found in (_bindings(claim, claim.model), list(claim.quantity.instances(claim.model)))
    )
    rest = "" if judged == total else f" (of {total}, which differ by names of classes)"
    return f"{judged} entries{rest}"


def without_value(claim: Claim, cases: Sequence[Case]) -> str:
    """Why an expectation of a claim does not exist, empty where all of them do.

    Those of the engine's own formulas are not asked: a loss without expectations is no loss.
    """
    for case in cases:
        sides = (case.claimed,) if claim.quantity.left is None else (case.claimed, case.derived)
        nodes = [node for side in sides for node in find_expectations(side)]
        for node in dict.fromkeys([*nodes, *case.parts]):
            if reason := _why_undefined(node):
                return f"{case.name}: {reason}"
    return ""


_why_undefined = lru_cache(maxsize=20_000)(why_undefined)


def case_at(claim: Claim, model: Model, bindings: Mapping[str, int]) -> Case:
    """One entry of a claim."""
    quantity = claim.quantity
    kink_rule, sized = quantity.kink_rule, quantity.kind == STEP or claim.parameter == "d"
    engine, parts = Vocabulary(model, kink_rule, sized=sized), list[GaussianExpectation]()
    claimed = _claimed(claim, engine, bindings, parts)
    if quantity.left is None:
        target = quantity.target(model, bindings)
        right, written = derived(model, target), tuple(parts)
        return Case(quantity.name(bindings), bindings, claimed, right, target, parts=written)
    raw = Vocabulary(model, kink_rule, raw=True)
    left, sample = quantity.left, quantity.sample
    text = show(left)
    try:
        derived_left = engine.read(left, text, bindings, sample=sample, parts=parts)
    except FormulaError as error:
        raise FormulaError(
            error.text, error.position, error.plain, error.expected, error.remedy, "quantity"
        ) from error
    return Case(
        quantity.name(bindings),
        bindings,
        claimed,
        derived_left,
        raw=raw.read(left, text, bindings, sample=sample),
        raw_claim=_claimed(claim, raw, bindings) if sample else None,
        names_inverse=not sample and _names_inverse(left, claim.formula),
        parts=tuple(parts),
    )


def _names_inverse(*formulas: object) -> bool:
    """Whether w or P, which are of an invertible Q, stand in a formula as it was written."""
    left = [f for f in formulas if isinstance(f, Node)]
    while left:
        node = left.pop()
        if isinstance(node, Name) and node.base in ("w", "P"):
            return True
        left += children(node)
    return False


def _claimed(
    claim: Claim,
    vocabulary: Vocabulary,
    bindings: Mapping[str, int],
    parts: list[GaussianExpectation] | None = None,
) -> sp.Expr:
    if claim.is_text:
        sample = claim.quantity.sample
        return sp.sympify(
            vocabulary.read(claim.formula, claim.text, bindings, sample=sample, parts=parts)
        )
    check_expression("claim", claim.formula, vocabulary.model)
    return claim.formula

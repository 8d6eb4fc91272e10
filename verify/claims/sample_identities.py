"""Claims about one sample, such as a derivative of the softmax: numbers for u, v, features and
every label.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import mpmath
import numpy as np
import sympy as sp

from numerics.expectations.certified_digits import high_precision_functions
from theory import InputError, Model, symbols
from verify.claims.repair.repair import Mender, nearest_change
from verify.claims.stages.digits import DIGITS, real_or_nan
from verify.claims.stages.symbolic import prove_equal
from verify.random_points.exact import random_point

from .cases import Case, case_at, cases_of
from .judgement import Claim, Counterexample, Finding, Stage, Status, Verdict
from .smaller_models import smaller_models

POINTS = 4
Values = dict[sp.Symbol, sp.Rational]


def judge_samples(claim: Claim, rng: np.random.Generator) -> Verdict:
    """Symbolic identities; fifty digits of both sides; and both sides read in elementary functions."""
    cases = cases_of(claim)
    draws = [_draw(claim.model, rng) for _ in range(POINTS)]
    wrong = _first_wrong(cases, draws)
    digits = _digits_stage(cases, wrong)
    raw_wrong = next((c for c in cases for d in draws if _differs(c.raw_claim, c.raw, d)), None)
    sampling = Stage(
        "sampling",
        Status.REFUTED if raw_wrong else Status.AGREES,
        (f"{raw_wrong.name}: differs" if raw_wrong else f"agrees to {DIGITS} digits")
        + f" at {POINTS} samples from the loss in elementary functions, differentiated without the engine",
        {"samples": POINTS},
    )
    example, difference, repair = None, "", ""
    if wrong is None:
        # label by label: what a sum over Kronecker cases is depends on it
        labels = [{symbols.LABEL: y} for y in dict.fromkeys(claim.model.mixture.labels)]
        proofs = [
            prove_equal(c.claimed.xreplace(y), c.derived.xreplace(y), claim.model)
            for c in cases
            for y in labels
        ]
        failed = next((p for p in proofs if not p.proved), None)
        names = list(
            dict.fromkeys(i for p in proofs for i in p.identities if i != "identical expressions")
        )
        if failed is not None and failed.remainder.has(sp.DiracDelta):
            # zero at every sample, and not zero
            digits = Stage(
                "digits",
                Status.INCONCLUSIVE,
                "the difference is a distribution, which no sample meets",
            )
            sampling = replace(sampling, status=Status.INCONCLUSIVE, text=digits.text)
        symbolic = (
            Stage(
                "symbolic",
                Status.PROVED,
                f"claimed - derived = 0 by {', '.join(names) or 'identical expressions'}",
                {"identities": names},
            )
            if failed is None
            else Stage(
                "symbolic", Status.UNPROVED, f"the identities tried leave {failed.remainder}"
            )
        )
    else:
        symbolic = Stage("symbolic", Status.UNPROVED, "not attempted: the numbers differ")
        case, draw, model = _smallest(claim, *wrong, rng)
        draw = _shrink(case, draw)
        shown = {
            str(s): str(v)
            for s, v in draw.items()
            if s in case.claimed.free_symbols | case.derived.free_symbols
        }
        example = Counterexample(
            case.name,
            model.name,
            shown,
            mpmath.nstr(_value(case.claimed, draw), 12),
            mpmath.nstr(_value(case.derived, draw), 12),
        )
        difference = str(prove_equal(case.claimed, case.derived, claim.model).remainder)
        repair = _repair(claim, case, model, [_draw(model, rng) for _ in range(POINTS)], rng)
    contradictory = (wrong is None) != (raw_wrong is None)
    finding = (
        Finding.CONTRADICTORY
        if contradictory
        else Finding.REFUTED
        if wrong
        else (
            Finding.PROVED
            if symbolic.status is Status.PROVED
            else Finding.AGREES
            if digits.status is Status.AGREES
            else Finding.INCONCLUSIVE
        )
    )
    return finding, [symbolic, digits, sampling], example, difference, repair


def _first_wrong(cases: list[Case], draws: list[Values]) -> tuple[Case, Values] | None:
    return next(((c, d) for c in cases for d in draws if _differs(c.claimed, c.derived, d)), None)


def _digits_stage(cases: list[Case], wrong: tuple[Case, Values] | None) -> Stage:
    if wrong is None:
        return Stage(
            "digits",
            Status.AGREES,
            f"agrees to {DIGITS} digits at {POINTS} samples",
            {"digits": [DIGITS]},
        )
    case, draw = wrong
    gap = _value(case.claimed, draw) - _value(case.derived, draw)
    return Stage(
        "digits", Status.REFUTED, f"{case.name}: claimed - derived = {mpmath.nstr(gap, 12)}"
    )


def _smallest(
    claim: Claim, case: Case, draw: Values, rng: np.random.Generator
) -> tuple[Case, Values, Model]:
    """The claim for the smallest model for which it is wrong."""
    for model in smaller_models(claim):
        try:
            cases = cases_of(claim, model)
        except InputError:
            continue
        found = _first_wrong(cases, [_draw(model, rng)])
        if found is not None:
            return *found, model
    return case, draw, claim.model


def _draw(model: Model, rng: np.random.Generator) -> Values:
    s = model.symbols
    values: Values = dict(random_point(model, rng).values)
    names = [
        *s.preactivation,
        *s.whitened,
        *symbols.vector("Y", model.directions),
        *symbols.vector("zeta", model.units),
    ]
    for name in names:
        values[name] = sp.Rational(int(rng.integers(-120, 121)) * 2 + 1, 90)
    labels = list(dict.fromkeys(model.mixture.labels))
    values[symbols.LABEL] = labels[int(rng.integers(len(labels)))]
    return values


def _value(expression: sp.Expr, draw: Values) -> Any:
    names = sorted(expression.free_symbols, key=str)
    # off its point, where samples are, a Dirac delta vanishes
    known = {
        **high_precision_functions(),
        "DiracDelta": lambda x: mpmath.nan if x == 0 else mpmath.mpf(0),
    }
    function = sp.lambdify(names, expression, [known, "mpmath"], cse=True)
    with mpmath.workdps(DIGITS + 12):
        try:
            return real_or_nan(
                function(*(mpmath.mpf(int(draw[s].p)) / int(draw[s].q) for s in names))
            )
        except (ZeroDivisionError, ValueError):
            return mpmath.nan


def _differs(one: sp.Expr, two: sp.Expr, draw: Values) -> bool:
    a, b = _value(one, draw), _value(two, draw)
    with mpmath.workdps(DIGITS + 12):
        if not mpmath.isfinite(a) or not mpmath.isfinite(b):
            return bool(mpmath.isfinite(a)) != bool(mpmath.isfinite(b))
        return bool(abs(a - b) > (abs(a) + abs(b) + 1) * mpmath.mpf(10) ** (-DIGITS))


def _shrink(case: Case, draw: Values) -> Values:
    """Zeros and ones where the claim is still wrong."""
    for name in sorted(case.claimed.free_symbols | case.derived.free_symbols, key=str):
        for value in (sp.Integer(0), sp.Integer(1)):
            trial = {**draw, name: value}
            try:
                if _differs(case.claimed, case.derived, trial):
                    draw = trial
                    break
            except (ZeroDivisionError, ValueError):
                continue
    return draw


def _repair(
    claim: Claim, case: Case, model: Model, draws: list[Values], rng: np.random.Generator
) -> str:
    """A change of the formula that mends every entry, or one of the wrong entry alone."""

    def same(expression: sp.Expr) -> bool:
        return not any(_differs(expression, case.derived, d) for d in draws)

    return nearest_change(
        claim,
        case.claimed,
        case.derived,
        Mender(
            lambda changed: case_at(changed, model, case.bindings).claimed,
            lambda expressions: [same(e) for e in expressions],
            same,
            lambda changed: _first_wrong(cases_of(changed), [_draw(claim.model, rng)]) is None,
        ),
        case.name if case.bindings else "",
    )

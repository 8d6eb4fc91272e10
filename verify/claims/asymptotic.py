"""Claims that hold in a limit or to an order: judged by the order at which their error vanishes,
which is measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import mpmath
import numpy as np
import sympy as sp

from numerics.expectations.certified_digits import DimensionError
from theory import GaussianExpectation, InputError, low_noise, symbols
from verify.claims.language.conventions import DIMENSION
from verify.claims.raw.samples import RawSamples
from verify.claims.repair.repair import Mender, nearest_change
from verify.claims.stages.digits import DIGITS, gaps
from verify.claims.stages.sampling import deviations, measure_target
from verify.claims.stages.symbolic import prove_equal
from verify.random_points.exact import Point, random_point

from .cases import Case, case_at, cases_of
from .judgement import Claim, Counterexample, Finding, Stage, Status, Verdict

# 1/x falls by this factor a step, over this many steps
RATIO, STEPS = 8, 6
FIRST = {"lambda": 2_000, "d": 1_000}
# a measured order may miss a whole number by this much at the end of the sequence
SLACK = 0.2
SAMPLES = 40_000
POINTS = 2
# certified errors relative to the terms, below which a difference that is not seen is none
EXACT = 1e-40


def judge_asymptotic(claim: Claim, rng: np.random.Generator) -> Verdict:
    """Symbolic expansion, measured order, samples at the far end of the sequence."""
    assert claim.order is not None
    cases = cases_of(claim)
    if claim.parameter == "lambda" and claim.model.mixture.precision != symbols.PRECISION:
        raise InputError(
            "precision",
            claim.model.mixture.precision,
            "the symbol lambda",
            "build the model with precision=None for a claim about its limit",
        )
    needed = claim.order + 1
    measured, bad = [], []
    for point in (random_point(claim.model, rng, 1) for _ in range(POINTS)):
        orders = _measured_orders(cases, point, claim.parameter)
        measured += [(m, c, point) for m, c in zip(orders, cases, strict=True)]
        bad = [(m, c, p) for m, c, p in measured if m is not None and m[0] + m[1] < needed]
        if bad:
            break
    weak = [
        m
        for m, _, _ in measured
        if m is not None and m[0] - m[1] < needed - SLACK and m[0] + m[1] >= needed
    ]
    lowest = min((m for m, _, _ in measured if m is not None), default=None, key=lambda m: m[0])
    details: dict[str, Any] = {"needed_order": needed}
    if lowest is None:
        shown = "the claim is exact"
    elif math.isinf(lowest[1]):
        shown = "too few errors are above the certified ones to measure an order"
    else:
        shown = f"the error falls like {claim.parameter}^-({lowest[0]:.3f} ± {lowest[1]:.3f})"
        details |= {
            "measured_order": lowest[0],
            "interval": [lowest[0] - lowest[1], lowest[0] + lowest[1]],
        }
    if bad:
        (order, spread), case, _ = bad[0]
        digits = Stage(
            "digits",
            Status.REFUTED,
            f"{case.name}: the error falls like {claim.parameter}^-({order:.3f} ± {spread:.3f}), where at least"
            f" {needed} is claimed",
            details,
        )
    else:
        status = Status.INCONCLUSIVE if weak else Status.AGREES
        digits = Stage("digits", status, f"{shown}, where at least {needed} is claimed", details)
    symbolic = (
        _symbolic(claim, cases)
        if not bad
        else Stage("symbolic", Status.UNPROVED, "not attempted: the numbers differ")
    )
    sampling = _sampling(claim, cases, rng)
    example, difference, repair = None, "", ""
    if bad:
        _, case, point = bad[0]
        example, remainder = _example(claim, case, point)
        difference = "" if remainder is None else str(remainder)[:300]
        repair = _repair(claim, case, point, remainder)
        finding = Finding.REFUTED
    elif sampling.status is Status.REFUTED:
        finding = Finding.CONTRADICTORY
    elif symbolic.status is Status.PROVED:
        finding = Finding.PROVED
    else:
        finding = Finding.AGREES if digits.status is Status.AGREES else Finding.INCONCLUSIVE
    return finding, [symbolic, digits, sampling], example, difference, repair


def _repair(claim: Claim, case: Case, point: Point, remainder: sp.Expr | None) -> str:
    """A change after which the error falls as fast as is claimed."""
    assert claim.order is not None
    needed = claim.order + 1
    size = FIRST[claim.parameter] * RATIO**2
    where, more = _at(case, point, claim.parameter, size)

    def kept(expressions: Sequence[sp.Expr]) -> list[bool]:
        # between the error of the order that is kept and that of the next
        found = gaps([(e, case.derived) for e in expressions], where, DIGITS, more)
        bound = mpmath.mpf(size) ** (0.5 - needed)
        return [bool(abs(g.value) <= g.size * bound) for g in found]

    def holds(cases: list[Case]) -> bool:
        orders = _measured_orders(cases, point, claim.parameter)
        return all(m is None or m[0] - m[1] >= needed - SLACK for m in orders)

    try:
        right = low_noise(case.derived, claim.order) if claim.parameter == "lambda" else None
    except InputError:
        right = None
    return nearest_change(
        claim,
        case.claimed,
        right,
        Mender(
            lambda changed: case_at(changed, claim.model, case.bindings).claimed,
            kept,
            lambda expression: holds([replace(case, claimed=expression)]),
            lambda changed: holds(cases_of(changed)),
        ),
        case.name,
        remainder,
    )


def _at(
    case: Case, point: Point, parameter: str, value: int
) -> tuple[Point, dict[sp.Symbol, sp.Expr]]:
    if parameter == "lambda":
        return replace(point, precision=sp.Integer(value)), case.more
    return point, {DIMENSION: sp.Integer(value)}


def _measured_orders(
    cases: list[Case], point: Point, parameter: str
) -> list[tuple[float, float] | None]:
    """Exponents of the errors at the end of a geometric sequence, and how far it pins them.

    None of an entry without any error, to all digits certified; where there are too few of them,
    nothing is pinned.
    """
    rows, certified = [], [True] * len(cases)
    known: dict[GaussianExpectation, tuple[Any, Any]] = {}
    for n in range(STEPS):
        where, more = _at(cases[0], point, parameter, FIRST[parameter] * RATIO**n)
        # the law of the pre-activations does not depend on d
        pairs = [(c.claimed, c.derived) for c in cases]
        found = gaps(pairs, where, DIGITS, more, known if parameter == "d" else None)
        with mpmath.workdps(DIGITS):
            # below the last certified digit there is nothing to fit
            rows.append([abs(g.value) if abs(g.value) > 100 * g.error else None for g in found])
        certified = [c and g.error <= g.size * EXACT for c, g in zip(certified, found, strict=True)]
    columns = [[e for e in column if e is not None] for column in zip(*rows, strict=True)]
    return [
        None if sure and not errors else _exponent(errors)
        for errors, sure in zip(columns, certified, strict=True)
    ]


def _exponent(errors: list[Any]) -> tuple[float, float]:
    if len(errors) < 3:
        return 0.0, math.inf
    with mpmath.workdps(DIGITS):
        slopes = [float(mpmath.log(a / b) / mpmath.log(RATIO)) for a, b in pairwise(errors)]
    # local slopes approach the order like 1/x: their last change over RATIO - 1 is what is left;
    # taken twice
    return slopes[-1], 2 * abs(slopes[-1] - slopes[-2]) + 1e-6


def _symbolic(claim: Claim, cases: list[Case]) -> Stage:
    if claim.parameter == "d":
        for case in cases:
            difference = sp.expand(case.claimed - case.derived)
            leading = (
                sp.series(difference, DIMENSION, sp.oo, 1).removeO()
                if difference.has(DIMENSION)
                else difference
            )
            if claim.order != 0 or not prove_equal(leading, sp.Integer(0), claim.model).proved:
                return Stage(
                    "symbolic",
                    Status.UNPROVED,
                    f"{case.name}: the leading term is not brought to zero",
                )
        return Stage(
            "symbolic",
            Status.PROVED,
            "claimed - derived = O(1/d)",
            {"identities": ["expansion in 1/d"]},
        )
    assert claim.order is not None
    names: dict[str, None] = {}
    for case in cases:
        try:
            one, two = (low_noise(e, claim.order) for e in (case.claimed, case.derived))
        except InputError as error:
            return Stage(
                "symbolic", Status.UNPROVED, f"{case.name}: no expansion: {error.expected}"
            )
        proof = prove_equal(one, two, claim.model)
        if not proof.proved:
            rest = str(proof.remainder)[:200]
            return Stage(
                "symbolic", Status.UNPROVED, f"{case.name}: the expansions differ by {rest}"
            )
        names |= dict.fromkeys(proof.identities)
    return Stage(
        "symbolic",
        Status.PROVED,
        f"both have the same expansion up to order {claim.order} in 1/lambda, by {', '.join(names)}",
        {"identities": list(names)},
    )


def _sampling(claim: Claim, cases: list[Case], rng: np.random.Generator) -> Stage:
    """Samples where the error that is allowed is far below what they resolve."""
    point = random_point(claim.model, rng)
    if claim.parameter == "lambda":
        point = replace(point, precision=sp.Integer(10**12))
    samples = RawSamples(point, rng, SAMPLES)
    if claim.parameter == "d":
        return Stage(
            "sampling",
            Status.INCONCLUSIVE,
            "a step is sampled in few dimensions, where terms of 1/d are not small",
        )
    try:
        measured = [measure_target(c.target, samples) if c.target else c.raw for c in cases]
        found = deviations(measured, [c.claimed for c in cases], samples, len(cases))
    except (InputError, TypeError, KeyError) as error:
        return Stage("sampling", Status.INCONCLUSIVE, f"cannot be sampled: {error}")
    # what the claim leaves open is of the next order, at most this: 1/lambda and its square root
    # are both tiny here
    allowed = 1e-9
    worst = max(
        zip(found, cases, strict=True),
        key=lambda pair: abs(pair[0].value) - pair[0].critical * pair[0].error,
    )
    deviation, case = worst
    details = {"deviation": deviation.value, "standard_error": deviation.error}
    if abs(deviation.value) > deviation.critical * deviation.error + allowed * (
        1 + abs(deviation.claimed)
    ):
        return Stage(
            "sampling",
            Status.REFUTED,
            f"{case.name}: claimed - measured = {deviation.value:.3g} ± {deviation.error:.2g} at lambda = 1e12",
            details,
        )
    if claim.order:
        return Stage(
            "sampling",
            Status.INCONCLUSIVE,
            "terms of this order are below what samples resolve",
            details,
        )
    return Stage("sampling", Status.AGREES, f"{len(cases)} entries agree at lambda = 1e12", details)


def _example(
    claim: Claim, case: Case, point: Point
) -> tuple[Counterexample | None, sp.Expr | None]:
    """Both values at the first point of the sequence, and the difference of the expansions."""
    where, more = _at(case, point, claim.parameter, FIRST[claim.parameter])
    try:
        pair = gaps(
            [(case.claimed, sp.Integer(0)), (sp.Integer(0), case.derived)], where, DIGITS, more
        )
    except DimensionError:
        return None, None
    remainder = None
    if claim.parameter == "lambda" and claim.order is not None:
        try:
            gap = low_noise(case.claimed - case.derived, claim.order)
            remainder = (
                prove_equal(gap, sp.Integer(0), claim.model).remainder
                if gap.count_ops() < 300
                else gap
            )
        except InputError:
            remainder = None
    with mpmath.workdps(20):
        return Counterexample(
            case.name,
            claim.model.name,
            where.describe(),
            mpmath.nstr(pair[0].value, 12),
            mpmath.nstr(-pair[1].value, 12),
        ), remainder

r"""Checking derivations: a formula somebody brings, judged in three stages of their own.

(a) *symbolic*: exact identities bring claimed minus derived to zero, or they do not; (b) *digits*:
both are evaluated at random admissible points, to as many digits as the quadrature certifies; (c)
*sampling*: the claim is compared with samples from the raw definition in R^d, which share nothing
with the engine's formula.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from typing import Any

import mpmath
import numpy as np
import sympy as sp

from numerics.core.validation import as_integer
from numerics.expectations.certified_digits import DimensionError
from theory import InputError, Model
from theory.errors import check_choice
from verify.claims.language.latex import looks_like_latex, parse_latex
from verify.claims.language.text import parse_formula
from verify.claims.language.tree import show
from verify.claims.raw.samples import RawSamples
from verify.claims.repair.repair import find_repair
from verify.claims.stages.digits import (
    DIGITS,
    Gap,
    arguments_at,
    certified_gaps,
    gaps,
    general_points,
    is_refuted,
    most_dimensions,
)
from verify.claims.stages.sampling import Deviation, deviations, measure_target
from verify.claims.stages.symbolic import prove_equal
from verify.random_points.exact import Point, dormant_points, random_point, shrink

from .asymptotic import judge_asymptotic
from .cases import Case, cases_of
from .fixed_points import fixed_cases, judge_fixed_point
from .judgement import Claim, Counterexample, Finding, Judgement, Stage, Status, Verdict
from .quantities import EIGENVALUE, FIXED_POINT, Quantity
from .quantity_names import parse_quantity
from .sample_identities import judge_samples
from .smaller_models import smaller_models

# random points with many digits and of samples, points in general position, samples a component and
# point
POINTS, GENERAL = 2, 3
SAMPLES = 40_000
# a resolution above this share of the largest value of the claim says little
STRONG = 0.5
# fewer certified digits than these are no agreement
LEAST_DIGITS = 6


def check_derivation(
    model: Model,
    quantity: str | Quantity,
    claim: str | sp.Expr,
    *,
    name: str = "claim",
    order: int | None = None,
    parameter: str = "lambda",
    regularized: bool | None = None,
    kink_rule: str | None = None,
    source: str = "",
    expected: str | None = None,
    seed: int = 0,
) -> Judgement:
    r"""Judge a formula that is claimed for a quantity of a model.

    Parameters
    ----------
    model : theory.Model
        Symbols are drawn at random, numbers are kept.
    quantity : str or Quantity
        An entry by the names of docs/conventions.md, ``drift m_a_s``, ``corrector_1_2``,
        ``H_1_2[e_1,x_2]``, ``G_a_b[bulk]``, ``Cov[m_1_1,R_1_2]``, ``gradient g_a[x_b]``, ``step
        R_1_1``; or an expression, ``E_l[g_a*Y_s]``, ``diff(pi_a*pi_b, u_c)``.  Letters a, b, c
        (units), s, t (directions), l (components), i, j (readout) stand for all of their values.
    claim : str or sympy.Expr
        In the language of docs/derivations.md, in LaTeX, or an expression in the symbols of
        ``theory.symbols``.
    name, source, expected : str
        For reports; ``expected`` is ``"true"`` or ``"false"``.
    order : int, optional
        The claim holds up to and including this power of 1/``parameter``; exactly when omitted.
    parameter : {"lambda", "d"}
    regularized : bool, optional
        The ridge is included: by default in the Hessian and not in the gradient matrix.
    kink_rule : str, optional
        What second derivatives keep of a kink (:mod:`theory.problem.kinks`); distributional when
        omitted.
    seed : int
        Root of the random points and samples.

    Returns
    -------
    Judgement
        Verdict, the three stages, and for a refuted claim counterexample, difference and repair.

    Raises
    ------
    theory.InputError
        An unknown quantity, a formula that cannot be read (with position and reason), a symbol the
        model does not have, an index that is free or out of range; before any work.

    Examples
    --------
    >>> from theory import kgmm
    >>> model = kgmm(2, directions_gram="orthonormal")
    >>> check_derivation(model, "corrector_a_b", "c_delta*E[g_a*g_b]/lambda").finding.value
    'proved'
    >>> wrong = check_derivation(model, "corrector_a_b", "c_delta*E[g_a*g_b]")
    >>> wrong.finding.value, wrong.repair
    ('refuted', 'multiply the whole by lambda^-1')
    """
    return judge(
        make_claim(
            model,
            quantity,
            claim,
            name=name,
            order=order,
            parameter=parameter,
            regularized=regularized,
            kink_rule=kink_rule,
            source=source,
            expected=expected,
        ),
        seed,
    )


def make_claim(
    model: Model,
    quantity: str | Quantity,
    claim: str | sp.Expr,
    *,
    name: str = "claim",
    order: int | None = None,
    parameter: str = "lambda",
    regularized: bool | None = None,
    kink_rule: str | None = None,
    source: str = "",
    expected: str | None = None,
) -> Claim:
    """Read a claim and refuse one that means nothing; see :func:`check_derivation`."""
    if not isinstance(model, Model):
        raise InputError(
            "model",
            type(model).__name__,
            "a theory.Model",
            "build one with kgmm, xor or Model.build",
        )
    check_choice("parameter", parameter, ("lambda", "d"))
    if expected is not None:
        check_choice("expected", expected, ("true", "false"))
    if order is not None:
        as_integer("order", order, 0, "the highest power of 1/lambda (or 1/d) that the claim keeps")
    if isinstance(quantity, str):
        if looks_like_latex(quantity):
            quantity = show(parse_latex(quantity))
        quantity = parse_quantity(quantity, regularized=regularized, kink_rule=kink_rule)
    formula: Any = claim
    text = str(claim)
    if isinstance(claim, str):
        formula = parse_latex(claim) if looks_like_latex(claim) else parse_formula(claim)
    elif not isinstance(claim, sp.Expr):
        raise InputError(
            "claim", repr(claim), "a text or a SymPy expression", "write the formula in quotes"
        )
    found = Claim(name, model, quantity, formula, text, order, parameter, source, expected)
    check_form(found)
    return found


def check_form(claim: Claim) -> None:
    """Refuse a claim that means nothing for its model, before any work."""
    if claim.quantity.kind in (FIXED_POINT, EIGENVALUE):
        fixed_cases(claim)
    else:
        cases_of(claim)


def judge(claim: Claim, seed: int = 0) -> Judgement:
    """Judge a claim that has been read."""
    start = perf_counter()
    as_integer("seed", seed, 0, "seeds are non-negative integers")
    rng = np.random.default_rng([seed, 1])
    # a claim may be complex or infinite; that is judged, not warned of
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        finding, stages, example, difference, repair = _by_kind(claim)(claim, rng)
    return Judgement(
        claim, finding, tuple(stages), example, difference, repair, seed, perf_counter() - start
    )


def _by_kind(claim: Claim) -> Callable[[Claim, np.random.Generator], Verdict]:
    if claim.quantity.kind in (FIXED_POINT, EIGENVALUE):
        return judge_fixed_point
    if claim.quantity.sample:
        return judge_samples
    return judge_asymptotic if claim.order is not None else _judge_exact


def _judge_exact(claim: Claim, rng: np.random.Generator) -> Verdict:
    cases = cases_of(claim)
    digits, wrong = _digits(claim, cases, rng)
    symbolic = _symbolic(claim, cases, wrong)
    sampling, effects = _sampling(claim, cases, np.random.default_rng(rng.integers(2**63)), wrong)
    finding = _finding(symbolic, digits, sampling, effects)
    example, difference, repair = None, "", ""
    if wrong is not None:
        case, point = wrong
        example, case, model = _shrunk(claim, case, point)
        remainder = prove_equal(case.claimed, case.derived, model).remainder
        difference = _short(remainder)
        repair = find_repair(claim, case, model, rng, remainder)
    return finding, [symbolic, digits, sampling], example, difference, repair


def _finding(symbolic: Stage, digits: Stage, sampling: Stage, missed: bool) -> Finding:
    engine_agrees = symbolic.status is Status.PROVED or digits.status is Status.AGREES
    if sampling.status is Status.REFUTED:
        return Finding.CONTRADICTORY if engine_agrees else Finding.REFUTED
    if digits.status is Status.REFUTED:
        return Finding.CONTRADICTORY if missed else Finding.REFUTED
    if symbolic.status is Status.PROVED:
        return Finding.PROVED
    return Finding.AGREES if digits.status is Status.AGREES else Finding.INCONCLUSIVE


# --- the stages -----------------------------------------------------------------------------------


def _symbolic(claim: Claim, cases: list[Case], wrong: tuple[Case, Point] | None) -> Stage:
    if wrong is not None:
        return Stage("symbolic", Status.UNPROVED, "not attempted: the numbers differ")
    used: dict[str, None] = {}
    for case in cases:
        proof = prove_equal(case.claimed, case.derived, claim.model)
        if not proof.proved:
            return Stage(
                "symbolic",
                Status.UNPROVED,
                f"{case.name}: the identities tried leave {_short(proof.remainder)}",
                {"identities": list(proof.identities)},
            )
        used |= dict.fromkeys(proof.identities)
    names = [u for u in used if u != "identical expressions"] or list(used)
    return Stage(
        "symbolic",
        Status.PROVED,
        f"claimed - derived = 0 by {', '.join(names)}",
        {"identities": names},
    )


def _digits(
    claim: Claim, cases: list[Case], rng: np.random.Generator
) -> tuple[Stage, tuple[Case, Point] | None]:
    """Digits at points with many of them, then at points in general position.

    Entries that need full rank where this has too many dimensions are looked at where all but a few
    units are dormant.
    """
    model, judged = claim.model, set[str]()
    found: list[tuple[Point, int, str]] = []
    for point, chosen in _points(model, cases, rng):
        pairs = [(c.claimed, c.derived) for c in chosen]
        more = cases[0].more | chosen[-1].more
        try:
            if point is None:
                where, values = certified_gaps(pairs, model, rng, more)
            else:
                where, values = point, gaps(pairs, point, None, more)
        except (DimensionError, ArithmeticError):
            continue
        for case, gap in zip(chosen, values, strict=True):
            if gap.refuted:
                return _refuted(case, gap, where), (case, where)
        judged |= {case.name for case in chosen}
        found.append(
            (where, min(gap.digits for gap in values), _position(model, where, point is None))
        )
    if not found:
        return Stage(
            "digits", Status.INCONCLUSIVE, "no point has integrals in few enough dimensions"
        ), None
    parts = []
    for kind in dict.fromkeys(k for *_, k in found):
        reached = [d for _, d, k in found if k == kind]
        parts.append(f"{min(reached)} digits at {len(reached)} points{kind}")
    enough = max(d for _, d, _ in found) >= LEAST_DIGITS
    text = (
        f"agrees to {' and '.join(parts)}"
        if enough
        else (
            f"no {LEAST_DIGITS} digits are certified at any point: the integrals are hard or do not exist"
        )
    )
    left = [c.name for c in cases if c.name not in judged]
    if left and enough:
        text += f"; {len(left)} of {len(cases)} entries have integrals in too many dimensions, such as {left[0]}"
    return Stage(
        "digits",
        Status.AGREES if enough and not left else Status.INCONCLUSIVE,
        text,
        {"digits": [d for _, d, _ in found], "points": [p.describe() for p, _, _ in found]},
    ), None


def _points(
    model: Model, cases: list[Case], rng: np.random.Generator
) -> Iterator[tuple[Point | None, list[Case]]]:
    """Where to look at which entries; None stands for a point with as many digits as there are."""
    anywhere = [c for c in cases if not c.needs_full_rank]
    if anywhere:
        yield from [(None, anywhere)] * POINTS
    for point in general_points(model, rng, GENERAL):
        chosen = cases if point.rank == model.units else anywhere
        if chosen:
            yield point, chosen
    demanding = [c for c in cases if c.needs_full_rank]
    if demanding:
        active = most_dimensions(model)
        for point in dormant_points(model, rng, active):
            chosen = [c for c in demanding if arguments_at(c.claimed, c.derived, point) <= active]
            if chosen:
                yield point, chosen


def _position(model: Model, point: Point, many: bool) -> str:
    if many:
        return (
            " with all weight vectors on a line"
            if point.rank < model.units and point.rank == 1
            else ""
        )
    dormant = sum(1 for v in point.readout if v == 0)
    return (
        f" with {dormant} unit{'s' * (dormant > 1)} dormant" if dormant else " in general position"
    )


def _refuted(case: Case, gap: Gap, point: Point) -> Stage:
    with mpmath.workdps(20):
        value, error = mpmath.nstr(gap.value, 12), mpmath.nstr(gap.error, 2)
        text = f"{case.name}: claimed - derived = {value}, certified to {error}"
    if gap.undefined:
        text = f"{case.name}: the claim is complex or infinite at an admissible point"
    difference = None if gap.undefined else float(gap.value)
    return Stage(
        "digits", Status.REFUTED, text, {"difference": difference, "points": [point.describe()]}
    )


def _sampling(
    claim: Claim, cases: list[Case], rng: np.random.Generator, wrong: tuple[Case, Point] | None
) -> tuple[Stage, bool]:
    """The stage, and whether it misses a deviation that it should see."""
    comparisons = len(cases) * POINTS
    worst: tuple[Case, Deviation] | None = None
    weakest, largest, missed, same = 0.0, 0.0, False, True
    for _ in range(POINTS):
        point = random_point(claim.model, rng)
        samples = RawSamples(point, rng, SAMPLES)
        try:
            measured = [measure_target(c.target, samples) if c.target else c.raw for c in cases]
            found = deviations(measured, [c.claimed for c in cases], samples, comparisons)
        except (InputError, TypeError, KeyError) as error:
            return Stage("sampling", Status.INCONCLUSIVE, f"cannot be sampled: {error}"), False
        for case, deviation in zip(cases, found, strict=True):
            if worst is None or deviation.strain > worst[1].strain:
                worst = case, deviation
        same = same and all(d.same for d in found)
        weakest = max(weakest, max(d.resolution for d in found))
        largest = max(largest, max(abs(d.claimed) + abs(d.value) for d in found))
        if wrong is not None and not any(d.refuted for d in found):
            missed = missed or _should_be_seen(cases, found, point)
    assert worst is not None
    case, deviation = worst
    details: dict[str, Any] = {
        "deviation": deviation.value,
        "standard_error": deviation.error,
        "critical_value": deviation.critical,
        "smallest_detectable": weakest,
        "samples": SAMPLES * claim.model.components,
        "points": POINTS,
        "comparisons": comparisons,
    }
    scale = f"{SAMPLES * claim.model.components:,} samples at each of {POINTS} points"
    if deviation.refuted:
        gap = f"claimed - measured = {deviation.value:.4g} ± {deviation.error:.2g}"
        text = f"{case.name}: {gap}, beyond {deviation.critical:.1f} standard errors; {scale}"
        if not np.isfinite(deviation.claimed):
            text, details["deviation"] = f"{case.name}: the claim is complex or infinite", None
        return Stage("sampling", Status.REFUTED, text, details), False
    if same:
        return Stage(
            "sampling", Status.INCONCLUSIVE, "the claim is the raw definition itself, to the letter"
        ), False
    text = (
        f"{len(cases)} entries within {deviation.critical:.1f} standard errors; a deviation of {weakest:.2g} would be"
        f" found (values up to {largest:.2g}); {scale}"
    )
    status = Status.AGREES if weakest <= STRONG * largest else Status.INCONCLUSIVE
    return Stage("sampling", status, text, details), missed and status is Status.AGREES


def _should_be_seen(cases: Sequence[Case], found: Sequence[Deviation], point: Point) -> bool:
    """Derived and claimed differ here by more than the samples resolve, and yet the samples agree
    with the claim.
    """
    try:
        values = gaps([(c.claimed, c.derived) for c in cases], point, None, cases[0].more)
    except (DimensionError, ArithmeticError):
        return False
    return any(float(abs(g.value)) > 2 * d.resolution for g, d in zip(values, found, strict=True))


# --- counterexamples ------------------------------------------------------------------------------


def _shrunk(claim: Claim, case: Case, point: Point) -> tuple[Counterexample, Case, Model]:
    """The simplest model, entry and point found at which the claim is wrong."""
    rng = np.random.default_rng(0)
    for model in smaller_models(claim):
        try:
            smaller = [
                c for c in cases_of(claim, model) if not c.needs_full_rank or model.units == 1
            ]
        except InputError:
            continue
        trial = random_point(model, rng, 1)
        wrong = next((c for c in smaller if is_refuted(c.claimed, c.derived, trial, c.more)), None)
        if wrong is not None:
            case, point = wrong, trial
            break
    simple = shrink(point, lambda p: is_refuted(case.claimed, case.derived, p, case.more))
    try:
        gap = gaps(
            [(case.claimed, sp.Integer(0)), (sp.Integer(0), case.derived)],
            simple,
            DIGITS,
            case.more,
        )
    except DimensionError:
        gap = gaps(
            [(case.claimed, sp.Integer(0)), (sp.Integer(0), case.derived)], simple, None, case.more
        )
    with mpmath.workdps(20):
        claimed, right = mpmath.nstr(gap[0].value, 12), mpmath.nstr(-gap[1].value, 12)
    return (
        Counterexample(case.name, simple.model.name, simple.describe(), claimed, right),
        case,
        simple.model,
    )


def _short(expression: sp.Expr, limit: int = 300) -> str:
    text = str(expression)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."

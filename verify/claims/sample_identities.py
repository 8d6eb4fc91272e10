"""Claims about one sample, such as a derivative of the softmax: numbers for u, v, features and
every label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from itertools import product
from typing import Any

import mpmath
import numpy as np
import sympy as sp

from numerics.expectations.high_precision import high_precision_functions
from theory import InputError, Model, symbols
from theory.problem.covariance.bands import rank_of
from verify.claims.repair.repair import Mender, nearest_change
from verify.claims.signs.exclusion import is_impossible
from verify.claims.stages.digits import DIGITS
from verify.claims.stages.evaluation import real_or_nan
from verify.claims.stages.places import zeros_of
from verify.claims.stages.region_search import find_values
from verify.claims.stages.regions import (
    MOST_REGIONS,
    Sides,
    Signs,
    cuts_of,
    describe,
    linear_regions,
    steps_of,
)
from verify.claims.stages.small_terms import smallest_term, terms_of
from verify.claims.stages.symbolic import prove_all, prove_equal
from verify.printing.shorten import shorten
from verify.random_points.exact import random_point

from .cases import Case, case_at, cases_of
from .judgement import Claim, Counterexample, Stage, Status
from .language.features import copies_of, feature_names, features_of, residual_names
from .smaller_models import smaller_models
from .stage_verdicts import Explanation

# pre-activations whose signs are combined in all ways; samples of a label at the least
MOST_SIGNS, LEAST_PLACES = 5, 8
# sizes of the pre-activations, and bounds of where regions are looked for
SCALES = (sp.S.One, sp.Rational(1, 40), sp.Integer(6))
WIDE = 40.0
# share of a claim that is far above what digits resolve
VISIBLE = mpmath.mpf(10) ** (2 - DIGITS)
Values = dict[sp.Symbol, sp.Rational]
Wrong = tuple[Case, Values]
UNSEEN = "the difference is a distribution, which no sample meets"


@dataclass
class SampleClaim:
    """Symbolic identities, fifty digits of both sides, both sides read in elementary functions."""

    claim: Claim
    rng: np.random.Generator
    cases: list[Case] = field(init=False)
    draws: list[Values] = field(init=False)
    sides: Sides = field(init=False)

    def __post_init__(self) -> None:
        self.cases = [_by_features(c, self.claim.model) for c in cases_of(self.claim)]
        self.draws, self.sides = visited_draws(self.claim.model, self.cases, self.rng)

    def without_value(self) -> str:
        return ""

    def compare(self) -> tuple[Stage, Wrong | None]:
        wrong = _first_wrong(self.cases, self.draws)
        if wrong is not None:
            case, draw = wrong
            gap = mpmath.nstr(_value(case.claimed, draw) - _value(case.derived, draw), 12)
            text = f"{case.name}: claimed - derived = {gap}"
            return Stage("digits", Status.REFUTED, text), wrong
        if self._is_distribution:
            return Stage("digits", Status.INCONCLUSIVE, UNSEEN), None
        return self._agreement(), None

    def _agreement(self) -> Stage:
        """Agreement counts where both sides have values, and on both sides of every kink."""
        for case in self.cases:
            if not any(mpmath.isfinite(_value(case.derived, draw)) for draw in self.draws):
                text = f"{case.name}: neither side has a value at any sample"
                return Stage("digits", Status.INCONCLUSIVE, text)
        left = [describe(s) for s in self.sides.unvisited() if not is_impossible(None, s)]
        if left:
            text = f"no sample was found where {' or '.join(left[:3])}"
            return Stage("digits", Status.INCONCLUSIVE, text)
        if self._proof.status is not Status.PROVED and (small := self._unseen()):
            return Stage("digits", Status.INCONCLUSIVE, small)
        labels = len({draw[symbols.LABEL] for draw in self.draws})
        regions = len(self.sides.patterns)
        text = f"agrees to {DIGITS} digits at {len(self.draws)} samples, of all {labels} labels"
        text += " and all signs of u"
        if self.sides.cuts:
            text += f", in {regions} regions between kinks"
        return Stage("digits", Status.AGREES, text, {"digits": [DIGITS]})

    def _unseen(self) -> str:
        """A term that is zero or too small at all samples, empty where there is none."""
        for case in self.cases:
            small = set(terms_of(case.claimed - case.derived))
            for draw in self.draws:
                values = {t: _value(t, draw) for t in small}
                size = abs(_value(case.claimed, draw)) + 1
                small -= {t for t, v in values.items() if abs(v) > size * VISIBLE}
                if not small:
                    break
            if small:
                return f"{case.name}: {smallest_term(small)}"
        return ""

    def prove(self) -> Stage:
        return self._proof

    @cached_property
    def _proof(self) -> Stage:
        # label by label: what a sum over Kronecker cases is depends on it
        labels = [{symbols.LABEL: y} for y in dict.fromkeys(self.claim.model.mixture.labels)]
        entries = [
            (f"{c.name}, y = {y[symbols.LABEL]}", c.claimed.xreplace(y), c.derived.xreplace(y))
            for c in self.cases
            for y in labels
        ]
        return prove_all(entries, self.claim.model)

    @cached_property
    def _is_distribution(self) -> bool:
        """The difference is zero at every sample, and not zero."""
        return self._proof.status is not Status.PROVED and any(
            prove_equal(c.claimed, c.derived, self.claim.model).remainder.has(sp.DiracDelta)
            for c in self.cases
        )

    def sample(self, wrong: Wrong | None) -> tuple[Stage, bool]:
        raw = [replace(c, claimed=c.raw_claim, derived=c.raw) for c in self.cases]
        raw_wrong = _first_wrong(raw, self.draws)
        origin = "from the loss in elementary functions, differentiated without the engine"
        outcome = f"{raw_wrong[0].name}: differs" if raw_wrong else f"agrees to {DIGITS} digits"
        text = f"{outcome} at {len(self.draws)} samples {origin}"
        status = Status.REFUTED if raw_wrong else Status.AGREES
        if wrong is None and self._is_distribution:
            status, text = Status.INCONCLUSIVE, UNSEEN
        return Stage(
            "sampling", status, text, {"samples": len(self.draws)}
        ), status is Status.AGREES

    def explain(self, wrong: Wrong) -> Explanation:
        case, draw, model = self._smallest(*wrong)
        draw = _simpler_draw(case, draw)
        used = case.claimed.free_symbols | case.derived.free_symbols
        shown = {str(s): str(v) for s, v in draw.items() if s in used}
        values = (mpmath.nstr(_value(side, draw), 12) for side in (case.claimed, case.derived))
        remainder = prove_equal(case.claimed, case.derived, self.claim.model).remainder
        example = Counterexample(case.name, model.name, shown, *values)
        return Explanation(example, shorten(remainder), self._repair(case, model))

    def _smallest(self, case: Case, draw: Values) -> tuple[Case, Values, Model]:
        """The claim for the smallest model for which it is wrong."""
        for model in smaller_models(self.claim):
            try:
                cases = cases_of(self.claim, model)
            except InputError:
                continue
            found = _first_wrong(cases, visited_draws(model, cases, self.rng)[0])
            if found is not None:
                return *found, model
        return case, draw, self.claim.model

    def _repair(self, case: Case, model: Model) -> str:
        """A change of the formula that mends every entry, or one of the wrong entry alone."""
        draws, _ = visited_draws(model, [case], self.rng)

        def same(expression: sp.Expr) -> bool:
            # an edit may name an index that the smaller model does not have
            if not expression.free_symbols <= set(draws[0]):
                return False
            return not any(_differs(expression, case.derived, d) for d in draws)

        def mends_all(changed: Claim) -> bool:
            cases = cases_of(changed)
            draws, _ = visited_draws(self.claim.model, cases, self.rng)
            return _first_wrong(cases, draws) is None

        mender = Mender(
            lambda changed: case_at(changed, model, case.bindings).claimed,
            lambda expressions: [same(e) for e in expressions],
            same,
            mends_all,
        )
        entry = case.name if case.bindings else ""
        return nearest_change(self.claim, case.claimed, case.derived, mender, entry)


def _by_features(case: Case, model: Model) -> Case:
    """zeta_a = u_a - sum_s (m Gamma^-1)_as Y_s: of one sample it is not free.

    With tokens this holds of each.  With bands it is the sum over bands of which one is not free,
    and t_s is the sum of the parts of Y . e_s.
    """
    sides = (case.claimed, case.derived, case.raw, case.raw_claim)
    others = {*residual_names(model), *(model.symbols.teacher if model.bands > 1 else ())}
    if not any(e is not None and e.free_symbols & others for e in sides):
        return case
    change = _dependent(model)
    changed = (None if e is None else e.xreplace(change) for e in sides)
    claimed, derived, raw, raw_claim = changed
    return replace(case, claimed=claimed, derived=derived, raw=raw, raw_claim=raw_claim)


@lru_cache(maxsize=64)
def _dependent(model: Model) -> Mapping[sp.Symbol, sp.Expr]:
    """Features that others determine, by these."""
    s, mixture, copies = model.symbols, model.mixture, copies_of(model)
    features = sp.Matrix(copies, model.directions, features_of(model))
    zeta = sp.Matrix(copies, model.units, residual_names(model))
    along = [
        s.overlap[g * model.units : (g + 1) * model.units, :] * _inverse(mixture.band_gram(g))
        for g in range(model.bands)
    ]
    if model.bands == 1:
        u = sp.Matrix(copies, model.units, s.preactivation)
        return dict(zip(zeta, u - features * along[0].T, strict=True))
    teachers = {symbols.indexed("t", t): sp.Add(*features[:, t]) for t in model.loss.teachers}
    parts = [each * features[g, :].T for g, each in enumerate(along)]
    whole = [sp.Add(*(part[a, 0] for part in parts)) for a in range(model.units)]
    last = {
        zeta[-1, a]: u - whole[a] - sp.Add(*zeta[:-1, a]) for a, u in enumerate(s.preactivation)
    }
    return teachers | last


def _inverse(gram: sp.MatrixBase) -> sp.MatrixBase:
    """Of a band that holds nothing of some direction the pseudo-inverse."""
    return gram.inv() if rank_of(gram) == gram.rows else gram.pinv()


def _first_wrong(cases: list[Case], draws: list[Values]) -> Wrong | None:
    return next(((c, d) for c in cases for d in draws if _differs(c.claimed, c.derived, d)), None)


def visited_draws(
    model: Model, cases: Sequence[Case], rng: np.random.Generator
) -> tuple[list[Values], Sides]:
    """Samples of every label, on every side of everything that is not analytic.

    Every label with every combination of signs of the pre-activations (of a few of them where there
    are many), small and large numbers among them, and every region that kinks cut out of the box.
    """
    sides = Sides(cuts_of(e for c in cases for e in (c.claimed, c.derived)))
    s, labels = model.symbols, list(dict.fromkeys(model.mixture.labels))
    u = list(s.preactivation)
    signs = list(product((-1, 1), repeat=min(len(u), MOST_SIGNS)))
    places: list[Values] = []
    for n, pattern in enumerate(signs):
        values = _draw(model, rng, SCALES[n % len(SCALES)])
        turned = zip(u, pattern, strict=False)
        places.append({**values, **{x: abs(values[x]) * sign for x, sign in turned}})
    while len(places) < LEAST_PLACES:
        places.append(_draw(model, rng, SCALES[len(places) % len(SCALES)]))
    names = [*s.fields, *s.whitened, *s.readout, *feature_names(model), *residual_names(model)]
    box = {x: (-WIDE, WIDE) for x in names}
    box |= {x: (1 / WIDE, WIDE) for x in (symbols.PRECISION, symbols.RIDGE, symbols.STEP)}
    for region in linear_regions(sides.cuts, box):
        moved = {x: v + sp.Rational(int(rng.integers(1, 90)), 10**6) for x, v in region.items()}
        places.append({**_draw(model, rng), **moved})
    for place in places:
        for y in labels:
            sides.visit({**place, symbols.LABEL: y})
    places += _searched(model, sides, set(box), rng)
    places += _on_steps(model, cases, _draw(model, rng))
    return [{**place, symbols.LABEL: y} for place in places for y in labels], sides


def _searched(
    model: Model, sides: Sides, free: set[sp.Symbol], rng: np.random.Generator
) -> Iterator[Values]:
    """Samples where forms have signs together that they had at no sample so far."""
    tried: list[Signs] = []
    while signs := next((s for s in sides.unvisited() if s not in tried), None):
        tried.append(signs)
        if len(tried) > MOST_REGIONS:
            return
        found = None if is_impossible(None, signs) else find_values(signs, _draw(model, rng), free)
        if found is not None:
            yield found
            for y in dict.fromkeys(model.mixture.labels):
                sides.visit({**found, symbols.LABEL: y})


def _on_steps(model: Model, cases: Sequence[Case], start: Values) -> Iterator[Values]:
    """Samples at which a step of parameters has its value at 0; pre-activations never have it.

    One parameter is moved, which others must not depend on.
    """
    s, sides = model.symbols, [e for c in cases for e in (c.claimed, c.derived)]
    used = {x for e in sides for x in e.free_symbols}
    positive = {model.mixture.precision, model.ridge, model.step}
    free = {*s.readout, *positive}
    if not used & {*s.gram, *s.gram_perp, *s.gram_inverse}:
        free |= {*s.overlap}
    for form in steps_of(sides):
        if not form.free_symbols <= {*free, *s.overlap}:
            continue
        for symbol in sorted(form.free_symbols & free, key=str):
            for root in zeros_of(form, symbol, start):
                if symbol not in positive or root > 0:
                    yield {**start, symbol: root}


def _draw(model: Model, rng: np.random.Generator, scale: sp.Rational = sp.S.One) -> Values:
    """Numbers for everything that a statement about one sample can hold."""
    s = model.symbols
    values: Values = dict(random_point(model, rng).values)
    for name in (model.mixture.precision, model.ridge, model.step):
        if name.is_Symbol:  # over decades, on both sides of 1
            values[name] = sp.Rational(int(10 ** rng.uniform(1, 5)), 1000)
    names = [*s.fields, *s.whitened, *feature_names(model), *residual_names(model)]
    for name in names:
        values[name] = scale * sp.Rational(int(rng.integers(-120, 121)) * 2 + 1, 90)
    labels = list(dict.fromkeys(model.mixture.labels))
    values[symbols.LABEL] = labels[int(rng.integers(len(labels)))]
    return values


@lru_cache(maxsize=4096)
def _compiled(expression: sp.Expr) -> tuple[list[sp.Symbol], Callable[..., Any]]:
    names = sorted(expression.free_symbols, key=str)
    # off its point, where samples are, a Dirac delta vanishes
    known = {
        **high_precision_functions(),
        "DiracDelta": lambda x: mpmath.nan if x == 0 else mpmath.mpf(0),
    }
    return names, sp.lambdify(names, expression, [known, "mpmath"], cse=True)


def _value(expression: sp.Expr, draw: Values) -> Any:
    names, function = _compiled(expression)
    with mpmath.workdps(DIGITS + 12):
        try:
            return real_or_nan(
                function(*(mpmath.mpf(int(draw[s].p)) / int(draw[s].q) for s in names))
            )
        except (ArithmeticError, ValueError):
            return mpmath.nan


def _differs(one: sp.Expr, two: sp.Expr, draw: Values) -> bool:
    a, b = _value(one, draw), _value(two, draw)
    with mpmath.workdps(DIGITS + 12):
        if not mpmath.isfinite(a) or not mpmath.isfinite(b):
            return bool(mpmath.isfinite(a)) != bool(mpmath.isfinite(b))
        return bool(abs(a - b) > (abs(a) + abs(b) + 1) * mpmath.mpf(10) ** (-DIGITS))


def _simpler_draw(case: Case, draw: Values) -> Values:
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

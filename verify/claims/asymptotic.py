"""Claims that hold in a limit or to an order: judged by the order at which their error vanishes,
which is measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import mpmath
import numpy as np
import sympy as sp

from numerics.expectations.certified_digits import DimensionError
from theory import InputError, low_noise, symbols
from theory.expectations.derived import find_expectations
from verify.claims.language.conventions import DIMENSION
from verify.claims.repair.repair import Mender, nearest_change
from verify.claims.signs.exclusion import is_impossible
from verify.claims.signs.kinked_means import is_flat_to, near_means
from verify.claims.signs.leading_powers import is_rational_in, why_uneven, without_negligible
from verify.claims.signs.logarithms import without_logarithms
from verify.claims.signs.one_sided import without_one_sided
from verify.claims.stages.digits import DIGITS, gaps
from verify.claims.stages.expansion import expanded
from verify.claims.stages.orders import (
    FEW_FIRST,
    FEW_RATIO,
    FIRST,
    LIMIT,
    RATIO,
    SLACK,
    Order,
    at_value,
    kept_terms,
    measured_orders,
    parameter_symbol,
    refutes,
)
from verify.claims.stages.region_search import find_point
from verify.claims.stages.regions import MOST_REGIONS, Sides, Signs, cuts_of, describe
from verify.claims.stages.sampling import measured_deviations
from verify.claims.stages.small_terms import smallest_term
from verify.claims.stages.symbolic import prove_all, prove_equal
from verify.printing.shorten import shorten
from verify.random_points.exact import Point, random_point

from .cases import Case, case_at, cases_of, count_entries, without_value
from .judgement import Claim, Counterexample, Stage, Status
from .stage_verdicts import Explanation

# orders whose errors leave no remainder are measured to this
TINY = 1e-9
# of o(lambda^-n): how much faster than lambda^-n an error has to fall not to refute the claim, and
# to agree with it; between them a logarithm may be all
LITTLE, HALF = 1e-3, 0.25
POINTS = 2
# further points of full rank where terms were too small at those: some term often is at two of them
FURTHER = 6
# where samples are taken: 1/lambda and its square root are both far below what they resolve
FAR, ALLOWED = 10**12, 1e-9
LAMBDA = symbols.PRECISION
Wrong = tuple[Case, Point]


@dataclass
class AsymptoticClaim:
    """Judged along a geometric sequence of lambda or d, at whose end samples are taken."""

    claim: Claim
    rng: np.random.Generator
    cases: list[Case] = field(init=False)
    _small: dict[str, dict[sp.Expr, bool]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        precision = self.claim.model.mixture.precision
        if self.parameter == "lambda" and precision != symbols.PRECISION:
            remedy = "build the model with precision=None for a claim about its limit"
            raise InputError("precision", precision, "the symbol lambda", remedy)
        self.cases = cases_of(self.claim)

    @property
    def parameter(self) -> str:
        return self.claim.parameter

    @property
    def order(self) -> int:
        assert self.claim.order is not None
        return self.claim.order

    @property
    def needed(self) -> int:
        """The error has to vanish at least like this power, where no half powers are allowed."""
        return self.order + 1

    @property
    def least(self) -> float:
        """An error that falls more slowly refutes the claim."""
        return self.order + LITTLE if self.claim.little else self.needed - TINY

    @property
    def enough(self) -> float:
        """One that falls as fast as this agrees with it."""
        return self.order + HALF if self.claim.little else self.needed - SLACK

    @property
    def _wanted(self) -> str:
        return f"more than {self.order}" if self.claim.little else f"at least {self.needed}"

    def without_value(self) -> str:
        return without_value(self.claim, self.cases)

    def compare(self) -> tuple[Stage, Wrong | None]:
        """Orders on a line to many digits, then at full rank, where all minors of Q and R count."""
        measured: list[tuple[Order, Case, Point]] = []
        bad = None
        for orders, point in self._orders():
            measured += [(m, c, point) for m, c in zip(orders, self.cases, strict=True)]
            bad = next((x for x in measured if refutes(*x, self.parameter, self.least)), None)
            if bad is not None:
                break
        pinned = [m for m, _, _ in measured if m is not None]
        lowest = min(pinned, default=None, key=lambda m: m[0])
        details: dict[str, Any] = {"needed_order": self.needed}
        if lowest is None:
            text = "the claim is exact"
        elif math.isinf(lowest[1]):
            text = "too few errors are above the certified ones to measure an order"
        else:
            low, high = lowest[0] - lowest[1], lowest[0] + lowest[1]
            details |= {"measured_order": lowest[0], "interval": [low, high]}
            text = self._falls(lowest)
        text += f", where {self._wanted} is claimed"
        if bad is not None:
            assert bad[0] is not None
            text = f"{bad[1].name}: {self._falls(bad[0])}, where {self._wanted} is claimed"
            if bad[2].rank > 1:
                text += " (at a point of full rank)"
            return Stage("digits", Status.REFUTED, text, details), bad[1:]
        if hidden := self._hidden():
            return Stage("digits", Status.INCONCLUSIVE, f"{text}; {hidden}", details), None
        weak = any(m[0] - m[1] < self.enough for m in pinned)
        if rough := self._rough() or ("" if lowest is None else self._uneven()):
            return Stage("digits", Status.INCONCLUSIVE, f"{text}; {rough}", details), None
        flat = not any(p.rank == self.claim.model.units for _, _, p in measured)
        if flat:
            text += "; weight vectors in general position have integrals in too many dimensions"
        status = Status.INCONCLUSIVE if weak or flat else Status.AGREES
        return Stage("digits", status, text, details), None

    def _orders(self) -> Iterator[tuple[list[Order], Point]]:
        """Orders of all entries at points of every rank, and on both sides of whatever is not
        analytic.
        """
        model, rng = self.claim.model, self.rng
        for rank in [1] * POINTS + [None] * POINTS * (model.units > 1):
            yield from self._orders_at(random_point(model, rng, rank))
        tried: list[tuple[int | None, Signs]] = []
        while place := next((p for p in self._unvisited() if p not in tried), None):
            tried.append(place)
            if len(tried) > MOST_REGIONS:
                return
            rank, signs = place
            point = find_point(model, rng, signs, rank, {DIMENSION: LIMIT})
            if point is not None:
                yield from self._orders_at(point)
        for _ in range(FURTHER):
            if not any(self._unseen(small) for small in self._small.values()):
                return
            yield from self._orders_at(random_point(model, rng))

    def _orders_at(self, point: Point) -> Iterator[tuple[list[Order], Point]]:
        try:
            found = measured_orders(self._seen, point, self.parameter, self.order, self.enough)
        except (DimensionError, InputError):
            return
        self._sides.visit({**point.values, **self._limit})
        if point.rank == self.claim.model.units:
            for case, unseen in zip(self.cases, found.unseen, strict=True):
                small = self._small.setdefault(case.name, {})
                small |= {t: small.get(t, True) and u for t, u in unseen.items()}
        yield found.orders, point

    @cached_property
    def _seen(self) -> list[Case]:
        """The cases without terms whose logarithms hide of what order they are."""
        x, little = parameter_symbol(self.parameter), self.claim.little
        power = self.order if little else self.needed
        left = [without_logarithms(c.claimed, x, power, little) for c in self.cases]
        return [replace(c, claimed=e) for c, e in zip(self.cases, left, strict=True)]

    @cached_property
    def _limit(self) -> dict[sp.Symbol, sp.Expr]:
        return {DIMENSION: LIMIT, parameter_symbol(self.parameter): LIMIT}

    @cached_property
    def _sides(self) -> Sides:
        """Of the forms that are not constant in the limit, which sequences reach by themselves."""
        cuts = cuts_of(e for c in self.cases for e in (c.claimed, c.derived))
        return Sides([c for c in cuts if not c.has(parameter_symbol(self.parameter))])

    def _unvisited(self) -> Iterator[tuple[int | None, Signs]]:
        for signs in self._sides.unvisited():
            if not is_impossible(self.claim.model, signs):
                yield from ((rank, signs) for rank in (1, None))

    def _hidden(self) -> str:
        """What was not seen: signs of forms, terms that are zero or too small."""
        if left := [describe(signs) for rank, signs in self._unvisited() if rank]:
            return f"no admissible point was found where {' or '.join(left[:3])}"
        for name, small in self._small.items():
            if unseen := self._unseen(small):
                return f"{name}: {smallest_term(unseen)}"
        return ""

    @staticmethod
    def _unseen(small: Mapping[sp.Expr, bool]) -> list[sp.Expr]:
        """Terms that were too small at all points of full rank so far."""
        return [term for term, missed in small.items() if missed]

    def _rough(self) -> str:
        """An expectation that has no expansion where its mean is on a kink, and does not cancel.

        On a kink the error of a ramp falls like a half power of 1/lambda, that of a jump not at
        all; those are points of measure zero, which no sequence meets.
        """
        if self.parameter != "lambda":
            return ""
        # of the power of 1/lambda that is left, or of the one that is kept for o(...)
        power = 2 * self.order + 1 if self.claim.little else 2 * self.needed
        for case in self.cases:
            difference = without_one_sided(case.claimed - case.derived, self.claim.model)
            nodes = find_expectations(near_means(expanded(difference), self.claim.model))
            if rough := next((n for n in nodes if not is_flat_to(n, power)), None):
                return f"{case.name}: {shorten(rough)} is not smooth, its error on a kink is larger"
        return ""

    def _uneven(self) -> str:
        """What is of another order at some states, which no sequence meets, or has a pole there."""
        for case in self.cases:
            kept = kept_terms(case.claimed, self.parameter, self.order)
            x, model = parameter_symbol(self.parameter), self.claim.model
            if found := why_uneven(case.claimed, case.derived, kept, x, model):
                return f"{case.name}: {shorten(found[0])} {found[1]}"
        return ""

    def _falls(self, order: tuple[float, float]) -> str:
        return f"the error falls like {self.parameter}^-({order[0]:.3f} ± {order[1]:.3f})"

    def prove(self) -> Stage:
        if self.parameter == "d":
            return self._prove_limit()
        entries = []
        for case in self.cases:
            # an expansion in powers of 1/lambda sees no half powers, logarithms, exponentials
            both = [self._without_small(e) for e in (case.claimed, case.derived)]
            if not all(is_rational_in(e, LAMBDA) for e in both):
                text = f"{case.name}: it is not rational in lambda, which expansions need"
                return Stage("symbolic", Status.UNPROVED, text)
        if rough := self._rough() or self._uneven():
            return Stage("symbolic", Status.UNPROVED, f"no expansion: {rough}")
        for case in self.cases:
            both = [self._without_small(e) for e in (case.claimed, case.derived)]
            try:
                one, two = (low_noise(e, self.order) for e in both)
            except InputError as error:
                text = f"{case.name}: no expansion: {error.expected}"
                return Stage("symbolic", Status.UNPROVED, text)
            if any(e.has(sp.oo, sp.zoo, sp.nan) for e in (one, two)):
                text = f"{case.name}: it grows with lambda and has no expansion"
                return Stage("symbolic", Status.UNPROVED, text)
            entries.append((case.name, one, two))
        outcome = f"both have the same expansion up to order {self.order} in 1/lambda,"
        return prove_all(entries, self.claim.model, outcome)

    def _without_small(self, e: sp.Expr) -> sp.Expr:
        """Without what falls faster than every power: exponentials, and kinks off the means."""
        model = self.claim.model
        smooth = near_means(without_one_sided(e, model), model)
        return without_negligible(smooth, LAMBDA, model)

    def _prove_limit(self) -> Stage:
        """The leading term in 1/d of an exact difference."""
        for case in self.cases:
            leading = sp.expand(case.claimed - case.derived)
            if leading.has(DIMENSION):
                leading = sp.series(leading, DIMENSION, sp.oo, 1).removeO()
            if self.order or not prove_equal(leading, sp.Integer(0), self.claim.model).proved:
                text = f"{case.name}: the leading term is not brought to zero"
                return Stage("symbolic", Status.UNPROVED, text)
        details = {"identities": ["expansion in 1/d"]}
        return Stage("symbolic", Status.PROVED, "claimed - derived = O(1/d)", details)

    def sample(self, wrong: Wrong | None) -> tuple[Stage, bool]:
        """Samples where the error that is allowed is far below what they resolve.

        They say nothing about a refuted order: that a limit is right does not make the next term
        so.
        """
        return self._sampled(), False

    def _sampled(self) -> Stage:
        point = random_point(self.claim.model, self.rng)
        if self.parameter == "d":
            text = "a step is sampled in few dimensions, where terms of 1/d are not small"
            return Stage("sampling", Status.INCONCLUSIVE, text)
        point = replace(point, precision=sp.Integer(FAR))
        try:
            found = measured_deviations(self.cases, point, self.rng, len(self.cases))
        except (InputError, TypeError, KeyError) as error:
            return Stage("sampling", Status.INCONCLUSIVE, f"cannot be sampled: {error}")
        pairs = zip(found, self.cases, strict=True)
        worst, case = max(pairs, key=lambda pair: abs(pair[0].value) - pair[0].bound)
        if not all(d.normal for d in found):
            text = "a few samples outweigh all others, their mean is not normal"
            return Stage("sampling", Status.INCONCLUSIVE, text)
        details = {"deviation": worst.value, "standard_error": worst.error}
        if not abs(worst.value) <= worst.bound + ALLOWED * (1 + abs(worst.claimed)):
            gap = f"claimed - measured = {worst.value:.3g} ± {worst.error:.2g}"
            text = f"{case.name}: {gap} at lambda = 1e12"
            if self.claim.little:
                text += ", which may be what o(...) allows"
                return Stage("sampling", Status.INCONCLUSIVE, text, details)
            return Stage("sampling", Status.REFUTED, text, details)
        if self.order:
            text = "terms of this order are below what samples resolve"
            return Stage("sampling", Status.INCONCLUSIVE, text, details)
        text = f"{count_entries(self.claim)} agree at lambda = 1e12"
        return Stage("sampling", Status.AGREES, text, details)

    def explain(self, wrong: Wrong) -> Explanation:
        """Both values at the first point of the sequence, and the difference of the expansions."""
        case, point = wrong
        where, more = at_value(case, point, self.parameter, FIRST[self.parameter])
        both = [(case.claimed, sp.Integer(0)), (sp.Integer(0), case.derived)]
        example, remainder = None, None
        try:
            one, two = gaps(both, where, DIGITS if point.rank == 1 else None, more)
        except DimensionError:
            pass
        else:
            with mpmath.workdps(20):
                claimed, right = mpmath.nstr(one.value, 12), mpmath.nstr(-two.value, 12)
            name, values = self.claim.model.name, where.describe()
            example = Counterexample(case.name, name, values, claimed, right)
            remainder = self._remainder(case)
        difference = "" if remainder is None else shorten(remainder)
        return Explanation(example, difference, self._repair(case, point, remainder))

    def _remainder(self, case: Case) -> sp.Expr | None:
        if self.parameter != "lambda":
            return None
        try:
            gap = low_noise(case.claimed - case.derived, self.order)
        except InputError:
            return None
        if gap.count_ops() >= 300:
            return gap
        return prove_equal(gap, sp.Integer(0), self.claim.model).remainder

    def _repair(self, case: Case, point: Point, remainder: sp.Expr | None) -> str:
        """A change after which the error falls as fast as is claimed."""
        on_line = point.rank == 1
        size = FIRST[self.parameter] * RATIO**2 if on_line else FEW_FIRST * FEW_RATIO**4
        digits = DIGITS if on_line else None
        where, more = at_value(case, point, self.parameter, size)

        def plausible(expressions: Sequence[sp.Expr]) -> list[bool]:
            # between the error of the order that is kept and that of the next; an index that was
            # moved may be beyond its range
            known = {*where.values, *more}
            fit = [e for e in expressions if e.free_symbols <= known]
            try:
                found = gaps([(e, case.derived) for e in fit], where, digits, more)
            except DimensionError:
                return [False] * len(expressions)
            bound = mpmath.mpf(size) ** (0.5 - self.needed)
            near = dict(
                zip(fit, (bool(abs(g.value) <= g.size * bound) for g in found), strict=True)
            )
            return [near.get(e, False) for e in expressions]

        def holds(cases: list[Case]) -> bool:
            orders = measured_orders(cases, point, self.parameter, self.order, self.enough).orders
            return all(m is None or m[0] - m[1] >= self.enough for m in orders)

        try:
            right = low_noise(case.derived, self.order) if self.parameter == "lambda" else None
        except InputError:
            right = None
        mender = Mender(
            lambda changed: case_at(changed, self.claim.model, case.bindings).claimed,
            plausible,
            lambda expression: holds([replace(case, claimed=expression)]),
            lambda changed: holds(cases_of(changed)),
        )
        return nearest_change(self.claim, case.claimed, right, mender, case.name, remainder)

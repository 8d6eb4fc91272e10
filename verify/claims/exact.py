"""Claims that hold exactly: expectations and entries of derived objects at any admissible point."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import mpmath
import numpy as np
import sympy as sp

from numerics.expectations.certified_digits import DimensionError
from theory import InputError, Model
from theory.expectations.derived import find_expectations
from verify.claims.repair.repair import find_repair
from verify.claims.signs.exclusion import is_impossible
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
from verify.claims.stages.hidden_integrands import hidden_integrands
from verify.claims.stages.places import (
    FAR,
    FULL,
    GENERIC,
    REGIONS,
    Place,
    Seen,
    next_to,
    where_steps_vanish,
)
from verify.claims.stages.region_search import find_point
from verify.claims.stages.regions import MOST_REGIONS, Sides, Signs, cuts_of, steps_of
from verify.claims.stages.sampling import SAMPLES, Deviation, measured_deviations, should_be_seen
from verify.claims.stages.small_terms import point_of_certain_value
from verify.claims.stages.symbolic import prove_all, prove_equal
from verify.printing.shorten import shorten
from verify.random_points.exact import (
    Point,
    dormant_points,
    far_point,
    random_point,
    scaled_point,
    shrink,
)

from .cases import Case, cases_of, count_entries, without_value
from .judgement import Claim, Counterexample, Stage, Status
from .smaller_models import smaller_models
from .stage_verdicts import Explanation, refuted_at

# random points with many digits and of samples, points in general position
POINTS, GENERAL = 2, 3
# a resolution above this share of the largest value of the claim says little
STRONG = 0.5
# fewer certified digits than these are no agreement
LEAST_DIGITS = 6
Wrong = tuple[Case, Point]
# digits asked for where integrands are wide or narrow, and quadrature is slow
FAR_DIGITS = 25
# random points among which regions are looked for, and points of one region where errors are large
TRIALS, MOST_POINTS = 200, 4


@dataclass
class ExactClaim:
    """Judged at random points of several families, to as many digits as are certified there."""

    claim: Claim
    rng: np.random.Generator
    cases: list[Case] = field(init=False)

    def __post_init__(self) -> None:
        self.cases = cases_of(self.claim)

    @property
    def model(self) -> Model:
        return self.claim.model

    # --- digits -----------------------------------------------------------------------------------

    def without_value(self) -> str:
        return without_value(self.claim, self.cases)

    def compare(self) -> tuple[Stage, Wrong | None]:
        """Digits at points of every family, and on both sides of whatever is not analytic.

        Where both sides are analytic and their difference is proved to be zero, it is zero at all
        points: after a first look in every rank the other families are left out.
        """
        seen = Seen(self.cases)
        cuts = cuts_of(e for c in self.cases for e in (c.claimed, c.derived))
        for place in self._places(seen, cuts):
            for cases in (place.cases, *([c] for c in place.cases)):
                try:
                    where, values = self._gaps(place, cases)
                except (DimensionError, ArithmeticError):
                    continue  # one entry after the other, where not all of them are affordable
                for case, gap in zip(cases, values, strict=True):
                    if place.refutes(gap):
                        return refuted_at(case.name, gap, where), (case, where)
                seen.note(where, cases, values, place.family)
                if len(cases) == len(place.cases):
                    break
        stage = self._agreement(seen)
        wrong = None if self._proved else self._left_over()
        return wrong or (stage, None)

    def _left_over(self) -> tuple[Stage, Wrong] | None:
        """What identities leave of claimed - derived, where it is a number other than zero.

        Without expectations it is known to as many digits as are asked for, however small it is
        beside what cancels.
        """
        for case in self.cases:
            left = prove_equal(case.claimed, case.derived, self.model).remainder
            if next(find_expectations(left), None) is not None:
                return None
            found = point_of_certain_value(left, self.model, self.rng, case.more)
            if found is not None:
                value, point = found
                gap = Gap(value, mpmath.mpf(0), abs(value))
                return refuted_at(case.name, gap, point), (case, point)
        return None

    def _gaps(self, place: Place, cases: Sequence[Case]) -> tuple[Point, list[Gap]]:
        pairs = [(c.claimed, c.derived) for c in cases]
        if place.point is None:
            return certified_gaps(pairs, self.model, self.rng, self._more, terms=True)
        return place.point, gaps(pairs, place.point, place.digits, self._more, terms=True)

    @cached_property
    def _more(self) -> dict[sp.Symbol, sp.Expr]:
        """Values of symbols that are not of the model, of all entries."""
        return {s: value for c in self.cases for s, value in c.more.items()}

    def _agreement(self, seen: Seen) -> Stage:
        if not seen.reached:
            text = "no point has integrals in few enough dimensions"
            return Stage("digits", Status.INCONCLUSIVE, text)
        left = [c.name for c in self.cases if c.name not in seen.judged]
        flat = [c.name for c in self.cases if c.name not in seen.judged_anywhere]
        enough = max(d for _, d, _ in seen.reached) >= LEAST_DIGITS
        text = f"agrees to {seen.describe()}"
        if not enough:
            text = f"no {LEAST_DIGITS} digits are certified at any point: the integrals are hard"
        elif left:
            count = f"{len(left)} of {len(self.cases)}"
            text += f"; {count} entries have integrals in too many dimensions, such as {left[0]}"
        elif flat and not self._proved:
            text += f"; {flat[0]} was not seen at full rank, where all minors of Q and R count"
        elif not self._proved and (hidden := seen.hidden() or self._hidden_inside(seen)):
            text += f"; {hidden}"
            enough = False
        status = Status.AGREES if enough and not left else Status.INCONCLUSIVE
        if flat and not self._proved:
            status = Status.INCONCLUSIVE
        details = {"digits": [d for _, d, _ in seen.reached]}
        return Stage(
            "digits", status, text, details | {"points": [p.describe() for p, _, _ in seen.reached]}
        )

    def _hidden_inside(self, seen: Seen) -> str:
        """Terms inside of expectations that no point sees, empty where there are none."""
        points = [random_point(self.model, self.rng, 1) for _ in range(POINTS)]
        points += [p for p, *_ in seen.reached if p.rank == 1]
        return hidden_integrands(self.cases, points, FAR_DIGITS, self._more)

    @property
    def _proved(self) -> bool:
        return self._proof.status is Status.PROVED

    def _places(self, seen: Seen, cuts: list[sp.Expr]) -> Iterator[Place]:
        """Where to look at which entries: first a point of every rank, then all families."""
        model, rng, cases = self.model, self.rng, self.cases
        anywhere = [c for c in cases if not c.needs_full_rank]
        if anywhere:
            yield Place(None, anywhere)
        yield from self._in_general_position(1)
        demanding = [c for c in cases if c.needs_full_rank]
        if demanding:
            yield from self._dormant(demanding)
        yield from self._full_rank(cases, 1)
        if self._needs_no_more(seen, cuts):
            return
        yield from [Place(None, anywhere)] * (POINTS - 1 if anywhere else 0)
        yield from self._in_general_position(GENERAL - 1)
        if anywhere:
            first = rng.integers(0, 2, 3)
            for sides in (first, 1 - first):
                point = far_point(model, rng, sides.tolist(), 1)
                yield Place(point, anywhere, FAR, FAR_DIGITS)
        yield from self._full_rank(cases, GENERAL - 1)
        if cuts:
            yield from self._regions(cuts)
            yield from self._missed_regions(seen)

    def _needs_no_more(self, seen: Seen, cuts: list[sp.Expr]) -> bool:
        """Whether the difference is proved to be zero, and nothing but poles cuts the domain.

        Expectations are analytic in the parameters where they exist, which is asked before.
        """
        return not cuts and {c.name for c in self.cases} <= seen.judged and self._proved

    def _in_general_position(self, count: int) -> Iterator[Place]:
        for point in general_points(self.model, self.rng, count):
            chosen = [c for c in self.cases if not c.needs_full_rank or self._is_full(point)]
            if chosen:
                yield Place(point, chosen, GENERIC, None)

    def _dormant(self, demanding: list[Case]) -> Iterator[Place]:
        """Entries that need full rank, where this has too many dimensions: all but a few units are
        dormant.
        """
        active = most_dimensions(self.model)
        for point in dormant_points(self.model, self.rng, active):
            few = [c for c in demanding if arguments_at(c.claimed, c.derived, point) <= active]
            if few:
                yield Place(point, few, GENERIC, None)

    def _is_full(self, point: Point) -> bool:
        return point.rank == self.model.units

    def _full_rank(self, cases: list[Case], count: int) -> Iterator[Place]:
        """Points at which all minors count, where other families have dependent weight vectors."""
        if not self._is_full(general_points(self.model, self.rng, 1)[0]):
            for _ in range(count):
                yield Place(random_point(self.model, self.rng), cases, FULL, None)

    def _regions(self, cuts: list[sp.Expr]) -> Iterator[Place]:
        """Points on every side of what is not analytic outside of expectations.

        They are looked for among many, at the ends of the domain and next to where a cut is linear
        in one parameter, and kept where they are in a region that was not visited.
        """
        model, sides = self.model, Sides(cuts)
        left = MOST_REGIONS
        for n in range(TRIALS):
            if sides.is_complete:
                return
            draw = (random_point, scaled_point)[n % 2]
            point = draw(model, self.rng, 1)
            for candidate in (point, *next_to(point, cuts)):
                at = candidate.values | self._more
                if left and set(sides.names) <= set(at) and sides.visit(at):
                    left -= 1
                    anywhere = [c for c in self.cases if not c.needs_full_rank]
                    yield Place(candidate, anywhere or self.cases, REGIONS, FAR_DIGITS)

    def _missed_regions(self, seen: Seen) -> Iterator[Place]:
        """Points for signs that the forms of an entry did not have together, on a line if there is
        one, and at full rank, where a determinant beside a ramp counts; and on kinks themselves,
        where a step has a value of its own.
        """
        for cuts in dict.fromkeys(tuple(sides.cuts) for sides in seen.sides.values() if sides.cuts):
            cases = [c for c in self.cases if tuple(seen.sides[c.name].cuts) == cuts]
            anywhere = [c for c in cases if not c.needs_full_rank]
            if anywhere:
                yield from self._searched(seen.sides, seen, anywhere, 1)
            every = seen.sides if self._proved else seen.sides_at_full_rank
            yield from self._searched(every, seen, cases, None)
        steps = steps_of(e for c in self.cases for e in (c.claimed, c.derived))
        if steps:
            yield from where_steps_vanish(random_point(self.model, self.rng), steps, self.cases)

    def _searched(
        self, every: Mapping[str, Sides], seen: Seen, cases: list[Case], rank: int | None
    ) -> Iterator[Place]:
        tried: list[Signs] = []
        sides = every[cases[0].name]
        while signs := next((s for s in sides.unvisited() if s not in tried), None):
            tried.append(signs)
            if len(tried) > MOST_REGIONS:
                return
            if is_impossible(self.model, signs):
                continue
            for _ in range(MOST_POINTS):
                point = find_point(self.model, self.rng, signs, rank, cases[0].more)
                if point is None:
                    break
                yield Place(point, cases, REGIONS, None if rank is None else FAR_DIGITS)
                if not seen.blurred:
                    break

    # --- symbols ----------------------------------------------------------------------------------

    def prove(self) -> Stage:
        return self._proof

    @cached_property
    def _proof(self) -> Stage:
        return prove_all([(c.name, c.claimed, c.derived) for c in self.cases], self.model)

    # --- samples ----------------------------------------------------------------------------------

    @cached_property
    def _sampling_rng(self) -> np.random.Generator:
        return np.random.default_rng(self.rng.integers(2**63))

    def sample(self, wrong: Wrong | None) -> tuple[Stage, bool]:
        """Brute force at random points of full rank."""
        cases, rng = self.cases, self._sampling_rng
        comparisons = len(cases) * POINTS
        seen: list[tuple[Case, Deviation]] = []
        missed = False
        for _ in range(POINTS):
            point = random_point(self.model, rng)
            try:
                found = measured_deviations(cases, point, rng, comparisons)
            except (InputError, TypeError, KeyError) as error:
                text = f"cannot be sampled: {error}"
                return Stage("sampling", Status.INCONCLUSIVE, text), False
            seen += zip(cases, found, strict=True)
            if wrong is not None and not any(d.refuted for d in found):
                missed = missed or should_be_seen(cases, found, point)
        stage = self._sampled(seen, comparisons)
        return stage, missed and stage.status is Status.AGREES

    def _sampled(self, seen: list[tuple[Case, Deviation]], comparisons: int) -> Stage:
        case, worst = max(seen, key=lambda pair: pair[1].strain)
        weakest = max(d.resolution for _, d in seen)
        largest = max(abs(d.claimed) + abs(d.value) for _, d in seen)
        samples = SAMPLES * self.model.components
        details: dict[str, Any] = {
            "deviation": worst.value,
            "standard_error": worst.error,
            "critical_value": worst.critical,
            "smallest_detectable": weakest,
            "samples": samples,
            "points": POINTS,
            "comparisons": comparisons,
        }
        scale = f"{samples:,} samples at each of {POINTS} points"
        if worst.refuted:
            gap = f"claimed - measured = {worst.value:.4g} ± {worst.error:.2g}"
            text = f"{case.name}: {gap}, beyond {worst.critical:.1f} standard errors; {scale}"
            if not np.isfinite(worst.claimed):
                text, details["deviation"] = f"{case.name}: the claim is complex or infinite", None
            return Stage("sampling", Status.REFUTED, text, details)
        if not all(d.normal for _, d in seen):
            case = next(c for c, d in seen if not d.normal)
            text = f"{case.name}: a few samples outweigh all others, their mean is not normal"
            return Stage("sampling", Status.INCONCLUSIVE, text)
        if all(d.same for _, d in seen):
            text = "the claim is the raw definition itself, to the letter"
            return Stage("sampling", Status.INCONCLUSIVE, text)
        text = (
            f"{count_entries(self.claim)} within {worst.critical:.1f} standard errors; a deviation"
            f" of {weakest:.2g} would be found (values up to {largest:.2g}); {scale}"
        )
        status = Status.AGREES if weakest <= STRONG * largest else Status.INCONCLUSIVE
        return Stage("sampling", status, text, details)

    # --- counterexamples --------------------------------------------------------------------------

    def explain(self, wrong: Wrong) -> Explanation:
        example, case, model = self._simplest(*wrong)
        remainder = prove_equal(case.claimed, case.derived, model).remainder
        repair = find_repair(self.claim, case, model, self.rng, remainder)
        return Explanation(example, shorten(remainder), repair)

    def _simplest(self, case: Case, point: Point) -> tuple[Counterexample, Case, Model]:
        """The simplest model, entry and point found at which the claim is wrong."""
        rng = np.random.default_rng(0)
        for model in smaller_models(self.claim):
            try:
                all_cases = cases_of(self.claim, model)
            except InputError:
                continue
            cases = [c for c in all_cases if not c.needs_full_rank or model.units == 1]
            trial = random_point(model, rng, 1)
            wrong = (c for c in cases if is_refuted(c.claimed, c.derived, trial, c.more))
            if (first := next(wrong, None)) is not None:
                case, point = first, trial
                break

        def still_wrong(p: Point) -> bool:
            # where Q is singular its inverse, and with it both sides, may mean nothing
            if case.needs_full_rank and not p.is_regular:
                return False
            return is_refuted(case.claimed, case.derived, p, case.more)

        simple = shrink(point, still_wrong)
        both = [(case.claimed, sp.Integer(0)), (sp.Integer(0), case.derived)]
        try:
            one, two = gaps(both, simple, DIGITS, case.more)
        except DimensionError:
            one, two = gaps(both, simple, None, case.more)
        with mpmath.workdps(20):
            claimed, right = mpmath.nstr(one.value, 12), mpmath.nstr(-two.value, 12)
        model, values = simple.model, simple.describe()
        return Counterexample(case.name, model.name, values, claimed, right), case, model

"""Families of points at which claims are compared, and what was seen at them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import sympy as sp

from verify.claims.cases import Case
from verify.claims.signs.exclusion import is_impossible
from verify.random_points.exact import Point

from .digits import DIGITS, Gap
from .regions import Sides, cuts_of, describe
from .small_terms import smallest_term

GENERIC = "in general position"
FAR = "with small and large parameters"
FULL = "of full rank"
REGIONS = "on other sides of kinks"


@dataclass(frozen=True)
class Place:
    """A point and the entries to compare there; None stands for one with as many digits as are
    affordable, ``digits`` None for double precision.  On an ``edge`` of the domain a claim may have
    no value.
    """

    point: Point | None
    cases: Sequence[Case]
    family: str = ""
    digits: int | None = DIGITS
    edge: bool = False

    def refutes(self, gap: Gap) -> bool:
        return gap.refuted and not (self.edge and gap.undefined)


# digits that are certified where a side of a kink counts as seen
CERTIFIED = 6
# an error beyond which what a form adds may be hidden, a fair distance from its kink
BLURRED = 1e-3


@dataclass
class Seen:
    """Digits that agree, at points of which family, and what was not seen."""

    cases: Sequence[Case]
    reached: list[tuple[Point, int, str]] = field(default_factory=list)
    judged: set[str] = field(default_factory=set)
    judged_anywhere: set[str] = field(default_factory=set)
    # whether the errors at the last point are large: numbers of 1e10 known to ten digits
    blurred: bool = False

    def __post_init__(self) -> None:
        self.sides, self.sides_at_full_rank = (
            {c.name: Sides(cuts_of((c.claimed, c.derived))) for c in self.cases} for _ in range(2)
        )
        self._at_full_rank: dict[str, list[Gap]] = {c.name: [] for c in self.cases}
        # what counts where no better point is found
        self._faint: list[tuple[Sides, Mapping[sp.Symbol, sp.Expr]]] = []

    def note(self, point: Point, cases: Sequence[Case], gaps: Sequence[Gap], family: str) -> None:
        digits = min(gap.digits for gap in gaps)
        self.reached.append((point, digits, _position(point, family)))
        self.blurred = any(gap.error > BLURRED for gap in gaps)
        # dormant units are of full rank, though not in general position
        full = point.rank == point.model.units
        for case, gap in zip(cases, gaps, strict=True):
            self.judged.add(case.name)
            if full:
                self.judged_anywhere.add(case.name)
                self._at_full_rank[case.name].append(gap)
            sides = self.sides[case.name]
            at = point.values | case.more
            # where fewer digits are certified a difference on this side may be hidden by the error
            if gap.digits >= CERTIFIED and set(sides.names) <= set(at):
                for each in (sides, self.sides_at_full_rank[case.name])[: 1 + full]:
                    if gap.error > BLURRED:
                        self._faint.append((each, at))
                    else:
                        each.visit(at)

    def hidden(self) -> str:
        """What was not seen of some entry: sides of kinks, terms that are zero or too small."""
        for sides, at in self._faint:
            sides.visit(at)
        regions = [(c, signs) for c in self.cases for signs in self.sides[c.name].unvisited()]
        model = self.reached[0][0].model
        left = dict.fromkeys(
            describe(signs) for _, signs in regions if not is_impossible(model, signs)
        )
        if left:
            return f"no admissible point was found where {' or '.join(list(left)[:3])}"
        for case in self.cases:
            found = self._at_full_rank[case.name]
            terms = dict.fromkeys(t for gap in found for t in gap.terms)
            small = [t for t in terms if not any(g.sees(t) for g in found if t in g.terms)]
            if small:
                return f"{case.name}: {smallest_term(small)}"
        return ""

    def describe(self) -> str:
        """Digits and numbers of points, family by family."""
        parts = []
        for position in dict.fromkeys(p for *_, p in self.reached):
            found = [d for _, d, p in self.reached if p == position]
            parts.append(f"{min(found)} digits at {len(found)} points{position}")
        return " and ".join(parts)


def _position(point: Point, family: str) -> str:
    if not family:
        line = point.rank < point.model.units and point.rank == 1
        return " with all weight vectors on a line" if line else ""
    if family == GENERIC and (dormant := sum(1 for v in point.readout if v == 0)):
        units = "unit" if dormant == 1 else "units"
        return f" with {dormant} {units} dormant"
    return f" {family}"


def next_to(point: Point, cuts: Sequence[sp.Expr]) -> Iterator[Point]:
    """Points on both sides of the zeros of cuts that are linear in a parameter or a readout."""
    model = point.model
    names = {"precision": model.mixture.precision, "ridge": model.ridge, "step": model.step}
    for cut in cuts:
        for name, symbol in names.items():
            for root in _roots(cut, symbol, point):
                for factor in (sp.Rational(9, 10), sp.Rational(11, 10)):
                    if root > 0:
                        yield replace(point, **{name: root * factor})
        for i, v in enumerate(model.symbols.readout):
            for root in _roots(cut, v, point):
                for shift in (-1, 1):
                    readout = point.readout.as_mutable()
                    readout[i, 0] = root + sp.Rational(shift, 7)
                    yield replace(point, readout=readout.as_immutable())


def where_steps_vanish(
    point: Point, forms: Sequence[sp.Expr], cases: Sequence[Case]
) -> Iterator[Place]:
    """Points at zeros of forms, where steps of them have values of their own."""
    yield from (Place(p, cases, REGIONS, None) for p in on_kinks(point, forms))
    for edge in on_edges(point):
        defined = [c for c in cases if edge.is_regular or not c.needs_full_rank]
        yield from [Place(edge, defined, REGIONS, None, edge=True)] if defined else []


def on_kinks(point: Point, forms: Sequence[sp.Expr]) -> Iterator[Point]:
    """Points of full rank where a form that is linear in a parameter or an entry is zero."""
    model, s = point.model, point.model.symbols
    # overlaps and perpendicular parts are free, and Q follows from them
    held = {x: v for x, v in point.values.items() if x not in {*s.gram, *s.gram_inverse}}
    for form in forms:
        free = form.xreplace(model.gram_definition())
        for name, symbol in (
            ("precision", model.mixture.precision),
            ("ridge", model.ridge),
            ("step", model.step),
        ):
            roots = zeros_of(free, symbol, held)
            yield from (replace(point, **{name: r}) for r in roots if r > 0)
        for name, symbols in (("readout", s.readout), ("overlap", s.overlap)):
            for i, symbol in enumerate(symbols):
                for root in zeros_of(free, symbol, held):
                    moved = _with_entry(point, name, i, root)
                    yield from () if moved is None else (moved,)


def on_edges(point: Point) -> Iterator[Point]:
    """Points at edges of the domain, where what is never negative may be zero: without a ridge, and
    with weight vectors that are zero, or have no part off the directions.
    """
    if point.model.ridge.is_Symbol:
        yield replace(point, ridge=sp.Integer(0))
    size = point.rank
    for a in range(size):
        along, across = (m.as_mutable() for m in (point.along, point.across))
        for row in range(a, along.rows, size):
            across[row, :] = sp.zeros(1, size)
            first = row - a
            across[first : first + size, a] = sp.zeros(size, 1)
        yield replace(point, across=across.as_immutable())
        for row in range(a, along.rows, size):
            along[row, :] = sp.zeros(1, along.cols)
        yield replace(point, along=along.as_immutable(), across=across.as_immutable())


def _with_entry(point: Point, name: str, i: int, value: sp.Rational) -> Point | None:
    """A point of full rank with one entry of the overlaps or the readout changed.

    None where a band has nothing of some direction, along which no overlap can be.
    """
    if name == "readout":
        changed = point.readout.as_mutable()
        changed[i] = value
        return replace(point, readout=changed.as_immutable())
    if any(gamma.det() == 0 for *_, gamma in point.bands):
        return None
    parts = [along * gamma for along, _, gamma in point.bands]
    overlap = sp.Matrix.vstack(*parts).as_mutable()
    overlap[i] = value
    size = point.rank
    changed = [
        overlap[g * size : (g + 1) * size, :] * gamma.inv()
        for g, (*_, gamma) in enumerate(point.bands)
    ]
    return replace(point, along=sp.ImmutableDenseMatrix.vstack(*changed))


def _roots(cut: sp.Expr, symbol: sp.Expr, point: Point) -> list[sp.Rational]:
    """The zero of a cut that is linear in a symbol, the others having their numbers."""
    return zeros_of(cut, symbol, point.values) if cut.has(symbol) else []


def zeros_of(
    cut: sp.Expr, symbol: sp.Expr, values: Mapping[sp.Symbol, sp.Rational]
) -> list[sp.Rational]:
    """The zeros of a form that is linear in a symbol, the others having their numbers."""
    if not symbol.is_Symbol or not cut.has(symbol):
        return []
    line = cut.xreplace({s: v for s, v in values.items() if s != symbol})
    slope = line.diff(symbol)
    if slope == 0 or slope.free_symbols or line.free_symbols != {symbol}:
        return []
    root = -line.xreplace({symbol: sp.Integer(0)}) / slope
    return [root] if root.is_Rational else []

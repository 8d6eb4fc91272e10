"""Names of the entries of a quantity, known from the sizes of a model before anything is derived.

Each label also says where its expression stands in the derived object (``key``), so that a name is
written in this place alone.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TypeVar

import sympy as sp

from theory import symbols
from theory.names import CLUSTERS

T = TypeVar("T")

LATEX_CLUSTERS = {"mu": r"\mu", "-mu": r"-\mu", "nu": r"\nu", "-nu": r"-\nu", "0": "0"}
# matrices of a separated fixed point
SEPARATED = {"H": "hessian", "G": "gradient"}


@dataclass(frozen=True)
class Label:
    """One printed formula without its expression.

    ``name`` is what ``--entry`` accepts, ``latex`` the left-hand side in LaTeX.  ``group`` selects
    it together with others (a block); ``shown`` is written for the name where it is given.
    ``claim`` is the quantity of a claim, where the left-hand side does not say it.
    """

    name: str
    latex: str
    key: Hashable = ()
    group: str = field(default="", kw_only=True)
    shown: str = field(default="", kw_only=True)
    claim: str = field(default="", kw_only=True)

    @property
    def text(self) -> str:
        """The left-hand side as text."""
        return self.shown or self.name

    def entry(self, expression: sp.Expr) -> Entry:
        """This formula."""
        known = {f.name: getattr(self, f.name) for f in fields(Label)}
        return Entry(**known, expression=expression)


@dataclass(frozen=True)
class Entry(Label):
    """One printed formula."""

    expression: sp.Expr = field(default=sp.S.Zero, kw_only=True)


@dataclass(frozen=True)
class Indices:
    """The 0-based units, directions and readout parameters that entries are named for.

    ``total_directions`` is that of the model: the columns of V are the directions and then the
    units.  With bands they are the parts of directions in every band, then those of units, and
    names have the band first.
    """

    units: Sequence[int]
    directions: Sequence[int]
    readouts: Sequence[int]
    total_directions: int
    total_units: int
    bands: int = 1

    @classmethod
    def all(cls, units: int, directions: int, readout_size: int, bands: int = 1) -> Indices:
        """Those of a model."""
        ranges = range(units), range(directions), range(readout_size)
        return cls(*ranges, directions, units, bands)

    def among(self, few: set[int]) -> Indices:
        """Those of ``few``, and the ends of every range: large models have millions of entries,
        and a name speaks of a few indices.
        """

        def kept(whole: Sequence[int]) -> list[int]:
            ends = {*whole[:2], *whole[-1:]}
            return [i for i in whole if i in few or i in ends]

        return replace(
            self,
            units=kept(self.units),
            directions=kept(self.directions),
            readouts=kept(self.readouts),
        )

    @property
    def pairs(self) -> Iterator[tuple[int, int]]:
        """Units a <= b."""
        return _pairs(self.units)

    @property
    def overlaps(self) -> Iterator[tuple[int, int]]:
        """Units and directions."""
        return ((a, s) for a in self.units for s in self.directions)

    @property
    def leads(self) -> list[tuple[int, ...]]:
        """The band that stands first among the indices of a name; nothing where there is one."""
        return [(g,) for g in range(self.bands)] if self.bands > 1 else [()]

    @property
    def state(self) -> Iterator[sp.Symbol]:
        """Symbols of the state, in their order."""
        yield from (symbols.indexed("m", *g, a, s) for g in self.leads for a, s in self.overlaps)
        yield from (symbols.indexed("R", *g, a, b) for g in self.leads for a, b in self.pairs)
        yield from (symbols.indexed("v", i) for i in self.readouts)

    @property
    def basis(self) -> list[tuple[str, str, int]]:
        """Names of V = [e_1..e_r, x^1..x^C] in text and LaTeX, and the column."""
        r, c, found = self.total_directions, self.total_units, []
        for letter, mark, kept, first, size in (
            ("e", "_", self.directions, 0, r),
            ("x", "^", self.units, self.bands * r, c),
        ):
            for lead in self.leads:
                begin = first + sum(lead) * size
                for n in kept:
                    numbers = [*(g + 1 for g in lead), n + 1]
                    name = "_".join(map(str, (letter, *numbers)))
                    inner = f"{letter}{mark}{{{n + 1}}}"
                    latex = f"P_{{{lead[0] + 1}}} {inner}" if lead else inner
                    found.append((name, latex, begin + n))
        return found

    @property
    def bulks(self) -> list[tuple[str, str, int | None]]:
        """Names of the bulk in text and LaTeX, and the band, where there are several."""
        if self.bands == 1:
            return [("bulk", r"\mathrm{bulk}", None)]
        return [(f"bulk_{g + 1}", rf"\mathrm{{bulk}}_{{{g + 1}}}", g) for g in range(self.bands)]


def drift_labels(of: Indices) -> Iterator[Label]:
    """The state, and the corrector of every pair of units."""
    for s in of.state:
        yield Label(str(s), rf"\frac{{d {sp.latex(s)}}}{{dt}}", s, shown=f"d {s}/dt")
    for lead in of.leads:
        for a, b in of.pairs:
            numbers = [n + 1 for n in (*lead, a, b)]
            latex = rf"\mathrm{{corrector}}_{{{' '.join(map(str, numbers))}}}"
            name = "_".join(map(str, ("corrector", *numbers)))
            row = sum(lead) * of.total_units + a
            yield Label(name, latex, (row, b), group="corrector")


def gradient_labels(of: Indices) -> Iterator[Label]:
    """Coefficients of the gradient of every unit, and the gradients of the readout."""
    for a in of.units:
        for name, latex, column in of.basis:
            group = f"g_{a + 1}"
            yield Label(f"{group}[{name}]", f"g_{{{a + 1}}}[{latex}]", (a, column), group=group)
    for i in of.readouts:
        yield Label(f"g_v_{i + 1}", rf"g_{{v_{{{i + 1}}}}}", i, group="g_v")


def block_labels(of: Indices, letter: str) -> Iterator[Label]:
    """Coefficients of all blocks of a matrix: first layer, mixed, readout."""
    for a, b in of.pairs:
        group, latex = f"{letter}_{a + 1}_{b + 1}", rf"{letter}_{{{a + 1} {b + 1}}}"
        for name, inner, band in of.bulks:
            key = (a, b) if band is None else ("bulk", a, b, band)
            yield Label(f"{group}[{name}]", f"{latex}[{inner}]", key, group=group)
        # a diagonal block is symmetric
        for one, other in _pairs(of.basis) if a == b else _products(of.basis):
            name, inner = f"{group}[{one[0]},{other[0]}]", f"[{one[1]}, {other[1]}]"
            yield Label(name, latex + inner, (a, b, one[2], other[2]), group=group)
    for a in of.units:
        for i in of.readouts:
            group, latex = (f"{letter}_{a + 1}_v_{i + 1}", _mixed(letter, a, i))
            for name, inner, column in of.basis:
                key = ("mixed", a, i, column)
                yield Label(f"{group}[{name}]", f"{latex}[{inner}]", key, group=group)
    yield from _readout_labels(of, letter)


def diffusion_labels(of: Indices) -> Iterator[Label]:
    """Covariances of the state, each pair once."""
    for one, other in _pairs(list(of.state)):
        latex = rf"\mathrm{{Cov}}\left[{sp.latex(one)}, {sp.latex(other)}\right]"
        yield Label(f"Cov[{one},{other}]", latex, (one, other), group=str(one))


def softmax_point_labels(of: Indices, *, implicit: bool, solved: bool) -> Iterator[Label]:
    """Overlaps; of an implicit fixed point the equations of the gaps, and what they solve to."""
    overlaps = [symbols.indexed("m", a, s) for a, s in of.overlaps]
    for x in overlaps:
        yield Label(str(x), sp.latex(x), x, claim=f"fixed-point {x}" if implicit else "")
    for a in of.units if implicit else ():
        shown = f"0 [fixes s_{a + 1}]"
        yield Label(f"s_{a + 1}", "0", ("gap", a), shown=shown, claim="fixed-point 0")
    for x in overlaps if implicit and solved else ():
        latex = rf"\mathrm{{solved}}[{sp.latex(x)}]"
        yield Label(f"solved[{x}]", latex, ("solved", x), group="solved")


def separated_point_labels(
    of: Indices, assignment: Sequence[int | None], flows: int
) -> Iterator[Label]:
    """State, norms, eigenvalues of the flow, and all blocks on the two directions."""
    picked = [l for l in range(len(CLUSTERS)) if l in assignment]
    # claims are about the fixed point at which units pick the clusters in turn
    in_turn = all(l == i % len(CLUSTERS) for i, l in enumerate(assignment))
    for a, s in of.overlaps:
        m = symbols.indexed("m", a, s)
        yield Label(str(m), sp.latex(m), (a, s), claim=f"fixed-point {m}" if in_turn else "")
    for i in of.readouts:
        if assignment[i] is None:
            v = symbols.indexed("v", i)
            yield Label(str(v), sp.latex(v), v)
    for l in picked:
        name = CLUSTERS[l]
        latex = rf"\mathrm{{norm}}[{LATEX_CLUSTERS[name]}]"
        claim = f"fixed-point norm_{l + 1}" if in_turn else ""
        yield Label(f"norm[{name}]", latex, ("norm", l), group="norm", claim=claim)
    for n in range(flows):
        latex = rf"\mathrm{{flow}}_{{{n + 1}}}"
        yield Label(f"flow_{n + 1}", latex, ("flow", n), group="flow")
    for letter in SEPARATED:
        yield from _separated_blocks(of, letter)
    for letter in SEPARATED:
        for l in picked:
            name, group = CLUSTERS[l], f"eigenvalue_{letter}_v"
            latex = rf"\mathrm{{eigenvalue}}\ {letter}_v[{LATEX_CLUSTERS[name]}]"
            yield Label(f"{group}[{name}]", latex, (group, l), group=group)


def _separated_blocks(of: Indices, letter: str) -> Iterator[Label]:
    for i, j in of.pairs:
        group, latex = f"{letter}_{i + 1}_{j + 1}", rf"{letter}_{{{i + 1} {j + 1}}}"
        for s in of.directions:
            e = f"e_{s + 1}"
            inner, key = f"e_{{{s + 1}}}", (letter, i, j, s)
            yield Label(f"{group}[{e},{e}]", f"{latex}[{inner}, {inner}]", key, group=group)
    for i in of.units if letter == "H" else ():
        for j in of.readouts:
            group, latex = f"H_{i + 1}_v_{j + 1}", _mixed("H", i, j)
            for s in of.directions:
                name = f"{group}[e_{s + 1}]"
                yield Label(name, f"{latex}[e_{{{s + 1}}}]", ("mixed", i, j, s), group=group)
    yield from _readout_labels(of, letter)


def _readout_labels(of: Indices, letter: str) -> Iterator[Label]:
    for i, j in _pairs(of.readouts):
        latex = rf"{letter}_{{v_{{{i + 1}}} v_{{{j + 1}}}}}"
        name, key = f"{letter}_v_{i + 1}_v_{j + 1}", ("readout", letter, i, j)
        yield Label(name, latex, key, group=f"{letter}_v")


def _mixed(letter: str, a: int, i: int) -> str:
    return rf"{letter}_{{{a + 1}, v_{{{i + 1}}}}}"


def _pairs(of: Sequence[T]) -> Iterator[tuple[T, T]]:
    """Pairs of a sequence with i <= j, row by row."""
    return ((of[i], of[j]) for i, j in symbols.upper_triangle(len(of)))


def _products(of: Sequence[T]) -> Iterator[tuple[T, T]]:
    return ((one, other) for one in of for other in of)


def _blocks_of(letter: str) -> Callable[[Indices], Iterator[Label]]:
    return lambda of: block_labels(of, letter)


LABELS: dict[str, Callable[[Indices], Iterator[Label]]] = {
    "drift": drift_labels,
    "gradient": gradient_labels,
    "hessian": _blocks_of("H"),
    "gradient-matrix": _blocks_of("G"),
    "diffusion": diffusion_labels,
}

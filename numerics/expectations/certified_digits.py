r"""Gaussian expectations to many digits where they are integrals on a line or less, with an error
estimate.

The dimension is that of what an integrand sees: the rank of the covariance, less a gauge of the
loss.  Smooth integrands meet the trapezoidal rule, which converges exponentially on the line;
kinked ones Gauss-Legendre panels between their kinks; a Dirac delta becomes an integral over its
hyperplane.  Every value is computed by two rules, and the error reported is their difference, that
of the coarser, and what lies beyond the last node. :mod:`numerics.expectations.certified_double`
has the plane and space.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import mpmath
import sympy as sp

from theory import GaussianExpectation, ReLU, Step
from theory.expectations.gaussian_law import GaussianLaw
from theory.problem.kinks import split_deltas

from .high_precision import GUARD, Row, factor_of, high_precision_functions, number_of, reduce_rows
from .line_rules import edge_of, panels, trapezoid

Certified = tuple[Any, Any]  # value and error, numbers of mpmath

# steps of the trapezoidal rule (fine, then the coarser one that certifies it) and nodes of Legendre
# panels, in turn
STEPS = (0.12, 0.08, 0.05)
COARSER = 1.25
PANEL_NODES = (50, 70, 95, 130, 180)


class DimensionError(ArithmeticError):
    """The integral has more dimensions than this module has rules for."""


def many_digits(
    nodes: Iterable[GaussianExpectation],
    values: Mapping[sp.Symbol, sp.Expr],
    digits: int,
    gauge: sp.MatrixBase | None = None,
) -> dict[GaussianExpectation, Certified]:
    """Evaluate expectations at exact parameters.

    Parameters
    ----------
    nodes : iterable of GaussianExpectation
    values : mapping Symbol -> Rational
        Of every outer symbol: overlaps, Q, its pseudo-inverse P where w is used, precision,
        readout, ....
    digits : int
        Decimal digits asked for; what was reached is in the errors.
    gauge : matrix, C x g, optional
        Directions along which integrands may be constant; used for those that are.

    Returns
    -------
    dict node -> (value, error)

    Raises
    ------
    DimensionError
        An integral over a plane or more.

    Examples
    --------
    >>> from theory import kgmm, preactivation_law
    >>> law = preactivation_law(kgmm(2, directions_gram="orthonormal"), 0)
    >>> node = GaussianExpectation(sp.cos(law.variables[0]), law)
    >>> at = {s: sp.Integer(1) for s in node.free_symbols}
    >>> value, error = many_digits([node], at, 30)[node]
    >>> bool(abs(value - mpmath.cos(1) * mpmath.exp(-0.5)) < 1e-15), bool(error < 1e-30)
    (True, True)
    """
    groups: dict[GaussianLaw, list[GaussianExpectation]] = {}
    for node in dict.fromkeys(nodes):
        groups.setdefault(node.law, []).append(node)
    found: dict[GaussianExpectation, Certified] = {}
    with mpmath.workdps(digits + GUARD):
        for law, members in groups.items():
            found |= _of_law(law, members, values, digits, gauge)
    return found


@dataclass(frozen=True)
class _Piece:
    """c(u, w), or c(u, w) delta(k): what a node consists of."""

    node: GaussianExpectation
    integrand: sp.Expr
    delta: sp.Expr | None


def _of_law(
    law: GaussianLaw,
    nodes: list[GaussianExpectation],
    values: Mapping[sp.Symbol, sp.Expr],
    digits: int,
    gauge: sp.MatrixBase | None,
) -> dict[GaussianExpectation, Certified]:
    size = len(law.variables)
    mean = [number_of(e.xreplace(values)) for e in law.mean]
    factor = factor_of(
        [[number_of(e) for e in row] for row in law.covariance.xreplace(values).tolist()], digits
    )
    total: dict[GaussianExpectation, Certified] = {
        node: (mpmath.mpf(0), mpmath.mpf(0)) for node in nodes
    }
    pieces: dict[tuple[sp.Expr | None, bool], list[_Piece]] = {}
    for node in nodes:
        regular, deltas = split_deltas(node.integrand)
        parts = [_Piece(node, regular, None)] + [_Piece(node, c, k) for k, c in deltas.items()]
        for part in parts:
            if part.integrand != 0:
                pieces.setdefault((part.delta, node.uses_whitening), []).append(part)
    for (delta, whitened), members in pieces.items():
        rows = [(m, *r) for m, r in zip(mean, factor, strict=True)]
        if whitened:
            inverse = [
                [number_of(e) for e in row] for row in law.gram_inverse.xreplace(values).tolist()
            ]
            for c in range(size):
                combined = [
                    mpmath.fsum(inverse[c][a] * factor[a][j] for a in range(size))
                    for j in range(len(factor[0]))
                ]
                rows.append((mpmath.mpf(0), *combined))
        scale = mpmath.mpf(1)
        if delta is not None:
            rows, scale = _on_hyperplane(rows, _affine(delta, law, values))
        functions = _Integrands(law, [m.integrand for m in members], values, whitened)
        for piece, (value, error) in zip(
            members, _integrate(functions, rows, digits, gauge), strict=True
        ):
            known, bound = total[piece.node]
            total[piece.node] = (known + scale * value, bound + abs(scale) * error)
    return total


@lru_cache(maxsize=2_000)
def _compiled(names: tuple[sp.Symbol, ...], integrands: tuple[sp.Expr, ...]) -> Callable[..., Any]:
    """Code for integrands, which are met again at every point."""
    known = [high_precision_functions(), "mpmath"]
    code: Callable[..., Any] = sp.lambdify(names, list(integrands), known, cse=True)
    return code


class _Integrands:
    """Compiled integrands of one law, and the kinks that they have."""

    def __init__(
        self,
        law: GaussianLaw,
        integrands: list[sp.Expr],
        values: Mapping[sp.Symbol, sp.Expr],
        whitened: bool,
    ) -> None:
        self.size = len(law.variables)
        self.whitened = whitened
        self.count = len(integrands)
        bound = [*law.variables, *(law.whitened if whitened else ())]
        outer = sorted(set().union(*(e.free_symbols for e in integrands)) - set(bound), key=str)
        self._outer = [number_of(values[s]) for s in outer]
        self._function = _compiled((*bound, *outer), tuple(integrands))
        atoms = sorted(
            set().union(*(e.atoms(ReLU, Step) for e in integrands)), key=sp.default_sort_key
        )
        self.kinks = list(dict.fromkeys(_affine(a.args[0], law, values) for a in atoms))

    def __call__(self, arguments: Sequence[Any]) -> list[Any]:
        result: list[Any] = self._function(*arguments, *self._outer)
        return result


def _integrate(
    functions: _Integrands, rows: list[Row], digits: int, gauge: sp.MatrixBase | None
) -> list[Certified]:
    """Mean of the integrands where argument i is rows[i] . (1, z), z standard normal."""
    rows = _without_gauge(functions, rows, gauge)
    means, slopes = [r[0] for r in rows], reduce_rows([list(r[1:]) for r in rows], digits)
    dimension = len(slopes[0]) if slopes else 0
    kinks = [
        (
            offset + mpmath.fsum(c * means[a] for a, c in enumerate(row)),
            tuple(
                mpmath.fsum(c * slopes[a][j] for a, c in enumerate(row)) for j in range(dimension)
            ),
        )
        for offset, row in functions.kinks
    ]

    line = [(m, slope[0]) for m, slope in zip(means, slopes, strict=True)] if dimension == 1 else []

    def at(z: Sequence[Any]) -> list[Any]:
        if line:
            return functions([m + s * z[0] for m, s in line])
        return functions(
            [
                m + mpmath.fsum(s * x for s, x in zip(slope, z, strict=True))
                for m, slope in zip(means, slopes, strict=True)
            ]
        )

    if dimension == 0:
        return [(mpmath.mpf(v), mpmath.mpf(0)) for v in at(())]
    if dimension > 1:
        raise DimensionError(
            f"an integral in dimension {dimension}: many digits are affordable on a line"
        )
    wanted = mpmath.mpf(10) ** (-digits)
    best: list[Certified] = []
    cuts = [k for k in kinks if any(abs(s) > wanted for s in k[1])]
    rules: Iterator[tuple[Any, Any]] = (
        (zip(PANEL_NODES[1:], PANEL_NODES, strict=False))
        if cuts
        else ((h, h * COARSER) for h in STEPS)
    )
    # what lies beyond the last node, seen by no refinement
    edge = edge_of(digits)
    outside = _beyond(at, edge, [-offset / slope for offset, (slope,) in cuts])
    coarse: list[Any] | None = None
    for fine_rule, coarse_rule in rules:
        if cuts:
            coarse = (
                panels(at, cuts, coarse_rule, digits, functions.count) if coarse is None else coarse
            )
            fine = panels(at, cuts, fine_rule, digits, functions.count)
        else:
            coarse = trapezoid(at, coarse_rule, digits, functions.count)
            fine = trapezoid(at, fine_rule, digits, functions.count)
        best = [(f, abs(f - c) + o) for f, c, o in zip(fine, coarse, outside, strict=True)]
        if all(e <= wanted * (1 + abs(v)) for v, e in best):
            break
        coarse = fine
    return best


def _beyond(at: Callable[[Sequence[Any]], list[Any]], edge: Any, cuts: Sequence[Any]) -> list[Any]:
    """How large what lies beyond the last node may be: a function that is 0 up to a kink out there
    is not 0.
    """
    far = [c + mpmath.sign(c) for c in cuts if abs(c) >= edge]
    values = zip(*(at((z,)) for z in (edge, -edge, *far)), strict=True)
    return [mpmath.fsum(map(abs, v)) * mpmath.npdf(edge) for v in values]


def _on_hyperplane(rows: list[Row], kink: tuple[Any, Row]) -> tuple[list[Row], Any]:
    """Arguments on the hyperplane k = 0, in coordinates orthonormal to it, and the density of k at
    0.
    """
    offset, coefficients = kink
    width = len(rows[0])
    value = [mpmath.fsum(c * rows[a][j] for a, c in enumerate(coefficients)) for j in range(width)]
    height, normal = value[0] + offset, value[1:]
    length = mpmath.sqrt(mpmath.fsum(n * n for n in normal))
    if length == 0:
        raise DimensionError("a Dirac delta of a pre-activation without noise")
    unit = [n / length for n in normal]
    found = []
    for row in rows:
        along = mpmath.fsum(r * n for r, n in zip(row[1:], unit, strict=True))
        found.append(
            (
                row[0] - along * height / length,
                *(r - along * n for r, n in zip(row[1:], unit, strict=True)),
            )
        )
    return found, mpmath.npdf(height / length) / length


def _without_gauge(
    functions: _Integrands, rows: list[Row], gauge: sp.MatrixBase | None
) -> list[Row]:
    """Rows of u without their part along a gauge, if the integrands do not see it."""
    if gauge is None or functions.kinks:
        return rows
    c = functions.size
    base = [mpmath.mpf(i + 2) / 7 for i in range(len(rows))]
    for column in range(gauge.shape[1]):
        n = [number_of(gauge[a, column]) for a in range(c)]
        moved = [b + (n[i] * mpmath.mpf(3) / 11 if i < c else 0) for i, b in enumerate(base)]
        here, there = functions(base), functions(moved)
        if any(
            abs(x - y) > mpmath.mpf(10) ** (10 - mpmath.mp.dps) * (1 + abs(x))
            for x, y in zip(here, there, strict=True)
        ):
            return rows
        # u and u - (n . u) n / |n|^2 are the same to the integrands
        square = mpmath.fsum(x * x for x in n)
        width = len(rows[0])
        mean = [mpmath.fsum(n[a] * rows[a][j] for a in range(c)) / square for j in range(width)]
        rows = [
            tuple(r - n[i] * mean[j] for j, r in enumerate(row)) if i < c else row
            for i, row in enumerate(rows)
        ]
    return rows


def _affine(
    form: sp.Expr, law: GaussianLaw, values: Mapping[sp.Symbol, sp.Expr]
) -> tuple[Any, Row]:
    """(c, a) with form = c + a . u."""
    origin = dict.fromkeys(law.variables, sp.Integer(0))
    row = [form.diff(u) for u in law.variables]
    if any(e.free_symbols & set(law.variables) for e in row):
        raise DimensionError(f"the kink {form}, which is not affine in the pre-activations")
    return number_of(form.xreplace(origin).xreplace(values)), tuple(
        number_of(e.xreplace(values)) for e in row
    )

r"""Random admissible points: exact parameters and a state that weight vectors in R^d really have.

.. math:: x^a = \sum_k A_{ak}f_k,\quad f_k=\sum_s C_{ks}e_s+n_k,\quad
          n_k\cdot n_{k'}=N_{kk'},\; n_k\perp e_s,

so that :math:`m=AC\Gamma`, :math:`R_\perp=ANA^T`, and Q has the rank of A: with one column all
weight vectors lie on a line, and every Gaussian integral is one on a line.  With bands C, N and
Gamma are those of each band, A is one for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

import numpy as np
import sympy as sp
from sympy import QQ
from sympy.polys.matrices import DomainMatrix
from sympy.polys.matrices.exceptions import DMNonInvertibleMatrixError

from theory import Model

from .drawn_parameters import drawn_noise, drawn_weights, partial_gram


@dataclass(frozen=True)
class Point:
    """Exact parameters and state.

    Attributes
    ----------
    model : Model
    mixing : matrix A, C x rank
    along : matrix C, rank x r
    across : matrix N, rank x rank, positive semidefinite
    gamma : matrix, r x r
        Of several bands C, N and Gamma stand one below the other.
    weights : matrix, n x 1
    readout : matrix, q x 1
    precision, ridge, step : Rational
    others : tuple of (Symbol, Rational)
        Symbols that stand inside of weights or of the Gram matrix, as in (p_1, 1 - p_1), of bands,
        and free parameters of the loss.
    """

    model: Model
    mixing: sp.ImmutableDenseMatrix
    along: sp.ImmutableDenseMatrix
    across: sp.ImmutableDenseMatrix
    gamma: sp.ImmutableDenseMatrix
    weights: sp.ImmutableDenseMatrix
    readout: sp.ImmutableDenseMatrix
    precision: sp.Rational
    ridge: sp.Rational
    step: sp.Rational
    others: tuple[tuple[sp.Symbol, sp.Rational], ...] = ()

    @property
    def rank(self) -> int:
        return int(self.mixing.shape[1])

    @property
    def is_regular(self) -> bool:
        """Q, or the Gram matrix of all fields, is invertible."""
        return all(gram.det() != 0 for gram in self._field_grams(self.values))

    @cached_property
    def bands(self) -> list[tuple[sp.MatrixBase, sp.MatrixBase, sp.MatrixBase]]:
        """C, N and Gamma of every band."""
        return list(zip(*map(self._by_bands, (self.along, self.across, self.gamma)), strict=True))

    def _by_bands(self, matrix: sp.MatrixBase) -> list[sp.MatrixBase]:
        size = matrix.rows // self.model.bands
        return [matrix[g * size : (g + 1) * size, :] for g in range(self.model.bands)]

    def _field_grams(self, values: dict[sp.Symbol, sp.Rational]) -> list[sp.MatrixBase]:
        """lambda times the covariances of the fields, in every component if these differ."""
        laws = range(self.model.components if self.model.mixture.bands is not None else 1)
        return [self.model.field_gram_of(l).xreplace(values) for l in laws]

    @cached_property
    def values(self) -> dict[sp.Symbol, sp.Rational]:
        """Numbers of all outer symbols, Q and its pseudo-inverse included."""
        s, a, stacked = self.model.symbols, self.mixing, sp.Matrix.vstack
        found = dict(self._parameters())
        found |= dict(zip(s.readout, self.readout, strict=True))
        units_alone = len(s.fields) == self.model.units * self.model.tokens
        names = [s.overlap, s.gram_perp, s.gram, *([s.gram_inverse] if units_alone else [])]
        numbers = self._products() if self.model.mixture.bands is None else None
        if numbers is None:  # bands, numbers that are no fractions, or a singular Q
            inner = [along * gamma * along.T + across for along, across, gamma in self.bands]
            numbers = [
                list(stacked(*matrices))
                for matrices in (
                    [a * along * gamma for along, _, gamma in self.bands],
                    [a * across * a.T for _, across, _ in self.bands],
                    [a * each * a.T for each in inner],
                    [_pseudo_inverse(a, each) for each in self._seen(inner, found)],
                )
            ]
        for group, entries in zip(names, numbers, strict=False):
            found |= dict(zip(group, entries, strict=True))
        if units_alone:
            return found
        grams = self._field_grams(found)
        inverses = [gram.inv() if gram.det() != 0 else gram.pinv() for gram in grams]
        return found | dict(zip(s.gram_inverse, stacked(*inverses), strict=True))

    def _products(self) -> list[list[sp.Rational]] | None:
        """Entries of m, R_perp, Q and its pseudo-inverse, which exists through full-rank factors;
        None where it does not, or where numbers are no fractions.
        """
        given = (self.mixing, self.along, self.across, self.gamma)
        if not all(x.is_Rational for matrix in given for x in matrix):
            return None
        a, along, across, gamma = map(_over_rationals, given)
        back = a.transpose()
        inner = along * gamma * along.transpose() + across
        try:
            left = a * (back * a).inv()
            core = inner.inv()
        except DMNonInvertibleMatrixError:
            return None
        found = (
            a * along * gamma,
            a * across * back,
            a * inner * back,
            left * core * left.transpose(),
        )
        return [[QQ.to_sympy(x) for x in matrix.to_list_flat()] for matrix in found]

    def _seen(
        self, inner: list[sp.MatrixBase], found: dict[sp.Symbol, sp.Rational]
    ) -> list[sp.MatrixBase]:
        """What the weights are mixed from, as every component sees it: times its variances."""
        mixture = self.model.mixture
        if mixture.bands is None:
            return inner
        return [
            sum(
                (mixture.variance(l, g).xreplace(found) * each for g, each in enumerate(inner)),
                sp.zeros(self.rank),
            )
            for l in range(self.model.components)
        ]

    def _parameters(self) -> Iterator[tuple[sp.Symbol, sp.Rational]]:
        model = self.model
        pairs = [
            *zip(model.mixture.weights, self.weights, strict=True),
            *zip(model.mixture.directions_gram, self.gamma, strict=True),
            (model.mixture.precision, self.precision),
            (model.ridge, self.ridge),
            (model.step, self.step),
        ]
        yield from ((name, value) for name, value in pairs if name.is_Symbol)
        yield from self.others

    def describe(self) -> dict[str, str]:
        """The point by the names of its symbols, without what follows from the others."""
        s = self.model.symbols
        shown = [*dict(self._parameters()), *s.overlap, *dict.fromkeys(s.gram_perp), *s.readout]
        return {str(name): str(self.values[name]) for name in shown}


def _over_rationals(matrix: sp.MatrixBase) -> DomainMatrix:
    """The same with numbers of the field of fractions, far quicker than those of SymPy."""
    rows = [[QQ(int(x.p), int(x.q)) for x in row] for row in matrix.tolist()]
    return DomainMatrix(rows, matrix.shape, QQ)


def _pseudo_inverse(
    a: sp.ImmutableDenseMatrix, inner: sp.ImmutableDenseMatrix
) -> sp.ImmutableDenseMatrix:
    """Of A G A^T, through full-rank factors; 0 where there is no room for any."""
    if a.rank() < a.cols or inner.rank() < inner.rows:
        gram = a * inner * a.T
        return sp.ImmutableDenseMatrix(gram.pinv()) if any(gram) else gram
    square = (a.T * a).inv()
    return sp.ImmutableDenseMatrix(a * square * inner.inv() * square * a.T)


def random_point(model: Model, rng: np.random.Generator, rank: int | None = None) -> Point:
    """Draw a point whose Q has the given rank (full when omitted).

    All numbers are rationals with small denominators, none of them zero.  The precision is between
    1 and 4, the variances of the pre-activations about 1/2: terms of different order in 1/lambda
    are then of similar size.
    """
    c, r, q = model.units, model.directions, model.readout_size
    rank = c if rank is None else rank

    def number(low: float, high: float) -> sp.Rational:
        value = 0
        while value == 0:
            value = int(rng.integers(int(60 * low), int(60 * high) + 1))
        return sp.Rational(value, 60)

    def matrix(rows: int, columns: int, scale: float) -> sp.ImmutableDenseMatrix:
        # no two of the same size: units that coincide, and entries read for each other, would hide
        # a mistake
        count = rows * columns
        denominator = 60 * (1 + 2 * count // int(60 * scale))
        sizes = rng.choice(np.arange(1, int(denominator * scale) + 1), count, replace=False)
        signs = rng.choice([-1, 1], count)
        return sp.ImmutableDenseMatrix(
            rows, columns, [sp.Rational(int(n), denominator) for n in sizes * signs]
        )

    def positive(size: int, scale: float, floor: sp.Rational) -> sp.ImmutableDenseMatrix:
        root = matrix(size, size, scale)
        return sp.ImmutableDenseMatrix(floor * sp.eye(size) + root * root.T)

    def of_bands(draw: Callable[[], sp.MatrixBase]) -> sp.ImmutableDenseMatrix:
        return sp.ImmutableDenseMatrix.vstack(*(draw() for _ in range(model.bands)))

    if rank == c:
        mixing = sp.ImmutableDenseMatrix(sp.eye(c))
    else:
        mixing = matrix(c, rank, 1.1)
        while mixing.rank() < rank:
            mixing = matrix(c, rank, 1.1)
    gram = model.mixture.directions_gram
    open_entries = [x for x in gram if x.is_Symbol]
    drawn: dict[sp.Symbol, sp.Rational] = {}
    if gram.free_symbols and len(open_entries) < len(gram):
        drawn |= partial_gram(model.mixture, number)
        gram = gram.xreplace(drawn)
    fixed = not gram.free_symbols
    raw = [number(0.4, 1.6) for _ in range(model.components)]
    while len(set(raw)) < min(len(raw), 50):  # equal weights would hide one read for another
        raw = [number(0.4, 1.6) for _ in range(model.components)]
    weights, hidden = drawn_weights(model.mixture.weights, raw, number)
    drawn |= hidden
    for each in model.loss.free_parameters:
        low, high = each.drawn
        drawn[each.symbol] = low + (high - low) * number(0.05, 0.95)
    drawn |= drawn_noise(model.mixture, number)
    plain = {*model.mixture.weights, *model.mixture.directions_gram}
    return Point(
        model,
        mixing,
        matrix(model.bands * rank, r, 0.8),
        of_bands(lambda: positive(rank, 0.5, sp.Rational(1, 4))),
        sp.ImmutableDenseMatrix(gram)
        if fixed
        else of_bands(lambda: positive(r, 0.5, sp.Rational(3, 4))),
        sp.ImmutableDenseMatrix(model.components, 1, weights),
        matrix(q, 1, 1.2) if q else sp.ImmutableDenseMatrix(0, 1, []),
        number(1.2, 4) if model.mixture.precision.is_Symbol else model.mixture.precision,
        number(0.1, 0.6) if model.ridge.is_Symbol else model.ridge,
        number(0.5, 1.5) if model.step.is_Symbol else model.step,
        tuple((s, v) for s, v in drawn.items() if s not in plain),
    )


# ends of the decades from which parameters are drawn, (small, large) of each
DECADES = {
    "precision": ((0.02, 0.5), (12, 2000)),
    "ridge": ((0.0005, 0.05), (1.1, 60)),
    "step": ((0.005, 0.2), (4, 300)),
}


def far_point(
    model: Model, rng: np.random.Generator, sides: Sequence[int], rank: int | None = None
) -> Point:
    """A point whose precision, ridge and step are small (0) or large (1), over decades."""
    point = random_point(model, rng, rank)
    changed = {}
    for side, (name, ends) in zip(sides, DECADES.items(), strict=True):
        symbol = model.mixture.precision if name == "precision" else getattr(model, name)
        if symbol.is_Symbol:
            low, high = np.log10(ends[side])
            exact = sp.Rational(round(10 ** rng.uniform(low, high) * 10**4), 10**4)
            changed[name] = max(exact, sp.Rational(1, 10**4))
    return replace(point, **changed)


def scaled_point(model: Model, rng: np.random.Generator, rank: int | None = None) -> Point:
    """A point with small or large parameters, overlaps, perpendicular parts and readouts."""
    point = far_point(model, rng, rng.integers(0, 2, 3).tolist(), rank)
    sizes = [sp.Rational(round(10 ** rng.uniform(-1.5, 1.5) * 1000), 1000) for _ in range(3)]
    return replace(
        point,
        along=point.along * sizes[0],
        across=point.across * sizes[1],
        readout=point.readout * sizes[2],
    )


def wide_points(model: Model, rng: np.random.Generator, count: int) -> Iterator[Point]:
    """Points of full rank, every other one with small or large numbers."""
    for n in range(count):
        yield (random_point, scaled_point)[n % 2](model, rng)


def dormant_points(
    model: Model, rng: np.random.Generator, active: int, most: int = 6
) -> Iterator[Point]:
    """Points of full rank at which only ``active`` units feed the output: v_a is zero for the
    others.

    These have no overlap with anything, so that Q is block-diagonal: the whitened pre-activations
    of the active units depend on their pre-activations alone, and integrals over all units become
    integrals over the active ones.  There are such points where the loss does not see a unit whose
    readout vanishes.
    """
    s, c = model.symbols, model.units
    if model.readout_size != c or c <= active:
        return
    for u, v in zip(s.preactivation, s.readout, strict=True):
        if u in model.loss.expression.xreplace({v: sp.Integer(0)}).free_symbols:
            return
    chosen = list(combinations(range(c), active))
    for index in rng.permutation(len(chosen))[:most]:
        units = chosen[int(index)]
        point = random_point(model, rng)
        along, across, readout = (
            m.as_mutable() for m in (point.along, point.across, point.readout)
        )
        for a in set(range(c)) - set(units):
            readout[a, 0] = 0
            for first in range(0, along.rows, c):
                along[first + a, :] = sp.zeros(1, along.cols)
                for b in units:
                    across[first + a, b] = across[first + b, a] = 0
        yield replace(
            point,
            along=along.as_immutable(),
            across=across.as_immutable(),
            readout=readout.as_immutable(),
        )


def shrink(point: Point, refuted: Callable[[Point], bool], budget: int = 60) -> Point:
    """The simplest point found at which something is still refuted: zeros, ones and equal weights
    where possible.
    """
    tried = 0

    def attempt(candidate: Point) -> bool:
        nonlocal point, tried
        if tried >= budget or candidate == point:
            return False
        tried += 1
        if refuted(candidate):
            point = candidate
            return True
        return False

    model, one, zero = point.model, sp.Integer(1), sp.Integer(0)
    if model.mixture.precision.is_Symbol:
        attempt(replace(point, precision=one))
    if model.step.is_Symbol:
        attempt(replace(point, step=one))
    if model.ridge.is_Symbol:
        attempt(replace(point, ridge=zero)) or attempt(replace(point, ridge=one))
    if all(p.is_Symbol for p in model.mixture.weights):
        n = model.components
        attempt(replace(point, weights=sp.ImmutableDenseMatrix(n, 1, [sp.Rational(1, n)] * n)))
    if all(x.is_Symbol for x in model.mixture.directions_gram):
        whole = [sp.ImmutableDenseMatrix(sp.eye(model.directions))] * model.bands
        attempt(replace(point, gamma=sp.ImmutableDenseMatrix.vstack(*whole)))
    for name in ("along", "across", "mixing", "readout"):
        shape = getattr(point, name).shape
        for fill in (sp.zeros(*shape), sp.eye(*shape), sp.ones(*shape)):
            if attempt(replace(point, **{name: sp.ImmutableDenseMatrix(fill)})):
                break
    for name in ("along", "mixing", "readout"):
        for i in range(getattr(point, name).rows):
            for j in range(getattr(point, name).cols):
                for value in (zero, one):
                    current = getattr(point, name)
                    if abs(current[i, j]) <= abs(value) and current[i, j].is_Integer:
                        continue
                    changed = current.as_mutable()
                    changed[i, j] = value
                    if attempt(replace(point, **{name: changed.as_immutable()})):
                        break
    return point

r"""The random part G of one step of SGD, and the tensors of its first two moments.

The increments of the statistics are sums of terms: a weight of the loss, times a linear feature
:math:`Y\cdot e_s` or :math:`\zeta_b=Y\cdot x_\perp^b` or none.  Deterministic parts (the ridge)
drop out of a covariance and are left away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import sympy as sp

from theory.expectations.contracted import ContractedMatrix, ContractedVector, Selection
from theory.expectations.contraction import Contraction, Operand, Tensor, Term, sum_of
from theory.expectations.moment_tensors import ETA, KAPPA, MomentTensors, WeightKind, scaled
from theory.problem.updating.update import DOMINANT
from theory.symbols import upper_triangle

DIRECTION, PERPENDICULAR = "direction", "perpendicular"
# the same letters for a second statistic
_SECOND = str.maketrans("absigzrp", "eftjhywq")


@dataclass(frozen=True)
class Feature:
    """A linear form of the data: Y_p . P_g e_s or Y_p . P_g x_perp^b, by its kind and letters."""

    kind: str
    letter: str
    band: str = "g"
    token: str = "p"


@dataclass(frozen=True)
class Part:
    """factor * h * L, times operands that do not vary within a component."""

    factor: sp.Expr
    weight: WeightKind
    letters: str
    feature: Feature | None = None
    operands: tuple[Operand, ...] = ()

    def renamed(self) -> Part:
        """The same with the letters of a second statistic."""
        feature = self.feature
        if feature is not None:
            letters = (feature.letter, feature.band, feature.token)
            feature = Feature(feature.kind, *(e.translate(_SECOND) for e in letters))
        operands = tuple((x, letters.translate(_SECOND)) for x, letters in self.operands)
        return Part(self.factor, self.weight, self.letters.translate(_SECOND), feature, operands)


@dataclass(frozen=True)
class Statistic:
    """The increments of one kind of statistics.

    Attributes
    ----------
    letters : str
    shape : tuple of int
    indices : tuple of tuple of int
        The entries that belong to the state, in its order.
    parts : tuple of Part
    """

    letters: str
    shape: tuple[int, ...]
    indices: tuple[tuple[int, ...], ...]
    parts: tuple[Part, ...]


class Increments:
    """The increments of all statistics of a model, and their moments as contractions."""

    def __init__(self, tensors: MomentTensors) -> None:
        self.t = tensors
        model = tensors.model
        q = model.readout_size
        squares = (*tensors.variance("lg"), *tensors.fraction("g"))
        one, corrector = sp.Integer(1), -model.step / model.mixture.precision
        step, rule = tensors.unit_step, model.rule
        overlap: tuple[Part, ...] = (Part(one, step, "ap", Feature(DIRECTION, "s")),)
        gram_perp: tuple[Part, ...] = (
            Part(one, step, "ap", Feature(PERPENDICULAR, "b")),
            Part(one, step, "bp", Feature(PERPENDICULAR, "a")),
            Part(corrector, step + step, "apbp", operands=squares),
        )
        if rule is not None and rule.project == DOMINANT:
            gram_perp = ()
        if model.loss.statistics:
            m, r, gamma = tensors.overlap, tensors.gram_perp, tensors.directions_gram
            overlap += (
                Part(one, KAPPA, "az", operands=((m, "zs"),)),
                Part(one, ETA, "ar", operands=((gamma, "rs"),)),
            )
            gram_perp += (
                Part(one, KAPPA, "az", operands=((r, "zb"),)),
                Part(one, KAPPA, "bz", operands=((r, "za"),)),
            )
        readout = (Part(one, tensors.readout_step, "i"),)
        s, over = model.symbols, tensors.over
        pairs = tuple(product(*map(range, s.overlap_shape)))
        self.statistics = (
            Statistic(over("gas"), s.overlap_shape, pairs, overlap),
            Statistic(over("gab"), s.gram_shape, s.gram_indices, gram_perp),
            Statistic("i", (q,), tuple((i,) for i in range(q)), readout),
        )

    def mean(self, statistic: Statistic) -> Contraction:
        """E[G]."""
        parts = (
            self._kept(
                scaled(self._first(p.weight, p.letters, p.feature, *p.operands), p.factor), p
            )
            for p in statistic.parts
        )
        return sum_of(statistic.letters, statistic.shape, *parts)

    def second(self, left: Statistic, right: Statistic) -> Contraction:
        """E[G G'], with the letters of a second statistic for G'."""
        letters = left.letters + right.letters.translate(_SECOND)
        pairs = ((p, other.renamed()) for p in left.parts for other in right.parts)
        parts = (
            self._kept(scaled(self._product(p, other), p.factor * other.factor), p, other)
            for p, other in pairs
        )
        return sum_of(letters, left.shape + right.shape, *parts)

    def _kept(self, terms: list[Term], *parts: Part) -> list[Term]:
        """What a rule that projects keeps of the features along directions."""
        for part in parts:
            if part.feature is not None and part.feature.kind == DIRECTION:
                terms = self.t.along_directions(terms, part.feature.letter)
        return terms

    def _along(self, feature: Feature, unit: str, teacher: str) -> list[tuple[str, str, Operand]]:
        """What the loss sees along the vector of a feature: the units and, not orthogonal to a
        direction, the teachers; each as letter, letter if it is of a teacher, and inner product.
        """
        over, band = self.t.over, feature.band
        if feature.kind == DIRECTION:
            found = [(unit, "", (self.t.overlap, over(band + unit + feature.letter)))]
            if self.t.model.loss.teachers:
                gamma = (self.t.directions_gram, over(band + teacher + feature.letter))
                found.append((teacher, teacher, gamma))
            return found
        return [(unit, "", (self.t.gram_perp, over(band + feature.letter + unit)))]

    def _slopes(
        self, kind: WeightKind, letters: str, feature: Feature, *rest: Operand
    ) -> list[Term]:
        """E[h (L - E L)] times operands that do not vary."""
        found: list[Term] = []
        rest = (*rest, *self.t.variance("l" + feature.band))
        for letter, teacher, inner in self._along(feature, "c", "n"):
            along = letter if teacher else letter + feature.token
            found += self.t.slope(kind, letters, along, *rest, inner, teachers=teacher)
        return found

    def _means(self, *features: Feature) -> list[Operand] | None:
        """The means of features, None where one of them is 0."""
        if any(f.kind != DIRECTION for f in features):
            return None
        over = self.t.over
        letters = (over(f.band + "l" + f.token + f.letter) for f in features)
        return [(self.t.mean_overlaps, each) for each in letters]

    def _first(
        self, kind: WeightKind, letters: str, feature: Feature | None, *rest: Operand
    ) -> list[Term]:
        """E[h L] times operands that do not vary within a component."""
        if feature is None:
            return self.t.mean(kind, letters, *rest)
        terms = self._slopes(kind, letters, feature, *rest)
        means = self._means(feature)
        return terms if means is None else terms + self.t.mean(kind, letters, *rest, *means)

    def _product(self, left: Part, right: Part) -> list[Term]:
        """E[h L h' L'], without the factors."""
        kind, letters = left.weight + right.weight, left.letters + right.letters
        one, other = left.feature, right.feature
        if one is None or other is None:
            rest = (*left.operands, *right.operands)
            return self._first(kind, letters, one or other, *rest)
        terms: list[Term] = []
        variances = (self.t.variance("l" + one.band), self.t.variance("l" + other.band))
        means = self._means(one, other)
        if means is not None:
            terms += self.t.mean(kind, letters, *means)
        if one.kind == other.kind:
            gram: Tensor = self.t.directions_gram if one.kind == DIRECTION else self.t.gram_perp
            products = (gram, self.t.over(one.band + one.letter + other.letter))
            same = (
                *self.t.same_band(one.band + other.band),
                *self.t.same_token(one.token, other.token),
            )
            inner = self.t.mean(kind, letters, products, *variances[0], *same)
            terms += scaled(inner, 1 / self.t.model.mixture.precision)
        for each, varying in ((one, other), (other, one)):
            means = self._means(each)
            if means is not None:
                terms += self._slopes(kind, letters, varying, *means)
        for (c, first, left_inner), (d, second, right_inner) in product(
            self._along(one, "c", "n"), self._along(other, "d", "o")
        ):
            inners = (left_inner, right_inner, *variances[0], *variances[1])
            along = (c if first else c + one.token), (d if second else d + other.token)
            terms += self.t.curvature(kind, letters, *along, *inners, teachers=first + second)
        return terms


class IncrementMoments:
    """First two moments of the increments in the order of the state."""

    def __init__(self, increments: Increments) -> None:
        statistics = increments.statistics
        self._at = [(n, index) for n, s in enumerate(statistics) for index in s.indices]
        self._indices = [s.indices for s in statistics]
        self._pairs = upper_triangle(len(statistics))
        self._second = {
            (n, o): increments.second(statistics[n], statistics[o]) for n, o in self._pairs
        }
        self._first = [increments.mean(s) for s in statistics]

    @cached_property
    def second_moment(self) -> ContractedMatrix:
        """E[G G^T], symmetric."""

        def entry(i: int, j: int) -> sp.Expr:
            (n, row), (o, column) = self._at[min(i, j)], self._at[max(i, j)]
            return self._second[n, o].entry(*row, *column)

        return self._matrix(len(self._at), entry)

    @cached_property
    def mean(self) -> ContractedMatrix:
        """E[G], a column."""

        def entry(i: int, _: int) -> sp.Expr:
            n, index = self._at[i]
            return self._first[n].entry(*index)

        return self._matrix(1, entry)

    def _matrix(self, columns: int, entry: Callable[[int, int], sp.Expr]) -> ContractedMatrix:
        matrix = ContractedMatrix.build(len(self._at), columns, entry)
        matrix.moments = self
        return matrix

    @cached_property
    def vector(self) -> ContractedVector:
        """The second moments, row by row, then the mean."""

        def product_of(left: int, right: int) -> Selection:
            pairs = ((*a, *b) for a in self._indices[left] for b in self._indices[right])
            return Selection(self._second[left, right], tuple(pairs))

        chosen = [product_of(n, o) for n, o in self._pairs]
        starts = dict(zip(self._pairs, _starts(chosen), strict=True))
        sizes = [len(indices) for indices in self._indices]
        offsets = [sum(sizes[:n]) for n in range(len(sizes))]
        place = [(n, i - offsets[n]) for i, (n, _) in enumerate(self._at)]
        order = []
        for i in range(len(place)):
            for j in range(len(place)):
                (n, row), (o, column) = place[min(i, j)], place[max(i, j)]
                order.append(starts[n, o] + row * sizes[o] + column)
        end = sum(len(s.indices) for s in chosen)
        means = [
            Selection(c, indices) for c, indices in zip(self._first, self._indices, strict=True)
        ]
        order += range(end, end + len(place))
        return ContractedVector((*chosen, *means), tuple(order))


def _starts(selections: list[Selection]) -> list[int]:
    """Where each selection begins."""
    return [sum(len(s.indices) for s in selections[:n]) for n in range(len(selections))]

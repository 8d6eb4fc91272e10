"""All blocks V B Vᵀ + cI of a population matrix at once, as tensors over pairs of units."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate, product

import sympy as sp

from theory.expectations.contracted import ContractedMatrix, ContractedVector, Selection
from theory.expectations.contraction import Contraction, Term, sum_of
from theory.expectations.derived import Derived, shown_as
from theory.expectations.moment_tensors import MomentTensors, WeightKind, scaled
from theory.keywords import with_known_keywords
from theory.problem.covariance.bands import refuse_bands


@with_known_keywords
@dataclass(frozen=True, repr=False)
class Block(Derived):
    """A d x d block V B V^T + c I, by its coefficients.

    Attributes
    ----------
    coefficients : matrix, (r + C) x (r + C)
        B, on V = [e_1..e_r, x^1..x^C].
    bulk : expression
        c, the eigenvalue of the block on the orthogonal complement of V.
    """

    coefficients: sp.ImmutableDenseMatrix = field(metadata=shown_as("B"))
    bulk: sp.Expr = field(metadata=shown_as("c"))


@dataclass(frozen=True, eq=False)
class BlockTensors:
    """The contractions behind the blocks of units a, b: letters s t of directions, c d of weights.

    Attributes
    ----------
    directions : Contraction, a b s t
        Coefficients of e_s e_t^T.
    across : Contraction, a b s c
        Of e_s x^cT.
    back : Contraction, a b c s
        Of x^c e_s^T; the transpose of ``across`` but for the ridge.
    weights : Contraction, a b c d
        Of x^c x^dT.
    bulk : Contraction, a b
    mixed_directions, mixed_weights : Contraction, a i s and a i c
        Of e_s and x^c in the block of x^a, v_i.
    readout : Contraction, i j
    """

    directions: Contraction
    across: Contraction
    back: Contraction
    weights: Contraction
    bulk: Contraction
    mixed_directions: Contraction
    mixed_weights: Contraction
    readout: Contraction

    @property
    def units(self) -> int:
        return self.bulk.shape[0]

    @property
    def _sizes(self) -> tuple[int, int, int]:
        """Units, directions and readout parameters."""
        units, parameters, directions = self.mixed_directions.shape
        return units, directions, parameters

    def _part(self, i: int, j: int) -> tuple[Contraction, tuple[int, int]]:
        """What holds the coefficient of the i-th and j-th vector of V, and its last two indices."""
        r = self._sizes[1]
        if i < r:
            return (self.directions, (i, j)) if j < r else (self.across, (i, j - r))
        return (self.back, (i - r, j)) if j < r else (self.weights, (i - r, j - r))

    def block(self, a: int, b: int) -> Block:
        """The block of the 0-based units (a, b)."""

        def entry(i: int, j: int) -> sp.Expr:
            part, at = self._part(i, j)
            return part.entry(a, b, *at)

        size = self.units + self._sizes[1]
        return Block(ContractedMatrix.build(size, size, entry), self.bulk.entry(a, b))

    @cached_property
    def mixed(self) -> ContractedMatrix:
        """Row a q + i: coefficients on V of the block of x^a, v_i."""
        units, r, q = self._sizes

        def entry(row: int, j: int) -> sp.Expr:
            a, i = divmod(row, q)
            if j < r:
                return self.mixed_directions.entry(a, i, j)
            return self.mixed_weights.entry(a, i, j - r)

        return ContractedMatrix.build(units * q, r + units, entry)

    def entries(
        self, pairs: Sequence[tuple[int, int]], *, mixed: bool, readout: Sequence[int]
    ) -> ContractedVector:
        """What :meth:`BlockMatrix.entries` returns, contracted."""
        _, r, q = self._sizes
        parts = (self.directions, self.across, self.back, self.weights, self.bulk)
        selections = [_select(part, pairs) for part in parts]
        if mixed:
            selections += map(Selection.all_of, (self.mixed_directions, self.mixed_weights))
        if readout:
            chosen = tuple((i, j) for i in readout for j in readout)
            selections.append(Selection(self.readout, chosen))
        starts = [0, *accumulate(len(s.indices) for s in selections)]
        order: list[int] = []
        for n in range(len(pairs)):
            order += self._block_positions(n, starts)
        if mixed:
            rows = range(self.units * q)
            first, second = starts[5], starts[6]
            for row in rows:
                order += range(first + row * r, first + (row + 1) * r)
                order += range(second + row * self.units, second + (row + 1) * self.units)
        if readout:
            order += range(starts[-2], starts[-1])
        return ContractedVector(tuple(selections), tuple(order))

    def _block_positions(self, n: int, starts: Sequence[int]) -> Iterator[int]:
        """Where the coefficients of the n-th pair of units stand among the parts, then its bulk."""
        units, r, _ = self._sizes
        widths = (r, units)
        for i in range(r + units):
            for j in range(r + units):
                part, (row, column) = 2 * (i >= r) + (j >= r), (i - r * (i >= r), j - r * (j >= r))
                rows, columns = widths[part // 2], widths[part % 2]
                yield starts[part] + (n * rows + row) * columns + column
        yield starts[4] + n


def _select(part: Contraction, pairs: Sequence[tuple[int, int]]) -> Selection:
    """The entries of some pairs of units, one pair after the other."""
    if len(pairs) == 1:
        return Selection.all_of(part, dict(zip("ab", pairs[0], strict=True)))
    rest = [range(n) for n in part.shape[2:]]
    return Selection(part, tuple((a, b, *at) for a, b in pairs for at in product(*rest)))


def second_moments(
    t: MomentTensors, pair: WeightKind, mixed: WeightKind, readout: WeightKind
) -> BlockTensors:
    r"""The tensors of :math:`\sum_l p_l E_l[h\,YY^T]` and of its parts with the readout.

    Parameters
    ----------
    t : MomentTensors
    pair, mixed, readout : WeightKind
        h in the block of two units, of a unit and a readout parameter, of two of these.
    """
    model, s = t.model, t.coordinates
    refuse_bands(model.mixture, "a Hessian or gradient matrix in blocks")
    c, r, q = model.units, model.directions, model.readout_size
    means = t.mean(pair, "ab", (s, "ls"), (s, "lt"))
    # what the loss sees of a direction itself: it is its own teacher
    one, other = (t.slope(pair, "ab", n, (s, "l" + rest), teachers=n) for n, rest in ("st", "ts"))
    both = t.curvature(pair, "ab", "s", "t", teachers="st")
    first, second = (
        t.curvature(pair, "ab", *pairs, teachers="s") for pairs in (("s", "c"), ("c", "s"))
    )
    return BlockTensors(
        sum_of("abst", (c, c, r, r), means, one, other, both),
        sum_of("absc", (c, c, r, c), t.slope(pair, "ab", "c", (s, "ls")), first),
        sum_of("abcs", (c, c, c, r), t.slope(pair, "ab", "c", (s, "ls")), second),
        sum_of("abcd", (c, c, c, c), t.curvature(pair, "ab", "c", "d")),
        sum_of("ab", (c, c), scaled(t.mean(pair, "ab"), 1 / model.mixture.precision)),
        sum_of(
            "ais",
            (c, q, r),
            t.mean(mixed, "ai", (s, "ls")),
            t.slope(mixed, "ai", "s", teachers="s"),
        ),
        sum_of("aic", (c, q, c), t.slope(mixed, "ai", "c")),
        sum_of("ij", (q, q), t.mean(readout, "ij")),
    )


def with_terms(tensors: BlockTensors, **terms: list[Term]) -> BlockTensors:
    """The tensors with further terms, by the names of the attributes."""
    changed = {}
    for name, more in terms.items():
        part: Contraction = getattr(tensors, name)
        changed[name] = replace(part, terms=(*part.terms, *more))
    return replace(tensors, **changed)

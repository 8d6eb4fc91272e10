"""All blocks V B Vᵀ + cI of a population matrix at once, as tensors over pairs of units."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate, product
from math import prod

import sympy as sp

from theory.expectations.contracted import ContractedMatrix, ContractedVector, Selection
from theory.expectations.contraction import Contraction, Term, sum_of
from theory.expectations.derived import Derived, shown_as
from theory.expectations.moment_tensors import MomentTensors, WeightKind, scaled
from theory.keywords import with_known_keywords


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

    With bands V = [P_1 e_1..P_B e_r, P_1 x^1..P_B x^C], and the bulk is a column: c_g is the
    eigenvalue within band g.

    Examples
    --------
    >>> from theory import Loss, Mixture, Model, derive_hessian, symbols
    >>> u = symbols.vector("u", 1)
    >>> one = Mixture.build(weights=[1], labels=[0], coordinates=[[1]], directions_gram=[[1]])
    >>> block = derive_hessian(Model.build(one, Loss(u[0]**2 / 2, units=1))).block(0, 0)
    >>> block.coefficients, block.bulk
    (Matrix([
    [1, 0],
    [0, 0]]), beta + 1/lambda)
    """

    coefficients: sp.ImmutableDenseMatrix = field(metadata=shown_as("B"))
    bulk: sp.Expr | sp.ImmutableDenseMatrix = field(metadata=shown_as("c"))


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

    With bands g h that of a vector of V stands in front of its own letter, and that of the bulk
    last.
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
    def bands(self) -> int:
        return self.bulk.shape[2] if len(self.bulk.shape) > 2 else 1

    @property
    def _sizes(self) -> tuple[int, int, int]:
        """Vectors of weights and of directions in V, and readout parameters."""
        _, parameters, *directions = self.mixed_directions.shape
        return self.bands * self.units, prod(directions), parameters

    def _index(self, i: int) -> tuple[int, ...]:
        """The indices of the i-th vector of V: its band, and that of a direction or weight."""
        r = self._sizes[1]
        if self.bands == 1:
            return (i if i < r else i - r,)
        return divmod(i, r // self.bands) if i < r else divmod(i - r, self.units)

    def _part(self, i: int, j: int) -> tuple[Contraction, tuple[int, ...]]:
        """What holds the coefficient of the i-th and j-th vector of V, and its last indices."""
        r, at = self._sizes[1], (*self._index(i), *self._index(j))
        if i < r:
            return (self.directions if j < r else self.across), at
        return (self.back if j < r else self.weights), at

    def block(self, a: int, b: int) -> Block:
        """The block of the 0-based units (a, b)."""

        def entry(i: int, j: int) -> sp.Expr:
            part, at = self._part(i, j)
            return part.entry(a, b, *at)

        size = sum(self._sizes[:2])
        if self.bands == 1:
            return Block(ContractedMatrix.build(size, size, entry), self.bulk.entry(a, b))
        bulk = ContractedMatrix.build(self.bands, 1, lambda g, _: self.bulk.entry(a, b, g))
        return Block(ContractedMatrix.build(size, size, entry), bulk)

    @cached_property
    def mixed(self) -> ContractedMatrix:
        """Row a q + i: coefficients on V of the block of x^a, v_i."""
        weights, r, q = self._sizes

        def entry(row: int, j: int) -> sp.Expr:
            part = self.mixed_directions if j < r else self.mixed_weights
            return part.entry(*divmod(row, q), *self._index(j))

        return ContractedMatrix.build(self.units * q, r + weights, entry)

    def entries(
        self, pairs: Sequence[tuple[int, int]], *, mixed: bool, readout: Sequence[int]
    ) -> ContractedVector:
        """What :meth:`BlockMatrix.entries` returns, contracted."""
        weights, r, q = self._sizes
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
                order += range(second + row * weights, second + (row + 1) * weights)
        if readout:
            order += range(starts[-2], starts[-1])
        return ContractedVector(tuple(selections), tuple(order))

    def _block_positions(self, n: int, starts: Sequence[int]) -> Iterator[int]:
        """Where the coefficients of the n-th pair of units stand among the parts, then its bulk."""
        weights, r, _ = self._sizes
        widths = (r, weights)
        for i in range(r + weights):
            for j in range(r + weights):
                part, (row, column) = 2 * (i >= r) + (j >= r), (i - r * (i >= r), j - r * (j >= r))
                rows, columns = widths[part // 2], widths[part % 2]
                yield starts[part] + (n * rows + row) * columns + column
        yield from range(starts[4] + n * self.bands, starts[4] + (n + 1) * self.bands)


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
    c, r, q = model.units, model.directions, model.readout_size
    over, band = t.over, model.symbols.band_shape
    # the noise along P_g x^c and along P_h x^d, and what does not depend on one of the bands
    g, h, beside_g, beside_h = t.variance("lg"), t.variance("lh"), t.every("g"), t.every("h")
    # of the first unit at token p and of the second at token q
    one_mean, other_mean = (s, over("lps")), (s, over("lqt"))
    means = t.mean(pair, "apbq", one_mean, other_mean, *t.every("gh"))
    # what the loss sees of a direction itself: it is its own teacher
    one = t.slope(pair, "apbq", "s", other_mean, *g, *beside_h, teachers="s")
    other = t.slope(pair, "apbq", "t", one_mean, *h, *beside_g, teachers="t")
    both = t.curvature(pair, "apbq", "s", "t", *g, *h, teachers="st")
    first = t.curvature(pair, "apbq", "s", "c", *g, *h, teachers="s")
    second = t.curvature(pair, "apbq", "c", "s", *g, *h, teachers="s")
    across = t.slope(pair, "apbq", "cq", one_mean, *h, *beside_g)
    back = t.slope(pair, "apbq", "cp", (s, over("lqs")), *g, *beside_h)
    weights = t.curvature(pair, "apbq", "cp", "dq", *g, *h)
    bulk = scaled(t.mean(pair, "apbp", *g), 1 / model.mixture.precision)
    mixed_means = t.mean(mixed, "api", one_mean, *beside_g)
    mixed_teachers = t.slope(mixed, "api", "s", *g, teachers="s")
    return BlockTensors(
        sum_of(over("abgsht"), (c, c, *band(r), *band(r)), means, one, other, both),
        sum_of(over("abgshc"), (c, c, *band(r), *band(c)), across, first),
        sum_of(over("abgchs"), (c, c, *band(c), *band(r)), back, second),
        sum_of(over("abgchd"), (c, c, *band(c), *band(c)), weights),
        sum_of(over("abg"), (c, c, *band()), bulk),
        sum_of(over("aigs"), (c, q, *band(r)), mixed_means, mixed_teachers),
        sum_of(over("aigc"), (c, q, *band(c)), t.slope(mixed, "api", "cp", *g)),
        sum_of("ij", (q, q), t.mean(readout, "ij")),
    )


def with_terms(tensors: BlockTensors, **terms: list[Term]) -> BlockTensors:
    """The tensors with further terms, by the names of the attributes."""
    changed = {}
    for name, more in terms.items():
        part: Contraction = getattr(tensors, name)
        changed[name] = replace(part, terms=(*part.terms, *more))
    return replace(tensors, **changed)

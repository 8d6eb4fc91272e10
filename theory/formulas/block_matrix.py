"""Matrices in blocks V B Vᵀ + cI, one block a pair of layers or units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from operator import index
from typing import SupportsIndex

import sympy as sp

from theory.errors import InputError
from theory.expectations.derived import Derived
from theory.expectations.moments import Moments, Weight
from theory.problem.kinks import DISTRIBUTIONAL
from theory.problem.model import Model
from theory.symbols import upper_triangle


@dataclass(frozen=True)
class Block(Derived):
    """A d x d block V B V^T + c I, by its coefficients.

    Attributes
    ----------
    coefficients : matrix, (r + C) x (r + C)
        B, on V = [e_1..e_r, x^1..x^C].
    bulk : expression
        c, the eigenvalue of the block on the orthogonal complement of V.
    """

    coefficients: sp.ImmutableDenseMatrix = field(metadata={"expressions": True})
    bulk: sp.Expr = field(metadata={"expressions": True})


@dataclass(frozen=True)
class BlockMatrix(Derived):
    """A population second-moment matrix (Hessian or G) by its blocks.

    Attributes
    ----------
    first_layer : dict (a, b) -> Block, a <= b
        d x d blocks of x^a, x^b; :meth:`block` also serves a > b.
    mixed : matrix, (C q) x (r + C)
        Row a q + i: coefficients on V of the d-vector in the block of x^a, v_i.
    readout : matrix, q x q
    kink_rule : str
        What a Hessian keeps of the kinks of the loss; G has no second derivative, and no such
        choice.
    """

    model: Model
    route: str
    kind: str
    regularized: bool
    first_layer: dict[tuple[int, int], Block] = field(metadata={"expressions": True})
    mixed: sp.ImmutableDenseMatrix = field(metadata={"expressions": True})
    readout: sp.ImmutableDenseMatrix = field(metadata={"expressions": True})
    kink_rule: str = DISTRIBUTIONAL

    def block(self, a: int, b: int) -> Block:
        """Return the block of the 0-based units (a, b); block (b, a) is its transpose."""
        size = self.model.units
        if not all(isinstance(i, SupportsIndex) and 0 <= index(i) < size for i in (a, b)):
            raise InputError("block", (a, b), f"two units in 0..{size - 1}", "count units from 0")
        if a <= b:
            return self.first_layer[a, b]
        found = self.first_layer[b, a]
        return Block(sp.ImmutableDenseMatrix(found.coefficients.T), found.bulk)


def _weighted_second_moment(moments: Moments, weight: Weight) -> Block:
    """Coefficients of sum_l p_l E_l[h Y Y^T] on V and I."""
    model = moments.model
    r, c = model.directions, model.units
    components = range(model.components)
    s = model.mixture.coordinates
    bulk = moments.averaged_mean(weight, 1)

    def entry(i: int, j: int) -> sp.Expr:
        if j < r:
            return moments.average(
                s[l, i] * s[l, j] * moments.mean(weight, l)
                if s[l, i] * s[l, j] != 0
                else sp.Integer(0)
                for l in components
            )
        if i < r:
            return moments.average(
                s[l, i] * moments.slope(weight, l, j - r) if s[l, i] != 0 else sp.Integer(0)
                for l in components
            )
        return moments.averaged_curvature(weight, i - r, j - r)

    upper = {(i, j): entry(i, j) for i, j in upper_triangle(r + c)}
    coefficients = sp.ImmutableDenseMatrix(r + c, r + c, lambda i, j: upper[min(i, j), max(i, j)])
    return Block(coefficients, bulk)


def _mixed(moments: Moments, weight: Callable[[int, int], Weight]) -> sp.ImmutableDenseMatrix:
    """Coefficients on V of E[h_{a,i} Y] for every first-layer unit a and readout index i."""
    model = moments.model
    r, c, q = model.directions, model.units, model.readout_size
    components = range(model.components)
    s = model.mixture.coordinates

    def entry(row: int, j: int) -> sp.Expr:
        a, i = divmod(row, q)
        h = weight(a, i)
        if j < r:
            return moments.average(s[l, j] * moments.mean(h, l) for l in components)
        return moments.averaged_slope(h, j - r)

    return sp.ImmutableDenseMatrix(c * q, r + c, entry)

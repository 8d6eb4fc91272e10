r"""Noiseless fixed points of the XOR network, for any assignment of its units to clusters, in
closed form.

At lambda -> infinity each ReLU unit of a fixed point is idle (v_i = 0, W_i = 0) or picks one
cluster l, with mean :math:`S_l \in \{\mu,-\mu,\nu,-\nu\}`, and then

.. math:: W_i = |v_i|\,S_l,\qquad \mathrm{sign}\,v_i = \pm1\ (\text{label } 1, 0),\qquad
          \sum_{i\in I_l} v_i^2 = \log\frac{p_l-\beta}{\beta},\qquad \beta < p_l/2 .

Write :math:`A_l = p_l|\sigma(f)-y|` at cluster l: :math:`\beta` if some unit picks it,
:math:`p_l/2` if none does. On the axis it did not pick a unit sits on its kink: the two clusters
there push it from both sides, and it *slides*, active in the share

.. math:: \theta_l = A_{\bar l}/(A_l + A_{\bar l})

of the samples of cluster l, :math:`\bar l` the opposite cluster (the share that makes the pushes
cancel; the limit of P(u_i > 0) as lambda grows).  Sources: arXiv 2310.03010, section 3;
mathematics.md section 5, extended here to any weights of the clusters, to the shares, and to the
blocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import comb

import sympy as sp

from theory.errors import InputError, brief
from theory.keywords import with_known_keywords
from theory.names import CLUSTERS, COORDINATES, LABELS
from theory.notebook import short_repr
from theory.problem.model import Model

from .existing_clusters import IDLE, _check_model, _numbers, _ridge


@with_known_keywords
@dataclass(frozen=True)
class SeparatedFixedPoint:
    r"""The fixed points with a given assignment: a sphere of radius
    :math:`\sqrt{\log((p_l-\beta)/\beta)}` per cluster.

    Use :func:`separated_fixed_point`.  Blocks are given in the coordinates (mu, nu), at lambda ->
    infinity and without the ridge, in terms of the readout symbols v_1..v_K, whose sums of squares
    :attr:`squared_norms` are fixed.

    Attributes
    ----------
    model : Model
    assignment : tuple of int or None
        0-based cluster (mu, -mu, nu, -nu) of every unit; None for an idle one.

    Examples
    --------
    >>> from theory import xor
    >>> point = separated_fixed_point(xor(3), ["mu", "mu", None])
    >>> point.members, point.overlap.row(0)
    (((0, 1), (), (), ()), Matrix([[v_1, 0]]))
    """

    model: Model
    assignment: tuple[int | None, ...]

    def __repr__(self) -> str:
        return short_repr(self, f"model {brief(self.model.name)!r}", assignment=self.assignment)

    @cached_property
    def members(self) -> tuple[tuple[int, ...], ...]:
        """Units of each of the four clusters."""
        return tuple(
            tuple(i for i, l in enumerate(self.assignment) if l == cluster) for cluster in range(4)
        )

    @property
    def separated(self) -> tuple[int, ...]:
        """0-based clusters that some unit picks: those the network tells apart."""
        return tuple(l for l in range(4) if self.members[l])

    @property
    def squared_norms(self) -> dict[int, sp.Expr]:
        r""":math:`\sum_{i\in I_l}v_i^2 = \log((p_l-\beta)/\beta)` of every separated cluster: also
        |f| there.
        """
        p, beta = self.model.mixture.weights, self.model.ridge
        return {l: sp.log((p[l] - beta) / beta) for l in self.separated}

    def sign(self, l: int) -> int:
        """Sign of the readouts of the units of cluster l."""
        return 1 if LABELS[l] else -1

    def push(self, l: int) -> sp.Expr:
        r""":math:`A_l = p_l|\sigma(f)-y_l|`."""
        return self.model.ridge if self.members[l] else self.model.mixture.weights[l] / 2

    def slope(self, l: int) -> sp.Expr:
        r""":math:`p_l\sigma'(f)` at cluster l: :math:`\beta(1-\beta/p_l)`, or :math:`p_l/4` if it
        is not separated.
        """
        push = self.push(l)
        return push * (1 - push / self.model.mixture.weights[l])

    def active_share(self, i: int, l: int) -> sp.Expr:
        """Share of the samples of cluster l for which unit i is active."""
        own = self.assignment[i]
        if own is None:
            return sp.Integer(0)
        if own // 2 == l // 2:
            return sp.Integer(int(own == l))
        return self.push(l ^ 1) / (self.push(l) + self.push(l ^ 1))

    def joint_share(self, i: int, j: int, l: int) -> sp.Expr:
        """Share of the samples of cluster l for which units i and j are both active.

        On a shared sliding axis all noise of a pre-activation is the noise along the unit's own
        direction: parallel units are active together, opposite ones as rarely together as possible.
        """
        first, second = self.active_share(i, l), self.active_share(j, l)
        own, other = self.assignment[i], self.assignment[j]
        if own is None or other is None:
            return sp.Integer(0)
        if own // 2 == l // 2 or other // 2 == l // 2 or first == 0 or second == 0:
            return first * second
        return first if own == other else sp.Max(0, first + second - 1)

    @cached_property
    def overlap(self) -> sp.ImmutableDenseMatrix:
        """K x 2: W_i in terms of v_i (positive for label 1, negative for label 0)."""
        v = self.model.symbols.readout
        rows = []
        for i, l in enumerate(self.assignment):
            rows.append([0, 0] if l is None else [self.sign(l) * v[i] * s for s in COORDINATES[l]])
        return sp.ImmutableDenseMatrix(rows)

    @cached_property
    def readout_conditions(self) -> dict[sp.Symbol, sp.Expr]:
        """Value 0 of the readouts of the idle units."""
        v = self.model.symbols.readout
        return {v[i]: sp.Integer(0) for i, l in enumerate(self.assignment) if l is None}

    def _weights(self, matrix: str, l: int) -> sp.Expr:
        r"""p_l sigma'(f) (Hessian) or p_l (sigma(f) - y)^2 (G) at cluster l."""
        if matrix == "hessian":
            return self.slope(l)
        if matrix == "gradient":
            return self.push(l) ** 2 / self.model.mixture.weights[l]
        raise InputError("matrix", repr(matrix), "'hessian' or 'gradient'", "choose one of the two")

    def first_layer(self, i: int, j: int, matrix: str = "hessian") -> sp.ImmutableDenseMatrix:
        """2 x 2: the block of W_i, W_j on (mu, nu), almost-everywhere derivatives; diagonal."""
        v = self.model.symbols.readout
        total = sp.zeros(2, 2)
        for l in range(4):
            total[l // 2, l // 2] += (
                self._weights(matrix, l) * self.joint_share(i, j, l) * v[i] * v[j]
            )
        return sp.ImmutableDenseMatrix(total.subs(self.readout_conditions))

    def mixed(self, i: int, j: int) -> sp.ImmutableDenseMatrix:
        """2 x 1: the Hessian block of W_i and v_j on (mu, nu)."""
        v = self.model.symbols.readout
        total = sp.zeros(2, 1)
        own, seen = self.assignment[i], self.assignment[j]
        if own is not None and seen is not None:
            # g(u_j) is |v_j| at the cluster of j, 0 at the opposite one and where j slides
            output = self.sign(seen) * v[j]
            active = self.active_share(i, seen) * v[i]
            total += self.slope(seen) * active * output * sp.Matrix(COORDINATES[seen])
            if i == j:
                # the pushes along the sliding axis cancel
                total -= self.sign(own) * self.push(own) * sp.Matrix(COORDINATES[own])
        return sp.ImmutableDenseMatrix(total)

    def readout(self, matrix: str = "hessian") -> sp.ImmutableDenseMatrix:
        """K x K: the block of v, v; its rank is the number of separated clusters."""
        v = self.model.symbols.readout
        size = len(self.assignment)

        def entry(i: int, j: int) -> sp.Expr:
            l = self.assignment[i]
            if l is None or self.assignment[j] != l:
                return sp.Integer(0)
            return self._weights(matrix, l) * v[i] * v[j]

        return sp.ImmutableDenseMatrix(size, size, entry)

    def readout_eigenvalues(self, matrix: str = "hessian") -> dict[int, sp.Expr]:
        """The non-zero eigenvalue of the v, v block that belongs to each separated cluster."""
        return {l: self._weights(matrix, l) * f for l, f in self.squared_norms.items()}

    def flow_eigenvalues(self) -> dict[sp.Expr, int]:
        r"""Eigenvalues of the noiseless flow of (m, v) at the fixed point, with multiplicities.

        In each separated cluster :math:`-2\beta` (W_i against v_i, once a unit), 0 (turning on the
        sphere) and :math:`-2p_l\sigma'(f)\log((p_l-\beta)/\beta)` (the radius); for an idle unit,
        in the quadrant it moves to, the largest is :math:`\max_l A_l - \beta`.  Directions across a
        kink, where the flow slides, are infinitely fast and left out.
        """
        beta = self.model.ridge
        counts: dict[sp.Expr, int] = {}

        def add(value: sp.Expr, times: int) -> None:
            if times:
                counts[value] = counts.get(value, 0) + times

        for l, norm in self.squared_norms.items():
            size = len(self.members[l])
            add(-2 * beta, size)
            add(sp.Integer(0), size - 1)
            add(-2 * self.slope(l) * norm, 1)
        idle = self.assignment.count(None)
        if idle:
            rates = [self.push(l) - beta for l in range(4)]
            add(sp.Max(*rates) if len(set(rates)) > 1 else rates[0], idle)
        return counts

    def stability(self, values: Mapping[sp.Symbol, object] | None = None) -> str:
        """ "unstable", "attracting" (as a set: zero eigenvalues are motions along it) or "neutral".

        An idle unit grows towards a cluster nobody picks (at the rate p_l/2 - beta); beside
        separated clusters alone it is neutral to first order.
        """
        numbers = _numbers(self.model, values)
        idle = self.assignment.count(None)
        if not idle:
            return "attracting"
        beta = self.model.ridge.xreplace(numbers)
        rates = [self.push(l).xreplace(numbers) - beta for l in range(4)]
        if not all(r.is_number for r in rates):
            raise InputError(
                "values",
                f"no numbers for {sorted(map(str, set().union(*(r.free_symbols for r in rates))))}",
                "numbers for the weights and the ridge",
                "give them as values",
            )
        if any(r > 0 for r in rates):
            return "unstable"
        return "neutral" if any(r == 0 for r in rates) else "attracting"


def read_assignment(assignment: Sequence[str | int | None], units: int) -> tuple[int | None, ...]:
    """The 0-based cluster of every unit, None for an idle one.

    Raises
    ------
    InputError
        Another number of names, or an unknown one.
    """
    remedy = f"use {', '.join((IDLE, *CLUSTERS))}"
    if (
        isinstance(assignment, str)
        or not isinstance(assignment, Sequence)
        or len(assignment) != units
    ):
        expected = f"{units} names, one for each unit"
        raise InputError("assignment", repr(assignment), expected, remedy)
    found: list[int | None] = []
    for name in assignment:
        if name is None or str(name) == IDLE:
            found.append(None)
        elif name in CLUSTERS:
            found.append(CLUSTERS.index(str(name)))
        else:
            expected = f"one of {(IDLE, *CLUSTERS)}"
            raise InputError("assignment", repr(name), expected, "check the spelling")
    return tuple(found)


@with_known_keywords
def separated_fixed_point(
    model: Model,
    assignment: Sequence[str | int | None],
    values: Mapping[sp.Symbol, object] | None = None,
) -> SeparatedFixedPoint:
    r"""Return the noiseless fixed points with the given assignment of units to clusters.

    Parameters
    ----------
    model : Model
        ``xor(K)`` with ReLU units and orthonormal directions; weights and ridge symbolic or
        numbers.
    assignment : sequence of K names
        "0", "mu", "-mu", "nu", "-nu" for every unit.
    values : mapping Symbol -> number, optional
        Numbers for weights and ridge, to check that the fixed point exists there.

    Returns
    -------
    SeparatedFixedPoint

    Raises
    ------
    InputError
        Another model, a wrong assignment, or :math:`\beta\ge p_l/2` for a cluster that is assigned:
        then no fixed point separates it.

    Examples
    --------
    >>> from theory import xor
    >>> point = separated_fixed_point(xor(4), ["mu", "-mu", "nu", "nu"])
    >>> point.squared_norms[0], len(point.separated)
    (log((-beta + p_1)/beta), 3)
    >>> point.stability()
    'attracting'
    """
    _check_model(model)
    point = SeparatedFixedPoint(model, read_assignment(assignment, model.units))
    numbers = _numbers(model, values)
    beta = _ridge(model, numbers)
    for l in point.separated:
        weight = model.mixture.weights[l].xreplace(numbers)
        if (weight - 2 * beta).is_number and not weight > 2 * beta:
            raise InputError(
                "ridge",
                beta,
                f"a ridge below p/2 = {weight / 2} of the cluster {CLUSTERS[l]}",
                "no fixed point separates this cluster at such a ridge; above the half of every "
                "weight only the zero fixed point exists",
            )
    return point


@with_known_keywords
def separation_probabilities(width: int) -> tuple[sp.Rational, ...]:
    r"""Return the exact probabilities of 1, 2, 3, 4 separated clusters when every unit picks one
    uniformly.

    .. math:: P(n) = \binom4n\sum_{j=0}^{n}(-1)^j\binom nj\Big(\frac{n-j}4\Big)^K

    Each unit picks by the signs of its readout and of its overlaps, independently, in the noiseless
    flow from initial overlaps small against the readouts (mathematics.md section 5).  Not where the
    noise of the pre-activations is comparable to the initial overlaps.

    Parameters
    ----------
    width : int
        K >= 1.

    Examples
    --------
    >>> [p * 256 for p in separation_probabilities(4)]
    [4, 84, 144, 24]
    """
    if isinstance(width, bool) or not isinstance(width, int) or width < 1:
        raise InputError(
            "width", repr(width), "an integer K >= 1", "a two-layer network needs a hidden unit"
        )
    return tuple(
        sp.Integer(comb(4, n))
        * sp.Add(*((-1) ** j * comb(n, j) * sp.Rational(n - j, 4) ** width for j in range(n + 1)))
        for n in range(1, 5)
    )

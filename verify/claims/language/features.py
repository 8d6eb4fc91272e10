"""Features of a sample inside an expectation, averaged at fixed pre-activations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import sympy as sp

from theory import GaussianExpectation, Model, symbols
from theory.expectations.gaussian_law import preactivation_law


def features_of(model: Model) -> tuple[sp.Symbol, ...]:
    """Y . e_s of a sample: t_s of a teacher, which the loss sees, Y_s of another direction.

    With bands Y_g_s, of the parts of the directions, and with tokens Y_p_s, those of the first band
    or token before those of the second.
    """
    if model.bands > 1 or model.tokens > 1:
        return tuple(symbols.rectangular("Y", copies_of(model), model.directions))
    seen = model.loss.teachers
    names = (("t" if s in seen else "Y", s) for s in range(model.directions))
    return tuple(symbols.indexed(*name) for name in names)


def feature_names(model: Model) -> tuple[sp.Symbol, ...]:
    """Y of every direction, teachers among them, in every band or of every token."""
    return _named("Y", model, model.directions)


def residual_names(model: Model) -> tuple[sp.Symbol, ...]:
    """zeta of every unit, in every band or of every token."""
    return _named("zeta", model, model.units)


def copies_of(model: Model) -> int:
    """How many features of a direction a sample has: one a band, or one a token."""
    return model.bands * model.tokens


def _named(name: str, model: Model, size: int) -> tuple[sp.Symbol, ...]:
    copies = copies_of(model)
    if copies == 1:
        return symbols.vector(name, size)
    return tuple(symbols.rectangular(name, copies, size))


@dataclass(frozen=True)
class _Feature:
    """A linear feature of a sample in one component: its mean, lambda times its covariances with
    the fields, and what its covariance with other features follows from.
    """

    mean: sp.Expr
    along: list[sp.Expr]
    name: str
    copy: int
    at: int


class _Features:
    """What is known of the features of a component."""

    def __init__(self, model: Model, component: int) -> None:
        self.model, self.component = model, component

    def of(self, position: int, name: str) -> _Feature:
        """Y (``name``) of a direction, or zeta of a unit, by its position among all of them."""
        model = self.model
        r = model.directions
        copy, at = divmod(position, r if name == "Y" else model.units)
        if name == "zeta":
            return _Feature(sp.Integer(0), self._along(copy, self._rest(copy, at)), name, copy, at)
        row = self.component
        if model.bands > 1:
            row += copy * model.components
        if model.tokens > 1:
            row = row * model.tokens + copy
        mean = model.mixture.mean_overlaps[row, at]
        return _Feature(mean, self._along(copy, self._signal(copy, at)), name, copy, at)

    def variance(self, copy: int) -> sp.Expr:
        """lambda times the variance of the noise in what a copy is of."""
        return self.model.mixture.variance(self.component, copy if self.model.bands > 1 else 0)

    def _signal(self, copy: int, at: int) -> list[sp.Expr]:
        """Inner products of e_s, or its part in a band, with the vectors behind fields."""
        model = self.model
        if model.bands == 1:
            return list(model.field_overlaps[:, at])
        m, gamma = model.symbols.overlap, model.mixture.band_gram(copy)
        units = [m[copy * model.units + c, at] for c in range(model.units)]
        noise = [sp.Integer(0)] * model.symbols.label_noise
        return [*units, *(gamma[t, at] for t in model.loss.teachers), *noise]

    def _rest(self, copy: int, at: int) -> list[sp.Expr]:
        """Inner products of the perpendicular part of x^b with the vectors behind fields."""
        model, r = self.model, self.model.symbols.gram_perp
        first = copy * model.units if model.bands > 1 else 0
        beside = len(model.symbols.fields) // model.tokens - model.units
        return [*r[first + at, :], *[sp.Integer(0)] * beside]

    def _along(self, copy: int, products: list[sp.Expr]) -> list[sp.Expr]:
        scaled = [self.variance(copy) * x for x in products]
        if self.model.tokens == 1:
            return scaled
        nothing = [sp.Integer(0)] * len(scaled)
        return [x for p in range(self.model.tokens) for x in (scaled if p == copy else nothing)]

    def inner(self, one: _Feature, two: _Feature) -> sp.Expr:
        """lambda times the covariance of two features."""
        if (one.name, one.copy) != (two.name, two.copy):
            return sp.Integer(0)
        model, copy = self.model, one.copy if self.model.bands > 1 else 0
        if one.name == "Y":
            gram = model.mixture.band_gram(copy)[one.at, two.at]
        else:
            gram = model.symbols.gram_perp[copy * model.units + one.at, two.at]
        return self.variance(copy) * gram


@lru_cache(maxsize=20_000)
def average_features(f: sp.Expr, model: Model, component: int) -> sp.Expr:
    r"""E_l[f] with the features of f averaged at fixed u.

    u stands for all fields of the loss, teachers among them, and x^c for the vectors behind them.
    With w = Q^+(u - Eu), a feature is :math:`F=EF+\sum_c(t\cdot x^c)w_c+\varepsilon`,
    :math:`\varepsilon` independent of u with covariance :math:`t\cdot
    t'/\lambda-\lambda^{-1}\sum_{cd}(t\cdot x^c)P_{cd}(t'\cdot x^d)`.  With bands inner products are
    those of a band, times :math:`\sigma_{lg}^2`, and features of two bands are independent but for
    what u says of them; so are those of two tokens.
    """
    law = preactivation_law(model, component)
    s, lam = model.symbols, model.mixture.precision
    groups = {"Y": feature_names(model), "zeta": residual_names(model)}
    places = [(x, i, name) for name, names in groups.items() for i, x in enumerate(names)]
    facts = _Features(model, component)
    known = {x: facts.of(i, name) for x, i, name in places if x in f.free_symbols}
    used = list(known)
    if not used:
        return GaussianExpectation(f, law)
    inverse = s.gram_inverse_of(component)

    def covariance(one: sp.Symbol, two: sp.Symbol) -> sp.Expr:
        left, right = known[one].along, known[two].along
        size = range(inverse.rows)
        explained = sp.Add(*(left[c] * inverse[c, d] * right[d] for c in size for d in size))
        return (facts.inner(known[one], known[two]) - explained) / lam

    polynomial = sp.Poly(f, *used)
    total = []
    for powers, coefficient in polynomial.terms():
        factors = [x for x, n in zip(used, powers, strict=True) for _ in range(n)]
        for fixed, pairs in _pairings(factors):
            value = coefficient * sp.Mul(*(covariance(x, z) for x, z in pairs))
            for x in fixed:
                along = zip(known[x].along, s.whitened, strict=True)
                value *= known[x].mean + sp.Add(*(t * w for t, w in along))
            total.append(value)
    return sp.Add(*(_outside(t, law) for term in total for t in sp.Add.make_args(sp.expand(term))))


def _outside(term: sp.Expr, law: sp.Basic) -> sp.Expr:
    """c E[f] for a product c f with c free of u, w and y."""
    constant, rest = term.as_independent(*law.bound, as_Add=False)
    return constant * GaussianExpectation(rest, law)


def _pairings(
    factors: list[sp.Symbol],
) -> Iterator[tuple[list[sp.Symbol], list[tuple[sp.Symbol, sp.Symbol]]]]:
    """Every way to leave some factors alone and pair the others (Wick)."""
    if not factors:
        yield [], []
        return
    first, rest = factors[0], factors[1:]
    for fixed, pairs in _pairings(rest):
        yield [first, *fixed], pairs
    for i, other in enumerate(rest):
        for fixed, pairs in _pairings(rest[:i] + rest[i + 1 :]):
            yield fixed, [(first, other), *pairs]

"""Expectations E_l[f_j] by closed forms in the mean and covariance of the pre-activations.

Completing the square and orthant probabilities (:mod:`theory.expectations.closed_forms`) give the
expectation of an integrand as a function of the label, the mean m and the covariance S of u.  It is
derived once for all components, and becomes one generated function.  The same code, run on
:class:`numerics.core.special.rounded.Rounded` numbers, tells what rounding does to it: forms that
cancel, and those that have no value where S is singular, say so themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import comb
from typing import Any, cast

import numpy as np
import sympy as sp

from numerics.core import codegen
from numerics.core.special.rounded import Rounded
from numerics.core.validation import Array
from theory import GaussianExpectation, Model, ReLU, Step, symbols
from theory.expectations.closed_forms import MOST_STEPS
from theory.expectations.gaussian_law import GaussianLaw
from theory.problem.held.loss_symbols import GRAM

# operations of all closed forms together, and terms of one integrand multiplied out, beyond which
# they are neither derived nor compiled in reasonable time
MOST_OPERATIONS = 150_000
MOST_TERMS = 2_000
# functions of u that have closed forms
_CLOSED = (sp.exp, sp.erf, sp.erfc, sp.sin, sp.cos, Step, ReLU, sp.DiracDelta)
# of the running error: the order of sums and the functions of two libraries may differ
SAFETY = 2.0


@dataclass(frozen=True)
class FieldLaws:
    """The Gaussian laws of the pre-activations of every component at R states.

    Attributes
    ----------
    labels : array, shape (L,)
    means : array, shape (R, L, C)
    covariance, inverse : array, shape (R, C, C)
        S, and P = (lambda S)^+ (zero where no integrand needs it).
    precision : float
    readout : array, shape (R, q)
    """

    labels: Array
    means: Array
    covariance: Array
    inverse: Array
    precision: float
    readout: Array


class ClosedMoments:
    """All integrands of an evaluator, by closed forms.

    Parameters
    ----------
    model : theory.Model
    forms : sequence of sympy.Expr
        Of y, the mean, S, P and lambda, and v: see :func:`closed_moments`.
    target : {"numba", "numpy"}
    """

    def __init__(self, model: Model, forms: Sequence[sp.Expr], target: str) -> None:
        s, units = model.symbols, len(model.loss.fields)
        self._upper, self._statistics = np.triu_indices(units), model.loss.statistics
        pairs = symbols.upper_triangle(units)
        self.forms = tuple(forms)
        self.arguments: codegen.Arguments = (
            ("y", (symbols.LABEL,)),
            ("m", _means(units)),
            ("s", tuple(_covariance(units)[a, b] for a, b in pairs)),
            ("p", (*(_inverse(model)[a, b] for a, b in pairs), symbols.PRECISION)),
            ("v", s.held),
        )
        self._machine: Callable[..., None] | None = None
        if target == "numba":
            source = codegen.generate_function("closed", self.arguments, forms, "numba")
            self._machine = codegen.load_module(source + _LOOP).moments

    @cached_property
    def _arrays(self) -> Callable[..., None]:
        source = codegen.generate_function("closed", self.arguments, self.forms, "numpy")
        return cast("Callable[..., None]", codegen.load_module(source).closed)

    def moments(self, laws: FieldLaws) -> Array:
        """E_l[f_j], shape (R, L, number of integrands)."""
        states, components = laws.means.shape[:2]
        out = np.empty((states, components, len(self.forms)))
        if self._machine is not None:
            s, p, v = self._packed(laws)
            self._machine(laws.labels, laws.means, s, p, v, out)
            return out
        flat = out.reshape(states * components, -1).T
        with np.errstate(all="ignore"):  # what is not finite is looked for by the caller
            self._arrays(*self._flat(laws), flat)
        return out

    def rounding(
        self, laws: FieldLaws, means_error: Array, covariance_error: Array, inverse_error: Array
    ) -> Array:
        """Bounds of the errors of the moments from rounding, infinite where a form has no value.

        Parameters
        ----------
        laws : FieldLaws
        means_error, covariance_error, inverse_error : array
            Of ``laws.means``, ``laws.covariance`` and ``laws.inverse``, of their shapes.
        """
        states, components = laws.means.shape[:2]
        y, m, s, p, v = self._flat(laws)
        held = 0 * laws.readout
        first = held.shape[1] - len(self._statistics)
        for n, each in enumerate(self._statistics, start=first):
            if each.kind == GRAM:
                held[:, n] = laws.precision * covariance_error[:, each.first, each.second]
        bounds = FieldLaws(0 * laws.labels, means_error, covariance_error, inverse_error, 0.0, held)
        errors = self._flat(bounds)
        groups = [
            [Rounded(x, e) for x, e in zip(values, error, strict=True)]
            for values, error in zip((m, s, p, v), errors[1:], strict=True)
        ]
        found: list[Any] = [None] * len(self.forms)
        self._arrays(Rounded(y, errors[0]), *groups, found)
        bound = np.empty((len(self.forms), states * components))
        for j, each in enumerate(found):
            bound[j] = each.error if isinstance(each, Rounded) else 0.0
            value = each.value if isinstance(each, Rounded) else each
            bound[j] = np.where(np.isfinite(value + bound[j]), SAFETY * bound[j], np.inf)
        return bound.T.reshape(states, components, -1)

    def _packed(self, laws: FieldLaws) -> tuple[Array, Array, Array]:
        s = laws.covariance[:, *self._upper]
        precision = np.full((len(s), 1), laws.precision)
        p = np.concatenate([laws.inverse[:, *self._upper], precision], axis=1)
        return np.ascontiguousarray(s), np.ascontiguousarray(p), np.ascontiguousarray(laws.readout)

    def _flat(self, laws: FieldLaws) -> tuple[Array, Array, Array, Array, Array]:
        """The arguments as arrays (number, states x components)."""
        states, components, units = laws.means.shape
        y = np.tile(laws.labels, states)
        m = laws.means.reshape(-1, units).T
        s, p, v = (np.repeat(x, components, axis=0).T for x in self._packed(laws))
        return y, m, s, p, v


def closed_moments(
    model: Model, integrands: Sequence[sp.Expr], target: str
) -> ClosedMoments | None:
    """Closed forms of all integrands, or None if one has none or they are too long.

    All or nothing: one integral that is left needs nodes in all its dimensions anyway.

    Examples
    --------
    >>> from theory import Loss, Mixture, symbols
    >>> u = symbols.vector("u", 1)
    >>> one = Mixture.build(weights=[1], labels=[0], coordinates=[[1]], directions_gram=[[1]])
    >>> model = Model.build(one, Loss(u[0]**2 / 2, units=1))
    >>> closed_moments(model, [u[0]**2], "numpy").forms
    (S_1_1 + mu_1**2,)
    """
    u = model.symbols.fields
    if not all(_promising(f, u) for f in integrands):
        return None
    law, forms, sizes = _law(model), [], _Sizes()
    for f in integrands:
        value = GaussianExpectation(f, law).doit()
        if value.has(GaussianExpectation, Step, sp.DiracDelta):
            return None
        forms.append(value)
        if sizes.exceed(value, MOST_OPERATIONS):
            return None
    return ClosedMoments(model, forms, target)


class _Sizes:
    """How long expressions are, without a walk through all of their parts where that is not needed.

    A part with n arguments is at most n operations, a number two: twice the parts are a bound.
    """

    def __init__(self) -> None:
        self._parts: dict[sp.Basic, int] = {}
        self._forms: list[sp.Expr] = []
        self._bound = self._counted = 0

    def exceed(self, form: sp.Expr, most: int) -> bool:
        """Whether this expression and those before it have more operations than so many."""
        self._forms.append(form)
        self._bound += 2 * self._of(form)
        if self._bound <= most:
            return False
        self._counted += sum(int(e.count_ops()) for e in self._forms)
        self._forms = []
        return self._counted > most

    def _of(self, e: sp.Basic) -> int:
        """The number of parts of an expression, each as often as it stands there."""
        found = self._parts.get(e)
        if found is None:
            found = self._parts[e] = 1 + sum(map(self._of, e.args))
        return found


def _means(units: int) -> tuple[sp.Symbol, ...]:
    return symbols.vector("mu", units)


def _covariance(units: int) -> sp.ImmutableDenseMatrix:
    """S, with variances that are positive: roots of them need no absolute value."""

    def entry(a: int, b: int) -> sp.Symbol:
        low, high = min(a, b), max(a, b)
        return symbols.indexed("S", low, high, positive=True if a == b else None)

    return sp.ImmutableDenseMatrix(units, units, lambda a, b: entry(int(a), int(b)))


def _inverse(model: Model) -> sp.ImmutableDenseMatrix:
    """P of all fields, also between those of different tokens, where its entries are 0."""
    s = model.symbols
    return s.gram_inverse if model.tokens == 1 else symbols.symmetric("P", len(s.fields))


def _law(model: Model) -> GaussianLaw:
    """The law of u in a component of any mean, label and covariance."""
    s = model.symbols
    return GaussianLaw(
        sp.Integer(1),
        symbols.LABEL,
        sp.Tuple(*s.fields),
        sp.Tuple(*s.whitened),
        sp.Tuple(*_means(len(s.fields))),
        _covariance(len(s.fields)) * symbols.PRECISION,
        symbols.PRECISION,
        _inverse(model),
    )


def _promising(f: sp.Expr, u: Iterable[sp.Symbol]) -> bool:
    """Whether a closed form may exist, and be short, before anything is multiplied out."""
    bound = set(u)
    functions = (g for g in f.atoms(sp.Function) if g.free_symbols & bound)
    known = all(isinstance(g, _CLOSED) for g in functions) and _terms(f) <= MOST_TERMS
    return known and all(len(steps) <= MOST_STEPS for steps in _steps(f))


def _steps(f: sp.Expr) -> set[frozenset[sp.Expr]]:
    """The steps in every term of an expression multiplied out, while none has too many."""
    if isinstance(f, Step | ReLU):
        return {frozenset(f.args)}
    if f.is_Add:
        return set().union(*map(_steps, f.args))
    power = f.is_Pow and f.exp.is_Integer and f.exp > 1
    factors = [f.base] * min(int(f.exp), MOST_STEPS + 1) if power else f.args if f.is_Mul else ()
    found: set[frozenset[sp.Expr]] = {frozenset()}
    for factor in factors:
        found = {a | b for a in found for b in _steps(factor)}
        if any(len(steps) > MOST_STEPS for steps in found):
            break
    return found


def _terms(f: sp.Expr) -> int:
    """A bound of the number of terms of an expression multiplied out."""
    if f.is_Add:
        return sum(_terms(a) for a in f.args)
    if f.is_Mul:
        product = 1
        for a in f.args:
            product *= _terms(a)
        return product
    if f.is_Pow and f.exp.is_Integer and f.exp > 1:
        terms, power = _terms(f.base), int(f.exp)
        return comb(terms + power - 1, power)
    return 1


_LOOP = '''

@numba.njit(cache=True, nogil=True, error_model='numpy')
def moments(labels, means, s, p, v, out):
    """out[e, l, j] = E_l[f_j] at state e."""
    for e in range(out.shape[0]):
        for l in range(out.shape[1]):
            closed(labels[l], means[e, l], s[e], p[e], v[e], out[e, l])
'''

r"""Gaussian means of functions with kinks, as the variance goes to zero.

Off a kink the mean of a function is that of its smooth branch, up to what is smaller than every
power of the variance.  On a kink it is the value there and a remainder, of the power of the
standard deviation that the kink is flat to: a mean of relu(u)^2 has the order 1/lambda everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import sympy as sp

from theory import GaussianExpectation, Model, ReLU, Step, symbols
from theory.expectations.derived import find_expectations
from theory.expectations.existence import is_smooth

from .leading_powers import certain_sign

_KINKED = (ReLU, Step, sp.Abs, sp.sign)
# ramps with values at their kinks
_CONTINUOUS = (ReLU, sp.Abs)
# standard deviations beyond which a kink has no part in an order: exp(-25/2)
NEAR = 5


def near_means(e: sp.Expr, model: Model) -> sp.Expr:
    """An expression whose expectations have smooth branches for kinks that are nowhere at the mean.

    What that changes is smaller than every power of 1/lambda.

    Examples
    --------
    >>> from theory import kgmm, preactivation_law
    >>> model = kgmm(2)
    >>> law = preactivation_law(model, 0)
    >>> u, m = law.variables[0], law.mean[0]
    >>> near_means(GaussianExpectation(ReLU(1 + u - m) * Step(u), law), model)
    E_1[(-m_1_1 + u_1 + 1)*step(u_1)]
    """
    return e.xreplace({n: _near_mean(n, model) for n in dict.fromkeys(find_expectations(e))})


@lru_cache(maxsize=5_000)
def _near_mean(node: GaussianExpectation, model: Model) -> sp.Expr:
    law, f = node.law, node.integrand
    at_mean = dict(zip(law.variables, law.mean, strict=True))
    change: dict[sp.Expr, sp.Expr] = {}
    # what is inside of another first
    for kinked in sorted(f.atoms(*_KINKED), key=lambda e: e.count_ops()):
        form = kinked.args[0].xreplace(change)
        if form.has(symbols.LABEL_NOISE, symbols.PRECISION, *law.whitened, *_KINKED):
            continue  # what is not close to a number
        sign = certain_sign(sp.expand(form.xreplace(at_mean)), model)
        if sign:
            above = {ReLU: form, Step: sp.S.One, sp.Abs: form, sp.sign: sp.S.One}[kinked.func]
            below = {sp.Abs: -form, sp.sign: -sp.S.One}.get(kinked.func, sp.S.Zero)
            change[kinked] = above if sign > 0 else below
    if not change:
        return node
    # deltas at the kinks that are left are those of other forms
    return GaussianExpectation(f.xreplace(change), law)


def is_near_kink(e: sp.Expr, values: Mapping[sp.Symbol, sp.Expr]) -> bool:
    """Whether some expectation, at numbers of all symbols, has a kink within a few standard
    deviations of its mean.

    Examples
    --------
    >>> from theory import kgmm, preactivation_law
    >>> law = preactivation_law(kgmm(2), 0)
    >>> node = GaussianExpectation(ReLU(law.variables[0]), law)
    >>> at = {s: sp.Integer(1) for s in node.free_symbols}
    >>> [is_near_kink(node, at | {law.precision: sp.Integer(n)}) for n in (10, 1000)]
    [True, False]
    """
    for node in dict.fromkeys(find_expectations(e)):
        law = node.law
        at = {
            **values,
            **dict(zip(law.variables, [m.xreplace(values) for m in law.mean], strict=True)),
        }
        for kinked in node.integrand.atoms(*_KINKED):
            form = kinked.args[0]
            slopes = sp.Matrix([form.diff(u).xreplace(at) for u in law.variables])
            square = (slopes.T * law.gram.xreplace(values) * slopes)[0] / law.precision.xreplace(
                values
            )
            distance = form.xreplace(at)
            if distance.is_number and square.is_number and distance**2 < NEAR**2 * square:
                return True
    return False


@lru_cache(maxsize=5_000)
def is_flat_to(node: GaussianExpectation, power: int) -> bool:
    """Whether the kinks of an integrand leave no more than this power of the standard deviation.

    relu(u)^n has n - 1 continuous derivatives and a bounded one of order n.

    Examples
    --------
    >>> from theory import kgmm, preactivation_law
    >>> law = preactivation_law(kgmm(2), 0)
    >>> u = law.variables[0]
    >>> [is_flat_to(GaussianExpectation(f, law), 2) for f in (ReLU(u), ReLU(u) ** 2 * u, Step(u))]
    [False, True, False]
    """
    f = sp.expand(node.integrand)
    ramps = [e for e in f.atoms(*_CONTINUOUS) if e.free_symbols & node.law.bound]
    if any(e.args[0].has(*_CONTINUOUS) for e in ramps):
        return False
    names = {e: sp.Dummy(nonnegative=True) for e in ramps}
    outer = f.xreplace(names)
    # what is smooth in the square of a variable is smooth in a ramp
    square = node.law.variables[0] ** 2
    parts = (outer.xreplace(dict.fromkeys(names.values(), square)), *(e.args[0] for e in ramps))
    if not all(_is_smooth(g, node) for g in parts):
        return False
    used = [x for x in names.values() if outer.has(x)]
    if not used:
        return True
    if not outer.is_polynomial(*used):
        return power <= 1
    exponents = (n for powers in sp.Poly(outer, *used).monoms() for n in powers if n)
    return min(exponents, default=power) >= power


def _is_smooth(f: sp.Expr, node: GaussianExpectation) -> bool:
    whole = GaussianExpectation(f, node.law)
    return not isinstance(whole, GaussianExpectation) or is_smooth(whole)

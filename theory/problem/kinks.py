r"""Kinks of a loss: one canonical form, and the rule for derivatives across them.

Every non-smooth function of a loss is written with :class:`theory.problem.relu_step.ReLU` and
:class:`theory.problem.relu_step.Step` of one of its declared kinks, k(u) = 0.  Then

.. math:: \mathrm{ReLU}(k)' = \mathrm{Step}(k),\quad \mathrm{Step}(k)' = \delta(k),
          \quad \mathrm{Step}(0) = 0,\quad \mathrm{Step}^2 = \mathrm{Step},
          \quad \mathrm{ReLU}(k)\,\delta(k) = 0,

and a second derivative of the loss is a function plus a sum of functions times :math:`\delta(k)`.
Three *kink rules* name what is kept of it (mathematics.md section 2):

* ``"distributional"``: everything.  The Hessian of the population risk, the derivative of its
  gradient.
* ``"almost-everywhere"``: the function alone.  What automatic differentiation and averages over
  data give.
* ``"difference"``: the deltas alone, distributional minus almost-everywhere.

Integration by parts always needs the distributional derivative; the rule concerns only which
Hessian is meant.
"""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from theory.errors import InputError
from theory.names import ALMOST_EVERYWHERE, DIFFERENCE, DISTRIBUTIONAL, KINK_RULES
from theory.rewriting import derivative_of

from .relu_step import ReLU, Step


def check_kink_rule(rule: str) -> str:
    """Return a kink rule, refused unless it is one."""
    if rule not in KINK_RULES:
        raise InputError(
            "kink_rule",
            repr(rule),
            f"one of {KINK_RULES}",
            "see theory.problem.kinks for what they mean",
        )
    return rule


def split_deltas(expression: sp.Expr) -> tuple[sp.Expr, dict[sp.Expr, sp.Expr]]:
    """Return (f, {k: c_k}) with expression = f + sum_k c_k delta(k).

    Raises
    ------
    InputError
        A derivative or a product of deltas, or a step times the delta of the same kink: not
        integrable against a Gaussian density without a further convention.

    Examples
    --------
    >>> u = sp.Symbol("u", real=True)
    >>> split_deltas((ReLU(u)**2).diff(u, 2))
    (2*step(u), {})
    >>> split_deltas((sp.cos(u) * ReLU(u)).diff(u, 2))[1]
    {u: cos(u)}
    """
    deltas = sorted(expression.atoms(sp.DiracDelta), key=sp.default_sort_key)
    if not deltas:
        return expression, {}
    names = {d: sp.Dummy() for d in deltas}
    named = expression.xreplace(names)
    regular = named.xreplace(dict.fromkeys(names.values(), sp.Integer(0)))
    parts: dict[sp.Expr, sp.Expr] = {}
    for delta, name in names.items():
        kink = delta.args[0]
        coefficient = derivative_of(named, name).xreplace({ReLU(kink): sp.Integer(0)})
        if coefficient == 0:
            continue
        if len(delta.args) > 1 or coefficient.has(*names.values()) or coefficient.has(Step(kink)):
            raise InputError(
                "route",
                "'stein', which differentiates across a kink twice",
                "'projection'",
                "derive by the projection route, which differentiates nothing",
            )
        parts[kink] = coefficient
    return regular, parts


def tidy(expression: sp.Expr) -> sp.Expr:
    """The same distribution, with ReLU(k) delta(k) = 0 used where it is linear in its deltas."""
    try:
        regular, parts = split_deltas(expression)
    except InputError:
        return expression
    return sp.Add(regular, *(c * sp.DiracDelta(k) for k, c in parts.items()))


def without_vanishing(expression: sp.Expr) -> sp.Expr:
    """The same distribution without deltas whose coefficient vanishes on their kink.

    Examples
    --------
    >>> u = sp.Symbol("u", real=True)
    >>> without_vanishing((u * Step(u - 1) - Step(u - 1)).diff(u))
    step(u - 1)
    """
    if not expression.has(sp.DiracDelta):
        return expression
    regular, parts = split_deltas(expression)
    left = {k: c for k, c in parts.items() if not _vanishes_on(c, k)}
    return sp.Add(regular, *(c * sp.DiracDelta(k) for k, c in left.items()))


def _vanishes_on(coefficient: sp.Expr, kink: sp.Expr) -> bool:
    """Whether a coefficient is 0 wherever the kink is, as far as elementary algebra shows it."""
    if coefficient.subs(kink, 0) == 0:
        return True
    for symbol in sorted(kink.free_symbols, key=str):
        slope = kink.diff(symbol)
        if slope.is_number and slope != 0:
            root = symbol - kink / slope
            return bool(sp.expand(coefficient.xreplace({symbol: sp.expand(root)})) == 0)
    return False


def apply_kink_rule(expression: sp.Expr, rule: str) -> sp.Expr:
    """Keep of a derivative what the rule says.

    Examples
    --------
    >>> u = sp.Symbol("u", real=True)
    >>> second = (sp.cos(u) * Step(u)).diff(u)
    >>> apply_kink_rule(second, "almost-everywhere"), apply_kink_rule(second, "difference")
    (-sin(u)*step(u), cos(u)*DiracDelta(u))
    """
    if rule == DISTRIBUTIONAL or not expression.has(sp.DiracDelta):
        return sp.Integer(0) if rule == DIFFERENCE else expression
    regular, parts = split_deltas(expression)
    if rule == ALMOST_EVERYWHERE:
        return regular
    return sp.Add(*(c * sp.DiracDelta(k) for k, c in parts.items()))


def kink_forms(
    kinks: Sequence[sp.Expr], preactivation: Sequence[sp.Symbol]
) -> tuple[sp.ImmutableDenseMatrix, sp.ImmutableDenseMatrix] | None:
    """Return (A, c) with kinks = A u + c, free of u, or None unless every kink is affine in u.

    The coefficients may depend on the readout parameters: v_1 (u_1 + v_2) has A = v_1, c = v_1 v_2.

    Examples
    --------
    >>> u, v = sp.symbols("u v", real=True)
    >>> kink_forms((2 * u + v,), (u,))
    (Matrix([[2]]), Matrix([[v]]))
    """
    origin = dict.fromkeys(preactivation, sp.Integer(0))
    slopes = [sp.expand(kink.diff(u)) for kink in kinks for u in preactivation]
    if any(slope.has(*preactivation) for slope in slopes):
        return None
    offsets = [kink.xreplace(origin) for kink in kinks]
    return (
        sp.ImmutableDenseMatrix(len(kinks), len(preactivation), slopes),
        sp.ImmutableDenseMatrix(len(kinks), 1, offsets),
    )

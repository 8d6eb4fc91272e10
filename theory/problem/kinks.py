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
from sympy.core.function import AppliedUndef

from theory.errors import InputError

from .relu_step import ReLU, Step

KINK_RULES = ("distributional", "almost-everywhere", "difference")
DISTRIBUTIONAL, ALMOST_EVERYWHERE, DIFFERENCE = KINK_RULES

_REWRITTEN = (sp.Max, sp.Min, sp.Abs, sp.sign, sp.Heaviside)
_REFUSED = (
    sp.Piecewise,
    sp.floor,
    sp.ceiling,
    sp.frac,
    sp.Mod,
    sp.DiracDelta,
    sp.re,
    sp.im,
    sp.arg,
)
_KINKED = (*_REWRITTEN, ReLU, Step)


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


def canonical(expression: sp.Expr, kinks: Sequence[sp.Expr]) -> sp.Expr:
    """Write every non-smooth function of an expression as ReLU and Step of a declared kink.

    Raises
    ------
    InputError
        A kink that is not declared, a function without a derivative, or one that jumps in a way
        that cannot be written so (Piecewise, floor).

    Examples
    --------
    >>> u = sp.Symbol("u", real=True)
    >>> canonical(sp.Abs(u), (u,))
    -u + 2*relu(u)
    >>> canonical(sp.Max(-2 * u, 0), (u,))
    -2*u + 2*relu(u)
    """
    _refuse_unknown_functions(expression)
    if not expression.has(*_KINKED):
        return expression
    return expression.replace(
        lambda e: isinstance(e, _KINKED), lambda e: _on_declared(_elementary(e), kinks)
    )


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
        coefficient = named.diff(name).xreplace({ReLU(kink): sp.Integer(0)})
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


def unsigned(kink: sp.Expr) -> sp.Expr:
    """Of k and -k the one that SymPy keeps in DiracDelta, an even function.

    Deltas are found under this name.

    Examples
    --------
    >>> u = sp.Symbol("u", real=True)
    >>> unsigned(-u), unsigned(u), unsigned(1 - u)
    (u, u, 1 - u)
    """
    delta = sp.DiracDelta(kink)
    return delta.args[0] if delta.args else kink  # a kink that is nowhere has the delta 0


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


def _refuse_unknown_functions(expression: sp.Expr) -> None:
    unknown = sorted({str(e.func) for e in expression.atoms(AppliedUndef)})
    if unknown:
        raise InputError(
            "loss expression",
            f"the undefined function {unknown[0]}",
            "functions with a known derivative",
            "write it in elementary functions, or subclass sympy.Function with fdiff",
        )
    refused = sorted({type(e).__name__ for e in expression.atoms(*_REFUSED)})
    if refused:
        raise InputError(
            "loss expression",
            f"the function {refused[0]}",
            "kinks written with ReLU and Step",
            "write a ramp as theory.ReLU(k) and declare kinks=(k, ...)",
        )


def _elementary(e: sp.Expr) -> sp.Expr:
    """One non-smooth function in terms of ReLU and Step (equal almost everywhere)."""
    if isinstance(e, (sp.Max, sp.Min)):
        sign = 1 if isinstance(e, sp.Max) else -1
        first, *others = sorted(e.args, key=sp.default_sort_key)
        total = first
        for other in others:
            total = other + sign * ReLU(sign * (total - other))
        return total
    if isinstance(e, sp.Abs):
        return 2 * ReLU(e.args[0]) - e.args[0]
    if isinstance(e, sp.sign):
        return 2 * Step(e.args[0]) - 1
    if isinstance(e, sp.Heaviside):
        return Step(e.args[0])
    return e


def _on_declared(expression: sp.Expr, kinks: Sequence[sp.Expr]) -> sp.Expr:
    return expression.replace(lambda e: isinstance(e, (ReLU, Step)), lambda e: _match(e, kinks))


def _match(e: sp.Expr, kinks: Sequence[sp.Expr]) -> sp.Expr:
    argument = sp.expand(e.args[0])
    for kink in kinks:
        ratio = sp.cancel(argument / kink)
        if not ratio.is_number:
            continue
        size = abs(ratio)
        if isinstance(e, ReLU):
            return size * (ReLU(kink) if ratio > 0 else ReLU(kink) - kink)
        return Step(kink) if ratio > 0 else 1 - Step(kink)
    declared = f"kinks={tuple(kinks)}" if kinks else "no kinks"
    argument = unsigned(argument)
    raise InputError(
        "kinks",
        f"{declared} for a loss with the kink {argument} = 0",
        "every kink of the loss declared",
        f"add {argument} to kinks (Loss(..., kinks=({argument},)))",
    )

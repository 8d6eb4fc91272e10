"""How expressions behave in a parameter that goes to infinity, at every state.

1/(1 + lambda m^2) falls like 1/lambda, and is 1 where m = 0: an order that is told has to be that
of every state.  exp(-lambda/100) is smaller than every power, exp(-lambda m^2) is not.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import sympy as sp

from theory import GaussianExpectation, Model, ReLU, Sigmoid, Softmax, Softplus, Step
from theory.expectations.derived import find_expectations
from theory.problem.softmax import LogSumExp

from .ranges import bounds

# analytic on the whole line, with values at all arguments
_ELEMENTARY = (sp.exp, sp.sin, sp.cos, sp.sinh, sp.cosh, sp.tanh, sp.atan, sp.erf, sp.erfc)
_ANALYTIC = (*_ELEMENTARY, Sigmoid, Softplus, Softmax, LogSumExp)
_KINKED = (ReLU, Step, sp.Abs, sp.sign)


def leading_power(e: sp.Expr, x: sp.Symbol) -> tuple[sp.Rational, sp.Expr] | None:
    """The highest power of x and its coefficient, as x goes to infinity; None where not known.

    Examples
    --------
    >>> x, m = sp.Symbol("x", positive=True), sp.Symbol("m", real=True)
    >>> leading_power(sp.sqrt(1 + m * x**2), x), leading_power(sp.log(x), x)
    ((1, sqrt(m)), None)
    """
    if not e.has(x):
        return sp.Integer(0), e
    if e == x:
        return sp.Integer(1), sp.Integer(1)
    if e.is_Pow and e.exp.is_Rational and e.base != sp.E:
        inside = leading_power(e.base, x)
        return None if inside is None else (inside[0] * e.exp, inside[1] ** e.exp)
    if isinstance(e, _ANALYTIC):
        parts = [leading_power(a, x) for a in e.args]
        limits = [p[1] if p and p[0] == 0 else sp.Integer(0) for p in parts]
        if not all(p and p[0] <= 0 for p in parts) or (value := e.func(*limits)) == 0:
            return None
        return sp.Integer(0), value
    if not (e.is_Add or e.is_Mul):
        return None
    found = [leading_power(a, x) for a in e.args]
    known = [f for f in found if f is not None]
    if len(known) < len(found):
        return None
    if e.is_Mul:
        return sp.Add(*(n for n, _ in known)), sp.Mul(*(c for _, c in known))
    top = max(n for n, _ in known)
    coefficient = sp.expand(sp.Add(*(c for n, c in known if n == top)))
    return None if coefficient == 0 else (top, coefficient)


@lru_cache(maxsize=5_000)
def uneven_form(e: sp.Expr, x: sp.Symbol, model: Model) -> sp.Expr | None:
    """A form in x that may be of another order in it at some states; None where there is none.

    What is divided by, stands under a root or, growing with x, in a function, has a leading
    coefficient that vanishes nowhere.

    Examples
    --------
    >>> from theory import kgmm, symbols
    >>> model, x = kgmm(2), symbols.PRECISION
    >>> m, p = model.symbols.overlap[0, 0], model.mixture.weights[0]
    >>> uneven_form(1 / (1 + x * m**2), x, model), uneven_form(1 / (1 + x * p), x, model)
    (lambda*m_1_1**2 + 1, None)
    """
    for part in sp.preorder_traversal(_outside(e)):
        if not part.has(x) or part.free_symbols == {x}:
            continue
        if part.is_Pow and part.base != sp.E:
            if part.exp.is_Integer and part.exp.is_positive:
                continue
            forms: tuple[sp.Expr, ...] = (part.base,)
            steady: tuple[type, ...] = ()
        elif isinstance(part, (sp.Function, sp.exp)):
            forms, steady = part.args, _ANALYTIC
        else:
            continue
        for form in (f for f in forms if f.has(x) and f.free_symbols != {x}):
            lead = leading_power(form, x)
            calm = lead is not None and lead[0] <= 0 and isinstance(part, steady)
            if not calm and (lead is None or not never_zero(lead[1], model)):
                return form
    return None


def without_negligible(e: sp.Expr, x: sp.Symbol, model: Model) -> sp.Expr:
    """An expression without terms that fall faster than every power of x, at every state.

    Examples
    --------
    >>> from theory import kgmm, symbols
    >>> model, x = kgmm(2), symbols.PRECISION
    >>> without_negligible(1 / x + x * sp.exp(-x / 100), x, model)
    1/lambda
    """
    return without_terms(e, x, sp.exp, lambda term: _is_negligible(term, x, model))


def without_terms(
    e: sp.Expr, x: sp.Symbol, function: type, is_left: Callable[[sp.Expr], bool]
) -> sp.Expr:
    """An expression, in which some function of x stands, without some of the terms that hold no
    expectation; others stay as they are.
    """
    names = {n: sp.Dummy(real=True) for n in dict.fromkeys(find_expectations(e))}
    named = e.xreplace(names)
    if not any(f.has(x) for f in named.atoms(function)):
        return e
    back = {name: node for node, name in names.items()}
    whole = sp.expand(named, power_exp=False, power_base=False, log=False)
    terms = sp.Add.make_args(whole)
    kept = [t for t in terms if t.free_symbols & set(back) or not is_left(t)]
    return e if len(kept) == len(terms) else sp.Add(*kept).xreplace(back)


def why_uneven(
    claimed: sp.Expr, derived: sp.Expr, kept: sp.Expr | None, x: sp.Symbol, model: Model
) -> tuple[sp.Expr, str] | None:
    """A form because of which an error has no order in x that holds at every state, and why.

    ``kept`` is what is claimed without what its order leaves away, None where that is not known.
    """
    difference = without_negligible(claimed - derived, x, model)
    if (form := uneven_form(difference, x, model)) is not None:
        return form, f"is of another power of {x} at some states"
    if (node := _parameter_inside(difference, x)) is not None:
        return node, f"holds {x} itself, and may be of another power of it at some states"
    # a pole of what is kept is one of both sides
    new = _poles(claimed, x, model) - _poles(derived, x, model)
    if new and (kept is None or new - _poles(kept, x, model)):
        return min(new, key=sp.default_sort_key), "may vanish in what is left away"
    return None


def _poles(e: sp.Expr, x: sp.Symbol, model: Model) -> set[sp.Expr]:
    """What is divided by outside of expectations and may vanish, x apart."""
    found = set()
    for part in _outside(e).atoms(sp.Pow, sp.log):
        base = part.args[0]
        divides = isinstance(part, sp.log) or not (part.exp.is_Integer and part.exp.is_positive)
        if divides and base != sp.E and not base.has(x) and not never_zero(base, model):
            found |= {f for f, _ in sp.factor_list(base)[1]} if base.is_polynomial() else {base}
    return found


@lru_cache(maxsize=5_000)
def never_zero(e: sp.Expr, model: Model) -> bool:
    """Whether an expression is seen to vanish at no state."""
    return certain_sign(e, model) != 0 or (
        (e.is_Mul or e.is_Pow) and all(_factor_is_never_zero(f, model) for f in sp.Mul.make_args(e))
    )


def _factor_is_never_zero(e: sp.Expr, model: Model) -> bool:
    if e.is_Pow and e.base != sp.E and e.exp.is_number:
        # a pole is no zero
        return bool(e.exp.is_negative) or never_zero(e.base, model)
    return certain_sign(e, model) != 0


@lru_cache(maxsize=5_000)
def certain_sign(e: sp.Expr, model: Model) -> int:
    """The sign of an expression at every state; 0 where it changes, vanishes or is not known."""
    if e.is_positive or e.is_negative:
        return 1 if e.is_positive else -1
    if e.is_Mul:
        signs = [certain_sign(f, model) for f in e.args]
        return int(sp.prod(signs))
    low, high = bounds(model, e)
    return int(low > 0) - int(high < 0)


def _is_negligible(term: sp.Expr, x: sp.Symbol, model: Model) -> bool:
    """A product that has a bound by a power of x, times an exponential of what falls like one."""
    factors = sp.Mul.make_args(term)
    exponent = sp.Add(*(f.args[0] for f in factors if isinstance(f, sp.exp)))
    rest = sp.Mul(*(f for f in factors if not isinstance(f, sp.exp)))
    lead = leading_power(exponent, x)
    if lead is None or lead[0] <= 0 or certain_sign(lead[1], model) >= 0:
        return False
    bounded = leading_power(rest, x) is not None
    return bounded and all(_is_regular(part, x, model) for part in (exponent, rest))


def _is_regular(e: sp.Expr, x: sp.Symbol, model: Model) -> bool:
    """Whether an expression has a finite value at every state, for all large x."""
    for part in sp.preorder_traversal(e):
        if part.is_Pow and part.base != sp.E and not (part.exp.is_Integer and part.exp > 0):
            sign = part.base if part.base == x else _limit_of(part.base, x)
            if sign is None or not part.exp.is_Rational or certain_sign(sign, model) <= 0:
                return False
        elif isinstance(part, sp.Function) and not isinstance(part, (*_ANALYTIC, *_KINKED)):
            return False
    return True


def _limit_of(e: sp.Expr, x: sp.Symbol) -> sp.Expr | None:
    lead = leading_power(e, x)
    return None if lead is None else lead[1]


def _outside(e: sp.Expr) -> sp.Expr:
    """An expression with a name for each of its expectations."""
    return sp.sympify(e).xreplace({n: sp.Dummy(real=True) for n in set(find_expectations(e))})


def _parameter_inside(e: sp.Expr, x: sp.Symbol) -> GaussianExpectation | None:
    """An expectation of a function of x itself, beside its law."""
    return next((n for n in find_expectations(e) if n.general_integrand.has(x)), None)


def is_rational_in(e: sp.Expr, x: sp.Symbol) -> bool:
    """Whether x stands in a rational function outside of expectations."""
    return bool(_outside(e).is_rational_function(x))

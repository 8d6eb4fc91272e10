"""Where forms vanish, by the simplest forms that vanish there.

cosh(x) - 1, tanh(x/2) and exp(2 x) - 1 all vanish where x does.  Of the simplest forms signs are
known, found and excluded more easily.
"""

from __future__ import annotations

import sympy as sp

from theory import ReLU, Sigmoid, Softmax

from .exponentials import named_exponentials
from .ranges import bounds

# functions of one argument that vanish where it does, and nowhere else
_ODD = (sp.sinh, sp.tanh, sp.asin, sp.atan, sp.asinh, sp.atanh, sp.erf, sp.Abs, sp.sign)
_BY_EXPONENTIALS = (Sigmoid, Softmax, sp.tanh, sp.sinh, sp.cosh)
# functions whose zeros are simple where their argument moves
SIMPLE = (sp.sin, sp.cos, sp.tan, sp.cot)
# a form with more operations, exponentials or higher powers of them is not rewritten
LARGEST, MOST_EXPONENTIALS, HIGHEST = 60, 2, 6


def factors(form: sp.Expr) -> list[sp.Expr]:
    """Forms at whose zeros a form may vanish or have a pole, those of one sign left out.

    A square, whose sign is the same on both sides, has a zero too.

    Examples
    --------
    >>> x, y = sp.symbols("x y", real=True)
    >>> factors((x**2 - y**2) * sp.sinh(x)), factors(sp.cosh(x - 5) - 1)
    ([x, x - y, x + y], [x - 5])
    """
    found: dict[sp.Expr, None] = {}
    left, seen = [form], {form}
    while left:
        e = left.pop(0)
        if not e.free_symbols or _has_one_sign(e):
            continue
        simpler = _simpler(e)
        if len(simpler) == 1 and simpler[0] in seen:  # itself, up to a sign
            found.setdefault(simpler[0])
            continue
        left += [x for x in simpler if x not in seen]
        seen |= {*simpler}
    return sorted(found, key=sp.default_sort_key)


def _has_one_sign(form: sp.Expr) -> bool:
    """Whether a form is seen to be positive everywhere, or negative."""
    if form.is_positive or form.is_negative:
        return True
    low, high = bounds(None, form)
    return low > 0 or high < 0


def _simpler(form: sp.Expr) -> list[sp.Expr]:
    """Forms that vanish together where a form does; the form itself where none are simpler."""
    if isinstance(form, (*_ODD, ReLU)):  # a ramp vanishes beyond, too, and is cut there
        return [form.args[0]]
    if isinstance(form, sp.log):
        return [form.args[0] - 1]
    if form.is_Pow and form.base != sp.E and form.exp.is_Rational:
        return [form.base]
    parts = _factor_list(form)
    return parts if len(parts) != 1 else _without_exponentials(parts[0])


def _factor_list(form: sp.Expr) -> list[sp.Expr]:
    """Factors of a rational function of symbols and functions, each of which has one name.

    Powers of exponentials have names of their own: exp(x/12) is no generator of exp(3 x).
    """
    parts = (e for e in form.atoms(sp.Function, sp.Pow, sp.exp) if not _is_whole_power(e))
    names = {e: sp.Dummy(positive=bool(e.is_positive) or None, real=True) for e in parts}
    back = {name: e for e, name in names.items()}
    top, bottom = sp.fraction(sp.together(form.xreplace(names)))
    try:
        found = [f for part in (top, bottom) for f, _ in sp.factor_list(part)[1]]
    except sp.PolynomialError:
        return [form]
    return [f.xreplace(back) for f in found]


def _is_whole_power(e: sp.Expr) -> bool:
    return bool(e.is_Pow and e.base != sp.E and e.exp.is_Integer)


def _without_exponentials(form: sp.Expr) -> list[sp.Expr]:
    """By factors that are polynomials in exponentials; of two terms they vanish where a logarithm
    does.
    """
    if form.count_ops() > LARGEST or not form.has(sp.exp, *_BY_EXPONENTIALS):
        return [form]
    elementary = form
    while known := elementary.atoms(*_BY_EXPONENTIALS):
        elementary = elementary.xreplace({e: e.rewrite(sp.exp, deep=False) for e in known})
    names, named = named_exponentials(elementary)
    powers = (p.exp for p in named.atoms(sp.Pow) if p.base in names)
    if len(names) > MOST_EXPONENTIALS or any(abs(n) > HIGHEST for n in powers):
        return [form]
    parts = []
    for factor in _factor_list(named):
        if factor in names or not factor.free_symbols:
            continue
        if (difference := _by_logarithms(factor, names)) is not None:
            parts.append(difference)
        elif not (factor.is_positive or factor.is_negative):
            parts.append(factor.xreplace(names))
    # what has one factor is as simple as it was
    return [form] if len(parts) == 1 and parts[0].has(sp.exp) else parts


def _by_logarithms(factor: sp.Expr, names: dict[sp.Expr, sp.Expr]) -> sp.Expr | None:
    """c X^n - d Y^m, all positive, vanishes where log c + n log X - log d - m log Y does."""
    terms = sp.Add.make_args(factor)
    if len(terms) != 2 or not factor.free_symbols <= set(names):
        return None
    logs = []
    for term in terms:
        number, rest = term.as_coeff_Mul()
        powers = rest.as_powers_dict()
        if not all(base in names for base in powers if base != 1):
            return None
        exponents = (n * names[base].as_base_exp()[1] for base, n in powers.items() if base != 1)
        logs.append((sp.sign(number), sp.log(abs(number)) + sp.Add(*exponents)))
    (one, first), (other, second) = logs
    return sp.expand(first - second) if one == -other else None

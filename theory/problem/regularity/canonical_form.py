"""Every non-smooth function of a loss, written as ReLU and Step of its declared kinks."""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp
from sympy.core.function import AppliedUndef

from theory import symbols
from theory.errors import InputError
from theory.problem.relu_step import ReLU, Step

from .piecewise_linear import piecewise_linear

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

# characters of a loss that a message writes out
_LONG = 150


def canonical(expression: sp.Expr, kinks: Sequence[sp.Expr]) -> sp.Expr:
    """Write every non-smooth function of an expression as ReLU and Step of a declared kink.

    A piecewise linear function of one variable, such as a hard tanh, becomes a sum of ramps.

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
    expression = _without_nests(expression)
    missing = required_kinks(expression, kinks)
    if missing:
        raise _undeclared(expression, missing, kinks)
    return expression.replace(
        lambda e: isinstance(e, _KINKED), lambda e: _on_declared(_elementary(e), kinks)
    )


def required_kinks(expression: sp.Expr, known: Sequence[sp.Expr] = ()) -> tuple[sp.Expr, ...]:
    """The kinks an expression has beside the known ones, inner ones first, each once.

    Examples
    --------
    >>> u = sp.Symbol("u", real=True)
    >>> required_kinks(sp.Max(-1, sp.Min(1, u)))
    (u - 1, u + 1)
    >>> required_kinks(ReLU(ReLU(u) - 1))
    (u - 1,)
    """
    found = list(known)

    def note(e: sp.Expr) -> sp.Expr:
        kink = unsigned(sp.expand(e.args[0]))
        if not _is_declared(kink, found):
            found.append(kink)
        # outer kinks are told apart in terms of the inner ones as they are named here
        return _match(e, found)

    _without_nests(expression).replace(
        lambda e: isinstance(e, _KINKED),
        lambda e: _elementary(e).replace(lambda f: isinstance(f, (ReLU, Step)), note),
    )
    return tuple(found[len(known) :])


def simple_kinks(kink: sp.Expr) -> tuple[sp.Expr, ...]:
    """Kinks at numbers in place of one that is itself piecewise linear in one symbol.

    Examples
    --------
    >>> u = sp.Symbol("u", real=True)
    >>> simple_kinks(sp.Abs(u) - 1), simple_kinks(2 * u)
    ((u + 1, u, u - 1), (2*u,))
    """
    variables = list(kink.free_symbols)
    read = piecewise_linear(kink, variables[0]) if len(variables) == 1 else None
    if read is None or not read.bends:
        return (kink,)
    # it bends at its own bends, and its ramp at its zeros too
    points = {*read.bends, *read.ramp().bends}
    return tuple(variables[0] - point for point in sorted(points))


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
            "write a ramp as sa.ReLU(k) and declare kinks=(k, ...)",
        )


def _without_nests(expression: sp.Expr) -> sp.Expr:
    """Kinks of kinks removed where all of it is a piecewise linear function of one symbol."""
    if isinstance(expression, _KINKED):
        nested = any(argument.has(*_KINKED) for argument in expression.args)
        variables = sorted(expression.free_symbols - {symbols.LABEL}, key=str)
        if nested and len(variables) == 1:
            read = piecewise_linear(expression, variables[0])
            if read is not None:
                return read.expression(variables[0])
    if not expression.has(*_KINKED):
        return expression
    return expression.func(*(_without_nests(argument) for argument in expression.args))


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


def _ratio(argument: sp.Expr, kink: sp.Expr) -> sp.Expr | None:
    """How many times the kink an argument is, or None where that is no number."""
    ratio = sp.cancel(argument / kink)
    return ratio if ratio.is_number and ratio != 0 else None


def _is_declared(kink: sp.Expr, kinks: Sequence[sp.Expr]) -> bool:
    return any(_ratio(kink, declared) is not None for declared in kinks)


def _match(e: sp.Expr, kinks: Sequence[sp.Expr]) -> sp.Expr:
    argument = sp.expand(e.args[0])
    for kink in kinks:
        ratio = _ratio(argument, kink)
        if ratio is None:
            continue
        size = abs(ratio)
        if isinstance(e, ReLU):
            return size * (ReLU(kink) if ratio > 0 else ReLU(kink) - kink)
        return Step(kink) if ratio > 0 else 1 - Step(kink)
    raise _undeclared(e, [unsigned(argument)], kinks)


def _undeclared(
    expression: sp.Expr, missing: Sequence[sp.Expr], kinks: Sequence[sp.Expr]
) -> InputError:
    """The error for kinks that are not declared, with a declaration that is complete."""
    declared = f"kinks={as_text(kinks)}" if kinks else "no kinks"
    first = missing[0]
    expected = "every kink of the loss declared"
    if first.has(symbols.LABEL):
        expected = "kinks that are the same for all labels"
        remedy = one_term_a_label(expression, first)
    else:
        remedy = f"add {as_text(first)} to kinks: kinks={as_text((*kinks, *missing))}"
    got = f"{declared} for a loss with the kink {as_text(first)} = 0"
    return InputError("kinks", got, expected, remedy)


def one_term_a_label(expression: sp.Expr, kink: sp.Expr) -> str:
    """A loss with a term for each of the labels -1 and 1, whose kinks do not depend on the label;
    of a long one the part that has the kink.
    """
    part = expression
    if len(str(expression)) > _LONG or not expression.has(symbols.LABEL):
        nodes = (e for e in sp.preorder_traversal(expression) if isinstance(e, _KINKED))
        part = next((e for e in nodes if e.has(symbols.LABEL)), ReLU(kink))
    plus, minus = (part.xreplace({symbols.LABEL: sp.Integer(y)}) for y in (1, -1))
    terms = f"(1 + y)/2*{_factor(plus)} + (1 - y)/2*{_factor(minus)}"
    each = tuple(dict.fromkeys((*required_kinks(plus), *required_kinks(minus))))
    return f"write a term a label: for -1 and 1 {terms}, kinks={as_text(each)}"


def _factor(expression: sp.Expr) -> str:
    text = as_text(expression)
    return f"({text})" if expression.is_Add else text


def as_text(value: sp.Expr | Sequence[sp.Expr]) -> str:
    """Expressions as a user types them, ReLU and Step under the names of their classes."""
    text = str(tuple(value)) if isinstance(value, (tuple, list)) else str(value)
    return text.replace("relu(", "ReLU(").replace("step(", "Step(")

"""Expansion of expressions that hold expectations, each of which is expanded once.

SymPy walks through all arguments for every one of its rules; an expectation holds its law, whose
matrices are larger than what is expanded.
"""

from __future__ import annotations

from functools import lru_cache

import sympy as sp

from theory import GaussianExpectation
from theory.expectations.derived import find_expectations


def expanded(e: sp.Expr) -> sp.Expr:
    """An expression with its products multiplied out, outside of expectations and inside.

    Examples
    --------
    >>> x, y = sp.symbols("x y")
    >>> expanded(x * (x + y))
    x**2 + x*y
    """
    nodes = list(dict.fromkeys(find_expectations(e)))
    if not nodes:
        return sp.expand(e)
    inside = {node: _inside(node) for node in nodes}
    # expectations that are equal once they are expanded have one name
    names = {f: sp.Dummy(real=True) for f in dict.fromkeys(inside.values())}
    named = e.xreplace({node: names[f] for node, f in inside.items()})
    return sp.sympify(sp.expand(named).xreplace({name: f for f, name in names.items()}))


def operations(e: sp.Expr) -> int:
    """How many operations an expression has, those in expectations among them.

    Examples
    --------
    >>> x, y = sp.symbols("x y")
    >>> operations(x * (x + y) ** 2 + sp.exp(y))
    5
    """
    if isinstance(e, GaussianExpectation):
        return _operations(e)
    if not e.args:
        return 0
    own = len(e.args) - 1 if e.is_Add or e.is_Mul else 1
    return own + sum(map(operations, e.args))


def has(e: sp.Expr, *functions: type[sp.Basic]) -> bool:
    """Whether functions occur in an expression or in its expectations."""
    if isinstance(e, GaussianExpectation):
        return _has(e.general_integrand, functions)
    return isinstance(e, functions) or any(has(x, *functions) for x in e.args)


@lru_cache(maxsize=20_000)
def _inside(node: GaussianExpectation) -> sp.Expr:
    return sp.sympify(sp.expand(node))


@lru_cache(maxsize=20_000)
def _operations(node: GaussianExpectation) -> int:
    return operations(node.general_integrand)


@lru_cache(maxsize=20_000)
def _has(f: sp.Expr, functions: tuple[type[sp.Basic], ...]) -> bool:
    return bool(f.has(*functions))

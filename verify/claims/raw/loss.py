"""The raw loss: in elementary functions, differentiated by itself, so that it can witness against
the engine.

Nothing of :meth:`theory.Loss.partial` or of the derivatives of
:mod:`theory.problem.stable_functions` is used.  A ramp is written as its argument times a switch,
which is constant on either side of the kink; across it the jump is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import sympy as sp

from theory import Model, ReLU, Step
from theory.names import ALMOST_EVERYWHERE, DIFFERENCE, DISTRIBUTIONAL
from theory.problem.stable_functions import StableFunction


class RawLoss:
    """The scalar loss of a model without any function that knows its derivative.

    Examples
    --------
    >>> from theory import kgmm, xor
    >>> RawLoss(kgmm(2)).partial((0, 1))
    -exp(u_1)*exp(u_2)/(exp(u_1) + exp(u_2))**2
    >>> RawLoss(xor(1)).partial((0,), "almost-everywhere").has(sp.DiracDelta)
    False
    """

    def __init__(self, model: Model) -> None:
        self.variables = model.loss.variables
        self.expression = _elementary_loss(model)

    def derivative(self, f: sp.Expr, x: sp.Symbol, rule: str = DISTRIBUTIONAL) -> sp.Expr:
        """df/dx off the kinks, and with a delta for every jump of f (distributional)."""
        return _derivative(f, x, rule)

    def partial(self, indices: Sequence[int], rule: str = DISTRIBUTIONAL) -> sp.Expr:
        """A derivative of the loss; ``rule`` concerns the last of two, since the loss itself is
        continuous.
        """
        return _partial(self.expression, tuple(self.variables[i] for i in sorted(indices)), rule)


def _derivative(f: sp.Expr, x: sp.Symbol, rule: str) -> sp.Expr:
    """df/dx off the kinks, and with a delta for every jump of f (distributional)."""
    f = elementary(f)
    switched, switches = _switched(f)
    regular = switched.diff(x).xreplace(switches)
    jumps = []
    for switch, step in switches.items():
        kink = step.args[0]
        slope = kink.diff(x)
        jump = switched.xreplace({switch: sp.Integer(1)}) - switched.xreplace(
            {switch: sp.Integer(0)}
        )
        # the jump where the kink is: a ramp has none
        at = _zero_of(kink)
        jump = sp.simplify(jump.xreplace(switches).subs(*at)) if at else jump.xreplace(switches)
        if slope != 0 and jump != 0:
            jumps.append(jump * slope * sp.DiracDelta(kink))
    if rule == ALMOST_EVERYWHERE:
        return regular
    return sp.Add(*jumps) if rule == DIFFERENCE else sp.Add(regular, *jumps)


@lru_cache(maxsize=4096)
def _partial(expression: sp.Expr, variables: tuple[sp.Symbol, ...], rule: str) -> sp.Expr:
    f = expression
    for n, x in enumerate(variables):
        f = _derivative(f, x, rule if n else ALMOST_EVERYWHERE)
    return f


@lru_cache(maxsize=64)
def _elementary_loss(model: Model) -> sp.Expr:
    return elementary(model.loss.expression)


def elementary(f: sp.Expr) -> sp.Expr:
    """The same function with exponentials, logarithms and steps only."""

    def change(e: sp.Expr) -> sp.Expr:
        if isinstance(e, ReLU):
            return e.args[0] * Step(e.args[0])
        return e.rewrite(sp.exp)

    return f.replace(lambda e: isinstance(e, StableFunction) and not isinstance(e, Step), change)


def _switched(f: sp.Expr) -> tuple[sp.Expr, dict[sp.Symbol, sp.Expr]]:
    """f with a symbol for every step, and what the symbols stand for."""
    steps = sorted(f.atoms(Step), key=sp.default_sort_key)
    names = {step: sp.Dummy("switch", real=True) for step in steps}
    return f.xreplace(names), {name: step for step, name in names.items()}


def _zero_of(kink: sp.Expr) -> tuple[sp.Symbol, sp.Expr] | None:
    """A variable and its value on an affine kink."""
    for x in sorted(kink.free_symbols, key=str):
        slope = kink.diff(x)
        if slope.is_number and slope != 0:
            return x, x - kink / slope
    return None

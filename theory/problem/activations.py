"""Activations of hidden units: one scalar function and the points where it has a kink."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import sympy as sp

from theory.errors import InputError
from theory.keywords import with_known_keywords

from .exact_numbers import exact, exact_sequence
from .kinks import kink_forms, without_vanishing
from .regularity.canonical_form import as_text, canonical, required_kinks
from .relu_step import ReLU
from .softplus_sigmoid import Sigmoid, Softplus

ARGUMENT = sp.Symbol("z", real=True)


@with_known_keywords
@dataclass(frozen=True)
class Activation:
    """A scalar function g of the pre-activation.

    Parameters
    ----------
    name : str
    expression : sympy.Expr
        g, in terms of ``theory.problem.activations.ARGUMENT``.
    kinks : tuple of numbers
        Points where g is not smooth; empty for a smooth g.

    Raises
    ------
    InputError
        Another symbol than the argument, a function without a derivative, or a kink that is not
        declared.

    Examples
    --------
    >>> u = sp.Symbol("u", real=True)
    >>> hinge = Activation("hinge", sp.Max(ARGUMENT - 1, 0), kinks=(1,))
    >>> hinge(u), hinge.kinks_at(u)
    (relu(u - 1), (u - 1,))
    """

    name: str
    expression: sp.Expr
    kinks: tuple[sp.Expr, ...] = ()

    def __post_init__(self) -> None:
        # a text is refused: to make an expression of it would be to run it
        if not isinstance(self.expression, sp.Expr):
            got, remedy = type(self.expression).__name__, "write it in ARGUMENT, with SymPy"
            raise InputError("activation", got, "a SymPy expression", remedy)
        expression = self.expression
        other = sorted(map(str, expression.free_symbols - {ARGUMENT}))
        if other or ARGUMENT not in expression.free_symbols:
            raise InputError(
                "activation",
                f"{self.expression} with symbols {other}",
                f"a function of {ARGUMENT} alone",
                "write it with theory.problem.activations.ARGUMENT",
            )
        points = exact_sequence("kinks", self.kinks)
        if not all(p.is_number and p.is_real for p in points):
            raise InputError(
                "kinks",
                self.kinks,
                "real numbers",
                "give the points where the activation has a kink",
            )
        object.__setattr__(self, "kinks", points)
        try:
            written = canonical(expression, self.kinks_at(ARGUMENT))
        except InputError as error:
            raise InputError(
                "activation",
                f"{self.name} = {as_text(self.expression)} ({error.got})",
                error.expected,
                _declaration(expression) if error.parameter == "kinks" else error.remedy,
            ) from None
        object.__setattr__(self, "expression", written)
        slope = written.diff(ARGUMENT)
        if slope.diff(ARGUMENT).has(sp.Derivative, sp.Subs):
            raise InputError(
                "activation",
                f"{self.name} = {self.expression}",
                "a function with known first and second derivatives",
                "write it in elementary functions, or define fdiff",
            )
        if without_vanishing(slope).has(sp.DiracDelta):
            raise InputError(
                "activation",
                f"{self.name} = {self.expression}",
                "a continuous function",
                "a jump has no gradient to descend: replace it by a ramp",
            )

    def __call__(self, u: sp.Expr) -> sp.Expr:
        return self.expression.xreplace({ARGUMENT: u})

    def kinks_at(self, u: sp.Expr) -> tuple[sp.Expr, ...]:
        """Expressions that vanish where g(u) has a kink."""
        return tuple(u - point for point in self.kinks)


def _declaration(expression: sp.Expr) -> str:
    """How to declare all kinks of an activation."""
    needed = required_kinks(expression)
    forms = kink_forms(needed, (ARGUMENT,))
    if forms is None or any(e.free_symbols for e in (*forms[0], *forms[1])):
        return f"write it with kinks at numbers, such as ReLU({ARGUMENT} - 1)"
    points = sorted(-c / a for a, c in zip(*forms, strict=True))
    return f"declare where it has kinks: Activation(name, expression, kinks={as_text(points)})"


def leaky_relu(slope: object = "1/100") -> Activation:
    """Return max(z, slope z), 0 <= slope < 1."""
    a = exact("slope", slope)
    if not (a.is_number and a.is_real and 0 <= a < 1):
        raise InputError("slope", slope, "a number in [0, 1)", "0 is the ReLU")
    return Activation("leaky_relu", a * ARGUMENT + (1 - a) * ReLU(ARGUMENT), kinks=(sp.Integer(0),))


# a model without hidden units needs none of them: each is made when it is first asked for
ACTIVATIONS: dict[str, Callable[[], Activation]] = {
    "relu": lambda: Activation("relu", ReLU(ARGUMENT), kinks=(sp.Integer(0),)),
    "leaky_relu": leaky_relu,
    "softplus": lambda: Activation("softplus", Softplus(ARGUMENT)),
    "sigmoid": lambda: Activation("sigmoid", Sigmoid(ARGUMENT)),
    "tanh": lambda: Activation("tanh", sp.tanh(ARGUMENT)),
    "erf": lambda: Activation("erf", sp.erf(ARGUMENT)),
}


@lru_cache(maxsize=None)
def _made(name: str) -> Activation:
    return ACTIVATIONS[name]()


def get_activation(activation: str | Activation) -> Activation:
    """Return an activation by name, or the given one.

    Examples
    --------
    >>> get_activation("relu")(sp.Symbol("u", real=True))
    relu(u)
    """
    if isinstance(activation, Activation):
        return activation
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        raise InputError(
            "activation",
            repr(activation),
            f"one of {sorted(ACTIVATIONS)}, or an Activation",
            "define another one as sa.Activation(name, expression, kinks)",
        )
    return _made(activation)

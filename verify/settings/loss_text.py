"""Losses and rules written as text, read by the grammar of claims.

Nothing is evaluated as code: the text becomes a tree of :mod:`verify.claims.language.tree`, and the
tree an expression by the cases below, whatever else it holds being refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp

from theory import LogSumExp, ReLU, Sigmoid, Softmax, Softplus, Step, symbols
from theory.errors import InputError
from verify.claims.language import tree

from .schedule_text import read_formula
from .values import shown

# functions of a loss, with their least and most numbers of arguments
_MOST_ARGUMENTS = 64
FUNCTIONS: dict[str, tuple[Callable[..., sp.Expr], int, int]] = {
    **{
        name: (getattr(sp, name), 1, 1)
        for name in ("exp", "log", "sqrt", "sin", "cos", "tanh", "atan", "erf", "sign")
    },
    "abs": (sp.Abs, 1, 1),
    "min": (sp.Min, 2, _MOST_ARGUMENTS),
    "max": (sp.Max, 2, _MOST_ARGUMENTS),
    "relu": (ReLU, 1, 1),
    "step": (Step, 1, 1),
    "sigmoid": (Sigmoid, 1, 1),
    "softplus": (Softplus, 1, 1),
    "lse": (LogSumExp, 1, _MOST_ARGUMENTS),
    "softmax": (Softmax, 3, _MOST_ARGUMENTS),
    "delta": (sp.KroneckerDelta, 2, 2),
}
# as formulas print them
FUNCTIONS |= {"Sigmoid": FUNCTIONS["sigmoid"], "Softplus": FUNCTIONS["softplus"]}
# names with indices: how many, and the letter of the symbols
_INDEXED = {"u": (1, 2), "v": (1, 1), "t": (1, 1), "g": (0, 1), "Q": (2, 2), "m": (2, 2)}
# bounds of what is worked out: parts of a text, exponents, units and directions
_PARTS, _EXPONENT, _LARGEST = 2000, 64, 256
_EXPECTED = "an expression in y, u_a, v_i, t_s, xi, Q_a_b, m_a_s, pi, numbers and functions"


def parse_loss(parameter: str, text: Any, letters: Mapping[str, sp.Symbol] | None = None) -> Any:
    """Read a loss or a rule, such as ``(u_1^2 - t_1^2)^2 / 8``.

    Parameters
    ----------
    parameter : str
        For messages.
    text : str
    letters : mapping of name to symbol, optional
        Free parameters that it may hold.

    Raises
    ------
    theory.InputError

    Examples
    --------
    >>> parse_loss("loss", "(u_1 - y)^2 / 2")
    (u_1 - y)**2/2
    >>> parse_loss("loss", "tan(u_1)")
    Traceback (most recent call last):
    ...
    theory.errors.InputError: loss: got 'tan(u_1)'; expected ... tan is no function of a loss...
    """
    if not isinstance(text, str):
        raise InputError(parameter, shown(text), "a formula as text", 'write "(u_1 - y)^2 / 2"')
    parsed = read_formula(parameter, text, _EXPECTED)
    found = _Reading(parameter, text, dict(letters or {})).of(parsed)
    if found.has(sp.I, sp.nan, sp.zoo, sp.oo):
        raise InputError(parameter, shown(text), _EXPECTED, "give a real number for every sample")
    return found


@dataclass
class _Reading:
    """Trees to expressions; what a loss does not have is refused by name."""

    parameter: str
    text: str
    letters: dict[str, sp.Symbol]
    parts: int = 0

    def fail(self, remedy: str) -> InputError:
        return InputError(self.parameter, shown(self.text), _EXPECTED, remedy)

    def of(self, node: tree.Node) -> sp.Expr:
        self.parts += 1
        if self.parts > _PARTS:
            raise self.fail(f"write it with at most {_PARTS} numbers, names and signs")
        return self.value(node)

    def value(self, node: tree.Node) -> sp.Expr:
        match node:
            case tree.Number(value):
                return sp.Rational(value.numerator, value.denominator)
            case tree.Name("pi", ()):
                return sp.pi
            case tree.Name("y", ()):
                return symbols.LABEL
            case tree.Name("xi", ()):
                return symbols.LABEL_NOISE
            case tree.Name(letter, ()) if letter in self.letters:
                return self.letters[letter]
            case tree.Negative(inside):
                return -self.of(inside)
            case tree.Add(terms):
                return sp.Add(*map(self.of, terms))
            case tree.Multiply(factors):
                return sp.Mul(*map(self.of, factors))
            case tree.Divide(above, below):
                return self.of(above) / self.of(below)
            case tree.Power(base, exponent):
                return self.power(self.of(base), self.of(exponent))
            case tree.Call(tree.Name(name, ()), arguments):
                return self.call(name, arguments)
            case tree.Name(base, indices) if base in _INDEXED:
                return self.named(node, base, indices)
            case tree.Name() as name:
                raise self.fail(f"{tree.show(name)} is not known here; declare free parameters")
        raise self.fail("sums over indices and expectations have no meaning here")

    def power(self, base: sp.Expr, exponent: sp.Expr) -> sp.Expr:
        numbers = exponent.atoms(sp.Rational)
        if any(max(abs(n.p), n.q) > _EXPONENT for n in numbers):
            raise self.fail(f"exponents are at most {_EXPONENT}")
        return base**exponent

    def call(self, name: str, arguments: tuple[tree.Node, ...]) -> sp.Expr:
        if name not in FUNCTIONS:
            raise self.fail(f"{name} is no function of a loss: {', '.join(FUNCTIONS)}")
        function, least, most = FUNCTIONS[name]
        if not least <= len(arguments) <= most:
            count = str(least) if least == most else f"{least} to {most}"
            raise self.fail(f"{name} takes {count} argument(s)")
        values = [self.of(argument) for argument in arguments]
        if name == "softmax":
            first, classes = values[0], len(values) - 1
            if not (first.is_Integer and 1 <= int(first) <= classes):
                raise self.fail(f"softmax(a, f_1, ...) begins with its class, 1 to {classes}")
        return function(*values)

    def named(self, node: tree.Name, base: str, indices: tuple[tree.Index, ...]) -> sp.Expr:
        """A symbol with indices, counted from 1."""
        least, most = _INDEXED[base]
        numbers = [i for i in indices if isinstance(i, int) and 1 <= i <= _LARGEST]
        if len(numbers) != len(indices) or not least <= len(indices) <= most:
            example = "_1" * most
            raise self.fail(f"{tree.show(node)}: write {base}{example}, indices counted from 1")
        if base == "g" and not numbers:
            return symbols.SLOPE
        if base == "Q":
            a, b = sorted(numbers)
            return symbols.symmetric("Q", b)[a - 1, b - 1]
        if base == "m":
            return symbols.rectangular("m", *numbers)[-1, -1]
        if len(numbers) == 2:
            unit, token = numbers
            return symbols.tokens(base, unit, max(token, 2))[unit - 1][token - 1]
        return symbols.vector(base, numbers[0])[-1]

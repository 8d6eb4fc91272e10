"""Schedules written as text: an expression in the time t, read by the grammar of claims.

Nothing is evaluated as code: the text becomes a tree of :mod:`verify.claims.language.tree`, and
the tree becomes an expression by the cases below, whatever else it holds being refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sympy as sp

from theory.errors import InputError
from verify.claims.language import tree
from verify.claims.language.text import parse_formula

from .values import shown

TIME = sp.Symbol("t", nonnegative=True)
_FUNCTIONS = {
    "exp": sp.exp,
    "log": sp.log,
    "sqrt": sp.sqrt,
    "sin": sp.sin,
    "cos": sp.cos,
    "Min": sp.Min,
    "Max": sp.Max,
}
# bounds of a text: characters, parts of its tree, arguments of Min and Max, powers by numbers, and
# bits of the numbers that arithmetic makes
MAX_LENGTH, MAX_PARTS, MAX_ARGUMENTS, MAX_EXPONENT, MAX_BITS = 400, 120, 6, 64, 1200
_EXPECTED = f"an expression in t, of numbers, pi, + - * / ** and {', '.join(_FUNCTIONS)}"


def parse_schedule(parameter: str, text: str, letters: Sequence[str] = ()) -> sp.Expr:
    """Read an expression in t, such as ``1/(1 + t)``; nothing but numbers, t, pi, elementary
    functions, and the letters that are named.

    Raises
    ------
    theory.InputError
    """
    if len(text) > MAX_LENGTH:
        expected = f"an expression of at most {MAX_LENGTH} characters"
        raise InputError(parameter, shown(text), expected, "write it shorter")
    parsed = read_formula(parameter, text, _EXPECTED)
    found = _Reading(parameter, text, tuple(letters)).of(parsed)
    if not isinstance(found, sp.Expr) or found.has(sp.I, sp.nan, sp.zoo, sp.oo):
        raise InputError(parameter, shown(text), _EXPECTED, "give a real number for every t")
    return found


def read_formula(parameter: str, text: str, expected: str) -> tree.Node:
    """The tree of a text.

    Raises
    ------
    theory.InputError
        With the place in the text and what was expected there.
    """
    try:
        return parse_formula(text)
    except tree.FormulaError as error:
        place = f"{error.plain} at column {error.position + 1}"
        remedy = f"check {place}, where {error.expected} was expected"
        raise InputError(parameter, shown(text), expected, remedy) from error


@dataclass
class _Reading:
    """Trees to expressions; what a schedule does not have is refused by name."""

    parameter: str
    text: str
    letters: tuple[str, ...] = ()
    parts: int = 0

    def fail(self, remedy: str) -> InputError:
        return InputError(self.parameter, shown(self.text), _EXPECTED, remedy)

    def of(self, node: tree.Node) -> sp.Expr:
        self.parts += 1
        if self.parts > MAX_PARTS:
            raise self.fail(f"write it with at most {MAX_PARTS} numbers, names and signs")
        return self.bounded(self.value(node))

    def bounded(self, value: sp.Expr) -> sp.Expr:
        """The value, refused where a number in it has grown beyond what a schedule can need."""
        numbers = value.atoms(sp.Rational) if isinstance(value, sp.Basic) else ()
        if any(max(abs(n.p), n.q).bit_length() > MAX_BITS for n in numbers):
            raise self.fail("its numbers are too large to be worked out")
        return value

    def value(self, node: tree.Node) -> sp.Expr:
        match node:
            case tree.Number(value):
                return sp.Rational(value.numerator, value.denominator)
            case tree.Name("t", ()):
                return TIME
            case tree.Name("pi", ()):
                return sp.pi
            case tree.Name(letter, ()) if letter in self.letters:
                return sp.Symbol(letter, real=True)
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
            case tree.Call(tree.Name(name, ()), arguments) if name in _FUNCTIONS:
                return self.call(name, arguments)
            case tree.Call(name, _) | (tree.Name() as name):
                known = name.base in _FUNCTIONS
                what = "a function: give it an argument" if known else "not known here"
                raise self.fail(f"{tree.show(name)} is {what}")
        raise self.fail("sums over indices and expectations have no meaning here")

    def power(self, base: sp.Expr, exponent: sp.Expr) -> sp.Expr:
        self.check_exponent(exponent)
        return base**exponent

    def check_exponent(self, exponent: sp.Expr) -> None:
        """Refuse what SymPy might work out to a number of any length."""
        numbers = exponent.atoms(sp.Rational)
        if any(max(abs(n.p), n.q) > MAX_EXPONENT for n in numbers):
            remedy = f"exponents are at most {MAX_EXPONENT}: towers of powers are not worked out"
            raise self.fail(remedy)

    def call(self, name: str, arguments: tuple[tree.Node, ...]) -> sp.Expr:
        most = MAX_ARGUMENTS if name in ("Min", "Max") else 1
        if not 1 <= len(arguments) <= most:
            raise self.fail(
                f"{name} takes {'one argument' if most == 1 else f'1 to {most} arguments'}"
            )
        values = [self.of(argument) for argument in arguments]
        if name == "exp" and values[0].has(sp.log):  # exp(n log 3) becomes 3**n
            self.check_exponent(values[0])
        return _FUNCTIONS[name](*values)

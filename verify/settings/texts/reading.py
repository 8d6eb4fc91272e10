"""Text to expressions: one walk over the tree that the grammar of claims makes of it.

Nothing is evaluated as code.  A vocabulary says which names and functions a text may hold;
everything else is refused by name, and so is what would be worked out to numbers of any length.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import sympy as sp

from theory.errors import InputError
from verify.claims.language import tree
from verify.claims.language.text import parse_formula
from verify.settings.values import shown


@dataclass(frozen=True)
class Vocabulary:
    """What a text may say, and how much of it.

    Attributes
    ----------
    expected : str
        For messages.
    functions : mapping of name to (function, least and most numbers of arguments)
    parts : int
        Most numbers, names and signs.
    exponent : int
        Largest number in an exponent.
    bits : int
        Of the numbers that arithmetic makes.
    """

    expected: str
    functions: Mapping[str, tuple[Callable[..., sp.Expr], int, int]]
    parts: int
    exponent: int
    bits: int


@dataclass
class Reading:
    """The walk over one text; ``named`` gives the symbol of a name, or None where it is unknown."""

    vocabulary: Vocabulary
    parameter: str
    text: str
    named: Callable[[Reading, tree.Name], sp.Expr | None]
    parts: int = 0

    def expression(self) -> sp.Expr:
        """Of the whole text.

        Raises
        ------
        theory.InputError
            With the place in the text and what was expected there, or the name that is unknown.
        """
        try:
            parsed = parse_formula(self.text)
        except tree.FormulaError as error:
            place = f"{error.plain} at column {error.position + 1}"
            remedy = f"check {place}, where {error.expected} was expected"
            raise self.fail(remedy) from error
        found = self.of(parsed)
        if not isinstance(found, sp.Expr) or found.has(sp.I, sp.nan, sp.zoo, sp.oo):
            raise self.fail("give a real number everywhere")
        return found

    def fail(self, remedy: str) -> InputError:
        """The error with a remedy."""
        return InputError(self.parameter, shown(self.text), self.vocabulary.expected, remedy)

    def of(self, node: tree.Node) -> sp.Expr:
        """Of a part."""
        self.parts += 1
        if self.parts > self.vocabulary.parts:
            most = self.vocabulary.parts
            raise self.fail(f"write it with at most {most} numbers, names and signs")
        value = self.value(node)
        numbers = value.atoms(sp.Rational) if isinstance(value, sp.Basic) else ()
        if any(max(abs(n.p), n.q).bit_length() > self.vocabulary.bits for n in numbers):
            raise self.fail("its numbers are too large to be worked out")
        return value

    def value(self, node: tree.Node) -> sp.Expr:
        """Of a part, whatever the sizes of its numbers."""
        match node:
            case tree.Number(value):
                return sp.Rational(value.numerator, value.denominator)
            case tree.Name("pi", ()):
                return sp.pi
            case tree.Negative(inside):
                return -self.of(inside)
            case tree.Add(terms):
                return sp.Add(*map(self.of, terms))
            case tree.Multiply(factors):
                return sp.Mul(*map(self.of, factors))
            case tree.Divide(above, below):
                return self.of(above) / self.of(below)
            case tree.Power(base, exponent):
                value = self.of(exponent)
                self.check_exponent(value)
                return self.of(base) ** value
            case tree.Call(tree.Name() as name, arguments):
                return self.call(name, arguments)
            case tree.Name() as name:
                return self.symbol(name)
        raise self.fail("sums over indices and expectations have no meaning here")

    def symbol(self, name: tree.Name) -> sp.Expr:
        """Of a name without arguments."""
        found = self.named(self, name)
        if found is None:
            known = name.base in self.vocabulary.functions
            what = "a function: give it an argument" if known else "not known here"
            raise self.fail(f"{tree.show(name)} is {what}")
        return found

    def check_exponent(self, exponent: sp.Expr) -> None:
        """Refuse what SymPy might work out to a number of any length."""
        most = self.vocabulary.exponent
        if any(max(abs(n.p), n.q) > most for n in exponent.atoms(sp.Rational)):
            remedy = f"exponents are at most {most}: towers of powers are not worked out"
            raise self.fail(remedy)

    def call(self, name: tree.Name, arguments: tuple[tree.Node, ...]) -> sp.Expr:
        """Of a function and its arguments."""
        if name.indices or name.base not in self.vocabulary.functions:
            functions = ", ".join(self.vocabulary.functions)
            raise self.fail(f"{tree.show(name)} is not known here; functions are {functions}")
        function, least, most = self.vocabulary.functions[name.base]
        if not least <= len(arguments) <= most:
            count = f"{least} arguments" if least == most else f"{least} to {most} arguments"
            raise self.fail(f"{name.base} takes {'one argument' if most == 1 else count}")
        values = [self.of(argument) for argument in arguments]
        if name.base == "exp" and values[0].has(sp.log):  # exp(n log 3) becomes 3**n
            self.check_exponent(values[0])
        if name.base == "softmax":
            first, classes = values[0], len(values) - 1
            if not (first.is_Integer and 1 <= int(first) <= classes):
                raise self.fail(f"softmax(a, f_1, ...) begins with its class, 1 to {classes}")
        return function(*values)

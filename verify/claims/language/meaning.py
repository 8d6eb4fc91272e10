r"""What a claimed formula means for a model: a syntax tree becomes a SymPy expression, or is
refused with its position.

Two readings of one tree are kept apart.  The *derived* reading takes derivatives of the loss from
the engine and removes the features :math:`Y\cdot e_s` and :math:`\zeta_b=Y\cdot x_\perp^b` from
expectations by conditioning on u.  The *raw* reading writes the loss in elementary functions,
differentiates that by itself, and leaves features for sampling: nothing of the engine's derivations
enters it.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import product

import sympy as sp

from theory import GaussianExpectation, ReLU, Sigmoid, Softplus, Step
from theory.expectations.existence import is_bounded_locally
from theory.expectations.gaussian_law import preactivation_law
from theory.problem.softmax import LogSumExp

from .conventions import FUNCTIONS, LETTERS, MAX_EXPONENT, SHAPES, SPECIAL, Scope
from .features import average_features
from .index_letters import KINDS, places
from .names import NamesOfModel
from .tree import (
    SIZES,
    Add,
    Bound,
    Call,
    Condition,
    Divide,
    Expectation,
    Multiply,
    Name,
    Negative,
    Node,
    Number,
    Power,
    Sum,
    limit_letters,
    show,
)

# functions that have a value at some arguments only
_PARTIAL = ("log", "ln", "sqrt", "tan", "asin", "acos")


@dataclass(frozen=True)
class _Reading(NamesOfModel):
    """What trees mean: sums, expectations, functions; names are those of a model.

    Attributes
    ----------
    parts : list of GaussianExpectation
        Every expectation that was written, and those of terms and functions in it, before SymPy
        cancels any of them.
    """

    parts: list[GaussianExpectation] = field(default_factory=list)
    _inner: list[sp.Expr] = field(default_factory=list)

    def of(self, node: Node, scope: Scope) -> sp.Expr:
        value = self._of(node, scope)
        if scope.inside and _is_partial(node):
            self._inner.append(value)
        return value

    def _of(self, node: Node, scope: Scope) -> sp.Expr:
        match node:
            case Number(value):
                return sp.Rational(value.numerator, value.denominator)
            case Add(terms):
                values = [self.of(t, scope) for t in terms]
                self._inner.extend(values if scope.inside else [])
                return sp.Add(*values)
            case Multiply(factors):
                return sp.Mul(*(self.of(f, scope) for f in factors))
            case Negative(inside):
                return -self.of(inside, scope)
            case Divide(above, below):
                divisor = self.divisor(below, scope)
                if divisor == 0:
                    expected = "a divisor that is not zero"
                    remedy = "check the denominator"
                    raise self.fail(node, "a division by zero", expected, remedy)
                return self.of(above, scope) / divisor
            case Power(base, exponent):
                n = self.of(exponent, scope)
                read = self.divisor if n.is_negative else self.of
                return self.power(node, read(base, scope), n)
            case Sum():
                return self.sum(node, scope)
            case Expectation():
                return self.expectation(node, scope)
            case Call():
                return self.call(node, scope)
            case Name():
                return self.name(node, scope)
        raise TypeError(type(node).__name__)

    def divisor(self, node: Node, scope: Scope) -> sp.Expr:
        """What is divided by: of its terms only poles matter, none of them needs a mean."""
        before = len(self._inner)
        found = self.of(node, scope)
        law = preactivation_law(self.model, 0)
        parts = [(f, GaussianExpectation(f, law)) for f in self._inner[before:]]
        self._inner[before:] = [
            f for f, e in parts if isinstance(e, GaussianExpectation) and not is_bounded_locally(e)
        ]
        return found

    def power(self, node: Node, base: sp.Expr, exponent: sp.Expr) -> sp.Expr:
        if exponent.is_number and abs(exponent) > MAX_EXPONENT:
            remedy = "write exp(...) for large powers"
            raise self.fail(node, f"the exponent {exponent}", f"one up to {MAX_EXPONENT}", remedy)
        if base == 0 and not exponent.is_positive:
            raise self.fail(
                node, "a division by zero", "a base that is not zero", "check the power"
            )
        return base**exponent

    def sum(self, node: Sum, scope: Scope) -> sp.Expr:
        sizes = []
        for letter in node.indices:
            size = self.vocabulary.size_of(letter)
            if size is None:
                raise self.fail(
                    node, f"a sum over {letter!r}", LETTERS, "use a letter of the conventions"
                )
            if letter in scope.bindings:
                got = f"a sum over {letter!r}, which has a value already"
                expected = "a letter that is not used outside"
                remedy = "rename the index of the sum"
                raise self.fail(node, got, expected, remedy)
            sizes.append(size)
            if not any(isinstance(b, Bound) and b.letter == letter for b in node.conditions):
                self.check_places(node, letter, size)
        for bound in node.conditions:
            if isinstance(bound, Bound):
                self.check_bound(bound, node, sizes)
        terms = []
        for values in product(*(range(1, size + 1) for size in sizes)):
            inner = scope.bind(node.indices, values)
            if all(self.holds(c, inner) for c in node.conditions):
                terms.append(self.of(node.body, inner))
        return sp.Add(*terms)

    def holds(self, condition: Condition | Bound, scope: Scope) -> bool:
        if isinstance(condition, Bound):
            value, limit = scope.bindings[condition.letter], self.limit(condition, scope)
            return value <= limit if condition.upper else value >= limit
        left, right = (self.index(i, condition, scope) for i in (condition.left, condition.right))
        return (left == right) == condition.equal

    def check_places(self, node: Sum, letter: str, size: int) -> None:
        """A sum over all values of a letter is over all values of the places where it stands."""
        for used, kind, position in places(node.body):
            if kind is None or used != letter:
                continue
            there = self.vocabulary.size_of(KINDS[kind][0])
            if there != size:
                got = f"a sum over {size} values of {letter!r}, which stands for a {kind}"
                expected, remedy = f"all {there} of them", f"use {KINDS[kind][0]} for a {kind}"
                place = Number(Fraction(0), position=position)
                raise self.fail(place, got, expected, remedy)

    def check_bound(self, bound: Bound, node: Sum, sizes: list[int]) -> None:
        """A sum that leaves the range of its index is refused, not cut: it was meant otherwise."""
        if bound.letter not in node.indices:
            got, remedy = f"a limit of {bound.letter!r}, which is not summed over", "drop it"
            raise self.fail(bound, got, "limits of the index of the sum", remedy)
        size = sizes[node.indices.index(bound.letter)]
        if not limit_letters(bound.limit):
            value = self.limit(bound, Scope())
            # an empty sum, such as one up to k - 2 for k = 2, is a sum too
            if value > size + 1 - bound.upper or value < 1 - bound.upper:
                got = f"a sum of {bound.letter!r} {'up to' if bound.upper else 'from'} {value}"
                remedy = "write the size as k, r, n or q, and check the size of the model"
                raise self.fail(bound, got, f"1..{size}, the range of {bound.letter!r}", remedy)

    def limit(self, bound: Bound, scope: Scope) -> int:
        """The whole number that a limit of a sum is."""

        def value(node: Node) -> int:
            match node:
                case Number(number) if number.denominator == 1:
                    return int(number)
                case Name(base, ()) if base in SIZES:
                    return int(self.name(node, scope))
                case Name(base, ()):
                    return self.index(base, node, scope)
                case Add(terms):
                    return sum(map(value, terms))
                case Negative(inside):
                    return -value(inside)
            expected = "whole numbers, sizes such as k, indices, and sums of them"
            raise self.fail(node, f"the limit {show(node)!r} of a sum", expected, "simplify it")

        return value(bound.limit)

    def expectation(self, node: Expectation, scope: Scope) -> sp.Expr:
        if scope.inside:
            expected = "one level of E_l[...]"
            remedy = "put constants in front of E_l[...]"
            raise self.fail(node, "an expectation where a sample is at hand", expected, remedy)
        if node.component is None:
            return sp.Add(
                *(
                    p * self.within(node.body, l, scope)
                    for l, p in enumerate(self.model.mixture.weights)
                )
            )
        l = self.index(node.component, node, scope)
        self.check_range(node, "E", "component", l, self.model.components)
        return self.within(node.body, l - 1, scope)

    def within(self, body: Node, component: int, scope: Scope) -> sp.Expr:
        self._inner.clear()
        inner = self.of(body, replace(scope, inside=True))
        law = preactivation_law(self.model, component)
        nodes = (GaussianExpectation(f, law) for f in dict.fromkeys([inner, *self._inner]))
        self.parts.extend(n for n in nodes if isinstance(n, GaussianExpectation))
        if self.vocabulary.raw:
            return GaussianExpectation(inner, law)
        return average_features(inner, self.model, component)

    def call(self, node: Call, scope: Scope) -> sp.Expr:
        base = node.name.base
        if base == "diff":
            inside, *variables = node.arguments
            f = self.of(inside, scope)
            for variable in variables:
                x = self.of(variable, scope) if isinstance(variable, Name) else sp.Integer(0)
                if not x.is_Symbol:
                    raise self.fail(
                        variable, "no variable", "a symbol such as u_a", "write diff(f, u_a)"
                    )
                f = self.vocabulary.loss.derivative(f, x) if self.vocabulary.raw else f.diff(x)
            return f
        if base == "KroneckerDelta":
            indices = tuple(
                a.base
                if isinstance(a, Name) and not a.indices
                else int(a.value)
                if isinstance(a, Number)
                else "?"
                for a in node.arguments
            )
            return self.name(Name("delta", indices, position=node.position), scope)
        if base == "softmax" and len(node.name.indices) == 1:
            arguments = [self.of(a, scope) for a in node.arguments]
            return self.softmax(node.name, scope, arguments)
        if base in ("g", "dg") and not node.name.indices:
            return self.activation(node, scope)
        if base == "drift":
            of = ", ".join(map(show, node.arguments))
            got, expected = f"the time derivative of {of} in a formula", "one alone on the left"
            remedy = r"bring all else to the right, \dot m_{as} = ..., or write it out"
            raise self.fail(node, got, expected, remedy)
        function = FUNCTIONS.get(base)
        if function is None or node.name.indices:
            close = difflib.get_close_matches(
                base, [*FUNCTIONS, *SPECIAL, "sum", "E"], n=1, cutoff=0.5
            )
            known = (
                f"did you mean {close[0]}" if close else f"known are {', '.join(sorted(FUNCTIONS))}"
            )
            if base in SHAPES:
                known = f"write * after {base}"
            raise self.fail(node, f"the function {base!r}", "a function of the conventions", known)
        arguments = [self.of(a, scope) for a in node.arguments]
        if base not in ("lse", "LogSumExp") and len(arguments) != 1:
            raise self.fail(
                node, f"{base} of {len(arguments)} arguments", "one argument", f"write {base}(x)"
            )
        value = function(*arguments)
        if self.vocabulary.raw and not isinstance(value, (ReLU, Step, sp.DiracDelta)):
            value = (
                value.rewrite(sp.exp)
                if isinstance(value, (Sigmoid, Softplus, LogSumExp))
                else value
            )
        if value.has(sp.zoo, sp.nan, sp.oo):
            raise self.fail(
                node, f"{base} where it is infinite", "a finite value", "check its argument"
            )
        return value


def _is_partial(node: Node) -> bool:
    match node:
        case Call(Name(base), _):
            return base in _PARTIAL
        case Power(_, exponent):
            return not isinstance(exponent, Number) or exponent.value.denominator != 1
    return False

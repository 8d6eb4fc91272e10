"""Formulas as they are typeset in manuscripts: read as their twins, or refused with a remedy."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest
from latex_corpus import READ, REFUSED

from verify.claims.language.latex.formula import parse_latex
from verify.claims.language.substitution import with_children
from verify.claims.language.text import parse_formula
from verify.claims.language.tree import (
    Add,
    Divide,
    FormulaError,
    Multiply,
    Name,
    Negative,
    Node,
    Number,
    Power,
    show,
)

ROWS = [(style, *row) for style, rows in READ.items() for row in rows]


def plain(node: Node) -> Node:
    """One form for what differs in the order of signs, quotients and factors alone."""
    node = with_children(node, plain)
    one = Number(Fraction(1))
    match node:
        case Name("R" | "Q" | "P" | "delta" as base, indices):
            return Name(base, tuple(sorted(indices, key=str)))
        case Negative(inside):
            return plain(Multiply((Number(Fraction(-1)), inside)))
        case Divide(above, below):
            return plain(Multiply((above, _inverse(below))))
        case Multiply(factors):
            return _product(factors)
        case Add(terms):
            flat = [t for x in terms for t in (x.terms if isinstance(x, Add) else (x,))]
            return Add(tuple(sorted(flat, key=show)))
        case Power(base, exponent) if exponent == one:
            return base
    return node


def _inverse(node: Node) -> Node:
    match node:
        case Number(value):
            return Number(1 / value)
        case Multiply(factors):
            return Multiply(tuple(map(_inverse, factors)))
        case Power(base, Number(value)):
            return Power(base, Number(-value))
    return Power(node, Number(Fraction(-1)))


def _product(factors: tuple[Node, ...]) -> Node:
    flat = [f for x in factors for f in (x.factors if isinstance(x, Multiply) else (x,))]
    number = Fraction(1)
    rest = []
    for factor in flat:
        if isinstance(factor, Number):
            number *= factor.value
        else:
            rest.append(factor)
    rest = sorted(rest, key=show)
    if not rest:
        return Number(number)
    rest = rest if number == 1 else [Number(number), *rest]
    return rest[0] if len(rest) == 1 else Multiply(tuple(rest))


def test_the_corpus_is_large_and_almost_all_of_it_is_read() -> None:
    assert len(READ) >= 15
    assert len(ROWS) >= 150
    read = 0
    for _, latex, _ in ROWS:
        try:
            parse_latex(latex)
            read += 1
        except FormulaError:
            pass
    assert read >= 0.95 * len(ROWS)


@pytest.mark.parametrize(("style", "latex", "text"), ROWS, ids=[r[1] for r in ROWS])
def test_latex_is_read_as_its_twin(style: str, latex: str, text: str) -> None:
    assert plain(parse_latex(latex)) == plain(parse_formula(text)), style


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1/lambda", "lambda"),
        ("m_1_2", "m_2_1"),
        ("E_l[u_1]^2", "E_l[u_1^2]"),
        ("sum_b(m_b_1, b <= k - 1)", "sum_b(m_b_1)"),
        ("-(a + b)", "-a + b"),
        ("a/(b*c)", "a/b*c"),
        ("2*a", "a"),
    ],
)
def test_the_comparison_sees_differences(one: str, other: str) -> None:
    assert plain(parse_formula(one)) != plain(parse_formula(other))


@pytest.mark.parametrize(("latex", "position", "message"), REFUSED, ids=[r[0] for r in REFUSED])
def test_what_is_refused_says_where_why_and_what_works(
    latex: str, position: int, message: str
) -> None:
    with pytest.raises(FormulaError) as caught:
        parse_latex(latex)
    assert re.search(message, str(caught.value), re.S), str(caught.value)
    assert caught.value.position == position
    assert caught.value.remedy

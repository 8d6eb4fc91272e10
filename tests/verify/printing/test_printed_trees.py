"""Any tree, printed as plain text or as LaTeX in three styles, is read back as itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from latex_styles import flattened, inline, manuscript

from verify.claims.language.latex.formula import parse_latex
from verify.claims.language.number_sizes import MOST_BITS, largest_bits
from verify.claims.language.text import parse_formula
from verify.claims.language.tree import (
    Add,
    Call,
    Condition,
    Divide,
    Expectation,
    Multiply,
    Name,
    Negative,
    Node,
    Power,
    Sum,
    show,
)
from verify.printing.tree_latex import tree_latex

NAMES = [
    "lambda", "beta", "c_delta", "m_a_s", "m_1_2", "Q_a_b", "R_a_b", "p_l", "g_a", "H_a_b", "pi_b",
    "u_a", "v_i", "delta_a_b", "Y_s", "w_a", "m_c_s",
]  # fmt: skip
FUNCTIONS = ["exp", "log", "tanh", "sigmoid", "relu", "step", "sqrt"]
OTHER = (Condition("c", "a", equal=False),)
LEAVES = st.one_of(st.sampled_from(NAMES), st.integers(0, 30).map(str)).map(parse_formula)
STYLES = {"paper": tree_latex, "manuscript": manuscript, "inline": inline}


def compound(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    several = st.lists(inner, min_size=2, max_size=3).map(tuple)
    derivative = (Name("u", ("b",)), Name("u", ("a",)))
    return st.one_of(
        several.map(Add),
        several.map(Multiply),
        st.builds(Divide, inner, inner),
        st.builds(Power, inner, inner),
        st.builds(Negative, inner),
        st.builds(Expectation, st.sampled_from([None, "l", 1]), inner),
        st.builds(Sum, st.just(("c",)), inner, st.sampled_from([(), OTHER])),
        st.builds(lambda f, x: Call(Name(f), (x,)), st.sampled_from(FUNCTIONS), inner),
        st.builds(lambda f, n: Call(Name("diff"), (f, *derivative[:n])), inner, st.integers(1, 2)),
    )


# towers of powers are refused, however they are written
TREES = st.recursive(LEAVES, compound, max_leaves=8).filter(
    lambda tree: largest_bits(tree) <= MOST_BITS
)


@given(TREES)
def test_plain_text_is_read_back(tree: Node) -> None:
    assert parse_formula(show(tree)) == tree


@pytest.mark.slow
@pytest.mark.parametrize("style", STYLES)
@given(tree=TREES)
def test_latex_of_every_style_is_read_back(style: str, tree: Node) -> None:
    """But for brackets around products in products, and for which factor has the sign."""
    assert flattened(parse_latex(STYLES[style](tree))) == flattened(tree)


@pytest.mark.parametrize("style", STYLES)
def test_a_printer_that_drops_brackets_is_heard(style: str) -> None:
    printed: Callable[[Node], str] = STYLES[style]
    tree = Multiply((Name("lambda"), Add((Name("beta"), Name("p", (1,))))))
    broken = printed(tree).replace(r"\left", "").replace(r"\right", "")
    for bracket in "()":
        broken = broken.replace(bracket, "")
    assert flattened(parse_latex(broken)) != flattened(tree)


def test_a_numerator_that_begins_with_a_derivative() -> None:
    r"""It was once taken for \frac{\partial f}{\partial u}, and refused."""
    (latex,) = {tree_latex(parse_formula("diff(pi_a, u_b)/lambda"))}
    assert show(parse_latex(latex)) == "diff(pi_a, u_b)/lambda"

"""Trees printed as LaTeX are read back with the same meaning."""

from __future__ import annotations

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from theory import kgmm
from verify.claims.language.latex.formula import parse_latex
from verify.claims.language.text import parse_formula
from verify.claims.language.tree import show
from verify.claims.language.vocabulary import Vocabulary
from verify.printing.tree_latex import tree_latex, tree_lines, width

AT = {"a": 1, "b": 2, "l": 1, "s": 2}
LEAVES = [
    "lambda", "beta", "m_a_s", "Q_a_b", "R_a_b", "p_l", "2", "1/3", "delta_a_b", "m_1_2",
    "E_l[g_a*H_a_b]", "E[pi_b]", "E_l[delta_a_y*u_b^2]", "E[g_a*Y_s]", "E_l[diff(pi_a, u_b)*w_a]",
]  # fmt: skip


def compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pair = st.tuples(inner, inner)
    return st.one_of(
        pair.map(lambda p: f"({p[0]}) + ({p[1]})"),
        pair.map(lambda p: f"({p[0]}) - ({p[1]})"),
        pair.map(lambda p: f"({p[0]})*({p[1]})"),
        pair.map(lambda p: f"({p[0]})/({p[1]})"),
        inner.map(lambda x: f"-({x})"),
        inner.map(lambda x: f"({x})^2"),
        inner.map(lambda x: f"exp({x})"),
        inner.map(lambda x: f"sqrt({x})"),
        inner.map(lambda x: f"relu({x})"),
        inner.map(lambda x: f"sigmoid({x})"),
        inner.map(lambda x: f"sum_c(({x})*m_c_s)"),
        inner.map(lambda x: f"sum_c(({x})*m_c_s, c != a)"),
    )


FORMULAS = st.recursive(st.sampled_from(LEAVES), compound, max_leaves=6)


@pytest.mark.slow
@given(FORMULAS)
def test_what_is_printed_is_read_back(text: str) -> None:
    tree = parse_formula(text)
    vocabulary = Vocabulary(kgmm(2))
    try:
        meant = vocabulary.read(tree, text, AT)
    except ValueError:
        return  # a division by zero, or a sum within a sum over the same letter
    for latex in (tree_latex(tree), " ".join(tree_lines(tree, 20))):
        read = vocabulary.read(parse_latex(latex), latex, AT)
        assert sp.expand(read - meant) == 0 or read == meant, latex


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        (
            "E_l[step(u_a)*dirac(u_b)]",
            r"\mathbb{E}_{l}\bigl[ \mathbf{1}\{u_{a}>0\} \delta(u_{b}) \bigr]",
        ),
        ("-sum_b(m_b_s)/lambda", r"\frac{-\sum_{b} m_{bs}}{\lambda}"),
        ("sum_b(p_1, b >= 1, b <= k - 1)", r"\sum_{b=1}^{k - 1} p_{1}"),
        ("H_a_v_i + g_v_i", "H_{av_{i}} + g_{v_{i}}"),
        ("m_12_1*2", r"m_{12,1} \cdot 2"),
    ],
)
def test_notation(text: str, latex: str) -> None:
    assert tree_latex(parse_formula(text)) == latex


def test_long_formulas_are_broken_into_lines_that_fit() -> None:
    terms = " + ".join(f"lambda^{n}*E_l[g_a*H_a_b]*m_1_2" for n in range(2, 12))
    for text in (terms, f"sum_l(p_l*({terms}))", f"-m_1_1*({terms})"):
        lines = tree_lines(parse_formula(text), 40)
        assert len(lines) > 3
        assert max(map(width, lines)) < 50
    assert show(parse_latex(" ".join(tree_lines(parse_formula(terms), 40)))) == terms

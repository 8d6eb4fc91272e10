r"""Derivatives in LaTeX: of higher orders with exponents, and in time where none can stand."""

import pytest

from theory import kgmm
from verify.claims.judge import make_claim
from verify.claims.language.latex.formula import parse_latex
from verify.claims.language.tree import FormulaError, show


@pytest.mark.parametrize(
    ("latex", "plain"),
    [
        (r"\partial_{t_2}^2 g_a", "diff(g_a, t_2, t_2)"),
        (r"\partial^2_{t_2} g_a", "diff(g_a, t_2, t_2)"),
        (r"\partial_c^{3} g_a", "diff(g_a, u_c, u_c, u_c)"),
        (r"\partial^2_{u_a u_b}\ell", "diff(ell, u_a, u_b)"),
        (r"\partial_{ab}^2\ell", "diff(ell, u_a, u_b)"),
        (r"\frac{\partial^{2} g_a}{\partial t_2^{2}}", "diff(g_a, t_2, t_2)"),
        (r"\frac{\partial^3\ell}{\partial u_a^2\,\partial v_1}", "diff(ell, u_a, u_a, v_1)"),
    ],
)
def test_exponents_of_derivatives_are_orders(latex: str, plain: str) -> None:
    assert show(parse_latex(latex)) == plain


@pytest.mark.parametrize(
    ("latex", "got"),
    [
        (r"\partial^3_{u_a u_b}\ell", "order 3 in 2 variables"),
        (r"\partial_{ab}^3\ell", "order 3 in 2 variables"),
        (r"\frac{\partial^2\ell}{\partial u_a^{3}}", "order 2 in 3 variables"),
        (r"\partial^2_c{}^2 g_a", "formula or a factor"),
        (r"\partial^2_c^2 g_a", "second exponent"),
        (r"\partial_c^k g_a", "order of the derivative"),
        (r"\partial_c^{12} g_a", "'}'"),
        (r"\frac{d^2}{dt^2} m_{as}", "second derivative in time"),
    ],
)
def test_orders_that_do_not_fit_are_refused(latex: str, got: str) -> None:
    with pytest.raises(FormulaError, match=got):
        parse_latex(latex)


@pytest.mark.parametrize(
    ("formula", "name"),
    [
        (r"\dot m_{as} + \beta m_{as}", "m_a_s"),
        (r"-\frac{d}{dt} R^\perp_{ab}", "R_a_b"),
        (r"2\sum_s m_{as}\,\partial_t m_{bs}", "m_b_s"),
        ("-drift(m_a_s)", "m_a_s"),
    ],
)
def test_time_derivatives_in_formulas_are_told_by_name(formula: str, name: str) -> None:
    with pytest.raises(FormulaError) as caught:
        make_claim(kgmm(2), "drift m_a_s" if name == "m_a_s" else "drift R_a_b", formula)
    assert caught.value.plain == f"the time derivative of {name} in a formula"
    assert "alone on the left" in str(caught.value)
    assert "to the right" in str(caught.value)

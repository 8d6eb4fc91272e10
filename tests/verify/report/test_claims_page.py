"""The report of claims: every claim as a formula, and everything that is said about it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from command_runner import new_runner

from theory import kgmm
from verify.claims.judge import make_claim
from verify.claims.judgement import Finding
from verify.claims.language.latex.formula import parse_latex
from verify.claims.language.tree import show
from verify.claims.one_by_one import Answer, unjudged
from verify.claims.reading.listing import ListedClaim
from verify.commands.cli import app
from verify.printing.read_as import read_as_latex
from verify.report.claims_page import render_page

TWO = kgmm(2)
CLAIMS = """
[model]
name = "kgmm"
k = 2

[[claim]]
name = "a derivative <b>"
quantity = "diff(pi_a, u_b)"
formula = "pi_a*(delta_a_b - pi_b)"

[[claim]]
name = "its slip"
quantity = "diff(pi_a, u_b)"
latex = '''\\pi_a\\pi_b'''

[[claim]]
name = "no formula"
quantity = "diff(pi_a, u_b)"
formula = "pi_a*("
"""


@pytest.mark.parametrize(
    ("quantity", "formula", "latex"),
    [
        ("drift m_a_s", "-beta*m_a_s", r"\text{drift }m_{as} = -\beta m_{as}"),
        ("H_a_b[e_s,x_c]", "beta", r"\text{hessian }H_{ab}[e_{s}, x^{c}] = \beta"),
        ("corrector_a_b", "0", r"\text{drift }\mathrm{corrector}_{ab} = 0"),
        ("Cov[m_1_1,R_1_2]", "0", r"\text{diffusion }\mathrm{Cov}[m_{11}, R^\perp_{12}] = 0"),
        ("E_l[u_a]", "m_a_l", r"\mathbb{E}_{l}[u_{a}] = m_{al}"),
    ],
)
def test_claims_as_formulas(quantity: str, formula: str, latex: str) -> None:
    assert read_as_latex(make_claim(TWO, quantity, formula)) == latex


def test_what_is_shown_is_what_was_read() -> None:
    """The right side is read back as the tree that is judged."""
    claim = make_claim(TWO, "E_l[u_a*u_b]", "m_a_l*m_b_l + Q_a_b/lambda", order=1)
    right = read_as_latex(claim).partition(" = ")[2]
    assert right.endswith(r" + o(\lambda^{-1})")
    assert show(parse_latex(right.rpartition(" + o(")[0])) == show(claim.formula)


def test_the_report_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "claims.toml").write_text(CLAIMS)
    report = tmp_path / "report.html"
    arguments = ["check", str(tmp_path / "claims.toml"), "--report", str(report)]
    assert new_runner().invoke(app, arguments).exit_code == 1
    page = report.read_text()
    assert page.count("<section") == 3
    assert page.count("<math") == 2
    assert page.count('class="stands"') == page.count('class="wrong"') == 1
    assert "a derivative &lt;b&gt;: proved" in page
    assert "<script" not in page
    assert "http" not in page.replace("http://www.w3.org", "")
    assert "3 of 3 claims judged" in page


def test_names_without_mathml_are_shown_as_they_are() -> None:
    listed = ListedClaim("a claim", lambda: make_claim(TWO, "E_l[u_a]", "m_a_l"), "kgmm2", {})
    answer: Answer = replace(unjudged(listed, Finding.GAVE_UP, "", 1.0), latex=r"\nothing{<x>}")
    page = render_page([answer], 0, 2)
    assert r"<code>\nothing{&lt;x&gt;}</code>" in page
    assert "1 of 2 claims judged" in page
    assert 'class="open"' in page


def test_a_report_is_a_page(tmp_path: Path) -> None:
    (tmp_path / "claims.toml").write_text(CLAIMS)
    arguments = ["check", str(tmp_path / "claims.toml"), "--report", str(tmp_path / "r.txt")]
    refused = new_runner().invoke(app, arguments)
    assert refused.exit_code == 2
    assert not (tmp_path / "r.txt").exists()

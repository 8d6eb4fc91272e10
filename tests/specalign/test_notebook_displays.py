"""What objects show of themselves: short on one line, and as formulas or tables in a notebook."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from markupsafe import escape

import specalign as sa
from theory.notebook import ENTRIES

MODEL = sa.kgmm(3, directions_gram="orthonormal")
PROBLEM = sa.Problem(MODEL, weights=[0.5, 0.3, 0.2], precision=10, ridge=0.1, step=1)
DERIVED = {
    "drift": lambda: sa.derive_drift(MODEL),
    "diffusion": lambda: sa.derive_diffusion(MODEL),
    "finite size": lambda: sa.derive_finite_size(MODEL),
    "hessian": lambda: sa.derive_hessian(sa.xor(4)),
    "gradient matrix": lambda: sa.derive_gradient_matrix(MODEL),
    "gradient": lambda: sa.derive_gradient(sa.xor(2)),
    "risk": lambda: sa.derive_risk(MODEL),
    "features": lambda: sa.derive_readout_features(sa.xor(2)),
    "fixed point": lambda: sa.softmax_fixed_point(MODEL),
    "block": lambda: sa.derive_hessian(MODEL).block(0, 1),
}
OTHERS = {
    "model": lambda: MODEL,
    "mixture": lambda: MODEL.mixture,
    "loss": lambda: MODEL.loss,
    "parameters": lambda: PROBLEM.parameters,
    "problem": lambda: PROBLEM,
    "state": lambda: sa.State.zero(PROBLEM),
}


def balanced(latex: str) -> bool:
    """Braces, environments and sized brackets are closed in order."""
    open_ones: list[str] = []
    pairs = {"}": "{", r"\right": r"\left"}
    for found in re.finditer(r"\\begin\{(\w+)\}|\\end\{(\w+)\}|\\left|\\right|\\[{}]|[{}]", latex):
        text = found.group()
        if text.startswith(r"\begin"):
            open_ones.append(found.group(1))
        elif text.startswith(r"\end"):
            if not open_ones or open_ones.pop() != found.group(2):
                return False
        elif text in pairs:
            if not open_ones or open_ones.pop() != pairs[text]:
                return False
        elif text in pairs.values():
            open_ones.append(text)
    return not open_ones


@pytest.mark.parametrize("make", (DERIVED | OTHERS).values(), ids=(DERIVED | OTHERS).keys())
def test_every_object_is_short_on_a_line_and_a_formula_in_a_notebook(make):
    thing = make()
    assert len(repr(thing).splitlines()) < 20
    assert len(repr(thing)) < 1000
    latex = thing._repr_latex_()
    assert latex.startswith("$$")
    assert latex.endswith("$$")
    assert balanced(latex)
    assert len(latex) < 12_000
    assert not re.search(r"_\{[^{}]*\}_\{", latex), "a double subscript is an error of TeX"


def test_a_long_formula_says_how_much_is_left_out():
    drift = sa.derive_drift(MODEL)
    shown = drift._repr_latex_()
    terms = len(drift.overlap[0, 0].args)
    assert rf"\text{{({terms - 6} more terms)}}" in shown
    assert rf"\text{{{9 - ENTRIES} more entries}}" in shown
    # and what it shows is the entry, term for term
    assert r"\dot m_{1,1} &= - \beta m_{1 1} - p_{1} \mathbb{E}_{1}" in shown


@pytest.mark.slow
def test_verdicts_are_tables_and_their_texts_are_escaped():
    claim = sa.check(MODEL, "corrector_a_b", "c_delta*sum_l(p_l*E_l[g_a*g_b])/lambda")
    assert repr(claim) == f"Judgement('claim': proved, seed {claim.seed})"
    assert "<b>claim</b>: proved" in claim._repr_html_()
    named = replace(claim.claim, name="<script>alert(1)</script>")
    hostile = replace(claim, claim=named)
    assert "<script>" not in hostile._repr_html_()
    assert "&lt;script&gt;" in hostile._repr_html_()


def test_reports_name_every_law_and_check():
    report = sa.check_model(sa.kgmm(2), only=["gauge"], seed=3)
    assert repr(report).startswith("ModelReport('kgmm2': 1 holds")
    assert "gauge" in report._repr_html_()
    (result,) = [r.check for r in report.results if r.check is not None]
    assert repr(result) == f"CheckResult({result.name!r}, holds, seed {result.seed})"
    for comparison in result.comparisons:
        assert escape(comparison.quantity) in result._repr_html_()

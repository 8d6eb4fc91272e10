r"""What ``derive --format latex`` prints is read back as the claim that its plain twin is."""

from __future__ import annotations

from pathlib import Path

import pytest
import sympy as sp
from helpers import fresh_rng

from theory import GaussianExpectation, kgmm, xor
from theory.expectations.derived import find_expectations
from verify.claims.cases import cases_of
from verify.claims.judge import make_claim
from verify.claims.judgement import Claim
from verify.claims.language.latex.formula import parse_latex
from verify.claims.quantity_names import entry_name, parse_quantity
from verify.claims.reading.manuscripts import list_manuscript
from verify.printing.formulas import PrintedFormulas, collect, render

MODELS = {"kgmm": (kgmm(2), "% k: 2"), "xor": (xor(2), "% width: 2")}
# lines of a quantity that are compared as expressions too
COMPARED = 10
# a fixed point is not named by a left side
KINDS = ("drift", "gradient", "hessian", "gradient-matrix", "diffusion")


def read_claims(tmp_path: Path, name: str, text: str) -> list[Claim]:
    path = tmp_path / "printed.tex"
    path.write_text(f"% model: {name}\n{MODELS[name][1]}\n{text}")
    return [listed.read() for listed in list_manuscript(path)]


def plain_quantity(kind: str, name: str) -> str:
    """The quantity that the plain language has for an entry."""
    return name if kind == "diffusion" else f"{kind} {name}"


def plain_twins(kind: str, formulas: PrintedFormulas) -> list[tuple[str, str]]:
    """Quantity and formula of every line that ``--format text`` prints."""
    lines = [line for line in render(formulas, "text").splitlines() if line[:1] not in ("", "#")]
    entries = [e for e in formulas.entries.values() if e.expression != 0]
    twins = []
    for line, entry in zip(lines, entries, strict=True):
        left, _, right = line.partition(" = ")
        assert left == entry.text
        twins.append((plain_quantity(kind, entry.name), right))
    return twins


def multiplied_out(e: sp.Expr) -> sp.Expr:
    """In one form: the two languages write signs in products differently."""
    nodes = find_expectations(e)
    plain = {n: GaussianExpectation(sp.expand(n.general_integrand), n.law) for n in nodes}
    return sp.expand(e.xreplace(plain))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_printed_line_is_its_plain_twin(tmp_path: Path, name: str, kind: str) -> None:
    model = MODELS[name][0]
    formulas = collect(model, kind)
    read = read_claims(tmp_path, name, render(formulas, "latex"))
    twins = plain_twins(kind, formulas)
    for claim, (quantity, _) in zip(read, twins, strict=True):
        expected = parse_quantity(quantity)
        assert (claim.model, claim.quantity.kind) == (model, expected.kind)
        assert claim.quantity.parts == expected.parts
        assert claim.quantity.regularized == expected.regularized
    chosen = fresh_rng().choice(len(read), min(COMPARED, len(read)), replace=False)
    for i in chosen:
        (read_back,), (typed,) = cases_of(read[i]), cases_of(make_claim(model, *twins[i]))
        assert multiplied_out(read_back.claimed) == multiplied_out(typed.claimed), twins[i]


@pytest.mark.parametrize(
    ("latex", "plain"),
    [
        ("H_{12}[e_1,e_1]", "H_1_2[e_1,e_1]"),
        ("H_{ab}[e_s, e_s]", "H_a_b[e_s,e_s]"),
        ("H_{ab}[e_s, x^{b}]", "H_a_b[e_s,x_b]"),
        (r"H_{ab}[\mathrm{bulk}]", "H_a_b[bulk]"),
        (r"H_{ab}\left[\text{bulk}\right]", "H_a_b[bulk]"),
        ("G_{1,2}[bulk]", "G_1_2[bulk]"),
        (r"H_{1, v_2}[x^{1}]", "H_1_v_2[x_1]"),
        ("H_{v_i v_j}", "H_v_i_v_j"),
        ("g_a[x_b]", "gradient g_a[x_b]"),
        (r"\frac{d m_{11}}{dt}", "drift m_1_1"),
        (r"\mathrm{Cov}[m_{11}, m_{22}]", "Cov[m_1_1,m_2_2]"),
    ],
)
def test_left_sides_of_authors(latex: str, plain: str) -> None:
    found = parse_quantity(entry_name(parse_latex(latex)))
    expected = parse_quantity(plain)
    assert (found.kind, found.parts) == (expected.kind, expected.parts)


def test_greek_indices_of_a_block(tmp_path: Path) -> None:
    text = r"\[ H_{\alpha\gamma}[e_\sigma, x^\gamma] = \beta m_{\gamma\sigma} \]"
    (claim,) = read_claims(tmp_path, "kgmm", text)
    assert claim.read_as == "hessian H_a_b[e_s,x_b] = beta*m_b_s"


@pytest.mark.parametrize(
    "factor", [r"[e_s\cdot Y]", r"[x^{a\top} Y - 1]", r"[\langle Y, e_s\rangle]", "[u_a]"]
)
def test_brackets_of_a_factor_stay_a_product(factor: str) -> None:
    assert entry_name(parse_latex(f"g_a {factor}")).startswith("g_a*")


def test_a_gradient_beside_a_sample_is_of_that_sample(tmp_path: Path) -> None:
    mean, sample = read_claims(
        tmp_path,
        "xor",
        r"\[ g_{v_1} = \beta v_1 \] \[ g_{v_1} = (\sigma(f) - y)\, \mathrm{relu}(u_1) \]",
    )
    assert (mean.quantity.kind, sample.quantity.kind) == ("gradient", "expression")
    assert sample.quantity.sample

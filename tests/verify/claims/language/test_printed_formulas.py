r"""What ``derive --format latex`` prints is read back as the claim that its plain twin is."""

from __future__ import annotations

from pathlib import Path

import pytest
import sympy as sp
from helpers import fresh_rng

from theory import GaussianExpectation, InputError, kgmm, xor
from theory.expectations.derived import find_expectations
from verify import check
from verify.claims.cases import cases_of
from verify.claims.judge import judge, make_claim
from verify.claims.judgement import Claim, Finding
from verify.claims.language.latex.formula import parse_latex
from verify.claims.language.tree import show
from verify.claims.quantity_names import entry_name, parse_quantity
from verify.claims.reading.manuscripts import list_manuscript
from verify.printing.formulas import PrintedFormulas, apply_limit, collect, render

MODELS = {"kgmm": (kgmm(2), "% k: 2"), "xor": (xor(2), "% width: 2")}
# lines of a quantity that are compared as expressions too
COMPARED = 10
# the left side names an entry; a fixed point is named by a comment
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


@pytest.mark.slow
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


@pytest.mark.parametrize("limit", ["noiseless", "1"])
@pytest.mark.parametrize("kind", ["drift", "gradient", "hessian", "gradient-matrix"])
def test_limits_are_read_back_too(tmp_path: Path, kind: str, limit: str) -> None:
    """There the softmax has arguments."""
    formulas = apply_limit(collect(kgmm(2), kind), limit)
    read = read_claims(tmp_path, "kgmm", render(formulas, "latex"))
    values = [value for value in formulas.values.values() if value != 0]
    assert [c.quantity.kind for c in read] == [kind] * len(values)
    for claim, value in zip(read, values, strict=True):
        (case,) = cases_of(claim)
        assert sp.expand(case.claimed - value) == 0, case.name


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_fixed_points_are_read_back_and_stand(tmp_path: Path, name: str) -> None:
    """State, gaps and norms are claims; eigenvalues of the flow and blocks are not."""
    assignment = ["mu", "-mu"] if name == "xor" else None
    model = kgmm(2, directions_gram="orthonormal") if assignment is None else MODELS[name][0]
    text = render(collect(model, "fixed-point", assignment=assignment), "latex")
    lines = text.splitlines()
    named = [i for i, line in enumerate(lines) if line.startswith("% quantity: fixed-point")]
    assert len(named) == (4 if assignment else 6)
    kept = "\n".join("\n".join(lines[i : i + 2]) for i in named)
    extra = "" if assignment else "% directions_gram: orthonormal\n"
    read = read_claims(tmp_path, name, extra + kept)
    assert {c.quantity.kind for c in read} == {"fixed-point"}
    rng = fresh_rng()
    chosen = [read[i] for i in rng.choice(len(read), 2, replace=False)]
    assert {judge(c, int(rng.integers(2**31))).finding for c in chosen} == {Finding.PROVED}
    if assignment:  # other fixed points are none that claims are about
        other = render(collect(model, "fixed-point", assignment=["mu", "nu"]), "latex")
        assert "% quantity" not in other


@pytest.mark.parametrize(
    ("latex", "plain"),
    [
        (r"\pi_1\left(m_{11}, m_{21}\right)", "softmax_1(m_1_1, m_2_1)"),
        (r"\pi_1^2(m_{11}, m_{21})", "softmax_1(m_1_1, m_2_1)^2"),
        (r"\pi_1^{2}\left(u_1, m_{21}\right)", "softmax_1(u_1, m_2_1)^2"),
        (r"\pi_a (1 - \pi_b)", "pi_a*(1 - pi_b)"),
        (r"\pi_a^2 (\delta_{a,b} - \pi_b)", "pi_a^2*(delta_a_b - pi_b)"),
    ],
)
def test_arguments_of_a_softmax(latex: str, plain: str) -> None:
    assert show(parse_latex(latex)) == plain


def test_a_softmax_of_other_arguments_is_another_number() -> None:
    """Arguments in another order were once read as if they stood in theirs."""
    model, seed = kgmm(2, directions_gram="orthonormal"), int(fresh_rng().integers(2**31))
    swapped = check(model, "E_l[pi_1]", "E_l[softmax_1(u_2, u_1)]", seed=seed)
    assert swapped.finding is Finding.REFUTED
    assert check(model, "E_l[pi_1]", r"\mathbb{E}_l[\pi_1(u_1, u_2)]", seed=seed).stands
    with pytest.raises(InputError, match="softmax of 3 arguments"):
        check(model, "E_l[pi_1]", "E_l[softmax_1(u_1, u_2, u_1)]")


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


@pytest.mark.slow
def test_an_expansion_of_hours_is_refused_before():
    drift = collect(kgmm(3), "drift")
    with pytest.raises(InputError, match=r"limit: got 12, for which the 45 expectations have more"):
        apply_limit(drift, "12")
    apply_limit(drift, "1")

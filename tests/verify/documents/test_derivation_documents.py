"""Derivations: every step judged, what is printed read back as what was judged, documents that
stand alone.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import sympy as sp
from browser import browser
from command_cases import invoke

from theory import InputError, Loss, Mixture, Model, ReLU, Softplus, kgmm, symbols, xor
from verify.claims.cases import cases_of
from verify.claims.files import list_claims
from verify.claims.judgement import Finding
from verify.documents import derivation as documents
from verify.documents.derivation import Derivation, make_derivation
from verify.documents.notation import RESULT, ROUTES, Notation, Statement
from verify.documents.pages import latex_plain
from verify.documents.statements import statements_of

KEYS = {"model": "kgmm", "k": 2}


@pytest.fixture(scope="module")
def gradient() -> Derivation:
    return make_derivation(kgmm(2), "gradient")


def committee(name: str = "committee") -> Model:
    """A model of one's own: two units of different sizes, labels 1 and -1."""
    u = symbols.vector("u", 2)
    loss = (sp.tanh(u[0]) + 2 * sp.tanh(u[1]) - symbols.LABEL) ** 2 / 2
    data = Mixture.build(labels=[1, -1], coordinates=[[1], [-1]])
    return Model.build(data, Loss(loss, units=2), name=name)


def compile_latex(path: Path) -> str:
    """The log of pdflatex; a test without it is skipped."""
    if shutil.which("pdflatex") is None:
        pytest.skip("no pdflatex: install texlive-latex-base to compile the documents")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", path.name]
    done = subprocess.run(command, cwd=path.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert path.with_suffix(".pdf").stat().st_size > 10_000
    return path.with_suffix(".log").read_text(errors="replace")


@pytest.mark.slow
def test_every_step_stands_and_is_written(gradient: Derivation) -> None:
    assert gradient.stands
    assert not gradient.left_out
    text = gradient.latex()
    assert text.count(r"\begin{equation}") == len(gradient.steps) == 9
    assert r"\mathbf{1}\{a=y\}" in text
    assert str(gradient).count("proved") == 9


@pytest.mark.slow
def test_the_document_is_read_back_as_what_was_judged(gradient: Derivation, tmp_path: Path) -> None:
    """The LaTeX reader shares nothing with the printer."""
    path = tmp_path / "appendix.tex"
    gradient.write(path, KEYS)
    read = [claim.read() for claim in list_claims(path)]
    assert len(read) == len(gradient.steps)
    for step, claim in zip(gradient.steps, read, strict=True):
        judged = step.judgement.claim
        assert (claim.quantity.kind, claim.quantity.entry) == (
            judged.quantity.kind,
            judged.quantity.entry,
        )
        for one, other in zip(cases_of(judged), cases_of(claim), strict=True):
            assert sp.expand(one.claimed - other.claimed) == 0


def test_it_compiles_with_plain_latex_within_its_margins(
    gradient: Derivation, tmp_path: Path
) -> None:
    path = tmp_path / "appendix.tex"
    gradient.write(path)
    assert re.findall(r"\\usepackage\{(\w+)\}", path.read_text()) == ["amsmath", "amsfonts"]
    log = compile_latex(path)
    assert "Overfull" not in log


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [str(v) for k, v in attrs if k in ("src", "href") and v]


def test_the_page_stands_alone(gradient: Derivation) -> None:
    page = _Tags()
    page.feed(gradient.html())
    assert page.tags.count("figure") == len(gradient.steps)
    assert page.tags.count("math") > len(gradient.steps)
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert all(link.startswith("#") for link in page.links)


@pytest.mark.slow
def test_a_browser_draws_every_formula(gradient: Derivation, tmp_path: Path) -> None:
    path = tmp_path / "appendix.html"
    gradient.write(path)
    with browser(tmp_path) as page:
        page.open(path, width=900)
        sizes = page.evaluate(
            "[...document.querySelectorAll('math')].map(m => m.getBoundingClientRect())"
            ".map(b => Math.min(b.width, b.height))"
        )
        wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        assert len(sizes) > 9
        assert min(sizes) > 2
        assert not page.evaluate(wide)
        assert page.errors == []
        assert all(r.startswith("file:") for r in page.requests)


def test_names_are_data_in_both_formats(gradient: Derivation, tmp_path: Path) -> None:
    name = '<script>alert(1)</script> \\input{x} 50% a_b $x$ #1 "q" ~^ μ \x1b[31m'
    hostile = replace(gradient, model=replace(gradient.model, name=name))
    page = _Tags()
    page.feed(hostile.html())
    assert "script" not in page.tags
    path = tmp_path / "appendix.tex"
    hostile.write(path)
    text = path.read_text()
    assert r"\textbackslash{}input\{x\}" in text
    assert "\x1b" not in text
    assert "μ" not in text
    compile_latex(path)


def test_letters_that_plain_latex_lacks_are_named() -> None:
    assert latex_plain("λ é ½") == r"\texttt{U+03BB} e \texttt{U+00BD}"


def with_a_slip(model: Model, quantity: str, *_: object) -> list[Statement]:
    """The true statements, and one with a sign turned."""
    true = list(statements_of(model, quantity))
    return [*true[:2], Statement(RESULT, "A slip:", "gradient g_a[e_s]", "-p_s*E_s[g_a]")]


@pytest.mark.slow
def test_a_refuted_step_is_never_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(documents, "statements_of", with_a_slip)
    path = tmp_path / "appendix.tex"
    found = make_derivation(kgmm(2), "gradient")
    assert [s.judgement.finding for s in found.refuted_steps] == [Finding.REFUTED]
    with pytest.raises(InputError, match="a step that is refuted"):
        found.write(path)
    result = invoke("derive", "kgmm", "--k", 2, "--quantity", "gradient", "--document", path)
    assert result.exit_code == 1
    assert "nothing is written" in result.output
    assert "counterexample" in result.output
    assert not path.exists()


def test_a_step_that_cannot_be_told_is_marked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    judge = documents.judge

    def undecided(claim, seed):  # type: ignore[no-untyped-def]
        found = judge(claim, seed)
        return replace(found, finding=Finding.INCONCLUSIVE) if claim.name == "ell" else found

    monkeypatch.setattr(documents, "judge", undecided)
    monkeypatch.setattr(documents, "statements_of", lambda *a: list(statements_of(*a[:2]))[:2])
    for ending, mark in ((".tex", r"\textbf{Not confirmed}"), (".html", "Not confirmed")):
        path = tmp_path / f"appendix{ending}"
        result = invoke("derive", "kgmm", "--k", 2, "--quantity", "gradient", "--document", path)
        assert result.exit_code == 3
        assert "ell: inconclusive" in result.output
        assert path.read_text().count(mark) == 1


@pytest.mark.slow
def test_an_entry_is_written_out(tmp_path: Path) -> None:
    path = tmp_path / "point.tex"
    result = invoke(
        "derive", "kgmm", "--k", 2, "--quantity", "fixed-point", "--document", path,
        "--entry", "m_1_1",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    text = path.read_text()
    assert r"\section{Written out}" in text
    assert "% model: kgmm" in text
    assert "% k: 2" in text
    assert len(list_claims(path)) == text.count(r"\begin{equation}") == 4


@pytest.mark.slow
def test_noiseless_fixed_points_of_two_layers(tmp_path: Path) -> None:
    found = make_derivation(xor(4), "fixed-point")
    assert found.stands
    assert len(found.steps) == 8
    path = tmp_path / "point.tex"
    found.write(path)
    compile_latex(path)
    path = tmp_path / "other.tex"
    asked = ("--quantity", "fixed-point", "--assignment", "mu,mu,nu,nu", "--document", path)
    result = invoke("derive", "xor", *asked)
    assert result.exit_code == 2
    assert "assignment" in result.output
    assert not path.exists()


@pytest.mark.slow
def test_a_model_of_ones_own_without_an_index_form() -> None:
    """Units of different sizes have formulas of their own."""
    found = make_derivation(committee("mine_1"), "gradient")
    assert found.stands, str(found)
    quantities = [s.judgement.claim.quantity.entry for s in found.steps]
    assert "g_1" in quantities
    assert "g_2" in quantities
    assert r"mine\_1" in found.latex()


@pytest.mark.parametrize(
    ("path", "message"), [("a.pdf", "ending in .tex"), ("a", "ending in .tex")]
)
def test_other_endings_are_refused(gradient: Derivation, path: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        gradient.write(path)


@pytest.mark.parametrize(
    ("asked", "message"),
    [({"quantity": "drifts"}, "did you mean 'drift'"), ({"route": "x"}, "stein, projection")],
)
def test_what_is_unknown_is_refused_before_any_work(asked: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_derivation(kgmm(2), **asked)


def phase_retrieval(**data: object) -> Model:
    (u,), (t,) = symbols.vector("u", 1), symbols.vector("t", 1)
    return Model.build(Mixture.build(**data), Loss((u**2 - t**2) ** 2 / 8, units=1))


@pytest.mark.slow
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("quantity", ["drift", "gradient", "hessian", "gradient-matrix"])
def test_steps_run_over_teachers_too(quantity: str, route: str, monkeypatch) -> None:
    model = phase_retrieval(labels=[0], coordinates=[[1]])
    found = make_derivation(model, quantity, route=route)
    assert found.stands, str(found)
    assert "t_s=e_s" in found.latex()
    monkeypatch.setattr(Notation, "_teachers", [])
    assert make_derivation(model, quantity, route=route).refuted_steps


@pytest.mark.parametrize("quantity", ["gradient-matrix", "hessian"])
def test_what_has_no_two_derivatives_is_not_derived_by_stein(quantity: str) -> None:
    u, t = symbols.vector("u", 1)[0], symbols.vector("t", 1)[0]
    pure = Mixture.build(labels=[0], coordinates=[[0]], directions_gram=[[1]])
    model = Model.build(pure, Loss((ReLU(u) - ReLU(t)) ** 2 / 2, units=1, kinks=(u, t)))
    with pytest.raises(InputError, match=r"across a kink twice.*'projection'"):
        make_derivation(model, quantity, route="stein")
    assert make_derivation(model, quantity).stands


def test_a_logistic_teacher_may_be_written_out() -> None:
    (u,), (t,) = symbols.vector("u", 1), symbols.vector("t", 1)
    pure = Mixture.build(labels=[0], coordinates=[[0]], directions_gram=[[1]])
    loss = Loss(Softplus(u) - u / (1 + sp.exp(-t)), units=1)
    found = make_derivation(Model.build(pure, loss, name="logistic"), "drift")
    assert all(s.judgement.finding is Finding.PROVED for s in found.steps), str(found)


# two units, the second of three directions as the teacher, label noise, means that are not zero
COMMITTEE = """
import theory
from theory import symbols

u, t = symbols.vector("u", 2), symbols.vector("t", 3)
data = theory.Mixture.build(labels=[0, 1], coordinates=[[1, 0, 0], [0, 1, "1/2"]])
loss = theory.Loss((u[0] * u[1] + u[1] - t[1] ** 2 - symbols.LABEL_NOISE) ** 2 / 8, units=2)
model = theory.Model.build(data, loss)
"""


@pytest.mark.slow
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("quantity", ["drift", "hessian"])
def test_a_document_on_a_committee_is_read_back(quantity: str, route: str, tmp_path: Path) -> None:
    file, path = tmp_path / "committee.py", tmp_path / "appendix.tex"
    file.write_text(COMMITTEE)
    model = ("--model", f"{file}:model")
    asked = ("--quantity", quantity, "--route", route, "--document", path)
    written = invoke("derive", *model, *asked)
    assert written.exit_code == 0, written.output
    assert "t_{2}" in path.read_text()
    read = invoke("check", path, *model)
    assert read.exit_code == 0, read.output


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "quantity"),
    [
        (kgmm(3, directions_gram="orthonormal"), "drift"),
        (kgmm(2, directions_gram="orthonormal"), "hessian"),
        (kgmm(2), "gradient-matrix"),
        (xor(2), "drift"),
        (xor(2), "hessian"),
    ],
    ids=lambda x: getattr(x, "name", x),
)
def test_quantities_of_both_systems(model: Model, quantity: str, tmp_path: Path) -> None:
    found = make_derivation(model, quantity)
    assert found.stands, str(found)
    path = tmp_path / "appendix.tex"
    found.write(path)
    assert "Overfull" not in compile_latex(path)


@pytest.mark.slow
def test_the_diffusion_of_three_classes_is_derived_step_by_step() -> None:
    derivation = make_derivation(kgmm(3), "diffusion")
    assert derivation.stands
    assert not derivation.left_out
    assert str(derivation).count("proved") == len(derivation.steps)

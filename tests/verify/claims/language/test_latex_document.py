r"""Whole files of LaTeX: displays, lines, chains, macros, tables of names, comments."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from theory import InputError
from verify.claims.language.latex.document import read_document, read_statement
from verify.claims.language.latex.formula import parse_latex
from verify.claims.language.tree import FormulaError, show
from verify.claims.reading.manuscripts import list_manuscript

HEAD = "% model: kgmm\n% k: 3\n% directions_gram: orthonormal\n"


def claims(tmp_path: Path, body: str) -> list[str]:
    """Every claim as quantity = formula, or why it cannot be read."""
    file = tmp_path / "a.tex"
    file.write_text(HEAD + body, encoding="utf-8")
    found = []
    for listed in list_manuscript(file):
        try:
            claim = listed.read()
            quantity = f"{claim.quantity.kind} {claim.quantity.entry}".replace("expression ", "")
            found.append(f"{quantity} = {show(claim.formula)}")
        except InputError as error:
            found.append(f"! {error}")
    return found


PIECES = [
    *(r"\frac", r"\sum", r"\sqrt", r"\dot", r"\partial", r"\bar", r"\mathbf 1", r"\text{if}"),
    *(r"\begin{cases}", r"\end{cases}", r"\begin{aligned}", r"\end{aligned}", r"\underbrace"),
    *(r"\left.", r"\right.", r"\left\{", r"\langle", r"\rangle", r"\|", r"\stackrel", "\\\\"),
    *(r"\mathbb{E}", r"\cdot", r"\top", r"\perp", r"\in", r"\ne", r"\ell", r"\substack", r"\z"),
    *(r"\newcommand{\z}{", "{", "}", "(", ")", "[", "]", "_", "^", "=", "+", "-", ",", "&", "%"),
    *("a", "b", "m", "x", "Y", "e", "R", "u", "t", "d", "y", "1", "12", "'", " ", "\n"),
]


def refusals(text: str) -> Iterator[FormulaError]:
    """Why statements of a text cannot be read."""
    try:
        document = read_document(text)
    except FormulaError as error:
        yield error
        return
    for _, _, statements in document.displays:
        for statement in statements:
            try:
                read_statement(document.text, statement)
            except FormulaError as error:
                yield error


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_any_display_is_read_or_refused_with_a_position(body: str) -> None:
    text = rf"\begin{{align}}{body}\end{{align}}"
    for error in refusals(text):
        assert 0 <= error.position <= len(text)
        assert error.remedy


DRIFT = "drift m_a_s = -E[g_a*Y_s] - beta*m_a_s"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (r"\[ \dot m_{as} = -\mathbb{E}[g_a Y\cdot e_s] - \beta m_{as} \]", [DRIFT]),
        (r"$$ \dot m_{as} = -\mathbb{E}[g_a Y\cdot e_s] - \beta m_{as} $$", [DRIFT]),
        (
            r"\begin{equation}\label{eq:m} \dot m_{as} = -\mathbb{E}[g_a Y\cdot e_s] % Stein"
            "\n"
            r"- \beta m_{as}. \end{equation}",
            [DRIFT],
        ),
        (
            r"\begin{multline*} \dot m_{as} = -\mathbb{E}[g_a Y\cdot e_s] \\ - \beta m_{as}"
            r"\end{multline*}",
            [DRIFT],
        ),
        (
            r"\begin{equation*}\begin{split} \dot m_{as} &= -\mathbb{E}[g_a Y\cdot e_s] \\"
            r" &\quad - \beta m_{as}. \end{split}\end{equation*}",
            [DRIFT],
        ),
        (
            r"\begin{align} \mathbb{E}_l[u_a] &= m_{al}, \\ \mathbb{E}_l[u_a^2] &= m_{al}^2"
            r" + Q_{aa}/\lambda. \end{align}",
            ["E_l[u_a] = m_a_l", "E_l[u_a^2] = m_a_l^2 + Q_a_a/lambda"],
        ),
        (
            r"\begin{gather} \mathbb{E}_l[u_a] = m_{al} \\ \mathbb{E}_l[y_b] = \delta_{bl}"
            r"\end{gather}",
            ["E_l[u_a] = m_a_l", "E_l[y_b] = delta_b_l"],
        ),
        (
            r"\begin{align} \mathbb{E}_l[u_a] &= m_{al} & \mathbb{E}_l[u_b] &= m_{bl} \end{align}",
            ["E_l[u_a] = m_a_l", "E_l[u_b] = m_b_l"],
        ),
        (
            r"\[ \mathbb{E}_l[u_a] = m_{al}, \qquad \mathbb{E}_l[u_b] = m_{bl}. \]",
            ["E_l[u_a] = m_a_l", "E_l[u_b] = m_b_l"],
        ),
        (
            r"\begin{eqnarray} \mathbb{E}_l[u_a] &=& m_{al} \\ &=& \sum_s m_{as}\delta_{sl}"
            r"\end{eqnarray}",
            ["E_l[u_a] = m_a_l", "m_a_l = sum_s(m_a_s*delta_s_l)"],
        ),
        (
            r"\begin{align} \mathbb{E}_l[u_a] &= \mathbb{E}_l[u_a\cdot 1] \\ &= m_{al} \end{align}",
            ["E_l[u_a] = E_l[u_a*1]", "E_l[u_a*1] = m_a_l"],
        ),
        (
            r"\[ \mathbb{E}_l[u_a] \stackrel{(a)}{=} m_{al} = 2 m_{al} \]",
            ["E_l[u_a] = m_a_l", "m_a_l = 2*m_a_l"],
        ),
        (
            r"\[ \left\{\begin{aligned} \mathbb{E}_l[u_a] &= m_{al}\\ \mathbb{E}_l[u_b] &= m_{bl}"
            r"\end{aligned}\right. \]",
            ["E_l[u_a] = m_a_l", "E_l[u_b] = m_b_l"],
        ),
        (r"\[ \mathbb{E}_l[u_a^2] = m_{al}^2 + O(\lambda^{-1}) \]", ["E_l[u_a^2] = m_a_l^2"]),
        ("% quantity: drift m_a_s\n" r"\[ -\beta m_{as} = -\beta m_{as} \]", []),
        (r"\[ \operatorname{Cov}[m_{as}, R^\perp_{bc}] = 0 \]", ["diffusion Cov[m_a_s,R_b_c] = 0"]),
        (r"\[ \frac{d}{dt} m_{ij} = -\beta m_{ij} \]", ["drift m_a_s = -(beta*m_a_s)"]),
        (r"\[ m_{al} = \mathbb{E}_l[u_a] \]", ["E_l[u_a] = m_a_l"]),
    ],
)
def test_displays(tmp_path: Path, body: str, expected: list[str]) -> None:
    found = claims(tmp_path, body)
    if not expected:  # a comment names the quantity: the left side is a name for it
        assert found == ["drift m_a_s = -(beta*m_a_s)"]
        return
    assert found == expected


MACROS = r"""
\newcommand{\E}[2][]{\mathbb{E}_{#1}\left[#2\right]} \def\lam{\lambda}
\newcommand\Rp{R^\perp} \renewcommand{\b}{\beta} \DeclareMathOperator{\relu}{relu}
\newcommand{\inv}[1]{\frac1{#1}} \newcommand{\gl}{\frac{\beta}{\lam}} \let\eps\beta
\def\be{\begin{equation}} \def\ee{\end{equation}} \newcommand{\half}{\frac12}
\newcommand{\sumab}{\beta+\lambda}
"""


@pytest.mark.parametrize(
    ("latex", "formula"),
    [
        (r"\[ \E[l]{u_a} = \b m_{al} \]", "beta*m_a_l"),
        (r"\[ \mathbb{E}_l[u_a] = \inv{\lam} \Rp_{aa} \]", "1/lambda*R_a_a"),
        (r"\be \mathbb{E}_l[u_a] = \gl\, \eps \ee", "beta/lambda*beta"),
        (r"\[ \mathbb{E}_l[u_a] = \E[l]{\relu(\E[l]{1} u_a)} \]", None),
        (r"\[ \mathbb{E}_l[u_a] = \frac\sumab\half \]", "(beta + lambda)/(1/2)"),
        (r"\[ \mathbb{E}_l[u_a] = 2\sumab \]", "2*beta + lambda"),
        (r"\[ \mathbb{E}_l[u_a] = \sqrt\half \]", "sqrt(1/2)"),
        (r"\[ \mathbb{E}_l[u_a] = \sqrt[3]\sumab \]", "(beta + lambda)^(1/3)"),
        (r"\[ \mathbb{E}_l[u_a] = \lam^\sumab \]", "! as an exponent or index without braces"),
        (
            r"\newcommand{\loopa}{\loopb}\newcommand{\loopb}{\loopa}\[ \loopa = 1 \]",
            "! stands for itself",
        ),
        (r"{\def\inside{\beta}}\[ \mathbb{E}_l[u_a] = \inside \]", "! defined inside a group"),
        (r"\[ \mathbb{E}_l[u_a] = \inv \]", "! without its arguments"),
        (r"\newcommand{\unused}[1]{#2}\[ \mathbb{E}_l[u_a] = \unused{1} \]", "! #2 in"),
    ],
)
def test_macros(tmp_path: Path, latex: str, formula: str | None) -> None:
    (found,) = claims(tmp_path, MACROS + latex)
    if formula is None:
        assert "an expectation where a sample is at hand" in found
    elif formula.startswith("!"):
        assert found.startswith("!")
        assert formula[2:] in found
    else:
        assert found == f"E_l[u_a] = {formula}"


def test_macros_that_grow_without_end_are_refused(tmp_path: Path) -> None:
    double = "".join(
        rf"\newcommand{{\x{chr(98 + i)}}}{{\x{chr(97 + i)}\x{chr(97 + i)}}}" for i in range(16)
    )
    (found,) = claims(tmp_path, r"\newcommand{\xa}{\beta}" + double + r"\[ \E_l[u_a] = \xq \]")
    assert "macros that make too much" in found


@pytest.mark.parametrize(
    ("table", "latex", "formula"),
    [
        (r"W_i = x^i", r"\mathbb{E}_l[\langle Y, W_a\rangle]", "E_l[u_a]"),
        (r"W_i = x^i", r"\|W_a\|^2", "Q_a_a"),
        (r"\mu = e_1, \nu = e_2", r"W\cdot\mu", None),
        (r"\mathbf{w}_a = x^a, \mu = e_1", r"\mathbf{w}_a^\top \mu", "m_a_1"),
        (r"\sigma = 1/\sqrt\lambda", r"\sigma^2 Q_{aa}", "(1/sqrt(lambda))^2*Q_a_a"),
        (r"\gamma = c_\delta, \alpha = \beta", r"\gamma\alpha", "c_delta*beta"),
        (r"\bar m_{as} = m_{as} - 1", r"\bar m_{bt}", None),
        (r"M^a_s = m_{as}", r"(M^a_1)^2", "m_a_1^2"),
        (r"\phi = \tanh", r"\beta\phi(\lambda)", "beta*tanh(lambda)"),
        (r"N_a = \sum_b Q_{ab}", r"N_a", "sum_b(Q_a_b)"),
        (r"N_a = \sum_b Q_{ab}", r"\sum_b N_b", None),
    ],
)
def test_the_letters_of_an_author(
    tmp_path: Path, table: str, latex: str, formula: str | None
) -> None:
    body = f"% names: {table}\n\\[ \\mathbb{{E}}_l[u_a] = {latex} \\]"
    (found,) = claims(tmp_path, body)
    if formula is None:
        assert found.startswith("!")
    else:
        assert found == f"E_l[u_a] = {formula}"


@pytest.mark.parametrize(
    "table", ["W_i", r"W = ", r"W_i = x^i x^j", r"\phi(z) = g(z)", "2 = x^i", r"V = \foo"]
)
def test_tables_that_mean_nothing_are_refused(tmp_path: Path, table: str) -> None:
    with pytest.raises(InputError):
        claims(tmp_path, f"% names: {table}\n\\[ \\mathbb{{E}}_l[u_a] = 0 \\]")


def test_one_display_that_cannot_be_read_leaves_the_others(tmp_path: Path) -> None:
    found = claims(
        tmp_path,
        r"\[ \mathbb{E}_l[u_a] = m_{al} \]\[ \foo = 1 \]\[ \mathbb{E}_l[ = \]"
        r"\begin{align} \mathbb{E}_l[u_b] &= m_{bl} \\ \mathbb{E}_l[u_c] &\approx m_{cl} \\"
        r" \mathbb{E}_l[u_a] &= m_{al} \end{align}",
    )
    assert [f.startswith("!") for f in found] == [False, True, True, False, True, False]
    assert "'\\\\foo' at line 4, column 36" in found[1]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (r"\[ \mathbb{E}_l[u_a] = m_{al}, \quad a\ne b \]", "the relation"),
        (r"\[ \mathbb{E}_l[u_a] = m_{al}, \quad l = 1 \]", "a value of l"),
        (r"\[ \lambda = 10 \]", "a value of lambda"),
        (r"\[ m_{al} \]", "without a left side"),
        (r"\[ \mathbb{E}_l[u_a] = \]", "nothing behind ="),
        (r"\begin{align} x &= \beta \\ & \lambda \end{align}", "begins with a factor"),
        (r"\begin{align} x &= \beta + \\ & + \lambda \end{align}", "an operator at the end"),
        (r"\begin{gather} x = \beta \\ - \lambda = x \end{gather}", "an = of its own"),
        (r"\[ \mathbb{E}_l[u_a] = 0,5 m_{al} \]", "a comma between digits"),
        (r"\[ \mathbb{E}_l[u_a] = 2\begin{aligned} m_{al} \\ + 1 \end{aligned} \]", "aligned"),
        (r"\[ \mathbb{E}_l[u_a] = m_{al} \text{ for all } a \]", "unknown name 'forall'"),
        (r"\[ m_{as} = 1 \]", "a variable.*did you mean"),
    ],
)
def test_what_is_no_claim_says_why(tmp_path: Path, body: str, message: str) -> None:
    found = claims(tmp_path, body)
    import re

    assert any(f.startswith("!") and re.search(message, f, re.S) for f in found), found


def test_what_is_hidden_or_no_display_is_not_read(tmp_path: Path) -> None:
    body = (
        r"\begin{verbatim}\[ \foo \]\end{verbatim} % \[ \foo \]"
        "\n"
        r"\iffalse \[ \foo \] \fi $\foo$ a \\[2pt] b \[ \mathbb{E}_l[u_a] = m_{al} \]"
        r"\end{document} \[ \foo \]"
    )
    assert claims(tmp_path, body) == ["E_l[u_a] = m_a_l"]


def test_comments_belong_to_the_line_after_them(tmp_path: Path) -> None:
    file = tmp_path / "a.tex"
    file.write_text(
        HEAD + "% Note that this is a draft.\n% source: our draft\n% expected: true, false\n"
        "\\begin{align}\n\\mathbb{E}_l[u_a] &= m_{al} \\\\\n"
        "% name: second\n% order: 2\n\\mathbb{E}_l[u_b] &= 2m_{bl}\n\\end{align}\n"
        "\\[ \\mathbb{E}_l[u_a] = m_{al} \\]"
    )
    one, two, three = (listed.read() for listed in list_manuscript(file))
    assert (one.name, two.name, three.name) == ("a 1.1", "second", "a 2")
    assert (one.expected, two.expected, three.expected) == ("true", "false", None)
    assert (one.order, two.order) == (None, 2)
    assert (one.source, three.source) == ("our draft", "")
    assert three.model.name == "kgmm3"


@pytest.mark.parametrize("typed", [r"\lamda", r"\bta"])
def test_a_misspelt_letter_is_told_the_nearest(typed: str) -> None:
    with pytest.raises(FormulaError, match=r"did you mean \\(lambda|beta)\?"):
        parse_latex(typed + " m_{11}")


def test_a_claim_is_called_by_the_label_of_its_display(tmp_path):
    file = tmp_path / "paper.tex"
    file.write_text(
        "\\begin{equation}\\label{eq:m}\n m_{as} = m_{as}\n\\end{equation}\n"
        "\\begin{align}\n m_{as} &= m_{as} \\label{eq:x} \\\\\n m_{as} &= m_{as}\n\\end{align}\n"
        "\\[ m_{as} = m_{as} \\]\n"
    )
    names = [listed.name for listed in list_manuscript(file)]
    assert names == ["paper 1 (eq:m)", "paper 2.1", "paper 2.2", "paper 3"]


LINE = r"\mathbb{E}_l[\langle Y, x^a\rangle] = m_{al}"


def test_keys_may_be_written_as_options_are(tmp_path):
    file = tmp_path / "a.tex"
    file.write_text(rf"% directions-gram: orthonormal{chr(10)}\[ {LINE} \]")
    (claim,) = (listed.read() for listed in list_manuscript(file))
    assert claim.model.mixture.directions_gram == sp.eye(3)


def test_a_letter_in_the_place_of_a_key_is_told_its_name(tmp_path):
    file = tmp_path / "a.tex"
    file.write_text(f"% lambda: 3{chr(10)}\\[ {LINE} \\]")
    with pytest.raises(InputError, match=r"Remedy: write % precision: 3"):
        list_manuscript(file)
    # words behind it explain the letter
    file.write_text(f"% lambda: the precision{chr(10)}\\[ {LINE} \\]")
    assert len(list_manuscript(file)) == 1


@pytest.mark.parametrize("wrong", [r"\frac{1}{2 ", "m_{1 ", "(m_{11}"])
def test_what_is_not_closed_is_named_by_its_line(wrong):
    with pytest.raises(FormulaError, match=r"(one|brace) at line 2, column \d+ is not closed"):
        parse_latex("m_{11} +\n " + wrong)

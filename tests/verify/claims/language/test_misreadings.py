"""What a page shows otherwise than a hasty reader takes it: refused, or read as TeX sets it."""

from __future__ import annotations

from pathlib import Path

import pytest

from theory import InputError
from verify.claims.files import list_claims

HEAD = "% model: kgmm\n% k: 3\n% directions_gram: orthonormal\n"
LEFT = r"\mathbb{E}_l[u_a] = "
ROOT = r"\newcommand{\lam}{\lambda}"


def readings(tmp_path: Path, text: str) -> list[str]:
    """What every claim of a manuscript is read as, or its refusal behind a mark."""
    path = tmp_path / "draft.tex"
    path.write_bytes((HEAD + text).encode())
    found = []
    for listed in list_claims(path):
        try:
            found.append(listed.read().read_as)
        except InputError as error:
            found.append(f"! {error}")
    return found


@pytest.mark.parametrize(
    ("formula", "refusal"),
    [
        (r"\pi_a' = 0", "a prime behind an index"),
        (r"u_1' = 0", "a prime"),
        (r"\sum_{b\ne a,c} \pi_b = 0", "a letter behind an inequality"),
        (r"\max(0, u_1) = 0", r"\operatorname{relu}(x)"),
        (r"\mathbb{E}_l[H_{ab}] p_l' = 0", "a prime behind an index"),
        (r"\mathbb{E}_l[(u_1)^3_+] = 0", "a positive part with an exponent"),
        (r"\mathbb{E}_l[u_1^2_+] = 0", "a positive part with an exponent"),
        (r"e^{\lambda}^2 m_{11} = 0", "a second exponent"),
        (r"(R^\perp)^2_{12} = 0", "a matrix"),
        (r"\cos\frac{m_{11}}{2}m_{12} = 0", "several factors without brackets"),
        (LEFT + r"m_{al}\qquad(2)", "a wide space between factors"),
        (LEFT + r"m_{al}\hspace{2cm}(2)", "a wide space between factors"),
        (LEFT + r"m_{al}\;(2).", "a number in brackets at the end"),
        (LEFT + r"m_{al}\quad m_{11}", "a wide space between factors"),
    ],
)
def test_what_has_another_reading_is_refused(tmp_path: Path, formula: str, refusal: str) -> None:
    (found,) = readings(tmp_path, rf"\[ {formula} \]")
    assert found.startswith("! ")
    assert refusal in found


@pytest.mark.parametrize(
    ("formula", "read_as"),
    [
        (r"\sum_{a'} \pi_{a'} = 1", "sum_a(pi_a) = 1"),
        (r"\mathbb{E}_l[\mathbf 1\{u_1 > u_2\}] = 0", "E_l[step(u_1 - u_2)] = 0"),
        (r"\mathbb{E}_l[\mathbf 1_{\{u_1 < 2\}}] = 0", "E_l[step(-(u_1 - 2))] = 0"),
        (LEFT + r"\mathbf{x}^{(a)\top}\boldsymbol{\mu}_l", "E_l[u_a] = sum_s(S_l_s*m_a_s)"),
        (r"\mathbb{E}_l[Y\cdot x^{(a)}] = x^{(a)}\cdot e_l", "E_l[u_a] = m_a_l"),
        (r"\mathbb{E}_l[u_a^2] = \lVert x^a\rVert_2^2", "E_l[u_a^2] = Q_a_a"),
        (r"\mathbb{E}_l[((u_1)_+)^3] = 0", "E_l[relu(u_1)^3] = 0"),
        (LEFT + r"m_{al}\left( 2 \right).", "E_l[u_a] = m_a_l*2"),
        (r"(e^{\lambda})^2 m_{11} = 0", "exp(lambda)^2*m_1_1 = 0"),
        (r"\cos\frac12m_{12} = 0", "cos(1/2*m_1_2) = 0"),
        (LEFT + r"\quad m_{al}\quad + \quad 1", "E_l[u_a] = m_a_l + 1"),
        (LEFT + r"2(3)m_{al}", "E_l[u_a] = 2*3*m_a_l"),
    ],
)
def test_what_stands_beside_it_is_still_read(tmp_path: Path, formula: str, read_as: str) -> None:
    assert readings(tmp_path, rf"\[ {formula} \]") == [read_as]


@pytest.mark.parametrize("name", [r"\1", r"{\1}"])
def test_macros_may_be_called_by_a_digit(tmp_path: Path, name: str) -> None:
    macro = rf"\newcommand{name}[1]{{\mathbf{{1}}\{{#1\}}}}"
    found = readings(tmp_path, macro + "\n" + r"\[ \sum_a \1{a=y} = 1 \]")
    assert found == ["sum_a(delta_a_y) = 1"]


@pytest.mark.parametrize(
    ("table", "formula", "expected"),
    [
        (r"\sigma^2 = 1/\lambda", r"\sigma^2 m_{al}", "E_l[u_a] = 1/lambda*m_a_l"),
        (r"\sigma^2 = 1/\lambda", r"\sigma^4 m_{al}", "the number of its definition"),
        (r"A_1 = m_{11}", "A_1", "E_l[u_a] = m_1_1"),
        (r"A_1 = m_{11}", "A_2", "the number of its definition"),
        (r"\eta = c_\delta, \kappa = 2\eta", r"\kappa", "E_l[u_a] = 2*c_delta"),
    ],
)
def test_numbers_in_a_table_of_names_are_those_numbers(
    tmp_path: Path, table: str, formula: str, expected: str
) -> None:
    (found,) = readings(tmp_path, f"% names: {table}\n\\[ {LEFT}{formula} \\]")
    assert expected in found
    assert found.startswith("!") == expected.startswith("the")


def test_letters_that_are_exchanged_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="another meaning"):
        readings(tmp_path, f"% names: \\lambda = \\beta, \\beta = \\lambda\n\\[ {LEFT}\\beta \\]")


@pytest.mark.parametrize(
    "inside",
    [
        r"\begin{proof}\renewcommand{\lam}{\beta}\end{proof}",
        r"\begingroup\renewcommand{\lam}{\beta}\endgroup",
        r"\newcommand{\switch}{\renewcommand{\lam}{\beta}}\switch",
        r"\[ \renewcommand{\lam}{\beta} \mathbb{E}_l[u_b] = m_{bl} \]",
    ],
)
def test_definitions_that_do_not_last_are_not_used(tmp_path: Path, inside: str) -> None:
    found = readings(tmp_path, rf"{ROOT}{inside}\[ {LEFT}\lam \]")[-1]
    assert "defined inside a group, a display or a macro" in found


def test_a_definition_in_the_midst_of_a_display_is_seen(tmp_path: Path) -> None:
    (found,) = readings(tmp_path, rf"{ROOT}\[ {LEFT}\def\lam{{\beta}}\lam \]")
    assert found.startswith("! ")


def test_a_definition_behind_closed_groups_lasts(tmp_path: Path) -> None:
    text = rf"\begin{{abstract}}x\end{{abstract}}{{y}}{ROOT}\begin{{document}}\[ {LEFT}\lam \]"
    assert readings(tmp_path, text) == ["E_l[u_a] = lambda"]


def test_what_latex_has_is_not_provided(tmp_path: Path) -> None:
    text = rf"\providecommand{{\lambda}}{{\beta}}\providecommand{{\x}}{{2}}\[ {LEFT}\x\lambda \]"
    assert readings(tmp_path, text) == ["E_l[u_a] = 2*lambda"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (rf"\[ {LEFT}\iffalse 2\else 3\fi m_{{al}} \]", ["E_l[u_a] = 3*m_a_l"]),
        (rf"\[ {LEFT}\iftrue 2\else 3\fi m_{{al}} \]", ["E_l[u_a] = 2*m_a_l"]),
        (rf"\newif\ifdraft\iffalse\ifdraft x\fi\[ {LEFT}1 \]\fi\[ {LEFT}2 \]", ["E_l[u_a] = 2"]),
        (
            rf"\iftrue\[ {LEFT}1 \]\else\[ {LEFT}2 \]\fi\[ {LEFT}3 \]",
            ["E_l[u_a] = 1", "E_l[u_a] = 3"],
        ),
        (f"%\\iffalse\n\\[ {LEFT}1 \\]", ["E_l[u_a] = 1"]),
    ],
)
def test_branches_are_those_that_tex_takes(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert readings(tmp_path, text) == expected


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_lines_may_end_as_on_other_systems(tmp_path: Path, end: str) -> None:
    path = tmp_path / "draft.tex"
    text = f"{HEAD}% names: \\eta = c_\\delta\n\\[ {LEFT}\\eta \\]\n"
    path.write_bytes(text.replace("\n", end).encode())
    (claim,) = list_claims(path)
    assert claim.read().read_as == "E_l[u_a] = c_delta"


def test_toml_may_begin_with_a_mark_of_its_encoding(tmp_path: Path) -> None:
    path = tmp_path / "claims.toml"
    claim = '[[claim]]\nquantity = "E_l[u_a]"\nformula = "m_a_l"\n'
    path.write_bytes(b"\xef\xbb\xbf" + f'[model]\nname = "kgmm"\n{claim}'.encode())
    assert [c.read().read_as for c in list_claims(path)] == ["E_l[u_a] = m_a_l"]

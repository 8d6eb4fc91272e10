"""Statements between matrices and blocks in dyads: each is the claim about all of its entries."""

from __future__ import annotations

from pathlib import Path

import pytest

from theory import InputError, kgmm, xor
from verify import check, make_claim
from verify.claims.files import list_claims
from verify.claims.judgement import Finding
from verify.claims.language.latex.formula import parse_latex
from verify.claims.language.matrices import entrywise, shape_of
from verify.claims.language.text import parse_formula
from verify.claims.language.tree import FormulaError, show

TWO, NET = kgmm(2, directions_gram="orthonormal"), xor(2)
UNITS, OVERLAPS = ("unit", "unit"), ("unit", "direction")

WRITTEN_OUT = [
    (r"-\sum_l p_l \mathbb{E}_l[g] (S\Gamma)_l - \beta m", OVERLAPS,
     "-sum_l(p_l*E_l[g_a]*sum_t(S_l_t*Gamma_t_s)) - beta*m_a_s"),
    (r"\lambda^{-1}\mathbb{E}[\mathbf H]\,\mathbf m", OVERLAPS, "sum_b(lambda^-1*E[H_a_b]*m_b_s)"),
    (r"\mathbb{E}[g g^\top] + I", UNITS, "E[g_a*g_b] + delta_a_b"),
    (r"\mathbb{E}[(\pi - y)(\pi - y)^T]", UNITS, "E[(pi_a - delta_a_y)*(pi_b - delta_b_y)]"),
    (r"\mathbb{E}[\operatorname{diag}(\pi) - \pi\pi^\top]", UNITS,
     "E[delta_a_b*pi_a - pi_a*pi_b]"),
    (r"\mathbb{E}[g\otimes g]\odot Q", UNITS, "E[g_a*g_b]*Q_a_b"),
    (r"R^\perp + m\,\bm{m}^{\top}", UNITS, "R_a_b + sum_s(m_a_s*m_b_s)"),
    (r"\operatorname{tr}(Q)/2 + (m m^\top)_{12}", (), "sum_a(Q_a_a)/2 + sum_s(m_1_s*m_2_s)"),
    (r"v\odot\mathbb{E}[g_v]", ("parameter",), "v_i*E[g_v_i]"),
]  # fmt: skip


@pytest.mark.parametrize(("latex", "kinds", "entries"), WRITTEN_OUT)
def test_entries_of_matrices(latex: str, kinds: tuple[str, ...], entries: str) -> None:
    indices = {OVERLAPS: "as", UNITS: "ab", ("parameter",): "i"}.get(kinds, "")
    tree = parse_latex(latex)
    found = show(entrywise(latex, tree, kinds, tuple(indices)))
    assert found.replace("(", "").replace(")", "") == entries.replace("(", "").replace(")", "")
    assert shape_of(latex, tree) == kinds


@pytest.mark.parametrize(
    ("latex", "kinds", "place", "message"),
    [
        (r"m^\top m", UNITS, 0, "directions by directions"),
        (r"m m", UNITS, 2, "times"),
        (r"\mathbb{E}[g] + m", OVERLAPS, 16, "one shape"),
        (r"\beta + m^\top", (), 0, "one shape"),
        (r"\exp(m)", (), 5, "a number belongs"),
        (r"\operatorname{tr}(m)", (), 18, "tr of a matrix"),
        (r"\sum_b Q_{bb} Q", UNITS, 0, "rename the index"),
    ],
)
def test_shapes_that_do_not_match_are_refused(
    latex: str, kinds: tuple[str, ...], place: int, message: str
) -> None:
    with pytest.raises(FormulaError, match=message) as caught:
        entrywise(latex, parse_latex(latex), kinds, ("a", "s" if kinds == OVERLAPS else "b"))
    assert caught.value.position == place
    assert caught.value.remedy


def test_a_matrix_is_no_number() -> None:
    for formula in (r"m^\top", "transpose(m)"):
        with pytest.raises(InputError, match=r"write the entries|check the transposes"):
            make_claim(TWO, "E_l[u_1]", formula)


def test_plain_text_and_both_verdicts() -> None:
    corrector = "c_delta/lambda*E[g*transpose(g)]"
    claim = make_claim(TWO, "drift corrector", corrector)
    assert claim.read_as == "drift corrector_a_b = c_delta/lambda*E[g_a*g_b]"
    assert check(TWO, "drift corrector", corrector).finding is Finding.PROVED
    wrong = check(TWO, "drift corrector", r"c_\delta\mathbb{E}[g g^\top]")
    assert wrong.finding is Finding.REFUTED
    of_readout = make_claim(NET, "drift v", "-E[g_v] - beta*v")
    assert of_readout.read_as == "drift v_i = -E[g_v_i] - beta*v_i"
    assert show(parse_formula("odot(Q, transpose(Q))")) == "odot(Q, transpose(Q))"


MANUSCRIPT = r"""
% model: kgmm
% k: 2
% directions_gram: orthonormal
\begin{align}
  \dot{\mathbf m} &= -\sum_l p_l\Big(\mathbb{E}_l[\mathbf g]\,(S\Gamma)_l
     + \lambda^{-1}\mathbb{E}_l[\mathbf H]\,\mathbf m\Big) - \beta \mathbf m \\
  \dot R^\perp &= -\lambda^{-1}(\mathbb{E}[H] R^\perp + R^\perp \mathbb{E}[H])
     - 2\beta R^\perp + \frac{c_\delta}{\lambda}\mathbb{E}[g g^\top] \\
  g &= \pi - y
\end{align}
\begin{equation}
  \mathbb{E}[H_{ab} YY^\top] = \sum_l p_l\Big(\mathbb{E}_l[H_{ab}](\mu_l\mu_l^\top + I)
    + \lambda^{-1}\sum_c \mathbb{E}_l[\partial_c H_{ab}](\mu_l (x^c)^\top + x^c \mu_l^\top)
    + \lambda^{-2}\sum_{cd}\mathbb{E}_l[\partial_c\partial_d H_{ab}] x^c x^{d\top}\Big)
\end{equation}
"""


@pytest.mark.slow
def test_blocks_and_drifts_of_a_manuscript(tmp_path: Path) -> None:
    """The slip, a missing 1/lambda beside I, is that of the bulk alone."""
    path = tmp_path / "blocks.tex"
    path.write_text(MANUSCRIPT)
    claims = [listed.read() for listed in list_claims(path)]
    assert [claim.quantity.entry for claim in claims] == [
        "m_a_s", "R_a_b", "g_a", "H_a_b[bulk]", "H_a_b[e_s,e_t]", "H_a_b[e_s,x_e]",
        "H_a_b[x_e,e_s]", "H_a_b[x_e,x_f]",
    ]  # fmt: skip
    bulk, means = claims[3:5]
    assert not bulk.quantity.regularized
    asked = {"regularized": False, "seed": 1}
    assert check(TWO, bulk.quantity, show(bulk.formula), **asked).finding is Finding.REFUTED
    assert check(TWO, means.quantity, show(means.formula), **asked).finding is Finding.PROVED

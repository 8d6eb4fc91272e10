"""A claim that holds over orthonormal means alone is refuted with a word about them."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import fresh_rng

from theory import Model, kgmm, symbols, xor
from verify import check
from verify.claims.files import list_claims
from verify.claims.judge import judge
from verify.claims.judgement import Finding, Judgement
from verify.claims.orthonormal_directions import HINT

# S_l_t*Gamma_t_s for any means
RIGHT_FOR_ORTHONORMAL = "E_l[Y_s]", "delta_l_s"


def judged(model: Model, quantity: str, formula: str, order: int | None = None) -> Judgement:
    seed = int(fresh_rng().integers(2**31))
    found = check(model, quantity, formula, order=order, seed=seed)
    assert found.finding is Finding.REFUTED
    assert found.to_dict()["hint"] == found.hint
    assert (f"hint         {HINT}" in str(found)) == (found.hint == HINT)
    return found


@pytest.mark.parametrize(
    ("model", "quantity", "formula"),
    [
        (kgmm(2), *RIGHT_FOR_ORTHONORMAL),
        (kgmm(2), "E_l[u_a*u_b] - m_a_l*m_b_l", "(R_a_b + sum_s(m_a_s*m_b_s))/lambda"),
        (xor(1, directions_gram=symbols.symmetric("Gamma", 2)), "E_l[Y_s]", "S_l_s"),
    ],
)
def test_a_premise_that_is_missing_is_named(model: Model, quantity: str, formula: str) -> None:
    assert judged(model, quantity, formula).hint == HINT


@pytest.mark.parametrize(
    ("model", "formula"),
    [
        (kgmm(2), "2*delta_l_s"),
        (kgmm(2, directions_gram=[["1", "2/5"], ["2/5", "1"]]), "delta_l_s"),
        (kgmm(2, directions_gram="orthonormal"), "2*delta_l_s"),
    ],
)
def test_no_word_where_it_is_wrong_all_the_same_or_means_are_stated(
    model: Model, formula: str
) -> None:
    assert judged(model, "E_l[Y_s]", formula).hint == ""


def test_limits_too() -> None:
    assert judged(kgmm(2), *RIGHT_FOR_ORTHONORMAL, order=0).hint == HINT


@pytest.mark.parametrize("ending", ["tex", "toml"])
def test_claims_of_files(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"claims.{ending}"
    latex = "% model: kgmm\n% k: 2\n" + r"\[ \mathbb{E}_l[Y\cdot e_s] = \delta_{ls} \]"
    toml = '[model]\nname = "kgmm"\nk = 2\n[[claim]]\nname = "means"\nquantity = "E_l[Y_s]"\n'
    path.write_text(latex if ending == "tex" else toml + 'formula = "delta_l_s"\n')
    (listed,) = list_claims(path)
    found = judge(listed.read(), int(fresh_rng().integers(2**31)))
    assert (found.finding, found.hint) == (Finding.REFUTED, HINT)

"""Repairs: tensors exchanged, named terms, no accident of one point, and nothing that is long."""

from __future__ import annotations

import pytest
from helpers import fresh_rng

import verify.claims.repair.repair
from theory import InputError, Model, kgmm, xor
from verify import check
from verify.claims.cases import case_at, cases_of
from verify.claims.judge import make_claim
from verify.claims.judgement import Claim, Finding
from verify.claims.repair.repair import Mender, nearest_change

TWO = kgmm(2, directions_gram="orthonormal")
NET = xor(1)


@pytest.mark.parametrize(
    ("model", "quantity", "formula", "repair"),
    [
        (TWO, "E_l[(u_a - m_a_l)*(u_b - m_b_l)]", "R_a_b/lambda", "write Q_a_b for R_a_b"),
        (TWO, "E_l[u_a]", "Q_a_l", "write m_a_l for Q_a_l"),
        (
            TWO,
            "drift R_1_2",
            "-E[g_1*zeta_2] - E[g_2*zeta_1] - 2*beta*R_1_2",
            "add + corrector_1_2, which is c_delta*E[g_1*g_2]/lambda",
        ),
        (
            TWO,
            "diff(pi_a*pi_b, u_c)",
            "pi_a*pi_b*(delta_b_c - 2*pi_c)",
            "add the term with a and b exchanged: delta_a_c",
        ),
        (TWO, "H_a_b[bulk]", "E[H_a_b]/lambda", "add beta*delta_a_b, the ridge"),
        (TWO, "drift m_a_s", "-E[g_a*Y_s]", "take off beta*m_a_s, the ridge"),
        (
            TWO,
            "drift R_a_b",
            "c_delta*E[g_a*g_b]/lambda - E[g_a*zeta_b] - E[g_b*zeta_a]",
            "take off 2*beta*R_a_b, the ridge",
        ),
        (NET, "drift v_i", "-E[g_v_i]", "take off beta*v_i, the ridge"),
        (NET, "g_v_i", "(sigmoid(sum_j(v_j*relu(u_j))) - y)*step(u_i)", ""),
        (NET, "drift v_i", "-E[g_v_i] - beta*sqrt(v_i^2)", ""),
        (TWO, "E_l[u_a]", "m_a_l + 3*E[g_a^2*pi_a] - p_1^2*m_a_l^3", ""),
    ],
)
def test_repairs(model: Model, quantity: str, formula: str, repair: str) -> None:
    found = check(model, quantity, formula, seed=int(fresh_rng().integers(2**31)))
    assert found.finding is Finding.REFUTED
    assert found.repair == repair
    assert repair or "repair       no small repair" in str(found)


def test_a_repair_that_holds_at_one_point_only_would_be_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without confirmations the sign of a readout decides what mends its absolute value."""
    monkeypatch.setattr(verify.claims.repair.repair, "CONFIRMATIONS", 0)
    monkeypatch.setattr(verify.claims.repair.repair, "cuts_of", lambda expressions: [])
    found = check(NET, "drift v_i", "-E[g_v_i] - beta*sqrt(v_i^2)", seed=3)
    assert found.repair != ""


@pytest.mark.slow
def test_a_repair_holds_on_both_sides_of_every_kink(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few points are drawn, both signs of the readout are looked at."""
    monkeypatch.setattr(verify.claims.repair.repair, "CONFIRMATIONS", 1)
    found = check(
        NET, "drift v_i", "-E[g_v_i] - beta*sqrt(v_i^2)", seed=int(fresh_rng().integers(2**31))
    )
    assert found.repair == ""


def test_a_change_that_some_entries_cannot_have_is_no_repair() -> None:
    """S_l_l can be read in the first two of four components: there are two directions."""
    model, seen = xor(2), []
    claim = make_claim(model, "E_l[relu(u_1)]", "relu(S_l_1*m_1_1 + S_l_2*m_1_2)")
    first = cases_of(claim)[0]

    def mends_all(changed: Claim) -> bool:
        try:
            cases_of(changed)
        except InputError:
            seen.append(changed)
            raise
        return False

    mender = Mender(
        lambda changed: case_at(changed, model, first.bindings).claimed,
        lambda expressions: [True] * len(expressions),
        lambda _: False,
        mends_all,
    )
    assert nearest_change(claim, first.claimed, None, mender, first.name) == ""
    assert seen

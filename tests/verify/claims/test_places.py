"""Which points a claim is looked at, and that a proof spares none that it needs."""

from __future__ import annotations

import pytest
from helpers import fresh_rng

import verify.claims.exact
from theory import kgmm
from verify import check
from verify.claims.judgement import Finding, Stage, Status

TWO = kgmm(2, directions_gram="orthonormal")
RIGHT = "m_a_l*m_b_l + Q_a_b/lambda"


def seed() -> int:
    return int(fresh_rng().integers(2**31))


def test_a_proof_spares_points() -> None:
    found = check(TWO, "E_l[u_a*u_b]", RIGHT, seed=seed())
    assert found.finding is Finding.PROVED
    assert len(found.stage("digits").details["digits"]) == 2


def test_a_proof_spares_none_where_a_side_is_not_analytic() -> None:
    kinked = check(TWO, "relu(m_1_1)*E_1[u_1]", "relu(m_1_1)*m_1_1", seed=seed())
    assert kinked.finding is Finding.PROVED
    assert len(kinked.stage("digits").details["digits"]) > 4


@pytest.mark.parametrize("wrong", ["(R_1_1*R_2_2 - R_1_2^2)/9", "m_1_1*m_2_2/10^6"])
def test_numbers_refute_what_a_broken_proof_lets_pass(
    wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Generic points of every rank come before a proof is asked for."""
    proved = Stage("symbolic", Status.PROVED, "broken", {"identities": []})
    monkeypatch.setattr(verify.claims.exact, "prove_all", lambda *_: proved)
    found = check(TWO, "E_l[u_a*u_b]", f"{RIGHT} + {wrong}", seed=seed())
    assert found.finding is Finding.REFUTED

"""What cancels has to exist, branches end at poles, and functions of expectations break nothing."""

from __future__ import annotations

import pytest
from helpers import fresh_rng

import verify.claims.cases
from theory import Model, kgmm, xor
from verify import check
from verify.claims.judgement import Finding

TWO = kgmm(2, directions_gram="orthonormal")
NET = xor(1)


def finding(model: Model, quantity: str, formula: str) -> Finding:
    return check(model, quantity, formula, seed=int(fresh_rng().integers(2**31))).finding


CANCELLED = [
    ("E_l[u_a]", "m_a_l + E_l[exp(u_a^4)] - E_l[exp(u_a^4)]"),
    ("E_l[u_a]", "m_a_l + 0*E_l[1/u_a^2]"),
    ("E_l[u_a]", "E_l[u_a + 1/u_a^2 - 1/u_a^2]"),
    ("E_l[exp(log(u_a))]", "m_a_l"),
    ("E_l[u_a]", "E_l[sqrt(u_a)^2]"),
    ("E_1[exp(u_1^4)] - E_1[exp(u_1^4)]", "0"),
]


@pytest.mark.parametrize(("quantity", "formula"), CANCELLED)
def test_an_expectation_that_cancels_has_to_exist(quantity: str, formula: str) -> None:
    found = check(TWO, quantity, formula)
    assert found.finding is Finding.INCONCLUSIVE
    assert "exist" in found.stage("symbolic").text


def test_without_what_was_written_it_would_be_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    right = verify.claims.cases.Vocabulary.read

    def read(self, *arguments, parts=None, **named):  # type: ignore[no-untyped-def]
        return right(self, *arguments, **named)

    monkeypatch.setattr(verify.claims.cases.Vocabulary, "read", read)
    assert all(finding(TWO, *claim) is Finding.PROVED for claim in CANCELLED[:3])


@pytest.mark.parametrize(
    ("quantity", "formula"),
    [
        ("E_l[u_a]", "E_l[u_a + exp(u_a) - exp(u_a)]"),
        ("E_l[u_a^2]", "E_l[sqrt(u_a^2)^2]"),
        ("E_l[u_a]", "E_l[log(exp(u_a) + 1) - log(1 + exp(-u_a))]"),
    ],
)
def test_what_exists_may_cancel(quantity: str, formula: str) -> None:
    assert finding(TWO, quantity, formula) is Finding.PROVED


def test_inverse_functions_beyond_their_branch() -> None:
    """Overlaps are drawn below the first pole of the tangent."""
    wrong = (Finding.REFUTED, Finding.INCONCLUSIVE)
    assert finding(TWO, "atan(tan(m_1_1))", "m_1_1") in wrong
    assert finding(TWO, "asin(sin(m_1_1))", "m_1_1") in wrong


def test_a_step_of_a_parameter_has_its_value_at_zero() -> None:
    """Of a sample too; a pre-activation is never on its kink."""
    assert finding(NET, "step(v_1) + step(-v_1)", "1") is Finding.REFUTED
    assert finding(NET, "step(u_1) + step(-u_1)", "1") is Finding.AGREES


@pytest.mark.parametrize(
    ("quantity", "formula", "expected"),
    [
        ("sqrt(E_l[u_a]^2)", "m_a_l", Finding.REFUTED),
        ("log(E_1[exp(u_1)])", "m_1_1 + Q_1_1/(2*lambda) + relu(E_1[u_1] - 9)", None),
        ("g_a", "pi_a - delta_a_y + relu(pi_a - 999/1000)", Finding.REFUTED),
    ],
)
def test_kinks_of_functions_break_nothing(
    quantity: str, formula: str, expected: Finding | None
) -> None:
    found = finding(TWO, quantity, formula)
    assert found in ((expected,) if expected else (Finding.REFUTED, Finding.INCONCLUSIVE))


@pytest.mark.parametrize(
    ("quantity", "formula", "found"),
    [
        # terms of a divisor need no mean of their own, however it is written
        ("E_l[1/(1 + exp(u_1*u_2))]", "E_l[sigmoid(-u_1*u_2)]", "proved"),
        ("E_l[(1 + exp(u_1*u_2))^(-1)]", "E_l[sigmoid(-u_1*u_2)]", "proved"),
        ("E_l[1/(1 + exp(u_1*u_2))]", "E_l[sigmoid(u_1*u_2)]", "refuted"),
        # but poles of them count, and so does what is left of a divisor of a divisor
        ("E_l[1/(1 + 1/u_1^2)]", "E_l[u_1^2/(1 + u_1^2)]", "inconclusive"),
        ("E_l[u_1]", "m_1_l + E_1[1/(1/exp(u_1^4) + 0)]/10^6", "inconclusive"),
        ("E_l[u_1]", "m_1_l + E_1[1/(1/exp(u_1^4)) - exp(u_1^4)]", "inconclusive"),
    ],
)
def test_terms_of_a_divisor(quantity: str, formula: str, found: str) -> None:
    model = kgmm(2, directions_gram="orthonormal")
    seed = int(fresh_rng().integers(2**31))
    assert check(model, quantity, formula, seed=seed).finding.value == found

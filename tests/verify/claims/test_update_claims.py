"""Claims about models with rates and rules of their own."""

from __future__ import annotations

import pytest
import sympy as sp
from update_cases import CASES

from theory import InputError, Update, kgmm
from verify import check, make_derivation

RATES = kgmm(2, directions_gram="orthonormal").with_update(Update(rates={"layer 1": 2}))


@pytest.mark.parametrize(
    ("model", "quantity", "claim", "expected"),
    [
        (RATES, "corrector_a_b", "4*c_delta*E[g_a*g_b]/lambda", "proved"),
        (RATES, "corrector_a_b", "2*c_delta*E[g_a*g_b]/lambda", "refuted"),
        (RATES, "drift m_a_s", "-2*E[g_a*Y_s] - 2*beta*m_a_s", "proved"),
        (RATES, "drift m_a_s", "-2*E[g_a*Y_s] - beta*m_a_s", "refuted"),
        (RATES, "H_1_2[bulk]", "E[H_1_2]/lambda", "proved"),
        ("perceptron", "corrector_1_1", "c_delta*E[step(-y*u_1)]/lambda", "proved"),
        ("perceptron", "corrector_1_1", "c_delta*E[g_1^2]/lambda", "refuted"),
        ("sign", "corrector_1_1", "c_delta/lambda", "proved"),
    ],
)
def test_claims_of_rates_and_rules(model, quantity, claim, expected):
    model = CASES[model].model() if isinstance(model, str) else model
    assert check(model, quantity, claim).finding.value == expected


def test_what_claims_do_not_know_is_refused():
    for update, name in (
        (Update(momentum=sp.Rational(1, 2)), "momentum"),
        (Update(project="bulk"), "project"),
    ):
        with pytest.raises(InputError, match=rf"model: got kgmm2 with {name} of its update"):
            check(kgmm(2).with_update(update), "drift m_1_1", "0")
    with pytest.raises(InputError, match=r"derivations step by step know the plain gradient"):
        make_derivation(RATES, "drift")
    with pytest.raises(InputError, match=r"claims about fixed points know the plain gradient"):
        check(RATES, "fixed-point m_1_1", "s_1/2")

"""Forms in Gram matrices that have one sign at all states, and some that do not."""

from __future__ import annotations

import pytest
from helpers import fresh_rng

from theory import kgmm, xor
from verify.claims.language.text import parse_formula
from verify.claims.language.vocabulary import Vocabulary
from verify.claims.stages.gram_signs import never_has
from verify.claims.stages.region_search import is_impossible
from verify.random_points.exact import random_point, scaled_point

OPEN, FIXED = kgmm(2), kgmm(3, directions_gram="orthonormal")

POSITIVE = [
    (OPEN, "(lambda + Q_1_1)*(lambda + Q_2_2) - Q_1_2^2"),
    (OPEN, "(lambda + Q_1_1)*(lambda + Gamma_2_2) - m_1_2^2"),
    (OPEN, "R_1_1*R_2_2 - R_1_2^2"),
    (OPEN, "Q_1_1*Gamma_1_1 - m_1_1^2 + beta"),
    (FIXED, "(lambda + Q_3_3)*(lambda + 1) - m_3_2^2"),
    (FIXED, "(1 + Q_1_1)*(1 + Q_3_3) - Q_1_3^2"),
    (xor(2), "(lambda + Q_1_1)*(2*lambda + Q_2_2) - Q_1_2^2"),
]
EITHER = [
    (OPEN, "(lambda + Q_1_1)*(lambda + Q_2_2) - 2*Q_1_2^2 - lambda*Q_1_1"),
    (OPEN, "(lambda + R_1_1)*(lambda + Gamma_2_2) - m_1_2^2"),
    (OPEN, "Q_1_1*Q_2_2 - m_1_2^2"),
    (FIXED, "1 + Q_1_1 - m_1_2*m_1_1*3"),
    (FIXED, "(1 + Q_1_1)*(1 + R_3_3) - Q_1_3^2"),
    (xor(2), "lambda + Q_1_1 - m_1_1^2 - v_1"),
]


def form(model, text):
    return Vocabulary(model).read(parse_formula(text), text)


@pytest.mark.parametrize(("model", "text"), POSITIVE)
def test_minors_of_gram_matrices_are_never_negative(model, text):
    rng, found = fresh_rng(), form(model, text)
    assert never_has(model, found, -1)
    assert never_has(model, -found, 1)
    assert not never_has(model, found, 1)
    assert is_impossible(model, {found: -1})
    points = (draw(model, rng) for draw in (random_point, scaled_point) for _ in range(3))
    assert all(found.xreplace(p.values) >= 0 for p in points)


@pytest.mark.parametrize(("model", "text"), EITHER)
def test_forms_of_either_sign_are_left_to_be_visited_on_both_sides(model, text):
    """That one side is impossible would hide a mistake there: there are points on each."""
    rng, found = fresh_rng(), form(model, text)
    signs = set()
    for _ in range(1000):
        signs.add(bool(found.xreplace(scaled_point(model, rng).values) > 0))
        if len(signs) == 2:
            break
    assert signs == {True, False}
    assert not any(never_has(model, found, sign) for sign in (1, -1))

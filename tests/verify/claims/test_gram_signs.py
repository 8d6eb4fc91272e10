"""Signs that forms in Gram matrices, and linear forms together, never have."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from helpers import fresh_rng
from scipy.optimize import linprog

from theory import Bands, Loss, Mixture, Model, kgmm, symbols, xor
from verify.claims.language.text import parse_formula
from verify.claims.language.vocabulary import Vocabulary
from verify.claims.signs.exclusion import is_impossible
from verify.claims.signs.gram_signs import never_has
from verify.claims.signs.linear_forms import exclude_each_other
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


def test_minors_of_every_band_are_never_negative():
    bands = Bands(fractions=["1/4", "3/4"], scales=[[1, "1/2"], [2, "1/3"]])
    data = Mixture.build(labels=[1, 0], coordinates=[[1], [-1]], bands=bands)
    u = symbols.vector("u", 2)
    model = Model.build(data, Loss((u[0] - u[1] - symbols.LABEL) ** 2, units=2), name="banded")
    assert never_has(model, form(model, "Q_2_1_1*Q_2_2_2 - Q_2_1_2^2 + R_1_1_1"), -1)
    assert never_has(model, form(model, "Gamma_2_1_1*Q_2_1_1 - m_2_1_1^2"), -1)
    assert not never_has(model, form(model, "Q_1_1_1*Q_2_2_2 - Q_2_1_2^2"), -1)


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


def room(rows: np.ndarray, offsets: np.ndarray) -> float:
    """The largest t, up to 1, with every form at least t at some point."""
    size = rows.shape[1]
    bounds = [(None, None)] * size + [(None, 1)]
    left = np.hstack([-rows, np.ones((len(rows), 1))])
    found = linprog([*np.zeros(size), -1.0], A_ub=left, b_ub=offsets, bounds=bounds)
    return float(found.x[-1])


def test_linear_forms_exclude_each_other_where_no_point_has_room():
    """Compared with the other linear programme, which looks for the point."""
    rng, names = fresh_rng(), sp.symbols("x y z", real=True)
    found = []
    for _ in range(20):
        rows = rng.integers(-3, 4, (5, 3))
        rows, offsets = rows[rows.any(axis=1)], rng.integers(-3, 3, 5)
        offsets = offsets[: len(rows)]
        forms = [
            sp.Add(int(c), *(int(a) * x for a, x in zip(row, names, strict=True)))
            for row, c in zip(rows, offsets, strict=True)
        ]
        found.append(exclude_each_other(forms))
        assert found[-1] == (room(rows, offsets) <= 1e-9)


def test_signs_that_exclude_each_other_by_way_of_the_domain():
    """Three forms that exclude each other with lambda > 0 alone."""
    model = xor(1)
    m, q = model.symbols.overlap[0, 0], model.symbols.gram[0, 0]
    signs = {m - 2 * model.mixture.precision - 2: 1, q + m: -1, q - 2 * m - 1: 1}
    assert is_impossible(model, signs)
    assert not is_impossible(model, signs | {q + m: 1})
    assert not is_impossible(None, {f: s for f, s in signs.items() if f != q + m})

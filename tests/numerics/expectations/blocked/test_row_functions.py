"""Elementary functions of rows against NumPy's, and sums over rows against matrix products."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import fresh_rng

from numerics.expectations.blocked.row_functions import ROW, exp_rows, tanh_rows
from numerics.expectations.blocked.row_sums import add_products

EPS = np.finfo(float).eps
SPECIAL = np.array([0.0, np.inf, -np.inf, np.nan, 1e-310, 709.78, 710.0, -745.1, -760.0, 1e300])


@pytest.mark.parametrize(("rows", "arrays"), [(exp_rows, np.exp), (tanh_rows, np.tanh)])
def test_rows_are_those_of_numpy_to_a_few_units_in_the_last_place(rows, arrays):
    rng = fresh_rng()
    points = rng.uniform(-1, 1, 30_000) * np.repeat([1e-8, 0.5, 30.0, 700.0], 7500)
    found = points.copy()
    rows(found)
    np.testing.assert_allclose(found, arrays(points), rtol=4 * EPS, atol=0)
    special = SPECIAL.copy()
    rows(special)
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(special, arrays(SPECIAL), rtol=4 * EPS, atol=0)


def test_sums_of_products_are_matrix_products_whatever_their_number():
    rng, n = fresh_rng(), 77
    rows = rng.normal(size=(9, ROW))
    rows[:, n:] = np.nan  # what is left of a row is none of the sum's
    weights = rng.random(n)
    table = np.zeros(3 + 7)
    starts, rights = np.array([0, 3, 10]), np.array([0, 4, 8, *range(2, 9)])
    add_products(rows.ravel(), weights, np.array([1, 2]) * ROW, starts, rights * ROW, table)
    products = rows[:, :n] * weights @ rows[:, :n].T
    expected = np.concatenate([products[1, rights[:3]], products[2, rights[3:]]])
    np.testing.assert_allclose(table, expected, rtol=0, atol=1e-13 * n)

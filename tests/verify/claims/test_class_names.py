"""Entries that differ by the names of classes: one is judged for all, and all are what it is."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from helpers import fresh_rng

from theory import Model, kgmm, xor
from verify import check, make_claim
from verify.claims.cases import cases_of, count_entries
from verify.claims.judgement import Finding
from verify.claims.language.class_names import classes_are_alike, names_no_class, one_of_each
from verify.claims.language.text import parse_formula
from verify.claims.quantities import derived
from verify.claims.quantity_names import parse_quantity
from verify.claims.stages.digits import gaps
from verify.claims.stages.symbolic import prove_equal
from verify.random_points.exact import Point, random_point

THREE = kgmm(3)


def renamed(point: Point, order: list[int]) -> Point:
    """The point at which class i is called order[i]."""
    back = [order.index(i) for i in range(len(order))]
    columns = list(range(point.rank))
    return replace(
        point,
        mixing=point.mixing.extract(back, columns),
        along=point.along.extract(columns, back),
        gamma=point.gamma.extract(back, back),
        weights=point.weights.extract(back, [0]),
    )


@pytest.mark.parametrize(
    "name", ["drift m_a_s", "corrector_a_b", "gradient g_a[x_b]", "H_a_b[e_s,x_c]", "G_a_b[bulk]"]
)
def test_what_is_derived_is_renamed_with_the_classes(name: str) -> None:
    rng, quantity = fresh_rng(), parse_quantity(name)
    every = list(quantity.instances(THREE))
    entry = every[int(rng.integers(len(every)))]
    order = [int(i) for i in rng.permutation(3)]
    other = {letter: order[i - 1] + 1 for letter, i in entry.items()}
    point = random_point(THREE, rng, 1)
    values = [
        gaps([(derived(THREE, quantity.target(THREE, at)), 0 * THREE.ridge)], where, None)[0].value
        for at, where in ((entry, point), (other, renamed(point, order)))
    ]
    assert float(values[0]) == pytest.approx(float(values[1]), rel=1e-8, abs=1e-10)


def test_every_pattern_of_equal_and_unequal_indices_is_judged() -> None:
    claim = make_claim(THREE, "drift R_a_b", "-2*beta*R_a_b")
    assert [c.bindings for c in cases_of(claim)] == [{"a": 1, "b": 1}, {"a": 1, "b": 2}]
    assert count_entries(claim) == "2 entries (of 9, which differ by names of classes)"
    four = [dict(zip("asbt", i, strict=True)) for i in product((1, 2, 3), repeat=4)]
    # partitions of four letters into at most three sets
    assert len(one_of_each(four)) == 14


@pytest.mark.parametrize(
    ("text", "alike"),
    [
        ("sum_b(H_a_b*m_b_s, b != a)", True),
        ("delta_a_y - pi_y", True),
        ("p_s*E_s[g_a]", True),
        ("m_a_1", False),
        ("E_1[g_a]", False),
        ("delta(a, 2)", False),
        ("sum_b(p_b, b <= k - 1)", False),
        ("sum_b(p_b, b != 2)", False),
        ("y*m_a_s", False),
    ],
)
def test_formulas_that_name_a_class(text: str, alike: bool) -> None:
    assert names_no_class(parse_formula(text)) is alike


@pytest.mark.parametrize(
    ("model", "alike"),
    [
        (THREE, True),
        (kgmm(3, directions_gram="orthonormal", weights=["1/3"] * 3), True),
        (kgmm(3, weights=["1/2", "1/4", "1/4"]), False),
        (kgmm(3, directions_gram=[[1, 0, 0], [0, 2, 0], [0, 0, 1]]), False),
        (kgmm(3, means="simplex"), False),
        (xor(2), False),
    ],
)
def test_models_whose_classes_are_alike(model: Model, alike: bool) -> None:
    assert classes_are_alike(model) is alike
    claim = make_claim(model, "E_l[u_a]", "sum_s(S_l_s*m_a_s)")
    judged, every = len(cases_of(claim)), len(list(claim.quantity.instances(model)))
    assert (judged < every) is alike


def test_a_slip_of_one_class_alone_is_still_found() -> None:
    """A number at an index: all entries are judged."""
    model = kgmm(3, directions_gram="orthonormal")
    slip = "m_a_l + delta(a, 3)*delta(l, 2)*Q_1_2"
    assert check(model, "E_l[u_a]", slip, seed=int(fresh_rng().integers(2**31))).finding is (
        Finding.REFUTED
    )


@pytest.mark.slow
def test_equal_products_of_means_cancel_before_they_are_expanded() -> None:
    """Multiplied out they have more terms than are looked at."""
    claim = make_claim(
        THREE,
        "Cov[m_1_2,R_2_3]",
        "E[g_1*Y_2*(g_2*zeta_3 + g_3*zeta_2 - c_delta/lambda*g_2*g_3)]"
        " - E[g_1*Y_2]*E[g_2*zeta_3 + g_3*zeta_2 - c_delta/lambda*g_2*g_3]",
    )
    (case,) = cases_of(claim)
    assert prove_equal(case.claimed, case.derived, THREE).proved
    wrong = prove_equal(case.claimed, 2 * case.derived, THREE)
    assert not wrong.proved

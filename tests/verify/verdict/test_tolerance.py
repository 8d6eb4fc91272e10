"""Tolerances, verdicts and the arithmetic of the family-wise error."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from verify.verdict.tolerance import Comparison, Part, Tolerance, Verdict, combine, critical_value


def comparison(
    measured: float, bound: float, resolution: float | None = None, one_sided: bool = False
) -> Comparison:
    return Comparison(
        "x", measured, 1.0, Tolerance((Part(bound, "a reason"),)), resolution, one_sided
    )


def test_a_deviation_beyond_the_tolerance_fails_even_when_the_resolution_is_poor() -> None:
    assert comparison(2.0, 0.5, resolution=0.1).verdict is Verdict.FAILS


def test_a_tolerance_wider_than_the_resolution_is_inconclusive_not_a_pass() -> None:
    assert comparison(1.0, 0.5, resolution=0.1).verdict is Verdict.INCONCLUSIVE
    assert comparison(1.0, 0.05, resolution=0.1).verdict is Verdict.HOLDS


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_fails(value: float) -> None:
    assert comparison(value, 10.0).verdict is Verdict.FAILS


def test_one_sided_statement_allows_any_smaller_value() -> None:
    assert comparison(-50.0, 0.1, one_sided=True).verdict is Verdict.HOLDS
    assert comparison(1.2, 0.1, one_sided=True).verdict is Verdict.FAILS


def test_combine_prefers_failure_then_doubt() -> None:
    holds, doubt, fails = Verdict.HOLDS, Verdict.INCONCLUSIVE, Verdict.FAILS
    assert combine([holds, doubt, fails]) is fails
    assert combine([holds, doubt]) is doubt
    assert combine([holds]) is holds
    assert combine([]) is doubt  # nothing compared is not a pass


@given(st.integers(1, 2000), st.floats(1e-9, 0.1))
def test_critical_value_controls_the_family_wise_error(comparisons: int, share: float) -> None:
    """Bonferroni: n two-sided tails at the critical value sum to the share."""
    import scipy.stats

    z = critical_value(comparisons, share)
    assert comparisons * 2 * scipy.stats.norm.sf(z) == pytest.approx(share, rel=1e-8)
    # standard errors estimated from few replicas need a larger value
    assert critical_value(comparisons, share, degrees=7) > z


def test_strain_and_total_are_what_they_say() -> None:
    bound = Tolerance((Part(0.25, "a"), Part(0.25, "b")))
    case = Comparison("x", 1.25, 1.0, bound)
    assert bound.total == 0.5
    assert case.strain == 0.5
    assert "(a)" in str(bound)
    assert "(b)" in str(bound)

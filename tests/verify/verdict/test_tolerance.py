"""Tolerances, verdicts and the arithmetic of the family-wise error."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import fresh_rng
from hypothesis import given
from hypothesis import strategies as st

from verify.verdict.compare import compare
from verify.verdict.tolerance import (
    Chance,
    Comparison,
    Family,
    Part,
    Tolerance,
    Verdict,
    combine,
    critical_value,
    judge_together,
)


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


def test_the_critical_value_follows_from_the_comparisons_that_chance_enters() -> None:
    """A family counts with all its members; what has no standard error does not count."""
    single = compare("a", 1.0, 1.0, Chance(0.5), Part(0.1, "remainder"))
    family = Family(tuple(compare(f"b {i}", i, 0.0, Chance(1.0)) for i in range(3)))
    fixed = compare("c", 1.0, 1.0, Part(1e-12, "rounding"))
    few = compare("d", 1.0, 1.0, Chance(0.5, degrees=5))
    judged = judge_together([single, family, fixed, few], 1e-3)
    z = critical_value(5, 1e-3)
    assert [c.quantity for c in judged] == ["a", "b 2", "c", "d"]
    assert judged[0].tolerance.parts == (
        Part(0.5 * z, f"{z:.2f} standard errors (T3)"),
        Part(0.1, "remainder"),
    )
    assert judged[1].tolerance.total == z
    assert judged[2].tolerance.total == 1e-12
    assert judged[3].tolerance.total == 0.5 * critical_value(5, 1e-3, degrees=5)
    assert "Student" in str(judged[3].tolerance)


def test_a_number_that_is_none_is_the_worst_of_a_family() -> None:
    members = tuple(compare(str(x), x, 0.0, Chance(1.0)) for x in (50.0, np.nan, -70.0))
    (worst,) = judge_together([Family(members)], 0.01)
    assert worst.quantity == "nan"
    assert worst.verdict is Verdict.FAILS


def test_a_tolerance_left_to_chance_has_no_size_before_it_is_counted() -> None:
    open_end = compare("x", 1.0, 1.0, Chance(0.5))
    with pytest.raises(ValueError, match="before comparisons are counted"):
        _ = open_end.verdict
    with pytest.raises(ValueError, match="one standard error"):
        compare("x", 1.0, 1.0, Chance(0.5), Chance(0.5))


@pytest.mark.slow
@pytest.mark.parametrize("degrees", [None, 4])
def test_the_family_wise_error_is_that_of_the_run(degrees: int | None) -> None:
    """Of many true theories a share is refuted; a critical value of one comparison refutes more."""
    rng, runs, share, sizes = fresh_rng(), 2_000, 0.2, (3, 1, 8)
    scale = np.ones((runs, 12)) if degrees is None else rng.chisquare(degrees, (runs, 12)) / degrees
    noise, errors = rng.normal(size=(runs, 12)), np.sqrt(scale)
    refuted = {"counted": 0, "typed": 0}
    for values, own in zip(noise, errors, strict=True):
        made = [
            compare("x", x, 0.0, Chance(float(e), degrees))
            for x, e in zip(values, own, strict=True)
        ]
        ends = np.cumsum(sizes)
        families = [Family(tuple(made[end - n : end])) for n, end in zip(sizes, ends, strict=True)]
        refuted["counted"] += Verdict.FAILS in [c.verdict for c in judge_together(families, share)]
        refuted["typed"] += Verdict.FAILS in [c.counted(1, share).verdict for c in made]
    # 1 - (1 - share / 12)^12 = 0.183 are expected; ten standard errors of a share are 0.09
    assert 0.09 < refuted["counted"] / runs < 0.28
    assert refuted["typed"] / runs > 0.5

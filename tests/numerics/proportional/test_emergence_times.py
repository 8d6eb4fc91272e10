"""Emergence times and phase diagrams: closed forms, an independent search, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from numerics import (
    Parameters,
    State,
    effective_spectrum,
    emergence,
    integrate_curves,
    phase_diagram,
    solve_curve,
    state_at_fixed_point,
    state_at_time,
)
from numerics.proportional import emergence_times
from theory import InputError, Loss, Mixture, Model, kgmm, symbols, xor

MODEL = kgmm(3)
PARAMETERS = Parameters([0.5, 0.3, 0.2], 3.0, 0.05, 1.0)
START = State(np.zeros((3, 3)), 0.05 * np.eye(3))
RATIO = 4.0


@pytest.fixture(scope="module")
def curve():
    return solve_curve(MODEL, PARAMETERS, START, 20.0)


@pytest.fixture(scope="module")
def found(curve):
    return emergence(MODEL, PARAMETERS, curve, RATIO, block=(0, 0), time=np.linspace(0, 20, 11))


def count_at(curve, t, **options):
    """Outliers right of the bulk, without the machinery of emergence."""
    state = effective_spectrum(MODEL, PARAMETERS, curve.state(t), RATIO, density=False, **options)
    return int(np.sum(state.side.values == 1))


@pytest.mark.slow
def test_events_are_where_the_count_changes(curve, found):
    assert found.sizes["event"] > 0
    right = found.event_side.values == 1
    for time, error, change in zip(
        found.event_time.values[right],
        found.event_time_error.values[right],
        found.event_change.values[right],
        strict=True,
    ):
        step = max(20 * float(error), 1e-4)
        before, after = (count_at(curve, float(time) + s * step, block=(0, 0)) for s in (-1, 1))
        assert after - before == change
        # an independent search by halving
        low, high = float(time) - 0.5, float(time) + 0.5
        if count_at(curve, low, block=(0, 0)) - count_at(curve, high, block=(0, 0)) == -change:
            for _ in range(14):
                middle = (low + high) / 2
                here = count_at(curve, middle, block=(0, 0))
                low, high = (middle, high) if here == before else (low, middle)
            assert abs((low + high) / 2 - float(time)) < (high - low) + float(error)


@pytest.mark.slow
def test_counts_follow_from_events(found):
    """The count at every time is the first one plus the changes since."""
    for side in (1, -1):
        mine = found.event_side.values == side
        times, changes = found.event_time.values[mine], found.event_change.values[mine]
        expected = [
            int(found["count"].sel(side=side)[0]) + int(changes[times < t].sum())
            for t in found.time.values
        ]
        assert found["count"].sel(side=side).values.tolist() == expected


@pytest.mark.slow
def test_agrees_with_the_spectrum_at_a_time(curve, found):
    t = 4.0
    state = effective_spectrum(MODEL, PARAMETERS, curve.state(t), RATIO, block=(0, 0))
    here = found.sel(time=t)
    right = state.side.values == 1
    outliers = here.outlier.sel(side=1).values
    np.testing.assert_allclose(
        outliers[np.isfinite(outliers)], state.outliers.values[right], rtol=1e-9
    )
    assert float(here.edge.sel(side=1)) == pytest.approx(float(state.edges[-1, 1]), rel=1e-9)
    np.testing.assert_allclose(here.leading_share, state.leading_share, rtol=1e-7)


@pytest.mark.slow
def test_dataset_of_a_curve_will_do(curve, found):
    times = np.linspace(0, 20, 11)
    again = emergence(
        MODEL, PARAMETERS, integrate_curves(MODEL, PARAMETERS, START, times), RATIO, block=(0, 0)
    )
    np.testing.assert_allclose(again.event_time, found.event_time, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"aspect_ratio": -1.0}, "aspect_ratio: got -1"),
        ({"block": (0, 7)}, "block: got"),
        ({"time": [0.0, 30.0]}, "time: got 30.0; expected times <= 20"),
        ({"curve": 3}, "curve: got int; expected a Curve"),
        ({"tail": 0.5}, "tail: got 0.5; expected a share of at most 0.1"),
        ({"matrix": "gradient", "regularized": True}, "regularized: got True"),
    ],
)
def test_bad_input(curve, options, message):
    given = {"curve": curve, "aspect_ratio": RATIO, "block": (0, 0)} | options
    with pytest.raises(InputError, match=message):
        emergence(MODEL, PARAMETERS, **given)


def test_blocks_without_bulk_are_refused():
    parameters = Parameters([0.25] * 4, 20, 0.05, 1.0, np.eye(2))
    start = State(0.3 * np.eye(2), 0.1 * np.eye(2), [0.5, -0.5])
    with pytest.raises(InputError, match="block: got 'readout'; expected a block with a bulk"):
        phase_diagram(xor(2), parameters, start, [1, 2], [4.0], block="readout")


# --- phase diagrams -------------------------------------------------------------------------------


@pytest.mark.slow
def test_threshold_of_the_data_is_that_of_baik_ben_arous_peche():
    """The last mean is a spike of the covariance where lambda p_min = 1 / sqrt(phi)."""
    p = np.array([0.7, 0.3])
    ratios = [1.0, 4.0, 25.0]
    diagram = phase_diagram(
        kgmm(2),
        Parameters(p, 1.0, 0.1, 1.0),
        State(np.zeros((2, 2)), 0.1 * np.eye(2)),
        [0.1, 1.0, 10.0],
        ratios,
    )
    np.testing.assert_allclose(diagram.bbp_threshold, 1 / (p.min() * np.sqrt(ratios)), rtol=1e-6)


@pytest.mark.slow
def test_constant_weights_share_the_threshold_of_the_data():
    """The Hessian of the square loss is the covariance of the data, whatever the state."""
    u = symbols.vector("u", 1)
    one = Mixture.build(weights=[1], labels=[0], coordinates=[[1]], directions_gram=[[1]])
    model = Model.build(one, Loss(u[0] ** 2 / 2, units=1))
    ratios = [0.5, 2.0, 9.0]
    diagram = phase_diagram(
        model, Parameters([1], 1, 0, 1), State([[0.4]], [[0.3]]), [0.1, 1, 10], ratios
    )
    np.testing.assert_allclose(diagram.threshold, 1 / np.sqrt(ratios), rtol=1e-6)
    np.testing.assert_allclose(diagram.bbp_threshold, diagram.threshold, rtol=1e-6)
    assert np.all(diagram.outlier_count == (diagram.precision > 1 / np.sqrt(diagram.aspect_ratio)))


@pytest.mark.slow
def test_threshold_along_training():
    """At the threshold the last outlier is there on one side and not on the other."""
    parameters = Parameters([0.5, 0.5], 1.0, 0.1, 1.0)
    start = State(np.zeros((2, 2)), 0.05 * np.eye(2))
    state = state_at_time(kgmm(2), start, 5.0)
    diagram = phase_diagram(kgmm(2), parameters, state, [0.5, 2.0, 8.0, 32.0], [2.0], count=2)
    precision = float(diagram.threshold[0])
    assert np.isfinite(precision)
    assert float(diagram.threshold_error[0]) < 1e-3 * precision
    for factor, expected in ((0.99, False), (1.01, True)):
        changed = parameters.with_precision(factor * precision)
        found = effective_spectrum(
            kgmm(2), changed, state(changed), 2.0, block=(0, 0), density=False
        )
        assert (np.sum(found.side.values == 1) >= 2) is np.bool_(expected)


@pytest.mark.slow
def test_a_grid_that_meets_the_threshold():
    """The last mean's spike sits exactly on the edge at lambda = 1: nothing is left on the span,
    and nothing is NaN.
    """
    parameters = Parameters([0.5, 0.5], 1.0, 0.1, 1.0)
    origin = State(np.zeros((2, 2)), np.eye(2))
    diagram = phase_diagram(kgmm(2), parameters, origin, [0.3, 1.0, 3.0, 9.0], [4.0])
    assert np.isfinite(diagram.alignment).all()
    assert float(diagram.bbp_threshold[0]) == pytest.approx(1.0, rel=1e-6)


def test_fixed_points_as_states():
    parameters = Parameters([0.5, 0.5], 4.0, 0.2, 1.0)
    state = state_at_fixed_point(kgmm(2))(parameters)
    assert state.overlap[0, 0] > 0 > state.overlap[0, 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precisions": [2.0, 1.0]}, "precisions: got"),
        ({"aspect_ratios": [0.0, 1.0]}, "aspect_ratios: got"),
        ({"share": 1.0}, "share: got 1.0; expected a squared cosine below 1"),
        ({"count": 0}, "count: got 0"),
    ],
)
def test_bad_diagrams(options, message):
    given = {"precisions": [1.0, 2.0], "aspect_ratios": [4.0]} | options
    with pytest.raises(InputError, match=message):
        phase_diagram(MODEL, PARAMETERS, START, **given)


@pytest.mark.slow
def test_free_times_are_closer_around_events_and_each_is_computed_once(monkeypatch):
    two, numbers = kgmm(2), Parameters([0.5, 0.5], 2.0, 0.05, 1.0)
    curve = solve_curve(two, numbers, State(np.zeros((2, 2)), 0.01 * np.eye(2)), 30.0)
    at, computed = emergence_times._Path.at, []

    def counted(self, time, which, like):
        computed.append((time, which))
        return at(self, time, which, like)

    monkeypatch.setattr(emergence_times._Path, "at", counted)
    free = emergence(two, numbers, curve, RATIO, block=(0, 0))
    reported = [time for time, which in computed if time in free.time.values and which == -1]
    assert len(set(reported)) == free.sizes["time"]
    # the ends of the bracket of a root are looked at again
    assert len(reported) <= free.sizes["time"] + 2 * free.sizes["event"]
    low, high = emergence_times.times_of_action(np.array([0, 30.0]), free.event_time.values)
    assert ((free.time >= low) & (free.time <= high)).sum() >= emergence_times.AROUND_EVENTS
    # the same events as where all of the times are asked for
    asked = emergence(two, numbers, curve, RATIO, block=(0, 0), time=free.time.values)
    assert free.event_change.values.tolist() == asked.event_change.values.tolist() == [-1]
    error = free.event_time_error.values + asked.event_time_error.values
    assert np.all(np.abs(free.event_time - asked.event_time) <= error)
    np.testing.assert_allclose(free.outlier, asked.outlier, rtol=1e-8)

"""The noiseless flow across kinks: sliding, picks, ends, and the limit of the flow at large
precision.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
import sympy as sp
from helpers import fresh_rng
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.special import ndtr

from numerics import Parameters, State, integrate_curves
from numerics.core.errors import IntegrationError
from numerics.dynamics.noiseless_field import noiseless_field
from numerics.dynamics.noiseless_flow import integrate_noiseless
from theory import InputError, Loss, Mixture, Model, ReLU, kgmm, separated_fixed_point, symbols, xor
from theory.names import CLUSTERS
from verify import Domain, strategies

EVEN = (0.25,) * 4
SIGNS = ((1, 0), (-1, 0), (0, 1), (0, -1))
model_of = lru_cache(maxsize=None)(xor)


def parameters(weights=EVEN, ridge=0.05, precision=1.0):
    return Parameters(list(weights), precision, ridge, 1.0, np.eye(2))


def flow(overlap, readout, time, *, gram_perp=None, tolerance=1e-9, **options):
    units = len(readout)
    gram = np.zeros((units, units)) if gram_perp is None else gram_perp
    start = State(overlap, gram, readout)
    return integrate_noiseless(
        model_of(units), parameters(**options), start, time, tolerance=tolerance
    )


def risk(data, weights, ridge):
    """p . loss at the four means and ridge/2 (|m|^2 + |v|^2): what the flow of (m, v) descends."""
    m, v = data.overlap.values, data.readout.values
    total = ridge / 2 * ((m**2).sum((1, 2)) + (v**2).sum(1))
    for p, mean, label in zip(weights, SIGNS, (1, 1, 0, 0), strict=True):
        f = np.sum(v * np.maximum(m @ np.array(mean, float), 0), axis=1)
        total += p * (np.logaddexp(0, f) - label * f)
    return total


def share_of_a_balance(data, weights, unit, axis):
    """Filippov share of cluster ``2 axis`` for a unit at rest on that axis, from the pushes of both
    clusters.

    dm/dt = v (theta A - (1 - theta) A'), A = p (y - sigmoid(f)) at the two clusters, vanishes at A'
    / (A + A').
    """
    m, v = data.overlap.values, data.readout.values
    pushes = []
    for cluster in (2 * axis, 2 * axis + 1):
        others = np.maximum(m @ np.array(SIGNS[cluster], float), 0)
        others[:, unit] = 0.0
        f = np.sum(v * others, axis=1)
        pushes.append(weights[cluster] * abs((axis == 0) - 1 / (1 + np.exp(-f))))
    return pushes[1] / (pushes[0] + pushes[1])


def first_active(data, unit, axis):
    """active_share of the cluster 2 axis for a unit; the surface may carry either sign."""
    name = f"m_{unit + 1}_{axis + 1}"
    for i, surface in enumerate(data.surface.values):
        if surface in (f"{name} > 0", f"-{name} > 0"):
            share = data.active_share.values[:, i]
            return 1 - share if surface.startswith("-") else share
    raise AssertionError(name)


# --- one unit, by hand ----------------------------------------------------------------------------


def hand_made():
    """One unit, v > 0, from (m_1, m_2, v) = (0.5, 0.1, 0.6): until m_2 = 0, then m_2 = 0."""

    def field(_, s):
        m, n, v = s
        first = 0.25 / (1 + np.exp(v * m))
        second = 0.25 / (1 + np.exp(-v * n)) if n > 0 else 0.0
        return [
            v * first - 0.05 * m,
            -v * second - 0.05 * n,
            m * first - max(n, 0) * second - 0.05 * v,
        ]

    hit = lambda _, s: s[1]  # noqa: E731
    hit.terminal = True
    options = {"method": "LSODA", "rtol": 1e-11, "atol": 1e-12, "dense_output": True}
    before = solve_ivp(field, (0, 50), [0.5, 0.1, 0.6], events=hit, **options)
    event = float(before.t[-1])
    start = [before.y[0, -1], 0.0, before.y[2, -1]]
    after = solve_ivp(
        lambda t, s: [field(t, [s[0], 0, s[2]])[0], 0, field(t, [s[0], 0, s[2]])[2]],
        (event, 60),
        start,
        **options,
    )
    return event, lambda t: before.sol(t) if t <= event else after.sol(t)


def test_one_unit_by_hand_with_times_at_and_around_the_event():
    """Record times on the event, one ulp beside it, twice as dense: all as an integrator of its own
    gives.
    """
    event, right = hand_made()
    close = [np.nextafter(event, 0), event, np.nextafter(event, 9), event + 1e-9]
    times = [0.0, event / 2, event - 1e-6, *close, event + 1e-6, 2 * event, 30.0, 60.0]
    found = flow([[0.5, 0.1]], [0.6], times)
    assert found.time.values.tolist() == times
    for i, t in enumerate(times):
        got = [*found.overlap.values[i, 0], found.readout.values[i, 0]]
        assert np.abs(np.array(got) - right(t)).max() <= 1e-7  # tolerances 1e-9 over 60 time units
    late = np.array(times) > event + 1e-7
    assert np.all(found.overlap.values[late, 0, 1] == 0.0)
    assert np.all(found.overlap.values[:3, 0, 1] > 0)
    # both clusters push alike from then on
    assert np.abs(first_active(found, 0, 1)[late] - 0.5).max() < 1e-9
    assert np.all(first_active(found, 0, 1)[:3] == 1.0)
    assert np.all(first_active(found, 0, 0) == 1.0)


@pytest.mark.slow
def test_the_record_times_do_not_change_the_flow():
    rng = fresh_rng()
    overlap, readout = 0.1 * rng.normal(size=(3, 2)), rng.normal(size=3)
    dense = flow(overlap, readout, np.linspace(0, 40, 101))
    sparse = flow(overlap, readout, [0.0, 16.0, 40.0])
    assert np.array_equal(dense.overlap.values[[0, 40, 100]], sparse.overlap.values)
    alone = flow(overlap, readout, [0.0])
    assert np.array_equal(alone.overlap.values[0], overlap)


# --- sliding --------------------------------------------------------------------------------------


# off the kinks at the start: a unit that starts on one of them may have no way to leave
STARTS = st.sampled_from([1.0, 0.3]).flatmap(
    lambda least: st.integers(1, 4).flatmap(
        lambda units: strategies.problems(
            model_of(units),
            Domain(least_weight=least, overlap=(0.01, 2), readout=(0.1, 2), perpendicular=1.0),
            singular=True,
        )
    )
)


@pytest.mark.slow
@settings(max_examples=15)
@given(STARTS)
def test_what_holds_along_every_noiseless_flow(problem):
    """Exactly 0 while it slides, shares in [0, 1] and balanced, risk never rising, R_perp = e^(-2
    beta t) R_perp(0).
    """
    numbers, start = problem
    weights, units, times = numbers.weights, len(start.readout), np.linspace(0, 60, 121)
    found = flow(start.overlap, start.readout, times, weights=weights, gram_perp=start.gram_perp)
    values = risk(found, weights, 0.05)
    assert np.all(np.diff(values) <= 1e-8)
    assert np.all(np.isfinite(found.overlap.values))
    decay = np.exp(-0.1 * times)[:, None, None] * start.gram_perp
    assert np.abs(found.gram_perp.values - decay).max() <= 1e-7 * (
        1 + np.abs(start.gram_perp).max()
    )
    assert np.all((found.active_share.values >= -1e-9) & (found.active_share.values <= 1 + 1e-9))
    slid = 0
    for unit, axis in np.ndindex(units, 2):
        share, on = first_active(found, unit, axis), found.overlap.values[:, unit, axis] == 0.0
        between = (share > 0) & (share < 1)
        assert np.all(on[between])
        right = share_of_a_balance(found, weights, unit, axis)
        assert np.abs(share - right)[between].max(initial=0.0) <= 1e-6
        # off the axis the share is the side
        off = ~on
        assert np.array_equal(share[off], (found.overlap.values[off, unit, axis] > 0) * 1.0)
        slid += between.any()
    assert slid >= 1  # every unit is drawn to one axis by the other


@pytest.mark.slow
def test_the_flow_at_large_precision_approaches_the_noiseless_flow():
    """Distance on [0, 20] between 1e2 and 1e5: at least like lambda^-1/2.

    A unit that slides has an overlap of size sqrt(Q / lambda), whence the exponent; with the
    constant measured at the smallest precision the bound is C / sqrt(lambda).
    """
    rng = fresh_rng()
    signs = np.array([1, -1])
    overlap = rng.uniform(0.1, 0.5, (2, 2)) * rng.choice(signs, (2, 2))
    readout = rng.uniform(0.3, 0.8, 2) * signs
    gram, times = np.diag([0.3, 0.4]), np.linspace(0, 20, 41)
    limit = flow(overlap, readout, times, gram_perp=gram)
    precisions, distances = np.array([1e2, 1e3, 1e4, 1e5]), []
    for precision in precisions:
        curve = integrate_curves(
            model_of(2),
            parameters(precision=precision),
            State(overlap, gram, readout),
            times,
            tolerance=1e-4,
        )
        names = ("overlap", "gram_perp", "readout")
        distances.append(max(float(np.abs(curve[n].values - limit[n].values).max()) for n in names))
    distances = np.array(distances)
    slope = np.polyfit(np.log(precisions), np.log(distances), 1)[0]
    print(f"distances {distances}, slope {slope:.3f}")
    assert np.all(distances * np.sqrt(precisions) <= 1.0)
    assert slope < -0.4


@pytest.mark.slow
def test_shares_are_the_limit_of_the_activity():
    """P(u_i > 0 | cluster) of the flow at lambda = 1e6 within 0.01 of active_share, after the slide
    has settled.
    """
    overlap, readout = np.array([[0.4, 0.1], [0.1, -0.5]]), np.array([0.6, -0.5])
    weights, gram = (0.3, 0.2, 0.15, 0.35), 0.3 * np.eye(2)
    times = [0.0, 10.0, 20.0]
    limit = flow(overlap, readout, times, gram_perp=gram, weights=weights)
    curve = integrate_curves(
        model_of(2),
        parameters(weights, precision=1e6),
        State(overlap, gram, readout),
        times,
        tolerance=1e-5,
    )
    for unit, axis in ((0, 1), (1, 0)):
        active = ndtr(
            1e3 * curve.overlap.values[1:, unit, axis] / np.sqrt(curve.gram.values[1:, unit, unit])
        )
        share = first_active(limit, unit, axis)[1:]
        assert np.all((share > 0.05) & (share < 0.95))
        assert np.abs(active - share).max() < 0.01


# --- picks and ends -------------------------------------------------------------------------------


def picks(overlap, readout):
    """By the signs of the readout and of the overlap with its axis (mathematics.md section 5)."""
    return [
        (0 if m[0] > 0 else 1) if v > 0 else (2 if m[1] > 0 else 3)
        for m, v in zip(overlap, readout, strict=True)
    ]


def check_end(overlap, readout, assignment, weights, ridge, accuracy):
    """The state is the separated fixed point of its assignment."""
    values = dict(zip(model_of(len(readout)).mixture.weights, map(sp.Float, weights), strict=True))
    values[symbols.RIDGE] = sp.Float(ridge)
    point = separated_fixed_point(model_of(len(readout)), [CLUSTERS[l] for l in assignment])
    table = dict(zip(point.model.symbols.readout, readout, strict=True))
    right = np.array(point.overlap.xreplace(table).tolist(), dtype=float)
    assert np.abs(overlap - right).max() <= accuracy
    for l, norm in point.squared_norms.items():
        assert (
            abs(sum(readout[i] ** 2 for i in point.members[l]) - float(norm.xreplace(values)))
            <= accuracy
        )


def start_small(rng, units, size):
    """Overlaps of one size up to signs and a factor 3, readouts in (0.3, 1)."""
    overlap = size * rng.uniform(0.3, 1, (units, 2)) * rng.choice([-1, 1], (units, 2))
    return overlap, rng.uniform(0.3, 1, units) * rng.choice([-1, 1], units)


@pytest.mark.slow
@pytest.mark.parametrize("weights", [EVEN, (0.3, 0.2, 0.22, 0.28)])
def test_every_unit_picks_by_its_signs_and_ends_at_its_fixed_point(weights):
    """Overlaps below 1e-3: unit by unit, from twelve random starts of four units."""
    rng = fresh_rng()
    for _ in range(12):
        overlap, readout = start_small(rng, 4, 1e-3)
        found = flow(overlap, readout, [0.0, 1500.0], weights=weights, ridge=0.02)
        check_end(
            found.overlap.values[-1],
            found.readout.values[-1],
            picks(overlap, readout),
            weights,
            0.02,
            1e-5,
        )


@pytest.mark.slow
def test_picks_of_four_units():
    """Patterns of signs, some of all 256."""
    rng = fresh_rng()
    for code in rng.permutation(256)[:10].tolist():
        wanted = [code // 4**i % 4 for i in range(4)]
        overlap, readout = start_small(rng, 4, 1e-3)
        for i, l in enumerate(wanted):
            readout[i] = abs(readout[i]) * (1 if l < 2 else -1)
            overlap[i, l // 2] = abs(overlap[i, l // 2]) * (1 if l % 2 == 0 else -1)
        found = flow(overlap, readout, [0.0, 1500.0], ridge=0.02)
        check_end(found.overlap.values[-1], found.readout.values[-1], wanted, EVEN, 0.02, 1e-5)


# --- starts with symmetries, idle units, on kinks -------------------------------------------------


@pytest.mark.parametrize(
    ("overlap", "readout", "assignment"),
    [
        ([[0.01, 0.02]] * 3, [0.3, 0.3, 0.3], [0, 0, 0]),
        ([[0.01, 0.02]] * 2 + [[0.02, -0.01]] * 2, [0.3, 0.3, -0.2, -0.2], [0, 0, 3, 3]),
        ([[0.01, 0.01], [0.01, -0.01], [-0.01, 0.01], [-0.01, -0.01]], [0.3] * 4, [0, 0, 1, 1]),
        (
            [[0.01, 0.01], [0.01, -0.01], [-0.01, 0.01], [-0.01, -0.01]],
            [0.3, -0.3, 0.3, -0.3],
            [0, 3, 1, 3],
        ),
        (
            [[1.0, 0.5], [0.5, -1.0], [-1.0, 0.5], [-0.5, -1.0]],
            [0.3, -0.3, 0.3, -0.3],
            [0, 3, 1, 3],
        ),
    ],
)
def test_surfaces_met_at_once(overlap, readout, assignment):
    """Equal and mirrored units reach their kinks at one time, and none is left on the wrong side of
    it.
    """
    found = flow(overlap, readout, [0.0, 5.0, 1500.0], ridge=0.02)
    check_end(found.overlap.values[-1], found.readout.values[-1], assignment, EVEN, 0.02, 1e-5)
    m, v = found.overlap.values, found.readout.values
    for i in range(1, len(readout)):
        if overlap[i] == overlap[0] and readout[i] == readout[0]:
            assert np.abs(m[:, i] - m[:, 0]).max() + np.abs(v[:, i] - v[:, 0]).max() < 1e-6


@pytest.mark.slow
def test_an_idle_unit_stays_idle_and_leaves_the_others_alone():
    """v_i = m_i = 0 is invariant: the others move as if it were absent."""
    overlap, readout = np.array([[0.2, 0.1], [-0.1, 0.3]]), np.array([0.4, -0.5])
    without = flow(overlap, readout, [0.0, 3.0, 30.0])
    found = flow(np.vstack([[0.0, 0.0], overlap]), [0.0, *readout], [0.0, 3.0, 30.0])
    assert np.all(found.overlap.values[:, 0] == 0)
    assert np.all(found.readout.values[:, 0] == 0)
    assert np.abs(found.overlap.values[:, 1:] - without.overlap.values).max() < 1e-7
    nothing = flow(np.zeros((2, 2)), np.zeros(2), [0.0, 10.0])
    assert not nothing.overlap.values.any()
    assert not nothing.readout.values.any()


@pytest.mark.parametrize(
    ("overlap", "sign", "axis"), [([0.0, 0.2], -1, 0), ([0.2, 0.0], 1, 1), ([0.0, -0.2], -1, 0)]
)
def test_a_readout_of_zero_on_a_kink_slides_at_once(overlap, sign, axis):
    """v = 0 does not push, but the cluster the unit sees gives v the sign for which the kink
    attracts.
    """
    found = flow([overlap], [0.0], [0.0, 1.0, 20.0, 200.0])
    assert np.all(found.overlap.values[:, 0, axis] == 0.0)
    assert np.all(sign * found.readout.values[1:, 0] > 0)
    assert np.abs(first_active(found, 0, axis)[1:] - 0.5).max() < 1e-9


def test_a_kink_that_attracts_is_a_start_and_one_that_repels_is_refused():
    found = flow([[0.2, 0.0]], [0.5], [0.0, 5.0])
    assert np.all(found.overlap.values[:, 0, 1] == 0.0)
    for overlap, readout in (([[0.0, 0.2]], [0.5]), ([[0.2, 0.0]], [-0.5]), ([[0.0, 0.0]], [0.5])):
        with pytest.raises(
            InputError, match=r"initial: got .*m_1_[12] = 0, a kink that repels on both sides"
        ):
            flow(overlap, readout, [0.0, 1.0])


def test_a_kink_that_is_about_to_repel_is_refused():
    """dm_1/dt = (share - 1/2) m_2 from m = 0: nothing pushes at time 0, and both sides push away
    right after.
    """
    u = symbols.vector("u", 2)
    mixture = Mixture.build(weights=[1], labels=[0], coordinates=[[1]], directions_gram=[[1]])
    for sign in (1, -1):
        loss = Loss(-(ReLU(u[0]) - u[0] / 2) * u[1] - sign * u[1], units=2, kinks=(u[0],))
        model, start = (
            Model.build(mixture, loss, name="awakening"),
            State(np.zeros((2, 1)), np.zeros((2, 2))),
        )
        if sign == 1:
            with pytest.raises(InputError, match="repels on both sides"):
                integrate_noiseless(model, Parameters([1], 1.0, 0.0, 1.0), start, [0.0, 1.0])
        else:  # m_2 < 0: both sides push back, and m_1 stays with half of its samples active
            found = integrate_noiseless(model, Parameters([1], 1.0, 0.0, 1.0), start, [0.0, 1.0])
            assert found.overlap.values[:, :, 0].tolist()[1] == [0.0, pytest.approx(-1.0, abs=1e-8)]
            assert abs(found.active_share.values[1, 0] - 0.5) < 1e-9


def test_small_readouts_slide_beside_large_ones():
    """Shares of a unit whose readout is 1e-20 of another's: each equation is solved at its own
    scale.
    """
    found = flow([[0.2, 0.0], [1e-21, 0.0]], [0.7, 1e-20], [0.0, 1.0, 3.0])
    for unit in (0, 1):
        assert np.abs(first_active(found, unit, 1) - 0.5).max() < 1e-9
        assert np.all(found.overlap.values[:, unit, 1] == 0.0)


# --- other losses ---------------------------------------------------------------------------------


def test_a_smooth_loss_flows_as_usual():
    """No surfaces, and the curve at lambda = 1e12."""
    rng = fresh_rng()
    model, start = kgmm(3), State(rng.normal(size=(3, 3)), np.eye(3))
    found = integrate_noiseless(
        model, Parameters([0.5, 0.3, 0.2], 1.0, 0.1, 1.0), start, [0.0, 2.0, 8.0]
    )
    curve = integrate_curves(
        model, Parameters([0.5, 0.3, 0.2], 1e12, 0.1, 1.0), start, [0.0, 2.0, 8.0]
    )
    assert found.sizes["surface"] == 0
    for name in ("overlap", "gram_perp"):
        assert np.abs(found[name].values - curve[name].values).max() < 1e-7


def one_dimensional(loss, kinks):
    mixture = Mixture.build(weights=[1], labels=[0], coordinates=[[1]], directions_gram=[[1]])
    return Model.build(mixture, Loss(loss, units=1, kinks=kinks), name="line")


U = symbols.vector("u", 1)[0]


def test_crossing_a_kink_in_closed_form():
    """Slopes 1/2 above and -1/2 below the kink at 1: m = 2 - t/2 reaches it at t = 2 and stays."""
    model = one_dimensional(ReLU(U - 1) - U / 2, (U - 1,))
    found = integrate_noiseless(
        model, Parameters([1], 1.0, 0.0, 1.0), State([[2.0]], [[0.0]]), [0.0, 1.0, 2.0, 2.5, 7.0]
    )
    assert np.abs(found.overlap.values[:, 0, 0] - [2, 1.5, 1, 1, 1]).max() < 1e-8
    assert np.abs(found.active_share.values[3:, 0] - 0.5).max() < 1e-12
    # slopes 3/2 and 1/2: the kink is crossed, m = 2 - 3t/2, then 1 - (t - 2/3)/2
    model = one_dimensional(ReLU(U - 1) + U / 2, (U - 1,))
    found = integrate_noiseless(
        model, Parameters([1], 1.0, 0.0, 1.0), State([[2.0]], [[0.0]]), [0.0, 2 / 3, 2.0, 4.0]
    )
    assert np.abs(found.overlap.values[:, 0, 0] - [2, 1, 1 / 3, -2 / 3]).max() < 1e-8
    assert found.active_share.values[:, 0].tolist()[::3] == [1.0, 0.0]


def test_leaving_a_slide_when_the_share_runs_out():
    """A share that grows with a second overlap: the surface is left when it reaches 1, exactly
    then.
    """
    u = symbols.vector("u", 2)
    mixture = Mixture.build(weights=[1], labels=[0], coordinates=[[1]], directions_gram=[[1]])
    # dm_1/dt = 1/2 + m_2 - share and dm_2/dt = 1/4 + m_1
    loss = ReLU(u[0]) - u[0] / 2 - u[0] * u[1] - u[1] / 4
    model = Model.build(mixture, Loss(loss, units=2, kinks=(u[0],)), name="leaving")
    start = State([[0.0], [0.0]], np.zeros((2, 2)))
    found = integrate_noiseless(model, Parameters([1], 1.0, 0.0, 1.0), start, np.linspace(0, 4, 81))
    # on the surface m_2 = t/4, so that the share is 1 at t = 2; then dm_1/dt = m_2 - 1/2
    share, m = found.active_share.values[:, 0], found.overlap.values[:, 0, 0]
    times = found.time.values
    before, after = times <= 1.99, times >= 2.01
    assert np.abs(share - 0.5 - times / 4)[before].max() < 1e-8
    assert np.all(m[before] == 0.0)
    assert np.all(share[after] == 1.0)
    right = solve_ivp(
        lambda _, s: [s[1], 0.25 + s[0]],
        (2.0, 4.0),
        [0.0, 0.0],
        rtol=1e-11,
        atol=1e-12,
        t_eval=times[after],
    )
    assert np.abs(m[after] - right.y[0]).max() < 1e-7


def test_kinks_that_are_not_affine_are_refused():
    model = one_dimensional(ReLU(U**2 - 1), (U**2 - 1,))
    with pytest.raises(InputError, match=r"kinks that are affine"):
        integrate_noiseless(
            model, Parameters([1], 1.0, 0.0, 1.0), State([[2.0]], [[0.0]]), [0.0, 1.0]
        )


def test_no_continuation_is_a_named_error(monkeypatch):
    """A flow that changes its piece too often stops with the time it reached."""
    monkeypatch.setattr("numerics.dynamics.noiseless_flow.MAX_EVENTS_PER_SWITCH", 0)
    with pytest.raises(
        IntegrationError, match=r"changes its piece without end near t = "
    ) as caught:
        flow([[0.2, 0.1]], [0.5], [0.0, 40.0])
    assert 0 < caught.value.reached < 40


def test_surfaces_of_opposite_clusters_are_one():
    """Eight steps of xor(2), four surfaces."""
    field = noiseless_field(model_of(2))
    assert len(field.surfaces) == 4
    assert np.linalg.matrix_rank(field.slopes) == 4

"""The best setting is no worse than others, agrees with plain SGD, and says what limits it."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from helpers import fresh_rng

from numerics import TIME, Problem, State, TargetNotReached, design, integrate_curves
from numerics.training_design.axes import ScheduleFamily, Setting
from numerics.training_design.courses import Training
from numerics.training_design.quantities import QUANTITIES
from theory import InputError, derive_drift, kgmm

NUMBERS = {"weights": [0.6, 0.4], "precision": 5, "ridge": 0.1, "step": 1}
TARGET = 0.5


@pytest.fixture(scope="module")
def problem():
    return Problem(kgmm(2, directions_gram="orthonormal"), **NUMBERS)


@pytest.fixture(scope="module")
def found(problem):
    box = {"step": (0.5, 60), "ridge": (0, 1)}
    return design(problem, State.zero(problem), over=box, reach=("alignment", TARGET))


def training(problem, quantity="alignment", clock="samples", schedule=None, over=()):
    drift, family = derive_drift(problem.model), ScheduleFamily.of(schedule, over)
    start = State.zero(problem)
    return Training(problem, start, drift, family, clock, QUANTITIES[quantity], 1e-6, 2**10, 0)


@pytest.mark.slow
def test_no_setting_of_thirty_is_better(problem, found):
    generator = fresh_rng()
    trained = training(problem)
    for _ in range(30):
        step, ridge = 0.5 * 120 ** generator.random(), generator.random()
        other = trained.reach(Setting(step, ridge), TARGET, found.when, found.when)
        assert not other.is_reached or other.when >= found.when * (1 - 1e-4), other.setting


@pytest.mark.slow
def test_the_best_setting_is_inside_and_determined(found):
    for part in found.slices:
        assert part.as_good[0] <= part.uncertainty[0] <= part.value <= part.uncertainty[1]
        assert part.uncertainty[1] <= part.as_good[1]
    step = found.slices[0]
    assert step.edge == ""
    assert not step.is_flat
    assert found.when < found.stated.when
    assert found.error < 1e-4


def plain_sgd(step, ridge, d, replicas, generator, until):
    """Alignment of softmax regression on two orthonormal means, by NumPy alone: times and means."""
    x = generator.normal(size=(replicas, 2, d))
    x[:, :, :2] = 0
    x /= np.linalg.norm(x, axis=2, keepdims=True)
    x[:, 1] -= (x[:, 0] * x[:, 1]).sum(1)[:, None] * x[:, 0]  # R_perp = I at the start
    x[:, 1] /= np.linalg.norm(x[:, 1], axis=1)[:, None]
    p, precision = NUMBERS["weights"], NUMBERS["precision"]
    course = []
    for _ in range(round(until * d)):
        label = (generator.random(replicas) > p[0]).astype(int)
        y = generator.normal(size=(replicas, d)) / np.sqrt(precision)
        y[np.arange(replicas), label] += 1
        u = np.einsum("nad,nd->na", x, y)
        weights = np.exp(u - u.max(axis=1, keepdims=True))
        g = weights / weights.sum(axis=1, keepdims=True)
        g[np.arange(replicas), label] -= 1
        x -= step / d * (g[:, :, None] * y[:, None, :] + ridge * x)
        course.append(((x[:, :, :2] ** 2).sum((1, 2)) / (x**2).sum((1, 2))).mean())
    return np.array(course)


@pytest.mark.slow
def test_plain_sgd_reaches_the_target_then_and_not_sooner_elsewhere(found):
    generator = fresh_rng()
    d, setting = 300, found.setting
    first = {}
    for factor in (0.25, 1.0, 4.0):
        course = plain_sgd(factor * setting.step, setting.ridge, d, 60, generator, 1.6 * found.when)
        above = np.flatnonzero(course >= TARGET)
        first[factor] = above[0] / d if above.size else np.inf
    # the scatter of the mean of 60 runs and the O(1/d) shift are both a few percent of the time
    assert abs(first[1.0] / found.when - 1) < 0.12
    assert min(first[0.25], first[4.0]) > 1.1 * first[1.0]


def test_a_batch_acts_as_the_step_divided_by_it(problem):
    start, trained = State.zero(problem), training(problem)
    curve = trained.curve(Setting(2.0, 0.1, batch=4.0), until=3.0)  # 3 samples over d
    assert curve.end == pytest.approx(3.0 * 2.0 / 4.0)
    batched = integrate_curves(
        Problem(problem.model, **{**NUMBERS, "step": 2}), start, [0, curve.end], batch=4
    )
    assert np.allclose(curve.state(curve.end).overlap, batched.overlap[-1], atol=1e-5)


@pytest.mark.slow
def test_a_letter_of_the_schedule_is_chosen(problem):
    a = sp.Symbol("a")
    start, box = State.zero(problem), {"a": (0, 4)}
    chosen = design(problem, start, over=box, schedule=1 / (1 + a * TIME), best=("alignment", 2.0))
    # a step of 1 is far below the best: to decay it is worse
    assert chosen.slices[0].edge == "lower"
    assert chosen.stated is None
    assert chosen.schedule == 1
    half = training(problem, schedule=1 / (1 + a * TIME), over=box)
    course = half.at(Setting(1.0, 0.1, letters={"a": 2.0}), 2.0)
    curve = integrate_curves(problem, start, [0, 2], schedule=1 / (1 + 2 * TIME))
    assert np.allclose(course.curve.state(2.0).overlap, curve.overlap[-1], atol=1e-5)


@pytest.mark.slow
def test_in_steps_a_larger_batch_is_better_and_whole(problem):
    chosen = design(
        problem, State.zero(problem), over={"batch": (1, 6)}, best=("alignment", 2.0), clock="steps"
    )
    (batch,) = chosen.slices
    assert (batch.value, batch.edge) == (6.0, "upper")


@pytest.mark.slow
def test_a_flat_optimum_is_said_to_be_flat(problem):
    chosen = design(
        problem, State.zero(problem), over={"ridge": (0, 1e-3)}, best=("alignment", 1.0)
    )
    (ridge,) = chosen.slices
    assert ridge.is_flat
    assert ridge.as_good == (0, 1e-3)


@pytest.mark.slow
def test_a_target_beyond_all_settings_stops_with_the_closest(problem):
    with pytest.raises(TargetNotReached, match="no setting of the box reaches") as caught:
        design(
            problem, State.zero(problem), over={"step": (0.5, 1)}, reach=("alignment", 0.999),
            within=0.5,
        )  # fmt: skip
    assert 0 < caught.value.best < 0.999


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"over": {}}, "over: got a dict"),
        ({"over": {"eta": (1, 2)}}, "c_delta = step size times dimension"),
        ({"over": {"stap": (1, 2)}}, "step"),
        ({"over": {"step": (2, 1)}}, "lower bound below"),
        ({"over": {"step": (0, 1)}}, "over step"),
        ({"over": {"batch": (0, 4)}}, "over batch"),
        ({"over": {"step": 3}}, "a lower and an upper bound"),
        ({"best": ("accuracy", 1)}, "one of the two"),
        ({"reach": None}, "one of the two"),
        ({"reach": ("acuracy", 0.9)}, "accuracy"),
        ({"reach": ("accuracy", 1.0)}, "between 0 and 1"),
        ({"reach": ("accuracy", 0.2)}, "the start is there already"),
        ({"clock": "epochs"}, "samples"),
        ({"within": 0}, "within"),
        ({"schedule": 1 / (1 + sp.Symbol("b") * TIME)}, "bounds of b"),
    ],
)
def test_bad_input_is_refused_by_name(problem, changed, words):
    asked = {"over": {"step": (0.5, 1)}, "reach": ("accuracy", 0.9), **changed}
    with pytest.raises(InputError) as caught:
        design(problem, State.zero(problem), **asked)
    assert words in str(caught.value)

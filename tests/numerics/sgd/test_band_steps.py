"""SGD on noise with bands: kernels against raw samples, the chain and the curve."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from band_cases import band_case, classes_in_bands, random_state, raw_steps
from helpers import fresh_rng
from law_cases import agree, threshold
from sgd_cases import vectors

from numerics import Problem, State, integrate_curves, simulate_sgd
from numerics.core.flatten import unflatten
from theory import Bands, InputError, Loss, Mixture, Model, Update, derive_drift, symbols


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bands", "method", "batch"),
    [(2, "direct", 1), (2, "reduced", 1), (3, "reduced", 3), (1, "reduced", 1), (1, "direct", 2)],
)
def test_one_step_has_the_law_of_raw_samples(bands, method, batch):
    """With a teacher, a readout and a direction that is absent from the last band."""
    rng = fresh_rng()
    case, count = band_case(rng, bands=bands), 10_000
    problem, dimension = Problem(case.model), sum(case.sizes)
    state = State(*unflatten(case.statistics(), case.model))
    delta = problem.parameters.step / dimension
    runs = simulate_sgd(
        problem, state, [0.0, delta], dimension=dimension, replicas=count,
        seed=int(rng.integers(2**32)), method=method, batch=batch,
    )  # fmt: skip
    assert np.abs(vectors(runs, 0) - state.flatten()).max() <= 1e-12 * np.abs(state.flatten()).max()
    steps = (vectors(runs, 1) - state.flatten()) / delta
    assert agree(steps, raw_steps(case, count, rng, batch))
    # that the noise of one band is half of it is seen
    object.__setattr__(case, "scales", case.scales * np.array([0.5] + [1.0] * (bands - 1)))
    assert not agree(steps, raw_steps(case, count, rng, batch))


@pytest.mark.slow
@pytest.mark.parametrize(("method", "batch"), [("direct", 1), ("reduced", 1), ("reduced", 3)])
def test_one_step_of_an_update_has_the_law_of_raw_samples(method, batch):
    """Other rates of a unit and of the readout, and slopes that are clipped."""
    rng = fresh_rng()
    case, count, half = band_case(rng), 10_000, sp.Rational(1, 2)
    clipped = sp.Max(-half, sp.Min(half, symbols.SLOPE))
    update = Update(rates={"unit 2": 3, "readout": half}, rules={"layer 1": clipped})
    problem, dimension = Problem(case.model.with_update(update)), sum(case.sizes)
    state = State(*unflatten(case.statistics(), case.model))
    delta = problem.parameters.step / dimension
    runs = simulate_sgd(
        problem, state, [0.0, delta], dimension=dimension, replicas=count,
        seed=int(rng.integers(2**32)), method=method, batch=batch,
    )  # fmt: skip
    steps = (vectors(runs, 1) - state.flatten()) / delta
    raw = {"rates": (1.0, 3.0, 0.5), "most": 0.5}
    assert agree(steps, raw_steps(case, count, rng, batch, **raw))
    assert not agree(steps, raw_steps(case, count, rng, batch, most=0.5))


@pytest.mark.slow
def test_running_averages_have_one_law_in_both_methods():
    """A unit that follows another one mixes their factors in every band."""
    rng = fresh_rng()
    (u,) = symbols.vector("u", 1)
    bands = Bands(["1/4", "3/4"], [[1, "1/2"], ["1/3", 1]])
    data = Mixture.build(
        labels=[1, -1], weights=["1/2", "1/2"], coordinates=[[1], [-1]], precision=2,
        directions_gram=[[["1/3"]], [["2/3"]]], bands=bands,
    )  # fmt: skip
    loss = Loss((sp.tanh(u) - symbols.LABEL) ** 2 / 2, units=2)
    update = Update(averages={"unit 2": ("unit 1", 2)})
    problem = Problem(Model.build(data, loss, ridge="1/10", step="1/2", update=update))
    state = random_state(problem.model, rng)
    direct, reduced = (
        vectors(
            simulate_sgd(
                problem, state, [0.0, 0.4], dimension=24, replicas=2000, method=method, batch=2,
                seed=int(rng.integers(2**32)),
            ),
            1,
        )
        for method in ("direct", "reduced")
    )  # fmt: skip
    assert agree(direct, reduced)


@pytest.mark.slow
def test_direct_and_reduced_runs_have_one_law_and_follow_the_curve():
    """400 replicas at d = 60 and d = 240 in law; the deviation from the curve falls like 1/d."""
    rng = fresh_rng()
    model = classes_in_bands(rng)
    problem, state, time = Problem(model), random_state(model, rng), [0.0, 0.5]
    curve = integrate_curves(problem, state, time, tolerance=1e-6)
    expected = vectors(curve.expand_dims("replica"), 1)[0]
    bias = None
    for dimension in (60, 240):
        left, right = (
            vectors(
                simulate_sgd(
                    problem, state, time, dimension=dimension, replicas=400,
                    seed=int(rng.integers(2**32)), method=method,
                ),
                1,
            )
            for method in ("direct", "reduced")
        )  # fmt: skip
        assert agree(left, right)
    runs = simulate_sgd(
        problem, state, time, dimension=6000, replicas=400, seed=int(rng.integers(2**32)),
        method="reduced",
    )  # fmt: skip
    found = vectors(runs, 1)
    error = found.std(axis=0) / 20
    # the bias falls like 1/d: at most a twentieth of what is seen at d = 240, and its error
    seen = np.abs(right.mean(axis=0) - expected) + 5 * right.std(axis=0) / 20
    bias = seen / 20 + curve.attrs["error_estimate"]
    z = (np.abs(found.mean(axis=0) - expected) - bias) / error
    print(f"largest z {z.max():.2f} of {z.size}")
    assert z.max() <= threshold(z.size)
    # a curve without the corrector is another one
    drift = derive_drift(model).without_corrector()
    other = integrate_curves(problem, state, time, tolerance=1e-6, drift=drift)
    turned = vectors(other.expand_dims("replica"), 1)[0]
    assert np.max((np.abs(found.mean(axis=0) - turned) - bias) / error) > threshold(z.size)


def test_what_no_band_holds_is_refused():
    rng = fresh_rng()
    case = band_case(rng)
    problem = Problem(case.model)
    overlap, gram, readout = unflatten(case.statistics(), case.model)
    options = {"time": [0.0, 0.1], "dimension": sum(case.sizes), "method": "reduced"}
    absent = overlap.copy()
    absent[1, 0, 1] = 1.0  # with a direction that the last band does not hold
    with pytest.raises(InputError, match=r"initial: .*band 2"):
        simulate_sgd(problem, State(absent, gram, readout), **options)
    state = State(overlap, gram, readout)
    with pytest.raises(InputError, match=r"dimension: .*multiple of"):
        simulate_sgd(problem, state, **{**options, "dimension": sum(case.sizes) + 1})
    with pytest.raises(InputError, match=r"frame: .*coordinate"):
        simulate_sgd(problem, state, **{**options, "method": "direct"}, frame="random")
    with pytest.raises(InputError, match="keep_weights"):
        simulate_sgd(problem, state, **{**options, "method": "direct"}, keep_weights=True)
    with pytest.raises(InputError, match=r"initial\.overlap: got shape"):
        simulate_sgd(problem, State(overlap[0], gram[0], readout), **options)


def test_bands_smaller_than_what_lies_in_them_are_refused():
    model = classes_in_bands(fresh_rng())
    state = random_state(model, fresh_rng())
    with pytest.raises(InputError, match=r"dimension: .*band 1 has 1.*at least 6"):
        simulate_sgd(Problem(model), state, [0.0, 0.1], dimension=10, method="reduced")

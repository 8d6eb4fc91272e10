"""SGD on labels that teachers make: kernels against raw samples, the chain and the curve."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from helpers import fresh_rng
from law_cases import agree, threshold
from sgd_cases import vectors
from teacher_cases import BUILDERS, raw_step, teacher_case

from numerics import integrate_curves, simulate_sgd
from numerics.core.errors import ToleranceWarning

SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in BUILDERS if name != "phase"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("committee", "direct"),
        ("noisy committee", "reduced"),
        ("sign", "direct"),
        ("sign", "reduced"),
        ("multi-index", "direct"),
        ("multi-index", "reduced"),
    ],
)
def test_one_step_has_the_law_of_raw_samples(name, method):
    rng = fresh_rng()
    case, dimension, count = teacher_case(name, rng), 9, 20_000
    delta = case.problem.parameters.step / dimension
    runs = simulate_sgd(
        case.problem, case.state, [0.0, delta], dimension=dimension, replicas=count,
        seed=int(rng.integers(2**32)), method=method,
    )  # fmt: skip
    steps = (vectors(runs, 1) - case.state.flatten()) / delta
    assert agree(steps, raw_step(case, dimension, count, rng))
    # of a teacher that is turned round it is another law, which the test sees
    if name in ("committee", "sign"):
        turned = case.gradient
        object.__setattr__(case, "gradient", lambda y, u, t, xi, v: turned(y, u, -t, xi, v))
        assert not agree(steps, raw_step(case, dimension, count, rng))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["phase", *SLOW])
def test_direct_and_reduced_runs_have_one_law_and_follow_the_curve(name):
    """400 replicas at d = 60 in law; those of the chain at d = 3,000 against the curve."""
    rng = fresh_rng()
    case = teacher_case(name, rng)
    time = [0.0, 0.4]
    seeds = rng.integers(2**32, size=3).tolist()
    both = [
        simulate_sgd(
            case.problem, case.state, time, dimension=60, replicas=400, seed=seed, method=method
        )
        for seed, method in zip(seeds, ("direct", "reduced"), strict=False)
    ]
    left, right = (vectors(runs, 1) for runs in both)
    assert agree(left, right)
    runs = simulate_sgd(
        case.problem, case.state, time, dimension=3000, replicas=400, seed=seeds[2],
        method="reduced",
    )  # fmt: skip
    with warnings.catch_warnings():
        # four dimensions: what a wide state leaves of the error is added below
        warnings.simplefilter("ignore", ToleranceWarning)
        curve = integrate_curves(case.problem, case.state, time, tolerance=1e-3)
    expected = vectors(curve.expand_dims("replica"), 1)[0]
    found = vectors(runs, 1)
    error = found.std(axis=0) / 20
    # the bias falls like 1/d: at most a fiftieth of what is seen at d = 60
    bias = np.abs(right.mean(axis=0) - expected) / 50 + curve.attrs["error_estimate"]
    z = (np.abs(found.mean(axis=0) - expected) - bias) / error
    print(f"largest z {z.max():.2f} of {z.size}")
    assert z.max() <= threshold(z.size)

"""SGD on samples that hold several tokens: kernels against raw samples, the chain and the curve."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import fresh_rng
from law_cases import agree, threshold
from sgd_cases import vectors
from token_cases import raw_steps, token_case

from numerics import Problem, integrate_curves, simulate_sgd
from numerics.sgd.kernel.source import kernel_source
from theory import Loss, Mixture, Model, derive_drift, symbols

METHODS = ("direct", "reduced")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["patches", "contrastive"])
@pytest.mark.parametrize("method", METHODS)
def test_one_step_has_the_law_of_raw_samples(name, method):
    """Batches of 1 and 3; a batch of another size is seen."""
    rng = fresh_rng()
    case, count = token_case(name, rng), 10_000
    problem, state = Problem(case.model), case.state
    delta = problem.parameters.step / case.dimension
    for batch in (1, 3):
        runs = simulate_sgd(
            problem, state, [0.0, delta], dimension=case.dimension, replicas=count,
            seed=int(rng.integers(2**32)), method=method, batch=batch,
        )  # fmt: skip
        assert np.allclose(vectors(runs, 0), state.flatten(), rtol=1e-10, atol=1e-12)
        steps = (vectors(runs, 1) - state.flatten()) / delta
        assert agree(steps, raw_steps(case, count, rng, batch))
    assert not agree(steps, raw_steps(case, count, rng, 1))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["patches", "attention"])
def test_direct_and_reduced_runs_have_one_law_and_follow_the_curve(name):
    """400 replicas at d = 40 and d = 160 in law; those of the chain at d = 3,000 and the curve."""
    rng = fresh_rng()
    case = token_case(name, rng)
    problem, state, time = Problem(case.model), case.state, [0.0, 0.4]

    def runs(method, dimension):
        return simulate_sgd(
            problem, state, time, dimension=dimension, replicas=400, method=method,
            seed=int(rng.integers(2**32)),
        )  # fmt: skip

    for dimension in (40, 160):
        left, right = (vectors(runs(method, dimension), 1) for method in METHODS)
        assert agree(left, right)
    found = vectors(runs("reduced", 3000), 1)
    error = found.std(axis=0) / 20
    curve = integrate_curves(problem, state, time, tolerance=2e-3)
    expected = vectors(curve.expand_dims("replica"), 1)[0]
    # the bias falls like 1/d: at most a fifteenth of what is seen at d = 160, and its error
    seen = np.abs(right.mean(axis=0) - expected) + 5 * right.std(axis=0) / 20
    bias = seen / 15 + curve.attrs["error_estimate"]
    z = (np.abs(found.mean(axis=0) - expected) - bias) / error
    print(f"largest z {z.max():.2f} of {z.size}")
    assert z.max() <= threshold(z.size)
    # a curve without the corrector is another one
    drift = derive_drift(case.model).without_corrector()
    other = integrate_curves(problem, state, time, tolerance=2e-3, drift=drift)
    turned = vectors(other.expand_dims("replica"), 1)[0]
    assert np.max((np.abs(found.mean(axis=0) - turned) - bias) / error) > threshold(z.size)


def test_kernels_of_one_token_are_those_without_tokens():
    """Character by character, and nothing in them knows of tokens."""
    (u,) = symbols.vector("u", 1)
    plain, one = (Loss((u - symbols.LABEL) ** 2, units=1, **k) for k in ({}, {"tokens": 1}))
    data = Mixture.build(labels=[1], tokens=[[[1]]])
    assert Model.build(data, one) == Model.build(Mixture.build(labels=[1], coordinates=[[1]]), one)
    for method in METHODS:
        source = kernel_source(one, method)
        assert source == kernel_source(plain, method)
        assert "for p in" not in source
        ((left, right),) = symbols.tokens("u", 1, 2)
        both = Loss((left - right) ** 2, units=1, tokens=2)
        assert "for p in range(2)" in kernel_source(both, method)

"""The reduced chain: equal in law to the direct simulation at any dimension; what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import sympy as sp
from helpers import fresh_rng
from law_cases import moments_agree, theory
from sgd_cases import GAMMA, case, vectors, whole_source
from witness import FAMILY_ERROR

import numerics.sgd.simulate
from numerics import TIME, DivergenceError, Parameters, State, integrate_curves, simulate_sgd
from numerics.core import codegen
from numerics.sgd.generators import sfc64_states
from theory import InputError, kgmm, xor

# --- law ------------------------------------------------------------------------------------------


def marginals_agree(name, dimension, steps, runs, rng, batch=1, **options):
    """Two-sample Kolmogorov-Smirnov tests of every statistic and of random combinations, after some
    steps.
    """
    model, _, parameters, state = case(name)
    time = [steps * parameters.step / dimension]
    samples = [
        vectors(
            simulate_sgd(
                model,
                parameters,
                state,
                time,
                dimension,
                replicas=runs,
                seed=int(rng.integers(2**32)),
                method=method,
                batch=batch,
                **options,
            )
        )
        for method in ("direct", "reduced")
    ]
    size = samples[0].shape[1]
    scale = samples[0].std(axis=0) + 1e-300
    # combinations see correlations that marginals do not
    mixed = rng.standard_normal((size, size)) / scale[:, None]
    pairs = [
        (a, b)
        for s in (np.eye(size), mixed)
        for a, b in zip((samples[0] @ s).T, (samples[1] @ s).T, strict=True)
    ]
    p = min(scipy.stats.ks_2samp(a, b).pvalue for a, b in pairs)
    print(f"smallest p {p:.2g} of {len(pairs)}")
    return p > FAMILY_ERROR / len(pairs)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "dimension", "steps", "batch"),
    [
        ("softmax", 6, 12, 1),
        ("softmax", 20, 30, 1),
        ("twolayer", 5, 10, 1),
        ("twolayer", 60, 60, 1),
        ("softmax", 9, 9, 4),
    ],
)
def test_marginals_after_many_steps_equal_those_of_the_direct_simulation(
    name, dimension, steps, batch
):
    assert marginals_agree(name, dimension, steps, 4000, fresh_rng(), batch)


@pytest.mark.slow
def test_marginals_agree_with_schedule_and_kinks():
    rng, model = fresh_rng(), xor(4)
    parameters = Parameters([0.4, 0.3, 0.2, 0.1], 3.0, 0.2, 2.0, np.eye(2))
    state = State(rng.normal(size=(4, 2)), 0.3 * np.eye(4) + 0.1, rng.normal(size=4))
    found = [
        vectors(
            simulate_sgd(
                model,
                parameters,
                state,
                [3.0],
                15,
                replicas=4000,
                seed=int(rng.integers(2**32)),
                method=method,
                schedule=1 / (1 + TIME),
            )
        )
        for method in ("direct", "reduced")
    ]
    p = [scipy.stats.ks_2samp(a, b).pvalue for a, b in zip(found[0].T, found[1].T, strict=True)]
    assert min(p) > FAMILY_ERROR / len(p)


# wrong chains: what to replace in the source, and by what
WRONG = {
    "a coordinate counted twice": ("0.5 * tail, lengths", "0.5 * tail + 1.5, lengths"),
    "no noise beyond the weights": ("scale * np.sqrt(2.0 * lengths[k])", "0.0"),
    "weights not shrunk": ("a_perp[a, c] *= shrink", "a_perp[a, c] *= 1.0"),
    "noise along the weights forgotten": ("total += a_perp[a, c] * zeta[j, c]", "total += 0.0"),
    "rotation the wrong way": ("z / length, rho / length, c)", "z / length, -rho / length, c)"),
}


@pytest.mark.slow
@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_chains_are_told_from_the_direct_simulation(wrong, monkeypatch):
    """Each by the first two moments of one step, at the dimensions that test the right one."""
    old, new = WRONG[wrong]

    def compile_wrong(loss, method):
        source = whole_source(loss, method)
        assert source.count(old) == 1
        return codegen.load_module(source.replace(old, new))

    monkeypatch.setattr(numerics.sgd.simulate, "compile_kernel", compile_wrong)
    assert not moments_agree("softmax", 12, fresh_rng(), size=40_000, method="reduced")


def wishart_z(source, degrees, rng, count=40_000):
    """Largest z of first and second moments of L L^T against those of a Wishart matrix, and of
    exact zeros.
    """
    kernel, size = codegen.load_module(source), 3
    factors = np.zeros((count, size, size))
    kernel.draw_block(
        sfc64_states(int(rng.integers(2**63)), 0, 1)[0],
        np.ones(1),
        1.0,
        float(degrees),
        np.empty((0, 1, 1)),
        factors,
        np.empty((0, 1), int),
    )
    gram = factors @ factors.transpose(0, 2, 1)
    rows, columns = np.triu_indices(size)
    entries = gram[:, rows, columns]
    equal = (rows == columns).astype(float)
    # E W = n I, Var W_ij = n (1 + delta_ij), cov of different entries 0 (Muirhead 1982, section
    # 3.2)
    products = (entries - degrees * equal) ** 2 - degrees * (1 + equal)
    samples = np.concatenate([entries - degrees * equal, products], axis=1)
    z = np.abs(samples.mean(axis=0)) / (samples.std(axis=0) / np.sqrt(count) + 1e-12)
    return float(z.max()), np.linalg.matrix_rank(gram[:100])


@pytest.mark.parametrize("degrees", [0, 1, 2, 3, 50])
def test_bartlett_factors_make_wishart_matrices_and_a_diagonal_alone_does_not(degrees):
    source = whole_source(kgmm(3).loss, "reduced")
    z, rank = wishart_z(source, degrees, fresh_rng())
    assert z < 6  # of 12 z: by chance with probability 2e-8
    assert np.all(rank == min(degrees, 3))
    if degrees:
        lower = "wishart[k, j, i] = scale * normal(state)"
        assert source.count(lower) == 1
        assert (
            wishart_z(source.replace(lower, "wishart[k, j, i] = 0.0"), degrees, fresh_rng())[0] > 6
        )


@pytest.mark.slow
def test_the_large_dimension_is_the_effective_dynamics():
    """At d = 10^8 fluctuations are 1e-4: the curve, with its corrector, within six of them."""
    model, _, parameters, state = case("softmax")
    run = simulate_sgd(
        model, parameters, state, [0.5e-1, 1e-1], 10**8, replicas=1, seed=4, method="reduced"
    )
    curve = integrate_curves(model, parameters, state, run.time.values)
    assert float(abs(run.overlap[0] - curve.overlap).max()) < 6e-4
    assert float(abs(run.gram_perp[0] - curve.gram_perp).max()) < 6e-4


# --- bookkeeping ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_results_do_not_depend_on_workers_or_slices(monkeypatch):
    model, _, parameters, state = case("twolayer")
    options = {"replicas": 5, "seed": 3, "method": "reduced", "batch": 2}
    run = [simulate_sgd(model, parameters, state, 4.0, 900, workers=w, **options) for w in (1, 3)]
    monkeypatch.setattr("numerics.sgd.replica.SLICE_SECONDS", 0.0)
    run.append(simulate_sgd(model, parameters, state, 4.0, 900, **options))
    for other in run[1:]:
        for name in ("overlap", "gram_perp", "readout"):
            np.testing.assert_array_equal(run[0][name], other[name])


def test_start_is_recorded_exactly_and_may_be_singular():
    """x = 0, and two equal units: R_perp has rank 0 and 1, and grows from there as in the direct
    simulation.
    """
    model, _, parameters, _ = case("softmax")
    for gram in (np.zeros((3, 3)), np.ones((3, 3))):
        state = State(np.zeros((3, 3)), gram)
        run = simulate_sgd(
            model, parameters, state, [0.0, 1.0], 50, replicas=400, seed=1, method="reduced"
        )
        np.testing.assert_allclose(
            run.gram_perp[:, 0], np.broadcast_to(gram, (400, 3, 3)), atol=1e-12
        )
        other = simulate_sgd(model, parameters, state, [0.0, 1.0], 50, replicas=400, seed=2)
        a, b = vectors(run), vectors(other)
        z = np.abs(a.mean(0) - b.mean(0)) / np.sqrt((a.var(0) + b.var(0)) / 400)
        assert z.max() < 6
        assert np.all(np.linalg.eigvalsh(run.gram_perp.values[:, 1]) > -1e-12)


def test_attributes_say_what_was_done():
    model, _, parameters, state = case("softmax")
    run = simulate_sgd(
        model, parameters, state, [0.1], 100, method="reduced", batch=3, schedule=2 / (1 + TIME)
    )
    assert {k: run.attrs[k] for k in ("method", "batch", "schedule", "noise", "dimension")} == {
        "method": "reduced",
        "batch": 3,
        "schedule": "2/(t + 1)",
        "noise": "gaussian",
        "dimension": 100,
    }


def test_a_diverging_chain_stops_with_what_was_recorded():
    model = kgmm(3)
    parameters = Parameters([0.5, 0.15, 0.35], 2.0, 30.0, 1.5, GAMMA)
    with pytest.raises(DivergenceError, match="diverged at t") as caught:
        simulate_sgd(model, parameters, case("softmax")[3], 600.0, 10, seed=1, method="reduced")
    assert 0 < caught.value.partial.sizes["time"] < 201


# --- schedules and batches ------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("method", ["direct", "reduced"])
def test_a_constant_schedule_is_another_step(method):
    model, _, parameters, state = case("twolayer")
    double = Parameters(
        parameters.weights, parameters.precision, parameters.ridge, 2 * parameters.step, GAMMA
    )
    one = simulate_sgd(
        model, parameters, state, [0, 1.0, 2.0], 200, seed=5, method=method, schedule=lambda t: 2.0
    )
    two = simulate_sgd(model, double, state, [0, 2.0, 4.0], 200, seed=5, method=method)
    np.testing.assert_array_equal(one.steps, two.steps)
    np.testing.assert_allclose(one.overlap, two.overlap, atol=1e-14)
    np.testing.assert_allclose(one.gram_perp, two.gram_perp, atol=1e-14)


def test_a_schedule_is_read_at_the_time_of_each_step(monkeypatch):
    """Pure decay: with g = 0 (a zero second layer) the weights shrink by the product of 1 -
    delta(t) beta.
    """
    model, _, parameters, state = case("twolayer")
    monkeypatch.setattr("numerics.sgd.chain.MOST_RATES", 7)
    still = State(state.overlap, state.gram_perp, [0.0, 0.0])
    schedule = 1 + sp.sin(TIME) / 2
    run = simulate_sgd(model, parameters, still, [0.0, 3 * 1.5 / 30], 30, seed=5, schedule=schedule)
    times = np.arange(3) * 1.5 / 30
    shrink = 1 - parameters.step / 30 * (1 + np.sin(times) / 2) * parameters.ridge
    # the readout moves, so that only the first step is pure decay
    first = simulate_sgd(model, parameters, still, [0.0, 1.5 / 30], 30, seed=5, schedule=schedule)
    np.testing.assert_allclose(first.overlap[0, 1], shrink[0] * first.overlap[0, 0], rtol=1e-14)
    assert run.steps.values.tolist() == [0, 3]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["direct", "reduced"])
def test_the_average_over_a_large_batch_is_the_drift(method):
    """b = 20,000: one step of the mean gradient, all fluctuation below 1 / sqrt(b)."""
    model, _, parameters, state = case("softmax")
    delta = parameters.step / 1000
    run = simulate_sgd(
        model, parameters, state, [0, delta], 1000, method=method, batch=20_000, seed=3
    )
    moved = (vectors(run) - vectors(run, 0))[0] / delta
    # corrector / b and the step's own square remain: below 1e-3 here
    np.testing.assert_allclose(moved, theory("softmax", "without corrector"), atol=0.06)


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "exact"}, "method: got 'exact'; expected one of direct, reduced"),
        ({"method": "reduced", "noise": "uniform"}, "noise: got uniform; .*method='direct'"),
        ({"method": "reduced", "frame": "random"}, "frame: got random"),
        ({"method": "reduced", "keep_weights": True}, "keep_weights: got True; .*realise_weights"),
        ({"batch": 0}, "batch: got 0; expected an integer >= 1"),
        ({"batch": 1.5}, "batch: got 1.5"),
        ({"schedule": 1 - TIME}, "schedule: got -?0.* at t = .*; expected positive finite factors"),
        ({"schedule": 1 / TIME}, "schedule: got inf at t = 0"),
        ({"schedule": TIME * kgmm(2).symbols.overlap[0, 0]}, "expected an expression in t alone"),
        ({"schedule": "1/t"}, "schedule: got '1/t'"),
        ({"schedule": lambda t: t[:2]}, "schedule: got shape"),
        ({"noise": "cauchy"}, "noise: got 'cauchy'; expected \"gaussian\""),
        ({"noise": "student"}, "noise: got 'student'"),
        ({"noise": "student:2"}, "noise: got 2.0; expected a finite number > 2.*finite variance"),
        ({"noise": "student:x"}, "noise: got 'student:x'"),
        ({"noise": "sampler"}, "noise: got 'sampler'"),
        ({"frame": "diagonal"}, "frame: got 'diagonal'"),
    ],
)
def test_bad_options_are_refused_before_any_work(options, message, monkeypatch):
    model, _, parameters, state = case("softmax")
    monkeypatch.setattr(
        numerics.sgd.simulate, "compile_kernel", lambda *_: pytest.fail("work was started")
    )
    with pytest.raises(InputError, match=message):
        simulate_sgd(model, parameters, state, 2.0, 50, **options)


def test_too_small_a_dimension_is_refused():
    model, _, parameters, state = case("softmax")
    with pytest.raises(InputError, match=r"dimension: got 5; expected an integer >= 6"):
        simulate_sgd(model, parameters, state, 1.0, 5, method="reduced")

"""Curves against stored brute-force trajectories (tests/reference, with its own notes on
provenance).

The overlaps of kgmm_k3.json are off by twice its stated error at late times: see
``test_overlaps_of_kgmm_k3_within_the_stated_error`` and the witness of tests/witness_curve.py that
settles it.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
import witness_curve
from helpers import fresh_rng

from numerics import Parameters, State, integrate_curves
from theory import kgmm

NAMES = ("overlap", "gram_perp")
MARGIN = 1e-6


@lru_cache(maxsize=None)
def load(name):
    return witness_curve.load(name)


@lru_cache(maxsize=None)
def curve(name, route="stein"):
    """The curve of this project for the problem of a reference file."""
    content = load(name)
    parameters = Parameters(
        content["p"],
        content["precision"],
        content["ridge"],
        content["step"],
        content["directions_gram"],
    )
    initial = State(content["overlap0"], content["gram_perp0"], content["readout0"])
    return integrate_curves(kgmm(content["C"]), parameters, initial, content["time"], route=route)


def deviation(left, right, name):
    """Largest absolute difference at each time."""
    value = lambda x: np.asarray(x[name].values if hasattr(x, "attrs") else x[name])  # noqa: E731
    return np.abs(value(left) - value(right)).max(axis=(1, 2))


# --- the two files --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_correlated_means_are_reproduced_within_the_stated_error(name):
    content = load("kgmm_k3_correlated")
    assert (
        deviation(curve("kgmm_k3_correlated"), content, name).max()
        <= content["error_estimate"] + MARGIN
    )


def test_orthonormal_means_are_reproduced_within_the_stated_error_where_it_holds():
    """R_perp at all times, the overlaps up to t = 4."""
    content = load("kgmm_k3")
    limit = content["error_estimate"] + MARGIN
    assert deviation(curve("kgmm_k3"), content, "gram_perp").max() <= limit
    early = np.array(content["time"]) <= 4
    assert early.sum() == 5
    assert deviation(curve("kgmm_k3"), content, "overlap")[early].max() <= limit


@pytest.mark.xfail(
    strict=True,
    reason="kgmm_k3.json: its overlaps differ from this project's curve by 8.81e-6 at t = 8 and"
    " 1.42e-5 at t = 16, its error_estimate is 6.90e-6; from an independent witness with error"
    " below 1.8e-6 they differ by 8.76e-6 and 1.42e-5, so the stated error is too small there",
)
def test_overlaps_of_kgmm_k3_within_the_stated_error():
    content = load("kgmm_k3")
    assert (
        deviation(curve("kgmm_k3"), content, "overlap").max() <= content["error_estimate"] + MARGIN
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["kgmm_k3", "kgmm_k3_correlated"])
def test_both_routes_give_the_curve_of_the_file(name):
    one, other = curve(name), curve(name, "projection")
    limit = one.attrs["error_estimate"] + other.attrs["error_estimate"]
    for variable in NAMES:
        assert np.abs(one[variable].values - other[variable].values).max() <= limit


# --- who is right about kgmm_k3 -------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_curve_agrees_with_the_stored_witness(name):
    """Entry by entry within the stated standard errors: 99.9 % for all entries together."""
    witness, mine = load("kgmm_k3_witness"), curve("kgmm_k3")
    assert witness["time"] == mine.time.values.tolist()
    error = np.array(witness[f"{name}_standard_error"])
    limit = witness["standard_errors_at_confidence"] * error + mine.attrs["error_estimate"] + 1e-8
    assert np.all(np.abs(mine[name].values - np.array(witness[name])) <= limit)
    assert witness["error_estimate"] < 2e-6


def test_the_witness_refutes_the_stated_error_of_kgmm_k3():
    """Even if the witness is off by all of its error, the file is off by more than it states."""
    content, witness = load("kgmm_k3"), load("kgmm_k3_witness")
    off = deviation(content, witness, "overlap")
    print(f"deviation of the file from the witness: {off}")
    assert off[-1] - witness["error_estimate"] > content["error_estimate"] + MARGIN
    assert abs(off[-1] - 1.416e-5) < 1e-8
    # everything else in the file is within its stated error
    assert (
        deviation(content, witness, "gram_perp").max()
        <= content["error_estimate"] + witness["error_estimate"]
    )


def problem(name):
    return witness_curve.Problem.of(load(name))


def flattened(name):
    data = curve(name)
    return np.concatenate([data[n].values.reshape(data.sizes["time"], -1) for n in NAMES], axis=1)


@pytest.mark.slow
def test_a_small_witness_agrees_and_tells_the_corrector_from_its_absence():
    """2,048 nodes on the correlated problem."""
    seed = int(fresh_rng().integers(2**32))
    task = problem("kgmm_k3_correlated")
    witness = witness_curve.brute_force(task, 2048, 8, seed)
    right = flattened("kgmm_k3_correlated")[1:]
    multiple = witness_curve.factor(8, right.size, confidence=1 - 1e-6)
    off = np.abs(witness.mean[1:] - right)
    assert np.all(off <= multiple * witness.standard_error[1:] + 1e-7)
    assert witness.standard_error.max() < 1e-3
    bare = witness_curve.Problem(**{**task.__dict__, "step": 1e-12})
    mutant = witness_curve.brute_force(bare, 2048, 8, seed)
    assert np.any(np.abs(mutant.mean[1:] - right) > multiple * mutant.standard_error[1:] + 1e-7)


@pytest.mark.slow
def test_the_witness_can_be_made_again():
    """Fresh scramblings, an eighth of the nodes: agrees with the stored file and with the curve."""
    seed = int(fresh_rng().integers(2**32))
    stored = load("kgmm_k3_witness")
    witness = witness_curve.brute_force(
        problem("kgmm_k3"), stored["nodes_per_component"] // 8, 16, seed
    )
    times = len(stored["time"])

    def table(suffix):
        return np.concatenate(
            [np.array(stored[n + suffix]).reshape(times, -1) for n in NAMES], axis=1
        )[1:]

    mean, error = table(""), table("_standard_error")
    multiple = witness_curve.factor(16, mean.size, confidence=1 - 1e-6)
    own = witness.standard_error[1:]
    assert np.all(np.abs(witness.mean[1:] - mean) <= multiple * np.hypot(own, error) + 1e-8)
    assert np.all(np.abs(witness.mean[1:] - flattened("kgmm_k3")[1:]) <= multiple * own + 1e-8)


@pytest.mark.slow
def test_the_deviation_of_kgmm_k3_is_a_typical_error_of_such_a_procedure():
    """One scrambling of plain mirrored points: the largest error over the curve, by number of
    nodes.

    Medians over 16 scramblings were 9.2e-5, 4.2e-5, 2.7e-5, 1.1e-5 for 2^13 .. 2^16 nodes; 1.4e-5
    is what 2^16 give. The seed is fixed: the test documents a size and has nothing to refute.
    """
    rng, right, medians = np.random.default_rng(5), flattened("kgmm_k3"), []
    sizes = 2 ** np.array([11, 13, 15])
    for nodes in sizes:
        witness = witness_curve.brute_force(
            problem("kgmm_k3"), int(nodes), 8, int(rng.integers(2**32)), rescaled=False
        )
        medians.append(np.median(np.abs(witness.curves - right).max(axis=(1, 2))))
    slope, intercept = np.polyfit(np.log(sizes), np.log(medians), 1)
    needed = np.exp((np.log(1.42e-5) - intercept) / slope)
    print(f"medians {medians}, slope {slope:.2f}, error 1.42e-5 at {needed:.3g} nodes")
    assert -1.6 < slope < -0.6
    assert 2**13 < needed < 2**19

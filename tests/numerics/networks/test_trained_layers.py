"""How far layers are off their spaces: against dense matrices, theory, and wrong spaces."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from helpers import fresh_rng
from scipy.stats import t

from numerics import alignment_breakdown, trained_layers
from numerics.alignment.layer_alignment import space_of_features
from numerics.networks.dense_network import DenseNetwork
from numerics.networks.layer_measures import MATRICES, measure_layers
from numerics.networks.train_network import Clusters, random_weights, train_network
from theory import Bands, InputError, kgmm, mlp, xor

CORNERS = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])
CLUSTERS = Clusters(CORNERS, np.array([1.0, 1, 0, 0]), np.full(4, 0.25), 10.0)


def test_measures_are_those_of_dense_matrices():
    """Blocks in all d coordinates, over samples of their own: means of batches, with errors."""
    rng, d, batches, many = fresh_rng(), 9, 10, 4_000
    network = DenseNetwork((4, 5), 1, "tanh", "logistic", biases=True)
    weights = random_weights(network, d, rng)
    means = np.pad(CORNERS, ((0, 0), (0, d - 2)))
    features = network.features(weights.first @ means.T, weights.readout)
    spaces = [space_of_features(h, CLUSTERS.weights) for h in (means, *(h.T for h in features))]
    rows = [weights.first, *network.weights(weights.readout)[1]]
    outside = [np.eye(s.basis.shape[1]) - s.basis.T @ s.basis for s in spaces]

    def dense() -> list[list[float]]:
        component = rng.integers(4, size=many)
        y = rng.standard_normal((d, many)) / np.sqrt(10)
        y[:2] += CORNERS[component].T
        labels = CLUSTERS.labels[component]
        layers = network.derivatives(labels, weights.first @ y, weights.readout, y)
        found = []
        for layer, rest in zip(layers.values(), outside[::-1], strict=True):  # the last one first
            for matrix in MATRICES:
                blocks = [layer.block(matrix, a) for a in range(len(layer.slope))]
                off = sum(np.linalg.norm(rest @ b, 2) for b in blocks)
                found.append(off / sum(np.linalg.norm(b, 2) for b in blocks))
        return found

    own = [measure_layers(network, CLUSTERS, weights, d, many, rng) for _ in range(batches)]
    for measured in own:
        off = [
            np.linalg.norm(v @ p) / np.linalg.norm(v) for v, p in zip(rows, outside, strict=True)
        ]
        assert np.allclose(measured["weights"], off, atol=1e-12)
        assert np.array_equal(measured["rank"], [s.rank for s in spaces])
    here = np.array([[m[k][j] for j in (2, 1, 0) for k in MATRICES] for m in own])
    there = np.array([dense() for _ in range(batches)])
    error = np.sqrt((here.var(0, ddof=1) + there.var(0, ddof=1)) / batches)
    # coordinates without means or weights add to the noise of the samples: 0.01 for layer 1
    bound = t.isf(1e-5 / 12, batches - 1) * error + 0.01
    assert np.all(np.abs(here.mean(0) - there.mean(0)) < bound)


@pytest.mark.slow
def test_a_trained_layer_is_in_its_own_space_and_in_no_other():
    rng = fresh_rng()
    network = DenseNetwork((6, 6, 6), 3, "tanh", "softmax")
    data = Clusters(np.eye(3), np.array([1.0, 2, 3]), np.full(3, 1 / 3), 1e3)
    start = random_weights(network, 30, rng)
    end = train_network(network, data, start, [30 * 600], ridge=0.005, step=1.0, generator=rng)[0]
    features = network.features(end.first[:, :3], end.readout)
    spaces = [space_of_features(h.T, data.weights) for h in features]
    rows = network.weights(end.readout)[1]
    off = np.array([[np.sqrt(1 - s.share(v)) for s in spaces] for v in rows])
    assert np.diag(off).max() < 0.25
    # units of two layers have nothing to do with each other: random rows have 0.7 to 0.9
    assert min(off[0, 1], off[0, 2], off[1, 0], off[1, 2], off[2, 0], off[2, 1]) > 0.25
    assert np.mean([off[0, 1], off[1, 2], off[2, 0]]) > 0.5


@pytest.mark.slow
def test_runs_follow_the_effective_dynamics():
    """From the same weights; what is left is 1/sqrt(d) of a run, and 1/d of the mean."""
    numbers = {
        "precision": 100.0, "ridge": 0.1, "time": [2.0, 8.0], "replicas": 32, "samples": 2_000,
        "seed": int(fresh_rng().integers(2**31)), "dimension": 400,
    }  # fmt: skip
    mixture = kgmm(2).mixture
    runs, curve = (
        trained_layers(mixture, [2, 2], method=m, **numbers).weights.values[0]
        for m in ("sgd", "effective")
    )

    def strain(found, predicted) -> float:
        difference = found - predicted
        count = len(difference)
        error = difference.std(axis=0, ddof=1) / np.sqrt(count)
        bound = t.isf(1e-5, count - 1) * error + 2 / 400
        return float((np.abs(difference.mean(axis=0)) / bound).max())

    assert strain(runs, curve) < 1
    # of another time
    assert strain(runs[:, 1], curve[:, 0]) > 1


def test_the_precision_of_a_breakdown():
    off = np.array([[0.9, 0.1, 0.9], [0.6, 0.1, 0.8], [0.15, 0.05, 0.7]])
    data = xr.DataArray(
        np.tile(off[:, None, None], (1, 3, 1, 1)), dims=("precision", "replica", "time", "layer")
    )
    study = xr.Dataset(
        {name: data for name in ("weights", "hessian", "gradient")},
        {"precision": [1.0, 10.0, 100.0], "layer": ["layer 1", "layer 2", "layer 3"]},
    )
    found = alignment_breakdown(study, epsilon=0.3)
    at = found.precision.sel(quantity="weights").values
    assert at[0] == pytest.approx(np.sqrt(1000))
    assert at[1] == 0
    assert np.isinf(at[2])
    # equal runs have no error
    assert np.allclose(found.low, found.high, rtol=1e-9)
    # of runs that are left out nothing is known
    at = alignment_breakdown(study.where(study.precision > 1), epsilon=0.3)
    assert np.array_equal(at.lowest, np.full((3, 3), 10.0))
    at = alignment_breakdown(study.where(study.precision > 10), epsilon=0.3)
    assert at.precision.sel(quantity="weights").values.tolist() == [0, 0, np.inf]
    with pytest.raises(InputError, match="found: got one precision"):
        alignment_breakdown(study.isel(precision=[0]))


@pytest.mark.slow
def test_runs_do_not_depend_on_workers_or_on_each_other():
    numbers = {"precision": [5, 50], "ridge": 0.1, "time": [0, 2], "dimension": 12, "samples": 200}
    mixture = xor(4).mixture
    one = trained_layers(mixture, [4], replicas=1, workers=1, **numbers)
    two = trained_layers(mixture, [4], replicas=2, workers=2, **numbers)
    assert one.weights.equals(two.weights.isel(replica=[0]))
    assert not np.array_equal(two.weights[:, 0], two.weights[:, 1])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"units": []}, "units: got"),
        ({"units": [3, 0]}, "units: got 0"),
        ({"units": "33"}, "units: got '33'"),
        ({"precision": -1}, "precision: got -1"),
        ({"ridge": -0.1}, "ridge: got -0.1"),
        ({"activation": "cosine"}, "activation: got 'cosine'"),
        ({"dimension": 5}, "dimension: got 5"),
        ({"replicas": 0}, "replicas: got 0"),
        ({"method": "exact"}, "method: got 'exact'"),
        ({"method": "effective", "units": [6]}, "units: got"),
        ({"method": "effective", "activation": "relu"}, "activation: got relu"),
        ({"mixture": kgmm(2)}, "mixture: got"),
        ({"ridge": 1e4, "time": [20.0]}, "step: got 1"),
    ],
)
def test_bad_input_is_named(changed, message):
    arguments = {
        "mixture": xor(4).mixture, "units": [4, 4], "precision": 10.0, "ridge": 0.01, "time": [1.0],
        "dimension": 20, "replicas": 1, "samples": 100,
    }  # fmt: skip
    with pytest.raises(InputError, match=message):
        trained_layers(**(arguments | changed))


def test_bands_are_left_to_the_generated_kernel():
    banded = kgmm(2, bands=Bands(fractions=[0.5, 0.5], scales=[[1, 2], [1, 2]])).mixture
    with pytest.raises(InputError, match="mixture: got bands"):
        trained_layers(banded, [2], precision=1.0, ridge=0.1, time=1.0, dimension=9, replicas=1)
    assert mlp(banded, [2], output="softmax").units == 2

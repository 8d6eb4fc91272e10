"""Effective spectra: closed forms, the population limit, the reference, data; and what mistakes in
them do.
"""

from __future__ import annotations

import json

import mpmath
import numpy as np
import pytest
import scipy.stats
from helpers import REFERENCE_FOLDER, fresh_rng
from wrong_resolvents import without_inverse_precision

from numerics import Parameters, State, effective_spectrum, empirical_spectrum, population_spectrum
from numerics.data.samples import draw_data
from numerics.expectations.quadrature import MISSED, sobol
from numerics.proportional.limiting_spectrum import solve_spectrum
from numerics.proportional.resolvent import Resolvent
from numerics.proportional.weight_nodes import WeightNodes
from theory import InputError, Loss, Mixture, Model, kgmm, symbols, xor

REFERENCE = json.loads((REFERENCE_FOLDER / "effective_softmax_k3.json").read_text())
PARAMETERS = Parameters(REFERENCE["p"], REFERENCE["precision"], 0.0, 1.0)
STATE = State(REFERENCE["overlap_orthonormal"], REFERENCE["gram_perp"])


def weighted(labels, spike=True, weights=None):
    """Loss y u^2 / 2: the weight D is the label; means on e, or none."""
    u = symbols.vector("u", 1)
    mixture = Mixture.build(
        weights=weights,
        labels=labels,
        coordinates=[[1 if spike else 0]] * len(labels),
        directions_gram=[[1]],
    )
    return Model.build(mixture, Loss(symbols.LABEL * u[0] ** 2 / 2, units=1))


def left_edge(found):
    return float(found.edges[0, 0])


def right_edge(found):
    return float(found.edges[-1, 1])


# --- closed forms ---------------------------------------------------------------------------------


@pytest.mark.parametrize("ratio", [0.25, 0.8, 1.5, 40.0])
@pytest.mark.parametrize("precision", [0.3, 4.0])
def test_marchenko_pastur_and_its_spike(ratio, precision):
    """D = 1: edges (1 +- 1/sqrt(phi))^2 / lambda; the mean is a spike 1 + lambda (Baik, Ben Arous,
    Peche).
    """
    found = effective_spectrum(
        weighted([1]), Parameters([1], precision, 0, 1), State([[0.3]], [[0.7]]), ratio
    )
    gamma = 1 / ratio
    right = (1 + np.sqrt(gamma)) ** 2 / precision
    assert right_edge(found) == pytest.approx(right, rel=1e-10)
    left = (1 - np.sqrt(gamma)) ** 2 / precision
    assert left_edge(found) == pytest.approx(left, rel=1e-10)
    assert found.sizes["interval"] == 1
    x = found.grid.values
    inside = np.maximum((right - x) * (x - left), 0)
    rho = np.sqrt(inside) * precision / (2 * np.pi * gamma * x)
    np.testing.assert_allclose(found.density, rho, rtol=0, atol=1e-10 * rho.max())
    assert found.attrs["mass_error"] < 1e-10
    assert found.attrs["atom"] == pytest.approx(max(0.0, 1 - ratio), abs=1e-8)
    assert found.attrs["edge_kind_right"] == "critical"
    spike = precision  # of the population covariance, beyond 1, in units of the noise
    if spike**2 > gamma:
        place = (1 + spike) * (1 + gamma / spike) / precision
        overlap = (1 - gamma / spike**2) / (1 + gamma / spike)
        assert found.sizes["eigen"] == 1
        assert float(found.outliers[0]) == pytest.approx(place, rel=1e-10)
        assert float(found.overlap[0]) == pytest.approx(overlap, rel=1e-9)
        assert float(found.direction_share[0]) == pytest.approx(overlap, rel=1e-9)
    else:
        assert found.sizes["eigen"] == 0
        assert 0 < found.attrs["missed_by"] < 1


@pytest.mark.parametrize("ratio", [0.5, 3.0])
def test_weights_that_vanish(ratio):
    """D in {0, 1}: Marchenko-Pastur with phi times the share of ones; zeros only thin it out."""
    share = 0.4
    found = effective_spectrum(
        weighted([0, 1], weights=["3/5", "2/5"]),
        Parameters([1 - share, share], 2.0, 0, 1, [[1.0]]),
        State([[0]], [[1]]),
        ratio,
    )
    right = share * (1 + 1 / np.sqrt(ratio * share)) ** 2 / 2.0
    assert right_edge(found) == pytest.approx(right, rel=1e-10)
    assert found.attrs["atom"] == pytest.approx(max(0.0, 1 - ratio * share), abs=1e-8)


@pytest.mark.parametrize("ratio", [2.0, 9.0])
def test_two_weights_against_high_precision(ratio):
    """Generalised Marchenko-Pastur with D = 1 or -3: edges are the extrema of z(S) nearest to S =
    0.
    """
    p, lam, ds = (0.7, 0.3), 1.5, (1, -3)
    found = effective_spectrum(
        weighted(list(ds), spike=False, weights=["7/10", "3/10"]),
        Parameters(list(p), lam, 0, 1, [[1.0]]),
        State([[0]], [[1]]),
        ratio,
    )

    def z(s):
        return (
            -1 / s
            + sum(q * d / (1 + s * d / (ratio * lam)) for q, d in zip(p, ds, strict=True)) / lam
        )

    with mpmath.workdps(30):
        for side, pole in ((1, -ratio * lam / 1), (-1, ratio * lam / 3)):
            grid = [pole * mpmath.mpf(i) / 400 for i in range(1, 400)]
            values = [side * z(s) for s in grid]
            start = grid[values.index(min(values))]
            s = mpmath.findroot(lambda s: mpmath.diff(z, s), start)
            assert (right_edge if side > 0 else left_edge)(found) == pytest.approx(
                float(z(s)), rel=1e-10
            )


# --- limits and the reference ---------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("matrix", ["hessian", "gradient"])
@pytest.mark.parametrize("block", [(0, 0), (0, 1), "first_layer"])
def test_many_samples_recover_the_population(matrix, block):
    if matrix == "gradient" and block == (0, 1):
        state = State(2 * STATE.overlap, STATE.gram_perp)
    else:
        state = STATE
    ratio = 1e7
    found = effective_spectrum(
        kgmm(3), PARAMETERS, state, ratio, matrix=matrix, block=block, regularized=False
    )
    exact = population_spectrum(
        kgmm(3), PARAMETERS, state, matrix=matrix, block=block, regularized=False
    )
    bulk = exact.bulk.values
    far = np.abs(exact.eigenvalue.values[:, None] - bulk).min(axis=1)
    beyond = (exact.eigenvalue.values > bulk.max() + 1e-3) | (
        exact.eigenvalue.values < bulk.min() - 1e-3
    )
    wanted = exact.eigenvalue.values[beyond & (far > 1e-3)]
    assert wanted.size
    nearest = [found.outliers.values[np.abs(found.outliers.values - w).argmin()] for w in wanted]
    np.testing.assert_allclose(nearest, wanted, rtol=1e-5, atol=1e-7)
    # edges at phi -> infinity: the bulk levels, off by 1/sqrt(phi)
    assert right_edge(found) == pytest.approx(bulk.max(), abs=3e-3 * np.abs(bulk).max() + 1e-6)


# relative errors of the reference that its own 2^12 Sobol nodes cause; it states about 5e-4
REFERENCE_ERROR = {"hessian": 7e-4, "gradient": 2.5e-3}


@pytest.mark.slow
@pytest.mark.parametrize("matrix", ["hessian", "gradient"])
def test_reference(matrix):
    """The reference, within the errors of its nodes: see the next test for how large they are."""
    expected = np.array(REFERENCE["effective_H" if matrix == "hessian" else "effective_G"])
    found = effective_spectrum(
        kgmm(3), PARAMETERS, STATE, REFERENCE["aspect"], matrix=matrix, regularized=False
    )
    # the second outlier of G lies in the thin tail of the limit: it is that of data, less sharp
    sharp = found.outlier_error if matrix == "hessian" else found.outlier_error[:1]
    assert float(sharp.max()) < 1e-6
    assert found.attrs["tail"] == (0 if matrix == "hessian" else 1e-3)
    relative = np.abs(found.outliers.values[: expected.size] / expected - 1)
    print(matrix, relative)
    assert relative.max() < REFERENCE_ERROR[matrix]
    assert np.sum(relative <= 5e-4) >= (3 if matrix == "hessian" else 0)
    data = REFERENCE["empirical_H" if matrix == "hessian" else "empirical_G"]
    mean, spread = (np.array(data[k])[: expected.size] for k in ("mean", "sd"))
    # three replicas: their spread is known to a factor; finite d moves outliers by some 1/d
    assert np.all(
        np.abs(found.outliers.values[: expected.size] - mean) < 4 * spread + 3 / data["d"] * mean
    )


@pytest.mark.slow
@pytest.mark.parametrize("matrix", ["hessian", "gradient"])
def test_nodes_of_the_reference_explain_its_deviation(matrix):
    """Scramblings of as many Sobol nodes scatter by more than half the deviation, around the tensor
    rule's value.
    """
    nodes = WeightNodes(kgmm(3), PARAMETERS, STATE, matrix, "first_layer")
    rule = sobol(nodes.dimension, 2**12, 8, int(fresh_rng().integers(2**31)))
    found = effective_spectrum(
        kgmm(3), PARAMETERS, STATE, REFERENCE["aspect"], matrix=matrix, regularized=False
    )
    expected = np.array(REFERENCE["effective_H" if matrix == "hessian" else "effective_G"])
    places = []
    for i in range(rule.replicates):
        run = solve_spectrum(Resolvent(nodes.law(rule, i), REFERENCE["aspect"]))
        places.append([o.place for o in run.outliers][: expected.size])
    places = np.array(places)
    spread = places.std(axis=0, ddof=1)
    z = np.abs(places.mean(axis=0) - found.outliers.values[: expected.size]) / (
        spread / np.sqrt(rule.replicates)
    )
    assert z.max() < 8  # Student with 7 degrees, at most 4 of them
    assert np.abs(expected - found.outliers.values[: expected.size]).max() < 8 * spread.max()


@pytest.mark.slow
def test_equal_outliers_have_orthogonal_eigenvectors():
    """Exchangeable classes: pairs of equal outliers, and the shares that breaking the symmetry by
    1e-7 gives.
    """
    parameters = Parameters([1 / 3] * 3, 10, 0, 1)
    shares = []
    for broken in (0.0, 1e-7):
        state = State(np.eye(3) - 1 / 3 + broken * np.diag([1, 2, 3]), 0.2 * np.eye(3))
        found = effective_spectrum(kgmm(3), parameters, state, 4.0, density=False)
        shares.append(found.leading_share.values)
        if not broken:
            assert found.multiplicity.values.tolist() == [2, 2, 1, 1, 2, 2]
    np.testing.assert_allclose(shares[0], shares[0].mean(), rtol=1e-9)
    np.testing.assert_allclose(shares[0], shares[1], rtol=1e-5)


# --- data -----------------------------------------------------------------------------------------


def data_z(found, model, parameters, state, block, dimension, replicas, ratio):
    """z of outliers and overlaps of fresh data against the theory, after what 1/d may do."""
    seeds = fresh_rng().integers(2**31, size=replicas)
    count = found.sizes["eigen"]
    places, overlaps = [], []
    for seed in seeds:
        data = empirical_spectrum(
            model,
            parameters,
            state,
            block=block,
            dimension=dimension,
            samples=int(ratio * dimension),
            seed=int(seed),
            regularized=False,
        )
        places.append(data.eigenvalue.values[:count])
        overlaps.append(data.mean_overlap.values[:count].sum(axis=-1))
    places, overlaps = np.array(places), np.array(overlaps)

    def z(samples, predicted):
        error = samples.std(axis=0, ddof=1) / np.sqrt(replicas)
        beyond = 10 / dimension * np.abs(predicted)
        return np.maximum(np.abs(samples.mean(axis=0) - predicted) - beyond, 0) / error

    return float(z(places, found.outliers.values).max()), float(
        z(overlaps, found.direction_share.values).max()
    )


CASE = (kgmm(3), PARAMETERS, STATE)


@pytest.mark.slow
def test_outliers_and_overlaps_of_data():
    """Block (1, 1) of the softmax Hessian at M / d = 4: number, places and shares in the span of
    the means.
    """
    found = effective_spectrum(*CASE, 4.0, block=(0, 0), regularized=False)
    assert found.near_critical.values.tolist() == [0, 0, 0]
    z = data_z(found, *CASE, (0, 0), 400, 24, 4.0)
    print(z)
    assert max(z) < 6


@pytest.mark.slow
@pytest.mark.parametrize(
    "wrong", ["phi and 1/phi exchanged", "1/lambda missing", "F' missing", "weights centred"]
)
def test_wrong_theories_are_refuted_by_data(wrong, monkeypatch):
    if wrong == "1/lambda missing":
        without_inverse_precision(monkeypatch)
    elif wrong == "F' missing":
        monkeypatch.setattr(Resolvent, "derivative", lambda self, s: 0 * s)
    elif wrong == "weights centred":
        plain = WeightNodes._weight

        def centred(self, derivatives):
            weight = plain(self, derivatives)
            return weight - weight.mean(axis=0)

        monkeypatch.setattr(WeightNodes, "_weight", centred)
    ratio = 0.25 if wrong.startswith("phi") else 4.0
    found = effective_spectrum(*CASE, ratio, block=(0, 0), regularized=False)
    if found.sizes["eigen"] != 3:
        return  # the number of outliers refutes it: data have three, see above
    assert max(data_z(found, *CASE, (0, 0), 400, 24, 4.0)) > 10


@pytest.mark.slow
def test_kinked_blocks():
    """XOR, block (1, 1): weights vanish for half of the data; G too; errors are intervals over
    scramblings.
    """
    parameters = Parameters([0.25] * 4, 20, 0.05, 1.0, np.eye(2))
    state = State(
        [[1, 0.1], [-1, 0.1], [0.1, 1], [0.0, -1]], 0.2 * np.eye(4) + 0.05, [0.8, 0.8, -0.8, -0.8]
    )
    found = effective_spectrum(xor(4), parameters, state, 4.0, matrix="gradient", block=(0, 0))
    exact = population_spectrum(xor(4), parameters, state, matrix="gradient", block=(0, 0))
    assert 1 <= found.sizes["eigen"] <= 2
    # resolved to a thousandth by an interval of 99 %; the one of the estimate is wider
    wider = scipy.stats.t.isf(MISSED / 2, 7) / scipy.stats.t.isf(0.01 / 2, 7)
    assert float(found.outlier_error.max()) < wider * 1e-3 * float(found.outliers[0])
    # finite M pushes outliers out of the bulk
    assert float(found.outliers[0]) > float(exact.eigenvalue[0])


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ratio", "options", "message"),
    [
        (0, {}, r"aspect_ratio: got 0.0; expected a finite number > 0"),
        (-1.0, {}, "aspect_ratio: got -1"),
        (4, {"block": (0, 3)}, "block: got"),
        (4, {"matrix": "kernel"}, "matrix: got 'kernel'"),
        (
            4,
            {"matrix": "gradient", "regularized": True},
            "regularized: got True; expected False for the gradient",
        ),
    ],
)
def test_bad_input(ratio, options, message):
    with pytest.raises(InputError, match=message):
        effective_spectrum(kgmm(3), PARAMETERS, STATE, ratio, **options)


TWO_LAYERS = Parameters([0.25] * 4, 20, 0.05, 1.0, np.eye(2))
LAYERS = State([[1, 0.1], [-0.9, 0.2], [0.1, 0.8]], 0.1 * np.eye(3) + 0.05, [0.8, 0.7, -0.9])


@pytest.mark.parametrize("matrix", ["hessian", "gradient"])
def test_readout_is_the_population_block(matrix):
    """Finitely many parameters: no bulk, and the law of large numbers."""
    found = effective_spectrum(xor(3), TWO_LAYERS, LAYERS, 4.0, block="readout", matrix=matrix)
    exact = population_spectrum(xor(3), TWO_LAYERS, LAYERS, block="readout", matrix=matrix)
    assert found.sizes["interval"] == 0
    assert found.overlap.values == pytest.approx(1)
    difference = np.abs(found.outliers.values - exact.eigenvalue.values)
    assert np.all(difference < 2 * found.outlier_error.values + exact.attrs["error_estimate"])


@pytest.mark.slow
@pytest.mark.parametrize("matrix", ["hessian", "gradient"])
def test_mixed_and_whole_matrix_against_data(matrix):
    """Singular values of the mixed block and eigenvalues of everything, beside dense matrices of
    fresh data.
    """
    ratio, dimension, replicas = 4.0, 300, 16
    model, c = xor(3), 3
    seen: dict[str, list[np.ndarray]] = {"mixed": [], "all": []}
    found = {
        block: effective_spectrum(
            model,
            TWO_LAYERS,
            LAYERS,
            ratio,
            block=block,
            matrix=matrix,
            regularized=False,
            density=False,
        )
        for block in seen
    }
    for seed in fresh_rng().integers(2**31, size=replicas):
        data = draw_data(model, TWO_LAYERS, LAYERS, dimension, int(ratio * dimension), int(seed))
        k = data.derivatives(matrix)
        k = k[:, None] * k[None] if matrix == "gradient" else k
        mixed = np.einsum("aqm,md->adq", k[:c, c:], data.features).reshape(c * dimension, -1) / len(
            data.features
        )
        y = data.features
        rows = [[(y.T * k[a, b]) @ y / len(y) for b in range(c)] for a in range(c)]
        first = np.block(rows)
        whole = np.block([[first, mixed], [mixed.T, k[c:, c:].mean(axis=-1)]])
        seen["mixed"].append(np.linalg.svd(mixed, compute_uv=False))
        seen["all"].append(np.linalg.eigvalsh(whole)[::-1])
    for block, values in seen.items():
        expected = found[block].outliers.values[found[block].side.values == 1]
        assert expected.size >= 3
        samples = np.array(values)[:, : expected.size]
        error = samples.std(axis=0, ddof=1) / np.sqrt(replicas)
        z = (
            np.maximum(np.abs(samples.mean(axis=0) - expected) - 10 / dimension * expected, 0)
            / error
        )
        print(block, matrix, z)
        assert z.max() < 6


@pytest.mark.slow
def test_dataset_round_trip(tmp_path):
    found = effective_spectrum(kgmm(3), PARAMETERS, STATE, 4.0, block=(0, 0))
    path = tmp_path / "e.nc"
    found.to_netcdf(path, engine="h5netcdf")
    assert found.attrs["aspect_ratio"] == 4.0
    shifted = effective_spectrum(
        kgmm(3), Parameters(REFERENCE["p"], 10, 0.25, 1.0), STATE, 4.0, block=(0, 0)
    )
    np.testing.assert_allclose(shifted.outliers, found.outliers + 0.25, rtol=1e-9)

"""Empirical Hessian and G: against hand-written sums over samples, dense eigh, and the population
formulas.
"""

from __future__ import annotations

from functools import lru_cache

import mpmath
import numpy as np
import pytest
import sympy as sp
import xarray as xr
from helpers import fresh_rng, two_layer_model
from witness import raw_softmax, raw_two_layer

from numerics import (
    Parameters,
    State,
    empirical_operator,
    empirical_projection,
    empirical_spectrum,
    population_block,
    realise_weights,
    user_data,
)
from numerics.data.samples import draw_data
from numerics.spectra.iterations.eigenpairs import Search, leading_eigenpairs
from numerics.spectra.operators import SecondMoment
from theory import InputError, Loss, Mixture, Model, kgmm, symbols

FAMILY_ERROR = 1e-6  # probability that one correct test fails, over all of its comparisons together
SEED = 20240501


@lru_cache(maxsize=None)
def softmax(k):
    return kgmm(k)


@lru_cache(maxsize=None)
def two_layer():
    return two_layer_model()


def case(model, precision=2.0):
    """Correlated directions, unequal weights, x partly outside the directions."""
    r, c = model.directions, model.units
    gamma = np.array([[1.0, 0.3, -0.2], [0.3, 1.2, 0.4], [-0.2, 0.4, 0.9]])[:r, :r]
    weights = np.array([0.4, 0.3, 0.1, 0.2])[: model.components]
    overlap = np.array([[0.8, -0.4, 0.3], [-0.5, 0.9, -0.2], [0.1, -0.3, 0.7]])[:c, :r]
    half = np.array([[0.7, 0.0, 0.0], [0.3, 0.6, 0.0], [-0.2, 0.25, 0.65]])[:c, :c]
    parameters = Parameters(weights / weights.sum(), precision, 0.3, 1.0, gamma)
    return parameters, State(overlap, half @ half.T, np.array([1.3, -0.8])[: model.readout_size])


def threshold(comparisons):
    """Two-sided normal critical value at FAMILY_ERROR, Bonferroni."""
    return float(mpmath.sqrt(2) * mpmath.erfinv(1 - mpmath.mpf(FAMILY_ERROR) / comparisons))


def by_hand(model, raw, data, matrix, regularized):
    """The dense first-layer matrix and the readout block as sums over samples, with derivatives by
    hand.
    """
    u = data.features @ data.weights.T
    # labels of the models here identify what the derivative by hand needs: the component
    component = data.component
    sample = raw(component, u, data.state.readout)
    c, d = data.weights.shape
    beta = data.parameters.ridge if regularized else 0.0
    total = np.zeros((c * d, c * d))
    if matrix == "hessian":
        for h, y in zip(sample.hessian, data.features, strict=True):
            total += np.kron(h, np.outer(y, y))
        q = sample.readout_hessian.shape[1]
        return total / len(u) + beta * np.eye(c * d), sample.readout_hessian.mean(
            0
        ) + beta * np.eye(q)
    for g, y in zip(sample.g, data.features, strict=True):
        gradient = np.kron(g, y) + beta * data.weights.ravel()
        total += np.outer(gradient, gradient)
    second = sample.readout + beta * data.state.readout
    return total / len(u), second.T @ second / len(u)


class Drawn:
    """The samples a call with the same seed sees, and their components (drawn first, by
    definition).
    """

    def __init__(self, model, parameters, state, dimension, samples, seed):
        data = draw_data(model, parameters, state, dimension, samples, seed)
        self.model, self.parameters, self.state = model, data.parameters, data.state
        self.features, self.weights = data.features, data.weights
        generator = np.random.default_rng(seed)
        self.component = generator.choice(model.components, size=samples, p=parameters.weights)
        assert np.array_equal(data.labels, np.array(model.mixture.labels, float)[self.component])


# --- against sums over samples --------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("regularized", [True, False])
@pytest.mark.parametrize("matrix", ["hessian", "gradient"])
@pytest.mark.parametrize("name", ["softmax", "twolayer"])
def test_eigenpairs_are_those_of_the_sum_over_samples(name, matrix, regularized):
    model, raw = (softmax(3), raw_softmax) if name == "softmax" else (two_layer(), raw_two_layer)
    parameters, state = case(model)
    drawn = Drawn(model, parameters, state, 8, 60, SEED)
    dense, readout = by_hand(model, raw, drawn, matrix, regularized)
    call: dict = {
        "dimension": 8,
        "samples": 60,
        "seed": SEED,
        "matrix": matrix,
        "regularized": regularized,
    }
    blocks: list = [("full", dense), ((0, 0), dense[:8, :8])]
    if not (matrix == "gradient" and regularized):
        blocks.append(((1, 0), dense[8:16, :8]))
    for block, part in blocks:
        found = empirical_spectrum(model, parameters, state, block=block, count=len(part), **call)
        check_spectrum(found, part, drawn, block)
    if model.readout_size:
        found = empirical_spectrum(model, parameters, state, block="readout", **call)
        assert np.allclose(found.eigenvalue, np.linalg.eigvalsh(readout)[::-1], atol=1e-12)
        assert found.eigenvector.dims == ("eigen", "parameter")


def check_spectrum(found, part, drawn, block):
    """Everything in the Dataset, recomputed from the dense matrix."""
    size, d, r = len(part), drawn.features.shape[1], drawn.parameters.directions_gram.shape[0]
    assert np.abs(found.eigenvalue.values - np.linalg.eigvalsh(part)[::-1]).max() < 1e-12
    vectors = found.eigenvector.values.reshape(size, -1)
    assert np.abs(part @ vectors.T - vectors.T * found.eigenvalue.values).max() < 1e-12
    assert found.residual.values.max() < 1e-12
    e, _ = realise_weights(drawn.model, drawn.parameters, drawn.state, d)
    q = np.linalg.qr(e.T)[0]
    rows = vectors.reshape(size, -1, d)
    assert np.allclose(found.share_of_directions, np.sum((rows @ q) ** 2, axis=(1, 2)), atol=1e-12)
    cosine = (rows @ e.T) ** 2 / np.sum(e**2, axis=1)
    expected = found.mean_overlap.values.reshape(cosine.shape)
    assert np.allclose(expected, cosine, atol=1e-12)
    projector = np.kron(np.eye(size // d), np.eye(d) - q @ q.T)
    assert (
        abs(float(found.misfit) - np.linalg.norm(projector @ part, 2) / np.linalg.norm(part, 2))
        < 1e-12
    )
    if isinstance(block, tuple):
        x, top = drawn.weights, vectors[:r]
        assert np.allclose(
            found.unit_share, np.sum((x @ top.T) ** 2, axis=1) / np.sum(x**2, axis=1), atol=1e-12
        )
        sines = np.linalg.svd(top.T - q @ (q.T @ top.T), compute_uv=False)
        assert np.allclose(np.sin(found.principal_angle.values), sines, atol=1e-12)
    else:
        assert np.allclose(found.row_weight.sum("unit"), 1, atol=1e-12)
        assert np.allclose(
            found.row_share_of_directions.sum("unit"), found.share_of_directions, atol=1e-12
        )


def relu_case():
    """l = (max(u, 0) - y)^2 / 2 on two opposite clusters."""
    u = symbols.vector("u", 1)
    loss = Loss((sp.Max(u[0], 0) - symbols.LABEL) ** 2 / 2, units=1, kinks=(u[0],))
    mixture = Mixture.build(labels=[0, 1], coordinates=[[1], [-1]], directions_gram=[[1]])
    return (
        Model.build(mixture, loss),
        Parameters([0.5, 0.5], 1.0, 0.2, 1.0, [[1.0]]),
        State([[0.3]], [[1.0]]),
    )


def test_a_kinked_loss_uses_the_almost_everywhere_derivative():
    """H = 1{u > 0} at every sample; the kink carries no mass."""
    model, parameters, state = relu_case()
    data = draw_data(model, parameters, state, 5, 400, SEED)
    active = (data.features @ data.weights[0]) > 0
    expected = (data.features * active[:, None]).T @ data.features / 400
    call: dict = {"dimension": 5, "samples": 400, "seed": SEED, "block": (0, 0), "count": 5}
    found = empirical_spectrum(model, parameters, state, **call)
    expected = expected + parameters.ridge * np.eye(5)
    assert 100 < active.sum() < 300
    assert np.allclose(found.eigenvalue, np.linalg.eigvalsh(expected)[::-1], atol=1e-12)


# --- operators and iteration ----------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 3])
def test_operator_equals_its_definition(k):
    rng = fresh_rng()
    samples, d = 30, 6
    y, half = rng.standard_normal((samples, d)), rng.standard_normal((samples, k, k))
    weight = half + half.transpose(0, 2, 1)
    n, x = rng.standard_normal((2, k * d))
    operator = SecondMoment(y, weight, shift=0.7, ridge=0.4, mean_gradient=n, parameters=x)
    dense = sum(np.kron(w, np.outer(v, v)) for w, v in zip(weight, y, strict=True)) / samples
    dense = (
        dense
        + 0.7 * np.eye(k * d)
        + 0.4 * (np.outer(n, x) + np.outer(x, n))
        + 0.16 * np.outer(x, x)
    )
    v = rng.standard_normal((k * d, 4))
    assert np.allclose(operator.dense(), dense, atol=1e-12)
    assert np.allclose(operator @ v, dense @ v, atol=1e-11)
    assert np.allclose(operator @ v[:, 0], dense @ v[:, 0], atol=1e-11)
    assert np.allclose(operator.H @ v, operator @ v, atol=1e-11)


@pytest.mark.parametrize("matrix", ["hessian", "gradient"])
@pytest.mark.parametrize("block", [(1, 1), "first_layer"])
def test_lanczos_finds_what_dense_eigh_finds(matrix, block):
    model = softmax(3)
    parameters, state = case(model, precision=10.0)
    call: dict = {
        "dimension": 50,
        "samples": 500,
        "seed": SEED,
        "matrix": matrix,
        "block": block,
        "count": 4,
    }
    dense, lanczos = (
        empirical_spectrum(model, parameters, state, method=m, **call) for m in ("dense", "lanczos")
    )
    assert "Lanczos" in lanczos.attrs["method"]
    assert dense.attrs["method"] == "dense eigh"
    # Rayleigh quotients are good to the square of the residual over the gap
    assert np.abs(dense.eigenvalue - lanczos.eigenvalue).max() < 1e-9
    assert lanczos.residual.max() < 1e-8
    left, right = (e.eigenvector.values.reshape(4, -1) for e in (dense, lanczos))
    overlaps = np.linalg.svd(left @ right.T, compute_uv=False)
    assert overlaps.min() > 1 - 1e-8
    for name in ("share_of_directions", "misfit"):
        assert np.abs(dense[name] - lanczos[name]).max() < 1e-6


def test_the_size_chooses_the_method():
    operator = SecondMoment(np.eye(3), np.ones((3, 1, 1)))
    assert leading_eigenpairs(operator, 2).method == "dense eigh"
    with pytest.raises(InputError, match="count: got 4; expected at most 3"):
        leading_eigenpairs(operator, 4)
    with pytest.raises(InputError, match="count: got 3; expected less than 3"):
        leading_eigenpairs(operator, 3, search=Search("lanczos"))
    with pytest.raises(InputError, match="weight: got shape"):
        SecondMoment(np.eye(3), np.ones((2, 1, 1)))


# --- against the population -----------------------------------------------------------------------


def z_scores(model, parameters, state, data, population):
    """|empirical - population| / standard error of every distinct entry, and how many there are."""
    c, rank = model.units, population.basis.rank
    predicted = population.matrix.reshape(c, rank, c, rank).transpose(0, 2, 1, 3)
    assert np.allclose(data.basis.values, population.basis.coefficients, rtol=0, atol=0)
    z = np.abs(data.matrix.values - predicted) / (data.matrix_error.values + 1e-12)
    bulk = np.abs(data.bulk.values - population.bulk) / (data.bulk_error.values + 1e-12)
    return max(z.max(), bulk.max()), z.size + bulk.size


CASES = [
    (2, "hessian", True),
    (2, "gradient", False),
    pytest.param(2, "gradient", True, marks=pytest.mark.slow),
    pytest.param(3, "hessian", False, marks=pytest.mark.slow),
    pytest.param(3, "gradient", False, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("k", "matrix", "regularized"), CASES)
def test_population_formula_passes_an_entrywise_test(k, matrix, regularized):
    model = softmax(k)
    parameters, state = case(model)
    seed = int(fresh_rng().integers(2**63))
    call: dict = {"matrix": matrix, "regularized": regularized}
    data = empirical_projection(
        model, parameters, state, dimension=k * 2 + 3, samples=200_000, seed=seed, **call
    )
    right = population_block(model, parameters, state, **call)
    largest, count = z_scores(model, parameters, state, data, right)
    assert largest < threshold(count)
    # the same data refute a precision that is 10 % off
    other = Parameters(
        parameters.weights, 1.1 * parameters.precision, 0.3, 1.0, parameters.directions_gram
    )
    wrong, _ = z_scores(
        model, parameters, state, data, population_block(model, other, state, **call)
    )
    assert wrong > 2 * threshold(count)


def test_gradient_matrix_of_a_kinked_loss():
    """The projection route and quasi-Monte Carlo against data; their error bounds add."""
    model, parameters, state = relu_case()
    call: dict = {"matrix": "gradient", "regularized": True}
    seed = int(fresh_rng().integers(2**63))
    data = empirical_projection(
        model, parameters, state, dimension=4, samples=200_000, seed=seed, **call
    )
    small = population_block(model, parameters, state, **call)
    difference = np.abs(data.matrix.values[0, 0] - small.matrix)
    assert np.all(
        difference <= threshold(4) * data.matrix_error.values[0, 0] + 3 * small.matrix_error
    )
    assert small.matrix_error.max() < 0.05 * np.abs(small.matrix).max()


def test_projection_is_the_projected_sum_over_samples():
    """In one chunk the mean is that of the spectrum's matrix; the standard error is that of the
    sample.
    """
    model = softmax(2)
    parameters, state = case(model)
    for matrix in ("hessian", "gradient"):
        drawn = Drawn(model, parameters, state, 7, 50, SEED)
        dense, _ = by_hand(model, raw_softmax, drawn, matrix, True)
        found = empirical_projection(
            model,
            parameters,
            state,
            dimension=7,
            samples=50,
            seed=SEED,
            matrix=matrix,
            regularized=True,
        )
        blocks = dense.reshape(2, 7, 2, 7).transpose(0, 2, 1, 3)
        assert np.allclose(found.matrix, blocks[:, :, :4, :4], atol=1e-12)
        trace = np.trace(blocks[:, :, 4:, 4:], axis1=2, axis2=3) / 3
        assert np.allclose(found.bulk, trace, atol=1e-12)
    sample = raw_softmax(drawn.component, drawn.features @ drawn.weights.T, np.zeros(0))
    entry = (sample.g[:, 0] * drawn.features[:, 1] + 0.3 * drawn.weights[0, 1]) * (
        sample.g[:, 1] * drawn.features[:, 2] + 0.3 * drawn.weights[1, 2]
    )
    assert found.matrix_error.values[0, 1, 1, 2] == pytest.approx(
        entry.std(ddof=1) / np.sqrt(50), rel=1e-10
    )


def test_projection_in_chunks_is_the_same_estimator(monkeypatch):
    model = softmax(2)
    parameters, state = case(model)
    call: dict = {"dimension": 6, "samples": 4000, "seed": SEED}
    whole = empirical_projection(model, parameters, state, **call)
    monkeypatch.setattr("numerics.spectra.empirical_projection.CHUNK_ENTRIES", 30_000)
    chunked = empirical_projection(model, parameters, state, **call)
    z = np.abs(whole.matrix - chunked.matrix) / np.sqrt(
        whole.matrix_error**2 + chunked.matrix_error**2
    )
    assert float(z.max()) < threshold(z.size)
    assert np.allclose(whole.matrix_error, chunked.matrix_error, rtol=0.5)


def test_no_bulk_where_there_is_no_room_for_it():
    model = softmax(2)
    parameters, state = case(model)
    found = empirical_projection(model, parameters, state, dimension=4, samples=100, seed=1)
    assert "bulk" not in found


# --- reproducibility, own weights, round trip, errors ---------------------------------------------


def test_a_seed_is_a_result():
    model = softmax(2)
    parameters, state = case(model)
    call: dict = {"dimension": 10, "samples": 200, "block": (0, 0)}
    first, again, other = (
        empirical_spectrum(model, parameters, state, seed=s, **call) for s in (1, 1, 2)
    )
    xr.testing.assert_identical(first, again)
    assert not np.array_equal(first.eigenvalue, other.eigenvalue)
    child = empirical_spectrum(model, parameters, state, seed=np.random.SeedSequence(1), **call)
    assert np.array_equal(first.eigenvalue, child.eigenvalue)


def test_given_weights_are_used():
    model = softmax(2)
    parameters, state = case(model)
    _, x = realise_weights(model, parameters, state, 10)
    call: dict = {"dimension": 10, "samples": 200, "seed": 3, "block": (0, 0), "count": 10}
    default = empirical_spectrum(model, parameters, state, **call)
    xr.testing.assert_identical(
        default, empirical_spectrum(model, parameters, state, weights=x, **call)
    )
    moved = x.copy()
    moved[:, 2:] = x[:, 2:][
        :, ::-1
    ]  # another position off the directions: same statistics, other sample
    other = empirical_spectrum(model, parameters, state, weights=moved, **call)
    assert np.abs(other.eigenvalue - default.eigenvalue).max() > 1e-6


@pytest.mark.parametrize("block", [(0, 1), "full"])
def test_dataset_survives_netcdf(tmp_path, block):
    model = softmax(2)
    parameters, state = case(model)
    found = empirical_spectrum(
        model, parameters, state, dimension=10, samples=50, seed=1, block=block
    )
    found.to_netcdf(tmp_path / "spectrum.nc")
    xr.testing.assert_identical(found, xr.load_dataset(tmp_path / "spectrum.nc"))
    found = empirical_projection(model, parameters, state, dimension=10, samples=50, seed=1)
    found.to_netcdf(tmp_path / "projection.nc")
    xr.testing.assert_identical(found, xr.load_dataset(tmp_path / "projection.nc"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dimension": 3}, "dimension: got 3; expected an integer >= 4"),
        ({"dimension": 7.5}, "dimension: got 7.5"),
        ({"samples": 0}, "samples: got 0; expected an integer >= 1"),
        ({"block": (2, 0)}, r"block: got \(2, 0\)"),
        ({"block": "all"}, "block: got 'all'"),
        ({"block": "readout"}, "no readout parameters"),
        (
            {"block": (0, 1), "matrix": "gradient", "regularized": True},
            "expected a symmetric block",
        ),
        ({"matrix": "G"}, "matrix: got 'G'"),
        ({"count": 0}, "count: got 0"),
        ({"count": 11}, "count: got 11; expected at most 10"),
        ({"method": "power"}, "method: got 'power'"),
        ({"weights": np.zeros((2, 9))}, r"weights: got shape \(2, 9\)"),
        ({"weights": np.zeros((2, 10))}, "weights: got overlap off by"),
        ({"state": State(np.zeros((3, 2)), np.eye(3))}, "state.overlap"),
    ],
)
def test_bad_input_is_named(change, message):
    model = softmax(2)
    parameters, state = case(model)
    call: dict = {
        "dimension": 10,
        "samples": 20,
        "seed": 1,
        "block": (0, 0),
        "state": state,
    } | change
    with pytest.raises(InputError, match=message):
        empirical_spectrum(model, parameters, call.pop("state"), **call)


def test_a_projection_needs_two_samples():
    parameters, state = case(softmax(2))
    with pytest.raises(InputError, match="samples: got 1; expected an integer >= 2"):
        empirical_projection(softmax(2), parameters, state, dimension=6, samples=1, seed=0)


@pytest.mark.parametrize("method", ["dense", "krylov", "lanczos"])
def test_the_smallest_eigenvalues_are_those_of_the_dense_matrix(method):
    """The logistic loss minus a multiple of its square has eigenvalues of both signs."""
    u, y = symbols.vector("u", 2), symbols.LABEL
    loss = Loss(u[0] ** 3 / 6 - u[0] * u[1] + u[1] ** 2 * y, units=2)
    mixture = Mixture.build(labels=[1, -1], coordinates=[[1], [-1]], directions_gram=[[1]])
    rng = fresh_rng()
    data = user_data(
        Model.build(mixture, loss),
        rng.normal(size=(120, 9)),
        rng.choice([1, -1], size=120),
        rng.normal(size=(2, 9)),
        ridge=0.1,
    )
    dense = empirical_operator(data) @ np.eye(18)
    values, vectors = np.linalg.eigh(dense)
    found = empirical_spectrum(data, which="smallest", count=3, method=method)
    np.testing.assert_allclose(found.eigenvalue, values[2::-1], atol=1e-8)
    assert values[0] < 0
    share = np.abs(found.eigenvector.values.reshape(3, -1)[-1] @ vectors[:, 0])
    assert share == pytest.approx(1, abs=1e-6)
    assert empirical_spectrum(data, which="smallest", method=method).sizes["eigen"] == 2
    with pytest.raises(InputError, match="which"):
        empirical_spectrum(data, which="lowest")
    with pytest.raises(InputError, match="which"):
        empirical_spectrum(data, which="smallest", beyond=0.0)

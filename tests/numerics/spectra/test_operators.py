"""Operators of empirical matrices against differences of a hand-written gradient, and against each
other.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pytest
from helpers import fresh_rng, two_layer_model
from witness import raw_softmax, raw_two_layer

from numerics import empirical_operator, empirical_spectrum, user_data
from numerics.core.geometry import labels_of
from numerics.spectra.empirical_parts import block_operator, mixed_block
from numerics.spectra.null_space import null_space
from numerics.spectra.operators import SecondMoment
from theory import kgmm, xor

BETA = 0.3
EPS = np.finfo(float).eps


@lru_cache(maxsize=None)
def system(name):
    return (kgmm(3), raw_softmax) if name == "softmax" else (two_layer_model(), raw_two_layer)


def own_samples(name, rng, samples=40, d=5, dtype=float):
    """Features that follow no mixture, labels and weights of all kinds, and the components behind
    the labels.
    """
    model, raw = system(name)
    component = rng.integers(model.components, size=samples)
    features = rng.standard_normal((samples, d)).astype(dtype)
    data = user_data(
        model,
        features,
        labels_of(model)[component],
        rng.standard_normal((model.units, d)),
        readout=rng.standard_normal(model.readout_size),
        ridge=BETA,
    )
    return data, raw, component


def mean_gradient(data, raw, component, theta):
    """Gradient of the mean loss with ridge at theta = (x, v), with derivatives by hand."""
    split = data.weights.size
    x, v = theta[:split].reshape(data.weights.shape), theta[split:]
    sample = raw(component, data.features @ x.T, v)
    parts = [np.einsum("na,nd->ad", sample.g, data.features).ravel() / data.samples]
    if v.size:
        parts.append(sample.readout.mean(axis=0))
    return np.concatenate(parts) + data.ridge * theta


def by_differences(data, raw, component):
    """Hessian of the mean loss by central differences of its gradient, and a bound of the error."""
    theta = np.concatenate([data.weights.ravel(), data.readout])
    step = 1e-4
    columns = []
    for i in range(theta.size):
        pair = []
        for h in (step, 2 * step):
            shift = np.zeros(theta.size)
            shift[i] = h
            up, down = (mean_gradient(data, raw, component, theta + s) for s in (shift, -shift))
            pair.append((up - down) / (2 * h))
        columns.append(pair)
    fine, coarse = (np.array([c[j] for c in columns]).T for j in (0, 1))
    # Richardson: three times the error of the fine one is the difference; rounding of the gradient
    # over the step
    bound = np.abs(fine - coarse).max() + 100 * EPS * np.abs(theta).max() / step
    return fine, bound


def sums_of_gradients(data, raw, component, beta):
    sample = raw(component, data.features @ data.weights.T, data.readout)
    rows = (
        np.einsum("na,nd->nad", sample.g, data.features).reshape(data.samples, -1)
        + beta * data.weights.ravel()
    )
    if data.readout.size:
        rows = np.concatenate([rows, sample.readout + beta * data.readout], axis=1)
    return rows.T @ rows / data.samples


def formed(operator):
    return operator @ np.eye(operator.shape[1])


def parts_of(whole, data):
    """Every part of a dense (C d + q) matrix by its name."""
    c, d = data.weights.shape
    n = c * d
    found = {
        (a, b): whole[a * d : (a + 1) * d, b * d : (b + 1) * d] for a in range(c) for b in range(c)
    }
    found |= {"first_layer": whole[:n, :n]}
    if data.readout.size:
        found |= {"mixed": whole[:n, n:], "readout": whole[n:, n:], "all": whole}
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["softmax", "twolayer"])
def test_hessian_is_the_derivative_of_the_gradient(name):
    data, raw, component = own_samples(name, fresh_rng())
    numeric, bound = by_differences(data, raw, component)
    assert bound < 1e-6
    for block, part in parts_of(numeric, data).items():
        operator = empirical_operator(data, block=block)
        assert np.abs(formed(operator) - part).max() <= bound
        # mutants: a lost 1/M, the ridge left out, an index transposed
        assert np.abs(data.samples * formed(operator) - part).max() > 100 * bound
        if block in ("first_layer", "all", "readout", (0, 0)):
            bare = formed(empirical_operator(data, block=block, regularized=False))
            assert np.abs(bare - part).max() > 100 * bound
    c, d = data.weights.shape
    whole = formed(empirical_operator(data))
    swapped = whole.reshape(c, d, c, d).transpose(1, 0, 3, 2).reshape(c * d, c * d)
    assert np.abs(swapped - numeric[: c * d, : c * d]).max() > 100 * bound


@pytest.mark.parametrize("regularized", [False, True])
@pytest.mark.parametrize("name", ["softmax", "twolayer"])
def test_gradient_matrix_is_the_sum_of_products_of_gradients(name, regularized):
    data, raw, component = own_samples(name, fresh_rng())
    expected = sums_of_gradients(data, raw, component, BETA if regularized else 0.0)
    scale = np.abs(expected).max()
    for block, part in parts_of(expected, data).items():
        if regularized and isinstance(block, tuple) and block[0] != block[1]:
            continue
        operator = empirical_operator(data, matrix="gradient", block=block, regularized=regularized)
        # sums of M products of d terms in another order
        assert np.abs(formed(operator) - part).max() <= 100 * EPS * data.samples * scale
        other = (
            empirical_operator(data, matrix="gradient", block=block, regularized=not regularized)
            if not isinstance(block, tuple) or block[0] == block[1]
            else None
        )
        assert other is None or np.abs(formed(other) - part).max() > 1e-6 * scale


@pytest.mark.parametrize("matrix", ["hessian", "gradient"])
def test_symmetric_products_columns_and_adjoint(matrix):
    rng = fresh_rng()
    data, _, _ = own_samples("twolayer", rng, samples=333, d=37)
    for block in ("first_layer", "all", (1, 1)):
        operator = empirical_operator(data, matrix=matrix, block=block)
        v = rng.standard_normal((operator.shape[0], 5))
        whole = operator @ v
        tolerance = 1000 * EPS * np.abs(whole).max()
        assert np.abs(operator.matvec(v[:, 2]) - whole[:, 2]).max() <= tolerance
        assert np.abs(operator.H @ v - whole).max() <= tolerance
        assert np.abs(v.T @ whole - (v.T @ whole).T).max() <= 1e3 * tolerance
        assert np.abs(operator.dense() @ v - whole).max() <= 10 * tolerance


# --- where the data are ---------------------------------------------------------------------------


def placed(data, where, path):
    """The same samples resident, mapped, or in chunks of unequal size."""
    if where == "resident":
        return data
    options = {"readout": data.readout, "ridge": data.ridge}
    if where == "fortran":
        return user_data(
            data.model, np.asfortranarray(data.features), data.labels, data.weights, **options
        )
    if where == "mapped":
        np.save(path, data.features)
        return user_data(data.model, path, data.labels, data.weights, **options)
    ends = [0, 7, 8, 100, data.samples]

    def chunks():
        for start, end in pairwise(ends):
            yield data.features[start:end], data.labels[start:end]

    return user_data(data.model, chunks, None, data.weights, **options)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("where", ["mapped", "streamed", "fortran"])
def test_data_elsewhere_give_the_same_products(where, dtype, tmp_path, monkeypatch):
    monkeypatch.setattr("numerics.data.sources.BLOCK_NUMBERS", 1000)  # several blocks
    rng = fresh_rng()
    data, _, _ = own_samples("twolayer", rng, samples=260, d=23, dtype=dtype)
    other = placed(data, where, tmp_path / "features.npy")
    exact = replace(
        data,
        source=user_data(
            data.model,
            data.features.astype(float),
            data.labels,
            data.weights,
            readout=data.readout,
            ridge=BETA,
        ).source,
    )
    assert other.source.dtype == dtype
    for matrix in ("hessian", "gradient"):
        for block in ("first_layer", "all", (0, 0)):
            operators = [
                empirical_operator(each, matrix=matrix, block=block)
                for each in (exact, data, other)
            ]
            v = rng.standard_normal((operators[0].shape[0], 4))
            reference = operators[0] @ v
            for operator in operators[1:]:
                # double precision sums of the same numbers in another order, float32 data or not
                assert (
                    np.abs(operator @ v - reference).max()
                    <= 50 * EPS * 260 * np.abs(reference).max()
                )
                assert np.abs(operator.dense() - operators[0].dense()).max() <= 50 * EPS * 260


@pytest.mark.slow
def test_single_precision_products_are_worth_their_name():
    rng = fresh_rng()
    data, _, _ = own_samples("softmax", rng, samples=4000, d=60, dtype=np.float32)
    operator = block_operator(data, "hessian", "first_layer", False)
    rows = np.linalg.qr(rng.standard_normal((180, 4)))[0].T
    exact, single = operator.rows_product(rows), operator.rows_product(rows, single=True)
    norm = np.linalg.norm(operator.dense(), 2)
    error = np.linalg.norm(single - exact, axis=1).max()
    # random errors of sums over 4000 / 8 rows in float32, generously; and it is single precision
    assert 1e-10 * norm < error < 4e-6 * norm


def test_results_do_not_depend_on_threads(monkeypatch):
    import numerics.data.one_pass as passes

    data, _, _ = own_samples("softmax", fresh_rng(), samples=1000, d=20)
    v = np.ones((60, 3))
    monkeypatch.setattr(passes, "FEW", 0)  # else nothing so small is divided among threads
    many = empirical_operator(data) @ v
    monkeypatch.setattr(passes, "_over_parts", lambda run, parts, _: [run(part) for part in parts])
    np.testing.assert_array_equal(many, empirical_operator(data) @ v)


def test_one_pass_reads_the_data_once():
    calls = []
    data, _, _ = own_samples("softmax", fresh_rng(), samples=60, d=6)

    def chunks():
        calls.append(1)
        yield data.features, data.labels

    streamed = user_data(data.model, chunks, None, data.weights, ridge=0.0)
    operator = empirical_operator(streamed)
    before = len(calls)
    _ = operator @ np.ones((18, 7))
    assert len(calls) == before + 1
    assert operator.passes == 1


# --- the null space -------------------------------------------------------------------------------


@pytest.mark.parametrize(("samples", "d"), [(100, 6), (5, 6), (9, 6)])
@pytest.mark.parametrize("matrix", ["hessian", "gradient"])
def test_rank_of_the_softmax_matrices(samples, d, matrix):
    """Rows of the weights sum to zero: rank at most (k - 1) min(d, M) of the Hessian, M of G."""
    data, _, _ = own_samples("softmax", fresh_rng(), samples=samples, d=d)
    operator = block_operator(data, matrix, "first_layer", False)
    known = null_space(operator)
    values = np.abs(np.linalg.eigvalsh(operator.dense()))
    assert known.rank == np.sum(values > 1e-10 * values.max())
    assert (
        np.abs(known.kernel.sum(axis=1) ** 2 - 3).max() < 1e-10
    )  # one vector, (1, 1, 1) / sqrt(3)
    assert known.mass == pytest.approx(1 - known.rank / (3 * d))


def test_rank_of_confident_samples():
    """Weights of order exp(-|y|) are differences of numbers near one: their rounding errors are no
    rank.
    """
    data, _, _ = own_samples("softmax", fresh_rng(), samples=500, d=1000)
    sure = user_data(data.model, data.features, data.labels, 0.08 * data.weights, ridge=0.0)
    assert null_space(block_operator(sure, "hessian", "first_layer", False)).rank == 1000


@pytest.mark.parametrize("samples", [4, 11, 30, 200])
def test_rank_where_units_are_inactive(samples):
    """ReLU: a unit that is active on few samples has that rank, whatever the others have."""
    rng = fresh_rng()
    model, d = xor(3), 10
    features = rng.standard_normal((samples, d))
    x = rng.standard_normal((3, d))
    features[:, 0], x[0] = np.abs(features[:, 0]), np.eye(d)[0]  # always active
    x[1] = -np.eye(d)[0]  # never
    labels = rng.integers(2, size=samples).astype(float)
    data = user_data(model, features, labels, x, readout=[1.0, -0.7, 0.4], ridge=0.0)
    for matrix in ("hessian", "gradient"):
        for block in ("first_layer", (0, 0), (1, 1), (2, 2)):
            operator = block_operator(data, matrix, block, False)
            values = np.abs(np.linalg.eigvalsh(operator.dense()))
            assert null_space(operator).rank == np.sum(values > 1e-10 * max(values.max(), 1e-300))


def test_more_eigenpairs_than_the_rank_are_refused():
    data, _, _ = own_samples("softmax", fresh_rng(), samples=5, d=6)
    with pytest.raises(
        ValueError, match="count: got 11; expected at most 10, the rank of the matrix of 5 samples"
    ):
        empirical_spectrum(data, count=11)
    assert empirical_spectrum(data, count=10).converged.all()
    whole = empirical_spectrum(data, count=18)  # all of them, zeros included
    assert np.allclose(whole.eigenvalue[10:], BETA, atol=1e-12)


def test_mixed_block_is_that_of_the_whole_matrix():
    data, _, _ = own_samples("twolayer", fresh_rng())
    for matrix in ("hessian", "gradient"):
        whole = formed(empirical_operator(data, matrix=matrix, block="all", regularized=True))
        n = data.weights.size
        assert np.allclose(mixed_block(data, matrix, True), whole[:n, n:], atol=1e-13)


def test_a_weight_of_another_shape_is_refused():
    for weight in (np.ones((2, 1, 1)), np.ones((3, 2, 1)), np.ones((2, 3))):
        with pytest.raises(ValueError, match="weight: got shape"):
            SecondMoment(np.eye(3), weight)

"""Population spectra in the span of directions and weights against explicit d x d and Cd x Cd
matrices.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
import xarray as xr
from helpers import fresh_rng, two_layer_model
from hypothesis import given, settings
from hypothesis import strategies as st

from numerics import (
    Parameters,
    State,
    compile_expressions,
    population_block,
    population_misalignment,
    population_spectrum,
    realise_weights,
)
from numerics.core.geometry import span_basis
from numerics.core.weights import state_of_weights
from theory import InputError, derive_gradient_matrix, derive_hessian, kgmm, symbols, xor
from verify import Domain, strategies

D = 9
DOMAIN = Domain(precision=(1, 5), ridge=(0.1, 0.5))
# sums of tens of terms; coefficients, overlaps and Gram entries below are of order 1 to 10
ROUNDING = 1e-11


@lru_cache(maxsize=None)
def softmax(k):
    return kgmm(k)


@lru_cache(maxsize=None)
def two_layer():
    return two_layer_model()


@lru_cache(maxsize=None)
def two_relu_layers():
    return xor(3)


def placed(model, rank=None):
    """Parameters and a state with R_perp of the given rank (any when omitted), and a rotation of
    R^d to see them in.
    """
    problem = strategies.problems(model, DOMAIN, singular=True)
    if rank is not None:
        size = model.units
        perp = strategies.gram_matrices(size, scale=DOMAIN.perpendicular, rank=rank)
        problem = st.tuples(problem, perp).map(
            lambda drawn: (drawn[0][0], State(drawn[0][1].overlap, drawn[1], drawn[0][1].readout))
        )
    return st.tuples(problem, strategies.frames(D, D)).map(lambda drawn: (*drawn[0], drawn[1]))


def explicit(model, parameters, state, turn, matrix, regularized):
    """The dense (Cd + q) x (Cd + q) matrix from the derived coefficients, in a rotated position of
    R^d.
    """
    directions, x = realise_weights(model, parameters, state, D)
    v = turn @ np.vstack([directions, x]).T
    c, q = model.units, model.readout_size

    pairs = [(a, b) for a in range(c) for b in range(c)]
    flat = expressions(model, matrix, regularized)
    values = compile_expressions(model, flat).estimate(parameters, state).values
    width = v.shape[1]
    first, rest = np.split(values, [len(pairs) * (width**2 + 1)])
    full = np.zeros((c * D + q, c * D + q))
    for (a, b), numbers in zip(pairs, first.reshape(len(pairs), -1), strict=True):
        small = numbers[:-1].reshape(width, width)
        full[a * D : (a + 1) * D, b * D : (b + 1) * D] = v @ small @ v.T + numbers[-1] * np.eye(D)
    if q:
        mixed = rest[: c * q * width].reshape(c, q, width)
        for a in range(c):
            full[a * D : (a + 1) * D, c * D :] = v @ mixed[a].T
        full[c * D :, : c * D] = full[: c * D, c * D :].T
        full[c * D :, c * D :] = rest[c * q * width :].reshape(q, q)
    return full, v


@lru_cache(maxsize=None)
def expressions(model, matrix, regularized):
    derive = derive_hessian if matrix == "hessian" else derive_gradient_matrix
    blocks = derive(model, regularized=regularized)
    listed = []
    for a in range(model.units):
        for b in range(model.units):
            listed += [*blocks.block(a, b).coefficients, blocks.block(a, b).bulk]
    listed += [*(blocks.mixed if model.readout_size else ()), *blocks.readout]
    return tuple(listed)


def whole_spectrum(data):
    """All eigenvalues, largest first, from the Dataset."""
    parts = [data.eigenvalue.values]
    if "bulk" in data:
        parts.append(np.repeat(data.bulk.values, data.bulk_multiplicity.values))
    return np.sort(np.concatenate(parts))[::-1]


# --- the basis ------------------------------------------------------------------------------------


@pytest.mark.slow
@given(strategies.problems(softmax(3), singular=True))
def test_basis_is_orthonormal_and_reproduces_the_gram_matrix(problem):
    parameters, state = problem
    basis = span_basis(parameters, state)
    gram = np.block(
        [
            [parameters.directions_gram, state.overlap.T],
            [state.overlap, state.gram(parameters.directions_gram)],
        ]
    )
    assert np.abs(basis.coordinates @ basis.coordinates.T - gram).max() < ROUNDING
    # lengths of the parts orthogonal to the directions divide: the smallest kept one bounds the
    # conditioning
    shortest = np.linalg.norm(basis.coordinates[3:, 3:], axis=0).min(initial=1.0)
    unit = basis.coefficients @ gram @ basis.coefficients.T
    assert np.abs(unit - np.eye(basis.rank)).max() < ROUNDING / shortest**2
    assert basis.rank == 3 + np.linalg.matrix_rank(state.gram_perp, tol=1e-10)


@pytest.mark.slow
@given(strategies.problems(softmax(3), singular=True))
def test_weights_realise_the_state(problem):
    parameters, state = problem
    directions, x = realise_weights(softmax(3), parameters, state, 8)
    assert np.abs(directions @ directions.T - parameters.directions_gram).max() < ROUNDING
    assert np.abs(x @ directions.T - state.overlap).max() < ROUNDING
    assert np.abs(x @ x.T - state.gram(parameters.directions_gram)).max() < ROUNDING
    back = state_of_weights(softmax(3), parameters, x)
    assert np.abs(back.flatten() - State(state.overlap, state.gram_perp).flatten()).max() < ROUNDING


def test_tiny_perpendicular_parts_are_kept():
    parameters = Parameters([0.5, 0.5], 1.0, 0.1, 1.0)
    basis = span_basis(parameters, State(np.eye(2), np.diag([1e-12, 4e-12])))
    assert basis.rank == 4
    assert np.allclose(
        basis.coordinates[2:, 2:] ** 2, [[1e-12, 0], [0, 4e-12]], rtol=1e-12, atol=1e-30
    )


@pytest.mark.parametrize("units", [2, 3, 4])
def test_the_basis_does_not_depend_on_how_eigenvectors_are_picked(units):
    """Equal eigenvalues of R_perp: rounding decides which eigenvectors a library returns, and
    nothing else.
    """
    rng = fresh_rng()
    parameters = Parameters([0.5, 0.5], 1.0, 0.1, 1.0)
    overlap = rng.normal(size=(units, 2))
    bent = np.eye(units) + 1e-13 * (lambda a: a + a.T)(rng.normal(size=(units, units)))
    plain, moved = (span_basis(parameters, State(overlap, perp)) for perp in (np.eye(units), bent))
    assert np.abs(plain.coordinates - moved.coordinates).max() < ROUNDING
    assert np.abs(plain.coefficients - moved.coefficients).max() < ROUNDING
    assert np.abs(np.triu(plain.weights[:, 2:], 1)).max() < ROUNDING


# --- spectra against dense matrices ---------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("matrix", "regularized"),
    [
        ("hessian", True),
        ("hessian", False),
        ("gradient", False),
        pytest.param("gradient", True, marks=pytest.mark.slow),
    ],
)
@settings(max_examples=10)
@given(case=placed(softmax(2)))
def test_spectrum_equals_that_of_the_dense_matrix(matrix, regularized, case):
    check_against_dense(softmax(2), matrix, regularized, *case)


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1, 3])
@pytest.mark.parametrize("matrix", ["hessian", "gradient"])
@settings(max_examples=3)
@given(data=st.data())
def test_three_classes_against_the_dense_matrix(matrix, rank, data):
    check_against_dense(softmax(3), matrix, False, *data.draw(placed(softmax(3), rank)))


@pytest.mark.slow
@pytest.mark.parametrize("matrix", ["hessian", pytest.param("gradient", marks=pytest.mark.slow)])
@settings(max_examples=3)
@given(case=placed(two_layer()))
def test_matrix_with_readout_against_the_dense_one(matrix, case):
    check_against_dense(two_layer(), matrix, True, *case)


def check_against_dense(model, matrix, regularized, parameters, state, turn):
    dense, v = explicit(model, parameters, state, turn, matrix, regularized)
    scale = np.linalg.norm(dense, 2)
    c, q = model.units, model.readout_size
    call: dict = {"matrix": matrix, "regularized": regularized, "dimension": D}
    parts: list = [("first_layer", dense[: c * D, : c * D])]
    parts += [((a, a), dense[a * D : (a + 1) * D, a * D : (a + 1) * D]) for a in range(c)]
    if not (matrix == "gradient" and regularized):
        parts.append(((1, 0), dense[D : 2 * D, :D]))
    if q:
        parts += [("all", dense), ("readout", dense[c * D :, c * D :])]
    for block, part in parts:
        found = population_spectrum(model, parameters, state, block=block, **call)
        assert found.attrs["matrix"] == matrix
        assert np.abs(whole_spectrum(found) - np.linalg.eigvalsh(part)[::-1]).max() < ROUNDING * (
            1 + scale
        )
        check_eigenvectors(found, part, v, block, c, ROUNDING * (1 + scale))


def check_eigenvectors(found, part, v, block, c, bound):
    """Eigenvectors placed in R^d solve the dense eigenproblem; derived shares are those of the
    placed vectors.
    """
    if "basis" not in found:
        vectors = found.eigenvector_readout.values
        assert np.abs(part @ vectors.T - vectors.T * found.eigenvalue.values).max() < bound
        return
    frame = v @ found.basis.values.T
    r = found.sizes["direction"]
    # the coefficients of the basis grow with the inverse of the shortest perpendicular part
    slack = bound * (1 + np.abs(found.basis.values).max() ** 2)
    assert np.abs(frame.T @ frame - np.eye(frame.shape[1])).max() < slack
    inner = (
        found.eigenvector.values
        if found.eigenvector.ndim == 3
        else found.eigenvector.values[:, None]
    )
    placed = (inner @ frame.T).reshape(len(inner), -1)
    if block == "all":
        placed = np.hstack([placed, found.eigenvector_readout.values])
    assert np.abs(part @ placed.T - placed.T * found.eigenvalue.values).max() < slack
    directions = v[:, :r]
    q = np.linalg.qr(directions)[0]
    rows = inner @ frame.T
    share = np.sum((rows @ q) ** 2, axis=(1, 2))
    assert np.abs(found.share_of_directions.values - share).max() < slack
    cosine = (rows @ directions) ** 2 / np.sum(directions**2, axis=0)
    expected = found.mean_overlap.values
    assert np.abs(expected - (cosine if expected.ndim == 3 else cosine[:, 0])).max() < slack
    if block not in ("all", "readout"):
        projector = np.kron(np.eye(part.shape[0] // D), np.eye(D) - q @ q.T)
        size = np.linalg.norm(part, 2)
        # a zero matrix lies everywhere; of a small one the share is known to rounding over its size
        assert size == float(found.misfit) == 0 or (
            abs(float(found.misfit) - np.linalg.norm(projector @ part, 2) / size)
            < slack * (1 + 1 / size)
        )
    if isinstance(block, tuple) and found.attrs["top_separated"]:
        check_top_space(found, part, v, q, slack)


def check_top_space(found, part, v, q, bound):
    r = q.shape[1]
    vectors = np.linalg.eigh(part)[1][:, ::-1][:, :r]
    x = v[:, r:]
    gap = found.attrs["top_gap"]
    length = np.sum(x**2, axis=0)
    inside = np.sum((vectors.T @ x) ** 2, axis=0)
    share = np.divide(
        inside, length, out=np.ones_like(inside), where=length > 0
    )  # zero vectors lie everywhere
    turn = 10 * bound * (1 + 1 / gap)
    assert np.abs(found.unit_share.values - share).max() < turn
    sines = np.sin(found.principal_angle.values)
    expected = np.linalg.svd(vectors - q @ (q.T @ vectors), compute_uv=False)
    assert np.abs(sines - expected).max() < turn + 1e-8


@settings(max_examples=20)
@given(strategies.problems(softmax(2)))
def test_misalignment_is_the_dataset_value_and_does_not_need_the_dimension(problem):
    parameters, state = problem
    found = population_spectrum(softmax(2), parameters, state, block=(0, 0))
    assert population_misalignment(softmax(2), parameters, state, block=(0, 0)) == float(
        found.misfit
    )
    assert "bulk_multiplicity" not in found
    assert found.attrs["bulk_multiplicity"] == "d - 4 for each of 1 bulk eigenvalue(s)"


# --- closed forms and limits ----------------------------------------------------------------------


def test_flat_softmax_has_the_spectrum_of_the_second_moment():
    """At x = 0, pi = 1/3: block (a, a) is (2/9) E[Y Y^T], G_aa = E[(1/3 - 1{a=y})^2 Y Y^T]."""
    zero = State(np.zeros((3, 3)), np.zeros((3, 3)))
    parameters = Parameters([0.5, 0.3, 0.2], 4.0, 0.5, 1.0)
    found = population_spectrum(softmax(3), parameters, zero, block=(0, 0), dimension=20)
    assert np.allclose(
        found.eigenvalue, 2 / 9 * (np.array([0.5, 0.3, 0.2]) + 0.25) + 0.5, atol=1e-12
    )
    assert np.allclose(found.bulk, 2 / 36 + 0.5, atol=1e-12)
    assert found.bulk_multiplicity.values.tolist() == [17]
    assert found.attrs["top_separated"] == 1
    assert np.allclose(found.unit_share, 1)  # zero vectors lie in every subspace
    g = population_spectrum(softmax(3), parameters, zero, matrix="gradient", block=(0, 0))
    bulk = (0.5 * 4 / 9 + 0.5 / 9) / 4
    assert np.allclose(g.bulk, bulk, atol=1e-12)
    assert np.allclose(
        np.sort(g.eigenvalue), np.sort([0.5 * 4 / 9, 0.3 / 9, 0.2 / 9]) + bulk, atol=1e-12
    )


def test_noiseless_fixed_point_has_one_leading_mean_and_equal_others():
    """mathematics.md section 5: orthonormal means, k = 3, lambda = infinity: the (c, c) block leads
    with mu_c.
    """
    c, gap = 0, 1.5
    overlap = gap * (np.eye(3) - 1 / 3)
    parameters = Parameters([1 / 3] * 3, 1e10, 0.1, 1.0)
    state = State(overlap, np.zeros((3, 3)))
    found = population_spectrum(softmax(3), parameters, state, block=(c, c), regularized=False)
    p, other = np.exp(gap) / (np.exp(gap) + 2), 1 / (np.exp(gap) + 2)
    expected = np.array([p * (1 - p), other * (1 - other), other * (1 - other)]) / 3
    assert np.allclose(found.eigenvalue, expected, atol=1e-8)
    assert found.mean_overlap.values[0, c] == pytest.approx(1, abs=1e-6)
    assert found.attrs["top_separated"] == 1
    assert np.abs(found.principal_angle.values).max() < 1e-6


def test_a_bulk_above_an_outlier_is_flagged():
    """With H_12 = -pi_1 pi_2 < 0 the bulk lies above every outlier: no leading eigenspace in the
    span.
    """
    state = State(np.eye(2), 0.5 * np.eye(2))
    parameters = Parameters([0.5, 0.5], 3.0, 0.1, 1.0)
    found = population_spectrum(softmax(2), parameters, state, block=(0, 1))
    assert found.attrs["top_separated"] == 0
    assert found.attrs["top_gap"] < 1e-12  # the direction x^1 + x^2 sees the bulk alone
    assert found.attrs["top_eigenspace_error"] == 1.0


@settings(max_examples=10)
@given(strategies.problems(softmax(2)))
def test_reported_error_covers_the_true_one(problem):
    parameters, state = problem
    coarse, fine = (
        population_spectrum(
            softmax(2), parameters, state, matrix="gradient", block=(0, 0), tolerance=t
        )
        for t in (1e-2, 1e-12)
    )
    bound = coarse.eigenvalue_error.values + fine.eigenvalue_error.values
    assert np.all(np.abs(coarse.eigenvalue - fine.eigenvalue).values <= bound)
    assert fine.attrs["error_estimate"] <= coarse.attrs["error_estimate"]


@settings(max_examples=20)
@given(strategies.problems(softmax(2), singular=True))
def test_rows_of_the_softmax_hessian_sum_to_the_ridge(problem):
    """Gauge: sum_a H_ab = 0, so (1, 1) tensor anything is an eigenvector of the full matrix at
    beta.
    """
    parameters, state = problem
    small = population_block(softmax(2), parameters, state)
    rank = small.basis.rank
    expected = parameters.ridge * np.tile(np.eye(rank), 2)
    assert np.allclose(small.matrix[:rank] + small.matrix[rank:], expected, atol=1e-9)


# --- other expressions, round trip, errors --------------------------------------------------------

GENERIC = (
    Parameters([0.4, 0.6], 3.0, 0.2, 1.0, [[1.0, 0.3], [0.3, 0.8]]),
    State([[0.7, -0.4], [-0.5, 0.9]], [[0.6, 0.2], [0.2, 0.4]]),
)


def test_given_blocks_replace_the_derived_ones():
    parameters, state = GENERIC
    right = derive_hessian(softmax(2))
    no_second_order = right.map(lambda e: e.subs(symbols.PRECISION, 2 * symbols.PRECISION))
    call: dict = {"block": (0, 0)}
    same = population_spectrum(softmax(2), parameters, state, blocks=right, **call)
    wrong = population_spectrum(softmax(2), parameters, state, blocks=no_second_order, **call)
    xr.testing.assert_identical(same, population_spectrum(softmax(2), parameters, state, **call))
    assert abs(wrong.bulk.values[0] - same.bulk.values[0]) > 1e-3


@pytest.mark.parametrize("block", [(0, 0), "full"])
def test_dataset_survives_netcdf(tmp_path, block):
    parameters, state = GENERIC
    found = population_spectrum(softmax(2), parameters, state, block=block, dimension=12)
    found.to_netcdf(tmp_path / "spectrum.nc")
    xr.testing.assert_identical(found, xr.load_dataset(tmp_path / "spectrum.nc"))
    assert found.attrs["block"] == ("(0, 0)" if block != "full" else "first_layer")


GOOD = Parameters([0.5, 0.5], 1.0, 0.1, 1.0)
ORIGIN = State(np.zeros((2, 2)), np.eye(2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"block": (0, 2)}, r"block: got \(0, 2\); expected a pair of units in 0..1"),
        ({"block": (0,)}, "block: got"),
        ({"block": (0, 1.0)}, "block: got"),
        ({"block": (True, 0)}, "block: got"),
        ({"block": "second"}, "block: got 'second'.*first_layer"),
        ({"block": "readout"}, "block: got 'readout'.*no readout parameters"),
        ({"block": 3}, "block: got 3"),
        ({"matrix": "kernel"}, "matrix: got 'kernel'; expected one of"),
        (
            {"matrix": "gradient", "regularized": True, "block": (0, 1)},
            "expected a symmetric block",
        ),
        ({"dimension": 3}, "dimension: got 3; expected an integer >= 4"),
        ({"dimension": 10.0}, "dimension: got 10.0"),
        ({"tolerance": 0.0}, "tolerance: got 0.0"),
        ({"blocks": derive_gradient_matrix(kgmm(2))}, "blocks: got a gradient matrix"),
        ({"blocks": derive_hessian(kgmm(2)), "regularized": False}, "regularized: got False"),
        ({"state": State(np.zeros((3, 2)), np.eye(3))}, "state.overlap: got shape"),
        ({"parameters": Parameters([0.2, 0.3, 0.5], 1, 0, 1)}, "weights: got 3 entries"),
    ],
)
def test_bad_input_is_named(change, message):
    call: dict = {"parameters": GOOD, "state": ORIGIN, "block": (0, 0)} | change
    with pytest.raises(InputError, match=message):
        population_spectrum(softmax(2), call.pop("parameters"), call.pop("state"), **call)


def test_a_state_that_is_not_psd_is_refused():
    with pytest.raises(InputError, match="positive semidefinite"):
        State(np.zeros((2, 2)), [[1.0, 2.0], [2.0, 1.0]])


@pytest.mark.slow
def test_errors_by_randomised_rules_cover_shares_angles_and_misalignment():
    """Against a tighter run; Student's intervals are missed once in 1e4, four of them never."""
    rng = fresh_rng()
    model, parameters = two_relu_layers(), Parameters([0.25] * 4, 20.0, 0.05, 1.0, np.eye(2))
    state = State(np.eye(3, 2) + 0.2 * rng.normal(size=(3, 2)), 0.1 * np.eye(3), rng.normal(size=3))
    coarse, fine = (
        population_spectrum(model, parameters, state, block=(0, 0), tolerance=tolerance)
        for tolerance in (1e-3, 3e-5)
    )
    for name in ("unit_share", "principal_angle"):
        error = coarse[f"{name}_error"] + fine[f"{name}_error"]
        assert (np.abs(coarse[name] - fine[name]) <= 4 * error).all()
    bound = coarse.attrs["top_eigenspace_error"]
    assert (coarse.unit_share_error <= min(1.0, 2 * bound)).all()
    coarse, fine = (
        population_block(model, parameters, state, block=(0, 0), tolerance=tolerance)
        for tolerance in (1e-3, 3e-5)
    )
    error = coarse.misalignment_error + fine.misalignment_error
    assert abs(coarse.misalignment - fine.misalignment) <= 4 * error
    assert coarse.samples is not None

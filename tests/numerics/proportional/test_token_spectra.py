"""Effective spectra of samples of several tokens: against dense matrices of growing dimension, and
against single features where a loss of tokens is one of them.
"""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from dense_token_spectra import dense_matrix, overlaps, separated_case
from growing_dimensions import limits
from helpers import fresh_rng
from law_cases import threshold

from numerics import Problem, State, effective_spectrum
from theory import InputError, Loss, Mixture, Model, Softplus, symbols

RATIO = 3.0
# an outlier farther from the edge than this share of it: nearer ones bend in 1 / d
FAR = 0.4
Y = symbols.LABEL


def spectrum(problem, state, **options):
    options = {"density": False, "regularized": False} | options
    return effective_spectrum(problem, state, options.pop("ratio", RATIO), **options)


def seen_outliers(case, found, kind, units, sizes, rng):
    """Outliers and overlaps for d -> infinity, with standard errors: straight lines in 1 / d."""
    right, left = (int((found.side.values == side).sum()) for side in (1, -1))
    means, errors = [], []
    for d, runs in sizes:
        rows = []
        for _ in range(runs):
            matrix = dense_matrix(case, kind, units, d, round(RATIO * d), rng)
            values, vectors = np.linalg.eigh(matrix)
            places = [*range(len(values) - 1, len(values) - 1 - right, -1), *range(left)[::-1]]
            shares = overlaps(case, units, vectors[:, places], d)
            rows.append(np.concatenate([values[places], shares]))
        means.append(np.mean(rows, axis=0))
        errors.append(np.std(rows, axis=0) / np.sqrt(runs))
    return limits([d for d, _ in sizes], means, errors)


def agrees(found, seen, far):
    exact = np.concatenate([found.outliers.values, found.overlap.values])
    errors = np.concatenate([found.outlier_error.values, found.overlap_error.values])
    close = np.abs(seen[0] - exact) <= threshold(4 * exact.size) * seen[1] + errors
    print(exact, *seen, far)
    return bool(close[far].all())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("patches", "hessian"),
        ("three units", "hessian"),
        ("attention", "hessian"),
        ("attention", "gradient"),
        ("contrastive", "hessian"),
        ("contrastive", "gradient"),
    ],
)
def test_outliers_of_tokens_are_those_of_growing_dimensions(name, kind):
    case, rng = separated_case(name), fresh_rng()
    found = spectrum(Problem(case.model), case.state, matrix=kind)
    units = list(range(case.model.units))
    seen = seen_outliers(case, found, kind, units, [(60, 400), (120, 120), (240, 30)], rng)
    far = np.tile(found.edge_distance.values > FAR, 2)
    assert far.any()
    assert agrees(found, seen, far)
    other = separated_case(name, lost=True)
    wrong = spectrum(Problem(other.model), case.state, matrix=kind)
    assert len(wrong.outliers) != len(found.outliers) or not agrees(wrong, seen, far)


def twin_problems(loss_of_tokens, loss_of_one, means, single, precision, rng, readout=0):
    """A model of two tokens and one of single features, with the same random directions."""
    r = len(means[0][0])
    factor = rng.uniform(-1, 1, (r, r)) / 2
    gram = (factor @ factor.T + np.eye(r)).tolist()
    weights = rng.uniform(1, 2, len(means))
    weights = weights / weights.sum()
    several = Mixture.build(labels=[1, 0], tokens=means, directions_gram=gram)
    one = Mixture.build(labels=single[0], coordinates=single[1], directions_gram=gram)
    numbers = {"ridge": 0.0, "step": 1.0}
    state = State(
        rng.uniform(-1, 1, (loss_of_one.units, r)),
        0.3 * np.eye(loss_of_one.units),
        rng.uniform(0.5, 1.0, readout),
    )
    left = Problem(
        Model.build(several, loss_of_tokens), weights=weights, precision=precision[0], **numbers
    )
    share = np.repeat(weights / 2, 2) if len(single[0]) > 2 else weights
    right = Problem(Model.build(one, loss_of_one), weights=share, precision=precision[1], **numbers)
    return left, right, state


MEANS = [[[1, 0], ["1/2", -1]], [[-1, 1], [0, 1]]]


# of an interval that holds one number in 19 of 20 cases, of eight scramblings: all numbers together
WIDER = 5.0


def alike(found, other, factor):
    """Whether two spectra are the same, places ``factor`` times those of the other."""

    def close(left, right, errors):
        return np.all(np.abs(left - right) <= WIDER * (sum(errors) + 1e-6))

    edges = found.edges.values, factor * other.edges.values
    assert close(*edges, (found.edge_error.values, factor * other.edge_error.values))
    for side in (1, -1):
        pair = [each.isel(eigen=each.side.values == side) for each in (found, other)]
        pair = [each.isel(eigen=slice(None, None, side)) for each in pair]  # outermost first
        count = min(each.sizes["eigen"] for each in pair)
        for (
            each
        ) in pair:  # one that only just leaves the bulk does so with one rule and not another
            assert np.all(each.near_critical.values[count:] == 1)
        a, b = (each.isel(eigen=slice(count)) for each in pair)
        errors = a.outlier_error.values, factor * b.outlier_error.values
        assert close(a.outliers.values, factor * b.outliers.values, errors)
        errors = a.overlap_error.values, b.overlap_error.values
        assert close(a.overlap.values, b.overlap.values, errors)
        # and a change of the matrix turns vectors towards those of outliers nearby
        gaps = np.abs(np.subtract.outer(a.outliers.values, found.outliers.values))
        gaps = np.where(gaps > 0, gaps, np.inf).min(axis=1, initial=np.inf)
        errors = [(error + 2 * a.outlier_error.values / gaps)[:, None] for error in errors]
        assert close(a.weight_share.values, b.weight_share.values, errors)


@pytest.mark.parametrize("matrix", ["hessian", "gradient"])
def test_a_loss_of_the_sum_of_tokens_sees_one_feature_of_more_noise(matrix):
    """D is a number times 1 1^T: the sum of two tokens has the sum of their means, and noise of
    twice the variance.
    """
    rng = fresh_rng()
    (u,), (w,) = symbols.tokens("u", 1, 2), symbols.vector("u", 1)

    def logistic(s):
        return Softplus(s) - Y * s

    sums = [
        [sum(sp.Rational(x) for x in column) for column in zip(*rows, strict=True)]
        for rows in MEANS
    ]
    left, right, state = twin_problems(
        Loss(logistic(u[0] + u[1]), units=1, tokens=2), Loss(logistic(w), units=1),
        MEANS, ([1, 0], sums), (3.0, 1.5), rng,
    )  # fmt: skip
    alike(*(spectrum(p, state, matrix=matrix, tail=0) for p in (left, right)), 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("block", ["first_layer", (1, 1), "all"])
def test_a_loss_that_adds_over_tokens_sees_twice_as_many_features(block):
    """D has no entries between tokens: the Hessian is that of 2 M features, times two."""
    rng = fresh_rng()
    v = symbols.vector("v", 2)

    def output(a, b):
        return (v[0] * sp.tanh(a) + v[1] * sp.tanh(b) - Y) ** 2

    u, w = symbols.tokens("u", 2, 2), symbols.vector("u", 2)
    rows = [row for rows in MEANS for row in rows]
    added = sum(output(u[0][p], u[1][p]) for p in range(2))
    left, right, state = twin_problems(
        Loss(added, units=2, readout_size=2, tokens=2), Loss(output(*w), units=2, readout_size=2),
        MEANS, ([1, 1, 0, 0], rows), (3.0, 3.0), rng, 2,
    )  # fmt: skip
    # a tail that is left away with one rule and not with another moves an edge by more than errors
    found = spectrum(left, state, block=block, tail=0)
    alike(found, spectrum(right, state, block=block, ratio=2 * RATIO, tail=0), 2.0)


def test_a_block_of_two_units_is_refused_by_name():
    case = separated_case("patches")
    with pytest.raises(InputError, match="the block of two units is not symmetric"):
        spectrum(Problem(case.model), case.state, block=(0, 1))

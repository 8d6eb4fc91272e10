"""Ends of spectra that no data show: thin tails, weights without a bound; weights that vanish."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from dense_spectra import draw, softmax
from helpers import fresh_rng

from numerics import Parameters, State, effective_spectrum, emergence, solve_curve
from numerics.proportional import limiting_spectrum
from numerics.proportional.nodes.weight_law import WeightLaw
from numerics.proportional.weight_nodes import WeightNodes
from theory import InputError, Loss, Mixture, Model, kgmm, symbols

WEIGHTS = [0.5, 0.3, 0.2]
PARAMETERS = Parameters(WEIGHTS, 10, 0.01, 1)
G = {"matrix": "gradient"}


@pytest.fixture(scope="module")
def curve():
    return solve_curve(kgmm(3), PARAMETERS, State(np.zeros((3, 3)), np.eye(3)), 2.0)


def softmax_data(state, block, dimension, seed):
    drawn = draw(
        softmax,
        means=np.eye(3),
        labels=[1, 2, 3],
        weights=WEIGHTS,
        precision=10,
        overlap=state.overlap,
        gram_perp=state.gram_perp,
        dimension=dimension,
        samples=dimension // 2,
        rng=np.random.default_rng(seed),
    )
    values, vectors = np.linalg.eigh(drawn.matrix("gradient", block))
    rows = vectors.T[::-1][:6].reshape(6, -1, dimension)
    return values[::-1], np.sum((rows @ drawn.span.T) ** 2, axis=(1, 2))


@pytest.mark.slow
def test_the_default_shows_what_data_show(curve):
    """G at half as many samples as dimensions: an outlier with more than half of its vector in the
    span, far beyond the bulk, where the limit has a thin tail up to the largest weight.
    """
    state = curve.state(2.0)
    found = effective_spectrum(kgmm(3), PARAMETERS, state, 0.5, block=(0, 0), **G)
    assert found.sizes["eigen"] == 1
    assert found.attrs["tail"] == 1e-3
    seen = [softmax_data(state, (0, 0), 1000, s) for s in fresh_rng().integers(2**31, size=8)]
    top = np.array([values[0] for values, _ in seen])
    overlap = np.array([overlaps[0] for _, overlaps in seen])
    edge = np.array([values[1] for values, _ in seen])
    for samples, predicted, beyond in (
        (top, found.outliers[0], 0.004),
        (overlap, found.overlap[0], 0.04),
        (edge, found.edges[-1, 1], 0.01),
    ):
        error = samples.std(ddof=1) / np.sqrt(len(samples))
        assert abs(samples.mean() - float(predicted)) < 6 * error + beyond


@pytest.mark.slow
@pytest.mark.parametrize(("ratio", "outliers"), [(0.5, 1), (3.0, 2)])
def test_outliers_of_the_whole_law_are_taken_as_they_are(curve, monkeypatch, ratio, outliers):
    """One of two stands beyond the thin tail too; the others are found in the law that is cut."""

    def found():
        return effective_spectrum(
            kgmm(3), PARAMETERS, curve.state(2.0), ratio, block=(0, 0), density=False, **G
        )

    quick, every = found(), limiting_spectrum.find_outliers
    monkeypatch.setattr(
        limiting_spectrum,
        "find_outliers",
        lambda branch, field, like=None, settled=(): every(branch, field, like),
    )
    assert quick.attrs["tail"] == 1e-3
    assert quick.sizes["eigen"] == outliers
    for name, values in found().items():
        np.testing.assert_allclose(quick[name], values, rtol=1e-9, atol=1e-12, err_msg=str(name))


@pytest.mark.slow
def test_an_essential_edge_is_where_the_largest_weight_meets_its_pole(curve):
    """At tail 0: z(S) at S = -phi lambda / 1, the weights of G having the supremum 1."""
    state = curve.state(2.0)
    for block in ((0, 0), "first_layer"):
        found = effective_spectrum(
            kgmm(3), PARAMETERS, state, 0.5, block=block, tail=0, density=False, **G
        )
        assert found.attrs["edge_kind_right"] == "essential"
        assert found.sizes["eigen"] == 0
    # the scalar one by a sum over samples that share nothing with the rule
    one = effective_spectrum(
        kgmm(3), PARAMETERS, state, 0.5, block=(0, 0), tail=0, density=False, **G
    )
    rng = fresh_rng()
    covariance = (state.overlap @ state.overlap.T + state.gram_perp) / 10
    component = rng.choice(3, size=10**6, p=WEIGHTS)
    u = rng.multivariate_normal(np.zeros(3), covariance, 10**6) + state.overlap.T[component]
    g, _ = softmax(u.T, component + 1.0, np.zeros(0))
    d, s = g[0] ** 2, -0.5 * 10
    terms = d / (1 + s * d / (0.5 * 10)) / 10
    place = -1 / s + terms.mean()
    assert abs(float(one.edges[-1, 1]) - place) < 6 * terms.std() / 1e3 + 2e-4


@pytest.mark.slow
def test_emergence_sees_what_the_spectrum_at_a_time_sees(curve):
    times = [0.5, 1.0, 2.0]
    along = emergence(kgmm(3), PARAMETERS, curve, 0.5, block=(0, 0), time=times, **G)
    for t in times:
        found = effective_spectrum(
            kgmm(3), PARAMETERS, curve.state(t), 0.5, block=(0, 0), density=False, **G
        )
        here = along.sel(time=t)
        assert int(here["count"].sel(side=1)) == int(np.sum(found.side == 1))
        assert float(here.edge.sel(side=1)) == pytest.approx(float(found.edges[-1, 1]), rel=1e-8)


Y, U = symbols.LABEL, symbols.vector("u", 1)[0]
OPPOSITE = Mixture.build(
    weights=["1/2", "1/2"], labels=[1, -1], coordinates=[[1], [-1]], directions_gram=[[1]]
)
ONE_UNIT = Parameters([0.5, 0.5], 5, 0.1, 1, [[1.0]]), State([[0.3]], [[0.5]])


@pytest.mark.parametrize("density", [True, False])
@pytest.mark.parametrize("block", [(0, 0), "first_layer"])
def test_a_hessian_that_vanishes_almost_everywhere_is_an_atom(block, density):
    """The perceptron's loss is piecewise linear: all eigenvalues are the ridge."""
    loss = Loss((1 + Y) / 2 * sp.Max(0, -U) + (1 - Y) / 2 * sp.Max(0, U), units=1, kinks=(U,))
    found = effective_spectrum(
        Model.build(OPPOSITE, loss), *ONE_UNIT, 3.0, block=block, density=density
    )
    assert found.attrs["atom"] == 1
    assert found.sizes["eigen"] == found.sizes["interval"] == 0


@pytest.mark.slow
def test_weights_without_a_bound_have_no_edge():
    """Phase retrieval: D = 3 u^2 - y.  Data of M samples show an edge, the limit has none."""
    model = Model.build(OPPOSITE, Loss((U**2 - Y) ** 2 / 4, units=1))
    nodes = WeightNodes(model, *ONE_UNIT, "hessian", (0, 0))
    assert nodes.unbounded_sides == (1,)
    plain = State(np.eye(3), np.eye(3))
    assert not WeightNodes(kgmm(3), PARAMETERS, plain, "gradient", (0, 0)).unbounded_sides
    with pytest.raises(InputError, match="weights have no bound, and the limit no edge"):
        effective_spectrum(model, *ONE_UNIT, 3.0, block=(0, 0), tail=0)
    found = effective_spectrum(model, *ONE_UNIT, 3.0, block=(0, 0), regularized=False)
    assert found.attrs["unbounded"] == "right"
    assert found.attrs["tail"] > 0
    rng, dimension = fresh_rng(), 600
    tops = []
    for _ in range(8):
        y = rng.choice([-1.0, 1.0], size=3 * dimension)
        features = rng.standard_normal((y.size, dimension)) / np.sqrt(5)
        features[:, 0] += y
        u = features[:, :2] @ [0.3, np.sqrt(0.5)]
        matrix = (features * (3 * u**2 - y)[:, None]).T @ features / y.size
        tops.append(np.linalg.eigvalsh(matrix)[-1])
    error = np.std(tops, ddof=1) / np.sqrt(8)
    assert abs(np.mean(tops) - float(found.outliers[0])) < 6 * error + 0.1


def test_rounding_is_that_of_the_weights_that_are_left():
    """Where the rare weights are those of size one, and the others are left of terms of size one:
    1e-11 is known to 1e-6 of itself, not to 1e-14.
    """
    weight = np.array([1.0, 1e-11, -2e-11])[:, None, None]
    law = WeightLaw(
        np.array([0.001, 0.6, 0.399]), weight, 1, np.ones((3, 1)), np.zeros((1, 1, 1)), 1.0, None,
        lost=np.array([1e-17, 1e-17, 2e-17]),
    )  # fmt: skip
    assert law.rounding == pytest.approx(1.4e-14, rel=0.01)
    assert law.without_tail(0.001).rounding == pytest.approx(1e-6, rel=0.01)

"""Drift, diffusion and finite-size corrections of mixtures with bands, against raw samples."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from band_cases import band_case, raw_increments, raw_steps, value
from helpers import fresh_rng
from law_cases import threshold

from theory import (
    Bands,
    InputError,
    Mixture,
    Moments,
    Weight,
    derive_diffusion,
    derive_drift,
    derive_finite_size,
    existing_clusters,
    separated_fixed_point,
    softmax_fixed_point,
)
from theory.expectations.derived import find_expectations

# with two bands some hundred entries are written out
BANDS = [pytest.param(2, marks=pytest.mark.slow), 1]


def mean_z(samples, expected):
    """Largest deviation of a mean in standard errors."""
    error = samples.std(axis=0) / np.sqrt(len(samples)) + 1e-12
    return float(np.max(np.abs(samples.mean(axis=0) - expected) / error))


@pytest.mark.parametrize(("bands", "batch"), [(2, 1), (3, 3), (1, 1)])
def test_drift_and_its_finite_part_are_the_mean_of_raw_steps(bands, batch):
    rng = fresh_rng()
    case = band_case(rng, bands=bands)
    drift = derive_drift(case.model)
    # the corrector is proportional to the step over the batch, with which b samples go
    drift = drift.with_step(case.model.step / batch)
    limit, extra = value(case, drift.vector), value(case, finite(case, batch))
    steps = raw_steps(case, 40_000, rng, batch)
    dimension = sum(case.sizes)
    bound = threshold(steps.shape[1])
    assert mean_z(steps, limit + extra / dimension) <= bound
    # without the corrector, or with that of the other band, it is seen to be another drift
    assert mean_z(steps, value(case, drift.without_corrector().vector) + extra / dimension) > bound


def finite(case, batch):
    return derive_finite_size(case.model, batch=batch).vector


@pytest.mark.slow
@pytest.mark.parametrize("bands", BANDS)
def test_the_diffusion_is_the_covariance_of_raw_increments(bands):
    rng = fresh_rng()
    case = band_case(rng, bands=bands)
    found = derive_diffusion(case.model)
    size = len(case.statistics())
    samples = raw_increments(case, 200_000, rng)
    mean = value(case, found.mean)
    second = value(case, found.second_moment).reshape(size, size)
    rows, columns = np.triu_indices(size)
    products = samples[:, rows] * samples[:, columns]
    bound = threshold(size + rows.size)
    assert mean_z(samples, mean) <= bound
    assert mean_z(products, second[rows, columns]) <= bound
    # every entry between two bands counts: the sign of one is seen
    assert mean_z(products, np.abs(second)[rows, columns]) > bound


@pytest.mark.slow
@pytest.mark.parametrize("bands", BANDS)
def test_both_routes_agree(bands):
    """E[h w_c] = E[d_c h] / lambda with the whitened fields of each component's own law."""
    case = band_case(fresh_rng(), bands=bands)
    for derive in (derive_drift, derive_finite_size, derive_diffusion):
        left, right = (value(case, derive(case.model, r).vector) for r in ("stein", "projection"))
        assert np.abs(left - right).max() <= 1e-9 * np.abs(left).max()


def closed(expression):
    """All expectations of polynomials in closed form."""
    nodes = {n: n.doit() for n in find_expectations(expression)}
    return sp.expand(expression.xreplace(nodes))


def test_equal_scales_on_one_band_are_isotropic_noise_of_another_precision():
    rng = fresh_rng()
    case = band_case(rng, bands=1)
    banded, scale = case.model.mixture, sp.Rational(3, 2)
    parts = {
        "weights": banded.weights, "labels": banded.labels, "coordinates": banded.coordinates,
        "directions_gram": banded.directions_gram,
    }  # fmt: skip
    one = Mixture.build(**parts, precision=2, bands=Bands([1], [scale]))
    plain = Mixture.build(**parts, precision=2 / scale**2)
    left, right = (
        derive_drift(type(case.model)(m, case.model.loss, case.model.ridge, case.model.step))
        for m in (one, plain)
    )
    for a, b in zip(left.vector, right.vector, strict=True):
        assert sp.expand(closed(a) - closed(b)) == 0


def test_the_symbols_of_a_state_with_bands_and_its_repr():
    model = band_case(fresh_rng()).model
    names = [str(s) for s in model.symbols.state]
    assert names[:4] == ["m_1_1_1", "m_1_1_2", "m_1_2_1", "m_1_2_2"]
    assert names[8:14] == ["R_1_1_1", "R_1_1_2", "R_1_2_2", "R_2_1_1", "R_2_1_2", "R_2_2_2"]
    assert derive_drift(model).overlap.shape == (4, 2)
    assert "bands=Bands(fractions" in repr(model.mixture)
    assert r"\sigma_{lg}P_gZ" in model.mixture._repr_latex_()
    open_data = Mixture.build(labels=[0], coordinates=[[1]], bands=Bands(["1/4", "3/4"], [1, 2]))
    assert [str(e) for e in open_data.directions_gram] == ["Gamma_1_1_1", "Gamma_2_1_1"]


GRAM = [[[1]], [[1]]]
BAD = {
    "no sum": (lambda: Bands([0.5, 0.4], [1, 1]), r"fractions: .*0\.9.*sum 1"),
    "negative share": (lambda: Bands([-0.5, 1.5], [1, 1]), r"fractions\[0\]"),
    "no share": (lambda: Bands([], [1]), "fractions"),
    "zero scale": (lambda: Bands([0.5, 0.5], [[1, 0]]), r"scales\[0\]\[1\]"),
    "columns": (lambda: Bands([0.5, 0.5], [[1, 1, 1]]), "scales: .*3 columns"),
    "a text": (lambda: Bands("half", [1]), "fractions"),
    "no matrix": (lambda: Bands([1], 3), "scales"),
    "rows": (lambda: _data(Bands([0.5, 0.5], [[1, 1]] * 3)), "bands: .*3 components"),
    "no bands": (lambda: _data({"fractions": [1]}), "bands: .*dict"),
    "one matrix": (lambda: _data(Bands([0.5, 0.5], [1, 1]), [[1]]), "directions_gram.*one matrix"),
    "three": (lambda: _data(Bands([0.5, 0.5], [1, 1]), GRAM + GRAM[:1]), "3 matrices"),
    "indefinite": (lambda: _data(Bands([0.5, 0.5], [1, 1]), [[[2]], [[-1]]]), r"gram\[1\].*-1"),
    "no direction": (lambda: _data(Bands([0.5, 0.5], [1, 1]), [[[0]], [[0]]]), "positive definite"),
}  # fmt: skip


def _data(bands, gram=GRAM):
    return Mixture.build(labels=[0, 1], coordinates=[[1], [-1]], directions_gram=gram, bands=bands)


@pytest.mark.parametrize("name", BAD)
def test_bad_bands_are_named_before_any_work(name):
    make, message = BAD[name]
    with pytest.raises(InputError, match=message):
        make()


def test_substituted_numbers_are_checked():
    share = sp.Symbol("rho", positive=True)
    data = Mixture.build(
        labels=[0], coordinates=[[1]], bands=Bands([share, 1 - share], [[1, 2]]), precision=1
    )
    model = type(band_case(fresh_rng()).model).build(data, band_case(fresh_rng()).model.loss)
    assert share in model.parameter_symbols
    assert model.substitute({share: "1/4"}).mixture.bands.fractions == (
        sp.Rational(1, 4), sp.Rational(3, 4),
    )  # fmt: skip
    with pytest.raises(InputError, match="fractions"):
        model.substitute({share: 2})


REFUSED = {
    "fixed point": softmax_fixed_point,
    "existing clusters": existing_clusters,
    "separated fixed point": lambda model: separated_fixed_point(model, ["0", "0"]),
    "coefficients": lambda model: Moments(model).slope(Weight.of((0,)), 0, 0),
    "curvatures": lambda model: Moments(model).curvature(Weight.of((0,)), 0, 0, 0),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_know_bands_says_so(name):
    case = band_case(fresh_rng())
    with pytest.raises(InputError, match=r"bands: .*2 band\(s\)"):
        REFUSED[name](case.model)

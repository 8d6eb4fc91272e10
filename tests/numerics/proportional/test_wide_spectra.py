"""Densities whose eigenvalues spread over many decades above zero, beside dense matrices."""

from __future__ import annotations

import numpy as np
import pytest
from dense_spectra import XOR, draw, relu_logistic, softmax
from helpers import fresh_rng

from benchmarks.calibrate_spectra import spectrum_record
from numerics import Parameters, State, effective_spectrum
from numerics.proportional.bulk import attempts
from theory import kgmm, xor

FEW_SAMPLES = (
    State([[1.2, -1.1], [-1.3, 1.0]], [[0.3, -0.1], [-0.1, 0.4]]),
    Parameters([0.55, 0.45], 43.0, 0, 1),
)
WIDE = (
    State(
        [[-0.44, -0.25], [0.0, 0.51], [0.57, -0.06]],
        [[0.0356, -0.009, 0.0093], [-0.009, 0.0179, -0.0065], [0.0093, -0.0065, 0.0036]],
        [1.04, -0.67, 4.06],
    ),
    Parameters([0.21, 0.18, 0.5, 0.11], 0.04, 0, 1, np.eye(2)),
)


def distance(found, values):
    """Largest difference of distribution functions, beyond the error that is stated."""
    grid = found.grid.values
    clear = np.abs(grid) > 1e-12 * np.abs(values).max()  # closer to zero is rounding of eigh
    share = np.searchsorted(np.sort(values), grid, side="right") / values.size
    off = np.abs(share - found.distribution.values) - found.distribution_error.values
    return float(off[clear].max())


@pytest.mark.slow
def test_wide_fields_of_a_network():
    """Weights e^(-2|f|) with |f| up to a hundred: as many eigenvalues in every decade."""
    state, parameters = WIDE
    found = effective_spectrum(xor(3), parameters, state, 0.58, matrix="gradient", block=(0, 0))
    assert found.attrs["mass_error"] < 0.03
    drawn = draw(
        relu_logistic,
        **(XOR | {"weights": parameters.weights}),
        precision=0.04,
        overlap=state.overlap,
        gram_perp=state.gram_perp,
        readout=state.readout,
        dimension=600,
        samples=348,
        rng=fresh_rng(),
    )
    assert distance(found, np.linalg.eigvalsh(drawn.matrix("gradient", (0, 0)))) < 0.06


@pytest.mark.slow
def test_scattered_nodes_where_tensor_rules_disagree():
    """Fields fifty times wider than the softmax: one node of a tensor rule had 13 % of the weight,
    the edges of two rules differed by a fifth, their distributions by less than they erred.
    """
    overlap = [[0.613, 4.003, 3.219], [-1.659, -3.248, -1.937], [2.698, 1.564, -1.778]]
    spread = [[0.0092, -0.0032, 0.0007], [-0.0032, 0.0033, -0.0003], [0.0007, -0.0003, 0.0027]]
    parameters = Parameters([0.337, 0.506, 0.157], 0.1, 0, 1)
    found = effective_spectrum(kgmm(3), parameters, State(overlap, spread), 3.93)
    assert found.attrs["error_estimate"] < 0.02 * float(found.edges.max())
    # eigenvalues of many draws together: those of one scatter about the limit by up to 0.04
    rng = fresh_rng()
    drawn = [
        draw(
            softmax,
            means=np.eye(3),
            labels=[1, 2, 3],
            weights=parameters.weights,
            precision=0.1,
            overlap=overlap,
            gram_perp=spread,
            dimension=300,
            samples=1179,
            rng=rng,
        )
        for _ in range(12)
    ]
    values = np.concatenate([np.linalg.eigvalsh(each.matrix("hessian")) for each in drawn])
    assert distance(found, values) < 0.02


@pytest.mark.slow
def test_fewer_samples_than_dimensions():
    state, parameters = FEW_SAMPLES
    found = effective_spectrum(kgmm(2), parameters, state, 0.5, matrix="gradient", block=(0, 0))
    assert found.attrs["mass_error"] < 0.03
    assert found.attrs["atom"] == pytest.approx(0.5, abs=1e-9)
    drawn = draw(
        softmax,
        means=np.eye(2),
        labels=[1, 2],
        weights=parameters.weights,
        precision=43,
        overlap=state.overlap,
        gram_perp=state.gram_perp,
        dimension=600,
        samples=300,
        rng=fresh_rng(),
    )
    assert distance(found, np.linalg.eigvalsh(drawn.matrix("gradient", (0, 0)))) < 0.06


@pytest.mark.slow
def test_one_way_alone_loses_mass(monkeypatch):
    """The stretch towards zero with the Gauss rule, as the only way, misses eigenvalues."""
    monkeypatch.setattr(attempts, "MISSED", 1.0)
    state, parameters = WIDE
    with pytest.raises(ArithmeticError, match="mass is incomplete"):
        effective_spectrum(xor(3), parameters, state, 0.58, matrix="gradient", block=(0, 0))


def test_a_small_outlier_beside_a_large_one_is_known_to_the_rounding_of_the_large(monkeypatch):
    """A class of weight 7e-7: outliers at 0.06 and 1e-7 from one matrix F."""

    def outliers():
        (record,) = [r for r in spectrum_record(3633114925) if r.what == "effective outliers"]
        return record

    assert outliers().covered
    monkeypatch.setattr("numerics.proportional.outliers.LEVEL", 0.0)
    assert not outliers().covered

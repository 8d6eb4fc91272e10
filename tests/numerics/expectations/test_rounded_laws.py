"""Small differences of large pre-activations: the rounding of a Gram matrix moves what they see."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from helpers import fresh_rng

from numerics import Parameters, State, compile_expressions
from numerics.expectations import estimation
from theory import derive_drift, kgmm

LARGE = 1e7


def error_and_estimate(rng: np.random.Generator) -> tuple[float, float]:
    """Of the corrector of two classes whose weights nearly agree, at zero overlaps.

    Their difference has the exact variance R_11 + R_22 - 2 R_12 = 2 s^2, and the corrector (1, 1)
    is the mean of the square of a logistic function of it.
    """
    base = LARGE * float(rng.uniform(1, 2))
    gram = base + np.diag(rng.uniform(0.5, 1.5, size=2))
    parameters = Parameters([0.5, 0.5], float(rng.uniform(0.1, 10)), 0.0, 1.0)
    compiled = compile_expressions(kgmm(2), (derive_drift(kgmm(2)).corrector[0, 0],), "numpy")
    found = compiled.estimate(parameters, State(np.zeros((2, 2)), gram), tolerance=1e-12)
    with mp.workdps(40):
        (a, b), (_, d) = ([mp.mpf(float(x)) for x in row] for row in gram)
        width = mp.sqrt((a + d - 2 * b) / parameters.precision)

        def density(z: mp.mpf) -> mp.mpf:
            return mp.npdf(z) / (1 + mp.exp(width * z)) ** 2

        places = [-12, -4, 0, 4, 12]
        # of either class the square of the probability of the wrong one, by symmetry the same
        truth = mp.quad(density, places) / parameters.precision
        return float(abs(found.values[0] - truth)), float(found.errors[0])


@pytest.mark.slow
def test_estimates_cover_the_rounding_of_the_law():
    rng = fresh_rng()
    for _ in range(10):
        error, estimate = error_and_estimate(rng)
        assert error <= estimate


def test_without_it_they_do_not(monkeypatch):
    monkeypatch.setattr(estimation, "law_rounding", lambda compiled, *_: np.zeros(compiled.size))
    rng = fresh_rng()
    pairs = [error_and_estimate(rng) for _ in range(10)]
    assert any(error > estimate for error, estimate in pairs)

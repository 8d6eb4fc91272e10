"""Laws of networks of several layers, whose derivatives are long."""

from __future__ import annotations

import pytest

from theory import derive_drift, kgmm, low_noise, mlp
from verify import check_model


def test_the_expansion_of_a_network_stays_a_sum_of_products():
    """Two hidden layers: multiplied out, one entry has half a million operations."""
    network = mlp(kgmm(2).mixture, units=[2, 2], output="softmax")
    entry = low_noise(derive_drift(network).readout[0, 0], 1)
    assert entry.count_ops() < 60_000


@pytest.mark.slow
def test_the_low_noise_expansion_of_a_network_is_judged():
    network = mlp(kgmm(2).mixture, units=[2, 2], output="softmax")
    check_model(network, only=["low_noise_expansion"])

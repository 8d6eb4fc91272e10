"""Generators of many replicas at once are those that NumPy makes one by one."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import fresh_rng

from numerics.sgd.generators import sfc64_states


@pytest.mark.parametrize("bits", [1, 31, 33, 64, 127, 128, 129, 200, 400])
def test_states_are_those_of_the_children_of_a_seed(bits):
    seed = int.from_bytes(fresh_rng().bytes(64), "little") % 2**bits
    children = np.random.SeedSequence(seed).spawn(40)
    states = [np.random.SFC64(child).state["state"]["state"] for child in children]
    assert np.array_equal(sfc64_states(seed, 0, 40), states)
    assert np.array_equal(sfc64_states(seed, 17, 9), states[17:26])

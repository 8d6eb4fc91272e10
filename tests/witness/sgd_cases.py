"""Problems and vectors of the tests of SGD."""

from __future__ import annotations

import inspect
from functools import lru_cache

import numpy as np
from helpers import two_layer_model
from witness import raw_softmax, raw_two_layer

from numerics import Parameters, State
from numerics.sgd.kernel import drawn_block
from numerics.sgd.kernel.source import kernel_source
from theory import kgmm

GAMMA = [[1.0, 0.3, -0.2], [0.3, 1.2, 0.4], [-0.2, 0.4, 0.9]]


@lru_cache(maxsize=None)
def case(name):
    """Model, raw derivatives, parameters, initial state: correlated directions, unequal weights."""
    if name == "twolayer":
        overlap = [[0.8, -0.4, 0.3], [-0.5, 0.9, -0.2]]
        state = State(overlap, [[0.5, 0.2], [0.2, 0.45]], [1.3, -0.8])
        return (
            two_layer_model(),
            raw_two_layer,
            Parameters([0.4, 0.3, 0.1, 0.2], 1.5, 0.4, 1.5, GAMMA),
            state,
        )
    overlap = [[0.8, -0.4, 0.3], [-0.5, 0.9, -0.2], [0.1, -0.3, 0.7]]
    state = State(overlap, [[0.5, 0.2, -0.1], [0.2, 0.45, 0.1], [-0.1, 0.1, 0.5]])
    return kgmm(3), raw_softmax, Parameters([0.5, 0.15, 0.35], 2.0, 0.4, 1.5, GAMMA), state


def vectors(run, time=-1):
    """Statistics of every replica at one time, in the order of the state vector."""
    at = run.isel(time=time)
    upper = np.triu_indices(at.sizes["unit"])
    n = at.sizes["replica"]
    return np.concatenate(
        [
            at.overlap.values.reshape(n, -1),
            at.gram_perp.values[..., upper[0], upper[1]].reshape(n, -1),
            at.readout.values,
        ],
        axis=1,
    )


def whole_source(loss, method):
    """The source of a kernel, with that of the drawing of random numbers in the place of its
    import: for chains with a mistake.
    """
    source, own = kernel_source(loss, method), inspect.getsource(drawn_block)
    shared = "from numerics.sgd.kernel.drawn_block import draw_block\n"
    assert source.count(shared) == (method == "reduced")
    return source.replace(shared, own.replace("from __future__ import annotations\n", ""))

"""Blocks of the layers of a network over batches of samples, for the checks of layers."""

from __future__ import annotations

import numpy as np
import xarray as xr

from numerics import State, draw_data
from theory.problem.layers import FIRST_LAYER

from .system import Scenario, System

MATRICES = ("hessian", "gradient")
# batches, samples of each and their dimension
BATCHES, SAMPLES, DIMENSION = 40, 2_000, 24


def layer_batches(system: System, scenario: Scenario, state: State, seed: int) -> xr.Dataset:
    """Sample means of every layer's block at a state, (batch, i, j): "hessian of layer 2".

    In the coordinates of :func:`numerics.draw_data`, of which the first are those of span(means,
    x): block (1, 1) of layer 1 is of size d.
    """
    found: dict[str, list[np.ndarray]] = {}
    for child in np.random.SeedSequence(seed).spawn(BATCHES):
        blocks = sample_blocks(system, scenario, state, DIMENSION, SAMPLES, child)
        for name, block in blocks.items():
            found.setdefault(name, []).append(block)
    return xr.Dataset(
        {n: (("batch", f"row of {n}", f"column of {n}"), np.array(b)) for n, b in found.items()}
    )


def sample_blocks(
    system: System,
    scenario: Scenario,
    state: State,
    dimension: int,
    samples: int,
    seed: np.random.SeedSequence,
) -> dict[str, np.ndarray]:
    """Blocks of all layers over fresh samples, by the matrix form of the network; of layer 1 that
    of its first unit.
    """
    assert system.network is not None  # the systems that name checks of layers have it
    generator = np.random.default_rng(seed)
    data = draw_data(system.model, scenario.parameters, state, dimension, samples, generator)
    inputs = np.asarray(data.features.T, dtype=float)
    layers = system.network.derivatives(data.labels, data.weights @ inputs, state.readout, inputs)
    return {
        f"{matrix} of {layer}": derivatives.block(matrix, 0 if layer == FIRST_LAYER else None)
        for layer, derivatives in layers.items()
        for matrix in MATRICES
    }

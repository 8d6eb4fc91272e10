"""Blocks of the layers of a network over batches of samples, for the checks of layers."""

from __future__ import annotations

import numpy as np
import xarray as xr

from numerics import State, draw_data
from numerics.networks.dense_network import LayerDerivatives
from theory.problem.layers import FIRST_LAYER

from .system import Scenario, System

MATRICES = ("hessian", "gradient")
# batches, samples of each and their dimension
BATCHES, SAMPLES, DIMENSION = 40, 2_000, 24


def layer_batches(
    system: System, scenario: Scenario, state: State, layer: str, seed: int
) -> xr.Dataset:
    """Sample means of a layer's block at a state, (batch, i, j) for each matrix.

    In the coordinates of :func:`numerics.draw_data`, of which the first are those of span(means,
    x): block (1, 1) of layer 1 is of size d.
    """
    found: dict[str, list[np.ndarray]] = {matrix: [] for matrix in MATRICES}
    for child in np.random.SeedSequence(seed).spawn(BATCHES):
        derivatives = sample_derivatives(system, scenario, state, DIMENSION, SAMPLES, child)
        for matrix in MATRICES:
            found[matrix].append(derivatives[layer].block(matrix, block_of(layer)))
    return xr.Dataset({m: (("batch", "row", "column"), np.array(b)) for m, b in found.items()})


def block_of(layer: str) -> int | None:
    """The unit whose block is looked at in layer 1; other layers are looked at whole."""
    return 0 if layer == FIRST_LAYER else None


def sample_derivatives(
    system: System,
    scenario: Scenario,
    state: State,
    dimension: int,
    samples: int,
    seed: np.random.SeedSequence,
) -> dict[str, LayerDerivatives]:
    """Derivatives in all layers at fresh samples, by the matrix form of the network."""
    assert system.network is not None  # the systems that name checks of layers have it
    generator = np.random.default_rng(seed)
    data = draw_data(system.model, scenario.parameters, state, dimension, samples, generator)
    inputs = np.asarray(data.features.T, dtype=float)
    return system.network.derivatives(data.labels, data.weights @ inputs, state.readout, inputs)

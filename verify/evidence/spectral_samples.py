"""Raw spectra of simulated data for the checks of effective spectra."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from numerics import State, draw_data, train_data
from numerics.core.geometry import span_basis
from numerics.spectra.empirical_parts import block_operator
from numerics.spectra.span_matrix import BlockName

from .systems import Scenario, System


def proportional_samples(
    system: System,
    scenario: Scenario,
    state: State,
    parts: Sequence[tuple[str, BlockName]],
    dimension: int,
    ratio: int,
    seeds: Sequence[np.random.SeedSequence],
) -> dict[tuple[str, BlockName], xr.Dataset]:
    """Spectra of parts of matrices of fresh samples, one replica a seed: see
    ``Evidence.proportional_data``.
    """
    basis = span_basis(scenario.parameters, state)
    ends = 2 * system.model.units * basis.rank
    values: dict[tuple[str, BlockName], list[np.ndarray]] = {part: [] for part in parts}
    vectors: dict[tuple[str, BlockName], list[np.ndarray]] = {part: [] for part in parts}
    for seed in seeds:
        data = draw_data(
            system.model, scenario.parameters, state, dimension, ratio * dimension, seed
        )
        for part in parts:
            eigenvalues, eigenvectors = np.linalg.eigh(block_operator(data, *part, False).dense())
            rows = len(eigenvalues) // dimension
            # the first axes are the basis of the span
            projected = eigenvectors.T[::-1].reshape(-1, rows, dimension)[:, :, : basis.rank]
            if len(projected) > 2 * ends:
                projected[ends:-ends] = 0.0
            values[part].append(eigenvalues[::-1])
            vectors[part].append(projected)
    x = basis.weights / np.linalg.norm(basis.weights, axis=1, keepdims=True)
    return {
        part: xr.Dataset(
            {
                "eigenvalue": (("replica", "eigen"), np.array(values[part])),
                "projection": (("replica", "eigen", "row", "span"), np.array(vectors[part])),
                "weights": (("unit", "span"), x),
            }
        )
        for part in parts
    }


def train_and_test_samples(
    system: System,
    scenario: Scenario,
    dimension: int,
    ratio: int,
    seeds: Sequence[np.random.SeedSequence],
) -> xr.Dataset:
    """Leading eigenpairs of the samples that trained and of fresh ones: see
    ``Evidence.train_and_test``.
    """
    matrices, kinds = ("hessian", "gradient"), ("train", "test")
    outlier, overlap = (np.empty((len(seeds), len(kinds), len(matrices))) for _ in range(2))
    for i, seed in enumerate(seeds):
        first, second = seed.spawn(2)
        start = draw_data(
            system.model, scenario.parameters, scenario.initial, dimension, ratio * dimension, first
        )
        trained = train_data(start)
        assert trained.directions is not None  # simulated data know theirs
        span = np.linalg.qr(np.concatenate([trained.directions, trained.weights]).T)[0]
        for j, data in enumerate((trained, trained.fresh(ratio * dimension, second))):
            for k, matrix in enumerate(matrices):
                values, vectors = np.linalg.eigh(
                    block_operator(data, matrix, (0, 0), False).dense()
                )
                outlier[i, j, k] = values[-1]
                overlap[i, j, k] = np.sum((vectors[:, -1] @ span) ** 2)
    dims = ("replica", "data", "matrix")
    return xr.Dataset(
        {"outlier": (dims, outlier), "overlap": (dims, overlap)},
        coords={"data": list(kinds), "matrix": list(matrices)},
    )

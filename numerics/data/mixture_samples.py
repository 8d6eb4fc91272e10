"""Samples of a mixture in d dimensions, drawn in blocks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from numerics.core.covariance.band_arrays import band_sizes, scales_of
from numerics.core.geometry import coordinates_of
from numerics.core.parameters import Parameters
from numerics.core.random_numbers.numpy_generators import draw_normals
from numerics.core.validation import Array
from theory import Model

# numbers drawn at a time: what is made beside them stays small
BLOCK_NUMBERS = 2**20


def sample_mixture(
    model: Model,
    parameters: Parameters,
    directions: Array,
    samples: int,
    generator: np.random.Generator,
    dtype: str = "float64",
) -> tuple[NDArray[np.int64], Array]:
    r"""Draw features from the mixture: :math:`Y = \sum_s S_{ls}e_s + Z/\sqrt\lambda` with
    probability p_l.

    With bands the noise of a component is scaled by sigma_lg in each of them; they stand one behind
    the other in R^d.

    Parameters
    ----------
    model : theory.Model
    parameters : Parameters
    directions : array, shape (r, d)
    samples : int
    generator : numpy.random.Generator
    dtype : {"float64", "float32"}
        Of the features; they are drawn in this precision, block by block, and nothing of their size
        beside them.

    Returns
    -------
    component : array of int, shape (samples,)
        0-based component of each sample.
    features : array, shape (samples, d)
    """
    component = generator.choice(model.components, size=samples, p=parameters.weights)
    dimension = directions.shape[1]
    features = np.empty((samples, dimension), dtype=dtype)
    means = (coordinates_of(model) @ directions).astype(dtype)
    scale = features.dtype.type(np.sqrt(parameters.precision))
    sizes = band_sizes(model, dimension)
    spread = np.repeat(scales_of(model), sizes, axis=1).astype(dtype)
    size = max(1, BLOCK_NUMBERS // dimension)
    for start in range(0, samples, size):
        block = features[start : start + size]
        draw_normals(generator, block)
        block /= scale
        if model.mixture.bands is not None:
            block *= spread[component[start : start + size]]
        block += means[component[start : start + size]]
    return component, features


def sample_label_noise(model: Model, samples: int, generator: np.random.Generator) -> Array | None:
    """Standard normal label noise of every sample, None for a loss that holds none."""
    return generator.standard_normal(samples) if model.loss.has_label_noise else None

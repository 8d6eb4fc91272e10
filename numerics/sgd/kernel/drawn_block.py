"""Random numbers of the reduced chain, compiled once for the kernels of all losses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from numerics.core.random_numbers.gamma import fill_gammas, gamma
from numerics.core.random_numbers.words import States, compiled, uniform
from numerics.core.random_numbers.ziggurat import fill_normals, normal
from numerics.core.validation import Array


@compiled
def draw_block(
    state: States,
    cumulative: Array,
    scale: float,
    tail: float,
    noise: Array,
    wishart: Array,
    component: NDArray,
) -> None:
    """Components, normals and Bartlett factors of the steps to come.

    Parameters
    ----------
    state : array
        Of the generator, moved on.
    cumulative : array, shape (n,)
        Sums of the probabilities of the components.
    scale : float
        Of the noise, 1 / sqrt(lambda).
    tail : float
        Degrees of freedom n of the Wishart matrices.
    noise : array, shape (B, b, any)
        Written: normals times the scale.
    wishart : array, shape (B, q, q)
        Written: lower factors L of Wishart matrices L L^T times the scale; what is above the
        diagonal stays.
    component : int array, shape (B, b)
        Written.
    """
    fill_normals(state, scale, noise.reshape(-1))
    if wishart.shape[1] == 1:
        lengths = wishart.reshape(-1)
        fill_gammas(state, 0.5 * tail, lengths)
        for k in range(lengths.size):
            lengths[k] = scale * np.sqrt(2.0 * lengths[k])
    else:
        for k in range(wishart.shape[0]):
            for i in range(wishart.shape[1]):
                # with n degrees of freedom there are no coordinates beyond the n-th
                left = tail - i
                wishart[k, i, i] = (
                    scale * np.sqrt(2.0 * gamma(state, 0.5 * left)) if left > 0.0 else 0.0
                )
                for j in range(i + 1, wishart.shape[1]):
                    wishart[k, j, i] = scale * normal(state) if left > 0.0 else 0.0
    for k in range(component.shape[0]):
        for j in range(component.shape[1]):
            draw = uniform(state)
            label = 0
            for c in range(cumulative.size - 1):
                label += draw >= cumulative[c]
            component[k, j] = label

"""Parameters and states as the flat arguments of generated functions."""

from __future__ import annotations

import numpy as np
import sympy as sp

from theory import Model, symbols

from .packed_symmetric import _upper
from .parameters import Parameters
from .state import HasSizes, bands_of
from .validation import Array


def unflatten(vector: Array, model: HasSizes) -> tuple[Array, Array, Array]:
    """Split state vectors (last axis) into overlap, gram_perp and readout, the inverse of
    State.flatten.
    """
    c, r, bands = model.units, model.directions, bands_of(model)
    rows, columns = _upper(c)
    lead = (*vector.shape[:-1], bands) if bands > 1 else vector.shape[:-1]
    size = bands * c * r
    end = size + bands * rows.size
    overlap = vector[..., :size].reshape(*lead, c, r)
    gram_perp = np.empty((*lead, c, c))
    upper = vector[..., size:end].reshape(*gram_perp.shape[:-2], rows.size)
    gram_perp[..., rows, columns] = upper
    gram_perp[..., columns, rows] = upper
    return overlap, gram_perp, vector[..., end:]


def outer_symbols(model: Model) -> tuple[sp.Symbol, ...]:
    """Canonical symbols of parameters and state, in the order of :func:`outer_values`."""
    s = model.symbols
    gamma = symbols.symmetric("Gamma", model.directions, s.bands)
    return (
        *symbols.vector("p", model.components, positive=True),
        symbols.PRECISION,
        symbols.RIDGE,
        symbols.STEP,
        *(gamma[at] for at in symbols.upper_triangles(gamma)),
        *s.state,
        *(s.gram[at] for at in symbols.upper_triangles(s.gram)),
        *(s.gram_inverse[at] for at in symbols.upper_triangles(s.gram_inverse)),
    )


def outer_values(
    parameters: Parameters,
    overlap: Array,
    gram_perp: Array,
    readout: Array,
    gram: Array,
    inverse: Array,
) -> Array:
    """Values for :func:`outer_symbols` at R states, from arrays (R, ...): one row a state.

    Gram matrix and inverse are those of all fields; with bands, which have one more axis after that
    of the states, the Gram matrix is that of every band, and the inverse that of every component.
    """
    gamma = parameters.directions_gram
    rows, columns = _upper(gram_perp.shape[-1])
    fixed = np.concatenate(
        [
            parameters.weights,
            [parameters.precision, parameters.ridge, parameters.step],
            gamma[..., *_upper(gamma.shape[-1])].ravel(),
        ]
    )
    states = len(overlap)
    return np.concatenate(
        [
            np.broadcast_to(fixed, (states, fixed.size)),
            overlap.reshape(states, -1),
            gram_perp[..., rows, columns].reshape(states, -1),
            readout,
            gram[..., rows, columns].reshape(states, -1),
            inverse[..., *_upper(inverse.shape[-1])].reshape(states, -1),
        ],
        axis=1,
    )

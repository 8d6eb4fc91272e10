"""Parameters and states as the flat arguments of generated functions."""

from __future__ import annotations

import numpy as np
import sympy as sp

from theory import Model, symbols

from .packed_symmetric import _upper
from .parameters import Parameters
from .validation import Array


def unflatten(vector: Array, model: Model) -> tuple[Array, Array, Array]:
    """Split state vectors (last axis) into overlap, gram_perp and readout, the inverse of
    State.flatten.
    """
    c, r = model.units, model.directions
    rows, columns = _upper(c)
    lead = vector.shape[:-1]
    overlap = vector[..., : c * r].reshape(*lead, c, r)
    gram_perp = np.empty((*lead, c, c))
    upper = vector[..., c * r : c * r + rows.size]
    gram_perp[..., rows, columns] = upper
    gram_perp[..., columns, rows] = upper
    return overlap, gram_perp, vector[..., c * r + rows.size :]


def outer_symbols(model: Model) -> tuple[sp.Symbol, ...]:
    """Canonical symbols of parameters and state, in the order of :func:`outer_values`."""
    s = model.symbols
    pairs, fields = symbols.upper_triangle(model.units), symbols.upper_triangle(len(s.fields))
    return (
        *symbols.vector("p", model.components, positive=True),
        symbols.PRECISION,
        symbols.RIDGE,
        symbols.STEP,
        *(symbols.indexed("Gamma", i, j) for i, j in symbols.upper_triangle(model.directions)),
        *s.state,
        *(s.gram[a, b] for a, b in pairs),
        *(s.gram_inverse[a, b] for a, b in fields),
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

    Gram matrix and inverse are those of all fields.
    """
    gamma = parameters.directions_gram
    rows, columns = _upper(gram_perp.shape[-1])
    fixed = np.concatenate(
        [
            parameters.weights,
            [parameters.precision, parameters.ridge, parameters.step],
            gamma[_upper(gamma.shape[0])],
        ]
    )
    states = len(overlap)
    return np.concatenate(
        [
            np.broadcast_to(fixed, (states, fixed.size)),
            overlap.reshape(states, -1),
            gram_perp[:, rows, columns],
            readout,
            gram[:, rows, columns],
            inverse[:, *_upper(inverse.shape[-1])],
        ],
        axis=1,
    )

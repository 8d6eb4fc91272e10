"""Parameters and states as the flat arguments of generated functions."""

from __future__ import annotations

import numpy as np
import sympy as sp

from theory import Model, symbols
from theory.problem.held.loss_symbols import GRAM

from .covariance.band_arrays import inverse_of
from .packed_symmetric import _upper
from .parameters import Parameters
from .state import HasSizes, State, bands_of
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


def flatten(overlap: Array, gram_perp: Array, readout: Array) -> Array:
    """State vectors from arrays (R, ...) of a model without bands, the inverse of
    :func:`unflatten`.
    """
    rows, columns = _upper(gram_perp.shape[-1])
    states = len(overlap)
    parts = overlap, gram_perp[..., rows, columns], readout
    return np.concatenate([part.reshape(states, -1) for part in parts], axis=1)


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
        *sorted((each.symbol for each in model.loss.free_parameters), key=str),
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
    values = [parameters.values[name] for name in sorted(parameters.values)]
    free = [np.broadcast_to(values, (states, len(values)))] if values else []
    return np.concatenate(
        [
            np.broadcast_to(fixed, (states, fixed.size)),
            overlap.reshape(states, -1),
            gram_perp[..., rows, columns].reshape(states, -1),
            readout,
            gram[..., rows, columns].reshape(states, -1),
            inverse[..., *_upper(inverse.shape[-1])].reshape(states, -1),
            *free,
        ],
        axis=1,
    )


def held_values(
    model: Model, parameters: Parameters, readout: Array, overlap: Array, gram: Array
) -> Array:
    """Values of ``loss.held`` at R states, shape (R, h); those of the readout alone as they are.

    Parameters
    ----------
    readout : array, shape (R, q)
    overlap : array, shape (R, C, r), or more rows
    gram : array, shape (R, C, C), or more rows and columns
        Q.
    """
    if not model.loss.beside:
        return readout
    states = len(readout)
    numbers = free_values(model, parameters)
    columns = [
        gram[:, each.first, each.second]
        if each.kind == GRAM
        else overlap[:, each.first, each.second]
        for each in model.loss.statistics
    ]
    free = np.broadcast_to(numbers, (states, numbers.size))
    return np.concatenate([readout, free, *(c[:, None] for c in columns)], axis=1)


def free_values(model: Model, parameters: Parameters) -> Array:
    """Numbers of the free parameters of the loss, in their order."""
    values = parameters.values
    return np.array([values[each.name] for each in model.loss.free_parameters], dtype=float)


def held_at(
    model: Model, parameters: Parameters, overlap: Array, gram_perp: Array, readout: Array
) -> Array:
    """Values of ``loss.held`` at one state."""
    if not model.loss.beside:
        return readout
    inverse = inverse_of(parameters.directions_gram)
    gram = gram_perp + overlap @ inverse @ np.swapaxes(overlap, -1, -2)
    return held_values(model, parameters, readout[None], overlap[None], gram[None])[0]


def held_of(model: Model, parameters: Parameters, state: State) -> Array:
    """Values of ``loss.held`` at a state."""
    return held_at(model, parameters, state.overlap, state.gram_perp, state.readout)


def typical_values(model: Model) -> Array:
    """Numbers of free parameters and statistics at which the code of a loss may be looked at."""
    free = [float(each.middle) for each in model.loss.free_parameters]
    norms = [float(1 + (each.first == each.second)) for each in model.loss.statistics]
    return np.array([*free, *norms])

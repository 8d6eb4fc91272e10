"""Weight vectors in d dimensions with given summary statistics, and back."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from theory import InputError

from .geometry import span_basis
from .parameters import Parameters
from .state import State
from .validation import Array, as_array, as_integer


def realise_weights(parameters: Parameters, state: State, dimension: int) -> tuple[Array, Array]:
    """Return directions and first-layer vectors in R^d whose summary statistics are the given ones.

    The directions lie in the first r coordinates (Cholesky factor of Gamma), the parts of x
    orthogonal to them in the next C: the first ``rank`` axes of R^d are the basis of
    :func:`span_basis`.

    Parameters
    ----------
    parameters : Parameters
    state : State
    dimension : int
        d >= r + C.

    Returns
    -------
    directions : array, shape (r, d)
    weights : array, shape (C, d)
        Rows x^a, with x^a . e_s = m_as and x^a . x^b = Q_ab to rounding.

    Raises
    ------
    theory.InputError
        d < r + C, or Gamma and overlap of different r.

    Examples
    --------
    >>> directions, x = realise_weights(Parameters([0.5, 0.5], 1, 0, 1), State([[3, 0]], [[16]]), 4)
    >>> x
    array([[3., 0., 4., 0.]])
    """
    r = check_directions(parameters, state)
    dimension = check_dimension(dimension, r, state.overlap.shape[0])
    basis = span_basis(parameters, state)
    placed = np.zeros((basis.coordinates.shape[0], dimension))
    placed[:, : basis.rank] = basis.coordinates
    return placed[:r], placed[r:]


def state_of_weights(parameters: Parameters, weights: ArrayLike, readout: ArrayLike = ()) -> State:
    """Summary statistics of first-layer vectors given in the coordinates of
    :func:`realise_weights`.

    Parameters
    ----------
    parameters : Parameters
    weights : array, shape (C, d)
        Rows x^a; the directions occupy the first r coordinates.
    readout : array, shape (q,), optional

    Returns
    -------
    State

    Examples
    --------
    >>> state = state_of_weights(Parameters([0.5, 0.5], 1, 0, 1), [[3.0, 0.0, 4.0, 0.0]])
    >>> state.overlap, state.gram_perp
    (array([[3., 0.]]), array([[16.]]))
    """
    x = as_array("weights", weights, 2)
    gamma = parameters.directions_gram
    r = gamma.shape[0]
    check_dimension(x.shape[1], r, x.shape[0])
    perpendicular = x[:, r:]
    return State(
        x[:, :r] @ np.linalg.cholesky(gamma).T,
        perpendicular @ perpendicular.T,
        as_array("readout", readout, 1),
    )


def check_dimension(dimension: object, directions: int, units: int) -> int:
    """Refuse a dimension in which r directions and C vectors cannot be in general position."""
    return as_integer(
        "dimension",
        dimension,
        directions + units,
        f"{directions} directions and {units} units need d >= {directions + units}",
    )


def check_directions(parameters: Parameters, state: State) -> int:
    """Return r, after checking that Gamma and the overlap agree on it."""
    r = parameters.directions_gram.shape[0]
    if state.overlap.shape[1] != r:
        raise InputError(
            "state.overlap",
            f"shape {state.overlap.shape}",
            f"{r} columns, one per direction",
            "directions_gram and overlap must have the same directions",
        )
    return r

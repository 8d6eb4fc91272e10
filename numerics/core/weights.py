"""Weight vectors in d dimensions with given summary statistics, and back."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory import InputError

from .covariance.band_arrays import band_sizes, check_room, factor_of
from .geometry import span_basis
from .problem import Problem
from .state import State
from .takes_problem import takes_problem
from .validation import Array, as_array, as_integer, check_memory


@takes_problem(bands=True, tokens=True)
def realise_weights(problem: Problem, state: State, dimension: int) -> tuple[Array, Array]:
    """Return directions and first-layer vectors in R^d whose summary statistics are the given ones.

    The directions lie in the first r coordinates (Cholesky factor of Gamma), the parts of x
    orthogonal to them in the next C: the first ``rank`` axes of R^d are the basis of
    :func:`span_basis`.  Bands stand one behind the other, each with the parts that it holds of both
    in its first coordinates.

    Parameters
    ----------
    problem : Problem
        Or a model and Parameters in its place.
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
        d < r + C, or a state of another shape than the model's.

    Examples
    --------
    >>> from theory import kgmm
    >>> problem = Problem(kgmm(2), weights=[0.5, 0.5], precision=1, ridge=0, step=1)
    >>> state = State([[3, 0], [0, 0]], [[16, 0], [0, 0]])
    >>> realise_weights(problem, state, 4)[1]
    array([[3., 0., 4., 0.],
           [0., 0., 0., 0.]])
    """
    problem.check_state(state)
    r = problem.model.directions
    dimension = check_dimension(dimension, r, problem.model.units)
    remedy = "take a smaller dimension"
    check_memory("dimension", dimension, dimension * (r + problem.model.units), remedy)
    sizes = sizes_in(problem, dimension)
    basis = span_basis(problem.parameters, state)
    placed = np.zeros((r + problem.model.units, dimension))
    placed[:, basis.places(sizes)] = np.concatenate([basis.along, basis.weights])
    return placed[:r], placed[r:]


@takes_problem(bands=True, tokens=True)
def state_of_weights(problem: Problem, weights: ArrayLike, readout: ArrayLike = ()) -> State:
    """Summary statistics of first-layer vectors given in the coordinates of
    :func:`realise_weights`.

    Parameters
    ----------
    problem : Problem
        Or a model and Parameters in its place.
    weights : array, shape (C, d)
        Rows x^a; the directions occupy the first r coordinates.
    readout : array, shape (q,), optional

    Returns
    -------
    State

    Examples
    --------
    >>> from theory import kgmm
    >>> problem = Problem(kgmm(2), weights=[0.5, 0.5], precision=1, ridge=0, step=1)
    >>> state_of_weights(problem, [[3.0, 0.0, 4.0, 0.0], [0.0, 0.0, 0.0, 0.0]]).gram_perp
    array([[16.,  0.],
           [ 0.,  0.]])
    """
    x = as_array("weights", weights, 2)
    gamma = problem.parameters.directions_gram
    r = problem.model.directions
    if x.shape[0] != problem.model.units:
        raise InputError(
            "weights",
            f"{x.shape[0]} row(s)",
            f"{problem.model.units}, one per unit",
            f"the model {problem.model.name} has that many first-layer vectors",
        )
    check_dimension(x.shape[1], r, x.shape[0])
    sizes = sizes_in(problem, x.shape[1])
    overlaps, grams = [], []
    bands = np.split(x, np.cumsum(sizes)[:-1], axis=1)
    for part, gram in zip(bands, gamma.reshape(-1, r, r), strict=True):
        factor = factor_of(gram)
        rank = factor.shape[1]
        overlaps.append(part[:, :rank] @ factor.T)
        grams.append(part[:, rank:] @ part[:, rank:].T)
    readout = as_array("readout", readout, 1)
    if len(sizes) == 1:
        return State(overlaps[0], grams[0], readout)
    return State(np.array(overlaps), np.array(grams), readout)


def sizes_in(problem: Problem, dimension: int) -> NDArray[np.int64]:
    """Dimensions of all bands of R^d.

    Raises
    ------
    theory.InputError
        They are not whole, or too small for the directions in them and C vectors.
    """
    dimension = check_dimension(dimension, problem.model.directions, problem.model.units)
    sizes = band_sizes(problem.model, dimension)
    if len(sizes) > 1:
        gamma = problem.parameters.directions_gram
        ranks = np.array([factor_of(gram).shape[1] for gram in gamma])
        check_room(sizes, ranks, problem.model.units)
    return sizes


def check_dimension(dimension: object, directions: int, units: int) -> int:
    """Refuse a dimension in which r directions and C vectors cannot be in general position."""
    return as_integer(
        "dimension",
        dimension,
        directions + units,
        f"{directions} directions and {units} units need d >= {directions + units}",
    )

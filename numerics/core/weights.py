"""Weight vectors in d dimensions with given summary statistics, and back."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from theory import InputError

from .geometry import span_basis
from .problem import Problem
from .state import State
from .takes_problem import takes_problem
from .validation import Array, as_array, as_integer, check_memory


@takes_problem
def realise_weights(problem: Problem, state: State, dimension: int) -> tuple[Array, Array]:
    """Return directions and first-layer vectors in R^d whose summary statistics are the given ones.

    The directions lie in the first r coordinates (Cholesky factor of Gamma), the parts of x
    orthogonal to them in the next C: the first ``rank`` axes of R^d are the basis of
    :func:`span_basis`.

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
    basis = span_basis(problem.parameters, state)
    placed = np.zeros((basis.coordinates.shape[0], dimension))
    placed[:, : basis.rank] = basis.coordinates
    return placed[:r], placed[r:]


@takes_problem
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
            f"{x.shape[0]} rows",
            f"{problem.model.units}, one per unit",
            f"the model {problem.model.name} has that many first-layer vectors",
        )
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

"""Coordinates: an orthonormal basis of span(directions, x), weights in R^d that realise a state, fresh samples.

Everything depends on the weights through their summary statistics only, so every d-dimensional computation may
put the directions into the first r coordinates and the rest of the weights into the next C.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory import InputError, Model

from .compiled import RANK_TOLERANCE
from .state import Array, Parameters, State, as_array, as_integer

# numbers drawn at a time: what is made beside them stays small
BLOCK_NUMBERS = 2**20


@dataclass(frozen=True)
class SpanBasis:
    """Orthonormal basis L of span(V), V = [e_1..e_r, x^1..x^C]; its first r vectors span the directions.

    Attributes
    ----------
    directions : int
        r.
    coordinates : array, shape (r + C, rank)
        Row j: the coordinates L^T V_j of generator j; coordinates @ coordinates.T is the Gram matrix W of V.
    coefficients : array, shape (rank, r + C)
        Row i: basis vector i as a combination of the generators.
    """

    directions: int
    coordinates: Array
    coefficients: Array

    @property
    def rank(self) -> int:
        """Dimension of span(V), at most r + C."""
        return int(self.coordinates.shape[1])

    @property
    def weights(self) -> Array:
        """Coordinates of x^1..x^C, shape (C, rank)."""
        return self.coordinates[self.directions :]


def span_basis(parameters: Parameters, state: State) -> SpanBasis:
    r"""Orthonormalise V = [e_1..e_r, x^1..x^C] through its Gram matrix alone.

    .. math:: W = V^TV = \begin{pmatrix}\Gamma & m^T\\ m & Q\end{pmatrix}, \qquad
              \Gamma = AA^T,\quad R_\perp = FF^T,

    gives coordinates :math:`e_s \mapsto A_s`, :math:`x^a \mapsto (A^{-1}m_a, F_a)` (mathematics.md sections 2 and 3).
    F comes from the eigenvectors of R_perp, those of eigenvalues that are 0 up to rounding dropped (R_perp may be
    singular or 0), and is then rotated to lower triangular form, so that it does not depend on how a library picks
    among eigenvectors.

    Parameters
    ----------
    parameters : Parameters
    state : State

    Returns
    -------
    SpanBasis

    Examples
    --------
    >>> basis = span_basis(Parameters([0.5, 0.5], 1, 0, 1), State([[3, 0]], [[16]]))
    >>> basis.rank, basis.coordinates[-1]
    (3, array([3., 0., 4.]))
    """
    gamma, m = parameters.directions_gram, state.overlap
    r, c = gamma.shape[0], m.shape[0]
    factor = np.linalg.cholesky(gamma)
    inverse = np.tril(np.linalg.inv(factor))
    parallel = m @ inverse.T
    squares, vectors = np.linalg.eigh((state.gram_perp + state.gram_perp.T) / 2)
    squares, vectors = squares[::-1], vectors[:, ::-1]
    # a direction whose Gram entry is rounding of the others carries no information
    smallest = max(
        RANK_TOLERANCE * squares.max(initial=0.0),
        np.finfo(float).eps ** 2 * (np.sum(parallel**2) + np.trace(state.gram_perp)),
    )
    keep = squares > smallest
    lengths, vectors = np.sqrt(squares[keep]), vectors[:, keep]
    rotation = _triangular(vectors * lengths)
    coordinates = np.block(
        [[factor, np.zeros((r, lengths.size))], [parallel, (vectors * lengths) @ rotation]]
    )
    on_weights = ((vectors / lengths) @ rotation).T
    coefficients = np.block(
        [[inverse, np.zeros((r, c))], [-on_weights @ parallel @ inverse, on_weights]]
    )
    return SpanBasis(r, coordinates, coefficients)


def _triangular(factor: Array) -> Array:
    """The rotation that makes a C x rank factor lower triangular, the first entry of every column positive."""
    rotation, _ = np.linalg.qr(factor.T)
    columns = np.abs(factor @ rotation)
    first = (columns > 1e-6 * np.linalg.norm(columns, axis=0)).argmax(axis=0)
    return np.asarray(rotation * np.sign((factor @ rotation)[first, np.arange(first.size)]))


def realise_weights(parameters: Parameters, state: State, dimension: int) -> tuple[Array, Array]:
    """Return directions and first-layer vectors in R^d whose summary statistics are the given ones.

    The directions lie in the first r coordinates (Cholesky factor of Gamma), the parts of x orthogonal to them
    in the next C: the first ``rank`` axes of R^d are the basis of :func:`span_basis`.

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
    """Summary statistics of first-layer vectors given in the coordinates of :func:`realise_weights`.

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
        x[:, :r] @ np.linalg.cholesky(gamma).T, perpendicular @ perpendicular.T,
        as_array("readout", readout, 1),
    )


def sample_mixture(
    model: Model, parameters: Parameters, directions: Array, samples: int, generator: np.random.Generator,
    dtype: str = "float64",
) -> tuple[NDArray[np.int64], Array]:
    r"""Draw features from the mixture: :math:`Y = \sum_s S_{ls}e_s + Z/\sqrt\lambda` with probability p_l.

    Parameters
    ----------
    model : theory.Model
    parameters : Parameters
    directions : array, shape (r, d)
    samples : int
    generator : numpy.random.Generator
    dtype : {"float64", "float32"}
        Of the features; they are drawn in this precision, block by block, and nothing of their size beside them.

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
    size = max(1, BLOCK_NUMBERS // dimension)
    for start in range(0, samples, size):
        block = features[start : start + size]
        generator.standard_normal(out=block, dtype=features.dtype)
        block /= scale
        block += means[component[start : start + size]]
    return component, features


def coordinates_of(model: Model) -> Array:
    """S as numbers, shape (n, r)."""
    return np.array(model.mixture.coordinates.tolist(), dtype=float)


def labels_of(model: Model) -> Array:
    """The labels y_l as numbers, shape (n,)."""
    return np.array([float(y) for y in model.mixture.labels])


def check_dimension(dimension: object, directions: int, units: int) -> int:
    """Refuse a dimension in which r directions and C vectors cannot be in general position."""
    return as_integer(
        "dimension", dimension, directions + units,
        f"{directions} directions and {units} units need d >= {directions + units}",
    )


def check_directions(parameters: Parameters, state: State) -> int:
    """Return r, after checking that Gamma and the overlap agree on it."""
    r = parameters.directions_gram.shape[0]
    if state.overlap.shape[1] != r:
        raise InputError(
            "state.overlap", f"shape {state.overlap.shape}", f"{r} columns, one per direction",
            "directions_gram and overlap must have the same directions",
        )
    return r

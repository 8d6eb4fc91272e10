"""Hypothesis strategies for weights, precisions, matrices and frames: what
:mod:`verify.strategies.problem_strategies` builds problems of.

Everything is drawn as a point of a cube and mapped to what was asked for, so that nothing has to be
filtered and every bound holds by construction.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

import numpy as np
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument
from numpy.typing import NDArray

from numerics.core.validation import as_integer, as_scalar
from theory import InputError
from verify.random_points.floating import (
    Domain,
    check_range,
    frame_at,
    frame_coordinates,
    gram_at,
    gram_coordinates,
    log_uniform,
    weights_at,
)

Array = NDArray[np.float64]
P = ParamSpec("P")
T = TypeVar("T")


def refusing(strategy: Callable[P, st.SearchStrategy[T]]) -> Callable[P, st.SearchStrategy[T]]:
    """Bad arguments are refused where the strategy is made, as hypothesis refuses its own."""

    @wraps(strategy)
    def checked(*args: P.args, **kwargs: P.kwargs) -> st.SearchStrategy[T]:
        try:
            return strategy(*args, **kwargs)
        except InputError as error:
            raise InvalidArgument(str(error)) from error

    return checked


@lru_cache(maxsize=None)
def _simplest_first() -> tuple[float, ...]:
    """Thousandths in [-1, 1]: 0, 1, -1, then one decimal, two, three; none is a denormal number."""

    def digits(n: int) -> int:
        return sum(n % power != 0 for power in (1000, 100, 10))

    return tuple(
        n / 1000 for n in sorted(range(-1000, 1001), key=lambda n: (digits(n), abs(n), n < 0))
    )


def coordinates(size: int) -> st.SearchStrategy[Array]:
    """Points of the cube [-1, 1]^size, of few digits where possible; the simplest is 0."""
    one = st.sampled_from(_simplest_first())
    return st.lists(one, min_size=size, max_size=size).map(
        lambda values: np.array(values, dtype=float)
    )


@refusing
def weights(components: int, *, least: float = 0.3) -> st.SearchStrategy[Array]:
    """Component weights of sum 1, each at least ``least`` / n; equal ones are the simplest.

    Parameters
    ----------
    components : int
        n >= 1.
    least : float
        In (0, 1]; 1 makes them equal.

    Returns
    -------
    strategy of arrays, shape (n,)
        The largest weight is at most n / ``least`` times the smallest.

    Raises
    ------
    hypothesis.errors.InvalidArgument
        n < 1, or a bound out of its domain.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(weights(4), lambda p: True).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    n = as_integer("components", components, 1, "a mixture has a component")
    bound = Domain(least_weight=least).least_weight
    return coordinates(n).map(lambda t: weights_at(t, bound))


@refusing
def precisions(low: float = 1.0, high: float = 100.0) -> st.SearchStrategy[float]:
    """Log-uniform precisions lambda in [low, high]; the simplest is the geometric mean.

    Parameters
    ----------
    low, high : float
        0 < low <= high.

    Returns
    -------
    strategy of float

    Raises
    ------
    hypothesis.errors.InvalidArgument
        An end that is not positive, or ends in the wrong order.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(precisions(1, 16), lambda precision: True)
    4.0
    """
    ends = check_range("precision", (low, high), True)
    return coordinates(1).map(lambda t: log_uniform(float(t[0]), ends))


@refusing
def gram_matrices(
    size: int, *, condition: float = 10.0, scale: float = 1.0, rank: int | None = None
) -> st.SearchStrategy[Array]:
    """Symmetric positive (semi)definite matrices of bounded condition number; the simplest are
    multiples of 1.

    Parameters
    ----------
    size : int
        n >= 1.
    condition : float
        Bound >= 1 of the condition number: eigenvalues lie in ``scale`` * [condition^-1/2,
        condition^1/2].
    scale : float
        > 0.
    rank : int, optional
        Of the matrix, from 0 to n; the bounds are those of the eigenvalues that are not 0.  n when
        omitted.

    Returns
    -------
    strategy of arrays, shape (n, n)

    Raises
    ------
    hypothesis.errors.InvalidArgument
        A size, bound or rank out of its domain.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(gram_matrices(2, scale=3), lambda gram: True).tolist()
    [[3.0, 0.0], [0.0, 3.0]]
    """
    n = as_integer("size", size, 1, "a Gram matrix has a row")
    bound = Domain(condition=condition).condition
    factor = as_scalar("scale", scale, 0.0, True, "give the size of the eigenvalues")
    if rank is not None and as_integer("rank", rank, 0, "give a rank from 0 to the size") > n:
        raise InputError(
            "rank", rank, f"an integer from 0 to {n}", "a matrix has no rank above its size"
        )
    return coordinates(gram_coordinates(n)).map(lambda t: factor * gram_at(t, n, bound, rank))


@refusing
def symmetric_matrices(
    size: int, *, condition: float = 10.0, scale: float = 1.0
) -> st.SearchStrategy[Array]:
    """Symmetric matrices with eigenvalues of either sign, none of them near 0; the identity is the
    simplest.

    Parameters
    ----------
    size : int
        n >= 1.
    condition : float
        Bound >= 1 of the condition number: |eigenvalues| lie in ``scale`` * [condition^-1/2,
        condition^1/2].
    scale : float
        > 0.

    Returns
    -------
    strategy of arrays, shape (n, n)

    Raises
    ------
    hypothesis.errors.InvalidArgument
        A size or bound out of its domain.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(symmetric_matrices(2), lambda matrix: True).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    n = as_integer("size", size, 1, "a matrix has a row")
    bound = Domain(condition=condition).condition
    factor = as_scalar("scale", scale, 0.0, True, "give the size of the eigenvalues")
    signs = st.lists(st.sampled_from((1.0, -1.0)), min_size=n, max_size=n).map(np.array)
    return st.tuples(coordinates(gram_coordinates(n)), signs).map(
        lambda drawn: factor * gram_at(drawn[0], n, bound, signs=drawn[1])
    )


@refusing
def frames(rank: int, dimension: int) -> st.SearchStrategy[Array]:
    """Orthonormal rows of R^d; the first unit vectors are the simplest.  With ``rank`` = d,
    rotations.

    Parameters
    ----------
    rank : int
        How many rows, from 1 to d.
    dimension : int
        d >= 1.

    Returns
    -------
    strategy of arrays, shape (rank, d)
        Orthonormal up to about d eps: every frame is a product of plane rotations.

    Raises
    ------
    hypothesis.errors.InvalidArgument
        A rank or dimension out of its domain.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(frames(1, 3), lambda frame: True).tolist()
    [[1.0, 0.0, 0.0]]
    """
    d = as_integer("dimension", dimension, 1, "a space has a dimension")
    r = as_integer("rank", rank, 1, "a frame has a row")
    if r > d:
        raise InputError(
            "rank", rank, f"an integer from 1 to {d}", "R^d has no more than d orthonormal vectors"
        )
    return coordinates(frame_coordinates(r, d)).map(lambda t: frame_at(t, r, d))


@refusing
def bases(rank: int, dimension: int, *, condition: float = 10.0) -> st.SearchStrategy[Array]:
    """Linearly independent rows of R^d, their Gram matrix well conditioned: directions, weights,
    any subspace.

    Parameters
    ----------
    rank : int
        How many rows, from 1 to d.
    dimension : int
        d >= 1.
    condition : float
        Bound >= 1 of the condition number of the Gram matrix of the rows; the root of it bounds
        that of the rows.

    Returns
    -------
    strategy of arrays, shape (rank, d)

    Raises
    ------
    hypothesis.errors.InvalidArgument
        A rank, dimension or bound out of its domain.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(bases(2, 3), lambda rows: True).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    # M^1/2 F is every matrix of full rank with the eigenvalues of M: F absorbs what is orthogonal
    # on the right
    bound = Domain(condition=condition).condition ** 0.5
    return st.tuples(gram_matrices(rank, condition=bound), frames(rank, dimension)).map(
        lambda pair: pair[0] @ pair[1]
    )

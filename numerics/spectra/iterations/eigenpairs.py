"""Leading eigenpairs of an empirical matrix, by the method that is cheapest for its size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from scipy.sparse.linalg import ArpackError, ArpackNoConvergence, LinearOperator, eigsh
from threadpoolctl import threadpool_limits

from numerics.core.validation import Array, as_integer, as_scalar
from numerics.spectra.operators import SecondMoment
from theory import InputError

from .block_krylov import KrylovResult, block_krylov
from .scale import Scale, column_norms, unit_of

METHODS = ("auto", "dense", "krylov", "lanczos")
# dense eigh beats a block Krylov iteration up to about this size (measured with M = 8 d)
DENSE_SIZE = 600
# numbers of the data from which products in single precision pay a copy of them
SINGLE_NUMBERS = 2**20
# random rows in the start: what the given ones miss
RANDOM_ROWS = 2


@dataclass(frozen=True)
class Eigenpairs:
    """Leading eigenpairs of a symmetric operator.

    Attributes
    ----------
    values : array, shape (count,)
        Largest first.
    vectors : array, shape (count, size)
        Orthonormal rows.
    residuals : array, shape (count,)
        True residual norms ``|M v - theta v|``, computed with the operator in double precision.
    method : str
    converged : array of bool, shape (count,)
        Whether the residual is within the tolerance asked for.
    passes : int
        How often the data were read.
    complete : bool
        With an edge: no eigenvalue beyond it was left out, as far as the iteration tells.
    """

    values: Array
    vectors: Array
    residuals: Array
    method: str
    converged: NDArray[np.bool_]
    passes: int
    complete: bool = True


@dataclass(frozen=True)
class Search:
    """How eigenpairs are looked for.

    Attributes
    ----------
    method : {"auto", "dense", "krylov", "lanczos"}
    tolerance : float
        Relative residual of a pair that has converged.
    block : int, optional
        Most vectors multiplied in a pass.
    max_passes : int
    mixed : bool
        Let products in single precision build the basis of block Krylov, with double precision to
        correct them.
    dense_size : int
        Largest matrix that "auto" diagonalises.
    relative_to_norm : bool
        Take the tolerance relative to the norm, for eigenvalues that may be zero.
    """

    method: str = "auto"
    tolerance: float = 1e-10
    block: int | None = None
    max_passes: int = 500
    mixed: bool = True
    dense_size: int = DENSE_SIZE
    relative_to_norm: bool = False

    def check(self) -> Search:
        """Itself, or what is wrong with it."""
        if self.method not in METHODS:
            raise InputError(
                "method",
                repr(self.method),
                "'auto', 'dense', 'krylov' or 'lanczos'",
                "check the spelling",
            )
        as_scalar("tolerance", self.tolerance, 0.0, True, "give a relative residual, such as 1e-8")
        as_integer("max_passes", self.max_passes, 2, "allow a few passes over the data")
        if self.block is not None:
            as_integer("block_size", self.block, 1, "multiply at least one vector at a time")
        return self

    def chosen(self, size: int, count: int) -> str:
        """The method for a matrix of that size."""
        if self.method == "auto":
            return "dense" if size <= self.dense_size or 4 * count >= size else "krylov"
        if self.method != "dense" and count >= size:
            raise InputError(
                "count", count, f"less than {size} for an iteration", "use method='dense'"
            )
        return self.method


def leading_eigenpairs(
    operator: LinearOperator,
    count: int,
    *,
    search: Search | None = None,
    matrix: Array | None = None,
    start: Array | None = None,
    edge: float | None = None,
    largest: bool = True,
) -> Eigenpairs:
    """Return the ``count`` largest eigenvalues (with sign) and their eigenvectors.

    Parameters
    ----------
    operator : SecondMoment, or any symmetric LinearOperator
    count : int
        1 to the size.
    search : Search, optional
    matrix : array, optional
        ``operator.dense()``, if it is there already.
    start : array, shape (n, size), optional
        Guesses of the eigenvectors, for block Krylov.
    edge : float, optional
        Return all eigenvalues beyond it in place of ``count``.
    largest : bool
        False: the lowest eigenvalues, still largest first, to a residual relative to the norm, as
        they may be zero; ``edge`` then bounds them from above.

    Returns
    -------
    Eigenpairs

    Raises
    ------
    theory.InputError
        ``count`` out of range, unknown method.
    ArithmeticError
        ARPACK did not converge.
    """
    search = (search or Search()).check()
    size = operator.shape[0]
    count = as_integer("count", count, 1, "ask for at least one eigenpair")
    if count > size:
        raise InputError(
            "count", count, f"at most {size}, the size of the matrix", "ask for fewer eigenpairs"
        )
    method = search.chosen(size, count)
    before = _passes(operator)
    if method == "dense":
        return _dense(
            operator, operator.dense() if matrix is None else matrix, count, edge, largest
        )
    if method == "lanczos":
        if edge is not None:
            raise InputError(
                "method", "'lanczos'", "'krylov' or 'dense' with an edge", "ARPACK needs a count"
            )
        return _lanczos(operator, count, search, largest, before)
    return _krylov(operator, count, search, start, edge, largest, before)


def _krylov(
    operator: LinearOperator,
    count: int,
    search: Search,
    start: Array | None,
    edge: float | None,
    largest: bool,
    before: int,
) -> Eigenpairs:
    size = operator.shape[0]
    scale = Scale() if not edge else Scale(unit_of(abs(edge)))
    sign = 1.0 if largest else -1.0
    single = _prepare_single(operator, search)

    def product(rows: Array, in_single: bool) -> Array:
        if isinstance(operator, SecondMoment):
            return scale.applied(sign * operator.rows_product(rows, in_single))
        return scale.applied(np.asarray(sign * (operator @ rows.T).T))

    guesses = np.zeros((0, size)) if start is None else start
    spare = RANDOM_ROWS + max(0, count - len(guesses))
    random = np.random.default_rng(0).standard_normal((min(spare, size), size))
    # the products beside the passes are small: threads of the library would only wait for those of
    # the passes
    with threadpool_limits(limits=1, user_api="blas"):
        found = block_krylov(
            product,
            np.concatenate([guesses, random]),
            count,
            tolerance=search.tolerance,
            block=search.block,
            max_passes=search.max_passes,
            single=single,
            edge=None if edge is None else sign * edge / (scale.unit or 1.0),
            relative_to_norm=search.relative_to_norm or not largest,
        )
        if edge is not None and found.complete:
            found = _with_copies(found, product, sign * edge / (scale.unit or 1.0), search)
    text = "block Krylov" + (", single precision corrected by double" if single else "")
    order = slice(None) if largest else slice(None, None, -1)
    return Eigenpairs(
        sign * found.values[order] * scale.unit,
        found.vectors[order],
        found.residuals[order] * scale.unit,
        text,
        found.converged[order],
        _passes(operator) - before,
        found.complete,
    )


def _prepare_single(operator: LinearOperator, search: Search) -> bool:
    """Whether products in single precision are there and cheaper, and asked for."""
    if not search.mixed or not isinstance(operator, SecondMoment):
        return False
    if operator.source.samples * operator.source.dimension >= SINGLE_NUMBERS:
        operator.copy_single()
    return operator.has_single


def _dense(
    operator: LinearOperator, dense: Array, count: int, edge: float | None, largest: bool
) -> Eigenpairs:
    size = len(dense)
    if edge is not None:
        values, vectors = scipy.linalg.eigh(dense)
        keep = values > edge if largest else values < edge
        values, vectors = values[keep], vectors[:, keep]
    else:
        first, last = (size - count, size - 1) if largest else (0, count - 1)
        values, vectors = scipy.linalg.eigh(dense, subset_by_index=[first, last])
        if values.size < count:
            # LAPACK's search for a few eigenvalues may lose some of a multiple one
            values, vectors = (part[..., first : last + 1] for part in scipy.linalg.eigh(dense))
    values, vectors = values[::-1], vectors[:, ::-1]
    residuals = column_norms(dense @ vectors - vectors * values)
    good = np.ones(values.size, dtype=bool)
    return Eigenpairs(values, np.ascontiguousarray(vectors.T), residuals, "dense eigh", good, 1)


def _with_copies(
    found: KrylovResult, product: Callable[[Array, bool], Array], edge: float, search: Search
) -> KrylovResult:
    """Add what lies beyond the edge and orthogonal to the pairs found.

    A multiple eigenvalue has more copies than the iteration sees, one for every row that it starts
    from: a random row off the copies found shows another, or that there is none.
    """
    size = found.vectors.shape[1]
    while found.complete and len(found.values) < size:
        vectors = found.vectors
        # the pairs found go far to the other end
        drop = found.values - (edge - 2 * (np.abs(found.values).max(initial=0.0) + abs(edge)))

        def rest(rows: Array, single: bool, vectors: Array = vectors, drop: Array = drop) -> Array:
            return product(rows, single) - ((rows @ vectors.T) * drop) @ vectors

        rows = np.random.default_rng(len(vectors)).standard_normal((RANDOM_ROWS, size))
        more = block_krylov(
            rest,
            rows - (rows @ vectors.T) @ vectors,
            1,
            tolerance=search.tolerance,
            block=search.block,
            max_passes=search.max_passes,
            edge=edge,
            relative_to_norm=search.relative_to_norm,
        )
        values = np.concatenate([found.values, more.values])
        order = np.argsort(-values, kind="stable")
        found = KrylovResult(
            values[order],
            np.concatenate([vectors, more.vectors])[order],
            np.concatenate([found.residuals, more.residuals])[order],
            np.concatenate([found.converged, more.converged])[order],
            found.passes + more.passes,
            found.columns + more.columns,
            more.complete,
        )
        if not len(more.values):
            break
    return found


def _lanczos(
    operator: LinearOperator, count: int, search: Search, largest: bool, before: int
) -> Eigenpairs:
    try:
        values, vectors = _all_copies(operator, count, min(search.tolerance, 1e-9), largest)
    except ArpackError as error:
        if not isinstance(error, ArpackNoConvergence):
            return _zero_pairs(operator, count, before, error)
        raise ArithmeticError(
            f"Lanczos found {len(error.eigenvalues)} of {count} eigenvalues of a "
            f"{operator.shape[0]} x {operator.shape[0]} operator; ask for fewer, or use "
            "method='dense'"
        ) from error
    order = np.argsort(values)[::-1]
    values, vectors = values[order], vectors[:, order]
    residuals = column_norms(operator @ vectors - vectors * values)
    good = residuals <= np.maximum(search.tolerance * np.abs(values), 1e-12 * np.abs(values).max())
    return Eigenpairs(
        values,
        np.ascontiguousarray(vectors.T),
        residuals,
        "Lanczos (scipy eigsh) on a LinearOperator",
        good,
        _passes(operator) - before,
    )


def _zero_pairs(
    operator: LinearOperator, count: int, before: int, error: ArpackError
) -> Eigenpairs:
    """The eigenpairs of a matrix of zeros, which ARPACK cannot start from."""
    size = operator.shape[0]
    if (operator @ np.random.default_rng(0).standard_normal(size)).any():
        raise error
    zeros, good = np.zeros(count), np.ones(count, dtype=bool)
    text, passes = "a matrix of zeros", _passes(operator) - before
    return Eigenpairs(zeros, np.eye(count, size), zeros.copy(), text, good, passes)


def _all_copies(
    operator: LinearOperator, count: int, tolerance: float, largest: bool
) -> tuple[Array, Array]:
    """The eigenpairs of one Lanczos run, completed by those of runs orthogonal to them.

    A run from one vector meets each eigenspace in one direction: further copies of a multiple
    eigenvalue enter by rounding, or not at all.
    """
    size, which, sign = operator.shape[0], "LA" if largest else "SA", 1 if largest else -1
    generator = np.random.default_rng(0)
    scale = Scale()

    def scaled(x: Array) -> Array:
        return scale.applied(np.asarray(operator @ x.ravel()))

    values, vectors = eigsh(
        LinearOperator((size, size), matvec=scaled, dtype=float),
        k=count,
        which=which,
        v0=generator.standard_normal(size),
        tol=tolerance,
    )
    while len(values) < size:
        spread = 2 * float(np.abs(values).max()) + 1e-300
        order = np.argsort(-sign * values, kind="stable")
        values, vectors = values[order], vectors[:, order]
        drop = values + sign * spread

        def rest(x: Array, vectors: Array = vectors, drop: Array = drop) -> Array:
            x = x.ravel()
            return np.asarray(scaled(x) - vectors @ (drop * (vectors.T @ x)))

        one, vector = eigsh(
            LinearOperator((size, size), matvec=rest, dtype=float),
            k=1,
            which=which,
            v0=generator.standard_normal(size),
            tol=tolerance,
        )
        least = values[count - 1]
        if sign * (one[0] - least) <= 1e-8 * spread:
            break
        values, vectors = np.append(values, one), np.column_stack([vectors, vector[:, 0]])
    return values[:count] * scale.unit, vectors[:, :count]


def _passes(operator: LinearOperator) -> int:
    return int(getattr(operator, "passes", 0))

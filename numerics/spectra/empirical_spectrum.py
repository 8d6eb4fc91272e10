"""Empirical Hessian and G-matrix of test or train data: leading eigenpairs, beside directions and
weights.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from numerics.alignment.misalignment import matrix_misalignment
from numerics.core.problem import Problem
from numerics.core.results import labelled
from numerics.core.state import State
from numerics.core.takes_problem import takes_problem
from numerics.core.validation import Array, as_array, as_integer, as_scalar
from numerics.data.samples import SampleData, draw_data
from theory import InputError

from .empirical_parts import block_operator, check_symmetric
from .empirical_results import first_layer_variables, leading_variables, readout_dataset
from .iterations.eigenpairs import Search, leading_eigenpairs
from .null_space import null_space
from .operators import SecondMoment
from .pairing import beyond_rank, count_ends, pair_with_population, with_lowest
from .population_block import check_block, check_matrix, default_regularized, is_of_readout
from .span_matrix import BlockName

# beyond this size the norms behind the misfit would cost more than the eigenpairs
MISFIT_SIZE = 6000
# the ends of the bulk take an iteration many passes, so that larger matrices are diagonalised for
# them
BOTH_ENDS_SIZE = 5000


@takes_problem(beside=SampleData)
def empirical_spectrum(
    problem: Problem | SampleData,
    state: State | None = None,
    *,
    dimension: int | None = None,
    samples: int | None = None,
    seed: int | np.random.SeedSequence | None = None,
    matrix: str = "hessian",
    block: BlockName = "first_layer",
    regularized: bool | None = None,
    count: int | None = None,
    weights: ArrayLike | None = None,
    dtype: str = "float64",
    method: str = "auto",
    beside: xr.Dataset | None = None,
    beyond: float | None = None,
    tolerance: float = 1e-10,
    block_size: int | None = None,
    max_passes: int = 500,
    mixed_precision: bool = True,
    start: ArrayLike | None = None,
    misfit: bool | None = None,
) -> xr.Dataset:
    r"""Return the leading eigenpairs of a matrix of test data at weights of a given state, or of
    one's own data.

    .. math:: \hat H_{ab} = \frac1M\sum_{i=1}^M H_{ab}(u_i)\,Y_iY_i^T + \beta\delta_{ab}I,\qquad
              \hat G_{ab} = \frac1M\sum_{i=1}^M g_a(u_i)g_b(u_i)\,Y_iY_i^T,\qquad u_i = xY_i

    with M fresh samples of the mixture (mathematics.md sections 1 and 8), or with the samples of a
    :class:`SampleData`, test or train data.  The derivatives are the almost-everywhere ones of the
    loss.

    Parameters
    ----------
    problem : Problem, or SampleData
        A model and Parameters may stand in place of the problem.  Data come with state, dimension,
        samples and weights, which are then left away.
    state : State
    dimension : int
        d >= r + C.
    samples : int
        M >= 1.
    seed : int or numpy SeedSequence
    matrix : {"hessian", "gradient"}
    block : (a, b), "first_layer" (or "full"), "readout" or a layer
        0-based units of a d x d block, the Cd x Cd first-layer matrix, the q x q readout block, or
        the block of a layer such as "layer 2".
    regularized : bool, optional
        Include the ridge; default of theory when omitted: yes for the Hessian, no for G.
    count : int, optional
        Number of eigenpairs; r + C for a block, C r for the full matrix, q for the readout when
        omitted.  At most the rank, or the size of the matrix for its whole spectrum.
    weights : array, shape (C, d), optional
        First-layer vectors to use (directions in the first r coordinates, as
        :func:`realise_weights` lays them out); their summary statistics must be ``state``.
    dtype : {"float64", "float32"}
        Precision of the samples; products are taken in double precision either way.
    method : {"auto", "dense", "krylov", "lanczos"}
        ``eigh`` of the matrix itself, block Krylov or ARPACK (``eigsh``) on an operator that never
        forms it.  "auto" takes the cheaper of the first two for the size.
    beside : xarray.Dataset, optional
        The :func:`numerics.population_spectrum` of the same part of the same matrix, in place of
        ``count``: return the eigenpairs that stand beside its eigenvalues, counted from both ends
        of the spectrum, since outliers may lie below the bulk, and the first of the bulk at either
        end.
    beyond : float, optional
        In place of ``count``: all eigenvalues above this number, such as a predicted edge of the
        bulk.
    tolerance : float
        Residual at which a pair has converged, relative to its eigenvalue.
    block_size : int, optional
        Most vectors that block Krylov multiplies at a time; all that have not converged when
        omitted.
    max_passes : int
        Passes over the data after which it ends; ``converged`` then tells which pairs are good.
    mixed_precision : bool
        Let block Krylov build its basis with products in single precision, corrected by double
        precision: faster, with the same residuals.  Resident float64 data are copied to float32 for
        it, which takes half their memory.
    start : array, shape (n, size), optional
        Guesses of eigenvectors for block Krylov, beside those from span(directions, x) tensor the
        units.
    misfit : bool, optional
        Compute ``misfit``; up to size 6000 when omitted.

    Returns
    -------
    xarray.Dataset
        ``eigenvalue`` (eigen), largest first; ``residual`` (eigen), true residual norms in double
        precision; ``converged`` (eigen), 1 or 0; ``eigenvector`` (eigen, [unit,] coordinate);
        ``share_of_directions``, ``mean_overlap``, ``row_weight``, ``row_share_of_directions``,
        ``misfit`` and, for a block with count >= r, ``unit_share`` and ``principal_angle``, all as
        in :func:`numerics.population_spectrum`.  For "readout" the ``eigenvector`` is (eigen,
        parameter).  What needs directions is absent where the data have none. With ``beside``:
        ``population_eigen`` (eigen), the eigenvalue of the population beside it, counted from 1, or
        0 in the bulk and beyond the rank of few samples; ``bulk_edge`` (edge), the least and the
        largest eigenvalue left by counting from the ends; for a block with r outliers
        ``outlier_share`` and ``outlier_angle``, and not ``unit_share`` and ``principal_angle``.
        attrs: ``data`` ("test data" or "train data"), the method, the number of ``passes`` over the
        data, seed and sizes; with ``beyond`` whether the list is ``complete`` (1 or 0), as far as
        the iteration tells.

    Raises
    ------
    theory.InputError
        Unknown matrix or block, d < r + C, M < 1, count out of range or above the rank, weights of
        another state.
    ArithmeticError
        ARPACK did not converge.

    Examples
    --------
    >>> from theory import kgmm
    >>> zero = State([[0, 0], [0, 0]], [[0, 0], [0, 0]])
    >>> problem = Problem(kgmm(2), weights=[0.5, 0.5], precision=10, ridge=0, step=1)
    >>> found = empirical_spectrum(problem, zero, dimension=20, samples=4000, seed=1, block=(0, 0))
    >>> found.eigenvalue.values[:2].round(1)          # population value 0.15
    array([0.2, 0.1])
    """
    options: dict[str, Any] = {
        "regularized": regularized,
        "count": count,
        "method": method,
        "beside": beside,
        "beyond": beyond,
        "tolerance": tolerance,
        "block_size": block_size,
        "max_passes": max_passes,
        "mixed_precision": mixed_precision,
        "start": start,
        "misfit": misfit,
    }
    if isinstance(problem, SampleData):
        given = {
            "state": state,
            "dimension": dimension,
            "samples": samples,
            "seed": seed,
            "weights": weights,
        }
        for name, value in given.items():
            if value is not None:
                raise InputError(
                    name, "a value beside data", "nothing", "the data have their own: leave it away"
                )
        return spectrum_of_data(problem, matrix=matrix, block=block, **options)
    kind = check_matrix(matrix)
    _check_offered(check_block(problem.model, block), kind, default_regularized(kind, regularized))
    if state is None or dimension is None or samples is None or seed is None:
        values = {"state": state, "dimension": dimension, "samples": samples, "seed": seed}
        missing = next(n for n, value in values.items() if value is None)
        raise InputError(
            missing,
            "None",
            "a value, to draw with",
            "give it, or SampleData in place of the problem",
        )
    data = draw_data(problem, state, dimension, samples, seed, weights, dtype)
    return spectrum_of_data(data, matrix=kind, block=block, **options).assign_attrs(seed=str(seed))


def spectrum_of_data(
    data: SampleData,
    *,
    matrix: str = "hessian",
    block: BlockName = "first_layer",
    regularized: bool | None = None,
    count: int | None = None,
    method: str = "auto",
    beside: xr.Dataset | None = None,
    beyond: float | None = None,
    tolerance: float = 1e-10,
    block_size: int | None = None,
    max_passes: int = 500,
    mixed_precision: bool = True,
    start: ArrayLike | None = None,
    misfit: bool | None = None,
) -> xr.Dataset:
    """Return the leading eigenpairs of a matrix of given samples; see :func:`empirical_spectrum`.

    Serves several blocks and matrices of one data set without drawing it again.

    Parameters
    ----------
    data : SampleData
        As :func:`draw_data`, :func:`user_data` or :func:`train_data` makes it.
    matrix, block, regularized, count, method, beside, beyond, tolerance, block_size, max_passes,
    mixed_precision, \
start, misfit
        As for :func:`empirical_spectrum`.
    """
    model = data.model
    kind, name = check_matrix(matrix), check_block(model, block)
    ridge_in = default_regularized(kind, regularized)
    _check_offered(name, kind, ridge_in)
    search = Search(method, tolerance, block_size, max_passes, mixed_precision).check()
    attributes = data.attributes() | {
        "matrix": kind,
        "block": str(name),
        "regularized": int(ridge_in),
    }
    if is_of_readout(name):
        return readout_dataset(data, kind, ridge_in, name, count, attributes)
    operator = block_operator(data, kind, name, ridge_in)
    rows, size = operator.blocks, operator.shape[0]
    _check_directions(data, beside)
    above, below = _how_many(data, operator, attributes, count, beside, beyond)
    if below:
        search = replace(search, dense_size=BOTH_ENDS_SIZE, relative_to_norm=True)
    guesses = _guesses(data, operator, above, start)
    edge = (
        None
        if beyond is None
        else as_scalar("beyond", beyond, -np.inf, False, "give a number, such as an edge")
    )
    dense = operator.dense() if search.chosen(size, above) == "dense" else None
    pairs = leading_eigenpairs(
        operator, above, search=search, matrix=dense, start=guesses, edge=edge
    )
    if below:
        pairs = with_lowest(
            pairs, operator, below, search, dense, _guesses(data, operator, below, None, False)
        )
    attributes |= {
        "method": pairs.method,
        "passes": pairs.passes,
        "error_estimate": float(pairs.residuals.max(initial=0.0)),
        "error_meaning": "largest residual norm; every eigenvalue is within its residual of an "
        "exact one",
    }
    if edge is not None:
        attributes |= {"beyond": edge, "complete": int(pairs.complete)}
    vectors = pairs.vectors.reshape(-1, rows, data.dimension)
    variables = first_layer_variables(data, vectors, name)
    if beside is None:
        variables |= leading_variables(data, vectors, name)
    else:
        empty = beyond_rank(pairs.values, data.samples, size, operator.shift_value)
        variables |= pair_with_population(beside, data, pairs, name, empty)
    variables |= {
        "eigenvalue": ("eigen", pairs.values),
        "residual": ("eigen", pairs.residuals, {"long_name": "|M v - theta v|"}),
        "converged": (
            "eigen",
            pairs.converged.astype(np.int8),
            {"long_name": "1 where within the tolerance"},
        ),
    }
    if data.directions is not None and (misfit or (misfit is None and size <= MISFIT_SIZE)):
        value = matrix_misalignment(
            operator if dense is None else dense, np.kron(np.eye(rows), data.directions)
        )
        variables["misfit"] = ((), value, {"long_name": "|P_perp M| / |M|"})
    return labelled(model, variables, attributes)


def _check_offered(name: BlockName, kind: str, ridge_in: bool) -> None:
    if name == "all":
        raise InputError(
            "block",
            "'all'",
            "a pair of units, 'first_layer' or 'readout'",
            "ask for the parts one by one",
        )
    check_symmetric(name, kind, ridge_in)


def _check_directions(data: SampleData, beside: xr.Dataset | None) -> None:
    if beside is not None and data.directions is None:
        raise InputError(
            "beside",
            "a population spectrum",
            "None for data without directions",
            "give directions with the data",
        )


def _how_many(
    data: SampleData,
    operator: SecondMoment,
    attributes: dict[str, Any],
    count: int | None,
    beside: xr.Dataset | None,
    beyond: float | None,
) -> tuple[int, int]:
    """Eigenpairs to take from the upper and from the lower end."""
    rows, r, size = operator.blocks, data.model.directions, operator.shape[0]
    if beyond is not None and (count is not None or beside is not None):
        raise InputError("beyond", beyond, "None with count or beside", "ask in one way only")
    if beside is not None:
        return count_ends(beside, attributes, count, size)
    if count is None:
        return min(rows * r if rows > 1 else r + data.model.units, size), 0
    count = as_integer("count", count, 1, "ask for an eigenpair")
    if count < size:
        rank = null_space(operator).rank
        if count > rank:
            raise InputError(
                "count",
                count,
                f"at most {rank}, the rank of the matrix of {data.samples} samples",
                f"ask for fewer eigenpairs, or for the whole spectrum with count={size}",
            )
    return count, 0


def _guesses(
    data: SampleData,
    operator: SecondMoment,
    count: int,
    start: ArrayLike | None,
    largest: bool = True,
) -> Array:
    """Ritz vectors of the operator on C^k (x) span(directions, x), best first, and guesses of the
    user's.
    """
    rows, basis = operator.blocks, data.span
    coefficients = np.linalg.lstsq(data.generators.T, basis.T, rcond=None)[0].T
    small = operator.compressed(coefficients @ data.projections, basis)
    _, vectors = np.linalg.eigh(small)
    best = vectors[:, ::-1][:, :count] if largest else vectors[:, :count]
    # weights of zero without directions span nothing: there is then no guess
    parts = best.reshape(rows, len(basis), best.shape[1]).transpose(1, 0, 2)
    found = np.einsum("ran,rd->nad", parts, basis)
    guesses = found.reshape(-1, operator.shape[0])
    if not largest:
        # exact eigenvectors of zero, or of the ridge, where the weights have a common null space
        kernel = null_space(operator).kernel[:1]
        guesses = np.concatenate([np.kron(kernel, basis[:1]), guesses])
    if start is None:
        return guesses
    own = as_array("start", start, 2)
    if own.shape[1] != operator.shape[0]:
        raise InputError(
            "start",
            f"shape {own.shape}",
            f"rows of length {operator.shape[0]}",
            "give guesses of eigenvectors as rows",
        )
    return np.concatenate([own, guesses])

"""The leading eigenpairs of a matrix of given samples."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from numerics.alignment.misalignment import matrix_misalignment
from numerics.core.results import labelled
from numerics.core.validation import Array, as_array, as_integer, as_scalar
from numerics.data.samples import SampleData
from theory import InputError
from theory.errors import check_choice

from .empirical_parts import block_operator, check_symmetric
from .empirical_results import (
    direction_parts,
    first_layer_variables,
    leading_variables,
    readout_dataset,
)
from .iterations.eigenpairs import Eigenpairs, Search, leading_eigenpairs
from .null_space import null_space
from .operators import SecondMoment
from .pairing import beyond_rank, count_ends, joined, pair_with_population
from .population_block import check_block, check_matrix, is_of_readout, one_ridge
from .span_matrix import BlockName

# beyond this size the norms behind the misfit would cost more than the eigenpairs
MISFIT_SIZE = 6000
# the ends of the bulk take an iteration many passes, so that larger matrices are diagonalised for
# them
BOTH_ENDS_SIZE = 5000
ENDS = ("largest", "smallest")


def spectrum_of_data(
    data: SampleData,
    *,
    matrix: str = "hessian",
    block: BlockName = "first_layer",
    regularized: bool | None = None,
    count: int | None = None,
    which: str = "largest",
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
    matrix, block, regularized, count, which, method, beside, beyond, tolerance, block_size, \
max_passes, mixed_precision, start, misfit
        As for :func:`empirical_spectrum`.
    """
    model = data.model
    kind, name = check_matrix(matrix), check_block(model, block)
    ridge_in = one_ridge(model, kind, regularized)
    check_offered(name, kind, ridge_in)
    at_the_top = check_choice("which", which, ENDS) == "largest"
    search = Search(method, tolerance, block_size, max_passes, mixed_precision).check()
    attributes = data.attributes() | {
        "matrix": kind,
        "block": str(name),
        "regularized": int(ridge_in),
    }
    if is_of_readout(name):
        return readout_dataset(data, kind, ridge_in, name, count, at_the_top, attributes)
    operator = block_operator(data, kind, name, ridge_in)
    rows, size = operator.blocks, operator.shape[0]
    _check_directions(data, beside)
    if not at_the_top and not (beside is None and beyond is None):
        raise InputError("which", which, "'largest' with beside or beyond", "leave it away")
    above, below = _how_many(data, operator, attributes, count, beside, beyond, at_the_top)
    if below:
        search = replace(search, dense_size=BOTH_ENDS_SIZE, relative_to_norm=True)
    edge = (
        None
        if beyond is None
        else as_scalar("beyond", beyond, -np.inf, False, "give a number, such as an edge")
    )
    dense = operator.dense() if search.chosen(size, above or below) == "dense" else None
    pairs = _from_both_ends(data, operator, (above, below), search, dense, start, edge)
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
    if beside is None and at_the_top:
        variables |= leading_variables(data, vectors, name)
    elif beside is not None:
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
    parts = direction_parts(data)
    if parts is not None and (misfit or (misfit is None and size <= MISFIT_SIZE)):
        value = matrix_misalignment(
            operator if dense is None else dense, np.kron(np.eye(rows), parts)
        )
        variables["misfit"] = ((), value, {"long_name": "|P_perp M| / |M|"})
    return labelled(model, variables, attributes)


def check_offered(name: BlockName, kind: str, ridge_in: bool) -> None:
    """Refuse what has no eigenpairs here: everything at once, and blocks that are not symmetric."""
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
    at_the_top: bool = True,
) -> tuple[int, int]:
    """Eigenpairs to take from the upper and from the lower end."""
    rows, r, size = operator.blocks, data.model.directions, operator.shape[0]
    if beyond is not None and (count is not None or beside is not None):
        raise InputError("beyond", beyond, "None with count or beside", "ask in one way only")
    if beside is not None:
        return count_ends(beside, attributes, count, size)
    if count is None:
        count = min(rows * r if rows > 1 else r + data.model.units, size)
        return (count, 0) if at_the_top else (0, count)
    count = as_integer("count", count, 1, "ask for an eigenpair")
    if not at_the_top:
        return 0, min(count, size)
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


def _from_both_ends(
    data: SampleData,
    operator: SecondMoment,
    counts: tuple[int, int],
    search: Search,
    dense: Array | None,
    start: ArrayLike | None,
    edge: float | None,
) -> Eigenpairs:
    """Eigenpairs from the upper and the lower end; ``start`` guesses at the first that is asked."""
    ends: list[Eigenpairs] = []
    for count, largest in zip(counts, (True, False), strict=True):
        if count:
            guesses = _guesses(data, operator, count, None if ends else start, largest)
            ends.append(
                leading_eigenpairs(
                    operator,
                    count,
                    search=search,
                    matrix=dense,
                    start=guesses,
                    edge=edge,
                    largest=largest,
                )
            )
    return joined(ends)

"""Population Hessian and G blocks as small dense matrices in an orthonormal basis of
span(directions, x).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from numerics.core.geometry import span_basis
from numerics.core.problem import Problem
from numerics.core.state import State, check_state
from numerics.core.takes_problem import takes_problem
from numerics.core.validation import Array, as_scalar
from numerics.expectations.compiled import compile_expressions, sampling_error
from theory import (
    BlockMatrix,
    InputError,
    Model,
    derive_fisher,
    derive_gauss_newton,
    derive_gradient_matrix,
    derive_hessian,
)
from theory.problem.layers import FIRST_LAYER, positions_of
from theory.problem.output.output_law import FISHER, GAUSS_NEWTON

from .span_matrix import BlockName, SpanMatrix

MATRICES = ("hessian", "gradient", GAUSS_NEWTON, FISHER)
_DERIVE: dict[str, Callable[..., BlockMatrix]] = {
    "hessian": derive_hessian,
    "gradient": derive_gradient_matrix,
    GAUSS_NEWTON: derive_gauss_newton,
    FISHER: derive_fisher,
}


@takes_problem(bands=True, tokens=True)
def population_block(
    problem: Problem,
    state: State,
    *,
    matrix: str = "hessian",
    block: BlockName = "first_layer",
    regularized: bool | None = None,
    blocks: BlockMatrix | None = None,
    tolerance: float | Array | None = None,
    seed: int = 0,
) -> SpanMatrix:
    r"""Evaluate a population matrix on span(directions, x).

    In the orthonormal basis L of :func:`numerics.core.geometry.span_basis`, V = L T^T, a block V B
    V^T + c I is :math:`T^TBT + cI` (mathematics.md section 3).  With bands V holds the parts
    P_g e_s and P_g x^a of every band, and the bulk is :math:`\sum_gc_gP_g` (section 10).

    Parameters
    ----------
    problem : Problem
        Or a model and Parameters in its place.
    state : State
    matrix : {"hessian", "gradient", "gauss-newton", "fisher"}
    block : (a, b) of 0-based units, "first_layer" (or "full"), "readout" or "all"
        Or a layer by its name: "layer 1" is the first layer, "layer 2" the first weights in v.
    regularized : bool, optional
        Include the ridge; default of theory when omitted: yes for the Hessian, no for G.
    blocks : theory.BlockMatrix, optional
        Evaluate these expressions instead of the derived ones.
    tolerance : float, or array of the shape of the matrix, optional
        Absolute error asked of the quadrature: of every number, or of each entry.
    seed : int
        Root seed of quasi-Monte Carlo scramblings (unused by tensor rules).

    Returns
    -------
    SpanMatrix

    Raises
    ------
    theory.InputError
        Unknown matrix or block, a readout block of a model without readout, bad shapes.

    Examples
    --------
    The square loss has Hessian E[Y Y^T] = e e^T + I / lambda:

    >>> from theory import Loss, Mixture, Model, symbols
    >>> u = symbols.vector("u", 1)
    >>> one = Mixture.build(weights=[1], labels=[0], coordinates=[[1]], directions_gram=[[1]])
    >>> model = Model.build(one, Loss(u[0]**2 / 2, units=1))
    >>> problem = Problem(model, precision=4, ridge=0, step=1)
    >>> small = population_block(problem, State([[1]], [[1]]))
    >>> small.matrix, small.bulk
    (array([[1.25, 0.  ],
           [0.  , 0.25]]), array([[0.25]]))
    """
    model, parameters = problem.model, problem.parameters
    check_state(model, state, "state")
    kind, name = check_matrix(matrix), check_block(model, block)
    remedy = "give an absolute error, such as 1e-8"
    scale: Array | float = 1.0
    if isinstance(tolerance, np.ndarray) and tolerance.ndim:
        # entries that are asked for more count for more
        as_scalar("tolerance", tolerance.min(), 0.0, True, remedy)
        largest = as_scalar("tolerance", tolerance.max(), 0.0, True, remedy)
        tolerance, scale = largest, largest / tolerance
    elif tolerance is not None:
        tolerance = as_scalar("tolerance", tolerance, 0.0, True, remedy)
    derived = _chosen(model, kind, regularized, blocks)
    needed = _needed(derived, name)
    basis = span_basis(parameters, state)

    def assemble(values: Array) -> tuple[Array, Array]:
        return _assemble(model, name, basis.coordinates, basis.bands, values)

    def judged(values: Array) -> Array:
        whole, bulk = assemble(values)
        return np.concatenate([(whole * scale).ravel(), bulk.ravel()])

    estimate = compile_expressions(model, needed, "numpy").estimate(
        parameters, state, tolerance=tolerance, seed=seed, judge=judged
    )
    whole, bulk = assemble(estimate.values)
    rounding = 16 * np.finfo(float).eps
    samples = None
    if estimate.samples is None:
        errors = estimate.errors + rounding * np.abs(estimate.values)
        t = np.abs(basis.coordinates)
        matrix_error, bulk_error = _assemble(model, name, t, basis.bands, errors)
    else:
        # coefficients on nearly parallel weights are large and cancel: only the matrix itself has a
        # useful error
        matrices, bulks = zip(*(assemble(row) for row in estimate.samples), strict=True)
        samples = np.array(matrices), np.array(bulks)
        matrix_error, bulk_error = map(sampling_error, samples)
    return SpanMatrix(
        derived.kind,
        name,
        derived.regularized,
        whole,
        bulk,
        basis,
        matrix_error,
        bulk_error,
        str(estimate.rule),
        samples,
    )


def check_matrix(matrix: object) -> str:
    """Return the canonical name of a matrix."""
    if not isinstance(matrix, str) or matrix not in MATRICES:
        raise InputError(
            "matrix",
            repr(matrix),
            f"one of {MATRICES}",
            f"write one of {', '.join(map(repr, MATRICES))}; 'gradient' is E[grad L grad L^T]",
        )
    return str(matrix)


def check_block(model: Model, block: object) -> BlockName:
    """Return the canonical name of a block: a pair of 0-based units, 'first_layer', 'readout',
    'all', or a layer of v.
    """
    names = ("first_layer", "readout", "all", *(layer.name for layer in model.loss.layers))
    if isinstance(block, str):
        name = "first_layer" if block in ("full", FIRST_LAYER) else block
        if name in ("readout", "all") and not model.readout_size:
            raise InputError(
                "block",
                repr(block),
                "a first-layer block",
                f"the model {model.name} has no readout parameters",
            )
        if name in names:
            return name
    elif isinstance(block, Iterable):
        pair = tuple(islice(block, 3))
        integers = all(isinstance(a, (int, np.integer)) and not isinstance(a, bool) for a in pair)
        if len(pair) == 2 and integers and all(0 <= a < model.units for a in pair):
            return int(pair[0]), int(pair[1])
    raise InputError(
        "block",
        repr(block),
        f"a pair of units in 0..{model.units - 1}, or one of {names}",
        "count units from 0",
    )


def readout_positions(model: Model, name: BlockName) -> range:
    """Positions in v of the readout rows of a part; none for a part of the first layer."""
    if isinstance(name, tuple) or name == "first_layer":
        return range(0)
    if name in ("readout", "mixed", "all"):
        return range(model.readout_size)
    return positions_of(model.loss.layers, name)


def parameter_labels(model: Model, name: BlockName) -> Array:
    """1-based positions in v of the readout rows of a part, as in the symbols."""
    return np.array(readout_positions(model, name), dtype=int) + 1


def is_of_readout(name: BlockName) -> bool:
    """Whether a part has readout rows alone: the readout or a layer of it."""
    return isinstance(name, str) and name not in ("first_layer", "mixed", "all")


def default_regularized(matrix: str, regularized: bool | None) -> bool:
    """The ridge convention of the theory: in the Hessian by default, not in G."""
    return matrix in ("hessian", GAUSS_NEWTON) if regularized is None else bool(regularized)


def one_ridge(model: Model, matrix: str, regularized: bool | None) -> bool:
    """:func:`default_regularized` where the ridge is one number for all weights.

    Raises
    ------
    theory.InputError
        The model has ridges by layer or unit, and they are to be included.
    """
    found = default_regularized(matrix, regularized)
    if found and any(ridge != model.ridge for ridge in model.ridges):
        remedy = "leave the ridges out, regularized=False; population spectra know them"
        got = "True for a model with ridges by layer or unit"
        raise InputError("regularized", got, "False, or one ridge", remedy)
    return found


def _chosen(
    model: Model, matrix: str, regularized: bool | None, blocks: BlockMatrix | None
) -> BlockMatrix:
    """The derived blocks, or the given ones if they are what was asked for."""
    if blocks is None:
        return _DERIVE[matrix](model, regularized=default_regularized(matrix, regularized))
    if blocks.kind != matrix:
        raise InputError(
            "blocks", f"a {blocks.kind} matrix", f"a {matrix} matrix", "give the same matrix="
        )
    if regularized is not None and blocks.regularized != regularized:
        raise InputError(
            "regularized",
            regularized,
            f"{blocks.regularized}, as the given blocks",
            "omit it with blocks=",
        )
    return blocks


def _pairs(model: Model, name: BlockName) -> list[tuple[int, int]]:
    """First-layer blocks of a part, row by row."""
    if isinstance(name, tuple):
        return [name]
    units = range(0 if is_of_readout(name) else model.units)
    return [(a, b) for a in units for b in units]


def _needed(derived: BlockMatrix, name: BlockName) -> Sequence[sp.Expr]:
    """All expressions of a part: per first-layer block the coefficients and the bulk; mixed;
    readout.
    """
    pairs, chosen = _pairs(derived.model, name), readout_positions(derived.model, name)
    return derived.entries(pairs, mixed=name == "all", readout=chosen)


def _assemble(
    model: Model, name: BlockName, t: Array, bands: NDArray[np.intp], numbers: Array
) -> tuple[Array, Array]:
    """Matrix and bulk of a part from its numbers in the order of :func:`_needed`, on the basis of
    coordinates t, whose vectors lie in these bands.

    Linear in the numbers; with |t| and bounds of their errors it gives bounds of the errors of the
    entries.
    """
    generators, rank = t.shape
    q = len(readout_positions(model, name))
    n = round(len(_pairs(model, name)) ** 0.5)
    size = n * rank + q
    out, bulk, at = np.zeros((size, size)), np.zeros((model.bands, n, n)), 0
    for k in range(n * n):
        i, j = divmod(k, n)
        coefficients = numbers[at : at + generators**2].reshape(generators, generators)
        at += generators**2
        bulk[:, i, j] = levels = numbers[at : at + model.bands]
        at += model.bands
        rows, columns = slice(i * rank, (i + 1) * rank), slice(j * rank, (j + 1) * rank)
        out[rows, columns] = t.T @ coefficients @ t + np.diag(levels[bands])
    if name == "all":
        mixed = numbers[at : at + n * q * generators].reshape(n, q, generators) @ t
        at += n * q * generators
        out[: n * rank, n * rank :] = mixed.transpose(0, 2, 1).reshape(n * rank, q)
        out[n * rank :, : n * rank] = out[: n * rank, n * rank :].T
    if q:
        out[n * rank :, n * rank :] = numbers[at:].reshape(q, q)
    return out, bulk[0] if model.bands == 1 else bulk

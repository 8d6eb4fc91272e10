"""Population Hessian and G blocks as small dense matrices in an orthonormal basis of span(directions, x)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import sympy as sp

from theory import BlockMatrix, InputError, Model, derive_gradient_matrix, derive_hessian

from .compiled import compile_expressions, sampling_error
from .layout import SpanBasis, span_basis
from .state import Array, Parameters, State, as_scalar, check_parameters, check_state

MATRICES = ("hessian", "gradient")
# a block of 0-based units, or a named part of the matrix
BlockName = tuple[int, int] | str


@dataclass(frozen=True)
class SpanMatrix:
    r"""A population matrix, or a block of it, without its d x d entries.

    .. math:: M = (I_n\otimes L)\,(\text{matrix} - \mathsf c\otimes I)\,(I_n\otimes L)^T + \mathsf c\otimes I_d

    with L the orthonormal basis and :math:`\mathsf c` the bulk matrix (mathematics.md section 3): on span(L) it is
    ``matrix``, on the orthogonal complement ``bulk``.

    Attributes
    ----------
    kind : {"hessian", "gradient"}
    block : (a, b), "first_layer", "readout" or "all"
    regularized : bool
    matrix : array, shape (n rank + q', n rank + q')
        n = C for the full first layer and 1 for a block; unit-major (row a * rank + i is basis vector i in the
        block row of x^a).  q' = q readout rows at the end for "all"; for "readout" nothing else.
    bulk : array, shape (n, n)
    basis : SpanBasis
    matrix_error, bulk_error : array
        Bounds of the error of every entry (quadrature and rounding).
    quadrature : str
    """

    kind: str
    block: BlockName
    regularized: bool
    matrix: Array
    bulk: Array
    basis: SpanBasis
    matrix_error: Array
    bulk_error: Array
    quadrature: str

    @property
    def rows(self) -> int:
        """n, the number of first-layer block rows."""
        return int(self.bulk.shape[0])

    @property
    def eigenvalue_error(self) -> float:
        """Bound of the error of every eigenvalue of ``matrix`` (Weyl: the norm of its perturbation)."""
        return _norm(self.matrix_error)

    def check_symmetric(self) -> None:
        """Refuse a block without real spectrum: G with ridge has non-symmetric blocks off the diagonal."""
        if np.any(np.abs(self.matrix - self.matrix.T) > self.matrix_error + self.matrix_error.T):
            raise InputError(
                "block", self.block, "a symmetric block",
                "use regularized=False, a diagonal block or block='first_layer'",
            )

    @property
    def misalignment_error(self) -> float:
        """Bound of the error of :attr:`misalignment`, from the errors of the entries."""
        total = max(_norm(self.matrix), _norm(self.bulk))
        error = max(_norm(self.matrix_error), _norm(self.bulk_error))
        return (1 + self.misalignment) * error / total if total > 0 else 0.0

    @property
    def misalignment(self) -> float:
        r"""Distance of the matrix from the span of the directions, :math:`\|P_\perp M\|_{op}/\|M\|_{op}`.

        P_perp projects every first-layer row off Span(e_1..e_r) and keeps nothing of the readout; the bulk counts
        (mathematics.md section 8).
        """
        r, rank = self.basis.directions, self.basis.rank
        outside = np.zeros(self.matrix.shape[0], dtype=bool)
        outside[: self.rows * rank] = np.tile(np.arange(rank) >= r, self.rows)
        bulk = _norm(self.bulk)
        total = max(_norm(self.matrix), bulk)
        return max(_norm(self.matrix[outside]), bulk) / total if total > 0 else 0.0


def population_block(
    model: Model,
    parameters: Parameters,
    state: State,
    *,
    matrix: str = "hessian",
    block: BlockName = "first_layer",
    regularized: bool | None = None,
    blocks: BlockMatrix | None = None,
    tolerance: float | None = None,
    seed: int = 0,
) -> SpanMatrix:
    r"""Evaluate a population matrix on span(directions, x).

    In the orthonormal basis L of :func:`numerics.layout.span_basis`, V = L T^T, a block V B V^T + c I is
    :math:`T^TBT + cI` (mathematics.md section 3).

    Parameters
    ----------
    model : theory.Model
    parameters : Parameters
    state : State
    matrix : {"hessian", "gradient"}
    block : (a, b) of 0-based units, "first_layer" (or "full"), "readout" or "all"
    regularized : bool, optional
        Include the ridge; default of theory when omitted: yes for the Hessian, no for G.
    blocks : theory.BlockMatrix, optional
        Evaluate these expressions instead of the derived ones.
    tolerance : float, optional
        Absolute error of the coefficients asked of the quadrature.
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
    >>> small = population_block(model, Parameters([1], 4, 0, 1), State([[1]], [[1]]))
    >>> small.matrix, small.bulk
    (array([[1.25, 0.  ],
           [0.  , 0.25]]), array([[0.25]]))
    """
    check_parameters(model, parameters)
    check_state(model, state, "state")
    kind, name = check_matrix(matrix), check_block(model, block)
    if tolerance is not None:
        tolerance = as_scalar("tolerance", tolerance, 0.0, True, "give an absolute error, such as 1e-8")
    derived = _chosen(model, kind, regularized, blocks)
    needed = _needed(derived, name)
    distinct = tuple(dict.fromkeys(needed))
    position = {e: i for i, e in enumerate(distinct)}
    index = np.array([position[e] for e in needed], dtype=int)
    basis = span_basis(parameters, state)

    def assemble(values: Array) -> tuple[Array, Array]:
        return _assemble(model, name, basis.coordinates, values[index])

    estimate = compile_expressions(model, distinct, "numpy").estimate(
        parameters, state, tolerance=tolerance, seed=seed,
        judge=lambda values: np.concatenate([part.ravel() for part in assemble(values)]),
    )
    whole, bulk = assemble(estimate.values)
    rounding = 16 * np.finfo(float).eps
    if estimate.samples is None:
        errors = (estimate.errors + rounding * np.abs(estimate.values))[index]
        matrix_error, bulk_error = _assemble(model, name, np.abs(basis.coordinates), errors)
    else:
        # coefficients on nearly parallel weights are large and cancel: only the matrix itself has a useful error
        matrices, bulks = zip(*(assemble(row) for row in estimate.samples), strict=True)
        matrix_error, bulk_error = sampling_error(np.array(matrices)), sampling_error(np.array(bulks))
    return SpanMatrix(
        derived.kind, name, derived.regularized, whole, bulk, basis, matrix_error, bulk_error, str(estimate.rule)
    )


def check_matrix(matrix: object) -> str:
    """Return the canonical name of a matrix."""
    if matrix not in MATRICES:
        raise InputError("matrix", repr(matrix), f"one of {MATRICES}", "'gradient' is G = E[grad L grad L^T]")
    return str(matrix)


def check_block(model: Model, block: object) -> BlockName:
    """Return the canonical name of a block: a pair of 0-based units, 'first_layer', 'readout' or 'all'."""
    names = ("first_layer", "readout", "all")
    if isinstance(block, str):
        name = "first_layer" if block == "full" else block
        if name in ("readout", "all") and not model.readout_size:
            raise InputError(
                "block", repr(block), "a first-layer block", f"the model {model.name} has no readout parameters"
            )
        if name in names:
            return name
    elif isinstance(block, Iterable):
        pair = tuple(block)
        integers = all(isinstance(a, (int, np.integer)) and not isinstance(a, bool) for a in pair)
        if len(pair) == 2 and integers and all(0 <= a < model.units for a in pair):
            return int(pair[0]), int(pair[1])
    raise InputError(
        "block", repr(block), f"a pair of units in 0..{model.units - 1}, or one of {names}",
        "count units from 0",
    )


def default_regularized(matrix: str, regularized: bool | None) -> bool:
    """The ridge convention of the theory: in the Hessian by default, not in G."""
    return matrix == "hessian" if regularized is None else bool(regularized)


def _norm(matrix: Array) -> float:
    """Operator norm, 0 for an empty matrix."""
    return float(np.linalg.norm(matrix, 2)) if matrix.size else 0.0


@lru_cache(maxsize=64)
def _derived(model: Model, matrix: str, regularized: bool) -> BlockMatrix:
    route = "stein" if model.loss.is_smooth else "projection"
    derive = derive_hessian if matrix == "hessian" else derive_gradient_matrix
    return derive(model, route, regularized=regularized)


def _chosen(
    model: Model, matrix: str, regularized: bool | None, blocks: BlockMatrix | None
) -> BlockMatrix:
    """The derived blocks, or the given ones if they are what was asked for."""
    if blocks is None:
        return _derived(model, matrix, default_regularized(matrix, regularized))
    if blocks.kind != matrix:
        raise InputError("blocks", f"a {blocks.kind} matrix", f"a {matrix} matrix", "give the same matrix=")
    if regularized is not None and blocks.regularized != regularized:
        raise InputError(
            "regularized", regularized, f"{blocks.regularized}, as the given blocks", "omit it with blocks="
        )
    return blocks


def _pairs(model: Model, name: BlockName) -> list[tuple[int, int]]:
    """First-layer blocks of a part, row by row."""
    if isinstance(name, tuple):
        return [name]
    units = range(model.units) if name != "readout" else range(0)
    return [(a, b) for a in units for b in units]


def _needed(derived: BlockMatrix, name: BlockName) -> list[sp.Expr]:
    """All expressions of a part: per first-layer block the coefficients and the bulk; mixed; readout."""
    expressions: list[sp.Expr] = []
    for a, b in _pairs(derived.model, name):
        found = derived.block(a, b)
        expressions += [*found.coefficients, found.bulk]
    if name == "all":
        expressions += list(derived.mixed)
    if name in ("readout", "all"):
        expressions += list(derived.readout)
    return expressions


def _assemble(model: Model, name: BlockName, t: Array, numbers: Array) -> tuple[Array, Array]:
    """Matrix and bulk of a part from its numbers in the order of :func:`_needed`, on the basis of coordinates t.

    Linear in the numbers; with |t| and bounds of their errors it gives bounds of the errors of the entries.
    """
    generators, rank = t.shape
    q = model.readout_size
    n = round(len(_pairs(model, name)) ** 0.5)
    tail = q if name in ("readout", "all") else 0
    size = n * rank + tail
    out, bulk, at = np.zeros((size, size)), np.zeros((n, n)), 0
    for k in range(n * n):
        i, j = divmod(k, n)
        coefficients = numbers[at : at + generators**2].reshape(generators, generators)
        bulk[i, j] = numbers[at + generators**2]
        at += generators**2 + 1
        out[i * rank : (i + 1) * rank, j * rank : (j + 1) * rank] = t.T @ coefficients @ t + bulk[i, j] * np.eye(rank)
    if name == "all":
        mixed = numbers[at : at + n * q * generators].reshape(n, q, generators) @ t
        at += n * q * generators
        out[: n * rank, n * rank :] = mixed.transpose(0, 2, 1).reshape(n * rank, q)
        out[n * rank :, : n * rank] = out[: n * rank, n * rank :].T
    if tail:
        out[n * rank :, n * rank :] = numbers[at:].reshape(q, q)
    return out, bulk

"""Spectra of the population Hessian and G-matrix from the summary statistics alone, at any
dimension.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from numerics.alignment.eigenspace_angles import eigenspace_share, principal_angles
from numerics.core.problem import Problem
from numerics.core.results import common_attributes, unit_coordinates
from numerics.core.state import State
from numerics.core.takes_problem import takes_problem
from numerics.core.validation import Array
from numerics.core.weights import sizes_in
from theory import BlockMatrix, Model

from .leading_space import top_variables
from .population_block import parameter_labels, population_block
from .span_matrix import BlockName, SpanMatrix

# of a matrix with several bulk levels: eigenvalues closer to one than this share of the farthest
# belong to the bulk
OUTLIER_SHARE = 0.05


@takes_problem(bands=True, tokens=True)
def population_spectrum(
    problem: Problem,
    state: State,
    *,
    matrix: str = "hessian",
    block: BlockName = "first_layer",
    regularized: bool | None = None,
    dimension: int | None = None,
    blocks: BlockMatrix | None = None,
    tolerance: float | None = None,
    seed: int = 0,
) -> xr.Dataset:
    r"""Return eigenvalues and eigenvectors of a population matrix, without a d x d matrix.

    .. math:: E_l[hYY^T]\text{-sums} = VBV^T + cI:\quad
              c \text{ with multiplicity } d-\mathrm{rank}\,V,
              \text{ and the eigenvalues of } cI + W^{1/2}BW^{1/2},\quad W = V^TV

    (mathematics.md section 3); for the full first layer c is the C x C bulk matrix and each of its
    eigenvalues has that multiplicity.  With bands V holds the parts of directions and weights in
    every band, each band has a bulk of its own, and shares and angles are against the span of the
    directions' parts P_g e_s (section 10).

    Parameters
    ----------
    problem : Problem
        Or a model and Parameters in its place.
    state : State
    matrix : {"hessian", "gradient", "gauss-newton", "fisher"}
    block : (a, b), "first_layer" (or "full"), "readout", a layer or "all"
        0-based units of a d x d block; the Cd x Cd first-layer matrix; the q x q readout block; the
        block of a layer such as "layer 2"; or everything.
    regularized : bool, optional
        Include the ridge; default of theory when omitted: yes for the Hessian, no for G.
    dimension : int, optional
        d >= r + C, only to state the multiplicity of the bulk.
    blocks : theory.BlockMatrix, optional
        Evaluate these expressions instead of the derived ones.
    tolerance : float, optional
        Absolute error of the coefficients asked of the quadrature.
    seed : int
        Root seed of quasi-Monte Carlo scramblings (unused by tensor rules).

    Returns
    -------
    xarray.Dataset
        ``eigenvalue`` (eigen) on span(directions, x), largest first, and ``eigenvalue_error``;
        ``bulk`` ([band,] level) and, with a dimension, ``bulk_multiplicity``; ``eigenvector``
        (eigen, [unit,] span) in the orthonormal basis ``basis`` (span, generator) and, for "all"
        and "readout", ``eigenvector_readout`` (eigen, parameter); ``share_of_directions`` (eigen),
        squared length of the projection on Span(e_1..e_r) in every row; ``mean_overlap`` (eigen,
        [unit,] direction), squared cosine with e_s; for the full matrix also ``row_weight`` (eigen,
        unit), squared length in the row of x^a; ``misfit``, distance of the matrix from the span of
        the directions (section 8).  For a block, with E_r the span of the r leading eigenvectors (r
        directions): ``unit_share`` (unit), the share of x^a in E_r, and ``principal_angle`` (angle)
        between E_r and Span(e_1..e_r) in radians, with ``unit_share_error`` and
        ``principal_angle_error``.  attrs ``top_separated`` is 1 when E_r is
        determined, that is when the r-th eigenvalue exceeds the next one *and the bulk* by more
        than the error; ``top_gap`` is that distance.

        Outliers may lie below the bulk, as those of off-diagonal Hessian blocks do:
        ``bulk_distance`` (eigen) is the signed distance from the nearest bulk level, and
        ``outlier`` (eigen) is 1 for the outliers: of a block the r eigenvalues farthest from the
        bulk; of a larger matrix those farther from it than OUTLIER_SHARE of the farthest, at most r
        a row of blocks.  For a block with r outliers ``outlier_share`` (unit) and ``outlier_angle``
        (angle) are as ``unit_share`` and ``principal_angle``, with the span of the outliers in
        place of E_r; attrs ``outliers_separated`` and ``outlier_gap`` say whether that span is
        determined.

    Raises
    ------
    theory.InputError
        Unknown matrix or block, a block without real spectrum, d < r + C, bad shapes.

    Examples
    --------
    Two classes at x = 0: H_11 = 1/4, so the block is (1/4)(1/2)(e_1 e_1^T + e_2 e_2^T) + I / 40:

    >>> from theory import kgmm
    >>> problem = Problem(kgmm(2), weights=[0.5, 0.5], precision=10, ridge=0, step=1)
    >>> zero = State([[0, 0], [0, 0]], [[0, 0], [0, 0]])
    >>> found = population_spectrum(problem, zero, block=(0, 0))
    >>> found.eigenvalue.values.round(6), found.bulk.values.round(6)
    (array([0.15, 0.15]), array([0.025]))
    """
    model = problem.model
    sizes = None if dimension is None else sizes_in(problem, dimension)
    small = population_block(
        problem,
        state,
        matrix=matrix,
        block=block,
        regularized=regularized,
        blocks=blocks,
        tolerance=tolerance,
        seed=seed,
    )
    small.check_symmetric()
    eigenvalues, vectors = np.linalg.eigh((small.matrix + small.matrix.T) / 2)
    eigenvalues, vectors = eigenvalues[::-1], vectors[:, ::-1].T
    error = small.eigenvalue_error + 16 * np.finfo(float).eps * np.abs(eigenvalues).max(initial=0.0)
    variables: dict[str, Any] = {
        "eigenvalue": ("eigen", eigenvalues, {"long_name": "eigenvalues on span(directions, x)"}),
        "eigenvalue_error": (
            "eigen",
            np.full(eigenvalues.size, error),
            {"long_name": "bound of the eigenvalue error"},
        ),
    }
    attributes = common_attributes(model, problem.parameters, "population") | {
        "matrix": small.kind,
        "block": str(small.block),
        "regularized": int(small.regularized),
        "quadrature": small.quadrature,
        "error_estimate": error,
        "error_meaning": "largest error of an eigenvalue: norm of the quadrature errors of the "
        "matrix entries",
        "seed": seed,
    }
    if small.rows:
        first, last = _split(small, vectors)
        variables |= _first_layer_variables(small, first)
        variables |= _bulk_variables(small, sizes, attributes)
        distance, outlier = _outliers(small, eigenvalues, error)
        variables["bulk_distance"] = (
            "eigen",
            distance,
            {"long_name": "eigenvalue minus the nearest bulk level"},
        )
        variables["outlier"] = (
            "eigen",
            outlier.astype(int),
            {"long_name": "1 for an outlier, 0 for the bulk"},
        )
        if last.shape[1]:
            variables["eigenvector_readout"] = (("eigen", "parameter"), last)
    else:
        variables["eigenvector_readout"] = (("eigen", "parameter"), vectors)
    if isinstance(small.block, tuple):
        variables |= top_variables(small, eigenvalues, vectors, dimension, error, attributes)
        variables |= _outlier_variables(
            small, eigenvalues, vectors, outlier, dimension, error, attributes
        )
    names = unit_coordinates(model) | {
        "eigen": np.arange(1, eigenvalues.size + 1),
        "parameter": parameter_labels(model, small.block),
    }
    if small.rows:
        names["generator"] = generator_names(model)
    dims = [variable[0] for variable in variables.values()]
    used = {dim for each in dims for dim in ((each,) if isinstance(each, str) else each)}
    coordinates = {k: v for k, v in names.items() if k in used}
    return xr.Dataset(variables, coords=coordinates, attrs=attributes)


@takes_problem(bands=True, tokens=True)
def population_misalignment(
    problem: Problem,
    state: State,
    *,
    matrix: str = "hessian",
    block: BlockName = "first_layer",
    regularized: bool | None = None,
    blocks: BlockMatrix | None = None,
    tolerance: float | None = None,
    seed: int = 0,
) -> float:
    r"""Return how far a population matrix is from the span of the directions, for d > rank.

    .. math:: \varepsilon(M) = \|P_{B^\perp}M\|_{op}/\|M\|_{op},\qquad B = \mathrm{Span}(e_1..e_r)

    from (m, R_perp) alone: the maximum of the rows of the small matrix outside B and of the bulk
    (mathematics.md sections 3 and 8).  Parameters as in :func:`population_spectrum`.

    Returns
    -------
    float
        In [0, 1].

    Examples
    --------
    >>> from theory import kgmm
    >>> problem = Problem(kgmm(2), weights=[0.5, 0.5], precision=10, ridge=0, step=1)
    >>> zero = State([[0, 0], [0, 0]], [[0, 0], [0, 0]])
    >>> round(population_misalignment(problem, zero, block=(0, 0)), 6)
    0.166667
    """
    return population_block(
        problem,
        state,
        matrix=matrix,
        block=block,
        regularized=regularized,
        blocks=blocks,
        tolerance=tolerance,
        seed=seed,
    ).misalignment


def generator_names(model: Model) -> Array:
    """Names of the columns of V: e_1..e_r, x_1..x_C; with bands P_1 e_1..P_B x_C."""
    bands = [""] if model.bands == 1 else [f"P_{g + 1} " for g in range(model.bands)]
    letters = (("e", model.directions), ("x", model.units))
    return np.array(
        [f"{band}{x}_{i + 1}" for x, size in letters for band in bands for i in range(size)]
    )


def _split(small: SpanMatrix, vectors: Array) -> tuple[Array, Array]:
    """Eigenvectors as (eigen, row, span) and their readout part (eigen, parameter)."""
    size = small.rows * small.basis.rank
    first = vectors[:, :size].reshape(-1, small.rows, small.basis.rank)
    return first, vectors[:, size:]


def _first_layer_variables(small: SpanMatrix, first: Array) -> dict[str, Any]:
    r, along = small.basis.directions, small.basis.along
    single = isinstance(small.block, tuple)
    squares = first**2
    cosine = (first @ along.T) ** 2 / np.sum(along**2, axis=1)
    variables: dict[str, Any] = {
        "basis": (
            ("span", "generator"),
            small.basis.coefficients,
            {"long_name": "orthonormal basis vectors as combinations of directions and weights"},
        ),
        "share_of_directions": ("eigen", squares[:, :, :r].sum(axis=(1, 2))),
        "misfit": ((), small.misalignment, {"long_name": "|P_perp M| / |M|"}),
    }
    if single:
        return variables | {
            "eigenvector": (("eigen", "span"), first[:, 0]),
            "mean_overlap": (("eigen", "direction"), cosine[:, 0]),
        }
    return variables | {
        "eigenvector": (("eigen", "unit", "span"), first),
        "mean_overlap": (("eigen", "unit", "direction"), cosine),
        "row_weight": (("eigen", "unit"), squares.sum(axis=2)),
        "row_share_of_directions": (("eigen", "unit"), squares[:, :, :r].sum(axis=2)),
    }


def _bulk_variables(
    small: SpanMatrix, sizes: NDArray[np.int64] | None, attributes: dict[str, Any]
) -> dict[str, Any]:
    """The levels off the span, of every band where there are several of these sizes."""
    bulk, (in_words, taken) = small.levels, small.multiplicities
    attributes["rank"] = small.basis.rank
    attributes["bulk_error"] = small.bulk_level_error
    attributes["bulk_multiplicity"] = in_words
    dims = ("level",) if bulk.ndim == 1 else ("band", "level")
    variables: dict[str, Any] = {
        "bulk": (dims, bulk, {"long_name": "eigenvalues off span(directions, x)"})
    }
    if sizes is not None:
        attributes["dimension"] = int(sizes.sum())
        left = np.broadcast_to((sizes - taken)[:, None], (len(sizes), small.rows))
        variables["bulk_multiplicity"] = (dims, left.reshape(bulk.shape).copy())
    return variables


def _outliers(
    small: SpanMatrix, eigenvalues: Array, error: float
) -> tuple[Array, NDArray[np.bool_]]:
    """Signed distance of every eigenvalue from the nearest bulk level, and which eigenvalues are
    outliers.
    """
    levels = small.levels.ravel()
    differences = eigenvalues[:, None] - levels
    distance = differences[np.arange(eigenvalues.size), np.abs(differences).argmin(axis=1)]
    size = np.abs(distance)
    threshold = 2 * error + small.bulk_level_error
    if not isinstance(small.block, tuple):
        threshold = max(threshold, OUTLIER_SHARE * size.max(initial=0.0))
    most = len(small.basis.along) * small.rows + (eigenvalues.size - small.rows * small.basis.rank)
    outlier = np.zeros(eigenvalues.size, dtype=bool)
    # stable: among equal distances the larger eigenvalue comes first
    outlier[np.argsort(-size, kind="stable")[:most]] = True
    return distance, outlier & (size > threshold)


def _outlier_variables(
    small: SpanMatrix,
    eigenvalues: Array,
    vectors: Array,
    outlier: NDArray[np.bool_],
    dimension: int | None,
    error: float,
    attributes: dict[str, Any],
) -> dict[str, Any]:
    """Eigenspace of the outliers of a block, wherever they lie, and whether it is determined."""
    r, rank = len(small.basis.along), small.basis.rank
    rest = eigenvalues[~outlier]
    if dimension is None or dimension > rank:
        rest = np.append(rest, small.levels.ravel())
    gap = float(np.abs(np.subtract.outer(eigenvalues[outlier], rest)).min(initial=np.inf))
    found = int(outlier.sum())
    uncertainty = 2 * error + small.bulk_level_error
    attributes["outliers_separated"] = int(found == r and gap > uncertainty)
    attributes["outlier_gap"] = gap if np.isfinite(gap) else float(np.ptp(eigenvalues))
    if found != r:
        return {}
    return {
        "outlier_share": (
            "unit",
            eigenspace_share(vectors[outlier], small.basis.weights),
            {"long_name": "share of x^a in the eigenspace of the outliers"},
        ),
        "outlier_angle": (
            "angle",
            principal_angles(vectors[outlier], np.eye(rank)[: small.basis.directions]),
            {"long_name": "eigenspace of the outliers against Span(directions)", "units": "radian"},
        ),
    }

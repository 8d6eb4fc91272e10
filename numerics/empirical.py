"""Empirical Hessian and G-matrix on fresh data: leading eigenpairs, and projections to test the population formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from theory import InputError, Model, symbols

from .alignment import eigenspace_share, matrix_misalignment, principal_angles
from .dataset import common_attributes, unit_coordinates
from .layout import check_dimension, span_basis
from .operators import SecondMoment, choose_method, leading_eigenpairs
from .pairing import beyond_rank, count_ends, pair_with_population, with_lowest
from .population import generator_names
from .samples import TestData, draw_data
from .span import BlockName, check_block, check_matrix, default_regularized
from .state import Array, Parameters, State, as_integer, check_parameters, check_state

# entries of one chunk of a projection: bounds its memory
CHUNK_ENTRIES = 2_000_000


def empirical_spectrum(
    model: Model,
    parameters: Parameters,
    state: State,
    *,
    dimension: int,
    samples: int,
    seed: int | np.random.SeedSequence,
    matrix: str = "hessian",
    block: BlockName = "first_layer",
    regularized: bool | None = None,
    count: int | None = None,
    weights: ArrayLike | None = None,
    method: str = "auto",
    beside: xr.Dataset | None = None,
) -> xr.Dataset:
    r"""Return the leading eigenpairs of a matrix of test data at weights with the given summary statistics.

    .. math:: \hat H_{ab} = \frac1M\sum_{i=1}^M H_{ab}(u_i)\,Y_iY_i^T + \beta\delta_{ab}I,\qquad
              \hat G_{ab} = \frac1M\sum_{i=1}^M g_a(u_i)g_b(u_i)\,Y_iY_i^T,\qquad u_i = xY_i

    with M fresh samples of the mixture (mathematics.md sections 1 and 8).  The derivatives are the almost-everywhere
    ones of the loss.

    Parameters
    ----------
    model : theory.Model
    parameters : Parameters
    state : State
    dimension : int
        d >= r + C.
    samples : int
        M >= 1.
    seed : int or numpy SeedSequence
    matrix : {"hessian", "gradient"}
    block : (a, b), "first_layer" (or "full") or "readout"
        0-based units of a d x d block, the Cd x Cd first-layer matrix, or the q x q readout block.
    regularized : bool, optional
        Include the ridge; default of theory when omitted: yes for the Hessian, no for G.
    count : int, optional
        Number of eigenpairs; r + C for a block, C r for the full matrix, q for the readout when omitted.
    weights : array, shape (C, d), optional
        First-layer vectors to use (directions in the first r coordinates, as :func:`realise_weights` lays them out);
        their summary statistics must be ``state``.
    method : {"auto", "dense", "lanczos"}
    beside : xarray.Dataset, optional
        The :func:`numerics.population_spectrum` of the same part of the same matrix, in place of ``count``: return the
        eigenpairs that stand beside its eigenvalues, counted from both ends of the spectrum, since outliers may lie
        below the bulk, and the first of the bulk at either end.

    Returns
    -------
    xarray.Dataset
        ``eigenvalue`` (eigen), largest first; ``residual`` (eigen), true residual norms; ``eigenvector`` (eigen,
        [unit,] coordinate); ``share_of_directions``, ``mean_overlap``, ``row_weight``, ``row_share_of_directions``,
        ``misfit`` and, for a block with count >= r, ``unit_share`` and ``principal_angle``, all as in
        :func:`numerics.population_spectrum`.  For "readout" the ``eigenvector`` is (eigen, parameter).
        With ``beside``: ``population_eigen`` (eigen), the eigenvalue of the population beside it, counted from 1, or 0
        in the bulk and beyond the rank of few samples; ``bulk_edge`` (edge), the least and the largest eigenvalue left
        by counting from the ends; for a block with r outliers ``outlier_share`` and ``outlier_angle``, and not
        ``unit_share`` and ``principal_angle``.
        attrs name the method, seed and sizes.

    Raises
    ------
    theory.InputError
        Unknown matrix or block, d < r + C, M < 1, count out of range, weights of another state.
    ArithmeticError
        Lanczos did not converge.

    Examples
    --------
    >>> from theory import kgmm
    >>> zero = State([[0, 0], [0, 0]], [[0, 0], [0, 0]])
    >>> found = empirical_spectrum(kgmm(2), Parameters([0.5, 0.5], 10, 0, 1), zero, dimension=20, samples=4000,
    ...                            seed=1, block=(0, 0))
    >>> found.eigenvalue.values[:2].round(1)          # population value 0.15
    array([0.2, 0.1])
    """
    kind, name = check_matrix(matrix), check_block(model, block)
    _check_offered(name, kind, default_regularized(kind, regularized))
    data = draw_data(model, parameters, state, dimension, samples, seed, weights)
    spectrum = spectrum_of_data(
        data, matrix=kind, block=name, regularized=regularized, count=count, method=method, beside=beside
    )
    return spectrum.assign_attrs(seed=str(seed))


def spectrum_of_data(
    data: TestData,
    *,
    matrix: str = "hessian",
    block: BlockName = "first_layer",
    regularized: bool | None = None,
    count: int | None = None,
    method: str = "auto",
    beside: xr.Dataset | None = None,
) -> xr.Dataset:
    """Return the leading eigenpairs of a matrix of given samples; see :func:`empirical_spectrum`.

    Serves several blocks and matrices of one data set without drawing it again.

    Parameters
    ----------
    data : TestData
        As :func:`draw_data` makes it.
    matrix, block, regularized, count, method, beside
        As for :func:`empirical_spectrum`.
    """
    model, parameters = data.model, data.parameters
    kind, name = check_matrix(matrix), check_block(model, block)
    ridge_in = default_regularized(kind, regularized)
    _check_offered(name, kind, ridge_in)
    derivatives = data.derivatives(kind)
    samples, dimension = data.features.shape
    attributes = common_attributes(model, parameters, "empirical, test data") | {
        "matrix": kind, "block": str(name), "regularized": int(ridge_in), "dimension": dimension,
        "samples": samples,
    }
    if name == "readout":
        return _readout_dataset(data, derivatives, kind, ridge_in, count, attributes)
    operator = block_operator(data, derivatives, kind, name, ridge_in)
    rows, r, size = operator.blocks, model.directions, operator.shape[0]
    if beside is not None:
        above, below = count_ends(beside, attributes, count, size)
    else:
        default = rows * r if rows > 1 else r + model.units
        above, below = min(default, size) if count is None else count, 0
    dense = None
    if choose_method(size, as_integer("count", above, 1, "ask for an eigenpair"), method) == "dense":
        dense = operator.dense()
    pairs = leading_eigenpairs(operator, above, method=method, matrix=dense)
    if below:
        pairs = with_lowest(pairs, operator, below, method, dense)
    attributes |= {"method": pairs.method, "error_estimate": float(pairs.residuals.max())}
    attributes["error_meaning"] = "largest residual norm; every eigenvalue is within its residual of an exact one"
    vectors = pairs.vectors.reshape(-1, rows, dimension)
    variables = _first_layer_variables(data, vectors, name)
    if beside is None:
        variables |= _leading_variables(data, vectors, name)
    else:
        empty = beyond_rank(pairs.values, samples, size, operator.shift_value)
        variables |= pair_with_population(beside, data, pairs, name, empty)
    misfit = matrix_misalignment(operator if dense is None else dense, _embedded(data.directions, rows))
    variables |= {
        "eigenvalue": ("eigen", pairs.values),
        "residual": ("eigen", pairs.residuals, {"long_name": "|M v - theta v|"}),
        "misfit": ((), misfit, {"long_name": "|P_perp M| / |M|"}),
    }
    return _labelled(model, variables, attributes)


def empirical_projection(
    model: Model,
    parameters: Parameters,
    state: State,
    *,
    dimension: int,
    samples: int,
    seed: int | np.random.SeedSequence,
    matrix: str = "hessian",
    regularized: bool | None = None,
) -> xr.Dataset:
    r"""Estimate every block on span(directions, x) from fresh data, with standard errors.

    .. math:: L^T\hat M_{ab}L = \frac1M\sum_i h_{ab}(u_i)\,(L^TY_i)(L^TY_i)^T,\qquad
              \hat c_{ab} = \frac1M\sum_i h_{ab}(u_i)\frac{\|P_\perp Y_i\|^2}{d-\mathrm{rank}}

    h = H_ab or g_a g_b (ridge added as ``regularized`` says), L the orthonormal basis of
    :func:`numerics.layout.span_basis`, which the population matrix uses too: entries are comparable one by one.  The
    samples live in R^d; nothing but the definition of the mixture and the loss enters.

    Parameters
    ----------
    model : theory.Model
    parameters : Parameters
    state : State
    dimension : int
        d >= r + C.
    samples : int
        M >= 2.
    seed : int or numpy SeedSequence
    matrix : {"hessian", "gradient"}
    regularized : bool, optional
        Default of theory when omitted: yes for the Hessian, no for G.

    Returns
    -------
    xarray.Dataset
        ``matrix`` (unit, unit_b, span, span_b) and ``bulk`` (unit, unit_b) with ``matrix_error`` and ``bulk_error``,
        standard errors over the samples; ``basis`` (span, generator).  No ``bulk`` when d equals the rank.  With
        readout parameters also ``mixed`` (unit, parameter, span) and ``readout`` (parameter, parameter_b), the blocks
        of x^a, v_i and of v_i, v_j, with their errors.

    Raises
    ------
    theory.InputError
        Unknown matrix, d < r + C, M < 2, bad shapes.
    """
    kind = check_matrix(matrix)
    ridge_in = default_regularized(kind, regularized)
    samples = as_integer("samples", samples, 2, "a standard error needs two samples")
    check_parameters(model, parameters)
    check_state(model, state, "state")
    dimension = check_dimension(dimension, model.directions, model.units)
    basis = span_basis(parameters, state)
    generator = np.random.default_rng(seed)
    chunk = max(1, CHUNK_ENTRIES // (dimension + (model.units * basis.rank) ** 2))
    sums: list[Array] = []
    for start in range(0, samples, chunk):
        size = min(chunk, samples - start)
        data = draw_data(model, parameters, state, dimension, size, generator)
        parts = _projected_sums(data, basis.weights, kind, ridge_in)
        sums = [a + b for a, b in zip(sums, parts, strict=True)] if sums else parts
    c, rank = model.units, basis.rank
    ridge = parameters.ridge * np.eye(c) if kind == "hessian" and ridge_in else np.zeros((c, c))
    mean, error = _mean_and_error(sums[0], sums[1], samples)
    shape, note = ("unit", "unit_b", "span", "span_b"), {"long_name": "standard error over samples"}
    variables: dict[str, Any] = {
        "basis": (("span", "generator"), basis.coefficients),
        "matrix": (shape, mean + np.multiply.outer(ridge, np.eye(rank))),
        "matrix_error": (shape, error, note),
    }
    if dimension > rank:
        mean, error = _mean_and_error(sums[2], sums[3], samples)
        variables |= {"bulk": (shape[:2], mean + ridge), "bulk_error": (shape[:2], error, note)}
    if model.readout_size:
        q = model.readout_size
        mean, error = _mean_and_error(sums[4], sums[5], samples)
        across = ("unit", "parameter", "span")
        variables |= {"mixed": (across, mean), "mixed_error": (across, error, note)}
        mean, error = _mean_and_error(sums[6], sums[7], samples)
        ridge_v = parameters.ridge * np.eye(q) if kind == "hessian" and ridge_in else 0.0
        last = ("parameter", "parameter_b")
        variables |= {"readout": (last, mean + ridge_v), "readout_error": (last, error, note)}
    attributes = common_attributes(model, parameters, "empirical, test data") | {
        "matrix_kind": kind, "regularized": int(ridge_in), "dimension": dimension, "samples": samples,
        "seed": str(seed),
    }
    labels: dict[str, Any] = {"generator": generator_names(model), "unit_b": np.arange(1, c + 1)}
    return _labelled(model, variables, attributes, labels)


def _check_offered(name: BlockName, kind: str, ridge_in: bool) -> None:
    if name == "all":
        raise InputError(
            "block", "'all'", "a pair of units, 'first_layer' or 'readout'", "ask for the parts one by one"
        )
    if isinstance(name, tuple) and name[0] != name[1] and kind == "gradient" and ridge_in:
        raise InputError(
            "block", name, "a symmetric block",
            "use regularized=False, a diagonal block or block='first_layer'",
        )


def block_operator(data: TestData, derivatives: Array, kind: str, name: BlockName, ridge_in: bool) -> SecondMoment:
    """The operator of a block or of the full first layer."""
    c = data.model.units
    rows = slice(0, c) if isinstance(name, str) else slice(name[0], name[0] + 1)
    columns = slice(0, c) if isinstance(name, str) else slice(name[1], name[1] + 1)
    beta = data.parameters.ridge if ridge_in else 0.0
    if kind == "hessian":
        weight = np.moveaxis(derivatives[rows, columns], -1, 0)
        diagonal = rows == columns
        return SecondMoment(data.features, np.ascontiguousarray(weight), shift=beta if diagonal else 0.0)
    left, right = derivatives[rows].T, derivatives[columns].T
    weight = left[:, :, None] * right[:, None, :]
    mean_gradient = left.T @ data.features / len(data.features)
    return SecondMoment(
        data.features, weight, ridge=beta, mean_gradient=mean_gradient.ravel(),
        parameters=data.weights[rows].ravel(),
    )


def _first_layer_variables(data: TestData, vectors: Array, name: BlockName) -> dict[str, Any]:
    """Alignment of eigenvectors of shape (eigen, rows, d) with the directions and the weights."""
    r = data.model.directions
    squares = vectors**2
    # the directions span the first r coordinates
    shares = squares[:, :, :r].sum(axis=2)
    cosine = (vectors @ data.directions.T) ** 2 / np.sum(data.directions**2, axis=1)
    variables: dict[str, Any] = {"share_of_directions": ("eigen", shares.sum(axis=1))}
    if isinstance(name, str):
        return variables | {
            "eigenvector": (("eigen", "unit", "coordinate"), vectors),
            "mean_overlap": (("eigen", "unit", "direction"), cosine),
            "row_weight": (("eigen", "unit"), squares.sum(axis=2)),
            "row_share_of_directions": (("eigen", "unit"), shares),
        }
    return variables | {
        "eigenvector": (("eigen", "coordinate"), vectors[:, 0]),
        "mean_overlap": (("eigen", "direction"), cosine[:, 0]),
    }


def _leading_variables(data: TestData, vectors: Array, name: BlockName) -> dict[str, Any]:
    """Alignment of the r leading eigenvectors of a block."""
    r = data.model.directions
    if isinstance(name, str) or vectors.shape[0] < r:
        return {}
    top = vectors[:r, 0]
    return {
        "unit_share": ("unit", eigenspace_share(top, data.weights)),
        "principal_angle": ("angle", principal_angles(top, data.directions), {"units": "radian"}),
    }


def _readout_dataset(
    data: TestData, derivatives: Array, kind: str, ridge_in: bool, count: int | None,
    attributes: dict[str, Any],
) -> xr.Dataset:
    c, q = data.model.units, data.model.readout_size
    beta, v = data.parameters.ridge if ridge_in else 0.0, data.state.readout
    if kind == "hessian":
        small = derivatives[c:, c:].mean(axis=-1) + beta * np.eye(q)
    else:
        gradient = derivatives[c:] + beta * v[:, None]
        small = gradient @ gradient.T / gradient.shape[1]
    count = q if count is None else as_integer("count", count, 1, "ask for at least one eigenpair")
    if count > q:
        raise InputError("count", count, f"at most {q}", "ask for fewer eigenpairs")
    values, vectors = np.linalg.eigh(small)
    values, vectors = values[::-1][:count], vectors[:, ::-1][:, :count]
    variables: dict[str, Any] = {
        "eigenvalue": ("eigen", values),
        "residual": ("eigen", np.linalg.norm(small @ vectors - vectors * values, axis=0)),
        "eigenvector": (("eigen", "parameter"), vectors.T),
    }
    return _labelled(data.model, variables, attributes | {"method": "dense eigh"})


def _projected_sums(data: TestData, x: Array, kind: str, ridge_in: bool) -> list[Array]:
    """Sums over samples, and of squares: projected first layer, bulk weight, mixed and readout part."""
    c, rank = x.shape
    w = data.features[:, :rank]
    spare = data.features.shape[1] - rank
    rest = np.sum(data.features[:, rank:] ** 2, axis=1) / max(spare, 1)
    derivatives = data.derivatives(kind)
    if kind == "hessian":
        h, across, last = derivatives[:c, :c], derivatives[:c, c:], derivatives[c:, c:]
        first = [_weighted_products(h, w), _weighted_products(h**2, w**2)]
        mixed = [across @ w, across**2 @ w**2]
        readout = [last.sum(axis=-1), (last**2).sum(axis=-1)]
    else:
        g = derivatives[:c]
        h = g[:, None] * g[None, :]
        beta = data.parameters.ridge if ridge_in else 0.0
        rows = (g.T[:, :, None] * w[:, None, :] + beta * x).reshape(len(w), c * rank)
        ends = (derivatives[c:] + beta * data.state.readout[:, None]).T
        first = [(p.T @ p).reshape(c, rank, c, rank).transpose(0, 2, 1, 3) for p in (rows, rows**2)]
        pairs = ((rows, ends), (rows**2, ends**2))
        mixed = [(p.T @ e).reshape(c, rank, -1).transpose(0, 2, 1) for p, e in pairs]
        readout = [e.T @ e for _, e in pairs]
    return [*first, h @ rest, h**2 @ rest**2, *mixed, *readout]


def _mean_and_error(total: Array, squares: Array, samples: int) -> tuple[Array, Array]:
    """Mean over samples and its standard error."""
    mean = total / samples
    return mean, np.sqrt(np.clip(squares / samples - mean**2, 0.0, None) / (samples - 1))


def _weighted_products(h: Array, w: Array) -> Array:
    """sum_i h_ab,i w_i w_i^T, shape (C, C, rank, rank)."""
    c, rank = h.shape[0], w.shape[1]
    out = np.empty((c, c, rank, rank))
    for a, b in symbols.upper_triangle(c):
        out[a, b] = out[b, a] = w.T @ (h[a, b][:, None] * w)
    return out


def _embedded(directions: Array, rows: int) -> Array:
    """Rows that span C^rows (x) Span(directions)."""
    return np.asarray(np.kron(np.eye(rows), directions), dtype=float)


def _labelled(
    model: Model, variables: dict[str, Any], attributes: dict[str, Any],
    labels: dict[str, Any] | None = None,
) -> xr.Dataset:
    data = xr.Dataset(variables, attrs=attributes)
    names: dict[str, Any] = unit_coordinates(model) | (labels or {})
    if "eigen" in data.dims:
        names |= {"eigen": np.arange(1, data.sizes["eigen"] + 1)}
    return data.assign_coords({k: v for k, v in names.items() if k in data.dims})

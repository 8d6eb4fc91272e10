"""Empirical blocks projected on span(directions, x), with standard errors: to test the population
formulas.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from numerics.core.geometry import SpanBasis, span_basis
from numerics.core.problem import Problem
from numerics.core.results import common_attributes, labelled
from numerics.core.state import State, check_state
from numerics.core.takes_problem import takes_problem
from numerics.core.validation import Array, as_generator, as_integer
from numerics.core.weights import sizes_in
from numerics.data.samples import SampleData, draw_data
from theory import symbols

from .population_block import check_matrix, one_ridge
from .population_spectrum import generator_names

# entries of one chunk of a projection: bounds its memory
CHUNK_ENTRIES = 2_000_000


@takes_problem(bands=True)
def empirical_projection(
    problem: Problem,
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
    :func:`numerics.core.geometry.span_basis`, which the population matrix uses too: entries are
    comparable one by one.  The samples live in R^d; nothing but the definition of the mixture and
    the loss enters.

    Parameters
    ----------
    problem : Problem
        Or a model and Parameters in its place.
    state : State
    dimension : int
        d >= r + C.
    samples : int
        M >= 2.
    seed : int or numpy SeedSequence
    matrix : {"hessian", "gradient", "gauss-newton", "fisher"}
    regularized : bool, optional
        Default of theory when omitted: yes for the Hessian, no for G.

    Returns
    -------
    xarray.Dataset
        ``matrix`` (unit, unit_b, span, span_b) and ``bulk`` ([band,] unit, unit_b) with
        ``matrix_error`` and ``bulk_error``, standard errors over the samples; ``basis`` (span,
        generator).  No ``bulk`` where the span fills R^d or a band of it.  With readout parameters
        also ``mixed`` (unit, parameter, span) and ``readout`` (parameter, parameter_b), the blocks
        of x^a, v_i and of v_i, v_j, with their errors.

    Raises
    ------
    theory.InputError
        Unknown matrix, d < r + C, M < 2, bad shapes.

    Examples
    --------
    >>> from theory import kgmm
    >>> problem = Problem(kgmm(2), weights=[0.5, 0.5], precision=10, ridge=0, step=1)
    >>> zero = State([[0, 0], [0, 0]], [[0, 0], [0, 0]])
    >>> found = empirical_projection(problem, zero, dimension=30, samples=1000, seed=0)
    >>> dict(found.matrix.sizes)
    {'unit': 2, 'unit_b': 2, 'span': 2, 'span_b': 2}
    >>> round(float(found.bulk[0, 0]), 3)                     # population value 1 / (4 lambda)
    0.025
    """
    kind = check_matrix(matrix)
    ridge_in = one_ridge(problem.model, kind, regularized)
    samples = as_integer("samples", samples, 2, "a standard error needs two samples")
    model, parameters = problem.model, problem.parameters
    check_state(model, state, "state")
    basis, sizes = span_basis(parameters, state), sizes_in(problem, dimension)
    generator = as_generator(seed)
    chunk = max(1, CHUNK_ENTRIES // (dimension + (model.units * basis.rank) ** 2))
    sums: list[Array] = []
    for start in range(0, samples, chunk):
        size = min(chunk, samples - start)
        data = draw_data(model, parameters, state, dimension, size, generator)
        parts = _projected_sums(data, basis, sizes, kind, ridge_in)
        sums = [a + b for a, b in zip(sums, parts, strict=True)] if sums else parts
    c, rank = model.units, basis.rank
    ridge = parameters.ridge * np.eye(c) if kind != "gradient" and ridge_in else np.zeros((c, c))
    mean, error = _mean_and_error(sums[0], sums[1], samples)
    shape, note = ("unit", "unit_b", "span", "span_b"), {"long_name": "standard error over samples"}
    variables: dict[str, Any] = {
        "basis": (("span", "generator"), basis.coefficients),
        "matrix": (shape, mean + np.multiply.outer(ridge, np.eye(rank))),
        "matrix_error": (shape, error, note),
    }
    if np.all(sizes > np.bincount(basis.bands, minlength=len(sizes))):
        pair = shape[:2] if len(sizes) == 1 else ("band", *shape[:2])
        several = _mean_and_error(sums[2], sums[3], samples)
        mean, error = (x[..., 0] if len(sizes) == 1 else np.moveaxis(x, -1, 0) for x in several)
        variables |= {"bulk": (pair, mean + ridge), "bulk_error": (pair, error, note)}
    if model.readout_size:
        q = model.readout_size
        mean, error = _mean_and_error(sums[4], sums[5], samples)
        across = ("unit", "parameter", "span")
        variables |= {"mixed": (across, mean), "mixed_error": (across, error, note)}
        mean, error = _mean_and_error(sums[6], sums[7], samples)
        ridge_v = parameters.ridge * np.eye(q) if kind != "gradient" and ridge_in else 0.0
        last = ("parameter", "parameter_b")
        variables |= {"readout": (last, mean + ridge_v), "readout_error": (last, error, note)}
    attributes = common_attributes(model, parameters, "empirical, test data") | {
        "matrix_kind": kind,
        "regularized": int(ridge_in),
        "dimension": dimension,
        "samples": samples,
        "seed": str(seed),
    }
    labels: dict[str, Any] = {"generator": generator_names(model), "unit_b": np.arange(1, c + 1)}
    return labelled(model, variables, attributes, labels)


def _projected_sums(
    data: SampleData, basis: SpanBasis, sizes: NDArray[np.int64], kind: str, ridge_in: bool
) -> list[Array]:
    """Sums over samples, and of squares: projected first layer, bulk weight in every band, mixed
    and readout part.
    """
    x = basis.weights
    c, rank = x.shape
    features = np.asarray(data.features, dtype=float)
    here = basis.places(sizes)
    w = features[:, here]
    off = np.setdiff1d(np.arange(features.shape[1]), here)
    band = np.repeat(np.arange(len(sizes)), sizes)[off]
    rest = np.stack(
        [
            np.sum(features[:, off[band == g]] ** 2, axis=1) / max(int(np.sum(band == g)), 1)
            for g in range(len(sizes))
        ],
        axis=1,
    )
    derivatives = data.derivatives(kind)
    if kind != "gradient":
        h, across, last = derivatives[:c, :c], derivatives[:c, c:], derivatives[c:, c:]
        first = [_weighted_products(h, w), _weighted_products(h**2, w**2)]
        mixed = [across @ w, across**2 @ w**2]
        readout = [last.sum(axis=-1), (last**2).sum(axis=-1)]
    else:
        g = derivatives[:c]
        h = g[:, None] * g[None, :]
        beta = data.ridge if ridge_in else 0.0
        rows = (g.T[:, :, None] * w[:, None, :] + beta * x).reshape(len(w), c * rank)
        ends = (derivatives[c:] + beta * data.readout[:, None]).T
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

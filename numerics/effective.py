"""Spectra of empirical Hessian and G blocks in the proportional limit: outermost edges, outliers, overlaps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.optimize
import xarray as xr

from theory import InputError, Model

from .dataset import common_attributes
from .layout import SpanBasis
from .quadrature import Rule, choose_family, gauss_hermite, replicate_error, sobol, tensor_sizes
from .resolvent import Resolvent, ResolventError
from .span import BlockName, check_block, check_matrix, default_regularized
from .state import Array, Parameters, State, as_integer, as_scalar, check_parameters, check_state
from .support import Branch, outer_branch
from .weight_law import WeightNodes

SOBOL_SIZE, SCRAMBLINGS = 2**12, 8
# tensor rules: the finer of two is taken, their difference is the error
TENSOR_PAIR = (24, 32)
# an outlier closer to the edge than this share of the edge is flagged: at finite d it is not told from the bulk
CRITICAL = 0.02
SIDES = (1, -1)


@dataclass(frozen=True)
class _Outlier:
    side: int
    place: float
    vector: Array  # (k, rank): projection of the unit eigenvector on the span, overlap = its squared length
    distance: float


@dataclass(frozen=True)
class _Solved:
    """One law: branches by side, and the outliers beyond them, from the edge outwards excluded."""

    branches: dict[int, Branch]
    outliers: list[_Outlier]
    # how far the next candidate is inside the edge, relative to it
    missed: float


def effective_spectrum(
    model: Model,
    parameters: Parameters,
    state: State,
    aspect_ratio: float,
    *,
    matrix: str = "hessian",
    block: BlockName = "first_layer",
    regularized: bool | None = None,
    seed: int = 0,
) -> xr.Dataset:
    r"""Return the limiting spectrum of an empirical matrix of fresh test data, M / d -> phi as d -> infinity.

    .. math:: M=\tfrac1M\sum_i D_i\otimes Y_iY_i^T,\qquad S^{-1}=-zI+\lambda^{-1}E[D(I+SD/(\phi\lambda))^{-1}],\qquad
              \det\big(zI-F(z)\big)=0,\ F(z)=E[D(I+SD/(\phi\lambda))^{-1}\otimes ww^T]

    S(z) is the resolvent off the span of directions and weights, w the coordinates of Y in an orthonormal basis L of
    it.  The density is that of S; outliers are the roots of the determinant outside the support, with
    :math:`L^T` (unit eigenvector) :math:`=e/\sqrt{e^T(I-F'(z))e}` (mathematics.md section 7; arXiv 2502.15655).
    F decreases in z, so each of its sorted eigenvalues gives one outlier right of the bulk, or none; likewise left.

    Parameters
    ----------
    model : theory.Model
    parameters : Parameters
    state : State
    aspect_ratio : float
        phi > 0, test points per dimension.
    matrix : {"hessian", "gradient"}
        The almost-everywhere Hessian, as data have it, or G.
    block : (a, b) of 0-based units, or "first_layer" (or "full")
        One block (scalar weights), or the full first layer (matrix-valued transform).
    regularized : bool, optional
        Include the ridge: a shift by beta, and the default, for the Hessian; not available for G.
    seed : int
        Root seed of quasi-Monte Carlo scramblings (unused by tensor rules).

    Returns
    -------
    xarray.Dataset
        ``edge`` (side) with side 1 right and -1 left of the support, ``edge_error``; ``outlier`` (eigen), farthest
        right first, ``outlier_error``; ``overlap`` (eigen), squared length of the eigenvector's projection on the
        span, ``overlap_error``; ``outlier_vector`` (eigen, [unit,] span), that projection in the basis ``basis``
        (span, generator); ``edge_distance`` (eigen), distance from the nearest edge over the edge; ``near_critical``
        (eigen), 1 where that is below 2 %; ``weight_share`` (eigen, unit), squared cosine of the eigenvector with x^a
        (in its row of the full matrix); ``direction_share`` (eigen), squared length of the projection on
        Span(e_1..e_r).

        attrs ``atom``, the mass at zero (at the ridge, if included); ``edge_kind_right`` and ``_left``: "critical" for
        a square-root edge, "essential" where the density has a thin tail up to the largest weight of the law, "zero"
        where the support reaches the atom; ``missed_by``: the next candidate for an outlier lies inside the edge by
        this share of it.

    Raises
    ------
    theory.InputError
        phi <= 0, unknown matrix or block, the ridge of G.
    ResolventError
        The equation was not solved; carries z and the residual.

    Examples
    --------
    The square loss has D = 1: a spiked covariance, whose bulk is Marchenko-Pastur's, (1 +- sqrt(1/phi))^2 / lambda:

    >>> from theory import Loss, Mixture, Model, symbols
    >>> u = symbols.vector("u", 1)
    >>> one = Mixture.build(weights=[1], labels=[0], coordinates=[[1]], directions_gram=[[1]])
    >>> model = Model.build(one, Loss(u[0]**2 / 2, units=1))
    >>> found = effective_spectrum(model, Parameters([1], 4, 0, 1), State([[1]], [[1]]), 4.0)
    >>> found.edge.values.round(6)
    array([0.5625, 0.0625])
    """
    check_parameters(model, parameters)
    check_state(model, state, "state")
    ratio = as_scalar("aspect_ratio", aspect_ratio, 0.0, True, "give M / d, test points per dimension")
    kind, name = check_matrix(matrix), check_block(model, block)
    seed = as_integer("seed", seed, 0, "seeds are non-negative integers")
    ridge = default_regularized(kind, regularized)
    if ridge and kind == "gradient":
        raise InputError(
            "regularized", True, "False for the gradient matrix", "its ridge is no shift: leave it away"
        )
    shift = parameters.ridge if ridge and not (isinstance(name, tuple) and name[0] != name[1]) else 0.0
    nodes = WeightNodes(model, parameters, state, kind, name)
    runs = [_solve(Resolvent(nodes.law(rule, i), ratio)) for rule, i in _rules(nodes, model, seed)]
    return _dataset(model, parameters, nodes, runs, ratio, shift, ridge)


def _rules(nodes: WeightNodes, model: Model, seed: int) -> list[tuple[Rule, int]]:
    """Coarse and fine tensor rule, or all scramblings of a Sobol rule."""
    n = nodes.dimension
    if choose_family(n, model.loss.is_smooth) == "gauss-hermite":
        sizes = tensor_sizes(n)
        affordable = [s for s in TENSOR_PAIR if s <= max(sizes, default=1)] or list(sizes[-2:])
        finer = 2 if n == 1 else 1  # nodes cost nothing in one dimension
        return [(gauss_hermite(n, finer * s), 0) for s in (affordable[0], affordable[-1])]
    rule = sobol(n, SOBOL_SIZE, SCRAMBLINGS, seed)
    return [(rule, i) for i in range(SCRAMBLINGS)]


def _solve(resolvent: Resolvent) -> _Solved:
    branches, outliers, missed = {}, [], np.inf
    for side in SIDES:
        try:
            branch = outer_branch(resolvent, side)
        except ResolventError:
            if side > 0:
                raise
            continue
        branches[side] = branch
        found, next_one = _outliers(branch)
        outliers += found
        missed = min(missed, next_one)
    outliers.sort(key=lambda o: -o.place)
    return _Solved(branches, outliers, missed)


def _field(resolvent: Resolvent, s: Array) -> Array:
    """F = E[A (x) w w^T], row-major in (row of D, coordinate of w)."""
    law = resolvent.law
    a = resolvent.propagate(s)
    k, rank = resolvent.rows, law.basis.rank
    flat = (a.reshape(len(a), k * k) * law.probability[:, None]).T @ law.moment.reshape(len(a), rank * rank)
    return np.asarray(flat.reshape(k, k, rank, rank).transpose(0, 2, 1, 3).reshape(k * rank, k * rank))


def _outliers(branch: Branch) -> tuple[list[_Outlier], float]:
    """Outliers beyond one edge, and how far inside it the next candidate is."""
    resolvent, side = branch.resolvent, branch.side
    if branch.kind == "zero":
        return [], np.inf
    edge, s = branch.edge, branch.at_trace(branch.trace)[1]

    def ordered(s: Array) -> Array:
        """Eigenvalues of F, outermost first."""
        return np.asarray(np.linalg.eigvalsh(_field(resolvent, s))[::-side])

    at_edge = side * (ordered(s) - edge)
    count = int(np.sum(at_edge > 0))
    missed = float(-at_edge[count] / abs(edge)) if count < at_edge.size and edge else np.inf
    found = []
    for i in range(count):
        def beyond(trace: float, i: int = i) -> float:
            z, s = branch.at_trace(trace)
            return float(side * (ordered(s)[i] - z))

        low = branch.path[0]
        while beyond(low) > 0:
            low /= 2
        trace = scipy.optimize.brentq(beyond, low, branch.trace, xtol=1e-15 * branch.trace, rtol=1e-14)
        z, s = branch.at_trace(float(trace))
        found.append(_Outlier(side, z, _vector(resolvent, s, i, side), abs(z - edge) / abs(edge)))
    return found, missed


def _vector(resolvent: Resolvent, s: Array, i: int, side: int) -> Array:
    """Projection of the unit eigenvector on the span: e / sqrt(e^T (I - F') e), in all rows of D."""
    law, k = resolvent.law, resolvent.rows
    _, vectors = np.linalg.eigh(_field(resolvent, s))
    e = vectors[:, ::-side][:, i]
    # F' = -(phi lambda)^-1 E[A S' A (x) w w^T]
    a, slope = resolvent.propagate(s), resolvent.derivative(s)
    inner = a @ slope @ a / (resolvent.aspect_ratio * law.precision)
    rows = e.reshape(k, law.basis.rank)
    along = np.einsum("ai,nij,bj->nab", rows, law.moment, rows, optimize=True)
    derivative = -float(np.einsum("n,nab,nab->", law.probability, inner, along))
    return np.asarray(resolvent.range.T @ rows / np.sqrt(1 - derivative))


def _dataset(
    model: Model, parameters: Parameters, nodes: WeightNodes, runs: Sequence[_Solved], ratio: float, shift: float,
    ridge: bool,
) -> xr.Dataset:
    best, exact = runs[-1], len(runs) == 2
    count = min(len(run.outliers) for run in runs)
    kept = [sorted(run.outliers, key=lambda o: -o.distance)[:count] for run in runs]
    kept = [sorted(outliers, key=lambda o: -o.place) for outliers in kept]

    def both(values: Callable[[int], Array]) -> tuple[Array, Array]:
        """Value and error of what every run has."""
        all_runs = np.array([values(i) for i in range(len(runs))], dtype=float)
        if exact:
            return all_runs[-1], 2 * np.abs(all_runs[-1] - all_runs[0]) + 1e-13 * (1 + np.abs(all_runs[-1]))
        return all_runs.mean(axis=0), replicate_error(all_runs)

    sides = [side for side in SIDES if all(side in run.branches for run in runs)]
    edge, edge_error = both(lambda i: np.array([runs[i].branches[side].edge for side in sides]))
    place, place_error = both(lambda i: np.array([o.place for o in kept[i]]))
    overlap, overlap_error = both(lambda i: np.array([np.sum(o.vector**2) for o in kept[i]]))
    basis: SpanBasis = nodes.basis
    rows = 1 if isinstance(nodes.block, tuple) else model.units
    vectors = np.array([o.vector for o in kept[-1]]).reshape(count, rows, basis.rank)
    x = basis.weights / np.linalg.norm(basis.weights, axis=1, keepdims=True)
    # the one row of a block meets every x^a, the row of unit a in the full matrix x^a alone
    share = np.sum(vectors * x, axis=-1) ** 2
    distance = np.array([o.distance for o in kept[-1]])
    resolvent = best.branches[1].resolvent
    atom = resolvent.null.shape[0] / resolvent.law.rows
    if -1 in best.branches and best.branches[-1].kind == "zero":
        last = best.branches[-1]
        z, s = last.edge_point
        atom += float(-z * np.trace(s)) / resolvent.law.rows
    dims: tuple[str, ...] = ("eigen", "span") if isinstance(nodes.block, tuple) else ("eigen", "unit", "span")
    variables: dict[str, Any] = {
        "edge": ("side", edge + shift, {"long_name": "edge of the support"}),
        "edge_error": ("side", edge_error),
        "outlier": ("eigen", place + shift, {"long_name": "outlier"}),
        "outlier_error": ("eigen", place_error),
        "overlap": ("eigen", overlap, {"long_name": "squared projection of the eigenvector on the span"}),
        "overlap_error": ("eigen", overlap_error),
        "outlier_vector": (dims, vectors[:, 0] if len(dims) == 2 else vectors),
        "edge_distance": ("eigen", distance),
        "near_critical": ("eigen", (distance < CRITICAL).astype(int)),
        "weight_share": (("eigen", "unit"), share, {"long_name": "squared cosine with x^a"}),
        "direction_share": ("eigen", np.sum(vectors[..., : basis.directions] ** 2, axis=(1, 2))),
        "basis": (("span", "generator"), basis.coefficients),
    }
    counts = sorted({len(run.outliers) for run in runs})
    attributes = common_attributes(model, parameters, "effective spectral theory") | {
        "matrix": nodes.matrix, "block": str(nodes.block), "regularized": int(ridge), "aspect_ratio": ratio,
        "atom": atom, "missed_by": best.missed, "nodes": len(resolvent.law.probability),
        "outlier_counts": ", ".join(map(str, counts)),
        "edge_kind_right": best.branches[1].kind,
        "edge_kind_left": best.branches[-1].kind if -1 in best.branches else "unknown",
        "error_estimate": float(max(place_error.max(initial=0.0), edge_error.max(initial=0.0))),
        "error_meaning": "largest error of outliers and edges: "
        + ("two tensor rules" if exact else "99 % Student interval over scramblings"),
    }
    coordinates = {
        "side": sides, "eigen": np.arange(1, count + 1), "unit": np.arange(1, model.units + 1),
    }
    return xr.Dataset(variables, coords=coordinates, attrs=attributes)

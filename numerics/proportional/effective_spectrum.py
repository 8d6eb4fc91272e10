"""Spectra of empirical Hessian and G-matrix in the proportional limit: bulk, edges, outliers,
overlaps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from numerics.core.errors import ResolventError
from numerics.core.parameters import Parameters
from numerics.core.problem import Problem
from numerics.core.results import common_attributes
from numerics.core.state import State, check_state
from numerics.core.takes_problem import takes_problem
from numerics.core.validation import Array, as_array, as_integer, as_scalar
from numerics.expectations.quadrature import replicate_error
from numerics.spectra.population_block import check_block, check_matrix, default_regularized
from numerics.spectra.span_matrix import BlockName
from theory import InputError, Model

from .limiting_spectrum import LimitingSpectrum, agreed_gaps, quadrature_rules, solve_all
from .outliers import Outlier
from .weight_law import WeightNodes

# an outlier closer to the edge than this share of the edge is flagged: at finite d it is not told
# from the bulk
CRITICAL = 0.02
# outliers closer than this, relative to the largest, count as one of higher multiplicity
EQUAL = 1e-8
GRID = 400
# a density whose mass is off by more than this is refused
MASS = 0.05


@takes_problem
def effective_spectrum(
    problem: Problem,
    state: State,
    aspect_ratio: float,
    *,
    matrix: str = "hessian",
    block: BlockName = "first_layer",
    regularized: bool | None = None,
    density: bool = True,
    grid: ArrayLike | None = None,
    tail: float | None = None,
    seed: int = 0,
) -> xr.Dataset:
    r"""Return the limiting spectrum of an empirical matrix of fresh test data, M / d -> phi as d ->
    infinity.

    .. math:: M=\tfrac1M\sum_i D_i\otimes Y_iY_i^T,\qquad
              S^{-1}=-zI+\lambda^{-1}E[D(I+SD/(\phi\lambda))^{-1}],\qquad
              \det\big(zI-F(z)\big)=0,\ F(z)=E[D(I+SD/(\phi\lambda))^{-1}\otimes ww^T]

    S(z) is the resolvent off the span of directions and weights, w the coordinates of Y in an
    orthonormal basis L of it.  The density is that of S; outliers are the roots of the determinant
    outside the support, with :math:`L^T` (unit eigenvector) :math:`=e/\sqrt{e^T(I-F'(z))e}`
    (mathematics.md section 7; arXiv 2502.15655). F decreases in z, so each of its sorted
    eigenvalues gives one outlier right of the bulk, or none; likewise left, and in a gap.  Readout
    parameters, finitely many, join F and not S.

    Parameters
    ----------
    problem : Problem
        Or a model and Parameters in its place.
    state : State
    aspect_ratio : float
        phi > 0, test points per dimension.
    matrix : {"hessian", "gradient"}
        The almost-everywhere Hessian, as data have it, or G.
    block : (a, b) of 0-based units, "first_layer" (or "full"), "readout", "mixed" or "all"
        One block (scalar weights); the full first layer (matrix-valued transform); of two layers
        also the readout block, which has no bulk, the blocks of x^a and v_i beside each other as
        :math:`\begin{pmatrix}0&N\\N^T&0 \end{pmatrix}`, whose eigenvalues are plus and minus the
        singular values of N, and the whole matrix.
    regularized : bool, optional
        Include the ridge: a shift by beta, and the default, for the Hessian; not available for G.
    density : bool
        Solve for the density, and with it for gaps inside the support and outliers in them.
    grid : array, optional
        Where to give the density; points that resolve every interval when omitted.
    tail : float, optional
        Leave out this share of the samples, those with the most extreme weights, at either end: M
        data have hardly a weight rarer than 1 / M.  With 0 an ``edge_kind`` may be "essential", at
        the end of an exponentially thin tail that no data show.  When omitted, 0.001 where an end
        is essential or weights have no bound, so that the limit has no end, and 0 elsewhere.
    seed : int
        Root seed of quasi-Monte Carlo scramblings (unused by tensor rules).

    Returns
    -------
    xarray.Dataset
        ``edges`` (interval, end), ends of the intervals of the support, ``edge_error``,
        ``interval_mass``; ``outliers`` (eigen), farthest right first, ``outlier_error``, ``side``
        (eigen) 1 right of the support, -1 left, 0 in a gap, ``multiplicity`` (eigen); ``overlap``
        (eigen), squared length of the eigenvector's projection on span and readout,
        ``overlap_error``; ``outlier_vector`` (eigen, [unit,] span), that projection in the basis
        ``basis`` (span, generator), and ``readout_vector`` (eigen, parameter); ``edge_distance``
        (eigen), distance from the nearest edge over the edge; ``near_critical`` (eigen), 1 where
        that is below 2 %; ``weight_share`` (eigen, unit), squared cosine of the eigenvector with
        x^a (in its row of the full matrix); ``direction_share`` (eigen), squared length of the
        projection on Span(e_1..e_r); ``leading_share`` (unit), share of x^a in the eigenspace of
        the r largest eigenvalues (C r of the full matrix); bulk eigenvectors among them contribute
        nothing.  With ``density`` also ``density`` (grid) of the eigenvalues without the atom,
        ``distribution`` (grid) with it, and their errors.

        attrs ``atom``, the mass at zero (at the ridge, if included), with rows whose eigenvalues
        stay below 1e-7 of the largest weight, and ``atom_error``; ``mass_error``, |1 - mass of
        atom and density|; ``edge_kind_right`` and ``_left``: "critical" for a square-root edge,
        "essential" where the density has a thin tail up to the largest weight of the law, "zero"
        where the support reaches the atom; ``missed_by``: the next candidate for an outlier lies
        inside the edge by this share of it.

    Raises
    ------
    theory.InputError
        phi <= 0, unknown matrix or block, the ridge of G, a grid with the atom in it.
    ResolventError
        The equation was not solved; carries z and the residual.

    Examples
    --------
    The square loss has D = 1: a spiked covariance, whose bulk is Marchenko-Pastur's, (1 +-
    sqrt(1/phi))^2 / lambda:

    >>> from theory import Loss, Mixture, Model, symbols
    >>> u = symbols.vector("u", 1)
    >>> one = Mixture.build(weights=[1], labels=[0], coordinates=[[1]], directions_gram=[[1]])
    >>> model = Model.build(one, Loss(u[0]**2 / 2, units=1))
    >>> found = effective_spectrum(model, Parameters([1], 4, 0, 1), State([[1]], [[1]]), 4.0)
    >>> found.edges.values.round(6)
    array([[0.0625, 0.5625]])
    """
    model, parameters = problem.model, problem.parameters
    check_state(model, state, "state")
    ratio = as_scalar(
        "aspect_ratio", aspect_ratio, 0.0, True, "give M / d, test points per dimension"
    )
    kind, name = check_matrix(matrix), check_effective_block(model, block)
    seed = as_integer("seed", seed, 0, "seeds are non-negative integers")
    tail = check_tail(tail)
    ridge, shift = ridge_and_shift(parameters, kind, name, regularized)
    points = None if grid is None else as_array("grid", grid, 1)
    nodes = WeightNodes(model, parameters, state, kind, name)
    _check_bounded(nodes, tail)
    runs = solve_all(nodes, quadrature_rules(nodes, model, seed), ratio, tail, density)
    if density and abs(runs[-1].mass - 1) > MASS and runs[-1].branches:
        lost = (
            "the density was not found everywhere between the atom at 0 and the right edge; "
            "its mass is incomplete"
        )
        raise ResolventError(runs[-1].branches[1].edge.place, abs(runs[-1].mass - 1), lost)
    if points is not None:
        _check_grid(points, runs[-1].atom, shift)
    attributes = common_attributes(model, parameters, "effective spectral theory") | {
        "matrix": kind,
        "block": str(name),
        "regularized": int(ridge),
        "aspect_ratio": ratio,
        "tail": runs[-1].tail,
        "unbounded": ", ".join({1: "right", -1: "left"}[s] for s in nodes.unbounded_sides),
    }
    return _Result(model, nodes, runs, shift).dataset(density, points, attributes)


def check_effective_block(model: Model, block: object) -> BlockName:
    """Return the canonical name of a block: also "mixed"."""
    if isinstance(block, str) and block == "mixed":
        check_block(model, "all")
        return "mixed"
    return check_block(model, block)


def check_block_with_bulk(model: Model, block: object) -> BlockName:
    """Return the canonical name of a block that multiplies features on both sides."""
    name = check_effective_block(model, block)
    if name in ("readout", "mixed"):
        raise InputError(
            "block",
            repr(name),
            "a block with a bulk",
            "use a pair of units, 'first_layer' or 'all'",
        )
    return name


def ridge_and_shift(
    parameters: Parameters, kind: str, name: BlockName, regularized: bool | None
) -> tuple[bool, float]:
    """Whether the ridge is included, and the shift of all eigenvalues that it is."""
    ridge = default_regularized(kind, regularized)
    if ridge and kind == "gradient":
        raise InputError(
            "regularized",
            True,
            "False for the gradient matrix",
            "its ridge is no shift: leave it away",
        )
    off_diagonal = name == "mixed" or (isinstance(name, tuple) and name[0] != name[1])
    return ridge, parameters.ridge if ridge and not off_diagonal else 0.0


def check_tail(tail: object) -> float | None:
    """Return a share of samples in [0, 0.1], or None for the default."""
    if tail is None:
        return None
    share = as_scalar("tail", tail, 0.0, False, "give a small share of the samples, such as 1 / M")
    if share > 0.1:
        raise InputError(
            "tail",
            share,
            "a share of at most 0.1",
            "give a small share of the samples, such as 1 / M",
        )
    return share


def _check_bounded(nodes: WeightNodes, tail: float | None) -> None:
    if tail == 0 and nodes.unbounded_sides:
        raise InputError(
            "tail",
            0.0,
            "a positive share of the samples: their weights have no bound, and the limit no edge",
            "leave tail out, or give 1 / M to see what M samples show",
        )


def _check_grid(points: Array, atom: float, shift: float) -> None:
    if not np.all(np.diff(points) > 0):
        raise InputError("grid", "values that do not increase", "increasing points", "sort them")
    if atom > 0 and np.any(points == shift):
        raise InputError(
            "grid",
            f"the point {shift:g}",
            "points beside the atom there",
            f"{atom:.3g} of the eigenvalues are exactly {shift:g}, where the density is infinite: "
            "leave it out",
        )


class _Result:
    """All runs as one Dataset: values of the best, or the mean, and errors."""

    def __init__(
        self, model: Model, nodes: WeightNodes, runs: Sequence[LimitingSpectrum], shift: float
    ) -> None:
        self.model, self.nodes, self.runs, self.shift = model, nodes, runs, shift
        count = min(len(run.outliers) for run in runs)
        kept = [sorted(run.outliers, key=lambda o: -o.distance)[:count] for run in runs]
        self.outliers = [sorted(outliers, key=lambda o: -o.place) for outliers in kept]
        # rows that count as null may move every eigenvalue by this
        self.neglected = max(run.resolvent.neglected for run in runs)

    def _both(self, values: Sequence[Array]) -> tuple[Array, Array]:
        """Value and error of what every run has."""
        array = np.array(values, dtype=float)
        if len(self.runs) == 2:
            rounding = 1e-13 * (1 + np.abs(array[-1]))
            return array[-1], 2 * np.abs(array[-1] - array[0]) + rounding
        return array.mean(axis=0), np.asarray(replicate_error(array))

    def _outlier_variables(self) -> dict[str, Any]:
        nodes, model, basis = self.nodes, self.model, self.nodes.basis

        def each(of: Callable[[Outlier], Any]) -> tuple[Array, Array]:
            return self._both(
                [np.array([of(o) for o in kept], dtype=float) for kept in self.outliers]
            )

        place, place_error = each(lambda o: o.place)
        overlap, overlap_error = each(lambda o: np.sum(o.vector**2))
        best = self.outliers[-1]
        count, rows, tail = len(best), nodes.units, nodes.parameters_beside
        vectors = np.array([o.vector for o in best]).reshape(count, rows * basis.rank + tail)
        first = vectors[:, : rows * basis.rank].reshape(count, rows, basis.rank)
        distance = np.array([o.distance for o in best])
        apart = EQUAL * np.abs(place).max(initial=0.0) + place_error[:, None] + place_error
        equal = np.abs(place[:, None] - place) <= apart
        variables: dict[str, Any] = {
            "outliers": ("eigen", place + self.shift, {"long_name": "outlier"}),
            "outlier_error": ("eigen", place_error + self.neglected),
            "side": ("eigen", np.array([o.side for o in best], dtype=int)),
            "multiplicity": ("eigen", equal.sum(axis=1)),
            "overlap": (
                "eigen",
                overlap,
                {"long_name": "squared projection of the eigenvector on the span"},
            ),
            "overlap_error": ("eigen", overlap_error),
            "edge_distance": ("eigen", distance),
            "near_critical": ("eigen", (distance < CRITICAL).astype(int)),
            "basis": (("span", "generator"), basis.coefficients),
        }
        if tail:
            variables["readout_vector"] = (("eigen", "parameter"), vectors[:, rows * basis.rank :])
        if not rows:
            return variables
        share = np.array([nodes.weight_shares(o.vector) for o in best]).reshape(count, model.units)
        leading = nodes.leading
        right = [i for i, o in enumerate(best) if o.side == 1][:leading]
        single = isinstance(nodes.block, tuple)
        variables |= {
            "outlier_vector": (("eigen", "span"), first[:, 0])
            if single
            else (("eigen", "unit", "span"), first),
            "weight_share": (("eigen", "unit"), share, {"long_name": "squared cosine with x^a"}),
            "direction_share": ("eigen", np.sum(first[..., : basis.directions] ** 2, axis=(1, 2))),
            "leading_share": (
                "unit",
                share[right].sum(axis=0).reshape(model.units),
                {"long_name": f"share of x^a in the leading eigenspace of dimension {leading}"},
            ),
        }
        return variables

    def _support_variables(self) -> dict[str, Any]:
        ends = np.array([[edge.place for edge in run.edges] for run in self.runs]).reshape(
            len(self.runs), -1
        )
        gaps = agreed_gaps(self.runs)
        ends = np.concatenate([ends[:, :1], *gaps, ends[:, 1:]], axis=1) if ends.size else ends
        edges, error = self._both(list(ends.reshape(len(self.runs), -1, 2)))
        wide = edges[:, 1] > edges[:, 0]  # an atom is no interval
        edges, error = edges[wide], error[wide]
        variables: dict[str, Any] = {
            "edges": (
                ("interval", "end"),
                edges + self.shift,
                {"long_name": "edge of the support"},
            ),
            "edge_error": (("interval", "end"), error + self.neglected),
        }
        if self.runs[-1].pieces:
            middles = [
                ((p.interval.left + p.interval.right) / 2, p.mass) for p in self.runs[-1].pieces
            ]
            mass = [sum(m for middle, m in middles if a <= middle <= b) for a, b in edges]
            variables["interval_mass"] = ("interval", np.array(mass))
        return variables

    def _density_variables(self, points: Array | None) -> tuple[dict[str, Any], Array]:
        best = self.runs[-1]
        if points is None:
            per = GRID // max(1, len(best.pieces))
            theta = np.pi * (np.arange(per) + 0.5) / per
            grids = [piece.interval.place(theta)[0] for piece in best.pieces]
            points = np.concatenate(grids) if grids else np.zeros(0)
        else:
            points = points - self.shift

        def of(run: LimitingSpectrum) -> Array:
            rho = sum((p.density(points) for p in run.pieces), np.zeros(points.size))
            below = sum((p.cumulative(points) for p in run.pieces), run.atom * (points >= 0))
            return np.array([rho, below])

        values, errors = self._both([of(run) for run in self.runs])
        # what the series leaves out, and mass that was not found
        errors[1] += max(
            sum(p.truncation for p in run.pieces) + abs(1 - run.mass) for run in self.runs
        )
        return {
            "density": ("grid", values[0], {"long_name": "density of eigenvalues"}),
            "density_error": ("grid", errors[0]),
            "distribution": (
                "grid",
                np.clip(values[1], 0, 1),
                {"long_name": "share of eigenvalues below"},
            ),
            "distribution_error": ("grid", errors[1]),
        }, points + self.shift

    def dataset(
        self, density: bool, points: Array | None, attributes: dict[str, Any]
    ) -> xr.Dataset:
        """Everything."""
        best, model = self.runs[-1], self.model
        variables = self._outlier_variables() | self._support_variables()
        coordinates: dict[str, Any] = {
            "eigen": np.arange(1, len(self.outliers[-1]) + 1),
            "end": ["left", "right"],
            "interval": np.arange(1, len(variables["edges"][1]) + 1),
            "unit": np.arange(1, model.units + 1),
        }
        if density:
            more, grid = self._density_variables(points)
            variables |= more
            coordinates["grid"] = grid
            attributes["mass_error"] = abs(1 - best.mass) if best.branches else 0.0
        counts = sorted({len(run.outliers) for run in self.runs})
        atom, atom_error = self._both([np.array(run.atom) for run in self.runs])
        kinds = [edge.kind for edge in best.edges] or ["none", "none"]
        place_error, edge_error = variables["outlier_error"][1], variables["edge_error"][1]
        attributes |= {
            "atom": float(atom),
            "atom_error": float(atom_error),
            "missed_by": best.missed,
            "nodes": len(best.resolvent.law.probability),
            "outlier_counts": ", ".join(map(str, counts)),
            "edge_kind_left": kinds[0],
            "edge_kind_right": kinds[1],
            "error_estimate": float(max(place_error.max(initial=0.0), edge_error.max(initial=0.0))),
            "error_meaning": "largest error of outliers and edges: "
            + (
                "two tensor rules"
                if len(self.runs) == 2
                else "99 % Student interval over scramblings"
            ),
        }
        return xr.Dataset(variables, coords=coordinates, attrs=attributes)

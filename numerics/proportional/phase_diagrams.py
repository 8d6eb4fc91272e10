"""Where outliers exist over precision and aspect ratio, compared with the spikes of the data
themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.optimize
import xarray as xr
from numpy.typing import ArrayLike

from numerics.core.errors import ResolventError
from numerics.core.parameters import Parameters
from numerics.core.problem import Problem
from numerics.core.results import common_attributes
from numerics.core.state import State, check_state
from numerics.core.takes_problem import takes_problem
from numerics.core.validation import Array, as_array, as_integer, as_scalar
from numerics.expectations.compiled import gauge_directions
from numerics.spectra.population_block import check_matrix
from numerics.spectra.span_matrix import BlockName
from theory import InputError, Model

from .covariance.covariance_law import covariance_law
from .effective_spectrum import check_block_with_bulk, check_tail
from .limiting_spectrum import LimitingSpectrum, solve_all, solve_spectrum
from .resolvent import Resolvent
from .rule_choice import best_and_error, quadrature_rules
from .weight_nodes import WeightNodes

# accuracy of log precision at a threshold
LOG_ACCURACY = 1e-7
# the number of outliers of a cell whose equation was not solved
UNSOLVED = -1
_MEANINGS = {
    "outlier_count": "outliers right of the bulk, -1 where not solved",
    "outlier_count_left": "outliers left of the bulk, -1 where not solved",
    "tail": "share of the samples left out at either end",
    "alignment": "least share of x^a in the leading eigenspace",
    "solved": "1 where the equation was solved",
}


@takes_problem(bands=True)
def phase_diagram(
    problem: Problem,
    state: State | Callable[[Parameters], State],
    precisions: ArrayLike,
    aspect_ratios: ArrayLike,
    *,
    matrix: str = "hessian",
    block: BlockName = (0, 0),
    count: int | None = None,
    share: float = 0.5,
    tail: float | None = None,
    seed: int = 0,
) -> xr.Dataset:
    r"""Return the number of outliers and the alignment over (lambda, phi), and the precision at
    which they set in.

    .. math:: g_n(\lambda,\phi)=0,\qquad g^{\mathrm{BBP}}_n(\lambda,\phi)=0

    with g_n the n-th level of F beyond the right edge (:func:`emergence`), at the state that
    belongs to lambda.  The second equation is that of the uncentred sample covariance of the
    features, D = 1: whether their own n-th spike, a mean, is visible (Baik, Ben Arous, Peche;
    mathematics.md section 7).

    Parameters
    ----------
    problem : Problem
        Or a model and Parameters in its place.
        Everything but the precision.
    state : State or callable
        A fixed state, or a function of the parameters, such as :func:`state_at_fixed_point` or
        ``state_at_time(start, time)``.
    precisions : array
        Increasing values of lambda; thresholds are looked for between neighbours.
    aspect_ratios : array
        Increasing values of phi.
    matrix, block, tail, seed
        As for :func:`effective_spectrum`; a block with bulk.
    count : int, optional
        n, the number of outliers asked for; when omitted the rank of the means, for a block, times
        the number of rows without gauge for the full matrix.
    share : float
        The alignment threshold: every x^a has this share in the leading eigenspace.

    Returns
    -------
    xarray.Dataset
        ``outlier_count`` and ``outlier_count_left`` of the two sides of the bulk, ``excess`` and
        ``excess_left`` of the n-th level from the outside there, and ``alignment`` (precision,
        aspect_ratio), the least ``leading_share`` over units; ``solved``, 0 for a cell whose
        equation was not solved, whose counts are -1 and whose numbers are NaN; ``tail``, what was
        left out of a cell; ``threshold`` and ``threshold_left`` (aspect_ratio), the precision from
        which the n-th outlier exists right and left of the bulk, ``alignment_threshold``, from
        which the alignment exceeds ``share``, and ``bbp_threshold``, from which the means are
        spikes of the data: all NaN where the grid of solved cells does not bracket them, the
        largest crossing if there are several; ``threshold_error`` and ``threshold_left_error``
        (aspect_ratio).

    Raises
    ------
    theory.InputError
        Values that do not increase or are not positive, share outside (0, 1), and those of
        :func:`effective_spectrum`.

    Examples
    --------
    The square loss weighs all samples alike, so that its threshold is that of the data, lambda = 1
    / sqrt(phi):

    >>> from theory import Loss, Mixture, Model, symbols
    >>> u = symbols.vector("u", 1)
    >>> one = Mixture.build(weights=[1], labels=[0], coordinates=[[1]], directions_gram=[[1]])
    >>> model = Model.build(one, Loss(u[0]**2 / 2, units=1))
    >>> p, s = Parameters([1], 1, 0, 1), State([[1]], [[1]])
    >>> found = phase_diagram(model, p, s, [0.1, 1, 10], [4.0])
    >>> found.threshold.values.round(6), found.bbp_threshold.values.round(6)
    (array([0.5]), array([0.5]))
    """
    model, parameters = problem.model, problem.parameters
    kind, name = check_matrix(matrix), check_block_with_bulk(model, block)
    precisions, ratios = (
        _increasing("precisions", precisions),
        _increasing("aspect_ratios", aspect_ratios),
    )
    if not callable(state):
        check_state(model, state, "state")
    rank = int(np.linalg.matrix_rank(problem.coordinates))
    default = rank if isinstance(name, tuple) else rank * gauge_directions(model)[1].shape[0]
    wanted = default if count is None else as_integer("count", count, 1, "ask for an outlier")
    share = as_scalar("share", share, 0.0, True, "give a squared cosine, such as 0.5")
    if share >= 1:
        raise InputError("share", share, "a squared cosine below 1", "give a share, such as 0.5")
    seed = as_integer("seed", seed, 0, "seeds are non-negative integers")
    plane = _Plane(model, parameters, state, kind, name, wanted, check_tail(tail), seed)
    cells = _solve_cells(plane, precisions, ratios)
    lines = _lines(plane, cells, precisions, ratios, share)
    lines["bbp_threshold"] = [
        _covariance_threshold(model, parameters, precisions, ratio, rank) for ratio in ratios
    ]
    attributes = common_attributes(
        model, parameters, "effective spectral theory over precision and aspect ratio"
    ) | {
        "matrix": kind,
        "block": str(name),
        "count": wanted,
        "means": rank,
        "share": share,
        "tail": float(cells["tail"].max(initial=0.0)),
    }
    meanings = _MEANINGS | {
        name: f"level {wanted} beyond the {side} edge, over the edge"
        for name, side in (("excess", "right"), ("excess_left", "left"))
    }
    variables: dict[str, Any] = {
        key: (("precision", "aspect_ratio"), values, {"long_name": meanings[key]})
        for key, values in cells.items()
    }
    variables |= {key: ("aspect_ratio", np.array(x, dtype=float)) for key, x in lines.items()}
    return xr.Dataset(
        variables, coords={"precision": precisions, "aspect_ratio": ratios}, attrs=attributes
    )


def _lines(
    plane: _Plane, cells: dict[str, Any], precisions: Array, ratios: Array, share: float
) -> dict[str, list[float]]:
    """Where outliers on either side and the alignment set in, at every aspect ratio."""
    lines: dict[str, list[float]] = {}
    for end, side in (("", 1), ("_left", -1)):
        found = [
            plane.threshold(precisions, cells[f"excess{end}"][:, j], ratio, side)
            for j, ratio in enumerate(ratios)
        ]
        pairs = zip(found, ratios, strict=True)
        lines[f"threshold{end}"] = found
        lines[f"threshold{end}_error"] = [plane.threshold_error(x, phi, side) for x, phi in pairs]
    lines["alignment_threshold"] = [
        plane.alignment_threshold(precisions, cells["alignment"][:, j], ratio, share)
        for j, ratio in enumerate(ratios)
    ]
    return lines


def _solve_cells(plane: _Plane, precisions: Array, ratios: Array) -> dict[str, Any]:
    """What every cell of the plane shows; one that is not solved does not hold up the others."""
    shape = (precisions.size, ratios.size)
    cells: dict[str, Any] = {
        "outlier_count": np.full(shape, UNSOLVED),
        "outlier_count_left": np.full(shape, UNSOLVED),
        "excess": np.full(shape, np.nan),
        "excess_left": np.full(shape, np.nan),
        "alignment": np.full(shape, np.nan),
        "tail": np.zeros(shape),
        "solved": np.zeros(shape, dtype=int),
    }
    for i, precision in enumerate(precisions):
        like: LimitingSpectrum | None = None
        for j, ratio in enumerate(ratios):
            try:
                like = plane.spectrum(precision, ratio, like)
            except ResolventError:
                continue
            for key, side in (("outlier_count", 1), ("outlier_count_left", -1)):
                cells[key][i, j] = sum(o.side == side for o in like.outliers)
            for key, side in (("excess", 1), ("excess_left", -1)):
                cells[key][i, j] = plane.level(like, side)
            cells["tail"][i, j] = like.tail
            cells["alignment"][i, j] = plane.alignment(precision, like)
            cells["solved"][i, j] = 1
    return cells


def _increasing(name: str, values: ArrayLike) -> Array:
    array = as_array(name, values, 1)
    if array.size == 0 or np.any(array <= 0) or np.any(np.diff(array) <= 0):
        raise InputError(
            name,
            np.array2string(array, threshold=6),
            "increasing positive numbers",
            "sort them, and leave out 0",
        )
    return array


class _Plane:
    """Spectra over (lambda, phi) at the states that belong to lambda."""

    def __init__(
        self,
        model: Model,
        parameters: Parameters,
        state: State | Callable[[Parameters], State],
        matrix: str,
        block: BlockName,
        count: int,
        tail: float | None,
        seed: int,
    ) -> None:
        self.model, self.parameters, self.state = model, parameters, state
        self.matrix, self.block, self.count, self.tail, self.seed = matrix, block, count, tail, seed
        self._nodes: dict[float, WeightNodes] = {}

    def nodes(self, precision: float) -> WeightNodes:
        """Span and weights at a precision; states are computed once."""
        if precision not in self._nodes:
            parameters = self.parameters.with_precision(precision)
            state = self.state if isinstance(self.state, State) else self.state(parameters)
            self._nodes[precision] = WeightNodes(
                self.model, parameters, state, self.matrix, self.block
            )
        return self._nodes[precision]

    def spectrum(
        self, precision: float, ratio: float, like: LimitingSpectrum | None = None
    ) -> LimitingSpectrum:
        """With the finest rule; where it finds nothing, from the solution of a coarser one.

        The finest rule has the lightest nodes, and a start from nothing can miss its solution.
        """
        nodes = self.nodes(float(precision))
        rules = quadrature_rules(nodes, self.model, self.seed)
        finest = rules[-1:]
        try:
            return solve_all(nodes, finest, float(ratio), self.tail, like=like)[0]
        except ResolventError:
            coarse = solve_all(nodes, rules[:1], float(ratio), self.tail)[0]
            return solve_all(nodes, finest, float(ratio), self.tail, like=coarse)[0]

    def level(self, spectrum: LimitingSpectrum, side: int) -> float:
        """Excess of the n-th level on one side; minus one where there are fewer."""
        levels = spectrum.excess_at_edge(side)
        return float(levels[self.count - 1]) if levels.size >= self.count else -1.0

    def alignment(self, precision: float, spectrum: LimitingSpectrum) -> float:
        """The least share of an x^a in the leading eigenspace."""
        nodes = self.nodes(float(precision))
        right = [o for o in spectrum.outliers if o.side == 1][: nodes.leading]
        shares = sum((nodes.weight_shares(o.vector) for o in right), np.zeros(self.model.units))
        return float(np.min(shares))

    def threshold(self, precisions: Array, values: Array, ratio: float, side: int) -> float:
        """The largest precision within the grid at which the n-th level leaves the bulk."""
        return _last_crossing(
            precisions, values, lambda x: self.level(self.spectrum(x, ratio), side)
        )

    def alignment_threshold(
        self, precisions: Array, values: Array, ratio: float, share: float
    ) -> float:
        """Where the alignment passes ``share``."""
        return _last_crossing(
            precisions, values - share, lambda x: self.alignment(x, self.spectrum(x, ratio)) - share
        )

    def threshold_error(self, precision: float, ratio: float, side: int) -> float:
        """Error of a threshold from that of the level there, over all rules."""
        if not np.isfinite(precision):
            return np.nan
        nodes = self.nodes(float(precision))
        runs = solve_all(nodes, quadrature_rules(nodes, self.model, self.seed), ratio, self.tail)
        levels = np.array([self.level(run, side) for run in runs])
        spread = float(best_and_error(levels)[1])
        step = 1e-3
        beyond = self.level(self.spectrum(precision * (1 + step), ratio), side)
        slope = (beyond - levels[-1]) / step
        return float(precision * (spread / max(abs(slope), 1e-300) + LOG_ACCURACY))


def _last_crossing(precisions: Array, values: Array, of: Callable[[float], float]) -> float:
    """The largest root between neighbours of which only the upper one is positive."""
    up = np.flatnonzero((values[:-1] <= 0) & (values[1:] > 0))
    if not up.size:
        return np.nan
    low, high = np.log(precisions[up[-1] : up[-1] + 2])
    try:
        root = scipy.optimize.brentq(lambda x: of(float(np.exp(x))), low, high, xtol=LOG_ACCURACY)
    except ResolventError:
        return np.nan
    return float(np.exp(root))


def _covariance_threshold(
    model: Model, parameters: Parameters, precisions: Array, ratio: float, rank: int
) -> float:
    """The precision from which the data's covariance shows all its spikes."""

    def level(precision: float) -> float:
        law = covariance_law(model, parameters.with_precision(precision))
        return float(solve_spectrum(Resolvent(law, float(ratio))).excess_at_edge(1)[rank - 1])

    values: Any = np.array([level(float(x)) for x in precisions])
    return _last_crossing(precisions, values, level)

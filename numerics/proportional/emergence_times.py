"""Outliers along training: when each leaves the bulk or falls back into it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.optimize
import xarray as xr
from numpy.typing import ArrayLike

from numerics.core.parameters import Parameters
from numerics.core.problem import Problem
from numerics.core.results import TIME_UNIT, common_attributes
from numerics.core.state import State
from numerics.core.takes_problem import takes_problem
from numerics.core.validation import Array, as_integer, as_scalar, check_times
from numerics.dynamics.curve import Curve
from numerics.dynamics.curves import solve_curve
from numerics.spectra.population_block import check_matrix
from numerics.spectra.span_matrix import BlockName
from theory import InputError, Model

from .effective_spectrum import check_block_with_bulk, check_tail, ridge_and_shift
from .limiting_spectrum import LimitingSpectrum, solve_all
from .rule_choice import PlacedRule, best_and_error, quadrature_rules, scattered_rules
from .weight_nodes import WeightNodes

# relative accuracy of an emergence time
TIME_ACCURACY = 1e-9
# times reported where none are asked for: of the whole run, and around events in a small part of it
WHOLE_RUN, AROUND_EVENTS = 51, 31


@takes_problem(bands=True)
def emergence(
    problem: Problem,
    curve: Curve | xr.Dataset,
    aspect_ratio: float,
    *,
    matrix: str = "hessian",
    block: BlockName = "first_layer",
    time: ArrayLike | None = None,
    regularized: bool | None = None,
    tail: float | None = None,
    seed: int = 0,
) -> xr.Dataset:
    r"""Follow edges and outliers along the effective dynamics, and solve for the times they meet.

    .. math:: g_i(t)=f_i\big(z_*(t)\big)-z_*(t),\qquad
              f_1\ge f_2\ge\dots\ \text{of }F,\ z_*\ \text{the edge}

    The i-th outlier right of the bulk exists where :math:`g_i>0` (:func:`effective_spectrum`); it
    emerges where g_i crosses zero upwards and merges where it crosses downwards; likewise on the
    left.  Roots are found on the dense curve.

    Parameters
    ----------
    problem : Problem
        Or a model and Parameters in its place.
    curve : Curve or xarray.Dataset
        As :func:`solve_curve` gives it, or :func:`integrate_curves` without a schedule (it is then
        integrated again from its first time).
    aspect_ratio : float
        phi > 0.
    matrix, block, regularized, tail, seed
        As for :func:`effective_spectrum`; a block with bulk.
    time : array, optional
        Where to report, and between which roots are looked for; the times of the Dataset, or 51
        equidistant ones and, where all events fall into a small part of the run, 31 more around
        them (:func:`times_of_action`).

    Returns
    -------
    xarray.Dataset
        ``edge`` (time, side) with side 1 right and -1 left; ``outlier`` (time, side, index), NaN
        where the i-th from the outside is in the bulk, ``overlap`` and ``weight_share`` (time,
        side, index [, unit]) of it; ``excess`` (time, side, index) = g_i over the edge, positive
        for outliers; ``count`` (time, side); ``leading_share`` (time, unit) as in
        :func:`effective_spectrum`.  ``event_time`` (event) in order, ``event_time_error``,
        ``event_side``, ``event_index``, ``event_change`` (event), 1 where an outlier emerges and -1
        where it merges, and ``event_place``, the edge then.  The error is that of quadrature and
        root; that of the curve comes on top.  A pair of crossings between two neighbouring times is
        not seen.

    Raises
    ------
    theory.InputError
        Of :func:`effective_spectrum`; a block without bulk, times beyond the curve, a Dataset that
        is no curve.
    ResolventError
        The equation was not solved; carries z and the residual.

    Examples
    --------
    At the start every mean has its outlier; training leaves one of them beyond the bulk:

    >>> from theory import kgmm
    >>> start = State([[0, 0], [0, 0]], [[0.01, 0], [0, 0.01]])
    >>> p = Parameters([0.5, 0.5], 2.0, 0.05, 1.0)
    >>> curve = solve_curve(kgmm(2), p, start, 20.0)
    >>> found = emergence(kgmm(2), p, curve, 4.0, block=(0, 0), time=[0, 10, 20])
    >>> found["count"].sel(side=1).values
    array([2, 1, 1])
    """
    model, parameters = problem.model, problem.parameters
    ratio = as_scalar(
        "aspect_ratio", aspect_ratio, 0.0, True, "give M / d, test points per dimension"
    )
    kind, name = check_matrix(matrix), check_block_with_bulk(model, block)
    ridge, shift = ridge_and_shift(problem, kind, name, regularized)
    tail, seed = check_tail(tail), as_integer("seed", seed, 0, "seeds are non-negative integers")
    dense, times = _dense_curve(model, parameters, curve, time)
    path = _Path(model, parameters, dense.state, ratio, kind, name, tail, seed)
    spectra = path.spectra(times)
    events = _events(path, times, spectra)
    window = times_of_action(times, np.array([event["time"] for event in events]))
    if time is None and isinstance(curve, Curve) and window is not None:
        times, spectra = path.with_more(times, spectra, np.linspace(*window, AROUND_EVENTS))
        events = _events(path, times, spectra, events)
    attributes = common_attributes(
        model, parameters, "effective spectral theory along the effective dynamics"
    ) | {
        "matrix": kind,
        "block": str(name),
        "aspect_ratio": ratio,
        "tail": max(s.tail for s in spectra),
        "regularized": int(ridge),
        "curve_error": dense.error_estimate,
        "edge_kinds": ", ".join(sorted({s.branches[1].edge.kind for s in spectra})),
    }
    return _dataset(model, path, times, spectra, events, shift, attributes)


def _dense_curve(
    model: Model, parameters: Parameters, curve: Curve | xr.Dataset, time: ArrayLike | None
) -> tuple[Curve, Array]:
    if isinstance(curve, Curve):
        times = np.linspace(0, curve.end, WHOLE_RUN) if time is None else check_times(time)
        if times[-1] > curve.end * (1 + 1e-12):
            raise InputError(
                "time", float(times[-1]), f"times <= {curve.end:g}", "integrate further"
            )
        return curve, times
    wanted = ("overlap", "gram_perp", "readout")
    if (
        not isinstance(curve, xr.Dataset)
        or any(v not in curve for v in wanted)
        or curve["overlap"].ndim != 3 + ("band" in curve.dims)
    ):
        raise InputError(
            "curve",
            type(curve).__name__,
            "a Curve, or the Dataset of integrate_curves",
            "call solve_curve",
        )
    if curve.attrs.get("schedule", "constant") != "constant" or curve.attrs.get("batch", 1) != 1:
        raise InputError(
            "curve",
            "a Dataset with a schedule or a batch",
            "a Curve of solve_curve",
            "give solve_curve(model, parameters, initial, end, schedule=...)",
        )
    known = np.asarray(curve.time.values, dtype=float)
    times = known if time is None else check_times(time)
    if known[0] != 0 or times[-1] > known[-1]:
        raise InputError(
            "curve",
            f"times {known[0]:g} to {known[-1]:g}",
            f"a curve from 0 to {times[-1]:g}",
            "integrate further",
        )
    first = curve.isel(time=0)
    start = State(first.overlap.values, first.gram_perp.values, first.readout.values)
    tolerance = curve.attrs.get("tolerance")
    return solve_curve(model, parameters, start, float(known[-1]), tolerance=tolerance), times


@dataclass
class _Path:
    """The spectrum as a function of time, for every rule."""

    model: Model
    parameters: Parameters
    state: Callable[[float], State]
    ratio: float
    matrix: str
    block: BlockName
    tail: float | None
    seed: int
    scattered: bool = False

    def nodes(self, time: float) -> WeightNodes:
        """Weights and span at a time."""
        return WeightNodes(self.model, self.parameters, self.state(time), self.matrix, self.block)

    def at(self, time: float, which: int, like: LimitingSpectrum | None) -> LimitingSpectrum:
        """The spectrum with one of the rules."""
        nodes = self.nodes(time)
        rules = self.rules(nodes)
        rule = rules[min(which, len(rules) - 1)]
        return solve_all(nodes, [rule], self.ratio, self.tail, like=like)[0]

    def rules(self, nodes: WeightNodes) -> list[PlacedRule]:
        """Of one family all along the path: scattered ones if they are needed anywhere."""
        choose = scattered_rules if self.scattered else quadrature_rules
        return choose(nodes, self.model, self.seed)

    def spectra(self, times: Array) -> list[LimitingSpectrum]:
        """At all times with the finest rule, each from the one before."""
        self.scattered = any(self.rules(self.nodes(float(t)))[0][0].kind == "sobol" for t in times)
        out: list[LimitingSpectrum] = []
        for t in times:
            out.append(self.at(float(t), -1, out[-1] if out else None))
        return out

    def with_more(
        self, times: Array, spectra: Sequence[LimitingSpectrum], more: Array
    ) -> tuple[Array, list[LimitingSpectrum]]:
        """All times in order and their spectra, of which only those at new times are computed."""
        known = dict(zip(times.tolist(), spectra, strict=True))
        merged, out = np.unique([*times, *more]), list[LimitingSpectrum]()
        for t in merged.tolist():
            out.append(known[t] if t in known else self.at(t, -1, out[-1] if out else None))
        return merged, out

    def crossing(self, low: float, high: float, side: int, index: int, which: int) -> float:
        """The time between two at which the excess of one level is zero."""
        last: list[LimitingSpectrum] = []

        def excess(t: float) -> float:
            found = self.at(t, which, last[-1] if last else None)
            last.append(found)
            return float(found.excess_at_edge(side)[index])

        return float(
            scipy.optimize.brentq(
                excess, low, high, xtol=TIME_ACCURACY * max(high, 1e-12), rtol=1e-12
            )
        )


def times_of_action(time: Array, events: Array) -> tuple[float, float] | None:
    """The times around all events, where these take a small part of the run; else None.

    Examples
    --------
    >>> run = np.linspace(0, 100, 51)
    >>> times_of_action(run, np.array([4.0])), times_of_action(run, np.array([4.0, 80.0]))
    ((0.0, 6.0), None)
    """
    if not events.size:
        return None
    first, last = float(events.min()), float(events.max())
    room = max(0.6 * (last - first), 0.5 * (last - float(time[0])))
    low, high = max(float(time[0]), first - room), last + room
    low = float(time[0]) if low < 0.5 * high else low
    return (low, high) if high - low < 0.5 * (time[-1] - time[0]) else None


def _excess(spectra: Sequence[LimitingSpectrum]) -> dict[int, list[Array]]:
    """Of every level at every time, on either side."""
    return {side: [s.excess_at_edge(side) for s in spectra] for side in (1, -1)}


def _events(
    path: _Path,
    times: Array,
    spectra: Sequence[LimitingSpectrum],
    known: Sequence[dict[str, float]] = (),
) -> list[dict[str, float]]:
    """Every change of sign of every level, refined with every rule where it is not known."""
    found = []
    excess = _excess(spectra)
    for j, (low, high) in enumerate(pairwise(times.tolist())):
        for side in (1, -1):
            before, after = excess[side][j : j + 2]
            size = min(before.size, after.size)
            for i in np.flatnonzero((before[:size] > 0) != (after[:size] > 0)).tolist():
                here = (
                    event
                    for event in known
                    if (event["side"], event["index"]) == (side, i + 1)
                    and low <= event["time"] <= high
                )
                event = next(here, None)
                found.append(event or _refined(path, low, high, side, i, bool(after[i] > 0)))
    return sorted(found, key=lambda event: event["time"])


def _refined(
    path: _Path, low: float, high: float, side: int, index: int, emerges: bool
) -> dict[str, float]:
    rules = len(path.rules(path.nodes(high)))
    roots = []
    for which in range(rules):
        try:
            roots.append(path.crossing(low, high, side, index, which))
        except ValueError:  # with this rule the crossing is in a neighbouring interval
            roots.append(low if abs(which) % 2 else high)
    time, error = best_and_error(np.array(roots))
    place = path.at(float(time), -1, None).branches[side].edge.place
    return {
        "time": float(time),
        "error": float(error) + TIME_ACCURACY * high,
        "side": side,
        "index": index + 1,
        "change": 1 if emerges else -1,
        "place": place,
    }


def _dataset(
    model: Model,
    path: _Path,
    times: Array,
    spectra: Sequence[LimitingSpectrum],
    events: list[dict[str, float]],
    shift: float,
    attributes: dict[str, Any],
) -> xr.Dataset:
    sides = (1, -1)
    excess = _excess(spectra)
    most = max(int(np.sum(values > 0)) for levels in excess.values() for values in levels)
    width = max(most + 1, 1)
    shape = (len(times), 2, width)
    out = {key: np.full(shape, np.nan) for key in ("outlier", "overlap", "excess")}
    share = np.full((*shape, model.units), np.nan)
    leading = np.zeros((len(times), model.units))
    for j, spectrum in enumerate(spectra):
        nodes = path.nodes(float(times[j]))
        for i, side in enumerate(sides):
            levels = excess[side][j][:width]
            out["excess"][j, i, : levels.size] = levels
            here = [o for o in spectrum.outliers if o.side == side][::side]
            for n, o in enumerate(here[:width]):
                out["outlier"][j, i, n] = o.place + shift
                out["overlap"][j, i, n] = np.sum(o.vector**2)
                share[j, i, n] = nodes.weight_shares(o.vector)
        leading[j] = np.nansum(share[j, 0, : nodes.leading], axis=0)
    column = {
        key: np.array([event[key] for event in events], dtype=float)
        for key in ("time", "error", "side", "index", "change", "place")
    }
    per_time = ("time", "side", "index")
    return xr.Dataset(
        {
            "edge": (
                ("time", "side"),
                [[s.branches[side].edge.place + shift for side in sides] for s in spectra],
            ),
            "outlier": (per_time, out["outlier"], {"long_name": "outlier"}),
            "overlap": (
                per_time,
                out["overlap"],
                {"long_name": "squared projection of the eigenvector on the span"},
            ),
            "excess": (
                per_time,
                out["excess"],
                {"long_name": "level beyond the edge, over the edge"},
            ),
            "weight_share": ((*per_time, "unit"), share, {"long_name": "squared cosine with x^a"}),
            "count": (("time", "side"), np.sum(np.isfinite(out["outlier"]), axis=2)),
            "leading_share": (
                ("time", "unit"),
                leading,
                {"long_name": "share of x^a in the leading eigenspace"},
            ),
            "event_time": ("event", column["time"], {"units": TIME_UNIT}),
            "event_time_error": ("event", column["error"]),
            "event_side": ("event", column["side"].astype(int)),
            "event_index": ("event", column["index"].astype(int)),
            "event_change": ("event", column["change"].astype(int)),
            "event_place": ("event", column["place"] + shift),
        },
        coords={
            "time": ("time", times, {"units": TIME_UNIT, "long_name": "time"}),
            "side": list(sides),
            "index": np.arange(1, width + 1),
            "unit": np.arange(1, model.units + 1),
        },
        attrs=attributes,
    )

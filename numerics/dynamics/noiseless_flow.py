r"""The noiseless flow of a loss with kinks: smooth pieces, joined by crossing a kink or sliding
along it.

At lambda -> infinity every pre-activation of component l is at its mean, and a step 1{k > 0} of the
drift jumps where k(m S_l) passes 0.  Where the drift pushes towards such a surface from both sides
the flow stays on it (Filippov): the step is replaced by the share :math:`\theta\in[0,1]` of active
samples that keeps :math:`\dot k = 0`.  Opposite surfaces k and -k, of opposite components, have
shares that add to 1, as P(u > 0) and P(u < 0) do for every lambda.

Source: mathematics.md section 5; A. F. Filippov, *Differential equations with discontinuous
righthand sides* (1988).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import sympy as sp
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import solve_ivp

from numerics.core import codegen
from numerics.core.errors import IntegrationError
from numerics.core.flatten import outer_symbols, outer_values, unflatten
from numerics.core.parameters import Parameters
from numerics.core.problem import Problem
from numerics.core.results import common_attributes, statistics_dataset
from numerics.core.state import State, check_state
from numerics.core.takes_problem import takes_problem
from numerics.core.validation import Array, as_scalar, check_times
from theory import InputError, Model, Step, derive_drift, noiseless

ACTIVE, SLIDING, INACTIVE = 1, 0, -1
# how far ahead a flow that starts at rest on a kink is looked at, in units of time
AHEAD = 1e-6
# surfaces are met at once when their heights, or shares at an end of [0, 1], differ by this many
# tolerances
MET = 10.0
# a flow that changes its piece more often than this for every unit of a model has got stuck
MAX_EVENTS_PER_SWITCH = 200


class _Field:
    """The noiseless drift with its steps as arguments."""

    def __init__(self, model: Model) -> None:
        self.model = model
        expressions = noiseless(derive_drift(model)).vector
        steps = sorted({s for e in expressions for s in e.atoms(Step)}, key=sp.default_sort_key)
        surfaces: list[sp.Expr] = []
        share: dict[sp.Expr, sp.Expr] = {}
        gates: list[sp.Symbol] = []
        for step in steps:
            k = sp.expand(step.args[0])
            if sp.expand(-k) in surfaces:
                share[step] = 1 - gates[surfaces.index(sp.expand(-k))]
                continue
            surfaces.append(k)
            gates.append(sp.Symbol(f"theta_{len(surfaces)}", real=True))
            share[step] = gates[-1]
        self.surfaces = tuple(surfaces)
        state = model.symbols.state
        slopes = (
            sp.Matrix([[k.diff(s) for s in state] for k in surfaces])
            if surfaces
            else sp.zeros(0, len(state))
        )
        if not all(e.is_number for e in slopes):
            raise InputError(
                "model",
                model.name,
                "kinks that are affine in the pre-activations",
                "the noiseless flow of other kinks is not implemented; use a large finite precision",
            )
        self.slopes = np.array(slopes.tolist(), dtype=float).reshape(len(surfaces), len(state))
        origin = dict.fromkeys(state, sp.Integer(0))
        self.offsets = np.array([float(k.xreplace(origin)) for k in surfaces])
        lowered = [e.xreplace(share) for e in expressions]
        source = codegen.generate_function(
            "field", (("outer", outer_symbols(model)), ("gates", tuple(gates))), lowered, "numba"
        )
        self._function: Callable[[Array, Array, Array], None] = codegen.load_module(source).field

    def heights(self, vector: Array) -> Array:
        """k(m S_l) of every surface."""
        return self.slopes @ vector + self.offsets

    def evaluate(self, parameters: Parameters, vector: Array, gates: Array) -> Array:
        overlap, gram_perp, readout = unflatten(vector, self.model)
        gram = gram_perp + overlap @ np.linalg.inv(parameters.directions_gram) @ overlap.T
        parts = (x[None] for x in (overlap, gram_perp, readout, gram, np.zeros_like(gram)))
        outer = outer_values(parameters, *parts)[0]
        out = np.empty(vector.size)
        self._function(outer, gates, out)
        return out

    def rates(self, parameters: Parameters, vector: Array, gates: Array) -> Array:
        """d k / d t of every surface."""
        return self.slopes @ self.evaluate(parameters, vector, gates)

    def sliding_gates(self, parameters: Parameters, vector: Array, mode: Array) -> Array:
        """Gates of a mode: 1 and 0 off the surfaces; on them the shares that keep every k at 0."""
        gates = (mode == ACTIVE).astype(float)
        on = np.flatnonzero(mode == SLIDING)
        if not on.size:
            return gates
        # the drift is affine in the gates: no product of two steps survives without noise
        gates[on] = 0.0
        base = self.rates(parameters, vector, gates)[on]
        matrix = np.empty((on.size, on.size))
        for column, k in enumerate(on):
            gates[k] = 1.0
            matrix[:, column] = self.rates(parameters, vector, gates)[on] - base
            gates[k] = 0.0
        # equations of one scale: a unit with a small readout has small pushes, and its own share
        # all the same
        scale = np.abs(matrix).max(axis=1)
        scale[scale == 0] = 1.0
        gates[on] = np.linalg.lstsq(matrix / scale[:, None], -base / scale, rcond=None)[0]
        return gates

    def project(self, vector: Array, mode: Array) -> Array:
        """The nearest state on the surfaces along which a mode slides."""
        on = mode == SLIDING
        projected: Array = vector - np.linalg.pinv(self.slopes[on]) @ self.heights(vector)[on]
        return projected


@lru_cache(maxsize=16)
def _field(model: Model) -> _Field:
    return _Field(model)


@dataclass
class _Piece:
    start: float
    end: float
    mode: Array
    solution: Callable[[Array], Array]


@takes_problem
def integrate_noiseless(
    problem: Problem, initial: State, time: ArrayLike, *, tolerance: float = 1e-9
) -> xr.Dataset:
    r"""Integrate the limit lambda -> infinity of the effective dynamics, sliding along kinks where
    it has to.

    Parameters
    ----------
    problem : Problem
        Or a model and Parameters in its place.
        With symbolic precision; any loss whose kinks are affine in u, smooth losses included.
        The precision is not used.
    initial : State
    time : array, or float
        As in :func:`integrate_curves`.
    tolerance : float
        Of the integrator, relative and absolute, on every smooth piece.

    Returns
    -------
    xarray.Dataset
        As :func:`integrate_curves`, and ``active_share`` (time, surface): the share of active
        samples of every step of the drift, between 0 and 1 while the flow slides.

    Raises
    ------
    theory.InputError
        Bad shapes; or a start on a kink that repels on both sides, where the flow is not unique.
    IntegrationError
        The flow changes its piece without end.

    Examples
    --------
    >>> from theory import xor
    >>> start = State([[0.5, 0.1]], [[0.0]], [0.6])
    >>> found = integrate_noiseless(xor(1), Parameters([0.25] * 4, 1.0, 0.05, 1.0, np.eye(2)), start, [0.0, 40.0, 80.0])
    >>> bool(abs(found.overlap[-1, 0, 1]) < 1e-9), float(found.readout[-1, 0] ** 2 - np.log(4)) < 1e-3
    (True, True)
    """
    model, parameters = problem.model, problem.parameters
    check_state(model, initial)
    times = check_times(time)
    tolerance = as_scalar("tolerance", tolerance, 0.0, True, "give a relative error, such as 1e-9")
    field = _field(model)
    vector, now, end = initial.flatten(), 0.0, float(times[-1])
    mode = _starting_mode(field, parameters, vector)
    pieces: list[_Piece] = []
    while now < end or not pieces:
        if len(pieces) > MAX_EVENTS_PER_SWITCH * (1 + len(field.surfaces)):
            raise IntegrationError(
                f"the noiseless flow of {model.name} changes its piece without end near t = {now:.6g}",
                now,
            )
        piece, vector, switch = _integrate_piece(
            field, parameters, vector, mode, now, end, tolerance
        )
        pieces.append(piece)
        now = piece.end
        if switch is not None:
            mode = _after_event(field, parameters, vector, mode, switch, now, MET * tolerance)
            vector = field.project(vector, mode)
    return _dataset(field, parameters, times, pieces, tolerance)


def _integrate_piece(
    field: _Field,
    parameters: Parameters,
    vector: Array,
    mode: Array,
    now: float,
    end: float,
    tolerance: float,
) -> tuple[_Piece, Array, int | None]:
    """Follow one mode until a surface is reached, a share leaves [0, 1], or the end; returns the
    surface.
    """

    def right_hand_side(_: float, s: Array) -> Array:
        return field.evaluate(parameters, s, field.sliding_gates(parameters, s, mode))

    resting = _resting(field, parameters, vector, mode)

    def event(k: int) -> Callable[[float, Array], float]:
        if resting[k]:

            def height(_: float, s: Array) -> float:
                return 1.0 if not any(_rates_beside(field, parameters, s, mode, k)) else -1.0
        elif mode[k] == SLIDING:

            def height(_: float, s: Array) -> float:
                share = field.sliding_gates(parameters, s, mode)[k]
                return float(min(share, 1.0 - share))
        else:

            def height(_: float, s: Array) -> float:
                return float(mode[k] * (field.slopes[k] @ s + field.offsets[k]))

        height.terminal, height.direction = True, -1.0  # type: ignore[attr-defined]  # solve_ivp's way to mark it
        return height

    found = solve_ivp(
        right_hand_side,
        (now, end),
        vector,
        method="DOP853",
        rtol=tolerance,
        atol=tolerance,
        dense_output=True,
        events=[event(k) for k in range(len(field.surfaces))] or None,
    )
    if found.status < 0:
        raise IntegrationError(
            f"the noiseless flow of {field.model.name} could not be integrated beyond t = {found.t[-1]:.6g}: "
            f"{found.message}",
            float(found.t[-1]),
        )
    switch = None
    if found.status == 1:
        switch = next(k for k, hits in enumerate(found.t_events) if hits.size)
    return _Piece(now, float(found.t[-1]), mode.copy(), found.sol), found.y[:, -1], switch


def _after_event(
    field: _Field,
    parameters: Parameters,
    vector: Array,
    mode: Array,
    switch: int,
    now: float,
    slack: float,
) -> Array:
    """The mode after a surface was reached, or left by a share at the end of [0, 1], with all met
    at the same time.
    """
    slack *= 1.0 + float(np.abs(vector).max())
    changed, shares = mode.copy(), field.sliding_gates(parameters, vector, mode)
    met = (
        np.where(mode == SLIDING, np.minimum(shares, 1.0 - shares), mode * field.heights(vector))
        <= slack
    )
    met &= ~_resting(field, parameters, vector, mode)
    met[switch] = True
    for k in np.flatnonzero(met & (mode == SLIDING)):
        changed[k] = ACTIVE if shares[k] > 0.5 else INACTIVE
    reached = np.flatnonzero(met & (mode != SLIDING))
    # what happens at one surface may depend on the others: until nothing changes
    for _ in range(1 + reached.size):
        before = changed.copy()
        for k in reached:
            above, below = _rates_beside(field, parameters, vector, changed, int(k))
            towards = k == switch or mode[k] * (above if mode[k] == ACTIVE else below) < 0
            changed[k] = SLIDING if above < 0 < below else -mode[k] if towards else mode[k]
        if np.array_equal(changed, before):
            return changed
    names = ", ".join(f"{field.surfaces[k]} = 0" for k in reached)
    raise IntegrationError(
        f"the noiseless flow of {field.model.name} meets several kinks at once at t = {now:.6g} ({names}) and its "
        "continuation is not determined; move the start",
        now,
    )


def _rates_beside(
    field: _Field, parameters: Parameters, vector: Array, mode: Array, k: int
) -> tuple[float, float]:
    """Rates of the height of surface k just above and just below it."""
    rates = []
    for side in (ACTIVE, INACTIVE):
        trial = mode.copy()
        trial[k] = side
        gates = field.sliding_gates(parameters, vector, trial)
        rates.append(float(field.rates(parameters, vector, gates)[k]))
    return rates[0], rates[1]


def _resting(
    field: _Field, parameters: Parameters, vector: Array, mode: Array
) -> NDArray[np.bool_]:
    """Surfaces on which the flow stands still whatever their steps: those of a unit without
    weights.
    """
    out = np.zeros(mode.size, dtype=bool)
    for k in np.flatnonzero((field.heights(vector) == 0) & (mode == INACTIVE)):
        out[k] = not any(_rates_beside(field, parameters, vector, mode, int(k)))
    return out


def _starting_mode(field: _Field, parameters: Parameters, vector: Array) -> Array:
    on = field.heights(vector) == 0
    mode = np.where(on, INACTIVE, np.sign(field.heights(vector)).astype(int))
    ahead = vector + AHEAD * field.evaluate(
        parameters, vector, field.sliding_gates(parameters, vector, mode)
    )
    for k in map(int, np.flatnonzero(on)):
        above, below = _rates_beside(field, parameters, vector, mode, k)
        if above == below == 0:
            # a readout of 0 does not push, but may be about to; else the unit is idle
            above, below = _rates_beside(field, parameters, ahead, mode, k)
        if above > 0 > below:
            raise InputError(
                "initial",
                f"{field.surfaces[k]} = 0, a kink that repels on both sides",
                "a start off the kink",
                "without noise the flow is not unique there; move the overlap off 0",
            )
        mode[k] = SLIDING if above < 0 < below else ACTIVE if above > 0 else INACTIVE
    return mode


def _dataset(
    field: _Field, parameters: Parameters, times: Array, pieces: list[_Piece], tolerance: float
) -> xr.Dataset:
    vectors = np.empty((times.size, field.slopes.shape[1]))
    shares = np.empty((times.size, len(field.surfaces)))
    ends = np.array([piece.end for piece in pieces])
    which = np.minimum(np.searchsorted(ends, times), len(pieces) - 1)
    for i, (t, p) in enumerate(zip(times, which, strict=True)):
        vectors[i] = pieces[p].solution(t)
        # exactly on the surface: what is left is the tolerance of the integrator
        vectors[i] = field.project(vectors[i], pieces[p].mode)
        shares[i] = field.sliding_gates(parameters, vectors[i], pieces[p].mode)
    attributes = common_attributes(field.model, parameters, "noiseless effective dynamics") | {
        "precision_used": "infinity",
        "tolerance": tolerance,
        "pieces": len(pieces),
        "error_meaning": "relative and absolute tolerance of the integrator on every smooth piece",
    }
    data = statistics_dataset(
        field.model, parameters, times, *unflatten(vectors, field.model), attributes
    )
    share = (
        ("time", "surface"),
        shares,
        {"long_name": "share of active samples of every step", "units": "1"},
    )
    return data.assign(active_share=share).assign_coords(
        surface=[f"{k} > 0" for k in field.surfaces]
    )

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

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike
from scipy.integrate import solve_ivp

from numerics.core.errors import IntegrationError
from numerics.core.flatten import unflatten
from numerics.core.parameters import Parameters
from numerics.core.problem import Problem
from numerics.core.results import common_attributes, statistics_dataset
from numerics.core.state import State, check_state
from numerics.core.takes_problem import takes_problem
from numerics.core.validation import Array, as_scalar, check_times

from .noiseless_field import SLIDING, NoiselessField, noiseless_field
from .sliding_modes import after_event, rates_beside, resting_surfaces, starting_mode

# surfaces are met at once when their heights, or shares at an end of [0, 1], differ by this many
# tolerances
MET = 10.0
# a flow that changes its piece more often than this for every unit of a model has got stuck
MAX_EVENTS_PER_SWITCH = 200


@dataclass
class _Piece:
    start: float
    end: float
    mode: Array
    solution: Callable[[Array], Array]


@takes_problem(tokens=True)
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
    >>> numbers = Parameters([0.25] * 4, 1.0, 0.05, 1.0, np.eye(2))
    >>> found = integrate_noiseless(xor(1), numbers, start, [0.0, 40.0, 80.0])
    >>> bool(abs(found.overlap[-1, 0, 1]) < 1e-9)
    True
    >>> bool(abs(found.readout[-1, 0] ** 2 - np.log(4)) < 1e-3)
    True
    """
    model, parameters = problem.model, problem.parameters
    check_state(model, initial)
    times = check_times(time)
    tolerance = as_scalar("tolerance", tolerance, 0.0, True, "give a relative error, such as 1e-9")
    field = noiseless_field(model)
    vector, now, end = initial.flatten(), 0.0, float(times[-1])
    mode = starting_mode(field, parameters, vector)
    pieces: list[_Piece] = []
    while now < end or not pieces:
        if len(pieces) > MAX_EVENTS_PER_SWITCH * (1 + len(field.surfaces)):
            raise IntegrationError(
                f"the noiseless flow of {model.name} changes its piece without end near "
                f"t = {now:.6g}",
                now,
            )
        piece, vector, switch = _integrate_piece(
            field, parameters, vector, mode, now, end, tolerance
        )
        pieces.append(piece)
        now = piece.end
        if switch is not None:
            mode = after_event(field, parameters, vector, mode, switch, now, MET * tolerance)
            vector = field.project(vector, mode)
    return _dataset(field, parameters, times, pieces, tolerance)


def _integrate_piece(
    field: NoiselessField,
    parameters: Parameters,
    vector: Array,
    mode: Array,
    now: float,
    end: float,
    tolerance: float,
) -> tuple[_Piece, Array, int | None]:
    """Follow one mode until a surface is reached, a share leaves [0, 1], or the end.

    Returns the piece, the state after it, and the surface.
    """

    def right_hand_side(_: float, s: Array) -> Array:
        return field.evaluate(parameters, s, field.sliding_gates(parameters, s, mode))

    resting = resting_surfaces(field, parameters, vector, mode)

    def event(k: int) -> Callable[[float, Array], float]:
        if resting[k]:

            def height(_: float, s: Array) -> float:
                return 1.0 if not any(rates_beside(field, parameters, s, mode, k)) else -1.0
        elif mode[k] == SLIDING:

            def height(_: float, s: Array) -> float:
                share = field.sliding_gates(parameters, s, mode)[k]
                return float(min(share, 1.0 - share))
        else:

            def height(_: float, s: Array) -> float:
                return float(mode[k] * (field.slopes[k] @ s + field.offsets[k]))

        # how solve_ivp is told which events stop it, and in which direction
        height.terminal, height.direction = True, -1.0  # type: ignore[attr-defined]
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
            f"the noiseless flow of {field.model.name} could not be integrated beyond "
            f"t = {found.t[-1]:.6g}: {found.message}",
            float(found.t[-1]),
        )
    switch = None
    if found.status == 1:
        switch = next(k for k, hits in enumerate(found.t_events) if hits.size)
    return _Piece(now, float(found.t[-1]), mode.copy(), found.sol), found.y[:, -1], switch


def _dataset(
    field: NoiselessField,
    parameters: Parameters,
    times: Array,
    pieces: list[_Piece],
    tolerance: float,
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

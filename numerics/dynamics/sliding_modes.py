"""Modes of the noiseless flow: on which side of every kink it is, or whether it slides along it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from numerics.core.errors import IntegrationError
from numerics.core.parameters import Parameters
from numerics.core.validation import Array
from theory import InputError

from .noiseless_field import ACTIVE, INACTIVE, SLIDING, NoiselessField

# how far ahead a flow that starts at rest on a kink is looked at, in units of time
AHEAD = 1e-6


def after_event(
    field: NoiselessField,
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
    met &= ~resting_surfaces(field, parameters, vector, mode)
    met[switch] = True
    for k in np.flatnonzero(met & (mode == SLIDING)):
        changed[k] = ACTIVE if shares[k] > 0.5 else INACTIVE
    reached = np.flatnonzero(met & (mode != SLIDING))
    # what happens at one surface may depend on the others: until nothing changes
    for _ in range(1 + reached.size):
        before = changed.copy()
        for k in reached:
            above, below = rates_beside(field, parameters, vector, changed, int(k))
            towards = k == switch or mode[k] * (above if mode[k] == ACTIVE else below) < 0
            changed[k] = SLIDING if above < 0 < below else -mode[k] if towards else mode[k]
        if np.array_equal(changed, before):
            return changed
    names = ", ".join(f"{field.surfaces[k]} = 0" for k in reached)
    raise IntegrationError(
        f"the noiseless flow of {field.model.name} meets several kinks at once at t = {now:.6g} "
        f"({names}) and its continuation is not determined; move the start",
        now,
    )


def rates_beside(
    field: NoiselessField, parameters: Parameters, vector: Array, mode: Array, k: int
) -> tuple[float, float]:
    """Rates of the height of surface k just above and just below it."""
    rates = []
    for side in (ACTIVE, INACTIVE):
        trial = mode.copy()
        trial[k] = side
        gates = field.sliding_gates(parameters, vector, trial)
        rates.append(float(field.rates(parameters, vector, gates)[k]))
    return rates[0], rates[1]


def resting_surfaces(
    field: NoiselessField, parameters: Parameters, vector: Array, mode: Array
) -> NDArray[np.bool_]:
    """Surfaces on which the flow stands still whatever their steps: those of a unit without
    weights.
    """
    out = np.zeros(mode.size, dtype=bool)
    for k in np.flatnonzero((field.heights(vector) == 0) & (mode == INACTIVE)):
        out[k] = not any(rates_beside(field, parameters, vector, mode, int(k)))
    return out


def starting_mode(field: NoiselessField, parameters: Parameters, vector: Array) -> Array:
    """The mode in which a flow leaves its start; refused where it is not unique."""
    on = field.heights(vector) == 0
    mode = np.where(on, INACTIVE, np.sign(field.heights(vector)).astype(int))
    ahead = vector + AHEAD * field.evaluate(
        parameters, vector, field.sliding_gates(parameters, vector, mode)
    )
    for k in map(int, np.flatnonzero(on)):
        above, below = rates_beside(field, parameters, vector, mode, k)
        if above == below == 0:
            # a readout of 0 does not push, but may be about to; else the unit is idle
            above, below = rates_beside(field, parameters, ahead, mode, k)
        if above > 0 > below:
            raise InputError(
                "initial",
                f"{field.surfaces[k]} = 0, a kink that repels on both sides",
                "a start off the kink",
                "without noise the flow is not unique there; move the overlap off 0",
            )
        mode[k] = SLIDING if above < 0 < below else ACTIVE if above > 0 else INACTIVE
    return mode

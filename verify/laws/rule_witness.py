"""What the update of a model makes of sample gradients: from its statement alone, in R^d."""

from __future__ import annotations

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from theory import ReLU, Step, symbols
from theory.problem.updating.rule import resolved, unit_of
from theory.problem.updating.update import DOMINANT, Update

from .frames import Frame
from .law import LawCase

Array = NDArray[np.float64]


def ridges_of(case: LawCase) -> Array:
    """The ridge of the loss on every unit and every readout parameter."""
    value = {symbols.RIDGE: case.parameters.ridge}
    return np.array([float(e.xreplace(value)) for e in case.model.ridges])


def movement(
    case: LawCase,
    frame: Frame,
    labels: Array,
    fields: Array,
    features: Array,
    gradient: tuple[Array, Array],
) -> tuple[Array, Array]:
    """(change of the weights, of the readout) over delta in single steps, N x C x d and N x q.

    ``gradient`` are the derivatives of the loss in u and v, ``fields`` what it sees of the samples.
    """
    model, v = case.model, case.state.readout
    c, update = model.units, Update() if model.update is None else model.update
    loss = model.loss
    slopes = _slopes(update, case, labels, fields, np.concatenate(gradient, axis=1))
    rates = np.ones(slopes.shape[1])
    for n, rate in resolved(update.table("rates"), loss).items():
        rates[n] = float(rate)
    rates[list(resolved(dict.fromkeys(update.frozen), loss))] = 0.0
    slopes, decays = slopes * rates, rates * ridges_of(case)
    decay = np.diag(decays[:c])
    for a, (other, rate) in resolved(update.table("averages"), loss).items():
        decay[a, a], decay[a, unit_of(other, loss)] = float(rate), -float(rate)
    step = -(slopes[:, :c, None] * features[:, None, :] + decay @ frame.weights)
    if update.project is not None:
        means = np.array(model.mixture.coordinates.tolist(), dtype=float) @ frame.directions
        onto = step @ (np.linalg.pinv(means) @ means)
        step = onto if update.project == DOMINANT else step - onto
    return step, -(slopes[:, c:] + decays[c:] * v)


def _slopes(update: Update, case: LawCase, labels: Array, fields: Array, gradient: Array) -> Array:
    """The gradient, or what the rules put in its place."""
    loss, found = case.model.loss, gradient.copy()
    for n, rule in resolved(update.table("rules"), loss).items():
        values = {symbols.SLOPE: gradient[:, n], symbols.LABEL: labels}
        values |= dict(zip(symbols.vector("g", loss.units), gradient.T, strict=False))
        values |= dict(zip(loss.fields, fields.T, strict=True))
        values |= dict(zip(loss.readout, case.state.readout, strict=True))
        plain = rule.replace(ReLU, lambda x: sp.Max(x, 0)).replace(
            Step, lambda x: sp.Heaviside(x, 0)
        )
        function = sp.lambdify(list(values), plain, "numpy")
        found[:, n] = function(*values.values())
    return found

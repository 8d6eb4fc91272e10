"""The regularized risk of the class means, from the loss in elementary functions: its minimum, and
blocks of its Hessian there.  Neither the drift nor a closed form enters.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import sympy as sp

from numerics.expectations.certified_double import array_functions
from theory import Model, symbols
from theory.names import ALMOST_EVERYWHERE, CLUSTERS, COORDINATES

from .loss import RawLoss

Values = dict[sp.Symbol, sp.Expr]


def class_gaps(model: Model, state: Mapping[sp.Symbol, sp.Expr]) -> Values:
    """s_l = m_ll - m_al, the same for every a other than l where the means are orthonormal."""
    m, k = model.symbols.overlap, model.units
    if model.directions != k or k < 2:
        return {}
    return {
        gap: state[m[l, l]] - state[m[(l + 1) % k, l]]
        for l, gap in enumerate(symbols.vector("s", k, positive=True))
    }


def gram_root(model: Model, at: Values) -> sp.Matrix:
    """The lower Cholesky factor of the Gram matrix: rows are the directions."""
    return sp.Matrix(model.mixture.directions_gram.xreplace(at)).cholesky()


def _raw_parts(
    model: Model, values: Mapping[sp.Symbol, sp.Expr]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Directions as rows, means, weights and ridge as numbers."""
    e = np.array(gram_root(model, dict(values)).tolist(), dtype=float)
    means = np.array(model.mixture.coordinates.tolist(), dtype=float) @ e
    weights = np.array([float(sp.sympify(p).xreplace(values)) for p in model.mixture.weights])
    return e, means, weights, float(sp.sympify(model.ridge).xreplace(values))


def minimize_risk(model: Model, values: Values) -> Values:
    """The minimum of sum_l p_l l(y_l; x mu_l, v) + beta/2 (|x|^2 + |v|^2), from the loss alone."""
    c, q, raw = model.units, model.readout_size, RawLoss(model)
    e, means, weights, beta = _raw_parts(model, values)
    expressions = [raw.expression, *(raw.partial((i,)) for i in range(len(raw.variables)))]
    # one function a component: its label is a number in it
    functions = [
        sp.lambdify(
            raw.variables,
            [f.xreplace({symbols.LABEL: y}) for f in expressions],
            [array_functions(), "numpy"],
        )
        for y in model.mixture.labels
    ]

    def risk(theta: np.ndarray) -> tuple[float, np.ndarray]:
        x, v = theta[: c * len(e)].reshape(c, -1), theta[c * len(e) :]
        u = means @ x.T
        out = np.array([f(*u[l], *v) for l, f in enumerate(functions)], dtype=float).T
        gradient = [np.tensordot(weights * out[1 + a], means, 1) for a in range(c)]
        slope = (
            np.concatenate([np.ravel(gradient), [weights @ o for o in out[1 + c :]]]) + beta * theta
        )
        return float(weights @ out[0] + beta / 2 * theta @ theta), slope

    if q:
        picked = [i % len(CLUSTERS) for i in range(c)]
        start = np.array(COORDINATES, dtype=float)[picked] @ e
        labels_of = np.array([float(model.mixture.labels[l]) for l in picked])
        theta = np.concatenate([start.ravel(), np.where(labels_of == 1, 1.0, -1.0)])
    else:
        theta = 0.1 * means[:c].ravel() if len(means) >= c else np.zeros(c * len(e))
    from scipy.optimize import minimize  # a quarter of a second that few claims need

    found = minimize(
        risk, theta, jac=True, method="BFGS", options={"gtol": 1e-11, "maxiter": 5_000}
    )
    x, v = found.x[: c * len(e)].reshape(c, -1), found.x[c * len(e) :]
    overlap = x @ e.T
    s = model.symbols
    state: Values = {
        s.overlap[a, j]: sp.Float(float(overlap[a, j]), 17)
        for a in range(c)
        for j in range(model.directions)
    }
    state |= {name: sp.Float(float(value), 17) for name, value in zip(s.readout, v, strict=True)}
    return state if q else state | class_gaps(model, state)


def raw_block(model: Model, units: tuple[int, ...], at: Values) -> sp.Matrix:
    """sum_l p_l h_l mu_l mu_l^T + beta, or the second layer, from second derivatives of the raw
    loss.
    """
    raw, c = RawLoss(model), model.units
    e, means, weights, beta = _raw_parts(model, at)
    overlap = np.array([[float(at[x]) for x in row] for row in model.symbols.overlap.tolist()])
    u = np.array(model.mixture.coordinates.tolist(), dtype=float) @ overlap.T

    def second(i: int, j: int) -> np.ndarray:
        f = raw.partial((i, j), ALMOST_EVERYWHERE)
        v = [float(at[x]) for x in model.symbols.readout]
        functions = [
            sp.lambdify(raw.variables, f.xreplace({symbols.LABEL: y}), [array_functions(), "numpy"])
            for y in model.mixture.labels
        ]
        return np.array([float(function(*u[l], *v)) for l, function in enumerate(functions)])

    if not units:
        size = model.readout_size
        rows = [
            [float(weights @ second(c + i, c + j)) + beta * (i == j) for j in range(size)]
            for i in range(size)
        ]
        return sp.Matrix(rows)
    h = weights * second(*units)
    total = (means.T * h) @ means + beta * (units[0] == units[1]) * np.eye(len(e))
    return sp.Matrix(total.tolist())

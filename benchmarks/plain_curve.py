"""The named baseline of a two-layer curve: the raw SGD increments averaged over Sobol points with
NumPy, then RK45.
"""

from __future__ import annotations

import numpy as np
from scipy.integrate import solve_ivp
from scipy.special import ndtri
from scipy.stats import qmc

from numerics import Parameters, State

MEANS = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
LABELS = (1, 1, 0, 0)


def plain_curve(
    parameters: Parameters,
    initial: State,
    end: float,
    *,
    nodes: int,
    replicates: int = 4,
    seed: int = 0,
) -> tuple[np.ndarray, float]:
    """State vector of the XOR network at ``end``, and the error of the curve: a 99 % interval over
    scramblings.

    Drift of m and v: minus the mean increment; of R_perp: from E[g (u - E u)] and (c_delta /
    lambda) E[g g^T].
    """
    curves = []
    for child in np.random.SeedSequence(seed).spawn(replicates):
        sampler = qmc.Sobol(initial.readout.size, rng=np.random.default_rng(child))
        z = ndtri(np.clip(sampler.random(nodes), 2.0**-33, 1 - 2.0**-33))
        found = solve_ivp(
            _field(parameters, initial.readout.size, z),
            (0.0, end),
            _pack(initial),
            rtol=1e-5,
            atol=1e-5,
            t_eval=np.linspace(0.0, end, 65),
        )
        curves.append(found.y)
    values = np.array(curves)
    # Student's t for 4 replicates
    return values.mean(axis=0)[:, -1], float(
        5.84 * values.std(axis=0, ddof=1).max() / np.sqrt(replicates)
    )


def _pack(state: State) -> np.ndarray:
    return np.concatenate([state.overlap.ravel(), state.gram_perp.ravel(), state.readout])


def _field(parameters: Parameters, units: int, z: np.ndarray):
    lam, beta, step = parameters.precision, parameters.ridge, parameters.step

    def field(_: float, s: np.ndarray) -> np.ndarray:
        m = s[: 2 * units].reshape(units, 2)
        perp = s[2 * units : 2 * units + units**2].reshape(units, units)
        v = s[2 * units + units**2 :]
        gram = perp + m @ m.T
        values, vectors = np.linalg.eigh(gram)
        shift = z @ (vectors * np.sqrt(values.clip(0) / lam)).T
        inverse = np.linalg.pinv(gram, hermitian=True)
        dm, dr, dv = -beta * m, -2 * beta * perp, -beta * v
        for p, mean, label in zip(parameters.weights, MEANS, LABELS, strict=True):
            u = shift + m @ mean
            active = np.maximum(u, 0)
            error = 1 / (1 + np.exp(-active @ v)) - label
            g = error[:, None] * v * (u > 0)
            # E[g Z^T] / sqrt(lambda) along x: E[g (u - E u)^T] Q^+ in the coordinates of x
            along = g.T @ shift / len(z) @ inverse
            dm = dm - p * (np.outer(g.mean(axis=0), mean) + along @ m)
            dr = dr - p * (along @ perp + perp @ along.T) + p * step / lam * (g.T @ g) / len(z)
            dv = dv - p * (error[:, None] * active).mean(axis=0)
        return np.concatenate([dm.ravel(), dr.ravel(), dv])

    return field

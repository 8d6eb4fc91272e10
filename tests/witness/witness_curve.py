"""Brute-force witness of a curve: raw increments of one SGD step, averaged over random points, then
integrated.

Nothing here is derived.  Given component l, the increments depend on Y . e_s = (S Gamma)_ls + xi_s
and zeta_a = Y . x_perp^a, which are jointly Gaussian with covariances Gamma / lambda and R /
lambda, and on the pre-activations u = m Gamma^-1 (Y . e) + zeta.  The increments themselves,

    m_as:  -g_a Y.e_s - beta m_as, R_ab:  -g_a zeta_b - g_b zeta_a + (c_delta / lambda) g_a g_b - 2
    beta R_ab,      g = softmax(u) - onehot(l),

are averaged over scrambled Sobol points in r + C = 6 dimensions, with their mirror images and
rescaled to unit sample covariance (so that quadratic functions are exact).  No identity for
Gaussian integrals and no code of the project is used.  Every scrambling is integrated by itself;
the curves of independent scramblings give the mean and its standard error, whatever the flow does
to the quadrature error.

``python tests/witness_curve.py`` writes tests/reference/kgmm_k3_witness.json anew.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy
from helpers import REFERENCE_FOLDER
from scipy.integrate import solve_ivp
from scipy.special import ndtri
from scipy.stats import qmc, t

REFERENCE = REFERENCE_FOLDER
TOLERANCE = 1e-10  # of the integrator, far below every sampling error here
CONFIDENCE = 0.999


@dataclass(frozen=True)
class Problem:
    """Numbers of one reference file."""

    weights: np.ndarray
    precision: float
    ridge: float
    step: float
    gamma: np.ndarray
    overlap: np.ndarray
    gram_perp: np.ndarray
    time: np.ndarray

    @classmethod
    def of(cls, content: dict) -> Problem:
        array = lambda name: np.array(content[name], dtype=float)  # noqa: E731
        return cls(
            array("p"),
            content["precision"],
            content["ridge"],
            content["step"],
            array("directions_gram"),
            array("overlap0"),
            array("gram_perp0"),
            array("time"),
        )


@dataclass(frozen=True)
class Witness:
    """Curves of independent scramblings, shape (replicates, time, entries): m row by row, then all
    of R.
    """

    curves: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        return self.curves.mean(axis=0)

    @property
    def standard_error(self) -> np.ndarray:
        return self.curves.std(axis=0, ddof=1) / np.sqrt(len(self.curves))


def load(name: str) -> dict:
    return json.loads((REFERENCE / f"{name}.json").read_text())


def mirrored_sobol(
    dimension: int, nodes: int, rng: np.random.Generator, *, rescaled: bool = True
) -> np.ndarray:
    """Standard normal points, shape (dimension, nodes): scrambled Sobol points and their mirror
    images.

    Rescaling to unit sample covariance removes the largest part of the error; the bias it brings is
    of the order of the error of the covariance squared (1e-10 for 2^17 nodes).
    """
    uniform = qmc.Sobol(dimension, scramble=True, rng=rng).random(nodes // 2)
    half = ndtri(np.clip(uniform, 2.0**-40, 1 - 2.0**-40)).T
    points = np.concatenate([half, -half], axis=1)
    if rescaled:
        points = np.linalg.solve(np.linalg.cholesky(points @ points.T / nodes), points)
    return np.ascontiguousarray(points)


def field(problem: Problem, points: np.ndarray) -> Callable[[float, np.ndarray], np.ndarray]:
    """Average increment per unit of time, as a function of (m row by row, R row by row)."""
    gamma, lam, beta, k = problem.gamma, problem.precision, problem.ridge, len(problem.weights)
    count = points.shape[1]
    noise = np.linalg.cholesky(gamma) @ points[:k] / np.sqrt(lam)
    outside = points[k:] / np.sqrt(lam)

    def increments(_: float, state: np.ndarray) -> np.ndarray:
        m, r = state[: k * k].reshape(k, k), state[k * k :].reshape(k, k)
        zeta = np.linalg.cholesky((r + r.T) / 2) @ outside
        inward = np.linalg.solve(gamma, m.T).T
        dm, dr = -beta * m, -2 * beta * r
        for l in range(k):
            features = gamma[l][:, None] + noise
            u = inward @ features + zeta
            e = np.exp(u - u.max(axis=0))
            g = e / e.sum(axis=0)
            g[l] -= 1.0
            seen = g @ zeta.T / count
            dm = dm - problem.weights[l] * (g @ features.T / count)
            dr = dr + problem.weights[l] * (problem.step / lam * (g @ g.T / count) - seen - seen.T)
        return np.concatenate([dm.ravel(), dr.ravel()])

    return increments


def brute_force(
    problem: Problem, nodes: int, replicates: int, seed: int, *, rescaled: bool = True
) -> Witness:
    """Integrate the averaged increments once per independent scrambling."""
    start = np.concatenate([problem.overlap.ravel(), problem.gram_perp.ravel()])
    curves = []
    for child in np.random.SeedSequence(seed).spawn(replicates):
        points = mirrored_sobol(
            2 * len(problem.weights), nodes, np.random.default_rng(child), rescaled=rescaled
        )
        run = solve_ivp(
            field(problem, points),
            (0.0, problem.time[-1]),
            start,
            "DOP853",
            problem.time,
            rtol=TOLERANCE,
            atol=TOLERANCE,
        )
        assert run.success
        curves.append(run.y.T)
    return Witness(np.array(curves))


def factor(replicates: int, comparisons: int, confidence: float = CONFIDENCE) -> float:
    """Standard errors that cover all ``comparisons`` at once with the given confidence (Student,
    Bonferroni).
    """
    return float(t.isf((1 - confidence) / comparisons / 2, replicates - 1))


def main() -> None:
    parser = argparse.ArgumentParser(description="Write tests/reference/kgmm_k3_witness.json.")
    parser.add_argument("--nodes", type=int, default=2**17)
    parser.add_argument("--replicates", type=int, default=16)
    parser.add_argument("--seed", type=int, default=20261123)
    parser.add_argument("--out", type=Path, default=REFERENCE / "kgmm_k3_witness.json")
    options = parser.parse_args()
    problem = Problem.of(load("kgmm_k3"))
    witness = brute_force(problem, options.nodes, options.replicates, options.seed)
    k, times = len(problem.weights), len(problem.time)
    multiple = factor(options.replicates, (times - 1) * (k * k + k * (k + 1) // 2))
    shape = lambda a, part: a[:, part].reshape(times, k, k).tolist()  # noqa: E731
    m, r = slice(0, k * k), slice(k * k, None)
    content = {
        "name": "kgmm k=3 orthonormal, brute-force witness",
        "note": "same problem and fields as kgmm_k3.json; mean over scramblings of the curves"
        " integrated from averaged raw SGD increments (g_a Y.e_s, g_a"
        " zeta_b, g_a g_b), no identity for Gaussian integrals",
        "script": "tests/witness_curve.py",
        "points": "scrambled Sobol, mirrored, rescaled to unit sample covariance",
        "nodes_per_component": options.nodes,
        "dimension_of_integrals": 2 * k,
        "scramblings": options.replicates,
        "seed": options.seed,
        "integrator": f"DOP853, rtol = atol = {TOLERANCE:g}",
        "versions": f"Python {platform.python_version()}, numpy {np.__version__}, scipy"
        f" {scipy.__version__}",
        "time": problem.time.tolist(),
        "overlap": shape(witness.mean, m),
        "gram_perp": shape(witness.mean, r),
        "overlap_standard_error": shape(witness.standard_error, m),
        "gram_perp_standard_error": shape(witness.standard_error, r),
        "confidence": CONFIDENCE,
        "standard_errors_at_confidence": multiple,
        "error_estimate": multiple * float(witness.standard_error.max()) + 100 * TOLERANCE,
        "error_meaning": "covers all entries at once with the stated confidence (Student,"
        " Bonferroni), plus 100 times the tolerance of the integrator",
    }
    options.out.write_text(json.dumps(content, indent=1) + "\n")
    print(f"wrote {options.out.name}, error_estimate {content['error_estimate']:.3g}")


if __name__ == "__main__":
    main()

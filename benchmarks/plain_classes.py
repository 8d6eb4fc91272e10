"""The named baseline of a curve of classes: moments of the softmax with NumPy, and solve_ivp."""

from __future__ import annotations

from time import process_time

import numpy as np
from scipy.integrate import solve_ivp

from numerics import Parameters, State, integrate_curves
from numerics.dynamics import refinement
from theory import kgmm

from .history import Rows

# sizes, tolerances, and how many times faster than the baseline is asked for
CASES = ((2, 1e-8, 1), (3, 1e-8, 1), (5, 1e-4, 3), (10, 1e-4, 3), (20, 1e-4, 3))
END, TIMES = 16.0, 201


def curves_beside_numpy(table: Rows) -> None:
    """Whole curves, error estimate included, beside one solve_ivp on the nodes of the last rule."""
    for k, tolerance, wanted in CASES:
        numbers = Parameters(np.full(k, 1 / k), 10.0, 0.1, 1.0)
        initial = State(0.3 * np.random.default_rng(0).normal(size=(k, k)), 0.5 * np.eye(k))
        arguments = kgmm(k), numbers, initial, END
        rule, accuracy = _last_run(arguments, tolerance)
        ours, plain = [], []
        for _ in range(5 if k < 10 else 2):  # in turn: drift of the machine's speed meets both
            start = process_time()
            integrate_curves(*arguments, tolerance=tolerance)
            middle = process_time()
            plain_classes(numbers, initial, rule.nodes, rule.weights, accuracy)
            ours.append(middle - start)
            plain.append(process_time() - middle)
        ratio = float(np.median(np.array(plain) / ours))
        table.add_row(
            f"curve of {k} classes to {tolerance:g}, {rule}",
            f"{np.median(ours):.3f} CPU s",
            f"NumPy on the same nodes, without an error: {np.median(plain):.3f} CPU s",
            f"{ratio:.2f} (at least {wanted})",
        )


def _last_run(arguments: tuple, tolerance: float):
    """The rule and the accuracy of the last integration with all scramblings of a curve."""
    runs, run = [], refinement.Flow.run

    def spied(flow, rule, accuracy):
        runs.append((rule, accuracy))
        return run(flow, rule, accuracy)

    refinement.Flow.run = spied
    try:
        integrate_curves(*arguments, tolerance=tolerance)
    finally:
        refinement.Flow.run = run
    most = max(rule.replicates for rule, _ in runs)
    return [each for each in runs if each[0].replicates == most][-1]


def plain_classes(
    numbers: Parameters, initial: State, nodes: np.ndarray, weights: np.ndarray, accuracy: float
) -> np.ndarray:
    """Curves of all scramblings at equidistant times, orthonormal means."""
    found = solve_ivp(
        _field(numbers, nodes, weights),
        (0.0, END),
        np.tile(initial.flatten(), len(nodes)),
        method="DOP853" if accuracy < 1e-6 else "RK45",
        rtol=accuracy,
        atol=accuracy,
        t_eval=np.linspace(0.0, END, TIMES),
    )
    return found.y


def _field(numbers: Parameters, nodes: np.ndarray, weights: np.ndarray):
    p, lam, beta, step = numbers.weights, numbers.precision, numbers.ridge, numbers.step
    k, rows, columns = len(p), *np.triu_indices(len(p))
    basis = np.linalg.svd(np.eye(k) - 1.0 / k)[2][: nodes.shape[2]]

    def field(_: float, vectors: np.ndarray) -> np.ndarray:
        out = np.empty((len(nodes), k * k + rows.size))
        for e, s in enumerate(vectors.reshape(len(nodes), -1)):
            m, perp = s[: k * k].reshape(k, k), np.empty((k, k))
            perp[rows, columns] = perp[columns, rows] = s[k * k :]
            gram = basis @ (perp + m @ m.T) @ basis.T / lam
            values, axes = np.linalg.eigh(gram)
            shift = nodes[e] @ ((axes * np.sqrt(values.clip(0))) @ axes.T @ basis)
            dm, dr = -beta * m, -2 * beta * perp
            for l in range(k):
                u = shift + m[:, l]
                share = np.exp(u - u.max(axis=1, keepdims=True))
                share /= share.sum(axis=1, keepdims=True)
                first, second = weights @ share, (share * weights[:, None]).T @ share
                hessian, squares = np.diag(first) - second, second.copy()
                squares[l] -= first
                squares[:, l] -= first
                squares[l, l] += 1
                first[l] -= 1
                dm[:, l] -= p[l] * first
                dm -= p[l] / lam * hessian @ m
                along = hessian @ perp
                dr += p[l] / lam * (step * squares - along - along.T)
            out[e] = np.concatenate([dm.ravel(), dr[rows, columns]])
        return out.ravel()

    return field

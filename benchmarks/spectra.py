"""Outlier eigenpairs of the full softmax Hessian: this package against what else one would take,
all in one run.

``python -m benchmarks spectra`` (d = 1000), ``--large`` (d = 4000, many minutes), ``--memory``
(float32, d = 20,000, M = 80,000 in a process of its own).  Competitors beside NumPy and SciPy come
with ``pip install '.[benchmark]'`` and are left out, with a line that says so, where they are not
installed.  Every result is compared with ours: eigenvalues and the angle between the subspaces.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
import scipy.linalg
from rich.console import Console
from rich.table import Table
from scipy.sparse.linalg import LinearOperator, eigsh

from numerics import Parameters, SampleData, State, draw_data, empirical_spectrum, user_data
from theory import kgmm

TOLERANCE = 1e-8
# the state of tests/reference/effective_softmax_k3.json: four outliers, none of them near the edge
# of the bulk
PARAMETERS = Parameters([0.5, 0.3, 0.2], 10.0, 0.0, 1.0)
STATE = State(2.0 * np.eye(3) - 0.5, 0.5 * np.eye(3) + 0.1)
COUNTS = {"all outliers": 4, "top 9": 9}
TARGETS = {1000: 4.0, 4000: 10.0}
# steps of a Lanczos without a stopping rule: the first of these that reaches the tolerance is timed
STEPS = (40, 50, 60, 80, 100, 130, 160, 200, 250, 300, 400, 500)

Pairs = tuple[np.ndarray, np.ndarray]

MEMORY = """
import json, resource
from time import perf_counter
from benchmarks.spectra import PARAMETERS, STATE, TOLERANCE
from numerics import draw_data, empirical_spectrum
from theory import kgmm
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
small = draw_data(kgmm(3), PARAMETERS, STATE, 400, 3000, 0, dtype="float32")
empirical_spectrum(small, count=4, method="krylov", misfit=False)
before, start = peak(), perf_counter()
data = draw_data(kgmm(3), PARAMETERS, STATE, {dimension}, {samples}, 0, dtype="float32")
drawn, middle = peak(), perf_counter()
found = empirical_spectrum(data, count=4, tolerance=TOLERANCE, misfit=False)
relative = float((found.residual / found.eigenvalue).max())
took = [middle - start, perf_counter() - middle]
print(json.dumps([before, drawn, peak(), data.features.nbytes, *took,
                  found.attrs["passes"], relative, int(found.converged.all())]))
"""


class PlainOperator(LinearOperator):
    """The Hessian as one would write it: two matrix products and a weighted sum."""

    def __init__(self, features: np.ndarray, weight: np.ndarray) -> None:
        self.features, self.weight = features, weight
        size = weight.shape[1] * features.shape[1]
        super().__init__(dtype=np.dtype(float), shape=(size, size))

    def _matvec(self, v: np.ndarray) -> np.ndarray:
        d = self.features.shape[1]
        seen = self.features @ v.reshape(-1, d).T
        weighted = np.einsum("nab,nb->na", self.weight, seen)
        return (self.features.T @ weighted).T.ravel() / len(self.features)


def softmax_weights(data: SampleData) -> np.ndarray:
    """diag(pi) - pi pi^T of every sample, by hand."""
    u = data.features @ data.weights.T
    pi = np.exp(u - u.max(axis=1, keepdims=True))
    pi /= pi.sum(axis=1, keepdims=True)
    return pi[:, :, None] * np.eye(3) - pi[:, :, None] * pi[:, None, :]


def ours(data: SampleData, count: int) -> Pairs:
    fresh = user_data(
        data.model, data.features, data.labels, data.weights, ridge=0.0, directions=data.directions
    )  # nothing kept from a run before
    found = empirical_spectrum(fresh, count=count, tolerance=TOLERANCE, misfit=False)
    assert found.converged.all()
    return found.eigenvalue.to_numpy(), found.eigenvector.to_numpy().reshape(count, -1)


def dense(data: SampleData, count: int) -> Pairs:
    weight, y = softmax_weights(data), data.features
    d = y.shape[1]
    matrix = np.empty((3 * d, 3 * d))
    for a in range(3):
        for b in range(a + 1):
            block = y.T @ (weight[:, a, b, None] * y) / len(y)
            matrix[a * d : (a + 1) * d, b * d : (b + 1) * d] = block
    values, vectors = scipy.linalg.eigh(
        matrix, subset_by_index=[3 * d - count, 3 * d - 1], overwrite_a=True
    )
    return values[::-1], vectors[:, ::-1].T


def matrix_free(data: SampleData, count: int) -> Pairs:
    operator = PlainOperator(data.features, softmax_weights(data))
    return _arpack(operator, count)


def curvlinops_eigsh(data: SampleData, count: int) -> Pairs:
    import curvlinops

    model, loss, batch, parameters = _torch_problem(data)
    operator = curvlinops.HessianLinearOperator(
        model, loss, parameters, [batch], check_deterministic=False
    )
    return _arpack(operator.to_scipy(), count)


def eigenthings(steps: int) -> Callable[[SampleData, int], Pairs]:
    """Its Lanczos has no stopping rule: the number of steps is given."""

    def run(data: SampleData, count: int) -> Pairs:
        import hessian_eigenthings as he

        model, loss, batch, _ = _torch_problem(data)
        operator = he.HessianOperator(model, [batch], lambda m, pair: loss(m(pair[0]), pair[1]))
        found = he.lanczos(
            operator, k=count, max_iter=steps, reorthogonalize=True, which="LA", seed=0
        )
        return found.eigenvalues.numpy(), found.eigenvectors.numpy()

    return run


def spectra(table: Table, dimension: int, console: Console, slow: bool) -> None:
    """Rows for all outliers, and for as many pairs as there are classes times directions."""
    data = draw_data(kgmm(3), PARAMETERS, STATE, dimension, 8 * dimension, 0)
    ours(draw_data(kgmm(3), PARAMETERS, STATE, 400, 3200, 0), 4)  # compiled
    plain = PlainOperator(data.features, softmax_weights(data))
    for what, count in COUNTS.items():
        mine = min((_timed(ours, data, count) for _ in range(5)), key=lambda found: found[0])
        rows: list[tuple[str, float, str]] = []
        others = {"dense eigh": dense, "matrix-free eigsh": matrix_free}
        if _installed("curvlinops", console) and (slow or dimension <= 1000):
            others["curvlinops + eigsh"] = curvlinops_eigsh
        for name, function in others.items():
            repeats = 3 if dimension <= 1000 and name == "matrix-free eigsh" else 1
            found = min((_timed(function, data, count) for _ in range(repeats)), key=lambda f: f[0])
            rows.append((name, found[0], _compared(plain, mine[1], found[1])))
        if _installed("hessian_eigenthings", console):
            rows.append(_eigenthings_row(plain, data, count, mine[1]))
        residual = _residual(plain, mine[1])
        table.add_row(
            f"{what} ({count}), d = {dimension}, M = {8 * dimension}, this package",
            f"{mine[0]:.3f} s",
            f"residual {residual:.1e}",
            "",
        )
        fastest = min(seconds for _, seconds, _ in rows)
        for name, seconds, text in rows:
            target = f" (at least {TARGETS[dimension]:g})" if seconds == fastest else ""
            table.add_row(f"  {name}", f"{seconds:.3f} s", text, f"{seconds / mine[0]:.1f}{target}")


def _eigenthings_row(
    plain: PlainOperator, data: SampleData, count: int, mine: Pairs
) -> tuple[str, float, str]:
    first = 0 if count < 9 else 4 if len(data.features) < 20_000 else 7
    for steps in STEPS[first:]:
        seconds, found = _timed(eigenthings(steps), data, count)
        if _residual(plain, found) <= TOLERANCE:
            break
    return f"hessian-eigenthings, {steps} steps", seconds, _compared(plain, mine, found)


def memory(table: Table, dimension: int = 20_000, samples: int = 80_000) -> None:
    """Peak of a process that draws float32 data and takes the outliers of the full Hessian."""
    import json

    text = subprocess.run(
        [sys.executable, "-c", MEMORY.format(dimension=dimension, samples=samples)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    before, drawn, peak, size, drawing, seconds, passes, residual, converged = json.loads(
        text.splitlines()[-1]
    )
    table.add_row(
        f"float32, d = {dimension}, M = {samples}: peak memory beyond the imports",
        f"{(peak - before) / 2**30:.2f} GiB",
        f"data {size / 2**30:.2f} GiB",
        f"{(peak - before) / size:.3f} (at most 1.1)",
    )
    table.add_row(
        f"  4 outliers in {passes:.0f} passes, all converged: {bool(converged)}",
        f"{seconds:.1f} s",
        f"drawing {drawing:.1f} s, {(drawn - before) / size:.3f} of the data",
        f"residual {residual:.1e}",
    )


def _torch_problem(data: SampleData) -> tuple[Any, Any, tuple[Any, Any], list[Any]]:
    import torch

    model = torch.nn.Linear(data.dimension, 3, bias=False, dtype=torch.float64)
    with torch.no_grad():
        model.weight.copy_(torch.from_numpy(np.ascontiguousarray(data.weights)))
    batch = torch.from_numpy(data.features), torch.from_numpy(data.labels.astype(np.int64) - 1)
    return model, torch.nn.CrossEntropyLoss(), batch, [p for p in model.parameters()]


def _arpack(operator: LinearOperator, count: int) -> Pairs:
    start = np.random.default_rng(0).standard_normal(operator.shape[0])
    values, vectors = eigsh(operator, k=count, which="LA", v0=start, tol=TOLERANCE)
    order = np.argsort(values)[::-1]
    return values[order], vectors[:, order].T


def _residual(operator: PlainOperator, pairs: Pairs) -> float:
    """Largest relative residual."""
    values, vectors = pairs
    rows = np.array([operator.matvec(v) for v in np.asarray(vectors, dtype=float)])
    return float((np.linalg.norm(rows - values[:, None] * vectors, axis=1) / np.abs(values)).max())


def _compared(operator: PlainOperator, mine: Pairs, other: Pairs) -> str:
    """Difference of eigenvalues, and sine of the largest angle between the spans."""
    gap = np.abs(mine[0] / other[0] - 1).max()
    cosines = np.linalg.svd(
        np.linalg.qr(mine[1].T)[0].T @ np.linalg.qr(other[1].T)[0], compute_uv=False
    )
    sine = np.sqrt(max(0.0, 1 - cosines.min() ** 2))
    residual = _residual(operator, other)
    return f"residual {residual:.0e}, eigenvalues {gap:.0e}, sine {sine:.0e} from ours"


def _timed(
    function: Callable[[SampleData, int], Pairs], data: SampleData, count: int
) -> tuple[float, Pairs]:
    start = perf_counter()
    found = function(data, count)
    return perf_counter() - start, found


def _installed(name: str, console: Console) -> bool:
    try:
        __import__(name)
    except ImportError:
        console.print(f"{name} is not installed and left out: pip install '.[benchmark]'")
        return False
    return True


def main(arguments: list[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks spectra", description=__doc__)
    parser.add_argument(
        "--large", action="store_true", help="d = 4000, M = 32,000 in place of d = 1000"
    )
    parser.add_argument(
        "--memory", action="store_true", help="only float32 at d = 20,000, M = 80,000"
    )
    parser.add_argument(
        "--slow", action="store_true", help="with --large: also those that take many minutes"
    )
    chosen = parser.parse_args(arguments)
    console = Console()
    table = Table("measured", "value", "baseline or check", "ratio")
    if chosen.memory:
        memory(table)
    else:
        spectra(table, 4000 if chosen.large else 1000, console, chosen.slow)
    console.print(table)

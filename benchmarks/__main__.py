"""Print derivation, compilation, evaluation and simulation times apart, each against a baseline of
the same run.

Usage: ``python -m benchmarks`` (about three minutes; ``--help`` names its parts);
``python -m benchmarks spectra`` for empirical spectra against other packages
(:mod:`benchmarks.spectra`); ``python -m benchmarks calibrate`` for true errors of random problems
against their estimates (:mod:`benchmarks.calibrate`).
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
from rich.console import Console
from threadpoolctl import threadpool_limits

from numerics import Parameters, State, integrate_curves, simulate_sgd
from numerics.expectations.compiled import compile_expressions
from theory import derive_drift, kgmm, xor

from .calibrate import main as calibrate_main
from .chain import cases, direct_kernel, memory, reduced_chain
from .effective import effective_spectra
from .history import Rows, append, default_file, last_values
from .plain_classes import curves_beside_numpy
from .plain_curve import plain_curve
from .replicas import short_replicas
from .spectra import main as spectra_main
from .sweep_overhead import POINTS, WORKERS, sweep_overhead
from .wide_bands import wide_bands

DERIVE = """
from time import perf_counter
from theory import derive_drift, derive_gradient_matrix, derive_hessian, kgmm
start = perf_counter()
model = kgmm({k})
for derive in (derive_drift, derive_hessian, derive_gradient_matrix):
    derive(model)
print(perf_counter() - start)
"""


def main(arguments: Sequence[str]) -> None:
    """Run the parts that are asked for and print one table, beside the values of the run before."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure speeds, each against a limit or a baseline of the same run.",
        epilog="python -m benchmarks spectra: empirical spectra against other packages; "
        "python -m benchmarks calibrate: true errors against their estimates.",
    )
    parser.add_argument(
        "--only", metavar="NAME[,NAME]", help=f"parts to run, of {', '.join(PARTS)}; default: all"
    )
    parser.add_argument(
        "--history",
        type=Path,
        default=default_file(),
        metavar="FILE",
        help="runs are added to it, and compared with the last one (default: %(default)s)",
    )
    asked = parser.parse_args(arguments)
    names = list(PARTS) if asked.only is None else asked.only.split(",")
    if unknown := [name for name in names if name not in PARTS]:
        parser.error(f"--only: no part {unknown[0]!r}: choose from {', '.join(PARTS)}")
    console, rows = Console(), Rows()
    machine = (
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} processors, "
        f"Python {platform.python_version()}, NumPy {np.__version__}"
    )
    console.print(f"{machine}; linear algebra on one thread")
    for name in names:
        with threadpool_limits(limits=1):
            PARTS[name](rows)
    console.print(rows.table(last_values(asked.history)))
    append(asked.history, rows.rows, machine)


def derivation(table: Rows) -> None:
    """Cold derivation of drift, Hessian and G, in a fresh process without imports."""
    for k, limit in ((3, 2.0), (10, 15.0)):
        seconds = float(
            subprocess.run(
                [sys.executable, "-c", DERIVE.format(k=k)],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
        )
        _limit_row(table, f"derive drift, Hessian, G, k = {k} (cold)", seconds, limit)


def compilation(table: Rows) -> None:
    """Cold compilation of the drift: an empty cache directory in a fresh process."""
    code = (
        "from time import perf_counter; from theory import derive_drift, kgmm; "
        "import numerics as nu; import numpy as np; "
        "m = kgmm({k}); v = derive_drift(m).vector; s = perf_counter(); "
        "c = nu.compile_expressions(m, v); "
        "nu.integrate_curves(m, nu.Parameters(np.full({k}, 1 / {k}), 10, 0.1, 1), "
        "nu.State(np.zeros(({k}, {k})), np.eye({k})), 0.01, tolerance=1e-2); "
        "print(perf_counter() - s)"
    )
    for k in (3, 10):
        with tempfile.TemporaryDirectory() as directory:
            environment = os.environ | {"SPECALIGN_CACHE_DIR": directory}
            seconds = float(
                subprocess.run(
                    [sys.executable, "-c", code.format(k=k)],
                    check=True,
                    capture_output=True,
                    text=True,
                    env=environment,
                ).stdout
            )
        table.add_row(f"compile the drift, k = {k} (cold)", f"{seconds:.2f} s", "-", "-")


def curves(table: Rows) -> None:
    """Curves once compiled: k = 3 to 1e-8, k = 10 to 1e-4."""
    rng = np.random.default_rng(0)
    for k, tolerance, limit in ((3, 1e-8, 0.1), (10, 1e-4, 10.0)):
        model = kgmm(k)
        parameters = Parameters(np.full(k, 1 / k), 10.0, 0.1, 1.0)
        initial = State(0.3 * rng.normal(size=(k, k)), 0.5 * np.eye(k))

        def integrate(model=model, parameters=parameters, initial=initial, tolerance=tolerance):
            return integrate_curves(model, parameters, initial, 16.0, tolerance=tolerance)

        curve = integrate()
        seconds = _median(integrate, 5 if k == 3 else 1)
        _limit_row(
            table,
            f"curve, k = {k}, lambda = 10, 16 time units (error estimate"
            f" {curve.attrs['error_estimate']:.1e})",
            seconds,
            limit,
        )
        compiled = compile_expressions(model, derive_drift(model).vector)
        table.add_row(
            f"  quadrature dimension, k = {k}",
            str(compiled.dimension),
            str(curve.attrs["quadrature"]),
            "-",
        )


def two_layer_curve(table: Rows) -> None:
    """XOR, K = 4, T = 30, once compiled, to 1e-4; and plain NumPy quasi-Monte Carlo that reaches
    1e-3.
    """
    rng = np.random.default_rng(0)
    parameters = Parameters([0.25] * 4, 100.0, 0.05, 1.0, np.eye(2))
    initial = State(0.3 * rng.normal(size=(4, 2)), 0.5 * np.eye(4), rng.normal(size=4) / 2)
    model = xor(4)

    def integrate():
        return integrate_curves(model, parameters, initial, 30.0, tolerance=1e-4)

    curve = integrate()
    seconds = _median(integrate, 5)
    _limit_row(
        table,
        "curve, XOR, K = 4, lambda = 100, 30 time units (error estimate"
        f" {curve.attrs['error_estimate']:.1e})",
        seconds,
        1.0,
    )
    for wanted in (1e-3, 1e-4):
        nodes, error, baseline = 256, np.inf, 0.0
        while error > wanted:
            nodes *= 2
            start = perf_counter()
            _, error = plain_curve(parameters, initial, 30.0, nodes=nodes)
            baseline = perf_counter() - start
        table.add_row(
            f"  the same to {wanted:g} by plain NumPy quasi-Monte Carlo",
            f"{baseline:.1f} s",
            f"{nodes} nodes x 4 scramblings, error {error:.1e}",
            f"{baseline / seconds:.1f}",
        )


def simulation(table: Rows, dimension: int = 1000, steps: int = 40_000) -> None:
    """Steps a second of the generated kernels, one thread, against a plain NumPy loop."""
    model, parameters, initial = cases()[0]
    end = steps / dimension

    def run() -> None:
        simulate_sgd(model, parameters, initial, [end], dimension, replicas=1, workers=1)

    run()
    # the two are measured in turn, so that drift of the machine's speed meets both
    pairs = [
        (steps / _seconds(run), 4000 / _seconds(lambda: numpy_loop(parameters, dimension, 4000)))
        for _ in range(5)
    ]
    kernel, baseline = (float(np.median([p[i] for p in pairs])) for i in (0, 1))
    ratio = float(np.median([a / b for a, b in pairs]))
    table.add_row(
        f"direct SGD, k = 3, d = {dimension}, one thread",
        f"{kernel:,.0f} steps/s",
        f"NumPy loop: {baseline:,.0f} steps/s",
        f"{ratio:.2f} (at least 5)",
    )
    direct_kernel(table)
    reduced_chain(table, baseline)
    memory(table)


def sweeps(table: Rows) -> None:
    """Points of a second on two processes, against half the sum of the points alone."""
    for what in ("start of the processes included", "the process they are copies of at hand"):
        found = sweep_overhead()
        table.add_row(
            f"sweep of {POINTS} points of {found['points'] / POINTS:.2f} s on {WORKERS} processes,"
            f" {what}",
            f"{found['sweep']:.1f} s",
            f"points alone / {WORKERS}: {found['points'] / WORKERS:.1f} s",
            f"{1 + found['overhead']:.3f} (at most 1.10)",
        )


def growth(table: Rows) -> None:
    """The exponent of k in the processor time of a curve, once compiled."""
    sizes, seconds = (3, 5, 7, 10), []
    for k in sizes:
        numbers = Parameters(np.full(k, 1 / k), 10.0, 0.1, 1.0)
        initial = State(0.3 * np.random.default_rng(0).normal(size=(k, k)), 0.5 * np.eye(k))
        arguments = kgmm(k), numbers, initial, 16.0
        integrate_curves(*arguments, tolerance=1e-4)
        start = process_time()
        integrate_curves(*arguments, tolerance=1e-4)
        seconds.append(process_time() - start)
    exponent = np.polyfit(np.log(sizes), np.log(seconds), 1)[0]
    measured = ", ".join(f"{s:.2f}" for s in seconds)
    table.add_row(
        f"growth of curves to 1e-4, k = {', '.join(map(str, sizes))}",
        f"k^{exponent:.1f}",
        f"{measured} s",
        "-",
    )


def numpy_loop(parameters: Parameters, dimension: int, steps: int) -> np.ndarray:
    """The same SGD as a plain NumPy loop: what one would write by hand."""
    rng = np.random.default_rng(0)
    k = parameters.weights.size
    means = np.zeros((k, dimension))
    means[:, :k] = np.eye(k)
    x = rng.normal(size=(k, dimension)) / np.sqrt(dimension)
    cumulative = np.cumsum(parameters.weights)
    delta, scale = parameters.step / dimension, 1 / np.sqrt(parameters.precision)
    for _ in range(steps):
        label = np.searchsorted(cumulative, rng.random())
        y = means[label] + scale * rng.standard_normal(dimension)
        u = x @ y
        g = np.exp(u - u.max())
        g /= g.sum()
        g[label] -= 1.0
        x -= delta * (np.outer(g, y) + parameters.ridge * x)
    return x


def _limit_row(table: Rows, what: str, seconds: float, limit: float) -> None:
    table.add_row(what, f"{seconds:.3f} s", f"{limit:g} s", f"{seconds / limit:.2f} (at most 1)")


def _seconds(function: Callable[[], object]) -> float:
    start = perf_counter()
    function()
    return perf_counter() - start


def _median(function: Callable[[], object], repeats: int) -> float:
    return float(np.median([_seconds(function) for _ in range(repeats)]))


PARTS: dict[str, Callable[[Rows], None]] = {
    "derivation": derivation,
    "compilation": compilation,
    "curves": curves,
    "numpy-curves": curves_beside_numpy,
    "two-layer": two_layer_curve,
    "growth": growth,
    "bands": wide_bands,
    "effective": effective_spectra,
    "simulation": simulation,
    "replicas": short_replicas,
    "sweeps": sweeps,
}


if __name__ == "__main__":
    if sys.argv[1:2] == ["calibrate"]:
        calibrate_main(sys.argv[2:])
    elif sys.argv[1:2] == ["spectra"]:
        spectra_main(sys.argv[2:])
    else:
        main(sys.argv[1:])

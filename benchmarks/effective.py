"""Processor time of limiting spectra, once compiled, beside the seconds they should take."""

from __future__ import annotations

from time import process_time

import numpy as np

from numerics import Parameters, State, effective_spectrum, emergence, solve_curve
from theory import kgmm, xor

from .history import Rows

# classes, block and limit in seconds
SOFTMAX = ((3, "first_layer", 0.3), (3, (0, 0), 0.1), (5, "first_layer", None))
LARGE = (10, "first_layer", 30.0)


def softmax_case(k: int) -> tuple[Parameters, State]:
    """Equal classes, with weights near the means."""
    rng = np.random.default_rng(0)
    overlap = 1.5 * np.eye(k) + 0.1 * rng.normal(size=(k, k))
    return Parameters(np.full(k, 1 / k), 10.0, 0.1, 1.0), State(overlap, 0.3 * np.eye(k) + 0.05)


def effective_spectra(table: Rows) -> None:
    """Whole spectra with their densities, and outliers along a curve."""
    for k, block, limit in (*SOFTMAX, LARGE):
        model, (parameters, state) = kgmm(k), softmax_case(k)

        def solve(model=model, parameters=parameters, state=state, block=block):
            return effective_spectrum(model, parameters, state, 4.0, block=block)

        if k < 5:
            solve()  # compiles
        start = process_time()
        found = solve()
        seconds = process_time() - start
        what = "full" if block == "first_layer" else "one block"
        _row(
            table,
            f"effective spectrum, k = {k}, {what} (error estimate"
            f" {found.attrs['error_estimate']:.1e})",
            seconds,
            limit,
        )
    numbers = Parameters([0.25] * 4, 20.0, 0.05, 1.0, np.eye(2))
    overlap = np.array([[1.0, 0.1], [-0.9, 0.2], [0.1, 1.1], [-0.2, -1.0]])
    trained = State(overlap, 0.2 * np.eye(4), np.array([1.0, 0.9, -1.0, -1.1]))
    start = process_time()
    effective_spectrum(xor(4), numbers, trained, 4.0)
    _row(table, "effective spectrum, XOR, K = 4, full", process_time() - start, None)
    equal = Parameters(np.full(3, 1 / 3), 10.0, 0.1, 1.0)
    curve = solve_curve(kgmm(3), equal, State(np.zeros((3, 3)), np.eye(3)), 16.0)
    start = process_time()
    emergence(kgmm(3), equal, curve, 4.0, time=np.linspace(0, 16, 50))
    _row(table, "emergence, k = 3, full, 50 times", process_time() - start, 15.0)


def _row(table: Rows, what: str, seconds: float, limit: float | None) -> None:
    asked = ("-", "-") if limit is None else (f"{limit:g} s", f"{seconds / limit:.2f} (at most 1)")
    table.add_row(what, f"{seconds:.2f} CPU s", *asked)

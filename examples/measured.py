"""What these examples share: means with their errors, power laws, and numbers written as JSON."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

import specalign as sa
from verify.verdict import extrapolation

Array = np.ndarray


def mean_and_error(values: Array) -> dict[str, Any]:
    """Means over runs, the first axis, and their standard errors."""
    mean, error = extrapolation.mean_and_error(values)
    return {"mean": mean.tolist(), "error": error.tolist()}


def power_law(x: Iterable[float], y: Iterable[float]) -> dict[str, Any]:
    """Least squares of log y = a + b log x: the exponent b, half its 95 % interval from the
    residuals, the largest residual, the slopes between the first and between the last two points,
    and whether these differ by less than 0.2.
    """
    log_x, log_y = np.log(np.asarray(x, float)), np.log(np.asarray(y, float))
    fit = stats.linregress(log_x, log_y)
    local = np.diff(log_y) / np.diff(log_x)
    return {
        "exponent": float(fit.slope),
        "half": float(stats.t.ppf(0.975, len(log_x) - 2) * fit.stderr),
        "residual": float(np.abs(log_y - fit.intercept - fit.slope * log_x).max()),
        "local": [float(local[0]), float(local[-1])],
        "is one": bool(abs(local[-1] - local[0]) < 0.2),
    }


def law_row(name: str, x: Iterable[float], y: Iterable[float]) -> dict[str, Any]:
    """A row of a table, printed: the numbers, their exponent, and whether it is one."""
    row = {"values": [float(value) for value in y], **power_law(x, y)}
    numbers = " ".join(f"{value:.3g}" for value in row["values"])
    first, last = row["local"]
    print(
        f"  {name:36}{numbers}; exponent {row['exponent']:+.2f} ± {row['half']:.2f}, largest "
        f"residual {row['residual']:.0%}, local {first:+.2f} to {last:+.2f}"
        f"{'' if row['is one'] else '; no power law'}"
    )
    return row


def extrapolated(x: Array, y: Array, at: float) -> tuple[float, float]:
    """Where the line through the last two points of log y leads, and its slope."""
    slope = np.log(y[-1] / y[-2]) / np.log(x[-1] / x[-2])
    return float(y[-1] * (at / x[-1]) ** slope), float(slope)


def share_of_weights(state: sa.State) -> float:
    """Share of the squared length of all weights in the span of orthonormal directions."""
    inside = float(np.sum(state.overlap**2))
    return inside / (inside + float(np.trace(state.gram_perp)))


def arguments(
    description: str | None, names: Iterable[str] = (), *, draws: bool = True
) -> argparse.Namespace:
    """What is asked of an example: one of some names, a figure, and where numbers are written."""
    parser = argparse.ArgumentParser(description=description)
    if names:
        parser.add_argument("name", nargs="?", choices=list(names), default=next(iter(names)))
    if draws:
        parser.add_argument("figure", nargs="?", help="where to draw a figure")
    parser.add_argument("--json", type=Path, help="where to write all numbers")
    return parser.parse_args()


def write_json(found: dict[str, Any], path: Path | None) -> None:
    """All numbers of an example, where that is asked."""
    if path:
        path.write_text(json.dumps(found), "utf-8")

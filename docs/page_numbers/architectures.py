"""Convolution and attention: which space?  Run and numbers of the page on architectures."""

from __future__ import annotations

from typing import Any

from .markdown import commands, fixed, minutes, plus_minus, table
from .runs import Run

RUNS = (Run("architectures", "python examples/architectures.py docs/img/architectures.png"),)
# what the tables show: units with their times, and of the blocks those that change
UNITS = ("filter 1", "score", "value")


def values(found: dict[str, Any]) -> dict[str, str]:
    """Tables and numbers by the names of their places."""
    run = found["architectures"]
    networks = [run["convolution"], run["attention"]]
    weights = [row for network in networks for row in network["weights"]]
    blocks = [row for network in networks for row in network["blocks"]]
    return {
        "command": commands(found, ["architectures"]),
        "minutes": minutes(found),
        "weights": _weights_table(weights),
        "blocks": _blocks_table(blocks),
        "samples": _samples_table([row for row in blocks if "mean" in row]),
        **_text(weights, blocks),
    }


def _weights_table(rows: list[dict[str, Any]]) -> str:
    lines = []
    for unit in UNITS:
        first = unit
        for row in rows:
            if row["unit"] == unit and row["t"] > 0:
                theory = [fixed(x) for x in row["theory"][1:]]
                pairs = zip(row["mean"][1:], row["error"][1:], strict=True)
                lines.append([first, f"{row['t']:g}", *theory, *(plus_minus(*p, 3) for p in pairs)])
                first = ""
    return table(["", "t", "along e₁", "along e₂", "SGD, e₁", "SGD, e₂"], lines)


def _blocks_table(rows: list[dict[str, Any]]) -> str:
    lines = []
    for unit in UNITS:
        first = unit
        for row in rows:
            if row["unit"] == unit:
                pairs = zip(row["values"], row["shares"], strict=True)
                cells = [f"{v:.4f} ({s[1]:.3f}, {s[2]:.3f})" for v, s in pairs]
                bulk = fixed(row["bulk"], 4)
                lines.append([first, f"{row['t']:g}", row["block"], *cells, bulk])
                first = ""
    return table(["", "t", "block", "first (e₁, e₂)", "second (e₁, e₂)", "bulk"], lines)


def _samples_table(rows: list[dict[str, Any]]) -> str:
    lines = []
    for row in rows:
        if row["unit"] in UNITS:
            along = 1 if row["shares"][0][1] > row["shares"][0][2] else 2
            value = plus_minus(row["mean"][0], row["error"][0], 4)
            share = plus_minus(row["mean"][1 + along], row["error"][1 + along], 4)
            own = [fixed(row["values"][0], 4), value, fixed(row["shares"][0][along]), share]
            lines.append([row["unit"], row["block"], *own])
    head = [
        "", "block", "first outlier: population", "samples",
        "share of its eigenvector along its mean: population", "samples",
    ]  # fmt: skip
    return table(head, lines)


def _text(weights: list[dict[str, Any]], blocks: list[dict[str, Any]]) -> dict[str, str]:
    def weight(unit: str, t: float, along: int) -> float:
        (row,) = (r for r in weights if r["unit"] == unit and r["t"] == t)
        return float(row["theory"][along])

    def block(unit: str, t: float, letter: str) -> dict[str, Any]:
        (row,) = (r for r in blocks if (r["unit"], r["t"], r["block"]) == (unit, t, letter))
        return row

    def least(t: float) -> float:
        """The least share of an outlier of a Hessian in the span of both means, from t on."""
        return min(s[0] for r in blocks if r["t"] >= t and r["block"] == "H" for s in r["shares"])

    odd = block("filter 1", 8, "G")
    return {
        "value at 2": fixed(100 * weight("value", 2, 1), 0),
        "score at 2": fixed(100 * weight("score", 2, 2), 0),
        "score at 32": fixed(weight("score", 32, 2)),
        "first of the score": fixed(block("score", 32, "H")["shares"][0][1]),
        "least from 2": fixed(least(2), 2),
        "least from 8": fixed(least(8)),
        "odd share": fixed(odd["shares"][1][0], 2),
        "odd value": fixed(odd["values"][1], 4),
        "odd bulk": fixed(odd["bulk"], 4),
    }

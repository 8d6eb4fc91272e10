"""Does training happen in the outlier space?  Runs and numbers of the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import xarray as xr

from .markdown import commands, fixed, listed, minutes, plus_minus, table
from .runs import Run, to_digits

SYSTEMS = {"kgmm": "k classes", "xor": "XOR"}
METHODS = ("reduced", "direct")
CROSSING = ("0.5", "1")


def kept(path: Path) -> dict[str, Any]:
    """The bulk, and the eigenvalue whose vector lies closest to the first direction."""
    with xr.open_dataset(path) as found:
        along = int(found.mean_overlap.sel(direction=1).values.argmax())
        own, bulk = float(found.eigenvalue[along]), float(found.bulk[0])
        return {"own": to_digits(own), "bulk": to_digits(bulk)}


RUNS = (
    *(Run(name, f"python examples/dominant_space.py {name}") for name in SYSTEMS),
    *(
        Run(
            f"block at {time}", f"specalign spectrum xor --block 1,1 --at {time}",
            "--output", ".nc", kept,
        )
        for time in CROSSING
    ),
)  # fmt: skip


def values(found: dict[str, Any]) -> dict[str, str]:
    """Tables and numbers by the names of their places."""
    classes, xor = (found[name] for name in SYSTEMS)
    by_time = {f"turn at {row['t']:g}": row for row in xor["gradient"]}
    return {
        "commands": commands(found, SYSTEMS),
        "crossing commands": commands(found, [f"block at {time}" for time in CROSSING]),
        "rules": _rules_table(found),
        "ends": _ends_table(found),
        "gradient": _gradient_table(found),
        "first share": fixed(100 * classes["gradient"][0]["span"], 0),
        "last share": fixed(100 * classes["gradient"][-1]["span"], 0),
        "plain accuracy": fixed(100 * classes["theory"]["plain"]["accuracy"][-1], 1),
        "dominant accuracy": fixed(100 * classes["theory"]["dominant"]["accuracy"][-1], 1),
        "bulk accuracy": fixed(xor["theory"]["bulk"]["accuracy"][-1], 2),
        "furthest": fixed(max(_distances(found)), 1),
        "refuted by": fixed(_refuted(classes), 0),
        **{name: _turn(row) for name, row in by_time.items()},
        **{f"own at {time}": fixed(found[f"block at {time}"]["own"]) for time in CROSSING},
        "bulk of the block": listed(fixed(found[f"block at {time}"]["bulk"]) for time in CROSSING),
        "minutes": minutes(found),
    }


def _rules_table(found: dict[str, Any]) -> str:
    """Loss and accuracy at the start, twice on the way, and at the end."""
    rows = []
    for name, label in SYSTEMS.items():
        run = found[name]
        shown = [0, 1, 2, len(run["times"]) - 1]
        rows.append([label, "t", *(f"{run['times'][i]:g}" for i in shown)])
        for rule, at in run["theory"].items():
            pairs = [(at["loss"][i], at["accuracy"][i]) for i in shown]
            rows.append(["", rule, *(f"{fixed(a)}, {fixed(b)}" for a, b in pairs)])
    return table(["", "rule", "start", "", "", "end"], rows)


def _ends_table(found: dict[str, Any]) -> str:
    """Overlap and alignment of the first unit at the end, with standard errors."""
    rows = []
    for name, label in SYSTEMS.items():
        first = label
        for rule, at in found[name]["ends"].items():
            theory = found[name]["theory"][rule]["end"]
            cells = [
                ", ".join(
                    plus_minus(m, e)
                    for m, e in zip(at[method]["mean"], at[method]["error"], strict=True)
                )
                for method in METHODS
            ]
            rows.append([first, rule, ", ".join(fixed(x, 4) for x in theory), *cells])
            first = ""
    return table(["", "rule", "theory", "chain", "SGD"], rows)


def _distances(found: dict[str, Any]) -> list[float]:
    """Distances of measured overlaps from the theory in standard errors; where nothing moves there
    are none.
    """
    distances = []
    for run in (found[name] for name in SYSTEMS):
        for rule, at in run["ends"].items():
            for method in METHODS:
                error = at[method]["error"][0]
                if error > 0:
                    off = at[method]["mean"][0] - run["theory"][rule]["end"][0]
                    distances.append(abs(off) / error)
    return distances


def _refuted(run: dict[str, Any]) -> float:
    """How far the theory of plain SGD is from the chain of dominant SGD."""
    chain = run["ends"]["dominant"]["reduced"]
    return abs(float(chain["mean"][0] - run["theory"]["plain"]["end"][0])) / float(
        chain["error"][0]
    )


def _gradient_table(found: dict[str, Any]) -> str:
    rows = []
    for name, label in SYSTEMS.items():
        first = label
        for row in found[name]["gradient"]:
            shares = [fixed(row[key]) for key in ("span", "outliers", "batch")]
            rates = [fixed(row["rate"], 5, "+"), fixed(row["by step"], 5, "+")]
            rows.append([first, f"{row['t']:g}", *shares, *rates])
            first = ""
    head = ["", "t", "span", "outliers", "batch of d"]
    return table([*head, "rate of the first, c_δ → 0", "for each unit of c_δ"], rows)


def _turn(row: dict[str, Any]) -> str:
    """The step at which the rate of the share changes its sign."""
    return f"{-row['rate'] / row['by step']:.3g}"

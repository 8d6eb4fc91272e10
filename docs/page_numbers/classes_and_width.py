"""Many classes, wide networks: runs and numbers of the page on classes and width."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from .markdown import commands, fixed, general, law_cells, listed, measured, minutes, table
from .runs import Run

SCRIPT = "python examples/many_classes.py"
RUNS = (
    Run("classes", f"{SCRIPT} classes docs/img/classes_and_width.png"),
    Run("shares", f"{SCRIPT} shares"),
    Run("limit", f"{SCRIPT} limit"),
    Run("width", "python examples/wide_networks.py"),
)
METHODS = {"direct": "SGD", "reduced": "chain"}
LAW = ["exponent", "local", "power law"]


def values(found: dict[str, Any]) -> dict[str, str]:
    """Tables and numbers by the names of their places."""
    return {
        "commands": commands(found, [run.name for run in RUNS]),
        "minutes": minutes(found),
        **_classes(found["classes"]),
        **_shares(found["shares"]),
        **_limit(found["limit"]),
        **_width(found["width"]),
    }


def _laws(
    rows: Mapping[str, Any], labels: Mapping[str, str], name: str, over: Iterable[float]
) -> str:
    """Numbers over k or K, with the power law that fits them best."""
    over = list(over)
    lines = []
    for key, label in labels.items():
        row = rows[key]
        cells = [general(value) for value in row["values"]] + [""] * (
            len(over) - len(row["values"])
        )
        if row.get("error"):  # the last is a mean over runs
            cells[-1] = measured(row["values"][-1], row["error"])
        lines.append([label, *cells, *law_cells(row)])
    first, *others = (f"{x:g}" for x in over)
    return table(["", f"{name} = {first}", *others, *LAW], lines)


def _classes(run: dict[str, Any]) -> dict[str, str]:
    rows, k = run["rows"], run["k"]
    shares = {f"share, {t}": t for t in ("t = 8", "t = k", "end")}
    blocks = {}
    for letter, at, names in (
        ("H", "start", ("first outlier", "k-th outlier", "bulk", "k-th over bulk")),
        ("H", "end", ("first outlier", "k-th outlier", "bulk", "first over bulk",
                      "k-th over bulk")),
        ("G", "start", ("k-th outlier",)),
        ("G", "end", ("first outlier", "k-th outlier")),
    ):  # fmt: skip
        blocks |= {f"{letter} {name}, {at}": f"{letter}, {at}: {name}" for name in names}
    inside = {letter: rows[f"{letter} share of x^1, end"]["values"] for letter in "HG"}
    whole = run["full rank"]
    return {
        "shares": _laws(rows, shares | {"m_11, end": "overlap $m_{11}$, end"}, "k", k),
        "blocks": _laws(rows, blocks, "k", k),
        "first share": fixed(rows["share, t = 8"]["values"][0], 2),
        "ranks": ", ".join(str(rank) for rank in run["rank of overlaps"]),
        "whole k": listed(whole),
        "whole H": listed(str(ranks[0]) for ranks in whole.values()),
        "whole G": listed(str(ranks[1]) for ranks in whole.values()),
        **{
            f"{letter} {end} of x": fixed(extreme(shares), 2)
            for letter, shares in inside.items()
            for end, extreme in (("least", min), ("most", max))
        },
    }


def _shares(run: dict[str, Any]) -> dict[str, str]:
    rows, ridge = run["rows"], run["one ridge"]
    lines = []
    for row in rows:
        method = f"{METHODS[row['method']]}, d = {row['d']}, {row['runs']} runs"
        share = measured(row["mean"], row["error"])
        limit = measured(row["limit"], row["limit error"])
        label = f"k = {row['k']}, {row['time']}"
        lines.append([label, method, share, limit, fixed(row["theory"], 4)])
    off = [(row["limit"] - row["theory"]) / row["limit error"] for row in rows]
    early, late = rows[-2:]
    slopes = [
        math.log(row["limit"] / before["theory"]) / math.log(row["k"] / before["k"])
        for before, row in zip(rows[-4:-2], rows[-2:], strict=True)
    ]
    chain = ridge["chain"]
    return {
        "simulated": table(["", "method", "share", "d → ∞", "theory"], lines),
        "last share": fixed(early["mean"]),
        "early slope": fixed(early["slope"], 2, "+"),
        "late slope": fixed(late["slope"], 2, "+"),
        "last slopes": listed(fixed(slope, 2, "+") for slope in slopes),
        "off with theory": fixed(max(abs(x) for x in off[:-2]), 1),
        "off early": fixed(off[-2], 1, "+"),
        "off late": fixed(off[-1], 1, "+"),
        "one ridge": listed(fixed(share, 4) for share in ridge["theory"]),
        "one ridge k": listed(str(k) for k in ridge["k"][:-1]),
        "one ridge law": ", ".join(fixed(share, 4) for share in ridge["law"][:-1]),
        "one ridge chain": measured(chain["mean"], chain["error"]),
        "one ridge limit": measured(chain["limit"], chain["limit error"]),
        "one ridge last": fixed(ridge["law"][-1], 4),
        "one ridge d": str(chain["d"]),
        "one ridge runs": str(chain["runs"]),
    }


def _limit(run: dict[str, Any]) -> dict[str, str]:
    labels = {
        "k-th, zero weights": "all k outliers, zero weights",
        "first, end": "the first, end",
        "k-th, end": "all k, end",
    }
    emergence, data = run["emergence"], run["data"]
    times = list(zip(run["late"], emergence["values"], strict=True))
    exponent, local, is_one = law_cells(emergence)
    top, population = data["mean"][0], data["population"]
    return {
        "ratios": _laws(run["rows"], labels, "k", run["k"]),
        "late": listed(str(k) for k in run["late"]),
        "emergence": listed(fixed(time, 2) for _, time in times),
        "emergence over k": listed(fixed(time / k) for k, time in times),
        "emergence law": f"{exponent} (local {local})",
        "emergence is one": "" if is_one == "yes" else ", no power law",
        "data k": str(data["k"]),
        "data d": str(data["d"]),
        "draws": str(data["draws"]),
        "outlier": listed(fixed(value, 5) for value in data["outliers"]),
        "edge": fixed(data["edge"], 5),
        "top": measured(top, data["error"][0]),
        "second": measured(data["mean"][1], data["error"][1]),
        "population": fixed(population, 5),
        "refuted by": fixed((top - population) / data["error"][0], 0),
    }


def _width(run: dict[str, Any]) -> dict[str, str]:
    samples, loss = "block (1, 1) of samples, ", "block (1, 1) of the loss, "
    labels = {
        "share of the weights": "share of the weights in the span",
        "v_1^2": "$v_1^2$",
        samples + "1st outlier": "block (1, 1) of samples: first outlier",
        samples + "2nd outlier": "second outlier",
        samples + "bulk": "bulk",
        "layer 2, 1st eigenvalue": "layer 2: first eigenvalue",
        "layer 2, 4th eigenvalue": "fourth eigenvalue",
        loss + "1st outlier": "block (1, 1) of the loss: first outlier",
        loss + "2nd outlier": "second outlier",
        loss + "bulk": "bulk",
    }
    ends = [
        [size, measured(at["share"], at["error"]), fixed(at["by chance"])]
        for size, at in run["ends"].items()
    ]
    ranks = run["ends"]["8"]["ranks"]
    return {
        "widths": _laws(run["rows"], labels, "K", run["K"]),
        "layer 2 ranks": listed(f"{rank:g}" for rank in run["layer 2, rank"]),
        "ends": table(["K", f"{run['ends']['8']['runs']} runs", "by chance"], ends),
        "clusters": listed(ranks),
        "runs of clusters": listed(str(at["runs"]) for at in ranks.values()),
        "ranks of clusters": listed(str(at["rank"]) for at in ranks.values()),
    }

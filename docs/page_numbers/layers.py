"""Where does alignment stop?  Runs and numbers of the page on layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from numerics import alignment_breakdown
from verify.network_layers.layers_tables import (
    MISSED,
    QUANTITIES,
    breakdown_text,
    is_optimal,
    mean_text,
)

from .markdown import commands, fixed, listed, minutes, table
from .runs import Run, to_digits

DATA = {"kgmm": "three classes", "xor": "XOR"}
UNITS = {"tanh": "tanh", "relu": "ReLU"}
RANKS = ("rank", "hessian_rank", "gradient_rank")
FINE = "--widths 8 --precision 0.5,1,2,4,8,16,32 --samples 30000 --replicas 4 --seed 2"
LOW = FINE.replace("0.5,1,2,4,8,16,32", "0.0625,0.125,0.25,0.5")
FEW = "--widths 8 --precision 2,4,8,16,32"


# --- what is kept of a run ------------------------------------------------------------------------


def kept(path: Path) -> dict[str, Any]:
    """Ends of all runs, means along training, and where alignment stops over optimal ends."""
    with xr.open_dataset(path) as found:
        found = found.load()
    last, optimal = found.isel(time=-1), is_optimal(found)
    stops = alignment_breakdown(found.where(optimal))
    course = found.isel(precision=found.sizes["precision"] // 2, width=-1).mean("replica")
    ends = (*QUANTITIES, *RANKS, *(n for n in found.data_vars if n.startswith("theory_")))
    dims = ("width", "precision", "replica", "layer")
    return {
        **{name: found[name].values.tolist() for name in ("width", "precision", "time", "layer")},
        "optimal": optimal.transpose(*dims[:-1]).values.astype(int).tolist(),
        "accuracy": _rounded(last.accuracy.transpose(*dims[:-1])),
        **{name: _rounded(last[name].transpose(*dims, missing_dims="ignore")) for name in ends},
        **_theory_ends(last),
        "course": {
            name: _rounded(course[name].transpose("time", ...))
            for name in (*QUANTITIES, "accuracy")
        },
        "stops": {
            name: _rounded(stops[name].transpose("quantity", "width", "layer"))
            for name in ("precision", "low", "high", "lowest")
        },
    }


def _theory_ends(last: xr.Dataset) -> dict[str, Any]:
    """At which ends the effective dynamics are optimal, where they stand beside SGD."""
    if "theory_accuracy" not in last:
        return {}
    optimal = last.theory_accuracy >= last.best_accuracy - MISSED
    dims = ("width", "precision", "replica")
    return {"theory_optimal": optimal.transpose(*dims).values.astype(int).tolist()}


def _rounded(values: xr.DataArray) -> list[Any]:
    """Four significant digits."""
    return list(to_digits(values.values.tolist(), 4))


RUNS = (
    *(
        Run(
            f"{data} {hidden}",
            f"specalign layers {data} --activation {hidden} {FINE}",
            "--output", ".nc", kept,
        )
        for data, hidden in (("kgmm", "tanh"), ("kgmm", "relu"), ("xor", "relu"))
    ),
    *(
        Run(
            f"{data} {depth} {hidden}",
            f"specalign layers {data} --depth {depth} --activation {hidden} --seed 1",
            "--output", ".nc", kept,
        )
        for data in DATA
        for depth in (2, 3)
        for hidden in UNITS
    ),
    *(
        Run(
            f"low kgmm {hidden}",
            f"specalign layers kgmm --activation {hidden} {LOW}",
            "--output", ".nc", kept,
        )
        for hidden in UNITS
    ),
    Run("few samples", f"specalign layers kgmm {FEW} --seed 2", "--output", ".nc", kept),
    Run(
        "many samples",
        f"specalign layers kgmm {FEW} --seed 2 --samples 30000 --replicas 4",
        "--output", ".nc", kept,
    ),
    Run(
        "large d",
        f"specalign layers kgmm {FEW} --seed 3 --dimension 400 --replicas 4",
        "--output", ".nc", kept,
    ),
    *(
        Run(
            f"theory {words.split()[0]}",
            f"specalign layers {words} --widths 3 --precision 100,1000 --dimension 400 "
            "--replicas 4 --seed 1 --theory",
            "--output", ".nc", kept,
        )
        for words in ("kgmm --k 2 --ridge 0.02", "xor")
    ),
)  # fmt: skip


# --- numbers of the page --------------------------------------------------------------------------


def values(found: dict[str, Any]) -> dict[str, str]:
    """Tables and numbers by the names of their places."""
    fine = ["kgmm tanh", "kgmm relu", "xor relu"]
    coarse = [f"{data} {depth} {hidden}" for data in DATA for depth in (2, 3) for hidden in UNITS]
    low = [f"low kgmm {hidden}" for hidden in UNITS]
    open_questions = ["few samples", "many samples", "large d"]
    return {
        "fine commands": commands(found, fine),
        "fine": _fine_table(found, fine),
        "coarse commands": commands(found, coarse),
        "coarse": _coarse_table(found, coarse),
        "ranks": _rank_table(found, coarse),
        "fine ranks": _fine_ranks(found["kgmm tanh"]),
        "course": _course_table(found["kgmm 2 tanh"]),
        "low commands": commands(found, low),
        "low": _low_table(found, low),
        **{
            f"low {hidden}, {quantity}": _stop(found[f"low kgmm {hidden}"], quantity, 1)
            for hidden in UNITS
            for quantity in QUANTITIES
        },
        "samples commands": commands(found, open_questions),
        **_samples(found),
        **_ends(found),
        **_ranges(found, fine),
        "low accuracy": fixed(100 * np.mean(found["low kgmm tanh"]["accuracy"][0][0]), 0),
        **_theory(found),
        "minutes": minutes(found),
    }


def _stop(run: dict[str, Any], quantity: str, layer: int, width: int = 0) -> str:
    at = (list(QUANTITIES).index(quantity), width, layer)
    numbers = [_at(run["stops"][name], at) for name in ("precision", "low", "high", "lowest")]
    return breakdown_text(*numbers, highest=max(run["precision"]))


def _at(nested: Any, place: tuple[int, ...]) -> float:
    for i in place:
        nested = nested[i]
    return float(nested)


def _fine_table(found: dict[str, Any], names: list[str]) -> str:
    """Where each layer of the resolved runs stops."""
    rows = []
    for name in names:
        data, hidden = name.split()
        for quantity, label in QUANTITIES.items():
            first = f"{DATA[data]}, {UNITS[hidden]}" if quantity == "weights" else ""
            stops = [_stop(found[name], quantity, layer) for layer in range(3)]
            rows.append([first, label, *stops])
    return table(["λ\\*", "of", "layer 1", "layer 2", "readout"], rows)


def _coarse_table(found: dict[str, Any], names: list[str]) -> str:
    """The same at all depths, the two largest widths; the largest λ* of a layer above."""
    rows = []
    for name in names:
        data, depth, hidden = name.split()
        run = found[name]
        for width in (2, 3):
            label = f"{DATA[data]}: {depth}, {UNITS[hidden]}" if width == 2 else ""
            first = [_stop(run, quantity, 0, width) for quantity in QUANTITIES]
            above = [_largest(run, [1], width), _largest(run, range(2, int(depth) + 1), width)]
            rows.append([label, str(run["width"][width]), *first, *above])
    head = ["hidden layers", "width", "layer 1: weights", "Hessian", "G", "layer 2", "above"]
    return table(head, rows)


def _largest(run: dict[str, Any], layers: Any, width: int) -> str:
    """The largest λ* of weights, Hessian and G of some layers."""
    places = [(quantity, layer) for quantity in QUANTITIES for layer in layers]
    order = list(QUANTITIES)

    def size(place: tuple[str, int]) -> tuple[float, float]:
        at = (order.index(place[0]), width, place[1])
        return _at(run["stops"]["precision"], at), _at(run["stops"]["high"], at)

    return _stop(run, *max(places, key=size), width)


def _ends_of(run: dict[str, Any], name: str, precision: float, width: int = -1) -> np.ndarray:
    """A measure at optimal ends, (runs, layers)."""
    place = run["precision"].index(precision)
    kept = np.array(run["optimal"])[width, place] == 1
    return np.array(run[name])[width, place][kept]


def _rank_table(found: dict[str, Any], names: list[str]) -> str:
    """Aligned leading eigenvectors, mean over optimal ends of the widest network."""
    rows = []
    for name in names:
        data, depth, hidden = name.split()
        run, first = found[name], f"{DATA[data]}: {depth}, {UNITS[hidden]}"
        for layer, label in enumerate(run["layer"][:-1]):
            cells = []
            for precision in (1.0, 10.0, 1000.0):
                means = [_ends_of(run, rank, precision)[:, layer] for rank in RANKS]
                cells.append(" / ".join(_mean(m) for m in (means[0], means[1], means[2])))
            rows.append([first, label.removeprefix("layer "), *cells])
            first = ""
    return table(["hidden layers", "layer", "λ = 1", "λ = 10", "λ = 1000"], rows)


def _mean(values: np.ndarray, digits: int = 1) -> str:
    return fixed(values.mean(), digits) if values.size else "no run"


def _fine_ranks(run: dict[str, Any]) -> str:
    """Leading eigenvectors of the Hessian block of layer 1 that are aligned, by precision."""
    means = [
        f"{_mean(_ends_of(run, 'hessian_rank', p)[:, 0])} at λ = {p:g}" for p in run["precision"]
    ]
    return ", ".join(means)


def _course_table(run: dict[str, Any]) -> str:
    """Epsilon along training."""
    course, rows = run["course"], []
    for i, time in enumerate(run["time"]):
        cells = [
            ", ".join(fixed(course[name][i][layer]) for name in QUANTITIES) for layer in range(3)
        ]
        rows.append([f"{time:g}", *cells, fixed(course["accuracy"][i])])
    return table(["t", "layer 1", "layer 2", "layer 3", "accuracy"], rows)


def _low_table(found: dict[str, Any], names: list[str]) -> str:
    """Mean epsilon of every layer below the precisions of the other runs."""
    rows = []
    for name in names:
        run, hidden = found[name], name.split()[-1]
        for precision in run["precision"]:
            runs = _ends_of(run, "weights", precision).shape[0]
            cells = [
                ", ".join(_mean(_ends_of(run, q, precision)[:, layer], 2) for q in QUANTITIES)
                for layer in range(3)
            ]
            rows.append([UNITS[hidden], f"{precision:g}", str(runs), *cells])
    return table(["", "λ", "optimal runs", "layer 1", "layer 2", "readout"], rows)


def _ends(found: dict[str, Any]) -> dict[str, str]:
    """Sub-optimal ends: their number, accuracy and epsilon of the weights; runs that learned."""
    numbers = {}
    for label, name, precision in (
        ("mistaken", "kgmm 2 relu", 100.0), ("collapsed", "xor 2 tanh", 1.0),
    ):  # fmt: skip
        run = found[name]
        place = run["precision"].index(precision)
        missed = np.array(run["optimal"])[:, place] == 0
        weights = np.array(run["weights"])[:, place][missed]
        numbers[f"{label} runs"] = str(int(missed.sum()))
        numbers[f"{label} accuracy"] = mean_text(np.array(run["accuracy"])[:, place][missed])
        numbers[f"{label} weights"] = ", ".join(mean_text(weights[:, j]) for j in range(3))
    for depth in (2, 3):
        run = found[f"xor {depth} tanh"]
        learned = np.array(run["optimal"])
        for precision in (1.0, 10.0):
            place = run["precision"].index(precision)
            numbers[f"learned {depth} {precision:g}"] = str(int(learned[:, place].sum()))
    return numbers


def _theory(found: dict[str, Any]) -> dict[str, str]:
    """SGD beside the effective dynamics from the same weights: a table, and where they part."""
    names = {"theory kgmm": "two classes", "theory xor": "XOR"}
    rows = []
    for name, label in names.items():
        run, first = found[name], label
        for i, precision in enumerate(run["precision"]):
            for quantity, what in QUANTITIES.items():
                sgd, theory = (np.array(run[key])[0, i] for key in (quantity, f"theory_{quantity}"))
                cells = [
                    f"{mean_text(a)} / {fixed(b.mean())}"
                    for a, b in zip(sgd.T, theory.T, strict=True)
                ]
                of = f"{precision:g}" if quantity == "weights" else ""
                rows.append([first, of, what, *cells])
                first = ""
    xor = found["theory xor"]
    both = [np.array(xor[key]) for key in ("optimal", "theory_optimal")]
    readout = np.array(xor["weights"])[0, :, :, -1] - np.array(xor["theory_weights"])[0, :, :, -1]
    return {
        "theory commands": commands(found, names),
        "theory": table(["", "λ", "of", "layer 1", "layer 2", "readout"], rows),
        "theory runs": str(both[0].size),
        "theory optimal": " and ".join(str(int(optimal.sum())) for optimal in both),
        "same ends": str(int(np.sum(both[0] == both[1]))),
        "theory parts": listed(mean_text(at).replace("-", "−") for at in readout),
    }


def _samples(found: dict[str, Any]) -> dict[str, str]:
    """What the samples of a block and the dimension do."""
    numbers = {}
    for name in ("few samples", "many samples", "large d"):
        run = found[name]
        for quantity in QUANTITIES:
            numbers[f"{name}, {quantity}"] = _stop(run, quantity, 0)
        numbers[f"{name}, off"] = mean_text(_ends_of(run, "gradient", 32.0)[:, 0])
    return numbers


def _ranges(found: dict[str, Any], names: list[str]) -> dict[str, str]:
    """Between which precisions layer 1 stops, over data and activations."""
    stops = np.array([found[name]["stops"]["precision"] for name in names])[:, :, 0, 0]
    blocks, weights = stops[:, 1:], stops[:, 0]
    relu = np.array(found["kgmm relu"]["stops"]["precision"])[0, 0]
    xor = np.array(found["xor relu"]["stops"]["precision"])[1:, 0, 1]
    widths = np.array(found["kgmm 2 tanh"]["stops"]["precision"])[1, :, 0]
    return {
        "blocks from": f"{blocks.min():.2g}",
        "blocks to": f"{blocks.max():.2g}",
        "weights from": f"{weights.min():.2g}",
        "weights to": f"{weights.max():.2g}",
        "relu 2": f"{relu[1]:.2g}",
        "relu 3": f"{relu[2]:.2g}",
        "xor 2": f"{xor.max():.2g}",
        "by width": ", ".join(f"{x:.2g}" for x in widths),
    }

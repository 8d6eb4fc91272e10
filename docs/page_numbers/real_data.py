"""Real data beside the mixtures fitted to them: runs and numbers of the page on real data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from verify.real_data.comparison_tables import CLOSE, deviations

from .markdown import commands, fixed, general, minutes, plus_minus, table
from .runs import Run, to_digits

DIGITS = "specalign fit sklearn:digits --labels 0,1,2"


# --- what is kept of a run ------------------------------------------------------------------------


def kept(path: Path) -> dict[str, Any]:
    """Curves, deviations of leading eigenvalues, those at the start, distances of classes."""
    with xr.open_dataset(path) as found:
        found = found.load()
    theories, gaussians = found.theory.values.tolist(), found.gaussian.values.tolist()
    return {
        "samples": int(found.attrs["samples"]),
        "dimension": int(found.attrs["dimension"]),
        "steps": int(found.attrs["steps"]),
        "time": to_digits(found.time.values.tolist()),
        "accuracy": {
            "data": _mean(100 * found.accuracy),
            **{name: _mean(100 * found.theory_accuracy.sel(theory=name)) for name in theories},
        },
        "norm": {
            "data": _mean(found.norm),
            **{n: to_digits(found.theory_norm.sel(theory=n).values.tolist()) for n in theories},
        },
        "off": {
            matrix: {name: _off(found, matrix, name) for name in (*theories, "full")}
            for matrix in ("hessian", "gradient")
        },
        "start": {
            "data": _mean(found.eigenvalue.sel(matrix="hessian").isel(time=0)),
            **{
                name: _mean(found.theory_eigenvalue.sel(theory=name, matrix="hessian", time=0))
                for name in theories
            },
        },
        "classes": found["class"].values.tolist(),
        "distance": {
            name: to_digits((100 * found.class_distance.sel(gaussian=name)[-1]).values.tolist())
            for name in gaussians
        },
    }


def _mean(values: xr.DataArray) -> dict[str, Any]:
    """Mean over runs and its standard error."""
    error = values.std("run", ddof=1) / values.sizes["run"] ** 0.5
    return {
        "mean": to_digits(values.mean("run").values.tolist()),
        "error": to_digits(error.values.tolist()),
    }


def _off(found: xr.Dataset, matrix: str, which: str) -> dict[str, Any]:
    """The largest deviation of the leading eigenvalues at every time in percent, and that of the
    first of them, with standard errors.

    "full" are Gaussian samples with nothing dropped at the weights of the data's own runs, the
    others theories at weights of their own law.
    """
    name = "gaussian_eigenvalue" if which == "full" else "theory_eigenvalue"
    kind = "gaussian" if which == "full" else "theory"
    all_off = 100 * deviations(found, name, matrix, which)
    own = found.eigenvalue.sel(matrix=matrix)
    other = found[name].sel({kind: which, "matrix": matrix})
    if which == "full":  # in pairs
        relative = _error(other / own)
    else:
        relative = np.hypot(_error(own) / own.mean("run"), _error(other) / other.mean("run"))
        relative = relative * other.mean("run") / own.mean("run")
    errors = 100 * relative.transpose("time", "eigen").values
    worst = np.abs(all_off).argmax(axis=1)
    rows = np.arange(len(worst))
    return {
        "worst": to_digits(np.abs(all_off)[rows, worst].tolist()),
        "error": to_digits(errors[rows, worst].tolist()),
        "first": to_digits(all_off[:, 0].tolist()),
        "first error": to_digits(errors[:, 0].tolist()),
    }


def _error(values: xr.DataArray) -> xr.DataArray:
    return values.std("run", ddof=1) / values.sizes["run"] ** 0.5


RUNS = tuple(
    Run(name, command, "--output", ".nc", kept)
    for name, command in (
        ("digits", f"{DIGITS} --step 0.1 --plot docs/img/real_data_digits.png"),
        ("clusters", f"{DIGITS} --step 0.1 --clusters 6"),
        ("step", f"{DIGITS} --step 1"),
        ("layers", f"{DIGITS} --step 0.1 --network two-layer"),
        ("wine", "specalign fit sklearn:wine --scale standard --step 0.1"),
    )
)
LABELS = {
    "digits": "digits 0, 1, 2",
    "clusters": "the same, six clusters a class",
    "step": "the same, larger step",
    "layers": "the same, two layers",
    "wine": "wine",
}


# --- numbers of the page --------------------------------------------------------------------------


def values(found: dict[str, Any]) -> dict[str, str]:
    """Tables and numbers by the names of their places."""
    numbers = {"minutes": minutes(found), "all": _all_table(found)}
    for name, run in found.items():
        own = {
            "command": commands(found, [name]),
            "samples": str(run["samples"]),
            "d": str(run["dimension"]),
            "close until": _close_until(run),
            "accuracy off": fixed(_accuracy_off(run, "bands").max(), 1),
            "accuracy off later": fixed(_accuracy_off(run, "bands")[2:].max(), 1),
            "isotropic accuracy off": fixed(_accuracy_off(run, "isotropic").max(), 1),
            "norm off": fixed(100 * _norm_off(run).max(), 0),
            "G at the start": _percent(run, "bands", 0, "gradient"),
            "at 8": _percent(run, "bands", -2),
            "end": _percent(run, "bands", -1),
            "end, full": _percent(run, "full", -1),
            "end, isotropic": _percent(run, "isotropic", -1),
            "isotropic at the start": _percent(run, "isotropic", 0),
            "from": fixed(min(run["off"]["hessian"]["bands"]["worst"][:-1]), 0),
            "to": fixed(max(run["off"]["hessian"]["bands"]["worst"][:-1]), 0),
            **_of_classes(run),
        }
        numbers |= {f"{name}, {key}": text for key, text in own.items()}
    ends = [
        found[name]["off"]["hessian"]["bands"]["worst"][-1] for name in ("digits", "layers", "wine")
    ]
    return numbers | {
        "digits, course": _course_table(found["digits"]),
        "digits, start": _start_table(found["digits"]),
        "digits, first off": fixed(
            np.abs(found["digits"]["off"]["hessian"]["bands"]["first"]).max(), 0
        ),
        "least end": fixed(min(ends), 0),
        "most end": fixed(max(ends), 0),
        **_first_record(found["step"]),
    }


def _percent(run: dict[str, Any], which: str, i: int, matrix: str = "hessian") -> str:
    at = run["off"][matrix][which]
    return f"{plus_minus(at['worst'][i], at['error'][i], 1)} %"


def _accuracy_off(run: dict[str, Any], which: str) -> np.ndarray:
    accuracy = run["accuracy"]
    return np.abs(np.subtract(accuracy[which]["mean"], accuracy["data"]["mean"]))


def _norm_off(run: dict[str, Any]) -> np.ndarray:
    """Relative, without the first record, which may be zero."""
    own = np.array(run["norm"]["data"]["mean"])[1:]
    return np.abs(np.array(run["norm"]["bands"])[1:] / own - 1)


def _close_until(run: dict[str, Any]) -> str:
    """The last of the times up to which all leading eigenvalues are within five percent."""
    far = np.flatnonzero(np.array(run["off"]["hessian"]["bands"]["worst"]) > 100 * CLOSE)
    last = far[0] - 1 if far.size else len(run["time"]) - 1
    return "never" if last < 0 else f"t = {run['time'][last]:.3g}"


def _of_classes(run: dict[str, Any]) -> dict[str, str]:
    """The classes furthest from and nearest to their Gaussian, with both distances in percent."""
    distance, names = run["distance"], run["classes"]
    numbers, order = {}, np.argsort(distance["bands"])
    for label, i in (("furthest", order[-1]), ("nearest", order[0])):
        numbers[label] = str(names[i])
        numbers[f"{label} off"] = fixed(distance["bands"][i], 0)
        numbers[f"{label} off, full"] = fixed(distance["full"][i], 0)
    return numbers


def _course_table(run: dict[str, Any]) -> str:
    """Deviations and accuracies along training."""
    rows = []
    for i, time in enumerate(run["time"]):
        if time > 0:
            off = [_percent(run, which, i) for which in ("bands", "isotropic", "full")]
            right = [
                plus_minus(run["accuracy"][which]["mean"][i], run["accuracy"][which]["error"][i], 1)
                for which in ("data", "bands", "isotropic")
            ]
            rows.append([f"{time:g}", *off, *right])
    head = ["time", "theory with bands", "isotropic", "all covariances, same weights"]
    return table([*head, "accuracy of the data", "of the theory", "isotropic"], rows)


def _start_table(run: dict[str, Any]) -> str:
    """Leading eigenvalues of the Hessian at zero weights, without their doubles."""
    rows = []
    for name, label in (("data", "data"), ("bands", "theory"), ("isotropic", "isotropic theory")):
        at = run["start"][name]
        pairs = list(zip(at["mean"], at["error"], strict=True))
        # the data are the same in every run, up to rounding
        cells = [fixed(m) if e < 1e-9 * m else plus_minus(m, e, 3) for m, e in pairs]
        rows.append([label, *cells])
    return table(["eigenvalue", *(str(i + 1) for i in range(len(rows[0]) - 1))], rows)


def _all_table(found: dict[str, Any]) -> str:
    """All fits in a line each."""
    rows = []
    for name, run in found.items():
        off = [_percent(run, which, -1) for which in ("bands", "full", "isotropic")]
        right = [fixed(_accuracy_off(run, which).max(), 1) for which in ("bands", "isotropic")]
        rows.append([LABELS[name], _close_until(run), *off, *right])
    head = ["", "within 5 % up to", "off at the end", "all covariances", "isotropic"]
    return table([*head, "accuracy off by at most, points", "isotropic"], rows)


def _first_record(run: dict[str, Any]) -> dict[str, str]:
    """How the larger step begins: the first record after the start, and from t = 2 on."""
    accuracy, time = run["accuracy"], np.array(run["time"])
    data = accuracy["data"]
    return {
        "first time": general(time[1]),
        "first steps": fixed(run["steps"] * time[1] / time[-1], 0),
        "first accuracy": plus_minus(data["mean"][1], data["error"][1], 1),
        "first theory": fixed(accuracy["bands"]["mean"][1], 1),
        "first off": fixed(_accuracy_off(run, "bands")[1], 1),
        "off from 2": fixed(_accuracy_off(run, "bands")[time >= 2].max(), 1),
    }

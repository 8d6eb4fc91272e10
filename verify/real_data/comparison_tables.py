"""Data beside what was fitted to them, as the command shows it: tables, sentences, JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from rich.table import Table

from theory.errors import printable
from verify.tables.text import make_table, number

if TYPE_CHECKING:
    from numerics.real_data.fitted_mixture import FittedMixture

Floats = NDArray[np.float64]
# deviations of outliers that count as small
CLOSE = 0.05
# of the largest eigenvalue: below it nothing is compared
SMALL = 0.01
NAMES = {"hessian": "Hessian", "gradient": "gradient matrix G"}


def fit_lines(fitted: FittedMixture, name: str) -> Iterator[str]:
    """What was fitted to what."""
    data, fit = fitted.data, fitted.fit
    sizes = ", ".join(
        f"{printable(c)} ({n})" for c, n in zip(data.classes, data.counts, strict=True)
    )
    yield (
        f"{printable(name)}: {len(data.features)} samples in d = {fitted.dimension}; "
        f"classes {sizes}."
    )
    for note in data.notes:
        yield f"Note: {note}."
    several = fitted.components > len(data.classes)
    clusters = f" in {fitted.components} clusters" if several else ""
    yield (
        f"Fitted: {fitted.band_count} band(s), {fitted.directions} direction(s) of the means"
        f"{clusters}, mean variance 1/λ = {1 / float(fitted.precision):.4g}; the bands leave "
        f"{100 * fitted.binning_error:.2g} % of the pooled spectrum out."
    )
    if fit.raised:
        yield (
            f"Note: {fit.raised} eigenvector(s) without noise were given the variance 1e-8 of the "
            "mean."
        )


def deviations(found: xr.Dataset, name: str, matrix: str, which: str) -> Floats:
    """Relative deviation of the mean leading eigenvalues from those of the data, (time, eigen).

    0 for eigenvalues of the data below a hundredth of the largest, which are no outliers.
    """
    data = found["eigenvalue"].sel(matrix=matrix).mean("run").to_numpy()
    kind = "theory" if name == "theory_eigenvalue" else "gaussian"
    other = found[name].sel({kind: which, "matrix": matrix}).mean("run").to_numpy()
    large = data > SMALL * data[:, :1]
    return np.asarray(np.where(large, other / np.where(large, data, 1.0) - 1, 0.0))


def comparison_tables(found: xr.Dataset) -> Iterator[Table]:
    """Curves, eigenvalues at the end, deviations along training, classes."""
    yield _curve_table(found)
    last = found.sizes["time"] - 1
    yield _eigenvalue_table(found, 0)
    yield _eigenvalue_table(found, last)
    yield _deviation_table(found)
    yield _class_table(found)


def _curve_table(found: xr.Dataset) -> Table:
    theory = found["theory_accuracy"].mean("run")
    rows = []
    for i, t in enumerate(found.time.values):
        own, norm = found["accuracy"][:, i], found["norm"][:, i]
        rows.append(
            [
                number(float(t)),
                f"{100 * float(own.mean()):.1f} ± {100 * _error(own):.1f}",
                *(f"{100 * float(theory[j, i]):.1f}" for j in range(2)),
                f"{float(norm.mean()):.3f} ± {_error(norm):.3f}",
                *(f"{float(found['theory_norm'][j, i]):.3f}" for j in range(2)),
            ]
        )
    columns = ["time", "accuracy %", "theory", "isotropic", "|x|^2", "theory", "isotropic"]
    return make_table("Training: the data's SGD (mean ± standard error), theory", columns, rows)


def _eigenvalue_table(found: xr.Dataset, i: int) -> Table:
    rows = []
    for j in range(found.sizes["eigen"]):
        cells = [str(j + 1)]
        for matrix in found.matrix.values:
            own = found["eigenvalue"].sel(matrix=matrix)[:, i, j]
            theory = found["theory_eigenvalue"].sel(matrix=matrix).mean("run")[:, i, j]
            deviation = deviations(found, "theory_eigenvalue", matrix, "bands")[i, j]
            cells += [
                number(float(own.mean())),
                number(float(theory[0])),
                f"{100 * deviation:+.0f} %",
                number(float(theory[1])),
            ]
        own_share = found["share_of_means"].sel(matrix="hessian")[:, i, j].mean("run")
        share = found["theory_share_of_means"].sel(matrix="hessian", theory="bands")
        cells += [f"{float(own_share):.2f}", f"{float(share[:, i, j].mean('run')):.2f}"]
        rows.append(cells)
    columns = ["", "Hessian", "theory", "off by", "isotropic", "G", "theory", "off by"]
    columns += ["isotropic", "share of means", "theory"]
    time = number(float(found.time[i]))
    return make_table(f"Leading eigenvalues at t = {time}", columns, rows)


def _deviation_table(found: xr.Dataset) -> Table:
    """The largest deviation of the leading eigenvalues of the Hessian at every time."""
    pairs = [("theory_eigenvalue", "bands"), ("theory_eigenvalue", "isotropic")]
    pairs += [("gaussian_eigenvalue", which) for which in found.gaussian.values]
    columns = ["time", "theory", "isotropic", "theory, same weights", "all covariances"]
    columns += ["isotropic", "eigenspace", "bulk", "theory"]
    rows = []
    for i, t in enumerate(found.time.values):
        cells = [number(float(t))]
        for name, which in pairs:
            worst = np.abs(deviations(found, name, "hessian", which)[i]).max()
            cells.append(f"{100 * worst:.0f} %")
        space = found["eigenspace"].sel(gaussian="bands", matrix="hessian")[:, i].mean("run")
        bulk = found["bulk"].sel(matrix="hessian")[:, i].mean("run")
        theory = found["theory_bulk"].sel(theory="bands", matrix="hessian")[:, i].mean("run")
        cells += [f"{float(space):.3f}", number(float(bulk), 3), number(float(theory), 3)]
        rows.append(cells)
    count = found.sizes["eigen"]
    return make_table(f"Hessian: worst of {count} leading eigenvalues", columns, rows)


def _class_table(found: xr.Dataset) -> Table:
    """What is off for which class."""
    last = found.sizes["time"] - 1
    dropped = dropped_by_class(found)
    rows = []
    for c, label in enumerate(found["class"].values):
        accuracy = found["class_accuracy"][:, last, c].mean("run")
        theory = found["theory_class_accuracy"].sel(theory="bands")[:, last, c].mean("run")
        cells = [printable(str(label)), f"{100 * dropped[c]:.0f} %"]
        cells += [f"{100 * float(accuracy):.1f}", f"{100 * float(theory):.1f}"]
        distance = found["class_distance"][:, :, c]
        cells += [f"{100 * float(distance[j, last]):.0f} %" for j in range(3)]
        rows.append(cells)
    columns = ["class", "dropped", "accuracy %", "theory", "Hessian off by", "all covariances"]
    columns += ["isotropic"]
    time = number(float(found.time[last]))
    return make_table(f"Classes, at t = {time} (Hessians at the same weights)", columns, rows)


def dropped_by_class(found: xr.Dataset) -> Floats:
    """The largest share of the norm that the fit drops of a component of each class."""
    total = np.hypot(found["off_diagonal"].to_numpy(), found["binned"].to_numpy())
    names = found["component"].to_numpy()
    return np.array([total[names == label].max() for label in found["class"].to_numpy()])


def comparison_remarks(found: xr.Dataset) -> Iterator[str]:
    """How far the Gaussian picture is off, in sentences."""
    own = found["accuracy"].mean("run")
    gaps = np.abs((found["theory_accuracy"].mean("run") - own).to_numpy())
    t = found.time.values
    at = int(gaps[0].argmax())
    yield (
        f"Accuracy: the theory is off by at most {100 * gaps[0].max():.1f} points (at "
        f"t = {number(float(t[at]))}), {100 * gaps[0, -1]:.1f} at the end; that of isotropic noise "
        f"by {100 * gaps[1].max():.1f} and {100 * gaps[1, -1]:.1f}."
    )
    worst = np.abs(deviations(found, "theory_eigenvalue", "hessian", "bands")).max(axis=1)
    plain = np.abs(deviations(found, "theory_eigenvalue", "hessian", "isotropic")).max(axis=1)
    yield (
        f"Leading eigenvalues of the Hessian: off by at most {100 * worst.max():.0f} % (at "
        f"t = {number(float(t[int(worst.argmax())]))}){_while_close(worst, t)}; isotropic noise "
        f"{100 * plain.max():.0f} %."
    )
    full = np.abs(deviations(found, "gaussian_eigenvalue", "hessian", "full")).max(axis=1)
    same = np.abs(deviations(found, "gaussian_eigenvalue", "hessian", "bands")).max(axis=1)
    yield (
        f"At the data's own weights at the end it is {100 * same[-1]:.0f} %, and "
        f"{100 * full[-1]:.0f} % with the whole covariances of the classes: the latter is what is "
        "not Gaussian in the data."
    )
    distance = found["class_distance"].sel(gaussian="bands")[-1].to_numpy()
    names = found["class"].to_numpy()
    yield (
        f"The class {printable(str(names[distance.argmax()]))} is furthest from its Gaussian "
        f"(its part of the Hessian is off by {100 * distance.max():.0f} %), "
        f"{printable(str(names[distance.argmin()]))} is nearest ({100 * distance.min():.0f} %)."
    )


def _while_close(worst: Floats, time: Floats) -> str:
    """Until when all are close, in words."""
    far = np.flatnonzero(worst > CLOSE)
    if not far.size:
        return f", all within {100 * CLOSE:.0f} % throughout"
    if not far[0]:
        return f", more than {100 * CLOSE:.0f} % from the start"
    return f", all within {100 * CLOSE:.0f} % up to t = {number(float(time[far[0] - 1]))}"


def comparison_json(found: xr.Dataset, fitted: FittedMixture, name: str) -> dict[str, Any]:
    """All numbers of the tables, means over runs with their standard errors."""
    content: dict[str, Any] = {
        "data": name,
        "classes": list(fitted.data.classes),
        "counts": fitted.data.counts.tolist(),
        "notes": list(fitted.data.notes),
        "time": found.time.values.tolist(),
        "theories": found.theory.values.tolist(),
        "gaussians": found.gaussian.values.tolist(),
        "matrices": found.matrix.values.tolist(),
        "components": found["component"].values.tolist(),
    }
    keys = ("dimension", "samples", "bands", "steps", "step", "ridge", "seed", "model")
    content |= {key: found.attrs[key] for key in (*keys, "binning_error", "gaussian_samples")}
    for key, values in found.data_vars.items():
        if "run" in values.dims:
            content[str(key)] = values.mean("run").values.tolist()
            error = values.std("run", ddof=1) / np.sqrt(values.sizes["run"])
            content[f"{key}_error"] = error.values.tolist()
        else:
            content[str(key)] = values.values.tolist()
    content["remarks"] = list(comparison_remarks(found))
    return content


def _error(values: xr.DataArray) -> float:
    """Standard error of the mean over runs."""
    return float(values.std(ddof=1) / np.sqrt(values.size))

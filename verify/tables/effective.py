"""Effective spectra and emergence as the command shows them: tables, and remarks in sentences."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from rich.table import Table

from numerics import Parameters

from .spectra import matrix_name
from .text import make_table, number, scales_text, state_error_sentence

_SIDES = {1: "right", -1: "left", 0: "in a gap"}
_UNITS = 6
# outliers closer than this, relative to the larger, have eigenvectors that mix at finite d
_NEAR = 0.02
_KINDS = {
    "critical": "a square-root edge",
    "essential": "essential: a thin tail ends there, beyond what data show",
    "zero": "the support ends at the atom",
}
_TAIL_HINT = "--tail 1/M leaves out the rarest weights, which puts the edge where M data show it."


def parameters_in(data: xr.Dataset) -> Parameters:
    """The parameters that a result carries."""
    return Parameters(**json.loads(data.attrs["parameters"]))


def effective_title(data: xr.Dataset) -> str:
    """Model, matrix, block, numbers and phi of a result of the effective theory."""
    scales = scales_text(parameters_in(data))
    tail = float(data.attrs.get("tail", 0.0))
    return (
        f"{data.attrs['model']}: {matrix_name(data)}, {scales}, "
        f"φ = M/d = {data.attrs['aspect_ratio']:g}" + (f", tail = {tail:g}" if tail else "")
    )


def atom_place(data: xr.Dataset) -> float:
    """Where the atom of a matrix lies: at zero, or at the ridge that is included."""
    block = str(data.attrs["block"])
    pair = [part.strip() for part in block.strip("()").split(",")]
    off = block == "mixed" or (block.startswith("(") and pair[0] != pair[1])
    return parameters_in(data).ridge if data.attrs["regularized"] and not off else 0.0


def close_groups(places: NDArray[np.float64], close: float) -> NDArray[np.intp]:
    """Numbers of groups of outliers, sorted, that lie close to each other."""
    size = np.maximum(np.abs(places[1:]), np.abs(places[:-1]))
    return np.concatenate([[0], np.cumsum(np.abs(np.diff(places)) > close * size)]).astype(int)[
        : places.size
    ]


def near_degenerate(effective: xr.Dataset) -> NDArray[np.bool_]:
    """Which outliers lie close to another one without being equal to all that are close."""
    groups = close_groups(effective["outliers"].to_numpy(), _NEAR)
    size = np.bincount(groups, minlength=1)[groups] if groups.size else groups
    return np.asarray(size > effective["multiplicity"].to_numpy())


def effective_table(effective: xr.Dataset, measured: xr.Dataset | None, title: str) -> Table:
    """Outliers, farthest right first, with errors and, where there are data, their eigenvalues and
    overlaps.
    """
    units = min(effective.sizes["unit"], _UNITS) if "weight_share" in effective else 0
    beside = ["empirical"] if measured is not None else []
    columns = [
        "outlier",
        "side",
        "eigenvalue",
        "error",
        "off the edge",
        *beside,
        "overlap",
        *beside,
    ]
    columns += [f"share of x^{a + 1}" for a in range(units)]
    rows, mixing = [], near_degenerate(effective)
    for i in range(effective.sizes["eigen"]):
        row = effective.isel(eigen=i)
        near = " (near critical)" if int(row["near_critical"]) else ""
        place, distance = float(row["outliers"]), float(row["edge_distance"])
        apart = f"{100 * distance:.3g} %{near}" if effective.sizes["interval"] else "no bulk"
        cells = [
            str(i + 1),
            _SIDES[int(row["side"])],
            number(place, 6) + (" ≈" if mixing[i] else ""),
            f"{float(row['outlier_error']):.1g}",
            apart,
        ]
        cells += _measured(measured, "eigenvalue", i, "{:.6g}")
        equal = "" if int(row["share_determined"]) else f" (1 of {int(row['multiplicity'])})"
        cells += [f"{float(row['overlap']):.4f}{equal}"]
        cells += _measured(measured, "overlap", i, "{:.4f}")
        cells += [f"{float(row['weight_share'][a]):.4f}" for a in range(units)]
        rows.append(cells)
    return make_table(title, columns, rows, left=2)


def _measured(measured: xr.Dataset | None, variable: str, i: int, form: str) -> list[str]:
    if measured is None:
        return []
    value = float(measured[variable][i])
    return [form.format(value) if np.isfinite(value) else ""]


def effective_remarks(
    effective: xr.Dataset,
    measured: xr.Dataset | None = None,
    time: float | None = None,
    state_error: float = 0.0,
) -> Iterator[str]:
    """Number of outliers, edges and their kind, atom, alignment, data and errors."""
    side, near = effective["side"].to_numpy(), int(effective["near_critical"].sum())
    parts = ", ".join(
        f"{int(np.sum(side == s))} {name}" for s, name in _SIDES.items() if np.any(side == s)
    )
    yield f"Outliers predicted: {side.size}" + (
        f" ({parts} of the bulk)." if effective.sizes["interval"] else "."
    )
    if near:
        are = "is" if near == 1 else "are"
        yield (
            f"Warning: {near} of them {are} within 2 % of an edge (near critical): at finite d not"
            " told from the bulk, and the overlap is only that of the limit."
        )
    if "," in str(effective.attrs["outlier_counts"]):
        yield (
            "Warning: quadrature rules differ in the number of outliers"
            f" ({effective.attrs['outlier_counts']}): the rest is left out as undecided."
        )
    if np.any(effective["share_determined"].to_numpy() == 0):
        yield (
            "Equal outliers (1 of n in the table): their overlaps and shares are those of one basis"
            " of their eigenspace; only sums over them are determined."
        )
    if near_degenerate(effective).any():
        yield (
            f"Near-degenerate outliers (≈ in the table) lie within {100 * _NEAR:g} % of each other:"
            " at finite d their eigenvectors mix; compare sums of overlaps and shares over them."
        )
    yield from _candidate_remarks(effective)
    yield from _bulk_remarks(effective)
    if "leading_share" in effective and np.any(side == 1):
        yield _share_sentence(effective, measured)
    if measured is not None and "samples" in measured.attrs:
        yield (
            f"Empirical matrix: {measured.attrs['samples']} fresh samples in dimension"
            f" {measured.attrs['dimension']}, one draw: distances of order 1/sqrt(d) from the"
            " theory are to be expected."
        )
    yield (
        f"Error of an outlier or edge: at most about {float(effective.attrs['error_estimate']):.2g}"
        f" ({effective.attrs['error_meaning'].split(': ')[-1]}), in the limit of infinite d."
    )
    if time:
        yield state_error_sentence(time, state_error)


def _candidate_remarks(effective: xr.Dataset) -> Iterator[str]:
    """Candidates for outliers just inside an edge."""
    near = effective["candidate_near_critical"].to_numpy()
    for i, j in np.argwhere(near == 1):
        missed = float(effective["candidate_distance"][i, j])
        yield (
            f"Warning: one more candidate lies inside the {('left', 'right')[j]} edge"
            f" {number(float(effective['edges'][i, j]), 6)} by only {100 * missed:.2g} % of it:"
            " near critical too."
        )


def _bulk_remarks(effective: xr.Dataset) -> Iterator[str]:
    if not effective.sizes["interval"]:
        yield "No bulk: finitely many eigenvalues."
    else:
        edges, error = effective["edges"].to_numpy(), effective["edge_error"].to_numpy()
        support = " and ".join(f"[{number(a, 6)}, {number(b, 6)}]" for a, b in edges)
        kinds = [str(effective.attrs[f"edge_kind_{s}"]) for s in ("left", "right")]
        yield (
            f"Support of the bulk: {support}, edges up to {error.max():.1g}; left end:"
            f" {_KINDS[kinds[0]]}; right end: {_KINDS[kinds[1]]}."
        )
        if effective.attrs.get("unbounded"):
            yield (
                f"Weights have no bound on the {effective.attrs['unbounded']}: the limit has no"
                " edge there. Edges and outliers are those of data without the most extreme"
                f" {effective.attrs['tail']:g} of the samples."
            )
        if "essential" in kinds:
            yield f"Hint: {_TAIL_HINT}"
    atom = float(effective.attrs["atom"])
    if atom > 0:
        yield f"Atom: a share {atom:.6g} of the eigenvalues is exactly {atom_place(effective):g}."


def _share_sentence(effective: xr.Dataset, measured: xr.Dataset | None) -> str:
    def text(data: xr.Dataset) -> str:
        return ", ".join(f"{float(s):.4f}" for s in data["leading_share"])

    other = (
        ""
        if measured is None or "leading_share" not in measured
        else f" (empirical: {text(measured)})"
    )
    cut = (
        ""
        if effective["leading_share"].attrs.get("determined", 1)
        else ", not determined: it holds a part of equal outliers"
    )
    return f"Share of each x^a in the leading eigenspace{cut}: {text(effective)}{other}."


def emergence_table(emergence: xr.Dataset, title: str) -> Table:
    """Events in order of time."""
    rows = []
    for i in range(emergence.sizes["event"]):
        event = emergence.isel(event=i)
        rows.append(
            [
                "emerges" if int(event["event_change"]) > 0 else "merges",
                str(int(event["event_index"])),
                _SIDES[int(event["event_side"])],
                f"{float(event['event_time']):.8g}",
                f"{float(event['event_time_error']):.1g}",
                number(float(event["event_place"]), 6),
            ]
        )
    return make_table(
        title, ["event", "outlier", "side", "time t", "error", "edge then"], rows, left=1
    )


def emergence_remarks(emergence: xr.Dataset) -> Iterator[str]:
    """Numbers of outliers at both ends, warnings and errors."""
    if not emergence.sizes["event"]:
        yield "No outlier emerges or merges between the reported times."
    counts = emergence["count"]
    for s in (1, -1):
        first, last = (int(counts.sel(side=s).isel(time=i)) for i in (0, -1))
        if int(counts.sel(side=s).max()):
            end = float(emergence["time"][-1])
            yield f"Outliers {_SIDES[s]} of the bulk: {first} at the start, {last} at t = {end:g}."
    if "essential" in str(emergence.attrs["edge_kinds"]):
        yield (
            "Warning: the right edge is essential at some times: a thin tail ends there, beyond"
            f" what data show. {_TAIL_HINT}"
        )
    yield (
        "Errors of times are those of quadrature and root; the curve has an error of its own, at"
        f" most about {float(emergence.attrs['curve_error']):.2g} in every statistic. A pair of"
        " events between two neighbouring reported times is not seen."
    )


def as_json(data: xr.Dataset, measured: xr.Dataset | None = None) -> dict[str, Any]:
    """What the tables say, for programs: NaN and infinities become null."""
    kept = {
        str(n): _plain(v.values)
        for n, v in data.variables.items()
        if v.ndim <= 3 and "grid" not in v.dims
    }
    found = {"attributes": {k: _plain(v) for k, v in data.attrs.items()}, "values": kept}
    if measured is not None:
        found["empirical"] = {str(n): _plain(v.values) for n, v in measured.variables.items()}
    return found


def _plain(given: Any) -> Any:
    values = np.asarray(given)
    if values.dtype.kind != "f":
        return values.tolist()
    whole = values.astype(object)
    whole[~np.isfinite(values)] = None
    return whole.tolist()

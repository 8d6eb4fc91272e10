"""Numbers, names and tables as text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

if TYPE_CHECKING:
    import xarray as xr

    from numerics import Parameters

_RUN_DEFAULTS = {"method": "direct", "batch": "1", "schedule": "constant", "noise": "gaussian"}

# of a title
_MATHEMATICS = r"\$([^$]*)\$"

# times of a curve that is drawn between those of a list
_FINE = 201

# a share of active samples closer to 0 or 1 than this belongs to a flow off the kink
SLIDING_SHARE = 1e-6

# below this a statistic is rounding
ROUNDING = 1e-12


def parameters_text(
    parameters: Parameters, *, directions: Sequence[str] = (), noiseless: bool = False
) -> str:
    """The numbers of a model in one line, for titles; ``directions`` are their names, where they
    have any.
    """
    k, gram = parameters.weights.size, parameters.directions_gram
    gram = gram.sum(axis=0) if gram.ndim == 3 else gram  # over bands
    equal = np.ptp(parameters.weights) < 1e-12
    if equal:
        weights = "p = 1" if k == 1 else f"p = 1/{k}"
    else:
        weights = f"p = ({', '.join(f'{p:.3g}' for p in parameters.weights)})"
    size = gram.shape[0]
    upper = gram[np.triu_indices(size, 1)]
    if np.array_equal(gram, np.eye(size)):
        means = f"orthonormal {_directions(directions)}"
    elif np.all(np.diag(gram) == 1) and upper.size <= 3:
        means = rf"$\Gamma_{{st}}$ = {', '.join(f'{g:.3g}' for g in upper)} off the diagonal"
    else:
        means = f"{_directions(directions)} not orthonormal"
    return f"{scales_text(parameters, noiseless=noiseless)}, {weights}, {means}"


def numbers_sentence(
    data: xr.Dataset, parameters: Parameters, names: Sequence[str] = (), *, noiseless: bool = False
) -> str:
    """With which numbers a curve or simulation was made: a line beside its tables.

    ``names`` are those of the directions, where they have any.
    """
    text = parameters_text(parameters, directions=names, noiseless=noiseless)
    if not noiseless:
        text += run_text(data)
    # titles have mathematics in them, of which a terminal shows the letters
    return f"Numbers: {re.sub(_MATHEMATICS, _as_plain, text)}."


def _as_plain(mathematics: re.Match[str]) -> str:
    letters = mathematics[1].replace(r"\delta", "δ").replace(r"\Gamma", "Γ")
    return re.sub(r"[{}]", "", letters)


def _directions(names: Sequence[str]) -> str:
    return " and ".join(names) if names else "means"


def scales_text(parameters: Parameters, *, noiseless: bool = False) -> str:
    """Precision, ridge and step in one line, for titles."""
    precision = "∞" if noiseless else f"{parameters.precision:g}"
    return rf"λ = {precision}, β = {parameters.ridge:g}, $c_\delta$ = {parameters.step:g}"


def run_text(data: xr.Dataset) -> str:
    """How a curve or simulation was run, where that is not the default: for titles, with a comma in
    front.
    """
    names = {"method": "", "batch": "batch = ", "schedule": "η(t) = ", "noise": "noise: "}
    said = {name: str(data.attrs[name]) for name in names if name in data.attrs}
    told = [names[name] + value for name, value in said.items() if value != _RUN_DEFAULTS[name]]
    return "".join(f", {text}" for text in told)


def fine_times(data: xr.Dataset) -> NDArray[np.float64]:
    """Times between which a figure draws straight lines: a grid and the recorded times."""
    times = data["time"].to_numpy()
    return np.union1d(times, np.linspace(times[0], times[-1], _FINE))


def has_readout(data: xr.Dataset) -> bool:
    """Whether the model has a second layer."""
    return "readout" in data and data["readout"].size > 0


# columns that a title may claim
_TITLE_WIDTH = 60


def make_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1
) -> Table:
    """A table whose first ``left`` columns are text and whose others are numbers."""
    # wide enough for a short title to stand in one line
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="bold",
        min_width=min(len(title), _TITLE_WIDTH),
    )
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i < left else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def number(value: float, digits: int = 4, zero: float = 0.0) -> str:
    """A number for a table: ``digits`` figures, without exponent where that is short, "0" up to
    ``zero``.

    Examples
    --------
    >>> number(0.00123456), number(-1234567.0), number(3e-18, zero=1e-15)
    ('0.001235', '-1.235e+06', '0')
    """
    return "0" if abs(value) <= zero else f"{value:.{digits}g}"


def state_error_sentence(time: float, error: float) -> str:
    """What a state taken from a curve adds to the error of what is computed at it."""
    return (
        f"The state, taken from the curve at t = {time:g}, has an error of its own, at most about"
        f" {error:.2g} in every statistic, which is not included."
    )


def fixed(value: float, places: int = 4, zero: float = 0.0) -> str:
    """A number for a column of numbers near 1: fixed ``places``, figures with exponent far from 1,
    "0" up to ``zero``.

    Examples
    --------
    >>> fixed(0.25), fixed(-3.2e-7), fixed(123456789.0), fixed(1e-17, zero=1e-12)
    ('0.2500', '-3.2e-07', '1.235e+08', '0')
    """
    size = abs(value)
    if size <= zero:
        return "0"
    if size < 10.0**-places:
        return f"{value:.2g}"
    return f"{value:.{places}f}" if size < 1e5 else f"{value:.4g}"


def direction_labels(names: Sequence[str], count: int) -> list[str]:
    """Names of the directions, or their numbers."""
    return list(names[:count]) if names else [str(s + 1) for s in range(count)]

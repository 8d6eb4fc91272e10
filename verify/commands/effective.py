"""The command `effective`: spectra in the proportional limit, at one state or along training,
beside data.
"""

from __future__ import annotations

import json as json_format
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from theory.errors import InputError
from verify.settings.configuration import Configuration
from verify.settings.values import END, Number

from .command import takes_options
from .messages import say
from .shared import Block, check_data, moment, problem_of, read_block, state_at, time_on_curve
from .terminal import spinner, standard_output, write_data, write_figure, write_text

if TYPE_CHECKING:
    import xarray as xr

    from numerics import Problem, State

ASPECT_RATIO = 4.0


@dataclass(frozen=True)
class _Outputs:
    """Where results go."""

    output: Path | None
    json: Path | None
    plot: Path | None

    def write(self, data: xr.Dataset, measured: xr.Dataset | None = None) -> None:
        """Write the numbers."""
        from verify.tables.effective import as_json
        from verify.tables.spectra import join_spectra

        if self.output is not None:
            write_data(join_spectra(data, measured), self.output)
        if self.json is not None:
            content = json_format.dumps(as_json(data, measured), indent=1, allow_nan=False)
            write_text(self.json, content + "\n")


@takes_options
def effective(
    settings: Configuration,
    *,
    matrix: str,
    block: str,
    aspect_ratio: Number | None,
    tail: Number | None,
    at: Number | str | None,
    emergence: bool,
    log_density: bool,
    output: Path | None,
    json: Path | None,
    plot: Path | None,
) -> None:
    """Predict the spectrum of an empirical matrix of M fresh samples, M / d -> phi: bulk, outliers,
    overlaps.

    --samples sets a matrix of data beside it. --emergence finds when outliers leave the bulk or
    fall back into it.

    Example:  specalign effective --block full --at 8 --aspect-ratio 4 --plot effective.png

    Example:  specalign effective --precision 2 --emergence --time 20 --plot emergence.png
    """
    from numerics.core.validation import as_scalar
    from numerics.proportional.effective_spectrum import check_tail

    part = read_block(block, settings, "mixed")
    what = {
        "matrix": matrix,
        "block": part,
        "tail": check_tail(None if tail is None else float(tail)),
    }
    ratio = ASPECT_RATIO if aspect_ratio is None else float(aspect_ratio)
    remedy = "give M / d, samples per dimension"
    as_scalar("--aspect-ratio", ratio, 0.0, True, remedy)
    outputs = _Outputs(output, json, plot)
    if emergence:
        _check_emergence(part, at, settings.samples)
        _follow(settings, ratio, what, outputs)
        return
    settings.times()
    when = _when(at, settings)
    if settings.samples is not None:
        check_data(settings, part, "mixed", "all")
        ratio = _measured_ratio(settings, aspect_ratio)
    problem, initial = problem_of(settings)
    _at_one_state(settings, problem, initial, when, ratio, what, outputs, log_density)


def _at_one_state(
    settings: Configuration,
    problem: Problem,
    initial: State,
    when: float | None,
    ratio: float,
    what: dict[str, Any],
    outputs: _Outputs,
    log: bool,
) -> None:
    """The spectrum at one time."""
    from numerics import effective_spectrum
    from numerics.core.weights import check_dimension

    model, count, d = problem.model, settings.samples, settings.value("dimension")
    if count is not None:
        check_dimension(d, model.directions, model.units)
    state, state_error = state_at(problem, initial, when)
    with spinner(f"effective spectrum of {model.name}"):
        data = effective_spectrum(problem, state, ratio, **what)
    measured = spectrum = None
    if count is not None:
        measured, spectrum = _measure(problem, state, d, count, settings.value("seed"), data)

    from verify.tables.effective import effective_remarks, effective_table, effective_title

    title = f"{effective_title(data)}, at {moment(when)}"
    standard_output().print(effective_table(data, measured, _plain(title)))
    for remark in effective_remarks(data, measured, when, state_error):
        say(remark)
    outputs.write(data, measured)
    if outputs.plot is not None:
        from verify.figures import plot_effective_spectrum

        label = f"data, d = {d}" if count is not None else "measured"
        figure = plot_effective_spectrum(data, spectrum, measured, title, log=log, data_label=label)
        write_figure(figure, outputs.plot)


def _follow(settings: Configuration, ratio: float, what: dict[str, Any], outputs: _Outputs) -> None:
    """Outliers along training."""
    times = settings.times()
    problem, initial = problem_of(settings)

    from numerics import emergence as along_training
    from numerics.core.validation import check_times
    from numerics.dynamics.curves import solve_curve

    grid = check_times(times) if isinstance(times, list) else None
    with spinner(f"following the outliers of {problem.model.name} along training"):
        curve = solve_curve(problem, initial, float(check_times(times)[-1]))
        data = along_training(problem, curve, ratio, time=grid, **what)

    from verify.tables.effective import effective_title, emergence_remarks, emergence_table

    title = f"{effective_title(data)}, along training"
    if data.sizes["event"]:
        standard_output().print(emergence_table(data, _plain(title)))
    for remark in emergence_remarks(data):
        say(remark)
    outputs.write(data)
    if outputs.plot is not None:
        from verify.figures import plot_emergence

        write_figure(plot_emergence(data, title=title), outputs.plot)


def _measure(
    problem: Problem, state: State, d: int, samples: int, seed: int, data: xr.Dataset
) -> tuple[xr.Dataset, Any]:
    from numerics import draw_data
    from numerics.proportional.measured_outliers import measure_outliers

    with spinner(f"empirical spectrum of {samples} samples in dimension {d}"):
        return measure_outliers(draw_data(problem, state, d, samples, seed), data)


def _plain(title: str) -> str:
    """A title of a figure without its LaTeX."""
    return title.replace(r"$c_\delta$", "c_δ")


def _when(at: Number | str | None, settings: Configuration) -> float | None:
    if at is None:
        return None
    if at != END:
        return time_on_curve(at)
    times = settings.times()
    return float(times[-1] if isinstance(times, list) else times)


def _measured_ratio(settings: Configuration, asked: Number | None) -> float:
    """M / d of the data; another one is refused."""
    d, count = settings.value("dimension"), settings.samples
    if asked is not None and round(float(asked) * d) != count:
        expected = f"M / d = {count / d:g}, that of --samples and --dimension"
        remedy = f"leave it away, or ask for {round(float(asked) * d)} samples"
        raise InputError("--aspect-ratio", f"{float(asked):g}", expected, remedy)
    return float(count / d)


def _check_emergence(part: Block, at: Number | str | None, samples: int | None) -> None:
    for option, value in (("--at", at), ("--samples", samples)):
        if value is not None:
            expected = "nothing of the kind together with --emergence"
            raise InputError(option, value, expected, f"leave {option} or --emergence away")
    if part in ("readout", "mixed"):
        expected = "a block with a bulk together with --emergence"
        raise InputError("--block", repr(part), expected, "use A,B, full or all")

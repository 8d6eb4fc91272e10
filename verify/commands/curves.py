"""The command `curves`: what theory says about training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from theory.errors import InputError
from verify.settings.configuration import Configuration

from .command import takes_options
from .messages import say
from .shared import problem_of
from .terminal import integrating, standard_output, write_data, write_figure

if TYPE_CHECKING:
    import xarray as xr

    from numerics import Problem, State


@takes_options
def curves(settings: Configuration, *, limit: str, output: Path | None, plot: Path | None) -> None:
    """Compute the theoretical training curves (dimension to infinity), with an error estimate.

    Works without any option. kgmm: three classes with equal weights, orthonormal means, overlap 0
    and R_perp the identity, the limit of a random start in high dimension. xor: four units, each
    leaning a little towards another cluster. Any other start is given by --overlap and --gram-perp,
    and --readout.

    Example:  specalign curves --weights 0.5,0.3,0.2 --time 16 --plot curves.png --output curves.nc

    Example:  specalign curves xor --limit noiseless --plot sliding.png

    Example:  specalign curves --model model.py:model --time 8
    """
    noiseless = limit == "noiseless"
    if noiseless:
        _check_noiseless(settings)
    times, pace = settings.times(), settings.pace()
    settings.check_pace()
    problem, initial = problem_of(settings)

    from verify.tables.runs import course_table, curve_remarks, final_table, over_bands
    from verify.tables.text import numbers_sentence, parameters_text, run_text

    name, what = problem.model.name, f"{'noiseless' if noiseless else 'effective'} dynamics"
    # a figure follows the curve between the times of a list too
    between = plot is not None and isinstance(times, list)
    with integrating(f"integrating the {what} of {name}", complains=False):
        integrate = _noiseless if noiseless else _exact
        data, fine = integrate(problem, initial, times, pace, between)
    console, names = standard_output(), settings.kind.direction_names
    shown = over_bands(data)
    console.print(course_table(shown, f"Theoretical curve of {name}, {what}"))
    console.print(final_table(shown, None, names))
    say(numbers_sentence(data, problem.parameters, names, noiseless=noiseless))
    for remark in curve_remarks(data):
        say(remark)
    write_data(data, output)
    if plot is not None:
        from verify.figures import plot_curves

        numbers = parameters_text(problem.parameters, directions=names, noiseless=noiseless)
        title = f"{name}: {what}, {numbers}{'' if noiseless else run_text(data)}"
        fine = None if fine is None else over_bands(fine)
        write_figure(plot_curves(shown, title=title, directions=names, fine=fine), plot)


def _check_noiseless(settings: Configuration) -> None:
    """Refuse what has no meaning without noise; the precision of a file is for other commands."""
    for name in ("precision", "batch", "schedule"):
        value = settings.values.get(name)
        if value is not None and (name != "precision" or name in settings.typed):
            expected = "nothing of the kind together with --limit noiseless"
            raise InputError(f"--{name}", value, expected, f"leave --{name} away")


def _exact(
    problem: Problem, initial: State, times: Any, pace: dict[str, Any], between: bool
) -> tuple[xr.Dataset, xr.Dataset | None]:
    """The curve at the times, and where wanted at times between them."""
    from numerics.core.validation import check_times
    from numerics.dynamics.curves import solve_curve
    from verify.tables.text import fine_times

    grid = check_times(times)
    solution = solve_curve(problem, initial, float(grid[-1]), **pace)
    data = solution.dataset(grid)
    return data, solution.dataset(fine_times(data)) if between else None


def _noiseless(
    problem: Problem, initial: State, times: Any, pace: object, between: bool
) -> tuple[xr.Dataset, xr.Dataset | None]:
    """The same without noise."""
    from numerics.dynamics.noiseless_flow import integrate_noiseless
    from verify.tables.text import fine_times

    data = integrate_noiseless(problem, initial, times)
    return data, integrate_noiseless(problem, initial, fine_times(data)) if between else None

"""The command `spectrum`: population spectra, and empirical ones beside them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from theory.errors import InputError
from theory.names import ALMOST_EVERYWHERE
from verify.settings.configuration import Configuration

from .command import takes_options
from .messages import say
from .shared import (
    check_data,
    check_kink_rule,
    moment,
    problem_of,
    read_block,
    state_at,
    time_on_curve,
)
from .terminal import spinner, standard_output, write_data, write_figure

if TYPE_CHECKING:
    from theory import Model


@takes_options
def spectrum(
    settings: Configuration,
    *,
    matrix: str,
    block: str,
    kink_rule: str | None,
    at: object | None,
    output: Path | None,
    plot: Path | None,
) -> None:
    """Compute eigenvalues of the Hessian or gradient matrix and how their vectors align with the
    means.

    The population spectrum is exact in any dimension; --samples adds the spectrum of an empirical
    matrix. The block readout is set against the features that the second layer sees of the means.

    Example:  specalign spectrum --matrix hessian --block 1,1 --at 8 --samples 20000 --plot
    spectrum.png

    Example:  specalign spectrum xor --block readout --at 30 --samples 20000
    """
    when = None if at is None else time_on_curve(at)
    part, count = read_block(block, settings), settings.samples
    if count is not None:
        check_data(settings, part, "all")
    rule = check_kink_rule(kink_rule, matrix, settings)
    _check_beside_data(rule, count is not None)
    problem, initial = problem_of(settings)
    model = problem.model
    rule = _kink_rule(rule, matrix, model, count is not None)

    from numerics.core.weights import check_dimension
    from numerics.spectra.population_spectrum import population_spectrum
    from theory import derive_hessian

    d = check_dimension(settings.value("dimension"), model.directions, model.units)
    state, state_error = state_at(problem, initial, when)
    with spinner(f"population spectrum of {model.name}"):
        blocks = None if rule is None else derive_hessian(model, kink_rule=rule)
        population = population_spectrum(
            problem, state, matrix=matrix, block=part, dimension=d, blocks=blocks
        )
        if rule is not None:
            population.attrs["kink_rule"] = rule
    empirical = None
    if count is not None:
        from numerics.spectra.empirical_spectrum import empirical_spectrum

        sizes = {"dimension": d, "samples": count, "seed": settings.value("seed")}
        compared = None if part == "readout" else population
        with spinner(f"empirical spectrum of {count} samples in dimension {d}"):
            empirical = empirical_spectrum(
                problem, state, **sizes, matrix=matrix, block=part, beside=compared
            )

    from verify.tables.spectra import join_spectra, matrix_name, spectrum_table
    from verify.tables.spectral_remarks import spectrum_remarks
    from verify.tables.text import parameters_text

    names = settings.kind.direction_names
    standard_output().print(spectrum_table(population, empirical, names))
    if part == "readout":
        from numerics.alignment.readout_alignment import readout_alignment
        from verify.tables.spectral_remarks import readout_remarks

        spectra = [data for data in (population, empirical) if data is not None]
        for remark in readout_remarks(*(readout_alignment(problem, state, s) for s in spectra)):
            say(remark)
    for remark in spectrum_remarks(population, empirical, when, state_error):
        say(remark)
    if output is not None:
        write_data(join_spectra(population, empirical), output)
    if plot is not None:
        from verify.figures import plot_spectrum

        what = f"{model.name}: {matrix_name(population)} at {moment(when)}"
        title = f"{what}, {parameters_text(problem.parameters, directions=names)}"
        write_figure(plot_spectrum(population, empirical, title, directions=names), plot)


def _kink_rule(asked: str | None, matrix: str, model: Model, beside_data: bool) -> str | None:
    """The kink rule of a Hessian: beside data almost-everywhere; None where there is nothing to
    choose.
    """
    if matrix != "hessian" or model.loss.is_smooth:
        return None
    if beside_data:
        return ALMOST_EVERYWHERE
    from theory.formulas.hessian import default_kink_rule

    return asked or default_kink_rule(model)


def _check_beside_data(asked: str | None, beside_data: bool) -> None:
    """Refuse deltas on kinks beside samples, which have none."""
    if beside_data and asked not in (None, ALMOST_EVERYWHERE):
        expected = f"{ALMOST_EVERYWHERE!r} with --samples"
        remedy = "samples never lie on a kink; leave --samples or --kink-rule away"
        raise InputError("--kink-rule", repr(asked), expected, remedy)

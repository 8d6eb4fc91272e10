"""What does not know noise with bands refuses it by name, before any work."""

from __future__ import annotations

from inspect import isfunction, signature

import pytest
from band_cases import band_case, classes_in_bands
from helpers import fresh_rng

import numerics
from numerics import Problem, State
from theory import InputError
from verify import check, make_derivation, plot_curves

KNOWS = {
    *("integrate_curves", "solve_curve", "simulate_sgd"),
    *("drift_jacobian", "solve_fixed_point", "integrate_fluctuations", "stationary_fluctuations"),
    *("realise_weights", "state_of_weights", "draw_data"),
    *("population_block", "population_spectrum", "population_misalignment"),
    *("effective_spectrum", "emergence", "phase_diagram"),
    *("empirical_spectrum", "empirical_projection", "empirical_distance"),
}
PUBLIC = {name: getattr(numerics, name) for name in numerics.__all__}
# every other public function of a problem
TAKES = sorted(
    name
    for name, value in PUBLIC.items()
    if isfunction(value) and next(iter(signature(value).parameters), "") == "problem"
)


@pytest.mark.parametrize("name", [name for name in TAKES if name not in KNOWS])
def test_functions_of_a_problem_refuse_bands(name):
    model = band_case(fresh_rng()).model
    rest = (State.zero(model),) + ((), ()) * (name == "user_data")
    with pytest.raises(InputError, match=rf"bands: .*2 band\(s\).*{name}"):
        getattr(numerics, name)(Problem(model), *rest)


@pytest.mark.slow
def test_a_figure_of_all_bands_is_refused_and_that_of_one_is_drawn():
    model = classes_in_bands(fresh_rng())
    curve = numerics.integrate_curves(Problem(model), State.zero(model), [0.0, 0.1])
    with pytest.raises(InputError, match=r"curve: .*3 bands"):
        plot_curves(curve)
    plot_curves(curve.sel(band=1))


REFUSED = {
    "claim about fixed points": lambda model: check(model, "fixed-point m_a_s", "0"),
    "derivation": make_derivation,
}


@pytest.mark.parametrize("name", REFUSED)
def test_verdicts_refuse_bands(name):
    with pytest.raises(InputError, match=r"bands: .*2 band\(s\)"):
        REFUSED[name](band_case(fresh_rng()).model)

"""Numbers from the symbolic theory: curves, simulation, spectra, the proportional limit, sweeps.

A :class:`Problem`, a model with its numbers, is made and checked once; every function here takes it
first, and a :class:`State` after it.  Results are xarray Datasets with named dimensions, units,
seeds, versions and error estimates.
"""

from .alignment.eigenspace_angles import eigenspace_share, principal_angles
from .alignment.misalignment import matrix_misalignment, vector_misalignment
from .alignment.readout_alignment import readout_alignment, readout_features
from .core.errors import (
    DivergenceError,
    FixedPointError,
    IntegrationError,
    ResolventError,
    SimulationInterrupted,
    SweepError,
    ToleranceWarning,
)
from .core.parameters import Parameters, parameters_of
from .core.problem import Problem
from .core.results import from_netcdf
from .core.schedule import TIME, Schedule
from .core.state import State
from .core.weights import realise_weights, state_of_weights
from .data.risk import empirical_risk, population_risk
from .data.samples import SampleData, draw_data
from .data.train_data import train_data
from .data.user_data import user_data, with_samples
from .dynamics.curve import Curve
from .dynamics.curves import integrate_curves, solve_curve
from .dynamics.fixed_points import solve_fixed_point
from .dynamics.fluctuations import integrate_fluctuations, stationary_fluctuations
from .dynamics.jacobian import drift_jacobian
from .dynamics.noiseless_flow import integrate_noiseless
from .expectations.compiled import CompiledExpressions, compile_expressions
from .expectations.estimate import Estimate
from .proportional.effective_spectrum import effective_spectrum
from .proportional.emergence_times import emergence
from .proportional.measured_outliers import measure_outliers
from .proportional.phase_diagrams import phase_diagram
from .proportional.state_at import state_at_fixed_point, state_at_time
from .sgd.kernel.source import kernel_source
from .sgd.noise import Noise
from .sgd.simulate import simulate_sgd
from .spectra.empirical_density import empirical_density
from .spectra.empirical_distance import empirical_distance
from .spectra.empirical_parts import empirical_operator
from .spectra.empirical_projection import empirical_projection
from .spectra.empirical_spectrum import empirical_spectrum
from .spectra.population_block import population_block
from .spectra.population_spectrum import population_misalignment, population_spectrum
from .spectra.span_matrix import SpanMatrix
from .sweeps.executors import dask_executor
from .sweeps.grid import Sweep
from .sweeps.integrity import DamagedPointsWarning
from .sweeps.measure_options import MeasureOptions
from .sweeps.measurements import MEASUREMENTS, Measurement, Variable
from .sweeps.random_start import RandomStart
from .sweeps.run import SweepInterrupted, run_sweep
from .sweeps.setting import Setting
from .sweeps.store import open_store
from .sweeps.trial import Trial

__all__ = [  # noqa: RUF022 (grouped by subject, as the page of the documentation is)
    # problem
    "Parameters",
    "Problem",
    "State",
    "from_netcdf",
    "parameters_of",
    "realise_weights",
    "state_of_weights",
    # formulas
    "CompiledExpressions",
    "Estimate",
    "compile_expressions",
    # curves
    "Curve",
    "FixedPointError",
    "IntegrationError",
    "Schedule",
    "TIME",
    "ToleranceWarning",
    "drift_jacobian",
    "integrate_curves",
    "integrate_fluctuations",
    "integrate_noiseless",
    "population_risk",
    "solve_curve",
    "solve_fixed_point",
    "stationary_fluctuations",
    # simulation
    "DivergenceError",
    "Noise",
    "SampleData",
    "SimulationInterrupted",
    "draw_data",
    "empirical_risk",
    "kernel_source",
    "simulate_sgd",
    "train_data",
    "user_data",
    "with_samples",
    # spectra
    "SpanMatrix",
    "eigenspace_share",
    "empirical_density",
    "empirical_distance",
    "empirical_operator",
    "empirical_projection",
    "empirical_spectrum",
    "matrix_misalignment",
    "population_block",
    "population_misalignment",
    "population_spectrum",
    "principal_angles",
    "readout_alignment",
    "readout_features",
    "vector_misalignment",
    # proportional limit
    "ResolventError",
    "effective_spectrum",
    "emergence",
    "measure_outliers",
    "phase_diagram",
    "state_at_fixed_point",
    "state_at_time",
    # sweeps
    "DamagedPointsWarning",
    "MEASUREMENTS",
    "MeasureOptions",
    "Measurement",
    "RandomStart",
    "Setting",
    "Sweep",
    "SweepError",
    "SweepInterrupted",
    "Trial",
    "Variable",
    "dask_executor",
    "open_store",
    "run_sweep",
]

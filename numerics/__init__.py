"""Numbers from the symbolic theory: curves, fixed points, spectra, and simulations to compare them with."""

from .alignment import (
    eigenspace_share,
    matrix_misalignment,
    principal_angles,
    vector_misalignment,
)
from .compiled import CompiledExpressions, Estimate, compile_expressions
from .concentration import empirical_distance
from .density import empirical_density
from .effective import effective_spectrum
from .emergence import emergence
from .empirical import empirical_spectrum, spectrum_of_data
from .executors import SweepError, dask_executor
from .features import readout_alignment, readout_features
from .fixed_points import FixedPointError, solve_fixed_point
from .flow import Curve, IntegrationError, integrate_curves, solve_curve
from .fluctuations import integrate_fluctuations, stationary_fluctuations
from .kernel import kernel_source
from .layout import realise_weights, state_of_weights
from .measurements import MEASUREMENTS, Measurement, Variable
from .noise import Noise
from .own_data import sample_data, with_samples
from .parts import empirical_operator
from .phase_diagram import phase_diagram, state_at_fixed_point, state_at_time
from .population import population_misalignment, population_spectrum
from .projection import empirical_projection
from .resolvent import ResolventError
from .risk import empirical_risk, population_risk
from .samples import SampleData, draw_data
from .schedule import TIME, Schedule
from .setting import RandomStart, Setting
from .sgd import DivergenceError, SimulationInterrupted, simulate_sgd
from .sliding import integrate_noiseless
from .span import SpanMatrix, population_block
from .stability import drift_jacobian
from .state import Parameters, State, parameters_of
from .sweep import Sweep
from .sweep_run import SweepInterrupted, run_sweep
from .sweep_store import open_store
from .train import train_data
from .trial import MeasureOptions, Trial

__all__ = [
    "MEASUREMENTS",
    "TIME",
    "CompiledExpressions",
    "Curve",
    "DivergenceError",
    "Estimate",
    "FixedPointError",
    "IntegrationError",
    "MeasureOptions",
    "Measurement",
    "Noise",
    "Parameters",
    "RandomStart",
    "ResolventError",
    "SampleData",
    "Schedule",
    "Setting",
    "SimulationInterrupted",
    "SpanMatrix",
    "State",
    "Sweep",
    "SweepError",
    "SweepInterrupted",
    "Trial",
    "Variable",
    "compile_expressions",
    "dask_executor",
    "draw_data",
    "drift_jacobian",
    "effective_spectrum",
    "eigenspace_share",
    "emergence",
    "empirical_density",
    "empirical_distance",
    "empirical_operator",
    "empirical_projection",
    "empirical_risk",
    "empirical_spectrum",
    "integrate_curves",
    "integrate_fluctuations",
    "integrate_noiseless",
    "kernel_source",
    "matrix_misalignment",
    "open_store",
    "parameters_of",
    "phase_diagram",
    "population_block",
    "population_misalignment",
    "population_risk",
    "population_spectrum",
    "principal_angles",
    "readout_alignment",
    "readout_features",
    "realise_weights",
    "run_sweep",
    "sample_data",
    "simulate_sgd",
    "solve_curve",
    "solve_fixed_point",
    "spectrum_of_data",
    "state_at_fixed_point",
    "state_at_time",
    "state_of_weights",
    "stationary_fluctuations",
    "train_data",
    "vector_misalignment",
    "with_samples",
]

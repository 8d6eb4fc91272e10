"""Numbers from the symbolic theory: curves, simulation, spectra, the proportional limit, sweeps.

A :class:`Problem`, a model with its numbers, is made and checked once; every function here takes it
first, and a :class:`State` after it.  Results are xarray Datasets with named dimensions, units,
seeds, versions and error estimates.

Public names are loaded when first used, so that what needs few of them starts at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from theory.public_names import loaded_on_use

if TYPE_CHECKING:
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
    from .data.binned_spectrum import BinnedSpectrum, bin_spectrum
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
    from .networks.breakdown import alignment_breakdown
    from .networks.trained_layers import trained_layers
    from .proportional.effective_spectrum import effective_spectrum
    from .proportional.emergence_times import emergence
    from .proportional.measured_outliers import measure_outliers
    from .proportional.phase_diagrams import phase_diagram
    from .proportional.state_at import state_at_fixed_point, state_at_time
    from .real_data.comparison import compare_with_data
    from .real_data.fitted_mixture import FittedMixture, fit_mixture
    from .real_data.labelled_data import LabelledData, label_data
    from .real_data.labelled_files import load_labelled
    from .real_data.training import SoftmaxNetwork
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
    from .training_design.design import Design, TargetNotReached, design

# module -> its public names; what stands here is what the imports above tell a type checker
_PUBLIC = {
    "alignment.eigenspace_angles": ("eigenspace_share", "principal_angles"),
    "alignment.misalignment": ("matrix_misalignment", "vector_misalignment"),
    "alignment.readout_alignment": ("readout_alignment", "readout_features"),
    "core.errors": (
        "DivergenceError",
        "FixedPointError",
        "IntegrationError",
        "ResolventError",
        "SimulationInterrupted",
        "SweepError",
        "ToleranceWarning",
    ),
    "core.parameters": ("Parameters", "parameters_of"),
    "core.problem": ("Problem",),
    "core.results": ("from_netcdf",),
    "core.schedule": ("TIME", "Schedule"),
    "core.state": ("State",),
    "core.weights": ("realise_weights", "state_of_weights"),
    "data.binned_spectrum": ("BinnedSpectrum", "bin_spectrum"),
    "data.risk": ("empirical_risk", "population_risk"),
    "data.samples": ("SampleData", "draw_data"),
    "data.train_data": ("train_data",),
    "data.user_data": ("user_data", "with_samples"),
    "dynamics.curve": ("Curve",),
    "dynamics.curves": ("integrate_curves", "solve_curve"),
    "dynamics.fixed_points": ("solve_fixed_point",),
    "dynamics.fluctuations": ("integrate_fluctuations", "stationary_fluctuations"),
    "dynamics.jacobian": ("drift_jacobian",),
    "dynamics.noiseless_flow": ("integrate_noiseless",),
    "expectations.compiled": ("CompiledExpressions", "compile_expressions"),
    "expectations.estimate": ("Estimate",),
    "networks.breakdown": ("alignment_breakdown",),
    "networks.trained_layers": ("trained_layers",),
    "proportional.effective_spectrum": ("effective_spectrum",),
    "proportional.emergence_times": ("emergence",),
    "proportional.measured_outliers": ("measure_outliers",),
    "proportional.phase_diagrams": ("phase_diagram",),
    "proportional.state_at": ("state_at_fixed_point", "state_at_time"),
    "real_data.comparison": ("compare_with_data",),
    "real_data.fitted_mixture": ("FittedMixture", "fit_mixture"),
    "real_data.labelled_data": ("LabelledData", "label_data"),
    "real_data.labelled_files": ("load_labelled",),
    "real_data.training": ("SoftmaxNetwork",),
    "sgd.kernel.source": ("kernel_source",),
    "sgd.noise": ("Noise",),
    "sgd.simulate": ("simulate_sgd",),
    "spectra.empirical_density": ("empirical_density",),
    "spectra.empirical_distance": ("empirical_distance",),
    "spectra.empirical_parts": ("empirical_operator",),
    "spectra.empirical_projection": ("empirical_projection",),
    "spectra.empirical_spectrum": ("empirical_spectrum",),
    "spectra.population_block": ("population_block",),
    "spectra.population_spectrum": ("population_misalignment", "population_spectrum"),
    "spectra.span_matrix": ("SpanMatrix",),
    "sweeps.executors": ("dask_executor",),
    "sweeps.grid": ("Sweep",),
    "sweeps.integrity": ("DamagedPointsWarning",),
    "sweeps.measure_options": ("MeasureOptions",),
    "sweeps.measurements": ("MEASUREMENTS", "Measurement", "Variable"),
    "sweeps.random_start": ("RandomStart",),
    "sweeps.run": ("SweepInterrupted", "run_sweep"),
    "sweeps.setting": ("Setting",),
    "sweeps.store": ("open_store",),
    "sweeps.trial": ("Trial",),
    "training_design.design": ("Design", "TargetNotReached", "design"),
}

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
    "BinnedSpectrum",
    "DivergenceError",
    "Noise",
    "SampleData",
    "SimulationInterrupted",
    "bin_spectrum",
    "draw_data",
    "empirical_risk",
    "kernel_source",
    "simulate_sgd",
    "train_data",
    "user_data",
    "with_samples",
    # data from outside
    "FittedMixture",
    "LabelledData",
    "SoftmaxNetwork",
    "compare_with_data",
    "fit_mixture",
    "label_data",
    "load_labelled",
    # networks of several layers
    "alignment_breakdown",
    "trained_layers",
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
    # settings of training
    "Design",
    "TargetNotReached",
    "design",
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

__getattr__, __dir__ = loaded_on_use(__name__, _PUBLIC)

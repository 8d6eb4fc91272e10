"""The one face of the project: every public name of ``theory``, ``numerics`` and ``verify``.

>>> import specalign as sa
>>> sa.kgmm(2).name
'kgmm2'

``help(sa.kgmm)`` explains one of them, with an example; ``sa.plot`` holds the figures.

Models (``theory``):
    Model, Mixture, Bands, Loss, Output, Update, Layer, Activation, kgmm, xor, mlp,
    softmax_cross_entropy, two_layer_cross_entropy, symbols, indexed, TIME, ReLU, Step, Sigmoid,
    Softmax, Softplus, LogSumExp

Formulas:
    derive_drift, derive_diffusion, derive_hessian, derive_gradient, derive_gradient_matrix,
    derive_gauss_newton, derive_fisher, derive_risk, derive_finite_size,
    derive_readout_features, Drift, Diffusion, Block, BlockMatrix, PopulationGradient,
    PopulationRisk, FiniteSize, ReadoutFeatures, Derived, Derivation, make_derivation

Expectations and limits:
    GaussianExpectation, GaussianLaw, Moments, Weight, preactivation_law, integrate_by_parts,
    low_noise, noiseless

Fixed points in closed form:
    softmax_fixed_point, separated_fixed_point, existing_clusters, solve_noiseless_fixed_point,
    separation_probabilities, ImplicitFixedPoint, SeparatedFixedPoint

Problems and states (``numerics``):
    Problem, Parameters, State, Schedule, parameters_of, state_at_time, state_at_fixed_point,
    state_of_weights, realise_weights, from_netcdf, CompiledExpressions, compile_expressions,
    Estimate

Curves:
    integrate_curves, integrate_noiseless, solve_curve, Curve, solve_fixed_point,
    drift_jacobian, integrate_fluctuations, stationary_fluctuations, population_risk,
    population_misalignment

Simulation and data:
    simulate_sgd, Noise, kernel_source, draw_data, train_data, user_data, with_samples,
    SampleData, bin_spectrum, BinnedSpectrum, empirical_risk, trained_layers,
    alignment_breakdown

Spectra:
    population_spectrum, population_block, empirical_spectrum, empirical_density,
    empirical_distance, empirical_operator, empirical_projection, SpanMatrix

Alignment:
    eigenspace_share, matrix_misalignment, vector_misalignment, principal_angles,
    readout_alignment, readout_features

Finite aspect ratio:
    effective_spectrum, measure_outliers, emergence, phase_diagram

Data of one's own:
    label_data, load_labelled, LabelledData, fit_mixture, FittedMixture, compare_with_data,
    SoftmaxNetwork

Sweeps:
    Sweep, run_sweep, open_store, Setting, Trial, RandomStart, Measurement, MeasureOptions,
    MEASUREMENTS, Variable, dask_executor

Design of training:
    design, Design, confirm_design, Confirmation

Checking derivations (``verify``):
    check, make_claim, judge, read_claims, Claim, Finding, Judgement

Laws and tests:
    check_model, parametrize_checks, Formulas, Domain, strategies, ModelReport, LawViolation

Theory against simulation:
    run, run_all, Theory, Evidence, get_level, get_system, CheckResult, Report, JointReport

Figures, beside ``sa.plot``:
    save_figure, plot_alignment, plot_alignment_heatmap, plot_comparison, plot_curves,
    plot_design, plot_effective_spectrum, plot_eigenvalues_along_training, plot_emergence,
    plot_exponent, plot_phase_diagram, plot_spectrum, plot_sweep

Errors and warnings:
    InputError, DivergenceError, IntegrationError, FixedPointError, ResolventError, SweepError,
    TargetNotReached, SimulationInterrupted, SweepInterrupted, VerificationInterrupted,
    ToleranceWarning, DamagedPointsWarning
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._packages import PACKAGES, check_packages

if TYPE_CHECKING:
    from numerics import *  # noqa: F403
    from theory import *  # noqa: F403
    from verify import *  # noqa: F403

check_packages()


# A name is looked up in the package that defines it when it is first used, so that importing this
# package costs nothing and ``sa.kgmm`` loads SymPy alone.
def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("specalign")
    if name == "plot":
        return import_module(".plot", __name__)
    # what Python and notebooks look for on any module is no name of ours: nothing is loaded for it
    if not name.startswith("_"):
        for package in PACKAGES:
            module = import_module(package)
            if name in module.__all__:
                value = getattr(module, name)
                globals()[name] = value
                return value
    # the names are loaded by now; private ones load nothing
    close = [] if name.startswith("_") else get_close_matches(name, __dir__(), n=1, cutoff=0.7)
    remedy = f"did you mean {close[0]!r}? " if close else ""
    raise AttributeError(
        f"specalign has no public name {name!r}: {remedy}dir(specalign) lists those there are"
    )


def __dir__() -> list[str]:
    public = (name for package in PACKAGES for name in import_module(package).__all__)
    return sorted({*public, "__version__", "plot"})

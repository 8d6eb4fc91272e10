"""Theory against evidence: claims, laws of models, checks of the two systems, reports and figures.

Public names are loaded when first used: the command starts without them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from theory.public_names import loaded_on_use

if TYPE_CHECKING:
    from . import strategies
    from .checks.judged_theory import Theory
    from .checks.runner import VerificationInterrupted, run, run_all
    from .claims.files import read_claims
    from .claims.judge import check, judge, make_claim
    from .claims.judgement import Claim, Finding, Judgement
    from .documents.derivation import Derivation, make_derivation
    from .evidence.evidence import Evidence
    from .evidence.levels import get_level
    from .evidence.systems import get_system
    from .figures.alignment import plot_alignment
    from .figures.curves import plot_curves
    from .figures.effective import plot_effective_spectrum
    from .figures.emergence import plot_emergence, plot_phase_diagram
    from .figures.exponents import plot_exponent
    from .figures.heatmaps import plot_alignment_heatmap
    from .figures.spectra import plot_eigenvalues_along_training, plot_spectrum
    from .figures.style import save_figure
    from .figures.sweeps import plot_sweep
    from .laws.check_model import check_model
    from .laws.judged_formulas import Formulas
    from .laws.parametrize import parametrize_checks
    from .laws.report import LawViolation, ModelReport
    from .random_points.floating import Domain
    from .real_data.comparison_figure import plot_comparison
    from .training_design.confirmation import Confirmation, confirm_design
    from .training_design.design_figure import plot_design
    from .verdict.results import CheckResult, JointReport, Report

# module -> its public names; what stands here is what the imports above tell a type checker
_PUBLIC = {
    "checks.judged_theory": ("Theory",),
    "checks.runner": ("VerificationInterrupted", "run", "run_all"),
    "claims.files": ("read_claims",),
    "claims.judge": ("check", "judge", "make_claim"),
    "claims.judgement": ("Claim", "Finding", "Judgement"),
    "documents.derivation": ("Derivation", "make_derivation"),
    "evidence.evidence": ("Evidence",),
    "evidence.levels": ("get_level",),
    "evidence.systems": ("get_system",),
    "figures.alignment": ("plot_alignment",),
    "figures.curves": ("plot_curves",),
    "figures.effective": ("plot_effective_spectrum",),
    "figures.emergence": ("plot_emergence", "plot_phase_diagram"),
    "figures.exponents": ("plot_exponent",),
    "figures.heatmaps": ("plot_alignment_heatmap",),
    "figures.spectra": ("plot_eigenvalues_along_training", "plot_spectrum"),
    "figures.style": ("save_figure",),
    "figures.sweeps": ("plot_sweep",),
    "laws.check_model": ("check_model",),
    "laws.judged_formulas": ("Formulas",),
    "laws.parametrize": ("parametrize_checks",),
    "laws.report": ("LawViolation", "ModelReport"),
    "random_points.floating": ("Domain",),
    "real_data.comparison_figure": ("plot_comparison",),
    "training_design.confirmation": ("Confirmation", "confirm_design"),
    "training_design.design_figure": ("plot_design",),
    "verdict.results": ("CheckResult", "JointReport", "Report"),
}
__all__ = [  # noqa: RUF022 (grouped by subject, as the page of the documentation is)
    # claims
    "Claim",
    "Finding",
    "Judgement",
    "check",
    "judge",
    "make_claim",
    "read_claims",
    # derivations
    "Derivation",
    "make_derivation",
    # laws
    "Domain",
    "Formulas",
    "LawViolation",
    "ModelReport",
    "check_model",
    "parametrize_checks",
    "strategies",
    # checks
    "CheckResult",
    "Evidence",
    "JointReport",
    "Report",
    "Theory",
    "VerificationInterrupted",
    "get_level",
    "get_system",
    "run",
    "run_all",
    # settings of training
    "Confirmation",
    "confirm_design",
    # figures
    "plot_alignment",
    "plot_alignment_heatmap",
    "plot_comparison",
    "plot_curves",
    "plot_design",
    "plot_effective_spectrum",
    "plot_eigenvalues_along_training",
    "plot_emergence",
    "plot_exponent",
    "plot_phase_diagram",
    "plot_spectrum",
    "plot_sweep",
    "save_figure",
]


__getattr__, __dir__ = loaded_on_use(__name__, _PUBLIC, modules=("strategies",))

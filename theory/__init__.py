"""Symbolic theory: from a mixture and one scalar loss to closed forms, in SymPy.

The engine: :class:`Mixture` and :class:`Loss` make a :class:`Model`; ``derive_*`` return exact
expressions with unevaluated Gaussian expectations; :func:`noiseless` and :func:`low_noise` evaluate
them in limits. Formulas and notation: docs/conventions.md.

Public names are loaded when first used, so that what needs few of them starts at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .public_names import loaded_on_use

if TYPE_CHECKING:
    from . import symbols
    from .errors import InputError
    from .expectations.derived import Derived
    from .expectations.expectation import GaussianExpectation, integrate_by_parts
    from .expectations.gaussian_law import GaussianLaw, preactivation_law
    from .expectations.moments import Moments, Weight
    from .expectations.noiseless_limit import low_noise, noiseless
    from .fixed_points.existing_clusters import existing_clusters
    from .fixed_points.implicit import (
        ImplicitFixedPoint,
        softmax_fixed_point,
        solve_noiseless_fixed_point,
    )
    from .fixed_points.separated import (
        SeparatedFixedPoint,
        separated_fixed_point,
        separation_probabilities,
    )
    from .formulas.block_matrix import Block, BlockMatrix
    from .formulas.diffusion import Diffusion, derive_diffusion
    from .formulas.drift import Drift, derive_drift
    from .formulas.finite_size import FiniteSize, derive_finite_size
    from .formulas.gradient import PopulationGradient, derive_gradient
    from .formulas.gradient_matrix import derive_gradient_matrix
    from .formulas.hessian import derive_hessian
    from .formulas.output_matrices import derive_fisher, derive_gauss_newton
    from .formulas.readout_features import ReadoutFeatures, derive_readout_features
    from .formulas.risk import PopulationRisk, derive_risk
    from .problem.activations import Activation
    from .problem.covariance.bands import Bands
    from .problem.cross_entropy import softmax_cross_entropy, two_layer_cross_entropy
    from .problem.kgmm import kgmm
    from .problem.layers import Layer
    from .problem.loss import Loss
    from .problem.mixture import Mixture
    from .problem.mlp import mlp
    from .problem.model import Model
    from .problem.output.output_law import Output
    from .problem.relu_step import ReLU, Step
    from .problem.softmax import LogSumExp, Softmax
    from .problem.softplus_sigmoid import Sigmoid, Softplus
    from .problem.updating.update import Update
    from .problem.xor import xor
    from .symbols import indexed

# module -> its public names; what stands here is what the imports above tell a type checker
_PUBLIC = {
    "errors": ("InputError",),
    "expectations.derived": ("Derived",),
    "expectations.expectation": ("GaussianExpectation", "integrate_by_parts"),
    "expectations.gaussian_law": ("GaussianLaw", "preactivation_law"),
    "expectations.moments": ("Moments", "Weight"),
    "expectations.noiseless_limit": ("low_noise", "noiseless"),
    "fixed_points.existing_clusters": ("existing_clusters",),
    "fixed_points.implicit": (
        "ImplicitFixedPoint",
        "softmax_fixed_point",
        "solve_noiseless_fixed_point",
    ),
    "fixed_points.separated": (
        "SeparatedFixedPoint",
        "separated_fixed_point",
        "separation_probabilities",
    ),
    "formulas.block_matrix": ("Block", "BlockMatrix"),
    "formulas.diffusion": ("Diffusion", "derive_diffusion"),
    "formulas.drift": ("Drift", "derive_drift"),
    "formulas.finite_size": ("FiniteSize", "derive_finite_size"),
    "formulas.gradient": ("PopulationGradient", "derive_gradient"),
    "formulas.gradient_matrix": ("derive_gradient_matrix",),
    "formulas.hessian": ("derive_hessian",),
    "formulas.output_matrices": ("derive_fisher", "derive_gauss_newton"),
    "problem.output.output_law": ("Output",),
    "formulas.readout_features": ("ReadoutFeatures", "derive_readout_features"),
    "formulas.risk": ("PopulationRisk", "derive_risk"),
    "problem.activations": ("Activation",),
    "problem.covariance.bands": ("Bands",),
    "problem.cross_entropy": ("softmax_cross_entropy", "two_layer_cross_entropy"),
    "problem.kgmm": ("kgmm",),
    "problem.layers": ("Layer",),
    "problem.loss": ("Loss",),
    "problem.mixture": ("Mixture",),
    "problem.mlp": ("mlp",),
    "problem.model": ("Model",),
    "problem.relu_step": ("ReLU", "Step"),
    "problem.softmax": ("LogSumExp", "Softmax"),
    "problem.softplus_sigmoid": ("Sigmoid", "Softplus"),
    "problem.updating.update": ("Update",),
    "problem.xor": ("xor",),
    "symbols": ("indexed",),
}

__all__ = [  # noqa: RUF022 (grouped by subject)
    # mixtures and losses
    "Activation",
    "Bands",
    "InputError",
    "Layer",
    "LogSumExp",
    "Loss",
    "Mixture",
    "Model",
    "Output",
    "ReLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Step",
    "Update",
    "indexed",
    "kgmm",
    "mlp",
    "softmax_cross_entropy",
    "symbols",
    "two_layer_cross_entropy",
    "xor",
    # expectations
    "Derived",
    "GaussianExpectation",
    "GaussianLaw",
    "Moments",
    "Weight",
    "integrate_by_parts",
    "low_noise",
    "noiseless",
    "preactivation_law",
    # formulas
    "Block",
    "BlockMatrix",
    "Diffusion",
    "Drift",
    "FiniteSize",
    "PopulationGradient",
    "PopulationRisk",
    "ReadoutFeatures",
    "derive_diffusion",
    "derive_drift",
    "derive_finite_size",
    "derive_fisher",
    "derive_gauss_newton",
    "derive_gradient",
    "derive_gradient_matrix",
    "derive_hessian",
    "derive_readout_features",
    "derive_risk",
    # fixed points
    "ImplicitFixedPoint",
    "SeparatedFixedPoint",
    "existing_clusters",
    "separated_fixed_point",
    "separation_probabilities",
    "softmax_fixed_point",
    "solve_noiseless_fixed_point",
]

__getattr__, __dir__ = loaded_on_use(__name__, _PUBLIC, modules=("symbols",))

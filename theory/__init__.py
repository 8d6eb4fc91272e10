"""Symbolic theory: from a mixture and one scalar loss to closed forms, in SymPy.

The engine: :class:`Mixture` and :class:`Loss` make a :class:`Model`; ``derive_*`` return exact expressions
with unevaluated Gaussian expectations; :func:`noiseless` and :func:`low_noise` evaluate them in limits.
Formulas and notation: docs/conventions.md.
"""

from . import symbols
from .activations import Activation
from .derived import Derived
from .dynamics import Diffusion, Drift, derive_diffusion, derive_drift
from .errors import InputError
from .features import ReadoutFeatures, derive_readout_features
from .finite_size import FiniteSize, derive_finite_size
from .fixed_points import ImplicitFixedPoint, softmax_fixed_point, solve_noiseless_fixed_point
from .functions import LogSumExp, ReLU, Sigmoid, Softmax, Softplus, Step
from .gaussian import GaussianExpectation, GaussianLaw, integrate_by_parts, preactivation_law
from .kgmm import kgmm
from .limits import low_noise, noiseless
from .loss import Loss, softmax_cross_entropy, two_layer_cross_entropy
from .mixture import Mixture
from .model import Model
from .moments import Moments, Weight
from .population import (
    Block,
    BlockMatrix,
    PopulationGradient,
    derive_gradient,
    derive_gradient_matrix,
    derive_hessian,
)
from .risk import PopulationRisk, derive_risk
from .separation import (
    SeparatedFixedPoint,
    existing_clusters,
    separated_fixed_point,
    separation_probabilities,
)
from .symbols import indexed
from .xor import xor

__all__ = [
    "Activation", "Block", "BlockMatrix", "Derived", "Diffusion", "Drift", "FiniteSize", "GaussianExpectation",
    "GaussianLaw", "ImplicitFixedPoint", "InputError", "LogSumExp", "Loss", "Mixture", "Model", "Moments",
    "PopulationGradient", "PopulationRisk", "ReLU", "ReadoutFeatures", "SeparatedFixedPoint", "Sigmoid", "Softmax",
    "Softplus", "Step", "Weight", "derive_diffusion", "derive_drift", "derive_finite_size", "derive_gradient",
    "derive_gradient_matrix", "derive_hessian", "derive_readout_features", "derive_risk", "existing_clusters",
    "indexed", "integrate_by_parts", "kgmm", "low_noise", "noiseless", "preactivation_law", "separated_fixed_point",
    "separation_probabilities", "softmax_cross_entropy", "softmax_fixed_point",
    "solve_noiseless_fixed_point", "symbols", "two_layer_cross_entropy", "xor",
]

"""Symbolic theory: from a mixture and one scalar loss to closed forms, in SymPy.

The engine: :class:`Mixture` and :class:`Loss` make a :class:`Model`; ``derive_*`` return exact expressions
with unevaluated Gaussian expectations; :func:`noiseless` and :func:`low_noise` evaluate them in limits.
Formulas and notation: docs/conventions.md.
"""

from . import symbols
from .derived import Derived
from .dynamics import Diffusion, Drift, derive_diffusion, derive_drift
from .errors import InputError
from .fixed_points import ImplicitFixedPoint, softmax_fixed_point, solve_noiseless_fixed_point
from .functions import LogSumExp, Sigmoid, Softmax, Softplus
from .gaussian import GaussianExpectation, GaussianLaw, integrate_by_parts, preactivation_law
from .kgmm import kgmm
from .limits import low_noise, noiseless
from .loss import Loss, softmax_cross_entropy
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
from .symbols import indexed

__all__ = [
    "Block", "BlockMatrix", "Derived", "Diffusion", "Drift", "GaussianExpectation", "GaussianLaw",
    "ImplicitFixedPoint", "InputError", "LogSumExp", "Loss", "Mixture", "Model", "Moments",
    "PopulationGradient", "Sigmoid", "Softmax", "Softplus", "Weight", "derive_diffusion", "derive_drift",
    "derive_gradient", "derive_gradient_matrix", "derive_hessian", "indexed", "integrate_by_parts", "kgmm",
    "low_noise", "noiseless", "preactivation_law", "softmax_cross_entropy", "softmax_fixed_point",
    "solve_noiseless_fixed_point", "symbols",
]

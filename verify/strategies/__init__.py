"""Hypothesis strategies that draw well-conditioned mixtures, parameters, states and models.

For the tests of any project that uses :mod:`theory` or :mod:`numerics`; needs hypothesis (``pip
install 'specalign[hypothesis]'``), which nothing else of the package does.  Every strategy shrinks
towards the simplest case: equal weights, the identity as Gram matrix, overlaps 0, the middle of
every range.  Nothing is filtered.
"""

try:
    import hypothesis  # noqa: F401  the error names the extra, before a module of the room asks
except ImportError as error:
    remedy = "pip install 'specalign[hypothesis]'"
    raise ImportError(
        f"sa.strategies needs hypothesis, which is not installed: {remedy}"
    ) from error

from .matrix_strategies import bases, frames, gram_matrices, precisions, symmetric_matrices, weights
from .model_strategies import mixtures, models
from .problem_strategies import parameters, problems, rational_parameters, states

__all__ = [
    "bases",
    "frames",
    "gram_matrices",
    "mixtures",
    "models",
    "parameters",
    "precisions",
    "problems",
    "rational_parameters",
    "states",
    "symmetric_matrices",
    "weights",
]

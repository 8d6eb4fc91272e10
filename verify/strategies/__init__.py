"""Hypothesis strategies that draw well-conditioned mixtures, parameters, states and models."""

from .problem_strategies import (
    bases,
    frames,
    gram_matrices,
    mixtures,
    models,
    parameters,
    precisions,
    problems,
    rational_parameters,
    states,
    symmetric_matrices,
    weights,
)

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

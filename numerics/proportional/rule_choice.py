"""The quadrature rules of a limiting spectrum, by dimension, kinks and width of the fields."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from numerics.core.geometry import labels_of
from numerics.core.validation import Array
from numerics.expectations.graded.reliability import UNSEEN, hermite_miss
from numerics.expectations.quadrature import (
    Rule,
    choose_family,
    gauss_hermite,
    replicate_error,
    sobol,
    tensor_sizes,
)
from theory import Model

from .line_panels import derivative_scales, line_rules
from .line_rule import LineRule
from .weight_nodes import WeightNodes

# a rule has so many nodes, or fewer where all components times the entries of K would exceed the
# second number
SOBOL_SIZE, SOBOL_ENTRIES, SCRAMBLINGS = 2**12, 2**19, 8
# pairs of tensor rules on the plane: the finer of two is taken, their difference is the error;
# finer ones where a node costs little, or the fields are wide
SCALAR_PAIRS, MATRIX_PAIRS = ((48, 96), (96, 192)), ((32, 48), (48, 96))

# angle, in radians, between the axes of the two: no symmetry of the plane
TURN = 0.5

# a rule, and which of its replicates
PlacedRule = tuple[Rule | LineRule, int]


def quadrature_rules(nodes: WeightNodes, model: Model, seed: int) -> list[PlacedRule]:
    """Coarse and fine rule, or all scramblings of a Sobol rule: pairs (rule, replicate).

    On the line both are panels that know the scales of the weights.  In a few dimensions more they
    are tensor rules of smooth losses whose transitions the coarser one resolves, about different
    axes: two rules of one family that miss a transition together differ by nothing.
    """
    n = nodes.dimension
    if n == 1:
        return [(rule, 0) for rule in line_rules(nodes)]
    if choose_family(n, model.loss.is_smooth) == "gauss-hermite":
        for pair in _tensor_pairs(nodes, n):
            if _resolves(nodes, pair[0]):
                coarse, fine = (gauss_hermite(n, size) for size in pair)
                return [(turned(coarse), 0), (fine, 0)]
    return scattered_rules(nodes, model, seed)


def scattered_rules(nodes: WeightNodes, model: Model, seed: int) -> list[PlacedRule]:
    """All scramblings of a Sobol rule."""
    entries = model.components * (nodes.seeing + nodes.parameters_beside) ** 2
    size = int(np.clip(2 ** int(np.log2(SOBOL_ENTRIES / entries)), 2**8, SOBOL_SIZE))
    rule = sobol(nodes.dimension, size, SCRAMBLINGS, seed)
    return [(rule, i) for i in range(SCRAMBLINGS)]


def best_and_error(values: Array) -> tuple[Array, Array]:
    """What runs with all rules (first axis) say together.

    The best of them, which is the last, and twice the largest distance from it; or the mean over
    scramblings and its interval.
    """
    if len(values) < SCRAMBLINGS:
        return values[-1], 2 * np.abs(values[-1] - values[:-1]).max(axis=0, initial=0.0)
    return values.mean(axis=0), replicate_error(values)


def turned(rule: Rule) -> Rule:
    """A tensor rule about other axes: its nodes stand at as many heights as it has nodes.

    About the same axes two rules pass by a thin layer across one of them together, each at as many
    heights as it has nodes in one dimension.

    Examples
    --------
    >>> rule = turned(gauss_hermite(2, 12))
    >>> len(np.unique(rule.nodes[0, :, 0])), float((rule.weights @ rule.nodes[0, :, 0]**2).round(9))
    (144, 1.0)
    """
    axes, n = np.eye(rule.dimension), rule.dimension
    for i in range(n - 1):
        plane = np.eye(n)
        plane[i : i + 2, i : i + 2] = [[np.cos(TURN), -np.sin(TURN)], [np.sin(TURN), np.cos(TURN)]]
        axes = axes @ plane
    return replace(rule, nodes=rule.nodes @ axes)


def _tensor_pairs(nodes: WeightNodes, dimension: int) -> tuple[tuple[int, int], ...]:
    if dimension <= 2:
        return SCALAR_PAIRS if nodes.seeing + nodes.parameters_beside == 1 else MATRIX_PAIRS
    sizes = tensor_sizes(dimension)
    return ((sizes[-2], sizes[-1]),)


def _resolves(nodes: WeightNodes, size: int) -> bool:
    """Whether the singularities of the derivatives are far enough for a tensor rule."""
    if not nodes.dimension:
        return True
    scales, readout = derivative_scales(nodes.model, nodes.matrix), nodes.held
    for l, label in enumerate(labels_of(nodes.model)):
        shares, _ = hermite_miss(
            scales, float(label), nodes.mean(l), nodes.directions(l), readout, (size,), _no_heights
        )
        if shares[0] >= UNSEEN:
            return False
    return True


def _no_heights(shift: Array) -> Array:
    """Rare high transitions are of no account: weights are seen by their probability."""
    return np.zeros((1, len(shift)))

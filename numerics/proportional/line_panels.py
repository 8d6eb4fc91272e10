"""Rules for laws of weights on the line: panels graded to the scales of the derivatives, and ended
where a tail is cut off.

Two levels share neither nodes, ends of panels nor grading, so that their difference is an error.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
import scipy.optimize
import scipy.special
from numpy.typing import NDArray

from numerics.core.geometry import labels_of
from numerics.core.validation import Array
from numerics.data.derivatives import derivative_expressions
from numerics.expectations.graded.placement import line_ends, panel_nodes
from numerics.expectations.graded.scales import Scales
from theory import Model

from .line_rule import LineRule
from .weight_nodes import WeightNodes

# nodes a panel of the two levels, the better one last
SIZES = (16, 20)
# halvings of an interval in which a weight passes the cut
BISECTIONS = 44
# Towards the most extreme weight the resolvent of an edge has nearly a pole, and at a cut a
# logarithm: panels shrink by this factor, so many times.
SHRINK, GRADED = 0.35, 10
# a cut that is closer to the end of a panel than this share of it is there
AT_END = 1e-9
# differences of the weight below this share of the largest are rounding
FLAT = 1e-13
# peaks of the weight below this share of the largest are far from the pole
NEAR_PEAK, PEAKS = 0.7, 4


@lru_cache(maxsize=32)
def derivative_scales(model: Model, matrix: str) -> Scales:
    """Where the derivatives of the loss bend."""
    return Scales(model, derivative_expressions(model, matrix))


def line_rules(nodes: WeightNodes) -> list[LineRule]:
    """A coarse and a fine rule for the weights along the line.

    Raises
    ------
    PlacementError
        The transitions of the derivatives need more panels than are affordable.
    """
    return [_at_peaks(nodes, _graded(nodes, size)) for size in SIZES]


def _graded(nodes: WeightNodes, size: int) -> LineRule:
    """Panels that resolve the derivatives of the loss."""
    scales, readout = derivative_scales(nodes.model, nodes.matrix), nodes.held
    labels = enumerate(labels_of(nodes.model))
    ends = [
        line_ends(scales, float(y), nodes.mean(l), nodes.directions(l)[0], readout, size)
        for l, y in labels
    ]
    return LineRule(tuple(ends), size)


def _at_peaks(nodes: WeightNodes, rule: LineRule) -> LineRule:
    """The rule with panels that shrink towards the most extreme weights."""
    if not nodes.units:
        return rule
    ends = list(rule.ends)
    for side in (1, -1):
        profiles = [_Profile.of(nodes, rule, l, side) for l in range(len(ends))]
        least = NEAR_PEAK * max(float(p.values.max(initial=0.0)) for p in profiles)
        if least > 0:
            pairs = zip(ends, profiles, strict=True)
            ends = [_split(e, profile.peaks(least)) for e, profile in pairs]
    return LineRule(tuple(ends), rule.size)


def ended_at_cuts(nodes: WeightNodes, rule: LineRule, share: float) -> LineRule:
    """The rule with ends of panels where the weight leaves the samples that are kept: those without
    a ``share`` of the most extreme weights at either end of 0.

    A cut inside a panel would be a discretisation that all levels share.
    """
    cuts: list[list[float]] = [[] for _ in rule.ends]
    for side in (1, -1):
        # a hill or a valley between two nodes crosses the level unseen
        profiles = [
            _Profile.of(nodes, rule, l, side).with_turning_points() for l in range(len(rule.ends))
        ]
        level = _level(profiles, nodes.parameters.weights, share)
        if level is None:
            continue
        for l, profile in enumerate(profiles):
            cuts[l] += profile.crossings(level)[1].tolist()
            # of the weights that are kept those just below the level are the most extreme
            cuts[l] += profile.peaks(NEAR_PEAK * level, level)
    ends = tuple(_split(e, sorted(c)) for e, c in zip(rule.ends, cuts, strict=True))
    return LineRule(ends, rule.size)


class _Profile:
    """How extreme the weights of one component are, on ordered points of the line."""

    def __init__(
        self, nodes: WeightNodes, component: int, side: int, z: Array, values: Array
    ) -> None:
        self.nodes, self.component, self.side, self.z, self.values = (
            nodes,
            component,
            side,
            z,
            values,
        )

    @classmethod
    def of(cls, nodes: WeightNodes, rule: LineRule, component: int, side: int) -> _Profile:
        """At the nodes; between two panels, where weights may jump, at both of their last nodes."""
        z = np.sort(panel_nodes(rule.ends[component], rule.size)[0])
        return cls(nodes, component, side, z, extremes(nodes, component, side, z))

    def crossings(self, level: float) -> tuple[NDArray[np.bool_], Array]:
        """Which points lie above a level, and the places between them where it is passed."""
        above = self.values > level
        at = np.flatnonzero(above[1:] != above[:-1])
        low, high, rising = self.z[at], self.z[at + 1], above[at + 1]
        for _ in range(BISECTIONS if len(at) else 0):
            middle = (low + high) / 2
            beyond = self.extreme(middle) > level
            right = beyond == rising
            low, high = np.where(right, low, middle), np.where(right, middle, high)
        return above, (low + high) / 2

    def peaks(self, least: float, most: float = np.inf) -> list[float]:
        """Places of the highest local maxima that are at least so high, and no higher than the
        most.
        """
        at = _maxima(self.values)
        at = at[(self.values[at] >= least) & (self.values[at] <= most)]
        at = at[np.argsort(-self.values[at])][:PEAKS]
        return sorted(self._refined(at, 1).tolist())

    def with_turning_points(self) -> _Profile:
        """The same with the places of all local maxima and minima among its points."""
        noise = FLAT * float(np.abs(self.values).max(initial=0.0))
        added = [self._refined(_maxima(sign * self.values, noise), sign) for sign in (1, -1)]
        z = np.unique(np.concatenate([self.z, *added]))
        return _Profile(self.nodes, self.component, self.side, z, self.extreme(z))

    def _refined(self, at: NDArray[np.intp], sign: int) -> Array:
        """Maxima (minima for a sign of -1) beside points, by division of the interval in three."""
        low, up = self.z[at - 1], self.z[at + 1]
        for _ in range(BISECTIONS if len(at) else 0):
            third = (up - low) / 3
            left, right = low + third, up - third
            higher = np.split(sign * self.extreme(np.concatenate([left, right])), 2)
            low, up = (
                np.where(higher[0] < higher[1], left, low),
                np.where(higher[0] < higher[1], up, right),
            )
        return np.asarray((low + up) / 2)

    def extreme(self, z: Array) -> Array:
        """The values at other points."""
        return extremes(self.nodes, self.component, self.side, z)

    def probability(self, level: float) -> float:
        """Of weights above a level."""
        above, places = self.crossings(level)
        # from the side of small tails, so that no digits are lost
        parts = np.concatenate([[-np.inf], places, [np.inf]])
        inside = bool(above[0]) if len(above) else False
        total = 0.0
        for low, high in pairwise(parts.tolist()):
            if inside:
                low, high = (-high, -low) if low > 0 else (low, high)
                total += scipy.special.ndtr(high) - scipy.special.ndtr(low)
            inside = not inside
        return float(total)


def _maxima(values: Array, noise: float = 0.0) -> NDArray[np.intp]:
    """Inner points that are no lower than their neighbours, and higher than one by the noise: a
    plateau has no peak.
    """
    inner, left, right = values[1:-1], values[:-2], values[2:]
    high = (inner >= left) & (inner >= right) & (np.maximum(inner - left, inner - right) > noise)
    return np.flatnonzero(high) + 1


def extremes(nodes: WeightNodes, component: int, side: int, z: Array) -> Array:
    """The largest eigenvalue of D (side 1) or of -D (side -1) at points of the line."""
    weight = nodes.at(component, z[:, None])[0][:, : nodes.seeing, : nodes.seeing]
    if nodes.seeing == 1:
        return side * np.asarray(weight[:, 0, 0])
    values = np.linalg.eigvalsh(weight)
    return np.asarray(values[:, -1] if side == 1 else -values[:, 0])


def _level(profiles: list[_Profile], weights: Array, share: float) -> float | None:
    """The weight that a share of all samples exceeds; None where that is not positive."""
    values = np.unique(np.concatenate([p.values for p in profiles]))
    values = np.append(0.0, values[values > 0])

    def excess(level: float) -> float:
        return sum(w * p.probability(level) for w, p in zip(weights, profiles, strict=True)) - share

    low, high = 0, len(values) - 1
    if not excess(0.0) > 0:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if excess(float(values[middle])) > 0 else (low, middle)
    ends = float(values[low]), float(values[high])
    if excess(ends[1]) > 0:
        return None
    return float(scipy.optimize.brentq(excess, *ends, xtol=1e-15 * ends[1], rtol=1e-14))


def _split(ends: Array, cuts: list[float]) -> Array:
    """Panels that end at the cuts and shrink towards them."""
    steps = np.append(SHRINK ** np.arange(GRADED + 1), 0.0)
    for cut in cuts:
        # a cut at an end, such as a jump of the weight, belongs to the panels on both sides
        near = AT_END * (ends[:, 1] - ends[:, 0])
        here = (ends[:, 0] - near < cut) & (cut < ends[:, 1] + near)
        parts = [ends[~here]]
        for low, high in ends[here]:
            places = np.array([low, high])
            if cut > low + AT_END * (high - low):
                places = np.append(places, cut + (low - cut) * steps)
            if cut < high - AT_END * (high - low):
                places = np.append(places, cut + (high - cut) * steps)
            places = np.unique(np.clip(places, low, high))
            parts.append(np.stack([places[:-1], places[1:]], axis=1))
        ends = np.concatenate(parts)
    return ends

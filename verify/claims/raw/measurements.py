"""Entries of derived objects as they are measured on raw samples: increments of SGD, projected
second moments.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from verify.claims.quantities import (
    DIFFUSION,
    DRIFT,
    GRADIENT,
    HESSIAN,
    STEP,
    Target,
    basis_position,
    state_position,
)

from .samples import Batch, RawSamples

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """A quantity as a polynomial in means over samples.

    Attributes
    ----------
    expression : sympy.Expr
        In the symbols of ``means``.
    means : dict Symbol -> (component, numbers, one a sample)
    """

    expression: sp.Expr
    means: dict[sp.Symbol, tuple[int, Array]]


def measure(target: Target, samples: RawSamples) -> Measured:
    """Measure an entry from its definition.

    Drift: mean increment of one step over the step, in d and 2d dimensions with the same leading
    coordinates; its part in 1/d is linear and drops out of 2 f(2d) - f(d).  Corrector: what the
    increment of R gains when the step is doubled. Diffusion: covariance of increments in d, 2d and
    4d dimensions, extrapolated by (8 f(4d) - 6 f(2d) + f(d)) / 3, exact for a polynomial of degree
    2 in 1/d.  Blocks: T^T M T - c W^-1, T dual to V, c the mean on the complement of V.
    """
    if target.kind in (DRIFT, STEP):
        return _linear(samples, lambda l: _drift(target, samples, l))
    if target.kind == DIFFUSION:
        return _diffusion(target, samples)
    return _linear(samples, lambda l: _block(target, samples.batches[l]))


def _linear(samples: RawSamples, of: Callable[[int], Array]) -> Measured:
    means = {sp.Dummy(f"mean_{l + 1}"): (l, of(l)) for l in range(len(samples.batches))}
    return Measured(
        sp.Add(*(sp.Float(samples.weights[l]) * x for x, (l, _) in means.items())), means
    )


def _drift(target: Target, samples: RawSamples, l: int) -> Array:
    d, part = samples.dimension, target.parts[0]
    if part[0] == "corrector":
        j = state_position(samples.model, ("R", part[1]))
        one, two = (
            (samples.increments(n * d, 2.0)[l] - samples.increments(n * d)[l])[:, j] for n in (1, 2)
        )
    else:
        j = state_position(samples.model, part)
        if target.kind == STEP:
            return samples.increments(d)[l][:, j]
        one, two = (samples.increments(n * d)[l][:, j] for n in (1, 2))
    return 2 * two - one


def _diffusion(target: Target, samples: RawSamples) -> Measured:
    model, d = samples.model, samples.dimension
    i, j = (state_position(model, part) for part in target.parts)
    total: list[sp.Expr] = []
    means: dict[sp.Symbol, tuple[int, Array]] = {}

    def mean(values: list[Array]) -> sp.Expr:
        own = {sp.Dummy(): (l, v) for l, v in enumerate(values)}
        means.update(own)
        return sp.Add(*(sp.Float(samples.weights[l]) * x for x, (l, _) in own.items()))

    for n, factor in ((1, sp.Rational(1, 3)), (2, sp.Integer(-2)), (4, sp.Rational(8, 3))):
        steps = samples.increments(n * d)
        left, right = [s[:, i] for s in steps], [s[:, j] for s in steps]
        product = [a * b for a, b in zip(left, right, strict=True)]
        total.append(factor * (mean(product) - mean(left) * mean(right)))
    return Measured(sp.Add(*total), means)


def _block(target: Target, batch: Batch) -> Array:
    """Gradient, Hessian and gradient matrix: one number a sample whose mean is the entry."""
    samples = batch.samples
    if target.kind == GRADIENT:
        return _gradient(target, batch)
    pairs = _places(target.parts[0][1])
    places = _Places(batch, target)
    beta = samples.ridge if target.regularized else 0.0
    if target.kind == HESSIAN:
        ridge = beta * (pairs[0] == pairs[1]) if places.is_diagonal else 0.0
        found = np.full(len(batch.y), ridge)
        variables = (_variables(place, samples) for place in pairs)
        for (i, p), (j, q) in product(*variables):
            h = samples.loss.partial((i, j), target.kink_rule)
            found = found + batch.mean_of(h, partial(places.of, tokens=(p, q)))
        return found
    return _product(pairs, batch, places, beta)


# a unit, or a readout parameter
_Place = tuple[bool, int]


def _places(indices: tuple[int | str, ...]) -> list[_Place]:
    """Units and, after a mark v, readout parameters."""
    found = []
    for i, index in enumerate(indices):
        if index != "v":
            found.append((i > 0 and indices[i - 1] == "v", int(index)))
    return found


def _variables(place: _Place, samples: RawSamples) -> list[tuple[int, int | None]]:
    """The variables of the loss that a place is of: one a token; and their tokens."""
    second_layer, index = place
    model = samples.model
    if second_layer:
        return [(len(model.symbols.preactivation) + index, None)]
    return [(p * model.units + index, p) for p in range(model.tokens)]


class _Places:
    """What a block is multiplied by for its entry: features along dual vectors, or off all."""

    def __init__(self, batch: Batch, target: Target) -> None:
        self.model, self.frame = batch.samples.model, batch.samples.frame
        named = target.parts[1:]
        self.band = None
        if named and named[0][0] == "bulk":
            self.band = int(named[0][1][0]) if named[0][1] else 0
            named = ()
        self.positions = [basis_position(self.model, part) for part in named]

    @property
    def is_diagonal(self) -> bool:
        """Whether the ridge is in the entry: off the span, and between parameters."""
        return not self.positions

    def of(self, batch: Batch, tokens: tuple[int | None, int | None]) -> Array | float:
        """The factor of a derivative of two tokens, or of one and a readout parameter."""
        seen = [p for p in tokens if p is not None]
        if self.band is not None:
            return batch.noise(self.band, *seen)
        found: Array | float = 1.0
        for p, position in zip(seen, self.positions, strict=True):
            found = found * batch.projected[:, p, position]
        return found - self.off_span(batch, *seen) if len(seen) == 2 else found

    def off_span(self, batch: Batch, one: int, two: int) -> Array:
        """c W^-1, where the noise off V comes from: V^T V = W is of every band."""
        i, j = self.positions
        band = self.frame.band_of_vector(i)
        return batch.noise(band, one, two) * self.frame.gram_inverse[i, j]

    def ridge(self, number: int, place: _Place) -> bool:
        """Whether the dual vector is that of the weights of a unit, which the ridge pulls on."""
        position = self.positions[number]
        first = self.model.bands * self.model.directions
        return position >= first and (position - first) % self.model.units == place[1]


def _slopes(place: _Place, batch: Batch) -> list[tuple[Array, int | None]]:
    """Derivatives of the loss, one a token."""
    loss = batch.samples.loss
    return [(batch.mean_of(loss.partial((i,))), p) for i, p in _variables(place, batch.samples)]


def _gradient(target: Target, batch: Batch) -> Array:
    (place,) = _places(target.parts[0][1])
    return _part(place, 0, batch, _Places(batch, target), batch.samples.ridge)


def _part(place: _Place, number: int, batch: Batch, places: _Places, beta: float) -> Array:
    """Gradient of a readout parameter, or of the weights of a unit along one dual vector."""
    if place[0]:
        return _slopes(place, batch)[0][0] + beta * batch.samples.readout[place[1]]
    position = places.positions[number]
    found = np.full(len(batch.y), beta * places.ridge(number, place))
    for g, p in _slopes(place, batch):
        found = found + g * batch.projected[:, p, position]
    return found


def _product(pairs: list[_Place], batch: Batch, places: _Places, beta: float) -> Array:
    """The gradient times itself."""
    off_span = np.zeros(len(batch.y))
    if not any(second_layer for second_layer, _ in pairs):
        left, right = (_slopes(place, batch) for place in pairs)
        for (g, p), (h, q) in product(left, right):
            factor = (
                batch.noise(places.band, p or 0, q or 0)
                if places.band is not None
                else places.off_span(batch, p or 0, q or 0)
            )
            off_span = off_span + g * h * factor
        if places.band is not None:
            return off_span
    along = [number for number, _ in enumerate(places.positions)]
    numbers = [0 if second_layer else along.pop(0) for second_layer, _ in pairs]
    one, two = (
        _part(place, number, batch, places, beta)
        for place, number in zip(pairs, numbers, strict=True)
    )
    return one * two - off_span

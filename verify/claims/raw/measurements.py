"""Entries of derived objects as they are measured on raw samples: increments of SGD, projected
second moments.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
    samples, model = batch.samples, batch.samples.model
    _, at = target.parts[0]
    beta = samples.ridge if target.regularized or target.kind == GRADIENT else 0.0
    layers = [int(i) for i in at if i != "v"]
    second = at.count("v")
    positions = [basis_position(model, part) for part in target.parts[1:] if part[0] != "bulk"]
    c, span = model.units, model.directions
    gram_inverse = np.linalg.inv(samples.frame.span.T @ samples.frame.span)

    def variable(k: int) -> int:
        return layers[k] + (c if is_second(k) else 0)

    def is_second(k: int) -> bool:
        return second == len(layers) or (second == 1 and (k == 1) == (at[0] != "v"))

    if target.kind == GRADIENT:
        g = batch.mean_of(samples.loss.partial((variable(0),)))
        if second:
            return g + beta * samples.readout[layers[0]]
        return g * batch.projected[:, positions[0]] + beta * (positions[0] == span + layers[0])
    if target.kind == HESSIAN:
        h = samples.loss.partial((variable(0), variable(1)), target.kink_rule)
        if second == 2:
            return batch.mean_of(h) + beta * (layers[0] == layers[1])
        if second == 1:
            return batch.mean_of(h, lambda b: b.projected[:, positions[0]])
        if not positions:
            return batch.mean_of(h, lambda b: b.noise) + beta * (layers[0] == layers[1])
        i, j = positions
        return batch.mean_of(
            h, lambda b: b.projected[:, i] * b.projected[:, j] - b.noise * gram_inverse[i, j]
        )
    both = [batch.mean_of(samples.loss.partial((variable(k),))) for k in (0, 1)]

    def part(k: int, position: int = 0) -> Array:
        """Gradient of the second layer, or of the first along one dual vector."""
        if is_second(k):
            return both[k] + beta * samples.readout[layers[k]]
        return both[k] * batch.projected[:, position] + beta * (position == span + layers[k])

    if second == 2:
        return part(0) * part(1)
    if second == 1:
        k = 0 if is_second(1) else 1
        return part(k, positions[0]) * part(1 - k)
    if not positions:
        return both[0] * both[1] * batch.noise
    i, j = positions
    return part(0, i) * part(1, j) - both[0] * both[1] * batch.noise * gram_inverse[i, j]

"""The part of an integrand that is of low degree in steps and ramps, by differences of values.

Steps and ramps are taken to second order where no step multiplies them, to first order beside one
step, and products of two steps to order 0: the terms of which every expectation is bivariate.
"""

from __future__ import annotations

import numpy as np

from numerics.core.validation import Array

from .ramp_moments import RampMoments, index_pairs


def stencil_points(kinks: int, variables: int) -> tuple[Array, Array]:
    """Steps (M, J), and offsets of the ramps in standard deviations (M, n), to evaluate at.

    For every pattern of steps "none" and "only a": the centre and one deviation up and down in
    every ramp; then two ramps up without steps, and two steps on.
    """
    n = variables
    unit, on = np.eye(n), np.eye(kinks)
    star = np.concatenate([np.zeros((1, n)), unit, -unit])
    patterns = [np.zeros(kinks), *on]
    steps = [np.tile(p, (2 * n + 1, 1)) for p in patterns]
    points = [star for _ in patterns]
    i, j = index_pairs(n)
    steps.append(np.zeros((i.size, kinks)))
    points.append(unit[i] + unit[j])
    a, b = index_pairs(kinks)
    steps.append(on[a] + on[b])
    points.append(np.zeros((a.size, n)))
    return np.concatenate(steps), np.concatenate(points)


def stencil_weights(exact: RampMoments, sampled: RampMoments, spread: Array, points: int) -> Array:
    """Weights of the values at the ``points`` of the stencil, whose sum is the correction.

    All coefficients are differences of values.
    """
    n, kinks = exact.ramp.shape[2], exact.step.shape[2]
    lead = exact.step.shape[:2]
    step = exact.step - sampled.step
    ramp = exact.ramp - sampled.ramp
    pairs = exact.step_step - sampled.step_step
    # moments of deviations from the centre exact.ramp
    centre = exact.ramp
    beside = exact.step_ramp - sampled.step_ramp - centre[:, :, None, :] * step[:, :, :, None]
    shifted = centre[:, :, :, None] * ramp[:, :, None, :]
    second = exact.ramp_ramp - sampled.ramp_ramp - shifted - np.swapaxes(shifted, 2, 3)
    # symmetric to the last bit: the weights must sum to 0, and rounding is divided by the
    # square of the spread
    second = (second + np.swapaxes(second, 2, 3)) / 2
    star = 2 * n + 1
    out = np.zeros((*lead, points))
    stars = out[:, :, : (kinks + 1) * star].reshape(*lead, kinks + 1, star)
    centres, up, down = stars[..., 0], stars[..., 1 : n + 1], stars[..., n + 1 :]
    # first order: without steps (less what the patterns "only a" subtract), and beside each
    # step
    half = 0.5 / spread
    up[:, :, 0] = (ramp - beside.sum(axis=2)) * half
    up[:, :, 1:] = beside * half[:, :, None]
    down[:] = -up
    # values of the steps themselves, and of their products
    a, b = index_pairs(kinks)
    joint = pairs[:, :, a, b]
    diagonal = np.arange(kinks)
    centres[:, :, 1:] += step - pairs.sum(axis=3) + pairs[:, :, diagonal, diagonal]
    centres[:, :, 0] += joint.sum(axis=2) - step.sum(axis=2)
    # second order without steps
    mixed = second / (spread[:, :, :, None] * spread[:, :, None, :])
    diagonal = np.arange(n)
    curved = mixed[:, :, diagonal, diagonal] / 2
    i, j = index_pairs(n)
    upper = mixed[:, :, i, j]
    up[:, :, 0] += 3 * curved - mixed.sum(axis=3)
    down[:, :, 0] += curved
    centres[:, :, 0] += upper.sum(axis=2) - 2 * curved.sum(axis=2)
    tail = out[:, :, (kinks + 1) * star :]
    tail[:, :, : i.size] = upper
    tail[:, :, i.size :] = joint
    return out

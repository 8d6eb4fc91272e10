r"""Gauss-Legendre panels on the line and the plane, graded to the scales of an integrand.

A panel of length L integrates a function whose nearest singularity is at the distance h with an
error of about :math:`\rho^{-2n}`, :math:`\rho=2h/L+\sqrt{1+(2h/L)^2}`: with L no larger than a
fixed multiple of h everywhere, n nodes a panel give the same accuracy for a transition layer of any
width, and the number of panels grows like the logarithm of the width.  Kinks are ends of panels.

On the plane the integral over the second coordinate is done first, between the transitions on its
line.  What is left as a function of the first coordinate is smooth except where two transitions
cross, and these crossings grade the outer panels.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from numerics.core.validation import Array

from .scales import BRANCH, CUT, GROWTH, WAVE

# no panel is shorter: what is left of an integrable singularity is of this order
SHORTEST = 1e-11
# a transition along the inner coordinate is blurred by the normal density as by a width of its own
BLUR = 1.0
# directions tried for the inner coordinate
ANGLES = 60
MAX_PANELS = 200_000
Lines = tuple[Array, Array, NDArray[np.int64], Array]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def line_panels(  # type: ignore[no-untyped-def]
    offsets, slopes, kinds, widths, low, high, ratio, longest
):
    """Ends (N, 2) of the panels on [low, high] for arguments offsets + slopes z.

    A panel is at most ``longest``, and ``ratio`` times the distance to any singularity.
    """
    size = offsets.size
    cuts = np.empty(size + 2)
    cuts[0] = low
    count = 1
    for j in range(size):
        if (kinds[j] == CUT or kinds[j] == BRANCH) and slopes[j] != 0.0:
            at = -offsets[j] / slopes[j]
            if low < at < high:
                cuts[count] = at
                count += 1
    cuts[count] = high
    count += 1
    ordered = np.sort(cuts[:count])
    found = np.empty((64, 2))
    number = 0
    # a stack of intervals still to be looked at, the leftmost on top
    stack = np.empty((256, 2))
    for i in range(count - 1):
        if ordered[i + 1] <= ordered[i]:
            continue
        stack[0, 0], stack[0, 1] = ordered[i], ordered[i + 1]
        top = 1
        while top > 0:
            top -= 1
            a, b = stack[top, 0], stack[top, 1]
            length = b - a
            split = length > longest
            if not split:
                for j in range(size):
                    slope = abs(slopes[j])
                    if slope == 0.0 or kinds[j] == CUT:
                        continue
                    width = widths[j] / slope
                    if kinds[j] == WAVE or kinds[j] == GROWTH:
                        scale = width
                    else:
                        at = -offsets[j] / slopes[j]
                        distance = max(a - at, at - b, 0.0)
                        scale = np.sqrt(distance * distance + width * width)
                    if length > ratio * scale:
                        split = True
                        break
            middle = 0.5 * (a + b)
            if split and length > SHORTEST and a < middle < b and number < MAX_PANELS and top < 250:
                stack[top, 0], stack[top, 1] = middle, b
                stack[top + 1, 0], stack[top + 1, 1] = a, middle
                top += 2
            else:
                if number == len(found):
                    larger = np.empty((2 * number, 2))
                    larger[:number] = found
                    found = larger
                found[number, 0], found[number, 1] = a, b
                number += 1
    return found[:number]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def inner_panels(  # type: ignore[no-untyped-def]
    z, offsets, slopes, kinds, widths, edge, ratio, longest
):
    """Panels of the second coordinate for every value z of the first.

    Returns their ends (N, 2) and the index of the value (N,) each belongs to.
    """
    found = np.empty((1024, 2))
    owner = np.empty(1024, dtype=np.int64)
    number = 0
    for i in range(z.size):
        reach = np.sqrt(max(edge * edge - z[i] * z[i], 0.01))
        here = line_panels(
            offsets + slopes[:, 0] * z[i],
            slopes[:, 1],
            kinds,
            widths,
            -reach,
            reach,
            ratio,
            longest,
        )
        while number + len(here) > len(found):
            larger = np.empty((2 * len(found), 2))
            larger[:number] = found[:number]
            found = larger
            owners = np.empty(len(found), dtype=np.int64)
            owners[:number] = owner[:number]
            owner = owners
        found[number : number + len(here)] = here
        owner[number : number + len(here)] = i
        number += len(here)
        if number > MAX_PANELS:
            break
    return found[:number], owner[:number]


def best_direction(slopes: Array, widths: Array) -> Array:
    """Rotation (2, 2) whose second column meets the sharpest transitions most squarely."""
    lengths = np.linalg.norm(slopes, axis=1)
    sharp = lengths > widths  # the others are wider than the normal density
    if not sharp.any():
        return np.eye(2)
    unit = slopes[sharp] / lengths[sharp, None]
    angles = (np.arange(ANGLES) + 0.5) * np.pi / ANGLES
    second = np.stack([-np.sin(angles), np.cos(angles)])
    best = angles[int(np.argmax(np.abs(unit @ second).min(axis=0)))]
    return np.array([[np.cos(best), -np.sin(best)], [np.sin(best), np.cos(best)]])


def crossings(lines: Lines, blur: float) -> Lines:
    """What the integral over the second coordinate leaves to resolve, as arguments of the first.

    Two transitions cross at a point of the plane; a singularity of the inner integral appears where
    theirs pinch the line of integration, at the distance
    :math:`(w_i|a_j|+w_j|a_i|)/|a_i\\wedge a_j|` from it.  A single transition is met by the whole
    line at once and is as wide as the normal density makes it.  Where ``blur``, the smallest scale
    of arguments that are not affine, is positive, a layer so thin may pass through any crossing.
    """
    offsets, slopes, kinds, widths = lines
    first, second = slopes[:, 0], slopes[:, 1]
    i, j = np.triu_indices(len(offsets), 1)
    determinant = first[i] * second[j] - first[j] * second[i]
    bending = ~np.isin(kinds, (WAVE, GROWTH))
    real = (
        np.abs(determinant)
        > 1e-12 * np.linalg.norm(slopes[i], axis=1) * np.linalg.norm(slopes[j], axis=1)
    ) & (bending[i] & bending[j])
    i, j, determinant = i[real], j[real], determinant[real]
    at = (offsets[j] * second[i] - offsets[i] * second[j]) / determinant
    pinch = (widths[i] * np.abs(second[j]) + widths[j] * np.abs(second[i])) / np.abs(determinant)
    if blur > 0.0:
        # the sharper of the two is resolved
        pinch = np.where(pinch > 0.0, np.minimum(pinch, blur), blur)
    # two kinks make a corner, with or without a layer through it
    corner = np.where(pinch > 0, BRANCH, CUT)
    steep = np.abs(first) > 1e-14 * np.abs(second)
    alone = np.where(bending, np.abs(second) * BLUR + widths, widths)[steep]
    parallel = (np.abs(second[steep]) <= 1e-14 * np.abs(first[steep])) | (kinds[steep] == WAVE)
    alone_kinds = np.where(parallel | (kinds[steep] == GROWTH), kinds[steep], 0)
    return (
        np.concatenate([-at, offsets[steep]]),
        np.concatenate([np.ones_like(at), first[steep]]),
        np.concatenate([corner, alone_kinds]).astype(np.int64),
        np.concatenate([pinch, alone]),
    )

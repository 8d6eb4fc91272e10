"""Nodes of a panel rule at a state: transitions and kinks of the integrands in units of z."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from numerics.core.validation import Array
from numerics.expectations.quadrature import PANEL_RATIOS

from .panels import (
    MAX_PANELS,
    SHORTEST,
    Lines,
    best_direction,
    crossings,
    inner_panels,
    line_panels,
)
from .scales import BRANCH, CUT, GROWTH, WAVE, Scales

# beyond it the normal density times a polynomial is below rounding; it differs from level to level,
# so that two levels share no end of a panel
EDGE = 10.0
EDGE_STEP = 0.13
# longest panel: the normal density itself is resolved by it
LONGEST = 2.5
# an exponential e^{sz} moves the mass to z = s; beyond this it is no number
FARTHEST = 36.0
# points of a panel at which a composite argument is looked at, and how often panels are halved
LOOKS = 7
HALVINGS = 40
# an exponential of less is nothing, whatever it is multiplied with
NOTHING = -80.0
# a direction with less of the variance has no noise at all
RANK = 1e-15


class PlacementError(ArithmeticError):
    """The transitions of an integrand need more panels than are affordable."""


def directions_of(covariance: Array, basis: Array) -> Array:
    """Rows F, as many as the rank, with F^T F = covariance on the quadrature subspace."""
    reduced = basis @ covariance @ basis.T
    if not reduced.size:
        return np.zeros((0, basis.shape[1]))
    eigenvalues, vectors = np.linalg.eigh(reduced)
    real = eigenvalues > RANK * max(float(eigenvalues[-1]), 0.0)
    return np.asarray(np.sqrt(eigenvalues[real])[:, None] * (vectors[:, real].T @ basis))


def place(
    scales: Scales, label: float, mean: Array, directions: Array, readout: Array, size: int
) -> tuple[Array, Array]:
    """Nodes z (N, rank) and weights (N,) of E f(mean + z . directions).

    Parameters
    ----------
    scales : Scales
        Of the integrands.
    label, mean, readout
        Of the component and state.
    directions : array, shape (rank, C)
        Of :func:`directions_of`; rank at most 2.
    size : int
        Nodes a panel.

    Raises
    ------
    PlacementError
    """
    rank = len(directions)
    if rank == 0:
        return np.zeros((1, 0)), np.ones(1)
    if rank == 1:
        z, weights = panel_nodes(line_ends(scales, label, mean, directions[0], readout, size), size)
        return z[:, None], weights
    lines, edge = _lines(scales, label, mean, directions, readout, size)
    ratio = PANEL_RATIOS[size]
    composite = Composite(scales, label, mean, readout)
    turn = best_direction(lines[1], lines[3])
    lines = (lines[0], np.ascontiguousarray(lines[1] @ turn), lines[2], lines[3])
    axes = turn.T @ directions
    blur = composite.sharpest(axes) if scales.composite else 0.0
    o, s, k, w = crossings(lines, blur)
    first, outer = panel_nodes(line_panels(o, s, k, w, -edge, edge, ratio, LONGEST), size)
    ends, owner = inner_panels(first, *lines, edge, ratio, LONGEST)
    if scales.composite and len(ends) <= MAX_PANELS:
        ends, owner = composite.refine(ends, owner, first[:, None] * axes[0], axes[1], ratio)
    if len(ends) > MAX_PANELS:
        raise PlacementError(f"more than {MAX_PANELS} panels")
    second, inner = panel_nodes(ends, size)
    owners = np.repeat(owner, size)
    weights = outer[owners] * inner
    real = weights > 0.0
    z = np.stack([first[owners][real], second[real]], axis=1) @ turn.T
    return np.ascontiguousarray(z), np.ascontiguousarray(weights[real])


def _lines(
    scales: Scales, label: float, mean: Array, directions: Array, readout: Array, size: int
) -> tuple[Lines, float]:
    """The affine arguments in units of z, and how far out the nodes reach."""
    forms = scales.forms(label, readout)
    lines: Lines = (
        forms.offsets + forms.slopes @ mean,
        forms.slopes @ directions.T,
        forms.kinds,
        forms.widths,
    )
    level = list(PANEL_RATIOS).index(size)
    return lines, EDGE_STEP * level + edge_of(scales, label, directions, readout)


def edge_of(scales: Scales, label: float, directions: Array, readout: Array) -> float:
    """How far out the coarsest panels reach: as far as exponentials move the mass, and EDGE."""
    forms = scales.forms(label, readout)
    slopes = forms.slopes[forms.kinds == GROWTH] @ directions.T
    growth = float(np.linalg.norm(slopes, axis=1).max(initial=0.0))
    return EDGE + min(growth, FARTHEST)


def line_ends(
    scales: Scales, label: float, mean: Array, direction: Array, readout: Array, size: int
) -> Array:
    """Ends (N, 2) of the panels, of ``size`` nodes each, of the line mean + z direction.

    Raises
    ------
    PlacementError
    """
    lines, edge = _lines(scales, label, mean, direction[None], readout, size)
    ratio = PANEL_RATIOS[size]
    slopes = np.ascontiguousarray(lines[1][:, 0])
    ends = line_panels(lines[0], slopes, lines[2], lines[3], -edge, edge, ratio, LONGEST)
    if scales.composite:
        owner = np.zeros(len(ends), dtype=np.int64)
        composite = Composite(scales, label, mean, readout)
        ends, _ = composite.refine(ends, owner, np.zeros((1, len(mean))), direction, ratio)
    return np.asarray(ends)


def panel_nodes(ends: Array, size: int) -> tuple[Array, Array]:
    """Nodes on the line, and their weights times the normal density."""
    x, w = _legendre(size)
    middle, half = ends.mean(axis=1), (ends[:, 1] - ends[:, 0]) / 2
    z = (middle[:, None] + half[:, None] * x).ravel()
    return z, (half[:, None] * w).ravel() * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)


@lru_cache(maxsize=8)
def _legendre(size: int) -> tuple[Array, Array]:
    x, w = np.polynomial.legendre.leggauss(size)
    return x, w


class Composite:
    """Arguments that are not affine: their scales are read off their values on the line."""

    def __init__(self, scales: Scales, label: float, mean: Array, readout: Array) -> None:
        self.scales, self.label, self.mean, self.readout = scales, label, mean, readout
        self.kinds = np.array([b.kind for b in scales.composite])[:, None]
        self.widths = np.array([b.width for b in scales.composite])[:, None]

    def values(self, shift: Array) -> Array:
        """The arguments at mean + shift, shape (number, N)."""
        return self.scales.composites((self.mean + shift).T, self.label, self.readout)

    def sharpest(self, axes: Array) -> float:
        """Smallest scale met on a few lines through the centre."""
        t = np.linspace(-6.0, 6.0, 961)
        angles = np.arange(12) * np.pi / 12
        scales = []
        for angle in angles:
            ray = np.cos(angle) * axes[0] + np.sin(angle) * axes[-1]
            g = self.values(t[:, None] * ray)
            scales.append(self.scale(g, t[1] - t[0]).min(initial=np.inf))
        return float(min(scales))

    def scale(self, g: Array, step: Array | float) -> Array:
        """Distance to the nearest singularity between neighbouring values (last axis)."""
        slope = np.abs(np.diff(g, axis=-1)) / step
        near = np.minimum(np.abs(g[..., 1:]), np.abs(g[..., :-1]))
        shape = (-1,) + (1,) * (g.ndim - 1)
        kinds, widths = self.kinds.reshape(shape), self.widths.reshape(shape)
        entire = (kinds == WAVE) | (kinds == GROWTH)
        size = np.where(entire, widths, np.sqrt(near**2 + widths**2))
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = np.where((slope > 0) & np.isfinite(slope), size / slope, np.inf)
        return np.where(kinds == CUT, np.inf, scale)

    def _vanishes(self, g: Array) -> NDArray[np.bool_]:
        """Where an exponential is nothing in a whole panel: a bell far from its centre.

        The steps between the points looked at bound what a bell rises to between two of them.
        """
        rise = np.abs(np.diff(g, axis=-1)).max(axis=-1)
        return np.asarray((self.kinds == GROWTH) & (g.max(axis=-1) + rise < NOTHING))

    def refine(
        self, ends: Array, owner: NDArray[np.int64], base: Array, ray: Array, ratio: float
    ) -> tuple[Array, NDArray[np.int64]]:
        """Halve panels until they are short against every scale, and cut at sign changes.

        Panel i lies on the line base[owner[i]] + t ray.
        """
        done_ends, done_owner = [], []
        look = np.linspace(0.0, 1.0, LOOKS)
        cutting = np.isin(self.kinds, (CUT, BRANCH))[:, :, None]
        for _ in range(HALVINGS):
            if not len(ends):
                break
            length = ends[:, 1] - ends[:, 0]
            t = ends[:, :1] + length[:, None] * look
            shift = base[owner][:, None, :] + t[:, :, None] * ray
            g = self.values(shift.reshape(-1, shift.shape[2])).reshape(-1, *t.shape)
            scale = self.scale(g, (length / (LOOKS - 1))[None, :, None])
            scale = np.where(self._vanishes(g)[:, :, None], np.inf, scale).min(axis=(0, 2))
            # a kink is approached by halving: what the last panel holds of it is of its length
            # times the height of the kink
            kink = ((g[..., 1:] * g[..., :-1] < 0) & cutting).any(axis=(0, 2))
            split = ((length > ratio * scale) | kink) & (length > SHORTEST)
            done_ends.append(ends[~split])
            done_owner.append(owner[~split])
            middle = ends[split].mean(axis=1)
            ends = np.concatenate(
                [
                    np.stack([ends[split, 0], middle], axis=1),
                    np.stack([middle, ends[split, 1]], axis=1),
                ]
            )
            owner = np.concatenate([owner[split], owner[split]])
            if len(ends) + sum(map(len, done_ends)) > MAX_PANELS:
                raise PlacementError(f"more than {MAX_PANELS} panels")
        done_ends.append(ends)
        done_owner.append(owner)
        return np.concatenate(done_ends), np.concatenate(done_owner)

"""The leading eigenspace of a population block: shares of the weights, angles, and their errors."""

from __future__ import annotations

from typing import Any

import numpy as np

from numerics.alignment.eigenspace_angles import eigenspace_share, principal_angles
from numerics.core.validation import Array
from numerics.expectations.estimation import sampling_error

from .span_matrix import SpanMatrix


def top_variables(
    small: SpanMatrix,
    eigenvalues: Array,
    vectors: Array,
    dimension: int | None,
    error: float,
    attributes: dict[str, Any],
) -> dict[str, Any]:
    """Eigenspace of the r leading eigenvalues of a block, and whether it is determined."""
    r, rank = len(small.basis.along), small.basis.rank
    top = vectors[:r]
    others = list(eigenvalues[r : r + 1])
    if dimension is None or dimension > rank:
        others.append(float(small.levels.max()))
    gap = float(eigenvalues[r - 1] - max(others)) if others else float(np.ptp(eigenvalues))
    uncertainty = 2 * error + small.bulk_level_error
    separated = gap > uncertainty
    attributes["top_separated"] = int(separated)
    attributes["top_gap"] = gap
    # Davis-Kahan: sine of the largest angle by which the errors can turn the eigenspace
    turned = min(1.0, uncertainty / gap) if separated else 1.0
    attributes["top_eigenspace_error"] = turned
    shares, angles = _shares_and_angles(small, top)
    # a share is a square: it moves by at most twice the sine by which the eigenspace turns
    errors = np.minimum(2 * turned, 1.0), np.arcsin(turned)
    if small.samples is not None:
        errors = _spread_of_top(small, (shares, angles), errors)
    share_error, angle_error = (
        np.broadcast_to(e, x.shape) for e, x in zip(errors, (shares, angles), strict=True)
    )
    space = "leading eigenspace against Span(directions)"
    return {
        "unit_share": ("unit", shares, {"long_name": "share of x^a in the leading eigenspace"}),
        "unit_share_error": ("unit", share_error, {"long_name": "error of unit_share"}),
        "principal_angle": ("angle", angles, {"long_name": space, "units": "radian"}),
        "principal_angle_error": ("angle", angle_error, {"units": "radian"}),
    }


def _shares_and_angles(small: SpanMatrix, top: Array) -> tuple[Array, Array]:
    """Shares of the weights in an eigenspace, and its angles with Span(directions)."""
    directions = np.eye(small.basis.rank)[: small.basis.directions]
    return eigenspace_share(top, small.basis.weights), principal_angles(top, directions)


def _spread_of_top(
    small: SpanMatrix, found: tuple[Array, Array], bounds: tuple[Array, Array]
) -> tuple[Array, Array]:
    """Errors of shares and angles by their spread over the randomisations of the matrix.

    Bounds by the errors of the entries know nothing of how these go together: they are a hundred
    times larger.  The mean over randomisations differs from what the mean matrix has by what is of
    second order, which is added.
    """
    assert small.samples is not None
    r = len(small.basis.along)
    spaces = [np.linalg.eigh((m + m.T) / 2)[1][:, ::-1].T[:r] for m in small.samples[0]]
    several = zip(*(_shares_and_angles(small, space) for space in spaces), strict=True)
    errors = []
    for samples, value, bound in zip(map(np.array, several), found, bounds, strict=True):
        spread = sampling_error(samples) + np.abs(samples.mean(axis=0) - value)
        errors.append(np.minimum(spread, bound))
    return errors[0], errors[1]

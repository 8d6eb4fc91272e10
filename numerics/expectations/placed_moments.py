r"""Expectations by panels placed anew for every state and component.

Deltas have rules of their own on the plane: :math:`E[\delta(k)h(u)]=\varphi_k(0)E[h(u)\,|\,k=0]`
is an integral on the line k = 0, whose panels are graded to what h meets there.  Nodes of the
plane that are moved onto that line are not: the transitions of h along it stand elsewhere.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from numerics.core.validation import Array

from .closed.closed_moments import FieldLaws
from .graded.placement import PlacementError, directions_of, place
from .graded.scales import Scales
from .kinked.kinked_integrands import KinkedIntegrands
from .quadrature import MAX_PANEL_DIMENSION
from .smooth_integrands import Fields, Integrands


class Placed(Protocol):
    """What panels must know of compiled expressions."""

    functions: Integrands
    uses_whitening: bool
    quadrature_basis: Array

    @property
    def scales(self) -> Scales:
        """Where the integrands bend."""


def placed_moments(
    compiled: Placed, laws: FieldLaws, size: int, sizes: Array | None = None
) -> Array:
    """E_l[f_j], shape (R, L, number of integrands), by panels of ``size`` nodes.

    Fills ``sizes``, if given, with absolute moments.

    Raises
    ------
    PlacementError
        More dimensions than the plane, or more panels than are affordable.
    """
    parts = []
    for e in range(len(laws.means)):
        directions = directions_of(laws.covariance[e], compiled.quadrature_basis)
        if len(directions) > MAX_PANEL_DIMENSION:
            raise PlacementError(
                f"panels serve the line and the plane, and Q has rank {len(directions)}"
            )
        for l in range(len(laws.labels)):
            here = None if sizes is None else sizes[e : e + 1, l : l + 1]
            parts.append(_moments_of(compiled, laws, (e, l), directions, size, here))
    return np.array(parts).reshape(*laws.means.shape[:2], -1)


def _moments_of(
    compiled: Placed,
    laws: FieldLaws,
    at: tuple[int, int],
    directions: Array,
    size: int,
    sizes: Array | None,
) -> Array:
    """Of one component at one state."""
    e, l = at
    label, mean, readout = float(laws.labels[l]), laws.means[e, l], laws.readout[e]
    z, weights = place(compiled.scales, label, mean, directions, readout, size)
    shift = (z @ directions)[None]
    planar = len(directions) == MAX_PANEL_DIMENSION
    fields = Fields(
        laws.labels[l : l + 1],
        np.ascontiguousarray(mean[None, None]),
        laws.covariance[e : e + 1],
        laws.inverse[e : e + 1],
        shift,
        shift @ laws.inverse[e] if compiled.uses_whitening else shift,
        weights,
        laws.readout[e : e + 1],
        exact=True,
        deltas=not planar,
    )
    moments = compiled.functions.moments(fields, 1.0 / size, sizes)[0, 0]
    if planar and isinstance(compiled.functions, KinkedIntegrands):
        for kink, entries in enumerate(compiled.functions.deltas):
            if entries:
                _add_delta(compiled, kink, laws, at, directions, size, moments, sizes)
    return np.asarray(moments)


def _add_delta(
    compiled: Placed,
    kink: int,
    laws: FieldLaws,
    at: tuple[int, int],
    directions: Array,
    size: int,
    moments: Array,
    sizes: Array | None,
) -> None:
    """Add what the delta of one kink contributes, on the line that the kink is of the plane."""
    assert isinstance(compiled.functions, KinkedIntegrands)
    e, l = at
    label, mean, readout = float(laws.labels[l]), laws.means[e, l], laws.readout[e]
    forms, offsets = compiled.functions.forms(readout[None])
    slope = directions @ forms[0, kink]
    height = float(forms[0, kink] @ mean + offsets[0, kink])
    variance = float(slope @ slope)
    # a kink without noise is met with probability 0; of a subnormal variance there is no inverse
    if variance < np.finfo(float).tiny:
        return
    deviation = np.sqrt(variance)
    distance = height / deviation
    density = float(np.exp(-(distance**2) / 2) / (np.sqrt(2 * np.pi) * deviation))
    if density == 0.0:
        return
    foot = mean - (distance / deviation) * (slope @ directions)
    along = (np.array([-slope[1], slope[0]]) / deviation) @ directions
    z, weights = place(compiled.scales, label, foot, along[None], readout, size)
    u = foot + z * along
    white = (u - mean) @ laws.inverse[e]
    indices, values = compiled.functions.beside_delta(kink, u.T, label, readout, white.T)
    moments[indices] += density * (values @ weights)
    if sizes is not None:
        sizes[0, 0, indices] += density * (1.0 + distance**2) * (np.abs(values) @ weights)

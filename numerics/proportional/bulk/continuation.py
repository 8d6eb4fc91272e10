"""S(z + i0) by Newton's method: from a neighbour on the axis, or down from the half-plane."""

from __future__ import annotations

import numpy as np

from numerics.core.errors import ResolventError
from numerics.core.packed_symmetric import Array
from numerics.proportional.covariance.balanced_root import balanced_root
from numerics.proportional.resolvent import Resolvent

# Newton's method from a neighbour: iterations, and the largest relative change it may make
CLOSE, JUMP = 12, 0.5
# residual on the way down, relative in every direction of S
ROUGH = 1e-9


def on_axis(resolvent: Resolvent, z: float, start: Array) -> Array | None:
    """The solution at a real z near ``start`` with Im S positive, or None."""
    try:
        s = resolvent.solve_at(z, start, CLOSE)
    except (ResolventError, np.linalg.LinAlgError):
        return None
    return s if _is_near(s, start) else None


def on_axis_many(resolvent: Resolvent, z: Array, start: Array, *, trusted: bool = False) -> Array:
    """The same for many z at once, shapes (Z,) and (Z, B, k, k); not a number where there is
    none.  Most starts that are trusted are solutions already.
    """
    out = np.full(start.shape, np.nan, dtype=complex)
    at = np.flatnonzero(np.isfinite(start[:, 0, 0, 0]))
    found, solved = resolvent.solve_many(z[at], start[at], CLOSE, trusted)
    out[at[solved]] = found[solved]
    near = np.zeros(len(z), dtype=bool)
    near[at[solved]] = _is_near(found[solved], start[at[solved]])
    out[~near] = np.nan
    for i in at[~solved]:
        one = on_axis(resolvent, float(z[i]), start[i])
        out[i] = np.nan if one is None else one
    return out


def _is_near(s: Array, start: Array) -> Array:
    """Whether S has changed little, and Im S is positive; of S with any axes in front."""
    # in the frame of S: where units differ by powers of ten, the norm sees the largest alone
    _, inverse = balanced_root(s)
    inverse = inverse[..., None, :, :]
    mirrored = np.swapaxes(inverse, -1, -2)
    here, change = inverse @ s @ mirrored, inverse @ (s - start) @ mirrored
    axes = (-3, -2, -1)
    # over the largest entry, against overflow
    largest = np.maximum(np.abs(here).max(axis=axes, initial=1e-300), np.abs(change).max(axis=axes))
    jump, size = (
        np.sqrt((np.abs(matrix / largest[..., None, None, None]) ** 2).sum(axis=axes))
        for matrix in (change, here)
    )
    least = np.linalg.eigvalsh(here.imag).min(axis=(-2, -1), initial=np.inf)
    return np.asarray((jump <= JUMP * size) & (least >= -1e-9))


def descend(resolvent: Resolvent, x: float, height: float) -> Array | None:
    """S at x + i height by continuation from far up in the half-plane, where S = -1/z; None if it
    gets stuck.
    """
    y = 30 * (resolvent.scale + abs(x))
    s: Array = resolvent.solve_at(x + 1j * y, resolvent.multiple(-1 / (x + 1j * y)))
    factor = 0.3
    for _ in range(200):
        if y <= height:
            return s
        lower = max(y * factor, height)
        try:
            found = resolvent.solve_at(x + 1j * lower, s, CLOSE, ROUGH)
        except (ResolventError, np.linalg.LinAlgError):
            found = None
        if found is None or _least_imaginary(found) <= 0:
            factor = factor**0.5
            if factor > 0.995:
                return None
            continue
        y, s, factor = lower, found, max(0.1, factor**1.5)
    return None


def _least_imaginary(s: Array) -> float:
    """Least eigenvalue of Im S, in the frame of S."""
    _, inverse = balanced_root(s)
    return float(np.linalg.eigvalsh(inverse @ s.imag @ inverse.T).min())

"""S(z + i0) by Newton's method: from a neighbour on the axis, or down from the half-plane."""

from __future__ import annotations

import numpy as np

from numerics.core.errors import ResolventError
from numerics.core.packed_symmetric import Array
from numerics.proportional.covariance.balanced_root import balanced_root, frobenius
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
    # in the frame of S: where units differ by powers of ten, the norm sees the largest alone
    _, inverse = balanced_root(s)
    change = inverse @ (s - start) @ inverse.T
    if frobenius(change) > JUMP * frobenius(inverse @ s @ inverse.T):
        return None
    return s if _least_imaginary(s) >= -1e-9 else None


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

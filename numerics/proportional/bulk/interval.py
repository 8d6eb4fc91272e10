"""An interval of the support, by an angle in which densities are smooth up to the ends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from numerics.core.packed_symmetric import Array

# towards zero z is stretched by this power where the density diverges, and by an exponential where
# the ends differ by more than this factor
ZERO_POWER, DECADES = 4, 30


@dataclass(frozen=True)
class Interval:
    """From left to right, with s = (1 - cos theta) / 2 in [0, 1].

    Attributes
    ----------
    left, right : float
    kind : {"plain", "zero left", "zero right", "decades"}
        z is linear in s; in a power of s, where the density diverges at a left end 0; likewise at a
        right end 0; exponential in s, where the ends differ by decades.
    """

    left: float
    right: float
    kind: str

    @classmethod
    def between(
        cls, left: float, right: float, *, zero_left: bool = False, zero_right: bool = False
    ) -> Interval:
        """The interval with its kind; the density may diverge at the ends marked so."""
        if zero_left or zero_right:
            return cls(left, right, "zero left" if zero_left else "zero right")
        decades = left * right > 0 and max(left / right, right / left) > DECADES
        return cls(left, right, "decades" if decades else "plain")

    @property
    def length(self) -> float:
        return self.right - self.left

    def place(self, theta: Array) -> tuple[Array, Array]:
        """z and dz/dtheta."""
        share, slope = (1 - np.cos(theta)) / 2, np.sin(theta) / 2
        if self.kind == "decades":
            span = np.log(self.right / self.left)
            z = self.left * np.exp(span * share)
            return z, z * span * slope
        if self.kind == "zero left":
            share, slope = share**ZERO_POWER, ZERO_POWER * share ** (ZERO_POWER - 1) * slope
        elif self.kind == "zero right":
            share, slope = (
                1 - (1 - share) ** ZERO_POWER,
                ZERO_POWER * (1 - share) ** (ZERO_POWER - 1) * slope,
            )
        return self.left + self.length * share, self.length * slope

    def angle(self, z: Array) -> Array:
        """theta of points of the interval, clipped to it."""
        inner = np.clip(z, self.left, self.right)
        share = (inner - self.left) / self.length
        if self.kind == "decades":
            share = np.log(inner / self.left) / np.log(self.right / self.left)
        elif self.kind == "zero left":
            share = share ** (1 / ZERO_POWER)
        elif self.kind == "zero right":
            share = 1 - (1 - share) ** (1 / ZERO_POWER)
        return np.asarray(np.arccos(1 - 2 * np.clip(share, 0, 1)))

    def ends(self, theta: Array) -> Array:
        """How a density behaves at the ends: like a square root at an edge, like its inverse at
        zero.
        """
        if self.kind in ("plain", "decades"):
            return np.asarray(np.sin(theta))
        near, far = np.sin(theta / 2), np.cos(theta / 2)
        if self.kind == "zero right":
            near, far = far, near
        return np.asarray(far / near**ZERO_POWER)

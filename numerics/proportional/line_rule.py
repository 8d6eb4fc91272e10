"""A rule on the line with panels of its own for every component of the mixture."""

from __future__ import annotations

from dataclasses import dataclass

from numerics.core.validation import Array
from numerics.expectations.graded.placement import panel_nodes


@dataclass(frozen=True)
class LineRule:
    """Gauss-Legendre panels of the normal coordinate, component by component.

    Attributes
    ----------
    ends : tuple of array, shape (panels, 2)
        For every component.
    size : int
        Nodes a panel.
    """

    ends: tuple[Array, ...]
    size: int
    kind: str = "panels"

    def points(self, component: int) -> tuple[Array, Array]:
        """Nodes z, shape (N, 1), and weights of sum 1."""
        z, weights = panel_nodes(self.ends[component], self.size)
        seen = weights > 0
        return z[seen, None], weights[seen] / weights.sum()

r"""Covariances of the noise as the equation for S sees them.

With bands the resolvent is :math:`\sum_gS_g(z)\otimes P_g`, and a weight meets

.. math:: \Sigma_l=\sum_h\frac{\rho_h\sigma_{lh}^2}{\phi\lambda}\,S_h,\qquad
          S_g^{-1}=-zI+\sum_l\frac{\sigma_{lg}^2}{\lambda}\,E_l\big[D\,(I+\Sigma_lD)^{-1}\big]

(mathematics.md section 10).  Nodes whose components have the same scales form one group; without
bands there is one group and one band, of variance one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from numerics.core.covariance.band_arrays import fractions_of, scales_of
from numerics.core.packed_symmetric import Array
from theory import Model


@dataclass(frozen=True, eq=False)
class NoiseCovariances:
    """B bands and G groups of nodes.

    Attributes
    ----------
    fractions : array, shape (B,)
        rho_g.
    variances : array, shape (G, B)
        sigma_lg^2.
    """

    fractions: Array
    variances: Array

    @classmethod
    def of(cls, model: Model) -> NoiseCovariances:
        """One group a component, or a single one where all have the same scales.

        Examples
        --------
        >>> from theory import kgmm
        >>> NoiseCovariances.of(kgmm(3)).variances
        array([[1.]])
        """
        variances = scales_of(model) ** 2
        same = np.all(variances == variances[0])
        return cls(fractions_of(model), variances[:1] if same else variances)

    @property
    def bands(self) -> int:
        """B."""
        return int(self.variances.shape[1])

    @property
    def groups(self) -> int:
        """G."""
        return int(self.variances.shape[0])

    def group_of(self, component: int) -> int:
        """The group that the nodes of a component are in."""
        return component if self.groups > 1 else 0

    @cached_property
    def largest(self) -> float:
        """The largest variance: a bound where sizes are all that counts."""
        return float(self.variances.max())

    @cached_property
    def is_isotropic(self) -> bool:
        """Whether there is one band, of variance one in every component: nothing is mixed."""
        return self.variances.size == 1 and self.variances.item() == 1 == self.fractions.item()

    @cached_property
    def _shares(self) -> Array:
        return self.variances * self.fractions

    @cached_property
    def _both_rates(self) -> Array:
        rates = self.variances[:, :, None] * self._shares[:, None, :]
        return np.ascontiguousarray(rates.reshape(self.groups, -1).T)

    def coupled(self, s: Array) -> Array:
        """sum_h rho_h sigma_lh^2 S_h of every group, shape (G, k, k), from S of shape (B, k, k),
        with any axes in front of both.
        """
        if self.is_isotropic:
            return s
        *front, bands, k, _ = s.shape
        mixed: Array = self._shares @ s.reshape(*front, bands, k * k)
        return mixed.reshape(*front, self.groups, k, k)

    def collected(self, sums: Array) -> Array:
        """sum_l sigma_lg^2 E_l of every band, shape (B, n), from the groups' E_l, shape (G, n);
        with any axes in front.
        """
        return sums if self.is_isotropic else np.asarray(self.variances.T @ sums)

    def both(self, operators: Array) -> Array:
        """The operators E_l between :meth:`coupled` and :meth:`collected`, shape (B n, B n), with
        any axes in front.
        """
        if self.is_isotropic:
            return operators[..., 0, :, :]
        *front, groups, n, _ = operators.shape
        size = self.bands
        mixed: Array = self._both_rates @ operators.reshape(*front, groups, n * n)
        blocks = np.swapaxes(mixed.reshape(*front, size, size, n, n), -3, -2)
        return blocks.reshape(*front, size * n, size * n)

    def trace(self, s: Array) -> Array:
        """sum_g rho_g tr S_g, of S with any axes in front of (B, k, k): per dimension."""
        return np.asarray(np.trace(s, axis1=-2, axis2=-1) @ self.fractions)


# what every law has that no model with bands is behind
ISOTROPIC = NoiseCovariances(np.ones(1), np.ones((1, 1)))

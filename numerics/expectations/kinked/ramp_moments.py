r"""Exact Gaussian moments of steps and ramps, two at a time.

For jointly Gaussian :math:`k_i` with mean :math:`\bar k_i` and covariance :math:`\Sigma`, let
:math:`s_i = 1\{k_i>0\}` and :math:`q_i = \max(k_i,0)` (or :math:`q_i=k_i` for a linear form).  With
:math:`t_i=\bar k_i/\sigma_i` and the correlation :math:`\rho`,

.. math::
   E[s_is_j] &= \Phi_2(t_i,t_j;\rho) \\
   E[s_iq_j] &= \bar k_j\,E[s_is_j] + \Sigma_{ij}E[\delta_is_j] + \Sigma_{jj}E[s_i\delta_j] \\
   E[q_iq_j] &= \bar k_i\,E[s_iq_j] + \Sigma_{ii}E[\delta_iq_j] + \Sigma_{ij}E[s_is_j]

(the last two by Stein's lemma; :math:`\delta_i=\delta(k_i)`, and :math:`s_i=1` for a linear form).
The bivariate normal integral :math:`\Phi_2` by Owen's T function (D. B. Owen, Ann. Math. Statist.
27 (1956) 1075).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, owens_t

from numerics.core.validation import Array

# standardised thresholds are clipped here: Phi(-38) is the smallest positive double
FAR = 38.0
# and moved off 0, which changes no moment: quotients of two of them stay numbers, and products keep
# their sign
NEAR = 1e-100
# a correlation is known to a few eps, its distance from 1 no better: parallel kinks are far
# commoner than almost parallel ones, and P(both > 0) has an infinite slope at correlation 1
PARALLEL = 1 - 8 * float(np.finfo(float).eps)
ROOT_2_PI = float(np.sqrt(2 * np.pi))


@dataclass(frozen=True)
class RampMoments:
    """Moments of steps and ramps; leading axes as those of the means they were computed from.

    Attributes
    ----------
    step : array, shape (..., J)
        E[s_j].
    ramp : array, shape (..., n)
        E[q_i], the J ramps first, then the linear forms.
    step_step : array, shape (..., J, J)
    step_ramp : array, shape (..., J, n)
    ramp_ramp : array, shape (..., n, n)
    """

    step: Array
    ramp: Array
    step_step: Array
    step_ramp: Array
    ramp_ramp: Array

    @classmethod
    def zeros(cls, lead: tuple[int, ...], steps: int, size: int) -> RampMoments:
        """Arrays of zeros, to add sums to."""
        shapes = ((steps,), (size,), (steps, steps), (steps, size), (size, size))
        return cls(*(np.zeros((*lead, *shape)) for shape in shapes))


def ramp_moments(mean: Array, covariance: Array, steps: int) -> RampMoments:
    """Return the moments of the first ``steps`` variables as kinks and of the rest as linear forms.

    Parameters
    ----------
    mean : array, shape (..., n)
    covariance : array, shape (..., n, n)
        Positive semidefinite, possibly singular; leading axes broadcast against those of ``mean``.
    steps : int
        J <= n.

    Returns
    -------
    RampMoments
        Exact up to rounding, about 1e-15 (1 + |mean|^2 + covariance), for two kinks divided by
        sqrt(1 - rho^2): the correlation rho is taken from the covariance, and is 1 within 8 eps of
        it.

    Examples
    --------
    >>> found = ramp_moments(np.zeros(2), np.array([[1.0, 0.5], [0.5, 1.0]]), 2)
    >>> float(found.step_step[0, 1].round(6))        # 1/4 + arcsin(1/2) / (2 pi)
    0.333333
    """
    variance = np.clip(np.diagonal(covariance, axis1=-2, axis2=-1), 0.0, None)
    deviation = np.sqrt(variance)
    noisy = deviation > 0
    inverse = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=noisy)
    # without noise a step is certain, and 0 where the kink is met exactly
    t = np.where(noisy, mean * inverse, np.where(mean > 0, FAR, -FAR))
    t = np.clip(t, -FAR, FAR)
    t[..., steps:] = FAR
    rho = covariance * inverse[..., :, None] * inverse[..., None, :]
    rho = np.where(np.abs(rho) >= PARALLEL, np.sign(rho), rho)
    density = np.exp(t**2 / -2) / ROOT_2_PI * noisy
    density[..., steps:] = 0.0
    single = ndtr(t)
    ramp = mean * single + deviation * density

    diagonal = np.arange(mean.shape[-1])
    both = _joint(t, rho, single)
    # E[delta_i s_j]: density of k_i at 0 times P(k_j > 0 | k_i = 0)
    root = np.sqrt((1.0 - rho) * (1.0 + rho))
    gap = (t[..., None, :] - rho * t[..., :, None]) / np.maximum(root, 1e-150)
    gap = np.clip(gap, -FAR, FAR)
    conditional = ndtr(gap)
    at_kink = (density * inverse)[..., :, None]
    delta_step = at_kink * conditional
    step_ramp = (
        mean[..., None, :] * both
        + covariance * delta_step
        + variance[..., None, :] * np.swapaxes(delta_step, -1, -2)
    )
    step_ramp[..., diagonal, diagonal] = ramp
    # E[delta_i q_j] = density_i (conditional mean * P + conditional deviation * density)
    standard = np.exp(gap**2 / -2) / ROOT_2_PI
    standard[..., steps:] = 0.0
    centre = mean[..., None, :] - rho * deviation[..., None, :] * t[..., :, None]
    delta_ramp = at_kink * (centre * conditional + deviation[..., None, :] * root * standard)
    ramp_ramp = (
        mean[..., :, None] * step_ramp + variance[..., :, None] * delta_ramp + covariance * both
    )
    ramp_ramp[..., diagonal, diagonal] = (mean**2 + variance) * single + mean * deviation * density
    return RampMoments(
        single[..., :steps], ramp, both[..., :steps, :steps], step_ramp[..., :steps, :], ramp_ramp
    )


@lru_cache(maxsize=64)
def index_pairs(size: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices i < j."""
    return np.triu_indices(size, 1)


def _joint(t: Array, rho: Array, single: Array) -> Array:
    """Phi_2(t_i, t_j; rho_ij) for all pairs, by Owen's T function; Phi(t_i) on the diagonal."""
    n = t.shape[-1]
    i, j = index_pairs(n)
    t = np.where(np.abs(t) < NEAR, np.copysign(NEAR, t), t)
    h, k, r = t[..., i], t[..., j], rho[..., i, j]
    perfect = np.abs(r) == 1.0
    root = np.sqrt(np.where(perfect, 1.0, (1.0 - r) * (1.0 + r)))
    first, second = single[..., i], single[..., j]
    a = (k - r * h) / (h * root)
    b = (h - r * k) / (k * root)
    joint = 0.5 * (first + second) - owens_t(h, a) - owens_t(k, b) - 0.5 * (h * k < 0)
    # at perfect correlation the larger threshold (or the overlap of two half lines) decides
    if perfect.any():
        extreme = np.where(
            r > 0, np.minimum(first, second), np.clip(first + second - 1.0, 0.0, None)
        )
        joint = np.where(perfect, extreme, joint)
    out = np.empty((*joint.shape[:-1], n, n))
    out[..., i, j] = out[..., j, i] = joint
    out[..., np.arange(n), np.arange(n)] = single
    return out

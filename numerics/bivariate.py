r"""Exact Gaussian moments of steps and ramps, two at a time.

For jointly Gaussian :math:`k_i` with mean :math:`\bar k_i` and covariance :math:`\Sigma`, let
:math:`s_i = 1\{k_i>0\}` and :math:`q_i = \max(k_i,0)` (or :math:`q_i=k_i` for a linear form).  With
:math:`t_i=\bar k_i/\sigma_i` and the correlation :math:`\rho`,

.. math::
   E[s_is_j] &= \Phi_2(t_i,t_j;\rho) \\
   E[s_iq_j] &= \bar k_j\,E[s_is_j] + \Sigma_{ij}E[\delta_is_j] + \Sigma_{jj}E[s_i\delta_j] \\
   E[q_iq_j] &= \bar k_i\,E[s_iq_j] + \Sigma_{ii}E[\delta_iq_j] + \Sigma_{ij}E[s_is_j]

(the last two by Stein's lemma; :math:`\delta_i=\delta(k_i)`, and :math:`s_i=1` for a linear form).  The bivariate
normal integral :math:`\Phi_2` by Owen's T function (D. B. Owen, Ann. Math. Statist. 27 (1956) 1075).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, owens_t

from .state import Array

# standardised thresholds are clipped here: Phi(-38) is the smallest positive double
FAR = 38.0


@dataclass(frozen=True)
class RampMoments:
    """Moments of steps and ramps, one row of arrays for each component.

    Attributes
    ----------
    step : array, shape (L, J)
        E[s_j].
    ramp : array, shape (L, n)
        E[q_i], the J ramps first, then the linear forms.
    step_step : array, shape (L, J, J)
    step_ramp : array, shape (L, J, n)
    ramp_ramp : array, shape (L, n, n)
    """

    step: Array
    ramp: Array
    step_step: Array
    step_ramp: Array
    ramp_ramp: Array


def ramp_moments(mean: Array, covariance: Array, steps: int) -> RampMoments:
    """Return the moments of the first ``steps`` variables as kinks and of the rest as linear forms.

    Parameters
    ----------
    mean : array, shape (L, n)
    covariance : array, shape (n, n)
        Common to all components; positive semidefinite, possibly singular.
    steps : int
        J <= n.

    Returns
    -------
    RampMoments
        Exact up to rounding, about 1e-15 (1 + |mean|^2 + covariance).

    Examples
    --------
    >>> found = ramp_moments(np.zeros((1, 2)), np.array([[1.0, 0.5], [0.5, 1.0]]), 2)
    >>> float(found.step_step[0, 0, 1].round(6))        # 1/4 + arcsin(1/2) / (2 pi)
    0.333333
    """
    deviation = np.sqrt(np.clip(np.diag(covariance), 0.0, None))
    n = deviation.size
    t = np.empty_like(mean)
    with np.errstate(divide="ignore", invalid="ignore"):
        # without noise a step is certain, and 0 where the kink is met exactly
        t[:] = np.where(deviation > 0, mean / deviation, np.where(mean > 0, FAR, -FAR))
        rho = covariance / np.multiply.outer(deviation, deviation)
        inverse = np.where(deviation > 0, 1.0 / deviation, 0.0)
    rho = np.where(np.isfinite(rho), np.clip(rho, -1.0, 1.0), 0.0)
    t = np.clip(t, -FAR, FAR)
    t[:, steps:] = FAR
    density = np.exp(-(t**2) / 2) / np.sqrt(2 * np.pi)
    density[:, steps:] = 0.0
    density[:, deviation == 0] = 0.0
    single = ndtr(t)
    ramp = mean * single + deviation * density

    both = _joint(t, rho, single)
    diagonal = np.arange(n)
    both[:, diagonal, diagonal] = single
    # E[delta_i s_j]: density of k_i at 0 times P(k_j > 0 | k_i = 0)
    root = np.sqrt(np.clip(1.0 - rho**2, 0.0, None))
    gap = t[:, None, :] - rho * t[:, :, None]
    conditional = ndtr(np.clip(gap / np.maximum(root, 1e-150), -FAR, FAR))
    delta_step = (density * inverse)[:, :, None] * conditional
    step_ramp = (
        mean[:, None, :] * both
        + covariance * delta_step
        + np.diag(covariance) * np.swapaxes(delta_step, 1, 2)
    )
    step_ramp[:, diagonal, diagonal] = ramp
    # E[delta_i q_j] = density_i (conditional mean * P + conditional deviation * density)
    standard = np.exp(-np.clip(gap / np.maximum(root, 1e-150), -FAR, FAR) ** 2 / 2) / np.sqrt(2 * np.pi)
    standard[:, :, steps:] = 0.0
    centre = mean[:, None, :] - (rho * deviation) * t[:, :, None]
    conditional_ramp = centre * conditional + deviation * root * standard
    delta_ramp = (density * inverse)[:, :, None] * conditional_ramp
    ramp_ramp = mean[:, :, None] * step_ramp + np.diag(covariance)[:, None] * delta_ramp + covariance * both
    second = (mean**2 + deviation**2) * single + mean * deviation * density
    ramp_ramp[:, diagonal, diagonal] = second
    return RampMoments(
        single[:, :steps], ramp, both[:, :steps, :steps], step_ramp[:, :steps, :], ramp_ramp
    )


def _joint(t: Array, rho: Array, single: Array) -> Array:
    """Phi_2(t_i, t_j; rho_ij) for all pairs, by Owen's T function."""
    n = t.shape[1]
    i, j = np.triu_indices(n, 1)
    h, k, r = t[:, i], t[:, j], rho[i, j]
    # T(0, a) is continuous: moving a threshold off 0 by less than rounding avoids the quotient 0 / 0
    h, k = (np.where(x == 0, 1e-300, x) for x in (h, k))
    root = np.sqrt(np.clip(1.0 - r**2, 1e-300, None))
    with np.errstate(over="ignore"):
        a = (k - r * h) / (h * root)
        b = (h - r * k) / (k * root)
    joint = (
        0.5 * (single[:, i] + single[:, j]) - owens_t(h, a) - owens_t(k, b) - 0.5 * (h * k < 0)
    )
    # at perfect correlation the larger threshold (or the overlap of two half lines) decides
    joint = np.where(r >= 1.0, np.minimum(single[:, i], single[:, j]), joint)
    joint = np.where(r <= -1.0, np.clip(single[:, i] + single[:, j] - 1.0, 0.0, None), joint)
    out = np.empty((t.shape[0], n, n))
    out[:, i, j] = out[:, j, i] = joint
    return out

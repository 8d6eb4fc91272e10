"""The spectrum of a covariance, binned into bands, with what the binning changes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray

from numerics.core.validation import Array, as_array, as_integer
from theory import Bands, InputError
from theory.keywords import with_known_keywords
from theory.notebook import short_repr

# halvings of the interval in which the largest ratio of a band lies
HALVINGS = 60


@with_known_keywords
@dataclass(frozen=True, eq=False)
class BinnedSpectrum:
    r"""Bands that stand for a spectrum.

    Attributes
    ----------
    bands : theory.Bands
        Of fractions n_g / n and scales the roots of the mean eigenvalue of each band, so that the
        trace is kept.
    assignment : int array, shape (n,)
        The 0-based band of each eigenvalue.
    largest_error : float
        :math:`\max_i|\sigma_{g(i)}^2-\kappa_i|/\kappa_i`: what the variance along any eigenvector
        is off by, at most.
    frobenius_error : float
        :math:`\|\Sigma-\Sigma_B\|_F/\|\Sigma\|_F`.

    Examples
    --------
    >>> binned = bin_spectrum([4.0, 1.0, 1.0], bands=2)
    >>> binned.bands.count, binned.assignment, binned.largest_error
    (2, array([0, 1, 1]), 0.0)
    """

    bands: Bands
    assignment: NDArray[np.int64]
    largest_error: float
    frobenius_error: float

    def __repr__(self) -> str:
        said = f"{len(self.assignment)} eigenvalues in {self.bands.count} bands"
        return short_repr(
            self,
            said,
            largest_error=f"{self.largest_error:.3g}",
            frobenius_error=f"{self.frobenius_error:.3g}",
        )

    @with_known_keywords
    def gram_matrices(self, directions: ArrayLike) -> Array:
        r"""Gram matrices :math:`\Gamma^g` of directions, (B, r, r).

        Parameters
        ----------
        directions : array, shape (r, n)
            Their components along the eigenvectors, in the order of the eigenvalues.

        Examples
        --------
        >>> binned = bin_spectrum([4.0, 1.0, 1.0], bands=2)
        >>> binned.gram_matrices([[1.0, 2.0, 0.0]]).ravel()
        array([1., 4.])
        """
        e = as_array("directions", directions, 2)
        if e.shape[1] != self.assignment.size:
            raise InputError(
                "directions",
                f"{e.shape[1]} components",
                f"{self.assignment.size}, one per eigenvalue",
                "give the directions in the basis of the eigenvectors",
            )
        parts = (e[:, self.assignment == g] for g in range(self.bands.count))
        return np.array([part @ part.T for part in parts])


@with_known_keywords
def bin_spectrum(eigenvalues: ArrayLike, bands: int = 20) -> BinnedSpectrum:
    r"""Bin the spectrum of a covariance into bands, and say what that changes.

    Of all ways to cut the sorted eigenvalues into at most so many bands, that with the smallest
    ratio of the largest to the smallest eigenvalue of a band.  Where there are as many bands as
    eigenvalues nothing is approximated (mathematics.md section 10).

    Parameters
    ----------
    eigenvalues : array, shape (n,)
        Of lambda times the covariance of the noise, positive, in any order: a power law, or those
        of data.
    bands : int
        At most so many.

    Returns
    -------
    BinnedSpectrum
        Bands, the band of each eigenvalue, and the errors of the binning.

    Raises
    ------
    theory.InputError
        An eigenvalue that is not positive, or no band.

    Examples
    --------
    >>> binned = bin_spectrum([1.0, 4.0, 1.21, 4.0], bands=2)
    >>> binned.assignment, binned.bands.fractions
    (array([1, 0, 1, 0]), (1/2, 1/2))
    >>> round(binned.largest_error, 3)
    0.105
    """
    kappa = as_array("eigenvalues", eigenvalues, 1)
    count = as_integer("bands", bands, 1, "ask for at least one band")
    if not kappa.size or kappa.min() <= 0:
        raise InputError(
            "eigenvalues",
            "no entries" if not kappa.size else f"the smallest is {kappa.min():.6g}",
            "positive numbers",
            "leave out the directions without noise, or give them a small variance",
        )
    order = np.argsort(-kappa, kind="stable")
    starts = _cuts(kappa[order], count)
    band = np.zeros(kappa.size, dtype=np.int64)
    band[starts[1:]] = 1
    assignment = np.empty_like(band)
    assignment[order] = np.cumsum(band)
    sizes = np.bincount(assignment)
    means = np.bincount(assignment, weights=kappa) / sizes
    shift = means[assignment] - kappa
    found = Bands([sp.Rational(int(size), kappa.size) for size in sizes], [np.sqrt(means).tolist()])
    return BinnedSpectrum(
        found,
        assignment,
        float(np.max(np.abs(shift) / kappa)),
        float(np.linalg.norm(shift) / np.linalg.norm(kappa)),
    )


def _cuts(falling: Array, count: int) -> NDArray[np.int64]:
    """Where bands of falling eigenvalues begin: at most ``count``, of the least largest ratio."""
    distinct = np.unique(falling).size
    if count >= distinct:
        return np.flatnonzero(np.concatenate([[True], falling[1:] < falling[:-1]]))
    logs = -np.log(falling)
    # one band holds all, whatever a width added to the first of them is rounded to
    low, high, best = 0.0, float(logs[-1] - logs[0]), np.zeros(1, dtype=np.int64)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        starts = _greedy(logs, middle)
        if starts.size <= count:
            high, best = middle, starts
        else:
            low = middle
    return best


def _greedy(rising: Array, width: float) -> NDArray[np.int64]:
    """Where intervals of at most this width begin that cover all points, as few as possible."""
    starts = [0]
    while True:
        end = int(np.searchsorted(rising, rising[starts[-1]] + width, side="right"))
        if end <= starts[-1]:
            end = starts[-1] + 1
        if end >= rising.size:
            return np.array(starts, dtype=np.int64)
        starts.append(end)

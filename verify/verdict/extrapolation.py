"""Extrapolation to infinite size and measured exponents, with standard errors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Extrapolation:
    """Limit of a quantity at x -> 0 (x = 1/d or d/M), elementwise.

    Attributes
    ----------
    value, error : array
        Intercept of the weighted polynomial fit and its standard error.
    remainder : array
        Size of the next power of x, judged from what the highest fitted power changed.
    """

    value: Array
    error: Array
    remainder: Array

    def __getitem__(self, index: Any) -> Extrapolation:
        """The limit of one of the quantities."""
        return Extrapolation(self.value[index], self.error[index], self.remainder[index])


def extrapolate(x: ArrayLike, values: ArrayLike, errors: ArrayLike, degree: int) -> Extrapolation:
    r"""Fit :math:`y(x)=y_0+y_1x+\dots` by weighted least squares and return y_0.

    The remainder is :math:`|y_0^{(degree)}-y_0^{(degree-1)}|\,x_{min}/x_{max}`: dropping one power
    moves the intercept by the left factor, and the next power is smaller by about the right one.

    Parameters
    ----------
    x : array, shape (n,), n > degree
        Positive and distinct.
    values, errors : array, shape (n, ...)
        Means and standard errors at each x.
    degree : int >= 1

    Examples
    --------
    >>> x = np.array([0.01, 0.02, 0.04])
    >>> fit = extrapolate(x, (1 + 3*x + 5*x**2)[:, None], np.full((3, 1), 1e-3), degree=2)
    >>> round(float(fit.value[0]), 10)
    1.0
    """
    nodes = np.asarray(x, dtype=float)
    y, se = np.asarray(values, dtype=float), np.asarray(errors, dtype=float)
    shape = y.shape[1:]
    y, se = y.reshape(nodes.size, -1), se.reshape(nodes.size, -1)
    value, error = _intercepts(nodes, y, se, degree)
    lower, _ = _intercepts(nodes, y, se, degree - 1)
    remainder = np.abs(value - lower) * nodes.min() / nodes.max()
    return Extrapolation(value.reshape(shape), error.reshape(shape), remainder.reshape(shape))


def extrapolate_means(x: ArrayLike, samples: Iterable[Array], degree: int = 1) -> Extrapolation:
    """Limit at x -> 0 of means over replicas, which are the first axis of the samples at each x."""
    means, errors = zip(*map(mean_and_error, samples), strict=True)
    return extrapolate(x, means, errors, degree)


@dataclass(frozen=True)
class Exponent:
    """Slope of log y against log x.

    Attributes
    ----------
    slope, error : float
        Weighted least squares and its standard error.
    curvature : float
        Change of the local slope from the first to the last interval: what a pure power would not
        have.
    """

    slope: float
    error: float
    curvature: float


def fit_exponent(x: ArrayLike, y: ArrayLike, relative_error: ArrayLike) -> Exponent:
    """Fit y ~ x**slope.

    Parameters
    ----------
    x, y : array, shape (n,), positive, n >= 2
    relative_error : array, shape (n,)
        Standard error of y divided by y.

    Examples
    --------
    >>> fit = fit_exponent([1, 10, 100], [5, 0.5, 0.05], [0.01, 0.01, 0.01])
    >>> round(fit.slope, 12), round(fit.curvature, 12)
    (-1.0, 0.0)
    """
    log_x, log_y = np.log(np.asarray(x, dtype=float)), np.log(np.asarray(y, dtype=float))
    sigma = np.maximum(np.asarray(relative_error, dtype=float), 1e-15)
    design = np.stack([np.ones_like(log_x), log_x], axis=1) / sigma[:, None]
    covariance = np.linalg.inv(design.T @ design)
    coefficients = covariance @ design.T @ (log_y / sigma)
    local = np.diff(log_y) / np.diff(log_x)
    return Exponent(
        float(coefficients[1]), float(np.sqrt(covariance[1, 1])), float(local[-1] - local[0])
    )


def mean_and_error(samples: Array, axis: int = 0) -> tuple[Array, Array]:
    """Mean and standard error over independent replicas along ``axis``."""
    count = samples.shape[axis]
    return samples.mean(axis=axis), samples.std(axis=axis, ddof=1) / np.sqrt(count)


def _intercepts(x: Array, y: Array, se: Array, degree: int) -> tuple[Array, Array]:
    """Intercept and its standard error of a weighted polynomial fit, for every column of y."""
    # scaled abscissae keep the normal equations well conditioned
    powers = (x[:, None] / x.max()) ** np.arange(degree + 1)
    value, error = np.empty(y.shape[1]), np.empty(y.shape[1])
    for j in range(y.shape[1]):
        # a quantity without noise (a symmetry fixes it) still has a fit: equal weights
        sigma = se[:, j] if np.all(se[:, j] > 0) else np.ones(x.size)
        design = powers / sigma[:, None]
        solve = np.linalg.pinv(design)
        value[j] = (solve @ (y[:, j] / sigma))[0]
        error[j] = np.linalg.norm(solve[0]) if np.all(se[:, j] > 0) else np.abs(se[:, j]).max()
    return value, error

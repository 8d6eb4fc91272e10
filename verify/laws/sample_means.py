"""Means over independent samples, with the tolerance that sampling asks for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from verify.verdict.tolerance import critical_value

Array = NDArray[np.float64]
# numbers of one array of samples: those of a chunk stay in the cache of a processor
CHUNK = 2**16


@dataclass(frozen=True)
class SampleMean:
    """Means over independent samples, and the parts of the tolerance that sampling asks for.

    Attributes
    ----------
    value : array
    parts : list of (array, reason)
        z standard errors; and what the largest sample may stand for, where a few samples make the
        mean.
    """

    value: Array
    parts: list[tuple[Array, str]]


def sample_mean(values: Array, share: float, entries: int | None = None) -> SampleMean:
    r"""Mean of the rows, which is off by more than its tolerance with probability at most
    ``share``.

    .. math:: z\,\hat\sigma/\sqrt N + 3\,b\,\ln(3/\epsilon)/N

    with b the largest deviation seen: the second term is that of the empirical Bernstein bound
    (Audibert, Munos, Szepesvari 2009).  Without heavy tails it is small; with them the standard
    error alone, itself found from a few samples, is not to be believed.

    Parameters
    ----------
    values : array, shape (N, ...)
    share : float
        Family-wise error of all entries together.
    entries : int, optional
        How many numbers are judged with that share; those of a row when omitted.
    """
    count = len(values)
    mean = values.mean(axis=0)
    deviation = values - mean
    return _with_parts(
        mean,
        np.sqrt(np.einsum("n...,n...->...", deviation, deviation) / count),
        np.maximum(deviation.max(axis=0), -deviation.min(axis=0)),
        count,
        share,
        mean.size if entries is None else entries,
    )


def sample_products(values: Array, share: float) -> SampleMean:
    """Mean of the outer products of the rows, shape (k, k), judged as :func:`sample_mean`."""
    count, size = values.shape
    mean = values.T @ values / count
    squares = values**2
    spread = np.sqrt(np.maximum(squares.T @ squares / count - mean**2, 0.0))
    low, high = np.full((2, size, size), mean)
    rows, step = np.ascontiguousarray(values.T), max(1, CHUNK // size)
    for at in range(0, count, step):  # all products of all samples would not fit into memory
        part = rows[:, at : at + step]
        for i in range(size):
            products = part[i] * part[i:]
            low[i, i:] = np.minimum(low[i, i:], products.min(axis=1))
            high[i, i:] = np.maximum(high[i, i:], products.max(axis=1))
    largest = np.triu(np.maximum(high - mean, mean - low))
    largest += np.triu(largest, 1).T
    return _with_parts(mean, spread, largest, count, share, size * (size + 1) // 2)


def _with_parts(
    mean: Array, spread: Array, largest: Array, count: int, share: float, entries: int
) -> SampleMean:
    z = critical_value(entries, share)
    tail = 3.0 * np.log(3.0 * entries / share) / count
    return SampleMean(
        mean,
        [
            (z * spread / np.sqrt(count), f"{z:.2f} standard errors of {count} samples (T3)"),
            (tail * largest, "the largest sample: heavy tails (T3)"),
        ],
    )

"""What measurements at growing dimensions tend to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def limits(dimensions: Sequence[int], means: ArrayLike, errors: ArrayLike) -> NDArray[np.float64]:
    """Numbers for d -> infinity and their standard errors: straight lines in 1 / d through means
    with errors, shapes (dimensions, numbers).
    """
    out = []
    for mean, error in zip(np.transpose(means), np.transpose(errors), strict=True):
        rows = np.array([[1, 1 / d] for d in dimensions]) / error[:, None]
        covariance = np.linalg.inv(rows.T @ rows)
        out.append(((covariance @ rows.T @ (mean / error))[0], np.sqrt(covariance[0, 0])))
    return np.transpose(out)

"""Weights, means and covariances of classes, or of clusters within them, and their common basis."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2, vq

from numerics.core.validation import Array, as_integer
from theory import InputError

from .labelled_data import LabelledData

# rounds of k-means, and the fewest samples a cluster may keep
ROUNDS, SMALLEST = 50, 2


@dataclass(frozen=True, eq=False)
class ClassMoments:
    """Moments of the components of a mixture, from samples.

    Attributes
    ----------
    labels : int array, shape (n,)
        1-based class of every component.
    counts : int array, shape (n,)
    means : array, shape (n, d)
    covariances : array, shape (n, d, d)
        With the number of samples as divisor: those of the empirical law.
    """

    labels: NDArray[np.int64]
    counts: NDArray[np.int64]
    means: Array
    covariances: Array

    @classmethod
    def of(cls, data: LabelledData, clusters: int, seed: int) -> ClassMoments:
        """Moments of every class, cut into so many clusters.

        Raises
        ------
        theory.InputError
            More clusters than a class has samples for.
        """
        clusters = as_integer("clusters", clusters, 1, "1 takes a class as one component")
        generator = np.random.default_rng(seed)
        parts: list[tuple[int, Array]] = []
        for label in range(1, len(data.classes) + 1):
            rows = data.features[data.labels == label]
            if len(rows) < SMALLEST * clusters:
                raise InputError(
                    "clusters",
                    f"{clusters} in the {len(rows)} samples of class {data.classes[label - 1]!r}",
                    f"at least {SMALLEST} samples in every cluster",
                    "take fewer clusters",
                )
            parts += [(label, part) for part in _clusters(rows, clusters, generator)]
        return cls(
            np.array([label for label, _ in parts]),
            np.array([len(part) for _, part in parts]),
            np.array([part.mean(axis=0) for _, part in parts]),
            np.array([np.cov(part.T, bias=True).reshape([part.shape[1]] * 2) for _, part in parts]),
        )

    @property
    def weights(self) -> Array:
        """p_l."""
        return np.asarray(self.counts / self.counts.sum())

    @property
    def pooled(self) -> Array:
        """The mean covariance within components."""
        return np.einsum("l,lij->ij", self.weights, self.covariances)


def _clusters(rows: Array, clusters: int, generator: np.random.Generator) -> list[Array]:
    """The rows in clusters by k-means; small ones are given to the nearest of the others."""
    if clusters == 1:
        return [rows]
    with warnings.catch_warnings():
        # of clusters that lost all their samples, which are given up below
        warnings.simplefilter("ignore", UserWarning)
        centres, _ = kmeans2(rows, clusters, ROUNDS, minit="++", missing="warn", rng=generator)
    while True:
        nearest, _ = vq(rows, centres)
        sizes = np.bincount(nearest, minlength=len(centres))
        if sizes.min() >= SMALLEST:
            return [rows[nearest == c] for c in range(len(centres))]
        centres = np.delete(centres, int(sizes.argmin()), axis=0)

"""What checks show beside their numbers: frozen records of data, drawn by :mod:`verify.figures`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from verify.evidence.systems import OutcomeStudy, Scenario
from verify.verdict.extrapolation import Exponent
from verify.verdict.results import Exhibit

Array = NDArray[np.float64]
TITLES = {"hessian": "Hessian", "gradient": "gradient matrix G"}


@dataclass(frozen=True)
class PowerLaw:
    """Measured y at several x, with standard errors, the fitted exponent and the predicted one."""

    x: Array
    y: Array
    error: Array
    fit: Exponent
    predicted: float
    x_label: str
    y_label: str
    title: str


@dataclass(frozen=True)
class Curves:
    """The curve of a scenario and runs of SGD about it."""

    system: str
    scenario: Scenario
    curve: xr.Dataset
    runs: xr.Dataset


@dataclass(frozen=True)
class TrainingSpectrum:
    """Eigenvalues of block (1, 1) along a run: population values and those of test data.

    Attributes
    ----------
    eigenvalues : array, shape (time, eigen)
    bulk : array, shape (time,)
    measured : array, shape (measured time, eigen + 1)
        The last one is the edge of the bulk.
    """

    scenario: Scenario
    matrix: str
    dimension: int
    aspect: int
    times: Array
    eigenvalues: Array
    bulk: Array
    measured_times: Array
    measured: Array


@dataclass(frozen=True)
class TrainedVectors:
    """Squared cosines with the means of a trained run: top eigenvectors of its blocks, weights.

    Attributes
    ----------
    eigenvectors : array, shape (unit, eigen, direction)
        Of block (a, a) of the matrix on test data.
    weights : array, shape (unit, direction)
    """

    system: str
    matrix: str
    precision: float
    dimension: int
    aspect: int
    eigenvectors: Array
    weights: Array


@dataclass(frozen=True)
class WeightShares:
    """Shares of the weights in the top eigenspaces of their own blocks, along a run.

    Attributes
    ----------
    shares : mapping, matrix -> array, shape (unit, time)
    """

    scenario: Scenario
    times: Array
    shares: Mapping[str, Array]


@dataclass(frozen=True)
class LayerShares:
    """Alignment of both layers of a network with the eigenspaces of their blocks, along a run.

    Attributes
    ----------
    weights : mapping, matrix -> array, shape (unit, time)
        Shares of the first-layer vectors in the top two eigenvectors of their own blocks.
    readout : mapping, matrix -> array, shape (eigen + 1, time)
        Squared cosines of the readout with eigenvectors of its block; the last row is its share in
        the span of the feature vectors.
    """

    scenario: Scenario
    dimension: int
    aspect: int
    times: Array
    weights: Mapping[str, Array]
    readout: Mapping[str, Array]


@dataclass(frozen=True)
class Risk:
    """Expected loss and accuracy along a curve, and those of SGD runs on fresh data."""

    scenario: Scenario
    dimension: int
    curve: xr.Dataset
    runs: xr.Dataset


@dataclass(frozen=True)
class SideBySide:
    """Curves and runs of several scenarios."""

    columns: tuple[Curves, ...]


@dataclass(frozen=True)
class Outcomes:
    """Counts of runs with 0, 1, .., 4 separated clusters, at every precision of a study."""

    study: OutcomeStudy
    counts: Sequence[NDArray[np.int64]]


def power_law(
    name: str,
    caption: str,
    x: tuple[str, Array],
    y: tuple[str, Array, Array],
    fit: Exponent,
    predicted: float,
) -> Exhibit:
    """A power law; what the caption says before "against" is the title of its figure.

    ``x`` has a label and values, ``y`` a label, values and standard errors.
    """
    title = re.split(r",? against ", caption)[0].removesuffix(".").replace("infinity", "∞")
    law = PowerLaw(*x[1:], *y[1:], fit, predicted, x[0], y[0], title)
    return Exhibit(name, caption, lambda: law)

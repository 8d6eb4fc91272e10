"""Random initial weights of the points of a sweep."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from numerics.core.covariance.band_arrays import band_sizes, factor_of
from numerics.core.parameters import Parameters
from numerics.core.state import State
from numerics.core.validation import as_scalar
from theory import Model
from theory.keywords import with_known_keywords


@with_known_keywords
@dataclass(frozen=True)
class RandomStart:
    r"""An uninformative start: :math:`x^a\sim N(0,s^2I/d)`, drawn afresh for every run; the readout
    is given.

    Parameters
    ----------
    scale : float
        s > 0; 1 gives weight vectors of length about 1.
    readout : tuple of float
        Finite parameters v at the start.

    Examples
    --------
    >>> from theory import kgmm
    >>> parameters = Parameters([0.5, 0.5], 10, 0, 1)
    >>> start = RandomStart(1.0).draw(kgmm(2), parameters, 400, np.random.default_rng(0))
    >>> bool(abs(start.overlap).max() < 0.2), start.gram(np.eye(2)).shape
    (True, (2, 2))
    """

    scale: float = 1.0
    readout: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        as_scalar(
            "random", self.scale, 0.0, True, "give the length of a random weight vector, such as 1"
        )

    def draw(
        self, model: Model, parameters: Parameters, dimension: int, generator: np.random.Generator
    ) -> State:
        """The summary statistics of one draw."""
        x = generator.normal(scale=self.scale / np.sqrt(dimension), size=(model.units, dimension))
        gamma, sizes = parameters.directions_gram, band_sizes(model, dimension)
        parts = np.split(x, np.cumsum(sizes)[:-1], axis=1)
        overlaps, grams = [], []
        for part, gram in zip(parts, gamma.reshape(-1, *gamma.shape[-2:]), strict=True):
            corner = factor_of(gram)
            rank = corner.shape[1]
            overlaps.append(part[:, :rank] @ corner.T)
            grams.append(part[:, rank:] @ part[:, rank:].T)
        if len(parts) == 1:
            return State(overlaps[0], grams[0], self.readout)
        return State(np.array(overlaps), np.array(grams), self.readout)

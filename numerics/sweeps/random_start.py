"""Random initial weights of the points of a sweep."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
        r = model.directions
        x = generator.normal(scale=self.scale / np.sqrt(dimension), size=(model.units, dimension))
        corner = np.linalg.cholesky(parameters.directions_gram)
        return State(x[:, :r] @ corner.T, x[:, r:] @ x[:, r:].T, self.readout)

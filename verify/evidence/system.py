"""What a system of `specalign verify` is: a model, settings to test it in, and its checks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from numerics import Parameters, State
from numerics.networks.dense_network import DenseNetwork
from theory import ImplicitFixedPoint, Model, SeparatedFixedPoint
from theory.errors import brief
from theory.notebook import short_repr


@dataclass(frozen=True)
class Scenario:
    """Numbers for one comparison of theory and simulation.

    Attributes
    ----------
    name : str
    parameters : Parameters
    initial : State
    times : tuple of float
    tolerance : float, optional
        Error asked of the theoretical curve; that of :func:`numerics.integrate_curves` when
        omitted.
    point : SeparatedFixedPoint, optional
        The noiseless fixed points the scenario is heading for.
    """

    name: str
    parameters: Parameters
    initial: State
    times: tuple[float, ...]
    tolerance: float | None = None
    point: SeparatedFixedPoint | None = None


@dataclass(frozen=True)
class OutcomeStudy:
    """Random starts of one model, counted by the number of clusters the run separates.

    Attributes
    ----------
    model : Model
    ridge : float
    probabilities : tuple of float
        Of 1, 2, 3, 4 separated clusters, exact at precision >> dimension.
    dimension : int
    precisions : tuple of float
        Decreasing; the first is far above the dimension, the others chart the departure from the
        probabilities.
    times : tuple of float
        End of the runs at each precision, long enough for (nearly) every run to have decided; a
        third and two thirds of it are recorded too.
    """

    model: Model
    ridge: float
    probabilities: tuple[float, ...]
    dimension: int
    precisions: tuple[float, ...]
    times: tuple[float, ...]

    def end(self, precision: float) -> float:
        """Length of the runs at one of the precisions."""
        return self.times[self.precisions.index(precision)]

    def random_starts(self, count: int, generator: np.random.Generator) -> list[State]:
        """States of W_i ~ N(0, I/d), v_i ~ N(0, 1)."""
        c, r = self.model.units, self.model.directions
        states = []
        for _ in range(count):
            x = generator.normal(size=(c, self.dimension)) / np.sqrt(self.dimension)
            states.append(State(x[:, :r], x[:, r:] @ x[:, r:].T, generator.normal(size=c)))
        return states

    def parameters(self, precision: float) -> Parameters:
        """Equal weights and orthonormal directions at a precision."""
        return Parameters(np.full(4, 0.25), precision, self.ridge, 1.0, np.eye(2))


@dataclass(frozen=True)
class System:
    """A model with its scenarios and the names of the checks that apply to it.

    Attributes
    ----------
    scenarios : tuple of Scenario
        Compared curve by curve; unequal weights, correlated means and both small and large noise
        occur.
    trained : callable, precision -> tuple of Scenario
        Trained, well-aligned states at a given precision: burn-in long enough for the statements on
        alignment.
    precisions : tuple of float
        Values of lambda over which exponents are measured.
    checks : tuple of str
        Names of ``verify.checks.registry.CHECKS``.
    description : str
    quadrature : float, optional
        Absolute error asked of population matrices and drifts; that of :mod:`numerics` when
        omitted.
    replica_share : float
        Share of the level's replicas to use for curves and first-layer spectra: those of a larger
        model cost more, and are sharper than they need be.
    implicit : ImplicitFixedPoint, optional
        Closed form of a unique noiseless fixed point.
    outcomes : OutcomeStudy, optional
        Where runs end in one of several fixed points.
    full_spectra : bool
        Judge effective spectra of the full first layer too, and not only of a block.
    network : DenseNetwork, optional
        The model in matrix form, where it is a network of several layers.
    """

    name: str
    model: Model
    scenarios: tuple[Scenario, ...]
    trained: Callable[[float], tuple[Scenario, ...]]
    precisions: tuple[float, ...]
    checks: tuple[str, ...]
    description: str
    quadrature: float | None = None
    replica_share: float = 1.0
    implicit: ImplicitFixedPoint | None = None
    outcomes: OutcomeStudy | None = None
    full_spectra: bool = False
    network: DenseNetwork | None = None

    def __repr__(self) -> str:
        size = f"{len(self.scenarios)} scenarios, {len(self.checks)} checks"
        return short_repr(self, repr(self.name), f"model {brief(self.model.name)!r}", size)

    def trained_at(self, precisions: Sequence[float]) -> list[Scenario]:
        """The trained scenarios of several precisions, one precision after the other."""
        return [scenario for precision in precisions for scenario in self.trained(precision)]

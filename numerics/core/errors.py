"""Numerical trouble, by name: what diverged, was not reached, or was interrupted, with what was
finished.
"""

from __future__ import annotations

import xarray as xr


class ToleranceWarning(UserWarning):
    """A result whose error estimate is larger than the tolerance asked for."""


class SweepError(RuntimeError):
    """The sweep cannot go on; finished points are kept."""


class IntegrationError(ArithmeticError):
    """The integrator stopped before the end; ``reached`` is the time it got to."""

    def __init__(self, message: str, reached: float) -> None:
        super().__init__(message)
        self.reached = reached


class DivergenceError(ArithmeticError):
    """SGD diverged.  ``partial`` holds what was recorded, ``reached`` the last time before it
    happened.
    """

    def __init__(self, message: str, reached: float, partial: xr.Dataset) -> None:
        super().__init__(message)
        self.reached = reached
        self.partial = partial


class SimulationInterrupted(KeyboardInterrupt):
    """The user interrupted the simulation.  ``partial`` holds the largest complete block of
    replicas and times.
    """

    def __init__(self, partial: xr.Dataset) -> None:
        super().__init__("simulation interrupted; what was recorded is kept")
        self.partial = partial


class ResolventError(ArithmeticError):
    """The equation for the resolvent was not solved at ``z``; ``residual`` is what was left."""

    def __init__(
        self, z: complex, residual: float, message: str = "no solution of the Stieltjes equation"
    ) -> None:
        super().__init__(f"{message} at z = {z:.8g}: residual {residual:.3g}")
        self.z, self.residual = z, residual


class FixedPointError(ArithmeticError):
    """No fixed point was found; ``residual`` is the largest entry of the drift at the last point."""

    def __init__(self, message: str, residual: float) -> None:
        super().__init__(message)
        self.residual = residual

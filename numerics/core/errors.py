"""Numerical trouble, by name: what diverged, was not reached, or was interrupted, with what was
finished.
"""

from __future__ import annotations

from typing import Any

import numpy as np
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
    """No fixed point was found; ``residual`` is the largest entry of the drift at the end."""

    def __init__(self, message: str, residual: float) -> None:
        super().__init__(message)
        self.residual = residual


class IntegrandError(ArithmeticError):
    """An integrand is no real number where the pre-activations can be; ``expression`` is it."""

    def __init__(self, model: str, expression: Any, at: Any, readout: Any) -> None:
        text = str(expression)
        text = text if len(text) <= 300 else text[:300] + " ..."
        centre = ", ".join(f"{x:.4g}" for x in np.asarray(at))
        weights = ", ".join(f"{x:.4g}" for x in np.asarray(readout))
        where = f"u = ({centre})" + (f" and v = ({weights})" if weights else "")
        super().__init__(
            f"the integrand {text} of the model {model} is no real number (NaN) at {where}: "
            "Gaussian pre-activations take every real value, and a loss must be real at all of them"
        )
        self.expression = expression


class QuadratureError(ArithmeticError):
    """No rule resolves an expectation; ``reached`` is the error that was reached, if any."""

    def __init__(self, message: str, reached: float = float("inf")) -> None:
        super().__init__(message)
        self.reached = reached

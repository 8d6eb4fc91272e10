"""Numerical trouble, by name: what diverged, was not reached, or was interrupted, with what was
finished.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr


class ToleranceWarning(UserWarning):
    """A result whose error estimate is larger than the tolerance asked for.

    Examples
    --------
    Where a coarse result is of no use, the warning is made an error:

    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", ToleranceWarning)
    ...     warnings.warn("error 1e-3, asked for 1e-6", ToleranceWarning)
    Traceback (most recent call last):
        ...
    numerics.core.errors.ToleranceWarning: error 1e-3, asked for 1e-6
    """


class SweepError(RuntimeError):
    """The sweep cannot go on; finished points are kept.

    Examples
    --------
    >>> try:
    ...     raise SweepError("the executor is broken")        # by run_sweep
    ... except SweepError as error:
    ...     print(f"{error}: run it again with the same store")
    the executor is broken: run it again with the same store
    """


class IntegrationError(ArithmeticError):
    """The integrator stopped before the end; ``reached`` is the time it got to.

    Examples
    --------
    >>> try:
    ...     raise IntegrationError("steps became too short", reached=2.5)   # by integrate_curves
    ... except IntegrationError as error:
    ...     print(error, "at", error.reached)
    steps became too short at 2.5
    """

    def __init__(self, message: str, reached: float) -> None:
        super().__init__(message)
        self.reached = reached


class DivergenceError(ArithmeticError):
    """SGD diverged.  ``partial`` holds what was recorded, ``reached`` the last time before it
    happened.

    Examples
    --------
    >>> recorded = xr.Dataset(coords={"time": [0.0, 0.25]})
    >>> try:
    ...     raise DivergenceError("replica 1 diverged", 0.5, recorded)      # by simulate_sgd
    ... except DivergenceError as error:
    ...     print(error.reached, error.partial.time.values)
    0.5 [0.   0.25]
    """

    def __init__(self, message: str, reached: float, partial: xr.Dataset) -> None:
        super().__init__(message)
        self.reached = reached
        self.partial = partial


class SimulationInterrupted(KeyboardInterrupt):
    """The user interrupted the simulation.  ``partial`` holds the largest complete block of
    replicas and times.

    Examples
    --------
    >>> recorded = xr.Dataset(coords={"time": [0.0, 0.25]})
    >>> try:
    ...     raise SimulationInterrupted(recorded)             # by simulate_sgd, on Ctrl-C
    ... except SimulationInterrupted as stopped:
    ...     print(stopped.partial.time.values)
    [0.   0.25]
    """

    def __init__(self, partial: xr.Dataset) -> None:
        super().__init__("simulation interrupted; what was recorded is kept")
        self.partial = partial


class ResolventError(ArithmeticError):
    """The equation for the resolvent was not solved at ``z``; ``residual`` is what was left.

    Examples
    --------
    >>> print(ResolventError(1 + 1e-6j, 0.002))
    no solution of the Stieltjes equation at z = 1+1e-06j: residual 0.002
    """

    def __init__(
        self, z: complex, residual: float, message: str = "no solution of the Stieltjes equation"
    ) -> None:
        super().__init__(f"{message} at z = {z:.8g}: residual {residual:.3g}")
        self.z, self.residual = z, residual


class FixedPointError(ArithmeticError):
    """No fixed point was found; ``residual`` is the largest entry of the drift at the end.

    Examples
    --------
    >>> try:
    ...     raise FixedPointError("no fixed point", residual=0.03)          # by solve_fixed_point
    ... except FixedPointError as error:
    ...     print(f"{error}: the drift is still {error.residual}")
    no fixed point: the drift is still 0.03
    """

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

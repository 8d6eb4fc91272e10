"""The systems `specalign verify` knows: a model, settings to test it in, and the statements it has to meet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from numerics import Parameters, State
from theory import ImplicitFixedPoint, InputError, Model, kgmm, softmax_fixed_point


@dataclass(frozen=True)
class Scenario:
    """Numbers for one comparison of theory and simulation."""

    name: str
    parameters: Parameters
    initial: State
    times: tuple[float, ...]


@dataclass(frozen=True)
class System:
    """A model with its scenarios and the names of the checks that apply to it.

    Attributes
    ----------
    scenarios : tuple of Scenario
        Compared curve by curve; unequal weights, correlated means and both small and large noise occur.
    aligned : callable, precision -> Scenario
        A trained, well-aligned state at a given precision: burn-in long enough for the statements on alignment.
    precisions : tuple of float
        Values of lambda over which exponents are measured.
    implicit : ImplicitFixedPoint
        Closed form of the noiseless fixed point.
    checks : tuple of str
        Names of ``verify.runner.CHECKS``.
    """

    name: str
    model: Model
    scenarios: tuple[Scenario, ...]
    aligned: Callable[[float], Scenario]
    precisions: tuple[float, ...]
    implicit: ImplicitFixedPoint
    checks: tuple[str, ...]
    description: str


SINGLE_LAYER_CHECKS = (
    "curves", "finite_size", "alignment", "blocks", "span", "eigenspaces", "top_vector", "concentration",
    "precision_exponents", "fixed_point", "routes",
)


def kgmm_system(k: int = 3) -> System:
    """The single-layer system of arXiv 2310.03010: k classes, softmax regression."""
    model = kgmm(k)
    rng = np.random.default_rng(20231003)  # fixed initial conditions: part of the definition, not of a run
    small = 0.3 * rng.normal(size=(k, k))
    perpendicular = 0.5 * np.eye(k) + 0.1
    weights = np.linspace(1.5, 0.5, k)
    weights /= weights.sum()
    offsets = np.subtract.outer(np.arange(k), np.arange(k))
    correlated = np.where(offsets == 0, 1.0, 0.4 * (-0.5) ** (np.abs(offsets) - 1))
    return System(
        name="kgmm",
        model=model,
        scenarios=(
            Scenario(
                "orthonormal", Parameters(weights, 10.0, 0.1, 1.0), State(small, perpendicular),
                (1.0, 2.0, 4.0, 8.0),
            ),
            Scenario(
                "correlated", Parameters(weights[::-1], 4.0, 0.05, 2.0, correlated),
                State(-small, perpendicular), (1.0, 2.0, 4.0, 8.0),
            ),
        ),
        aligned=lambda precision: Scenario(
            f"aligned, lambda = {precision:g}",
            Parameters(np.full(k, 1.0 / k), precision, 0.2, 1.0),
            State(small, 0.1 * np.eye(k)), (30.0,),
        ),
        precisions=(8.0, 32.0, 128.0, 512.0),
        implicit=softmax_fixed_point(kgmm(k, directions_gram="orthonormal")),
        checks=SINGLE_LAYER_CHECKS,
        description=f"{k}-component Gaussian mixture, softmax regression",
    )


SYSTEMS: dict[str, Callable[[], System]] = {"kgmm": kgmm_system}


def get_system(name: str) -> System:
    """Return a system by name."""
    if name not in SYSTEMS:
        raise InputError("system", repr(name), f"one of {sorted(SYSTEMS)}", "see specalign verify --help")
    return SYSTEMS[name]()

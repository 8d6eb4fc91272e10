"""Systems of the main job with less to simulate, for tests of its checks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from verify.checks.judged_theory import Theory
from verify.evidence.systems import Scenario, System, get_system
from verify.verdict.results import Report

# what makes a wrong theory of the true one, such theories, and the report of one check on them
Change = Callable[[Theory], Theory]
Wrong = Callable[[Change], Theory]
Judged = Callable[[Change, str], Report]


def with_one_scenario(name: str, rng: np.random.Generator) -> System:
    """A system with one of its scenarios and of its trained states, whichever.

    The main job has them all, at its own seed.
    """
    system = get_system(name)
    pick = int(rng.integers(len(system.scenarios)))
    print(f"scenario: {system.scenarios[pick].name}")

    def trained(precision: float) -> tuple[Scenario, ...]:
        made = system.trained(precision)
        return (made[pick % len(made)],)

    return replace(system, scenarios=(system.scenarios[pick],), trained=trained)


def with_coarse_numbers(system: System, end: float) -> System:
    """The system up to a time, its curves and blocks as sharp as small samples can tell."""

    def shorter(scenario: Scenario) -> Scenario:
        times = tuple(t for t in scenario.times if t <= end)
        return replace(scenario, times=times, tolerance=1e-3)

    return replace(system, scenarios=tuple(map(shorter, system.scenarios)), quadrature=1e-4)

"""Measurements that theories are judged against: simulated once, used by every check and every theory.

What is measured does not depend on a derived formula except through the loss itself: SGD takes the generated gradient
of the loss, spectra the raw sample Hessian and gradients.  (:meth:`Evidence.distance` measures how far a given
population block is from the data, so it is not kept.)
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from numerics import State, empirical_distance, empirical_projection, simulate_sgd
from numerics.empirical import spectrum_of_data
from numerics.risk import empirical_risk
from numerics.samples import SampleData, draw_data
from numerics.span import BlockName, SpanMatrix
from theory import InputError

from .spectral_samples import proportional_samples, train_and_test_samples
from .systems import Scenario, System


@dataclass(frozen=True)
class Level:
    """Sample sizes of a verification level.

    Attributes
    ----------
    dimensions, replicas : tuple of int
        Of the SGD runs compared with curves.
    trained_dimension, trained_replicas : int
        Of the reduced chain at several precisions; also run at twice the dimension.
    test_points : int
        For block-by-block comparisons.
    aspects : tuple of int
        M/d of the empirical spectra.
    spectrum_dimensions : tuple of int
    spectrum_replicas : int
    layer_points : int
        Test points of every second-layer spectrum.
    risk_replicas, risk_samples : int
        Replicas whose loss is measured on fresh data, and fresh samples of each.
    outcome_runs : tuple of int
        Random starts at every precision of the outcome study.
    wide_dimensions, wide_replicas : tuple of int
        Of the reduced chain, for the covariance of fluctuations.
    shift_dimensions, shift_replicas : tuple of int
        For the shift of the mean, which is 1 / sqrt(d) of a fluctuation and needs many runs.
    settled_dimensions, settled_replicas : tuple of int
        At a fixed point.
    other_dimensions, other_replicas
        Of direct runs with other noise.
    aligned_replicas : int
        Runs of a single step with noise along coordinates.
    effective_dimensions, effective_replicas : tuple of int
        Of spectra at fixed M/d; matrices of all units at a third of the dimensions.
    train_dimension, train_ratios, train_replicas
        Of spectra of the samples that trained the weights, and M/d.
    """

    name: str
    dimensions: tuple[int, ...]
    replicas: tuple[int, ...]
    trained_dimension: int
    trained_replicas: int
    test_points: int
    aspects: tuple[int, ...]
    spectrum_dimensions: tuple[int, ...]
    spectrum_replicas: int
    layer_points: int = 20_000
    risk_replicas: int = 80
    risk_samples: int = 400
    outcome_runs: tuple[int, ...] = (2_500, 400, 400, 1_200)
    wide_dimensions: tuple[int, ...] = (100, 1_000, 10_000, 100_000, 1_000_000)
    wide_replicas: tuple[int, ...] = (2_000, 1_000, 500, 100, 20)
    shift_dimensions: tuple[int, ...] = (50, 100, 200, 400)
    shift_replicas: tuple[int, ...] = (30_000,) * 4
    settled_dimensions: tuple[int, ...] = (100, 200, 400)
    settled_replicas: tuple[int, ...] = (2_000, 2_000, 2_000)
    other_dimensions: tuple[int, ...] = (64, 128, 256)
    other_replicas: int = 700
    aligned_replicas: int = 1_000
    effective_dimensions: tuple[int, ...] = (64, 128, 256)
    effective_replicas: tuple[int, ...] = (120, 90, 80)
    train_dimension: int = 64
    train_ratios: tuple[int, ...] = (4, 16, 64)
    train_replicas: int = 40


LEVELS = {
    "quick": Level(
        "quick", dimensions=(32, 64, 128, 256), replicas=(12000, 8000, 6000, 3000),
        trained_dimension=64, trained_replicas=500, test_points=100_000, aspects=(32, 128, 512),
        spectrum_dimensions=(24, 48), spectrum_replicas=24,
    ),
    "full": Level(
        "full", dimensions=(32, 64, 128, 256, 512, 1024),
        replicas=(64000, 48000, 32000, 16000, 8000, 2000),
        trained_dimension=128, trained_replicas=2000, test_points=2_000_000, aspects=(32, 128, 512, 1024),
        spectrum_dimensions=(32, 64, 128), spectrum_replicas=32, layer_points=200_000, risk_replicas=400,
        risk_samples=2_000, outcome_runs=(20_000, 10_000, 10_000, 10_000),
        wide_replicas=(40_000, 20_000, 10_000, 3_000, 600), shift_dimensions=(50, 100, 200, 400, 800, 1_600),
        shift_replicas=(300_000,) * 6, settled_replicas=(20_000, 20_000, 20_000), other_dimensions=(64, 128, 256, 512),
        other_replicas=6_000, aligned_replicas=10_000,
        effective_dimensions=(64, 128, 256, 512), effective_replicas=(400, 200, 100, 50), train_dimension=128,
        train_replicas=200,
    ),
}


def get_level(name: str) -> Level:
    """Return a level by name."""
    if name not in LEVELS:
        raise InputError("level", repr(name), f"one of {sorted(LEVELS)}", "use quick or full")
    return LEVELS[name]


def state_of(runs: xr.Dataset, replica: int, time: int) -> State:
    """The summary statistics of one run at one of its records (positions, not labels)."""
    one = runs.isel(replica=replica, time=time)
    return State(one.overlap.values, one.gram_perp.values, one.readout.values)


class Evidence:
    """Simulations and empirical spectra of one system, level and seed, made on first use and kept.

    Parameters
    ----------
    system : System
    level : Level
    seed : int
        Root; every measurement uses its own child, named after what it measures.
    progress : callable, optional
        Receives the fraction done of the measurement at work.
    """

    def __init__(
        self, system: System, level: Level, seed: int, progress: Callable[[float], None] | None = None
    ) -> None:
        self.system, self.level, self.seed = system, level, seed
        self.progress = progress
        self._kept: dict[str, xr.Dataset] = {}
        self._last_data: tuple[str, SampleData] | None = None

    def child_seed(self, name: str) -> int:
        """Seed of the measurement ``name``; independent of the order in which measurements are made."""
        sequence = np.random.SeedSequence([self.seed, zlib.crc32(name.encode())])
        return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))

    def runs(
        self, scenario: Scenario, dimension: int, replicas: int, times: tuple[float, ...] | None = None,
        **options: str | int,
    ) -> xr.Dataset:
        """SGD runs of a scenario; ``options`` such as ``method`` or ``noise`` are those of simulate_sgd."""
        chosen = "".join(f" {name}={value}" for name, value in sorted(options.items()))
        key = f"sgd {scenario.name} d={dimension} replicas={replicas}{chosen}{'' if times is None else f' t={times}'}"
        return self._keep(
            key,
            lambda: simulate_sgd(
                self.system.model, scenario.parameters, scenario.initial,
                list(scenario.times if times is None else times), dimension, replicas, self.child_seed(key),
                progress=self.progress, **options,  # type: ignore[arg-type]
            ),
        )

    def chain_runs(self, scenario: Scenario, time: float, dimension: int, replicas: int) -> xr.Dataset:
        """Runs of the reduced chain up to one time."""
        return self.runs(scenario, dimension, replicas, (time,), method="reduced")

    def curve_runs(self, scenario: Scenario) -> list[xr.Dataset]:
        """SGD runs of a scenario at every dimension of the level."""
        return [
            self.runs(scenario, d, int(self.system.replica_share * n))
            for d, n in zip(self.level.dimensions, self.level.replicas, strict=True)
        ]

    def display_runs(self, scenario: Scenario) -> xr.Dataset:
        """A few runs on a fine time grid, for figures only."""
        key = f"display {scenario.name}"
        times = np.linspace(0.0, scenario.times[-1], 41)
        return self._keep(
            key,
            lambda: simulate_sgd(
                self.system.model, scenario.parameters, scenario.initial, times, 256, 20, self.child_seed(key)
            ),
        )

    def trained_runs(self, scenario: Scenario) -> list[xr.Dataset]:
        """Runs of the reduced chain past burn-in, at the two trained dimensions."""
        d, n = self.level.trained_dimension, self.level.trained_replicas
        return [self.runs(scenario, size, n, method="reduced") for size in (d, 2 * d)]

    def trained_state(self, scenario: Scenario, replica: int) -> State:
        """The summary statistics one SGD run ended with."""
        return state_of(self.trained_runs(scenario)[-1], replica, -1)

    def projection(self, scenario: Scenario, state: State, matrix: str, name: str) -> xr.Dataset:
        """Sample means of all blocks on span(directions, x), with standard errors."""
        key = f"projection {scenario.name} {matrix} {name}"
        dimension = self.level.spectrum_dimensions[-1]
        return self._keep(
            key,
            lambda: empirical_projection(
                self.system.model, scenario.parameters, state, dimension=dimension,
                samples=self.level.test_points, seed=self.child_seed(key), matrix=matrix,
                regularized=False,
            ),
        )

    def spectrum(
        self, scenario: Scenario, state: State, matrix: str, unit: int, dimension: int, aspect: int, name: str
    ) -> xr.Dataset:
        """Empirical spectrum of the (unit, unit) block on aspect * dimension fresh test points."""
        key = f"data {scenario.name} d={dimension} M/d={aspect} {name}"
        return self._keep(
            f"{key} {matrix} {unit}",
            lambda: spectrum_of_data(
                self._data(key, scenario, state, dimension, aspect), matrix=matrix, block=(unit, unit),
                regularized=False,
            ),
        )

    def readout_spectrum(self, scenario: Scenario, state: State, matrix: str, name: str) -> xr.Dataset:
        """Empirical spectrum of the (v, v) block on fresh test points; its law does not depend on their dimension."""
        key = f"readout {scenario.name} {name}"
        return self._keep(
            f"{key} {matrix}",
            lambda: spectrum_of_data(
                self._data(key, scenario, state, self.level.spectrum_dimensions[-1], None), matrix=matrix,
                block="readout", regularized=False,
            ),
        )

    def proportional_data(
        self, scenario: Scenario, time: int, state: State, parts: Sequence[tuple[str, BlockName]], dimension: int,
        ratio: int, replicas: int,
    ) -> dict[tuple[str, BlockName], xr.Dataset]:
        """Eigenvalues of parts of matrices of M = ratio * d fresh samples, and projections of outer eigenvectors.

        Parts of one replica share their samples.  ``eigenvalue`` (replica, eigen), decreasing; ``projection`` (replica,
        eigen, unit, span), filled at both ends; ``weights`` (unit, span), unit vectors.
        """
        key = f"proportional {scenario.name} {time} d={dimension} M/d={ratio}"
        missing = [part for part in parts if f"{key} {part}" not in self._kept]
        if missing:
            made = proportional_samples(
                self.system, scenario, state, missing, dimension, ratio,
                np.random.SeedSequence(self.child_seed(key)).spawn(replicas),
            )
            self._kept |= {f"{key} {part}": data for part, data in made.items()}
        return {part: self._kept[f"{key} {part}"] for part in parts}

    def train_and_test(self, scenario: Scenario, dimension: int, ratio: int, replicas: int) -> xr.Dataset:
        """Top eigenvalue and overlap with the span of block (1, 1), of the samples that trained and of fresh ones.

        ``outlier`` and ``overlap`` (replica, data, matrix).
        """
        key = f"train and test {scenario.name} d={dimension} M/d={ratio}"
        seeds = np.random.SeedSequence(self.child_seed(key)).spawn(replicas)
        return self._keep(key, lambda: train_and_test_samples(self.system, scenario, dimension, ratio, seeds))

    def fresh_risk(self, scenario: Scenario, dimension: int) -> xr.Dataset:
        """Loss and accuracy of SGD runs of a scenario on fresh data, (replica, time)."""
        key = f"risk {scenario.name} d={dimension}"
        runs = dict(zip(self.level.dimensions, self.curve_runs(scenario), strict=True))[dimension]
        count = min(self.level.risk_replicas, runs.sizes["replica"])
        children = np.random.SeedSequence(self.child_seed(key)).spawn(count)
        return self._keep(
            key,
            lambda: xr.concat(
                [
                    empirical_risk(
                        self.system.model, scenario.parameters, runs.isel(replica=i), dimension=dimension,
                        samples=self.level.risk_samples, seed=child,
                    )
                    for i, child in enumerate(children)
                ],
                "replica", combine_attrs="drop_conflicts",
            ),
        )

    def outcome_runs(self, precision: float) -> xr.Dataset:
        """Ends of SGD runs from random starts W_i ~ N(0, I/d), v_i ~ N(0, 1), for the outcome study."""
        study = self.system.outcomes
        assert study is not None  # asked for by a check of systems that have it
        key = f"outcomes lambda={precision:g}"
        count, end = self.level.outcome_runs[study.precisions.index(precision)], study.end(precision)
        return self._keep(
            key,
            lambda: simulate_sgd(
                study.model, study.parameters(precision),
                study.random_starts(count, np.random.default_rng(self.child_seed(f"{key} starts"))),
                [end / 3, 2 * end / 3, end], study.dimension, count, self.child_seed(key), method="reduced",
                progress=self.progress,
            ),
        )

    def _data(self, key: str, scenario: Scenario, state: State, dimension: int, aspect: int | None) -> SampleData:
        """Test data of one key; the last one is kept, so that blocks asked in a row share it."""
        if self._last_data is None or self._last_data[0] != key:
            data = draw_data(
                self.system.model, scenario.parameters, state, dimension,
                self.level.layer_points if aspect is None else aspect * dimension, self.child_seed(key),
            )
            self._last_data = (key, data)
        return self._last_data[1]

    def distance(
        self, scenario: Scenario, state: State, population: SpanMatrix, dimension: int, aspect: int, name: str
    ) -> float:
        """Operator-norm distance of an empirical block from ``population`` (not kept: it depends on a theory)."""
        key = f"distance {scenario.name} {population.kind} d={dimension} M/d={aspect} {name}"
        return empirical_distance(
            self.system.model, scenario.parameters, state, population, dimension=dimension,
            samples=aspect * dimension, seed=self.child_seed(key),
        )

    def _keep(self, key: str, make: Callable[[], xr.Dataset]) -> xr.Dataset:
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

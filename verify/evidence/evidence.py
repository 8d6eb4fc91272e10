"""Measurements that theories are judged against: simulated once, used by every check and every
theory.

What is measured does not depend on a derived formula except through the loss itself: SGD takes the
generated gradient of the loss, spectra the raw sample Hessian and gradients.
(:meth:`Evidence.distance` measures how far a given population block is from the data, so it is not
kept.)
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import xarray as xr

from numerics import State, empirical_distance, empirical_projection, simulate_sgd
from numerics.data.risk import empirical_risk
from numerics.data.samples import SampleData, draw_data
from numerics.spectra.span_matrix import BlockName, SpanMatrix
from numerics.spectra.spectrum_of_data import spectrum_of_data
from theory.keywords import with_known_keywords
from theory.notebook import short_repr

from .layer_samples import layer_batches
from .levels import Level
from .run_states import state_of, states_of
from .spectral_samples import proportional_samples, train_and_test_samples
from .systems import Scenario, System


@with_known_keywords
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

    Examples
    --------
    >>> from verify import get_level, get_system
    >>> Evidence(get_system("kgmm"), get_level("quick"), seed=1)   # run(evidence=...) takes it
    Evidence('kgmm', 'quick', seed 1, 0 measurements made)
    """

    def __init__(
        self,
        system: System,
        level: Level,
        seed: int,
        progress: Callable[[float], None] | None = None,
    ) -> None:
        self.system, self.level, self.seed = system, level, seed
        self.progress = progress
        self._kept: dict[str, xr.Dataset] = {}
        self._ends: dict[str, list[list[State]]] = {}
        self._last_data: tuple[str, SampleData] | None = None

    def __repr__(self) -> str:
        made = f"{len(self._kept)} measurements made"
        said = repr(self.system.name), repr(self.level.name), f"seed {self.seed}", made
        return short_repr(self, *said)

    def child_seed(self, name: str) -> int:
        """Seed of the measurement ``name``; independent of the order in which measurements are
        made.
        """
        sequence = np.random.SeedSequence([self.seed, zlib.crc32(name.encode())])
        return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))

    def runs(
        self,
        scenario: Scenario,
        dimension: int,
        replicas: int,
        times: tuple[float, ...] | None = None,
        **options: str | int,
    ) -> xr.Dataset:
        """SGD runs of a scenario; ``options`` such as ``method`` or ``noise`` are those of
        simulate_sgd.
        """
        key = _runs_key(scenario, dimension, replicas, times, options)
        made = self._simulated(key, scenario, dimension, times, options)
        return self._keep(key, lambda: made(replicas))

    def _simulated(
        self,
        key: str,
        scenario: Scenario,
        dimension: int,
        times: tuple[float, ...] | None,
        options: Mapping[str, str | int],
    ) -> Callable[[int], xr.Dataset]:
        """A function that simulates so many of the runs with this key: the first ones of all."""
        return lambda count: simulate_sgd(  # type: ignore[call-overload]
            self.system.model, scenario.parameters, scenario.initial,
            list(scenario.times if times is None else times), dimension, count,
            self.child_seed(key), progress=self.progress, **options,
        )  # fmt: skip

    def one_state(self, scenario: Scenario, time: int = -1) -> State:
        """What the first of the runs in the largest dimension had reached at one of the times.

        No theory has a say in it. The other runs are not made for it: a run does not depend on
        them.
        """
        dimension, replicas = self._curve_sizes()[-1]
        return state_of(self._first(scenario, dimension, replicas, {}, 1), 0, time)

    def _first(
        self, scenario: Scenario, dimension: int, replicas: int, options: dict[str, str], count: int
    ) -> xr.Dataset:
        """All of these runs where they are made, else the first ones alone."""
        key = _runs_key(scenario, dimension, replicas, None, options)
        if key in self._kept:
            return self._kept[key]
        made = self._simulated(key, scenario, dimension, None, options)
        return self._keep(f"{key}, the first {count}", lambda: made(count))

    def chain_runs(
        self, scenario: Scenario, time: float, dimension: int, replicas: int
    ) -> xr.Dataset:
        """Runs of the reduced chain up to one time."""
        return self.runs(scenario, dimension, replicas, (time,), method="reduced")

    def curve_runs(self, scenario: Scenario) -> list[xr.Dataset]:
        """SGD runs of a scenario at every dimension of the level."""
        return [self.runs(scenario, d, n) for d, n in self._curve_sizes()]

    def _curve_sizes(self) -> list[tuple[int, int]]:
        share = self.system.replica_share
        return [
            (d, int(share * n))
            for d, n in zip(self.level.dimensions, self.level.replicas, strict=True)
        ]

    def display_runs(self, scenario: Scenario) -> xr.Dataset:
        """A few runs on a fine time grid, for figures only."""
        key = f"display {scenario.name}"
        times = np.linspace(0.0, scenario.times[-1], 41)
        return self._keep(
            key,
            lambda: simulate_sgd(
                self.system.model,
                scenario.parameters,
                scenario.initial,
                times,
                256,
                20,
                self.child_seed(key),
            ),
        )

    def trained_runs(self, scenario: Scenario) -> list[xr.Dataset]:
        """Runs of the reduced chain past burn-in, at the two trained dimensions."""
        d, n = self.level.trained_dimension, self.level.trained_replicas
        return [self.runs(scenario, size, n, method="reduced") for size in (d, 2 * d)]

    def trained_states(self, scenario: Scenario) -> list[list[State]]:
        """What every one of the trained runs ended with, a list for each dimension."""
        if scenario.name not in self._ends:
            ends = [states_of(runs, -1) for runs in self.trained_runs(scenario)]
            self._ends[scenario.name] = ends
        return self._ends[scenario.name]

    def trained_state(self, scenario: Scenario, replica: int) -> State:
        """The summary statistics that one of the first ``spectrum_replicas`` (two at least) of the
        trained runs at the larger dimension ended with.

        The other runs are not made for it, as in :meth:`one_state`.
        """
        dimension, replicas = 2 * self.level.trained_dimension, self.level.trained_replicas
        first = min(replicas, max(2, self.level.spectrum_replicas))
        runs = self._first(scenario, dimension, replicas, {"method": "reduced"}, first)
        return state_of(runs, replica, -1)

    def projection(self, scenario: Scenario, state: State, matrix: str, name: str) -> xr.Dataset:
        """Sample means of all blocks on span(directions, x), with standard errors."""
        key = f"projection {scenario.name} {matrix} {name}"
        dimension = self.level.spectrum_dimensions[-1]
        return self._keep(
            key,
            lambda: empirical_projection(
                self.system.model,
                scenario.parameters,
                state,
                dimension=dimension,
                samples=self.level.test_points,
                seed=self.child_seed(key),
                matrix=matrix,
                regularized=False,
            ),
        )

    def spectrum(
        self,
        scenario: Scenario,
        state: State,
        matrix: str,
        unit: int,
        dimension: int,
        aspect: int,
        name: str,
    ) -> xr.Dataset:
        """Empirical spectrum of the (unit, unit) block on aspect * dimension fresh test points."""
        key = f"data {scenario.name} d={dimension} M/d={aspect} {name}"
        return self._keep(
            f"{key} {matrix} {unit}",
            lambda: spectrum_of_data(
                self._data(key, scenario, state, dimension, aspect),
                matrix=matrix,
                block=(unit, unit),
                regularized=False,
                misfit=False,  # checks of it take projections, which have standard errors
            ),
        )

    def readout_spectrum(
        self, scenario: Scenario, state: State, matrix: str, name: str
    ) -> xr.Dataset:
        """Empirical spectrum of the (v, v) block on fresh test points; its law does not depend on
        their dimension.
        """
        key = f"readout {scenario.name} {name}"
        return self._keep(
            f"{key} {matrix}",
            lambda: spectrum_of_data(
                self._data(key, scenario, state, self.level.spectrum_dimensions[-1], None),
                matrix=matrix,
                block="readout",
                regularized=False,
            ),
        )

    def layer_batches(self, scenario: Scenario, state: State, name: str) -> xr.Dataset:
        """Blocks of all layers over independent batches of samples: see
        :func:`verify.evidence.layer_samples.layer_batches`.
        """
        key = f"batches {scenario.name} {name}"
        seed = self.child_seed(key)
        return self._keep(key, lambda: layer_batches(self.system, scenario, state, seed))

    def proportional_data(
        self,
        scenario: Scenario,
        time: int,
        state: State,
        parts: Sequence[tuple[str, BlockName]],
        dimension: int,
        ratio: int,
        replicas: int,
    ) -> dict[tuple[str, BlockName], xr.Dataset]:
        """Eigenvalues of parts of matrices of M = ratio * d fresh samples, and projections of outer
        eigenvectors.

        Parts of one replica share their samples.  ``eigenvalue`` (replica, eigen), decreasing;
        ``projection`` (replica, eigen, unit, span), filled at both ends; ``weights`` (unit, span),
        unit vectors.
        """
        key = f"proportional {scenario.name} {time} d={dimension} M/d={ratio}"
        missing = [part for part in parts if f"{key} {part}" not in self._kept]
        if missing:
            made = proportional_samples(
                self.system,
                scenario,
                state,
                missing,
                dimension,
                ratio,
                np.random.SeedSequence(self.child_seed(key)).spawn(replicas),
            )
            self._kept |= {f"{key} {part}": data for part, data in made.items()}
        return {part: self._kept[f"{key} {part}"] for part in parts}

    def train_and_test(
        self, scenario: Scenario, dimension: int, ratio: int, replicas: int
    ) -> xr.Dataset:
        """Top eigenvalue and overlap with the span of block (1, 1), of the samples that trained and
        of fresh ones.

        ``outlier`` and ``overlap`` (replica, data, matrix).
        """
        key = f"train and test {scenario.name} d={dimension} M/d={ratio}"
        seeds = np.random.SeedSequence(self.child_seed(key)).spawn(replicas)
        return self._keep(
            key, lambda: train_and_test_samples(self.system, scenario, dimension, ratio, seeds)
        )

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
                        self.system.model,
                        scenario.parameters,
                        runs.isel(replica=i),
                        dimension=dimension,
                        samples=self.level.risk_samples,
                        seed=child,
                    )
                    for i, child in enumerate(children)
                ],
                "replica",
                combine_attrs="drop_conflicts",
            ),
        )

    def outcome_runs(self, precision: float) -> xr.Dataset:
        """Ends of SGD runs from random starts W_i ~ N(0, I/d), v_i ~ N(0, 1), for the outcome
        study.
        """
        study = self.system.outcomes
        assert study is not None  # asked for by a check of systems that have it
        key = f"outcomes lambda={precision:g}"
        count, end = (
            self.level.outcome_runs[study.precisions.index(precision)],
            study.end(precision),
        )
        return self._keep(
            key,
            lambda: simulate_sgd(
                study.model,
                study.parameters(precision),
                study.random_starts(count, np.random.default_rng(self.child_seed(f"{key} starts"))),
                [end / 3, 2 * end / 3, end],
                study.dimension,
                count,
                self.child_seed(key),
                method="reduced",
                progress=self.progress,
            ),
        )

    def _data(
        self, key: str, scenario: Scenario, state: State, dimension: int, aspect: int | None
    ) -> SampleData:
        """Test data of one key; the last one is kept, so that blocks asked in a row share it."""
        if self._last_data is None or self._last_data[0] != key:
            data = draw_data(
                self.system.model,
                scenario.parameters,
                state,
                dimension,
                self.level.layer_points if aspect is None else aspect * dimension,
                self.child_seed(key),
            )
            self._last_data = (key, data)
        return self._last_data[1]

    def distance(
        self,
        scenario: Scenario,
        state: State,
        population: SpanMatrix,
        dimension: int,
        aspect: int,
        name: str,
    ) -> float:
        """Operator-norm distance of an empirical block from ``population`` (not kept: it depends on
        a theory).
        """
        key = f"distance {scenario.name} {population.kind} d={dimension} M/d={aspect} {name}"
        return empirical_distance(
            self.system.model, scenario.parameters, state, population, dimension=dimension,
            samples=aspect * dimension, seed=self.child_seed(key),
        )  # fmt: skip

    def _keep(self, key: str, make: Callable[[], xr.Dataset]) -> xr.Dataset:
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]


def _runs_key(
    scenario: Scenario,
    dimension: int,
    replicas: int,
    times: tuple[float, ...] | None,
    options: Mapping[str, str | int],
) -> str:
    """What SGD runs are kept under, and seeded by."""
    chosen = "".join(f" {name}={value}" for name, value in sorted(options.items()))
    chosen += "" if times is None else f" t={times}"
    return f"sgd {scenario.name} d={dimension} replicas={replicas}{chosen}"

"""What the measurements of one point of a sweep share: runs, curve, spectra, each computed once."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import cached_property, lru_cache

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from numerics.core.state import State
from numerics.core.validation import Array, check_kind
from numerics.data.samples import SampleData, draw_data
from numerics.dynamics.curves import integrate_curves
from numerics.sgd.simulate import simulate_sgd
from numerics.spectra.population_spectrum import population_spectrum
from numerics.spectra.spectrum_of_data import spectrum_of_data
from theory import BlockMatrix, InputError, Model, derive_hessian
from theory.errors import brief
from theory.keywords import with_known_keywords
from theory.names import ALMOST_EVERYWHERE
from theory.notebook import short_repr

from .measure_options import MeasureOptions
from .setting import MATRICES, Setting


@with_known_keywords
class Trial:
    """One point at work: runs, curve and spectra, computed when a measurement first asks for them.

    Parameters
    ----------
    setting : Setting
    entropy : int
        Root seed of the sweep.
    index : int
        Number of the point; its random numbers are those of ``SeedSequence(entropy,
        spawn_key=(index,))``.
    options : MeasureOptions

    Examples
    --------
    >>> from numerics import Problem, RandomStart
    >>> from theory import kgmm
    >>> problem = Problem(kgmm(2), weights=[0.5, 0.5], precision=10, ridge=0.1, step=1)
    >>> setting = Setting(problem, RandomStart(0.1), time=[0, 1], dimension=50, replicas=3)
    >>> trial = Trial(setting, entropy=1, index=0)
    >>> len(trial.initial), trial.initial[0].overlap.shape
    (3, (2, 2))
    >>> trial.seed("sgd") == Trial(setting, entropy=1, index=1).seed("sgd")   # another point
    False
    """

    def __init__(
        self, setting: Setting, entropy: int, index: int, options: MeasureOptions | None = None
    ) -> None:
        check_kind("setting", setting, Setting, "write Setting(problem, initial, ...)")
        self.setting, self.entropy, self.index = setting, entropy, index
        self.options = options or MeasureOptions()
        self._data: tuple[int, SampleData] | None = None
        self._spectra: dict[tuple[int, str, int], xr.Dataset] = {}
        self._population: dict[tuple[int, str, int], xr.Dataset] = {}

    def __repr__(self) -> str:
        s = self.setting
        said = f"point {self.index} of entropy {self.entropy}", f"of {brief(s.model.name)!r}"
        return short_repr(self, *said, dimension=s.dimension, replicas=s.replicas)

    def sequence(self, purpose: str, *numbers: int) -> np.random.SeedSequence:
        """Random numbers for one purpose; they do not depend on what else is measured."""
        return np.random.SeedSequence(
            self.entropy, spawn_key=(self.index, zlib.crc32(purpose.encode()), *numbers)
        )

    def seed(self, purpose: str, *numbers: int) -> int:
        """The same as an integer, for functions that take one."""
        return int(self.sequence(purpose, *numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))

    @cached_property
    def initial(self) -> list[State]:
        """The start of every run."""
        s = self.setting
        if isinstance(s.initial, State):
            return [s.initial] * s.replicas
        return [
            s.initial.draw(
                s.model, s.parameters, s.dimension, np.random.default_rng(self.sequence("start", i))
            )
            for i in range(s.replicas)
        ]

    @cached_property
    def runs(self) -> xr.Dataset:
        """SGD runs, one thread."""
        s = self.setting
        return simulate_sgd(
            s.model,
            s.parameters,
            self.initial,
            s.grid,
            s.dimension,
            s.replicas,
            self.seed("sgd"),
            workers=1,
            **dict(s.options),
        )

    def records(self, variable: str) -> Array:
        """A variable of the runs at every time asked for: times within one step share a record.

        Of bands their sum, :func:`sum_of_bands`.
        """
        step = self.setting.parameters.step / self.setting.dimension
        steps = np.rint(self.setting.grid / step).astype(np.int64)
        at: NDArray[np.intp] = np.searchsorted(self.runs["steps"].to_numpy(), steps)
        return sum_of_bands(self.runs[variable].isel(time=at))

    @cached_property
    def curve(self) -> xr.Dataset:
        """Effective dynamics from the start that the setting gives.

        Raises
        ------
        theory.InputError
            The start is random.
        """
        s = self.setting
        if not isinstance(s.initial, State):
            raise InputError(
                "measure",
                "a curve from a random start",
                "a start of given statistics",
                "give overlap and gram_perp in place of a random start",
            )
        pace = {name: s.options[name] for name in ("batch", "schedule") if name in s.options}
        return integrate_curves(s.model, s.parameters, s.initial, s.grid, **pace)

    def final(self, replica: int) -> State:
        """The summary statistics with which a run ended."""
        one = self.runs.isel(replica=replica, time=-1)
        return State(one.overlap.values, one.gram_perp.values, one.readout.values)

    @property
    def samples(self) -> int:
        """M."""
        if self.setting.samples is None:
            raise InputError("samples", "nothing", "the number M of test samples", "give samples")
        return self.setting.samples

    def spectrum(self, replica: int, matrix: str, unit: int) -> xr.Dataset:
        """Leading r + 1 eigenpairs of block (unit, unit) on M fresh samples, at the end of a run,
        without ridge.
        """
        key = (replica, matrix, unit)
        if key not in self._spectra:
            s = self.setting
            if self._data is None or self._data[0] != replica:
                data = draw_data(
                    s.model,
                    s.parameters,
                    self.final(replica),
                    s.dimension,
                    self.samples,
                    self.sequence("spectrum", replica),
                )
                self._data = (replica, data)
            found = spectrum_of_data(
                self._data[1],
                matrix=matrix,
                block=(unit, unit),
                regularized=False,
                count=min(s.model.directions + 1, s.dimension),
            )
            self._spectra[key] = found[["eigenvalue", "unit_share"]]
        return self._spectra[key]

    def population(self, replica: int, matrix: str, unit: int) -> xr.Dataset:
        """The population spectrum that stands beside :meth:`spectrum`."""
        key = (replica, matrix, unit)
        if key not in self._population:
            s = self.setting
            self._population[key] = population_spectrum(
                s.model,
                s.parameters,
                self.final(replica),
                matrix=matrix,
                block=(unit, unit),
                regularized=False,
                blocks=sampled_blocks(s.model, matrix),
            )
        return self._population[key]

    def by_block(self, function: Callable[[int, str, int], float]) -> Array:
        """``function(replica, matrix, unit)`` for every run, matrix and block asked for; NaN for
        the other blocks.
        """
        s = self.setting
        out = np.full((s.replicas, len(MATRICES), s.model.units), np.nan)
        for i in range(s.replicas):
            for j, matrix in enumerate(MATRICES):
                for a in self.options.units(s.model):
                    out[i, j, a] = function(i, matrix, a)
        return out


def sum_of_bands(variable: xr.DataArray) -> Array:
    """The numbers of a variable; of bands their sum, as x^a . e_s is that of its parts."""
    whole = variable.sum("band") if "band" in variable.dims else variable
    return np.asarray(whole.to_numpy(), dtype=float)


@lru_cache(maxsize=32)
def sampled_blocks(model: Model, matrix: str) -> BlockMatrix | None:
    """What data average to where that differs from the default: the almost-everywhere Hessian of a
    loss with kinks.
    """
    if matrix != "hessian" or model.loss.is_smooth:
        return None
    return derive_hessian(model, kink_rule=ALMOST_EVERYWHERE, regularized=False)

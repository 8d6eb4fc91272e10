"""Direct simulation: online SGD in d dimensions, one fresh sample a step, its kernel generated from the loss."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from time import monotonic
from types import ModuleType

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from theory import InputError, Model

from .dataset import common_attributes, statistics_dataset
from .flow import check_times
from .kernel import compile_kernel
from .layout import realise_weights
from .state import Array, Parameters, State, as_integer, check_parameters, check_state

# A pre-activation beyond this is a diverged run: exp of it no longer separates classes, and every model of
# interest keeps its pre-activations many orders below.
DIVERGED = 1e9
# Seconds of simulation between looks at the interrupt flag and the progress callback.
SLICE_SECONDS = 0.2


class DivergenceError(ArithmeticError):
    """SGD diverged.  ``partial`` holds what was recorded, ``reached`` the last time before it happened."""

    def __init__(self, message: str, reached: float, partial: xr.Dataset) -> None:
        super().__init__(message)
        self.reached = reached
        self.partial = partial


class SimulationInterrupted(KeyboardInterrupt):
    """The user interrupted the simulation.  ``partial`` holds the largest complete block of replicas and times."""

    def __init__(self, partial: xr.Dataset) -> None:
        super().__init__("simulation interrupted; what was recorded is kept")
        self.partial = partial


def simulate_sgd(
    model: Model,
    parameters: Parameters,
    initial: State | Sequence[State],
    time: ArrayLike,
    dimension: int,
    replicas: int = 1,
    seed: int = 0,
    *,
    workers: int | None = None,
    keep_weights: bool = False,
    progress: Callable[[float], None] | None = None,
) -> xr.Dataset:
    r"""Simulate online SGD in d dimensions and record the summary statistics.

    .. math:: Y=\mu_l+Z/\sqrt\lambda,\qquad x^a\leftarrow x^a-\delta\,(g_aY+\beta x^a),\qquad
              v_i\leftarrow v_i-\delta\,(\partial_{v_i}\ell+\beta v_i),\qquad \delta=c_\delta/d

    with a fresh component l and noise Z each step (mathematics.md section 1).  The law of the noise is
    rotation invariant, so coordinates are chosen with the directions in the first r of them.

    Parameters
    ----------
    model : theory.Model
    parameters : Parameters
    initial : State, or one State per replica
        Realised exactly: the weights at step 0 have these overlaps and this Gram matrix.
    time : array, or float
        Increasing times >= 0 at which to record; a number T means 201 equidistant times on [0, T].  A record is
        taken after ``round(t d / c_delta)`` steps, and the returned coordinate is that number of steps times
        delta, so a label is exact; times that fall on the same step are recorded once.
    dimension : int
        d >= r + C.
    replicas : int
        Independent runs.
    seed : int
        Root of a numpy SeedSequence; replica i uses its i-th child, whatever the number of workers.
    workers : int, optional
        Threads; all processors when omitted.  The result does not depend on it.
    keep_weights : bool
        Also return the final first-layer ``weights`` (replica, unit, coordinate).
    progress : callable, optional
        Called with the fraction done, at most a few times a second.

    Returns
    -------
    xarray.Dataset
        ``overlap`` (replica, time, unit, direction), ``gram_perp`` (replica, time, unit, unit_b), ``readout``
        (replica, time, parameter), ``gram``, ``misalignment``; attrs with dimension, seed and versions.

    Raises
    ------
    theory.InputError
        Before any work, for bad values.
    DivergenceError
        A run diverged; carries the partial result.
    SimulationInterrupted
        On Ctrl-C; carries the partial result.

    Examples
    --------
    >>> from theory import kgmm
    >>> run = simulate_sgd(kgmm(2), Parameters([0.5, 0.5], 10, 0.1, 1), State([[0, 0], [0, 0]], [[1, 0], [0, 1]]),
    ...                    time=[0.0, 0.5], dimension=20, replicas=3, seed=1)
    >>> dict(run.overlap.sizes)
    {'replica': 3, 'time': 2, 'unit': 2, 'direction': 2}
    """
    check_parameters(model, parameters)
    dimension = as_integer(
        "dimension", dimension, model.directions + model.units,
        "the summary directions alone need r + C dimensions; use a larger d",
    )
    replicas = as_integer("replicas", replicas, 1, "ask for at least one run")
    seed = as_integer("seed", seed, 0, "seeds are non-negative integers")
    states = _initial_states(model, initial, replicas)
    delta = parameters.step / dimension
    steps = np.unique(np.rint(check_times(time) / delta).astype(np.int64))
    threads = os.cpu_count() if workers is None else as_integer("workers", workers, 1, "use at least one thread")
    kernel = compile_kernel(model.loss)

    recorder = _Recorder(model, parameters, dimension, steps, replicas)
    final = np.empty((replicas, model.units, dimension)) if keep_weights else None
    stop = Event()
    children = np.random.SeedSequence(seed).spawn(replicas)

    setting = _Setting(model, parameters, dimension)

    def run(replica: int) -> None:
        rng = np.random.Generator(np.random.SFC64(children[replica]))
        try:
            x = _run_replica(kernel, setting, states[replica], rng, recorder, replica, stop, progress)
        except BaseException:
            stop.set()  # the result is lost already: the other replicas need not go on
            raise
        if final is not None:
            final[replica] = x

    pool = ThreadPoolExecutor(max_workers=threads)
    try:
        futures = [pool.submit(run, i) for i in range(replicas)]
        for future in futures:
            future.result()
    except KeyboardInterrupt:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)
        raise SimulationInterrupted(recorder.dataset(seed, delta)) from None
    except _Diverged as event:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)
        remedy = "reduce step (c_delta) or enlarge dimension"
        shrink = 1 - delta * parameters.ridge
        if shrink < -1:
            remedy = (
                f"reduce ridge: a step multiplies the weights by 1 - delta * ridge = {shrink:.3g}, which alone makes "
                f"them grow for delta * ridge > 2; or {remedy}"
            )
        raise DivergenceError(
            f"SGD on {model.name} diverged at t = {event.time:.6g} (replica {event.replica + 1} of {replicas}, "
            f"d = {dimension}, step delta = {delta:.3g}): a pre-activation left [-{DIVERGED:g}, {DIVERGED:g}]. "
            f"What was recorded before is in .partial. Remedy: {remedy}",
            event.time, recorder.dataset(seed, delta),
        ) from None
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)
    data = recorder.dataset(seed, delta)
    if final is not None:
        data["weights"] = (
            ("replica", "unit", "coordinate"), final,
            {"long_name": "final first-layer weights; directions span the first coordinates", "units": "1"},
        )
    return data


@dataclass
class _Diverged(Exception):
    replica: int
    time: float


def _initial_states(model: Model, initial: State | Sequence[State], replicas: int) -> list[State]:
    states = [initial] * replicas if isinstance(initial, State) else list(initial)
    if len(states) != replicas:
        raise InputError(
            "initial", f"{len(states)} states", f"one State, or {replicas} (one per replica)",
            "give as many states as replicas",
        )
    for state in dict.fromkeys(map(id, states)):
        check_state(model, next(s for s in states if id(s) == state))
    return states


class _Setting:
    """What the kernel needs of model and parameters, laid out once for all replicas."""

    def __init__(self, model: Model, parameters: Parameters, dimension: int) -> None:
        self._parameters, self._dimension = parameters, dimension
        r = model.directions
        blank = State(
            np.zeros((model.units, r)), np.zeros((model.units,) * 2), np.zeros(model.readout_size)
        )
        directions, _ = realise_weights(parameters, blank, dimension)
        self.corner = np.ascontiguousarray(directions[:, :r])
        coordinates = np.array(model.mixture.coordinates.tolist(), dtype=float)
        self.means = np.ascontiguousarray(coordinates @ self.corner)
        self.labels = np.array([float(y) for y in model.mixture.labels])
        self.cumulative = np.cumsum(parameters.weights)
        self.scale = 1.0 / np.sqrt(parameters.precision)
        self.delta = parameters.step / dimension
        self.ridge = parameters.ridge

    def weights(self, state: State) -> Array:
        """Fresh first-layer weights that realise ``state``."""
        return np.array(realise_weights(self._parameters, state, self._dimension)[1], order="C")


class _Recorder:
    """Summary statistics on the time grid, one slot per replica; knows how far each replica got."""

    def __init__(
        self, model: Model, parameters: Parameters, dimension: int, steps: NDArray[np.int64], replicas: int
    ) -> None:
        self.model, self.parameters, self.dimension, self.steps = model, parameters, dimension, steps
        c, r = model.units, model.directions
        self.overlap: Array = np.full((replicas, steps.size, c, r), np.nan)
        self.gram_perp: Array = np.full((replicas, steps.size, c, c), np.nan)
        self.readout: Array = np.full((replicas, steps.size, model.readout_size), np.nan)
        self.recorded = np.zeros(replicas, dtype=np.int64)
        self.done = np.zeros(replicas, dtype=np.int64)
        self._last = 0.0

    def report(self, progress: Callable[[float], None] | None) -> None:
        if progress is None:
            return
        total = max(int(self.steps[-1]), 1) * self.done.size
        now = monotonic()
        if now - self._last > SLICE_SECONDS or self.done.sum() == total:
            self._last = now
            progress(min(1.0, float(self.done.sum()) / total))

    def dataset(self, seed: int, delta: float) -> xr.Dataset:
        """The largest complete block of records: all of a finished run; of a stopped one the replicas and times that
        keep most numbers (replicas x times), without gaps."""
        counts = [(int(np.sum(self.recorded >= n)) * n, n) for n in np.unique(self.recorded)]
        count = int(max(counts)[1])
        kept = np.flatnonzero(self.recorded >= count)
        attributes = common_attributes(self.model, self.parameters, "direct SGD simulation") | {
            "dimension": self.dimension,
            "seed": seed,
            "bit_generator": "SFC64, one SeedSequence child per replica",
            "step_size": delta,
            "complete": int(self.recorded.min() == self.steps.size),
            "error_estimate": 0.0,
            "error_meaning": "none: a simulation is exact at its dimension; spread over replicas is its noise",
        }
        data = statistics_dataset(
            self.model, self.parameters, np.asarray(self.steps[:count] * delta, dtype=float),
            self.overlap[kept, :count], self.gram_perp[kept, :count], self.readout[kept, :count],
            attributes, lead=("replica",),
        )
        data = data.assign_coords(replica=kept + 1)
        data["steps"] = ("time", self.steps[:count], {"long_name": "number of SGD steps", "units": "1"})
        return data


def _run_replica(
    kernel: ModuleType, setting: _Setting, state: State, rng: np.random.Generator,
    recorder: _Recorder, replica: int, stop: Event, progress: Callable[[float], None] | None,
) -> Array:
    x, v = setting.weights(state), state.readout.copy()
    scratch = np.empty(recorder.dimension)
    slice_steps, at, total = 1024, 0, int(recorder.steps[-1])
    while not stop.is_set():
        begin = monotonic()
        target = min(total, at + slice_steps)
        reached, slot = kernel.advance(
            rng, setting.cumulative, setting.labels, setting.means, setting.scale, x, v, setting.delta,
            setting.ridge, at, target, recorder.steps, int(recorder.recorded[replica]), setting.corner,
            recorder.overlap[replica], recorder.gram_perp[replica], recorder.readout[replica],
            DIVERGED, scratch,
        )
        recorder.recorded[replica] = slot
        recorder.done[replica] = at = reached
        if reached < target:
            raise _Diverged(replica, reached * setting.delta)
        recorder.report(progress)
        if at >= total:
            break
        if monotonic() - begin < SLICE_SECONDS / 2:
            slice_steps *= 2
    return x

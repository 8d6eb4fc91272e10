"""Simulation of online SGD: in d dimensions, or as the exact chain of its summary statistics."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event

import numpy as np
import sympy as sp
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from numerics.core.errors import DivergenceError, SimulationInterrupted
from numerics.core.problem import Problem
from numerics.core.schedule import Pace, Schedule
from numerics.core.state import State
from numerics.core.takes_problem import takes_problem
from numerics.core.validation import Array, as_integer
from numerics.sgd.kernel.direct import DirectArrays
from numerics.sgd.kernel.source import METHODS, compile_kernel
from theory import InputError
from theory.errors import check_choice

from .banded_arrays import refuse_for_bands
from .chain import Chain, check_rule
from .noise import Noise, Sampler
from .recorder import Recorder
from .replica import Launch, run_replica, run_replicas
from .run_size import MOST_BATCH_NUMBERS, batch_numbers, check_size

# A pre-activation beyond this is a diverged run: exp of it no longer separates classes, and every
# model of interest keeps its pre-activations many orders below.
DIVERGED = 1e9
FRAMES = ("coordinate", "random")


@takes_problem(bands=True, tokens=True)
def simulate_sgd(
    problem: Problem,
    initial: State | Sequence[State],
    time: ArrayLike,
    dimension: int,
    replicas: int = 1,
    seed: int = 0,
    *,
    method: str = "direct",
    batch: int = 1,
    schedule: sp.Expr | Callable[[Array], Array] | None = None,
    noise: str | Sampler | Noise = "gaussian",
    frame: str | None = None,
    workers: int | None = None,
    keep_weights: bool = False,
    progress: Callable[[float], None] | None = None,
) -> xr.Dataset:
    r"""Simulate online SGD and record the summary statistics.

    .. math:: Y_j=\mu_{l_j}+Z_j/\sqrt\lambda,\qquad
              x^a\leftarrow x^a-\delta\,\Big(\frac1b\sum_{j\le b}g_{aj}Y_j+\beta x^a\Big),\qquad
              v_i\leftarrow v_i-\delta\,\Big(\frac1b\sum_{j\le b}\partial_{v_i}\ell_j+\beta v_i\Big)

    with fresh components l_j and noises Z_j each step and :math:`\delta=c_\delta/d`, times
    ``schedule(t)`` where one is given (mathematics.md section 1).  Gaussian noise is rotation
    invariant: the summary statistics are then a Markov chain of their own, which
    ``method="reduced"`` runs at a cost that does not depend on d, exact in law at any d
    (mathematics.md section 6; :mod:`numerics.sgd.kernel.reduced`).  The direct method is its
    independent witness, and the only one for other noise.

    Parameters
    ----------
    problem : Problem
        Or a model and Parameters in its place.
    initial : State, or one State per replica
        Realised exactly: the weights at step 0 have these overlaps and this Gram matrix.
    time : array, or float
        Increasing times >= 0 at which to record; a number T means 201 equidistant times on [0, T].
        A record is taken after ``round(t d / c_delta)`` steps, and the returned coordinate is that
        number of steps times c_delta / d, so a label is exact; times that fall on the same step are
        recorded once.
    dimension : int
        d >= r + C.
    replicas : int
        Independent runs.
    seed : int
        Root of a numpy SeedSequence; replica i uses its i-th child, whatever the number of workers.
    method : {"direct", "reduced"}
        Both have the same law; they use different random numbers.
    batch : int
        b >= 1, fresh samples averaged in a step.
    schedule : sympy.Expr in t, or callable
        Factor of the step size at the nominal time t = steps * c_delta / d: an expression in
        ``sa.TIME``, or a function of an array of times.  Positive.
    noise : str or callable
        Law of the independent entries of sqrt(lambda) Z, mean 0 and variance 1: "gaussian",
        "rademacher", "uniform" or "student:NU" with NU > 2 degrees of freedom; or a function
        (generator, (count, d)) that returns that many noise vectors of covariance I.  Other noise
        than Gaussian needs the direct method.
    frame : {"coordinate", "random"}, optional
        Where directions and initial weights lie.  "coordinate": in the first r + C coordinates,
        "random": in a uniformly random subspace, another one in each replica.  Their laws differ
        unless the noise is Gaussian; coordinate for Gaussian noise and random for other noise when
        omitted.
    workers : int, optional
        Threads; all processors when omitted.  The result does not depend on it.
    keep_weights : bool
        Also return the final first-layer ``weights`` (replica, unit, coordinate), and in a random
        frame the ``directions`` (replica, direction, coordinate).  Direct method only.
    progress : callable, optional
        Called with the fraction done, at most a few times a second.

    Returns
    -------
    xarray.Dataset
        ``overlap`` (replica, time, unit, direction), ``gram_perp`` (replica, time, unit, unit_b),
        ``readout`` (replica, time, parameter), ``gram``, ``misalignment``; attrs with method,
        dimension, seed and versions.

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
    >>> problem = Problem(kgmm(2), weights=[0.5, 0.5], precision=10, ridge=0.1, step=1)
    >>> run = simulate_sgd(problem, State.zero(problem), time=[0.0, 0.5], dimension=10**6,
    ...                    replicas=3, seed=1, method="reduced")
    >>> dict(run.overlap.sizes)
    {'replica': 3, 'time': 2, 'unit': 2, 'direction': 2}
    """
    law = check_method(method, noise, frame, keep_weights)
    model = problem.model
    dimension = as_integer(
        "dimension",
        dimension,
        model.directions + model.units,
        "the summary directions alone need d >= r + C: give a larger d, a whole number",
    )
    check_rule(model, method, dimension)
    replicas = as_integer("replicas", replicas, 1, "ask for at least one run")
    seed = as_integer("seed", seed, 0, "seeds are non-negative integers")
    batch = as_integer("batch", batch, 1, "a step needs at least one sample")
    step = problem.parameters.step
    check_size(model, step, time, dimension, replicas, method=method, batch=batch)
    states = _initial_states(problem, initial, replicas)
    if frame is None:
        frame = "coordinate" if law.kind == "gaussian" else "random"
    if model.mixture.bands is not None:
        refuse_for_bands(frame, keep_weights)
    chain = Chain(problem, dimension, method, Pace(Schedule.of(schedule), batch), law, frame)
    for state in {id(s): s for s in states}.values():
        chain.placed(state)  # refuses what no weights have, before any work
    steps = chain.steps(time)
    threads = os.cpu_count()
    if workers is not None:
        threads = as_integer("workers", workers, 1, "use at least one thread")
    kept = batch_numbers(model, dimension, method, batch)
    if batch > 1:
        threads = min(threads or 1, max(1, MOST_BATCH_NUMBERS // kept))
    runs = _Runs(chain, states, steps, seed, keep_weights, progress)
    runs.finish(threads)
    return runs.dataset()


class _Runs:
    """All replicas of one simulation: what they share, and what each leaves behind."""

    def __init__(
        self,
        chain: Chain,
        states: list[State],
        steps: NDArray[np.int64],
        seed: int,
        keep_weights: bool,
        progress: Callable[[float], None] | None,
    ) -> None:
        self.chain, self.states = chain, states
        self.recorder = Recorder(chain.problem, steps, len(states), chain.attributes(seed))
        self.stop = Event()
        rule, own = chain.kernel_rule, {}
        if chain.model.mixture.bands is not None:
            own["banded"] = True
        plain = () if rule is None else (rule,)
        kernel = compile_kernel(chain.kernel_loss, chain.method, *plain, **own)
        shared = kernel, chain, seed, self.recorder, self.stop, progress, DIVERGED
        self.launch = Launch(*shared)
        rows = chain.model.units, chain.model.directions
        shapes = [(len(states), n, chain.dimension) for n in rows]
        self.weights = np.empty(shapes[0]) if keep_weights else None
        # in coordinates the directions are where everybody knows them to be
        turned = keep_weights and chain.frame == "random"
        self.directions = np.empty(shapes[1]) if turned else None

    def run(self, first: int, count: int) -> None:
        """Run replicas to their ends."""
        if self.stop.is_set():
            return
        try:
            if count > 1:
                states = self.states[first : first + count]
                diverged = first + run_replicas(self.launch, states, first)
            else:
                diverged = first + self.run_one(first)
            if diverged < first + count:
                raise _Diverged(diverged, int(self.recorder.done[diverged]) * self.chain.delta)
        except BaseException:
            self.stop.set()  # the result is lost already: the other replicas need not go on
            raise

    def run_one(self, replica: int) -> bool:
        """Run one replica, and keep its weights where they are asked for; False if it diverged."""
        arrays = run_replica(self.launch, self.states[replica], replica)
        if self.weights is not None and isinstance(arrays, DirectArrays):
            self.weights[replica] = arrays.x
            if self.directions is not None:
                self.directions[replica] = arrays.factor @ arrays.basis
        return arrays is not None

    def finish(self, threads: int | None) -> None:
        """Run all replicas on threads; what ends one of them ends all, with what was recorded."""
        pool = ThreadPoolExecutor(max_workers=threads)
        count = len(self.states)
        together = 1
        if self.weights is None:
            # enough calls to keep all threads busy until the end
            share = -(-count // (4 * (threads or 1)))
            together = self.chain.together(int(self.recorder.steps[-1]), share)

        def halt() -> None:
            # records are read only when no thread writes any more
            self.stop.set()
            pool.shutdown(wait=True, cancel_futures=True)

        try:
            for future in [
                pool.submit(self.run, i, min(together, count - i))
                for i in range(0, count, together)
            ]:
                future.result()
        except KeyboardInterrupt:
            halt()
            raise SimulationInterrupted(self.recorder.dataset(self.chain.delta)) from None
        except _Diverged as event:
            halt()
            raise self.divergence(event) from None
        finally:
            halt()

    def divergence(self, event: _Diverged) -> DivergenceError:
        """When and where a run diverged, and what may help."""
        delta, ridge = self.chain.delta, self.chain.parameters.ridge
        remedy = "reduce step (c_delta) or enlarge dimension"
        factor = 1 - delta * ridge
        if factor < -1:
            remedy = (
                f"reduce ridge: a step multiplies the weights by 1 - delta * ridge = {factor:.3g}, "
                f"which alone makes them grow for delta * ridge > 2; or {remedy}"
            )
        return DivergenceError(
            f"SGD on {self.chain.model.name} diverged at t = {event.time:.6g} "
            f"(replica {event.replica + 1} of {len(self.states)}, d = {self.chain.dimension}, "
            f"step delta = {delta:.3g}): a pre-activation left [-{DIVERGED:g}, {DIVERGED:g}]. "
            f"What was recorded before is in .partial. Remedy: {remedy}",
            event.time,
            self.recorder.dataset(delta),
        )

    def dataset(self) -> xr.Dataset:
        """All records, and final weights and directions where they are kept."""
        data = self.recorder.dataset(self.chain.delta)
        if self.weights is not None:
            fixed = self.chain.frame == "coordinate"
            where = "; directions span the first coordinates" if fixed else ""
            described = {"long_name": f"final first-layer weights{where}", "units": "1"}
            data["weights"] = (("replica", "unit", "coordinate"), self.weights, described)
        if self.directions is not None:
            described = {"long_name": "directions e_s", "units": "1"}
            data["directions"] = (
                ("replica", "direction", "coordinate"),
                self.directions,
                described,
            )
        return data


@dataclass
class _Diverged(Exception):
    replica: int
    time: float


def check_method(
    method: str,
    noise: str | Sampler | Noise = "gaussian",
    frame: str | None = None,
    keep_weights: bool = False,
) -> Noise:
    """The law of the noise; what only the direct method can do is refused to the other."""
    check_choice("method", method, METHODS)
    law = Noise.of(noise)
    if frame is not None:
        check_choice("frame", frame, FRAMES)
    if method == "direct":
        return law
    asked = {
        "noise": (str(law), law.kind != "gaussian"),
        "frame": (frame, frame == "random"),
        "keep_weights": (str(keep_weights), keep_weights),
    }
    for name, (got, refused) in asked.items():
        if refused:
            remedy = (
                "the reduced chain knows the summary statistics of Gaussian noise alone; "
                "use method='direct'"
            )
            if name == "keep_weights":
                remedy += ", or sa.realise_weights of a final state"
            raise InputError(name, str(got), f"nothing of the kind for method {method!r}", remedy)
    return law


def _initial_states(
    problem: Problem, initial: State | Sequence[State], replicas: int
) -> list[State]:
    if isinstance(initial, State) or not isinstance(initial, Sequence) or isinstance(initial, str):
        return [problem.check_state(initial, "initial")] * replicas
    states = [problem.check_state(state, "initial") for state in initial]
    if len(states) != replicas:
        raise InputError(
            "initial",
            f"{len(states)} states",
            f"one State, or {replicas} (one per replica)",
            "give as many states as replicas",
        )
    return states

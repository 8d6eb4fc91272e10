"""Replicas of a simulation: one in slices of steps until its end, or many short ones at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event
from time import monotonic
from types import ModuleType

import numpy as np

from numerics.core.state import State
from numerics.core.validation import Array
from numerics.sgd.kernel.banded import BandedDirectArrays
from numerics.sgd.kernel.direct import DirectArrays

from .chain import MOST_RATES, Arrays, Chain
from .generators import States, sfc64_states
from .recorder import SLICE_SECONDS, Recorder


@dataclass(frozen=True)
class Launch:
    """What the runs of a simulation share besides their chain.

    Attributes
    ----------
    kernel : module
        Of :func:`numerics.sgd.kernel.source.compile_kernel`.
    chain : Chain
    seed : int
        Root; replica i draws from its i-th child.
    recorder : Recorder
    stop : Event
        Set when the runs need not go on.
    progress : callable, optional
    limit : float
        A pre-activation beyond it is a diverged run.
    """

    kernel: ModuleType
    chain: Chain
    seed: int
    recorder: Recorder
    stop: Event
    progress: Callable[[float], None] | None
    limit: float

    def child(self, replica: int) -> np.random.SeedSequence:
        """The seed of a replica."""
        return np.random.SeedSequence(self.seed, spawn_key=(replica,))

    def advance(
        self, first: int, generators: States, starts: Array, readouts: Array, arrays: Arrays
    ) -> Callable[[Array, int, int], int]:
        """A function of step sizes, begin and end that takes these steps of the replicas from
        ``first`` on; see the kernel.
        """
        chain, recorder = self.chain, self.recorder
        rows = slice(first, first + len(generators))
        state = np.empty(4, np.uint64)
        v, u = np.empty(chain.model.readout_size), np.empty(len(chain.kernel_loss.fields))
        loss = chain.kernel_loss
        g = np.empty((chain.batch, len(loss.variables) + len(loss.statistics)))
        held = chain.held
        own = chain.kernel_arrays(arrays)

        def take(rates: Array, begin: int, end: int) -> int:
            ended: int = self.kernel.advance(
                state,
                generators,
                starts,
                readouts,
                chain.problem.labels,
                rates,
                chain.parameters.ridge,
                begin,
                end,
                recorder.steps,
                recorder.recorded[rows],
                recorder.done[rows],
                recorder.overlap[rows],
                recorder.gram_perp[rows],
                recorder.readout[rows],
                self.limit,
                u,
                v,
                g,
                own,
                *held,
            )
            return ended

        return take


def run_replicas(launch: Launch, states: Sequence[State], first: int) -> int:
    """Run short replicas, one a state, from ``first`` on, in one call of the kernel.

    Returns the number of those that came to the end: the next one diverged.
    """
    chain, count = launch.chain, len(states)
    total = int(launch.recorder.steps[-1])
    take = launch.advance(
        first,
        sfc64_states(launch.seed, first, count),
        np.array([chain.placed(state) for state in states]),
        np.array([state.readout for state in states]),
        chain.arrays(states[0], launch.child(first)),
    )
    ended = take(chain.rates(0, total), 0, total)
    launch.recorder.report(launch.progress)
    return ended


def run_replica(launch: Launch, state: State, replica: int) -> Arrays | None:
    """Run one replica to the end, or until ``stop``; returns its arrays, None if it diverged."""
    chain, recorder, seed = launch.chain, launch.recorder, launch.child(replica)
    arrays = chain.arrays(state, seed)
    starts = chain.placed(state)
    if chain.frame == "random" and isinstance(arrays, DirectArrays):
        starts = arrays.x.copy()
    entries = (
        np.random.Generator(np.random.SFC64(seed.spawn(1)[0])) if chain.noise.sampler else None
    )
    # one alone is made faster by NumPy
    generators = np.array([np.random.SFC64(launch.child(replica)).state["state"]["state"]])
    take = launch.advance(replica, generators, starts[None], state.readout[None], arrays)
    slice_steps, at, total = 1024, 0, int(recorder.steps[-1])
    while not launch.stop.is_set():
        begin = monotonic()
        target = min(total, at + slice_steps)
        if entries is not None and isinstance(arrays, (DirectArrays, BandedDirectArrays)):
            # whole blocks, so that the numbers do not depend on how long a slice took
            target = min(total, at + chain.block_steps)
            shape = (chain.block_steps * chain.rows, chain.dimension)
            drawn = chain.noise.draw(entries, shape)
            arrays.block[:] = drawn.reshape(arrays.block.shape)
        if chain.pace.schedule is not None:
            target = min(target, at + MOST_RATES)
        ended = take(chain.rates(at, target), at, target)
        if not ended:
            return None
        at = target
        recorder.report(launch.progress)
        if at >= total:
            break
        if monotonic() - begin < SLICE_SECONDS / 2:
            slice_steps *= 2
    return arrays

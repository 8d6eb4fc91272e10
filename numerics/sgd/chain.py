"""The Markov chain that the replicas of a simulation run: its numbers and its arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from numerics.core.flatten import free_values
from numerics.core.geometry import span_basis
from numerics.core.parameters import Parameters
from numerics.core.problem import Problem
from numerics.core.schedule import Pace
from numerics.core.state import State
from numerics.core.validation import Array, check_times
from numerics.sgd.kernel.banded import BandedDirectArrays, BandedReducedArrays
from numerics.sgd.kernel.direct import DirectArrays
from numerics.sgd.kernel.reduced import BLOCK, ReducedArrays
from numerics.sgd.kernel.ruled import RuleArrays
from numerics.sgd.kernel.velocities import mixing, with_velocities
from theory import InputError, Loss, Model
from theory.problem.updating.rule import Rule, rule_of
from theory.problem.updating.update import Update

from .banded_arrays import BandedFrame, direct_arrays, reduced_arrays
from .noise import LAWS, Noise

Arrays = DirectArrays | ReducedArrays | BandedDirectArrays | BandedReducedArrays
# numbers in a block of noise of a user's sampler, and step sizes of a schedule laid out at once
BLOCK_NUMBERS = 2**20
MOST_RATES = 2**16
# operations of one call of the kernel that takes many replicas to their ends: a tenth of a second
CALL_OPERATIONS = 1e8


@dataclass(frozen=True)
class Chain:
    """What all replicas share: the Markov chain that is run, every part of it checked."""

    problem: Problem
    dimension: int
    method: str
    pace: Pace
    noise: Noise
    frame: str
    # coordinates of the weights at each initial state, by its id; the state is held because the id
    # of one that is gone may be given to another
    _placements: dict[int, tuple[State, Array]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def model(self) -> Model:
        """The model of the problem."""
        return self.problem.model

    @property
    def parameters(self) -> Parameters:
        """The numbers of the problem."""
        return self.problem.parameters

    @property
    def batch(self) -> int:
        """Samples a step."""
        return self.pace.batch

    @property
    def rows(self) -> int:
        """Features a step: those of all tokens of its samples."""
        return self.batch * self.model.tokens

    @property
    def delta(self) -> float:
        """The nominal step size c_delta / d."""
        return self.parameters.step / self.dimension

    def steps(self, time: ArrayLike) -> NDArray[np.int64]:
        """Numbers of steps at which to record; a schedule is looked at up to the last."""
        steps = np.unique(np.rint(check_times(time) / self.delta).astype(np.int64))
        if self.pace.schedule is not None:
            self.pace.schedule.check(int(steps[-1]), self.delta)
        return steps

    def attributes(self, seed: int) -> dict[str, Any]:
        """What a result says about how it was simulated."""
        return {
            "source": f"{self.method} SGD simulation",
            "method": self.method,
            "dimension": self.dimension,
            "seed": seed,
            "bit_generator": "SFC64, one SeedSequence child per replica",
            "step_size": self.delta,
            **self.pace.attributes,
            "noise": str(self.noise),
            "frame": self.frame,
        }

    @cached_property
    def factor(self) -> Array:
        """Lower Cholesky factor of Gamma."""
        return np.asarray(np.linalg.cholesky(self.parameters.directions_gram), dtype=float)

    @cached_property
    def means(self) -> Array:
        """Means of the components in orthonormal coordinates of the span of the directions."""
        return self.problem.coordinates @ self.factor

    @property
    def block_steps(self) -> int:
        """Steps in a block of noise of a user's sampler."""
        return max(1, BLOCK_NUMBERS // (self.rows * self.dimension))

    def rates(self, begin: int, end: int) -> Array:
        """Step sizes from ``begin`` to ``end``; a single one where it does not change."""
        if self.pace.schedule is None:
            return np.array([self.delta])
        return self.pace.schedule.rates(begin, max(end, begin + 1), self.delta)

    @property
    def operations(self) -> float:
        """Multiplications of a step, roughly."""
        width = (
            self.dimension
            if self.method == "direct"
            else 4 * (self.model.units + self.model.directions)
        )
        return self.rows * width * (self.model.units + self.model.directions)

    def together(self, steps: int, replicas: int) -> int:
        """Replicas that one call of the kernel takes to the end, in a moment; 1 for any number."""
        apart = self.frame == "random" or self.noise.sampler is not None
        if apart or (self.pace.schedule is not None and steps > MOST_RATES):
            return 1
        return int(min(max(1.0, CALL_OPERATIONS / (steps * self.operations + 1e3)), replicas))

    @cached_property
    def banded(self) -> BandedFrame | None:
        """Coordinates of all bands, where the noise has them."""
        if self.model.mixture.bands is None:
            return None
        return BandedFrame(self.problem, self.dimension, self.kernel_loss.units)

    def placed(self, state: State) -> Array:
        """Coordinates of the weights in the basis of :func:`numerics.core.geometry.span_basis`, or
        in those of all bands.
        """
        if id(state) not in self._placements:
            if self.banded is not None:
                found = self.banded.placed(state)
            else:
                found = span_basis(self.parameters, state).weights
                # velocities begin at rest
                rest = self.kernel_loss.units - len(found)
                found = np.concatenate([found, np.zeros((rest, found.shape[1]))])
            self._placements[id(state)] = state, found
        return self._placements[id(state)][1]

    def arrays(self, state: State, seed: np.random.SeedSequence) -> Arrays:
        """What the kernel works on, at weights of the given state."""
        if self.banded is not None:
            if self.method == "reduced":
                return reduced_arrays(self.banded, self.batch)
            return direct_arrays(self.banded, self.noise, self.batch, self.block_steps)
        return self._direct(state, seed) if self.method == "direct" else self._reduced(state)

    @cached_property
    def kernel_rule(self) -> Rule | None:
        """The rule of the model; that of its plain gradient where statistics have to move too, and
        that of units and velocities in a chain with momentum.
        """
        model = self.model
        if model.rule is None and model.loss.statistics:
            return rule_of(Update(), model.loss, model.mixture, model.ridge)
        if self._has_velocities and model.rule is not None:
            return with_velocities(model.rule)[1]
        return model.rule

    @cached_property
    def kernel_loss(self) -> Loss:
        """The loss of the model; of units and velocities in a chain with momentum."""
        if self._has_velocities and self.kernel_rule is not None:
            return self.kernel_rule.loss
        return self.model.loss

    @property
    def _has_velocities(self) -> bool:
        rule = self.model.rule
        return self.method == "reduced" and rule is not None and rule.momentum != 0

    @property
    def held(self) -> tuple[Array, ...]:
        """An argument for what the loss holds beside a sample: free parameters, and room for
        statistics.
        """
        loss = self.model.loss
        if not loss.beside:
            return ()
        free = free_values(self.model, self.parameters)
        return (np.concatenate([free, np.zeros(len(loss.statistics))]),)

    def kernel_arrays(self, arrays: Arrays) -> Any:
        """What the kernel takes: the arrays, and beside them the numbers of a rule of the model."""
        rule = self.kernel_rule
        if rule is None:
            return arrays
        width = self.dimension if self.method == "direct" else self.model.directions
        # bands know no projected steps
        means = self.means if self.banded is None else np.zeros((1, self.model.directions))
        mixed = mixing(rule) if self._has_velocities else None
        numbers = RuleArrays.build(rule, self.parameters.ridge, width, means, mixed)
        return arrays, numbers

    def _direct(self, state: State, seed: np.random.SeedSequence) -> DirectArrays:
        c, r, d = self.model.units, self.model.directions, self.dimension
        block = np.empty((self.block_steps if self.noise.sampler else 0, self.rows, d))
        placed = self.placed(state)
        x = np.zeros((c, d))
        x[:, : placed.shape[1]] = placed
        basis, means = np.eye(r), self.means
        if self.frame == "random":
            generator = np.random.default_rng(seed.spawn(1)[0])
            frame = np.linalg.qr(generator.standard_normal((d, r + c)))[0].T
            x, basis, means = x[:, : r + c] @ frame, frame[:r], means @ frame[:r]
        return DirectArrays(
            x=np.array(x, order="C"),
            features=np.empty((self.rows, d)),
            means=np.array(means, order="C"),
            basis=np.array(basis, order="C"),
            factor=np.array(self.factor, order="C"),
            cumulative=np.cumsum(self.parameters.weights),
            scale=1.0 / np.sqrt(self.parameters.precision),
            law=LAWS.index(self.noise.kind),
            degrees=self.noise.degrees,
            block=block,
            along=np.empty(r),
        )

    def _reduced(self, state: State) -> ReducedArrays:
        c, r, b = self.kernel_loss.units, self.model.directions, self.rows
        placed, ranks, block = self.placed(state), min(b, c), max(1, BLOCK // b)
        a_perp = np.zeros((c, c + ranks))
        a_perp[:, : placed.shape[1] - r] = placed[:, r:]
        return ReducedArrays(
            m=np.array(placed[:, :r], order="C"),
            a_perp=a_perp,
            y=np.empty((b, r)),
            zeta=np.empty((b, c)),
            triangle=np.empty((c, b)),
            means=np.array(self.means, order="C"),
            factor=np.array(self.factor, order="C"),
            cumulative=np.cumsum(self.parameters.weights),
            scale=1.0 / np.sqrt(self.parameters.precision),
            tail=float(self.dimension - r - c),
            position=np.array([block]),
            noise=np.empty((block, b, r + c)),
            wishart=np.zeros((block, ranks, ranks)),
            component=np.empty((block, self.batch), dtype=np.int64),
        )


def check_rule(model: Model, method: str, dimension: int) -> None:
    """The reduced chain has rows for velocities where the dimension has room; bands look on their
    own.
    """
    without = model.rule is None or model.rule.momentum == 0
    if method != "reduced" or without or model.mixture.bands is not None:
        return
    least = model.directions + 2 * model.units
    if dimension < least:
        expected = f"d >= {least}, for directions, units and their velocities"
        raise InputError("dimension", dimension, expected, "take a larger one, or method='direct'")

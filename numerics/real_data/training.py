"""Online SGD on samples that are drawn from a data set with replacement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from numerics.core.validation import Array
from numerics.data.risk import classifier
from numerics.data.samples import SampleData
from numerics.data.train_data import train_data
from numerics.data.user_data import user_data
from theory import InputError, Mixture, Model, softmax_cross_entropy
from theory.keywords import with_known_keywords
from theory.problem.mlp import mlp

from .fitted_mixture import FittedMixture
from .labelled_data import LabelledData

# squared length of a weight vector of a network at the start, and spread of its later layers
START_LENGTH, START_READOUT = 1.0, 0.5


@with_known_keywords
@dataclass(frozen=True)
class SoftmaxNetwork:
    """What is trained: softmax regression, or a network with one hidden layer.

    Attributes
    ----------
    hidden : int
        Hidden units; 0 for softmax regression.
    activation : str
    ridge, step : float
        beta and c_delta.

    Examples
    --------
    >>> from theory import kgmm
    >>> SoftmaxNetwork(ridge=0.1).model(kgmm(3).mixture).units
    3
    >>> SoftmaxNetwork(hidden=4).model(kgmm(3).mixture).units
    4
    """

    hidden: int = 0
    activation: str = "tanh"
    ridge: float = 0.0
    step: float = 1.0

    def model(self, mixture: Mixture) -> Model:
        """The model on a mixture with labels 1 .. k."""
        numbers: dict[str, Any] = {"ridge": self.ridge, "step": self.step}
        if self.hidden:
            widths = [self.hidden]
            return mlp(mixture, widths, activation=self.activation, output="softmax", **numbers)
        classes = len(set(mixture.labels))
        loss = softmax_cross_entropy(classes)
        return Model.build(mixture, loss, **numbers, name=f"softmax{classes}")

    def start(self, model: Model, dimension: int, seed: int) -> tuple[Array, Array]:
        """Weights to start from: zero for softmax regression, random ones for a network."""
        if not self.hidden:
            return np.zeros((model.units, dimension)), np.zeros(0)
        generator = np.random.default_rng([seed, 1])
        x = generator.standard_normal((model.units, dimension)) * np.sqrt(START_LENGTH / dimension)
        return x, START_READOUT * generator.standard_normal(model.readout_size)


@dataclass(frozen=True, eq=False)
class Runs:
    """Weights at the recorded times.

    Attributes
    ----------
    time : array, shape (T,)
        Recorded times, multiples of the step.
    weights : array, shape (runs, T, C, d)
    readout : array, shape (runs, T, q)
    """

    time: Array
    weights: Array
    readout: Array


def plain_model(network: SoftmaxNetwork, fitted: FittedMixture) -> Model:
    """The model on a mixture of the same labels: of samples that are given, it is the loss alone
    that counts.
    """
    bare = Mixture(
        fitted.weights, fitted.labels, fitted.coordinates, fitted.total_gram, fitted.precision
    )
    return network.model(bare)


def at_weights(model: Model, data: LabelledData, weights: Array, readout: Array) -> SampleData:
    """The samples of a data set at some weights."""
    return user_data(model, data.features, data.labels, weights, readout=readout)


def train_with_replacement(
    model: Model,
    data: LabelledData,
    start: tuple[Array, Array],
    time: Array,
    runs: int,
    seed: int,
    progress: Callable[[float], None] | None = None,
) -> Runs:
    r"""Run SGD from the same weights, each step on a sample drawn at random with replacement.

    One pass through an endless stream of such draws: the empirical law of the data in place of the
    mixture (mathematics.md section 14).  The step is :math:`\delta=c_\delta/d`.
    """
    delta = float(model.step) / data.dimension
    steps = np.unique(np.rint(time / delta).astype(np.int64))
    x = np.empty((runs, steps.size, *start[0].shape))
    v = np.empty((runs, steps.size, start[1].size))
    for run, child in enumerate(np.random.SeedSequence(seed).spawn(runs)):
        generator, done = np.random.default_rng(child), 0
        weights, readout = start
        for i, step in enumerate(steps):
            if step > done:
                rows = generator.integers(len(data.features), size=step - done)
                drawn = replace(data, features=data.features[rows], labels=data.labels[rows])
                trained = train_data(at_weights(model, drawn, weights, readout))
                weights, readout, done = trained.weights, trained.readout, step
            x[run, i], v[run, i] = weights, readout
        if progress is not None:
            progress((run + 1) / runs)
    return Runs(np.asarray(steps * delta, dtype=float), x, v)


def correct_by_class(data: SampleData) -> Array:
    """Share of correct labels in every class, shape (k,)."""
    labels = data.labels.astype(np.int64)
    right = classifier(data.model).correct(data.labels, data.fields, data.readout)
    counts = np.bincount(labels)[1:]
    return np.asarray(np.bincount(labels, weights=right)[1:] / np.maximum(counts, 1))


def check_steps(step: float, time: Array, dimension: int, most: int = 10**8) -> None:
    """Refuse runs of more steps than an afternoon has."""
    count = float(time[-1]) * dimension / step
    if count > most:
        got = f"{time[-1]:g}, which is {count:.3g} steps"
        raise InputError("time", got, f"at most {most:g} steps", "end the run before")

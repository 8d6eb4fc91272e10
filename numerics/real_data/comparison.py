"""Curves and spectra of data beside those of Gaussian mixtures fitted to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from numerics.core.problem import Problem
from numerics.core.results import common_attributes
from numerics.core.state import State
from numerics.core.validation import Array, as_integer, as_scalar, check_times
from numerics.data.risk import classifier
from numerics.data.samples import SampleData
from numerics.data.user_data import user_data
from numerics.dynamics.curves import solve_curve
from numerics.spectra.empirical_parts import empirical_operator
from theory import Model
from theory.keywords import with_known_keywords

from .fitted_mixture import FittedMixture, fit_mixture
from .training import (
    SoftmaxNetwork,
    check_steps,
    correct_by_class,
    plain_model,
    train_with_replacement,
)

MATRICES = ("hessian", "gradient")
# what is set beside the data: the theory with bands, that of isotropic noise, both along their own
# curves; and at the weights of the data also Gaussian noise with the covariances of the classes
THEORIES, GAUSSIANS = ("bands", "isotropic"), ("bands", "full", "isotropic")
# absolute error asked of the curves
TOLERANCE = 1e-3
# eigenvalues below this share of the largest are rounding
POSITIVE = 1e-9


@dataclass(frozen=True, eq=False)
class _Looks:
    """What is measured of samples at some weights."""

    eigenvalues: Array
    shares: Array
    vectors: Array
    accuracy: Array
    loss: float


@with_known_keywords
def compare_with_data(
    fitted: FittedMixture,
    network: SoftmaxNetwork,
    time: object = 16.0,
    *,
    runs: int = 10,
    count: int = 8,
    samples: int = 10_000,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> xr.Dataset:
    r"""Train on the data and on what was fitted to them, and set curves and spectra side by side.

    The data's SGD draws samples with replacement.  The theory is the effective dynamics of the
    fitted mixture, from the statistics of the same weights; its matrices are those of Gaussian
    samples at weights of the law that the curve has at this d.  At the data's own weights the
    same is done with Gaussian samples whose covariances are those of the classes, nothing dropped:
    what still differs there is not Gaussian.

    Parameters
    ----------
    fitted : FittedMixture
    network : SoftmaxNetwork
    time : float or array
        End of the run (nine times, closer at the start), or the times to record, in units of
        steps * delta.
    runs : int
        SGD runs on the data, and as many draws of weights and samples of each theory.
    count : int
        Leading eigenvalues to compare.
    samples : int
        Gaussian samples of a draw.
    seed : int

    Returns
    -------
    xarray.Dataset
        Of the data, with a dimension ``run``: ``accuracy``, ``loss``, ``class_accuracy``,
        ``norm`` (sum of the squared lengths of x), ``eigenvalue`` and ``share_of_means`` (matrix,
        run, time, eigen), ``bulk`` (the median of the positive eigenvalues that follow).  The same
        names with ``theory_``, and a dimension ``theory`` of "bands" and "isotropic".  At the
        data's weights: ``gaussian_eigenvalue`` and ``eigenspace`` (share of the data's leading
        eigenspace in that of the Gaussian samples), and ``class_distance`` (gaussian, time, class),
        the distance of the class's part of the Hessian in operator norm over that of the data's.
        ``off_diagonal`` and ``binned`` (component): what the fit leaves out.

    Raises
    ------
    theory.InputError
    ArithmeticError
        SGD diverged.
    """
    runs = as_integer("runs", runs, 2, "a standard error needs two runs")
    samples = as_integer("samples", samples, 100, "draw a few thousand")
    times = _times(time)
    check_steps(network.step, times, fitted.dimension)
    model, data = plain_model(network, fitted), fitted.data
    size = model.units * fitted.dimension
    count = min(as_integer("count", count, 1, "compare an eigenvalue or more"), size)
    start = network.start(model, fitted.dimension, seed)
    steps = _Steps(progress, 2 + len(THEORIES) + len(GAUSSIANS))
    trained = train_with_replacement(model, data, start, times, runs, seed)
    steps.done()
    measure = _Measure(model, fitted, count, samples, trained.time)
    own = measure.along(trained.weights, trained.readout, data_of=data)
    steps.done()
    found = measure.variables(own)
    found["norm"] = (("run", "time"), (trained.weights**2).sum(axis=(2, 3)))
    theories = [fitted, fit_mixture(data, isotropic=True)]
    along = []
    for number, mixture in enumerate(theories):
        problem = Problem(network.model(mixture))
        curve = solve_curve(
            problem, mixture.state(*start), float(trained.time[-1]), tolerance=TOLERANCE
        )
        states = [curve.state(t) for t in trained.time]
        x, v = _realised(mixture, states, runs, [seed, 2, number])
        looks = measure.along(x, v, mixture=mixture, seed=[seed, 3, number])
        along.append(measure.variables(looks) | {"norm": _norms(problem, states)})
        steps.done()
    found |= _stacked("theory", along)
    found |= measure.at_the_same_weights(trained, own, theories, seed, steps)
    fit = fitted.fit
    found["off_diagonal"] = ("component", fit.off_diagonal)
    found["binned"] = ("component", fit.binned)
    attributes = common_attributes(model, None, "data beside fitted mixtures") | {
        "samples": len(data.features), "dimension": fitted.dimension, "bands": fitted.band_count,
        "gaussian_samples": samples, "seed": seed, "step": network.step, "ridge": network.ridge,
        "binning_error": fitted.binning_error, "raised_variances": fit.raised,
        "notes": "; ".join(data.notes), "steps": round(trained.time[-1] * fitted.dimension
        / network.step),
    }  # fmt: skip
    coordinates = {
        "time": trained.time,
        "class": list(data.classes),
        "theory": list(THEORIES),
        "gaussian": list(GAUSSIANS),
        "matrix": list(MATRICES),
        "eigen": np.arange(1, count + 1),
        "component": [data.classes[l - 1] for l in fit.moments.labels],
    }
    return xr.Dataset(found, coordinates, attributes)


class _Steps:
    """Tells how much is done."""

    def __init__(self, progress: Callable[[float], None] | None, total: int) -> None:
        self.progress, self.total, self.count = progress, total, 0

    def done(self) -> None:
        """One more step."""
        self.count += 1
        if self.progress is not None:
            self.progress(self.count / self.total)


@dataclass(frozen=True, eq=False)
class _Measure:
    """Measures spectra and accuracies at recorded weights."""

    model: Model
    fitted: FittedMixture
    count: int
    samples: int
    time: Array

    def along(
        self,
        weights: Array,
        readout: Array,
        *,
        data_of: Any = None,
        mixture: FittedMixture | None = None,
        covariance: str = "bands",
        seed: Sequence[int] = (),
    ) -> list[list[_Looks]]:
        """At the weights of every run and time, of the data or of samples of a mixture."""
        rows = []
        for run, (x, v) in enumerate(zip(weights, readout, strict=True)):
            if mixture is None:
                features, labels = data_of.features, data_of.labels
            else:
                generator = np.random.default_rng([*seed, run])
                features, labels = mixture.samples(self.samples, generator, covariance=covariance)
            rows.append(
                [
                    self.look(user_data(self.model, features, labels, x[i], readout=v[i]))
                    for i in range(len(x))
                ]
            )
        return rows

    def look(self, data: SampleData) -> _Looks:
        """Eigenvalues of both matrices, largest first, their vectors, and accuracies."""
        eigenvalues, shares, vectors = [], [], []
        e, d = self.fitted.fit.directions, data.dimension
        for matrix in MATRICES:
            values, columns = np.linalg.eigh(_dense(data, matrix))
            top = columns[:, ::-1][:, : self.count].T.reshape(self.count, -1, d)
            eigenvalues.append(values[::-1])
            shares.append(((top @ e.T) ** 2).sum(axis=(1, 2)))
            vectors.append(top.reshape(self.count, -1))
        accuracy = correct_by_class(data)
        sample_loss = _loss(data)
        return _Looks(
            np.array(eigenvalues), np.array(shares), np.array(vectors), accuracy, sample_loss
        )

    def variables(self, looks: list[list[_Looks]]) -> dict[str, Any]:
        """The numbers with their dimensions."""
        weights = self.fitted.fit.moments
        share = np.bincount(weights.labels, weights=weights.weights)[1:]
        accuracy = _table(looks, "accuracy")
        values = np.moveaxis(_table(looks, "eigenvalues"), 2, 0)
        dims = ("matrix", "run", "time", "eigen")
        return {
            "class_accuracy": (("run", "time", "class"), accuracy),
            "accuracy": (("run", "time"), accuracy @ share),
            "loss": (("run", "time"), _table(looks, "loss")),
            "eigenvalue": (dims, values[..., : self.count]),
            "share_of_means": (dims, np.moveaxis(_table(looks, "shares"), 2, 0)),
            "bulk": (("matrix", "run", "time"), _bulk(values, self.count)),
            "spectrum": (("matrix", "time", "position"), values.mean(axis=1)),
        }

    def at_the_same_weights(
        self,
        trained: Any,
        own: list[list[_Looks]],
        theories: list[FittedMixture],
        seed: int,
        steps: _Steps,
    ) -> dict[str, Any]:
        """Gaussian samples at the weights of the data: what differs there is the law of the
        samples.
        """
        data = self.fitted.data
        values, spaces, distances = [], [], []
        vectors = _table(own, "vectors")
        for number, name in enumerate(GAUSSIANS):
            mixture = theories[1] if name == "isotropic" else theories[0]
            covariance = "full" if name == "full" else "bands"
            what: dict[str, Any] = {"mixture": mixture, "covariance": covariance}
            looks = self.along(trained.weights, trained.readout, **what, seed=[seed, 4, number])
            values.append(np.moveaxis(_table(looks, "eigenvalues"), 2, 0)[..., : self.count])
            shared = np.einsum("rtmkx,rtmlx->rtmkl", vectors, _table(looks, "vectors"))
            spaces.append(np.moveaxis((shared**2).sum(axis=(3, 4)) / self.count, 2, 0))
            generator = np.random.default_rng([seed, 5, number])
            drawn = mixture.samples(self.samples * 2, generator, covariance=covariance)
            distances.append(
                [
                    self.class_distances((data.features, data.labels), drawn, x, v)
                    for x, v in zip(trained.weights[0], trained.readout[0], strict=True)
                ]
            )
            steps.done()
        dims = ("gaussian", "matrix", "run", "time")
        return {
            "gaussian_eigenvalue": ((*dims, "eigen"), np.array(values)),
            "eigenspace": (dims, np.array(spaces)),
            "class_distance": (("gaussian", "time", "class"), np.array(distances)),
        }

    def class_distances(self, first: Any, second: Any, x: Array, v: Array) -> list[float]:
        """Distance of the parts of the Hessian that the samples of each class make."""
        found = []
        for label in range(1, len(self.fitted.data.classes) + 1):
            pair = []
            for features, labels in (first, second):
                rows = labels == label
                data = user_data(self.model, features[rows], labels[rows], x, readout=v)
                pair.append(_dense(data, "hessian"))
            size = np.linalg.norm(pair[0], 2)
            found.append(float(np.linalg.norm(pair[1] - pair[0], 2) / size) if size > 0 else 0.0)
        return found


def _dense(data: SampleData, matrix: str) -> Array:
    """The first-layer matrix itself, without ridge."""
    operator: Any = empirical_operator(data, matrix=matrix, regularized=False)
    return np.asarray(operator.dense())


def _loss(data: SampleData) -> float:
    return float(classifier(data.model).loss(data.labels, data.fields, data.readout).mean())


def _table(looks: list[list[_Looks]], name: str) -> Array:
    """One number or array of every run and time."""
    return np.array([[getattr(look, name) for look in row] for row in looks])


def _bulk(values: Array, count: int) -> Array:
    """The median of the positive eigenvalues behind the leading ones."""
    found = []
    for row in values.reshape(-1, values.shape[-1]):
        rest = row[count:]
        positive = rest[rest > POSITIVE * row[0]]
        found.append(np.median(positive) if positive.size else 0.0)
    return np.array(found).reshape(values.shape[:-1])


def _norms(problem: Problem, states: list[State]) -> tuple[str, Array]:
    """Sum of the squared lengths of x along a curve."""
    grams = [state.gram(problem.parameters.directions_gram) for state in states]
    return "time", np.array([np.einsum("...aa->...", gram).sum() for gram in grams])


def _realised(
    mixture: FittedMixture, states: list[State], draws: int, seed: list[int]
) -> tuple[Array, Array]:
    """Weights of the law that a curve has, and the readout."""
    x = [
        [mixture.realise(state, np.random.default_rng([*seed, draw, i])) for i, state in
         enumerate(states)]
        for draw in range(draws)
    ]  # fmt: skip
    v = np.array([state.readout for state in states])
    return np.array(x), np.broadcast_to(v, (draws, *v.shape))


def _stacked(name: str, parts: list[dict[str, Any]]) -> dict[str, Any]:
    """The variables of several theories, one behind the other."""
    found = {}
    for key, (dims, _) in parts[0].items():
        values = np.array([part[key][1] for part in parts])
        found[f"{name}_{key}"] = ((name, *([dims] if isinstance(dims, str) else dims)), values)
    return found


def _times(time: object) -> Array:
    """The times to record: of an end, nine that are closer at the start."""
    if np.ndim(time) == 0:  # type: ignore[arg-type]
        end = as_scalar("time", time, 0.0, True, "give the end of the run")
        return np.concatenate([[0.0], end / 2.0 ** np.arange(7, -1, -1)])
    return check_times(time)  # type: ignore[arg-type]

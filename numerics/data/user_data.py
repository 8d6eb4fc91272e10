"""Samples of one's own: arrays, files or chunks with a model and weights, checked first."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from numerics.core.geometry import labels_of
from numerics.core.parameters import Parameters
from numerics.core.problem import Problem
from numerics.core.state import State
from numerics.core.validation import (
    Array,
    as_array,
    as_integer,
    as_scalar,
    check_gram,
    check_memory,
    kind_of,
)
from theory import InputError, Model
from theory.errors import check_choice
from theory.keywords import with_known_keywords
from theory.problem.covariance.bands import refuse_bands
from theory.problem.covariance.tokens import refuse_tokens

from .samples import ROLES, SampleData, check_data
from .sources import open_source


@with_known_keywords
def user_data(
    problem: Problem | Model,
    features: object,
    labels: ArrayLike | None,
    weights: ArrayLike,
    *,
    readout: ArrayLike = (),
    ridge: float | None = None,
    directions: ArrayLike | None = None,
    label_noise: ArrayLike | None = None,
    role: str = ROLES[0],
    samples: int | None = None,
) -> SampleData:
    r"""Return samples of one's own as data for spectra: any features, in the order and at the
    weights given.

    Parameters
    ----------
    problem : theory.Model or Problem
        The loss of the model is differentiated; its mixture only says which labels there are.  A
        Problem states the law that the samples come from, where it is known.
    features : array of shape (M, d), path of a ``.npy`` file, or a function that makes chunks
        Arrays of float32 or float64 are kept by reference and never copied whole.  A path (or a
        ``numpy.memmap``) stays on disk.  A function without arguments returns an iterable of pairs
        (X, y), the same at every call; it is called once for every pass over the data. A pass has
        at most 50 000 chunks; one of more than 10^7 samples or 1 GB is taken to have no end, unless
        ``samples`` states how many there are.
    labels : array, shape (M,), or None
        As the loss expects them; None with chunks, which bring their labels.
    weights : array, shape (C, d)
        Rows x^a.
    readout : array, shape (q,)
        v, for a model that has it.
    ridge : float, optional
        beta; that of the problem, or of the model where it is a number, when omitted.
    directions : array, shape (r, d), optional
        e_1..e_r.  Without them everything that is measured against them is absent from results; a
        loss with teachers needs them.
    label_noise : array, shape (M,), optional
        xi of every sample, for a loss that holds it.
    role : {"test data", "train data"}
        Whether the samples are independent of the weights.
    samples : int, optional
        M, for chunks of many samples; any other number of them is refused.

    Returns
    -------
    SampleData
        ``state``, the summary statistics of the weights, is computed where directions are given.

    Raises
    ------
    theory.InputError
        Shapes that disagree, NaN or infinities, labels that the model does not have, directions
        that are not linearly independent, another Gram matrix than that of the problem.

    Examples
    --------
    >>> from theory import kgmm
    >>> data = user_data(kgmm(2), [[1.0, 0.0], [0.0, 2.0]], [1, 2], np.eye(2), ridge=0)
    >>> data.samples, data.state is None
    (2, True)
    """
    model, parameters = _model_and_parameters(problem)
    refuse_bands(model.mixture, "user_data")
    refuse_tokens(model.mixture, "user_data")
    if isinstance(features, Parameters):
        raise InputError(
            "features",
            kind_of(features),
            "an array, the path of a file, or a function that makes chunks",
            "the numbers belong to the first argument: Problem(model, parameters)",
        )
    x = _weights(model, weights)
    v = as_array("readout", readout, 1)
    if v.size != model.readout_size:
        raise InputError(
            "readout",
            f"{v.size} numbers",
            f"{model.readout_size}",
            f"the model {model.name} has {model.readout_size} readout parameters",
        )
    beta = _ridge(model, ridge, parameters)
    role = check_choice("role", role, ROLES)
    e = _directions(model, directions, x.shape[1], parameters)
    _check_stated_size(model, samples)
    source, streamed = open_source(features, x.shape[1], samples)
    if streamed is not None and labels is not None:
        raise InputError(
            "labels", "labels beside chunks", "None", "chunks (X, y) bring their labels"
        )
    if streamed is not None:
        y = streamed
    elif labels is None:
        raise InputError(
            "labels", "None", "one label per sample", "give the labels of the features"
        )
    else:
        y = as_array("labels", labels, 1)
    y = _labels(model, y, source.samples)
    noise = _label_noise(model, label_noise, source.samples)
    return SampleData(
        model,
        beta,
        x,
        v,
        y,
        source,
        e,
        parameters,
        None if e is None else statistics(e, x, v),
        role,
        noise,
    )


@with_known_keywords
def with_samples(
    data: SampleData,
    features: object,
    labels: ArrayLike | None,
    role: str = ROLES[0],
    samples: int | None = None,
    label_noise: ArrayLike | None = None,
) -> SampleData:
    """The same weights with other samples, as :func:`user_data` takes them: test data beside
    train data.

    Parameters
    ----------
    data : SampleData
    features, labels, role, samples, label_noise
        As for :func:`user_data`.

    Examples
    --------
    >>> from theory import kgmm
    >>> data = user_data(kgmm(2), [[1.0, 0.0]], [1], np.eye(2), ridge=0, role="train data")
    >>> other = with_samples(data, [[0.0, 1.0], [2.0, 2.0]], [2, 1])
    >>> other.samples, other.role, other.weights is data.weights
    (2, 'test data', False)
    """
    check_data(data)
    other = user_data(
        data.model,
        features,
        labels,
        data.weights,
        readout=data.readout,
        ridge=data.ridge,
        directions=data.directions,
        label_noise=label_noise,
        role=role,
        samples=samples,
    )
    return replace(other, directions=data.directions, parameters=data.parameters, state=data.state)


def _check_stated_size(model: Model, samples: int | None) -> None:
    """Refuse a stated number of samples whose labels and derivatives no memory holds."""
    if samples is None:
        return
    remedy = "state how many samples the features have"
    samples = as_integer("samples", samples, 1, remedy)
    variables = model.units + model.readout_size
    numbers = 1 + model.directions + model.units + variables * (variables + 1) // 2
    check_memory("samples", samples, samples * numbers, "give fewer samples")


def _model_and_parameters(problem: object) -> tuple[Model, Parameters | None]:
    if isinstance(problem, Problem):
        return problem.model, problem.parameters
    if isinstance(problem, Model):
        return problem, None
    raise InputError(
        "problem",
        kind_of(problem),
        "an sa.Model, or an sa.Problem",
        "write user_data(model, X, y, weights)",
    )


def _weights(model: Model, weights: ArrayLike) -> Array:
    x = as_array("weights", weights, 2)
    if x.shape[0] != model.units or not x.shape[1]:
        raise InputError(
            "weights",
            f"shape {x.shape}",
            f"shape ({model.units}, d)",
            f"the model {model.name} has {model.units} first-layer vectors x^a: give one per row",
        )
    return x


def _ridge(model: Model, ridge: float | None, parameters: Parameters | None) -> float:
    if ridge is None:
        if parameters is not None:
            return parameters.ridge
        if model.ridge.is_number:
            return float(model.ridge)
        raise InputError("ridge", "None", "a number >= 0", "give the weight decay beta, 0 for none")
    beta = as_scalar("ridge", ridge, 0.0, False, "give the weight decay beta, 0 for none")
    for name, known in (
        ("problem", None if parameters is None else parameters.ridge),
        ("model", float(model.ridge) if model.ridge.is_number else None),
    ):
        if known is not None and known != beta:
            raise InputError("ridge", beta, f"{known}, that of the {name}", "leave ridge away")
    return beta


def _directions(
    model: Model, directions: ArrayLike | None, dimension: int, parameters: Parameters | None
) -> Array | None:
    if directions is None and model.loss.teachers:
        teachers = ", ".join(f"t_{s + 1}" for s in model.loss.teachers)
        raise InputError(
            "directions",
            "None",
            f"the vectors e_s whose products with a sample are {teachers} of the loss",
            f"the labels of {model.name} are made by teachers: give the directions, one per row",
        )
    if directions is None:
        return None
    e = as_array("directions", directions, 2)
    if e.shape != (model.directions, dimension):
        raise InputError(
            "directions",
            f"shape {e.shape}",
            f"shape ({model.directions}, {dimension})",
            f"the model {model.name} has {model.directions} direction(s): give one per row",
        )
    gram = e @ e.T
    check_gram("directions", gram, definite=True)
    if parameters is not None:
        off = np.abs(gram - parameters.directions_gram).max()
        if off > 1e-6 * np.abs(gram).max():
            raise InputError(
                "directions",
                f"a Gram matrix off by {off:.3g}",
                "that of the problem",
                "give directions_gram = directions @ directions.T to the Problem",
            )
    return e


def _labels(model: Model, labels: Array, samples: int) -> Array:
    if labels.size != samples:
        raise InputError(
            "labels",
            f"{labels.size} labels",
            f"{samples}, one per sample",
            "give one label per row",
        )
    known = np.unique(labels_of(model))
    odd = np.flatnonzero(~np.isin(labels, known))
    if odd.size:
        raise InputError(
            "labels",
            f"{labels[odd[0]]:g} at sample {odd[0]}",
            f"one of {', '.join(f'{y:g}' for y in known)}",
            f"the model {model.name} has these labels: write yours as them, in the order of its "
            "classes (counted from 0, add 1)"
            if list(known) == list(range(1, known.size + 1))
            else f"the model {model.name} has these labels: write yours as them",
        )
    return labels


def _label_noise(model: Model, noise: ArrayLike | None, samples: int) -> Array | None:
    needed = model.loss.has_label_noise
    if noise is None and not needed:
        return None
    if noise is None or not needed:
        got, expected = ("None", "one number per sample") if needed else ("numbers", "None")
        holds = "holds" if needed else "does not hold"
        raise InputError("label_noise", got, expected, f"the loss of {model.name} {holds} xi")
    xi = as_array("label_noise", noise, 1)
    if xi.size != samples:
        remedy = "give xi of every sample"
        raise InputError("label_noise", f"{xi.size} numbers", f"{samples}", remedy)
    return xi


def statistics(directions: Array, x: Array, readout: Array) -> State:
    """Overlaps, and the Gram matrix of what is left of x without the directions."""
    frame, _ = np.linalg.qr(directions.T)
    rest = x - (x @ frame) @ frame.T
    rest -= (rest @ frame) @ frame.T  # a second time: what is left may be small against x
    return State(x @ directions.T, rest @ rest.T, readout)

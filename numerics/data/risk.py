r"""Loss and accuracy of a state: expected over the mixture, and on fresh data.

The label predicted for a sample is the one its pre-activations fit best, :math:`\hat
y=\arg\min_y\ell(y;u,v)` over the labels of the mixture: the largest pre-activation for the softmax,
the sign of f for the logistic loss.  Where m labels fit equally well, each is predicted with
probability 1/m: a classifier of two labels that is undecided, f = 0, is counted as half right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import xarray as xr

from numerics.core import codegen
from numerics.core.covariance.token_arrays import means_of_components
from numerics.core.flatten import held_of
from numerics.core.geometry import field_gram, labels_of
from numerics.core.parameters import Parameters
from numerics.core.problem import Problem
from numerics.core.results import TIME_UNIT, common_attributes
from numerics.core.state import State
from numerics.core.takes_problem import takes_problem
from numerics.core.validation import Array, as_generator, as_integer, as_scalar, kind_of
from numerics.core.weights import check_dimension
from numerics.expectations.compiled import compile_expressions
from numerics.expectations.quadrature import INTERVAL, replicate_error, sobol
from theory import InputError, Model, derive_risk, symbols

from .samples import draw_data

REPLICATES = 8
# pre-activations vary along a line where a second direction has less of the variance; points of it
# at which the label that fits best may change
LINE, POINTS = 1e-8, 2


@dataclass(frozen=True)
class Classifier:
    """Sample losses and predictions of a model, generated from its loss."""

    labels: Array
    loss: Callable[[float | Array, Array, Array], Array]

    def correct(self, labels: float | Array, u: Array, v: Array) -> Array:
        """1 where the predicted label is the given one, 1/m where m labels fit equally well; u of
        shape (C, N).
        """
        losses = np.array([self.loss(float(y), u, v) for y in self.labels])
        best = losses.min(axis=0)
        ties = np.isclose(losses, best, rtol=1e-13, atol=1e-13)
        own = ties & (self.labels[:, None] == np.broadcast_to(labels, best.shape))
        return own.any(axis=0) / ties.sum(axis=0)


@lru_cache(maxsize=32)
def classifier(model: Model) -> Classifier:
    """Compile the loss of a model for arrays."""
    s = model.symbols
    arguments = (("y", (symbols.LABEL,)), ("u", s.fields), ("v", s.held))
    source = codegen.generate_function("sample_loss", arguments, [model.loss.expression], "numpy")
    function = codegen.load_module(source).sample_loss

    def loss(y: float | Array, u: Array, v: Array) -> Array:
        out = np.empty((1, u.shape[1]))
        function(y, u, v, out)
        return out[0]

    return Classifier(np.unique(labels_of(model)), loss)


@takes_problem(tokens=True)
def population_risk(
    problem: Problem,
    states: State | xr.Dataset,
    *,
    tolerance: float = 1e-3,
    seed: int = 0,
    max_nodes: int = 2**15,
) -> xr.Dataset:
    r"""Return the expected loss and accuracy at a state, or along a curve.

    .. math:: E[\ell]=\sum_lp_lE_l[\ell(y_l;u,v)],\qquad
              P(\text{correct})=\sum_lp_lP_l\big(\arg\min_y\ell(y;u,v)=y_l\big)

    with u Gaussian given the component (mathematics.md section 2).  The ridge does not count.  A
    tie counts in equal shares: where m labels fit equally well, each is predicted with probability
    1/m, so that a classifier of two labels with f = 0 is half right.

    Parameters
    ----------
    problem : Problem
        Or a model and Parameters in its place.
    states : State, or Dataset with ``overlap``, ``gram_perp``, ``readout`` over ``time``
        As :func:`numerics.integrate_curves` returns it.
    tolerance : float
        Absolute error asked of both; what is reached is reported.
    seed : int
        Root seed of quasi-Monte Carlo scramblings.
    max_nodes : int
        Largest Sobol size tried.

    Returns
    -------
    xarray.Dataset
        ``loss``, ``accuracy`` and ``loss_error``, ``accuracy_error`` (time, or no dimension for a
        State).

    Raises
    ------
    theory.InputError
        Bad shapes or values.

    Examples
    --------
    Weights 0 tell nothing apart:

    >>> from theory import kgmm
    >>> problem = Problem(kgmm(2), weights=[0.5, 0.5], precision=1, ridge=0, step=1)
    >>> found = population_risk(problem, State(np.zeros((2, 2)), np.zeros((2, 2))))
    >>> float(found.loss.round(12)), float(found.accuracy)      # log 2, a coin
    (0.69314718056, 0.5)
    """
    model, parameters = problem.model, problem.parameters
    tolerance = as_scalar("tolerance", tolerance, 0.0, True, "give an absolute error, such as 1e-3")
    seed = as_integer("seed", seed, 0, "seeds are non-negative integers")
    listed = _states(problem, states)
    # arrays sum one integrand at the nodes of a kinked loss as fast as code that takes seconds to
    # compile
    target = "numba" if model.loss.is_smooth else "numpy"
    compiled = compile_expressions(model, (derive_risk(model).loss,), target, closed_forms=True)
    rows = []
    for state in listed:
        loss = compiled.estimate(
            parameters, state, tolerance=tolerance, seed=seed, max_nodes=max_nodes
        )
        accuracy, error = expected_accuracy(problem, state, tolerance, seed, max_nodes)
        rows.append((loss.values[0], loss.errors[0], accuracy, error))
    return _dataset(
        model,
        parameters,
        states,
        rows,
        "population risk",
        {
            "tolerance": tolerance,
            "seed": seed,
            "error_estimate": float(max(max(r[1], r[3]) for r in rows)),
            "error_meaning": (f"largest error of loss and accuracy: quadrature, {INTERVAL}"),
        },
    )


@takes_problem
def empirical_risk(
    problem: Problem,
    states: State | xr.Dataset,
    *,
    dimension: int,
    samples: int,
    seed: int | np.random.SeedSequence,
) -> xr.Dataset:
    """Return the mean loss and accuracy on fresh samples in R^d, at weights with the given summary
    statistics.

    Parameters
    ----------
    problem : Problem
        Or a model and Parameters in its place.
    states : State, or Dataset over ``time``
        As for :func:`population_risk`; every time has samples of its own.
    dimension : int
        d >= r + C.
    samples : int
        M >= 2 for each state.
    seed : int or numpy SeedSequence

    Returns
    -------
    xarray.Dataset
        As :func:`population_risk`; ``loss_error`` and ``accuracy_error`` are standard errors.

    Raises
    ------
    theory.InputError
        Bad shapes or values.

    Examples
    --------
    >>> from theory import kgmm
    >>> problem = Problem(kgmm(2), weights=[0.5, 0.5], precision=1, ridge=0, step=1)
    >>> zero = State([[0, 0], [0, 0]], [[0, 0], [0, 0]])
    >>> found = empirical_risk(problem, zero, dimension=20, samples=100, seed=0)
    >>> round(float(found.loss), 6)                           # log 2 for every sample
    0.693147
    """
    model, parameters = problem.model, problem.parameters
    dimension = check_dimension(dimension, model.directions, model.units)
    samples = as_integer("samples", samples, 2, "a standard error needs two samples")
    listed = _states(problem, states)
    generator = as_generator(seed)
    sample = classifier(model)
    rows = []
    for state in listed:
        data = draw_data(problem, state, dimension, samples, generator)
        u, held = data.fields, held_of(model, parameters, state)
        pair = (sample.loss(data.labels, u, held), sample.correct(data.labels, u, held))
        means, errors = zip(
            *((x.mean(), x.std(ddof=1) / np.sqrt(samples)) for x in pair), strict=True
        )
        rows.append((means[0], errors[0], means[1], errors[1]))
    return _dataset(
        model,
        parameters,
        states,
        rows,
        "empirical risk, test data",
        {
            "dimension": dimension,
            "samples": samples,
            "seed": str(seed),
            "error_estimate": float(max(max(r[1], r[3]) for r in rows)),
            "error_meaning": "largest standard error",
        },
    )


def _states(problem: Problem, states: State | xr.Dataset) -> list[State]:
    """One state, or those of a curve or run at all of its times."""
    if not isinstance(states, xr.Dataset):
        return [problem.check_state(states, "states")]
    if "replica" in states.dims:
        raise InputError(
            "states",
            kind_of(states),
            "a State, or a Dataset of states over time alone",
            "take one replica of a simulation: runs.isel(replica=0)",
        )
    listed = [State.at(states, t) for t in states.time.values.ravel()]
    return [problem.check_state(state, "states") for state in listed]


def expected_accuracy(
    problem: Problem, state: State, tolerance: float, seed: int, max_nodes: int
) -> tuple[float, float]:
    """Probability of a correct label and its error, by scrambled Sobol points refined until it is
    small.
    """
    model, parameters = problem.model, problem.parameters
    overlap, gram = field_gram(model, parameters, state.overlap, state.gram_perp)
    covariance = gram / parameters.precision
    eigenvalues, vectors = np.linalg.eigh(covariance)
    factor = vectors * np.sqrt(np.clip(eigenvalues, 0.0, None))
    means = means_of_components(model, problem.coordinates @ overlap.T)
    sample = classifier(model)
    held = held_of(model, parameters, state)
    # On a line two labels meet in points, and one node of a scrambling, with its mirror image, is
    # on the wrong side of each at most.  Scramblings may all be wrong alike there: their spread
    # does not bound it.
    coarseness = 2.0 * POINTS if _on_a_line(eigenvalues) else 1.0 / REPLICATES
    size = 1024
    while True:
        rule = sobol(len(gram), size, REPLICATES, seed)
        # one call a component: the scramblings side by side
        flat = rule.nodes.reshape(-1, len(gram)) @ factor.T
        values = np.zeros((REPLICATES, size))
        for l, p in enumerate(parameters.weights):
            values += p * sample.correct(problem.labels[l], (means[l] + flat).T, held).reshape(
                values.shape
            )
        found = values.mean(axis=1)
        # scramblings that see no mistake at all may miss a rare one: never below one in all nodes
        error = float(replicate_error(found)) + coarseness / size
        if error <= tolerance or size >= max_nodes:
            return float(found.mean()), error
        size *= 2


def _on_a_line(eigenvalues: Array) -> bool:
    """Whether the pre-activations of a component vary in one direction alone."""
    return len(eigenvalues) < 2 or bool(eigenvalues[-2] <= LINE * eigenvalues[-1])


def _dataset(
    model: Model,
    parameters: Parameters,
    states: State | xr.Dataset,
    rows: Sequence[tuple[float, ...]],
    source: str,
    attributes: dict[str, Any],
) -> xr.Dataset:
    table = np.array(rows, dtype=float)
    time = None if isinstance(states, State) else states["time"].to_numpy()
    dims: tuple[str, ...] = () if time is None else ("time",)
    columns = table[0] if time is None else table.T
    notes = (
        "expected loss without ridge",
        "error of loss",
        "probability of a correct label",
        "error of accuracy",
    )
    names = ("loss", "loss_error", "accuracy", "accuracy_error")
    data = xr.Dataset(
        {
            n: (dims, c, {"long_name": t, "units": "1"})
            for n, c, t in zip(names, columns, notes, strict=True)
        },
        attrs=common_attributes(model, parameters, source) | attributes,
    )
    return data if time is None else data.assign_coords(time=("time", time, {"units": TIME_UNIT}))

"""Rows of the table of known models that are held against simulation, each with a wrong theory.

``wrong`` is a line in the language of the table, in which ``it`` is the model of the row: its curve
has to be refuted by the same runs that agree with the curve of the row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from known_models import known_model, stated

from numerics import Problem, State
from numerics.core.covariance.band_arrays import fractions_of, inverse_of
from theory import Model
from verify.laws.check_model import LAWS


@dataclass(frozen=True)
class Accepted:
    """How a row is simulated.

    Attributes
    ----------
    wrong : str
    step : float
        c_delta; smaller where the loss is steep.
    dimensions : pair of int
    time : float
    faster : float
        By what the step of the wrong theory is larger.
    apart : float
        By what the curve of the wrong theory has to end elsewhere, for runs to tell.
    dear : tuple of str
        Laws that are left to smaller models of the kind, which tests/verify/laws judge.
    """

    wrong: str
    step: float = 0.4
    dimensions: tuple[int, int] = (60, 240)
    time: float = 0.4
    faster: float = 1.0
    apart: float = 0.0
    dear: tuple[str, ...] = ()


MATRICES = ("hessian_of", "gradient_matrix_mean", "increment_covariance", "moment_routes")
ACCEPTED = {
    "committee machine (Saad–Solla)": Accepted("model(pure, committee(2, noise=half), 2)"),
    "committee machine, label noise": Accepted("model(pure, committee(2), 2)"),
    "committee of three": Accepted("model(pure_3, committee(3, noise=half), 3)"),
    "committee of three, label noise": Accepted("model(pure_3, committee(3), 3)"),
    "phase retrieval": Accepted("model(pure, (u[0] ** 2 - t[0] ** 2 / 2) ** 2 / 8)", 0.1),
    "sign teacher": Accepted("model(pure, (sp.erf(u[0]) - sp.erf(t[0])) ** 2)"),
    "multi-index (product of teachers)": Accepted(
        "model(pure, (v[0] * sp.tanh(u[0]) + sp.tanh(u[1]) - t[0] ** 2) ** 2, 2, 1)",
        0.1,
        time=1.2,
        apart=0.01,
        # products of three fields: bounds of rules are too wide to be of use
        dear=("relabelled_units", "rotation"),
    ),
    "k classes, noise of three bands": Accepted(  # the scales of one class are those of another
        "sa.kgmm(3, bands=sa.Bands([0.2, 0.3, 0.5], [[2, 0.5, 0.3], [1, 0.5, 0.3], [1, 1, 0.2]]))"
    ),
    "power-law covariance": Accepted(
        "sa.kgmm(2, bands=sa.Bands(it.mixture.bands.fractions, [half] * 20))",
        dimensions=(500, 1000),
        # of 20 bands: derivatives of matrices, their samples, and theories of twins
        dear=tuple(law for law in LAWS if law.startswith(("relabelled", "rotation", *MATRICES))),
    ),
    "XOR, tanh with biases": Accepted(
        'sa.mlp(it.mixture, units=[2], activation="erf", output="square", biases=True)'
    ),
    "XOR, ReLU with biases": Accepted(
        'sa.mlp(it.mixture, units=[2], activation="tanh", output="logistic", biases=True)'
    ),
    "two-layer softmax network": Accepted(
        'sa.mlp(it.mixture, units=[2], activation="relu", output="softmax")'
    ),
    "three-layer softmax network": Accepted(
        'sa.mlp(it.mixture, units=[2, 2], activation="relu", output="softmax")'
    ),
    "centred classes (simplex)": Accepted(  # means of twice the length
        "replace(it, mixture=replace(it.mixture, coordinates=2 * it.mixture.coordinates))"
    ),
    "clipped SGD": Accepted("it.with_update(None)", 1.0),
    # the corrector that of the plain step
    "heavy ball": Accepted(
        'it.with_update(sa.Update(rates={"layer 1": 10}))', 0.1, time=0.05, faster=0.1
    ),
    "SGD in the dominant space": Accepted("it.with_update(None)", 1.0),
    "SGD in the bulk": Accepted("it.with_update(None)", 1.0),
    "Oja's rule, spiked data": Accepted("model(signed, -(u[0] ** 2) / 2)", 0.2),
    "convolution, two patches": Accepted(  # as if both patches held the mean
        "replace(it, mixture=sa.Mixture.build("
        "labels=[1, 0], tokens=[[[1, 0], [1, 0]], [[-1, 0], [-1, 0]]]))"
    ),
    "one attention layer": Accepted(
        "model(patches, logistic((value[0] + value[1]) / 2 + 0 * score[0]), 2, tokens=2)"
    ),
}


def accepted_problem(name: str, rng: np.random.Generator) -> Problem:
    """The row at random numbers."""
    return problem_at_random(known_model(name), ACCEPTED[name].step, rng)


def problem_at_random(model: Model, step: float, rng: np.random.Generator) -> Problem:
    """A problem with random weights, precision, ridge and Gram matrices."""
    r = model.directions
    factor = rng.uniform(-1, 1, (model.bands, r, r)) / np.sqrt(r)
    grams = factor @ factor.transpose(0, 2, 1) + np.eye(r)
    grams = 0.6 * (grams * fractions_of(model)[:, None, None] if model.bands > 1 else grams)
    weights = rng.uniform(1, 2, model.components)
    numbers = {"directions_gram": grams if model.bands > 1 else grams[0]}
    if not model.mixture.directions_gram.free_symbols:
        numbers = {}
    return Problem(
        model, weights=weights / weights.sum(), precision=rng.uniform(1.5, 3),
        ridge=rng.uniform(0, 0.2), step=step, **numbers,
    )  # fmt: skip


def wrong_problem(name: str, problem: Problem) -> Problem:
    """The wrong theory of a row at the same numbers."""
    accepted = ACCEPTED[name]
    model = stated(accepted.wrong, it=problem.model, replace=replace)
    numbers = problem.parameters
    return Problem(model, numbers.with_step(numbers.step * accepted.faster))


def random_state(problem: Problem, rng: np.random.Generator) -> State:
    """Weights with random overlaps; of bands only with what they hold of the directions."""
    model, gamma = problem.model, problem.parameters.directions_gram
    lead = (model.bands,) if model.bands > 1 else ()
    share = fractions_of(model).reshape(-1, 1, 1) if lead else 1.0
    overlap = rng.uniform(-0.6, 0.6, (*lead, model.units, model.directions))
    overlap = overlap @ inverse_of(gamma) @ gamma * share
    factor = rng.uniform(-1, 1, (*lead, model.units, model.units))
    gram = 0.2 * np.eye(model.units) + factor @ np.swapaxes(factor, -1, -2) / model.units
    return State(overlap, 0.6 * share * gram, rng.uniform(0.3, 1, model.readout_size))

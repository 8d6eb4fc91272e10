"""Any model from its statement alone: samples in R^d, and differences of the bare loss in weights.

Nothing derived enters: components, noise, tokens, teachers and label noise are drawn, and the loss
is evaluated where the weights are moved.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.special
import sympy as sp

from numerics import Problem, State, realise_weights
from theory import symbols

# functions of losses that NumPy does not have
FUNCTIONS = {
    "LogSumExp": lambda *u: np.logaddexp.reduce(u),
    "Softmax": lambda a, *u: np.exp(u[int(a) - 1] - np.logaddexp.reduce(u)),
    "Softplus": lambda f: np.logaddexp(0, f),
    "Sigmoid": scipy.special.expit,
    "ReLU": lambda f: np.maximum(f, 0.0),
    "Step": lambda f: (f > 0) * 1.0,
    "erf": scipy.special.erf,
    "equal": lambda a, b: np.equal(a, b) * 1.0,
}
# of differences: their error is about the square
STEP = 1e-3


@lru_cache(maxsize=None)
def bare_loss(model):
    """The loss of a model as a function of (y, *u, *t, xi, *v, *parameters, *statistics)."""
    loss = model.loss
    statistics = [each.symbol for each in loss.statistics]
    free = [each.symbol for each in loss.free_parameters]
    arguments = [symbols.LABEL, *loss.fields, *loss.readout, *free, *statistics]
    expression = loss.expression.replace(sp.KroneckerDelta, sp.Function("equal"))
    return sp.lambdify(arguments, expression, [FUNCTIONS, "numpy"], cse=True)


@dataclass(frozen=True)
class RawSamples:
    """Samples of a problem in R^d at weights with the statistics of a state."""

    problem: Problem
    readout: np.ndarray
    directions: np.ndarray  # r x d
    weights: np.ndarray  # C x d
    labels: np.ndarray  # M
    features: np.ndarray  # M x P x d
    noise: np.ndarray  # M

    def losses(self, movement):
        """The loss of every sample where (weights, readout) are moved, flat as in ``movement``."""
        model, p = self.problem.model, self.problem.parameters
        x = self.weights + movement[: self.weights.size].reshape(self.weights.shape)
        v = self.readout + movement[self.weights.size :]
        u = np.einsum("mpi,ai->pam", self.features, x).reshape(-1, len(self.labels))
        t = self.directions[list(model.loss.teachers)] @ self.features[:, 0].T
        held = [p.values[each.name] for each in model.loss.free_parameters]
        gram, overlap = x @ x.T, x @ self.directions.T
        for each in model.loss.statistics:
            table = gram if str(each.symbol).startswith("Q") else overlap
            held.append(table[each.first, each.second])
        noise = [self.noise] if model.loss.has_label_noise else []
        values = bare_loss(model)(self.labels, *u, *t, *noise, *v, *held)
        return np.broadcast_to(values, self.labels.shape)

    def slopes(self, movements):
        """Derivatives of the loss along movements, (M, movements)."""
        h = STEP / 10
        pairs = ((self.losses(h * w), self.losses(-h * w)) for w in movements)
        return np.stack([(up - down) / (2 * h) for up, down in pairs], axis=1)

    def curvatures(self, movements):
        """Second derivatives along all pairs of movements a <= b, (M, pairs)."""
        h, found = STEP, []
        for a, b in zip(*np.triu_indices(len(movements)), strict=True):
            total = 0.0
            for i in (1, -1):
                for j in (1, -1):
                    total = total + i * j * self.losses(h * (i * movements[a] + j * movements[b]))
            found.append(total / (4 * h * h))
        return np.stack(found, axis=1)


def raw_samples(problem: Problem, state: State, dimension, count, rng) -> RawSamples:
    """Draw samples of the mixture; bands stand one behind the other."""
    model, p, mixture = problem.model, problem.parameters, problem.model.mixture
    directions, weights = realise_weights(problem, state, dimension)
    component = rng.choice(model.components, size=count, p=p.weights)
    means = np.array(mixture.coordinates.tolist(), dtype=float) @ directions
    means = means.reshape(model.components, mixture.tokens, dimension)
    spread = np.ones((model.components, dimension))
    if mixture.bands is not None:
        sizes = [round(float(rho) * dimension) for rho in mixture.bands.fractions]
        spread = np.repeat(np.array(mixture.bands.scales.tolist(), dtype=float), sizes, axis=1)
    noise = rng.standard_normal((count, mixture.tokens, dimension)) / np.sqrt(p.precision)
    features = means[component] + noise * spread[component][:, None, :]
    labels = np.array([float(y) for y in mixture.labels])[component]
    xi = rng.standard_normal(count)
    return RawSamples(problem, state.readout, directions, weights, labels, features, xi)

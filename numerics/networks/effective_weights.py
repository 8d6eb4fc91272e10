"""What the effective dynamics make of the weights of a network, where derivations reach it."""

from __future__ import annotations

import numpy as np

from numerics.core.parameters import Parameters
from numerics.core.problem import Problem
from numerics.core.state import State
from numerics.core.validation import Array
from numerics.dynamics.curves import integrate_curves
from theory import InputError, Mixture, mlp

from .dense_network import DenseNetwork
from .train_network import NetworkWeights

# widths beyond which the drift of the whole network, one expression, takes minutes to compile
WIDEST, MOST_HIDDEN = 3, 2
# error asked of the statistics
TOLERANCE = 5e-3


def check_reach(network: DenseNetwork) -> None:
    """Refuse networks whose effective dynamics are out of reach.

    Raises
    ------
    theory.InputError
    """
    if network.activation != "tanh":
        remedy = "take activation='tanh', or method='sgd'"
        raise InputError("activation", network.activation, "one without kinks", remedy)
    if max(network.widths) > WIDEST or len(network.widths) > MOST_HIDDEN:
        expected = f"at most {MOST_HIDDEN} hidden layers of at most {WIDEST} units"
        raise InputError("units", list(network.widths), expected, "take method='sgd'")


def effective_weights(
    mixture: Mixture,
    network: DenseNetwork,
    parameters: Parameters,
    start: NetworkWeights,
    directions: Array,
    times: Array,
) -> list[NetworkWeights]:
    """Weights with the summary statistics of the curve at the times, in r + C dimensions.

    ``directions`` holds e_s in the first r coordinates, a row each.
    """
    model = mlp(
        mixture, list(network.widths), activation=network.activation, output=network.output,
        biases=network.biases,
    )  # fmt: skip
    along, perp = np.hsplit(start.first, [len(directions)])
    initial = State(along @ directions.T, perp @ perp.T, start.readout)
    # a curve begins at time 0
    asked = np.unique([0.0, *times])
    problem = Problem(model, parameters)
    curve = integrate_curves(problem, initial, asked, tolerance=TOLERANCE)
    found = []
    for time in times:
        state = State.at(curve, time=time)
        values, vectors = np.linalg.eigh(state.gram_perp)
        factor = vectors * np.sqrt(np.maximum(values, 0.0))
        overlap = np.linalg.solve(directions, state.overlap.T).T
        found.append(NetworkWeights(np.hstack([overlap, factor]), state.readout))
    return found

"""Networks of three layers on both mixtures of arXiv 2310.03010, wider than their task.

Every layer has more units than it needs, several that see the same: its space has a rank below its
width, so that weights and eigenspaces could leave it.
"""

from __future__ import annotations

import numpy as np

from numerics import Parameters, State
from numerics.core.validation import Array
from numerics.networks.dense_network import DenseNetwork
from theory import Model, kgmm, mlp, xor

from .system import Scenario, System

NETWORK_CHECKS = ("drift", "chain", "layer_spectra", "layer_alignment", "layer_rank")
PRECISIONS = (50.0, 500.0)


def mlp_kgmm_system() -> System:
    """Two classes, hidden layers of 3 and 3 tanh units, softmax.

    All units see the difference of the means: every layer has rank 1.  Two classes have no other
    end but that of no weights at all; a sub-optimal one is that of XOR.
    """
    model = mlp(kgmm(2).mixture, units=[3, 3], activation="tanh", output="softmax")
    optimal = (
        np.array([[1.2, -1.2], [0.9, -0.9], [-0.7, 0.7]]),
        np.array([[1.2, 0.9, -0.7], [0.6, 0.5, -0.4], [-0.8, -0.6, 0.5]]),
        np.array([[1.2, 0.6, -0.8], [-1.2, -0.6, 0.8]]),
    )
    return _system(
        "mlp_kgmm",
        model,
        DenseNetwork((3, 3), 2, "tanh", "softmax"),
        np.array([[1.0, 0.2], [0.2, 1.0]]),
        {"optimal": optimal},
        [0.6, 0.4],
        (0.02, 40.0),
        "two classes, network of 3-3-2 units, tanh, softmax",
    )


def mlp_xor_system() -> System:
    """XOR clusters, hidden layers of 3 and 3 tanh units with biases, one logistic output.

    Optimal: units along both directions tell four clusters apart.  Sub-optimal: all along mu, so
    that nu and -nu are one cluster; the labels are right all the same.
    """
    model = mlp(xor(2).mixture, units=[3, 3], activation="tanh", output="logistic", biases=True)
    optimal = (
        np.array([[1.8, 0.6], [1.8, -0.6], [0.0, 1.8]]),
        np.array([[1.4, -1.4, 0.3, 0.8], [1.1, -1.1, 0.5, 0.6], [0.4, 0.4, 0.8, 0]]),
        np.array([[2.0, 1.6, -0.6, -0.5]]),
        np.array([-0.9, 0.9, 0.5]),
    )
    sub_optimal = (
        np.array([[1.9, 0], [1.9, 0], [1.3, 0]]),
        np.array([[1.4, -1.6, 0.8, 0.8], [1.1, -1.2, 0.6, 0.6], [0, 0, 0, 0]]),
        np.array([[2.2, 1.8, 0, -0.4]]),
        np.array([-0.9, 0.9, -0.7]),
    )
    return _system(
        "mlp_xor",
        model,
        DenseNetwork((3, 3), 1, "tanh", "logistic", biases=True),
        np.eye(2),
        {"optimal": optimal, "sub-optimal": sub_optimal},
        [0.3, 0.25, 0.25, 0.2],
        (0.01, 60.0),
        "XOR mixture, network of 3-3-1 units, tanh with biases, logistic",
    )


def _system(
    name: str,
    model: Model,
    network: DenseNetwork,
    gram: Array,
    ends: dict[str, tuple[Array, ...]],
    weights: list[float],
    training: tuple[float, float],
    description: str,
) -> System:
    """A system of the weights near which runs start: x, V^2, V^3 and biases of layer 1.

    ``training`` is the ridge of trained runs and how long they are.
    """
    ridge, end_time = training
    equal = np.full(len(weights), 1 / len(weights))
    # fixed initial conditions: part of the definition, not of a run
    rng = np.random.default_rng(20231005)
    noise = [0.2 * rng.normal(size=(model.units, model.directions)) for _ in ends]
    readout_noise = [0.2 * rng.normal(size=model.readout_size) for _ in ends]

    def state(x: Array, v2: Array, v3: Array, *biases: Array) -> State:
        readout = np.concatenate([*biases, v2.ravel(), v3.ravel()])
        return State(x, 0.02 * np.eye(model.units), readout)

    def trained(precision: float) -> tuple[Scenario, ...]:
        parameters = Parameters(equal, precision, ridge, 1.0, gram)
        return tuple(
            Scenario(
                f"{end}, lambda = {precision:g}", parameters, state(*values), (end_time,), 1e-3
            )
            for end, values in ends.items()
        )

    early = []
    for i, (end, values) in enumerate(ends.items()):
        near = state(*values)
        start = State(
            0.7 * near.overlap + noise[i],
            0.15 * np.eye(model.units) + 0.05,
            0.7 * near.readout + readout_noise[i],
        )
        order = 1 - 2 * i
        parameters = Parameters(weights[::order], (10.0, 30.0)[i], 0.03, 1.0, gram)
        early.append(Scenario(f"towards {end}", parameters, start, (1.0, 2.0, 4.0), 1e-3))
    return System(
        name=name,
        model=model,
        scenarios=tuple(early),
        trained=trained,
        precisions=PRECISIONS,
        checks=NETWORK_CHECKS,
        description=description,
        quadrature=1e-4,
        replica_share=0.17,
        network=network,
    )

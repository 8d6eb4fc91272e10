r"""What training is judged by: accuracy, alignment, loss of a state, each with its error.

The alignment is the share of the squared length of the first layer in the span of the directions,

.. math:: 1-\frac{\mathrm{Tr}\,R^\perp}{\mathrm{Tr}\,Q}\in[0,1]

(mathematics.md section 8).  Accuracy and loss are those of
:func:`numerics.population_risk`, on fresh samples, without the ridge.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from numerics.alignment.layer_alignment import first_layer_share
from numerics.core.flatten import unflatten
from numerics.core.problem import Problem
from numerics.core.state import State, nearest_psd
from numerics.core.validation import Array
from numerics.data.risk import expected_accuracy
from numerics.expectations.compiled import compile_expressions
from theory import derive_risk
from theory.errors import check_choice
from theory.problem.covariance.bands import refuse_bands

# an accuracy counts nodes: a tolerance that none reaches, so that all states see the same nodes
_ALL_NODES = 1e-12
# the change of a statistic by which slopes of a quantity are taken
_SLOPE = 1e-3


@dataclass(frozen=True)
class Quantity:
    """A number of a state that training is to make large or small.

    Attributes
    ----------
    name : str
    sign : int
        1 where more is better, -1 where less is.
    least, most : float
        Between them all values lie.
    of : callable, (problem, state, nodes) -> (value, error)
        ``nodes`` is the size of a quasi-Monte Carlo rule, where one is needed.
    is_smooth : bool
        Whether it changes smoothly with the state as it is computed.
    """

    name: str
    sign: int
    least: float
    most: float
    of: Callable[[Problem, State, int], tuple[float, float]]
    is_smooth: bool

    def error_from(self, problem: Problem, state: State, nodes: int, each: float) -> float:
        """What an error of ``each`` in every statistic makes of the quantity, to first order."""
        if each == 0:
            return 0.0
        vector, total = state.flatten(), 0.0
        middle, _ = self.of(problem, state, nodes)
        scale = max(_SLOPE, each)
        for i in range(vector.size):
            moved = vector.copy()
            moved[i] += scale
            there = _state_of(problem, moved)
            total += abs(self.of(problem, there, nodes)[0] - middle) / scale
        return total * each


def _state_of(problem: Problem, vector: Array) -> State:
    overlap, gram_perp, readout = unflatten(vector, problem.model)
    return State(overlap, nearest_psd(gram_perp), readout)


def _alignment(problem: Problem, state: State, nodes: int) -> tuple[float, float]:
    if not (state.overlap.any() or state.gram_perp.any()):
        return 0.0, 0.0  # weights of no length are aligned with nothing yet
    return first_layer_share(problem, state), 0.0


def _accuracy(problem: Problem, state: State, nodes: int) -> tuple[float, float]:
    refuse_bands(problem.model.mixture, "the accuracy of a design")
    return expected_accuracy(problem, state, _ALL_NODES, 0, nodes)


def _loss(problem: Problem, state: State, nodes: int) -> tuple[float, float]:
    refuse_bands(problem.model.mixture, "the loss of a design")
    compiled = compile_expressions(problem.model, (derive_risk(problem.model).loss,))
    found = compiled.estimate(problem.parameters, state, tolerance=1e-6, max_nodes=nodes)
    return float(found.values[0]), float(found.errors[0])


QUANTITIES = {
    q.name: q
    for q in (
        Quantity("accuracy", 1, 0.0, 1.0, _accuracy, is_smooth=False),
        Quantity("alignment", 1, 0.0, 1.0, _alignment, is_smooth=True),
        Quantity("loss", -1, -np.inf, np.inf, _loss, is_smooth=True),
    )
}


def quantity_of(name: str, parameter: str) -> Quantity:
    """The quantity of this name.

    Raises
    ------
    theory.InputError
        There is none.
    """
    return QUANTITIES[check_choice(parameter, name, QUANTITIES, kind="quantity")]

"""Fresh test data at weights of a given state, and the sample derivatives of the loss on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike

from theory import InputError, Model, Moments, Weight, symbols

from . import codegen
from .layout import labels_of, realise_weights, sample_mixture, state_of_weights
from .state import Array, Parameters, State, as_array, as_integer, check_parameters, check_state


@dataclass(frozen=True)
class TestData:
    """Fresh samples and the pre-activations they give at fixed weights.

    Attributes
    ----------
    model, parameters, state
    directions : array, shape (r, d)
    weights : array, shape (C, d)
    labels : array, shape (M,)
    features : array, shape (M, d)
    """

    __test__ = False  # not a test case, whatever a collector thinks of the name

    model: Model
    parameters: Parameters
    state: State
    directions: Array
    weights: Array
    labels: Array
    features: Array
    _kept: dict[str, Array] = field(default_factory=dict, init=False, repr=False, compare=False)

    def derivatives(self, matrix: str) -> Array:
        """Sample derivatives at the data, computed once: see :func:`compile_derivatives`."""
        if matrix not in self._kept:
            u = self.weights @ self.features.T
            self._kept[matrix] = compile_derivatives(self.model, matrix)(self.labels, u, self.state.readout)
        return self._kept[matrix]


def draw_data(
    model: Model, parameters: Parameters, state: State, dimension: int, samples: int,
    seed: int | np.random.SeedSequence | np.random.Generator, weights: ArrayLike | None = None,
) -> TestData:
    """Draw ``samples`` fresh samples in R^dimension at weights that realise ``state``."""
    check_parameters(model, parameters)
    check_state(model, state, "state")
    samples = as_integer("samples", samples, 1, "give the number M of test samples")
    directions, x = realise_weights(parameters, state, dimension)
    if weights is not None:
        x = _given_weights(parameters, state, x.shape, weights)
    component, features = sample_mixture(model, parameters, directions, samples, np.random.default_rng(seed))
    return TestData(model, parameters, state, directions, x, labels_of(model)[component], features)


def compile_derivatives(model: Model, matrix: str) -> Callable[[Array, Array, Array], Array]:
    """Return a function (labels (M,), u (C, M), v) -> derivatives of the loss at every sample.

    For the Hessian all second derivatives, shape (C + q, C + q, M); for G all first ones, shape (C + q, M).
    Variables in the order (u_1..u_C, v_1..v_q).  Generated from the loss for NumPy.
    """
    function, size = _derivative_function(model, matrix)
    upper = symbols.upper_triangle(size)

    def evaluate(labels: Array, u: Array, v: Array) -> Array:
        if matrix == "gradient":
            out = np.empty((size, u.shape[1]))
            function(labels, u, v, out)
            return out
        packed = np.empty((len(upper), u.shape[1]))
        function(labels, u, v, packed)
        out = np.empty((size, size, u.shape[1]))
        for row, (i, j) in zip(packed, upper, strict=True):
            out[i, j] = out[j, i] = row
        return out

    return evaluate


@lru_cache(maxsize=32)
def _derivative_function(model: Model, matrix: str) -> tuple[Callable[..., None], int]:
    size = model.units + model.readout_size
    moments = Moments(model, "projection")  # differentiates nothing beyond the weight itself
    weights = (
        [Weight.of((i, j)) for i, j in symbols.upper_triangle(size)] if matrix == "hessian"
        else [Weight.of((i,)) for i in range(size)]
    )
    expressions = [_almost_everywhere(moments.expression(w)) for w in weights]
    s = model.symbols
    arguments = (("y", (symbols.LABEL,)), ("u", s.preactivation), ("v", s.readout))
    source = codegen.generate_function("derivatives", arguments, expressions, "numpy")
    return codegen.load_module(source).derivatives, size


def _almost_everywhere(expression: sp.Expr) -> sp.Expr:
    """Drop Dirac parts: samples meet a kink with probability 0 (mathematics.md section 2)."""
    return expression.replace(sp.DiracDelta, lambda *_: sp.Integer(0))


def _given_weights(parameters: Parameters, state: State, shape: tuple[int, ...], weights: ArrayLike) -> Array:
    x = as_array("weights", weights, 2)
    if x.shape != shape:
        raise InputError("weights", f"shape {x.shape}", f"shape {shape}", "give one row x^a per unit")
    found = state_of_weights(parameters, x)
    scale = 1e-8 * (1 + np.abs(x).max(initial=0.0) ** 2)
    for part in ("overlap", "gram_perp"):
        difference = np.abs(getattr(found, part) - getattr(state, part)).max()
        if difference > scale:
            raise InputError(
                "weights", f"{part} off by {difference:.3g} from the state", "weights with these statistics",
                "use numerics.state_of_weights(parameters, weights, readout) as the state",
            )
    return x

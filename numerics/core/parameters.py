"""The numbers of a model: weights, precision, ridge, step, Gram matrix of the directions."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike

from theory import InputError, Model, symbols
from theory.expectations.noiseless_limit import WITHOUT_NOISE

from .validation import Array, _is_infinite, as_array, as_scalar, check_gram


@dataclass(frozen=True, init=False, eq=False)
class Parameters:
    r"""Numeric parameters of a mixture model.

    Parameters
    ----------
    weights : array, shape (n,)
        Class weights p_l > 0 with sum 1.
    precision : float
        lambda > 0, inverse noise variance.
    ridge : float
        beta >= 0.
    step : float
        c_delta > 0; the step size is delta = c_delta / d and time is steps * delta.
    directions_gram : array, shape (r, r), optional
        Gamma, symmetric positive definite; the identity (orthonormal directions) when omitted, with
        r = n components.  A model with another number of directions, or another Gamma, needs it
        given.

    Raises
    ------
    theory.InputError
        NaN, wrong shapes, weights off the simplex, a Gamma that is not positive definite, or a
        scalar out of its domain.

    Examples
    --------
    >>> Parameters([0.5, 0.5], 10, 0.1, 1).directions_gram
    array([[1., 0.],
           [0., 1.]])
    """

    weights: Array
    precision: float
    ridge: float
    step: float
    directions_gram: Array
    _gram_is_default: bool = field(init=False, repr=False)

    def __init__(
        self,
        weights: ArrayLike,
        precision: float,
        ridge: float,
        step: float,
        directions_gram: ArrayLike | None = None,
    ) -> None:
        weights = as_array("weights", weights, 1)
        if np.any(weights <= 0):
            l = int(np.argmax(weights <= 0))
            raise InputError(
                "weights",
                f"{weights.tolist()}, whose entry {l + 1} is {weights[l]:g}",
                "positive weights with sum 1",
                "give every weight > 0; drop a class of weight 0"
                if weights[l] == 0
                else "give every weight > 0",
            )
        if abs(weights.sum() - 1.0) > 1e-9:
            raise InputError(
                "weights",
                f"{weights.tolist()} with sum {weights.sum():.12g}",
                "positive weights on the simplex (sum 1)",
                "divide the weights by their sum",
            )
        object.__setattr__(self, "weights", weights)
        for name, value, strict, remedy in (
            (
                "precision",
                precision,
                True,
                WITHOUT_NOISE
                if _is_infinite(precision)
                else "give lambda, the inverse noise variance",
            ),
            ("ridge", ridge, False, "give the weight decay beta, 0 for none"),
            ("step", step, True, "give c_delta, the step size times the dimension"),
        ):
            object.__setattr__(self, name, as_scalar(name, value, 0.0, strict, remedy))
        object.__setattr__(self, "_gram_is_default", directions_gram is None)
        gram = as_array(
            "directions_gram",
            np.eye(weights.size) if directions_gram is None else directions_gram,
            2,
        )
        check_gram("directions_gram", gram, definite=True)
        object.__setattr__(self, "directions_gram", gram)

    def with_step(self, step: float) -> Parameters:
        """The same with another step c_delta > 0, not checked: schedules ask for one at every
        right-hand side.
        """
        other = copy.copy(self)
        object.__setattr__(other, "step", step)
        return other

    def with_precision(self, precision: float) -> Parameters:
        """The same with another precision lambda > 0."""
        gram = None if self._gram_is_default else self.directions_gram
        return Parameters(self.weights, precision, self.ridge, self.step, gram)

    def to_json(self) -> str:
        """The parameters as JSON, for the attributes of a result."""
        return json.dumps(
            {
                "weights": self.weights.tolist(),
                "precision": self.precision,
                "ridge": self.ridge,
                "step": self.step,
                "directions_gram": self.directions_gram.tolist(),
            }
        )


def check_parameters(model: Model, parameters: Parameters) -> None:
    """Refuse parameters whose shape differs from the model's, or that contradict a number fixed in
    it.
    """
    mixture = model.mixture
    if parameters.weights.shape != (model.components,):
        raise InputError(
            "weights",
            f"{parameters.weights.size} entries",
            f"{model.components}, one per component",
            f"the model {model.name} has {model.components} components",
        )
    expected = (model.directions, model.directions)
    got, remedy = f"shape {parameters.directions_gram.shape}", "give their Gram matrix"
    if parameters._gram_is_default:
        got = f"the identity of {got}, the default when it is left out"
        remedy = _how_to_give_gram(model)
    if parameters.directions_gram.shape != expected:
        raise InputError(
            "directions_gram",
            got,
            f"shape {expected}",
            f"the model {model.name} has {model.directions} direction(s); {remedy}",
        )
    if parameters._gram_is_default and _contradicts(
        mixture.directions_gram, parameters.directions_gram
    ):
        raise InputError(
            "directions_gram",
            got,
            f"{mixture.directions_gram.tolist()}, which the model {model.name} fixes",
            remedy,
        )
    upper = symbols.upper_triangle(model.directions)
    pairs = [
        *(("weights", e, x) for e, x in zip(mixture.weights, parameters.weights, strict=True)),
        ("precision", mixture.precision, parameters.precision),
        ("ridge", model.ridge, parameters.ridge),
        ("step", model.step, parameters.step),
        *(
            ("directions_gram", mixture.directions_gram[i, j], parameters.directions_gram[i, j])
            for i, j in upper
        ),
    ]
    for name, expression, value in pairs:
        if _differs(expression, value):
            raise InputError(
                name,
                value,
                f"{expression}, which the model {model.name} fixes",
                "build the model with symbols, or give the same number",
            )


def _differs(expression: sp.Expr, value: float) -> bool:
    """True for a number other than ``value``; a symbol may take any."""
    return bool(expression.is_number) and abs(float(expression) - value) > 1e-12 * (1 + abs(value))


def _contradicts(gram: sp.MatrixBase, numbers: Array) -> bool:
    return any(_differs(gram[i, j], numbers[i, j]) for i, j in symbols.upper_triangle(gram.rows))


def _how_to_give_gram(model: Model) -> str:
    """What to write to get Parameters with the Gram matrix of ``model``."""
    gram = model.mixture.directions_gram
    if gram.free_symbols:
        return (
            f"pass directions_gram, a {gram.rows} x {gram.cols} matrix of e_s . e_t, to Parameters"
        )
    rows = [[float(x) for x in row] for row in gram.tolist()]
    return f"pass directions_gram={rows}, as in the model, to Parameters"


def parameters_of(model: Model) -> Parameters:
    """Return the numbers of a model in which everything is a number.

    Raises
    ------
    theory.InputError
        If the model leaves a symbol open.
    """
    if model.parameter_symbols:
        names = sorted(map(str, model.parameter_symbols))
        raise InputError(
            "model",
            f"open symbols {names}",
            "a model with numbers only",
            "give numerics.Parameters",
        )
    return Parameters(
        np.array([float(p) for p in model.mixture.weights]),
        float(model.mixture.precision),
        float(model.ridge),
        float(model.step),
        np.array(model.mixture.directions_gram.tolist(), dtype=float),
    )

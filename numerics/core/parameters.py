"""The numbers of a model: weights, precision, ridge, step, Gram matrix of the directions."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from theory import InputError, Model
from theory.keywords import with_known_keywords
from theory.names import WITHOUT_NOISE
from theory.notebook import equations_latex, matrix_latex, numbers_text, short_repr

from .covariance.band_arrays import axes_of, check_directions
from .validation import Array, _is_infinite, as_array, as_scalar, kind_of


@with_known_keywords
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
        Gamma, symmetric positive definite.  When omitted it is that of the model where the model
        fixes it, and else the identity (orthonormal directions, one for each component).  With B >
        1 bands the matrices Gamma^g, (B, r, r), semidefinite and of a sum that is definite.
    values : mapping of names to floats, optional
        Numbers of the free parameters that the loss declares.

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
    values: Mapping[str, float]
    _gram_is_default: bool = field(init=False, repr=False)

    def __repr__(self) -> str:
        named: dict[str, object] = {
            "weights": numbers_text(self.weights),
            "precision": self.precision,
            "ridge": self.ridge,
            "step": self.step,
            "directions_gram": numbers_text(self.directions_gram),
        }
        return short_repr(self, **named, **({"values": dict(self.values)} if self.values else {}))

    def _repr_latex_(self) -> str:
        """Every number under its letter, for notebooks."""
        return equations_latex(self.equations())

    def equations(self) -> list[tuple[str, str]]:
        """Left and right hand sides in LaTeX."""
        scalars = {r"\lambda": self.precision, r"\beta": self.ridge, r"c_\delta": self.step}
        return [
            ("p", matrix_latex([self.weights.tolist()])),
            *((letter, f"{value:.6g}") for letter, value in scalars.items()),
            *self._gram_equations(),
            *((name, f"{value:.6g}") for name, value in self.values.items()),
        ]

    def _gram_equations(self) -> list[tuple[str, str]]:
        if self.directions_gram.ndim == 2:
            return [(r"\Gamma", matrix_latex(self.directions_gram.tolist()))]
        grams = enumerate(self.directions_gram.tolist(), start=1)
        return [(rf"\Gamma^{{({g})}}", matrix_latex(gram)) for g, gram in grams]

    def __init__(
        self,
        weights: ArrayLike,
        precision: float,
        ridge: float,
        step: float,
        directions_gram: ArrayLike | None = None,
        values: Mapping[str, float] | None = None,
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
        gram = np.eye(weights.size) if directions_gram is None else directions_gram
        axes = axes_of(gram)
        gram = as_array("directions_gram", gram, axes)
        check_directions(gram)
        object.__setattr__(self, "directions_gram", gram)
        object.__setattr__(self, "values", _checked_values(values))

    @with_known_keywords
    def with_step(self, step: float) -> Parameters:
        """The same with another step c_delta > 0, not checked: schedules ask for one at every
        right-hand side.
        """
        other = copy.copy(self)
        object.__setattr__(other, "step", step)
        return other

    @with_known_keywords
    def with_precision(self, precision: float) -> Parameters:
        """The same with another precision lambda > 0."""
        gram = None if self._gram_is_default else self.directions_gram
        return Parameters(self.weights, precision, self.ridge, self.step, gram, self.values)

    @with_known_keywords
    def with_gram(self, directions_gram: ArrayLike) -> Parameters:
        """The same with another Gram matrix of the directions."""
        numbers = self.weights, self.precision, self.ridge, self.step
        return Parameters(*numbers, directions_gram, self.values)

    @with_known_keywords
    def with_values(self, values: Mapping[str, float]) -> Parameters:
        """The same with other numbers of free parameters of the loss."""
        gram = None if self._gram_is_default else self.directions_gram
        numbers = self.weights, self.precision, self.ridge, self.step
        return Parameters(*numbers, gram, {**self.values, **values})

    def to_json(self) -> str:
        """The parameters as JSON, for the attributes of a result."""
        return json.dumps(
            {
                "weights": self.weights.tolist(),
                "precision": self.precision,
                "ridge": self.ridge,
                "step": self.step,
                "directions_gram": self.directions_gram.tolist(),
                **({"values": dict(self.values)} if self.values else {}),
            }
        )


def _checked_values(values: object) -> Mapping[str, float]:
    """Numbers by name; whether the loss declares them is seen with the model."""
    if values is None:
        return {}
    if not isinstance(values, Mapping) or not all(isinstance(name, str) for name in values):
        remedy = 'write values={"T": 0.5}'
        raise InputError("values", kind_of(values), "a mapping of names to numbers", remedy)
    remedy = "give one number"
    return {n: as_scalar(n, x, -math.inf, False, remedy) for n, x in values.items()}


@with_known_keywords
def parameters_of(source: Model | xr.Dataset) -> Parameters:
    """Return the numbers of a model in which everything is a number, or those of a result.

    Parameters
    ----------
    source : theory.Model or xarray.Dataset
        A result carries the numbers it was computed with, also one loaded by
        :func:`numerics.from_netcdf`.

    Raises
    ------
    theory.InputError
        If the model leaves a symbol open, or the result has no numbers.

    Examples
    --------
    >>> from theory import kgmm
    >>> parameters_of(kgmm(2, weights=["1/4", "3/4"], directions_gram="orthonormal", precision=10,
    ...                    ridge=0, step=1)).weights
    array([0.25, 0.75])
    """
    if isinstance(source, xr.Dataset):
        return _parameters_of_result(source)
    if not isinstance(source, Model):
        raise InputError(
            "source", kind_of(source), "an sa.Model, or a result", "give one of the two"
        )
    if source.parameter_symbols:
        names = sorted(map(str, source.parameter_symbols))
        raise InputError(
            "model", f"open symbols {names}", "a model with numbers only", "give sa.Parameters"
        )
    return Parameters(
        np.array([float(p) for p in source.mixture.weights]),
        float(source.mixture.precision),
        float(source.ridge),
        float(source.step),
        gram_of(source),
    )


def gram_of(model: Model) -> Array:
    """Gamma of a model of numbers, (r, r), or that of every band, (B, r, r)."""
    gram = np.array(model.mixture.directions_gram.tolist(), dtype=float)
    return gram.reshape(model.symbols.band_shape(model.directions, model.directions))


def _parameters_of_result(result: xr.Dataset) -> Parameters:
    remedy = (
        "give a Dataset of a numeric function; arithmetic drops attributes unless "
        "xarray.set_options(keep_attrs=True)"
    )
    try:
        numbers = json.loads(result.attrs.get("parameters", "{}"))
        return Parameters(**numbers)
    except InputError:
        raise
    # no text, no JSON, brackets in brackets, other names
    except (TypeError, ValueError, RecursionError) as error:
        expected = "a result with the attribute 'parameters'"
        raise InputError("source", kind_of(result), expected, remedy) from error

"""A problem: a model with all its numbers, made and checked once and then handed on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp
import xarray as xr
from numpy.typing import ArrayLike

from theory import InputError, Model, symbols
from theory.errors import brief, brief_parts
from theory.keywords import with_known_keywords
from theory.notebook import equations_latex

from .covariance.band_arrays import check_band_numbers, inverse_of
from .geometry import coordinates_of, labels_of
from .parameters import Parameters, gram_of, parameters_of
from .state import State, check_state
from .validation import Array, kind_of

NUMBERS = ("weights", "precision", "ridge", "step", "directions_gram")


@dataclass(frozen=True, init=False, eq=False)
class Problem:
    r"""A model and the numbers it leaves open: what every numeric function starts from.

    A number that the model fixes is taken from the model.  One that is stated a second time must
    agree with it.

    Parameters
    ----------
    model : theory.Model
    parameters : Parameters or xarray.Dataset, optional
        All numbers in one object; or a result, whose numbers are taken.
    weights, precision, ridge, step, directions_gram, values : optional
        Instead of ``parameters``: the numbers that the model leaves open, as in
        :class:`Parameters`.  ``directions_gram`` is the identity when nobody states it and there
        is one direction for each component.

    Raises
    ------
    theory.InputError
        A number is missing, out of its domain, of a wrong shape, or contradicts the model.

    Examples
    --------
    >>> from theory import kgmm
    >>> problem = Problem(kgmm(2, directions_gram="orthonormal"), weights=[0.6, 0.4], precision=10,
    ...                   ridge=0.1, step=1)
    >>> problem.parameters.directions_gram
    array([[1., 0.],
           [0., 1.]])

    A model of numbers only needs no second statement of them:

    >>> fixed = kgmm(2, weights=["3/5", "2/5"], directions_gram="orthonormal", precision=10,
    ...              ridge="1/10", step=1)
    >>> Problem(fixed).parameters.ridge
    0.1
    """

    model: Model
    parameters: Parameters

    @with_known_keywords
    def __init__(
        self,
        model: Model,
        parameters: Parameters | xr.Dataset | None = None,
        *,
        weights: ArrayLike | None = None,
        precision: float | None = None,
        ridge: float | None = None,
        step: float | None = None,
        directions_gram: ArrayLike | None = None,
        values: Mapping[str, float] | None = None,
    ) -> None:
        _check_model(model, parameters)
        given = (weights, precision, ridge, step, directions_gram, values)
        names = (*NUMBERS, "values")
        stated = {n: v for n, v in zip(names, given, strict=True) if v is not None}
        if parameters is None:
            numbers = _complete(model, stated)
        elif stated:
            raise InputError(
                ", ".join(stated),
                "numbers beside parameters",
                "either Parameters or single numbers",
                "leave one of the two out",
            )
        else:
            numbers = _with_gram_of_model(model, _as_parameters(model, parameters))
        _check_agreement(model, numbers)
        object.__setattr__(self, "model", model)
        object.__setattr__(self, "parameters", numbers)

    def __repr__(self) -> str:
        numbers = {name: np.asarray(getattr(self.parameters, name)).tolist() for name in NUMBERS}
        if self.parameters.values:
            numbers["values"] = dict(self.parameters.values)
        return f"Problem({brief(self.model.name)!r}, {brief_parts(**numbers)})"

    def _repr_latex_(self) -> str:
        """The loss and every number, for notebooks."""
        return equations_latex([*self.model.loss.equations(), *self.parameters.equations()])

    @cached_property
    def coordinates(self) -> Array:
        """S, shape (n, r): the mean of component l is the combination S_l of the directions.

        Of P tokens (n P, r), the rows of a component one behind the other.
        """
        return coordinates_of(self.model)

    @cached_property
    def labels(self) -> Array:
        """The labels y_l, shape (n,)."""
        return labels_of(self.model)

    @cached_property
    def gram_inverse(self) -> Array:
        """Gamma^-1, shape (r, r), or the pseudo-inverse of every band, (B, r, r)."""
        return inverse_of(self.parameters.directions_gram)

    def check_state(self, state: object, name: str = "state") -> State:
        """Return ``state``, a State of the shapes of the model; ``name`` is that of the argument.

        Raises
        ------
        theory.InputError
            Anything else than a State, or one of other shapes.
        """
        return check_state(self.model, state, name)

    @with_known_keywords
    def with_parameters(self, parameters: Parameters) -> Problem:
        """The same model with other numbers, checked."""
        return Problem(self.model, parameters)

    @with_known_keywords
    def with_step(self, step: float) -> Problem:
        """The same with another step, which is not compared with that of the model.

        A batch of b samples is the dynamics of step / b, also where the model fixes the step.
        """
        other = object.__new__(Problem)
        object.__setattr__(other, "model", self.model)
        object.__setattr__(other, "parameters", self.parameters.with_step(step))
        return other


def _check_model(model: object, parameters: object) -> None:
    """Refuse what is no model, and a mixture whose means or labels are open."""
    if not isinstance(model, Model):
        swapped = isinstance(parameters, Model)
        raise InputError(
            "model",
            kind_of(model),
            "sa.Model",
            "model and parameters are swapped: the model comes first"
            if swapped
            else "build one with Model.build(mixture, loss), kgmm or xor",
        )
    mixture = model.mixture
    check_band_numbers(model)
    for name, entries in (("labels", mixture.labels), ("coordinates", mixture.coordinates)):
        unknown = sorted(map(str, set().union(*(e.free_symbols for e in entries))))
        if unknown:
            raise InputError(
                name,
                f"open symbols {unknown}",
                f"numbers: {name} of the model {model.name} are no parameters",
                "build the mixture with numbers there",
            )


def _as_parameters(model: Model, parameters: object) -> Parameters:
    if isinstance(parameters, Parameters):
        return parameters
    if isinstance(parameters, xr.Dataset):
        name = parameters.attrs.get("model")
        if name != model.name:
            raise InputError(
                "parameters",
                f"a result of the model {name}",
                f"a result of the model {model.name}",
                "give the model the result was computed with",
            )
        return parameters_of(parameters)
    raise InputError(
        "parameters",
        kind_of(parameters),
        "sa.Parameters, or a result to take them from",
        "the order is Problem(model, parameters); single numbers are named: Problem(model, step=1)",
    )


def _fixed_numbers(model: Model) -> dict[str, Any]:
    """What the model states as numbers, under the names of Parameters."""
    mixture = model.mixture
    gram = mixture.directions_gram
    fixed: dict[str, Any] = {}
    if all(p.is_number for p in mixture.weights):
        fixed["weights"] = [float(p) for p in mixture.weights]
    for name, value in (
        ("precision", mixture.precision), ("ridge", model.ridge), ("step", model.step)
    ):  # fmt: skip
        if value.is_number:
            fixed[name] = float(value)
    if not gram.free_symbols:
        fixed["directions_gram"] = gram_of(model)
    return fixed


def _complete(model: Model, stated: Mapping[str, Any]) -> Parameters:
    """Parameters of what is stated and what the model fixes; all that is missing is named."""
    numbers = _fixed_numbers(model) | dict(stated)
    wanted = [n for n in NUMBERS if n != "directions_gram"]
    wanted += ["values"] if model.loss.free_parameters else []
    missing = [n for n in wanted if n not in numbers]
    if missing:
        raise InputError(
            ", ".join(missing),
            "nothing",
            f"numbers, which the model {model.name} leaves open",
            f"write Problem(model, {', '.join(f'{n}=...' for n in missing)})",
        )
    if isinstance(numbers["weights"], str):
        got, remedy = repr(numbers["weights"]), "write a list, such as weights=[0.5, 0.3, 0.2]"
        raise InputError("weights", got, "a list of numbers, one per component", remedy)
    _check_weight_count(model, np.size(numbers["weights"]))
    return Parameters(**numbers)


def _check_weight_count(model: Model, count: int) -> None:
    """One weight a component: said before anything is said about their values."""
    if count != model.components:
        raise InputError(
            "weights",
            f"{count} entries",
            f"{model.components}, one per component",
            f"the model {model.name} has {model.components} components",
        )


def _with_gram_of_model(model: Model, parameters: Parameters) -> Parameters:
    """A Gram matrix that was not stated is that of the model, where the model fixes it."""
    gram = _fixed_numbers(model).get("directions_gram")
    if gram is None or not parameters._gram_is_default:
        return parameters
    return parameters.with_gram(gram)


def _check_agreement(model: Model, parameters: Parameters) -> None:
    """Refuse parameters whose shape differs from the model's, or that contradict its numbers."""
    mixture = model.mixture
    _check_weight_count(model, parameters.weights.size)
    _check_gram_of(model, parameters)
    _check_values(model, parameters)
    pairs = [
        *(("weights", e, x) for e, x in zip(mixture.weights, parameters.weights, strict=True)),
        ("precision", mixture.precision, parameters.precision),
        ("ridge", model.ridge, parameters.ridge),
        ("step", model.step, parameters.step),
        *(("directions_gram", e, x) for e, x in _gram_pairs(model, parameters)),
    ]
    for name, expression, value in pairs:
        if _differs(expression, value):
            raise InputError(
                name,
                value,
                f"{expression}, which the model {model.name} fixes",
                f"leave {name} out of the numbers, or build the model with a symbol there",
            )


def _check_gram_of(model: Model, parameters: Parameters) -> None:
    """The Gram matrix has the size of the model's; an identity that nobody stated is not enough
    where the model fixes single entries.
    """
    gram, numbers = model.mixture.directions_gram, parameters.directions_gram
    got, remedy = f"shape {numbers.shape}", "give their Gram matrix"
    if parameters._gram_is_default:
        got = f"the identity of {got}, the default when it is left out"
        remedy = f"pass directions_gram, a {gram.rows} x {gram.cols} matrix of e_s . e_t"
    expected = model.symbols.band_shape(*[model.directions] * 2)
    if numbers.shape != expected:
        raise InputError(
            "directions_gram",
            got,
            f"shape {expected}",
            f"the model {model.name} has {model.directions} direction(s); {remedy}",
        )
    if parameters._gram_is_default and any(_differs(*p) for p in _gram_pairs(model, parameters)):
        raise InputError(
            "directions_gram", got, f"{gram.tolist()}, which the model {model.name} fixes", remedy
        )


def _check_values(model: Model, parameters: Parameters) -> None:
    """A number for every free parameter of the loss, within its range, and for nothing else."""
    declared = {each.name: each for each in model.loss.free_parameters}
    for name in parameters.values:
        if name not in declared:
            known = ", ".join(declared) or "none"
            expected = f"free parameters of the loss: {known}"
            remedy = f"declare it: Loss(..., parameters={{{name!r}: (low, high)}})"
            raise InputError("values", repr(name), expected, remedy)
    missing = [name for name in declared if name not in parameters.values]
    if missing:
        got = f"no number of {', '.join(missing)}"
        expected = f"numbers of the free parameters of {model.name}"
        given = ", ".join(f"{name!r}: ..." for name in missing)
        raise InputError("values", got, expected, f"write values={{{given}}}")
    for name, each in declared.items():
        each.check(parameters.values[name])


def _gram_pairs(model: Model, parameters: Parameters) -> Iterator[tuple[sp.Expr, float]]:
    """Entries of Gamma, of every band, as the model and as the numbers have them."""
    gram = model.mixture.directions_gram
    numbers = parameters.directions_gram.reshape(gram.shape)
    for i, j in symbols.upper_triangles(gram):
        yield gram[i, j], float(numbers[i, j])


def _differs(expression: sp.Expr, value: float) -> bool:
    """True for a number other than ``value``; a symbol may take any."""
    return bool(expression.is_number) and abs(float(expression) - value) > 1e-12 * (1 + abs(value))

"""Numbers for a model: parameters of the problem and the state of its summary statistics."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray

from theory import InputError, Model, symbols
from theory.limits import WITHOUT_NOISE

Array = NDArray[np.float64]

# a Gram matrix computed in floating point may have eigenvalues this far below 0, relative to its largest
PSD_SLACK = 1e-10


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
        r = n components.  A model with another number of directions, or another Gamma, needs it given.

    Raises
    ------
    theory.InputError
        NaN, wrong shapes, weights off the simplex, a Gamma that is not positive definite, or a scalar out of
        its domain.

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
        self, weights: ArrayLike, precision: float, ridge: float, step: float,
        directions_gram: ArrayLike | None = None,
    ) -> None:
        weights = as_array("weights", weights, 1)
        if np.any(weights <= 0):
            l = int(np.argmax(weights <= 0))
            raise InputError(
                "weights", f"{weights.tolist()}, whose entry {l + 1} is {weights[l]:g}", "positive weights with sum 1",
                "give every weight > 0; drop a class of weight 0" if weights[l] == 0 else "give every weight > 0",
            )
        if abs(weights.sum() - 1.0) > 1e-9:
            raise InputError(
                "weights", f"{weights.tolist()} with sum {weights.sum():.12g}",
                "positive weights on the simplex (sum 1)", "divide the weights by their sum",
            )
        object.__setattr__(self, "weights", weights)
        for name, value, strict, remedy in (
            (
                "precision", precision, True,
                WITHOUT_NOISE if _is_infinite(precision) else "give lambda, the inverse noise variance",
            ),
            ("ridge", ridge, False, "give the weight decay beta, 0 for none"),
            ("step", step, True, "give c_delta, the step size times the dimension"),
        ):
            object.__setattr__(self, name, as_scalar(name, value, 0.0, strict, remedy))
        object.__setattr__(self, "_gram_is_default", directions_gram is None)
        gram = as_array("directions_gram", np.eye(weights.size) if directions_gram is None else directions_gram, 2)
        check_gram("directions_gram", gram, definite=True)
        object.__setattr__(self, "directions_gram", gram)

    def with_step(self, step: float) -> Parameters:
        """The same with another step c_delta > 0, not checked: schedules ask for one at every right-hand side."""
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
                "weights": self.weights.tolist(), "precision": self.precision, "ridge": self.ridge,
                "step": self.step, "directions_gram": self.directions_gram.tolist(),
            }
        )


@dataclass(frozen=True, init=False, eq=False)
class State:
    r"""Summary statistics of the weights: everything the effective theory depends on.

    Parameters
    ----------
    overlap : array, shape (C, r)
        m_as = x^a . e_s.
    gram_perp : array, shape (C, C)
        R_perp: Gram matrix of the parts of x orthogonal to the directions; symmetric positive semidefinite.
    readout : array, shape (q,), optional
        Finite-dimensional parameters v.

    Raises
    ------
    theory.InputError
        NaN, wrong shapes, or a ``gram_perp`` that is not symmetric positive semidefinite.

    Examples
    --------
    >>> state = State([[1.0, 0.0]], [[0.5]])
    >>> state.gram(np.eye(2))
    array([[1.5]])
    """

    overlap: Array
    gram_perp: Array
    readout: Array

    def __init__(self, overlap: ArrayLike, gram_perp: ArrayLike, readout: ArrayLike = ()) -> None:
        overlap = as_array("overlap", overlap, 2)
        gram_perp = as_array("gram_perp", gram_perp, 2)
        readout = as_array("readout", readout, 1)
        if gram_perp.shape != (overlap.shape[0],) * 2:
            raise InputError(
                "gram_perp", f"shape {gram_perp.shape}", f"shape {(overlap.shape[0],) * 2}",
                "give one row and column per unit, as the overlap has rows",
            )
        check_gram("gram_perp", gram_perp)
        object.__setattr__(self, "overlap", overlap)
        object.__setattr__(self, "gram_perp", gram_perp)
        object.__setattr__(self, "readout", readout)

    def gram(self, directions_gram: Array) -> Array:
        """Q = R_perp + m Gamma^-1 m^T, shape (C, C)."""
        return self.gram_perp + self.overlap @ np.linalg.solve(directions_gram, self.overlap.T)

    def flatten(self) -> Array:
        """The state vector: overlap row-major, upper triangle of gram_perp, readout (order of theory.symbols)."""
        rows, columns = _upper(self.gram_perp.shape[0])
        return np.concatenate([self.overlap.ravel(), self.gram_perp[rows, columns], self.readout])


@lru_cache(maxsize=64)
def _upper(size: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Row and column indices of an upper triangle; an integrator asks for them at every step."""
    rows, columns = np.triu_indices(size)
    rows.flags.writeable = columns.flags.writeable = False
    return rows, columns


def unflatten(vector: Array, model: Model) -> tuple[Array, Array, Array]:
    """Split state vectors (last axis) into overlap, gram_perp and readout, the inverse of State.flatten."""
    c, r = model.units, model.directions
    rows, columns = _upper(c)
    lead = vector.shape[:-1]
    overlap = vector[..., : c * r].reshape(*lead, c, r)
    gram_perp = np.empty((*lead, c, c))
    upper = vector[..., c * r : c * r + rows.size]
    gram_perp[..., rows, columns] = upper
    gram_perp[..., columns, rows] = upper
    return overlap, gram_perp, vector[..., c * r + rows.size :]


def as_array(name: str, value: ArrayLike, dimensions: int) -> Array:
    """Return a fresh finite float array with the given number of dimensions, or say what is wrong."""
    expected = f"numbers in {dimensions} dimension(s)"
    try:
        odd = _first_no_number(value)
        array = np.empty(0) if odd is not None else np.array(value, dtype=float)
    except (TypeError, ValueError) as error:
        raise InputError(name, repr(value), expected, "give rows of equal length") from error
    if odd is not None:
        raise InputError(name, repr(odd), expected, "write real numbers, without quotes")
    if array.ndim != dimensions:
        raise InputError(
            name, f"{array.ndim} dimension(s), shape {array.shape}", f"{dimensions} dimension(s)",
            "check the nesting of the lists",
        )
    if not np.all(np.isfinite(array)):
        raise InputError(name, array.tolist(), "finite numbers", "remove NaN and infinities")
    return array


def as_scalar(name: str, value: object, low: float, strict: bool, remedy: str) -> float:
    """Return ``value`` as a finite float above ``low`` (or equal to it unless ``strict``)."""
    if _is_no_number(value):
        raise InputError(name, repr(value), "a number", remedy)
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise InputError(name, repr(value), "a number", remedy) from error
    if not np.isfinite(number) or number < low or (strict and number == low):
        raise InputError(name, number, f"a finite number {'>' if strict else '>='} {low:g}", remedy)
    return number


def _is_infinite(value: object) -> bool:
    return not _is_no_number(value) and value == np.inf


def _is_no_number(value: object) -> bool:
    """True for texts, truth values and complex numbers, which NumPy would turn into numbers without a word."""
    kind = getattr(getattr(value, "dtype", None), "kind", "O")
    return isinstance(value, (str, bytes, bool, complex)) or kind not in "iufO"


def _first_no_number(value: ArrayLike) -> object:
    """The first entry of a nested sequence that is none, or None."""
    if getattr(getattr(value, "dtype", None), "kind", "O") in "iuf":
        return None
    return next((e for e in np.array(value, dtype=object).ravel() if _is_no_number(e)), None)


def as_integer(name: str, value: object, low: int, remedy: str) -> int:
    """Return ``value`` as an integer >= ``low``."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < low:
        raise InputError(name, repr(value), f"an integer >= {low}", remedy)
    return int(value)


def check_gram(name: str, gram: Array, definite: bool = False) -> None:
    """Refuse a matrix that is not square, symmetric and positive semidefinite (definite on request)."""
    if gram.shape[0] != gram.shape[1]:
        raise InputError(name, f"shape {gram.shape}", "a square matrix", "give a Gram matrix")
    scale = np.abs(gram).max(initial=0.0)
    if np.abs(gram - gram.T).max(initial=0.0) > PSD_SLACK * scale:
        raise InputError(name, gram.tolist(), "a symmetric matrix", "symmetrise it: (G + G.T) / 2")
    lowest = np.linalg.eigvalsh(gram)[0] if gram.size else 0.0
    negative = lowest < -PSD_SLACK * scale
    if negative or (definite and lowest <= 1e-12 * np.trace(gram)):
        raise InputError(
            name, f"{gram.tolist()} (smallest eigenvalue {lowest:.6g})",
            "a positive definite matrix, that is linearly independent means" if definite
            else "a positive semidefinite matrix",
            "a Gram matrix of real vectors has no negative eigenvalue" if negative
            else "remove a mean that is a combination of the others",
        )


def check_parameters(model: Model, parameters: Parameters) -> None:
    """Refuse parameters whose shape differs from the model's, or that contradict a number fixed in it."""
    mixture = model.mixture
    if parameters.weights.shape != (model.components,):
        raise InputError(
            "weights", f"{parameters.weights.size} entries", f"{model.components}, one per component",
            f"the model {model.name} has {model.components} components",
        )
    expected = (model.directions, model.directions)
    got, remedy = f"shape {parameters.directions_gram.shape}", "give their Gram matrix"
    if parameters._gram_is_default:
        got = f"the identity of {got}, the default when it is left out"
        remedy = _how_to_give_gram(model)
    if parameters.directions_gram.shape != expected:
        raise InputError(
            "directions_gram", got, f"shape {expected}",
            f"the model {model.name} has {model.directions} direction(s); {remedy}",
        )
    if parameters._gram_is_default and _contradicts(mixture.directions_gram, parameters.directions_gram):
        raise InputError(
            "directions_gram", got, f"{mixture.directions_gram.tolist()}, which the model {model.name} fixes", remedy
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
                name, value, f"{expression}, which the model {model.name} fixes",
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
        return f"pass directions_gram, a {gram.rows} x {gram.cols} matrix of e_s . e_t, to Parameters"
    rows = [[float(x) for x in row] for row in gram.tolist()]
    return f"pass directions_gram={rows}, as in the model, to Parameters"


def check_state(model: Model, state: State, name: str = "initial") -> None:
    """Refuse a state whose shapes differ from the model's."""
    expected = {
        "overlap": (model.units, model.directions),
        "gram_perp": (model.units, model.units),
        "readout": (model.readout_size,),
    }
    for part, shape in expected.items():
        got = getattr(state, part).shape
        if got != shape:
            raise InputError(
                f"{name}.{part}", f"shape {got}", f"shape {shape}",
                f"the model {model.name} has {model.units} units, {model.directions} directions and "
                f"{model.readout_size} readout parameters",
            )


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
            "model", f"open symbols {names}", "a model with numbers only", "give numerics.Parameters"
        )
    return Parameters(
        np.array([float(p) for p in model.mixture.weights]),
        float(model.mixture.precision), float(model.ridge), float(model.step),
        np.array(model.mixture.directions_gram.tolist(), dtype=float),
    )


def outer_symbols(model: Model) -> tuple[sp.Symbol, ...]:
    """Canonical symbols of parameters and state, in the order of :func:`outer_values`."""
    s = model.symbols
    pairs = symbols.upper_triangle(model.units)
    return (
        *symbols.vector("p", model.components, positive=True),
        symbols.PRECISION, symbols.RIDGE, symbols.STEP,
        *(symbols.indexed("Gamma", i, j) for i, j in symbols.upper_triangle(model.directions)),
        *s.state,
        *(s.gram[a, b] for a, b in pairs),
        *(s.gram_inverse[a, b] for a, b in pairs),
    )


def outer_values(
    parameters: Parameters, overlap: Array, gram_perp: Array, readout: Array, gram: Array, inverse: Array
) -> Array:
    """Values for :func:`outer_symbols` at R states: arrays (R, ...), result (R, number of symbols)."""
    gamma = parameters.directions_gram
    rows, columns = _upper(gram.shape[-1])
    fixed = np.concatenate(
        [parameters.weights, [parameters.precision, parameters.ridge, parameters.step], gamma[_upper(gamma.shape[0])]]
    )
    states = len(overlap)
    return np.concatenate(
        [
            np.broadcast_to(fixed, (states, fixed.size)), overlap.reshape(states, -1), gram_perp[:, rows, columns],
            readout, gram[:, rows, columns], inverse[:, rows, columns],
        ],
        axis=1,
    )

"""Admissible numbers for any model from points of a cube: well-conditioned by construction, the
centre the simplest.

One construction serves the random cases of :func:`verify.check_model`, which a failure shrinks
towards the centre, and the strategies of :mod:`verify.strategies`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from numerics import Parameters, State
from numerics.core.covariance.band_arrays import check_band_numbers, inverse_of
from numerics.core.validation import as_scalar
from theory import InputError, Model, symbols
from theory.keywords import with_known_keywords

Array = NDArray[np.float64]
# coordinates in [-1, 1], by the name of what they decide
CubePoint = dict[str, Array]


@with_known_keywords
@dataclass(frozen=True)
class Domain:
    """Where numbers come from.

    Attributes
    ----------
    condition : float
        Bound >= 1 of the condition number of Gamma and of R_perp.
    least_weight : float
        Every open weight is at least this share, in (0, 1], of an equal one.
    precision, ridge, step : (low, high)
        lambda and c_delta are log-uniform, beta is uniform.
    overlap, readout : float or (low, high)
        Bounds of |m_as| and |v_i|: the largest, or the smallest and the largest, which keeps units
        off their kinks.
    perpendicular : float
        Geometric mean of the eigenvalues that R_perp may have, > 0.

    Raises
    ------
    theory.InputError
        A bound out of its domain, or a range whose ends are in the wrong order.

    Examples
    --------
    >>> from theory import kgmm
    >>> from verify import check_model
    >>> noisy = Domain(precision=(1.0, 2.0))
    >>> check_model(kgmm(2), only=["gauge"], domain=noisy, seed=1)
    ModelReport('kgmm2': 1 holds, seed 1)
    """

    condition: float = 10.0
    least_weight: float = 0.3
    precision: tuple[float, float] = (1.0, 100.0)
    ridge: tuple[float, float] = (0.02, 0.5)
    step: tuple[float, float] = (0.5, 2.0)
    overlap: float | tuple[float, float] = 1.0
    readout: float | tuple[float, float] = 1.5
    perpendicular: float = 0.5

    def __post_init__(self) -> None:
        if as_scalar("condition", self.condition, 0.0, True, "give a bound >= 1") < 1:
            raise InputError(
                "condition", self.condition, "a number >= 1", "1 leaves multiples of the identity"
            )
        if as_scalar("least_weight", self.least_weight, 0.0, True, "give a share in (0, 1]") > 1:
            raise InputError(
                "least_weight", self.least_weight, "a share in (0, 1]", "1 makes all weights equal"
            )
        for name, strict in (("precision", True), ("ridge", False), ("step", True)):
            check_range(name, getattr(self, name), strict)
        for name in ("overlap", "readout"):
            if isinstance(getattr(self, name), (tuple, list)):
                check_range(name, getattr(self, name), False)
            else:
                as_scalar(name, getattr(self, name), 0.0, False, "give the largest absolute value")
        as_scalar(
            "perpendicular",
            self.perpendicular,
            0.0,
            True,
            "give the size of the eigenvalues of R_perp",
        )


def check_range(name: str, ends: object, strict: bool) -> tuple[float, float]:
    """Refuse what is no pair (low, high) of numbers with low <= high, both > 0 (>= 0 unless
    ``strict``).
    """
    if not isinstance(ends, (tuple, list)) or len(ends) != 2:
        raise InputError(name, repr(ends), "a pair (low, high)", "give the two ends of the range")
    low, high = (
        as_scalar(name, end, 0.0, strict, "give the two ends of the range") for end in ends
    )
    if low > high:
        raise InputError(
            name, repr(ends), "a pair (low, high) with low <= high", "exchange the ends"
        )
    return low, high


def point_shapes(model: Model) -> dict[str, int]:
    """How many coordinates each part of a point has; parts that the model fixes have none."""
    mixture, c, r, bands = model.mixture, model.units, model.directions, model.bands
    values = len(model.loss.free_parameters)
    return {
        "weights": sum(not p.is_number for p in mixture.weights),
        "precision": int(not mixture.precision.is_number),
        "ridge": int(not model.ridge.is_number),
        "step": int(not model.step.is_number),
        "directions_gram": bands * gram_coordinates(r) * bool(mixture.directions_gram.free_symbols),
        "overlap": bands * c * r,
        "gram_perp": bands * gram_coordinates(c),
        "readout": model.readout_size,
        **({"values": values} if values else {}),
    }


def random_cube_point(model: Model, rng: np.random.Generator) -> CubePoint:
    """A uniformly random point of the cube."""
    return {name: rng.uniform(-1, 1, size) for name, size in point_shapes(model).items()}


def parameters_at(model: Model, point: CubePoint, domain: Domain) -> Parameters:
    """Parameters of a point; what the model, of open parameters by :func:`check_open_parameters`,
    fixes is kept.
    """
    mixture = model.mixture
    fixed = [float(p) if p.is_number else None for p in mixture.weights]
    rest = 1.0 - sum(p for p in fixed if p is not None)
    share = iter(rest * weights_at(point["weights"], domain.least_weight))
    weights = [next(share) if p is None else p for p in fixed]
    if mixture.directions_gram.free_symbols:
        gamma = _grams_at(model, point["directions_gram"], model.directions, domain.condition)
    else:
        gamma = _fixed_gram(model)
    values = {
        each.name: uniform(float(t), (float(each.drawn[0]), float(each.drawn[1])))
        for each, t in zip(model.loss.free_parameters, point.get("values", ()), strict=True)
    }
    return Parameters(
        weights,
        _number(mixture.precision, point["precision"], lambda t: log_uniform(t, domain.precision)),
        _number(model.ridge, point["ridge"], lambda t: uniform(t, domain.ridge)),
        _number(model.step, point["step"], lambda t: log_uniform(t, domain.step)),
        gamma,
        values,
    )


def state_at(model: Model, point: CubePoint, domain: Domain, rank: int | None = None) -> State:
    """The state of a point; R_perp is definite, or of the given rank."""
    c, r, bands = model.units, model.directions, model.bands
    band = (bands,) if bands > 1 else ()
    overlap = _signed(point["overlap"], domain.overlap).reshape(*band, c, r) / bands
    if bands > 1 and not model.mixture.directions_gram.free_symbols:
        # a band has overlaps with what it holds of the directions alone
        gamma = _fixed_gram(model)
        overlap = overlap @ inverse_of(gamma) @ gamma
    grams = _grams_at(model, point["gram_perp"], c, domain.condition, rank)
    return State(overlap, domain.perpendicular * grams, _signed(point["readout"], domain.readout))


def _fixed_gram(model: Model) -> Array:
    """Gamma of a model that fixes it, of several bands the Gamma^g."""
    whole = np.array(model.mixture.directions_gram.tolist(), dtype=float)
    return whole if model.bands == 1 else whole.reshape(model.bands, *[model.directions] * 2)


def _grams_at(
    model: Model, coordinates: Array, size: int, condition: float, rank: int | None = None
) -> Array:
    """:func:`gram_at`, of several bands one each, which share the size."""
    if model.bands == 1:
        return gram_at(coordinates, size, condition, rank)
    parts = np.split(coordinates, model.bands)
    return np.array([gram_at(part, size, condition, rank) for part in parts]) / model.bands


def rational_values(
    model: Model,
    number: Callable[[float, float], sp.Expr],
    *,
    precision: int,
    scale: int = 1,
    least_weight: float = 1 / 3,
    ridge: tuple[float, float] = (0.05, 0.5),
) -> dict[sp.Symbol, sp.Expr]:
    """Exact, consistent values for every symbol: Gamma, R > 0, Q = R + m Gamma^-1 m^T, P = Q^-1.

    Eigenvalues of Gamma lie in [1, 1 + 0.16 r^2], of R in scale^2 [1, 1 + C^2] / 4, and Q stays
    below scale^2 (1 + C^2 + 1.44 r C) / 4, so that the covariance Q / precision and the condition
    number of P are bounded whatever ``number(low, high)`` returns of its range.
    """
    s, mixture = model.symbols, model.mixture

    def positive(size: int, spread: float) -> sp.Matrix:
        a = sp.Matrix(size, size, lambda i, j: number(-spread, spread))
        return a * a.T

    gamma = mixture.directions_gram
    if gamma.free_symbols:
        gamma = sp.eye(model.directions) + positive(model.directions, 0.4)
    perp = scale**2 * (sp.eye(model.units) / 4 + positive(model.units, 0.5))
    m = sp.Matrix(model.units, model.directions, lambda i, j: scale * number(-0.6, 0.6))
    gram = perp + m * gamma.inv() * m.T
    # (low / high) / n is the smallest share that one of n numbers of a range can have
    low, high = 2 * least_weight / (1 + least_weight), 2 / (1 + least_weight)
    left = [p for p in mixture.weights if not p.is_number]
    raw = [number(low, high) for _ in left]
    rest = 1 - sp.Add(*(p for p in mixture.weights if p.is_number))
    values = {p: rest * w / sum(raw) for p, w in zip(left, raw, strict=True)}
    matrices = (
        (s.overlap, m),
        (s.gram_perp, perp),
        (s.gram, gram),
        (mixture.directions_gram, gamma),
    )
    for names, numbers in matrices:
        values |= {names[i, j]: numbers[i, j] for i in range(names.rows) for j in range(names.cols)}
    fields = model.field_gram.xreplace({**values, mixture.precision: sp.Integer(precision)})
    values |= dict(zip(s.gram_inverse, fields.inv(), strict=True))
    values |= {v: number(-1, 1) for v in s.readout}
    for each in model.loss.free_parameters:
        low, high = each.drawn
        values[each.symbol] = low + (high - low) * number(0, 1)
    values |= {
        mixture.precision: sp.Integer(precision),
        model.ridge: number(*ridge),
        model.step: number(0.5, 2),
    }
    return {symbol: value for symbol, value in values.items() if symbol.is_Symbol}


def check_open_parameters(model: Model) -> None:
    """Refuse models whose open parameters are not the canonical symbols, which numbers are given
    for by name.
    """
    mixture = model.mixture
    check_band_numbers(model)
    canonical = [
        *zip(mixture.weights, symbols.vector("p", model.components, positive=True), strict=True),
        (mixture.precision, symbols.PRECISION),
        (model.ridge, symbols.RIDGE),
        (model.step, symbols.STEP),
    ]
    gram = mixture.directions_gram
    names = symbols.symmetric("Gamma", model.directions, model.bands)
    if gram.free_symbols:
        canonical += zip(gram, names, strict=True)
        if any(e.is_number for e in gram):
            got = f"Gamma with some entries fixed, {gram.tolist()}"
            expected = "all entries fixed or all open"
            remedy = "a random positive definite Gamma would contradict the fixed ones"
            raise InputError("model", got, expected, remedy)
    for expression, symbol in canonical:
        if not expression.is_number and expression != symbol:
            expected = f"a number or the symbol {symbol}"
            remedy = "build the model without it: what is left out becomes its symbol"
            raise InputError("model", f"the parameter {expression}", expected, remedy)
    if any(e.free_symbols for e in (*mixture.labels, *mixture.coordinates)):
        remedy = "numbers are needed to evaluate the loss"
        raise InputError("model", "labels or coordinates with symbols", "numbers", remedy)


def weights_at(coordinates: Array, least: float) -> Array:
    """Weights of sum 1, each at least ``least`` / n; equal ones at the centre."""
    if not coordinates.size:
        return np.zeros(0)
    raw = np.exp(2.0 * coordinates)
    return np.asarray(least / coordinates.size + (1.0 - least) * raw / raw.sum())


def gram_coordinates(size: int) -> int:
    """Coordinates of a positive definite matrix: its eigenvalues and the angles of its
    eigenvectors.
    """
    return size * (size + 1) // 2


def gram_at(
    coordinates: Array,
    size: int,
    condition: float,
    rank: int | None = None,
    signs: Array | float = 1.0,
) -> Array:
    """A Gram matrix with eigenvalues in [condition^-1/2, condition^1/2], those after the first
    ``rank`` 0.

    The identity at the centre of the cube, if no rank is given.  Signs of the eigenvalues make it
    indefinite.
    """
    eigenvalues = signs * condition ** (coordinates[:size] / 2)
    eigenvalues[size if rank is None else rank :] = 0.0
    vectors = frame_at(coordinates[size:], size, size)
    gram = (vectors.T * eigenvalues) @ vectors
    return np.asarray((gram + gram.T) / 2)


def frame_coordinates(rank: int, dimension: int) -> int:
    """Coordinates of orthonormal rows: the angles of the planes that move them."""
    return rank * dimension - rank * (rank + 1) // 2


def frame_at(coordinates: Array, rank: int, dimension: int) -> Array:
    """``rank`` orthonormal rows of R^dimension: unit vectors, turned in one plane after the other;
    every frame is one.

    The last rows are turned first, in the planes that the ones before them do not reach yet: what
    annihilates the rows below the diagonal one by one, read backwards.
    """
    vectors = np.eye(rank, dimension)
    planes = [(i, j) for i in reversed(range(rank)) for j in range(i + 1, dimension)]
    for (i, j), angle in zip(planes, np.pi * coordinates, strict=True):
        rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        vectors[:, [i, j]] = vectors[:, [i, j]] @ rotation
    return vectors


def log_uniform(coordinate: float, ends: tuple[float, float]) -> float:
    """The number that far along a range on a logarithmic scale: its ends at -1 and 1, the geometric
    mean at 0.
    """
    low, high = ends
    return float(min(max(np.sqrt(low * high) * (high / low) ** (coordinate / 2), low), high))


def uniform(coordinate: float, ends: tuple[float, float]) -> float:
    """The number that far along a range: its ends at -1 and 1, the middle at 0."""
    low, high = ends
    return float(low + (high - low) * (coordinate + 1) / 2)


def simpler_points(point: CubePoint) -> Iterator[CubePoint]:
    """Points nearer to the centre, the boldest first: whole parts at 0, single coordinates at 0,
    fewer digits.
    """
    for name, values in point.items():
        if np.any(values):
            yield point | {name: np.zeros_like(values)}
    for name, values in point.items():
        for i in np.flatnonzero(values):
            if values.size > 1:
                changed = values.copy()
                changed[i] = 0.0
                yield point | {name: changed}
    for name, values in point.items():
        if not np.array_equal(values, np.round(values, 1)):
            yield point | {name: np.round(values, 1)}


def shrink_cube_point(
    point: CubePoint, fails: Callable[[CubePoint], bool], most: int = 60
) -> CubePoint:
    """The simplest point found on which ``fails`` is still true, after at most ``most`` trials."""
    left = most
    progress = True
    while progress and left:
        progress = False
        for candidate in simpler_points(point):
            if not left:
                break
            left -= 1
            if fails(candidate):
                point, progress = candidate, True
                break
    return point


def _signed(coordinates: Array, bound: float | tuple[float, float]) -> Array:
    """Numbers of either sign with absolute values up to the bound, or between the two; the smallest
    at the centre.
    """
    if not isinstance(bound, (tuple, list)):
        return bound * coordinates
    low, high = bound
    return np.where(coordinates < 0, -1.0, 1.0) * (low + (high - low) * np.abs(coordinates))


def _number(expression: sp.Expr, coordinates: Array, value: Callable[[float], float]) -> float:
    return float(expression) if expression.is_number else value(float(coordinates[0]))

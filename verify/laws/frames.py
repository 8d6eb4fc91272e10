r"""Vectors of R^d for the laws: frames that realise a state, matrices from their coefficients,
differences.

None of it comes from :mod:`numerics.core.geometry` or :mod:`numerics.spectra.population_block`,
which the laws are to judge.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from numerics import Parameters, State
from theory import Model, PopulationGradient, PopulationRisk

from .law import LawCase, Numbers

Array = NDArray[np.float64]
# an eigenvalue of a band's Gram matrix below this share of the largest is rounding
RANK_SHARE = 1e-12
# first step of finite differences, in units of the pre-activation's change; halved twice
STEP = 0.08
# an extrapolation gains at least this factor where the step is that much shorter than the scale of
# the function
BEFORE = 1e-2


@dataclass(frozen=True)
class Frame:
    """Directions and weights in R^d, in no special position within every band of its axes.

    Attributes
    ----------
    directions : array, shape (r, d)
    weights : array, shape (C, d)
    sizes : tuple of int
        Axes of every band, one behind the other; (d,) without bands.
    """

    directions: Array
    weights: Array
    sizes: tuple[int, ...]

    @property
    def dimension(self) -> int:
        return int(self.weights.shape[1])

    @property
    def generators(self) -> Array:
        """V^T: the rows e_1..e_r, x^1..x^C; with bands their parts P_1 e_1..P_B e_r and so on."""
        parts = [
            np.where(np.repeat(np.arange(len(self.sizes)) == g, self.sizes), rows, 0.0)
            for rows in (self.directions, self.weights)
            for g in range(len(self.sizes))
        ]
        return np.concatenate(parts)

    @property
    def bands(self) -> list[slice]:
        """The axes of every band."""
        ends = np.cumsum(self.sizes).tolist()
        return [slice(end - size, end) for end, size in zip(ends, self.sizes, strict=True)]

    def state(self, weights: Array, readout: Array) -> State:
        """Summary statistics of other weights over the same directions."""
        perpendicular = weights - self.along(weights)
        grams = np.array([perpendicular[:, g] @ perpendicular[:, g].T for g in self.bands])
        overlaps = np.array([weights[:, g] @ self.directions[:, g].T for g in self.bands])
        grams = (grams + np.swapaxes(grams, 1, 2)) / 2
        if len(self.sizes) == 1:
            return State(overlaps[0], grams[0], readout)
        return State(overlaps, grams, readout)

    def along(self, vectors: Array) -> Array:
        """Orthogonal projections of rows on the span of the directions' parts in the bands."""
        out = np.empty_like(vectors)
        for g, inverse in zip(self.bands, self.inverses, strict=True):
            e = self.directions[:, g]
            out[:, g] = vectors[:, g] @ e.T @ inverse @ e
        return out

    @cached_property
    def inverses(self) -> list[Array]:
        """Inverse Gram matrices of the directions in every band, which may hold none of one."""
        found = []
        for g in self.bands:
            gram = self.directions[:, g] @ self.directions[:, g].T
            found.append(np.asarray(np.linalg.pinv(gram, rcond=RANK_SHARE, hermitian=True)))
        return found

    @cached_property
    def bases(self) -> list[Array]:
        """Of every band an orthonormal basis of its axes; its first rows span all vectors."""
        vectors = np.concatenate([self.directions, self.weights])
        return [np.linalg.qr(vectors[:, g].T, mode="complete")[0].T for g in self.bands]


def random_frame(
    parameters: Parameters, state: State, axes: int, rng: np.random.Generator
) -> Frame:
    """Vectors with the given Gram matrices, in a random orthonormal frame of so many axes, or of so
    many in every band.
    """
    gamma, m, rest = parameters.directions_gram, state.overlap, state.gram_perp
    c, r = m.shape[-2:]
    directions, weights = [], []
    for gram, overlap, perp in zip(
        gamma.reshape(-1, r, r), m.reshape(-1, c, r), rest.reshape(-1, c, c), strict=True
    ):
        basis = np.linalg.qr(rng.standard_normal((axes, r + c)))[0].T
        directions.append(_root(gram) @ basis[:r])
        inverse = np.linalg.pinv(gram, rcond=RANK_SHARE, hermitian=True)
        weights.append(overlap @ inverse @ directions[-1] + _root(perp) @ basis[r:])
    sizes = (axes,) * len(directions)
    return Frame(np.concatenate(directions, axis=1), np.concatenate(weights, axis=1), sizes)


def frame_of(case: LawCase, beyond: int = 1) -> Frame:
    """A random frame with ``beyond`` dimensions off the span of every band, where the bulk is all
    there is.
    """
    axes = case.model.directions + case.model.units + beyond
    return random_frame(case.parameters, case.state, axes, case.rng)


def _root(gram: Array) -> Array:
    """The symmetric square root."""
    values, vectors = np.linalg.eigh(gram)
    return np.asarray((vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T)


def dense(model: Model, sizes: tuple[int, ...]) -> Callable[[Array, Array], Array]:
    """The map (numbers of ``verify.laws.judged_formulas.block_expressions``, generators) -> the
    matrix, Cd + q rows, where the bands have so many axes.
    """
    c, q, bands = model.units, model.readout_size, len(sizes)
    size = bands * (model.units + model.directions)

    def assemble(numbers: Array, generators: Array) -> Array:
        d = generators.shape[1]
        out = np.zeros((c * d + q, c * d + q))
        at = 0
        for a in range(c):
            for b in range(a, c):
                coefficients = numbers[at : at + size**2].reshape(size, size)
                at += size**2
                bulk = np.diag(np.repeat(numbers[at : at + bands], sizes))
                block = generators.T @ coefficients @ generators + bulk
                at += bands
                out[a * d : (a + 1) * d, b * d : (b + 1) * d] = block
                if a != b:  # a diagonal block stays as it is, symmetric or not
                    out[b * d : (b + 1) * d, a * d : (a + 1) * d] = block.T
        mixed = numbers[at : at + c * q * size].reshape(c, q, size) @ generators
        out[: c * d, c * d :] = mixed.transpose(0, 2, 1).reshape(c * d, q)
        out[c * d :, : c * d] = out[: c * d, c * d :].T
        out[c * d :, c * d :] = numbers[at + c * q * size :].reshape(q, q)
        return out

    return assemble


def gradient_vector(model: Model) -> Callable[[Array, Array], Array]:
    """The map (numbers of a PopulationGradient, generators) -> the gradient, C d numbers and then
    q.
    """
    c, size = model.units, model.bands * (model.units + model.directions)

    def assemble(numbers: Array, generators: Array) -> Array:
        first = numbers[: c * size].reshape(c, size) @ generators
        return np.concatenate([first.ravel(), numbers[c * size :]])

    return assemble


def gradient_expressions(gradient: PopulationGradient) -> list[sp.Expr]:
    """Coefficients of the C first-layer vectors and the q readout parts, in the order of
    :func:`gradient_vector`.
    """
    return [*gradient.first_layer, *gradient.readout]


def risk_expressions(risk: PopulationRisk) -> list[sp.Expr]:
    """The population risk without its ridge, the one number of it that needs expectations."""
    return [risk.loss]


def largest_change(last: Array, before: Array) -> float:
    """Bound of the error of an extrapolation: its largest change by the last step, at least BEFORE
    of that before it.

    The change of one entry alone may be small by accident.
    """
    return max(
        float(np.abs(last).max(initial=0.0)), BEFORE * float(np.abs(before).max(initial=0.0))
    )


@dataclass(frozen=True)
class Movement:
    """A direction in the space of weights: each first-layer vector, or the readout, moves alone.

    Attributes
    ----------
    name : str
    weights : array, shape (C, d)
    readout : array, shape (q,)
    """

    name: str
    weights: Array
    readout: Array

    @property
    def flat(self) -> Array:
        return np.concatenate([self.weights.ravel(), self.readout])


def movements(case: LawCase, frame: Frame) -> list[Movement]:
    """One random direction for every first-layer vector and one for the readout, of length sqrt(d)
    and 1.
    """
    c, q, d = case.model.units, case.model.readout_size, frame.dimension
    found = []
    for a in range(c):
        weights = np.zeros((c, d))
        weights[a] = case.rng.standard_normal(d)
        found.append(Movement(f"x^{a + 1}", weights, np.zeros(q)))
    if q:
        found.append(Movement("v", np.zeros((c, d)), case.rng.standard_normal(q)))
    return found


def derivative(
    numbers: Numbers,
    parameters: Parameters,
    frame: Frame,
    readout: Array,
    movement: Movement,
    read: Callable[[Array, Array, State], Array],
    step: float = STEP,
) -> tuple[Array, Array, Array]:
    """Derivative along a movement by central differences at three steps, extrapolated twice.

    Parameters
    ----------
    numbers : Numbers
        Evaluated at every displaced state with the same nodes.
    read : callable (values, generators, state) -> array
        What is differentiated.
    step : float

    Returns
    -------
    samples : array, shape (scramblings or 1, ...)
    truncation : array
        The largest change by the last extrapolation, at least BEFORE of that by the last halving: a
        bound of the error.
    rounding : array
        Error of the values over the step.
    """
    differences = []
    largest: Array = np.zeros(1)
    scale = step / max(1.0, float(np.abs(movement.weights).max(initial=0.0)))
    for h in (scale, scale / 2, scale / 4):
        sides = []
        for sign in (1.0, -1.0):
            weights = frame.weights + sign * h * movement.weights
            state = frame.state(weights, readout + sign * h * movement.readout)
            generators = replace(frame, weights=weights).generators
            rows = numbers.at(parameters, state)
            sides.append(np.array([read(row, generators, state) for row in rows]))
        largest = np.maximum(largest, np.abs(sides[0]).max())
        differences.append((sides[0] - sides[1]) / (2 * h))
    coarse, fine = ((4 * b - a) / 3 for a, b in pairwise(differences))
    finest = (16 * fine - coarse) / 15
    error = numbers.errors.max(initial=0.0) if numbers.samples is None else 0.0
    change = largest_change(fine - coarse, differences[2] - differences[1])
    return finest, np.full(finest.shape[1:], change), (error + 1e-14 * largest) * 4 / scale

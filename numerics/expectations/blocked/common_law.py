"""The law that all components share, by one compiled loop in place of array calls.

A right-hand side is evaluated hundreds of times on matrices of a few rows, where the time of an
array call is that of its arguments.  This is the plain form of
:class:`numerics.expectations.component_laws.ComponentLaws`, which stays what is asked wherever
components have laws of their own or integrands need inverses.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from numerics.core.covariance.band_arrays import inverse_of
from numerics.core.geometry import field_statistics
from numerics.core.packed_symmetric import pack
from numerics.core.parameters import Parameters
from numerics.core.validation import Array
from theory import Model


class FixedNumbers(NamedTuple):
    """What a law needs of the parameters.

    Attributes
    ----------
    outer : array
        The first values of :func:`numerics.core.flatten.outer_values`.
    inverse_gamma : array, shape (r, r)
    beside : array, shape (fields - C, r)
        Overlaps of the fields that are no pre-activations of units.
    beside_squares : array, shape (fields - C,)
        What of them is orthogonal to the directions.
    precision : float
    """

    outer: Array
    inverse_gamma: Array
    beside: Array
    beside_squares: Array
    precision: float

    @classmethod
    def of(cls, model: Model, parameters: Parameters) -> FixedNumbers:
        """Read the parameters, and the fields of a model without weights."""
        units, gamma = model.units, parameters.directions_gram
        numbers = [parameters.precision, parameters.ridge, parameters.step]
        zero = np.zeros((units, model.directions)), np.zeros((units, units))
        overlap, gram_perp = field_statistics(model, parameters, *zero)
        return cls(
            np.concatenate([parameters.weights, numbers, pack(gamma)]),
            np.array(inverse_of(gamma), order="C"),
            np.array(overlap[units:], order="C"),
            np.array(np.diag(gram_perp)[units:], order="C"),
            float(parameters.precision),
        )


@numba.njit(nogil=True)
def put_triangle(matrix: Array, size: int, out: Array, at: int) -> int:
    """Write an upper triangle from a position on, and return the next one."""
    for a in range(size):
        for b in range(a, size):
            out[at] = matrix[a, b]
            at += 1
    return at


@numba.njit(inline="always")
def fill_grams(fixed: FixedNumbers, units: int, vector: Array, fields: int) -> tuple[Array, Array]:
    """Overlaps of all fields, and their Gram matrix."""
    directions = fixed.inverse_gamma.shape[0]
    rows, gram = np.empty((fields, directions)), np.zeros((fields, fields))
    at = 0
    for a in range(units):
        for s in range(directions):
            rows[a, s] = vector[at]
            at += 1
    for a in range(units):
        for b in range(a, units):
            gram[a, b] = gram[b, a] = vector[at]
            at += 1
    for a in range(units, fields):
        gram[a, a] = fixed.beside_squares[a - units]
        for s in range(directions):
            rows[a, s] = fixed.beside[a - units, s]
    half = np.empty(directions)
    for a in range(fields):
        for s in range(directions):
            half[s] = 0.0
            for r in range(directions):
                half[s] += rows[a, r] * fixed.inverse_gamma[r, s]
        for b in range(fields):
            for s in range(directions):
                gram[a, b] += half[s] * rows[b, s]
    return rows, gram


@numba.njit(inline="always")
def fill_factor(gram: Array, basis: Array, precision: float, factor: Array) -> None:
    """The symmetric square root of what the covariance is on the rows of a basis, times these."""
    size, fields = basis.shape
    half, reduced = np.zeros((size, fields)), np.zeros((size, size))
    for i in range(size):
        for a in range(fields):
            for b in range(fields):
                half[i, b] += basis[i, a] * gram[a, b]
        for j in range(size):
            for b in range(fields):
                reduced[i, j] += half[i, b] * basis[j, b]
            reduced[i, j] /= precision
    spectrum, vectors = np.linalg.eigh(reduced)
    for i in range(size):
        for b in range(fields):
            factor[i, b] = 0.0
        for j in range(size):
            root = 0.0
            for n in range(size):
                root += vectors[i, n] * np.sqrt(max(spectrum[n], 0.0)) * vectors[j, n]
            for b in range(fields):
                factor[i, b] += root * basis[j, b]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def fill_law(
    fixed: FixedNumbers,
    coordinates: Array,
    basis: Array,
    units: int,
    vector: Array,
    values: Array,
    means: Array,
    factor: Array,
) -> None:
    """Values of all outer symbols, means of the fields and F with F^T F their covariance.

    At one state vector (overlap, upper triangle of gram_perp, readout); the first mean is NaN where
    a number is not finite.  Shapes: means (n, fields), factor (D, fields).  F is the symmetric
    square root, which depends smoothly on the state: a trajectory meets no jumps in the error.
    """
    rows, gram = fill_grams(fixed, units, vector, means.shape[1])
    total = 0.0
    for entry in gram.flat:
        total += entry
    if not np.isfinite(total):
        means[0, 0] = np.nan
        return
    for l in range(means.shape[0]):
        for a in range(means.shape[1]):
            means[l, a] = 0.0
            for s in range(rows.shape[1]):
                means[l, a] += coordinates[l, s] * rows[a, s]
    at = 0
    for entry in fixed.outer:
        values[at] = entry
        at += 1
    for entry in vector:
        values[at] = entry
        at += 1
    for a in range(units):
        for b in range(a, units):
            values[at] = gram[a, b]
            at += 1
    for i in range(at, at + gram.shape[0] * (gram.shape[0] + 1) // 2):
        values[i] = 0.0  # of inverses, which nothing needs
    fill_factor(gram, basis, fixed.precision, factor)

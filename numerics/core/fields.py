"""The Gaussian variables that a loss holds, in numbers: units, teachers and label noise."""

from __future__ import annotations

import numpy as np

from theory import Model

from .geometry import SpanBasis
from .parameters import Parameters
from .validation import Array


def field_statistics(
    model: Model, parameters: Parameters, overlap: Array, gram_perp: Array
) -> tuple[Array, Array]:
    r"""Overlaps and perpendicular Gram matrix of the vectors behind all fields.

    A teacher e_s is a vector like any weight: its overlaps are a row of Gamma, and nothing of it is
    orthogonal to the directions.  Label noise is one without overlaps and of squared length lambda.
    With these :math:`\hat m,\hat R` the law of all fields has the form that the pre-activations
    have, :math:`N(\hat mS_l^T, (\hat R+\hat m\Gamma^{-1}\hat m^T)/\lambda)` (mathematics.md
    sections 2 and 11).

    Parameters
    ----------
    model : theory.Model
    parameters : Parameters
    overlap : array, shape (..., C, r)
    gram_perp : array, shape (..., C, C)

    Returns
    -------
    overlap : array, shape (..., fields, r)
    gram_perp : array, shape (..., fields, fields)
        The same arrays, not copied, where the loss holds pre-activations of units alone.

    Examples
    --------
    >>> import sympy as sp
    >>> from theory import Loss, Mixture, symbols
    >>> u, t = symbols.vector("u", 1), symbols.vector("t", 1)
    >>> one = Mixture.build(labels=[0], coordinates=[[0]], directions_gram=[[4]])
    >>> student = Model.build(one, Loss((u[0] - t[0] - symbols.LABEL_NOISE)**2, units=1))
    >>> numbers = Parameters([1], 10, 0, 1, directions_gram=[[4]])
    >>> m, r = field_statistics(student, numbers, np.array([[3.0]]), np.array([[5.0]]))
    >>> m.ravel(), np.diag(r)
    (array([3., 4., 0.]), array([ 5.,  0., 10.]))
    """
    loss = model.loss
    more = len(loss.fields) - model.units
    if not more:
        return overlap, gram_perp
    lead = overlap.shape[:-2]
    rows = np.zeros((more, model.directions))
    rows[: len(loss.teachers)] = parameters.directions_gram[list(loss.teachers)]
    rest = np.zeros((*lead, model.units + more, model.units + more))
    rest[..., : model.units, : model.units] = gram_perp
    if loss.has_label_noise:
        rest[..., -1, -1] = parameters.precision
    beside = np.broadcast_to(rows, (*lead, *rows.shape))
    return np.concatenate([overlap, beside], axis=-2), rest


def field_gram(
    model: Model, parameters: Parameters, overlap: Array, gram_perp: Array
) -> tuple[Array, Array]:
    """Overlaps of the fields, shape (fields, r), and lambda times their covariance."""
    overlap, gram_perp = field_statistics(model, parameters, overlap, gram_perp)
    return overlap, gram_perp + overlap @ np.linalg.solve(parameters.directions_gram, overlap.T)


def field_coordinates(model: Model, basis: SpanBasis, precision: float) -> Array:
    """Rows that give the fields of a sample from its coordinates w, shape (fields, rank [+ 1]).

    The last column is that of label noise, where the loss holds it: a coordinate of its own, of
    variance 1 / lambda as the others.
    """
    r, loss = basis.directions, model.loss
    rows = np.concatenate([basis.weights, basis.coordinates[:r][list(loss.teachers)]])
    if not loss.has_label_noise:
        return rows
    out = np.zeros((len(rows) + 1, basis.rank + 1))
    out[:-1, :-1] = rows
    out[-1, -1] = np.sqrt(precision)
    return out

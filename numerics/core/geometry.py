"""Coordinates: an orthonormal basis of span(directions, x), and the vectors behind all fields of a
loss, in it.

Everything depends on the weights through their summary statistics only, so every d-dimensional
computation may put the directions into the first r coordinates and the rest of the weights into the
next C.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory import Model

from .covariance.band_arrays import factor_of, inverse_of, scales_of
from .covariance.token_arrays import over_tokens
from .parameters import Parameters
from .state import State
from .validation import RANK_TOLERANCE, Array, as_array


def orthonormal_rows(basis: ArrayLike) -> Array:
    """Return orthonormal rows with the same span; dependent rows are dropped.

    Examples
    --------
    >>> orthonormal_rows([[2.0, 0.0], [4.0, 0.0]]).shape
    (1, 2)
    """
    rows = as_array("basis", basis, 2)
    _, singular, directions = np.linalg.svd(rows, full_matrices=False)
    threshold = max(rows.shape) * np.finfo(float).eps * singular.max(initial=0.0)
    return directions[singular > threshold]


@dataclass(frozen=True)
class SpanBasis:
    """Orthonormal basis L of span(V), V = [e_1..e_r, x^1..x^C]; its first vectors span the
    directions.

    With bands V holds the parts P_g e_s of the directions in every band, then those P_g x^a of the
    weights, band by band, and every basis vector lies in one band.

    Attributes
    ----------
    directions : int
        How many basis vectors span the directions (their parts): r without bands.
    coordinates : array, shape (B (r + C), rank)
        Row j: the coordinates L^T V_j of generator j; coordinates @ coordinates.T is the Gram
        matrix W of V.
    coefficients : array, shape (rank, B (r + C))
        Row i: basis vector i as a combination of the generators.
    along : array, shape (r, rank)
        Coordinates of e_1..e_r.
    weights : array, shape (C, rank)
        Coordinates of x^1..x^C.
    bands : int array, shape (rank,)
        0-based band of every basis vector.
    """

    directions: int
    coordinates: Array
    coefficients: Array
    along: Array
    weights: Array
    bands: NDArray[np.intp]

    @property
    def rank(self) -> int:
        """Dimension of span(V), at most B (r + C)."""
        return int(self.coordinates.shape[1])

    def places(self, sizes: NDArray[np.int64]) -> NDArray[np.intp]:
        """The axis of R^d that every basis vector is, with bands of these dimensions one behind the
        other: the first ones of its band.
        """
        before = np.cumsum(sizes) - sizes
        within = np.zeros(self.rank, dtype=np.intp)
        for g in range(len(sizes)):
            here = self.bands == g
            within[here] = np.arange(here.sum())
        return within + before[self.bands]


def span_basis(parameters: Parameters, state: State) -> SpanBasis:
    r"""Orthonormalise V = [e_1..e_r, x^1..x^C] through its Gram matrix alone.

    .. math:: W = V^TV = \begin{pmatrix}\Gamma & m^T\\ m & Q\end{pmatrix}, \qquad
              \Gamma = AA^T,\quad R_\perp = FF^T,

    gives coordinates :math:`e_s \mapsto A_s`, :math:`x^a \mapsto (A^{-1}m_a, F_a)` (mathematics.md
    sections 2 and 3). F comes from the eigenvectors of R_perp, those of eigenvalues that are 0 up
    to rounding dropped (R_perp may be singular or 0), and is then rotated to lower triangular form,
    so that it does not depend on how a library picks among eigenvectors.  With bands the same holds
    for the parts in each of them, where A has a column per direction that the band holds.

    Parameters
    ----------
    parameters : Parameters
    state : State

    Returns
    -------
    SpanBasis

    Examples
    --------
    >>> basis = span_basis(Parameters([0.5, 0.5], 1, 0, 1), State([[3, 0]], [[16]]))
    >>> basis.rank, basis.coordinates[-1]
    (3, array([3., 0., 4.]))
    """
    gamma, m, rest = parameters.directions_gram, state.overlap, state.gram_perp
    if gamma.ndim == 2:
        gamma, m, rest = gamma[None], m[None], rest[None]
    # of all bands: what is rounding in one of them may not be in another
    largest = float(np.trace(rest.sum(axis=0)))
    parts = [_BandBasis.of(*each, largest) for each in zip(gamma, m, rest, strict=True)]
    # the directions' vectors of all bands stand in front of those that the weights add
    ranks = [p.factor.shape[1] for p in parts]
    beside = [p.lengths.shape[1] for p in parts]
    bands = np.concatenate([np.repeat(np.arange(len(parts)), sizes) for sizes in (ranks, beside)])
    first, last = sum(ranks), sum(beside)
    r, c = gamma.shape[-1], m.shape[-2]
    coordinates = np.zeros((len(parts), r + c, first + last))
    coefficients = np.zeros((first + last, len(parts), r + c))
    before, behind = 0, first
    for g, p in enumerate(parts):
        here, there = slice(before, before + ranks[g]), slice(behind, behind + beside[g])
        coordinates[g, :r, here], coordinates[g, r:, here] = p.factor, p.parallel
        coordinates[g, r:, there] = p.lengths
        coefficients[here, g, :r] = p.inverse
        coefficients[there, g, :r] = -p.on_weights @ p.parallel @ p.inverse
        coefficients[there, g, r:] = p.on_weights
        before, behind = here.stop, there.stop
    # of all generators those of directions come first
    order = np.argsort(np.tile(np.arange(r + c) >= r, len(parts)), kind="stable")
    rows = coordinates.reshape(-1, first + last)[order]
    columns = coefficients.reshape(first + last, -1)[:, order]
    whole = coordinates.sum(axis=0)
    return SpanBasis(first, rows, columns, whole[:r], whole[r:], bands)


@dataclass(frozen=True)
class _BandBasis:
    """The basis within one band.

    Attributes
    ----------
    factor : array, shape (r, rank of Gamma^g)
        A, with Gamma^g = A A^T.
    inverse : array, shape (rank, r)
        A^+.
    parallel : array, shape (C, rank)
        A^+ m_a.
    lengths : array, shape (C, rank of R_perp)
        F.
    on_weights : array, shape (rank of R_perp, C)
        F^+.
    """

    factor: Array
    inverse: Array
    parallel: Array
    lengths: Array
    on_weights: Array

    @classmethod
    def of(cls, gamma: Array, m: Array, rest: Array, largest: float) -> _BandBasis:
        """From the Gram matrix of a band's directions, their overlaps and R_perp."""
        factor = factor_of(gamma)
        whole = factor.shape[0] == factor.shape[1]
        inverse = np.asarray(
            np.tril(np.linalg.inv(factor)) if whole else np.linalg.pinv(factor), dtype=float
        )
        parallel = m @ inverse.T
        squares, vectors = np.linalg.eigh((rest + rest.T) / 2)
        squares, vectors = squares[::-1], vectors[:, ::-1]
        # a direction whose Gram entry is rounding of the others carries no information
        smallest = max(
            RANK_TOLERANCE * squares.max(initial=0.0),
            np.finfo(float).eps ** 2 * (np.sum(parallel**2) + largest),
        )
        keep = squares > smallest
        lengths, vectors = np.sqrt(squares[keep]), vectors[:, keep]
        rotation = _triangular(vectors * lengths)
        on_weights = ((vectors / lengths) @ rotation).T
        return cls(factor, inverse, parallel, (vectors * lengths) @ rotation, on_weights)


def _triangular(factor: Array) -> Array:
    """The rotation that makes a C x rank factor lower triangular, the first entry of every column
    positive.
    """
    rotation, _ = np.linalg.qr(factor.T)
    columns = np.abs(factor @ rotation)
    first = (columns > 1e-6 * np.linalg.norm(columns, axis=0)).argmax(axis=0)
    return np.asarray(rotation * np.sign((factor @ rotation)[first, np.arange(first.size)]))


def coordinates_of(model: Model) -> Array:
    """S as numbers, shape (n, r); of P tokens (n P, r), rows of a component side by side."""
    return np.array(model.mixture.coordinates.tolist(), dtype=float)


def labels_of(model: Model) -> Array:
    """The labels y_l as numbers, shape (n,)."""
    return np.array([float(y) for y in model.mixture.labels])


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
        Of every band, where there are several: (..., B, C, r) and (..., B, C, C).

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
    more = len(loss.fields) - len(loss.preactivation)
    if not more:
        return overlap, gram_perp
    lead, gamma = overlap.shape[:-2], parameters.directions_gram
    rows = np.zeros((*gamma.shape[:-2], more, model.directions))
    rows[..., : len(loss.teachers), :] = gamma[..., list(loss.teachers), :]
    rest = np.zeros((*lead, model.units + more, model.units + more))
    rest[..., : model.units, : model.units] = gram_perp
    if loss.has_label_noise:
        rest[..., -1, -1] = parameters.precision
    beside = np.broadcast_to(rows, (*lead, *rows.shape[-2:]))
    return np.concatenate([overlap, beside], axis=-2), rest


def field_gram(
    model: Model, parameters: Parameters, overlap: Array, gram_perp: Array
) -> tuple[Array, Array]:
    """Overlaps of the fields, shape (fields, r), and lambda times their covariance.

    Of tokens the overlaps are those of the units, and the covariance has a block for each token.
    """
    overlap, gram_perp = field_statistics(model, parameters, overlap, gram_perp)
    gram = gram_perp + overlap @ np.linalg.solve(parameters.directions_gram, overlap.T)
    return overlap, over_tokens(model, gram)


@dataclass(frozen=True)
class FieldGrams:
    """The Gram matrices behind the laws of the fields, at states of shape (...).

    Isotropic noise has one law of the shape that all components share; where its scales differ
    between bands or components, every component has a law of its own.

    Attributes
    ----------
    overlap : array, shape (..., fields, r)
        Of the vectors behind the fields with the directions.
    laws : array, shape (..., 1 or n, fields, fields)
        lambda times the covariance.
    sizes : array, of the shape of ``laws``
        The same sums with every term by its absolute value: what rounding is relative to.
    """

    overlap: Array
    laws: Array
    sizes: Array


def field_grams(
    model: Model, parameters: Parameters, overlap: Array, gram_perp: Array
) -> FieldGrams:
    r"""The laws of the fields: :math:`\sum_g\sigma_{lg}^2(\hat R^g+\hat m^g(\Gamma^g)^+\hat
    m^{gT})/\lambda` in component l (mathematics.md section 10).

    Parameters
    ----------
    model : theory.Model
    parameters : Parameters
    overlap : array, shape (..., [B,] C, r)
    gram_perp : array, shape (..., [B,] C, C)
    """
    overlap, rest = field_statistics(model, parameters, overlap, gram_perp)
    inverse = inverse_of(parameters.directions_gram)
    transposed = np.swapaxes(overlap, -1, -2)
    gram = rest + overlap @ inverse @ transposed
    size = np.abs(rest) + np.abs(overlap) @ np.abs(inverse) @ np.abs(transposed)
    if model.mixture.bands is None:
        return FieldGrams(overlap, gram[..., None, :, :], size[..., None, :, :])
    if model.bands == 1:
        overlap, gram, size = (x[..., None, :, :] for x in (overlap, gram, size))
    variances = scales_of(model) ** 2
    laws, sizes = (np.einsum("lg,...gab->...lab", variances, x) for x in (gram, size))
    if model.loss.has_label_noise:  # which has no band
        laws[..., -1, -1] = sizes[..., -1, -1] = parameters.precision
    return FieldGrams(overlap.sum(axis=-3), laws, sizes)


def law_eigenvalues(
    model: Model, parameters: Parameters, overlap: Array, gram_perp: Array, basis: Array
) -> Array:
    """Eigenvalues, smallest first, of the Gram matrix of the fields on the rows of ``basis``.

    Of components with laws of their own those of the one closest to singular, in units of its
    largest scale: a change of R_perp of a band changes a law by no more in these units.
    """
    grams = over_tokens(model, field_grams(model, parameters, overlap, gram_perp).laws)
    reduced = basis @ grams @ basis.T
    if not reduced.size:
        return np.ones(1)
    values = np.linalg.eigvalsh(reduced)
    if len(values) > 1:
        values = values / (scales_of(model) ** 2).max(axis=1, keepdims=True)
    return np.asarray(values[np.argmin(values[:, 0])], dtype=float)


def field_coordinates(model: Model, basis: SpanBasis, precision: float) -> Array:
    """Rows that give the fields of a sample from its coordinates w, shape (fields, rank [+ 1]).

    The last column is that of label noise, where the loss holds it: a coordinate of its own, of
    variance 1 / lambda as the others.
    """
    loss = model.loss
    rows = np.concatenate([basis.weights, basis.along[list(loss.teachers)]])
    if not loss.has_label_noise:
        return rows
    out = np.zeros((len(rows) + 1, basis.rank + 1))
    out[:-1, :-1] = rows
    out[-1, -1] = np.sqrt(precision)
    return out

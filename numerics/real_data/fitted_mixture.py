r"""A banded Gaussian mixture fitted to labelled arrays, and what it leaves out of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray

from numerics.core.covariance.band_arrays import inverse_of
from numerics.core.state import State, nearest_psd
from numerics.core.validation import Array, as_array, as_generator, as_integer
from numerics.data.binned_spectrum import bin_spectrum
from theory import Bands, InputError, Mixture
from theory.errors import check_choice
from theory.keywords import with_known_keywords

from .class_moments import ClassMoments
from .labelled_data import LabelledData, label_data

# variances below this share of the mean variance are raised to it: bands have noise
FLOOR = 1e-8
# singular values of the means below this share of the largest are rounding
RANK_SHARE = 1e-9
# parts of weights below this share of the largest in a band are rounding
ROUNDING = 1e-10


@dataclass(frozen=True, eq=False)
class Fit:
    """What stands behind a fitted mixture.

    Attributes
    ----------
    data : LabelledData
    moments : ClassMoments
    basis : array, shape (d, d)
        Columns: the common eigenvectors.
    assignment : int array, shape (d,)
        The 0-based band of every eigenvector.
    directions : array, shape (r, d)
        Orthonormal rows that span the means, in the coordinates of the data.
    spread : array, shape (n, d)
        Variance of every component along every eigenvector, as the bands have it.
    off_diagonal, binned : array, shape (n,)
        Shares of the Frobenius norm of each covariance that the basis and the bands leave out.
    binning_error : float
        Of the pooled spectrum, as :class:`numerics.BinnedSpectrum` states it.
    raised : int
        Eigenvectors whose pooled variance was below the floor.
    """

    data: LabelledData
    moments: ClassMoments
    basis: Array
    assignment: NDArray[np.int64]
    directions: Array
    spread: Array
    off_diagonal: Array
    binned: Array
    binning_error: float
    raised: int


@with_known_keywords
@dataclass(frozen=True, repr=False)
class FittedMixture(Mixture):
    r"""A :class:`theory.Mixture` with bands that was fitted to data; see :func:`fit_mixture`.

    It stands wherever a mixture does: ``mlp(fitted, [3], output="softmax")``.

    Attributes
    ----------
    fit : Fit
        The data, their moments and the common basis.

    Examples
    --------
    >>> X = [[0, 0], [2, 0], [0, 2], [2, 2], [4, 1], [6, 1], [5, 0], [5, 2]]
    >>> fitted = fit_mixture(X, [1, 1, 1, 1, 2, 2, 2, 2], scale="none")
    >>> fitted.dimension, fitted.weights, fitted.data.classes
    (2, (1/2, 1/2), ('1', '2'))
    >>> fitted.state([[1.0, 0.0]]).overlap.shape              # bands, units, directions
    (2, 1, 1)
    """

    fit: Fit = field(kw_only=True, compare=False)

    @property
    def data(self) -> LabelledData:
        """The arrays as they were centred and scaled, with the names of their classes."""
        return self.fit.data

    @property
    def dimension(self) -> int:
        """d."""
        return self.data.dimension

    @property
    def dropped(self) -> Array:
        r"""Share of the norm of each covariance that the mixture leaves out, shape (n,).

        .. math:: \|\Sigma_l-\hat\Sigma_l\|_F/\|\Sigma_l\|_F

        with :math:`\hat\Sigma_l` diagonal in the common eigenbasis and constant on bands.
        """
        return np.hypot(self.fit.off_diagonal, self.fit.binned)

    @property
    def binning_error(self) -> float:
        """The Frobenius error of the bands on the pooled spectrum, 0 where no band holds two
        different eigenvalues.
        """
        return self.fit.binning_error

    @with_known_keywords
    def state(self, weights: ArrayLike, readout: ArrayLike = ()) -> State:
        r"""Statistics :math:`m^g, R_\perp^g, v` of weights in the coordinates of ``data``.

        Parameters
        ----------
        weights : array, shape (C, d)
        readout : array, shape (q,), optional
        """
        x = as_array("weights", weights, 2)
        if x.shape[1] != self.dimension:
            expected = f"shape (C, {self.dimension})"
            raise InputError("weights", f"shape {x.shape}", expected, "give one row per unit")
        x, e = x @ self.fit.basis, self.fit.directions @ self.fit.basis
        overlaps, rests = [], []
        for g in range(self.band_count):
            inside = self.fit.assignment == g
            part, frame = x[:, inside], e[:, inside]
            overlap = part @ frame.T
            rest = part - overlap @ inverse_of((frame @ frame.T)[None])[0] @ frame
            # what is left of rounding would count as a dimension of its own
            rest[np.abs(rest) <= ROUNDING * np.abs(part).max(initial=0.0)] = 0.0
            overlaps.append(overlap)
            rests.append(nearest_psd(rest @ rest.T))
        if self.band_count == 1:
            return State(overlaps[0], rests[0], readout)
        return State(np.array(overlaps), np.array(rests), readout)

    @with_known_keywords
    def realise(self, state: State, seed: int | np.random.Generator) -> Array:
        r"""Weights in R^d with the law that the theory of a state gives them, shape (C, d).

        In band g the part of x^a in the span of the :math:`P_ge_s` is that of the overlaps; the
        rest is Gaussian with Gram matrix :math:`R_\perp^g` in the mean, spread evenly over the
        band.  A band of one dimension has no room for statistics of its own: there the weights
        scatter about the overlaps, as those of SGD do at this d.

        Parameters
        ----------
        state : State
        seed : int or numpy Generator
        """
        generator = as_generator(seed)
        e = self.fit.directions @ self.fit.basis
        bands = self.band_count
        shape = (bands, *state.overlap.shape[-2:])
        overlap, rest = state.overlap.reshape(shape), state.gram_perp.reshape(bands, shape[1], -1)
        x = np.empty((shape[1], self.dimension))
        for g in range(bands):
            inside = self.fit.assignment == g
            frame = e[:, inside]
            values, vectors = np.linalg.eigh(rest[g])
            factor = vectors * np.sqrt(np.clip(values, 0.0, None) / inside.sum())
            noise = factor @ generator.standard_normal((shape[1], int(inside.sum())))
            x[:, inside] = overlap[g] @ inverse_of((frame @ frame.T)[None])[0] @ frame + noise
        return x @ self.fit.basis.T

    @with_known_keywords
    def samples(
        self, count: int, seed: int | np.random.Generator, *, covariance: str = "bands"
    ) -> tuple[Array, NDArray[np.int64]]:
        """Gaussian samples in the coordinates of ``data``, and their labels.

        Parameters
        ----------
        count : int
        seed : int or numpy Generator
        covariance : {"bands", "full"}
            As the theory has it, or the covariances of the data with nothing dropped.

        Returns
        -------
        features : array, shape (count, d)
        labels : int array, shape (count,)
        """
        count = as_integer("count", count, 1, "draw a sample or more")
        check_choice("covariance", covariance, ("bands", "full"))
        generator, moments = as_generator(seed), self.fit.moments
        n = self.components
        drawn = generator.choice(n, size=count, p=moments.weights)
        x = generator.standard_normal((count, self.dimension))
        for l in range(n):
            own = drawn == l
            if not own.any():
                continue
            if covariance == "bands":
                x[own] = (x[own] * np.sqrt(self.fit.spread[l])) @ self.fit.basis.T
            else:
                values, vectors = np.linalg.eigh(moments.covariances[l])
                x[own] = (x[own] * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T
            x[own] += moments.means[l]
        return x, moments.labels[drawn]


@with_known_keywords
def fit_mixture(
    features: ArrayLike | LabelledData,
    labels: ArrayLike | None = None,
    *,
    bands: int | None = None,
    clusters: int = 1,
    isotropic: bool = False,
    classes: list[object] | None = None,
    scale: str | float = "unit",
    seed: int = 0,
) -> FittedMixture:
    r"""Fit a Gaussian mixture with bands to labelled arrays.

    .. math:: Y\mid l\sim N(\mu_l,\hat\Sigma_l),\qquad
              \hat\Sigma_l=\lambda^{-1}\sum_g\sigma_{lg}^2P_g

    with the weights and means of the classes and, as common eigenbasis, that of the covariance
    pooled over classes (mathematics.md sections 10 and 14).  With a band for each eigenvector
    nothing is left out of the pooled covariance; what is off-diagonal in the covariance of a class
    is, and :attr:`FittedMixture.dropped` says how much.  1 / lambda is the mean variance.

    Parameters
    ----------
    features, labels, classes, scale
        As for :func:`label_data`; or what it returns, in place of ``features``.
    bands : int, optional
        At most so many bands; one for each eigenvector when omitted.
    clusters : int
        Components of a class: k-means cuts each class into so many clusters, which have means and
        covariances of their own and share its label.
    isotropic : bool
        One variance for all, the mean: the theory without bands, for comparison.
    seed : int
        Of k-means.

    Returns
    -------
    FittedMixture
        A mixture of numbers with labels 1 .. k, in the order of ``.data.classes``.

    Raises
    ------
    theory.InputError
        What :func:`label_data` refuses; means that all agree; more clusters than samples.

    Examples
    --------
    >>> X = [[0, 0], [2, 0], [0, 2], [2, 2], [4, 1], [6, 1], [5, 0], [5, 2]]
    >>> fitted = fit_mixture(X, [1, 1, 1, 1, 2, 2, 2, 2], scale="none")
    >>> fitted.fit.spread.round(6)
    array([[1. , 1. ],
           [0.5, 0.5]])
    >>> fitted.dropped.round(6), round(float(fitted.precision), 6)
    (array([0., 0.]), 1.333333)
    """
    data = features if isinstance(features, LabelledData) else None
    if data is None:
        if labels is None:
            remedy = "give the labels of the samples, one a row"
            raise InputError("labels", "None", "one label per sample", remedy)
        data = label_data(features, labels, classes=classes, scale=scale)  # type: ignore[arg-type]
    elif labels is not None or classes is not None:
        remedy = "leave labels and classes away"
        raise InputError("labels", "labels beside LabelledData", "nothing", remedy)
    moments = ClassMoments.of(data, clusters, as_integer("seed", seed, 0, "seeds are >= 0"))
    values, basis = np.linalg.eigh(moments.pooled)
    values, basis = values[::-1], basis[:, ::-1]
    mean = float(values.mean())
    if not mean > 0:
        remedy = "give samples that differ within classes"
        raise InputError("features", "classes without any spread", "noise in a class", remedy)
    assignment, error = _bands(np.maximum(values, FLOOR * mean), 1 if isotropic else bands)
    along = np.einsum("ig,lij,jg->lg", basis, moments.covariances, basis, optimize=True)
    spread = _spread(along, assignment, mean, isotropic)
    fit = Fit(
        data,
        moments,
        basis,
        assignment,
        _directions(moments.means),
        spread,
        *_left_out(moments.covariances, along, spread),
        error,
        int(np.sum(values < FLOOR * mean)),
    )
    return _mixture(fit, mean)


def _bands(values: Array, bands: int | None) -> tuple[NDArray[np.int64], float]:
    """The band of every eigenvector, and the error of the binning.

    Without a number of bands each eigenvector has its own: classes may differ along two of them
    that have the same pooled variance.
    """
    if bands is None:
        return np.arange(values.size), 0.0
    binned = bin_spectrum(values, as_integer("bands", bands, 1, "ask for at least one band"))
    return binned.assignment, binned.frobenius_error


def _spread(along: Array, assignment: NDArray[np.int64], mean: float, isotropic: bool) -> Array:
    """Variances of every component along every eigenvector, constant on bands."""
    if isotropic:
        return np.full_like(along, mean)
    sizes = np.bincount(assignment)
    means = np.array([np.bincount(assignment, weights=row) / sizes for row in along])
    return np.maximum(means, FLOOR * mean)[:, assignment]


def _left_out(covariances: Array, along: Array, spread: Array) -> tuple[Array, Array]:
    """Shares of the norms of the covariances: what is off-diagonal, and what the bands change."""
    total = np.linalg.norm(covariances, axis=(1, 2))
    diagonal = np.linalg.norm(along, axis=1)
    off = np.sqrt(np.clip(total**2 - diagonal**2, 0.0, None))
    scale = np.where(total > 0, total, 1.0)
    return off / scale, np.linalg.norm(along - spread, axis=1) / scale


def _directions(means: Array) -> Array:
    """Orthonormal rows that span the means."""
    _, singular, rows = np.linalg.svd(means, full_matrices=False)
    kept = singular > RANK_SHARE * singular.max(initial=0.0)
    if not kept.any():
        remedy = "the theory tells classes apart by their means"
        raise InputError("features", "classes with the same mean", "means that differ", remedy)
    return rows[kept]


def _mixture(fit: Fit, mean: float) -> FittedMixture:
    """The mixture of theory with these numbers."""
    assignment = fit.assignment
    first = np.array([np.flatnonzero(assignment == g)[0] for g in range(assignment.max() + 1)])
    sizes = np.bincount(assignment)
    e = fit.directions @ fit.basis
    grams = [e[:, assignment == g] @ e[:, assignment == g].T for g in range(len(first))]
    counts = fit.moments.counts
    total = int(counts.sum())
    plain = Mixture.build(
        labels=fit.moments.labels.tolist(),
        coordinates=(fit.moments.means @ fit.directions.T).tolist(),
        weights=[sp.Rational(int(count), total) for count in counts],
        directions_gram=[gram.tolist() for gram in grams],
        precision=1 / mean,
        bands=Bands(
            [sp.Rational(int(size), assignment.size) for size in sizes],
            np.sqrt(fit.spread[:, first] / mean).tolist(),
        ),
    )
    return FittedMixture(
        plain.weights,
        plain.labels,
        plain.coordinates,
        plain.directions_gram,
        plain.precision,
        plain.bands,
        fit=fit,
    )

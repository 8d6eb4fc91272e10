"""Bands of the noise as arrays: shares of the dimension, scales, and what stands in each band."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from theory import InputError, Model

from ..validation import Array, check_gram

# an eigenvalue of a band's Gram matrix below this share of the largest is rounding
RANK_SHARE = 1e-12
# the share of a coordinate that a band may miss
WHOLE = 1e-6


def axes_of(value: object) -> int:
    """3 for matrices of bands, 2 for one matrix and for what is none."""
    try:
        return 3 if np.ndim(value) == 3 else 2  # type: ignore[arg-type]
    except Exception:  # what is no array may raise anything: it is refused where it is read
        return 2


def fractions_of(model: Model) -> Array:
    """rho_g, shape (B,)."""
    bands = model.mixture.bands
    return np.ones(1) if bands is None else np.array([float(share) for share in bands.fractions])


def scales_of(model: Model) -> Array:
    """sigma_lg, shape (n, B)."""
    bands = model.mixture.bands
    if bands is None:
        return np.ones((model.components, 1))
    return np.array(bands.scales.tolist(), dtype=float)


def check_band_numbers(model: Model) -> None:
    """Refuse bands whose fractions or scales are open symbols."""
    bands = model.mixture.bands
    if bands is None:
        return
    for name, entries in (("fractions", bands.fractions), ("scales", tuple(bands.scales))):
        unknown = sorted(map(str, set().union(*(e.free_symbols for e in entries))))
        if unknown:
            raise InputError(
                f"bands.{name}",
                f"open symbols {unknown}",
                f"numbers: {name} of the model {model.name} are no parameters",
                "build the bands with numbers there",
            )


def check_directions(gram: Array) -> None:
    """Refuse a Gram matrix of directions that is not positive definite; of bands, (B, r, r), a part
    that is not semidefinite or a sum that is not definite.
    """
    if gram.ndim == 3:
        for g, band in enumerate(gram):
            check_gram(f"directions_gram[{g}]", band)
        gram = gram.sum(axis=0)
    check_gram("directions_gram", gram, definite=True)


def inverse_of(gram: Array) -> Array:
    """Gamma^-1; of bands, (B, r, r), the pseudo-inverse of each: a band may hold nothing of a
    direction.
    """
    if gram.ndim == 3:
        return np.asarray(np.linalg.pinv(gram, rcond=RANK_SHARE, hermitian=True))
    return np.asarray(np.linalg.inv(gram))


def root_of(gram: Array) -> tuple[Array, int]:
    """Lower triangular F with F F^T = Gamma for a semidefinite Gamma, its last columns 0, and the
    rank.

    Examples
    --------
    >>> root_of(np.array([[4.0, 0.0], [0.0, 0.0]]))
    (array([[2., 0.],
           [0., 0.]]), 1)
    """
    values, vectors = np.linalg.eigh(gram)
    kept = values > RANK_SHARE * values.max(initial=0.0)
    _, upper = np.linalg.qr((vectors[:, kept] * np.sqrt(values[kept])).T)
    rank = int(kept.sum())
    root = np.zeros_like(gram)
    # rows of zeros in front of a pivot leave the triangle below the diagonal
    root[:, :rank] = (upper * np.where(np.diag(upper) < 0, -1.0, 1.0)[:, None]).T
    return root, rank


def factor_of(gram: Array) -> Array:
    """F of shape (r, rank) with F F^T = Gamma: the Cholesky factor, or for a singular Gamma, of
    which that is rounding, the columns of :func:`root_of`.
    """
    values = np.linalg.eigvalsh(gram)
    if values[0] > RANK_SHARE * values[-1]:
        return np.asarray(np.linalg.cholesky(gram))
    root, rank = root_of(gram)
    return root[:, :rank]


def band_sizes(model: Model, dimension: int) -> NDArray[np.int64]:
    """The dimensions d_g = rho_g d of all bands.

    Raises
    ------
    theory.InputError
        They are not whole.
    """
    exact = fractions_of(model) * dimension
    sizes = np.rint(exact).astype(np.int64)
    if np.any(np.abs(exact - sizes) > WHOLE) or sizes.sum() != dimension:
        bands = model.mixture.bands
        step = 1
        if bands is not None:
            step = int(
                np.lcm.reduce([int(share.q) for share in bands.fractions if share.is_Rational])
            )
        raise InputError(
            "dimension",
            f"{dimension}, of which the bands take {exact.tolist()}",
            "whole dimensions of all bands",
            f"take a multiple of {step}",
        )
    return sizes


def check_room(sizes: NDArray[np.int64], ranks: NDArray[np.int64], units: int) -> None:
    """Refuse bands in which directions and C vectors cannot be in general position."""
    for g, (size, rank) in enumerate(zip(sizes.tolist(), ranks.tolist(), strict=True)):
        if size < rank + units:
            raise InputError(
                "dimension",
                f"{sizes.sum()}, of which band {g + 1} has {size}",
                f"at least {rank + units} in it, for {rank} directions and {units} units",
                "take a larger dimension, or fewer bands",
            )

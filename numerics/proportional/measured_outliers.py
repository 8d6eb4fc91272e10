"""Outliers of matrices of data, set beside those that the effective theory predicts."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from numerics.core.geometry import orthonormal_rows
from numerics.core.validation import Array, kind_of
from numerics.data.samples import SampleData, check_data
from numerics.spectra.empirical_density import empirical_density
from numerics.spectra.empirical_parts import block_operator
from numerics.spectra.empirical_results import parts_in_bands
from numerics.spectra.population_block import is_of_readout
from numerics.spectra.spectrum_of_data import spectrum_of_data
from theory import InputError
from theory.keywords import with_known_keywords

# a matrix up to this size is diagonalised: all of its eigenvalues are then known
WHOLE_SIZE = 3000


@with_known_keywords
def measure_outliers(
    data: SampleData, effective: xr.Dataset
) -> tuple[xr.Dataset, Array | xr.Dataset | None]:
    """Return the outliers of data that stand beside the predicted ones, and the whole spectrum or
    its density.

    As many as are predicted, counted from either end of the spectrum; outliers in gaps have none
    beside them.

    Parameters
    ----------
    data : SampleData
        Drawn at the state of ``effective``.
    effective : xarray.Dataset
        As :func:`numerics.effective_spectrum` returns it, of a block of units, the first layer or
        the readout.

    Returns
    -------
    outliers : xarray.Dataset
        ``eigenvalue`` and ``overlap`` (eigen), ``weight_share`` (eigen, unit) and ``leading_share``
        (unit) with the coordinates and meaning of ``effective``; NaN where nothing is measured.
        attrs ``method``.
    spectrum : array, xarray.Dataset or None
        All eigenvalues up to size 3000, beyond it :func:`numerics.empirical_density`; None for the
        readout.

    Raises
    ------
    theory.InputError
        An argument is of another kind, or ``effective`` is another result.

    Examples
    --------
    >>> from numerics import Problem, State, draw_data, effective_spectrum
    >>> from theory import kgmm
    >>> problem = Problem(kgmm(2), weights=[0.5, 0.5], precision=10, ridge=0.1, step=1)
    >>> zero = State.zero(problem)
    >>> effective = effective_spectrum(problem, zero, aspect_ratio=4, block=(0, 0))
    >>> data = draw_data(problem, zero, dimension=50, samples=200, seed=0)
    >>> outliers, spectrum = measure_outliers(data, effective)
    >>> outliers.sizes["eigen"] == effective["side"].size, spectrum.shape
    (True, (50,))
    """
    check_data(data)
    if (
        not isinstance(effective, xr.Dataset)
        or not {"block", "matrix", "regularized"} <= effective.attrs.keys()
        or "side" not in effective
    ):
        remedy = "the order is (data, effective), with effective = effective_spectrum(...)"
        raise InputError("effective", kind_of(effective), "an effective spectrum", remedy)
    name, kind = _block(effective), str(effective.attrs["matrix"])
    ridge = bool(effective.attrs["regularized"])
    side = effective["side"].to_numpy()
    if is_of_readout(name):
        values = spectrum_of_data(data, matrix=kind, block=name, regularized=ridge)[
            "eigenvalue"
        ].to_numpy()
        found = xr.Dataset(
            {
                "eigenvalue": ("eigen", values[: side.size]),
                "overlap": ("eigen", np.ones(side.size)),
            },
            coords={"eigen": effective["eigen"]},
            attrs={"method": "dense eigh"},
        )
        return found, None
    right, left = int(np.sum(side == 1)), int(np.sum(side == -1))
    operator = block_operator(data, kind, name, ridge)
    whole: Any
    if operator.shape[0] <= WHOLE_SIZE:
        values, vectors = np.linalg.eigh(operator.dense())
        whole, method = values, "dense eigh"
        values, vectors = values[::-1], vectors.T[::-1]
    else:
        pairs = spectrum_of_data(
            data, matrix=kind, block=name, regularized=ridge, count=right + 1, misfit=False
        )
        values = pairs["eigenvalue"].to_numpy()
        vectors = pairs["eigenvector"].to_numpy().reshape(values.size, -1)
        whole, method = (
            empirical_density(data, matrix=kind, block=name, regularized=ridge),
            str(pairs.attrs["method"]),
        )
        if left:
            low, below = _lowest(operator, left)
            values, vectors = np.append(values, low), np.concatenate([vectors, below])
    picked = [
        *range(right),
        *([-1] * int(np.sum(side == 0))),
        *range(values.size - left, values.size),
    ]
    return _beside(data, effective, values, vectors, picked, name, method), whole


def _block(effective: xr.Dataset) -> Any:
    text = str(effective.attrs["block"])
    return (
        tuple(int(part) for part in text.strip("()").split(",")) if text.startswith("(") else text
    )


def _lowest(operator: Any, count: int) -> tuple[Array, Array]:
    """Least eigenvalues, decreasing, with eigenvectors as rows."""
    from scipy.sparse.linalg import eigsh

    start = np.random.default_rng(0).standard_normal(operator.shape[0])
    values, vectors = eigsh(operator, k=count, which="SA", v0=start)
    order = np.argsort(values)[::-1]
    return values[order], vectors.T[order]


def _beside(
    data: SampleData,
    effective: xr.Dataset,
    values: Array,
    vectors: Array,
    picked: list[int],
    name: Any,
    method: str,
) -> xr.Dataset:
    known = np.array(picked, dtype=int) >= 0
    chosen: NDArray[np.float64] = vectors[picked].reshape(len(picked), -1, data.dimension)
    assert data.directions is not None
    generators = np.concatenate([data.directions, data.weights])
    span = orthonormal_rows(parts_in_bands(data, generators))
    overlap = np.sum((chosen @ span.T) ** 2, axis=(1, 2))
    # x^a in its own row of the full matrix, in the one row of a block
    rows = range(len(data.weights)) if isinstance(name, str) else [0] * len(data.weights)
    length = np.sum(data.weights**2, axis=1)
    share = np.stack(
        [
            (chosen[:, row] @ x) ** 2 / n
            for row, x, n in zip(rows, data.weights, length, strict=True)
        ],
        1,
    )
    masked = [
        np.where(known if v.ndim == 1 else known[:, None], v, np.nan)
        for v in (values[picked], overlap, share)
    ]
    r = len(data.directions)
    leading = r * len(data.weights) if isinstance(name, str) else r
    # as in theory, where bulk eigenvectors contribute nothing
    inside = np.flatnonzero(effective["side"].to_numpy() == 1)[:leading]
    return xr.Dataset(
        {
            "eigenvalue": ("eigen", masked[0]),
            "overlap": ("eigen", masked[1]),
            "weight_share": (("eigen", "unit"), masked[2]),
            "leading_share": ("unit", share[inside].sum(axis=0)),
        },
        coords={"eigen": effective["eigen"], "unit": effective["unit"]},
        attrs={
            "method": method,
            "dimension": data.dimension,
            "samples": data.samples,
            "block": str(name),
            "matrix": effective.attrs["matrix"],
        },
    )

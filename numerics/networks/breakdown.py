r"""The precision below which a layer is no longer aligned."""

from __future__ import annotations

import numpy as np
import xarray as xr

from numerics.core.validation import Array, as_scalar, check_kind
from theory import InputError
from theory.keywords import with_known_keywords

QUANTITIES = ("weights", "hessian", "gradient")
# draws of the weights of runs
_DRAWS = 400


@with_known_keywords
def alignment_breakdown(found: xr.Dataset, *, epsilon: float = 0.3) -> xr.Dataset:
    r"""The precision at which each layer stops to align, at the last time, with its error.

    .. math:: \lambda^* = \max\{\lambda:\ \bar\varepsilon(\lambda)\ge\varepsilon\}

    with the mean over runs, on a line between the logarithms of neighbouring points.  0 where the
    layer is aligned at every precision, infinite where it is not at the largest: the true one is
    then below or above all of them.  Runs of NaN are left out, and precisions without a run.

    Parameters
    ----------
    found : xarray.Dataset
        Of :func:`numerics.trained_layers`, at two precisions or more.
    epsilon : float
        Up to which a layer counts as aligned, between 0 and 1.

    Returns
    -------
    xarray.Dataset
        ``precision`` (..., quantity, layer), and ``low`` and ``high``: between which it is for 95 %
        of random weights of the runs (the Bayesian bootstrap); and ``lowest``, the smallest
        precision with runs.

    Raises
    ------
    theory.InputError

    Examples
    --------
    >>> import xarray as xr
    >>> off = xr.DataArray([[[[0.8]]], [[[0.2]]]], dims=("precision", "replica", "time", "layer"))
    >>> study = xr.Dataset({name: off for name in ("weights", "hessian", "gradient")},
    ...                    {"precision": [1.0, 100.0], "layer": ["layer 1"]})
    >>> alignment_breakdown(study, epsilon=0.4).precision.values.round(2).ravel()
    array([10., 10., 10.])
    """
    check_kind("found", found, xr.Dataset, "give what sa.trained_layers returns")
    epsilon = as_scalar("epsilon", epsilon, 0.0, True, "choose a number between 0 and 1")
    precisions = found.precision.values
    if precisions.size < 2:
        raise InputError("found", "one precision", "two or more", "ask for several precisions")
    last = xr.concat([found[name].isel(time=-1) for name in QUANTITIES], "quantity")
    last = last.transpose("precision", "replica", ..., "quantity", "layer")
    known = np.isfinite(last.values)
    values = np.where(known, last.values, 0.0)

    def stops(weights: Array) -> Array:
        """With weights of the runs, (precision, replica)."""
        counted = np.einsum("pr,pr...->p...", weights, known)
        total = np.einsum("pr,pr...->p...", weights, values)
        mean = np.where(counted > 0, total / np.where(counted > 0, counted, 1.0), np.nan)
        return _crossing(precisions, mean, epsilon)

    generator = np.random.default_rng(0)
    crossing = stops(np.ones(values.shape[:2]))
    drawn = [stops(generator.exponential(size=values.shape[:2])) for _ in range(_DRAWS)]
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0, method="nearest")
    seen = np.where(
        known.any(axis=1), np.expand_dims(precisions, (*range(1, values.ndim - 1),)), np.inf
    )
    dims = last.dims[2:]
    names = {"quantity": list(QUANTITIES), **{d: last[d].values for d in dims if d in last.coords}}
    variables = {"precision": (dims, crossing), "low": (dims, low), "high": (dims, high)}
    variables["lowest"] = (dims, seen.min(axis=0))
    return xr.Dataset(variables, names | {"quantity": list(QUANTITIES)}, {"epsilon": epsilon})


def _crossing(precisions: Array, off: Array, epsilon: float) -> Array:
    """The largest precision at which a line through the means reaches epsilon, (...)."""
    found = np.zeros(off.shape[1:])
    for place in np.ndindex(found.shape):
        at = off[(slice(None), *place)]
        order = [i for i in np.argsort(precisions) if np.isfinite(at[i])]
        x, y = np.log(precisions[order]), np.log(np.maximum(at[order], 1e-12) / epsilon)
        if len(y) and y[-1] >= 0:
            found[place] = np.inf
        for i in range(len(y) - 1):
            if y[i] >= 0 > y[i + 1]:
                found[place] = np.exp(x[i] + y[i] / (y[i] - y[i + 1]) * (x[i + 1] - x[i]))
    return found

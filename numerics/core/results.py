"""Labelled results: xarray Datasets with named dimensions, units, versions, seeds and error
estimates.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import mpmath
import numba
import numpy as np
import scipy
import sympy
import xarray as xr
from numpy.typing import NDArray

from numerics.version import version
from theory import InputError, Model
from theory.keywords import with_known_keywords
from theory.regular_files import check_regular

from .covariance.band_arrays import inverse_of
from .parameters import Parameters
from .validation import Array, as_path, check_memory

TIME_UNIT = "steps * delta, delta = c_delta / d"


def common_attributes(model: Model, parameters: Parameters | None, source: str) -> dict[str, Any]:
    """Attributes every result carries: what it is, of which model, made with which versions."""
    trained = {} if model.update is None else {"update": model.update.text}
    return {
        "source": source,
        "model": model.name,
        "loss": expression_text(model.loss.expression),
        **trained,
        "parameters": "{}" if parameters is None else parameters.to_json(),
        "specalign_version": version(),
        "library_versions": library_versions(),
    }


@lru_cache(maxsize=32)
def expression_text(expression: sympy.Expr) -> str:
    """Printing takes longer than many a small spectrum."""
    return str(expression)


@lru_cache(maxsize=1)
def library_versions() -> str:
    """Versions of the libraries a number depends on."""
    return (
        f"numpy {np.__version__}, scipy {scipy.__version__}, sympy {sympy.__version__}, "
        f"numba {numba.__version__}, mpmath {mpmath.__version__}, xarray {xr.__version__}"
    )


@with_known_keywords
def from_netcdf(path: str | Path) -> xr.Dataset:
    """Load a result that ``result.to_netcdf(path)`` wrote, whole into memory.

    Numbers and states can be taken from it as from the result itself: ``Problem(model, result)``,
    :func:`parameters_of`, :meth:`State.at`.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    theory.InputError
        No such file, or none that a function of this package wrote.

    Examples
    --------
    >>> import tempfile
    >>> from theory import kgmm
    >>> from numerics import Problem, State, integrate_curves
    >>> problem = Problem(kgmm(2), weights=[0.5, 0.5], precision=10, ridge=0.1, step=1)
    >>> curve = integrate_curves(problem, State.zero(problem), [0, 1])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     curve.to_netcdf(f"{folder}/curve.nc")
    ...     loaded = from_netcdf(f"{folder}/curve.nc")
    >>> loaded.identical(curve), Problem(kgmm(2), loaded).parameters.precision
    (True, 10.0)
    """
    remedy = "save results with to_netcdf"
    file = check_regular("path", as_path("path", path), "a file that exists, in netCDF", remedy)
    try:
        with xr.open_dataset(file, engine="h5netcdf") as opened:
            # dimensions cost nothing in a file: they are compared with the memory first
            check_memory("path", path, opened.nbytes / 8, "read a part of it with xarray")
            result = opened.load()
    except InputError:
        raise
    except Exception as error:  # readers of damaged files raise as they like
        raise InputError("path", str(path), f"a netCDF file ({error})", remedy) from error
    if "specalign_version" not in result.attrs:
        raise InputError(
            "path",
            f"{path}, whose attributes name no version of specalign",
            "a result of specalign",
            "save what a numeric function returned, with its attributes",
        )
    return result


def statistics_dataset(
    model: Model,
    parameters: Parameters,
    time: Array,
    overlap: Array,
    gram_perp: Array,
    readout: Array,
    attributes: Mapping[str, Any],
    lead: tuple[str, ...] = (),
) -> xr.Dataset:
    """Build the Dataset of summary statistics shared by curves and runs.

    Variables ``overlap`` (..., time, unit, direction), ``gram_perp`` (..., time, unit, unit_b),
    ``readout`` (..., time, parameter), and what follows from them: ``gram`` Q = R + m Gamma^-1 m^T
    and ``misalignment`` = sqrt(R_aa / Q_aa), the distance of x^a from the span of the directions
    over its length.  With bands the first three have a dimension ``band`` in front of the units.
    """
    inverse = inverse_of(parameters.directions_gram)
    gram = gram_perp + overlap @ inverse @ np.swapaxes(overlap, -1, -2)
    norm = np.diagonal(gram, axis1=-2, axis2=-1)
    perpendicular = np.clip(np.diagonal(gram_perp, axis1=-2, axis2=-1), 0.0, None)
    band: tuple[str, ...] = ()
    if model.bands > 1:
        band, norm, perpendicular = ("band",), norm.sum(axis=-2), perpendicular.sum(axis=-2)
    with np.errstate(divide="ignore", invalid="ignore"):
        misalignment = np.sqrt(np.where(norm > 0, perpendicular / norm, 0.0))
    pair = (*lead, "time", *band, "unit", "unit_b")
    data = xr.Dataset(
        {
            "overlap": (
                (*lead, "time", *band, "unit", "direction"),
                overlap,
                _describe("m_as = x^a . e_s"),
            ),
            "gram_perp": (
                pair,
                gram_perp,
                _describe("Gram matrix of x orthogonal to the directions"),
            ),
            "readout": ((*lead, "time", "parameter"), readout, _describe("finite parameters v")),
            "gram": (pair, gram, _describe("Q_ab = x^a . x^b")),
            "misalignment": (
                (*lead, "time", "unit"),
                misalignment,
                _describe("|P_perp x^a| / |x^a|"),
            ),
        },
        coords={
            "time": ("time", time, {"units": TIME_UNIT, "long_name": "time"}),
            **unit_coordinates(model),
            **({"band": np.arange(1, model.bands + 1)} if band else {}),
            "unit_b": np.arange(1, model.units + 1),
        },
        attrs=dict(attributes),
    )
    return data


def unit_coordinates(model: Model) -> dict[str, NDArray[np.int64]]:
    """1-based labels, as in the symbols: ``.sel(unit=1)`` is x^1, ``.isel(unit=0)`` the same."""
    return {
        "unit": np.arange(1, model.units + 1),
        "direction": np.arange(1, model.directions + 1),
        "parameter": np.arange(1, model.readout_size + 1),
    }


def _describe(text: str) -> dict[str, str]:
    return {"long_name": text, "units": "1"}


def labelled(
    model: Model,
    variables: Mapping[str, Any],
    attributes: Mapping[str, Any],
    labels: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """A Dataset with 1-based coordinates of units, directions, parameters and eigenpairs."""
    # together: coordinates that are assigned afterwards take as long as all the rest
    made = {name: xr.as_variable(value, name) for name, value in variables.items()}
    sizes = {dim: size for variable in made.values() for dim, size in variable.sizes.items()}
    names: dict[str, Any] = unit_coordinates(model) | dict(labels or {})
    if "eigen" in sizes:
        names |= {"eigen": np.arange(1, sizes["eigen"] + 1)}
    chosen = {name: values for name, values in names.items() if name in sizes}
    return xr.Dataset(made, chosen, dict(attributes))

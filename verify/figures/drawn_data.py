"""Whether a Dataset holds what a figure draws, before anything is drawn."""

from __future__ import annotations

import xarray as xr

from numerics.core.validation import kind_of
from theory import InputError


def check_drawn(parameter: str, value: object, holds: tuple[str, ...], maker: str) -> None:
    """Refuse what a figure cannot draw.

    Parameters
    ----------
    parameter : str
        Name of the argument.
    value : object
    holds : tuple of str
        Variables or dimensions that the figure reads.
    maker : str
        The function whose results are drawn, as its user writes it.

    Raises
    ------
    theory.InputError
        ``value`` is no Dataset, or not one of ``maker``.
    """
    if not isinstance(value, xr.Dataset):
        raise InputError(
            parameter, kind_of(value), f"an xarray.Dataset of {maker}", f"give what {maker} returns"
        )
    missing = [name for name in holds if name not in value.variables and name not in value.sizes]
    if missing:
        raise InputError(
            parameter,
            f"a Dataset of {', '.join(list(map(str, value.data_vars))[:4])}, ...",
            f"one that {maker} returns, with {', '.join(missing)}",
            "figures of other results have other names: dir(sa.plot) lists them",
        )


def spectrum_label(spectrum: xr.Dataset) -> str:
    """Whether the eigenvalues are of the population or of data: the first word of its source."""
    return str(spectrum.attrs.get("source", "population")).split(",")[0].split()[0]

"""Names of the numbers that laws compare: coefficients by the conventions, parts of weights."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from numerics.spectra.population_spectrum import generator_names
from theory import BlockMatrix, Derived, Drift, Model, PopulationGradient


def weight_names(model: Model, dimension: int) -> list[str]:
    """Components of all trainable parameters: ``x_2[3]`` is the third of x^2 in the frame."""
    return [
        *(f"x_{a + 1}[{i + 1}]" for a in range(model.units) for i in range(dimension)),
        *(f"v_{i + 1}" for i in range(model.readout_size)),
    ]


def pairs(rows: Sequence[str], columns: Sequence[str] | None = None) -> list[str]:
    """Entries of a matrix, row by row."""
    return [f"({a}, {b})" for a, b in product(rows, rows if columns is None else columns)]


def expression_names(derived: Derived, model: Model) -> list[str]:
    """Names of ``derived.expressions()``, in their order.

    Examples
    --------
    >>> from theory import derive_gradient, kgmm
    >>> expression_names(derive_gradient(kgmm(2)), kgmm(2))[:3]
    ['g_1[e_1]', 'g_1[e_2]', 'g_1[x_1]']
    """
    units, directions = range(1, model.units + 1), range(1, model.directions + 1)
    readout = [f"v_{i + 1}" for i in range(model.readout_size)]
    several = model.bands > 1
    bands = [f"{g + 1}_" for g in range(model.bands)] if several else [""]
    basis = generator_names(model).tolist()
    if isinstance(derived, Drift):
        squares = list(product(bands, units, units))
        return [
            *(f"m_{g}{a}_{s}" for g, a, s in product(bands, units, directions)),
            *(f"R_{g}{a}_{b} without its corrector" for g, a, b in squares),
            *(f"corrector_{g}{a}_{b}" for g, a, b in squares),
            *readout,
        ]
    if isinstance(derived, PopulationGradient):
        return [*(f"g_{a}[{x}]" for a, x in product(units, basis)), *(f"g_{v}" for v in readout)]
    if isinstance(derived, BlockMatrix):
        letter = "H" if derived.kind == "hessian" else "G"
        found = []
        for a, b in derived.first_layer:
            block = f"{letter}_{a + 1}_{b + 1}"
            found += [f"{block}[{x},{y}]" for x, y in product(basis, basis)]
            found += [f"{block}[bulk{f' of band {g + 1}' * several}]" for g in range(model.bands)]
        found += [f"{letter}_{a}_{v}[{x}]" for a, v, x in product(units, readout, basis)]
        return [*found, *(f"{letter}_{v}_{w}" for v, w in product(readout, readout))]
    return [str(i + 1) for i, _ in enumerate(derived.expressions())]

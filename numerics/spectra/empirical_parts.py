"""Parts of an empirical Hessian or G as operators: blocks of units, the first layer, the readout,
everything.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from numerics.core.packed_symmetric import positions
from numerics.core.validation import Array
from numerics.data.samples import SampleData, check_data
from theory import InputError, symbols
from theory.keywords import with_known_keywords

from .operators import BorderedMoment, SecondMoment, mean_products
from .population_block import check_block, check_matrix, is_of_readout, one_ridge, readout_positions
from .span_matrix import BlockName


@with_known_keywords
def empirical_operator(
    data: SampleData,
    *,
    matrix: str = "hessian",
    block: BlockName = "first_layer",
    regularized: bool | None = None,
) -> LinearOperator:
    r"""Return a part of an empirical matrix as a scipy LinearOperator that never forms it.

    .. math:: \hat H_{ab} = \frac1M\sum_{i=1}^M H_{ab}(u_i)\,Y_iY_i^T + \beta\delta_{ab}I,\qquad
              \hat G_{ab} = \frac1M\sum_{i=1}^M g_a(u_i)g_b(u_i)\,Y_iY_i^T,\qquad u_i = xY_i

    (mathematics.md sections 1 and 7).  ``matvec`` and ``matmat`` as in scipy; a product with any
    number of columns reads the data once.

    Parameters
    ----------
    data : SampleData
    matrix : {"hessian", "gradient", "gauss-newton", "fisher"}
    block : (a, b), "first_layer" (or "full"), "mixed", "readout", a layer or "all"
        0-based units of a d x d block; the Cd x Cd first layer; for models with readout the Cd x q
        block of x and v, the q x q block of v, or the whole (Cd + q) x (Cd + q) matrix.
    regularized : bool, optional
        Include the ridge; default of theory when omitted: yes for the Hessian, no for G.

    Returns
    -------
    scipy.sparse.linalg.LinearOperator
        Symmetric but for "mixed" and for G blocks (a, b), a != b, with ridge, which are refused.
        Vectors are unit-major: entry a d + j is coordinate j of x^a; the readout stands behind.

    Raises
    ------
    theory.InputError
        Unknown matrix or block.

    Examples
    --------
    >>> from theory import kgmm
    >>> from numerics import user_data
    >>> data = user_data(kgmm(2), [[2.0, 0.0]], [1], np.zeros((2, 2)), ridge=0)
    >>> empirical_operator(data, block=(0, 0)) @ np.array([1.0, 1.0])     # pi (1 - pi) = 1/4
    array([1., 0.])
    """
    check_data(data)
    kind = check_matrix(matrix)
    ridge_in = one_ridge(data.model, kind, regularized)
    if block == "mixed" and data.model.readout_size:
        return aslinearoperator(mixed_block(data, kind, ridge_in))
    name = check_block(data.model, block)
    if is_of_readout(name):
        return aslinearoperator(readout_block(data, kind, ridge_in, name))
    check_symmetric(name, kind, ridge_in)
    return (
        _whole(data, kind, ridge_in)
        if name == "all"
        else block_operator(data, kind, name, ridge_in)
    )


def check_symmetric(name: BlockName, kind: str, ridge_in: bool) -> None:
    """Refuse the blocks of G that are not symmetric."""
    if isinstance(name, tuple) and name[0] != name[1] and kind == "gradient" and ridge_in:
        raise InputError(
            "block",
            name,
            "a symmetric block",
            "use regularized=False, a diagonal block or block='first_layer'",
        )


def block_operator(data: SampleData, kind: str, name: BlockName, ridge_in: bool) -> SecondMoment:
    """The operator of a block or of the full first layer."""
    c, beta = data.model.units, data.ridge if ridge_in else 0.0
    rows = range(c) if isinstance(name, str) else [name[0]]
    packed = data.packed_derivatives(kind)
    if isinstance(name, tuple) and (kind != "gradient" or name[0] != name[1]):
        if kind != "gradient":
            weight = packed[_positions(data)[name]][None]
        else:
            weight = (packed[name[0]] * packed[name[1]])[None]
        return SecondMoment(
            data.source, weight, shift=beta if name[0] == name[1] and kind != "gradient" else 0.0
        )
    if kind != "gradient":
        chosen = [_positions(data)[a, b] for a, b in symbols.upper_triangle(c)]
        return SecondMoment(data.source, packed[chosen], shift=beta)
    weight = packed[list(rows)]
    if not beta:
        return SecondMoment(data.source, weight, rank_one=True)
    return SecondMoment(
        data.source,
        weight,
        ridge=beta,
        mean_gradient=mean_products(data.source, weight).ravel(),
        parameters=data.weights[list(rows)].ravel(),
        rank_one=True,
    )


def readout_block(
    data: SampleData, kind: str, ridge_in: bool, name: BlockName = "readout"
) -> Array:
    """The q x q block of the readout, or of a layer of it."""
    chosen = np.array(readout_positions(data.model, name))
    rows = data.model.units + chosen
    packed, beta = data.packed_derivatives(kind), data.ridge if ridge_in else 0.0
    if kind != "gradient":
        return packed.mean(axis=1)[_positions(data)[np.ix_(rows, rows)]] + beta * np.eye(rows.size)
    gradient = packed[rows] + beta * data.readout[chosen, None]
    return gradient @ gradient.T / gradient.shape[1]


def mixed_block(data: SampleData, kind: str, ridge_in: bool) -> Array:
    """The Cd x q block of first layer and readout: one pass over the data."""
    c, q, d = data.model.units, data.model.readout_size, data.dimension
    packed = data.packed_derivatives(kind)
    pairs = [(a, i) for a in range(c) for i in range(q)]
    if kind != "gradient":
        coefficients = packed[[_positions(data)[a, c + i] for a, i in pairs]]
        return _unit_major(mean_products(data.source, coefficients), c, q, d)
    beta = data.ridge if ridge_in else 0.0
    ends = packed[c:] + beta * data.readout[:, None]
    products = mean_products(data.source, np.array([packed[a] * ends[i] for a, i in pairs]))
    return _unit_major(products, c, q, d) + beta * np.outer(data.weights.ravel(), ends.mean(axis=1))


def _unit_major(products: Array, c: int, q: int, d: int) -> Array:
    """(C q, d) to (C d, q)."""
    return products.reshape(c, q, d).transpose(0, 2, 1).reshape(c * d, q)


def _whole(data: SampleData, kind: str, ridge_in: bool) -> BorderedMoment:
    first = block_operator(data, kind, "first_layer", ridge_in and kind != "gradient")
    shift = ridge_in and kind != "gradient"
    mixed, readout = mixed_block(data, kind, False), readout_block(data, kind, shift)
    if kind != "gradient" or not ridge_in:
        return BorderedMoment(first, mixed, readout)
    packed, c = data.packed_derivatives(kind), data.model.units
    mean = np.concatenate([mean_products(data.source, packed[:c]).ravel(), packed[c:].mean(axis=1)])
    return BorderedMoment(
        first,
        mixed,
        readout,
        data.ridge,
        mean,
        np.concatenate([data.weights.ravel(), data.readout]),
    )


def _positions(data: SampleData) -> NDArray[np.intp]:
    """Row of the packed second derivatives for every pair of variables (u, v)."""
    return positions(data.model.units + data.model.readout_size)

"""The population gradient matrix G, block by block."""

from __future__ import annotations

import sympy as sp

from theory.expectations.moments import Moments, Weight, default_route
from theory.problem.model import Model
from theory.symbols import upper_triangle

from .block_matrix import Block, BlockMatrix, _mixed, _weighted_second_moment
from .gradient import PopulationGradient, derive_gradient


def derive_gradient_matrix(
    model: Model, route: str | None = None, *, regularized: bool = False
) -> BlockMatrix:
    r"""Derive the population gradient matrix G = E[grad L grad L^T], block by block.

    The block of x^a, x^b is :math:`\sum_lp_lE_l[g_ag_b\,YY^T]`, of the form V B V^T + c I (see
    :func:`derive_hessian`).

    Parameters
    ----------
    model : Model
    route : {"stein", "projection"}, optional
        Stein for a smooth loss and projection for one with kinks when omitted.
    regularized : bool, default False
        False (default): gradients of the loss ell alone.  True: gradients of L, ridge included; the
        block gains :math:`\beta(E[g_aY]x^{bT}+x^aE[g_bY]^T)+\beta^2x^ax^{bT}` (mathematics.md
        section 3).

    Returns
    -------
    BlockMatrix

    Examples
    --------
    >>> from theory import Mixture, Model, Loss, symbols
    >>> u = symbols.vector("u", 1)
    >>> one = Mixture.build(weights=[1], labels=[0], coordinates=[[1]], directions_gram=[[1]])
    >>> derive_gradient_matrix(Model.build(one, Loss(u[0], units=1))).block(0, 0).bulk
    1/lambda
    """
    route = default_route(model, curvatures=True) if route is None else route
    moments = Moments(model, route)
    q, c = model.readout_size, model.units
    gradient = derive_gradient(model, route) if regularized else None
    first = {}
    for a, b in upper_triangle(c):
        block = _weighted_second_moment(moments, Weight.of((a,), (b,)))
        if gradient is not None:
            block = Block(_with_ridge(block.coefficients, gradient, a, b), block.bulk)
        first[a, b] = block

    mixed = _mixed(moments, lambda a, i: Weight.of((a,), (c + i,)))
    readout = sp.Matrix(q, q, lambda i, j: moments.averaged_mean(Weight.of((c + i,), (c + j,))))
    if gradient is not None:
        mixed, readout = _mixed_with_ridge(mixed, readout, gradient)
    return BlockMatrix(
        model, route, "gradient", regularized, first, mixed, sp.ImmutableDenseMatrix(readout)
    )


def _with_ridge(
    coefficients: sp.ImmutableDenseMatrix, gradient: PopulationGradient, a: int, b: int
) -> sp.ImmutableDenseMatrix:
    """Add beta (E[g_a Y] x^bT + x^a E[g_b Y]^T) + beta^2 x^a x^bT to a G block."""
    model = gradient.model
    beta, r = model.ridge, model.directions
    changed = sp.Matrix(coefficients)
    for j in range(coefficients.shape[0]):
        # gradient rows already contain + beta x^a; the data part is the row minus that
        changed[j, r + b] += beta * (gradient.first_layer[a, j] - (beta if j == r + a else 0))
        changed[r + a, j] += beta * (gradient.first_layer[b, j] - (beta if j == r + b else 0))
    changed[r + a, r + b] += beta**2
    return sp.ImmutableDenseMatrix(changed)


def _mixed_with_ridge(
    mixed: sp.ImmutableDenseMatrix, readout: sp.Matrix, gradient: PopulationGradient
) -> tuple[sp.ImmutableDenseMatrix, sp.Matrix]:
    """The ridge terms of the blocks (x^a, v_i) and (v_i, v_j) of G."""
    model = gradient.model
    beta, q, r = model.ridge, model.readout_size, model.directions
    v = model.symbols.readout
    data = [gradient.readout[i] - beta * v[i] for i in range(q)]
    changed = sp.Matrix(mixed)
    for a in range(model.units):
        for i in range(q):
            row = a * q + i
            for j in range(mixed.shape[1]):
                own = beta if j == r + a else sp.Integer(0)
                changed[row, j] += (gradient.first_layer[a, j] - own) * beta * v[i]
            changed[row, r + a] += beta * data[i] + beta**2 * v[i]
    full = sp.Matrix(
        q,
        q,
        lambda i, j: (
            readout[i, j] + beta * (data[i] * v[j] + v[i] * data[j]) + beta**2 * v[i] * v[j]
        ),
    )
    return sp.ImmutableDenseMatrix(changed), full

"""Population gradient, Hessian and gradient matrix G, as small coefficient matrices on span(directions, x)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import sympy as sp

from .derived import Derived
from .errors import InputError
from .kinks import DIFFERENCE, DISTRIBUTIONAL
from .model import Model
from .moments import Moments, Weight, default_route
from .symbols import upper_triangle


@dataclass(frozen=True)
class PopulationGradient(Derived):
    """Population gradient in coordinates on V = [e_1..e_r, x^1..x^C].

    Attributes
    ----------
    first_layer : matrix, C x (r + C)
        Row a: the coefficients of E[grad_{x^a} L] on V.
    readout : matrix, q x 1
        E[grad_v L].
    """

    model: Model
    route: str
    first_layer: sp.ImmutableDenseMatrix = field(metadata={"expressions": True})
    readout: sp.ImmutableDenseMatrix = field(metadata={"expressions": True})


@dataclass(frozen=True)
class Block(Derived):
    """A d x d block V B V^T + c I, by its coefficients.

    Attributes
    ----------
    coefficients : matrix, (r + C) x (r + C)
        B, on V = [e_1..e_r, x^1..x^C].
    bulk : expression
        c, the eigenvalue of the block on the orthogonal complement of V.
    """

    coefficients: sp.ImmutableDenseMatrix = field(metadata={"expressions": True})
    bulk: sp.Expr = field(metadata={"expressions": True})


@dataclass(frozen=True)
class BlockMatrix(Derived):
    """A population second-moment matrix (Hessian or G) by its blocks.

    Attributes
    ----------
    first_layer : dict (a, b) -> Block, a <= b
        d x d blocks of x^a, x^b; :meth:`block` also serves a > b.
    mixed : matrix, (C q) x (r + C)
        Row a q + i: coefficients on V of the d-vector in the block of x^a, v_i.
    readout : matrix, q x q
    kink_rule : str
        What a Hessian keeps of the kinks of the loss; G has no second derivative, and no such choice.
    """

    model: Model
    route: str
    kind: str
    regularized: bool
    first_layer: dict[tuple[int, int], Block] = field(metadata={"expressions": True})
    mixed: sp.ImmutableDenseMatrix = field(metadata={"expressions": True})
    readout: sp.ImmutableDenseMatrix = field(metadata={"expressions": True})
    kink_rule: str = DISTRIBUTIONAL

    def block(self, a: int, b: int) -> Block:
        """Return the first-layer block of the 0-based units (a, b); block (b, a) is its transpose."""
        size = self.model.units
        if not (0 <= a < size and 0 <= b < size):
            raise InputError(
                "block", (a, b), f"two units in 0..{size - 1}", "count units from 0"
            )
        if a <= b:
            return self.first_layer[a, b]
        found = self.first_layer[b, a]
        return Block(sp.ImmutableDenseMatrix(found.coefficients.T), found.bulk)


def derive_gradient(model: Model, route: str = "stein") -> PopulationGradient:
    r"""Derive the gradient of the population risk.

    .. math:: E[\nabla_{x^a}L] = \sum_l p_l\Big(E_l[g_a]\,\mu_l + \lambda^{-1}\sum_b E_l[H_{ab}]\,x^b\Big) + \beta x^a

    (mathematics.md section 3).

    Parameters
    ----------
    model : Model
    route : {"stein", "projection"}

    Returns
    -------
    PopulationGradient

    Examples
    --------
    >>> from theory import Mixture, Model, Loss, symbols
    >>> u = symbols.vector("u", 1)
    >>> one = Mixture.build(weights=[1], labels=[0], coordinates=[[1]], directions_gram=[[1]])
    >>> derive_gradient(Model.build(one, Loss(u[0]**2 / 2, units=1))).first_layer
    Matrix([[E_1[u_1], beta + 1/lambda]])
    """
    moments = Moments(model, route)
    components, units = range(model.components), range(model.units)
    coordinates = model.mixture.coordinates

    def entry(a: int, j: int) -> sp.Expr:
        weight = Weight.of((a,))
        if j < model.directions:
            return moments.average(coordinates[l, j] * moments.mean(weight, l) for l in components)
        b = j - model.directions
        ridge = model.ridge if a == b else sp.Integer(0)
        return moments.averaged_slope(weight, b) + ridge

    first = sp.ImmutableDenseMatrix(model.units, model.directions + len(units), entry)
    readout = sp.ImmutableDenseMatrix(
        model.readout_size, 1,
        lambda i, _: moments.averaged_mean(Weight.of((model.units + i,)))
        + model.ridge * model.symbols.readout[i],
    )
    return PopulationGradient(model, route, first, readout)


def derive_hessian(
    model: Model, route: str | None = None, *, regularized: bool = True, kink_rule: str = DISTRIBUTIONAL
) -> BlockMatrix:
    r"""Derive the population Hessian, block by block.

    With h = H_ab, :math:`E[\nabla^2_{x^ax^b}L] = \sum_l p_l E_l[h\,YY^T] + \beta\delta_{ab}I = VBV^T + cI`,

    .. math:: E_l[hYY^T] = E_l[h]\Big(\mu_l\mu_l^T+\tfrac1\lambda I\Big)
       + \tfrac1\lambda\sum_c E_l[\partial_ch](\mu_lx^{cT}+x^c\mu_l^T)
       + \tfrac1{\lambda^2}\sum_{cd}E_l[\partial_c\partial_dh]\,x^cx^{dT}

    (mathematics.md section 3).  Spectrum: c with multiplicity d - rank V, and
    rank V <= r + C further eigenvalues.

    Parameters
    ----------
    model : Model
    route : {"stein", "projection"}, optional
        Stein for a smooth loss and projection for one with kinks when omitted.
    regularized : bool, default True
        Include the ridge: + beta on the diagonal blocks.
    kink_rule : {"distributional", "almost-everywhere", "difference"}
        For a loss with kinks: the Hessian of the population risk (default), the mean of the sample Hessians that
        automatic differentiation computes, or the first minus the second (:mod:`theory.kinks`).

    Returns
    -------
    BlockMatrix

    Examples
    --------
    The square loss has Hessian E[Y Y^T]:

    >>> from theory import Mixture, Model, Loss, symbols
    >>> u = symbols.vector("u", 1)
    >>> one = Mixture.build(weights=[1], labels=[0], coordinates=[[1]], directions_gram=[[1]])
    >>> block = derive_hessian(Model.build(one, Loss(u[0]**2 / 2, units=1))).block(0, 0)
    >>> block.coefficients, block.bulk
    (Matrix([
    [1, 0],
    [0, 0]]), beta + 1/lambda)
    """
    route = default_route(model, curvatures=True) if route is None else route
    moments = Moments(model, route, kink_rule)
    ridge = model.ridge if regularized and kink_rule != DIFFERENCE else sp.Integer(0)
    first = {}
    for a, b in upper_triangle(model.units):
        block = _weighted_second_moment(moments, Weight.of((a, b)))
        first[a, b] = Block(block.coefficients, block.bulk + ridge) if a == b else block
    q, c = model.readout_size, model.units
    mixed = _mixed(moments, lambda a, i: Weight.of((a, c + i)))
    readout = sp.ImmutableDenseMatrix(
        q, q,
        lambda i, j: moments.averaged_mean(Weight.of((c + i, c + j))) + (ridge if i == j else 0),
    )
    return BlockMatrix(model, route, "hessian", regularized, first, mixed, readout, kink_rule)


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
        False (default): gradients of the loss ell alone.  True: gradients of L, ridge included; the block gains
        :math:`\beta(E[g_aY]x^{bT}+x^aE[g_bY]^T)+\beta^2x^ax^{bT}` (mathematics.md section 3).

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
    readout = sp.Matrix(
        q, q,
        lambda i, j: moments.averaged_mean(Weight.of((c + i,), (c + j,))),
    )
    if gradient is not None:
        mixed, readout = _mixed_with_ridge(mixed, readout, gradient)
    return BlockMatrix(
        model, route, "gradient", regularized, first, mixed, sp.ImmutableDenseMatrix(readout)
    )


def _weighted_second_moment(moments: Moments, weight: Weight) -> Block:
    """Coefficients of sum_l p_l E_l[h Y Y^T] on V and I."""
    model = moments.model
    r, c = model.directions, model.units
    components = range(model.components)
    s = model.mixture.coordinates
    bulk = moments.averaged_mean(weight, 1)

    def entry(i: int, j: int) -> sp.Expr:
        if j < r:
            return moments.average(
                s[l, i] * s[l, j] * moments.mean(weight, l) if s[l, i] * s[l, j] != 0 else sp.Integer(0)
                for l in components
            )
        if i < r:
            return moments.average(
                s[l, i] * moments.slope(weight, l, j - r) if s[l, i] != 0 else sp.Integer(0)
                for l in components
            )
        return moments.averaged_curvature(weight, i - r, j - r)

    upper = {(i, j): entry(i, j) for i, j in upper_triangle(r + c)}
    coefficients = sp.ImmutableDenseMatrix(r + c, r + c, lambda i, j: upper[min(i, j), max(i, j)])
    return Block(coefficients, bulk)


def _mixed(
    moments: Moments, weight: Callable[[int, int], Weight]
) -> sp.ImmutableDenseMatrix:
    """Coefficients on V of E[h_{a,i} Y] for every first-layer unit a and readout index i."""
    model = moments.model
    r, c, q = model.directions, model.units, model.readout_size
    components = range(model.components)
    s = model.mixture.coordinates

    def entry(row: int, j: int) -> sp.Expr:
        a, i = divmod(row, q)
        h = weight(a, i)
        if j < r:
            return moments.average(s[l, j] * moments.mean(h, l) for l in components)
        return moments.averaged_slope(h, j - r)

    return sp.ImmutableDenseMatrix(c * q, r + c, entry)


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
        q, q,
        lambda i, j: readout[i, j] + beta * (data[i] * v[j] + v[i] * data[j]) + beta**2 * v[i] * v[j],
    )
    return sp.ImmutableDenseMatrix(changed), full

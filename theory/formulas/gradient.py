"""The population gradient, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass, field

import sympy as sp

from theory.expectations.derived import Derived
from theory.expectations.moments import Moments, Weight, default_route
from theory.problem.model import Model


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


def derive_gradient(model: Model, route: str | None = None) -> PopulationGradient:
    r"""Derive the gradient of the population risk.

    .. math:: E[\nabla_{x^a}L] = \sum_l p_l\Big(E_l[g_a]\,\mu_l
              + \lambda^{-1}\sum_b E_l[H_{ab}]\,x^b\Big) + \beta x^a

    (mathematics.md section 3).

    Parameters
    ----------
    model : Model
    route : {"stein", "projection"}, optional
        Stein when omitted, unless a kink is not affine in u.

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
    route = default_route(model, curvatures=False) if route is None else route
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
        model.readout_size,
        1,
        lambda i, _: (
            moments.averaged_mean(Weight.of((model.units + i,)))
            + model.ridge * model.symbols.readout[i]
        ),
    )
    return PopulationGradient(model, route, first, readout)

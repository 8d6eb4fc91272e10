"""The population gradient, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import sympy as sp

from theory.expectations.contracted import ContractedMatrix
from theory.expectations.contraction import sum_of
from theory.expectations.derived import Derived, shown_as
from theory.expectations.moment_tensors import READOUT, UNIT, moment_tensors
from theory.expectations.moments import chosen_route
from theory.keywords import with_known_keywords
from theory.problem.covariance.bands import refuse_bands
from theory.problem.model import Model


@with_known_keywords
@dataclass(frozen=True, repr=False)
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
    first_layer: sp.ImmutableDenseMatrix = field(metadata=shown_as(r"E[\nabla_x L]"))
    readout: sp.ImmutableDenseMatrix = field(metadata=shown_as(r"E[\nabla_v L]"))


@with_known_keywords
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
    return _gradient(model, chosen_route(model, route, curvatures=False))


@lru_cache(maxsize=64)
def _gradient(model: Model, route: str) -> PopulationGradient:
    refuse_bands(model.mixture, "the population gradient in coordinates on V")
    t = moment_tensors(model, route)
    units, directions, parameters = model.units, model.directions, model.readout_size
    same = t.ridge("u", "a", (t.identity(units), "ac"))
    signal = t.mean(UNIT, "a", (t.coordinates, "ls")) + t.slope(UNIT, "a", "s", teachers="s")
    along_directions = sum_of("as", (units, directions), signal)
    along_weights = sum_of("ac", (units, units), t.slope(UNIT, "a", "c"), [same])
    ridge = [t.ridge("v", "i", (t.readout, "i"))]
    readout = sum_of("i", (parameters,), t.mean(READOUT, "i"), ridge)

    def entry(a: int, j: int) -> sp.Expr:
        if j < directions:
            return along_directions.entry(a, j)
        return along_weights.entry(a, j - directions)

    first = ContractedMatrix.build(units, directions + units, entry)
    return PopulationGradient(model, route, first, ContractedMatrix.of(readout))

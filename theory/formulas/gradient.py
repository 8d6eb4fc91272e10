"""The population gradient, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import sympy as sp

from theory.expectations.contracted import ContractedMatrix
from theory.expectations.contraction import sum_of
from theory.expectations.derived import Derived, shown_as
from theory.expectations.moment_tensors import ETA, KAPPA, READOUT, UNIT, moment_tensors
from theory.expectations.moments import chosen_route
from theory.keywords import with_known_keywords
from theory.problem.model import Model


@with_known_keywords
@dataclass(frozen=True, repr=False)
class PopulationGradient(Derived):
    """Population gradient in coordinates on V = [e_1..e_r, x^1..x^C].

    With bands V = [P_1 e_1..P_B e_r, P_1 x^1..P_B x^C].

    Attributes
    ----------
    first_layer : matrix, C x (r + C)
        Row a: the coefficients of E[grad_{x^a} L] on V.
    readout : matrix, q x 1
        E[grad_v L].

    Examples
    --------
    >>> from theory import xor
    >>> gradient = derive_gradient(xor(2))
    >>> gradient.first_layer.shape, gradient.readout.shape
    ((2, 4), (2, 1))
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
    t = moment_tensors(model, route)
    units, directions, parameters = model.units, model.directions, model.readout_size
    over, band, variance = t.over, model.symbols.band_shape, t.variance("lg")
    same = t.ridge("u", "a", (t.identity(units), "ac"), *t.every("g"))
    means = t.mean(UNIT, "ap", (t.coordinates, over("lps")), *t.every("g"))
    signal = means + t.slope(UNIT, "ap", "s", *variance, teachers="s")
    slopes = t.slope(UNIT, "ap", "cp", *variance)
    if model.loss.statistics:
        signal += t.mean(ETA, "as")
        slopes += t.mean(KAPPA, "ac")
    along_directions = sum_of(over("ags"), (units, *band(directions)), signal)
    along_weights = sum_of(over("agc"), (units, *band(units)), slopes, [same])
    ridge = [t.ridge("v", "i", (t.readout, "i"))]
    readout = sum_of("i", (parameters,), t.mean(READOUT, "i"), ridge)

    bands, size = model.bands, model.bands * directions

    def entry(a: int, j: int) -> sp.Expr:
        part, at, of = (
            (along_directions, j, directions) if j < size else (along_weights, j - size, units)
        )
        return part.entry(a, *divmod(at, of)) if bands > 1 else part.entry(a, at)

    first = ContractedMatrix.build(units, size + bands * units, entry)
    return PopulationGradient(model, route, first, ContractedMatrix.of(readout))

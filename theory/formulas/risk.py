"""Population risk: the expected loss, from which gradient and Hessian derive."""

from __future__ import annotations

from dataclasses import dataclass, field

import sympy as sp

from theory.expectations.derived import Derived, shown_as
from theory.expectations.moments import Moments, Weight
from theory.keywords import with_known_keywords
from theory.problem.model import Model


@with_known_keywords
@dataclass(frozen=True, repr=False)
class PopulationRisk(Derived):
    """Expected loss.

    Attributes
    ----------
    model : Model
    loss : expression
        Sum_l p_l E_l[ell], without the ridge.

    Examples
    --------
    >>> from theory import kgmm
    >>> risk = derive_risk(kgmm(2))
    >>> risk
    PopulationRisk(model 'kgmm2', loss expression)
    >>> len(risk.expectations())                              # one a component
    2
    """

    model: Model
    loss: sp.Expr = field(metadata=shown_as(r"E[\ell]"))


@with_known_keywords
def derive_risk(model: Model) -> PopulationRisk:
    r"""Derive the expected loss :math:`E[\ell] = \sum_l p_l\,E_l[\ell(y_l;u,v)]`.

    Source: mathematics.md section 1.

    Examples
    --------
    >>> from theory import Loss, Mixture, Model, symbols
    >>> u = symbols.vector("u", 1)
    >>> one = Mixture.build(weights=[1], labels=[0], coordinates=[[1]], directions_gram=[[1]])
    >>> derive_risk(Model.build(one, Loss(u[0]**2 / 2, units=1))).loss
    E_1[u_1**2/2]
    """
    return PopulationRisk(model, Moments(model).averaged_mean(Weight.of(())))

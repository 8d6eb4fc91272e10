"""Second-layer features: what the readout sees of each component, from the loss alone."""

from __future__ import annotations

from dataclasses import dataclass, field

import sympy as sp

from theory.errors import InputError
from theory.expectations.derived import Derived
from theory.expectations.expectation import GaussianExpectation
from theory.expectations.gaussian_law import preactivation_law
from theory.problem.model import Model
from theory.symbols import LABEL


@dataclass(frozen=True)
class ReadoutFeatures(Derived):
    """The feature vector of every component, a row each, up to its length.

    Attributes
    ----------
    model : Model
    vectors : matrix, n x q
    """

    model: Model
    vectors: sp.ImmutableDenseMatrix = field(metadata={"expressions": True})


def derive_readout_features(model: Model) -> ReadoutFeatures:
    r"""Derive the vectors whose span the readout, its Hessian and its G block align with.

    .. math:: \Phi_l = \partial_v\ell(y_l; u, v)\big|_{u = mS_l^T}

    For :math:`f=\sum_iv_ig(u_i)` it is :math:`(\sigma(f)-y_l)\,g(WS_l)`: the span over l is that of
    :math:`g(W\mu), g(-W\mu), g(W\nu), g(-W\nu)` of arXiv 2310.03010, section 3 (mathematics.md
    section 8).  The scalar factor, which vanishes as a cluster is fitted, is divided out where it
    is common to all entries.

    Parameters
    ----------
    model : Model
        With readout parameters.

    Returns
    -------
    ReadoutFeatures

    Raises
    ------
    InputError
        The model has no readout parameters.

    Examples
    --------
    >>> from theory import xor
    >>> derive_readout_features(xor(2)).vectors.row(1)
    Matrix([[relu(-m_1_1), relu(-m_2_1)]])
    """
    q, c = model.readout_size, model.units
    if q == 0:
        raise InputError(
            "model", model.name, "a model with readout parameters", "it has a single layer"
        )
    factors = [sp.Mul.make_args(sp.factor(model.loss.partial((c + i,)))) for i in range(q)]
    common = (
        set(factors[0]).intersection(*factors[1:]) if q > 1 else _scalar_factors(factors[0], model)
    )
    vectors = [sp.Mul(*(f for f in each if f not in common)) for each in factors]
    nodes = [
        [GaussianExpectation(e, preactivation_law(model, l)) for e in vectors]
        for l in range(model.components)
    ]
    at_mean = [
        [n.noiseless() if isinstance(n, GaussianExpectation) else n for n in row] for row in nodes
    ]
    return ReadoutFeatures(model, sp.ImmutableDenseMatrix(at_mean))


def _scalar_factors(factors: tuple[sp.Expr, ...], model: Model) -> set[sp.Expr]:
    """Factors that are no feature, of a loss with one readout parameter.

    Any factor is common then; those with the label or without u are no feature.
    """
    return {f for f in factors if f.has(LABEL) or not f.has(*model.symbols.preactivation)}

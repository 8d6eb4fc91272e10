"""The population Hessian, block by block.

Each block is a small coefficient matrix on span(directions, x), and a multiple of the identity.
"""

from __future__ import annotations

from functools import lru_cache

from theory.errors import InputError
from theory.expectations.moment_tensors import WeightKind, moment_tensors
from theory.expectations.moments import chosen_route
from theory.keywords import with_known_keywords
from theory.names import ALMOST_EVERYWHERE, DIFFERENCE, DISTRIBUTIONAL
from theory.problem.kinks import check_kink_rule
from theory.problem.model import Model

from .block_matrix import BlockMatrix, contracted_matrix
from .block_tensors import second_moments, with_terms
from .statistic_blocks import with_statistics


@with_known_keywords
def derive_hessian(
    model: Model,
    route: str | None = None,
    *,
    regularized: bool = True,
    kink_rule: str | None = None,
) -> BlockMatrix:
    r"""Derive the population Hessian, block by block.

    With h = H_ab, :math:`E[\nabla^2_{x^ax^b}L] = \sum_l p_l E_l[h\,YY^T] + \beta\delta_{ab}I =
    VBV^T + cI`,

    .. math:: E_l[hYY^T] = E_l[h]\Big(\mu_l\mu_l^T+\tfrac1\lambda I\Big)
       + \tfrac1\lambda\sum_c E_l[\partial_ch](\mu_lx^{cT}+x^c\mu_l^T)
       + \tfrac1{\lambda^2}\sum_{cd}E_l[\partial_c\partial_dh]\,x^cx^{dT}

    (mathematics.md section 3).  Spectrum: c with multiplicity d - rank V, and
    rank V <= r + C further eigenvalues.  With bands
    :math:`\Sigma_l=\lambda^{-1}\sum_g\sigma_{lg}^2P_g` stands in the place of :math:`I/\lambda`, V
    consists of the parts :math:`P_ge_s,P_gx^c`, and every band has a c of its own (section 10).

    Parameters
    ----------
    model : Model
    route : {"stein", "projection"}, optional
        Stein for a smooth loss and projection for one with kinks when omitted.
    regularized : bool, default True
        Include the ridge: + beta on the diagonal blocks.
    kink_rule : {"distributional", "almost-everywhere", "difference"}, optional
        For a loss with kinks: the Hessian of the population risk, the mean of the sample Hessians
        that automatic differentiation computes, or the first minus the second
        (:mod:`theory.problem.kinks`).  The first when omitted; the second where a kink is not
        affine in u, such as a ReLU behind a ReLU, as its deltas have no closed form.

    Returns
    -------
    BlockMatrix

    Raises
    ------
    InputError
        Unknown route or rule; or deltas asked for on a kink that is not affine in u.

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
    route = chosen_route(model, route, curvatures=True)
    return _hessian(model, route, bool(regularized), _checked_rule(model, kink_rule))


@lru_cache(maxsize=64)
def _hessian(model: Model, route: str, regularized: bool, kink_rule: str) -> BlockMatrix:
    t = moment_tensors(model, route, check_kink_rule(kink_rule))
    kinds: tuple[WeightKind, ...] = ((("u", "u"),), (("u", "v"),), (("v", "v"),))
    tensors = second_moments(t, *kinds)
    if kink_rule != DIFFERENCE:
        tensors = with_statistics(t, tensors, hessian=True)
    if regularized and kink_rule != DIFFERENCE:
        units, outputs = (t.identity(n) for n in (model.units, model.readout_size))
        tensors = with_terms(
            tensors,
            bulk=[t.ridge("u", "a", (units, "ab"), *t.every("g"))],
            readout=[t.ridge("v", "i", (outputs, "ij"))],
        )
    return contracted_matrix(model, route, "hessian", regularized, tensors, kink_rule)


def default_kink_rule(model: Model) -> str:
    """The rule taken when none is asked for: the deltas count where they can be integrated."""
    loss = model.loss
    affine = loss.is_smooth or loss.kink_forms is not None
    return DISTRIBUTIONAL if affine else ALMOST_EVERYWHERE


def _checked_rule(model: Model, rule: str | None) -> str:
    """The rule asked for, or the default; refused where it needs deltas nobody can integrate."""
    default = default_kink_rule(model)
    if rule is None:
        return default
    if default == ALMOST_EVERYWHERE != check_kink_rule(rule):
        raise InputError(
            "kink_rule",
            f"{rule!r} for a loss with a kink that is not affine in the pre-activations",
            f"{ALMOST_EVERYWHERE!r}",
            "leave the rule out: samples have this Hessian",
        )
    return rule

"""The population gradient matrix G, block by block."""

from __future__ import annotations

from functools import lru_cache

from theory.expectations.contraction import Operand, Term
from theory.expectations.moment_tensors import READOUT, UNIT, MomentTensors, moment_tensors, scaled
from theory.expectations.moments import chosen_route
from theory.keywords import with_known_keywords
from theory.names import DISTRIBUTIONAL
from theory.problem.model import Model

from .block_matrix import BlockMatrix, contracted_matrix
from .block_tensors import BlockTensors, second_moments, with_terms
from .statistic_blocks import with_ridge_beside, with_statistics


@with_known_keywords
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
    return _gradient_matrix(model, chosen_route(model, route, curvatures=True), bool(regularized))


@lru_cache(maxsize=64)
def _gradient_matrix(model: Model, route: str, regularized: bool) -> BlockMatrix:
    t = moment_tensors(model, route)
    tensors = second_moments(t, UNIT + UNIT, UNIT + READOUT, READOUT + READOUT)
    tensors = with_statistics(t, tensors, hessian=False)
    if regularized:
        tensors = with_ridge_beside(t, _with_ridge(t, tensors))
    return contracted_matrix(model, route, "gradient", regularized, tensors, DISTRIBUTIONAL)


def _with_ridge(t: MomentTensors, tensors: BlockTensors) -> BlockTensors:
    """Gradients beta x^a + g_a Y and beta v_i + d_i l in place of g_a Y and d_i l."""
    mean = (t.coordinates, t.over("lps"))
    beta, same, v = t.ridges

    # in band g noise along P_g x^c, or in band h; and what does not depend on one of the bands
    at_g, at_h, beside_g, beside_h = t.variance("lg"), t.variance("lh"), t.every("g"), t.every("h")
    any_band = t.every("gh")
    # E[g Y] along the directions: what the teachers add to the means
    first = t.slope(UNIT, "ap", "s", *at_g, teachers="s")
    second = t.slope(UNIT, "bp", "s", *at_h, teachers="s")

    def along(terms: list[Term], *rest: Operand) -> list[Term]:
        return [Term(e.factor, (*e.operands, *rest)) for e in terms]

    def ridge(*terms: list[Term]) -> list[Term]:
        return scaled((each for group in terms for each in group), beta)

    # fmt: off
    return with_terms(
        tensors,
        across=ridge(
            t.mean(UNIT, "ap", mean, (same, "bc"), *any_band),
            along(first, (same, "bc"), *beside_h),
        ),
        back=ridge(
            t.mean(UNIT, "bp", mean, (same, "ac"), *any_band),
            along(second, (same, "ac"), *beside_g),
        ),
        weights=ridge(
            t.slope(UNIT, "ap", "cp", (same, "bd"), *at_g, *beside_h),
            t.slope(UNIT, "bp", "dp", (same, "ac"), *at_h, *beside_g),
            [Term(beta, ((same, "ac"), (same, "bd"), *any_band))],
        ),
        mixed_directions=ridge(
            t.mean(UNIT, "ap", mean, (v, "i"), *beside_g), along(first, (v, "i"))
        ),
        mixed_weights=ridge(
            t.slope(UNIT, "ap", "cp", (v, "i"), *at_g),
            t.mean(READOUT, "i", (same, "ac"), *beside_g),
            [Term(beta, ((same, "ac"), (v, "i"), *beside_g))],
        ),
        readout=ridge(
            t.mean(READOUT, "i", (v, "j")),
            t.mean(READOUT, "j", (v, "i")),
            [Term(beta, ((v, "i"), (v, "j")))],
        ),
    )
    # fmt: on

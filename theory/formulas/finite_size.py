"""What one step does on average at finite dimension: the 1/d part of the drift, exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import sympy as sp

from theory.errors import InputError
from theory.expectations.contracted import (
    ContractedMatrix,
    ContractedVector,
    Selection,
    contraction_of,
)
from theory.expectations.contraction import Contraction, Term, sum_of
from theory.expectations.derived import Derived, shown_as
from theory.expectations.moment_tensors import KAPPA, MomentTensors, moment_tensors, scaled
from theory.expectations.moments import chosen_route, exists
from theory.keywords import with_known_keywords
from theory.problem.model import Model
from theory.symbols import flatten_state


@with_known_keywords
@dataclass(frozen=True, repr=False)
class FiniteSize(Derived):
    """The 1/d part of the mean increment: E[change of the state in one step] = delta (F + F1 / d).

    Attributes
    ----------
    gram_perp : matrix, C x C, symmetric
        F1; overlaps and readout have none, their increments do not know the dimension.

    Examples
    --------
    >>> from theory import Loss, Mixture, symbols
    >>> u = symbols.vector("u", 1)
    >>> one = Mixture.build(weights=[1], labels=[0], coordinates=[[1]], directions_gram=[[1]])
    >>> found = derive_finite_size(Model.build(one, Loss(u[0], units=1), ridge=0))
    >>> list(found.vector)                                    # of the overlap, and of R_perp
    [0, -c_delta/lambda]
    """

    model: Model
    route: str
    gram_perp: sp.ImmutableDenseMatrix = field(metadata=shown_as("F_1"))

    @cached_property
    def vector(self) -> Sequence[sp.Expr]:
        """F1 in the order of the state vector."""
        s, parameters = self.model.symbols, self.model.readout_size
        found = contraction_of(self.gram_perp, s.over("gab"), s.gram_shape)
        if found is None:
            zeros = sp.zeros(*s.overlap.shape)
            return flatten_state(zeros, self.gram_perp, [sp.Integer(0)] * parameters)
        selections = (
            Selection.all_of(Contraction(s.over("gas"), s.overlap_shape)),
            Selection(found, s.gram_indices),
            Selection.all_of(Contraction("i", (parameters,))),
        )
        return ContractedVector(selections)


@with_known_keywords
def derive_finite_size(model: Model, route: str | None = None, batch: int = 1) -> FiniteSize:
    r"""Derive the 1/d part F1 of the mean increment of SGD; there is nothing beyond it.

    A step makes of the part of x orthogonal to the directions
    :math:`(1-\delta\beta)x_\perp^a-\frac\delta b\sum_j g_{aj}Y_{j\perp}`, and :math:`|Y_\perp|^2`
    has, beside :math:`\zeta_b=Y\cdot x^b_\perp`, d - r - C further degrees of freedom.  With
    :math:`\delta=c_\delta/d` the mean increment of :math:`R^\perp` is :math:`\delta(F+F_1/d)`,

    .. math:: F_{1,ab} = c_\delta\beta^2R^\perp_{ab} + c_\delta\beta\,(E[g_a\zeta_b]+E[g_b\zeta_a])
              + \frac{c_\delta}{b}\Big(\sum_{cd}K_{cd}(g_ag_b)R^\perp_{cd}
              - \frac r\lambda E[g_ag_b]\Big)
              + c_\delta\Big(1-\frac1b\Big)\,E[g_aY_\perp]\cdot E[g_bY_\perp],

    with :math:`P_gY,\sigma_{lg}^2/\lambda` and the rank of Gamma^g for Y, 1 / lambda and r in a
    band, and K the curvature of :mod:`theory.expectations.moments`:
    :math:`E[hZZ^T]/\lambda=\lambda^{-1}E[h]I+\sum K_{cd}(h)x^cx^{dT}`.  A loss that holds
    statistics has :math:`\beta+\kappa` of the sample in the place of :math:`\beta`.

    Parameters
    ----------
    model : Model
    route : {"stein", "projection"}, optional
        Stein for a smooth loss and projection for one with kinks when omitted.
    batch : int
        b, the number of samples in a step.

    Returns
    -------
    FiniteSize

    Raises
    ------
    InputError
        Unknown route, or a batch below 1.

    Examples
    --------
    One linear unit with g = 1: nothing but the direction's share of the noise is missing from its
    growth:

    >>> from theory import Mixture, Loss, symbols
    >>> u = symbols.vector("u", 1)
    >>> one = Mixture.build(weights=[1], labels=[0], coordinates=[[1]], directions_gram=[[1]])
    >>> derive_finite_size(Model.build(one, Loss(u[0], units=1), ridge=0)).gram_perp[0, 0]
    -c_delta/lambda
    """
    if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
        raise InputError(
            "batch", repr(batch), "an integer >= 1", "a step needs at least one sample"
        )
    if model.rule is not None and model.rule.momentum != 0:
        got, expected = f"momentum {model.rule.momentum}", "no momentum"
        remedy = "the steps before count too: what momentum does at finite d has to be simulated"
        raise InputError("model", got, expected, remedy)
    return _finite_size(model, chosen_route(model, route, curvatures=True), batch)


@lru_cache(maxsize=64)
def _finite_size(model: Model, route: str, batch: int) -> FiniteSize:
    t = moment_tensors(model, route)
    r, over, variance, step = t.gram_perp, t.over, t.variance("lg"), t.unit_step
    share, (rank, ranks) = sp.Rational(1, batch), t.rank("g")
    along = t.curvature(step + step, "apbq", "cp", "dq", (r, over("gcd")), *variance, *variance)
    squares = t.mean(step + step, "apbp", *variance, *ranks)
    less = scaled(squares, -rank / model.mixture.precision)
    terms = [*_with_decay(t), *scaled([*along, *less], share)]
    if batch > 1:  # of two samples of a step
        left = t.slope(step, "ap", "cp", (r, over("gcd")), *variance)
        right = t.slope(step, "bq", "dq", *variance)
        terms += scaled(_product(left, right), 1 - share)
    if model.loss.statistics:
        terms += _with_gains(t, share)
    terms = scaled(t.off_directions(terms), model.step)
    contraction = sum_of(over("gab"), model.symbols.gram_shape, terms)
    found = FiniteSize(model, route, ContractedMatrix.of(contraction))
    return found if exists(model, route) else found.written_out()


def _with_gains(t: MomentTensors, share: sp.Expr) -> list[Term]:
    r"""What kappa of a loss that holds statistics adds: with the ridge, with the noise of the same
    sample and of another one, with itself.
    """
    r, step = t.gram_perp, t.unit_step
    terms = scaled([*t.gains("a", r, "b"), *t.gains("b", r, "a")], t.model.ridge)
    same = [
        *t.slope(KAPPA + step, "aeb", "d", (r, "ed")),
        *t.slope(KAPPA + step, "bea", "d", (r, "ed")),
        *t.mean(KAPPA + KAPPA, "aebf", (r, "ef")),
    ]
    other = [
        *_product(t.mean(KAPPA, "ae"), t.slope(step, "b", "d", (r, "ed"))),
        *_product(t.mean(KAPPA, "be"), t.slope(step, "a", "d", (r, "ed"))),
        *_product(t.mean(KAPPA, "ae", (r, "ef")), t.mean(KAPPA, "bf")),
    ]
    return [*terms, *scaled(same, share), *scaled(other, 1 - share)]


def _product(left: list[Term], right: list[Term]) -> list[Term]:
    """The product of two expectations, of independent samples."""
    (one,), (two,) = left, right
    renamed = ((x, letters.replace("l", "k")) for x, letters in two.operands)
    return [Term(one.factor * two.factor, (*one.operands, *renamed))]


def _with_decay(t: MomentTensors) -> list[Term]:
    """K R K^T, and K E[zeta g^T] with its transpose; K is the ridge, or that of the rule."""
    model, r, step, over, variance = t.model, t.gram_perp, t.unit_step, t.over, t.variance("lg")
    if model.rule is None:
        noise = [
            *t.slope(step, "ap", "cp", (r, over("gbc")), *variance),
            *t.slope(step, "bp", "cp", (r, over("gac")), *variance),
        ]
        return [Term(model.ridge**2, ((r, over("gab")),)), *scaled(noise, model.ridge)]
    k = t.decay_matrix
    first = t.slope(step, "b", "c", (r, over("gec")), (k, "ae"), *variance)
    second = t.slope(step, "a", "c", (r, over("gec")), (k, "be"), *variance)
    square = Term(sp.Integer(1), ((k, "ae"), (r, over("gef")), (k, "bf")))
    return [square, *first, *second]

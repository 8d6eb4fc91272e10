r"""What statistics in the loss add to the blocks of the Hessian and of the gradient matrix.

The gradient of a sample in :math:`x^a` is :math:`D_a\ell` with

.. math:: D_a = Y\partial_{u_a} + \sum_c x^c(1+\delta_{ac})\partial_{Q_{ac}}
          + \sum_s e_s\partial_{m_{as}},

so that the Hessian is :math:`D_aD_b\ell+\kappa_{ab}I` and G is :math:`D_a\ell\,(D_b\ell)^T`: terms
of the same V B V^T + c I as those of :math:`YY^T` alone (mathematics.md section 12a).
"""

from __future__ import annotations

from theory.expectations.contraction import Operand, Term
from theory.expectations.moment_tensors import ETA, KAPPA, MomentTensors, WeightKind, scaled

from .block_tensors import BlockTensors, with_terms


def with_statistics(t: MomentTensors, tensors: BlockTensors, *, hessian: bool) -> BlockTensors:
    """The blocks of a loss that holds statistics: second derivatives, or products of first ones."""
    if not t.model.loss.statistics:
        return tensors

    def both(left: str, right: str) -> WeightKind:
        return ((left, right),) if hessian else ((left,), (right,))

    s = t.coordinates
    gram, push = both("u", "Q"), both("u", "m")
    across = [
        *t.mean(gram, "abc", (s, "ls")),
        *t.slope(gram, "abc", "s", teachers="s"),
        *t.slope(push, "bas", "c"),
        *t.mean(both("Q", "m"), "bcas"),
    ]
    back = [
        *t.mean(gram, "bac", (s, "ls")),
        *t.slope(gram, "bac", "s", teachers="s"),
        *t.slope(push, "abs", "c"),
        *t.mean(both("Q", "m"), "acbs"),
    ]
    directions = [
        *t.mean(push, "abt", (s, "ls")),
        *t.mean(push, "bas", (s, "lt")),
        *t.slope(push, "abt", "s", teachers="s"),
        *t.slope(push, "bas", "t", teachers="t"),
        *t.mean(both("m", "m"), "asbt"),
    ]
    weights = [
        *t.slope(gram, "abd", "c"),
        *t.slope(gram, "bac", "d"),
        *t.mean(both("Q", "Q"), "acbd"),
    ]
    return with_terms(
        tensors,
        directions=directions,
        across=across,
        back=back,
        weights=weights,
        bulk=t.mean(KAPPA, "ab") if hessian else [],
        mixed_directions=t.mean(both("v", "m"), "ias"),
        mixed_weights=t.mean(both("v", "Q"), "iac"),
    )


def with_ridge_beside(t: MomentTensors, tensors: BlockTensors) -> BlockTensors:
    """What the ridge of G meets of kappa and eta, beside what it meets of the data."""
    if not t.model.loss.statistics:
        return tensors
    beta, same, v = t.ridges

    def times(terms: list[Term], *rest: Operand) -> list[Term]:
        longer = (Term(e.factor, (*e.operands, *rest)) for e in terms)
        return scaled(longer, beta)

    return with_terms(
        tensors,
        across=times(t.mean(ETA, "as"), (same, "bc")),
        back=times(t.mean(ETA, "bs"), (same, "ac")),
        weights=[
            *times(t.mean(KAPPA, "ac"), (same, "bd")),
            *times(t.mean(KAPPA, "bd"), (same, "ac")),
        ],
        mixed_directions=times(t.mean(ETA, "as"), (v, "i")),
        mixed_weights=times(t.mean(KAPPA, "ac"), (v, "i")),
    )

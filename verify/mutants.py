"""Wrong theories on purpose: every check has to refute at least one of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import sympy as sp

from theory import Block, GaussianExpectation, symbols

from .subject import Theory


def drop_corrector(theory: Theory) -> Theory:
    """The drift of R_perp without (c_delta/lambda) E[g_a g_b]."""
    return replace(theory, drift=theory.drift.without_corrector())


def drop_noise_term(theory: Theory) -> Theory:
    """The drift of the overlaps without lambda^-1 sum_b E[H_ab] m_bs."""
    kept = theory.drift.overlap.applyfunc(lambda e: _drop(e, _has_inverse_precision))
    return replace(theory, drift=replace(theory.drift, overlap=sp.ImmutableDenseMatrix(kept)))


def flip_ridge(theory: Theory) -> Theory:
    """The drift with + beta where - beta is due."""
    return replace(theory, drift=theory.drift.map(lambda e: e.xreplace({symbols.RIDGE: -symbols.RIDGE})))


def drop_softmax_case(theory: Theory) -> Theory:
    r"""The Hessian with the case b != a = c of d_c(pi_a pi_b) treated like three different indices.

    The derivative is then -2 pi_a pi_b pi_c instead of pi_a pi_b (1 - 2 pi_a), so d_c H_ab is off by
    pi_a pi_b = -H_ab.
    """
    loss = theory.model.loss
    first = {}
    for (a, b), block in theory.hessian.first_layer.items():
        wrong = {
            loss.partial((a, a, b)): loss.partial((a, a, b)) - loss.partial((a, b)),
        } if a != b else {}
        first[a, b] = block if not wrong else Block(
            sp.ImmutableDenseMatrix(block.coefficients.applyfunc(_substitute_integrands(wrong))), block.bulk
        )
    return replace(theory, hessian=replace(theory.hessian, first_layer=first))


def ignore_weights(theory: Theory) -> Theory:
    """Every formula with equal class weights."""
    n = theory.model.components
    equal = {p: sp.Rational(1, n) for p in symbols.vector("p", n, positive=True)}

    def level(e: sp.Expr) -> sp.Expr:
        return e.xreplace(equal)

    return replace(
        theory, drift=theory.drift.map(level), hessian=theory.hessian.map(level),
        gradient=theory.gradient.map(level),
    )


# name -> mutant; the five wrong theories a reader of the field would recognise
MUTANTS: dict[str, Callable[[Theory], Theory]] = {
    "corrector dropped": drop_corrector,
    "1/lambda term dropped": drop_noise_term,
    "sign of the ridge flipped": flip_ridge,
    "softmax case b != a = c missing": drop_softmax_case,
    "class weights ignored": ignore_weights,
}


def _has_inverse_precision(term: sp.Expr) -> bool:
    """True for a term with an explicit factor 1/lambda (not one inside the law of an expectation)."""
    return bool(term.as_powers_dict().get(symbols.PRECISION, 0) < 0)


def _drop(expression: sp.Expr, predicate: Callable[[sp.Expr], bool]) -> sp.Expr:
    return sp.Add(*(t for t in sp.Add.make_args(expression) if not predicate(t)))


def _substitute_integrands(wrong: dict[sp.Expr, sp.Expr]) -> Callable[[sp.Expr], sp.Expr]:
    def change(expression: sp.Expr) -> sp.Expr:
        return expression.replace(
            lambda e: isinstance(e, GaussianExpectation) and e.general_integrand in wrong,
            lambda e: GaussianExpectation(wrong[e.general_integrand], e.law),
        )

    return change

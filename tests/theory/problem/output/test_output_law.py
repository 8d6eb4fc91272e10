"""Outputs that a loss states: what stands between J^T and J, and what is refused."""

from __future__ import annotations

import pytest
import sympy as sp

from theory import (
    InputError,
    Loss,
    Output,
    ReLU,
    Softplus,
    derive_fisher,
    derive_gauss_newton,
    derive_hessian,
    kgmm,
    symbols,
    xor,
)

U, (F,), Y = symbols.vector("u", 1)[0], symbols.vector("f", 1), symbols.LABEL
LOGISTIC = Output([3 * U], Softplus(F) - Y * F, "bernoulli")


def test_of_a_single_softmax_layer_gauss_newton_is_the_hessian():
    model = kgmm(3)
    hessian, newton = derive_hessian(model, "projection"), derive_gauss_newton(model)
    for units in ((0, 0), (0, 2)):
        assert newton.block(*units) == hessian.block(*units)


@pytest.mark.parametrize("matrix", ["gauss-newton", "fisher"])
def test_canonical_links_have_one_curvature(matrix):
    """sigma (1 - sigma) for logistic outputs, 1 for normal ones: both matrices agree."""
    sigma = 1 / (1 + sp.exp(-sp.Rational(2, 7)))
    found = LOGISTIC.curvature(matrix)[0, 0].xreplace({F: sp.Rational(2, 7)})
    assert abs((found - sigma * (1 - sigma)).evalf(30)) < 1e-25
    assert Output([U], (F - Y) ** 2 / 2, "normal").curvature(matrix)[0, 0] == 1


def test_away_from_the_canonical_link_they_differ():
    """Quartic loss: second derivative 3 (f - y)^2, and E z^6 = 15 of the slope squared."""
    quartic = Output([U], (F - Y) ** 4 / 4, "normal")
    assert sp.expand(quartic.curvature("gauss-newton")[0, 0] - 3 * (F - Y) ** 2) == 0
    assert quartic.curvature("fisher")[0, 0] == 15


def test_the_chain_rule_behind_a_kink():
    """J of v relu(u) is v step(u), squares of steps are steps."""
    block = derive_gauss_newton(xor(2), regularized=False).block(0, 0)
    assert not block.bulk.has(sp.DiracDelta)
    assert derive_fisher(xor(2)).kind == "fisher"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Output([U], F, "poisson"), "one of"),
        (lambda: Output([U, U], F, "normal"), "one output of the law 'normal'"),
        (lambda: Output([U], 3, "normal"), "an expression in f and y"),
        (lambda: Loss(U**2, units=1, output=LOGISTIC), "outputs whose loss is not that"),
        (lambda: Loss(U**2, units=1, output="f"), "an sa.Output"),
        (lambda: derive_fisher(plain()), "states no outputs, for|whose loss states no outputs"),
        (lambda: Output([U], sp.exp(F - Y), "normal").curvature("fisher"), "a polynomial in the"),
    ],
)
def test_what_states_no_outputs_is_named(make, message):
    with pytest.raises(InputError, match=message):
        make()


def plain():
    """A model of a loss that states none."""
    from dataclasses import replace

    model = kgmm(2)
    return replace(model, loss=Loss((U - Y) ** 2 + ReLU(U), units=2, kinks=(U,)))

"""A malformed theory is refused before any work, with a message that says what to use."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import pytest
import sympy as sp

import verify.checks.runner
from theory import GaussianExpectation, InputError, derive_hessian, kgmm, symbols
from theory.expectations.gaussian_law import preactivation_law
from theory.expectations.well_formed import WellFormed
from verify.checks.judged_theory import Theory
from verify.checks.runner import run
from verify.checks.theory_form import check_claim
from verify.evidence.systems import get_system
from verify.mutants.theories import MUTANTS


@lru_cache(maxsize=1)
def derived() -> Theory:
    return Theory.derive(get_system("kgmm").model)


def with_overlap(change):
    """The derived theory with ``change`` added to the drift of m_11."""
    overlap = derived().drift.overlap.as_mutable()
    overlap[0, 0] += change
    return replace(derived(), drift=replace(derived().drift, overlap=overlap.as_immutable()))


def with_drift(**parts):
    return replace(derived(), drift=replace(derived().drift, **parts))


def with_block(pair, **parts):
    hessian = derived().hessian
    first = hessian.first_layer | {pair: replace(hessian.first_layer[pair], **parts)}
    return replace(derived(), hessian=replace(hessian, first_layer=first))


def without_pair():
    first = {k: v for k, v in derived().hessian.first_layer.items() if k != (0, 1)}
    return replace(derived(), hessian=replace(derived().hessian, first_layer=first))


def other_law():
    law = preactivation_law(derived().model, 0)
    return GaussianExpectation(law.variables[0], law.subs(symbols.PRECISION, 2 * symbols.PRECISION))


def asymmetric():
    wrong = derived().drift.gram_perp.as_mutable()
    wrong[1, 0] += symbols.RIDGE
    return wrong.as_immutable()


LAW = preactivation_law(kgmm(3), 0)
MALFORMED = {
    "wrong assumptions": (
        lambda: with_overlap(sp.Symbol("beta")),
        r"theory.drift.overlap\[0, 0\]: got a Symbol\('beta'\) made with other "
        r"assumptions.*sa.symbols.RIDGE",
    ),
    "wrong assumptions of an overlap": (
        lambda: with_overlap(sp.Symbol("m_2_1")),
        r"Symbol\('m_2_1'\).*write model.symbols.overlap\[1, 0\]",
    ),
    "wrong assumptions inside": (
        lambda: with_overlap(GaussianExpectation(sp.Symbol("u_1"), LAW)),
        r"write model.symbols.preactivation\[0\]",
    ),
    "unknown symbol": (
        lambda: with_overlap(sp.Symbol("gamma")),
        r"the symbol gamma outside.*only Gamma_i_j, P_i_j",
    ),
    "misspelt symbol": (
        lambda: with_overlap(sp.Symbol("c_dleta")),
        r"did you mean c_delta: write .*symbols.STEP",
    ),
    "pre-activation outside": (
        lambda: with_overlap(symbols.vector("u", 1)[0]),
        r"u_1 outside expectations.*put it into an expectation",
    ),
    "parameter inside": (
        lambda: with_overlap(GaussianExpectation(symbols.RIDGE * LAW.variables[0], LAW)),
        "beta inside.*in front of E_l",
    ),
    "another law": (
        lambda: with_overlap(other_law()),
        r"use GaussianExpectation\(f, preactivation_law\(model, l\)\)",
    ),
    "quotient": (
        lambda: with_overlap(1 / GaussianExpectation(LAW.variables[0], LAW)),
        "a polynomial in the expectations",
    ),
    "undefined function": (
        lambda: with_overlap(sp.Function("f")(symbols.RIDGE)),
        "a function with a definition",
    ),
    "infinite": (lambda: with_overlap(sp.oo), "a finite expression"),
    "transposed shape": (
        lambda: with_drift(overlap=sp.ImmutableDenseMatrix(sp.zeros(3, 2))),
        r"theory.drift.overlap: got shape \(3, 2\); expected shape \(3, 3\)",
    ),
    "list": (
        lambda: with_drift(overlap=[[0] * 3] * 3),
        r"got list; expected a SymPy matrix of shape \(3, 3\)",
    ),
    "scalar corrector": (
        lambda: with_drift(corrector=sp.ImmutableDenseMatrix([[0]])),
        r"drift.corrector: got shape \(1, 1\)",
    ),
    "asymmetric": (
        lambda: with_drift(gram_perp=asymmetric()),
        r"gram_perp\[1, 0\].*the matrix is symmetric",
    ),
    "drift of another kind": (
        lambda: replace(derived(), drift=derived().hessian),
        "got BlockMatrix; expected an sa.Drift",
    ),
    "gradient as Hessian": (
        lambda: replace(derived(), hessian=derived().gradient),
        "got a gradient matrix without ridge; expected a hessian",
    ),
    "Hessian with ridge": (
        lambda: replace(derived(), hessian=derive_hessian(derived().model)),
        "with ridge.*regularized=False",
    ),
    "missing block": (without_pair, r"theory.hessian.first_layer: got blocks"),
    "small block": (
        lambda: with_block((0, 1), coefficients=sp.ImmutableDenseMatrix(sp.eye(3))),
        r"hessian.first_layer\[0, 1\].coefficients: got shape \(3, 3\); expected shape \(6, 6\)",
    ),
    "bulk as a number": (
        lambda: with_block((0, 1), bulk=0.1),
        r"bulk: got 0.1; expected a SymPy expression",
    ),
    "no theory": (lambda: derived().drift, "theory: got Drift; expected an sa.Theory"),
    "another model": (
        lambda: Theory.derive(kgmm(2)),
        "theory.model: got kgmm2; expected the model kgmm3",
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_theory_is_refused_before_any_work(name, monkeypatch):
    make, message = MALFORMED[name]
    theory = make()
    monkeypatch.setattr(
        verify.checks.runner, "run_check", lambda *_: pytest.fail("work was started")
    )
    with pytest.raises(InputError, match=message) as caught:
        run(theory=theory, only=["routes"])
    assert len(str(caught.value)) < 600


def test_what_was_found_sound_is_not_looked_at_again(monkeypatch):
    """Wrong theories share most of their expressions with the true one."""
    model = get_system("kgmm").model
    check_claim(derived(), model)
    looked_at = []
    check = WellFormed._check_functions
    monkeypatch.setattr(
        WellFormed, "_check_functions", lambda *a: (looked_at.append(a[1]), check(*a))
    )
    check_claim(with_overlap(symbols.RIDGE), model)
    assert looked_at == ["theory.drift.overlap[0, 0]"]
    with pytest.raises(InputError, match="the symbol gamma"):
        check_claim(with_overlap(sp.Symbol("gamma")), model)


@pytest.mark.slow
def test_true_and_wrong_theories_have_the_right_form():
    for change in (lambda t: t, *MUTANTS.values()):
        check_claim(change(derived()), get_system("kgmm").model)

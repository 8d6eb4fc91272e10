"""Laws of every model: they hold for any seed, and each fails on the mistake it is there for."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
from helpers import ROOT, two_layer_model
from mutants import missing_softmax_case, ridge_flipped, weights_ignored, without_inverse_precision

import numerics.spectra.population_block
import theory.expectations.noiseless_limit
import verify
from theory import (
    InputError,
    Loss,
    Mixture,
    Model,
    ReLU,
    Softplus,
    derive_diffusion,
    derive_drift,
    derive_finite_size,
    derive_gradient,
    derive_gradient_matrix,
    derive_hessian,
    derive_risk,
    kgmm,
    symbols,
    xor,
)
from verify import Domain, Formulas, LawViolation, check_model, parametrize_checks
from verify.laws.check_model import LAWS
from verify.laws.twins import widest_symmetry
from verify.verdict.tolerance import Verdict

U, Y = symbols.vector("u", 2), symbols.LABEL
LOGISTIC = Model.build(
    Mixture.build(labels=[1, 0], coordinates=[[1], [-1]]),
    Loss(Softplus(U[0]) - Y * U[0], units=1),
    name="logistic",
)
# linear regression on three clusters of the plane, nothing symmetric
QUADRATIC = Model.build(
    Mixture.build(labels=[0, 1, 2], coordinates=[[1, 0], [0, 1], [1, -1]]),
    Loss((U[0] - Y) ** 2 / 2, units=1),
    name="quadratic",
)
COMMITTEE = Model.build(
    Mixture.build(
        labels=[1, -1, 2],
        coordinates=[[1, 0], [0, 1], [1, -1]],
        directions_gram=[[1, "1/5"], ["1/5", 1]],
    ),
    Loss((sp.erf(U[0]) + sp.erf(U[1]) - Y) ** 2 / 2, units=2),
    name="committee",
    ridge="1/10",
)
NUMBERS = kgmm(
    2,
    weights=["1/4", "3/4"],
    directions_gram=[[1, "1/3"], ["1/3", 1]],
    precision=4,
    ridge=0,
    step=1,
)


@parametrize_checks([kgmm(2), LOGISTIC, QUADRATIC, NUMBERS])
def test_laws_hold(check):
    check()


@pytest.mark.slow
@parametrize_checks(
    [kgmm(3), COMMITTEE, xor(2), xor(4), two_layer_model(), xor(2, activation="erf")]
)
def test_laws_hold_for_larger_models(check):
    check()


# --- every law fails on its mistake ---------------------------------------------------------------

THREE = kgmm(3)


def changed_entry(drift, position, change):
    matrix = drift.overlap.as_mutable()
    matrix[position] = change(matrix[position])
    return replace(drift, overlap=sp.ImmutableDenseMatrix(matrix))


def half_of_cross_terms(blocks):
    """mu x^T without its transpose, in the first diagonal block."""
    r = blocks.model.directions
    coefficients = blocks.first_layer[0, 0].coefficients.as_mutable()
    coefficients[r:, :r] = sp.zeros(*coefficients[r:, :r].shape)
    block = replace(blocks.first_layer[0, 0], coefficients=sp.ImmutableDenseMatrix(coefficients))
    return replace(blocks, first_layer=blocks.first_layer | {(0, 0): block})


def without_gamma(drift):
    """S in place of S Gamma."""
    gram = drift.model.mixture.directions_gram
    one = {gram[s, t]: sp.Integer(s == t) for s in range(gram.rows) for t in range(gram.cols)}
    return replace(drift, overlap=drift.overlap.xreplace(one))


def without_bulk(blocks):
    return blocks.map(lambda e: e).__class__(
        **{
            **{f: getattr(blocks, f) for f in blocks.__dataclass_fields__},
            "first_layer": {k: replace(b, bulk=-b.bulk) for k, b in blocks.first_layer.items()},
        }
    )


def first_weight_ignored(derived):
    p = derived.model.mixture.weights
    return derived.map(lambda e: e.xreplace({p[0]: p[1]}))


def halved(diffusion):
    return diffusion.map(lambda e: e / 2)


def almost_everywhere(model):
    return derive_hessian(model, kink_rule="almost-everywhere")


MISTAKES = {
    "gradient_matrix_psd": (
        THREE,
        "gradient_matrix",
        lambda m: without_bulk(derive_gradient_matrix(m)),
    ),
    "hessian_symmetric": (THREE, "hessian", lambda m: half_of_cross_terms(derive_hessian(m))),
    "gradient_of_risk": (THREE, "gradient", lambda m: ridge_flipped(derive_gradient(m))),
    "gradient_of_risk, risk": (THREE, "risk", lambda m: weights_ignored(derive_risk(m))),
    "hessian_of_gradient": (xor(2), "hessian", almost_everywhere),
    "hessian_of_gradient, smooth": (
        THREE,
        "hessian",
        lambda m: missing_softmax_case(derive_hessian(m)),
    ),
    "moment_routes": (THREE, "gradient", lambda m: without_inverse_precision(derive_gradient(m))),
    "rotation": (THREE, "drift", lambda m: without_gamma(derive_drift(m))),
    "relabelled_units": (
        THREE,
        "drift",
        lambda m: changed_entry(derive_drift(m), (0, 1), lambda e: 2 * e),
    ),
    "relabelled_components": (THREE, "drift", lambda m: first_weight_ignored(derive_drift(m))),
    "relabelled_classes": (
        THREE,
        "drift",
        lambda m: changed_entry(
            derive_drift(m), (0, 0), lambda e: e.xreplace({symbols.RIDGE: sp.Integer(0)})
        ),
    ),
    "gauge": (THREE, "hessian", lambda m: derive_hessian(m, regularized=False)),
    "mean_increment, corrector": (THREE, "drift", lambda m: derive_drift(m).without_corrector()),
    "mean_increment, noise": (THREE, "drift", lambda m: without_inverse_precision(derive_drift(m))),
    "mean_increment, 1/d": (
        THREE,
        "finite_size",
        lambda m: derive_finite_size(m).map(lambda e: -e),
    ),
    "increment_covariance": (kgmm(2), "diffusion", lambda m: halved(derive_diffusion(m))),
    "gradient_matrix_mean": (
        THREE,
        "gradient_matrix",
        lambda m: weights_ignored(derive_gradient_matrix(m)),
    ),
}


def outcome(model, law, formulas=None):
    return check_model(model, only=[law], formulas=formulas, on_fail="report")[law]


@pytest.fixture
def as_found(monkeypatch):
    """Failing cases as they were drawn: simplifying them has a test of its own."""
    monkeypatch.setattr("verify.laws.check_model.shrink_cube_point", lambda point, fails: point)


@pytest.mark.slow
@pytest.mark.usefixtures("as_found")
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_law_fails_on_a_wrong_formula(mistake):
    model, name, build = MISTAKES[mistake]
    law = mistake.split(",")[0]
    found = outcome(model, law, Formulas(model, {name: build(model)}))
    assert found.outcome == "fails", found


def scaled_expansion(orders):
    right = theory.expectations.noiseless_limit.heat_expansion

    def wrong(f, law, order):
        return [c * (2 if j in orders else 1) for j, c in enumerate(right(f, law, order))]

    return wrong


ENGINE = {
    "block_spectrum": (
        numerics.spectra.population_block,
        "span_basis",
        lambda right: lambda p, s: right(replace_gram(p), s),
    ),
    "noiseless_limit": (
        theory.expectations.noiseless_limit,
        "heat_expansion",
        lambda _: scaled_expansion({0}),
    ),
    "low_noise_expansion": (
        theory.expectations.noiseless_limit,
        "heat_expansion",
        lambda _: scaled_expansion({1}),
    ),
}


def replace_gram(parameters):
    """Orthonormal directions in place of the given ones."""
    from numerics import Parameters

    p = parameters
    return Parameters(p.weights, p.precision, p.ridge, p.step, np.eye(p.directions_gram.shape[0]))


@pytest.mark.usefixtures("as_found")
@pytest.mark.parametrize("law", ENGINE)
def test_a_law_fails_on_a_broken_engine(law, monkeypatch):
    module, name, breaking = ENGINE[law]
    monkeypatch.setattr(module, name, breaking(getattr(module, name)))
    assert outcome(kgmm(2), law).outcome == "fails"


def test_every_law_has_a_mistake():
    assert {name.split(",")[0] for name in MISTAKES} | set(ENGINE) == set(LAWS)


def test_laws_are_stated():
    for law in LAWS.values():
        assert law.statement.endswith(".")
        assert law.equation
        assert "(T" in law.tolerance
        assert law.judge.__doc__


# --- what does not apply, and what is too weak ----------------------------------------------------


@pytest.mark.parametrize(
    ("model", "law", "reason"),
    [
        (QUADRATIC, "gauge", "declares no gauge"),
        (QUADRATIC, "relabelled_units", "one unit"),
        (QUADRATIC, "relabelled_classes", "one unit"),
        (NUMBERS, "noiseless_limit", "fixes the precision to 4"),
        (xor(2), "low_noise_expansion", "a kink has no expansion"),
        (kgmm(2, weights=["1/4", "3/4"]), "relabelled_classes", "no exchange of two units"),
    ],
)
def test_a_law_that_says_nothing_is_no_pass(model, law, reason):
    report = check_model(model, only=[law], on_fail="report")
    assert report[law].outcome == "not applicable"
    assert reason in report[law].reason
    assert not report.holds


def test_what_is_too_weak_is_inconclusive(monkeypatch):
    monkeypatch.setattr("verify.laws.dynamics.SAMPLES", 50)
    with pytest.raises(LawViolation, match="inconclusive") as caught:
        check_model(LOGISTIC, only=["mean_increment"])
    assert caught.value.report["mean_increment"].check.verdict is Verdict.INCONCLUSIVE


def test_what_the_engine_cannot_evaluate_is_inconclusive(monkeypatch):
    """A formula that is refused is neither a pass nor a failure."""

    def refuse(*_, **__):
        raise InputError("expressions", "a Dirac delta at a curve", "deltas at lines", "leave it")

    monkeypatch.setattr("verify.laws.law.compile_expressions", refuse)
    report = check_model(LOGISTIC, only=["hessian_symmetric"], on_fail="report")
    assert report["hessian_symmetric"].outcome == "inconclusive"
    assert "could not be judged" in str(report)
    assert "Dirac delta" in str(report)


def test_trainable_coefficients_of_a_kink_are_judged():
    """The distributional Hessian has a delta at a place that depends on v."""
    v = symbols.vector("v", 2)
    loss = Loss(
        (v[0] * ReLU(U[0] + v[1]) - Y) ** 2 / 2, units=1, readout_size=2, kinks=(U[0] + v[1],)
    )
    report = check_model(
        Model.build(LOGISTIC.mixture, loss), only=["hessian_symmetric"], on_fail="report"
    )
    assert report["hessian_symmetric"].outcome == "holds"


# --- reports --------------------------------------------------------------------------------------


def wrong_kgmm2():
    model = kgmm(2)
    return model, Formulas(model, {"gradient": ridge_flipped(derive_gradient(model))})


def test_a_failing_case_is_simple_and_can_be_repeated():
    model, formulas = wrong_kgmm2()
    with pytest.raises(LawViolation) as caught:
        check_model(model, only=["gradient_of_risk"], formulas=formulas)
    report = caught.value.report
    text = str(report)
    # everything but the ridge is at the centre of its range, or close to it
    assert "Parameters([0.5, 0.5]" in text
    assert "directions_gram=[[1.0, 0.0], [0.0, 1.0]]" in text
    assert (
        f"only=['gradient_of_risk'], seed={report.seed}, formulas=... with your gradient)" in text
    )
    again = check_model(
        model, only=["gradient_of_risk"], formulas=formulas, seed=report.seed, on_fail="report"
    )
    assert again["gradient_of_risk"].example == report["gradient_of_risk"].example


def test_a_law_is_judged_alike_alone_and_in_company():
    alone = check_model(LOGISTIC, only=["rotation"], seed=3)
    both = check_model(LOGISTIC, only=["moment_routes", "rotation"], seed=3)
    assert [c.measured for c in alone["rotation"].check.comparisons] == [
        c.measured for c in both["rotation"].check.comparisons
    ]


def test_the_seed_of_the_environment_is_used(monkeypatch):
    monkeypatch.setenv("SPECALIGN_TEST_SEED", "17")
    assert check_model(LOGISTIC, only=["rotation"]).seed == 17
    monkeypatch.setenv("SPECALIGN_TEST_SEED", "x")
    with pytest.raises(InputError, match="SPECALIGN_TEST_SEED"):
        check_model(LOGISTIC, only=["rotation"])


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: check_model("kgmm"), "model: got str; expected an sa.Model"),
        (lambda: check_model(Model), "got the class Model"),
        (lambda: check_model(LOGISTIC, only=["rotaton"]), "did you mean 'rotation'"),
        (lambda: check_model(LOGISTIC, only="rotation"), r"write \['rotation'\]"),
        (lambda: check_model(LOGISTIC, seed=-1), "seed: got -1"),
        (lambda: check_model(LOGISTIC, on_fail="ignore"), "on_fail"),
        (lambda: check_model(LOGISTIC, formulas=Formulas(kgmm(2))), "those of the model kgmm2"),
        (
            lambda: check_model(LOGISTIC, formulas={"drift": None}),
            "formulas: got dict; expected sa.Formulas",
        ),
        (
            lambda: parametrize_checks(LOGISTIC, formulas=Formulas(kgmm(2))),
            "those of the model kgmm2",
        ),
        (lambda: Formulas(LOGISTIC, {"drfit": None}), "did you mean 'drift'"),
        (lambda: Domain(condition=0.5), "condition: got 0.5"),
        (lambda: Domain(precision=(10, 1)), "low <= high"),
        (lambda: Domain(overlap=(2, 1)), "low <= high"),
        (lambda: Domain(readout=-1), "readout: got -1"),
        (
            lambda: check_model(
                Model.build(LOGISTIC.mixture, LOGISTIC.loss, ridge=2 * symbols.RIDGE)
            ),
            "symbol beta",
        ),
        (lambda: parametrize_checks([]), "at least one sa.Model"),
        (lambda: parametrize_checks([LOGISTIC, 3]), r"models\[1\]: got int"),
        (
            lambda: parametrize_checks(LOGISTIC, expected_failures={"gage": "x"}),
            "did you mean 'gauge'",
        ),
        (
            lambda: parametrize_checks(LOGISTIC, expected_failures={"rotation": " "}),
            "the reason, as text",
        ),
        (
            lambda: parametrize_checks(LOGISTIC, expected_failures={"gauge": "x"}),
            "declares no gauge",
        ),
        (
            lambda: parametrize_checks(
                LOGISTIC, only=["rotation"], expected_failures={"moment_routes": "x"}
            ),
            "left out by only=",
        ),
        (lambda: parametrize_checks(LOGISTIC, expected_failures=["rotation"]), "a mapping"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_unknown_names_of_the_package():
    with pytest.raises(AttributeError, match="no attribute 'chek_model'"):
        _ = verify.chek_model
    assert "check_model" in dir(verify)


# --- in a user's test suite -----------------------------------------------------------------------

SUITE = """
import verify
from theory import kgmm, derive_drift, Loss, Mixture, Model, Softplus, symbols

u = symbols.vector("u", 1)
mixture = Mixture.build(labels=[1, 0], coordinates=[[1], [-1]])
model = Model.build(mixture, Loss(Softplus(u[0]) - symbols.LABEL * u[0], units=1))

@verify.parametrize_checks(
    model, only=["gauge", "rotation", "moment_routes"], expected_failures={"rotation": "on trial"},
)
def test_model(check):
    check()

wrong = verify.Formulas(model, {"drift": derive_drift(model).without_corrector()})

@verify.parametrize_checks(
    model, only=["mean_increment"], formulas=lambda m: wrong,
    expected_failures={"mean_increment": "no corrector"},
)
def test_claimed(check):
    check()

@verify.parametrize_checks(model, only=["rotation"], expected_failures={"rotation": "known"})
def test_broken(check, monkeypatch):
    import theory
    from verify.laws import judged_formulas as law_formulas
    right = law_formulas._derived
    def broken(m, name):
        if m is not model:
            return right(m, name)
        two = {s: 2 for s in m.mixture.directions_gram.free_symbols}
        return right(m, name).map(lambda e: e.xreplace(two) if name == "risk" else 2 * e)
    monkeypatch.setattr(law_formulas, "_derived", broken)
    check()
"""


@pytest.mark.slow
def test_in_a_test_suite_of_its_own(pytester):
    pytester.makepyfile(SUITE)
    result = pytester.runpytest_inprocess("-rsxX", "-p", "no:cacheprovider")
    # an unexpected pass is a failure, a law that does not apply is skipped, an expected failure is
    # one
    result.assert_outcomes(passed=1, failed=1, skipped=1, xfailed=2)
    text = result.stdout.str()
    assert "not applicable: the loss declares no gauge" in text
    assert "XPASS(strict)] on trial" in text


def test_the_documentation_names_every_law():
    text = (ROOT / "docs" / "properties.md").read_text("utf-8")
    for law in LAWS.values():
        assert f"| `{law.name}` | {law.statement.rstrip('.')} |" in text


@pytest.mark.parametrize(("model", "moved"), [(kgmm(3), 3), (kgmm(4), 4), (xor(4), 4)])
def test_the_symmetry_judged_moves_every_unit(model, moved):
    """One exchange would let a mistake in the others' formulas pass."""
    symmetry = widest_symmetry(model)
    assert sum(k != place for k, place in enumerate(symmetry.units)) == moved
    assert sorted(symmetry.units) == list(range(model.units))


def test_without_pytest_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pytest", None)
    with pytest.raises(ImportError, match=r"needs pytest, .* pip install pytest"):
        parametrize_checks(kgmm(2))


FAILING = """
import specalign as sa

model = sa.kgmm(2)
wrong = sa.Formulas(model, {"drift": sa.derive_drift(model).without_corrector()})


@sa.parametrize_checks(model, only=["mean_increment"], formulas=wrong)
def test_my_model(check):
    check()
"""


@pytest.mark.slow
def test_a_failing_law_shows_the_line_of_the_test_and_what_the_law_says(pytester, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makepyfile(FAILING)
    # in a process of its own: what it imports is forgotten by this one, and Numba loads but once
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(failed=1)
    report = "\n".join(result.outlines)
    assert "def test_my_model(check)" in report
    assert "check_model.py" not in report
    assert "parametrize.py" not in report
    assert "keywords.py" not in report
    assert len(result.outlines) < 60

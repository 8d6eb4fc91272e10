"""Laws of models with teachers, and a theory that forgets what a teacher is seen by."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sympy as sp
from helpers import fresh_rng, random_problem
from teacher_cases import committee, phase_retrieval, sign_teacher

from theory import Loss, Mixture, Model, derive_drift, symbols
from verify import Formulas, check_model
from verify.laws.check_model import LAWS
from verify.laws.law import LawCase, is_sampled
from verify.verdict.tolerance import Verdict


def opened(model):
    """The model with weights, Gram matrix, precision, ridge and step as symbols."""
    mixture = model.mixture
    data = Mixture.build(labels=mixture.labels, coordinates=mixture.coordinates)
    return Model.build(data, model.loss, name=model.name)


def linear_teacher():
    (u,), (t,) = symbols.vector("u", 1), symbols.vector("t", 1)
    data = Mixture.build(labels=[0, 1], coordinates=[[0], [1]])
    noise = symbols.LABEL_NOISE / 2
    return Model.build(data, Loss((u - t - symbols.LABEL - noise) ** 2 / 2, units=1))


QUICK = [name for name in LAWS if name not in ("gradient_matrix_mean", "increment_covariance")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "laws"),
    [
        (linear_teacher, None),
        (phase_retrieval, QUICK),  # fourth powers: samples leave what is sampled inconclusive
        pytest.param(sign_teacher, None, marks=pytest.mark.slow),
        pytest.param(lambda: committee(1, 2), None, marks=pytest.mark.slow),
        pytest.param(
            lambda: committee(2, 2, noise=sp.Rational(1, 2)), None, marks=pytest.mark.slow
        ),
    ],
)
def test_every_law_holds(build, laws):
    check_model(opened(build()), only=laws)


def test_in_three_dimensions_bounds_of_wide_fields_are_of_use():
    """At this seed the tensor rule bounds its errors by half a percent, and is off by 2e-6."""
    assert check_model(opened(committee(1, 2)), only=["rotation"], seed=199718822).holds


SIX = opened(committee(3, 3))


def test_what_is_seen_of_teachers_counts_among_the_dimensions():
    """A tensor rule serves three units beside one teacher, scrambled nodes three and three."""
    assert is_sampled(SIX)
    assert not is_sampled(opened(committee(3, 1)))


@pytest.mark.slow
def test_routes_agree_on_nearly_parallel_weights():
    """At this seed coefficients of the gradient matrix cancel, and their own errors are useless."""
    assert check_model(SIX, only=["moment_routes"], seed=5).holds


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "law"),
    [
        ("gradient", "gradient_of_risk"),
        ("hessian", "hessian_of_gradient"),
        ("hessian", "moment_routes"),
        ("gradient_matrix", "moment_routes"),
        ("gradient_matrix", "relabelled_units"),
    ],
)
def test_nodes_that_sample_tell_a_theory_that_is_off_by_a_fifth(name, law):
    """Twice the smallest deviation of interest, wherever the random case is."""
    rng = fresh_rng()
    right = getattr(Formulas(SIX), name)
    formulas = Formulas(SIX, {name: right.map(lambda e: sp.Rational(6, 5) * e)})
    case = LawCase(SIX, formulas, *random_problem(SIX, rng), rng, 1e-3)
    assert any(c.verdict is Verdict.FAILS for c in LAWS[law].judge(case))


@pytest.mark.slow
def test_a_drift_without_its_teachers_is_refuted():
    model = opened(linear_teacher())
    drift = derive_drift(model)
    # what is left without the derivative by t: the slopes in u alone
    blind = drift.overlap[0, 0] - sum(
        p * model.mixture.directions_gram[0, 0] / model.mixture.precision
        for p in model.mixture.weights
    )
    formulas = Formulas(
        model, {"drift": replace(drift, overlap=sp.ImmutableDenseMatrix([[blind]]))}
    )
    report = check_model(model, only=["mean_increment"], formulas=formulas, on_fail="report")
    assert not report.holds

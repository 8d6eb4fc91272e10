"""Strategies: what they promise holds of everything they draw, and bad arguments are refused where they are given."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import find, given
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

from numerics.state import check_parameters, check_state
from theory import Mixture, Model, derive_drift, kgmm, symbols, xor
from verify import Domain, strategies

DOMAIN = Domain(
    condition=5, least_weight=0.5, precision=(2, 50), ridge=(0.1, 0.2), step=(1, 4), overlap=0.5, readout=2,
    perpendicular=3,
)


@given(st.integers(1, 5).flatmap(lambda n: strategies.weights(n, least=0.4)))
def test_weights_are_bounded_below_and_sum_to_one(weights):
    assert abs(weights.sum() - 1) < 1e-14
    assert weights.min() >= 0.4 / weights.size - 1e-15


@given(st.integers(1, 5).flatmap(lambda n: strategies.gram_matrices(n, condition=7, scale=3)))
def test_gram_matrices_are_well_conditioned(gram):
    values = np.linalg.eigvalsh(gram)
    assert np.array_equal(gram, gram.T)
    assert values[-1] / values[0] <= 7 * (1 + 1e-12)
    assert 3 / 7**0.5 * (1 - 1e-12) <= values[0] <= values[-1] <= 3 * 7**0.5 * (1 + 1e-12)


@given(strategies.precisions(0.5, 200))
def test_precisions_lie_in_their_range(precision):
    assert 0.5 <= precision <= 200


def test_precisions_lie_on_both_sides_of_the_geometric_mean():
    drawn = []

    @given(strategies.precisions(1, 1e4))
    def collect(precision):
        drawn.append(precision)

    collect()
    assert min(drawn) < 100 < max(drawn)


@given(strategies.models().flatmap(lambda m: st.tuples(st.just(m), strategies.problems(m, DOMAIN))))
def test_problems_fit_their_model_and_their_domain(drawn):
    model, (parameters, state) = drawn
    check_parameters(model, parameters)
    check_state(model, state)
    assert parameters.weights.min() >= 0.5 / model.components - 1e-15
    assert 2 <= parameters.precision <= 50
    assert 0.1 <= parameters.ridge <= 0.2
    assert 1 <= parameters.step <= 4
    for gram in (parameters.directions_gram, state.gram_perp):
        assert np.linalg.cond(gram) <= 5 * (1 + 1e-12)
    assert np.abs(state.overlap).max() <= 0.5
    assert np.abs(state.readout).max(initial=0) <= 2


@given(strategies.states(kgmm(3), singular=True))
def test_singular_states_have_clear_ranks(state):
    values = np.linalg.eigvalsh(state.gram_perp)
    assert np.all((np.abs(values) < 1e-12) | (values > 0.1))


def test_singular_states_have_every_rank():
    ranks = set()

    @given(strategies.states(kgmm(3), singular=True))
    def collect(state):
        ranks.add(int(np.linalg.matrix_rank(state.gram_perp, tol=1e-9)))

    collect()
    assert ranks == {0, 1, 2, 3}


FIXED = kgmm(2, weights=["1/4", "3/4"], directions_gram=[[1, "1/3"], ["1/3", 1]], precision=4, ridge=0, step=1)


@given(strategies.parameters(FIXED))
def test_numbers_of_the_model_are_kept(parameters):
    assert parameters.weights.tolist() == [0.25, 0.75]
    assert (parameters.precision, parameters.ridge, parameters.step) == (4, 0, 1)
    assert parameters.directions_gram[0, 1] == pytest.approx(1 / 3, rel=1e-15)


@given(strategies.parameters(kgmm(3, weights=["1/2", symbols.vector("p", 3, positive=True)[1], symbols.vector(
    "p", 3, positive=True)[2]])))
def test_open_weights_share_what_the_fixed_ones_leave(parameters):
    assert parameters.weights[0] == 0.5
    assert parameters.weights[1:].min() >= 0.3 * 0.5 / 2 - 1e-15


@given(strategies.mixtures(components=(2, 3), directions=(2, 2), labels=(3, 4)))
def test_mixtures_have_the_sizes_asked_for(mixture):
    assert isinstance(mixture, Mixture)
    assert 2 <= mixture.components <= 3
    assert mixture.directions == 2
    assert set(mixture.labels) <= {3, 4}


@given(strategies.models(smooth=True))
def test_smooth_models_have_no_kink(model):
    assert isinstance(model, Model)
    assert model.loss.is_smooth
    assert derive_drift(model).vector


def test_every_kind_of_model_can_be_drawn():
    assert find(strategies.models(), lambda m: not m.loss.is_smooth).name.startswith("xor")
    for kind, name in (("kgmm", "kgmm"), ("regression", "regression"), ("smooth_xor", "xor")):
        assert find(strategies.models(kind), lambda _: True).name.startswith(name)


@given(strategies.rational_parameters(xor(2), precision=7))
def test_rational_values_are_consistent(values):
    model = xor(2)
    assert values[symbols.PRECISION] == 7
    assert all(value.is_Rational for value in values.values())
    for gram, definition in model.gram_definition().items():
        assert definition.xreplace(values) == values[gram]
    product = model.symbols.gram.xreplace(values) * model.symbols.gram_inverse.xreplace(values)
    assert product.is_Identity
    assert sum(values[p] for p in model.mixture.weights) == 1


def test_the_simplest_problem_is_the_centre():
    parameters, state = find(strategies.problems(kgmm(2)), lambda _: True)
    assert parameters.weights.tolist() == [0.5, 0.5]
    assert np.array_equal(parameters.directions_gram, np.eye(2))
    assert np.array_equal(state.overlap, np.zeros((2, 2)))
    assert np.array_equal(state.gram_perp, 0.5 * np.eye(2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: strategies.weights(0), "components: got 0"), (lambda: strategies.weights(2, least=2), "share in"),
        (lambda: strategies.gram_matrices(2, condition=0.5), "condition"),
        (lambda: strategies.gram_matrices(2.5), "size"), (lambda: strategies.gram_matrices(2, scale=0), "scale"),
        (lambda: strategies.precisions(10, 1), "low <= high"), (lambda: strategies.precisions(0, 1), "precision"),
        (lambda: strategies.parameters("kgmm"), "a theory.Model"),
        (lambda: strategies.problems(kgmm(2), {"condition": 3}), "a verify.Domain"),
        (lambda: strategies.states(kgmm(2, ridge=2 * symbols.RIDGE)), "the symbol beta"),
        (lambda: strategies.mixtures(components=(3, 1)), "low <= high"),
        (lambda: strategies.mixtures(components=3), "a pair"),
        (lambda: strategies.mixtures(labels=()), "at least one label"),
        (lambda: strategies.models("kgm"), "did you mean 'kgmm'"),
        (lambda: strategies.models("xor", smooth=True), "leave smooth=True away"),
        (lambda: strategies.rational_parameters(kgmm(2), precision=0), "precision"),
    ],
)
def test_bad_arguments_are_refused_at_once(call, message):
    with pytest.raises(InvalidArgument, match=message):
        call()


def test_the_package_does_not_need_hypothesis():
    """Without hypothesis the package imports, and the strategies say what is missing."""
    code = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "import verify, verify.properties\n"
        "try:\n    verify.strategies\n"
        "except ImportError as error: print(error)\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "verify.strategies needs hypothesis" in found.stdout
    assert "specalign[hypothesis]" in found.stdout


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, verify; print([m for m in ('numpy', 'sympy', 'numba', 'hypothesis') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"

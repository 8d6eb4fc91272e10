"""Strategies: what they promise holds of everything they draw, and bad arguments are refused where
they are given.
"""

from __future__ import annotations

import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from helpers import fresh_rng
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

from numerics.core.problem import Problem
from numerics.core.state import check_state
from theory import Mixture, Model, derive_drift, kgmm, symbols, xor
from verify import Domain, strategies
from verify.random_points import floating as admissible
from verify.random_points.floating import frame_at
from verify.strategies import matrix_strategies as strategy_matrices

DOMAIN = Domain(
    condition=5,
    least_weight=0.5,
    precision=(2, 50),
    ridge=(0.1, 0.2),
    step=(1, 4),
    overlap=0.5,
    readout=2,
    perpendicular=3,
)


def collect(strategy, seen=lambda drawn: drawn):
    """What is seen of a hundred draws."""
    found = []

    @given(strategy)
    def look(drawn):
        found.append(seen(drawn))

    look()
    return found


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


@given(
    st.integers(0, 3).flatmap(
        lambda rank: st.tuples(st.just(rank), strategies.gram_matrices(3, rank=rank))
    )
)
def test_gram_matrices_have_the_rank_asked_for(drawn):
    rank, gram = drawn
    values = np.linalg.eigvalsh(gram)
    assert np.all(np.abs(values[: 3 - rank]) < 1e-14)
    assert np.all(
        (values[3 - rank :] >= 10**-0.5 * (1 - 1e-12))
        & (values[3 - rank :] <= 10**0.5 * (1 + 1e-12))
    )


@given(st.integers(1, 5).flatmap(lambda n: strategies.symmetric_matrices(n, condition=7, scale=3)))
def test_symmetric_matrices_are_well_conditioned(matrix):
    values = np.abs(np.linalg.eigvalsh(matrix))
    assert np.array_equal(matrix, matrix.T)
    assert 3 / 7**0.5 * (1 - 1e-12) <= values.min() <= values.max() <= 3 * 7**0.5 * (1 + 1e-12)


def test_symmetric_matrices_have_every_signature():
    found = collect(
        strategies.symmetric_matrices(2), lambda matrix: int((np.linalg.eigvalsh(matrix) > 0).sum())
    )
    assert set(found) == {0, 1, 2}


SIZES = st.integers(1, 6).flatmap(lambda d: st.tuples(st.integers(1, d), st.just(d)))


@given(SIZES.flatmap(lambda sizes: st.tuples(st.just(sizes), strategies.frames(*sizes))))
def test_frames_are_orthonormal(drawn):
    sizes, frame = drawn
    assert frame.shape == sizes
    assert np.abs(frame @ frame.T - np.eye(len(frame))).max() < 1e-14


@given(
    SIZES.flatmap(lambda sizes: st.tuples(st.just(sizes), strategies.bases(*sizes, condition=4)))
)
def test_bases_are_well_conditioned(drawn):
    sizes, rows = drawn
    assert rows.shape == sizes
    assert np.linalg.cond(rows @ rows.T) <= 4 * (1 + 1e-12)


def test_every_frame_can_be_drawn():
    """The angles that annihilate the entries of a random rotation one by one rebuild its first
    rows, up to signs.
    """
    rng, d = fresh_rng(), 5
    rotation = np.linalg.qr(rng.standard_normal((d, d)))[0]
    for rank in range(1, d + 1):
        left, angles = rotation[:rank].copy(), {}
        for i in range(rank):
            for j in reversed(range(i + 1, d)):
                angles[i, j] = np.arctan2(left[i, j], left[i, i])
                c, s = np.cos(angles[i, j]), np.sin(angles[i, j])
                left[:, [i, j]] = left[:, [i, j]] @ np.array([[c, -s], [s, c]])
        order = [angles[i, j] for i in reversed(range(rank)) for j in range(i + 1, d)]
        signs = np.diag(left)[:, None]  # 1, but for the last of a full set
        assert np.abs(np.abs(signs) - 1).max() < 1e-13
        rebuilt = signs * frame_at(-np.array(order) / np.pi, rank, d)
        assert np.abs(rebuilt - rotation[:rank]).max() < 1e-13


@given(strategies.precisions(0.5, 200))
def test_precisions_lie_in_their_range(precision):
    assert 0.5 <= precision <= 200


def test_precisions_lie_on_both_sides_of_the_geometric_mean():
    drawn = collect(strategies.precisions(1, 1e4))
    assert min(drawn) < 100 < max(drawn)


@pytest.mark.slow
@given(strategies.models().flatmap(lambda m: st.tuples(st.just(m), strategies.problems(m, DOMAIN))))
def test_problems_fit_their_model_and_their_domain(drawn):
    model, (parameters, state) = drawn
    Problem(model, parameters)
    check_state(model, state)
    assert parameters.weights.min() >= 0.5 / model.components - 1e-15
    assert 2 <= parameters.precision <= 50
    assert 0.1 <= parameters.ridge <= 0.2
    assert 1 <= parameters.step <= 4
    for gram in (parameters.directions_gram, state.gram_perp):
        assert np.linalg.cond(gram) <= 5 * (1 + 1e-12)
    assert np.abs(state.overlap).max() <= 0.5
    assert np.abs(state.readout).max(initial=0) <= 2
    if model.mixture.directions_gram.free_symbols:
        bound = DOMAIN.condition * (1 + state.overlap.size * 0.5**2 / DOMAIN.perpendicular)
        assert np.linalg.cond(state.gram(parameters.directions_gram)) <= bound * (1 + 1e-12)


@given(strategies.states(kgmm(3), singular=True))
def test_singular_states_have_clear_ranks(state):
    values = np.linalg.eigvalsh(state.gram_perp)
    assert np.all((np.abs(values) < 1e-12) | (values > 0.1))


def test_singular_states_have_every_rank():
    states = strategies.states(kgmm(3), singular=True)
    found = collect(states, lambda state: int(np.linalg.matrix_rank(state.gram_perp, tol=1e-9)))
    assert set(found) == {0, 1, 2, 3}


KEPT_OFF = Domain(overlap=(0.2, 0.7), readout=(0.5, 1.5))


@given(strategies.states(xor(2), KEPT_OFF))
def test_states_can_be_kept_off_zero(state):
    for numbers, (low, high) in (
        (state.overlap, KEPT_OFF.overlap),
        (state.readout, KEPT_OFF.readout),
    ):
        assert np.all((low <= np.abs(numbers)) & (np.abs(numbers) <= high * (1 + 1e-15)))


def test_numbers_kept_off_zero_have_both_signs():
    found = collect(
        strategies.states(xor(1), KEPT_OFF),
        lambda state: (state.overlap[0, 0] > 0, state.readout[0] > 0),
    )
    assert len(set(found)) == 4


FIXED = kgmm(
    2,
    weights=["1/4", "3/4"],
    directions_gram=[[1, "1/3"], ["1/3", 1]],
    precision=4,
    ridge=0,
    step=1,
)


@given(strategies.parameters(FIXED))
def test_numbers_of_the_model_are_kept(parameters):
    assert parameters.weights.tolist() == [0.25, 0.75]
    assert (parameters.precision, parameters.ridge, parameters.step) == (4, 0, 1)
    assert parameters.directions_gram[0, 1] == pytest.approx(1 / 3, rel=1e-15)


HALF_FIXED = kgmm(3, weights=["1/2", *symbols.vector("p", 3, positive=True)[1:]])


@given(strategies.parameters(HALF_FIXED))
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


@pytest.mark.slow
def test_every_kind_of_model_can_be_drawn():
    assert find(strategies.models(), lambda m: not m.loss.is_smooth).name.startswith("xor")
    for kind, name in (("kgmm", "kgmm"), ("regression", "regression"), ("smooth_xor", "xor")):
        assert find(strategies.models(kind), lambda _: True).name.startswith(name)


RATIONAL = st.sampled_from([2, 3]).flatmap(
    lambda k: st.tuples(
        st.just(k),
        st.sampled_from([1, 3]).flatmap(
            lambda scale: st.tuples(
                st.just(scale),
                strategies.rational_parameters(kgmm(k), scale=scale, least=0.5, ridge=(0.01, 2)),
            )
        ),
    )
)


@settings(max_examples=25)  # exact inverses take 50 ms
@given(RATIONAL)
def test_rational_values_are_bounded(drawn):
    k, (scale, values) = drawn
    model = kgmm(k)
    s, rounding = model.symbols, 1e-12
    gamma, perp, gram, overlap = (
        np.array(names.xreplace(values).tolist(), dtype=float)
        for names in (model.mixture.directions_gram, s.gram_perp, s.gram, s.overlap)
    )
    low, high = np.linalg.eigvalsh(gamma)[[0, -1]]
    assert 1 - rounding <= low <= high <= 1 + 0.16 * k**2 + rounding
    low, high = 4 * np.linalg.eigvalsh(perp)[[0, -1]] / scale**2
    assert 1 - rounding <= low <= high <= 1 + k**2 + rounding
    assert np.abs(overlap).max() <= 0.6 * scale + rounding
    assert np.linalg.cond(gram) <= 1 + k**2 + 1.44 * k**2 + rounding
    assert min(values[p] for p in model.mixture.weights) >= Fraction(1, 2 * k) - Fraction(1, 100)
    assert 0.01 <= float(values[symbols.RIDGE]) <= 2
    assert 1 <= values[symbols.PRECISION] <= 100


@settings(max_examples=10)
@given(strategies.rational_parameters(HALF_FIXED, precision=1))
def test_rational_weights_share_what_the_fixed_ones_leave(values):
    assert sum(values[p] for p in HALF_FIXED.mixture.weights[1:]) == Fraction(1, 2)


@pytest.mark.slow
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


@pytest.mark.slow
def test_the_simplest_problem_is_the_centre():
    parameters, state = find(strategies.problems(kgmm(2)), lambda _: True)
    assert parameters.weights.tolist() == [0.5, 0.5]
    assert np.array_equal(parameters.directions_gram, np.eye(2))
    assert np.array_equal(state.overlap, np.zeros((2, 2)))
    assert np.array_equal(state.gram_perp, 0.5 * np.eye(2))


def simplest(strategy, condition):
    """What a failing property shrinks to; why it fails is not explained."""
    return find(
        strategy,
        condition,
        settings=settings(phases=(Phase.generate, Phase.shrink), max_examples=2000),
    )


@pytest.mark.slow
def test_a_failing_property_shrinks_to_few_units_and_simple_numbers():
    """The mistake Q = R_perp, and then only for a second unit: two units, two components, one
    overlap other than 0.
    """
    drawn = strategies.models().flatmap(lambda m: st.tuples(st.just(m), strategies.problems(m)))

    def forgotten(case):
        model, (parameters, state) = case
        gram = state.gram(parameters.directions_gram)
        return model.units > 1 and abs(gram[1, 1] - state.gram_perp[1, 1]) > 0.01

    model, (parameters, state) = simplest(drawn, forgotten)
    assert (model.units, model.components) == (2, 1) or model.name == "kgmm2"
    assert np.allclose(parameters.weights, 1 / model.components, rtol=1e-15)
    assert np.array_equal(parameters.directions_gram, np.eye(model.directions))
    assert (parameters.precision, parameters.step) == (10, 1)
    assert np.array_equal(state.gram_perp, 0.5 * np.eye(2))
    assert np.count_nonzero(state.overlap) == 1
    assert state.overlap.sum() == 1
    assert not state.readout.any()


def test_a_mixture_shrinks_to_few_components_and_directions():
    mixture = simplest(strategies.mixtures(), lambda m: m.components > 1)
    assert (mixture.components, mixture.directions, mixture.labels) == (2, 1, (0, 0))
    mixture = simplest(strategies.mixtures(), lambda m: len(set(m.labels)) > 1 and m.directions > 1)
    assert (mixture.components, mixture.directions) == (2, 2)


def test_exact_values_shrink_to_small_denominators():
    model = kgmm(2)
    name = model.symbols.overlap[0, 1]
    values = simplest(strategies.rational_parameters(model), lambda v: v[name] > Fraction(1, 10))
    assert values[name] == Fraction(1, 2)
    assert [values[p] for p in model.mixture.weights] == [Fraction(1, 2)] * 2
    assert model.mixture.directions_gram.xreplace(values).is_Identity
    assert all(value.q <= 4 for value in values.values())


def test_nothing_is_filtered():
    """Every draw is used: there is nothing in the sources that throws one away."""
    for module in (strategies, strategy_matrices, admissible):
        assert not re.search(
            r"\.filter\(|\bassume\b|\breject\b|unique", Path(module.__file__).read_text("utf-8")
        )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: strategies.weights(0), "components: got 0"),
        (lambda: strategies.weights(2, least=2), "share in"),
        (lambda: strategies.gram_matrices(2, condition=0.5), "condition"),
        (lambda: strategies.gram_matrices(2.5), "size"),
        (lambda: strategies.gram_matrices(2, scale=0), "scale"),
        (lambda: strategies.gram_matrices(2, rank=3), "from 0 to 2"),
        (lambda: strategies.gram_matrices(2, rank=-1), "rank"),
        (lambda: strategies.symmetric_matrices(0), "size"),
        (lambda: strategies.symmetric_matrices(2, scale=-1), "scale"),
        (lambda: strategies.frames(3, 2), "from 1 to 2"),
        (lambda: strategies.frames(0, 2), "rank: got 0"),
        (lambda: strategies.bases(2, 0), "dimension"),
        (lambda: strategies.bases(2, 3, condition=0.1), "condition"),
        (lambda: strategies.rational_parameters(kgmm(2), least=0), "least_weight"),
        (lambda: strategies.rational_parameters(kgmm(2), ridge=(1, 0)), "low <= high"),
        (lambda: strategies.precisions(10, 1), "low <= high"),
        (lambda: strategies.precisions(0, 1), "precision"),
        (lambda: strategies.parameters("kgmm"), "an sa.Model"),
        (lambda: strategies.problems(kgmm(2), {"condition": 3}), "an sa.Domain"),
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


@pytest.mark.slow
def test_the_package_does_not_need_hypothesis():
    """Without hypothesis the package imports, and the strategies say what is missing."""
    code = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "import verify, verify.laws.check_model\n"
        "try:\n    verify.strategies.problems\n"
        "except ImportError as error: print(error)\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "sa.strategies needs hypothesis" in found.stdout
    assert "specalign[hypothesis]" in found.stdout


def test_importing_the_package_loads_nothing_heavy():
    heavy = ("numpy", "sympy", "numba", "hypothesis")
    code = f"import sys, verify; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"

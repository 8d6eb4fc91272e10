"""Quadrature rules: what they integrate exactly, and whether their reported errors cover the true
ones.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product

import numpy as np
import pytest
import scipy.stats
import sympy as sp
from helpers import fresh_rng

from numerics import Parameters, State, compile_expressions
from numerics.expectations.estimation import estimate_sobol
from numerics.expectations.quadrature import (
    MAX_TENSOR_NODES,
    MISSED,
    TENSOR_SIZES,
    TENSOR_SIZES_BEYOND,
    choose_family,
    gauss_hermite,
    replicate_error,
    sobol,
    sobol_beyond,
    tensor_sizes,
)
from theory import (
    GaussianExpectation,
    InputError,
    Loss,
    Mixture,
    Model,
    Sigmoid,
    Softplus,
    Step,
    kgmm,
    preactivation_law,
    symbols,
)

EPS = np.finfo(float).eps
FAMILY_ERROR = 1e-6


def moment(degree):
    """E z^degree = (degree - 1)!! or 0."""
    return 0.0 if degree % 2 else float(sp.factorial2(degree - 1))


# --- tensor rules ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("dimension", "size"), [(1, 6), (1, 13), (1, 28), (2, 6), (2, 9), (3, 6)])
def test_gauss_hermite_is_exact_to_degree_two_n_minus_one(dimension, size):
    rule = gauss_hermite(dimension, size)
    z = rule.nodes[0]
    degrees = [0, 1, 2, 3, size, 2 * size - 3, 2 * size - 2, 2 * size - 1]
    for powers in product(degrees, repeat=dimension):
        monomial = np.prod(z ** np.array(powers), axis=1)
        size_of_sum = rule.weights @ np.abs(monomial)
        error = rule.weights @ monomial - np.prod([moment(p) for p in powers])
        assert (
            abs(error) <= 1e3 * EPS * size_of_sum
        )  # nodes are known to eps, raised to a power of at most 55
    # and not further: E z^(2n) is off by exactly n!
    missing = moment(2 * size) - rule.weights @ z[:, 0] ** (2 * size)
    assert abs(missing - float(sp.factorial(size))) <= 1e4 * EPS * moment(2 * size)


@pytest.mark.parametrize("dimension", [1, 2, 3, 4])
def test_low_moments_are_exact_in_every_rule(dimension):
    for size in tensor_sizes(dimension):
        rule = gauss_hermite(dimension, size)
        assert abs(rule.weights.sum() - 1) < 1e-13
        for degree in (2, 4, 8):
            got = rule.weights @ rule.nodes[0] ** degree
            assert np.abs(got / moment(degree) - 1).max() < 1e-12


def test_dimension_zero_is_one_node():
    rule = gauss_hermite(0, 6)
    assert (rule.dimension, rule.weights.tolist(), rule.nodes.shape) == (0, [1.0], (1, 1, 0))


def test_rules_are_read_only_and_say_what_they_are():
    tensor, random = gauss_hermite(2, 6), sobol(3, 8, 2, 0)
    for array in (tensor.nodes, tensor.weights, random.nodes, random.weights):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0.0
    assert str(tensor) == "tensor Gauss-Hermite, 6 nodes in each of 2 dimensions"
    assert (
        str(random) == "scrambled Sobol with mirror images, 8 nodes x 2 scramblings, 3 dimensions"
    )


@pytest.mark.parametrize("dimension", range(1, 13))
@pytest.mark.parametrize("smooth", [True, False])
def test_choice_of_the_family(dimension, smooth):
    sizes = tensor_sizes(dimension)
    assert all(n**dimension <= MAX_TENSOR_NODES for n in sizes)
    assert sizes == TENSOR_SIZES.get(dimension, TENSOR_SIZES_BEYOND)[: len(sizes)]
    assert len(sizes) == 0 or len(sizes) >= 3  # two for an error, one more to converge
    few = "panels" if dimension <= 2 else "sobol"
    expected = "gauss-hermite" if smooth and dimension <= 4 else few
    assert choose_family(dimension, smooth) == expected


# --- Sobol rules ----------------------------------------------------------------------------------


def test_sobol_replicates_follow_the_seed():
    few, many = sobol(3, 16, 2, 7), sobol(3, 16, 5, 7)
    assert np.array_equal(few.nodes, many.nodes[:2])
    assert not np.array_equal(many.nodes[0], many.nodes[1])
    assert not np.array_equal(sobol(3, 16, 2, 8).nodes, few.nodes)


def test_mirrored_points_integrate_odd_functions_exactly():
    seed = int(fresh_rng().integers(2**32))
    rule = sobol(4, 256, 4, seed)
    z = rule.nodes
    assert np.all(np.isfinite(z))
    odd = np.stack([z[..., 0], z[..., 1] ** 3, np.sinh(z @ [0.3, -0.2, 0.5, 1.0])], axis=-1)
    means = np.einsum("n,rnj->rj", rule.weights, odd)
    assert np.abs(means).max() <= 100 * EPS * np.abs(odd).mean()


@pytest.mark.parametrize(
    ("arguments", "name"),
    [((2, 12, 4, 0), "size"), ((2, 2, 4, 0), "size"), ((2, 16, 1, 0), "replicates")],
)
def test_bad_sobol_rules_are_refused(arguments, name):
    with pytest.raises(InputError, match=name):
        sobol(*arguments)


def test_sobol_converges_faster_than_monte_carlo():
    """Measured slope of the root mean square error in N, for a smooth function that is not odd.

    Plain Monte Carlo has -1/2.  Measured here over 12 seeds: -0.99, standard deviation 0.04; the
    bound leaves six of them to either side.
    """
    seed = int(fresh_rng().integers(2**32))
    sizes, errors = 2 ** np.arange(6, 14), []
    for size in sizes:
        z = sobol(3, int(size), 32, seed).nodes
        values = np.cos(0.6 * z.sum(axis=-1)).mean(axis=1)
        errors.append(np.sqrt(np.mean((values - np.exp(-0.54)) ** 2)))
    slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    print(f"slope {slope:.3f}")
    assert slope < -0.74


def test_replicate_error_covers_as_often_as_it_says():
    rng = fresh_rng()
    trials = 20_000
    for odds in (0.1, 0.01, MISSED):
        values = 3.0 + rng.standard_normal((8, trials))
        missed = int(np.sum(np.abs(values.mean(axis=0) - 3.0) > replicate_error(values, odds)))
        low, high = scipy.stats.binom.ppf([FAMILY_ERROR / 4, 1 - FAMILY_ERROR / 4], trials, odds)
        assert low <= missed <= high


# --- the reported error of an estimate ------------------------------------------------------------

U = symbols.vector("u", 1)
ONE = Mixture.build(weights=[1], labels=[0], coordinates=[[1]], directions_gram=[[1]])
SMOOTH = Model.build(ONE, Loss(U[0] ** 2 / 2, units=1), name="smooth")
KINKED = Model.build(ONE, Loss(sp.Max(U[0], 0), units=1, kinks=(U[0],)), name="kinked")
JUMP = sp.exp(-U[0]) * Step(U[0])


def place(scale, mean=0.3):
    """Parameters and state of one unit with pre-activation N(mean, scale^2)."""
    if scale <= mean:
        return Parameters([1], (mean / max(scale, 1e-9)) ** 2, 0, 1), State([[mean]], [[0.0]])
    return Parameters([1], 1.0, 0, 1), State([[mean]], [[scale**2 - mean**2]])


def trapezoid(function, mean, scale):
    """E f(mean + scale z) on equidistant points of [-15, 15], for analytic f."""
    z = np.arange(-3000, 3001) / 200
    weights = scipy.stats.norm.pdf(z) / 200
    values = function(mean + scale * z)
    return weights @ values, weights @ np.abs(values)


FUNCTIONS = {
    "polynomial": (U[0] ** 4 - 2 * U[0] ** 3, lambda u: u**4 - 2 * u**3, 10.0),
    "exponential": (sp.exp(U[0]), np.exp, 2.0),
    "cosine": (sp.cos(U[0]), np.cos, 10.0),
    "logistic": (Sigmoid(U[0]), lambda u: 1 / (1 + np.exp(-u)), 10.0),
    "softplus": (Softplus(U[0]), lambda u: np.logaddexp(0, u), 10.0),
    "variance": (
        Sigmoid(U[0]) * (1 - Sigmoid(U[0])),
        lambda u: 1 / (2 + np.exp(-u) + np.exp(u)),
        10.0,
    ),
}


@lru_cache(maxsize=None)
def compiled(model, function):
    node = GaussianExpectation(function, preactivation_law(model, 0))
    return compile_expressions(model, (node,), closed_forms=False)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("scale", [0.0, 0.03, 0.1, 0.3, 1.0, 2.0, 3.0, 5.0, 10.0])
def test_tensor_error_covers_the_true_error(name, scale):
    function, numeric, largest_scale = FUNCTIONS[name]
    if scale > largest_scale:
        return  # beyond it the integrand outgrows the nodes
    parameters, state = place(scale)
    estimate = compiled(SMOOTH, function).estimate(parameters, state)
    assert estimate.rule.kind in ("gauss-hermite", "panels")
    right, absolute = trapezoid(numeric, 0.3, scale)
    error = abs(estimate.values[0] - right)
    assert error <= estimate.errors[0] + 16 * EPS * absolute
    assert estimate.errors[0] <= 1e-10 * max(absolute, 1)


def test_the_trapezoid_agrees_with_closed_forms():
    for scale in (0.03, 1.0, 2.0):
        assert abs(trapezoid(np.exp, 0.3, scale)[0] / np.exp(0.3 + scale**2 / 2) - 1) < 1e-13
        assert abs(trapezoid(np.cos, 0.3, scale)[0] - np.cos(0.3) * np.exp(-(scale**2) / 2)) < 1e-14
    fourth = 0.3**4 + 6 * 0.3**2 * 100 + 3 * 100**2 - 2 * (0.3**3 + 3 * 0.3 * 100)
    assert abs(trapezoid(FUNCTIONS["polynomial"][1], 0.3, 10.0)[0] / fourth - 1) < 1e-12


@lru_cache(maxsize=None)
def exponential(dimension, along):
    """E exp(sum_a c_a u_a) with |c| = 1: along the first axis, or the diagonal."""
    u = symbols.vector("u", dimension)
    model = Model.build(ONE, Loss(sp.Add(*(x**2 for x in u)) / 2, units=dimension), name="wide")
    exponent = u[0] if along == "axis" else sp.Add(*u) / sp.sqrt(dimension)
    return compiled(model, sp.exp(exponent))


@pytest.mark.slow
@pytest.mark.parametrize("along", ["axis", "diagonal"])
@pytest.mark.parametrize("dimension", [1, 2, 3, 4])
def test_tensor_error_covers_exponentials_of_wide_fields(dimension, along):
    """E e^(s z) = e^(s^2/2) lives at |z| = s, where weights are tiny, and beyond the nodes for
    large s.
    """
    for scale in (1, 3, 5, 7, 8, 9, 10, 11, 12, 14, 16, 20, 25, 30):
        state = State(np.zeros((dimension, 1)), scale**2 * np.eye(dimension))
        estimate = exponential(dimension, along).estimate(Parameters([1], 1.0, 0, 1), state)
        right = np.exp(scale**2 / 2)
        error = abs(estimate.values[0] / right - 1)
        assert error <= estimate.errors[0] / right
        if scale <= {1: 20, 2: 18, 3: 5, 4: 2}[dimension]:
            assert error < 1e-8
        if scale <= {1: 8, 2: 8, 3: 2, 4: 1}[dimension]:
            assert estimate.errors[0] < 1e-6 * right


@pytest.mark.parametrize("target", ["numba", "numpy"])
def test_an_overflow_at_the_outermost_nodes_leaves_what_coarser_rules_give(target):
    """exp(27 * 30) is no number: 192 nodes reach 27 standard deviations, 96 nodes 19.

    Panels follow the mass of exp(20 z) to z = 20; that of exp(30 z) needs numbers that overflow.
    """
    node = GaussianExpectation(sp.exp(U[0]), preactivation_law(SMOOTH, 0))
    evaluator = compile_expressions(SMOOTH, (node,), target, closed_forms=False)
    parameters = Parameters([1], 1.0, 0, 1)
    estimates = [evaluator.estimate(parameters, State([[0.0]], [[s**2]])) for s in (20.0, 30.0)]
    assert [e.rule.kind for e in estimates] == ["panels", "gauss-hermite"]
    assert estimates[1].rule.size == 96
    assert (
        abs(estimates[0].values[0] - np.exp(200.0)) <= estimates[0].errors[0] < 1e-9 * np.exp(200)
    )
    assert np.all(np.isfinite([[e.values[0], e.errors[0]] for e in estimates]))
    with pytest.raises(
        ArithmeticError, match=r"model smooth overflows: .* deviation 500.*raise the precision"
    ):
        evaluator.estimate(parameters, State([[0.0]], [[500.0**2]]))


@pytest.mark.parametrize("shift", [0.0, 1e3])
@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0, 10.0])
def test_errors_cover_the_rounding_of_integrands_that_cancel(scale, shift):
    """E[(u - mu)^4 - 6 s^2 (u - mu)^2 + 3 s^4] = 0, while E|f| is of size s^4: rounding is relative
    to the latter.
    """
    mu, s = 0.3, sp.Rational(str(scale))
    x = U[0] - sp.Rational(3, 10)
    functions = [
        c * (x**4 - 6 * s**2 * x**2 + 3 * s**4) for c in (1, sp.Rational(7, 3), sp.Rational(1, 7))
    ]
    functions += [c * (x**2 - s**2) for c in (1, sp.Rational(7, 3), sp.Rational(1, 7))]
    functions += [
        sp.sin(c * x) + sp.Integer(int(shift)) * x for c in (sp.Rational(1, 10), sp.Rational(1, 3))
    ]
    law = preactivation_law(SMOOTH, 0)
    nodes = tuple(GaussianExpectation(f, law) for f in functions)
    for target in ("numba", "numpy"):
        parameters, state = place(scale, mu)
        estimate = compile_expressions(SMOOTH, nodes, target, closed_forms=False).estimate(
            parameters, state
        )
        assert np.all(np.abs(estimate.values) <= estimate.errors)
        sizes = np.array([s**4] * 3 + [s**2] * 3 + [1 + shift * s] * 2, dtype=float)
        assert np.all(estimate.errors <= 1e4 * EPS * sizes)


def test_errors_cover_the_rounding_of_terms_that_cancel():
    """Differences of expectations that are equal in exact arithmetic, times large numbers."""
    law = preactivation_law(SMOOTH, 0)
    square = GaussianExpectation(U[0] ** 2, law)
    moments = symbols.PRECISION**-1 * SMOOTH.symbols.gram[0, 0] + SMOOTH.symbols.overlap[0, 0] ** 2
    expressions = tuple(
        10**6 * (square - moments) * c for c in (1, sp.Rational(1, 3), sp.Rational(5, 7))
    )
    evaluator = compile_expressions(SMOOTH, expressions, "numpy")
    for scale in np.linspace(0.5, 3, 40):
        estimate = evaluator.estimate(*place(scale))
        assert np.all(np.abs(estimate.values) <= estimate.errors)
        assert np.all(estimate.errors <= 1e6 * 1e4 * EPS * (1 + scale**2))


def softmax_product(mean, covariance):
    """E[pi_1 pi_2] of three classes by a dense trapezoid rule in the two differences of
    pre-activations.

    The rule of step h errs by exp(-2 pi a / h), where a = pi / (largest deviation of a difference)
    is the distance of the nearest pole; of the normal law alone by exp(-2 pi^2 / h^2).
    """
    differences = np.array([[1.0, 0.0, -1.0], [0.0, 1.0, -1.0]])
    centre, law = differences @ mean, differences @ covariance @ differences.T
    factor = np.linalg.cholesky(law)
    step = 0.5 / max(3.0, np.sqrt(np.linalg.eigvalsh(law)[-1]))
    reach = np.ceil(9 / step)
    z = step * np.arange(-reach, reach + 1)
    weights = step * scipy.stats.norm.pdf(z)
    e1 = np.exp(centre[0] + factor[0, 0] * z)[:, None]
    e2 = np.exp(np.add.outer(factor[1, 0] * z, centre[1] + factor[1, 1] * z))
    return weights @ (e1 * e2 / (e1 + e2 + 1) ** 2) @ weights


@lru_cache(maxsize=None)
def softmax_cases(scale):
    """40 fixed states of a scale and their right values."""
    rng, cases = np.random.default_rng(20), []
    for _ in range(40):
        half = rng.uniform(-1, 1, (3, 3))
        perpendicular = scale**2 * (half @ half.T + 0.1 * np.eye(3))
        overlap = rng.uniform(-0.5, 0.5, (3, 3))
        state = State(overlap, perpendicular)
        cases.append((state, softmax_product(overlap[:, 1], state.gram(np.eye(3)))))
    return cases


@pytest.mark.parametrize("scale", [0.1, 0.3, 1.0, 2.0, 4.0])
@pytest.mark.parametrize("tolerance", [None, 1e-4])
def test_tensor_error_covers_the_true_error_of_the_softmax(scale, tolerance):
    """A refinement must not stop because two rules agree by accident: 40 fixed states a scale."""
    model, parameters = kgmm(3), Parameters([0.2, 0.3, 0.5], 1.0, 0, 1)
    law = preactivation_law(model, 1)
    function = -model.loss.partial((0, 1))
    evaluator = compile_expressions(
        model, (GaussianExpectation(function, law),), closed_forms=False
    )
    assert evaluator.dimension == 2
    for state, right in softmax_cases(scale):
        estimate = evaluator.estimate(parameters, state, tolerance=tolerance)
        assert abs(estimate.values[0] - right) <= estimate.errors[0] + 1e-14


def coverage(model, function, state, parameters, right, trials, rng, max_nodes):
    """Number of seeds whose reported Sobol error does not cover the true error."""
    evaluator = compiled(model, function)
    missed = 0
    for seed in rng.integers(2**31, size=trials):
        parts = (state.overlap, state.gram_perp, state.readout)
        estimate = estimate_sobol(evaluator, parameters, parts, 1e-4, int(seed), max_nodes, None)
        missed += int(abs(estimate.values[0] - right) > estimate.errors[0])
    return missed


@pytest.mark.slow
@pytest.mark.parametrize("scale", [0.3, 1.0, 5.0])
def test_sobol_error_covers_the_true_error(scale):
    """E e^(-u) 1{u > 0} in closed form; the 99 % interval may miss in 3 % of the trials (its law is
    not normal).
    """
    parameters, state = place(scale)
    right = np.exp(-0.3 + scale**2 / 2) * scipy.stats.norm.cdf(0.3 / scale - scale)
    trials = 200
    missed = coverage(KINKED, JUMP, state, parameters, right, trials, fresh_rng(), max_nodes=1024)
    assert missed <= scipy.stats.binom.isf(FAMILY_ERROR / 3, trials, 0.03)


@pytest.mark.slow
@pytest.mark.parametrize("scale", [0.3, 1.0, 5.0])
def test_ramps_are_exact(scale):
    """E max(u, 0) = m Phi(m/s) + s phi(m/s): the control variate is the integrand itself."""
    parameters, state = place(scale)
    z = 0.3 / scale
    right = 0.3 * scipy.stats.norm.cdf(z) + scale * scipy.stats.norm.pdf(z)
    found = compiled(KINKED, sp.Max(U[0], 0)).estimate(parameters, state)
    assert abs(found.values[0] - right) <= found.errors[0] < 1e-12


@pytest.mark.slow
def test_sobol_error_covers_the_true_error_in_five_dimensions():
    u = symbols.vector("u", 5)
    mixture = Mixture.build(weights=[1], labels=[0], coordinates=[[1]], directions_gram=[[1]])
    model = Model.build(mixture, Loss(sp.Add(*(x**2 for x in u)) / 2, units=5), name="five")
    rng, trials = fresh_rng(), 100
    half = rng.uniform(-0.3, 0.3, (5, 5))
    state = State(rng.uniform(-0.3, 0.3, (5, 1)), half @ half.T)
    parameters = Parameters([1], 1.0, 0, 1)
    right = np.exp(state.overlap.sum() + state.gram(np.eye(1)).sum() / 2)
    missed = coverage(
        model, sp.exp(sp.Add(*u)), state, parameters, right, trials, rng, max_nodes=512
    )
    assert missed <= scipy.stats.binom.isf(FAMILY_ERROR, trials, 0.03)


@pytest.mark.slow
def test_estimate_refines_until_the_tolerance_is_met_and_says_so_otherwise():
    parameters, state = place(1.0)
    evaluator = compiled(KINKED, JUMP)
    parts = (state.overlap, state.gram_perp, state.readout)

    def refined(tolerance, max_nodes=2**16):
        return estimate_sobol(evaluator, parameters, parts, tolerance, 0, max_nodes, None)

    loose, tight = refined(1e-2), refined(1e-5)
    assert tight.rule.size > loose.rule.size
    assert (loose.errors[0] <= 1e-2, tight.errors[0] <= 1e-5) == (True, True)
    capped = refined(1e-12, 1024)
    assert capped.rule.size == 1024
    assert capped.errors[0] > 1e-12


def test_a_share_of_the_largest_value_ends_the_refinement():
    parameters, state = place(1.0)
    several = compile_expressions(
        KINKED,
        tuple(GaussianExpectation(e, preactivation_law(KINKED, 0)) for e in (JUMP, 9 * JUMP)),
    )
    parts = (state.overlap, state.gram_perp, state.readout)

    def refined(tolerance, share):
        return estimate_sobol(several, parameters, parts, tolerance, 0, 2**16, None, share)

    found = refined(0.0, 1e-2)
    assert found.errors.max() <= 1e-2 * np.abs(found.values).max()
    assert found.rule.size < 2**16
    assert refined(1e-6, 1e-5).rule.size > found.rule.size
    assert refined(1.0, 1e-5).rule.size == 256


@pytest.mark.parametrize(
    ("model", "function"), [(KINKED, JUMP), (SMOOTH, sp.exp(U[0]))], ids=["kinked", "smooth"]
)
def test_an_estimate_that_was_refined_is_that_of_all_its_nodes(model, function):
    """Only new nodes are evaluated: the samples are those of the whole rule, to rounding."""
    parameters, state = place(1.0)
    evaluator = compiled(model, function)
    parts = (state.overlap, state.gram_perp, state.readout)
    found = estimate_sobol(evaluator, parameters, parts, 1e-12, 3, 4096, None)
    assert found.rule.size == 4096
    whole = [np.repeat(x[None], 8, axis=0) for x in parts]
    right = evaluator.evaluate_replicates(parameters, *whole, found.rule)
    assert np.abs(found.samples - right).max() < 1e-12


@pytest.mark.parametrize(("known", "size"), [(4, 8), (16, 128), (256, 512)])
def test_a_scrambled_rule_is_a_smaller_one_and_what_is_beyond_it(known, size):
    seed = int(fresh_rng().integers(2**31))
    whole, part = sobol(3, size, 4, seed), sobol(3, known, 4, seed)
    beyond = sobol_beyond(whole, known)
    assert abs(beyond.weights.sum() - 1.0) < 1e-12
    both = np.concatenate([part.nodes, beyond.nodes], axis=1)
    for found, right in zip(both, whole.nodes, strict=True):
        order, target = np.lexsort(found.T), np.lexsort(right.T)
        assert np.array_equal(found[order], right[target])


def test_a_longer_sequence_is_the_same_whatever_was_drawn_before():
    seed = int(fresh_rng().integers(2**31))
    grown = [sobol(3, size, 4, seed) for size in (8, 64, 16, 256)]
    for rule in grown:
        sobol(2, 8, 4, seed)  # the points of another sequence are no beginning
        sobol.cache_clear()
        assert np.array_equal(sobol(3, rule.size, 4, seed).nodes, rule.nodes)

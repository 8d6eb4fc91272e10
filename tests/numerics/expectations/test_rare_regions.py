"""Where several wide fields are small at once: scrambled nodes may all miss it."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.integrate
import scipy.special
import sympy as sp
from helpers import fresh_rng

from numerics import Problem, State
from numerics.expectations import estimation
from numerics.expectations.compiled import compile_expressions
from numerics.expectations.graded.rare_regions import rare_regions
from numerics.expectations.graded.scales import Scales
from numerics.spectra.population_block import population_block
from theory import Loss, Mixture, Model, Softplus, derive_hessian, kgmm, symbols

UNITS = 3


def committee(activation=sp.tanh):
    """The square of the error of three units with biases, whose readout is trained too."""
    u, v = symbols.vector("u", UNITS), symbols.vector("v", 2 * UNITS)
    output = sum(v[i] * activation(u[i] + v[UNITS + i]) for i in range(UNITS))
    data = Mixture.build(labels=[1, -1], coordinates=[[1], [1]], directions_gram=[[1]])
    loss = Loss((output - symbols.LABEL) ** 2 / 2, units=UNITS, readout_size=2 * UNITS)
    numbers = {"weights": [0.5, 0.5], "precision": 1, "ridge": 0, "step": 1}
    return Problem(Model.build(data, loss), **numbers)


def mean_of(function, deviation, bias, width, end=30.0):
    """E function(u + bias), bent within the width, by an integral on x = width sinh(t)."""

    def weighted(t):
        x = width * np.sinh(t)
        density = np.exp(-0.5 * ((x - bias) / deviation) ** 2) / (np.sqrt(2 * np.pi) * deviation)
        return density * function(x) * width * np.cosh(t)

    last = np.arcsinh(end)
    return scipy.integrate.quad(weighted, -last, last, limit=200)[0]


def off_diagonal(deviation, readout, seed, bias=0.0, sharpness=1):
    """E[v_1 v_2 s(u_1) s(u_2) Y_1^2] of slopes s, with its error, and by integrals on the line."""
    problem = committee(lambda x: sp.tanh(sharpness * x))
    held = np.repeat([readout, bias], UNITS)
    state = State(np.zeros((UNITS, 1)), np.eye(UNITS) * deviation**2, held)
    block = population_block(problem, state, matrix="hessian", block=(0, 1), seed=seed)
    one = mean_of(
        lambda x: sharpness / np.cosh(sharpness * x) ** 2, deviation, bias, 1.0 / sharpness
    )
    # weights without an overlap: u and Y . e_1 are independent, E (1 + Z)^2 = 2
    return float(block.matrix[0, 0]), float(block.matrix_error[0, 0]), 2 * (readout * one) ** 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("deviation", "bias", "sharpness"),
    [(5, 0, 1), (30, 0, 1), (300, 0, 1), (3000, 0, 1), (3000, 50, 1), (300, -1000, 1)]
    + [(3, 0, 100), (30, 50, 100)],
)
def test_products_of_slopes_of_wide_fields_are_within_their_errors(deviation, bias, sharpness):
    rng = fresh_rng()
    for _ in range(3):
        seed = int(rng.integers(2**32))
        value, error, right = off_diagonal(deviation, deviation / 3, seed, bias, sharpness)
        print(value, error, right)
        assert abs(value - right) <= 2 * error


@pytest.mark.slow
@pytest.mark.parametrize(("deviation", "bias"), [(30, 50), (300, -1000), (3000, 50)])
@pytest.mark.parametrize(
    ("activation", "end"), [(lambda x: 1 / (1 + x**2), 1e5), (lambda x: sp.exp(-(x**2) / 2), 30)]
)
def test_products_of_bells_of_wide_fields_are_within_their_errors(activation, end, deviation, bias):
    problem, x = committee(activation), sp.Symbol("x")
    held = np.repeat([1.0, bias], UNITS)
    state = State(np.zeros((UNITS, 1)), np.eye(UNITS) * deviation**2, held)
    entry = compile_expressions(problem.model, (derive_hessian(problem.model).readout[0, 1],))
    right = mean_of(sp.lambdify(x, activation(x)), deviation, bias, 1.0, end) ** 2
    for seed in fresh_rng().integers(2**32, size=3).tolist():
        found = entry.estimate(problem, state, seed=seed)
        print(found.values, found.errors, right)
        assert abs(found.values[0] - right) <= 2 * found.errors[0]


@pytest.mark.slow
def test_classes_that_are_rarely_level_are_within_their_errors():
    r"""E[p_1 p_2] of five classes: on :math:`u_1=u_2` above the others, where
    :math:`\int p(1-p)\,dx=1`.
    """
    deviation, count = 3000.0, 5
    problem = Problem(
        kgmm(count, directions_gram="orthonormal"), weights=[1 / count] * count, precision=1,
        ridge=0, step=1,
    )  # fmt: skip
    entry = compile_expressions(
        problem.model, (derive_hessian(problem.model).block(0, 1).bulk,), closed_forms=False
    )
    state = State(np.zeros((count, count)), np.eye(count) * deviation**2)

    def level(x):  # both at x, and the others below
        return np.exp(-(x**2)) / (2 * np.pi) * scipy.special.ndtr(x) ** (count - 2)

    right = -scipy.integrate.quad(level, -9, 9)[0] / deviation
    for seed in fresh_rng().integers(2**32, size=3).tolist():
        found = entry.estimate(problem, state, seed=seed)
        print(found.values, found.errors, right)
        assert abs(found.values[0] - right) <= 2 * found.errors[0] + 1e-3 * abs(right)


@pytest.mark.slow
def test_outputs_that_are_rarely_small_are_within_their_errors():
    r"""E[s'(f) tanh(u_1)^2] of a logistic loss and a large readout: on the surface f = 0."""
    u, v, large = symbols.vector("u", UNITS), symbols.vector("v", UNITS), 1e5
    output = sum(a * sp.tanh(b) for a, b in zip(v, u, strict=True))
    data = Mixture.build(labels=[1, 0], coordinates=[[1], [1]], directions_gram=[[1]])
    loss = Loss(Softplus(output) - symbols.LABEL * output, units=UNITS, readout_size=UNITS)
    problem = Problem(Model.build(data, loss), weights=[0.5, 0.5], precision=1, ridge=0, step=1)
    entry = compile_expressions(problem.model, (derive_hessian(problem.model).readout[0, 0],))
    share = np.array([1.0, 0.7, 1.4])
    state = State(np.zeros((UNITS, 1)), np.eye(UNITS), large * share)
    rng = fresh_rng()
    first = np.tanh(rng.normal(size=(2, 400_000)))
    third = -share[:2] @ first / share[2]
    inside = np.abs(third) < 1
    z = np.arctanh(np.where(inside, third, 0.0))
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) / (1 - np.tanh(z) ** 2)
    sample = inside * first[0] ** 2 * density / (large * share[2])
    right = sample.mean()
    for seed in rng.integers(2**32, size=3).tolist():
        found = entry.estimate(problem, state, seed=seed)
        print(found.values, found.errors, right)
        assert abs(found.values[0] - right) <= 2 * found.errors[0] + 0.05 * right


@pytest.mark.slow
@pytest.mark.parametrize(
    ("deviation", "readout"),
    [(3, 30), (30, 1), (30, 30), (300, 0.1), (300, 1), (3000, 0.1), (3000, 1)],
)
def test_points_where_kinks_meet_are_within_their_errors(deviation, readout):
    r"""E[s'(f) |u_1 u_2|] of a logistic loss of :math:`f=v\sum_a|u_a|`, small beside a point only.

    With r = v sum |u_a| the three fields are one integral: two of the three factors are |u_a|, and
    the simplex of size r / v has the moment :math:`(r/v)^4/4!`.
    """
    u, v = symbols.vector("u", UNITS), symbols.vector("v", UNITS)
    output = sum(a * sp.Abs(b) for a, b in zip(v, u, strict=True))
    data = Mixture.build(labels=[1, 0], coordinates=[[1], [1]], directions_gram=[[1]])
    loss = Loss(
        Softplus(output) - symbols.LABEL * output, units=UNITS, readout_size=UNITS, kinks=tuple(u)
    )
    problem = Problem(Model.build(data, loss), weights=[0.5, 0.5], precision=1, ridge=0, step=1)
    entry = compile_expressions(problem.model, (derive_hessian(problem.model).readout[0, 1],))
    state = State(
        np.zeros((UNITS, 1)), np.eye(UNITS) * deviation**2, np.full(UNITS, float(readout))
    )
    grid = np.linspace(0.0, 60.0, 6001)
    slope = grid**4 / 24 / (4 * np.cosh(grid / 2) ** 2)
    flat = 2 / (np.sqrt(2 * np.pi) * deviation)
    right = flat**3 * scipy.integrate.simpson(slope, x=grid) / readout**5
    # the density of the fields is not flat where it is narrow: r = 10 is far out
    curved = 0.5 * (10 / (readout * deviation)) ** 2
    for seed in fresh_rng().integers(2**32, size=3).tolist():
        found = entry.estimate(problem, state, seed=seed)
        print(found.values, found.errors, right)
        assert abs(found.values[0] - right) <= 2 * found.errors[0] + curved * right


@pytest.mark.slow
def test_without_the_guard_they_are_not(monkeypatch):
    monkeypatch.setattr(estimation, "sobol_misses", lambda *_: np.zeros(1))
    seeds = fresh_rng().integers(2**32, size=4).tolist()
    found = [off_diagonal(3000.0, 1000.0, seed) for seed in seeds]
    assert any(abs(value - right) > 2 * error for value, error, right in found)


FIELDS = symbols.vector("u", UNITS)
BUMP = sp.exp(-(FIELDS[0] ** 2) - FIELDS[1] ** 2)


def bump(shift):
    """A product of two narrow factors, and a field that is nowhere rare."""
    return np.array([np.exp(-(shift[:, 0] ** 2) - shift[:, 1] ** 2), np.abs(shift[:, 2])])


def regions(covariance, nodes, mean=(0.0, 0.0, 0.0), integrand=BUMP, heights=bump):
    scales = Scales(committee().model, [integrand])
    mean = np.asarray(mean)
    return rare_regions(scales, 1.0, mean, covariance, np.zeros(6), heights, nodes)


def test_regions_count_where_too_few_nodes_fall():
    """E exp(-u^2 - w^2) = 1 / (1 + 2 s^2) for fields of deviation s."""
    covariance = np.diag([1e4, 1e4, 1.0])
    found = regions(covariance, 1000)
    assert found is not None
    right = 1 / (1 + 2e4)
    assert right <= found[0] <= 4 * right
    # narrow fields, and many nodes, have no such region
    assert regions(0.01 * np.eye(3), 1000) is None
    assert regions(covariance, 1e8) is None


@pytest.mark.parametrize("sharpness", [1e-3, 1.0, 1e3])
def test_regions_are_where_transitions_are(sharpness):
    """Slopes of tanh far from the origin, of a combination of fields, on any scale."""
    form = FIELDS[0] - FIELDS[1]
    shifted, third = sharpness * form - 20, sharpness * FIELDS[2] + 5
    product = sp.sech(shifted) ** 2 * sp.sech(third) ** 2
    deviation = 1e2 / sharpness

    def heights(shift):
        one, two = shift[:, 0] - shift[:, 1], shift[:, 2]
        return 1 / np.cosh([sharpness * one - 20, sharpness * two + 5]).prod(axis=0)[None] ** 2

    covariance = deviation**2 * np.diag([0.5, 0.5, 1.0])
    found = regions(covariance, 1000, integrand=product.rewrite(sp.tanh), heights=heights)
    right = 4 / (2 * np.pi * 1e4) * np.exp(-0.5 * (0.2**2 + 0.05**2))
    assert found is not None
    assert right <= found[0] <= 4 * right


def test_fields_that_are_one_are_small_together():
    """A pair that is one field is as rare as that field, of which 10,000 nodes see enough."""
    covariance = 2500.0 * np.ones((2, 2))
    covariance = np.block([[covariance, np.zeros((2, 1))], [np.zeros((1, 2)), np.ones((1, 1))]])
    assert regions(covariance, 10_000) is None

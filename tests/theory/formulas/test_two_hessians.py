"""The two Hessians of the XOR network: distributional, and almost everywhere.

Witnesses: the risk E[ell] in R^d by quadrature of the raw loss and its finite differences; samples
in R^d.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
import sympy as sp
from helpers import fresh_rng
from kinked_quadrature import expectations, numbers, risk, state_values
from witness import (
    FAMILY_ERROR,
    Geometry,
    Raw,
    as_array,
    geometry,
    projected_blocks,
    sample_mean,
    sampled_gradient_matrix,
    sampled_hessian,
    test_vectors,
)

from numerics import Parameters, State, compile_expressions, population_block
from numerics.core.geometry import span_basis
from numerics.expectations.quadrature import MISSED
from theory import (
    Activation,
    Block,
    GaussianExpectation,
    InputError,
    Mixture,
    Model,
    ReLU,
    Step,
    derive_drift,
    derive_gradient,
    derive_gradient_matrix,
    derive_hessian,
    preactivation_law,
    symbols,
    xor,
)
from theory.problem.activations import ARGUMENT

STEP = 0.08  # of the coarsest finite difference; the risk varies on the scale 1
GAMMA = symbols.symmetric("Gamma", 2)

# name: (activation, the same in NumPy, kinks)
CASES = {
    "relu": ("relu", lambda u: np.maximum(u, 0), (0.0,)),
    "leaky": ("leaky_relu", lambda u: np.where(u > 0, u, u / 100), (0.0,)),
    "abs": (Activation("abs", sp.Abs(ARGUMENT), kinks=(0,)), np.abs, (0.0,)),
    "hinge": (
        Activation("hinge", sp.Max(ARGUMENT - sp.Rational(1, 4), 0), kinks=("1/4",)),
        lambda u: np.maximum(u - 0.25, 0),
        (0.25,),
    ),
    "ramp": (
        Activation("ramp", sp.Max(ARGUMENT, 0) - sp.Max(ARGUMENT - 1, 0), kinks=(0, 1)),
        lambda u: np.clip(u, 0, 1),
        (0.0, 1.0),
    ),
}


class Point:
    """A random point in R^d, d = K + 3, with correlated directions and unequal weights."""

    def __init__(self, units: int, name: str, rng) -> None:
        self.activation, self.function, self.kinks = CASES[name]
        self.model = xor(units, activation=self.activation, directions_gram=GAMMA)
        d = units + 3
        frame = np.linalg.qr(rng.standard_normal((d, d)))[0]
        self.directions = np.array([[1.0, 0.0], [0.4, 0.8]]) @ frame[:2]
        along = np.array([[0.7, -0.5], [-0.4, 0.8]])[:units] * rng.uniform(0.7, 1.3, (units, 2))
        across = np.array([[0.6, 0.0], [0.2, 0.5]])[:units, :units] * rng.uniform(
            0.7, 1.3, (units, units)
        )
        self.x = along @ frame[:2] + across @ frame[2 : 2 + units]
        self.v = np.array([1.2, -0.9])[:units] * rng.uniform(0.7, 1.3, units)
        weights = rng.uniform(0.5, 1.5, 4)
        self.weights = weights / weights.sum()
        self.precision, self.ridge, self.step = 2.0, 0.3, 1.5
        self.settings = {
            "directions": self.directions,
            "weights": self.weights,
            "precision": self.precision,
            "ridge": self.ridge,
        }

    @property
    def values(self) -> dict:
        return state_values(self.model, self.x, self.v, step=self.step, **self.settings)

    @property
    def parameters(self) -> Parameters:
        return Parameters(
            self.weights, self.precision, self.ridge, self.step, self.directions @ self.directions.T
        )

    @property
    def state(self) -> State:
        perpendicular = self.x - np.linalg.lstsq(self.directions.T, self.x.T)[0].T @ self.directions
        return State(self.x @ self.directions.T, perpendicular @ perpendicular.T, self.v)

    def risk(self, flat: np.ndarray) -> float:
        x = flat[: self.x.size].reshape(self.x.shape)
        return risk(
            x, flat[self.x.size :], activation=self.function, kinks=self.kinks, **self.settings
        )

    @property
    def flat(self) -> np.ndarray:
        return np.concatenate([self.x.ravel(), self.v])

    def gradient(self) -> tuple[np.ndarray, float]:
        """Gradient of the risk by central differences, and its error."""
        return self._extrapolated(self._first, 1)

    def hessian(self) -> tuple[np.ndarray, float]:
        """Hessian of the risk by central differences, and its error."""
        return self._extrapolated(self._second, 2)

    def _extrapolated(self, difference, order: int) -> tuple[np.ndarray, float]:
        """Richardson twice: what the last step still moved bounds the error."""
        coarse, middle, fine = (difference(STEP / 2**k) for k in range(3))
        first, second = (4 * middle - coarse) / 3, (4 * fine - middle) / 3
        return (16 * second - first) / 15, largest(second - first) + 4e-14 / (STEP / 4) ** order

    def _moved(self, *moves) -> float:
        return self.risk(self.flat + sum(moves))

    def _first(self, h: float) -> np.ndarray:
        return np.array([self._moved(e) - self._moved(-e) for e in h * np.eye(self.flat.size)]) / (
            2 * h
        )

    def _second(self, h: float) -> np.ndarray:
        n, steps = self.flat.size, h * np.eye(self.flat.size)
        centre = self.risk(self.flat)
        around = np.array([self._moved(e) + self._moved(-e) - 2 * centre for e in steps])
        hessian = np.diag(around)
        for i, j in itertools.combinations(range(n), 2):
            both = steps[i] + steps[j]
            pair = self._moved(both) + self._moved(-both) - 2 * centre
            hessian[i, j] = hessian[j, i] = (pair - around[i] - around[j]) / 2
        return hessian / h**2

    def full(self, blocks) -> np.ndarray:
        """The (K d + K)^2 matrix V B V^T + c I, mixed and readout blocks of a derived Hessian."""
        found = numbers(blocks, self.values, self.kinks)
        k, d = self.x.shape
        span = np.vstack([self.directions, self.x])
        out = np.zeros((k * d + k, k * d + k))
        for a in range(k):
            for b in range(k):
                block = found.block(a, b)
                out[a * d : (a + 1) * d, b * d : (b + 1) * d] = span.T @ as_array(
                    block.coefficients
                ) @ span + float(block.bulk) * np.eye(d)
        mixed = (
            (as_array(found.mixed).reshape(k, k, -1) @ span).transpose(0, 2, 1).reshape(k * d, k)
        )
        out[: k * d, k * d :], out[k * d :, : k * d] = mixed, mixed.T
        out[k * d :, k * d :] = as_array(found.readout)
        return out


def largest(matrix) -> float:
    return float(np.abs(matrix).max())


def blocks_of(point: Point, matrix) -> dict[str, np.ndarray]:
    """The parts W_i W_i, W_i W_j (i < j), W v and v v of a full Hessian."""
    k, d = point.x.shape
    part = lambda a, b: matrix[a * d : (a + 1) * d, b * d : (b + 1) * d]  # noqa: E731
    out = {f"W{a}W{b}": part(a, b) for a in range(k) for b in range(a, k)}
    return out | {"Wv": matrix[: k * d, k * d :], "vv": matrix[k * d :, k * d :]}


HERE = [(1, name) for name in CASES] + [(2, "relu")]
ALL = HERE + [pytest.param(2, name, marks=pytest.mark.slow) for name in CASES if name != "relu"]


@pytest.mark.slow
@pytest.mark.parametrize(("units", "name"), ALL)
def test_differences_of_the_risk_are_the_distributional_hessian_and_not_the_other(units, name):
    """Every block W W, W v, v v; those of one unit tell the two Hessians apart."""
    point = Point(units, name, fresh_rng())
    witness, error = point.hessian()
    assert error < 1e-4  # else the comparison says little
    rules = ("distributional", "almost-everywhere", "difference")
    full, regular, kinks = (
        point.full(derive_hessian(point.model, kink_rule=rule)) for rule in rules
    )
    assert largest(witness - full) < error
    assert largest(witness - regular - kinks) < error
    off = blocks_of(point, witness - regular)
    for unit in range(units):
        assert largest(off.pop(f"W{unit}W{unit}")) > 20 * error
    assert max(map(largest, off.values())) < error


def test_differences_refute_the_mutants():
    """Factor v_i dropped, kinks counted twice or with the wrong sign, a label swapped."""
    point = Point(1, "relu", fresh_rng())
    witness, error = point.hessian()
    hessian = derive_hessian(point.model)
    regular, kinks = (
        derive_hessian(point.model, kink_rule=rule).first_layer[0, 0]
        for rule in ("almost-everywhere", "difference")
    )
    right = hessian.first_layer[0, 0]
    (v,) = point.model.symbols.readout

    def with_block(coefficients, bulk):
        return replace(
            hessian, first_layer={(0, 0): Block(sp.ImmutableDenseMatrix(coefficients), bulk)}
        )

    wrong = {
        "factor v dropped": hessian.map(lambda e: e.subs(v**2, v)),
        "kinks twice": with_block(right.coefficients + kinks.coefficients, right.bulk + kinks.bulk),
        "kinks with the wrong sign": with_block(
            regular.coefficients - kinks.coefficients, regular.bulk - kinks.bulk
        ),
        "bulk without kinks": with_block(right.coefficients, regular.bulk),
        "label swapped": derive_hessian(swapped(point.model)),
    }
    survivors = [
        k for k, mutant in wrong.items() if largest(witness - point.full(mutant)) < 20 * error
    ]
    assert survivors == []


def swapped(model: Model) -> Model:
    """The same network with the label of cluster -mu flipped."""
    mixture = model.mixture
    other = Mixture(
        mixture.weights,
        tuple(map(sp.Integer, (1, 0, 0, 0))),
        mixture.coordinates,
        mixture.directions_gram,
        mixture.precision,
    )
    return Model(other, model.loss, model.ridge, model.step, "swapped")


@pytest.mark.parametrize("route", ["stein", "projection"])
@pytest.mark.parametrize(("units", "name"), HERE)
def test_differences_of_the_risk_are_the_gradient(units, name, route):
    point = Point(units, name, fresh_rng())
    witness, error = point.gradient()
    found = numbers(derive_gradient(point.model, route), point.values, point.kinks)
    span = np.vstack([point.directions, point.x])
    gradient = np.concatenate(
        [(as_array(found.first_layer) @ span).ravel(), as_array(found.readout).ravel()]
    )
    assert largest(gradient - witness) < error


# --- samples in R^d -------------------------------------------------------------------------------

SIZE = 60_000  # samples; standard errors about 2e-3


def raw_relu(component: np.ndarray, u: np.ndarray, v: np.ndarray) -> Raw:
    """Sample derivatives of -y f + log(1 + e^f), as automatic differentiation has them."""
    y = np.array([1, 1, 0, 0])[component]
    g, on = np.maximum(u, 0), (u > 0) * 1.0
    f = g @ v
    sigma = 1 / (1 + np.exp(-f))
    s1, residual = (sigma * (1 - sigma))[:, None, None], (sigma - y)[:, None, None]
    fu = v * on
    return Raw(
        residual[:, 0] * fu,
        s1 * fu[:, :, None] * fu[:, None, :],
        residual[:, 0] * g,
        s1 * fu[:, :, None] * g[:, None, :] + residual * np.eye(len(v)) * on[:, :, None],
        s1 * g[:, :, None] * g[:, None, :],
        np.logaddexp(0, f) - y * f,
    )


def correlated_xor() -> Model:
    return xor(2, directions_gram=GAMMA)


def compare_with_samples(blocks, geo: Geometry, rng, sampler, wrong):
    """Verdicts of the z-test (family-wise error 1e-6) on blocks and mutants."""
    t = test_vectors(geo, rng)
    data = sample_mean(geo, rng, sampler(geo, raw_relu, t, regularized=blocks.regularized), SIZE)
    predict = lambda b: projected_blocks(numbers(b, geo.values), geo, t)  # noqa: E731
    return data.compare(predict(blocks)), [data.compare(predict(b)) for b in wrong]


@pytest.mark.slow
def test_the_mean_of_sample_hessians_is_the_almost_everywhere_hessian_and_not_the_other():
    rng = fresh_rng()
    model = correlated_xor()
    geo = geometry(model, rng)
    regular = derive_hessian(model, kink_rule="almost-everywhere")
    v = model.symbols.readout
    wrong = [
        derive_hessian(model),
        derive_hessian(swapped(model), kink_rule="almost-everywhere"),
        regular.map(lambda e: e.subs(v[0] * v[1], v[0])),
    ]
    right, rest = compare_with_samples(regular, geo, rng, sampled_hessian, wrong)
    assert right.holds, right
    assert (
        min(r.largest for r in rest) > 2 * right.threshold
    )  # so that refutation holds for any seed


@pytest.mark.slow
@pytest.mark.parametrize("regularized", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_the_mean_of_sample_gradient_products_is_the_gradient_matrix(regularized):
    rng = fresh_rng()
    model = correlated_xor()
    geo = geometry(model, rng)
    matrix = derive_gradient_matrix(model, regularized=regularized)
    wrong = [
        derive_gradient_matrix(swapped(model), regularized=regularized),
        derive_gradient_matrix(model, regularized=not regularized),
    ]
    right, rest = compare_with_samples(matrix, geo, rng, sampled_gradient_matrix, wrong)
    assert right.holds, right
    assert min(r.largest for r in rest) > 2 * right.threshold


def test_hand_derivatives_of_the_samples_are_finite_differences():
    """The witness itself, away from the kink: central differences of the raw loss."""
    rng = fresh_rng()
    u = rng.uniform(0.1, 2, (1, 2)) * rng.choice([-1, 1], (1, 2))
    v, component, h = rng.standard_normal(2), rng.integers(0, 4, 1), 1e-4
    sample = raw_relu(component, u, v)
    loss = lambda z: raw_relu(component, z[None, :2], z[2:]).loss[0]  # noqa: E731
    z, e = np.concatenate([u[0], v]), h * np.eye(4)
    first = np.array([loss(z + a) - loss(z - a) for a in e]) / (2 * h)
    second = np.array(
        [
            [loss(z + a + b) - loss(z + a - b) - loss(z - a + b) + loss(z - a - b) for b in e]
            for a in e
        ]
    ) / (4 * h**2)
    by_hand = np.block(
        [[sample.hessian[0], sample.mixed[0]], [sample.mixed[0].T, sample.readout_hessian[0]]]
    )
    assert (
        largest(first - np.concatenate([sample.g[0], sample.readout[0]])) < 1e-6
    )  # h^2 times third derivatives
    assert largest(second - by_hand) < 1e-5  # the same, and eps / h^2 of rounding


# --- the two routes, and the numbers of numerics --------------------------------------------------


@pytest.mark.parametrize("derive", [derive_drift, derive_gradient], ids=["drift", "gradient"])
@pytest.mark.parametrize(("units", "name"), [*HERE, (2, "abs")])
def test_both_routes_give_the_same_numbers(units, name, derive):
    """Stein with its deltas against projection, both by quadrature to about 1e-13."""
    point = Point(units, name, fresh_rng())
    left, right = (
        as_float(numbers(derive(point.model, route), point.values, point.kinks))
        for route in ("stein", "projection")
    )
    assert largest(left - right) < 1e-11
    assert largest(left) > 1e-3


def test_the_routes_differ_without_the_deltas():
    """The gradient has no delta, its slope E[H_11] has: without it Stein's identity fails."""
    point = Point(2, "relu", fresh_rng())
    stein, projection = (derive_gradient(point.model, route) for route in ("stein", "projection"))
    broken = stein.map(lambda e: e.replace(sp.DiracDelta, lambda *_: sp.Integer(0)))
    left, right = (as_float(numbers(g, point.values, point.kinks)) for g in (broken, projection))
    assert largest(left - right) > 1e-3


def as_float(derived) -> np.ndarray:
    return np.array([float(e) for e in derived.expressions()])


def interval_factor(count: int) -> float:
    """By how much to widen intervals of 8 scramblings for ``count`` comparisons."""
    wide, usual = (scipy.stats.t.isf(level / 2, 7) for level in (FAMILY_ERROR / count, MISSED))
    return float(wide / usual)


@pytest.mark.parametrize("units", [1, 2])
@pytest.mark.parametrize("route", ["stein", "projection"])
def test_compiled_drift_is_the_drift(units, route):
    """numerics against panels, both routes, within widened intervals of its scramblings."""
    point = Point(units, "relu", fresh_rng())
    drift = derive_drift(point.model, route)
    exact = np.array([float(e) for e in vector_numbers(drift, point)])
    found = compile_expressions(point.model, drift.vector, "numpy").estimate(
        point.parameters, point.state, tolerance=1e-5
    )
    assert np.all(np.abs(found.values - exact) < interval_factor(exact.size) * found.errors)
    assert found.errors.max() < 1e-4


def vector_numbers(drift, point: Point):
    return numbers(drift, point.values, point.kinks).vector


@pytest.mark.parametrize("rule", ["distributional", "almost-everywhere", "difference"])
@pytest.mark.parametrize("units", [1, 2])
def test_compiled_blocks_are_the_blocks(units, rule):
    """population_block on span(directions, x) against the d x d matrix by panels."""
    point = Point(units, "relu", fresh_rng())
    derived = derive_hessian(point.model, kink_rule=rule)
    small = population_block(
        point.model, point.parameters, point.state, block="all", blocks=derived, tolerance=1e-5
    )
    basis = span_basis(point.parameters, point.state).coefficients @ np.vstack(
        [point.directions, point.x]
    )
    lift = np.kron(np.eye(units), basis)
    frame = np.block(
        [[lift, np.zeros((len(lift), units))], [np.zeros((units, lift.shape[1])), np.eye(units)]]
    )
    exact = frame @ point.full(derived) @ frame.T
    # panels on a line are exact to rounding, and so are blocks that vanish
    rounding = 64 * np.finfo(float).eps * max(1.0, np.abs(exact).max())
    bound = interval_factor(exact.size) * small.matrix_error + rounding
    assert np.all(np.abs(small.matrix - exact) <= bound)
    assert small.matrix_error.max() < 1e-3


def test_curvatures_across_a_kink_are_refused_by_the_stein_route():
    for derive in (derive_hessian, derive_gradient_matrix):
        with pytest.raises(
            InputError, match=r"route: got 'stein'.*; expected 'projection'. Remedy: derive by"
        ):
            derive(xor(2), "stein")


def test_an_unknown_kink_rule_is_refused():
    with pytest.raises(
        InputError,
        match=r"kink_rule: got 'classical'; expected one of .*almost-everywhere.* Remedy",
    ):
        derive_hessian(xor(1), kink_rule="classical")


def test_the_panels_know_a_normal_moment():
    """The quadrature itself: E of ramp, step and delta of N(m, s^2)."""
    rng = fresh_rng()
    model = xor(1)
    point = Point(1, "relu", rng)
    law = preactivation_law(model, 0)
    (u,) = law.variables
    nodes = [
        GaussianExpectation(e, law)
        for e in (ReLU(u), Step(u), u**2 * Step(u), sp.exp(u) * sp.DiracDelta(2 * u))
    ]
    table = expectations(nodes, point.values)
    m = float((point.x @ point.directions.T)[0, 0])
    s = float(np.sqrt(point.x[0] @ point.x[0] / point.precision))
    cdf, pdf = scipy.stats.norm.cdf(m / s), scipy.stats.norm.pdf(m / s)
    expected = [m * cdf + s * pdf, cdf, (m**2 + s**2) * cdf + m * s * pdf, pdf / s / 2]
    assert largest(np.array([float(table[n]) for n in nodes]) - expected) < 1e-12

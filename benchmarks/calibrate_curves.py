r"""True error against estimate of curves and fixed points, at random problems of a wide box.

The truth shares no code with the package: one unit,

.. math:: \dot m=-\sum_lp_l\big(E_l[g]\,\Gamma c_l+E_l[g(u-\mu_l)]\,m/Q\big)-\beta m,\qquad
          \dot R=\sum_lp_lE_l\big[\tfrac{c_\delta}\lambda g^2-2\tfrac RQg(u-\mu_l)\big]-2\beta R

with :math:`u\sim N(c_l\cdot m,Q/\lambda)` given component l, by Gauss-Legendre panels graded to the
scales of g and of u, and integrated by LSODA.  The square loss has the exponential of a matrix.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import perf_counter

import mpmath
import numpy as np
import scipy.optimize
import scipy.special
import sympy as sp
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from numerics import Parameters, State, ToleranceWarning, solve_curve, solve_fixed_point
from theory import Loss, Mixture, Model, Softplus, symbols

from .calibration_record import Record

Array = NDArray[np.float64]

# standard deviations that the panels reach, and nodes of a panel
REACH, NODES = 10.0, 20
# relative accuracies of LSODA: the finer is the truth, and their difference its error
FINE, COARSE = 1e-12, 1e-11
# rounding of a term of the drift
TERM = 16 * float(np.finfo(float).eps)
# a truth beyond this is a diverging flow
DIVERGED = 1e12
TIMES = 40
# drifts by brute force after which a flow that has not settled is undecided
PATIENCE = 20_000


class Undecided(Exception):
    """A flow that was not followed to its end."""


@dataclass(frozen=True)
class Kind:
    """A loss of one pre-activation, with its slope in u as an independent formula.

    Attributes
    ----------
    name : str
    loss : callable, (u, y) -> sympy.Expr
    slope : callable, (u, y) -> array
    width : float
        Width of its transition at u = 0.
    """

    name: str
    loss: Callable[[sp.Expr, sp.Expr], sp.Expr]
    slope: Callable[[Array, float], Array]
    width: float


def _logistic_slope(u: Array, y: float) -> Array:
    return -y * np.exp(-np.logaddexp(0.0, y * u))


def _tanh(steepness: float) -> Kind:
    def slope(u: Array, y: float) -> Array:
        # tanh - y for y = +-1, and 1 - tanh^2, without cancellation
        apart = -2.0 * y * scipy.special.expit(-2.0 * y * steepness * u)
        bell = (
            4.0
            * np.exp(-2.0 * np.abs(steepness * u))
            / (1.0 + np.exp(-2.0 * np.abs(steepness * u))) ** 2
        )
        return steepness * bell * apart

    return Kind(
        f"tanh({steepness:g} u)",
        lambda u, y: (sp.tanh(sp.nsimplify(steepness) * u) - y) ** 2 / 2,
        slope,
        1.0 / steepness,
    )


SQUARE = Kind("square", lambda u, y: (u - y) ** 2 / 2, lambda u, y: u - y, 1.0)
LOGISTIC = Kind("logistic", lambda u, y: Softplus(-y * u), _logistic_slope, 1.0)
KINDS = (SQUARE, LOGISTIC, _tanh(1.0), _tanh(8.0))


@dataclass(frozen=True)
class Problem:
    """One random problem: two components with labels +-1 and random means in two directions."""

    kind: Kind
    model: Model
    parameters: Parameters
    coordinates: Array
    labels: Array
    start: State

    def field(self, vector: Array) -> Array:
        """The effective drift of (m, R) by brute force."""
        return self._field_and_size(vector)[0]

    def _field_and_size(self, vector: Array) -> tuple[Array, Array]:
        """The drift, and the sizes of the terms that it is the sum of."""
        p = self.parameters
        m, r = vector[:-1], float(vector[-1])
        gram = r + float(m @ np.linalg.solve(p.directions_gram, m))
        slope_m, slope_r = -p.ridge * m, -2.0 * p.ridge * r
        size_m, size_r = np.abs(slope_m), abs(slope_r)
        for weight, place, label in zip(p.weights, self.coordinates, self.labels, strict=True):
            mean, deviation = float(place @ m), float(np.sqrt(max(gram, 0.0) / p.precision))
            z, w = normal_nodes(mean, deviation, self.kind.width)
            g = self.kind.slope(mean + deviation * z, float(label))
            first, along, second = (float(w @ x) for x in (g, g * deviation * z, g * g))
            ratio = along / gram if gram > 0 else 0.0
            slope_m = slope_m - weight * (first * (p.directions_gram @ place) + ratio * m)
            slope_r += weight * (p.step / p.precision * second - 2.0 * r * ratio)
            height = float(w @ np.abs(g))
            size_m = size_m + weight * (
                height * np.abs(p.directions_gram @ place) + np.abs(ratio * m)
            )
            size_r += weight * (p.step / p.precision * second + abs(2.0 * r * ratio))
        return np.append(slope_m, slope_r), np.append(size_m, size_r)

    def truth(self, times: Array) -> tuple[Array, float] | None:
        """States at the times and the error of these; None where the flow diverges."""
        if self.kind is SQUARE:
            return self._linear_truth(times)
        runs = []
        for accuracy in (FINE, COARSE):
            found = solve_ivp(
                lambda _, s: self.field(s),
                (0.0, times[-1]),
                self.start.flatten(),
                method="LSODA",
                rtol=accuracy,
                atol=accuracy,
                t_eval=times,
            )
            if found.status != 0 or not np.abs(found.y).max() < DIVERGED:
                return None
            runs.append(found.y.T)
        return runs[0], 3.0 * float(np.abs(runs[0] - runs[1]).max())

    def newton_step(self, vector: Array) -> Array:
        """J^-1 F by central differences."""
        step: Array = self._inverse_jacobian(vector) @ self.field(vector)
        return step

    def rounding_of_root(self, vector: Array) -> float:
        """How far rounding of the terms of the drift moves a root; weights sum to 1 but for it."""
        size = self._field_and_size(vector)[1]
        moved = np.abs(self._inverse_jacobian(vector)) @ (TERM * size)
        return float(moved.max())

    def _inverse_jacobian(self, vector: Array) -> Array:
        shifts = 1e-5 * np.diag(1.0 + np.abs(vector))
        columns = [
            (self.field(vector + h) - self.field(vector - h)) / (2 * h.max()) for h in shifts
        ]
        return np.asarray(np.linalg.pinv(np.array(columns).T, rcond=1e-12))

    def settles(self) -> bool:
        """Whether the flow from overlap 0 and R = 1 comes to rest, far along.

        A flow that takes longer than anybody's patience counts as one that does: refusing it is a
        refusal.
        """
        p = self.parameters
        if self.kind is SQUARE:
            # R' = (c / lambda^2 - 2 / lambda - 2 beta) R + ...
            return p.step / p.precision**2 < 2.0 * (1.0 / p.precision + p.ridge)
        try:
            return self._comes_to_rest()
        except Undecided:
            return True

    def _comes_to_rest(self) -> bool:
        p = self.parameters
        count = 0

        def field(vector: Array) -> Array:
            nonlocal count
            count += 1
            if count > PATIENCE:
                raise Undecided
            return self.field(vector)

        end = 200.0 / p.ridge if p.ridge > 0 else 1e6 * max(1.0, p.precision)
        found = solve_ivp(
            lambda _, s: field(s),
            (0.0, end),
            np.append(np.zeros(self.coordinates.shape[1]), 1.0),
            method="LSODA",
            rtol=1e-8,
            atol=1e-8,
        )
        last = found.y[:, -1]
        if found.status != 0 or not np.abs(last).max() < DIVERGED:
            return False
        # where the field only fades away, so does its Jacobian, and Newton's step stays
        step = np.abs(self.newton_step(last)).max()
        return bool(step < 1e-3 * (1.0 + np.abs(last).max()))

    def _linear_truth(self, times: Array) -> tuple[Array, float] | None:
        """The square loss: (1, m, products of m, R) obeys a linear equation of constant matrix."""
        p, r = self.parameters, self.coordinates.shape[1]
        inverse = np.linalg.inv(p.directions_gram)
        means = self.coordinates @ p.directions_gram
        # m' = a - B m
        source = (p.weights * self.labels) @ means
        decay = np.einsum("l,ls,lt->st", p.weights, means, self.coordinates)
        decay = decay + (1.0 / p.precision + p.ridge) * np.eye(r)
        # E (u - y)^2 = m^T (S + Gamma^-1 / lambda) m - 2 b m + 1 + R / lambda
        second = np.einsum("l,ls,lt->st", p.weights, self.coordinates, self.coordinates)
        second = second + inverse / p.precision
        cross = (p.weights * self.labels) @ self.coordinates
        gain = p.step / p.precision
        size = 1 + r + r * r + 1
        matrix = np.zeros((size, size))
        matrix[1 : 1 + r, 0], matrix[1 : 1 + r, 1 : 1 + r] = source, -decay
        square = slice(1 + r, 1 + r + r * r)
        matrix[square, square] = -np.kron(decay, np.eye(r)) - np.kron(np.eye(r), decay)
        matrix[square, 1 : 1 + r] = np.kron(source[:, None], np.eye(r)) + np.kron(
            np.eye(r), source[:, None]
        )
        matrix[-1, 0], matrix[-1, 1 : 1 + r] = gain, -2.0 * gain * cross
        matrix[-1, square] = gain * second.ravel()
        matrix[-1, -1] = gain / p.precision - 2.0 * (1.0 / p.precision + p.ridge)
        m = self.start.overlap[0]
        first = np.concatenate([[1.0], m, np.kron(m, m), self.start.gram_perp[0]])
        out = []
        with mpmath.workdps(40):
            exact, vector = mpmath.matrix(matrix.tolist()), mpmath.matrix(first.tolist())
            for t in times:
                state = mpmath.expm(exact * mpmath.mpf(float(t))) * vector
                if abs(state[size - 1]) > DIVERGED:
                    return None
                out.append([float(state[i]) for i in (*range(1, 1 + r), size - 1)])
        # the coefficients of the matrix are rounded to double precision
        values = np.array(out)
        return values, 1e-14 * float(np.abs(values).max())


def nodes(mean: float, deviation: float, width: float) -> tuple[Array, Array]:
    """Nodes and weights of N(mean, deviation^2): panels graded to its scale and to the transition
    at 0.
    """
    z, w = normal_nodes(mean, deviation, width)
    return mean + deviation * z, w


def normal_nodes(mean: float, deviation: float, width: float) -> tuple[Array, Array]:
    """The same nodes as distances from the mean in standard deviations, which loses no digits."""
    if deviation == 0.0:
        return np.zeros(1), np.ones(1)
    low, high = mean - REACH * deviation, mean + REACH * deviation
    gauss = mean + deviation * np.arange(-REACH, REACH + 0.5, 1.0)
    reach = max(abs(low), abs(high)) / width
    far = 4.0 * 1.6 ** np.arange(0, max(1, int(np.ceil(np.log(max(reach, 4.0) / 4.0) / 0.47))) + 1)
    near = width * np.concatenate([np.arange(0.0, 4.0, 0.5), far])
    edges = np.unique(np.concatenate([gauss, near, -near, [low, high]]))
    edges = (edges[(edges >= low) & (edges <= high)] - mean) / deviation
    x, w = np.polynomial.legendre.leggauss(NODES)
    half = np.diff(edges)[:, None] / 2
    z = (edges[:-1, None] + half + half * x).ravel()
    weight = (half * w).ravel() * np.exp(-(z**2) / 2)
    return z, weight / weight.sum()


def random_problem(rng: np.random.Generator) -> Problem:
    """Draw a problem from the wide box."""
    kind = KINDS[int(rng.integers(len(KINDS)))]
    directions = int(rng.integers(1, 3))
    # rational, so that model and numbers agree to the last digit
    coordinates = np.round(rng.normal(size=(2, directions)), 3)
    labels = np.array([1.0, -1.0])
    u = symbols.vector("u", 1)
    mixture = Mixture.build(
        labels=[1, -1],
        coordinates=[[sp.Rational(str(x)) for x in row] for row in coordinates.tolist()],
    )
    model = Model.build(mixture, Loss(kind.loss(u[0], symbols.LABEL), units=1), name=kind.name)
    weight = rng.uniform(0.1, 0.9)
    half = rng.normal(size=(directions, directions))
    ridge = 0.0 if rng.random() < 0.2 else log_uniform(rng, 1e-3, 5.0)
    parameters = Parameters(
        [weight, 1.0 - weight],
        log_uniform(rng, 1e-3, 1e8),
        ridge,
        log_uniform(rng, 0.01, 50.0),
        half @ half.T + 0.3 * np.eye(directions),
    )
    norm = 0.0 if rng.random() < 0.1 else log_uniform(rng, 1e-2, 1e4)
    overlap = rng.normal(size=(1, directions)) * rng.choice([0.0, 1.0, 5.0])
    return Problem(kind, model, parameters, coordinates, labels, State(overlap, [[norm]]))


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A number whose logarithm is uniform."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def curve_record(seed: int) -> Record | None:
    """A random curve against its truth at random times; None where the true flow diverges."""
    rng = np.random.default_rng([seed, 1])
    problem = random_problem(rng)
    end = log_uniform(rng, 1.0, 1e4)
    tolerance = float(rng.choice([1e-4, 1e-6, 1e-8, 1e-10]))
    drawn = np.concatenate(
        [
            rng.uniform(0.0, end, TIMES // 2),
            np.exp(rng.uniform(np.log(1e-7), np.log(end), TIMES // 2)),
            [end],
        ]
    )
    times = np.unique(drawn)
    detail = f"curve {seed}, {problem.kind.name}, {problem.parameters}, T = {end:.4g}"
    what = f"curve, {problem.kind.name}"
    begin = perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ToleranceWarning)
            curve = solve_curve(
                problem.model, problem.parameters, problem.start, end, tolerance=tolerance
            )
    except ArithmeticError as error:
        # a flow that truly diverges within the time is no refusal
        seconds, refused = perf_counter() - begin, problem.truth(times) is not None
        return Record.refused(what, error, detail, seconds) if refused else None
    seconds = perf_counter() - begin
    truth = problem.truth(times)
    if truth is None:
        return None
    values, uncertain = truth
    error = float(np.abs(curve.vector(times) - values).max())
    return Record(what, error, curve.error_estimate, "", detail, seconds, uncertain)


def fixed_point_record(seed: int) -> Record | None:
    """A random fixed point against the root of the brute-force field nearest to it; None where the
    true flow settles nowhere.
    """
    rng = np.random.default_rng([seed, 2])
    problem = random_problem(rng)
    detail = f"fixed point {seed}, {problem.kind.name}, {problem.parameters}"
    what = f"fixed point, {problem.kind.name}"
    begin = perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ToleranceWarning)
            point = solve_fixed_point(problem.model, problem.parameters)
    except ArithmeticError as error:
        seconds, refused = perf_counter() - begin, problem.settles()
        return Record.refused(what, error, detail, seconds) if refused else None
    seconds = perf_counter() - begin
    vector = np.append(point.overlap.to_numpy()[0], point.gram_perp.to_numpy()[0])
    scale = 1.0 + np.abs(vector)
    root = scipy.optimize.root(
        lambda s: problem.field(vector + s * scale), np.zeros(vector.size), tol=1e-15
    )
    moved = root.x * scale
    # one more step of Newton's method tells what the root itself is known to
    last = problem.newton_step(vector + moved)
    error, doubt = float(np.abs(moved).max()), 10.0 * float(np.abs(last).max())
    doubt += problem.rounding_of_root(vector + moved)
    estimate = float(point.attrs["error_estimate"])
    return Record(what, error, estimate, "", detail, seconds, doubt)


def calibrate_curves(count: int, seed: int) -> Iterator[Record]:
    """Draw curves and fixed points in turn, without those whose true flow has none."""
    for number, s in enumerate(np.random.SeedSequence(seed).generate_state(count)):
        record = (curve_record, fixed_point_record)[number % 2](int(s))
        if record is not None:
            yield record

"""Brute-force witnesses in R^d: raw samples of a mixture, derivatives by hand, and a calibrated
comparison.

Everything starts from the definition (draw a component, Y = mu_l + Z / sqrt(lambda), the loss
differentiated by hand, vectors of R^d); no derived formula enters the sampled side.
"""

from __future__ import annotations

from dataclasses import dataclass

import mpmath
import numpy as np
import sympy as sp
from helpers import numbers_at, two_layer_model

from theory import Model, kgmm, symbols

FAMILY_ERROR = 1e-6  # probability that one correct test fails, over all of its comparisons together


@dataclass
class Geometry:
    """Directions and parameters as vectors of R^d, and the values of all symbols they imply."""

    model: Model
    directions: np.ndarray  # d x r
    x: np.ndarray  # d x C
    readout: np.ndarray
    weights: np.ndarray
    precision: float
    ridge: float
    step: float

    @property
    def dimension(self) -> int:
        return self.x.shape[0]

    @property
    def perpendicular(self) -> np.ndarray:
        """x projected off the directions (least squares, no closed form)."""
        return self.x - self.directions @ np.linalg.lstsq(self.directions, self.x)[0]

    @property
    def values(self) -> dict:
        s, perp = self.model.symbols, self.perpendicular
        gram = self.x.T @ self.x
        out = _entries(s.overlap, self.x.T @ self.directions) | _entries(s.gram, gram)
        out |= _entries(s.gram_perp, perp.T @ perp) | _entries(s.gram_inverse, np.linalg.inv(gram))
        out |= dict(zip(s.readout, map(sp.Float, self.readout), strict=True))
        out |= _entries(self.model.mixture.directions_gram, self.directions.T @ self.directions)
        out |= dict(zip(self.model.mixture.weights, map(sp.Float, self.weights), strict=True))
        return out | {
            symbols.PRECISION: sp.Float(self.precision),
            symbols.RIDGE: sp.Float(self.ridge),
            symbols.STEP: sp.Float(self.step),
        }


def _entries(matrix, numbers) -> dict:
    return {
        matrix[i, j]: sp.Float(float(numbers[i, j]), 17)
        for i in range(matrix.shape[0])
        for j in range(matrix.shape[1])
        if matrix[i, j].is_Symbol
    }


# --- models and their raw sample derivatives ------------------------------------------------------


@dataclass
class Raw:
    """Sample derivatives of the loss: g (N, C), hessian (N, C, C), and the readout parts."""

    g: np.ndarray
    hessian: np.ndarray
    readout: np.ndarray
    mixed: np.ndarray
    readout_hessian: np.ndarray
    loss: np.ndarray


def raw_softmax(component: np.ndarray, u: np.ndarray, v: np.ndarray) -> Raw:
    """Multinomial logistic loss, label = component; derivatives by hand."""
    n, k = u.shape
    top = u.max(1, keepdims=True)
    e = np.exp(u - top)
    pi = e / e.sum(1, keepdims=True)
    hot = np.eye(k)[component]
    hessian = -pi[:, :, None] * pi[:, None, :] + np.eye(k) * pi[:, :, None]
    loss = np.log(e.sum(1)) + top[:, 0] - u[np.arange(n), component]
    empty = np.zeros((n, 0))
    return Raw(pi - hot, hessian, empty, np.zeros((n, k, 0)), np.zeros((n, 0, 0)), loss)


def raw_two_layer(component: np.ndarray, u: np.ndarray, v: np.ndarray) -> Raw:
    """The loss of :func:`two_layer_model`; derivatives by hand."""
    y = np.array([0, 1, 1, 0])[component]
    t = np.tanh(u)
    f = t @ v
    sigma = 1 / (1 + np.exp(-f))
    s1, residual = (sigma * (1 - sigma))[:, None, None], (sigma - y)[:, None, None]
    fu = v * (1 - t**2)
    fuu = np.eye(2) * (-2 * v * t * (1 - t**2))[:, :, None]
    fuv = np.eye(2) * (1 - t**2)[:, :, None]
    return Raw(
        residual[:, 0] * fu,
        s1 * fu[:, :, None] * fu[:, None, :] + residual * fuu,
        residual[:, 0] * t,
        s1 * fu[:, :, None] * t[:, None, :] + residual * fuv,
        s1 * t[:, :, None] * t[:, None, :],
        np.logaddexp(0, f) - y * f,
    )


# fixed, generic test cases: correlated directions, unequal weights, x partly outside the directions
GAMMAS = {2: [[1.0, 0.4], [0.4, 1.0]], 3: [[1.0, 0.3, -0.2], [0.3, 1.2, 0.4], [-0.2, 0.4, 0.9]]}
WEIGHTS = {2: [0.7, 0.3], 3: [0.5, 0.15, 0.35], 4: [0.4, 0.3, 0.1, 0.2]}


def geometry(
    model: Model, rng, *, dimension: int = 25, precision: float = 1.5, jitter: float = 0.0
) -> Geometry:
    """Vectors with the fixed Gram matrices of the test cases, in a random position of R^dimension.

    ``jitter`` > 0 multiplies every entry of their factors by a random number in 1 -+ jitter.
    """
    r, c = model.directions, model.units
    frame = np.linalg.qr(rng.standard_normal((dimension, r + c)))[0]
    shake = lambda a: a * rng.uniform(1 - jitter, 1 + jitter, a.shape)  # noqa: E731
    directions = frame[:, :r] @ shake(np.linalg.cholesky(np.array(GAMMAS[r]))).T
    along = np.array([[0.8, -0.4, 0.3], [-0.5, 0.9, -0.2], [0.1, -0.3, 0.7]])[:r, :c]
    across = np.array([[0.7, 0.0, 0.0], [0.3, 0.6, 0.0], [-0.2, 0.25, 0.65]])[:c, :c]
    x = directions @ shake(along) + frame[:, r:] @ shake(across).T
    readout = shake(np.array([1.3, -0.8])[: model.readout_size])
    weights = shake(np.array(WEIGHTS[model.components]))
    weights = weights / weights.sum()
    return Geometry(model, directions, x, readout, weights, precision, ridge=0.4, step=1.5)


def case(name: str):
    """(model, raw derivatives) of a named test case."""
    if name == "twolayer":
        return two_layer_model(), raw_two_layer
    return kgmm(int(name[-1])), raw_softmax


def draw(geo: Geometry, rng, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Components and features of ``size`` fresh samples, from the definition of the mixture."""
    s = np.array(geo.model.mixture.coordinates.tolist(), float)
    component = rng.choice(len(geo.weights), size=size, p=geo.weights)
    noise = rng.standard_normal((size, geo.dimension)) / np.sqrt(geo.precision)
    return component, s[component] @ geo.directions.T + noise


# --- comparison with Monte Carlo ------------------------------------------------------------------


@dataclass
class Verdict:
    """Largest |z| among the entries, and the two-sided Bonferroni threshold at FAMILY_ERROR."""

    largest: float
    threshold: float
    resolution: float  # the largest deviation of any entry that would go unnoticed, about

    @property
    def holds(self) -> bool:
        return self.largest <= self.threshold


class Accumulator:
    """Mean and standard error of independent vectors, batch by batch (Chan's update)."""

    def __init__(self) -> None:
        self.count, self.mean, self.square = 0, 0.0, 0.0

    def add(self, batch: np.ndarray) -> None:
        batch = batch.reshape(len(batch), -1)
        n, mean = len(batch), batch.mean(0)
        delta, total = mean - self.mean, self.count + n
        self.square = self.square + ((batch - mean) ** 2).sum(0) + delta**2 * self.count * n / total
        self.mean, self.count = self.mean + delta * n / total, total

    def compare(self, predicted: np.ndarray) -> Verdict:
        """z-test of every entry; a constant entry (standard error 0) must agree to rounding."""
        predicted = np.asarray(predicted, float).ravel()
        assert predicted.shape == np.shape(self.mean)
        error = np.sqrt(self.square / (self.count - 1) / self.count)
        # 1e-12: rounding of sums of O(1) numbers, far below any standard error met here (about
        # 2e-3)
        z = np.abs(self.mean - predicted) / (error + 1e-12)
        level = FAMILY_ERROR / len(z)
        threshold = float(mpmath.sqrt(2) * mpmath.erfinv(1 - mpmath.mpf(level)))
        return Verdict(float(z.max()), threshold, float(threshold * error.max()))


def sample_mean(geo: Geometry, rng, statistic, size: int, batch: int = 20_000) -> Accumulator:
    """Average ``statistic(component, Y)`` over ``size`` samples."""
    result = Accumulator()
    for _ in range(max(1, size // batch)):
        result.add(statistic(*draw(geo, rng, batch)))
    return result


def verdict(
    derived, geo: Geometry, rng, *, sampled, predicted, size: int = 60_000, mutants=()
) -> list[Verdict]:
    """Compare ``sampled(component, Y)`` with ``predicted(numbers)`` for a derived object and its
    mutants.

    The mutants face the same samples, so that only the formula differs.
    """
    data = sample_mean(geo, rng, sampled, size)
    return [data.compare(predicted(numbers(d, geo))) for d in (derived, *mutants)]


def numbers(derived, geo: Geometry, points: int | None = None):
    """The derived object with every expression evaluated at the values of ``geo``.

    80 nodes a dimension in the plane, 30 in space: the standard deviation of u is about 1 and the
    losses are analytic within distance pi/2 of the real axis.  test_moments.py asserts that the
    error is far below the sampling error.
    """
    return numbers_at(derived, geo.values, points or (80 if geo.model.units == 2 else 30))


def as_array(matrix) -> np.ndarray:
    return np.array(sp.Matrix(matrix).tolist(), float).reshape(matrix.shape)


# --- projections of blocks of R^d x R^d on a small set of test vectors ----------------------------


def test_vectors(geo: Geometry, rng) -> np.ndarray:
    """T = [e, x, n]: the summary directions and one unit vector orthogonal to all of them."""
    span = np.hstack([geo.directions, geo.x])
    n = rng.standard_normal(geo.dimension)
    n -= span @ np.linalg.lstsq(span, n)[0]
    return np.column_stack([span, n / np.linalg.norm(n)])


test_vectors.__test__ = False


def projected_blocks(blocks, geo: Geometry, t: np.ndarray) -> np.ndarray:
    """T^T (V B V^T + c I) T for every stored block, then mixed rows on T and the readout block."""
    span = np.hstack([geo.directions, geo.x])
    left = t.T @ span
    parts = [
        left @ as_array(b.coefficients) @ left.T + float(b.bulk) * t.T @ t
        for b in blocks.first_layer.values()
    ]
    if geo.model.readout_size:
        parts += [as_array(blocks.mixed) @ left.T, as_array(blocks.readout)]
    return np.concatenate([p.ravel() for p in parts])


def sampled_hessian(geo: Geometry, raw, t: np.ndarray, *, regularized: bool = True):
    """Statistic: the sample Hessian projected like :func:`projected_blocks`."""
    beta = geo.ridge if regularized else 0.0
    c, q = geo.model.units, geo.model.readout_size

    def statistic(component, y):
        sample = raw(component, y @ geo.x, geo.readout)
        f = y @ t
        outer = f[:, :, None] * f[:, None, :]
        parts = [
            sample.hessian[:, a, b, None, None] * outer + (beta * t.T @ t if a == b else 0)
            for a in range(c)
            for b in range(a, c)
        ]
        if q:
            parts += [
                sample.mixed[:, :, :, None] * f[:, None, None, :],
                sample.readout_hessian + beta * np.eye(q),
            ]
        return np.concatenate([p.reshape(len(y), -1) for p in parts], axis=1)

    return statistic


def sampled_gradient_matrix(geo: Geometry, raw, t: np.ndarray, *, regularized: bool):
    """Statistic: the outer product of the sample gradient with itself, projected on T."""
    beta = geo.ridge if regularized else 0.0
    c, q = geo.model.units, geo.model.readout_size

    def statistic(component, y):
        sample = raw(component, y @ geo.x, geo.readout)
        first = sample.g[:, :, None] * (y @ t)[:, None, :] + beta * (geo.x.T @ t)
        parts = [first[:, a, :, None] * first[:, b, None, :] for a in range(c) for b in range(a, c)]
        if q:
            second = sample.readout + beta * geo.readout
            parts += [
                first[:, :, None, :] * second[:, None, :, None],
                second[:, :, None] * second[:, None, :],
            ]
        return np.concatenate([p.reshape(len(y), -1) for p in parts], axis=1)

    return statistic


def increments(geo: Geometry, raw, *, limit: bool):
    """Statistic: (change of m, R_perp, v in one SGD step) / delta, in the order of the state
    vector.

    ``limit``: |P Z|^2 / d is replaced by 1 and the step by 0, which is the definition of the
    ballistic limit. Otherwise the step is really taken in R^d, and only what is O(1/d) in R_perp is
    subtracted, sample by sample.
    """
    c, delta, lam, beta = geo.model.units, geo.step / geo.dimension, geo.precision, geo.ridge
    e, perp = geo.directions, geo.perpendicular
    basis = np.linalg.qr(e)[0]
    inside = np.linalg.qr(perp)[0]
    r = e.shape[1]
    upper = np.triu_indices(c)

    def statistic(component, y):
        n = len(y)
        sample = raw(component, y @ geo.x, geo.readout)
        g = sample.g
        gg = g[:, :, None] * g[:, None, :]
        seen = g[:, :, None] * (y @ perp)[:, None, :]
        seen = seen + seen.transpose(0, 2, 1)
        gram = perp.T @ perp
        if limit:
            overlap = -g[:, :, None] * (y @ e)[:, None, :] - beta * geo.x.T @ e
            change = -seen - 2 * beta * gram + geo.step / lam * gg
        else:
            moved = geo.x.T - delta * (g[:, :, None] * y[:, None, :] + beta * geo.x.T)
            overlap = (moved @ e - geo.x.T @ e) / delta
            away = moved - (moved @ basis) @ basis.T
            change = (away @ away.transpose(0, 2, 1) - gram) / delta
            noise = lam * ((y @ inside) ** 2).sum(1)[:, None, None] - r - c
            change = change - delta * (gg * noise / lam + beta * seen + beta**2 * gram)
        readout = -sample.readout - beta * geo.readout
        return np.concatenate(
            [overlap.reshape(n, -1), change[:, upper[0], upper[1]], readout], axis=1
        )

    return statistic

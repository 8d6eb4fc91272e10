r"""True error against estimate of population blocks: eigenvalues and bulk of Hessian and G-matrix,
and the corrector, of up to twelve classes and twenty units.

The truth shares no code with the package.  All weights are multiples of one vector, u = a t with
t = w.Y, so that every integral is one on a line; the features off w are independent of it, and in
coordinates of dimension r + 1

.. math:: E_l[hYY^T]=E[ht^2]\,ww^T+E[ht](w\nu^T+\nu w^T)+E[h](\nu\nu^T+(I-ww^T)/\lambda),
          \quad\nu=(I-ww^T)\mu_l .
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from time import perf_counter

import numpy as np
import sympy as sp
from mpmath import mp

from numerics import Parameters, State, compile_expressions, population_block
from theory import Loss, Mixture, Model, Softplus, derive_drift, kgmm, symbols

from . import brute_losses as brute
from .calibration_record import Array, Record

Y = symbols.LABEL
MATRICES = ("hessian", "gradient", "corrector")
SYMBOLS = {"tanh": sp.tanh, "erf": lambda t: sp.erf(t / sp.sqrt(2)), "relu": lambda t: sp.Max(t, 0)}


@dataclass(frozen=True)
class Line:
    """One problem on a line: a, the coordinates of the direction w, and the features' means."""

    name: str
    model: Model
    loss: brute.Network | brute.Softmax
    parameters: Parameters
    state: State
    along: Array
    direction: Array
    means: Array
    labels: Array

    def rules(
        self, nodes: int, cuts: list[Array] | None = None
    ) -> Iterator[tuple[float, float, Array, Array, Array, Array]]:
        """By component: its probability, mean of t and of Y off w, nodes t, weights, and u.

        ``cuts``, by component, are further places where panels end.
        """
        p, v = self.parameters, np.asarray(self.state.readout)
        w = self.direction
        cuts = [np.zeros(0)] * len(self.labels) if cuts is None else cuts
        for share, mean, y, more in zip(p.weights, self.means, self.labels, cuts, strict=True):
            places, steepest = self.loss.places(self.along, float(y), v)
            places = np.concatenate([np.ravel(places), more])
            center, deviation = float(w @ mean), 1.0 / np.sqrt(p.precision)
            t, weight = brute.line_rule(center, deviation, places, steepest, nodes)
            yield float(share), center, mean - center * w, t, weight, self.along[:, None] * t

    def as_stated(self) -> Line:
        r"""The line of :math:`Q=R^\perp+m\Gamma^{-1}m^T` in fifty digits: m and R were rounded, and
        where the directions are nearly dependent, or two units nearly equal, that moves the law.
        """
        with mp.workdps(50):
            m, r = (mp.matrix(a.tolist()) for a in (self.state.overlap, self.state.gram_perp))
            q = r + m * mp.matrix(self.parameters.directions_gram.tolist()) ** -1 * m.T
            largest = int(np.argmax(np.abs(self.along)))
            length = mp.sqrt(q[largest, largest]) * float(np.sign(self.along[largest]))
            along = np.array([float(q[i, largest] / length) for i in range(len(self.along))])
        return replace(self, along=along)

    def derivatives(self, u: Array, y: float) -> tuple[Array, Array]:
        """g and H by hand."""
        return self.loss.derivatives(u, y, np.asarray(self.state.readout))

    def jumps(self, y: float) -> list[tuple[int, float, float]]:
        """Point masses of the second derivative, by hand."""
        return self.loss.jumps(self.along, y, np.asarray(self.state.readout))

    def density(self, t: float, center: float) -> float:
        """Of t given a component with that mean."""
        precision = self.parameters.precision
        return float(np.sqrt(precision / (2 * np.pi)) * np.exp(-precision * (t - center) ** 2 / 2))

    def second_moment(self, h: Array, off: Array, t: Array, weight: Array) -> Array:
        """E[h Y Y^T] of one component, for weights h (N)."""
        w, size = self.direction, len(self.direction)
        zero, one, two = (float(weight @ (h * t**j)) for j in range(3))
        cross = np.outer(w, off)
        rest = np.outer(off, off) + (np.eye(size) - np.outer(w, w)) / self.parameters.precision
        return two * np.outer(w, w) + one * (cross + cross.T) + zero * rest


def draw_line(rng: np.random.Generator) -> Line:
    """A problem of the box, the means near dependent to a condition of 1e8."""
    name, model, loss = draw_model(rng)
    c, r = model.units, model.directions
    eigenvalues = 10.0 ** (-rng.uniform(0, 8) * rng.uniform(0, 1, size=r))
    turn = np.linalg.qr(rng.normal(size=(r, r)))[0]
    gram = (turn * eigenvalues) @ turn.T
    gram = (gram + gram.T) / 2
    root = np.linalg.cholesky(gram)
    along = rng.normal(size=c) * 10.0 ** rng.uniform(-1, 0, size=c)
    # w: a part in the span of the directions, and one off it
    inside = rng.normal(size=r) * (rng.uniform() < 0.9)
    direction = np.append(inside, 10.0 ** rng.uniform(-3, 3))
    length = np.linalg.norm(direction)
    scale = np.sqrt(10.0 ** rng.uniform(-3, 4)) / np.linalg.norm(along)
    weights = rng.dirichlet(np.ones(model.components))
    if rng.uniform() < 0.2:
        weights = np.maximum(weights * 10.0 ** -rng.uniform(0, 9, size=weights.size), 1e-9)
        weights /= weights.sum()
    x = np.outer(along * scale, direction / length)
    overlap, beside = x[:, :r] @ root.T, x[:, r]
    parameters = Parameters(
        weights,
        10.0 ** rng.uniform(-3, 8),
        rng.uniform(0, 5) * (rng.uniform() < 0.8),
        10.0 ** rng.uniform(-2, 1.7),
        gram,
    )
    readout = rng.normal(size=model.readout_size) * 10.0 ** rng.uniform(-2, 1)
    state = State(overlap, np.outer(beside, beside), readout)
    coordinates = np.array(model.mixture.coordinates.tolist(), dtype=float)
    means = np.zeros((model.components, r + 1))
    means[:, :r] = coordinates @ root
    labels = np.array([float(y) for y in model.mixture.labels])
    return Line(
        name, model, loss, parameters, state, along * scale, direction / length, means, labels
    )


def draw_model(rng: np.random.Generator) -> tuple[str, Model, brute.Network | brute.Softmax]:
    """Any of the kinds, of any size."""
    kind = int(rng.integers(6))
    if kind <= 1:
        return "softmax", kgmm(_size(rng, 2, 12)), brute.Softmax()
    if kind == 2:
        output = str(rng.choice(["logistic", "square", "squared hinge"]))
        return output, network(output, None, 1, False), brute.Network(output)
    activation = str(rng.choice(list(SYMBOLS)))
    output = "square" if activation == "erf" else "logistic"
    biases = bool(rng.uniform() < 0.3)
    units = _size(rng, 1, 3 if biases else 20)
    name = f"{activation}, {output}" + (", biases" if biases else "")
    model = network(output, activation, units, biases)
    return name, model, brute.Network(output, activation, biases)


def _size(rng: np.random.Generator, low: int, high: int) -> int:
    """A number of units: small ones, whose formulas take less time to derive, are more frequent."""
    return int(np.exp(rng.uniform(np.log(low), np.log(high + 1))))


@lru_cache(maxsize=128)
def network(output: str, activation: str | None, units: int, biases: bool) -> Model:
    """The model of the same loss in symbols, over orthonormal or other directions."""
    count = units * (2 if biases else 1) if activation else 0
    u, v = symbols.vector("u", units), symbols.vector("v", max(count, 1))
    arguments = [u[i] + v[units + i] if biases else u[i] for i in range(units)]
    kinks: tuple[sp.Expr, ...] = ()
    f = u[0]
    if activation:
        f = sp.Add(*(v[i] * SYMBOLS[activation](arguments[i]) for i in range(units)))
        kinks = tuple(arguments) if activation == "relu" else ()
    losses = {
        "logistic": Softplus(f) - Y * f,
        "square": (f - Y) ** 2 / 2,
        "squared hinge": Y * sp.Max(1 - f, 0) ** 2 + (1 - Y) * sp.Max(1 + f, 0) ** 2,
    }
    if output == "squared hinge":
        kinks = (1 - f, 1 + f)
    loss = Loss(losses[output], units=units, readout_size=count, kinks=kinks)
    cross = [[1, 0], [-1, 0], [0, 1], [0, -1]]
    mixture = Mixture.build(labels=[1, 1, 0, 0], coordinates=cross)
    return Model.build(mixture, loss, name=f"{activation or 'linear'} {output}")


def block_record(seed: int) -> Record:
    """One block, with tolerances as users ask for."""
    rng = np.random.default_rng([seed, 3])
    line = draw_line(rng)
    matrix = MATRICES[int(rng.integers(3))]
    units = line.model.units
    a = int(rng.integers(units))
    block = (a, a) if units > 4 or rng.uniform() < 0.5 else "first_layer"
    tolerance = float(10.0 ** rng.uniform(-10, -3))
    what = f"{matrix}, {line.name}"
    detail = f"block_record({seed}), {units} units, {block}, {line.parameters}"
    start = perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            found, estimates = _evaluate(line, matrix, block, tolerance)
    except ArithmeticError as error:
        return Record.refused(what, error, detail, perf_counter() - start)
    seconds = perf_counter() - start
    coarse, fine = (_truth(line, matrix, block, nodes) for nodes in (16, 22))
    stated = _truth(line.as_stated(), matrix, block, 22)
    size = np.abs(fine).max() + line.parameters.ridge
    doubt = 3 * np.abs(fine - coarse) + 3 * np.abs(fine - stated) + 1e-13 * size
    return Record(what, np.abs(found - fine), estimates, "", detail, seconds, doubt)


def _evaluate(
    line: Line, matrix: str, block: tuple[int, int] | str, tolerance: float
) -> tuple[Array, Array]:
    if matrix == "corrector":
        route = "stein" if line.model.loss.is_smooth else "projection"
        entries = tuple(derive_drift(line.model, route).corrector)
        compiled = compile_expressions(line.model, entries, "numpy")
        found = compiled.estimate(line.parameters, line.state, tolerance=tolerance)
        return found.values, found.errors
    small = population_block(
        line.model, line.parameters, line.state, matrix=matrix, block=block, tolerance=tolerance
    )
    eigenvalues = np.linalg.eigvalsh(small.matrix)
    bulk = np.linalg.eigvalsh(small.bulk)
    # eigenvalues of the bulk by Weyl
    bulk_error = float(np.linalg.norm(small.bulk_error, 2))
    rounding = 16 * np.finfo(float).eps * np.abs(eigenvalues).max(initial=0.0)
    estimates = np.full(eigenvalues.size, small.eigenvalue_error)
    return (
        np.concatenate([eigenvalues, bulk]),
        np.concatenate([estimates, np.full(bulk.size, bulk_error)]) + rounding,
    )


def _truth(line: Line, matrix: str, block: tuple[int, int] | str, nodes: int) -> Array:
    p, c, size = line.parameters, line.model.units, len(line.direction)
    rows = list(range(c)) if block == "first_layer" or matrix == "corrector" else [int(block[0])]
    whole = np.zeros((len(rows), size, len(rows), size))
    bulk = np.zeros((len(rows), len(rows)))

    def add(i: int, j: int, share: float, h: Array, off: Array, t: Array, weight: Array) -> None:
        bulk[i, j] += share * float(weight @ h) / p.precision
        if matrix != "corrector":
            whole[i, :, j] += share * line.second_moment(h, off, t, weight)

    for (share, center, off, t, weight, u), y in zip(line.rules(nodes), line.labels, strict=True):
        g, hessian = line.derivatives(u, float(y))
        for i, a in enumerate(rows):
            for j, b in enumerate(rows):
                h = hessian[a, b] if matrix == "hessian" else g[a] * g[b]
                add(i, j, share, h, off, t, weight)
        if matrix != "hessian":
            continue
        # the Hessian of the risk has the jumps of the slopes as point masses
        for a, place, mass in line.jumps(float(y)):
            if a in rows:
                density = line.density(place, center)
                at = np.array([place]), np.array([density])
                add(rows.index(a), rows.index(a), share, np.array([mass]), off, *at)
    if matrix == "corrector":
        return np.asarray(p.step * bulk).ravel()
    whole = whole.reshape(len(rows) * size, -1)
    ridge = p.ridge if matrix == "hessian" else 0.0
    return np.concatenate([np.linalg.eigvalsh(whole), np.linalg.eigvalsh(bulk)]) + ridge


def calibrate_blocks(count: int, seed: int) -> Iterator[Record]:
    """Draw and compare blocks and correctors."""
    for s in np.random.SeedSequence(seed).generate_state(count):
        yield block_record(int(s))

"""True error against estimate of drifts on the line and the plane, corrector included.

Every drift is computed by the package and by ``tests/witness/brute_expectations.py``, which shares
nothing with it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from time import perf_counter

import numpy as np
import sympy as sp

from numerics import Parameters, State, compile_expressions
from theory import Loss, Mixture, Model, Softplus, derive_drift, kgmm, symbols

from .calibration_record import Record

sys.path.append(str(Path(__file__).parents[1] / "tests" / "witness"))
import brute_expectations as brute  # found only then

U, V, Y = symbols.vector("u", 2), symbols.vector("v", 2), symbols.LABEL
TWO_SIDES = ([1, 0], [[1], [-1]])
CROSS = ([1, 1, 0, 0], [[1, 0], [-1, 0], [0, 1], [0, -1]])


@dataclass(frozen=True)
class Case:
    """A model, the same loss by hand, and the route of its drift."""

    name: str
    model: Model
    family: Callable[[], brute.Family]
    route: str = "stein"
    planar: bool = False


def build(name: str, data: tuple[list[int], list[list[int]]], loss: Loss) -> Model:
    """A model over orthonormal directions, its weights left open."""
    labels, coordinates = data
    gram = np.eye(len(coordinates[0]), dtype=int).tolist()
    mixture = Mixture.build(labels=labels, coordinates=coordinates, directions_gram=gram)
    return Model.build(mixture, loss, name=name)


def one_unit(gradient: Callable[..., np.ndarray], turns: list[float]) -> brute.Family:
    """A family of one unit without readout."""
    return brute.Family(gradient, brute.nothing, lambda v: np.array(turns)[:, None])


def tanh_slope(t: np.ndarray) -> np.ndarray:
    """1 / cosh^2 without overflow."""
    return 1.0 - np.tanh(t) ** 2


def steep(a: int) -> Case:
    """(tanh(a u) - u)^2 / 2, a transition a times narrower than the target."""
    loss = Loss((sp.tanh(a * U[0]) - U[0]) ** 2 / 2, units=1)

    def gradient(u: np.ndarray, y: float, v: np.ndarray) -> np.ndarray:
        return (np.tanh(a * u) - u) * (a * tanh_slope(a * u) - 1)

    model = build(f"steep tanh {a}", TWO_SIDES, loss)
    return Case(model.name, model, lambda: one_unit(gradient, [float(a)]))


def network(name: str, units: int, symbol: sp.Expr, activation: object, slope: object) -> Case:
    """A logistic classifier behind one or two hidden units."""
    f = sp.Add(*(V[a] * symbol(U[a]) for a in range(units)))
    kinks = tuple(U[:units]) if symbol is relu else ()
    loss = Loss(-Y * f + Softplus(f), units=units, readout_size=units, kinks=kinks)
    gradient, readout = brute.network(activation, slope, lambda y, t: brute.sigmoid(t) - y)

    def turns(v: np.ndarray) -> np.ndarray:
        # the output turns where units of opposite signs balance
        return np.concatenate([np.eye(units), v[None]])

    family = brute.Family(gradient, readout, turns)
    return Case(name, build(name, CROSS, loss), lambda: family, planar=units == 2)


def relu(u: sp.Expr) -> sp.Expr:
    """The ramp."""
    return sp.Max(u, 0)


@lru_cache(maxsize=1)
def cases() -> tuple[Case, ...]:
    """Everything that problems are drawn from."""
    hinge = Loss(relu(1 - U[0]) ** 2, units=1, kinks=(1 - U[0],))
    hinge_family = brute.Family(
        lambda u, y, v: -2 * np.maximum(0, 1 - u), brute.nothing, lambda v: np.ones((1, 1)), -1.0
    )

    def classes(k: int) -> brute.Family:
        return brute.Family(brute.softmax_gradient, brute.nothing, lambda v: brute.pairs_of(k))

    logistic = Loss(-Y * U[0] + Softplus(U[0]), units=1)
    found = [
        Case(
            "logistic",
            build("logistic", TWO_SIDES, logistic),
            lambda: one_unit(lambda u, y, v: brute.sigmoid(u) - y, [1.0]),
        ),
        Case(
            "sine",
            build("sine", TWO_SIDES, Loss(sp.sin(3 * U[0]), units=1)),
            lambda: brute.Family(
                lambda u, y, v: 3 * np.cos(3 * u),
                brute.nothing,
                lambda v: np.array([[3.0]]),
                0.0,
                1,
            ),
        ),
        Case("squared hinge", build("hinge", TWO_SIDES, hinge), lambda: hinge_family),
        steep(1),
        steep(100),
        network("one ramp", 1, relu, lambda u: np.maximum(u, 0), lambda u: (u > 0) * 1.0),
        network("one tanh", 1, sp.tanh, np.tanh, tanh_slope),
        Case("two classes", kgmm(2), lambda: classes(2)),
        Case("three classes", kgmm(3), lambda: classes(3), planar=True),
        network("two tanh", 2, sp.tanh, np.tanh, tanh_slope),
        network("two ramps", 2, relu, lambda u: np.maximum(u, 0), lambda u: (u > 0) * 1.0),
    ]
    return tuple(found)


def draw(case: Case, rng: np.random.Generator) -> brute.Problem:
    """A problem of the box: lambda 1e-3 .. 1e8, Q up to 1e4, conditions to 1e8, weights to 1e-9."""
    model = case.model
    r, c = model.directions, model.units
    size = 10.0 ** rng.uniform(-3, 2)
    m = rng.normal(size=(c, r)) * size * (rng.uniform(size=(c, 1)) < 0.9)
    root = rng.normal(size=(c, c))
    # condition numbers to 1e8, norms to 1e4, and now and then no part outside the means
    factor = root * 10.0 ** rng.uniform(-4, 0, size=c)
    perp = factor @ factor.T / np.linalg.norm(factor) ** 2
    perp = perp * 10.0 ** rng.uniform(-4, 4) * (rng.uniform() < 0.95)
    weights = rng.dirichlet(np.ones(model.components))
    if rng.uniform() < 0.2:
        weights = np.maximum(weights * 10.0 ** -rng.uniform(0, 9, size=weights.size), 1e-9)
        weights /= weights.sum()
    return brute.Problem(
        labels=np.array([float(y) for y in model.mixture.labels]),
        coordinates=np.array(model.mixture.coordinates.tolist(), dtype=float),
        weights=weights,
        precision=10.0 ** rng.uniform(-3, 8),
        ridge=rng.uniform(0, 5) * (rng.uniform() < 0.8),
        step=10.0 ** rng.uniform(-2, 1.7),
        overlap=m,
        gram=perp + m @ m.T,
        readout=rng.normal(size=model.readout_size) * 10.0 ** rng.uniform(-2, 1),
    )


def judge(case: Case, problem: brute.Problem, tolerance: float) -> Record:
    """Compare one problem."""
    model, r = case.model, case.model.directions
    compiled = compile_expressions(model, derive_drift(model, case.route).vector, "numpy")
    perp = problem.gram - problem.overlap @ problem.overlap.T
    # the difference is a Gram matrix only to rounding: the product is given one that is
    values, vectors = np.linalg.eigh(perp)
    perp = (vectors * np.maximum(values, 0)) @ vectors.T
    exact = brute.Problem(**{**vars(problem), "gram": perp + problem.overlap @ problem.overlap.T})
    parameters = Parameters(
        problem.weights, problem.precision, problem.ridge, problem.step, np.eye(r)
    )
    what, start = f"drift, {case.name}", perf_counter()
    try:
        found = compiled.estimate(
            parameters, State(problem.overlap, perp, problem.readout), tolerance=tolerance
        )
    except ArithmeticError as error:
        return Record.refused(what, error, str(problem), perf_counter() - start)
    seconds = perf_counter() - start
    family = case.family()
    nodes = (10, 13) if case.planar else (16, 20)
    coarse, fine = (flat(brute.drift(exact, family, n)) for n in nodes)
    size = 1 + np.abs(fine).max() + np.abs(perp).max() * (1 + problem.ridge)
    doubt = 3 * np.abs(fine - coarse) + 2e-13 * size
    error = np.abs(found.values - fine)
    # a truth that is not known is nobody's
    error[doubt > 1e-6 * size] = np.nan
    return Record(what, error, found.errors, "", f"{found.rule}, {problem}", seconds, doubt)


def flat(parts: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
    """A drift in the order of the state vector."""
    dm, dr, dv = parts
    return np.concatenate([dm.ravel(), dr[np.triu_indices(len(dr))], dv])


def calibrate_drifts(problems: int, seed: int, planar_share: float = 0.1) -> Iterator[Record]:
    """Draw problems and compare each; the planar ones are slow by brute force and rarer."""
    rng = np.random.default_rng(seed)
    plane = [case for case in cases() if case.planar]
    line = [case for case in cases() if not case.planar]
    for _ in range(problems):
        pool = plane if rng.uniform() < planar_share else line
        case = pool[int(rng.integers(len(pool)))]
        tolerance = 10.0 ** rng.uniform(-9, -3)
        yield judge(case, draw(case, rng), tolerance)

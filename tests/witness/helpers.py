"""Shared by the tests of the theory: an expectation evaluator, random parameters, canonical forms.

The evaluator uses no derived formula: it reads only the integrand and the law of an expectation
node.
"""

from __future__ import annotations

import os
import secrets
from collections import defaultdict
from functools import lru_cache
from importlib import import_module
from itertools import product
from pathlib import Path
from types import ModuleType

import mpmath
import numpy as np
import pytest
import sympy as sp

from theory import GaussianExpectation, Loss, Mixture, Model, Softplus, symbols
from theory.expectations.derived import find_expectations
from verify import Domain, strategies
from verify.random_points.floating import (
    parameters_at,
    random_cube_point,
    rational_values,
    state_at,
)

DIGITS = 50
ROOT = Path(__file__).resolve().parents[2]
REFERENCE_FOLDER = ROOT / "tests" / "reference"


def fresh_rng() -> np.random.Generator:
    """Generator from SPECALIGN_TEST_SEED, else from fresh entropy; the seed is printed to repeat a
    failure.
    """
    seed = int(os.environ.get("SPECALIGN_TEST_SEED") or secrets.randbits(64))
    print(f"SPECALIGN_TEST_SEED={seed}")
    return np.random.default_rng(seed)


def example(name: str) -> ModuleType:
    """The script examples/NAME.py as a module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "examples")  # where a script finds its neighbours
        return import_module(name)


# --- numeric expectation of a node ----------------------------------------------------------------


def mp_functions() -> dict:
    exp, log = mpmath.exp, mpmath.log

    @lru_cache(maxsize=16)
    def exponentials(*u):
        """Asked for by every component of one softmax; for one precision, as a table is."""
        values = [exp(a) for a in u]
        return values, mpmath.fsum(values)

    def softmax(a, *u):
        values, total = exponentials(*u)
        return values[int(a) - 1] / total

    return {
        "LogSumExp": lambda *u: log(exponentials(*u)[1]),
        "Softmax": softmax,
        "Softplus": lambda f: log(1 + exp(f)),
        "Sigmoid": lambda f: 1 / (1 + exp(-f)),
        "ReLU": lambda f: max(f, mpmath.mpf(0)),
        "Step": lambda f: mpmath.mpf(f > 0),
    }


_NP_FUNCTIONS = {
    "LogSumExp": lambda *u: np.log(sum(np.exp(a) for a in u)),
    "Softmax": lambda a, *u: np.exp(u[int(a) - 1]) / sum(np.exp(b) for b in u),
    "Softplus": lambda f: np.log1p(np.exp(f)),
    "Sigmoid": lambda f: 1 / (1 + np.exp(-f)),
    "ReLU": lambda f: np.maximum(f, 0.0),
    "Step": lambda f: (f > 0) * 1.0,
}


@lru_cache(maxsize=None)
def _hermite_mp(points: int) -> tuple[tuple, tuple]:
    """Nodes and weights of the standard normal law (Golub-Welsch) at DIGITS + 10 digits."""
    with mpmath.workdps(DIGITS + 10):
        jacobi = mpmath.matrix(points, points)
        for i in range(1, points):
            jacobi[i - 1, i] = jacobi[i, i - 1] = mpmath.sqrt(i)
        values, vectors = mpmath.eigsy(jacobi)
        return tuple(values), tuple(vectors[0, i] ** 2 for i in range(points))


def expectations_mp(nodes, values: dict, points: int) -> dict:
    """Tensor Gauss-Hermite values of ``nodes`` at DIGITS digits, as sympy.Float."""
    result = {}
    roots, weights = _hermite_mp(points)
    for law, group in _by_law(nodes).items():
        with mpmath.workdps(DIGITS + 10):
            mean, covariance, gram = _numbers(law, values)
            places = range(len(law.variables))
            factor = mpmath.cholesky(mpmath.matrix(covariance.tolist()))
            # u - mean and its whitened form: sums over the axes, of which each has few terms
            axes = [
                [[[root * rows[a, b] for root in roots] for b in places] for a in places]
                for rows in (factor, mpmath.inverse(mpmath.matrix(gram.tolist())) * factor)
            ]
            mean = [mpmath.mpmathify(mean[a]) for a in places]
            function = _compile(law, group, values, [mp_functions(), "mpmath"])
            at, rows = [], []
            for index in product(range(points), repeat=len(places)):
                shift, whitened = (
                    [mpmath.fsum(row[b][i] for b, i in enumerate(index)) for row in axis]
                    for axis in axes
                )
                at.append(mpmath.fprod(weights[i] for i in index))
                rows.append(function(*map(mpmath.fadd, mean, shift), *whitened))
            total = [mpmath.fdot(at, column) for column in zip(*rows, strict=True)]
            result |= {n: sp.Float(t, DIGITS) for n, t in zip(group, total, strict=True)}
    return result


def expectations_np(nodes, values: dict, points: int) -> dict:
    """The same in double precision, vectorised over the tensor grid."""
    result = {}
    roots, weights = np.polynomial.hermite_e.hermegauss(points)
    weights = weights / weights.sum()
    for law, group in _by_law(nodes).items():
        mean, covariance, gram = (np.array(m.tolist(), float) for m in _numbers(law, values))
        size = len(law.variables)
        grid = np.stack([g.ravel() for g in np.meshgrid(*[roots] * size, indexing="ij")])
        weight = np.prod(np.meshgrid(*[weights] * size, indexing="ij"), axis=0).ravel()
        shift = np.linalg.cholesky(covariance) @ grid
        u, w = mean.ravel()[:, None] + shift, np.linalg.inv(gram) @ shift
        outputs = _compile(law, group, values, [_NP_FUNCTIONS, "numpy"])(*u, *w)
        for node, output in zip(group, outputs, strict=True):
            result[node] = sp.Float(float(np.sum(weight * output)), 17)
    return result


def _by_law(nodes) -> dict:
    groups = defaultdict(list)
    for node in dict.fromkeys(nodes):
        groups[node.law].append(node)
    return groups


def _numbers(law, values):
    gram = law.gram.xreplace(values)
    covariance = gram / law.precision.xreplace(values)
    mean = sp.Matrix(list(law.mean)).xreplace(values)
    return tuple(m.evalf(DIGITS + 10) for m in (mean, covariance, gram))


def _compile(law, group, values, modules):
    bound = [*law.variables, *law.whitened]
    outer = {s: v for s, v in values.items() if s not in law.bound}
    label = {symbols.LABEL: law.label}
    integrands = [n.general_integrand.xreplace(label).xreplace(outer) for n in group]
    return sp.lambdify(bound, integrands, modules, cse=True)


def evaluate(expression, values: dict, table: dict) -> sp.Expr:
    """Number of an expression, given its parameters and the table of its expectations."""
    return sp.N(sp.sympify(expression).xreplace({**table, **values}), DIGITS)


def numbers_at(derived, values: dict, points: int):
    """The derived object with every expression evaluated, expectations by ``points`` nodes a
    dimension.
    """
    table = expectations_np(derived.expectations(), values, points)
    return derived.map(lambda e: evaluate(e, values, table))


def evaluate_array(matrix, values: dict, points: int) -> np.ndarray:
    """Double-precision numbers of a matrix of expressions."""
    matrix = sp.Matrix(matrix)
    nodes = [n for e in matrix for n in find_expectations(e)]
    table = expectations_np(nodes, values, points)
    return np.array(matrix.applyfunc(lambda e: evaluate(e, values, table)).tolist(), float)


def linearise(expression: sp.Expr) -> sp.Expr:
    """Write every expectation as a combination of expectations of monomials, and expand."""

    def split(node):
        terms = []
        for term in sp.Add.make_args(sp.expand(node.general_integrand)):
            constant, rest = term.as_independent(*node.law.bound, as_Add=False)
            terms.append(constant * GaussianExpectation(rest, node.law))
        return sp.Add(*terms)

    return sp.expand(
        sp.sympify(expression).replace(lambda e: isinstance(e, GaussianExpectation), split)
    )


def random_exact_values(model: Model, rng, *, precision: int, scale: int = 1) -> dict:
    """Random rational, admissible and consistent parameters, bounded for every seed
    (verify.random_points.floating).
    """

    def number(low, high):
        return sp.Rational(int(rng.integers(round(100 * low), round(100 * high) + 1)), 100)

    return rational_values(model, number, precision=precision, scale=scale)


def random_problem(model: Model, rng, domain: Domain | None = None):
    """A uniformly random draw from where strategies.problems draws: for statistical tests, which
    need one law.
    """
    point, domain = random_cube_point(model, rng), domain or Domain()
    return parameters_at(model, point, domain), state_at(model, point, domain)


def two_layer_model() -> Model:
    """f = v_1 tanh(u_1) + v_2 tanh(u_2) under the logistic loss; 4 components in the span of 3
    directions.
    """
    u, v = symbols.vector("u", 2), symbols.vector("v", 2)
    f = v[0] * sp.tanh(u[0]) + v[1] * sp.tanh(u[1])
    mixture = Mixture.build(
        labels=[0, 1, 1, 0], coordinates=[[1, 0, 0], [-1, 0, 1], [0, 1, 0], ["1/2", -1, 0]]
    )
    return Model.build(
        mixture, Loss(Softplus(f) - symbols.LABEL * f, units=2, readout_size=2), name="twolayer"
    )


def largest_difference_mp(left, right, values: dict, points: int) -> tuple[sp.Float, sp.Float]:
    """Return (max |left - right|, max |left|) over the expressions of two derived objects, at
    DIGITS digits.
    """
    pairs = list(zip(left.expressions(), right.expressions(), strict=True))
    nodes = [n for pair in pairs for e in pair for n in find_expectations(e)]
    table = expectations_mp(nodes, values, points)
    numbers = [(evaluate(a, values, table), evaluate(b, values, table)) for a, b in pairs]
    return max(abs(a - b) for a, b in numbers), max(abs(a) for a, _ in numbers)


def route_values(model: Model):
    """Exact values at which :func:`route_difference_mp` compares."""
    return strategies.rational_parameters(model, precision=200 if model.units == 2 else 1000)


def route_difference_mp(derive, model: Model, values: dict) -> tuple[sp.Float, sp.Float]:
    """Compare the two routes of ``derive`` at :func:`route_values`.

    Precision and nodes are paired so that the quadrature error is far below 1e-12 for all of them:
    Gauss-Hermite on n nodes errs by about n! / a^(2n), a the distance of the nearest pole in
    standard deviations.  Softmax has poles where a difference of pre-activations is i pi; its
    variance is at most 4 max Q / lambda <= 9 / lambda, so that a^2 >= lambda: 1e-14 and 1e-13.
    """
    points = 8 if model.units == 2 else 5
    return largest_difference_mp(
        derive(model, "stein"), derive(model, "projection"), values, points
    )


def evaluate_elementary(expressions, values: dict) -> list:
    """Numbers at DIGITS digits of many large expressions without expectations, as compiled mpmath
    code.
    """
    expressions = [sp.sympify(e) for e in expressions]
    names = sorted(frozenset().union(*(e.free_symbols for e in expressions)), key=str)
    function = sp.lambdify(names, expressions, [mp_functions(), "mpmath"], cse=True)
    with mpmath.workdps(DIGITS + 10):
        numbers = [mpmath.mpf(values[s].p) / values[s].q for s in names]  # exact rationals only
        return [sp.Float(mpmath.mpf(x), DIGITS) for x in function(*numbers)]

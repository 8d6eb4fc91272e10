r"""Claims about the noiseless fixed point, and about eigenvalues of blocks there.

Digits: the fixed point is solved to fifty digits at random ridge and weights, and both sides are
evaluated there. Sampling, here: the regularized risk of the class means, from the loss in
elementary functions, is minimized in double precision; neither the drift nor a closed form enters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import mpmath
import numpy as np
import scipy.optimize
import sympy as sp

from numerics.expectations.certified_double import array_functions
from theory import (
    InputError,
    Model,
    noiseless,
    separated_fixed_point,
    solve_noiseless_fixed_point,
    symbols,
)
from theory.fixed_points.existing_clusters import CLUSTERS
from theory.fixed_points.implicit import softmax_fixed_point
from theory.problem.kinks import ALMOST_EVERYWHERE
from theory.problem.xor import COORDINATES
from verify.claims.language.vocabulary import Vocabulary
from verify.claims.raw.loss import RawLoss
from verify.claims.repair.repair import Mender, nearest_change
from verify.claims.stages.digits import number_of
from verify.claims.stages.symbolic import prove_equal

from .judgement import Claim, Counterexample, Finding, Stage, Status, Verdict
from .quantities import EIGENVALUE, HESSIAN, block_matrix

DIGITS = 50
POINTS = 2
# the minimum is found to about 1e-9; a claim that is off by less than this is not told from it
RESOLUTION = 1e-6
Values = dict[sp.Symbol, sp.Expr]


@dataclass(frozen=True)
class FixedCase:
    """One entry: what is claimed and what it is for, in the symbols of the state."""

    name: str
    claimed: sp.Expr
    left: sp.Expr | None
    block: tuple[tuple[int, ...], int] | None = None


def fixed_cases(claim: Claim, solve: bool = True) -> list[FixedCase]:
    """All entries of a claim; with ``solve`` a fixed point that cannot be found is refused too.

    Raises
    ------
    theory.InputError
        A formula that means nothing for the model, or a fixed point that is not known.
    """
    model, quantity = claim.model, claim.quantity
    gaps = not model.readout_size
    vocabulary = Vocabulary(model, gaps=gaps)
    found = []
    for bindings in quantity.instances(model):
        claimed = (
            vocabulary.read(claim.formula, claim.text, bindings) if claim.is_text else claim.formula
        )
        if quantity.kind == EIGENVALUE:
            target = quantity.target(model, bindings)
            units = tuple(int(i) for i in target.parts[0][1] if i != "v")
            number = int(target.parts[1][1][0])
            size = model.directions if units else model.readout_size
            if units and not model.loss.is_smooth:
                raise InputError(
                    "quantity",
                    f"{quantity.entry!r} of {model.name}",
                    "H_v[n] for a loss with kinks",
                    "its first-layer blocks at a fixed point depend on the share of active samples",
                )
            if not 0 <= number < size:
                raise InputError(
                    "quantity", quantity.entry, f"an eigenvalue 1..{size}", "count from the largest"
                )
            found.append(FixedCase(quantity.name(bindings), claimed, None, (units, number)))
        else:
            assert quantity.left is not None
            found.append(
                FixedCase(
                    quantity.name(bindings),
                    claimed,
                    vocabulary.read(quantity.left, quantity.entry, bindings),
                )
            )
    for case in found:
        _check_symbols(claim, case)
    if solve:
        _solve(model, _draw(model, np.random.default_rng(0)), 15)
    return found


def _check_symbols(claim: Claim, case: FixedCase) -> None:
    """Refuse what has no value at a fixed point without noise."""
    model = claim.model
    s = model.symbols
    known = {
        *s.overlap,
        *s.gram_perp,
        *s.readout,
        *symbols.vector("s", model.units, positive=True),
        model.ridge,
        *model.mixture.weights,
        *model.mixture.directions_gram,
    }
    for where, expression in (("claim", case.claimed), ("quantity", case.left)):
        for symbol in sorted(sp.sympify(expression or 0).free_symbols - known, key=str):
            raise InputError(
                where,
                f"{symbol} in a claim about the noiseless fixed point",
                "overlaps, readout, gaps, weights, the ridge and Gamma",
                "lambda is infinite there; claim a limit of the drift with order = 0 instead"
                if symbol == symbols.PRECISION
                else "leave it out",
            )


def judge_fixed_point(claim: Claim, rng: np.random.Generator) -> Verdict:
    """Exact substitution, fifty digits, and the minimum of the raw risk."""
    cases = fixed_cases(claim)
    wrong: tuple[FixedCase, Values, Any, Any] | None = None
    raw_wrong, largest = "", 0.0
    for _ in range(POINTS):
        values = _draw(claim.model, rng)
        state = _solve(claim.model, values, DIGITS)
        raw_state = _minimize(claim.model, values)
        for case in cases:
            one, two = (
                _evaluate(claim, case, side, {**values, **state}) for side in ("claimed", "left")
            )
            if wrong is None and not _close(one, two):
                wrong = case, values, one, two
            raw_one, raw_two = (
                _evaluate(claim, case, side, {**values, **raw_state}, raw=True)
                for side in ("claimed", "left")
            )
            gap = abs(float(raw_one - raw_two)) / (1 + abs(float(raw_two)))
            largest = max(largest, gap)
            if not gap <= RESOLUTION:
                raw_wrong = (
                    raw_wrong
                    or f"{case.name}: {float(raw_one):.8g} is claimed, {float(raw_two):.8g} is found"
                )
    sampling = Stage(
        "sampling",
        Status.REFUTED if raw_wrong else Status.AGREES,
        (raw_wrong or f"agrees to {largest:.1g}")
        + f" at the minimum of the raw risk, {POINTS} sets of parameters",
        {"smallest_detectable": RESOLUTION},
    )
    example, difference, repair = None, "", ""
    if wrong is None:
        digits = Stage(
            "digits", Status.AGREES, f"agrees to {DIGITS - 5} digits at {POINTS} fixed points", {}
        )
        symbolic = _symbolic(claim, cases)
    else:
        case, values, one, two = wrong
        with mpmath.workdps(DIGITS):
            difference = mpmath.nstr(one - two, 12)
        digits = Stage(
            "digits", Status.REFUTED, f"{case.name}: claimed - derived = {difference}", {}
        )
        symbolic = Stage("symbolic", Status.UNPROVED, "not attempted: the numbers differ")
        example = Counterexample(
            case.name,
            claim.model.name,
            {str(k): str(v) for k, v in values.items()},
            mpmath.nstr(one, 12),
            mpmath.nstr(two, 12),
        )
        repair = _repair(claim, case, values)
    if (wrong is None) != (not raw_wrong):
        finding = Finding.CONTRADICTORY
    elif wrong is not None:
        finding = Finding.REFUTED
    else:
        finding = Finding.PROVED if symbolic.status is Status.PROVED else Finding.AGREES
    return finding, [symbolic, digits, sampling], example, difference, repair


def _repair(claim: Claim, case: FixedCase, values: Values) -> str:
    """A change after which the claim holds at the fixed point."""
    at = {**values, **_solve(claim.model, values, DIGITS)}
    index = [c.name for c in fixed_cases(claim)].index(case.name)

    def same(one: FixedCase, right: Any) -> bool:
        return _close(_evaluate(claim, one, "claimed", at), right)

    right = _evaluate(claim, case, "left", at)
    return nearest_change(
        claim,
        case.claimed,
        None,
        Mender(
            lambda changed: fixed_cases(changed, solve=False)[index].claimed,
            lambda expressions: [same(replace(case, claimed=e), right) for e in expressions],
            lambda expression: same(replace(case, claimed=expression), right),
            lambda changed: all(
                same(c, _evaluate(claim, c, "left", at)) for c in fixed_cases(changed, solve=False)
            ),
        ),
        case.name,
    )


def _close(one: Any, two: Any) -> bool:
    with mpmath.workdps(DIGITS):
        return bool(abs(one - two) <= (abs(one) + abs(two) + 1) * mpmath.mpf(10) ** (5 - DIGITS))


def _symbolic(claim: Claim, cases: list[FixedCase]) -> Stage:
    """The unknowns replaced by what solves the equations, where that is known in closed form."""
    model = claim.model
    try:
        solved, identity = _closed_form(model)
    except InputError as error:
        return Stage("symbolic", Status.UNPROVED, f"no closed form: {error.expected}")
    for case in cases:
        if case.left is None:
            return Stage("symbolic", Status.UNPROVED, "eigenvalues are compared as numbers")
        one, two = (
            _logarithms(sp.expand(sp.sympify(e).xreplace(solved)))
            for e in (case.claimed, case.left)
        )
        if not prove_equal(one, two, model).proved:
            return Stage(
                "symbolic",
                Status.UNPROVED,
                f"{case.name}: the identities tried do not bring it to zero",
            )
    return Stage(
        "symbolic",
        Status.PROVED,
        f"claimed - derived = 0 by {identity}",
        {"identities": [identity]},
    )


def _closed_form(model: Model) -> tuple[dict[sp.Symbol, sp.Expr], str]:
    s = model.symbols
    if model.readout_size:
        point = _separated(model)
        found: dict[sp.Symbol, sp.Expr] = {}
        for l, square in point.squared_norms.items():
            for i in point.members[l]:
                found[s.readout[i]] = point.sign(l) * sp.sqrt(square / len(point.members[l]))
        overlap = point.overlap.xreplace(found)
        return found | dict(zip(s.overlap, overlap, strict=True)), "the separated fixed point"
    implicit = softmax_fixed_point(model)
    found = dict(zip(s.overlap, implicit.overlap, strict=True))
    for l, weight in enumerate(model.mixture.weights):
        if not weight.is_Symbol:
            return found, "the implicit fixed point"
        # the residual is linear in the weight
        found[weight] = sp.solve(implicit.residuals[l], weight)[0]
    return found, "the equation of the gaps"


def _logarithms(e: sp.Expr) -> sp.Expr:
    """Logarithms of products of positive numbers as sums."""
    return sp.expand(
        e.replace(
            lambda x: isinstance(x, sp.log),
            lambda x: sp.expand_log(sp.log(sp.factor(x.args[0])), force=True),
        )
    )


def _draw(model: Model, rng: np.random.Generator) -> Values:
    """Ridge, weights and Gram matrix for which the fixed point exists: 2 beta < p_l."""
    values: Values = {}
    if model.ridge.is_Symbol:
        values[model.ridge] = sp.Rational(int(rng.integers(20, 61)), 1000)
    weights = model.mixture.weights
    if weights[0].is_Symbol:
        raw = [int(rng.integers(80, 121)) for _ in weights]
        values |= {p: sp.Rational(x, sum(raw)) for p, x in zip(weights, raw, strict=True)}
    gram = model.mixture.directions_gram
    for i, j in symbols.upper_triangle(model.directions):
        if gram[i, j].is_Symbol:
            values[gram[i, j]] = (
                sp.Integer(1) if i == j else sp.Rational(int(rng.integers(-20, 21)), 100)
            )
    return values


def _separated(model: Model):  # type: ignore[no-untyped-def]
    return separated_fixed_point(model, [CLUSTERS[i % len(CLUSTERS)] for i in range(model.units)])


def _solve(model: Model, values: Values, digits: int) -> Values:
    """Overlaps, readout and gaps at the fixed point."""
    s = model.symbols
    if model.readout_size:
        closed, _ = _closed_form(model)
        return {x: sp.N(e.xreplace(values), digits + 5) for x, e in closed.items()}
    found: Values = dict(solve_noiseless_fixed_point(model, values, digits=digits + 5))
    return found | _gaps(model, found) | {x: sp.Integer(0) for x in s.gram_perp}


def _gaps(model: Model, state: Mapping[sp.Symbol, sp.Expr]) -> Values:
    """s_l = m_ll - m_al, the same for every a other than l where the means are orthonormal."""
    m, k = model.symbols.overlap, model.units
    if model.directions != k or k < 2:
        return {}
    return {
        gap: state[m[l, l]] - state[m[(l + 1) % k, l]]
        for l, gap in enumerate(symbols.vector("s", k, positive=True))
    }


def _evaluate(claim: Claim, case: FixedCase, side: str, at: Values, raw: bool = False) -> Any:
    model = claim.model
    with mpmath.workdps(DIGITS + 5):
        if side == "left" and case.block is not None:
            units, number = case.block
            matrix = _raw_block(model, units, at) if raw else _derived_block(claim, units, at)
            eigenvalues = sorted(
                mpmath.eigsy(mpmath.matrix(matrix.tolist()), eigvals_only=True), reverse=True
            )
            return eigenvalues[number]
        expression = case.claimed if side == "claimed" else case.left
        return number_of(sp.N(sp.sympify(expression).xreplace(at).rewrite(sp.exp), DIGITS + 5))


def _derived_block(claim: Claim, units: tuple[int, ...], at: Values) -> sp.Matrix:
    """The noiseless block on the directions, in orthonormal coordinates; ridge included."""
    model = claim.model
    blocks = block_matrix(model, HESSIAN, True)
    if not units:
        return sp.Matrix(noiseless_numbers(blocks.readout, at))
    block, r = blocks.block(*units), model.directions
    inner = sp.Matrix(noiseless_numbers(block.coefficients[:r, :r], at))
    root = sp.Matrix(_root(model, at))
    ridge = at.get(model.ridge, model.ridge) if units[0] == units[1] else sp.Integer(0)
    return root.T * inner * root + ridge * sp.eye(r)


def noiseless_numbers(matrix: sp.MatrixBase, at: Values) -> list[list[sp.Expr]]:
    """Entries in the noiseless limit, as numbers."""
    return [
        [
            sp.N(noiseless(matrix[i, j]).xreplace(at).rewrite(sp.exp), DIGITS + 5)
            for j in range(matrix.cols)
        ]
        for i in range(matrix.rows)
    ]


def _root(model: Model, at: Values) -> sp.Matrix:
    """The lower Cholesky factor of the Gram matrix: rows are the directions."""
    return sp.Matrix(model.mixture.directions_gram.xreplace(at)).cholesky()


# --- the raw risk ---------------------------------------------------------------------------------


def _raw_parts(
    model: Model, values: Mapping[sp.Symbol, sp.Expr]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Directions as rows, means, weights and ridge as numbers."""
    e = np.array(_root(model, dict(values)).tolist(), dtype=float)
    means = np.array(model.mixture.coordinates.tolist(), dtype=float) @ e
    weights = np.array([float(sp.sympify(p).xreplace(values)) for p in model.mixture.weights])
    return e, means, weights, float(sp.sympify(model.ridge).xreplace(values))


def _minimize(model: Model, values: Values) -> Values:
    """The minimum of sum_l p_l l(y_l; x mu_l, v) + beta/2 (|x|^2 + |v|^2), from the loss alone."""
    c, q, raw = model.units, model.readout_size, RawLoss(model)
    e, means, weights, beta = _raw_parts(model, values)
    expressions = [raw.expression, *(raw.partial((i,)) for i in range(len(raw.variables)))]
    # one function a component: its label is a number in it
    functions = [
        sp.lambdify(
            raw.variables,
            [f.xreplace({symbols.LABEL: y}) for f in expressions],
            [array_functions(), "numpy"],
        )
        for y in model.mixture.labels
    ]

    def risk(theta: np.ndarray) -> tuple[float, np.ndarray]:
        x, v = theta[: c * len(e)].reshape(c, -1), theta[c * len(e) :]
        u = means @ x.T
        out = np.array([f(*u[l], *v) for l, f in enumerate(functions)], dtype=float).T
        gradient = [np.tensordot(weights * out[1 + a], means, 1) for a in range(c)]
        slope = (
            np.concatenate([np.ravel(gradient), [weights @ o for o in out[1 + c :]]]) + beta * theta
        )
        return float(weights @ out[0] + beta / 2 * theta @ theta), slope

    if q:
        picked = [i % len(CLUSTERS) for i in range(c)]
        start = np.array(COORDINATES, dtype=float)[picked] @ e
        labels_of = np.array([float(model.mixture.labels[l]) for l in picked])
        theta = np.concatenate([start.ravel(), np.where(labels_of == 1, 1.0, -1.0)])
    else:
        theta = 0.1 * means[:c].ravel() if len(means) >= c else np.zeros(c * len(e))
    found = scipy.optimize.minimize(
        risk, theta, jac=True, method="BFGS", options={"gtol": 1e-11, "maxiter": 5_000}
    )
    x, v = found.x[: c * len(e)].reshape(c, -1), found.x[c * len(e) :]
    overlap = x @ e.T
    s = model.symbols
    state: Values = {
        s.overlap[a, j]: sp.Float(float(overlap[a, j]), 17)
        for a in range(c)
        for j in range(model.directions)
    }
    state |= {name: sp.Float(float(value), 17) for name, value in zip(s.readout, v, strict=True)}
    return state if q else state | _gaps(model, state)


def _raw_block(model: Model, units: tuple[int, ...], at: Values) -> sp.Matrix:
    """sum_l p_l h_l mu_l mu_l^T + beta, or the second layer, from second derivatives of the raw
    loss.
    """
    raw, c = RawLoss(model), model.units
    e, means, weights, beta = _raw_parts(model, at)
    overlap = np.array([[float(at[x]) for x in row] for row in model.symbols.overlap.tolist()])
    u = np.array(model.mixture.coordinates.tolist(), dtype=float) @ overlap.T

    def second(i: int, j: int) -> np.ndarray:
        f = raw.partial((i, j), ALMOST_EVERYWHERE)
        v = [float(at[x]) for x in model.symbols.readout]
        functions = [
            sp.lambdify(raw.variables, f.xreplace({symbols.LABEL: y}), [array_functions(), "numpy"])
            for y in model.mixture.labels
        ]
        return np.array([float(function(*u[l], *v)) for l, function in enumerate(functions)])

    if not units:
        size = model.readout_size
        rows = [
            [float(weights @ second(c + i, c + j)) + beta * (i == j) for j in range(size)]
            for i in range(size)
        ]
        return sp.Matrix(rows)
    h = weights * second(*units)
    total = (means.T * h) @ means + beta * (units[0] == units[1]) * np.eye(len(e))
    return sp.Matrix(total.tolist())

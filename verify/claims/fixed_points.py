r"""Claims about the noiseless fixed point, and about eigenvalues of blocks there.

Digits: the fixed point is solved to fifty digits at random ridge and weights, and both sides are
evaluated there. Sampling, here: the regularized risk of the class means, from the loss in
elementary functions, is minimized in double precision; neither the drift nor a closed form enters.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import mpmath
import numpy as np
import sympy as sp

from theory import (
    InputError,
    Model,
    ReLU,
    Softmax,
    Step,
    noiseless,
    separated_fixed_point,
    solve_noiseless_fixed_point,
    symbols,
)
from theory.fixed_points.implicit import softmax_fixed_point
from theory.names import CLUSTERS
from theory.problem.cross_entropy import softmax_cross_entropy
from verify.claims.language.vocabulary import Vocabulary
from verify.claims.raw.risk import Values, class_gaps, gram_root, minimize_risk, raw_block
from verify.claims.repair.repair import Mender, nearest_change
from verify.claims.signs.exclusion import is_impossible
from verify.claims.stages.evaluation import number_of
from verify.claims.stages.regions import Sides, cuts_of, describe
from verify.claims.stages.small_terms import smallest_term, terms_of
from verify.claims.stages.symbolic import prove_equal
from verify.random_points.fixed_points import parameter_draws

from .cluster_norms import cluster_of, written_norms
from .judgement import Claim, Counterexample, Stage, Status
from .quantities import EIGENVALUE, HESSIAN, block_matrix
from .stage_verdicts import Explanation

DIGITS = 50
# the minimum is found to about 1e-9; a claim that is off by less than this is not told from it
RESOLUTION = 1e-6


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
    vocabulary, inner = Vocabulary(model, gaps=gaps), model.gram_definition()
    found = []
    for bindings in quantity.instances(model):
        claimed = claim.formula
        if claim.is_text:
            tree = written_norms(claim.formula, bindings, model)
            claimed = vocabulary.read(tree, claim.text, bindings).xreplace(inner)
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
                    vocabulary.read(
                        written_norms(quantity.left, bindings, model), quantity.entry, bindings
                    ).xreplace(inner),
                )
            )
    for case in found:
        _check_symbols(claim, case)
    if solve:
        _solve(model, parameter_draws(model, np.random.default_rng(0))[0], 15)
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


# entry, parameters, and both values
Wrong = tuple[FixedCase, Values, Any, Any]


@dataclass
class FixedPointClaim:
    """Exact substitution, fifty digits, and the minimum of the raw risk."""

    claim: Claim
    rng: np.random.Generator
    cases: list[FixedCase] = field(init=False)
    draws: list[Values] = field(init=False)

    def __post_init__(self) -> None:
        self.cases = fixed_cases(self.claim)
        self.draws = parameter_draws(self.claim.model, self.rng)

    def without_value(self) -> str:
        return ""

    def compare(self) -> tuple[Stage, Wrong | None]:
        points = [{**v, **_solve(self.claim.model, v, DIGITS)} for v in self.draws]
        for values, at in zip(self.draws, points, strict=True):
            for case in self.cases:
                one, two = self._both(case, at)
                if not _close(one, two):
                    text = f"{case.name}: claimed - derived = {_difference(one, two)}"
                    return Stage("digits", Status.REFUTED, text), (case, values, one, two)
        text = f"agrees to {DIGITS - 5} digits at {len(points)} fixed points"
        if hidden := next(filter(None, (self._hidden(c, points) for c in self.cases)), ""):
            return Stage("digits", Status.INCONCLUSIVE, f"{text}; {hidden}"), None
        return Stage("digits", Status.AGREES, text), None

    def _hidden(self, case: FixedCase, points: list[Values]) -> str:
        """Sides of kinks and terms that were not seen at any fixed point."""
        both = [sp.sympify(e) for e in (case.claimed, case.left) if e is not None]
        kinks = [f for e in both for f in e.atoms(ReLU, Step, sp.Abs, sp.sign)]
        sides = Sides(cuts_of(kinks))
        for at in points:
            sides.visit({**at, **{s: 0 for s in sides.names if s not in at}})
        left = [describe(s) for s in sides.unvisited() if not is_impossible(None, s)]
        if left:
            return f"no fixed point was looked at where {' or '.join(left[:3])}"
        least, small = mpmath.mpf(10) ** (10 - DIGITS), []
        for term in terms_of(both[0] - sp.Add(*both[1:])):
            alone = replace(case, claimed=term)
            if all(abs(_evaluate(self.claim, alone, "claimed", at)) < least for at in points):
                small.append(term)
        return smallest_term(small) if small else ""

    def _both(self, case: FixedCase, at: Values, raw: bool = False) -> tuple[Any, Any]:
        """What is claimed and what is there."""
        return (
            _evaluate(self.claim, case, "claimed", at, raw),
            _evaluate(self.claim, case, "left", at, raw),
        )

    def prove(self) -> Stage:
        """Unknowns are replaced by what solves their equations, where a closed form is known."""
        model = self.claim.model
        try:
            solved, identity = _closed_form(model)
        except InputError as error:
            return Stage("symbolic", Status.UNPROVED, f"no closed form: {error.expected}")
        for case in self.cases:
            if case.left is None:
                return Stage("symbolic", Status.UNPROVED, "eigenvalues are compared as numbers")
            one, two = (
                _logarithms(sp.expand(sp.sympify(e).xreplace(solved | _across(model))))
                for e in (case.claimed, case.left)
            )
            if not prove_equal(one, two, model).proved:
                text = f"{case.name}: the identities tried do not bring it to zero"
                return Stage("symbolic", Status.UNPROVED, text)
        details = {"identities": [identity]}
        return Stage("symbolic", Status.PROVED, f"claimed - derived = 0 by {identity}", details)

    def sample(self, wrong: Wrong | None) -> tuple[Stage, bool]:
        refuted, largest = "", 0.0
        for values in self.draws:
            at = {**values, **minimize_risk(self.claim.model, values), **_across(self.claim.model)}
            for case in self.cases:
                one, two = map(float, self._both(case, at, raw=True))
                gap = _gap(one, two)
                largest = max(largest, gap)
                if not gap <= RESOLUTION and not refuted:
                    refuted = f"{case.name}: {one:.8g} is claimed, {two:.8g} is found"
        where = f"at the minimum of the raw risk, {len(self.draws)} sets of parameters"
        text = f"{refuted or f'agrees to {largest:.1g}'} {where}"
        status = Status.REFUTED if refuted else Status.AGREES
        details = {"smallest_detectable": RESOLUTION}
        # a difference below the resolution is not missed, it cannot be seen
        visible = wrong is not None and _gap(wrong[2], wrong[3]) > 2 * RESOLUTION
        return Stage("sampling", status, text, details), visible and not refuted

    def explain(self, wrong: Wrong) -> Explanation:
        case, values, one, two = wrong
        shown = {str(k): str(v) for k, v in values.items()}
        numbers = (mpmath.nstr(x, 12) for x in (one, two))
        example = Counterexample(case.name, self.claim.model.name, shown, *numbers)
        return Explanation(example, _difference(one, two), self._repair(case, values))

    def _repair(self, case: FixedCase, values: Values) -> str:
        """A change after which the claim holds at the fixed point."""
        claim = self.claim
        at = {**values, **_solve(claim.model, values, DIGITS)}
        index = [c.name for c in fixed_cases(claim)].index(case.name)
        right = _evaluate(claim, case, "left", at)

        def same(expression: sp.Expr) -> bool:
            changed = replace(case, claimed=expression)
            return _close(_evaluate(claim, changed, "claimed", at), right)

        points = [at, *({**v, **_solve(claim.model, v, DIGITS)} for v in self.draws if v != values)]

        def mends_all(changed: Claim) -> bool:
            cases = fixed_cases(changed, solve=False)
            return all(_close(*self._both(c, point)) for point in points for c in cases)

        mender = Mender(
            lambda changed: fixed_cases(changed, solve=False)[index].claimed,
            lambda expressions: [same(e) for e in expressions],
            same,
            mends_all,
        )
        return nearest_change(claim, case.claimed, None, mender, case.name)


def _gap(one: Any, two: Any) -> float:
    return float(abs(one - two) / (1 + abs(two)))


def _difference(one: Any, two: Any) -> str:
    with mpmath.workdps(DIGITS):
        return str(mpmath.nstr(one - two, 12))


def _close(one: Any, two: Any) -> bool:
    with mpmath.workdps(DIGITS):
        return bool(abs(one - two) <= (abs(one) + abs(two) + 1) * mpmath.mpf(10) ** (5 - DIGITS))


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
    k = model.units
    if model.loss == softmax_cross_entropy(k) and model.mixture.directions_gram != sp.eye(k):
        return _correlated(model), "the equations of the fixed point"
    implicit = softmax_fixed_point(model)
    found = dict(zip(s.overlap, implicit.overlap, strict=True))
    for l, weight in enumerate(model.mixture.weights):
        if not weight.is_Symbol:
            return found, "the implicit fixed point"
        # the residual is linear in the weight
        found[weight] = sp.solve(implicit.residuals[l], weight)[0]
    return found, "the equation of the gaps"


def _correlated(model: Model) -> dict[sp.Symbol, sp.Expr]:
    """What the equations beta m = sum_l p_l (delta_al - pi_a(m_.l)) Gamma_ls give in closed form,
    whatever Gamma is: columns of m sum to 0, for beta > 0, and they are linear in the weights.
    """
    if model.mixture.coordinates != sp.eye(model.units):
        raise InputError("model", model.name, "means that are the directions", "compare numbers")
    k, m = model.units, model.symbols.overlap
    last = {m[k - 1, s]: -sp.Add(*(m[a, s] for a in range(k - 1))) for s in range(k)}
    overlap = sp.Matrix(m).xreplace(last)
    along = overlap * model.mixture.directions_gram.inv()
    found: dict[sp.Symbol, sp.Expr] = dict(last)
    for l, gap in enumerate(symbols.vector("s", k, positive=True)):
        found[gap] = overlap[l, l] - overlap[(l + 1) % k, l]
    for l, weight in enumerate(model.mixture.weights):
        if weight.is_Symbol:
            missing = 1 - Softmax(l + 1, *overlap[:, l])
            found[weight] = model.ridge * along[l, l] / missing
    return found


def _logarithms(e: sp.Expr) -> sp.Expr:
    """Logarithms of products of positive numbers as sums."""
    return sp.expand(
        e.replace(
            lambda x: isinstance(x, sp.log),
            lambda x: sp.expand_log(sp.log(sp.factor(x.args[0])), force=True),
        )
    )


def _separated(model: Model):  # type: ignore[no-untyped-def]
    return separated_fixed_point(model, [CLUSTERS[cluster_of(i)] for i in range(model.units)])


def _solve(model: Model, values: Values, digits: int) -> Values:
    """Overlaps, readout and gaps at the fixed point."""
    if model.readout_size:
        closed, _ = _closed_form(model)
        solved = {x: sp.N(e.xreplace(values), digits + 5) for x, e in closed.items()}
        return solved | _across(model)
    found: Values = dict(solve_noiseless_fixed_point(model, values, digits=digits + 5))
    return found | class_gaps(model, found) | _across(model)


def _across(model: Model) -> Values:
    """No weight has a part across the directions: there the risk is its ridge alone."""
    return {x: sp.Integer(0) for x in model.symbols.gram_perp}


def _evaluate(claim: Claim, case: FixedCase, side: str, at: Values, raw: bool = False) -> Any:
    model = claim.model
    with mpmath.workdps(DIGITS + 5):
        if side == "left" and case.block is not None:
            units, number = case.block
            matrix = raw_block(model, units, at) if raw else _derived_block(claim, units, at)
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
    root = sp.Matrix(gram_root(model, at))
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

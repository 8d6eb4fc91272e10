"""Where a loss is no real, finite, differentiable function: looked for before anything is derived.

A loss is integrated over all real pre-activations.  Roots, logarithms, inverse trigonometric
functions and quotients may leave the real numbers or reach infinity on the way; a root of a square
hides a kink.  What SymPy's assumptions do not settle is searched for numerically, at points that
are the same every time: a point found is shown, and nothing is refused without one.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence

import sympy as sp

from theory import symbols
from theory.errors import InputError
from theory.problem.relu_step import ReLU, Step
from theory.problem.softmax import LogSumExp, Softmax
from theory.problem.softplus_sigmoid import Sigmoid, Softplus

# finite with all derivatives at every real argument, kinks apart
_ENTIRE = (
    *(sp.exp, sp.sin, sp.cos, sp.sinh, sp.cosh, sp.tanh, sp.sech, sp.atan, sp.asinh),
    *(sp.erf, sp.erfc, sp.KroneckerDelta, sp.DiracDelta),
    *(ReLU, Step, Softplus, Sigmoid, LogSumExp, Softmax),
)
# points at which a function is tried, and settings of readout and label for which it must fail at
# some point before the loss is refused: the state may keep a readout parameter positive
POINTS, SETTINGS = 60, 4
LABELS = (1, 0, -1, 2)
# a base this small beside its size at the points tried touches zero; the search halves its step
# this often
TOUCHES, HALVINGS = 1e-9, 50
SETTLED, FAR = 1e-6, 20
# Q_aa
_NORM = re.compile(r"Q_(\d+)_\1")


def check_domain(
    expression: sp.Expr, slopes: Sequence[sp.Expr], variables: Sequence[sp.Symbol]
) -> None:
    """Refuse a loss that is not real, finite and differentiable at all pre-activations.

    Parameters
    ----------
    expression : sympy.Expr
        The loss, its kinks written with ReLU and Step.
    slopes : sequence of sympy.Expr
        Its first derivatives, off the kinks.
    variables : sequence of sympy.Symbol
        The pre-activations.

    Raises
    ------
    InputError
        With a point at which the loss is no such function.
    """
    for e in (expression, *slopes):
        for part in _doubtful(e, variables):
            _check_part(part, expression, variables)


def _doubtful(e: sp.Expr, variables: Sequence[sp.Symbol]) -> Iterator[sp.Expr]:
    """Parts that might fail at some pre-activations."""
    for part in sorted(e.atoms(sp.Pow, sp.Function), key=sp.default_sort_key):
        if not part.has(*variables):
            continue
        if isinstance(part, sp.Pow):
            base, exponent = part.args
            if base.is_positive or not base.has(*variables) or not exponent.is_number:
                continue
            if exponent.is_integer and (exponent.is_nonnegative or base.is_nonzero):
                continue
            yield part
        elif not isinstance(part, _ENTIRE):
            yield part


def _check_part(part: sp.Expr, loss: sp.Expr, variables: Sequence[sp.Symbol]) -> None:
    # a power with a negative exponent and a logarithm are infinite where this vanishes
    pole = None
    if isinstance(part, sp.log) or (isinstance(part, sp.Pow) and part.args[1].is_negative):
        pole = None if part.args[0].is_nonzero else part.args[0]
    failures = []
    for setting in range(SETTINGS):
        generator = random.Random(setting)
        fixed = {
            s: sp.Integer(LABELS[setting]) if s == symbols.LABEL else _admissible(s, generator)
            for s in sorted(part.free_symbols - set(variables), key=str)
        }
        failure = _failure(part.xreplace(fixed), pole and pole.xreplace(fixed), variables)
        if failure is None:
            return
        failures.append(failure)
    where, kind = failures[0]
    at = ", ".join(f"{u} = {float(x):.6g}" for u, x in where.items())
    if kind == "complex":
        expected = "a real number at all real pre-activations"
        remedy = "keep the argument in range, such as log(1 + u_1**2) for log(u_1)"
        raise InputError("loss expression", f"{_short(part)}, not real at {at}", expected, remedy)
    remedy = "write a kink with ReLU, Max or Abs and declare it; keep other denominators off 0"
    raise InputError(
        "loss expression",
        f"{_short(pole if pole is not None else part)} "
        f"{'= 0 in a denominator' if pole is not None else 'infinite'} at {at}",
        "a finite loss with finite slopes at all pre-activations",
        remedy,
    )


Point = dict[sp.Symbol, sp.Expr]


def _failure(
    part: sp.Expr, pole: sp.Expr | None, variables: Sequence[sp.Symbol]
) -> tuple[Point, str] | None:
    """A point where a part is not real, or where it is infinite."""
    present = [u for u in variables if part.has(u)]
    generator = random.Random(len(present))
    points = [[_draw(generator) for _ in present] for _ in range(POINTS)]
    for point in points:
        if _value(part, present, point) is None:
            return dict(zip(present, point, strict=True)), "complex"
    # what is infinite somewhere: the part, or one over it where it vanishes
    small = pole if pole is not None else 1 / part

    def size(point: list[sp.Expr]) -> float:
        value = _value(small, present, point)
        return 0.0 if value is None else abs(value)

    signs = {(_value(small, present, p) or 0.0) > 0 for p in points}
    typical = sorted(map(size, points))[POINTS // 2]
    for start in sorted(points, key=size)[:3]:
        point, least, step = _descend(size, start)
        # a search that has not come to rest is on its way to infinity, where much may vanish
        if least <= TOUCHES * typical and step < SETTLED and max(map(abs, point)) < FAR:
            return dict(zip(present, point, strict=True)), "infinite"
    if pole is not None and len(signs) == 2 and not pole.has(Step):
        # continuous and of both signs: it vanishes in between
        apart = sorted(points, key=size)[0]
        return dict(zip(present, apart, strict=True)), "infinite"
    return None


def _descend(
    size: Callable[[list[sp.Expr]], float], start: list[sp.Expr]
) -> tuple[list[sp.Expr], float, float]:
    """A local minimum by a pattern search along the axes, and the step it ended with."""
    point, least, step = start, size(start), sp.Rational(1)
    for _ in range(HALVINGS):
        moves = [
            [*point[:a], point[a] + sign * step, *point[a + 1 :]]
            for a in range(len(point))
            for sign in (1, -1)
        ]
        best = min(moves, key=size)
        if size(best) < least:
            point, least = best, size(best)
        else:
            step = step / 2
    return point, least, float(step)


def _value(e: sp.Expr, variables: Sequence[sp.Symbol], point: Sequence[sp.Expr]) -> float | None:
    """The value at a point, or None where it is not real and finite."""
    value = e.xreplace(dict(zip(variables, point, strict=True))).evalf(20)
    if not value.is_number or value.has(sp.nan, sp.zoo, sp.oo, -sp.oo):
        return None
    # rounding leaves a real value with an imaginary part of its last digit
    real, imaginary = value.as_real_imag()
    return float(real) if abs(imaginary) < 1e-15 else None


def _draw(generator: random.Random) -> sp.Expr:
    """A number of order 1, rational and no short fraction."""
    return sp.Rational(generator.randint(-4000, 4000), 997)


def _admissible(symbol: sp.Symbol, generator: random.Random) -> sp.Expr:
    """A number for a readout parameter, a free symbol or a statistic; norms are positive."""
    number = _draw(generator)
    return sp.Abs(number) if symbol.is_positive or _NORM.fullmatch(str(symbol)) else number


def _short(e: sp.Expr) -> str:
    text = str(e)
    return text if len(text) <= 60 else f"{text[:57]}..."

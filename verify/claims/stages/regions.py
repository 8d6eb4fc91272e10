"""Forms at whose zeros a formula is not analytic, and a point on every side of them.

Two analytic functions that agree at generic points of a connected domain agree on all of it.  A
step, a ramp, a root or an absolute value cuts the domain into regions, and agreement in one says
nothing about the next; so every region has to be visited.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, product
from typing import Any

import numpy as np
import sympy as sp

from numerics.expectations.certified_double import array_functions
from theory import GaussianExpectation, ReLU, Step
from theory.expectations.derived import find_expectations
from theory.expectations.existence import is_positive
from verify.claims.signs.zero_sets import SIMPLE, factors

# regions of linear forms that are looked for, and visited, at most
MOST_REGIONS = 128
# a region has to have room: its points are this far from its borders, in units of the variables
MARGIN = 1e-3
# of so many forms all combinations of signs are visited
TOGETHER = 5
Point = Mapping[sp.Symbol, Any]
# functions that are not analytic everywhere where their arguments are
_KINKED = (Step, ReLU, sp.Abs, sp.sign, sp.Heaviside, sp.log)
_SINGULAR = (*_KINKED, sp.Max, sp.Min, sp.asin, sp.acos, sp.tan)
# what sign each of several forms has
Signs = Mapping[sp.Expr, int]


def cuts_of(expressions: Iterable[sp.Expr]) -> list[sp.Expr]:
    """The forms at whose zeros one of the expressions may fail to be analytic.

    Expectations are analytic in the parameters, whatever their integrands: what is inside of them
    does not count.

    Examples
    --------
    >>> x = sp.Symbol("x", real=True)
    >>> cuts_of([ReLU(x - 3) + sp.sqrt(1 - 2 * x + x**2)])
    [x - 3, x - 1]
    """
    return list(dict.fromkeys(form for e in expressions for form in _cuts_of(e)))


@lru_cache(maxsize=5_000)
def _cuts_of(expression: sp.Expr) -> tuple[sp.Expr, ...]:
    if not _may_cut(expression):  # expectations need no names then
        return ()
    plain = expression.xreplace({n: _name(n) for n in set(find_expectations(expression))})
    found: dict[sp.Expr, None] = {}
    for atom in sorted(_singular(plain), key=sp.default_sort_key):
        for form in (*factors(atom), *_periods(atom)):
            found.setdefault(form)
            found |= dict.fromkeys(_turning(form))
    return tuple(found)


def _may_cut(e: sp.Basic) -> bool:
    """Whether something outside of expectations may fail to be analytic."""
    if isinstance(e, GaussianExpectation):
        return False
    if isinstance(e, sp.Pow) and e.base != sp.E and not e.exp.is_Integer:
        return True
    return isinstance(e, _SINGULAR) or any(map(_may_cut, e.args))


def steps_of(expressions: Iterable[sp.Expr]) -> list[sp.Expr]:
    """The forms of steps outside of expectations: at its zero a step has a value of its own."""
    found: dict[sp.Expr, None] = {}
    for expression in filter(_may_cut, expressions):
        plain = expression.xreplace({n: _name(n) for n in set(find_expectations(expression))})
        arguments = {f.args[0] for f in plain.atoms(Step, sp.sign, sp.Heaviside)}
        found |= dict.fromkeys(f for a in sorted(arguments, key=str) for f in factors(a))
    return [f for f in found if f.free_symbols]


def _name(node: GaussianExpectation) -> sp.Symbol:
    return (
        sp.Symbol(str(node), positive=True)
        if is_positive(node)
        else sp.Symbol(str(node), real=True)
    )


def _singular(e: sp.Expr) -> set[sp.Expr]:
    """Arguments of functions that are not analytic where these vanish."""
    found = {f.args[0] for f in e.atoms(*_KINKED)}
    found |= {a for f in e.atoms(sp.Max, sp.Min) for a in (f.args[0] - f.args[1],)}
    found |= {1 - f.args[0] ** 2 for f in e.atoms(sp.asin, sp.acos)}
    found |= {sp.cos(f.args[0]) for f in e.atoms(sp.tan)}  # beyond a pole atan has another branch
    return found | {p.base for p in e.atoms(sp.Pow) if not p.exp.is_Integer and p.base != sp.E}


def _periods(form: sp.Expr) -> list[sp.Expr]:
    """Where arguments of periodic functions leave the first period: asin(sin(x)) is x before."""
    arguments = {f.args[0] for f in form.atoms(sp.sin, sp.cos, sp.tan, sp.cot)}
    beyond = [a + side for a in sorted(arguments, key=str) for side in (sp.pi, -sp.pi)]
    return [f for a in beyond for f in factors(a)]


def _turning(form: sp.Expr) -> list[sp.Expr]:
    """Where a form that is no polynomial may touch zero without a change of its sign.

    sqrt(cosh(x) - 1) has one sign on both sides of x = 0 and is not analytic there; the derivative
    changes its sign.  Polynomials are factored instead.
    """
    if form.is_polynomial():
        return []
    # a sine is zero without a change of its sign only where its argument rests
    moving = form.args[0] if isinstance(form, SIMPLE) else form
    slopes = [moving.diff(s) for s in sorted(moving.free_symbols, key=str)]
    return [f for slope in slopes if slope != 0 for f in factors(slope)]


@dataclass
class Sides:
    """Signs of forms at the points that were visited."""

    cuts: Sequence[sp.Expr]

    def __post_init__(self) -> None:
        self.names = sorted(set().union(*(c.free_symbols for c in self.cuts)), key=str)
        self._signs = compiled(self.names, list(self.cuts)) if self.cuts else None
        self.patterns: set[tuple[int, ...]] = set()

    def of(self, point: Point) -> tuple[int, ...]:
        """Signs at a point; 0 where a form has no finite real value."""
        if self._signs is None:
            return ()
        with np.errstate(all="ignore"):
            values = self._signs(*(float(point[s]) for s in self.names))
        signs = []
        for value in values:
            real = np.isreal(value) and np.isfinite(value)
            signs.append(int(np.sign(np.real(value))) if real else 0)
        return tuple(signs)

    def visit(self, point: Point) -> bool:
        """Note a point, and whether it is in a region that was not visited."""
        pattern = self.of(point)
        new = pattern not in self.patterns
        self.patterns.add(pattern)
        return new

    @property
    def is_complete(self) -> bool:
        """Whether few forms had all signs together: there are no more regions."""
        sure = sum(all(p) for p in self.patterns)
        return len(self.cuts) <= TOGETHER and sure == 2 ** len(self.cuts)

    def unvisited(self) -> list[Signs]:
        """Signs that forms did not have together at any point, few of them first.

        Of up to ``TOGETHER`` forms all of them count, of more any two: which others have a sign
        does not matter once a region of few is left out.
        """
        most = len(self.cuts) if len(self.cuts) <= TOGETHER else 2
        found: list[dict[int, int]] = []
        for size in range(1, most + 1):
            for chosen in combinations(range(len(self.cuts)), size):
                for signs in product((1, -1), repeat=size):
                    wanted = dict(zip(chosen, signs, strict=True))
                    if any(w.items() <= wanted.items() for w in found):
                        continue
                    if not any(all(p[i] == s for i, s in wanted.items()) for p in self.patterns):
                        found.append(wanted)
        return [{self.cuts[i]: s for i, s in wanted.items()} for wanted in found]


def compiled(names: Sequence[sp.Symbol], forms: Sequence[sp.Expr]) -> Callable[..., Any]:
    """Code for forms in floating point, the functions of losses among them."""
    found = _compiled(tuple(names), tuple(forms))
    return lambda *numbers: found(*map(np.float64, numbers))


@lru_cache(maxsize=2_000)
def _compiled(names: tuple[sp.Symbol, ...], forms: tuple[sp.Expr, ...]) -> Callable[..., Any]:
    code: Callable[..., Any] = sp.lambdify(
        names, list(forms), [array_functions(), "scipy", "numpy"]
    )
    return code


def describe(signs: Signs) -> str:
    """Signs of forms in words.

    Examples
    --------
    >>> x, y = sp.symbols("x y", real=True)
    >>> describe({x - 3: 1, y: -1})
    'x - 3 > 0 and y < 0'
    """
    return " and ".join(f"{form} {'>' if sign > 0 else '<'} 0" for form, sign in signs.items())


def linear_regions(
    cuts: Sequence[sp.Expr], box: Mapping[sp.Symbol, tuple[float, float]]
) -> Iterator[dict[sp.Symbol, sp.Rational]]:
    """A rational point in every region that forms linear in the variables of a box cut out of it.

    The regions are found by linear programming, one form after the other; with more than
    ``MOST_REGIONS`` of them the rest is left out.
    """
    names = sorted(set().union(*(c.free_symbols for c in cuts)), key=str) if cuts else []
    if not names or not set(names) <= set(box):
        return
    try:
        forms = [sp.Poly(c, *names) for c in cuts]
    except sp.PolynomialError:
        return
    if any(f.total_degree() > 1 for f in forms):
        return
    rows = np.array([[float(f.coeff_monomial(x)) for x in names] for f in forms])
    offsets = np.array([float(f.coeff_monomial(1)) for f in forms])
    ends = [box[x] for x in names]
    found: list[tuple[tuple[int, ...], np.ndarray]] = [((), np.array([np.mean(e) for e in ends]))]
    for count in range(1, len(cuts) + 1):
        found = [
            (signs, inside)
            for (before, _), last in product(found, (-1, 1))
            for signs in [(*before, last)]
            if (inside := _inside(rows[:count], offsets[:count], signs, ends)) is not None
        ][:MOST_REGIONS]
    for _, inside in found:
        yield {
            x: sp.nsimplify(round(v, 6), rational=True) for x, v in zip(names, inside, strict=True)
        }


def _inside(
    rows: np.ndarray, offsets: np.ndarray, signs: Sequence[int], ends: list[tuple[float, float]]
) -> np.ndarray | None:
    """The point of a region that is farthest from its borders, None of a region without room."""
    s = np.array(signs)[:, None]
    from scipy.optimize import linprog  # a quarter of a second that few claims need

    size = np.linalg.norm(rows, axis=1, keepdims=True)
    # s (a x + c) >= |a| t, t as large as it can be but no larger than 1: points stay moderate
    left = np.hstack([-s * rows, size])
    result = linprog(
        [*np.zeros(rows.shape[1]), -1.0],
        A_ub=left,
        b_ub=s[:, 0] * offsets,
        bounds=[*ends, (0.0, 1.0)],
    )
    if not result.success or result.x[-1] < MARGIN:
        return None
    return np.asarray(result.x[:-1])

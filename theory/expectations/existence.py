r"""Whether a Gaussian expectation exists: growth of the integrand against the Gaussian, and poles.

An integrand with :math:`|f(u)| \le C(1+|u|)^p e^{c|u|^d}` and d < 2 has an expectation under every
Gaussian; with d = 2 it has one only where the covariance is small enough, beyond that under none.
What is shown here holds at every admissible point; what cannot be shown is said to be unknown.
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from theory.problem.relu_step import ReLU, Step
from theory.problem.softmax import LogSumExp, Softmax
from theory.problem.softplus_sigmoid import Sigmoid, Softplus

from .expectation import GaussianExpectation

_BOUNDED = (sp.sin, sp.cos, sp.tanh, sp.erf, sp.erfc, sp.atan, sp.sign, Sigmoid, Step, Softmax)
_LIKE_ARGUMENT = (ReLU, Softplus, LogSumExp, sp.Abs)
# what is not smooth somewhere; arcsines have infinite slopes at the ends of their interval
_ROUGH = (ReLU, Step, sp.sign, sp.Abs, sp.DiracDelta, sp.asin, sp.acos)


@dataclass(frozen=True)
class Growth:
    """f is at most of the size :math:`(1+|u|)^{power} e^{c|u|^{degree}}`."""

    power: float = 0
    degree: float = 0


class _Unknown(Exception):
    """Why no bound of an integrand is known."""


def why_undefined(node: GaussianExpectation) -> str:
    """Why an expectation does not exist at every admissible point; empty where it does.

    Examples
    --------
    >>> from theory import kgmm, preactivation_law
    >>> law = preactivation_law(kgmm(2), 0)
    >>> u = law.variables[0]
    >>> why_undefined(GaussianExpectation(sp.exp(3 * u) / (1 + u**2), law))
    ''
    >>> why_undefined(GaussianExpectation(u**-2, law))
    'E_1[u_1**(-2)] does not exist: u_1 may vanish in a denominator'
    >>> why_undefined(GaussianExpectation(sp.exp(u**4), law))
    'E_1[exp(u_1**4)] does not exist: its integrand grows faster than the Gaussian falls'
    """
    f = node.integrand
    try:
        degree = _Integrand(frozenset(node.law.bound)).growth(f).degree
    except _Unknown as reason:
        return f"{node} does not exist: {reason}"
    if degree > 2:
        return f"{node} does not exist: its integrand grows faster than the Gaussian falls"
    if degree == 2:
        return f"{node} exists only where Q/lambda is small: its integrand grows like a Gaussian"
    return ""


def is_bounded_locally(node: GaussianExpectation) -> bool:
    """Whether an integrand is seen to have no pole, however it grows.

    Examples
    --------
    >>> from theory import kgmm, preactivation_law
    >>> law = preactivation_law(kgmm(2), 0)
    >>> u = law.variables[0]
    >>> integrands = (sp.exp(u**4), 1 / u)
    >>> [is_bounded_locally(GaussianExpectation(f, law)) for f in integrands]
    [True, False]
    """
    try:
        _Integrand(frozenset(node.law.bound)).growth(node.integrand)
    except _Unknown:
        return False
    return True


def is_positive(node: GaussianExpectation) -> bool:
    """Whether the integrand of an expectation that exists is seen to be positive everywhere."""
    try:
        return _Integrand(frozenset(node.law.bound)).floor(node.integrand) is not None
    except _Unknown:
        return False


def is_smooth(node: GaussianExpectation) -> bool:
    """Whether an integrand is seen to have all of its derivatives everywhere.

    A kink, a jump or a root of what may vanish has no expansion at means that lie on it.

    Examples
    --------
    >>> from theory import kgmm, preactivation_law
    >>> law = preactivation_law(kgmm(2), 0)
    >>> u = law.variables[0]
    >>> integrands = (sp.sqrt(1 + u**2), sp.sqrt(u**2), ReLU(u) * u)
    >>> [is_smooth(GaussianExpectation(f, law)) for f in integrands]
    [True, False, False]
    """
    bound = frozenset(node.law.bound)
    inside = _Integrand(bound)
    for e in sp.preorder_traversal(node.integrand):
        if not e.free_symbols & bound:
            continue
        if isinstance(e, _ROUGH):
            return False
        if isinstance(e, sp.log) or (e.is_Pow and not (e.exp.is_Integer and e.exp.is_positive)):
            try:
                if inside.floor(e.args[0]) is None and not _has_inverse(inside, e):
                    return False
            except _Unknown:
                return False
    return True


def _has_inverse(inside: _Integrand, e: sp.Expr) -> bool:
    return bool(e.is_Pow and e.exp.is_Integer and inside.floor(-e.args[0]) is not None)


@dataclass(frozen=True)
class _Integrand:
    """Bounds of expressions in the symbols that are integrated over."""

    bound: frozenset[sp.Symbol]

    def growth(self, e: sp.Expr) -> Growth:
        """An upper bound; raises where there may be a pole."""
        if not e.free_symbols & self.bound:
            return Growth()
        if e.is_Symbol:
            return Growth(1)
        if e.is_Add:
            parts = [self.growth(a) for a in e.args]
            return Growth(max(p.power for p in parts), max(p.degree for p in parts))
        if e.is_Mul:
            self.check_deltas(e)
            parts = [self.growth(a) for a in e.args]
            return Growth(sum(p.power for p in parts), max(p.degree for p in parts))
        if isinstance(e, sp.exp):
            return Growth(0, self.exponent(e.args[0]))
        if e.is_Pow:
            return self.power(e)
        return self.function(e)

    def function(self, e: sp.Expr) -> Growth:
        if isinstance(e, sp.DiracDelta):
            if not all(sp.diff(e.args[0], x, y) == 0 for x in self.bound for y in self.bound):
                raise _Unknown(f"{e.args[0]} in a delta function is not linear")
            return Growth()
        if isinstance(e, (*_BOUNDED, *_LIKE_ARGUMENT, sp.sinh, sp.cosh, sp.KroneckerDelta)):
            arguments = e.args[1:] if isinstance(e, Softmax) else e.args
            parts = [self.growth(a) for a in arguments]
            if isinstance(e, (*_BOUNDED, sp.KroneckerDelta)):
                return Growth()
            if isinstance(e, _LIKE_ARGUMENT):
                return Growth(max(p.power for p in parts), max(p.degree for p in parts))
            return Growth(0, self.exponent(e.args[0], both=True))
        if isinstance(e, sp.log):
            above, below = self.growth(e.args[0]).degree, self.floor(e.args[0])
            if below is None:
                raise _Unknown(f"the argument {e.args[0]} of a logarithm is not always positive")
            return Growth(max(above, below))
        raise _Unknown(f"no bound of {e.func.__name__} is known")

    def power(self, e: sp.Expr) -> Growth:
        base, n = e.base, e.exp
        if n.free_symbols or not n.is_real:
            raise _Unknown(f"the exponent {n} is not a number")
        if not n.is_Integer and not self.nonnegative(base):
            raise _Unknown(f"{base} under a root is not always positive")
        if n.is_positive:
            inside = self.growth(base)
            return Growth(inside.power * float(n), inside.degree)
        below = self.floor(base)
        if below is None and n.is_Integer:
            below = self.floor(-base)
        if below is None:
            raise _Unknown(f"{base} may vanish in a denominator")
        self.growth(base)
        return Growth(0, below)

    def exponent(self, e: sp.Expr, both: bool = False) -> float:
        """The degree with which exp(e) grows, of e and -e with ``both``."""
        polynomial, degree = sp.Integer(0), 0.0
        for term in sp.Add.make_args(sp.expand(e)):
            if term.is_polynomial(*self.bound):
                polynomial += term
                continue
            part = self.growth(term)
            if part.degree:
                return float("inf")
            degree = max(degree, part.power)
        signs = (1, -1) if both else (1,)
        return max(degree, *(self.polynomial(s * polynomial) for s in signs))

    def polynomial(self, e: sp.Expr) -> float:
        """The degree with which exp of a polynomial grows; what falls does not count."""
        variables = sorted(e.free_symbols & self.bound, key=str)
        if not variables:
            return 0.0
        poly = sp.Poly(e, *variables)
        degree = poly.total_degree()
        top = sum(
            c * sp.Mul(*(x**n for x, n in zip(variables, powers, strict=True)))
            for powers, c in poly.terms()
            if sum(powers) == degree
        )
        if degree == 2:
            curvature = sp.hessian(top, variables)
            if not curvature.free_symbols and curvature.is_negative_semidefinite:
                return 1.0
        elif degree > 2 and degree % 2 == 0 and len(variables) == 1 and poly.LC().is_negative:
            return 1.0
        return float(degree)

    def floor(self, e: sp.Expr) -> float | None:
        """d where e >= c exp(-c |u|^d) > 0 everywhere; None where no such bound is known."""
        if not e.free_symbols & self.bound:
            return 0.0 if e.is_positive else None
        if isinstance(e, sp.exp):
            inside = self.growth(e.args[0])
            return None if inside.degree else inside.power
        if isinstance(e, (sp.cosh, Softplus, Sigmoid, Softmax)):
            arguments = e.args[1:] if isinstance(e, Softmax) else e.args
            parts = [self.growth(a) for a in arguments]
            if isinstance(e, sp.cosh):
                return 0.0
            return None if any(p.degree for p in parts) else max(p.power for p in parts)
        if e.is_Add and all(self.nonnegative(a) for a in e.args):
            return min((f for a in e.args if (f := self.floor(a)) is not None), default=None)
        if e.is_Mul:
            floors: list[float | None] = [self.floor(a) for a in e.args]
            return None if None in floors else max(f for f in floors if f is not None)
        if e.is_Pow and e.exp.is_real and (least := self.floor(e.base)) is not None:
            if e.exp.is_positive:
                return least
            top = self.growth(e.base)
            return max(top.degree, float(top.power > 0))
        return None

    def nonnegative(self, e: sp.Expr) -> bool:
        if e.is_nonnegative or isinstance(e, (ReLU, Step, sp.Abs)):
            return True
        if e.is_Add or e.is_Mul:
            return all(self.nonnegative(a) for a in e.args)
        if e.is_Pow and self.nonnegative(e.base):
            return True
        return self.floor(e) is not None

    def check_deltas(self, product: sp.Expr) -> None:
        """A delta function times a step at the same place has no value."""
        for delta in (f for f in product.args if isinstance(f, sp.DiracDelta)):
            for step in product.atoms(Step, sp.sign):
                ratio = sp.cancel(step.args[0] / delta.args[0])
                if not ratio.free_symbols & self.bound:
                    raise _Unknown(f"{step} jumps where {delta} is not zero")

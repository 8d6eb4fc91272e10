r"""The unevaluated Gaussian expectation E_l[f(u)] and what can be done to it in closed form.

In component l the pre-activations are Gaussian, :math:`u \sim N(m S_l^T, Q/\lambda)`
(mathematics.md section 2). An expectation stays a SymPy node: it prints, differentiates (by the
heat equation of the Gaussian), integrates by parts, expands, and evaluates exactly where a closed
form exists.
"""

from __future__ import annotations

import sympy as sp
from sympy.core.cache import cacheit
from sympy.printing.pretty.pretty import PrettyPrinter
from sympy.printing.pretty.stringpict import prettyForm
from sympy.printing.str import StrPrinter

from theory import symbols
from theory.errors import InputError, brief
from theory.keywords import with_known_keywords
from theory.problem.relu_step import ReLU, Step
from theory.problem.softmax import Softmax
from theory.rewriting import derivative_of

from .closed_forms import closed_form
from .gaussian_law import GaussianLaw

_KINKED = (ReLU, Step, sp.DiracDelta)


class GaussianExpectation(sp.Expr):
    r"""E_l[f(u)], unevaluated.

    ``args`` are the integrand, in terms of the label symbol y, the pre-activations u and
    (projection route) the whitened pre-activations w = Q^+ (u - E u), and the :class:`GaussianLaw`.
    The integrand keeps the label symbol so that one integrand serves all components;
    :attr:`integrand` shows it with the label filled in.

    Examples
    --------
    >>> from theory import kgmm, preactivation_law
    >>> law = preactivation_law(kgmm(2), 0)
    >>> u = law.variables
    >>> GaussianExpectation(u[0]**2, law)
    E_1[u_1**2]
    >>> GaussianExpectation(u[0]**2, law).doit()
    Q_1_1/lambda + m_1_1**2
    """

    is_commutative = True
    is_real = True

    def __new__(cls, integrand: sp.Expr, law: GaussianLaw) -> sp.Expr:
        integrand = sp.sympify(integrand)
        if integrand.is_number:
            return integrand
        return super().__new__(cls, integrand, law)

    @property
    def general_integrand(self) -> sp.Expr:
        """The integrand with the label still a symbol."""
        return self.args[0]

    @property
    def law(self) -> GaussianLaw:
        return self.args[1]

    @property
    def integrand(self) -> sp.Expr:
        """The integrand with the component's label filled in."""
        return self.args[0].xreplace({symbols.LABEL: self.law.label})

    @property
    def free_symbols(self) -> set[sp.Symbol]:
        inside = self.args[0].free_symbols
        extra = set(self.law.gram_inverse.free_symbols) if self.uses_whitening else set()
        if symbols.LABEL in inside:
            extra |= self.law.label.free_symbols
        return (inside - self.law.bound) | self.law.outer_symbols | extra

    @property
    def uses_whitening(self) -> bool:
        return bool(self.args[0].free_symbols & set(self.law.whitened))

    @cacheit
    def _eval_derivative(self, s: sp.Symbol) -> sp.Expr:
        r"""d/ds of E f: the mean moves f by its gradient, the covariance by half its Laplacian.

        (Price's theorem.)
        """
        f, law = self.args
        terms = [GaussianExpectation(f.diff(s), law)]
        if s in law.label.free_symbols:
            terms.append(law.label.diff(s) * GaussianExpectation(f.diff(symbols.LABEL), law))
        if self.uses_whitening and s in law.outer_symbols | law.gram_inverse.free_symbols:
            return integrate_by_parts(self).diff(s)
        if s in law.outer_symbols:
            for u, mean in zip(law.variables, law.mean, strict=True):
                rate = mean.diff(s)
                if rate != 0:
                    terms.append(rate * GaussianExpectation(f.diff(u), law))
            size = len(law.variables)
            for a, b in symbols.upper_triangle(size):
                rate = law.covariance[a, b].diff(s)
                if rate != 0:
                    factor = sp.Rational(1, 2) if a == b else sp.Integer(1)
                    second = f.diff(law.variables[a], law.variables[b])
                    terms.append(factor * rate * GaussianExpectation(second, law))
        return sp.Add(*terms)

    def _eval_subs(self, old: sp.Basic, new: sp.Basic) -> sp.Expr | None:
        if old.free_symbols & self.law.bound:
            return self  # bound variables are not the caller's
        if sp.sympify(new).free_symbols & self.law.bound and self.has(old):
            return sp.Subs(self, old, new)  # putting it inside would capture a bound variable
        return None

    def doit(self, **hints: object) -> sp.Expr:
        """Evaluate exactly where a closed form exists; otherwise return the node unchanged.

        Closed forms: products of a polynomial, exponentials of quadratic forms, and up to three
        functions erf, step or ReLU of affine forms, or a sin or cos
        (:mod:`theory.expectations.closed_forms`).
        """
        if not self.integrand.has(*_KINKED):  # whose derivatives are no functions
            plain = integrate_by_parts(self)
            if plain != self:
                return plain.doit(**hints)
        value = closed_form(self.integrand, self.law)
        return self if value is None else value

    def noiseless(self) -> sp.Expr:
        """The integrand at the mean: the limit lambda -> infinity."""
        where = dict(zip(self.law.variables, self.law.mean, strict=True))
        where[symbols.LABEL] = self.law.label
        where |= dict.fromkeys(self.law.whitened, sp.Integer(0))
        return self.args[0].xreplace(where)

    def _sympystr(self, printer: StrPrinter) -> str:
        return f"E_{self.law.component}[{printer._print(self.integrand)}]"

    def _latex(self, printer: StrPrinter, exp: str | None = None) -> str:
        text = (
            rf"\mathbb{{E}}_{{{self.law.component}}}"
            rf"\left[{printer._print(_abbreviate(self.integrand, self.law))}\right]"
        )
        return text if exp is None else rf"{text}^{{{exp}}}"

    def _pretty(self, printer: PrettyPrinter) -> prettyForm:
        inner = printer._print(_abbreviate(self.integrand, self.law))
        body = prettyForm(*inner.parens("[", "]"))
        return prettyForm(*body.left(f"E_{self.law.component}"))


def _abbreviate(integrand: sp.Expr, law: GaussianLaw) -> sp.Expr:
    """Write pi_a for the softmax of the pre-activations themselves."""
    return integrand.replace(
        lambda e: isinstance(e, Softmax) and e.args[1:] == tuple(law.variables),
        lambda e: sp.Symbol(f"pi_{e.index}"),
    )


@with_known_keywords
def integrate_by_parts(expression: sp.Expr) -> sp.Expr:
    r"""Remove the whitened pre-activations by Gaussian integration by parts (Stein's lemma).

    :math:`E_l[f\,w_c] = \lambda^{-1} E_l[\partial_c f]` with :math:`\partial_d w_c = P_{cd}`; valid
    for f once differentiable of polynomial growth and Q invertible.  Applied until no w is left.  P
    is a symbol of its own here, not a function of Q: differentiate in Q only after w and P are
    gone.  This is the identity behind the equality of the two routes of mathematics.md section 2.

    Examples
    --------
    >>> from theory import kgmm, preactivation_law
    >>> law = preactivation_law(kgmm(2), 0)
    >>> u, w = law.variables, law.whitened
    >>> integrate_by_parts(GaussianExpectation(u[0]**2 * w[0], law))
    E_1[2*u_1]/lambda

    Raises
    ------
    InputError
        It is no SymPy expression.
    """
    if not isinstance(expression, (sp.Basic, sp.MatrixBase)):
        raise InputError(
            "expression",
            brief(type(expression).__name__),
            "a SymPy expression",
            "give one with GaussianExpectation; derived.map(integrate_by_parts) for a whole object",
        )
    return expression.replace(
        lambda e: isinstance(e, GaussianExpectation) and e.uses_whitening, _parts_once_all
    )


def _parts_once_all(node: GaussianExpectation) -> sp.Expr:
    law = node.law
    w = list(law.whitened)
    polynomial = sp.Poly(node.general_integrand, *w)
    total: list[sp.Expr] = []
    for powers, coefficient in polynomial.terms():
        total.append(_parts_term(list(powers), coefficient, law))
    return sp.Add(*total)


def _parts_term(powers: list[int], f: sp.Expr, law: GaussianLaw) -> sp.Expr:
    """E[f w^powers] by peeling off one w at a time."""
    if not any(powers):
        return GaussianExpectation(f, law)
    # covariance = Q / lambda, hence E[(stuff) w_c] = lambda^-1 E[d_c stuff] and d_c w_e = P_ce
    c = next(i for i, n in enumerate(powers) if n)
    rest = powers.copy()
    rest[c] -= 1
    terms = [_parts_term(rest, derivative_of(f, law.variables[c]), law)]
    for e, n in enumerate(rest):
        if n:
            lower = rest.copy()
            lower[e] -= 1
            terms.append(n * law.gram_inverse[c, e] * _parts_term(lower, f, law))
    return sp.expand(sp.Add(*terms) / law.precision)

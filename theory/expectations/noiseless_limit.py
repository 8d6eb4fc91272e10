"""Evaluators: the noiseless limit and the low-noise expansion of anything derived."""

from __future__ import annotations

from typing import TypeVar

import sympy as sp

from theory import symbols
from theory.errors import InputError, brief
from theory.keywords import with_known_keywords
from theory.problem.model import Model
from theory.problem.relu_step import ReLU, Step

from .derived import Derived
from .expectation import GaussianExpectation, integrate_by_parts
from .heat_expansion import heat_expansion, holds_nested_functions

T = TypeVar("T", bound=sp.Expr | Derived)

_KINKED = (sp.DiracDelta, ReLU, Step)
_EPSILON = sp.Symbol("epsilon", positive=True)  # stands for 1/lambda while a series is built


@with_known_keywords
def noiseless(derived: T) -> T:
    r"""Return the limit lambda -> infinity: :math:`E_l[f(u)] \to f(mS_l^T)` and 1/lambda -> 0.

    Source: mathematics.md section 5.

    Parameters
    ----------
    derived : sympy.Expr or a derived object (Drift, BlockMatrix, ...)
        Expressions with unevaluated expectations, of a model with symbolic precision.

    Returns
    -------
    the same type, elementary in (m, v).

    Raises
    ------
    InputError
        If ``derived`` is neither, or the model fixes the precision to a number.

    Examples
    --------
    >>> from theory import kgmm, derive_drift
    >>> model = kgmm(2, directions_gram="orthonormal")
    >>> noiseless(derive_drift(model)).overlap[0, 1].rewrite(sp.exp)
    -beta*m_1_2 - p_2*exp(m_1_2)/(exp(m_1_2) + exp(m_2_2))
    """
    return low_noise(derived, order=0)


@with_known_keywords
def low_noise(derived: T, order: int) -> T:
    r"""Expand in 1/lambda up to and including ``order`` (smooth losses).

    .. math:: E_l[f(u)] = \sum_{j\ge0}\frac{\lambda^{-j}}{j!}
              \Big[\big(\tfrac12\textstyle\sum_{cd}Q_{cd}\partial_c\partial_d\big)^jf\Big](mS_l^T)

    (mathematics.md section 5).  Q stays a symbol; ``Model.gram_definition`` eliminates it.

    Parameters
    ----------
    derived : sympy.Expr or a derived object
    order : int >= 0
        Highest power of 1/lambda kept.

    Returns
    -------
    the same type; a polynomial of degree at most ``order`` in 1/lambda, elementary otherwise.

    Examples
    --------
    >>> from theory import kgmm, GaussianExpectation, preactivation_law
    >>> law = preactivation_law(kgmm(2), 0)
    >>> low_noise(GaussianExpectation(sp.cos(law.variables[0]), law), 1)
    -Q_1_1*cos(m_1_1)/(2*lambda) + cos(m_1_1)
    """
    if isinstance(order, bool) or not isinstance(order, int) or order < 0 or order >= 10**6:
        raise InputError(
            "order", repr(order), "an integer >= 0", "give the highest power of 1/lambda"
        )
    if not isinstance(derived, (Derived, sp.Expr)):
        raise InputError(
            "derived",
            brief(type(derived).__name__),
            "a derived object or a SymPy expression",
            "derive it first, such as derive_drift(model)",
        )
    if isinstance(derived, Derived):
        model: Model | None = getattr(derived, "model", None)
        if model is not None and model.mixture.precision != symbols.PRECISION:
            raise InputError(
                "precision",
                model.mixture.precision,
                "the symbol lambda",
                "build the model with precision=None to take a limit in it",
            )
        cache: dict[sp.Expr, list[sp.Expr]] = {}
        # across kinks it is seen only when an entry is written out whether it has a limit
        contracted = order == 0 and model is not None and model.loss.is_smooth
        take = derived.limit if contracted else derived.map
        return take(lambda e: _expand(e, order, cache))
    return _expand(derived, order, {})


def _expand(expression: sp.Expr, order: int, cache: dict[sp.Expr, list[sp.Expr]]) -> sp.Expr:
    expression = integrate_by_parts(expression)
    coefficients = _series(sp.sympify(expression), order, cache)
    lam = symbols.PRECISION
    return sp.Add(*(c / lam**j for j, c in enumerate(coefficients)))


def _series(e: sp.Expr, order: int, cache: dict[sp.Expr, list[sp.Expr]]) -> list[sp.Expr]:
    """Coefficients of 1/lambda^0 .. 1/lambda^order."""
    zeros = [sp.Integer(0)] * order
    if isinstance(e, GaussianExpectation):
        if e.law.precision != symbols.PRECISION:
            raise InputError(
                "precision",
                e.law.precision,
                "the symbol lambda",
                "build the model with precision=None to take a limit in it",
            )
        if e.general_integrand.has(symbols.LABEL_NOISE):
            raise InputError(
                "derived",
                e,
                "expectations without Gaussian label noise",
                "label noise does not fall with 1/lambda: state it as components of the same mean "
                "with different labels, which stay",
            )
        if order and e.general_integrand.has(*_KINKED):
            raise InputError(
                "derived",
                e,
                "expectations of smooth functions",
                "a kink has no expansion in 1/lambda; use order 0, or evaluate numerically",
            )
        known = cache.get(e, [])
        if len(known) <= order:
            # in powers of the covariance Q / lambda: that of lambda = 1 has their coefficients
            unit = e.law.func(*e.law.args[:6], sp.Integer(1), e.law.gram_inverse)
            terms = heat_expansion(e.integrand, unit, order)
            # of networks of several layers a product stays one: there are too many multiplied out
            apart = not holds_nested_functions(e.integrand, e.law)
            known = cache[e] = [sp.expand_mul(c) if apart else c for c in terms]
        return known[: order + 1]
    if not e.has(symbols.PRECISION) and not e.has(GaussianExpectation):
        return [e, *zeros]
    if isinstance(e, sp.Add):
        parts = [_series(a, order, cache) for a in e.args]
        return [sp.Add(*(p[j] for p in parts)) for j in range(order + 1)]
    if isinstance(e, sp.Mul):
        # plain powers of 1/lambda shift the series and lower the order the other factors need
        power = e.as_powers_dict().get(symbols.PRECISION, sp.Integer(0))
        shift = -int(power) if power.is_Integer else 0
        if shift > 0:
            if shift > order:
                return [sp.Integer(0), *zeros]
            rest = _series(e * symbols.PRECISION**shift, order - shift, cache)
            return [*([sp.Integer(0)] * shift), *rest]
        total = [sp.Integer(1), *zeros]
        for factor in e.args:
            part = _series(factor, order, cache)
            total = [
                sp.Add(*(total[i] * part[j - i] for i in range(j + 1))) for j in range(order + 1)
            ]
        return total
    if e.is_Pow and e.base == symbols.PRECISION and e.exp.is_Integer and e.exp < 0:
        power = -int(e.exp)
        return [sp.Integer(int(j == power)) for j in range(order + 1)]
    if e.is_Pow and e.exp.is_Integer and e.exp > 0:
        return _series(sp.Mul(*[e.base] * int(e.exp), evaluate=False), order, cache)
    if e.has(GaussianExpectation):
        raise InputError(
            "derived",
            e,
            "sums and products of expectations",
            "expand a rational combination part by part",
        )
    smooth = e.subs(symbols.PRECISION, 1 / _EPSILON)
    slopes = [smooth.diff(_EPSILON, j) for j in range(order + 1)]
    try:
        return [sp.limit(f, _EPSILON, 0) / sp.factorial(j) for j, f in enumerate(slopes)]
    except (NotImplementedError, TypeError, ValueError) as error:
        raise InputError(
            "derived",
            e,
            "powers of 1/lambda whose exponents are numbers",
            "give the exponents numbers, or evaluate numerically",
        ) from error

r"""Probabilities that two or three correlated normal variables lie below bounds.

.. math:: \Phi_2(h, k; r) = P(X < h, Y < k),\qquad \Phi_3(h; r) = P(X_1 < h_1, X_2 < h_2, X_3 < h_3)

for standard normal variables with the given correlations.  Without bounds (h = 0) they are
arcsines; their derivatives in the bounds are densities times probabilities of fewer variables.
Source: A. Genz, Statistics and Computing 14 (2004) 251, sections 2 and 3.
"""

from __future__ import annotations

import mpmath
import sympy as sp
from sympy.printing.str import StrPrinter


def normal_density(h: sp.Expr) -> sp.Expr:
    """The standard normal density."""
    return sp.exp(-(h**2) / 2) / sp.sqrt(2 * sp.pi)


def normal_probability(h: sp.Expr) -> sp.Expr:
    """P(X < h) of a standard normal X."""
    return (1 + sp.erf(h / sp.sqrt(2))) / 2


class BivariateNormal(sp.Function):
    """P(X < h, Y < k) of standard normal variables with correlation r.

    Examples
    --------
    >>> BivariateNormal(0, 0, sp.Rational(1, 2)), BivariateNormal(1, 2, sp.Rational(1, 2)).n(6)
    (1/3, 0.831861)
    """

    is_real = True
    is_nonnegative = True

    @classmethod
    def eval(cls, h: sp.Expr, k: sp.Expr, r: sp.Expr) -> sp.Expr | None:
        if h == 0 and k == 0:
            return sp.Rational(1, 4) + sp.asin(r) / (2 * sp.pi)
        if r == 0:
            return normal_probability(h) * normal_probability(k)
        return None

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        h, k, r = self.args
        root = sp.sqrt(1 - r**2)
        if argindex == 1:
            return normal_density(h) * normal_probability((k - r * h) / root)
        if argindex == 2:
            return normal_density(k) * normal_probability((h - r * k) / root)
        return sp.exp(-(h**2 - 2 * r * h * k + k**2) / (2 * root**2)) / (2 * sp.pi * root)

    def _eval_evalf(self, prec: int) -> sp.Expr | None:
        if self.free_symbols:
            return None
        with mpmath.workprec(prec + 20):
            value = bivariate_normal(*(a._to_mpmath(prec + 20) for a in self.args))
            return sp.Float._new(value._mpf_, prec)

    def _latex(self, printer: StrPrinter, exp: str | None = None) -> str:
        h, k, r = map(printer._print, self.args)
        text = rf"\Phi_2\left({h}, {k}; {r}\right)"
        return text if exp is None else rf"{text}^{{{exp}}}"


class TrivariateNormal(sp.Function):
    """P(X < a, Y < b, Z < c) of standard normal variables, correlations r_xy, r_xz, r_yz.

    Examples
    --------
    >>> half = sp.Rational(1, 2)
    >>> TrivariateNormal(0, 0, 0, half, half, half)
    1/4
    """

    is_real = True
    is_nonnegative = True

    @classmethod
    def eval(cls, *args: sp.Expr) -> sp.Expr | None:
        if all(a == 0 for a in args[:3]):
            return sp.Rational(1, 8) + sp.Add(*(sp.asin(r) for r in args[3:])) / (4 * sp.pi)
        return None

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        if argindex > 3:
            raise NotImplementedError("derivatives in the correlations")
        i = argindex - 1
        h, r = self.args[:3], self.args[3:]
        j, k = (n for n in range(3) if n != i)
        first, second, opposite = (r[a + b - 1] for a, b in ((i, j), (i, k), (j, k)))
        roots = sp.sqrt(1 - first**2), sp.sqrt(1 - second**2)
        partial = (opposite - first * second) / (roots[0] * roots[1])
        bounds = (h[j] - first * h[i]) / roots[0], (h[k] - second * h[i]) / roots[1]
        return normal_density(h[i]) * BivariateNormal(*bounds, partial)

    def _eval_evalf(self, prec: int) -> sp.Expr | None:
        if self.free_symbols:
            return None
        with mpmath.workprec(prec + 20):
            value = trivariate_normal(*(a._to_mpmath(prec + 20) for a in self.args))
            return sp.Float._new(value._mpf_, prec)


def bivariate_normal(h: mpmath.mpf, k: mpmath.mpf, r: mpmath.mpf) -> mpmath.mpf:
    """Phi_2 at the working precision: the integral of its derivative in the correlation."""
    if abs(r) >= 1:
        same = mpmath.ncdf(min(h, k))
        return mpmath.mpf(same if r > 0 else max(mpmath.ncdf(h) - mpmath.ncdf(-k), 0))

    def rate(angle: mpmath.mpf) -> mpmath.mpf:
        s = mpmath.sin(angle)
        return mpmath.exp(-(h * h - 2 * s * h * k + k * k) / (2 * (1 - s * s)))

    path = mpmath.quad(rate, [0, mpmath.asin(r) / 2, mpmath.asin(r)]) / (2 * mpmath.pi)
    return mpmath.mpf(mpmath.ncdf(h) * mpmath.ncdf(k) + path)


def trivariate_normal(
    a: mpmath.mpf, b: mpmath.mpf, c: mpmath.mpf, rab: mpmath.mpf, rac: mpmath.mpf, rbc: mpmath.mpf
) -> mpmath.mpf:
    """Phi_3: from X independent of the others along a straight path to its correlations."""

    def share(
        t: mpmath.mpf, k: mpmath.mpf, other: mpmath.mpf, r: mpmath.mpf, s: mpmath.mpf
    ) -> mpmath.mpf:
        """d Phi_3 / d r_xk times r, at the correlations t r and t s of X with k and other."""
        left = 1 - (t * r) ** 2
        density = mpmath.exp(-(a * a - 2 * t * r * a * k + k * k) / (2 * left))
        mean = ((s * t - rbc * r * t) * a + (rbc - s * r * t * t) * k) / left
        variance = 1 - ((s * t) ** 2 - 2 * s * t * r * t * rbc + rbc**2) / left
        root = mpmath.sqrt(max(variance, mpmath.mpf(10) ** -60))
        return r * density / mpmath.sqrt(left) * mpmath.ncdf((other - mean) / root)

    path = mpmath.quad(
        lambda t: share(t, b, c, rab, rac) + share(t, c, b, rac, rab),
        [0, mpmath.mpf(1) / 2, mpmath.mpf(9) / 10, 1],
    ) / (2 * mpmath.pi)
    return mpmath.mpf(mpmath.ncdf(a) * bivariate_normal(b, c, rbc) + path)

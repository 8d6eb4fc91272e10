"""Fixed points of the noiseless dynamics: implicit closed form where the symmetry allows, solved
otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import mpmath
import sympy as sp

from theory import symbols
from theory.errors import InputError
from theory.expectations.derived import Derived, shown_as
from theory.expectations.noiseless_limit import noiseless
from theory.formulas.drift import Drift, derive_drift
from theory.keywords import with_known_keywords
from theory.problem.covariance.bands import refuse_bands
from theory.problem.cross_entropy import softmax_cross_entropy
from theory.problem.exact_numbers import exact
from theory.problem.model import Model, check_is_model, check_plain


@with_known_keywords
@dataclass(frozen=True, repr=False)
class ImplicitFixedPoint(Derived):
    """A fixed point in terms of unknowns that solve one scalar equation each.

    Attributes
    ----------
    overlap : matrix, C x r, in terms of the unknowns
    gaps : tuple of Symbol, the unknowns s_l > 0
    residuals : matrix, one expression per unknown; the fixed point is where all vanish

    Examples
    --------
    >>> from theory import kgmm
    >>> point = softmax_fixed_point(kgmm(3, directions_gram="orthonormal"))
    >>> point.gaps
    (s_1, s_2, s_3)
    >>> point.overlap.row(0)
    Matrix([[2*s_1/3, -s_2/3, -s_3/3]])
    """

    model: Model
    overlap: sp.ImmutableDenseMatrix = field(metadata=shown_as("m"))
    residuals: sp.ImmutableDenseMatrix = field(metadata=shown_as(r"\mathrm{residual}"))
    gaps: tuple[sp.Symbol, ...]

    def solve(
        self, values: Mapping[sp.Symbol, object] | None = None, digits: int = 30
    ) -> sp.ImmutableDenseMatrix:
        """Solve the scalar equations by bracketing and return the overlaps.

        Every residual is increasing in its own gap, negative at 0 and unbounded, so the root is
        unique.

        Parameters
        ----------
        values : mapping Symbol -> number
            Values of the open symbols (weights, ridge).
        digits : int
            Decimal digits.

        Examples
        --------
        >>> from theory import kgmm
        >>> two = kgmm(2, weights=["1/2", "1/2"], directions_gram="orthonormal", ridge="1/10")
        >>> point = softmax_fixed_point(two)
        >>> print(point.solve()[0, 0].n(6))
        0.816753
        """
        exact_values = _checked_values(self.model, values)
        solved = {}
        with mpmath.workdps(digits + 10):
            for gap, residual in zip(self.gaps, self.residuals, strict=True):
                equation = residual.subs(exact_values)
                open_symbols = sorted(map(str, equation.free_symbols - {gap}))
                if open_symbols:
                    raise InputError(
                        "values",
                        f"no value for {open_symbols}",
                        "a number for every open symbol",
                        "add them to values, or fix them in the model",
                    )
                function = sp.lambdify(gap, equation, "mpmath")
                top = mpmath.mpf(1)
                while function(top) < 0:
                    top *= 2
                solved[gap] = sp.Float(_bisect(function, top, digits), digits)
        return sp.ImmutableDenseMatrix(self.overlap.subs(solved))


@with_known_keywords
def softmax_fixed_point(model: Model) -> ImplicitFixedPoint:
    r"""Return the noiseless fixed point of the softmax mixture with orthonormal means, in implicit
    form.

    Column l of the overlap has gap :math:`s_l = m_{ll}-m_{al}` (a != l), the unique positive root
    of

    .. math:: \beta s_l\,(e^{s_l}+k-1) = k\,p_l,\qquad
              m_{ll}=\tfrac{k-1}{k}s_l,\quad m_{al}=-\tfrac1k s_l,\quad R_\perp=0.

    At p_l = 1/k this is beta s = 1/(e^s + k - 1) of mathematics.md section 5; the form for any
    weights is obtained from the same drift (the columns decouple for orthonormal means).

    Parameters
    ----------
    model : Model
        ``kgmm(k, directions_gram="orthonormal")``; weights and ridge symbolic or numbers (ridge >
        0).

    Returns
    -------
    ImplicitFixedPoint

    Raises
    ------
    InputError
        The means are not orthonormal, or the ridge is 0 (the overlaps then grow without bound).

    Examples
    --------
    >>> from theory import kgmm
    >>> point = softmax_fixed_point(kgmm(3, directions_gram="orthonormal"))
    >>> point.residuals[0]
    beta*s_1*(exp(s_1) + 2) - 3*p_1
    >>> point.overlap.row(0)
    Matrix([[2*s_1/3, -s_2/3, -s_3/3]])
    """
    check_is_model(model)
    refuse_bands(model.mixture, "the fixed point in closed form")
    check_plain(model, "closed fixed points")
    k = model.units
    if model.directions != k or model.mixture.directions_gram != sp.eye(k):
        raise InputError(
            "directions_gram",
            model.mixture.directions_gram.tolist(),
            "the identity",
            "use solve_noiseless_fixed_point for correlated means",
        )
    if model.loss != softmax_cross_entropy(k) or model.mixture.coordinates != sp.eye(k):
        raise InputError(
            "model", model.name, "the softmax mixture of sa.kgmm", "use solve_noiseless_fixed_point"
        )
    _checked_values(model, None)
    gaps = symbols.vector("s", k, positive=True)
    overlap = sp.ImmutableDenseMatrix(
        k, k, lambda a, l: gaps[l] * (sp.Rational(k - 1, k) if a == l else sp.Rational(-1, k))
    )
    residuals = sp.ImmutableDenseMatrix(
        k,
        1,
        lambda l, _: (
            model.ridge * gaps[l] * (sp.exp(gaps[l]) + k - 1) - k * model.mixture.weights[l]
        ),
    )
    return ImplicitFixedPoint(model, overlap, residuals, gaps)


@with_known_keywords
def solve_noiseless_fixed_point(
    model: Model,
    values: Mapping[sp.Symbol, object] | None = None,
    start: Mapping[sp.Symbol, object] | None = None,
    digits: int = 30,
) -> dict[sp.Symbol, sp.Float]:
    r"""Solve for a fixed point of the noiseless drift at given parameters, to ``digits`` digits.

    Newton's method of mpmath on the overlap and readout components of
    ``noiseless(derive_drift(model))``; :math:`R_\perp = 0` there, because its noiseless drift is
    :math:`-2\beta R_\perp`.

    Parameters
    ----------
    model : Model
        Any model with a smooth loss and ridge > 0.
    values : mapping Symbol -> number, optional
        Values of the symbols the model leaves open (weights, ridge, Gamma).
    start : mapping Symbol -> number, optional
        Starting point; 0 where absent.
    digits : int
        Decimal digits of the solution.

    Returns
    -------
    dict
        Value of every overlap and readout symbol.

    Raises
    ------
    InputError
        A symbol has no value, or the ridge is 0.
    ArithmeticError
        Newton's method did not converge from ``start``.

    Examples
    --------
    >>> from theory import kgmm, indexed
    >>> point = solve_noiseless_fixed_point(
    ...     kgmm(2, weights=["1/2", "1/2"], directions_gram="orthonormal", ridge="1/10"))
    >>> s = point[indexed("m", 0, 0)] - point[indexed("m", 1, 0)]
    >>> bool(abs(s * (sp.exp(s) + 1) / 10 - 1) < 1e-25)
    True
    """
    check_is_model(model)
    check_plain(model, "noiseless fixed points with R_perp = 0")
    model_values = _checked_values(model, values)
    drift = noiseless(derive_drift(model, "stein"))
    s = model.symbols
    unknowns = [*s.overlap, *s.readout]
    equations = [e.xreplace(model_values).rewrite(sp.exp) for e in (*drift.overlap, *drift.readout)]
    missing = sorted(
        frozenset().union(*(e.free_symbols for e in equations)) - set(unknowns), key=str
    )
    if missing:
        raise InputError(
            "values",
            f"no value for {[str(x) for x in missing]}",
            "a number for every open symbol",
            "add them to values, or fix them in the model",
        )
    first = [mpmath.mpf(str((start or {}).get(x, 0))) for x in unknowns]
    with mpmath.workdps(digits + 10):
        jacobian = sp.lambdify(
            [unknowns], sp.Matrix(drift_jacobian(drift, model_values, unknowns)), "mpmath"
        )
        function = sp.lambdify([unknowns], equations, "mpmath")
        x = mpmath.matrix(first)
        for _ in range(200):
            residual = mpmath.matrix(function(list(x)))
            size = mpmath.norm(residual)
            if size < mpmath.mpf(10) ** (-digits - 3):
                return {u: sp.Float(value, digits) for u, value in zip(unknowns, x, strict=True)}
            direction = mpmath.lu_solve(mpmath.matrix(jacobian(list(x))), -residual)
            x = _damped(function, x, direction, size)
    raise ArithmeticError(
        f"Newton's method for the fixed point of {model.name} stopped at residual "
        f"{mpmath.nstr(size, 5)}; "
        "start closer (for instance from the end of an integrated curve)"
    )


def _checked_values(
    model: Model, values: Mapping[sp.Symbol, object] | None
) -> dict[sp.Symbol, sp.Expr]:
    """Exact values, refused where the model would refuse them or where there is no ridge."""
    numbers = {s: exact(str(s), v) for s, v in (values or {}).items()}
    ridge = model.ridge.xreplace(numbers)
    if ridge.is_number and not ridge > 0:
        raise InputError(
            "ridge", ridge, "a number > 0", "without a ridge there is no finite fixed point"
        )
    model.substitute(numbers)
    return numbers


def drift_jacobian(
    drift: Drift, values: Mapping[sp.Symbol, object], unknowns: list[sp.Symbol]
) -> list[list[sp.Expr]]:
    """Return d(drift of overlap and readout)/d(unknowns), in elementary functions."""
    return [
        [e.diff(x).xreplace(dict(values)).rewrite(sp.exp) for x in unknowns]
        for e in (*drift.overlap, *drift.readout)
    ]


def _bisect(
    function: Callable[[mpmath.mpf], mpmath.mpf], top: mpmath.mpf, digits: int
) -> mpmath.mpf:
    """Root in (0, top) of an increasing function: bisection cannot fail however steep it is."""
    low, high = mpmath.mpf(0), top
    while high - low > high * mpmath.mpf(10) ** (-digits - 2):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) < 0 else (low, middle)
    return (low + high) / 2


def _damped(
    function: Callable[[list[mpmath.mpf]], list[mpmath.mpf]],
    x: mpmath.matrix,
    direction: mpmath.matrix,
    size: mpmath.mpf,
) -> mpmath.matrix:
    """One Newton step, halved until the residual falls: the noiseless field is monotone."""
    step = mpmath.mpf(1)
    for _ in range(60):
        trial = x + step * direction
        if mpmath.norm(mpmath.matrix(function(list(trial)))) < size:
            return trial
        step /= 2
    return x + direction

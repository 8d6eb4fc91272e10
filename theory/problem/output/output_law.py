r"""Outputs of a network, the loss as a function of them, and the law of labels given them.

With :math:`\ell(y;u,v)=\rho(y;f(u,v))`, J the derivatives of the outputs f in (u, v), the
*generalised Gauss-Newton* matrix of a sample is :math:`J^T(\partial_f^2\rho)J` and the *true
Fisher* matrix :math:`J^TE_{y\sim p(\cdot\mid f)}[ss^T]J`, :math:`s=\partial_f\rho`, the label
drawn from the law that the model itself states.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import sympy as sp

from theory import symbols
from theory.errors import InputError, brief, check_choice
from theory.keywords import with_known_keywords
from theory.problem.softmax import Softmax
from theory.problem.softplus_sigmoid import Sigmoid

CATEGORICAL, BERNOULLI, NORMAL = "categorical", "bernoulli", "normal"
LAWS = (CATEGORICAL, BERNOULLI, NORMAL)
GAUSS_NEWTON, FISHER = "gauss-newton", "fisher"
HOW = "state the outputs: Loss(..., output=Output(values=[f], loss=..., law='bernoulli'))"


@with_known_keywords
@dataclass(frozen=True)
class Output:
    r"""The outputs of a loss.

    Parameters
    ----------
    values : sequence of sympy.Expr
        f in u and v.
    loss : sympy.Expr
        :math:`\rho(y;f)`, in ``symbols.vector("f", len(values))`` and the label.
    law : {"categorical", "bernoulli", "normal"}
        Of the label given f: classes 1 .. k of softmax(f), 1 with probability sigmoid(f) and else
        0, or normal with mean f and variance 1.

    Examples
    --------
    >>> u, (f,) = symbols.vector("u", 1), symbols.vector("f", 1)
    >>> Output([2 * u[0]], (f - symbols.LABEL)**2 / 2, "normal").curvature("gauss-newton")
    Matrix([[1]])
    """

    values: tuple[sp.Expr, ...]
    loss: sp.Expr
    law: str

    def __post_init__(self) -> None:
        check_choice("law", self.law, LAWS)
        object.__setattr__(self, "values", tuple(self.values))
        known = {symbols.LABEL, *self.symbols}
        if not isinstance(self.loss, sp.Expr):
            raise InputError("loss", brief(repr(self.loss)), "an expression in f and y", HOW)
        if self.law != CATEGORICAL and len(self.values) != 1:
            expected = f"one output of the law {self.law!r}"
            raise InputError("values", f"{len(self.values)} outputs", expected, HOW)
        if self.loss.free_symbols & set(symbols.vector("f", len(self.values) + 1)) - known:
            got, expected = str(self.loss), f"f_1 .. f_{len(self.values)}, one a value"
            raise InputError("loss", brief(got), expected, HOW)

    @property
    def symbols(self) -> tuple[sp.Symbol, ...]:
        """f_1, f_2, ..."""
        return symbols.vector("f", len(self.values))

    @cached_property
    def slopes(self) -> sp.Matrix:
        """Derivatives of the loss in the outputs, a column."""
        return sp.Matrix([self.loss.diff(f) for f in self.symbols])

    def curvature(self, matrix: str) -> sp.ImmutableDenseMatrix:
        """What stands between J^T and J, in f (and y)."""
        if matrix == GAUSS_NEWTON:
            return sp.ImmutableDenseMatrix(self.slopes.jacobian(list(self.symbols)))
        if self.law == NORMAL:
            return sp.ImmutableDenseMatrix([[self._normal_square()]])
        f = self.symbols
        if self.law == BERNOULLI:
            labels = [(sp.Integer(0), 1 - Sigmoid(f[0])), (sp.Integer(1), Sigmoid(f[0]))]
        else:
            labels = [(sp.Integer(c), Softmax(c, *f)) for c in range(1, len(f) + 1)]
        total = sp.zeros(len(f), len(f))
        for label, share in labels:
            slope = self.slopes.xreplace({symbols.LABEL: label})
            total += share * slope * slope.T
        return sp.ImmutableDenseMatrix(total)

    def _normal_square(self) -> sp.Expr:
        """E[s^2] of the slope s at y = f + z, z standard normal."""
        (f,), z = self.symbols, sp.Dummy("z", real=True)
        square = sp.expand((self.slopes[0, 0] ** 2).xreplace({symbols.LABEL: f + z}))
        if not square.is_polynomial(z):
            got, expected = str(self.loss), "a polynomial in the label, for the law 'normal'"
            raise InputError("loss", brief(got), expected, "take matrix='gauss-newton'")
        terms = sp.Poly(square, z).terms()
        return sp.Add(*(c * sp.factorial2(n - 1) for (n,), c in terms if n % 2 == 0))

    def substitute(self, numbers: Mapping[sp.Symbol, sp.Expr]) -> Output:
        """The outputs with numbers for symbols."""
        values = tuple(value.xreplace(numbers) for value in self.values)
        return Output(values, self.loss.xreplace(numbers), self.law)


def check_output(output: object, expression: sp.Expr) -> None:
    """Refuse outputs that do not make up the loss, as seen at a few points.

    Raises
    ------
    InputError
    """
    if not isinstance(output, Output):
        raise InputError("output", brief(repr(output)), "an sa.Output", HOW)
    made = output.loss.xreplace(dict(zip(output.symbols, output.values, strict=True)))
    places = sorted((made.free_symbols | expression.free_symbols) - {symbols.LABEL}, key=str)
    labels = [sp.Integer(n) for n in range(len(output.values) + 1)]
    for shift in range(2):
        sizes = (
            sp.Rational((5 * i + 3 * shift) % 7 + 1, i + shift + 3) for i in range(len(places))
        )
        at = dict(zip(places, sizes, strict=True))
        for label in labels:
            here = {**at, symbols.LABEL: label}
            if abs((made - expression).xreplace(here).evalf(30)) > sp.Float("1e-20"):
                got = "outputs whose loss is not that of the model"
                raise InputError("output", got, "values and loss of the same loss", HOW)

r"""Where an integrand bends: arguments of its nonlinear functions, and how sharply they turn.

A tanh, a softmax or a ramp is a function of one argument, nearly always affine in the
pre-activations, that changes where the argument passes zero and within a known *width*: the
distance of its nearest singularity from the real line, :math:`\pi` for a logistic function,
:math:`\pi/2` for tanh, 0 for a kink.  With z standard normal and an argument :math:`c+sz` the
transition sits at :math:`-c/s` and has the width :math:`w/|s|`.  That is all a quadrature rule must
know to resolve it, and it is known before the integrand is evaluated once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import cast

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from numerics.core import codegen
from numerics.core.validation import Array
from theory import Model, ReLU, Sigmoid, Softplus, Step, symbols
from theory.problem.softmax import LogSumExp, Softmax

# What happens where an argument passes zero.  POLE: a singularity at a distance from the real line;
# WAVE: the same scale everywhere (sine, exponential); CUT: a kink or jump, smooth on either side;
# BRANCH: a singularity on the line (logarithm, root)
POLE, WAVE, GROWTH, CUT, BRANCH = range(5)
# in units of the argument: distance of the nearest singularity, or what one panel of Gauss-Legendre
# nodes takes of an entire function
LOGISTIC, TANGENT, ENTIRE, GAUSSIAN = float(np.pi), float(np.pi / 2), 4.0, 1.5

_WIDTHS: dict[type, tuple[int, float]] = {
    Sigmoid: (POLE, LOGISTIC),
    Softplus: (POLE, LOGISTIC),
    sp.tanh: (POLE, TANGENT),
    sp.coth: (BRANCH, 0.0),
    sp.erf: (POLE, GAUSSIAN),
    sp.erfc: (POLE, GAUSSIAN),
    sp.atan: (POLE, 1.0),
    sp.asinh: (POLE, 1.0),
    sp.sin: (WAVE, ENTIRE),
    sp.cos: (WAVE, ENTIRE),
    sp.log: (BRANCH, 0.0),
    sp.Abs: (CUT, 0.0),
    sp.sign: (CUT, 0.0),
    sp.Heaviside: (CUT, 0.0),
    ReLU: (CUT, 0.0),
    Step: (CUT, 0.0),
    sp.DiracDelta: (CUT, 0.0),
}


@dataclass(frozen=True)
class Bend:
    """One argument of a nonlinear function.

    Attributes
    ----------
    argument : sympy.Expr
        In y, u, v.
    kind : int
        POLE, WAVE, GROWTH, CUT or BRANCH.
    width : float
        In units of the argument.
    """

    argument: sp.Expr
    kind: int
    width: float


@dataclass(frozen=True)
class Forms:
    """Affine arguments offset + slope . u for one label and readout.

    Attributes
    ----------
    offsets : array, shape (J,)
    slopes : array, shape (J, C)
    kinds : integer array, shape (J,)
    widths : array, shape (J,)
    """

    offsets: Array
    slopes: Array
    kinds: NDArray[np.int64]
    widths: Array


class Scales:
    """The bends of a set of integrands of one model.

    Parameters
    ----------
    model : theory.Model
    integrands : sequence of sympy.Expr
        In y, u, w, v.  Whitened pre-activations w are linear in u and enter as polynomials: they
        bend nothing.
    """

    def __init__(self, model: Model, integrands: Sequence[sp.Expr]) -> None:
        self.fields = len(model.loss.fields)
        self._u = tuple(model.symbols.fields)
        self.arguments: codegen.Arguments = (
            ("y", (symbols.LABEL,)),
            ("u", self._u),
            ("w", model.symbols.whitened),
            ("v", model.symbols.held),
        )
        affine: list[tuple[Bend, list[sp.Expr]]] = []
        self.composite: list[Bend] = []
        for bend in find_bends(integrands, self._u):
            slopes = [bend.argument.diff(u) for u in self._u]
            if any(s.has(*self._u) for s in slopes):
                self.composite.append(bend)
            else:
                affine.append((bend, slopes))
        self.kinds = np.array([b.kind for b, _ in affine], dtype=np.int64)
        self.widths = np.array([b.width for b, _ in affine], dtype=float)
        origin = dict.fromkeys(self._u, sp.Integer(0))
        self._coefficients = [
            e for bend, slopes in affine for e in (bend.argument.xreplace(origin), *slopes)
        ]

    @property
    def has_cuts(self) -> bool:
        """Whether any function has a kink, a jump or a singularity at a real argument."""
        kinds = [*self.kinds, *(b.kind for b in self.composite)]
        return any(kind in (CUT, BRANCH) for kind in kinds)

    @cached_property
    def _coefficient_function(self) -> Callable[..., None]:
        return self._function(self._coefficients)

    @cached_property
    def _composite_function(self) -> Callable[..., None]:
        return self._function([b.argument for b in self.composite])

    def _function(self, expressions: Sequence[sp.Expr]) -> Callable[..., None]:
        source = codegen.generate_function("scales", self.arguments, expressions, "numpy")
        return cast("Callable[..., None]", codegen.load_module(source).scales)

    def forms(self, label: float, readout: Array) -> Forms:
        """The affine arguments for one label and readout."""
        out = np.zeros((len(self.kinds), 1 + self.fields))
        if len(out):
            blank = np.zeros(self.fields)
            self._coefficient_function(label, blank, blank, readout, out.ravel())
        return Forms(out[:, 0].copy(), out[:, 1:].copy(), self.kinds, self.widths)

    def composites(self, u: Array, label: float, readout: Array) -> Array:
        """The other arguments at u of shape (C, N); shape (number of them, N)."""
        out = np.empty((len(self.composite), u.shape[1]))
        if len(out):
            with np.errstate(all="ignore"):
                self._composite_function(label, u, np.zeros_like(u), readout, out)
        return out


def find_bends(expressions: Iterable[sp.Expr], u: Sequence[sp.Symbol]) -> list[Bend]:
    """Every nonlinear function of the pre-activations in some expressions, by its argument.

    Examples
    --------
    >>> u = sp.Symbol("u", real=True)
    >>> [(b.argument, b.width) for b in find_bends([sp.tanh(100*u)**2 - u**3], [u])]
    [(100*u, 1.5707963267948966)]
    """
    wanted = set(u)
    known: dict[sp.Basic, frozenset[sp.Basic]] = {}
    found: dict[Bend, None] = {}
    # an exponential in a quotient, a logarithm or a tanh saturates; on its own it grows
    stack = [(e, False) for e in expressions]
    seen: set[tuple[sp.Basic, bool]] = set()
    while stack:
        e, inside = stack.pop()
        if (e, inside) in seen or not codegen.symbols_in([e], known) & wanted:
            continue
        seen.add((e, inside))
        bends = _bends_of(e, inside)
        for argument, kind, width in bends:
            if codegen.symbols_in([argument], known) & wanted:
                # of an exponential the sign tells on which side it is nothing
                named = argument if kind == GROWTH else _unsigned(argument)
                found.setdefault(Bend(named, kind, width))
        deeper = inside or (bool(bends) and not isinstance(e, sp.exp))
        stack.extend((a, deeper) for a in e.args)
    return list(found)


def _unsigned(argument: sp.Expr) -> sp.Expr:
    return -argument if argument.could_extract_minus_sign() else argument


def _bends_of(e: sp.Basic, inside: bool) -> list[tuple[sp.Expr, int, float]]:
    """Arguments, kind and width of the outermost function of an expression."""
    if isinstance(e, (sp.Add, sp.Mul, sp.Symbol, sp.Tuple)):
        return []
    if isinstance(e, sp.exp):
        return [(e.args[0], POLE, LOGISTIC) if inside else (e.args[0], GROWTH, ENTIRE)]
    if isinstance(e, (sp.sinh, sp.cosh)):
        return [(e.args[0], POLE, TANGENT) if inside else (e.args[0], GROWTH, ENTIRE)]
    if isinstance(e, sp.Pow):
        if e.exp.is_Integer and e.exp.is_positive:
            return []
        return [(e.base, BRANCH, 0.0)]
    if isinstance(e, (LogSumExp, Softmax)):
        classes = e.args[1:] if isinstance(e, Softmax) else e.args
        # a sum of exponentials has no zero while their phases lie within a half turn
        return [(a - b, POLE, LOGISTIC) for a, b in combinations(classes, 2)]
    if isinstance(e, (sp.Max, sp.Min)):
        return [(a - b, CUT, 0.0) for a, b in combinations(e.args, 2)]
    if isinstance(e, (sp.asin, sp.acos, sp.atanh, sp.acosh)):
        return [(e.args[0] + side, BRANCH, 0.0) for side in (-1, 1)]
    if isinstance(e, sp.core.relational.Relational):
        return [(e.lhs - e.rhs, CUT, 0.0)]
    if isinstance(e, sp.Function):
        kind, width = _WIDTHS.get(e.func, (POLE, 1.0))
        return [(a, kind, width) for a in e.args if isinstance(a, sp.Expr)]
    return []

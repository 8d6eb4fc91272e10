"""One scalar loss as a SymPy expression, and its partial derivatives, each computed once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import sympy as sp

from theory import symbols
from theory.errors import MOST_OF_PART, InputError, brief, brief_parts
from theory.keywords import with_known_keywords
from theory.notebook import equations_latex, formula_latex
from theory.rewriting import derivative_of

from .covariance.tokens import check_tokens_of_loss
from .held.loss_symbols import (
    FreeSymbol,
    Statistic,
    check_known,
    checked_free_symbols,
    statistics_in,
    teachers_in,
)
from .kinks import kink_forms, tidy, without_vanishing
from .layers import Layer, checked_layers
from .output.output_law import Output, check_output
from .regularity.canonical_form import as_text, canonical, one_term_a_label, simple_kinks, unsigned
from .regularity.checked_once import checked_once
from .regularity.domain import check_domain

# digits with which derivatives along the gauge are computed, and what of them counts as zero
GAUGE_DIGITS = 40
GAUGE_ZERO = sp.Float("1e-20")
# points at which they are looked at
GAUGE_POINTS = 3


@with_known_keywords
@dataclass(frozen=True)
class Loss:
    r"""Scalar loss :math:`\ell(y, t, \xi; u, v)` of a sample: of pre-activations, label, readout.

    Everything else in the project is derived from this expression: with
    :math:`g_a=\partial_{u_a}\ell` and :math:`H_{ab}=\partial_{u_a}\partial_{u_b}\ell`, the sample
    gradient is :math:`\nabla_{x^a}L = g_a Y + \beta x^a` and the sample Hessian :math:`H_{ab} Y Y^T
    + \beta\delta_{ab} I` (mathematics.md section 1).

    Directions of the mixture may be *teachers*: the loss sees :math:`t_s = Y\cdot e_s` too, so that
    a label may be any function of these (mathematics.md section 11).  Teachers are not trained.

    Parameters
    ----------
    expression : sympy.Expr
        The loss, in terms of ``symbols.LABEL``, ``u_1..u_C``, ``v_1..v_q``, and, for labels made by
        teachers, ``t_s`` (``symbols.vector("t", r)``) and ``symbols.LABEL_NOISE``, a standard
        normal variable of every sample.
    units : int
        C, the number of pre-activations.
    readout_size : int
        q, the number of readout parameters.
    gauge : sympy.ImmutableDenseMatrix, C x g, optional
        Columns n with sum_a n_a d/du_a d ell/dw = 0 for every variable w (u or v): directions along
        which all derivatives of the loss are constant.  Not trusted: checked at rational points to
        20 digits, and again by whoever drops a quadrature dimension because of it.
    kinks : tuple of sympy.Expr
        Expressions in u (and t) whose zeros are the points where the loss is not smooth.  Empty for
        a smooth loss.  The loss is rewritten with ReLU and Step of these expressions
        (:mod:`theory.problem.kinks`).
    layers : tuple of Layer
        The layers behind the first, which share out v in their order
        (:class:`theory.problem.layers.Layer`).  One layer "layer 2" with one row when empty.
    parameters : mapping of names or symbols to (low, high) or None, optional
        Numbers of one's own in the loss (temperature, margin, label smoothing), positive where no
        range says otherwise: their numbers are given to the Problem, and claims draw them at random
        from the range.
    output : Output, optional
        The outputs of the network and the law of labels that they state, for generalised
        Gauss-Newton and Fisher matrices.

    The loss may hold the statistics Q_ab (``symbols.symmetric("Q", C)``) and m_as of the weights
    themselves, as in norm penalties, weight normalisation or Oja's rule: then the sample gradient
    is :math:`g_aY+\sum_b\kappa_{ab}x^b+\sum_s\eta_{as}e_s` (mathematics.md section 12a).
    tokens : int
        P independent features a sample: ``symbols.tokens("u", C, P)`` (mathematics.md section 12b).

    Raises
    ------
    InputError
        If the expression contains an unknown symbol, a function without derivative or a kink that
        is not declared, or a declared gauge is not one.

    Examples
    --------
    >>> u = symbols.vector("u", 1)
    >>> square = Loss((u[0] - symbols.LABEL)**2 / 2, units=1)
    >>> square.partial((0,)), square.partial((0, 0))
    (u_1 - y, 1)
    """

    expression: sp.Expr
    units: int
    readout_size: int = 0
    gauge: sp.ImmutableDenseMatrix | None = None
    kinks: tuple[sp.Expr, ...] = ()
    layers: tuple[Layer, ...] = ()
    parameters: Any = ()
    output: Output | None = None
    tokens: int = 1
    _cache: dict[tuple[int, ...], sp.Expr] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @checked_once
    def __post_init__(self) -> None:
        for name in ("units", "readout_size", "tokens"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                got, remedy = type(value).__name__, "count the symbols of the loss"
                raise InputError(name, got, "an integer", remedy)
        for name in ("units", "tokens"):
            if (count := getattr(self, name)) < 1:
                remedy = "a loss needs a pre-activation"
                raise InputError(name, count, "an integer >= 1", remedy)
        if not isinstance(self.expression, sp.Expr):
            raise InputError(
                "loss expression",
                repr(self.expression),
                "a SymPy expression",
                "build it from sa.symbols: vector('u', C), vector('v', q) and LABEL",
            )
        if self.expression.has(sp.I, sp.oo, -sp.oo, sp.zoo, sp.nan):
            remedy = "write real and finite numbers only"
            raise InputError("loss expression", str(self.expression), "a real loss", remedy)
        declared = checked_free_symbols(self.parameters, self.expression.free_symbols)
        object.__setattr__(self, "parameters", declared)
        known = {symbols.LABEL, *self.variables, *self.fields, *self.held}
        check_known(self.expression, known, self.variables)
        check_tokens_of_loss(self)
        object.__setattr__(self, "layers", checked_layers(self.layers, self.readout_size))
        object.__setattr__(self, "kinks", self._checked_kinks())
        object.__setattr__(self, "expression", canonical(self.expression, self.kinks))
        if self.output is not None:
            check_output(self.output, self.expression)
        self._check_derivatives()
        self._check_slopes()
        if self.gauge is not None:
            self._check_gauge(self.gauge)

    def __repr__(self) -> str:
        gauge = None if self.gauge is None else self.gauge.tolist()
        several = {} if self.tokens == 1 else {"tokens": self.tokens}
        sizes = brief_parts(units=self.units, readout_size=self.readout_size, **several)
        rest = brief_parts(gauge=gauge, kinks=self.kinks)
        if self.parameters:
            rest += f", parameters={[p.name for p in self.parameters]}"
        return f"Loss({brief(self.expression, MOST_OF_PART)}, {sizes}, {rest})"

    def _repr_latex_(self) -> str:
        """The loss, for notebooks."""
        return equations_latex(self.equations())

    def equations(self) -> list[tuple[str, str]]:
        """Left and right hand sides in LaTeX."""
        variables = "u, v; y" if self.readout_size else "u; y"
        u = ("u_a", r"x^a\cdot Y") if self.tokens == 1 else ("u_{ap}", r"x^a\cdot Y_p")
        return [(rf"\ell({variables})", formula_latex(self.expression)), u]

    def _check_derivatives(self) -> None:
        for e in sorted(self.expression.atoms(sp.Function), key=sp.default_sort_key):
            used = [x for x in self.variables if e.has(x)]
            slopes = [e.diff(x) for x in used]
            # a function that depends on x with slope 0 steps where nobody sees it
            if any(s == 0 or s.has(sp.Derivative, sp.Subs) for s in slopes):
                raise InputError(
                    "loss expression",
                    f"the function {e.func}",
                    "functions with a known derivative",
                    "write it in elementary functions, or define its fdiff",
                )

    def _check_slopes(self) -> None:
        """Refuse jumps, and losses that are not real or not finite at some pre-activations."""
        slopes = [self.partial((i,)) for i in range(len(self.variables))]
        for slope in slopes:
            for delta in sorted(slope.atoms(sp.DiracDelta), key=sp.default_sort_key):
                kink = as_text(delta.args[0])
                raise InputError(
                    "loss expression",
                    f"a jump at {kink} = 0",
                    "a continuous loss",
                    "SGD follows the slope of samples, which misses a jump, so that neither drift "
                    f"nor G exist: replace Step(k) by a ramp such as ReLU(k + 1) - ReLU(k), "
                    f"k = {kink}",
                )
        check_domain(self.expression, slopes, self.fields)

    def _checked_kinks(self) -> tuple[sp.Expr, ...]:
        for kink in self.kinks:
            # a text is refused: to make an expression of it would be to run it
            if not isinstance(kink, (sp.Expr, int, float)) or isinstance(kink, bool):
                got, remedy = type(kink).__name__, "give u_1 for a kink at u_1 = 0"
                raise InputError("kinks", got, "SymPy expressions", remedy)
        kinks = tuple(unsigned(sp.sympify(k)) for k in self.kinks)
        for kink in kinks:
            used = kink.free_symbols
            if not used & set(self.fields) or used - {*self.variables, *self.fields, *self.beside}:
                remedy = "give u_1 for a kink at u_1 = 0"
                if symbols.LABEL in used:
                    remedy = one_term_a_label(self.expression, kink)
                raise InputError(
                    "kinks",
                    kink,
                    f"expressions in {', '.join(map(str, self.fields))} that vanish at a kink",
                    remedy,
                )
        kinks = tuple(dict.fromkeys(simple for kink in kinks for simple in simple_kinks(kink)))
        # a kink behind another is written with the ReLU of the inner one, as the loss will be
        return tuple(unsigned(canonical(kink, kinks)) for kink in kinks)

    @property
    def preactivation(self) -> tuple[sp.Symbol, ...]:
        return symbols.preactivations(self.units, self.tokens)

    @property
    def readout(self) -> tuple[sp.Symbol, ...]:
        return symbols.vector("v", self.readout_size)

    @property
    def variables(self) -> tuple[sp.Symbol, ...]:
        """(u_1..u_C, v_1..v_q): the order that the indices of :meth:`partial` refer to."""
        return (*self.preactivation, *self.readout)

    @cached_property
    def teachers(self) -> tuple[int, ...]:
        """0-based directions s whose pre-activations t_s the loss holds."""
        return teachers_in(self.expression)

    @cached_property
    def has_label_noise(self) -> bool:
        return self.expression.has(symbols.LABEL_NOISE)

    @cached_property
    def fields(self) -> tuple[sp.Symbol, ...]:
        """(u_1..u_C, t_s of the teachers, xi): the Gaussian variables of the loss."""
        noise = (symbols.LABEL_NOISE,) if self.has_label_noise else ()
        teachers = (symbols.indexed("t", s) for s in self.teachers)
        return (*self.preactivation, *teachers, *noise)

    @cached_property
    def free_parameters(self) -> tuple[FreeSymbol, ...]:
        """The numbers of one's own."""
        return checked_free_symbols(self.parameters)

    @cached_property
    def statistics(self) -> tuple[Statistic, ...]:
        """Q_ab and m_as that the loss holds."""
        return statistics_in(self.expression, self.units)

    @cached_property
    def beside(self) -> tuple[sp.Symbol, ...]:
        """Free parameters, then statistics: what a sample does not change, behind the readout."""
        free = (each.symbol for each in self.free_parameters)
        return (*free, *(each.symbol for each in self.statistics))

    @property
    def held(self) -> tuple[sp.Symbol, ...]:
        """All that a sample does not change: the readout, free parameters, statistics."""
        return (*self.readout, *self.beside)

    def teacher_position(self, direction: int) -> int | None:
        """Where t_s stands among what :meth:`partial` differentiates by; None for no teacher."""
        if direction not in self.teachers:
            return None
        return len(self.variables) + self.teachers.index(direction)

    @cached_property
    def differentiated(self) -> tuple[sp.Symbol, ...]:
        """:attr:`variables`, and t_s of the teachers, by which integration by parts derives; behind
        them the statistics.
        """
        first = len(self.preactivation)
        teachers = self.fields[first : first + len(self.teachers)]
        return (*self.variables, *teachers, *(each.symbol for each in self.statistics))

    def statistic_position(self, statistic: Statistic) -> int | None:
        """Where a statistic stands among what :meth:`partial` differentiates by, if it is held."""
        if statistic not in self.statistics:
            return None
        first = len(self.differentiated) - len(self.statistics)
        return first + self.statistics.index(statistic)

    def substitute(self, numbers: Mapping[sp.Symbol, sp.Expr]) -> Loss:
        """The loss with numbers for free parameters, within their ranges."""
        given = [each for each in self.free_parameters if each.symbol in numbers]
        if not given:
            return self
        for each in given:
            each.check(float(numbers[each.symbol]))
        at = {each.symbol: numbers[each.symbol] for each in given}
        left = tuple(each for each in self.free_parameters if each not in given)
        kinks = tuple(kink.xreplace(at) for kink in self.kinks)
        output = None if self.output is None else self.output.substitute(at)
        expression = self.expression.xreplace(at)
        return replace(self, expression=expression, kinks=kinks, parameters=left, output=output)

    @property
    def is_smooth(self) -> bool:
        return not self.kinks

    @property
    def is_smooth_in_weights(self) -> bool:
        """Whether kinks, if any, are those of labels that teachers make: none moves with u or v."""
        trained = set(self.variables)
        return not any(kink.free_symbols & trained for kink in self.kinks)

    @cached_property
    def kink_forms(self) -> tuple[sp.ImmutableDenseMatrix, sp.ImmutableDenseMatrix] | None:
        """(A, c) with kinks = A(v) (u, t, xi) + c(v), None if some kink is not of this form."""
        return kink_forms(self.kinks, self.fields)

    def partial(self, indices: Iterable[int]) -> sp.Expr:
        """Return the partial derivative of the loss with respect to the variables at ``indices``.

        Parameters
        ----------
        indices : iterable of int
            0-based positions in :attr:`variables`, and behind them those of the teachers; order
            does not matter, repetition is repeated derivation.

        Returns
        -------
        sympy.Expr
            The distributional derivative: second derivatives across a kink contain DiracDelta.
        """
        key = tuple(sorted(indices))
        if key not in self._cache:
            if not key:
                self._cache[key] = self.expression
            else:
                derivative = derivative_of(self.partial(key[:-1]), self.differentiated[key[-1]])
                derivative = derivative if self.is_smooth else tidy(derivative)
                # of first derivatives, so that a loss such as u step(u) is seen to be continuous
                first = len(key) == 1
                self._cache[key] = without_vanishing(derivative) if first else derivative
        return self._cache[key]

    def _check_gauge(self, gauge: sp.ImmutableDenseMatrix) -> None:
        if gauge.shape[0] != len(self.preactivation):
            raise InputError(
                "gauge",
                f"shape {gauge.shape}",
                f"{len(self.preactivation)} row(s)",
                "give a column vector over the units",
            )
        for column in range(gauge.shape[1]):
            for shift in range(GAUGE_POINTS):
                if self._largest_change(gauge[:, column], shift) > GAUGE_ZERO:
                    raise InputError(
                        "gauge",
                        gauge.tolist(),
                        "directions along which every first derivative of the loss is constant",
                        "drop the gauge; it only saves quadrature dimensions",
                    )

    def _largest_change(self, direction: sp.MatrixBase, shift: int) -> sp.Expr:
        """How far first derivatives at a rational point change along a direction."""
        start = {
            s: sp.Rational((7 * i + 3 * shift) % 11 - 5, i + shift + 2)
            for i, s in enumerate(dict.fromkeys((*self.variables, *self.fields)))
        }
        start |= {p.symbol: p.middle for p in self.free_parameters}
        start |= {each.symbol: sp.Rational(shift + 2, 3) for each in self.statistics}
        stride = sp.Rational(shift + 1, 3)
        moved = start | {
            u: start[u] + stride * n for u, n in zip(self.preactivation, direction, strict=True)
        }
        slopes = [self.partial((i,)) for i in range(len(self.variables))]
        functions = set().union(*(e.atoms(sp.Function) for e in slopes))
        common = [f for f in functions if symbols.LABEL not in f.free_symbols]
        # the derivatives share their functions, each of which is evaluated once for all labels
        places = (
            at | {f: f.xreplace(at).evalf(GAUGE_DIGITS) for f in common} for at in (start, moved)
        )
        before, after = ([e.xreplace(values) for e in slopes] for values in places)
        largest = sp.Integer(0)
        for change in (b - a for a, b in zip(before, after, strict=True)):
            for label in self._labels if change.free_symbols else (sp.Integer(0),):
                number = change.xreplace({symbols.LABEL: label}).evalf(GAUGE_DIGITS)
                largest = max(largest, abs(number))
        return largest

    @property
    def _labels(self) -> list[sp.Expr]:
        """Labels the expression tells apart: those it names, and two it does not."""
        deltas = self.expression.atoms(sp.KroneckerDelta)
        named = {a for delta in deltas for a in delta.args if a.is_number}
        return [*sorted(named, key=sp.default_sort_key), sp.Rational(1, 3), sp.Integer(-7)]

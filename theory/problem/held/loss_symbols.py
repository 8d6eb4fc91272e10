"""What a loss may hold beside a sample and the readout: numbers of one's own, and statistics.

A *free symbol* (a temperature, a margin, the strength of label smoothing) is declared with the loss
and has a number in the parameters.  A *statistic*, Q_ab or m_as, is what the weights themselves are
at that step (mathematics.md section 12a).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import sympy as sp

from theory import symbols
from theory.errors import InputError, brief
from theory.problem.exact_numbers import exact

NAME = re.compile("[A-Za-z][A-Za-z0-9]*")
# Q_1_2, m_1_2
# t_1
_TEACHER = re.compile("t_([1-9][0-9]*)")
# u_1_1, u_2_1, ...
_AT_TOKEN = re.compile("u_[1-9][0-9]*_[1-9][0-9]*")
_STATISTIC = re.compile("([Qm])_([1-9][0-9]*)_([1-9][0-9]*)")
GRAM, OVERLAP = "Q", "m"
# ends of the range of what is drawn where the declared one has none
NEAR, FAR, SHARE = 2, 4, 16
HOW = 'declare it: Loss(..., parameters={"T": (0.5, 2)}), and give its number to the Problem'
# names of the conventions, which stand for something else
_LETTERS = "y xi k K r n q d m R Q P S p v u w t Y s g H f E e x l a b c i j h o z"
_WORDS = "lambda beta c_delta Gamma zeta delta pi ell sum exp log sqrt"
TAKEN = frozenset(f"{_LETTERS} {_WORDS}".split())


@dataclass(frozen=True)
class FreeSymbol:
    """A number that a loss leaves open, and where it may lie.

    Attributes
    ----------
    symbol : sympy.Symbol
    low, high : sympy.Expr
        Ends of its range, of which random numbers for claims and laws are drawn; infinite where
        there is none.
    """

    symbol: sp.Symbol
    low: sp.Expr
    high: sp.Expr

    @property
    def name(self) -> str:
        return str(self.symbol)

    @property
    def drawn(self) -> tuple[sp.Expr, sp.Expr]:
        """The finite range that random numbers are drawn from."""
        low, high = self.low, self.high
        if not low.is_finite:
            low = high - FAR if high.is_finite else sp.Integer(-NEAR)
        if not high.is_finite:
            high = low + FAR
        if low == 0 and self.symbol.is_positive:
            low = high / SHARE
        return low, high

    @property
    def middle(self) -> sp.Expr:
        """A number within the range, for what has to hold at any."""
        low, high = self.drawn
        return (low + high) / 2

    def check(self, value: float) -> None:
        """Refuse a number outside of the declared range.

        Raises
        ------
        InputError
        """
        zero = self.symbol.is_positive and value <= 0
        if zero or not float(self.low) <= value <= float(self.high):
            ends = f"a number in [{self.low}, {self.high}]"
            remedy = f"declare another range of {self.name} in the loss"
            raise InputError(self.name, value, f"{ends}, not 0" if zero else ends, remedy)


@dataclass(frozen=True)
class Statistic:
    """Q_ab or m_as in a loss, by its kind and 0-based indices."""

    kind: str
    first: int
    second: int

    @property
    def symbol(self) -> sp.Symbol:
        return symbols.indexed(self.kind, self.first, self.second)


def checked_free_symbols(
    declared: object, present: Iterable[sp.Symbol] = ()
) -> tuple[FreeSymbol, ...]:
    """The free symbols of a declaration: a mapping of symbols or names to ranges, or their list.

    A name means the symbol ``present`` in the loss that has it, and else a new one.

    Raises
    ------
    InputError
        A name of the conventions, a symbol that is not real, a range that is none.
    """
    pairs = list(declared.items()) if isinstance(declared, Mapping) else declared
    if isinstance(pairs, (str, bytes)) or not isinstance(pairs, Iterable):
        remedy = 'write parameters={"T": (0.5, 2)}'
        raise InputError("parameters", brief(repr(declared)), "a mapping of names", remedy)
    known = {str(symbol): symbol for symbol in present if symbol.is_real}
    found: list[FreeSymbol] = []
    for pair in pairs:
        if isinstance(pair, FreeSymbol):
            found.append(pair)
        elif isinstance(pair, tuple) and len(pair) == 2 and not isinstance(pair[1], str):
            found.append(_free_symbol(*pair, known))
        else:
            found.append(_free_symbol(pair, None, known))
    names = [each.name for each in found]
    for name in names:
        if names.count(name) > 1:
            raise InputError("parameters", f"{name} twice", "one entry for each", "leave one out")
    return tuple(found)


def _free_symbol(given: object, ends: object, known: Mapping[str, sp.Symbol]) -> FreeSymbol:
    low, high = _ends(given, ends)
    if isinstance(given, str) and given in known:
        given = known[given]
    if isinstance(given, str):
        positive = low is None or low >= 0
        given = sp.Symbol(given, positive=True) if positive else sp.Symbol(given, real=True)
    if not isinstance(given, sp.Symbol) or not given.is_real:
        remedy = 'write sympy.Symbol("T", positive=True), or its name alone'
        raise InputError("parameters", brief(repr(given)), "names or real symbols", remedy)
    name = str(given)
    if not NAME.fullmatch(name) or name in TAKEN:
        expected = "a word of letters and digits that the conventions leave free"
        raise InputError("parameters", repr(brief(name)), expected, "take another name")
    if low is None:
        low = sp.Integer(0) if given.is_positive else sp.S.NegativeInfinity
    if given.is_positive and low < 0:
        remedy = f'declare sympy.Symbol("{name}", real=True), or a range above 0'
        raise InputError(f"parameters[{name!r}]", low, "a range above 0: it is positive", remedy)
    return FreeSymbol(given, low, sp.S.Infinity if high is None else high)


def _ends(given: object, ends: object) -> tuple[sp.Expr | None, sp.Expr | None]:
    if ends is None:
        return None, None
    name = f"parameters[{brief(str(given))!r}]"
    if not isinstance(ends, (tuple, list)) or len(ends) != 2:
        raise InputError(name, brief(repr(ends)), "a pair (low, high)", "give the two ends")
    low, high = (exact(name, end) for end in ends)
    if not (low.is_number and high.is_number and low.is_real and high.is_real and low < high):
        raise InputError(name, f"({low}, {high})", "numbers low < high", "give the two ends")
    return low, high


def statistics_in(expression: sp.Expr, units: int) -> tuple[Statistic, ...]:
    """Q_ab with a <= b and m_as that an expression holds, in the order of their indices.

    Examples
    --------
    >>> [str(x.symbol) for x in statistics_in(symbols.indexed("Q", 0, 0) / 2, 1)]
    ['Q_1_1']
    """
    found = []
    for symbol in expression.free_symbols:
        match = _STATISTIC.fullmatch(str(symbol))
        if match is None:
            continue
        each = Statistic(match[1], int(match[2]) - 1, int(match[3]) - 1)
        last = each.second if each.kind == GRAM else each.first
        if last < units and each.symbol == symbol and (each.kind != GRAM or each.first <= last):
            found.append(each)
    return tuple(sorted(found, key=lambda s: (s.kind, s.first, s.second)))


def check_known(
    expression: sp.Expr, known: set[sp.Symbol], variables: tuple[sp.Symbol, ...]
) -> None:
    """Refuse symbols that a loss does not know, with what to do about them.

    Raises
    ------
    InputError
    """
    unknown = sorted(expression.free_symbols - known, key=str)
    names = {*map(str, known), str(symbols.LABEL_NOISE)}
    alike = [n for n in map(str, unknown) if n in names or _TEACHER.fullmatch(n)]
    if alike:
        raise InputError(
            "loss expression",
            f"symbols {alike} with other assumptions",
            f"the real symbols {alike} of sa.symbols",
            "build them with sa.symbols.vector: a Symbol with other assumptions is another",
        )
    if unknown:
        remedy = (
            "build the loss from sa.symbols.vector('u', C), vector('v', q) and LABEL; "
            "teachers are vector('t', r), label noise is LABEL_NOISE; where it is a number of "
            f"your own, {HOW}"
        )
        at_token = [s for s in (*unknown, *known) if _AT_TOKEN.fullmatch(str(s))]
        if at_token:
            remedy = (
                "u_a_p is unit a at token p: sa.symbols.tokens('u', C, P) and "
                "Loss(..., units=C, tokens=P)"
            )
        elif any(str(s).startswith("u_") for s in unknown):
            remedy = (
                "count what is trained in units; a teacher, which is not, is t_s of a "
                "direction: sa.symbols.vector('t', r)"
            )
        raise InputError(
            "loss expression",
            f"unknown symbols {[str(s) for s in unknown]}",
            f"only {symbols.LABEL}, {', '.join(map(str, variables))}",
            remedy,
        )


def teachers_in(expression: sp.Expr) -> tuple[int, ...]:
    """0-based directions s whose symbol t_s an expression holds, in their order.

    Examples
    --------
    >>> t = symbols.vector("t", 3)
    >>> teachers_in(t[2] * sp.tanh(t[0]))
    (0, 2)
    """
    found = ((_TEACHER.fullmatch(str(s)), s) for s in expression.free_symbols)
    numbers = ((int(match[1]) - 1, s) for match, s in found if match)
    return tuple(sorted(n for n, s in numbers if s == symbols.indexed("t", n)))

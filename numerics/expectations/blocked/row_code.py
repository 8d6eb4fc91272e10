"""Code that evaluates expressions on a row of nodes at once.

All rows stand in one array, ``rows``: those of the arguments, those of what the exponentials are
of, those that are needed again later, and those of the results.  Between the calls of
:mod:`.row_functions` stand loops of plain arithmetic, which compilers turn into vector
instructions: a loop with a call of the math module in it would be none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import sympy as sp

from numerics.core import codegen
from theory.problem.stable_functions import stabilised

from .row_functions import DIGEST, ROW

Printer = Callable[[sp.Expr], str]
# functions of rows, and what they are called
CALLS = {sp.exp: "exp_rows", sp.tanh: "tanh_rows"}
HEADER = f"""\
# functions of rows: {DIGEST}
from numerics.expectations.blocked.row_functions import exp_rows, tanh_rows
"""
# no row at all: known before the nodes are
OUTSIDE = -1


@dataclass(frozen=True)
class RowCode:
    """Source of ``features(y, v, rows)``, and how many rows it needs.

    Attributes
    ----------
    source : str
    first : int
        The results are the rows from here on.
    total : int
    """

    source: str
    first: int
    total: int


def row_code(
    variables: Sequence[sp.Symbol], outside: codegen.Arguments, expressions: Sequence[sp.Expr]
) -> RowCode:
    """The function that fills the result rows from those of the variables.

    Parameters
    ----------
    variables : sequence of Symbol
        One row each, the first ones.
    outside : sequence of (name, symbols)
        Arguments that are the same at all nodes.
    expressions : sequence of sympy.Expr
    """
    codegen.check_symbols(expressions, (("rows", variables), *outside))
    known: dict[sp.Symbol, sp.Symbol] = {}
    program = _Program(len(variables))
    for i, symbol in enumerate(variables):
        known[symbol] = program.variable(i)
    used = codegen.symbols_in(expressions)
    for name, group in outside:
        for i, symbol in enumerate(group):
            if symbol in used:
                scalar = len(group) == 1 and str(symbol) == name
                known[symbol] = program.outside(f"{name}_{i}", name if scalar else f"{name}[{i}]")
    lowered = stabilised(expressions, known)
    shared, results = sp.cse(lowered, symbols=sp.numbered_symbols("t"), order="none")
    for symbol, e in shared:
        program.define(symbol, e)
    first = program.finish([program.lifted(e) for e in results], expressions)
    arguments = ", ".join([*(name for name, _ in outside), "rows"])
    body = "\n    ".join([f'"""Generated: {len(results)} rows from {first} on."""', *program.lines])
    decorator = "@numba.njit(cache=True, nogil=True, error_model='numpy')\n"
    source = f"{HEADER}\n\n{decorator}def features({arguments}):\n    {body}\n"
    return RowCode(source, first, first + len(results))


@dataclass
class _Program:
    """Statements with the stage each belongs to: that after so many rounds of calls."""

    inputs: int
    stages: dict[sp.Symbol, int] = field(default_factory=dict)
    statements: list[tuple[sp.Symbol, sp.Expr]] = field(default_factory=list)
    # calls of a stage: the function, the symbol of its value, its argument
    calls: dict[int, list[tuple[str, sp.Symbol, sp.Expr]]] = field(default_factory=dict)
    rows: dict[sp.Symbol, int] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    _called: dict[sp.Expr, sp.Symbol] = field(default_factory=dict)

    def variable(self, i: int) -> sp.Symbol:
        symbol = sp.Symbol(f"x_{i}", real=True)
        self.stages[symbol], self.rows[symbol] = 0, i
        return symbol

    def outside(self, name: str, source: str) -> sp.Symbol:
        symbol = sp.Symbol(name, real=True)
        self.stages[symbol] = OUTSIDE
        self.lines.append(f"{name} = {source}")
        return symbol

    def stage(self, e: sp.Expr) -> int:
        """The stage at which the value of an expression is known."""
        return max((self.stages[s] for s in e.free_symbols), default=OUTSIDE)

    def define(self, symbol: sp.Symbol, e: sp.Expr) -> None:
        lifted = self.lifted(e)
        self.stages[symbol] = self.stage(lifted)
        self.statements.append((symbol, lifted))

    def lifted(self, e: sp.Expr) -> sp.Expr:
        """The expression with the value of every call in it as a symbol of its own."""
        if e.is_Atom:
            return e
        arguments = [self.lifted(a) for a in e.args]
        new = e if all(a is b for a, b in zip(arguments, e.args, strict=True)) else None
        new = e.func(*arguments) if new is None else new
        name = CALLS.get(type(new))
        if name is None or self.stage(new) == OUTSIDE:
            return new
        if new not in self._called:
            symbol = sp.Symbol(f"c{len(self._called)}", real=True)
            stage = self.stage(new)
            self.stages[symbol] = stage + 1
            self.calls.setdefault(stage, []).append((name, symbol, new.args[0]))
            self._called[new] = symbol
        return self._called[new]

    def finish(self, results: Sequence[sp.Expr], expressions: Sequence[sp.Expr]) -> int:
        """Write all loops; the position of the first result."""
        for stage in sorted(self.calls):
            self.calls[stage].sort(key=lambda call: call[0])
            for _, symbol, _ in self.calls[stage]:
                self.rows[symbol] = len(self.rows)
        last = max([0, *self.calls], default=0) + int(bool(self.calls))
        uses = [(self.stages[s], e) for s, e in self.statements]
        uses += [(at, e) for at, found in self.calls.items() for _, _, e in found]
        uses += [(max(self.stage(e), 0), e) for e in results]
        later = {s for at, e in uses for s in e.free_symbols if OUTSIDE < self.stages[s] < at}
        for symbol, _ in self.statements:
            if symbol in later:
                self.rows[symbol] = len(self.rows)
        first = len(self.rows)
        printer = codegen.scalar_printer(expressions)
        for symbol, e in self.statements:
            if self.stages[symbol] == OUTSIDE:
                self.lines.append(f"{symbol} = {printer(e)}")
        for stage in range(last + 1):
            self._write_loop(stage, results, first, printer)
            self._write_calls(self.calls.get(stage, []))
        return first

    def _write_loop(
        self, stage: int, results: Sequence[sp.Expr], first: int, printer: Printer
    ) -> None:
        body: list[str] = []
        needed: list[sp.Expr] = []
        for symbol, e in self.statements:
            if self.stages[symbol] == stage:
                body.append(f"{symbol} = {printer(e)}")
                needed.append(e)
                if symbol in self.rows:
                    body.append(f"rows[{self.rows[symbol] * ROW} + i] = {symbol}")
        targets = [(self.rows[s], e) for _, s, e in self.calls.get(stage, [])]
        targets += [(first + j, e) for j, e in enumerate(results) if max(self.stage(e), 0) == stage]
        for row, e in targets:
            body.append(f"rows[{row * ROW} + i] = {printer(e)}")
            needed.append(e)
        if not body:
            return
        own = {s for s, _ in self.statements if self.stages[s] == stage}
        symbols = set[sp.Symbol]().union(*(e.free_symbols for e in needed)) - own
        loads = [f"{s} = rows[{self.rows[s] * ROW} + i]" for s in _sorted(symbols & set(self.rows))]
        self.lines.append(f"for i in range({ROW}):")
        self.lines += [f"    {line}" for line in [*loads, *body]]

    def _write_calls(self, calls: Sequence[tuple[str, sp.Symbol, sp.Expr]]) -> None:
        for name in dict.fromkeys(name for name, _, _ in calls):
            own = [self.rows[s] for n, s, _ in calls if n == name]
            self.lines.append(f"{name}(rows[{own[0] * ROW}:{(own[-1] + 1) * ROW}])")


def _sorted(symbols: Iterable[sp.Symbol]) -> list[sp.Symbol]:
    return sorted(symbols, key=str)

"""SymPy expressions to numeric source code: one expression, two targets (NumPy arrays, numba
scalars).

The generated source can be printed (``source_of``), is checked for undeclared symbols, and is
stored as a module file so that numba can keep its machine code between runs.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from types import ModuleType

import numba
import sympy as sp
from sympy.printing.codeprinter import CodePrinter, PrintMethodNotImplementedError
from sympy.printing.numpy import NumPyPrinter
from sympy.printing.pycode import PythonCodePrinter

from theory import InputError
from theory.problem.stable_functions import stabilise, stabilised

from .generated.module_files import keep_machine_code_safely, place_module

# functions the math module has and NumPy has not
_SPECIAL = {"erf": "erf", "erfc": "erfc", "gamma": "gamma", "loggamma": "gammaln"}
_SETTINGS = {"fully_qualified_modules": True, "allow_unknown_functions": False}
# name of an argument of the generated function -> the symbols its entries stand for
Arguments = Sequence[tuple[str, Sequence[sp.Symbol]]]


def _refuse(printer: CodePrinter, e: sp.Basic) -> str:
    raise PrintMethodNotImplementedError(f"no code for {e}")


class _Refusals:
    """What SymPy prints in a form that does not compile, or that is no real number, has no code."""

    _print_factorial = _print_factorial2 = _print_arg = _print_Sum = _print_Product = _refuse
    _print_ImaginaryUnit = _print_Infinity = _print_NegativeInfinity = _print_ComplexInfinity = (
        _refuse
    )

    def _print_Piecewise(self, e: sp.Piecewise) -> str:
        if e.args[-1].cond != sp.true:
            raise PrintMethodNotImplementedError(f"{e} is undefined where no case holds")
        # a method of the printer this class is mixed into
        return str(super()._print_Piecewise(e))  # type: ignore[misc]


class _ScalarPrinter(_Refusals, PythonCodePrinter):
    """Scalar Python with the math module, as numba compiles it."""

    _print_NaN = _refuse

    def _print_Step(self, e: sp.Expr) -> str:
        return f"(1.0 if {self._print(e.args[0])} > 0 else 0.0)"

    def _print_KroneckerDelta(self, e: sp.Expr) -> str:
        left, right = (self._print(a) for a in e.args)
        return f"(1.0 if {left} == {right} else 0.0)"

    def _print_BivariateNormal(self, e: sp.Expr) -> str:
        return f"bivariate_normal({', '.join(self._print(a) for a in e.args)})"

    def _print_TrivariateNormal(self, e: sp.Expr) -> str:
        return f"trivariate_normal({', '.join(self._print(a) for a in e.args)})"

    def _print_Max(self, e: sp.Expr) -> str:
        return f"max({', '.join(self._print(a) for a in e.args)})"

    def _print_Min(self, e: sp.Expr) -> str:
        return f"min({', '.join(self._print(a) for a in e.args)})"

    _print_Maximum = _print_Max


class _ArrayPrinter(_Refusals, NumPyPrinter):
    """NumPy expressions that broadcast: Max and Min as nested binary maxima."""

    def _print_Step(self, e: sp.Expr) -> str:
        return f"1.0*({self._print(e.args[0])} > 0)"

    def _special(self, e: sp.Expr) -> str:
        arguments = ", ".join(self._print(a) for a in e.args)
        return f"scipy.special.{_SPECIAL[type(e).__name__]}({arguments})"

    _print_erf = _print_erfc = _print_gamma = _print_loggamma = _special

    def _print_BivariateNormal(self, e: sp.Expr) -> str:
        return f"bivariate_normal_array({', '.join(self._print(a) for a in e.args)})"

    def _print_TrivariateNormal(self, e: sp.Expr) -> str:
        return f"trivariate_normal_array({', '.join(self._print(a) for a in e.args)})"

    def _print_KroneckerDelta(self, e: sp.Expr) -> str:
        left, right = (self._print(a) for a in e.args)
        return f"1.0*({left} == {right})"

    def _nested(self, function: str, e: sp.Expr) -> str:
        text = self._print(e.args[0])
        for a in e.args[1:]:
            text = f"{function}({text}, {self._print(a)})"
        return text

    def _print_Max(self, e: sp.Expr) -> str:
        return self._nested("numpy.maximum", e)

    def _print_Min(self, e: sp.Expr) -> str:
        return self._nested("numpy.minimum", e)

    _print_Maximum = _print_Max


def check_symbols(expressions: Sequence[sp.Expr], arguments: Arguments) -> None:
    """Refuse expressions with a symbol that no argument declares, or that code cannot be made of.

    Raises
    ------
    theory.InputError
        Names the undeclared symbols, or the distribution (DiracDelta) found.
    """
    declared = {s for _, group in arguments for s in group}
    used = symbols_in(expressions)
    unknown = sorted(map(str, used - declared))
    if unknown:
        ranges = ", ".join(_ranges(unknown, arguments))
        expected = f"only the symbols of {[name for name, _ in arguments]}"
        remedy = "declare them as arguments, or substitute numbers first"
        if set(unknown) & {str(s) for s in declared}:
            remedy = (
                "take the declared ones: a symbol of the same name and other assumptions is "
                "another symbol"
            )
        raise InputError(
            "expressions",
            f"undeclared symbols {unknown}",
            f"{expected}: {ranges}" if ranges else expected,
            remedy,
        )
    for e in expressions:
        if e.has(sp.DiracDelta):
            raise InputError(
                "expressions",
                f"{e} with a Dirac delta",
                "functions, not distributions",
                "derive by the projection route, which differentiates nothing",
            )


def symbols_in(
    expressions: Iterable[sp.Basic], known: dict[sp.Basic, frozenset[sp.Basic]] | None = None
) -> frozenset[sp.Basic]:
    """The free symbols of expressions, looked for once in each part that they share.

    ``free_symbols`` of SymPy walks through a part as often as it stands there.  ``known`` keeps
    what was found for later calls.

    Examples
    --------
    >>> x, n = sp.symbols("x n")
    >>> symbols_in([sp.sin(x) ** 2 + sp.sin(x), sp.Sum(x**n, (n, 0, 3))])
    frozenset({x})
    """
    found = {} if known is None else known

    def of(e: sp.Basic) -> frozenset[sp.Basic]:
        if e not in found:
            # symbols, and what binds some, say it themselves
            plain = type(e).free_symbols is sp.Basic.free_symbols
            parts = frozenset().union(*map(of, e.args)) if plain else frozenset(e.free_symbols)
            found[e] = parts
        return found[e]

    return frozenset().union(*map(of, expressions))


def _ranges(unknown: Sequence[str], arguments: Arguments) -> list[str]:
    """For each kind of unknown symbol, such as m of m_9_9, the declared ones of it: "m_1_1 to
    m_3_3".
    """
    names = list(dict.fromkeys(str(s) for _, group in arguments for s in group))
    kinds = dict.fromkeys(name.partition("_")[0] for name in unknown)
    found = [[name for name in names if name.partition("_")[0] == kind] for kind in kinds]
    return [
        group[0] if len(group) == 1 else f"{group[0]} to {group[-1]}" for group in found if group
    ]


def generate_body(
    arguments: Arguments, expressions: Sequence[sp.Expr], target: str, out: str = "out"
) -> list[str]:
    """Return the lines of a function body that fills ``out[j]`` with the expressions.

    Parameters
    ----------
    arguments : sequence of (name, symbols)
        Entry i of the array ``name`` is ``symbols[i]``; a group of one symbol named like the
        argument is scalar.
    expressions : sequence of sympy.Expr
    target : {"numba", "numpy"}
    """
    check_symbols(expressions, arguments)
    printer = _ScalarPrinter(_SETTINGS) if target == "numba" else _ArrayPrinter(_SETTINGS)
    named = tuple((name, tuple(group)) for name, group in arguments)
    read, shared, results = _shared_parts(named, tuple(expressions))
    lines = list(read)
    try:
        lines += [f"{s} = {printer.doprint(e)}" for s, e in shared]
        lines += [f"{out}[{j}] = {printer.doprint(e)}" for j, e in enumerate(results)]
    except PrintMethodNotImplementedError:
        raise _without_code(printer, expressions) from None
    return lines or ["pass"]


# integrands are printed for scalars and soon after for arrays
@lru_cache(maxsize=8)
def _shared_parts(
    arguments: tuple[tuple[str, tuple[sp.Symbol, ...]], ...], expressions: tuple[sp.Expr, ...]
) -> tuple[list[str], list[tuple[sp.Symbol, sp.Expr]], list[sp.Expr]]:
    """Lines that read the arguments, parts that overflow-free forms of expressions share, and what
    is left of each.
    """
    used = symbols_in(expressions)
    rename, lines = {}, []
    for name, group in arguments:
        for i, s in enumerate(group):
            if s in used:
                local = sp.Symbol(f"{name}_{i}", real=s.is_real, positive=s.is_positive)
                rename[s] = local
                source = name if (len(group) == 1 and str(s) == name) else f"{name}[{i}]"
                lines.append(f"{local} = {source}")
    # renamed first: overflow-free forms repeat all arguments of a function many times
    lowered = stabilised(expressions, rename)
    shared, results = sp.cse(lowered, symbols=sp.numbered_symbols("t"), order="none")
    return lines, shared, results


def scalar_printer(expressions: Sequence[sp.Expr]) -> Callable[[sp.Expr], str]:
    """What prints parts of expressions as scalar Python, and refuses by name what has no code."""
    printer = _ScalarPrinter(_SETTINGS)

    def printed(e: sp.Expr) -> str:
        try:
            return str(printer.doprint(e))
        except PrintMethodNotImplementedError:
            raise _without_code(printer, expressions) from None

    return printed


def _without_code(printer: CodePrinter, expressions: Sequence[sp.Expr]) -> InputError:
    """The error that names the smallest part of the expressions for which there is no code."""
    for e in expressions:
        for part in sp.postorder_traversal(e):
            try:
                printer.doprint(stabilise(part) if isinstance(part, sp.Expr) else sp.true)
            except PrintMethodNotImplementedError:
                return InputError(
                    "expressions",
                    f"{part}, for which there is no code",
                    "real elementary functions, erf, gamma, Max, Min, those of "
                    "theory.problem.stable_functions, or a Piecewise with a last case True",
                    f"rewrite {part.func.__name__ if part.args else part} in terms of these",
                )
    raise AssertionError(f"all parts of {expressions} have code")


def generate_function(
    name: str, arguments: Arguments, expressions: Sequence[sp.Expr], target: str
) -> str:
    """Return the source of ``name(*arguments, out)``, which writes ``out[j]`` for expression j."""
    body = generate_body(arguments, expressions, target)
    signature = ", ".join([*(n for n, _ in arguments), "out"])
    decorator = (
        "@numba.njit(cache=True, nogil=True, error_model='numpy')\n" if target == "numba" else ""
    )
    order = "; ".join(
        f"{n} = [{', '.join(map(str, group))}]" for n, group in arguments if len(group) <= 40
    )
    text = "\n    ".join([f'"""Generated. {order}"""', *body])
    return f"{decorator}def {name}({signature}):\n    {text}\n"


def load_module(source: str) -> ModuleType:
    """Import ``source`` as a module kept in the cache directory, so that compiled code is reused.

    The directory is ``$SPECALIGN_CACHE_DIR`` or the user's cache directory; if neither is writable
    a temporary one serves this process.
    """
    header = "import math\nimport numba\nimport numpy\nimport numpy as np\nimport scipy.special\n"
    for name in ("bivariate_normal", "trivariate_normal"):
        if name in source:
            header += f"from numerics.core.special.{name} import {name}, {name}_array\n"
    return _load(header + source)


@lru_cache(maxsize=None)
def _load(source: str) -> ModuleType:
    stamp = f"{source}\n{numba.__version__} {sys.version}"
    digest = hashlib.sha256(stamp.encode()).hexdigest()[:24]
    name = f"specalign_generated_{digest}"
    path = place_module(name, source)
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module
    # from the text itself: an import would read a compiled file beside it, which a full disk may
    # have cut short (Python 3.11 does not look how much was written), and end with an EOFError
    exec(compile(source, path, "exec"), vars(module))
    keep_machine_code_safely(module)
    return module

"""Whether an expression has only symbols and expectations that a formula of the model can have."""

from __future__ import annotations

import difflib
from functools import lru_cache
from itertools import product

import sympy as sp
from sympy.core.function import AppliedUndef

from theory import symbols
from theory.errors import InputError
from theory.problem.model import Model

from .derived import find_expectations
from .expectation import GaussianExpectation
from .gaussian_law import preactivation_law

# letters of what an expectation integrates over, and of the label
_BOUND = ("u", "t", "xi", "w", "y")


def check_expression(name: str, value: object, model: Model) -> None:
    """Refuse an expression that means nothing for a model: unknown symbols, other laws, no number.

    Raises
    ------
    theory.InputError
    """
    well_formed(model).check(name, value)


@lru_cache(maxsize=1)
def well_formed(model: Model) -> WellFormed:
    """What checks the expressions of a model, with what it found of the ones before.

    Several theories of a model, such as wrong ones on purpose, share most of their expressions.
    """
    return WellFormed(model)


class WellFormed:
    """What an expression of a model may be made of.

    Expressions and expectations that were found sound are remembered: a theory has the same ones
    in many of its formulas.
    """

    def __init__(self, model: Model) -> None:
        self._laws = [preactivation_law(model, l) for l in range(model.components)]
        self._known = _known_symbols(model)
        letters = {text: text.split("_")[0] for text in self._known}
        self._outer = {text for text, letter in letters.items() if letter not in _BOUND}
        self._inner = {text for text, letter in letters.items() if letter in (*_BOUND, "v")}
        self._sound: set[sp.Basic] = set()

    def check(self, name: str, value: object) -> None:
        """Refuse an expression with unknown symbols, other laws or no number, which is called
        ``name`` in the message.

        Raises
        ------
        theory.InputError
        """
        if not isinstance(value, sp.Expr):
            remedy = "write numbers as sympy.Integer or Rational"
            raise InputError(name, repr(value), "a SymPy expression", remedy)
        if value in self._sound:
            return
        nodes = list(dict.fromkeys(find_expectations(value)))
        names = {node: sp.Dummy() for node in nodes}
        plain = value.xreplace(names)
        unseen = [node for node in nodes if node not in self._sound]
        self._check_functions(name, value, [plain, *(n.general_integrand for n in unseen)])
        for node in unseen:
            self._check_node(name, node)
        free = plain.free_symbols - set(names.values())
        _check_symbols(name, free, self._outer, self._known, inside=False)
        if names and not plain.is_polynomial(*names.values()):
            remedy = "quotients and functions of them are not evaluated"
            expected = "a polynomial in the expectations E_l[...]"
            raise InputError(name, _short(value), expected, remedy)
        self._sound.update((value, *unseen))

    def _check_functions(self, name: str, value: sp.Expr, parts: list[sp.Expr]) -> None:
        """Refuse what is not finite, and functions without a definition."""
        if any(part.has(sp.nan, sp.oo, -sp.oo, sp.zoo) for part in parts):
            remedy = "remove NaN and infinities"
            raise InputError(name, _short(value), "a finite expression", remedy)
        unknown = {str(f) for part in parts for f in part.atoms(AppliedUndef)}
        if unknown:
            remedy = "use SymPy's functions or those of theory.problem.stable_functions"
            raise InputError(name, min(unknown), "a function with a definition", remedy)

    def _check_node(self, name: str, node: GaussianExpectation) -> None:
        l = node.law.component - 1
        if not 0 <= l < len(self._laws) or node.law != self._laws[l]:
            expected = "an expectation over the law of a component of this model"
            remedy = (
                f"use GaussianExpectation(f, preactivation_law(model, l)), l in"
                f" 0..{len(self._laws) - 1}, with the model "
                "of the theory and nothing substituted in it"
            )
            raise InputError(name, _short(node), expected, remedy)
        used = node.general_integrand.free_symbols
        _check_symbols(name, used, self._inner, self._known, inside=True)


def _check_symbols(
    name: str,
    used: set[sp.Symbol],
    allowed: set[str],
    known: dict[str, tuple[sp.Symbol, str]],
    inside: bool,
) -> None:
    if used <= {known[text][0] for text in allowed}:
        return  # as nearly always: nothing is spelt out
    where = "inside an expectation" if inside else "outside expectations"
    for symbol in sorted(used, key=str):
        text = str(symbol)
        if text in allowed and known[text][0] == symbol:
            continue
        if text in allowed:
            raise InputError(
                name,
                f"a Symbol({text!r}) made with other assumptions",
                f"the symbol {text} of the theory",
                f"write {known[text][1]}",
            )
        if text in known:
            raise InputError(
                name,
                f"{text} {where}",
                f"there only {_families(allowed)}",
                "put constants and state in front of E_l[...]"
                if inside
                else "put it into an expectation E_l[...]",
            )
        close = difflib.get_close_matches(text, allowed, n=1, cutoff=0.5)
        remedy = (
            f"did you mean {close[0]}: write {known[close[0]][1]}"
            if close
            else "use the symbols of the model"
        )
        raise InputError(
            name, f"the symbol {text} {where}", f"there only {_families(allowed)}", remedy
        )


def _short(value: sp.Basic) -> str:
    text = str(value)
    return text if len(text) <= 100 else f"{text[:97]}..."


def _families(names: set[str]) -> str:
    """Symbols by their letters, such as ``beta, lambda, m_i_j``."""
    indices = ("", "_i", "_i_j")
    found = {
        text
        if text in ("c_delta", "lambda", "beta", "y", "xi")
        else text.split("_")[0] + indices[text.count("_")]
        for text in names
    }
    return ", ".join(sorted(found))


def _known_symbols(model: Model) -> dict[str, tuple[sp.Symbol, str]]:
    """Symbols by name, each with the Python that gives it."""
    s, n, r = model.symbols, model.components, model.directions
    found = [
        (symbols.PRECISION, "sa.symbols.PRECISION"),
        (symbols.RIDGE, "sa.symbols.RIDGE"),
        (symbols.STEP, "sa.symbols.STEP"),
        (symbols.LABEL, "sa.symbols.LABEL"),
        *([(symbols.LABEL_NOISE, "sa.symbols.LABEL_NOISE")] if s.label_noise else ()),
    ]
    for i, p in enumerate(symbols.vector("p", n, positive=True)):
        found.append((p, f'sa.symbols.vector("p", {n}, positive=True)[{i}]'))
    for i, j in symbols.upper_triangle(r):
        for at in ((g, i, j) for g in range(model.bands)):
            index = at if model.bands > 1 else at[1:]
            text = f'sa.symbols.indexed("Gamma", {", ".join(map(str, index))})'
            found.append((symbols.indexed("Gamma", *index), text))
    for part in ("overlap", "gram_perp", "gram", "gram_inverse"):
        matrix = getattr(s, part)
        every = product(range(matrix.rows), range(matrix.cols))
        chosen = every if part == "overlap" else symbols.upper_triangles(matrix)
        found += [(matrix[i, j], f"model.symbols.{part}[{i}, {j}]") for i, j in chosen]
    for part in ("readout", "preactivation", "teacher", "whitened"):
        found += [(x, f"model.symbols.{part}[{i}]") for i, x in enumerate(getattr(s, part))]
    return {str(symbol): (symbol, text) for symbol, text in found}

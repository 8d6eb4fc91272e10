"""Single-term changes of an expression: what mutants are made of, and what mends a wrong claim.

Each edit changes one thing: it drops a term or flips its sign, changes a factor, swaps two indices,
drops a Kronecker case, drops what a kink leaves, replaces a component; inside an expectation as
well as outside.  Read backwards the same edits repair a claim, with one more: to add what is
missing where that is a single term.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import sympy as sp

from theory import GaussianExpectation, symbols
from theory.expectations.derived import find_expectations
from theory.names import ALMOST_EVERYWHERE
from theory.problem.kinks import apply_kink_rule
from verify.printing.shorten import shorten

# factors that derivations lose or gain
FACTORS: tuple[sp.Expr, ...] = (
    symbols.PRECISION,
    1 / symbols.PRECISION,
    sp.Integer(2),
    sp.Rational(1, 2),
    symbols.STEP,
    1 / symbols.STEP,
    symbols.RIDGE,
)
# characters of a missing term that is still a small repair
LONGEST = 120
# kinds of edits, in the order in which a repair tries them
KINDS = (
    "sign",
    "factor",
    "index",
    "component",
    "kronecker",
    "kink",
    "drop",
    "inner sign",
    "inner factor",
    "inner drop",
    "inner index",
)


@dataclass(frozen=True)
class Edit:
    """A changed expression and what was changed."""

    kind: str
    text: str
    expression: sp.Expr


def single_edits(expression: sp.Expr, wanted: sp.Expr | None = None) -> Iterator[Edit]:
    """Every single-term change of an expression.

    Parameters
    ----------
    expression : sympy.Expr
    wanted : sympy.Expr, optional
        For repairs: what it should be.  If the difference is a single term, adding it is an edit
        too.

    Examples
    --------
    >>> from theory import symbols
    >>> edits = list(single_edits(symbols.RIDGE - 1 / symbols.PRECISION))
    >>> [str(e.expression) for e in edits if e.kind in ("drop", "sign")]
    ['-beta - 1/lambda', 'beta + 1/lambda', '-1/lambda', 'beta']
    """
    found: dict[str, list[Edit]] = {kind: [] for kind in KINDS}
    terms = list(sp.Add.make_args(expression))
    if wanted is not None:
        yield from _whole(expression)
    for i, term in enumerate(terms):
        rest = sp.Add(*(t for j, t in enumerate(terms) if j != i))
        for kind, text, changed in _of_term(term):
            if changed != term:
                found[kind].append(Edit(kind, text, rest + changed))
    for kind in KINDS:
        yield from found[kind]
    if wanted is not None:
        missing = sp.expand(wanted - expression)
        if len(sp.Add.make_args(missing)) == 1 and missing != 0 and len(str(missing)) <= LONGEST:
            yield Edit("missing", f"add the missing term {missing}", expression + missing)


def _whole(expression: sp.Expr) -> Iterator[Edit]:
    yield Edit("sign", "flip the sign of the whole", -expression)
    for factor in FACTORS:
        yield Edit("factor", f"multiply the whole by {factor}", expression * factor)


def _of_term(term: sp.Expr) -> Iterator[tuple[str, str, sp.Expr]]:
    shown = shorten(term, 90)
    yield "drop", f"drop the term {shown}", sp.Integer(0)
    yield "sign", f"flip the sign of the term {shown}", -term
    for factor in FACTORS:
        yield "factor", f"multiply the term {shown} by {factor}", term * factor
    for text, changed in _swapped(term):
        yield "index", f"{text} in the term {shown}", changed
    for node in dict.fromkeys(find_expectations(term)):
        for kind, text, changed in _of_node(node):
            yield kind, f"{text} in {shorten(node, 90)}", term.xreplace({node: changed})


def _swapped(term: sp.Expr) -> Iterator[tuple[str, sp.Expr]]:
    """Other indices on one symbol outside of expectations: transposed, or one of them moved."""
    nodes = {n: sp.Dummy() for n in dict.fromkeys(find_expectations(term))}
    plain = term.xreplace(nodes)
    back = {name: node for node, name in nodes.items()}
    for symbol in sorted(plain.free_symbols - set(back), key=str):
        match = re.fullmatch(r"(m|R|Q|Gamma)_(\d+)_(\d+)", str(symbol))
        if match is None:
            single = re.fullmatch(r"(p|v)_(\d+)", str(symbol))
            if single is not None:
                i = int(single[2])
                other = symbols.indexed(
                    single[1], (i - 2) if i > 1 else 1, positive=True if single[1] == "p" else None
                )
                yield f"read {other} for {symbol}", plain.xreplace({symbol: other}).xreplace(back)
            continue
        base, i, j = match[1], int(match[2]), int(match[3])
        if base == "m" and i != j:
            other = symbols.indexed("m", j - 1, i - 1)
        elif base == "m":
            other = symbols.indexed("m", i - 1, j % 2)
        else:
            low, high = (i, j + 1) if i == j == 1 else (min(i, j), min(i, j))
            other = symbols.indexed(base, low - 1, high - 1)
        yield f"read {other} for {symbol}", plain.xreplace({symbol: other}).xreplace(back)


def _of_node(node: GaussianExpectation) -> Iterator[tuple[str, str, sp.Expr]]:
    """Changes of the integrand."""
    f, law = node.general_integrand, node.law

    def with_integrand(g: sp.Expr) -> sp.Expr:
        return GaussianExpectation(g, law)

    if f.has(sp.DiracDelta):
        yield (
            "kink",
            "take the almost-everywhere derivative",
            with_integrand(apply_kink_rule(f, ALMOST_EVERYWHERE)),
        )
    for delta in sorted(f.atoms(sp.KroneckerDelta), key=sp.default_sort_key):
        yield (
            "kronecker",
            f"drop the case {delta}",
            with_integrand(f.xreplace({delta: sp.Integer(0)})),
        )
    expanded = sp.expand(f)
    terms = sp.Add.make_args(expanded)
    # 1 - pi_a is delta_aa - pi_a: what a forgotten case of a derivative loses
    for factor in sp.Mul.make_args(f):
        if factor.is_Add and factor.has(sp.Function) and any(t.is_number for t in factor.args):
            number = sp.Add(*(t for t in factor.args if t.is_number))
            changed = f.xreplace({factor: factor - number})
            yield "kronecker", f"drop the case {number} of {factor}", with_integrand(changed)
    if len(terms) > 1:
        for i, t in enumerate(terms):
            others = sp.Add(*(x for j, x in enumerate(terms) if j != i))
            yield "inner drop", f"drop the term {shorten(t, 90)}", with_integrand(others)
            yield "inner sign", f"flip the sign of {shorten(t, 90)}", with_integrand(others - t)
            yield (
                "inner factor",
                f"double the term {shorten(t, 90)}",
                with_integrand(others + 2 * t),
            )
    u = [x for x in law.variables if x in f.free_symbols]
    for a, b in pairwise(u):
        if (g := f.xreplace({a: b, b: a})) != f:
            yield "inner index", f"swap {a} and {b}", with_integrand(g)

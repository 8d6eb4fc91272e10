r"""Formulas of single units with letters for their indices.

The derivative of a loss in u_1 is written with 1 and, in its sums, with all units.  A sum whose
terms differ by a unit alone becomes :math:`\sum_b`, and what is left of the numbers becomes
letters: v_1 (sigma(v_1 u_1 + v_2 u_2) - y) is v_a (sigma(sum_b v_b u_b) - y).  Whether the formula
holds for every unit is not decided here: it is a claim like any other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

import sympy as sp

from theory import Model
from theory.problem.kinks import tidy
from verify.claims.language.conventions import UNITS
from verify.claims.language.text import parse_formula
from verify.claims.language.tree import (
    Add,
    Call,
    Condition,
    Divide,
    Expectation,
    FormulaError,
    Index,
    Multiply,
    Name,
    Negative,
    Node,
    Number,
    Power,
    Sum,
    children,
    show,
)
from verify.claims.language.vocabulary import Vocabulary

# names whose number is that of a unit, where there are as many readout parameters as units
_COUNTED = ("u", "v", "pi", "delta")


def index_form(
    expression: sp.Expr, units: int, letters: Mapping[int, str], taken: str = ""
) -> Node | None:
    """A formula with letters for the given units and sums over the others; None if there is none.

    Sums have letters of their own, which are none of ``taken``.

    Examples
    --------
    >>> u, v = sp.symbols("u_1:3"), sp.symbols("v_1:3")
    >>> print(show(index_form(v[0] * sp.tanh(v[0] * u[0] + v[1] * u[1]), 2, {1: "a"})))
    v_a*tanh(sum_b(u_b*v_b))
    """
    try:
        tree = with_names_of_paper(parse_formula(str(sp.factor_terms(expression))), units)
    except FormulaError:
        return None
    free = [x for x in UNITS if x not in (*taken, *letters.values())]
    form = _renamed(_summed(tree, units, letters, free), letters)
    return None if _numbers(form) else form


def first_derivative(model: Model, position: int, letter: str) -> Node | None:
    """The derivative of the loss in u_a (``position`` 0) or in v_i (``position`` C)."""
    return index_form(model.loss.partial((position,)), model.units, {1: letter})


def second_derivative(model: Model, positions: tuple[int, int], letters: str) -> Node | None:
    """One form for both cases, of equal and of unequal indices.

    ``positions`` are those of the first indices of both, 0 for u and C for v.
    """
    first, second = positions
    a, b = letters[0], letters[1]
    same = model.loss.partial((first, second))
    if model.units == 1:
        return index_form(same, 1, {1: a})
    off = index_form(model.loss.partial((first, second + 1)), model.units, {1: a, 2: b})
    if off is None:
        return None
    there = Vocabulary(model).read(off, show(off), {a: 1, b: 1}, sample=True)
    rest = tidy(sp.expand(same - there))
    if rest == 0:
        return off
    case = index_form(rest, model.units, {1: a}, letters)
    if case is None:
        return None
    kronecker = Multiply((Name("delta", (a, b)), case))
    return kronecker if off == Number(Fraction(0)) else rebuilt(Add(()), [kronecker, off])


def substitute(node: Node, name: str, formula: Node, letters: str) -> Node:
    """A formula with another in the place of a name whose indices are letters, such as g_a.

    Sums of the other are over letters that the formula does not have.
    """
    if isinstance(node, Name) and _plain(node) == (name, len(letters)):
        return _lettered(formula, dict(zip(letters, _free(node), strict=True)))
    return rebuilt(node, [substitute(c, name, formula, letters) for c in children(node)])


def rebuilt(node: Node, parts: list[Node]) -> Node:
    """A formula with other parts."""
    match node:
        case Add():
            terms = [t for p in parts for t in (p.terms if isinstance(p, Add) else (p,))]
            return Add(tuple(sorted(terms, key=lambda t: isinstance(t, Negative))))
        case Multiply():
            signs = sum(isinstance(p, Negative) for p in parts)
            bare = [p.inside if isinstance(p, Negative) else p for p in parts]
            flat = [f for p in bare for f in (p.factors if isinstance(p, Multiply) else (p,))]
            product = Multiply(tuple(flat))
            return Negative(product) if signs % 2 else product
        case Call():
            return replace(node, arguments=tuple(parts))
        case Divide():
            above, below = parts
            if isinstance(above, Negative):
                return Negative(Divide(above.inside, below))
            return Divide(above, below)
        case Power():
            return Power(*parts)
        case Negative():
            return Negative(*parts)
        case Sum() | Expectation():
            return replace(node, body=parts[0])
    return node


def signs_in_front(node: Node) -> Node:
    """A formula with the signs of factors before their products, and what is added first."""
    return rebuilt(node, [signs_in_front(c) for c in children(node)])


def _plain(node: Name) -> tuple[str, int]:
    """H_a_v_i is called H_v, with two free indices."""
    marks = "_".join("v" for i in node.indices if i == "v")
    return (f"{node.base}_{marks}" if marks else node.base), len(_free(node))


def _free(node: Name) -> list[Index]:
    return [i for i in node.indices if i != "v"]


def with_sums_over(form: Node, spare: Sequence[str]) -> Node | None:
    """The same formula with its sums over the spare letters; None where they do not suffice."""
    sums = [node for node in _nodes(form) if isinstance(node, Sum)]
    bound = sorted({letter for node in sums for letter in node.indices})
    if len(bound) > len(spare):
        return None
    return _lettered(form, dict(zip(bound, spare, strict=False)))


def _nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in children(node):
        yield from _nodes(child)


def _lettered(node: Node, letters: Mapping[str, Index]) -> Node:
    """Letters exchanged, those of sums too."""
    match node:
        case Name(base, indices):
            return Name(base, tuple(letters.get(str(i), i) for i in indices))
        case Sum(indices, body, conditions):
            changed = tuple(
                Condition(
                    letters.get(str(c.left), c.left), letters.get(str(c.right), c.right), c.equal
                )
                for c in conditions
                if isinstance(c, Condition)
            )
            own = tuple(str(letters.get(i, i)) for i in indices)
            return Sum(own, _lettered(body, letters), changed)
    return rebuilt(node, [_lettered(c, letters) for c in children(node)])


def letters_of(node: Node) -> set[Index]:
    """Letters and numbers of the indices in a formula."""
    found = set(node.indices) if isinstance(node, (Name, Sum)) else set()
    return found.union(*map(letters_of, children(node)))


def with_names_of_paper(node: Node, units: int) -> Node:
    """Softmax, the logarithm of its denominator and Kronecker deltas by the names of the paper."""
    parts = [with_names_of_paper(c, units) for c in children(node)]
    if isinstance(node, Call):
        base = node.name.base
        all_units = parts == [Name("u", (a + 1,)) for a in range(units)]
        if base == "softmax" and all_units:
            return Name("pi", node.name.indices)
        if base == "LogSumExp" and all_units:
            terms = tuple(Call(Name("exp"), (p,)) for p in parts)
            return Call(Name("log"), (Add(terms) if units > 1 else terms[0],))
        if base == "KroneckerDelta" and all(isinstance(p, (Number, Name)) for p in parts):
            indices = [int(p.value) if isinstance(p, Number) else "y" for p in parts]
            return Name("delta", tuple(indices))
        plain = {"DiracDelta": "dirac", "Sigmoid": "sigmoid", "Softplus": "softplus"}
        return Call(Name(plain.get(base, base)), tuple(parts))
    return rebuilt(node, parts)


def _summed(node: Node, units: int, letters: Mapping[int, str], free: Sequence[str]) -> Node:
    """Sums of terms that differ by a unit alone, from the inside out."""
    parts = [_summed(c, units, letters, free) for c in children(node)]
    node = rebuilt(node, parts)
    if not isinstance(node, Add) or units == 1:
        return node
    left = list(node.terms)
    found: list[Node] = []
    while left:
        term = left[0]
        for orbit, total in _orbits(term, units, letters, free):
            if not Counter(map(_key, orbit)) - Counter(map(_key, left)):
                for part in map(_key, orbit):
                    left.remove(next(t for t in left if _key(t) == part))
                found.append(total)
                break
        else:
            found.append(left.pop(0))
    return found[0] if len(found) == 1 else Add(tuple(found))


def _orbits(
    term: Node, units: int, letters: Mapping[int, str], free: Sequence[str]
) -> list[tuple[list[Node], Node]]:
    """What a term may be one of: of all units, or of all but those with a letter."""
    found: list[tuple[list[Node], Node]] = []
    everyone = range(1, units + 1)
    others = [j for j in everyone if j not in letters]
    inner = letters_of(term)
    letter = next(x for x in free if x not in inner)
    for i in sorted(_numbers(term)):
        for members in (everyone, others):
            # a sum of one term could stand around anything
            alone = len(members) < 2
            if alone or i not in members or _numbers(term) & set(members) - {i}:
                continue
            orbit = [_renamed(term, {i: j}) for j in members]
            unequal = () if members is everyone else tuple(letters.values())
            inside, sign = (term.inside, True) if isinstance(term, Negative) else (term, False)
            conditions = tuple(Condition(letter, other, False) for other in unequal)
            total: Node = Sum((letter,), _renamed(inside, {i: letter}), conditions)
            found.append((orbit, Negative(total) if sign else total))
    return found


def _numbers(node: Node) -> set[int]:
    """Numbers of units in a formula."""
    own: set[int] = set()
    if isinstance(node, Name) and node.base in _COUNTED:
        own = {i for i in node.indices if isinstance(i, int)}
    return own.union(*(_numbers(c) for c in children(node)))


def _renamed(node: Node, names: Mapping[int, Index]) -> Node:
    if isinstance(node, Name) and node.base in _COUNTED:
        return Name(
            node.base, tuple(names.get(i, i) if isinstance(i, int) else i for i in node.indices)
        )
    return rebuilt(node, [_renamed(c, names) for c in children(node)])


def _key(node: Node) -> str:
    """The same for formulas that differ by the order of terms and factors."""
    parts = [_key(c) for c in children(node)]
    if isinstance(node, (Add, Multiply)):
        parts.sort()
    head = show(node) if not parts else type(node).__name__
    if isinstance(node, Call):
        head = show(node.name)
    if isinstance(node, Sum):
        head = f"{node.indices}{node.conditions}"
    return f"{head}({', '.join(parts)})"

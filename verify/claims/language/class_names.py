"""Formulas that say of every class what they say of any: one entry stands for all that differ from
it by the names of classes.

Where classes, units and directions are the same things and all enter a model alike, renaming them
takes admissible points to admissible points.  A formula without numbers at its indices is renamed
with them: it holds of one entry exactly where it holds of the renamed one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import sympy as sp

from theory import LogSumExp, Model, Softmax, symbols

from .conventions import FUNCTIONS
from .tree import Bound, Call, Expectation, Name, Node, Sum, children

Renaming = Sequence[int]


def one_of_each(bindings: Sequence[Mapping[str, int]]) -> list[Mapping[str, int]]:
    """The first of all values of indices that renaming takes to each other.

    Examples
    --------
    >>> pairs = [{"a": a, "b": b} for a in (1, 2, 3) for b in (1, 2, 3)]
    >>> one_of_each(pairs)
    [{'a': 1, 'b': 1}, {'a': 1, 'b': 2}]
    """
    found: dict[tuple[int, ...], Mapping[str, int]] = {}
    for each in bindings:
        values = list(dict.fromkeys(each.values()))
        found.setdefault(tuple(values.index(v) for v in each.values()), each)
    return list(found.values())


def names_no_class(node: Node) -> bool:
    """Whether a formula treats all classes alike: no numbers at indices, no order of letters.

    Examples
    --------
    >>> from .text import parse_formula
    >>> names_no_class(parse_formula("sum_b(m_a_b, b != a)")), names_no_class(parse_formula("p_1"))
    (True, False)
    """
    match node:
        case Name(base, indices):
            # the label as a number is no name
            if base in ("y", "f") or not all(isinstance(i, str) for i in indices):
                return False
        case Call(name, _):
            if name.indices or name.base not in (*FUNCTIONS, "diff"):
                return False
        case Expectation(component, _):
            if isinstance(component, int):
                return False
        case Sum(_, _, conditions):
            for c in conditions:
                if isinstance(c, Bound) or isinstance(c.left, int) or isinstance(c.right, int):
                    return False
    return all(map(names_no_class, children(node)))


@lru_cache(maxsize=64)
def classes_are_alike(model: Model) -> bool:
    """Whether every renaming of the classes, and with them of units and directions, leaves a model
    as it is.

    Examples
    --------
    >>> from theory import kgmm, xor
    >>> [classes_are_alike(m) for m in (kgmm(3), kgmm(2, weights=["1/3", "2/3"]), xor(2))]
    [True, False, False]
    """
    mixture, loss, k = model.mixture, model.loss, model.units
    plain = mixture.bands is None and model.tokens == 1 and model.update is None
    own = loss.teachers or loss.has_label_noise or loss.statistics or model.readout_size
    if not plain or own or mixture.coordinates != sp.eye(k):
        return False
    if mixture.labels != tuple(map(sp.Integer, range(1, k + 1))):
        return False
    # these two renamings make all others
    turned = [*range(1, k), 0]
    swapped = [1, 0, *range(2, k)]
    return all(_leaves(model, renaming) for renaming in (turned, swapped))


def _leaves(model: Model, renaming: Renaming) -> bool:
    """Whether a renaming leaves weights, directions, loss and the laws of components."""
    s, mixture, loss = model.symbols, model.mixture, model.loss
    change: dict[sp.Expr, sp.Expr] = {}
    vectors = (sp.Matrix(mixture.weights), sp.Matrix(s.preactivation), sp.Matrix(s.whitened))
    squares = (mixture.directions_gram, s.overlap, s.gram, s.gram_perp, s.gram_inverse)
    pairs = [(v, v.extract(renaming, [0])) for v in vectors]
    pairs += [(sp.Matrix(m), sp.Matrix(m).extract(renaming, renaming)) for m in squares]
    for one, other in pairs:
        change |= {x: y for x, y in zip(one, other, strict=True) if x.is_Symbol}
    if any(one.xreplace(change) != other for one, other in pairs):
        return False
    for i, name in enumerate(mixture.labels):
        renamed = {symbols.LABEL: mixture.labels[renaming[i]]}
        before = loss.expression.xreplace({symbols.LABEL: name}).xreplace(change)
        if _sorted(before) != _sorted(loss.expression.xreplace(renamed)):
            return False
        law, image = (model.field_gram_of(j) for j in (i, renaming[i]))
        if law.xreplace(change) != sp.Matrix(image).extract(renaming, renaming):
            return False
    means = sp.Matrix(model.field_means)
    return bool(means.xreplace(change) == means.extract(renaming, renaming))


def _sorted(e: sp.Expr) -> sp.Expr:
    """Functions of all units with their arguments in one order."""

    def of_softmax(*arguments: sp.Expr) -> sp.Expr:
        index, *rest = arguments
        order = sorted(rest, key=sp.default_sort_key)
        return Softmax(order.index(rest[int(index) - 1]) + 1, *order)

    def of_sum(*arguments: sp.Expr) -> sp.Expr:
        return LogSumExp(*sorted(arguments, key=sp.default_sort_key))

    return e.replace(Softmax, of_softmax).replace(LogSumExp, of_sum)

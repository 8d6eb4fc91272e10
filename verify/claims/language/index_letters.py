r"""Index letters of a manuscript, brought to those of the conventions.

An author may count classes by \alpha, units by j and components by c'.  What a letter counts shows
where it stands: in m_{js} the first place is a unit's.  A letter that stands at places of one kind
alone, and is not a letter of that kind, is replaced by one that is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from .conventions import (
    BAND_SHAPES,
    BANDS,
    COMPONENTS,
    DIRECTIONS,
    PARAMETERS,
    SCALED_SHAPES,
    SHAPES,
    TOKEN_SHAPES,
    TOKENS,
    UNITS,
)
from .substitution import renamed
from .tree import (
    SIZES,
    Bound,
    Call,
    Expectation,
    FormulaError,
    Name,
    Node,
    Sum,
    children,
    free_letters,
    limit_letters,
)

KINDS = {
    "unit": UNITS,
    "direction": DIRECTIONS,
    "component": COMPONENTS,
    "parameter": PARAMETERS,
    "band": BANDS,
    "token": TOKENS,
}
_KIND_OF = {letter: kind for kind, letters in KINDS.items() for letter in letters}
# indices that are no letters: the label, the mark of a readout parameter
_MARKS = ("y", "v")


def places(node: Node) -> Iterator[tuple[str, str | None, int]]:
    """Every index letter, what its place counts where the place tells, and its position."""
    match node:
        case Name(base, indices):
            kinds = slots(base, indices)
            for index, kind in zip(indices, kinds, strict=True):
                if isinstance(index, str) and index not in _MARKS:
                    yield index, kind, node.position
        case Expectation(component, _) if isinstance(component, str):
            yield component, "component", node.position
        case Call(name, _):
            yield from places(name)
        case Sum(letters, _, conditions):
            for letter in letters:
                yield letter, None, node.position
            for c in conditions:
                found = limit_letters(c.limit) if isinstance(c, Bound) else (c.left, c.right)
                for index in found:
                    if isinstance(index, str) and index not in _MARKS:
                        yield index, None, c.position
    for child in children(node):
        yield from places(child)


def slots(base: str, indices: Sequence[int | str]) -> list[str | None]:
    """What each index of a name counts, None where that is open."""
    if base in ("g", "H", "G"):
        return _derivative_slots(base, indices)
    if base in ("e", "x"):  # vectors in the brackets of a coefficient; with bands one index more
        both: list[str | None] = ["band", "direction" if base == "e" else "unit"]
        return both[-len(indices) :] if 1 <= len(indices) <= 2 else [None] * len(indices)
    if base == "corrector" and len(indices) == 2:
        return ["unit", "unit"]
    known = [SHAPES.get(base, "")] if base not in ("delta", "s") else []
    known += [more.get(base, "") for more in (BAND_SHAPES, SCALED_SHAPES, TOKEN_SHAPES)]
    fitting = [shape.split("_") for shape in known if shape.count("_") + 1 == len(indices)]
    kinds = [
        {_KIND_OF[each] for each in place} for place in zip(*filter(all, fitting), strict=True)
    ]
    if not kinds:
        return [None] * len(indices)
    return [next(iter(each)) if len(each) == 1 else None for each in kinds]


def _derivative_slots(base: str, indices: Sequence[int | str]) -> list[str | None]:
    """Of a derivative of the loss: readout parameters after v, and tokens after units."""
    derivatives = 1 if base == "g" else 2
    with_tokens = len(indices) - indices.count("v") > derivatives
    found: list[str | None] = []
    for i, index in enumerate(indices):
        if i > 0 and indices[i - 1] == "v":
            found.append("parameter")
        else:
            after_unit = i > 0 and found[-1] == "unit" and index != "v"
            found.append("token" if with_tokens and after_unit else "unit")
    return found


def conventional(text: str, trees: Sequence[Node], fixed: Collection[str] = ()) -> list[Node]:
    """Trees of one statement with the letters of the conventions; ``fixed`` ones are kept.

    Raises
    ------
    FormulaError
        More letters of a kind than the conventions have, or a letter that counts nothing; a size
        that is an index too.
    """
    uses: dict[str, set[str]] = {}
    where: dict[str, int] = {}
    for tree in trees:
        for letter, kind, position in places(tree):
            uses.setdefault(letter, set()).update({kind} if kind else ())
            where.setdefault(letter, position)
    _no_size_is_an_index(text, trees, uses, where)
    new: dict[str, str] = {}
    taken = set(SIZES)
    if "ell" in uses and not _collides(trees, "ell", "l"):
        new["ell"] = "l"
        taken.add("l")
    for letter, kinds in uses.items():
        own = _KIND_OF.get(letter)
        if letter in new or (letter in fixed and own is not None):
            continue
        if own is not None and (not kinds or own in kinds or len(kinds) > 1):
            continue
        if not kinds:
            kinds = _kinds_beside(trees, letter, uses)
        wanted = next((k for k in KINDS if k in kinds), None)
        known = KINDS.get(wanted or "", "")
        free = next((x for x in known if x not in taken and not _collides(trees, letter, x)), None)
        if free is None and own is not None:
            continue
        if free is None or letter in fixed:
            raise _unclear(text, letter, wanted, where[letter])
        new[letter] = free
        taken.add(free)
    return [renamed(tree, new) for tree in trees] if new else list(trees)


def _collides(trees: Sequence[Node], letter: str, other: str) -> bool:
    """Whether a letter cannot be written as another one, which has a meaning where it stands."""
    free = {found for tree in trees for found, _ in free_letters(tree)}
    if other in free or letter in free:
        return any(found == other for tree in trees for found, _, _ in places(tree))
    return any(_shares(tree, letter, other) for tree in trees)


def _shares(node: Node, letter: str, other: str) -> bool:
    """Whether a sum over one of two letters holds the other."""
    if isinstance(node, Sum):
        inside = {found for found, _, _ in places(node)}
        if {letter, other} <= inside:
            return True
    return any(_shares(child, letter, other) for child in children(node))


def _unclear(text: str, letter: str, kind: str | None, position: int) -> FormulaError:
    got = f"the index {letter!r}"
    if kind is None:
        expected = "a letter whose place tells what it counts"
    else:
        expected = f"{', '.join(KINDS[kind])} for a {kind}"
    remedy = "use a, b, c for units, s, t for directions, l for components, i, j for readouts"
    return FormulaError(text, position, got, expected, remedy)


def _no_size_is_an_index(
    text: str, trees: Sequence[Node], uses: dict[str, set[str]], where: dict[str, int]
) -> None:
    """k under a sum is the number of units; as an index too it could be either."""
    limits = {name for tree in trees for name in _sizes_in_limits(tree)}
    for letter in limits & set(uses):
        got = f"{letter!r}, a size in the limit of a sum and an index elsewhere"
        remedy = "write K for the size, or another letter for the index"
        raise FormulaError(text, where[letter], got, "one meaning of a letter", remedy)


def _sizes_in_limits(node: Node) -> Iterator[str]:
    if isinstance(node, Sum):
        for c in node.conditions:
            if isinstance(c, Bound):
                yield from _names(c.limit)
    for child in children(node):
        yield from _sizes_in_limits(child)


def _names(node: Node) -> Iterator[str]:
    if isinstance(node, Name) and node.base in SIZES:
        yield node.base
    for child in children(node):
        yield from _names(child)


def _kinds_beside(trees: Sequence[Node], letter: str, uses: dict[str, set[str]]) -> set[str]:
    """What a letter counts that stands in Kronecker deltas alone: as the index beside it."""

    def beside(node: Node) -> Iterator[str]:
        if isinstance(node, Name) and node.base == "delta" and letter in node.indices:
            yield from (str(i) for i in node.indices if i != letter)
        for child in children(node):
            yield from beside(child)

    found = {other for tree in trees for other in beside(tree)}
    kinds = {kind for other in found for kind in uses.get(other, set())}
    return kinds | ({"unit"} if "y" in found else set())

"""Letters of indices that run over tokens, and positions of units at tokens."""

from __future__ import annotations

from collections.abc import Sequence

from theory.symbols import TOKENS

# what integration by parts runs over
UNIT_FIELD, TEACHER_FIELD = "u", "t"


def kinds_of(letters: str, teachers: str) -> str:
    """For every letter, but those of tokens, whether it runs over units or over teachers."""
    fields = (c for c in letters if c not in TOKENS)
    return "".join(TEACHER_FIELD if c in teachers else UNIT_FIELD for c in fields)


def positions_of(
    sizes: Sequence[tuple[int, ...]], index: tuple[int, ...], units: int
) -> tuple[int, ...]:
    """The position that each index is of; a unit and a token have one of both together."""
    if len(sizes) == len(index):
        return index
    left = iter(index)
    found = []
    for size in sizes:
        at = next(left)
        found.append(at if len(size) == 1 else at + next(left) * units)
    return tuple(found)

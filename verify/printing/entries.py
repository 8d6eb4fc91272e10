"""Names of printed formulas: what ``specalign derive --entry`` accepts, and what it says to a name
it does not know.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping

from theory import InputError

from .labels import Entry, Indices, Label
from .note import Note

# a block named by its units or readout parameters alone
_PAIR = re.compile(r"(v_)?\d+,(v_)?\d+")


# title, notes and entries of a quantity
Collected = tuple[str, tuple[Note, ...], list[Entry]]


def find_entries(entries: Mapping[str, Label], wanted: str) -> list[str]:
    """Names of the entry, or of all entries of the block, that somebody asks for.

    Raises
    ------
    theory.InputError
        Nothing has that name; the range of its indices or the nearest name is given.
    """
    known = {_canonical(name): [name] for name in entries}
    for entry in entries.values():
        if entry.group:
            members = known.setdefault(_canonical(entry.group), [])
            if entry.name not in members:
                members.append(entry.name)
    asked = _canonical(wanted)
    # a diagonal block and a covariance are symmetric, and named once
    found = known.get(asked) or known.get(re.sub(r"\[(\w+),(\w+)\]", r"[\2,\1]", asked))
    if found is None and re.fullmatch(_PAIR, asked):
        # a block by its pair, without the letter of the matrix
        pair = asked.replace(",", "_")
        found = next(
            (names for letter in "HG" if (names := known.get(_canonical(f"{letter}_{pair}")))), None
        )
    if found is None:
        raise _unknown_entry(entries, wanted, known)
    return found


def check_entry(labels: Callable[[Indices], Iterable[Label]], of: Indices, wanted: str) -> None:
    """Refuse a name that no entry has, before the entries are derived.

    Raises
    ------
    theory.InputError
        As :func:`find_entries`.
    """
    find_entries(_labels_near(labels, of, wanted), wanted)


def find_labels(
    labels: Callable[[Indices], Iterable[Label]], of: Indices, wanted: str
) -> list[Label]:
    """The labels of the entry, or of the block, that somebody asks for, in their order.

    Raises
    ------
    theory.InputError
        As :func:`find_entries`.
    """
    near = _labels_near(labels, of, wanted)
    found = find_entries(near, wanted)
    if len(found) > 1 or near[found[0]].group:
        # a block may have entries of all indices
        near = {label.name: label for label in labels(of)}
        found = find_entries(near, wanted)
    return [near[name] for name in found]


def _labels_near(
    labels: Callable[[Indices], Iterable[Label]], of: Indices, wanted: str
) -> dict[str, Label]:
    """The labels of the indices that a name speaks of: large models have millions."""
    # numbers of five digits are beyond every model
    few = {int(n) - 1 for n in re.findall(r"\d+", wanted) if len(n) < 6}
    return {label.name: label for label in labels(of.among(few))}


def _unknown_entry(
    entries: Mapping[str, Label], wanted: str, known: dict[str, list[str]]
) -> InputError:
    """The range of the indices if only these are wrong, else the nearest name."""
    asked = _canonical(wanted)
    transposed = _transposed(asked)
    if _canonical(transposed) in known or any(
        name.split("_", 1)[-1] == transposed.replace(",", "_") for name in known
    ):
        return InputError(
            "--entry",
            repr(wanted),
            "the smaller unit of a block first",
            f"block (b, a) is the transpose of block (a, b): ask for {transposed}",
        )
    template, got = _template(asked)
    if re.fullmatch(_PAIR, asked):
        block = _template(asked.replace(",", "_"))[0]
        members = [
            _template(name)[1]
            for name in known
            if _template(name)[0] in (f"H_{block}", f"G_{block}")
        ]
    else:
        members = [_template(name)[1] for name in known if _template(name)[0] == template]
    if members:
        letters = iter("ijkl")
        pattern = re.sub(r"\d+", lambda _: next(letters), asked)
        ranges = [
            f"{x} in {min(values)}..{max(values)}"
            for x, values in zip("ijkl"[: len(got)], zip(*members, strict=True), strict=True)
        ]
        return InputError(
            "--entry",
            repr(wanted),
            f"{pattern} with {', '.join(ranges)}",
            "choose indices in this range",
        )
    shown = list(entries)[:3] + sorted({e.group for e in entries.values() if e.group})[:3]
    close = difflib.get_close_matches(asked, known, n=1, cutoff=0.5)
    remedy = f"did you mean {close[0]!r}" if close else "leave --entry away to see every name"
    return InputError("--entry", repr(wanted), f"a name such as {', '.join(shown)}", remedy)


def _transposed(name: str) -> str:
    """The entry of block (a, b) that an entry of block (b, a) with b > a is; other names as they
    are.
    """
    match = re.fullmatch(r"(?:([HG])_)?(\d+)([_,])(\d+)(?:\[(\w+),(\w+)\])?", name)
    if match is None or int(match[2]) <= int(match[4]):
        return name
    inner = f"[{match[6]},{match[5]}]" if match[5] else ""
    return f"{match[1]}_{match[4]}_{match[2]}{inner}" if match[1] else f"{match[4]},{match[2]}"


def _template(name: str) -> tuple[str, tuple[int, ...]]:
    """A name with its numbers taken out, and the numbers."""
    return re.sub(r"\d+", "#", name), tuple(map(int, re.findall(r"\d+", name)))


def _canonical(name: str) -> str:
    """Compare names without spaces, with the smaller index of a symmetric pair and the first layer
    first.
    """
    text = re.sub(r"\s+", "", name)
    if match := re.fullmatch(r"(R|corrector|[HG]_v)_(\d+)(_v)?_(\d+)", text):
        letter, one, second_layer, other = match.groups()
        if letter.endswith("v") and not second_layer:
            return f"{letter[0]}_{other}_v_{one}"
        low, high = sorted((int(one), int(other)))
        return f"{letter}_{low}{second_layer or ''}_{high}"
    if match := re.fullmatch(r"(R|corrector)_(\d+)_(\d+)_(\d+)", text):
        # of bands the first index is the band
        low, high = sorted((int(match[3]), int(match[4])))
        return f"{match[1]}_{match[2]}_{low}_{high}"
    if match := re.fullmatch(r"([HG])_v_(\d+)_(\d+)(\[\w+\])", text):
        return f"{match[1]}_{match[3]}_v_{match[2]}{match[4]}"
    return text

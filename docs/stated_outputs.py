"""What a snippet states that it prints: a comment behind a ``print``, or in the lines below it."""

from __future__ import annotations

import ast
import re

NUMBER = r"-?\d+\.\d*(?:e[+-]?\d+)?"


def prints(source: str) -> list[tuple[int, list[int], str]]:
    """First line of a statement that prints, lines (from 0) that state its output, and the output.

    Examples
    --------
    >>> prints("print(1)  # 1")
    [(1, [0], '1')]
    """
    lines, found = source.splitlines(), []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Expr) or not ast.unparse(node).startswith("print("):
            continue
        end = node.end_lineno or node.lineno
        if lines[end - 1][node.end_col_offset :].strip().startswith("#"):
            places = [end - 1]
        else:
            places = []
            while end < len(lines) and lines[end].strip().startswith("#"):
                places.append(end)
                end += 1
        if places:
            comments = [lines[i][lines[i].rindex("#") :].lstrip("# ") for i in places]
            found.append((node.lineno, places, " ".join(comments)))
    return found


def expected_outputs(source: str) -> dict[int, str]:
    """First line of a statement -> what it states that it prints."""
    return {line: text for line, _, text in prints(source)}


def without_outputs(source: str) -> str:
    """The snippet alone, where what it prints is shown below it.

    Examples
    --------
    >>> without_outputs("print(1)  # 1")
    'print(1)'
    """
    lines = source.splitlines()
    for _, places, _ in prints(source):
        for i in places:
            lines[i] = lines[i][: lines[i].rindex("#")].rstrip()
    dropped = {i for _, places, _ in prints(source) for i in places if not lines[i]}
    return "\n".join(line for i, line in enumerate(lines) if i not in dropped)


def agree(printed: str, stated: str) -> bool:
    """Equal up to white space, and numbers up to one unit of their last digit.

    Examples
    --------
    >>> agree("0.12", "0.13"), agree("0.12", "0.14")
    (True, False)
    """
    texts = [re.sub(r"\s", "", re.sub(NUMBER, "0.", text)) for text in (printed, stated)]
    pairs = zip(re.findall(NUMBER, printed), re.findall(NUMBER, stated), strict=False)
    units = [(float(a), float(b), 10.0 ** -len(b.split("e")[0].split(".")[1])) for a, b in pairs]
    return texts[0] == texts[1] and all(
        abs(a - b) <= 1.01 * max(u, u * abs(b)) for a, b, u in units
    )

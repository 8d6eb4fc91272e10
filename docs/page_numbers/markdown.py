"""Numbers and tables as Markdown, and their places on a page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

# <!--= name --> what stands here is written by docs/make_numbers.py <!--/-->
PLACE = re.compile(r"<!--= (.+?) -->(.*?)<!--/-->", re.S)


def filled(text: str, values: Mapping[str, str]) -> str:
    """A page with its numbers; a value of several lines stands between empty lines.

    Examples
    --------
    >>> filled("width <!--= w -->?<!--/-->", {"w": "8"})
    'width <!--= w -->8<!--/-->'
    """

    def written(place: re.Match[str]) -> str:
        value = values[place[1]]
        inside = f"\n\n{value.strip(chr(10))}\n\n" if "\n" in value else value
        return f"<!--= {place[1]} -->{inside}<!--/-->"

    return PLACE.sub(written, text)


def names_of_places(text: str) -> list[str]:
    """Names of all values that a page has places for."""
    return [place[0] for place in PLACE.findall(text)]


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table, with an empty line at its end so that it counts as a block.

    Examples
    --------
    >>> print(table(["a", "b"], [["1", "2"]]).strip())
    | a | b |
    | --- | --- |
    | 1 | 2 |
    """
    lines = [list(head)]
    lines.append(["---"] * len(lines[0]))
    lines += [list(row) for row in rows]
    return "".join("| " + " | ".join(line).strip() + " |\n" for line in lines)


def commands(found: Mapping[str, Any], names: Iterable[str]) -> str:
    """Commands of runs to be copied, each with its processor time."""
    runs = [found[name] for name in names]
    width = max(len(run["command"]) for run in runs)
    return "".join(f"    {run['command']:{width}}  # {run['seconds']:.0f} s\n" for run in runs)


def minutes(found: Mapping[str, Any]) -> str:
    """Processor time of all runs of a page."""
    return f"{sum(run['seconds'] for run in found.values()) / 60:.1f}"


def fixed(value: float, digits: int = 3, sign: str = "-") -> str:
    """A number of some digits behind the point; ``sign`` "+" shows that of positive numbers too.

    Examples
    --------
    >>> fixed(0.5), fixed(-0.1234, 2, "+")
    ('0.500', '−0.12')
    """
    return f"{value:{sign}.{digits}f}".replace("-", "−")


def plus_minus(value: float, error: float, digits: int = 4) -> str:
    """A number with its standard error.

    Examples
    --------
    >>> plus_minus(-0.12345, 0.0012, 3)
    '−0.123 ± 0.001'
    """
    return f"{fixed(value, digits)} ± {fixed(error, digits)}"

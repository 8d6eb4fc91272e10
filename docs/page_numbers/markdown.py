"""Numbers and tables as Markdown, and their places on a page."""

from __future__ import annotations

import math
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


def output(run: Mapping[str, Any]) -> str:
    """What a command printed."""
    return "\n".join(["```text", *run["output"], "```", ""])


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
    return f"{value:{sign}z.{digits}f}".replace("-", "−")


def measured(value: float, error: float) -> str:
    """A number with its standard error, to the second digit of the error; four digits without one.

    Examples
    --------
    >>> measured(0.0068712, 0.000031), measured(-1.5, 0.2), measured(0.1, 0.0)
    ('0.006871 ± 0.000031', '−1.50 ± 0.20', '0.1000 ± 0.0000')
    """
    digits = max(0, 1 - math.floor(math.log10(error))) if error > 0 else 4
    return plus_minus(value, error, digits)


def general(value: float, digits: int = 3) -> str:
    """A number of so many digits, wherever its point is.

    Examples
    --------
    >>> general(0.5), general(0.000123456), general(12.0), general(8.84e-6)
    ('0.500', '0.000123', '12.0', '8.84e−06')
    """
    return f"{value:#.{digits}g}".rstrip(".").replace("-", "−")


def listed(words: Iterable[str]) -> str:
    """Words with commas, and "and" before the last.

    Examples
    --------
    >>> listed(["2", "3", "4"]), listed(["2"])
    ('2, 3 and 4', '2')
    """
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def law_cells(row: Mapping[str, Any]) -> list[str]:
    """Of a power law that was fitted: the exponent with its interval, those between the first two
    and the last two points, and whether these differ by less than 0.2.
    """
    first, last = (fixed(slope, 2, "+") for slope in row["local"])
    exponent = f"{fixed(row['exponent'], 2, '+')} ± {fixed(row['half'], 2)}"
    return [exponent, f"{first} to {last}", "yes" if row["is one"] else "no"]


def plus_minus(value: float, error: float, digits: int = 4) -> str:
    """A number with its standard error.

    Examples
    --------
    >>> plus_minus(-0.12345, 0.0012, 3)
    '−0.123 ± 0.001'
    """
    return f"{fixed(value, digits)} ± {fixed(error, digits)}"

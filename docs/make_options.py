"""Write docs/options.md from the table of options: ``python docs/make_options.py``."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "options.md"

HEAD = """# Options

This page is written by `python docs/make_options.py` from the one table of options,
`verify/settings/option_table.py`; so are the help of the commands, the keys of configuration files
and the axes of sweeps.

An option of the command line overrides the [configuration file](quickstart.md). It is given once;
a second time is an error. What stands in *file* is the table and the key of the option in a
configuration file or the file of a sweep; *axis* tells whether `[sweep]` may hold a list of its
values.
"""

SAFETY = """
## What is executed, and what never is

Four things run code, because running it is what they are for, and each is named on the command
line or passed as an object by whoever runs it:

- the file of a model of your own, named in `--model FILE.py:NAME`;
- a file of claims that ends in `.py`, named in `specalign check FILE.py` (files found in a
  directory are read only if they end in `.toml` or `.tex`);
- a model, loss or schedule that your own Python script hands to a function;
- a sampler of noise that your own Python script hands to `simulate_sgd`.

Nothing else is: options, configuration files, sweep files, claims in TOML and LaTeX, schedules and
stores of sweeps are data. Numbers are matched against what a number looks like in ASCII; schedules
and claims are read by one grammar into a tree, in which only known names have a meaning, and none
of their text ever reaches `eval`, `exec`, `sympify` or `parse_expr`. Characters are brought into
the form NFKC first: letters of another width are the letters they stand for, and as such unknown
names.

What is read is bounded, so that no text, however short, asks for endless work:

| what | bound |
| --- | --- |
{bounds}

Sizes of runs and matrices are estimated before the work starts; what would need more memory than
the machine has, or more than a year of one processor, is refused with what it would take.
"""


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """The whole page."""
    from verify.settings.option_table import OPTIONS
    from verify.settings.related_spellings import RELATED

    lines = [HEAD]
    panels = dict.fromkeys(option.panel for option in OPTIONS)
    for panel in panels:
        lines += [f"## {panel or 'Commands'}", ""]
        lines += [
            "| option | meaning | values | default | file | axis | commands |",
            "|" + " --- |" * 7,
        ]
        lines += [row(option) for option in OPTIONS if option.panel == panel]
        lines.append("")
    lines += [*limits(), "", "## Other spellings", ""]
    lines += ["| typed | read as |", "| --- | --- |"]
    for option in OPTIONS:
        if option.aliases:
            typed = ", ".join(f"`{alias}`" for alias in option.aliases)
            lines.append(f"| {typed} | `{option.spellings[0]}` |")
    lines += [
        "",
        "These are refused, because they mean another number than the option they recall:",
        "",
    ]
    lines += ["| typed | the option | relation |", "| --- | --- | --- |"]
    lines += [f"| `{typed}` | `{meant}` | {remedy} |" for typed, (meant, remedy) in RELATED.items()]
    return "\n".join(lines) + "\n" + safety()


def limits() -> list[str]:
    """Why numbers have the bounds they have, as the messages say."""
    from verify.settings.option import brief_number
    from verify.settings.option_table import OPTIONS

    lines = [
        "## Limits of numbers",
        "",
        "Beyond a stated limit lies a slip, or work without end; the message says what to do:",
        "",
        "| option | at least | at most | beyond |",
        "| --- | --- | --- | --- |",
    ]
    for option in OPTIONS:
        if option.beyond:
            bounds = (option.least if option.tiny is None else option.tiny, option.most)
            least, most = ("" if b is None else brief_number(b) for b in bounds)
            reason = option.beyond.replace("|", "\\|")
            lines.append(f"| `{option.spellings[0]}` | {least} | {most} | {reason} |")
    return [
        *lines,
        "",
        "`derive --limit N` works out orders up to {}: terms grow like the factorial of the "
        "order. A sweep has at most {:,} points, a file of claims {:,} formulas: their numbers are "
        "kept and printed one by one.".format(*counts()),
    ]


def counts() -> tuple[int, int, int]:
    """Orders of an expansion, points of a sweep, formulas of a file."""
    from numerics.sweeps.grid import MOST_POINTS
    from verify.claims.reading.listing import MOST_CLAIMS
    from verify.commands.derive import MOST_ORDER

    return MOST_ORDER, MOST_POINTS, MOST_CLAIMS


def row(option: object) -> str:
    """The line of an option."""
    from verify.settings.option import Option

    assert isinstance(option, Option)
    spellings = ", ".join(f"`{s}`" for s in option.spellings)
    value = f" `{option.metavar}`" if option.metavar else ""
    key = f"`[{option.table}] {option.name}`" if option.table else ""
    axis = "" if not option.table else (f"no: {option.fixed}" if option.fixed else "yes")
    commands = ", ".join(option.commands) or "(sweep files only)"
    default = option.default_text or ("required" if option.required else "")
    if option.type is bool:
        default = "on" if option.default else "off"
    values = option.domain or ", ".join(option.choices)
    if not option.commands:
        spellings = f"`{option.name}`"
    cells = (f"{spellings}{value}", option.meaning, values, default, key, axis, commands)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def safety() -> str:
    """The section on what is executed, with the bounds as the code has them."""
    from verify.claims.language import text
    from verify.settings import values
    from verify.settings.texts import schedule_text

    bounds = {
        "a number": f"{values.MAX_NUMBER} characters; integers {values.MAX_DIGITS} digits",
        "a schedule": (
            f"{schedule_text.MAX_LENGTH} characters, {schedule_text.MAX_PARTS} numbers, names and "
            f"signs, powers by numbers up to {schedule_text.MAX_EXPONENT}, "
            f"{schedule_text.MAX_BITS} bits in a number that arithmetic makes"
        ),
        "a claim": (
            f"{text.LONGEST} characters, {text.DEEPEST} levels of brackets, {text.MOST_TERMS} "
            f"parts, numbers of {text.MOST_DIGITS} digits"
        ),
    }
    rows = "\n".join(f"| {what} | {bound} |" for what, bound in bounds.items())
    return SAFETY.format(bounds=rows)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()

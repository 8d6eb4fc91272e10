"""The report of `specalign check`: one HTML page on which every claim is shown as it was read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from numerics.core.files import write_text
from theory import InputError
from verify.claims.judgement import Finding
from verify.claims.one_by_one import Answer
from verify.printing.mathml import mathml

# verdicts that need a reader, as against those that stand
_WRONG = (Finding.REFUTED, Finding.CONTRADICTORY, Finding.DEFECT)


def write_page(answers: Sequence[Answer], path: Path, seed: int, asked: int) -> None:
    """Write what is said about claims as one HTML file without scripts or anything to load.

    Parameters
    ----------
    answers : sequence of Answer
    path : Path
    seed : int
    asked : int
        How many claims there are; fewer answers are those before an interruption.
    """
    write_text(path, render_page(answers, seed, asked))


def render_page(answers: Sequence[Answer], seed: int, asked: int) -> str:
    """The HTML of the page."""
    environment = Environment(
        loader=PackageLoader("verify.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"formula": _formula, "tone": _tone}
    counts = Counter(answer.verdict for answer in answers)
    page = environment.get_template("claims.html.j2")
    return page.render(answers=answers, counts=counts, seed=seed, asked=asked) + "\n"


def _formula(latex: str) -> Markup:
    """MathML, or the LaTeX itself where a name in it is none that can be converted."""
    try:
        return Markup(mathml(latex))
    except InputError:
        return Markup("<code>{}</code>").format(latex)


def _tone(answer: Answer) -> str:
    if answer.stands:
        return "stands"
    return "wrong" if answer.finding in _WRONG else "open"

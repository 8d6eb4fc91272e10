"""LaTeX as MathML, which browsers show without help."""

from __future__ import annotations

from functools import lru_cache
from xml.etree import ElementTree

from latex2mathml.converter import convert

from theory import InputError

# how many parts these elements have: with fewer a browser shows an error, or nothing
_PARTS = {
    "mfrac": 2,
    "mroot": 2,
    "msub": 2,
    "msup": 2,
    "msubsup": 3,
    "munder": 2,
    "mover": 2,
    "munderover": 3,
}


def mathml_parts(latex: str) -> list[str]:
    r"""MathML of a displayed equation in parts, split where it says ``\qquad``: a narrow page
    stacks them.
    """
    return [mathml(part.strip()) for part in latex.split(r"\qquad")]


@lru_cache(maxsize=1024)
def mathml(latex: str, display: str = "block") -> str:
    """LaTeX as a MathML element, ``block`` or ``inline``.

    Raises
    ------
    theory.InputError
        LaTeX that cannot be converted: what would be shown as a backslash, as an error or not at
        all.

    Examples
    --------
    >>> mathml(r"\\dot s = F(s)").endswith("</mrow></math>")
    True
    """
    wrong = InputError("equation", repr(latex), "LaTeX of formulas", "check braces and commands")
    try:
        text = convert(latex, display=display)
    except Exception as error:  # one class for each mistake, and no common one
        raise wrong from error
    tree = ElementTree.fromstring(text)
    for element in tree.iter():
        name = element.tag.rpartition("}")[2]
        if "\\" in (element.text or "") or len(element) != _PARTS.get(name, len(element)):
            raise wrong
    return text

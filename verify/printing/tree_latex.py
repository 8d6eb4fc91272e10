r"""Trees of the language of claims as LaTeX in the notation of the paper.

What is printed is read back as the same formula by :mod:`verify.claims.language.latex`.  Long
formulas are broken before + and - into lines for ``split``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from verify.claims.language.tree import (
    Add,
    Bound,
    Call,
    Condition,
    Divide,
    Expectation,
    Index,
    Multiply,
    Name,
    Negative,
    Node,
    Number,
    Power,
    Sum,
)

_SYMBOLS = {
    "lambda": r"\lambda",
    "xi": r"\xi",
    "beta": r"\beta",
    "c_delta": r"c_\delta",
    "ell": r"\ell",
    "Gamma": r"\Gamma",
    "pi": r"\pi",
    "delta": r"\delta",
    "R": r"R^\perp",
}
# function -> what stands before its argument in brackets
_FUNCTIONS = {
    **{name: rf"\{name}" for name in ("exp", "log", "sin", "cos", "tanh", "sinh", "cosh")},
    **dict.fromkeys(("ln",), r"\log"),
    **dict.fromkeys(("Sigmoid", "sigmoid", "sigma"), r"\sigma"),
    **dict.fromkeys(("DiracDelta", "dirac"), r"\delta"),
}
_RAMPS, _STEPS = ("relu", "ReLU"), ("step", "Step")
# binding strengths, weakest first; a product that ends in a sum or derivative takes in what follows
_SUM, _OPEN, _PRODUCT, _POWER, _ATOM = range(5)
# brackets by what they hold: plain, with brackets inside, with large ones inside
_SIZES = ("", r"\bigl", r"\Bigl")


def tree_latex(node: Node) -> str:
    r"""A formula on one line.

    Examples
    --------
    >>> from verify.claims.language.text import parse_formula
    >>> print(tree_latex(parse_formula("-sum_b(E_l[H_a_b]*m_b_s)/lambda - beta*m_a_s")))
    \frac{-\sum_{b} \mathbb{E}_{l}[H_{ab}] m_{bs}}{\lambda} - \beta m_{as}
    """
    return _text(node)[0]


def tree_lines(node: Node, room: float) -> list[str]:
    """A formula in lines of about ``room`` letters, broken inside of brackets if it has to be."""
    whole = tree_latex(node)
    if width(whole) <= room:
        return [whole]
    match node:
        case Add(terms):
            pieces: list[str] = []
            for i, term in enumerate(terms):
                pieces += _signed_lines(term, first=not i, room=room)
            return _filled(pieces, room)
        case Negative(inside):
            return _around("-", _bracketed_lines(inside, room - 1), "")
        case Multiply((*before, last)) if isinstance(last, (Add, Sum, Expectation)):
            ahead = _joined([*before, Name("x")]).removesuffix("x")
            return _around(ahead, _bracketed_lines(last, room - width(ahead)), "")
        case Multiply((first, *after)) if len(after) > 1 or not isinstance(first, Number):
            # between factors, as a last resort
            rest = after[0] if len(after) == 1 else Multiply(tuple(after))
            behind = _bracketed_lines(rest, room)
            if re.match(r"\d|\\frac\{\d", behind[0]):
                behind = _around(r"\cdot ", behind, "")
            return [*_bracketed_lines(first, room, _PRODUCT), *behind]
        case Sum(_, body, _):
            return _around(f"{_sum_sign(node)} ", _bracketed_lines(body, room - 2), "")
        case Expectation(component, body):
            return _around(
                _expectation_sign(component) + r"\Bigl[", tree_lines(body, room - 3), r"\Bigr]"
            )
    return [whole]


def width(latex: str) -> float:
    """About how many letters wide a formula is; what is raised or lowered counts less."""
    text = re.sub(r"\\[bB]ig+[lr]?|\\(left|right|mathbb|mathbf|operatorname)|\\[,!]", "", latex)
    text = re.sub(
        r"\\frac\{([^{}]*)\}\{([^{}]*)\}", lambda m: max(m[1], m[2], key=len) + "  ", text
    )
    text = re.sub(r"\\sum_\{[^{}]*\}", "SS", text)
    text = re.sub(r"\\[A-Za-z]+", "x", text)
    small = sum(len(m[1]) for m in re.finditer(r"[_^]\{([^{}]*)\}", text))
    return len(re.sub(r"[{}_^\s]", "", text)) - 0.4 * small


def _signed_lines(term: Node, first: bool, room: float) -> list[str]:
    inside, sign = (term.inside, "-") if isinstance(term, Negative) else (term, "+")
    mark = f"{sign} " if sign == "-" or not first else ""
    return _around(mark, _bracketed_lines(inside, room - 2), "")


def _bracketed_lines(node: Node, room: float, least: int = _OPEN) -> list[str]:
    """Lines of a factor or term, in brackets where it binds too weakly."""
    lines = tree_lines(node, room)
    return lines if _text(node)[1] >= least else _around(r"\Bigl(", lines, r"\Bigr)")


def _around(opening: str, lines: list[str], closing: str) -> list[str]:
    lines = [opening + lines[0], *lines[1:]]
    return [*lines[:-1], lines[-1] + closing]


def _filled(pieces: Iterable[str], room: float) -> list[str]:
    """Pieces side by side as long as there is room."""
    lines: list[str] = []
    for piece in pieces:
        if lines and width(lines[-1]) + width(piece) <= room and piece[:2] in ("+ ", "- "):
            lines[-1] += f" {piece}"
        else:
            lines.append(piece)
    return lines


def _text(node: Node) -> tuple[str, int]:
    """A formula, and how strongly it binds."""
    match node:
        case Number(value):
            if value.denominator == 1:
                return str(value), _ATOM if value >= 0 else _SUM
            sign = "-" if value < 0 else ""
            fraction = rf"{sign}\frac{{{abs(value.numerator)}}}{{{value.denominator}}}"
            return fraction, _SUM if sign else _PRODUCT
        case Name():
            return _name(node)
        case Call():
            return _call(node)
        case Expectation(component, body):
            return _expectation_sign(component) + _bracketed(tree_latex(body), "[]"), _POWER
        case Sum(_, body, _):
            return f"{_sum_sign(node)} {_at_least(body, _OPEN)}", _OPEN
        case Power(base, exponent):
            return f"{_at_least(base, _ATOM)}^{{{tree_latex(exponent)}}}", _POWER
        case Negative(inside):
            return f"-{_at_least(inside, _OPEN)}", _SUM
        case Divide(above, below):
            return rf"\frac{{{tree_latex(above)}}}{{{tree_latex(below)}}}", _PRODUCT
        case Multiply((Negative(first), *rest)):
            return _text(Negative(Multiply((first, *rest))))
        case Multiply(factors):
            return _joined(factors), _OPEN if _text(factors[-1])[1] == _OPEN else _PRODUCT
        case Add(terms):
            signed = [
                f"- {_at_least(t.inside, _OPEN)}"
                if isinstance(t, Negative)
                else f"+ {_at_least(t, _OPEN)}"
                for t in terms
            ]
            text = " ".join(signed)
            return re.sub(r"^- ", "-", text.removeprefix("+ ")), _SUM
    raise TypeError(type(node).__name__)


def _at_least(node: Node, least: int) -> str:
    text, strength = _text(node)
    return text if strength >= least else _bracketed(text, "()")


def _joined(factors: Iterable[Node]) -> str:
    """Factors side by side; two numbers need a sign between them."""
    *most, last = factors
    texts = [_at_least(f, _PRODUCT) for f in most] + [_at_least(last, _OPEN)]
    found = texts[0]
    for text in texts[1:]:
        between = (
            r" \cdot " if re.match(r"\d|\\frac\{\d", text) and found[-1] in "0123456789}" else " "
        )
        found += between + text
    return found


def _bracketed(text: str, pair: str) -> str:
    size = 2 if r"\bigl" in text else int(bool(re.search(r"[(\[]|\\frac|\\sum", text)))
    if not size:
        return f"{pair[0]}{text}{pair[1]}"
    left = _SIZES[size]
    return f"{left}{pair[0]} {text} {left[:-1]}r{pair[1]}"


def _indices(indices: Iterable[Index]) -> str:
    """Indices side by side; with commas where a number has several digits."""
    found: list[str] = []
    waiting = False
    for index in indices:
        if index == "v" and not waiting:
            waiting = True
            continue
        found.append(f"v_{{{index}}}" if waiting else str(index))
        waiting = False
    long = any(isinstance(i, int) and i > 9 for i in indices) or any(len(f) > 2 for f in found[:-1])
    return ("," if long else "").join(found)


def _name(node: Name) -> tuple[str, int]:
    base, indices = node.base, node.indices
    if base == "Y":
        return rf"Y\cdot e_{{{indices[0]}}}", _SUM
    if base == "zeta":
        return rf"Y\cdot x_\perp^{{{indices[0]}}}", _SUM
    if base == "delta" and "y" in indices:
        left, right = indices if indices[1] == "y" else reversed(indices)
        return rf"\mathbf{{1}}\{{{left}={right}\}}", _ATOM
    text = _SYMBOLS.get(base, base)
    if base == "R":
        return rf"R^\perp_{{{_indices(indices)}}}", _ATOM
    return (f"{text}_{{{_indices(indices)}}}" if indices else text), _ATOM


def _call(node: Call) -> tuple[str, int]:
    base, arguments = node.name.base, node.arguments
    inside = tree_latex(arguments[0])
    if base == "diff":
        f, *variables = arguments
        marks = "".join(rf"\partial_{{{tree_latex(x)}}}" for x in variables)
        simple = isinstance(f, Name) or (isinstance(f, Call) and f.name.base == "diff")
        return f"{marks} {inside}" if simple else marks + _bracketed(inside, "()"), _OPEN
    if base == "sqrt":
        return rf"\sqrt{{{inside}}}", _ATOM
    if base == "exp" and width(inside) <= 8 and r"\frac" not in inside:
        return f"e^{{{inside}}}", _POWER
    if base == "softplus":
        return rf"\log{_bracketed(f'1 + e^{{{inside}}}', '()')}", _ATOM
    if base in _RAMPS:
        return f"{_bracketed(inside, '()')}_+", _POWER
    if base in _STEPS:
        return rf"\mathbf{{1}}\{{{inside}>0\}}", _ATOM
    head = _FUNCTIONS.get(base, rf"\operatorname{{{base}}}")
    index = f"_{{{_indices(node.name.indices)}}}" if node.name.indices else ""
    listed = ", ".join(map(tree_latex, arguments))
    return head + index + _bracketed(listed, "()"), _ATOM


def _expectation_sign(component: Index | None) -> str:
    return r"\mathbb{E}" + ("" if component is None else f"_{{{component}}}")


def _sum_sign(node: Sum) -> str:
    r"""\sum_{b}, \sum_{b, c}, \sum_{b\ne a}, \sum_{b=1}^{k-1}."""
    bounds = {
        (c.letter, c.upper): tree_latex(c.limit) for c in node.conditions if isinstance(c, Bound)
    }
    texts, above = [], ""
    for letter in node.indices:
        others = [
            _condition(c) for c in node.conditions if isinstance(c, Condition) and c.left == letter
        ]
        low, high = bounds.get((letter, False)), bounds.get((letter, True))
        if low is not None and high is not None and len(node.indices) == 1:
            texts, above = [f"{letter}={low}"], f"^{{{high}}}"
        else:
            more = [rf"{letter}\ge {low}"] * (low is not None) + [rf"{letter}\le {high}"] * (
                high is not None
            )
            texts += [*others, *more] or [letter]
    return rf"\sum_{{{', '.join(texts)}}}{above}"


def _condition(c: Condition) -> str:
    return rf"{c.left}\ne {c.right}" if not c.equal else f"{c.left}={c.right}"

"""Reading what a claim is about: a named entry such as ``drift m_a_s``, or an expression of the
language.
"""

from __future__ import annotations

import difflib
import re

from theory import InputError
from theory.errors import check_choice
from theory.names import DISTRIBUTIONAL
from theory.problem.kinks import check_kink_rule
from verify.claims.language.conventions import SHAPES
from verify.claims.language.text import check_digits, parse_formula, split_name
from verify.claims.language.tree import Call, FormulaError, Name, Node, show

from .quantities import (
    DIFFUSION,
    DRIFT,
    EIGENVALUE,
    EXPRESSION,
    FIXED_POINT,
    GRADIENT,
    GRADIENT_MATRIX,
    HESSIAN,
    KINDS,
    STEP,
    Part,
    Quantity,
)

# entries that name their kind by themselves
_STARTS = {"H": HESSIAN, "G": GRADIENT_MATRIX, "Cov": DIFFUSION, "corrector": DRIFT}
_LETTERS = {kind: start for start, kind in _STARTS.items() if kind != DRIFT} | {GRADIENT: "g"}
# what is written for a name with all of its indices
_WRITTEN = {"m": "m_a_s", "R": "R_a_b", "v": "v_i", "corrector": "corrector_a_b"}
# other words for the names above, as they are met in papers and in code
_ALIASES = {
    "h": "H",
    "hess": "H",
    "hessian": "H",
    "cov": "Cov",
    "covariance": "Cov",
    "diffusion": "Cov",
    "g": "gradient g",
    "grad": "gradient g",
    "gradient": "gradient g",
    "correction": "corrector",
    "diffusivity": "Cov",
}


def parse_quantity(
    text: str,
    *,
    regularized: bool | None = None,
    kink_rule: str | None = None,
    sample: bool | None = None,
) -> Quantity:
    """Read ``drift m_a_s``, ``H_1_2[e_1,x_2]``, ``corrector_a_b``, ``Cov[m_1_1,R_1_1]``, or an
    expression.

    Raises
    ------
    theory.InputError
        An unknown kind, an entry that the kind does not have, or an expression that cannot be read;
        with what was probably meant.

    Examples
    --------
    >>> parse_quantity("drift m_a_s").letters, parse_quantity("H_1_2[e_1,x_c]").parts
    (('a', 's'), (('H', (1, 2)), ('e', (1,)), ('x', ('c',))))
    """
    text, rule = text.strip(), check_kink_rule(kink_rule or DISTRIBUTIONAL)
    check_digits(text)
    if not text:
        raise InputError(
            "quantity", "nothing", "what the formula is for", 'write for example "drift m_a_s"'
        )
    word, _, rest = text.partition(" ")
    start = re.match(r"[A-Za-z]+", text)
    if word in KINDS:
        kind, entry = word, rest.strip()
    elif (
        start
        and start.group() in _STARTS
        and text != "H"
        and re.fullmatch(r"\w+(\[[^\]]*\])?", re.sub(r"\s", "", text))
    ):
        kind, entry = _STARTS[start.group()], text
    elif re.fullmatch(r"[\w-]+", word) and rest and re.match(r"\w", rest):
        check_choice("quantity", word, KINDS, kind="quantity")
    else:
        left = _expression(text)
        outside = _looks_at_samples(left) if sample is None else sample
        return Quantity(EXPRESSION, text, left=left, sample=outside, kink_rule=rule)
    if kind == FIXED_POINT:
        return Quantity(kind, entry, left=_expression(entry, fixed_point=True), kink_rule=rule)
    own = kind == HESSIAN if regularized is None else regularized
    return Quantity(kind, entry, _parts(kind, entry), regularized=own, kink_rule=rule)


def is_entry(left: Node) -> bool:
    """Whether a tree names an entry of a derived object by itself."""
    if isinstance(left, Call):
        base = left.name.base
        return base in (DRIFT, "Cov") or (base in _LETTERS.values() and bool(left.name.indices))
    second_layer = isinstance(left, Name) and left.indices.count("v") == 2
    return isinstance(left, Name) and (
        left.base == "corrector" or (left.base in "HG" and second_layer)
    )


def entry_name(left: Node) -> str:
    """The quantity that a tree names, in the plain language: ``drift m_a_s``, ``H_a_b[e_s,x_c]``.

    Examples
    --------
    >>> from verify.claims.language.latex.formula import parse_latex
    >>> entry_name(parse_latex(r"\\dot m_{as}")), entry_name(parse_latex("H_{12}[e_1, x^2]"))
    ('drift m_a_s', 'H_1_2[e_1,x_2]')
    """
    if not isinstance(left, Call) or not is_entry(left):
        return show(left)
    inside = ",".join(map(show, left.arguments))
    if left.name.base == DRIFT:
        return f"{DRIFT} {inside}"
    kind = f"{GRADIENT} " if left.name.base == _LETTERS[GRADIENT] else ""
    return f"{kind}{show(left.name)}[{inside}]"


def _expression(text: str, fixed_point: bool = False) -> Node:
    """An expression; a single name is none, but a slip of the pen or half of what was meant."""
    try:
        tree = parse_formula(text)
    except FormulaError as error:
        remedy = _probably(text) or error.remedy
        raise FormulaError(
            error.text, error.position, error.plain, error.expected, remedy, "quantity"
        ) from error
    if isinstance(tree, Call) and tree.name.base.lower() in ("cov", "covariance"):
        raise InputError("quantity", repr(text), KINDS[DIFFUSION], _probably(text))
    if isinstance(tree, Name) and not fixed_point:
        if tree.base in ("m", "R", "v"):
            raise InputError(
                "quantity",
                f"{text!r}, a variable",
                "what the formula is for",
                f"did you mean 'drift {text}'; the step, its covariance and fixed points have"
                " names of their own",
            )
        if tree.base not in SHAPES:
            raise InputError(
                "quantity",
                repr(text),
                f"an entry ({', '.join([*KINDS, *_STARTS])}) or an expression",
                _probably(text) or "see docs/derivations.md for what can be claimed",
            )
    return tree


def _probably(text: str) -> str:
    """What was meant by an entry whose beginning is no name."""
    found = re.match(r"([A-Za-z]+)(.*)", text, re.S)
    if found is None:
        return ""
    word, rest = found.groups()
    for kind in KINDS:
        if word == kind and rest.startswith("_") and kind not in _LETTERS:
            return f"did you mean '{kind} {rest[1:]}'"
    entry = rest.strip()
    if entry.startswith("(") and entry.endswith(")") and word.lower() in ("cov", "covariance"):
        entry = f"[{entry[1:-1]}]"
    if not entry.startswith(("_", "[")):
        return ""
    known = {w: w for w in (*_STARTS, *KINDS)} | _ALIASES
    close = (
        [word] if word in known else difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.6)
    )
    # single letters are names of the language, unless brackets follow that only entries have
    if not close or (len(word) == 1 and "[" not in entry):
        return ""
    return f"did you mean '{known[close[0]]}{entry}'"


def _looks_at_samples(left: Node) -> bool:
    return "E" not in re.findall(r"\bE(?=[_\[])", show(left))


def _parts(kind: str, entry: str) -> tuple[Part, ...]:
    match = re.fullmatch(r"([A-Za-z]\w*)(?:\[([^\[\]]*)\])?", re.sub(r"\s", "", entry))
    if match is None:
        raise _wrong(kind, entry)
    head = split_name(match[1])
    inner = [split_name(part) for part in match[2].split(",")] if match[2] else []
    if kind == DIFFUSION:
        if (
            head != ("Cov", ())
            or len(inner) != 2
            or any(_shape(p) not in ("m2", "R2", "v1", "m3", "R3") for p in inner)
        ):
            raise _wrong(kind, entry)
        return tuple(inner)
    if kind in (DRIFT, STEP):
        # without indices all entries, in a statement between matrices
        allowed: tuple[str, ...] = ("m2", "R2", "v1", "m0", "R0", "v0", "m3", "R3")
        allowed += ("corrector2", "corrector0", "corrector3") if kind == DRIFT else ()
        if inner or _shape(head) not in allowed:
            raise _wrong(kind, entry)
        return (head,)
    if kind == EIGENVALUE:
        number = inner[0][0] if len(inner) == 1 and not inner[0][1] else ""
        units = tuple(i for i in head[1] if i != "v")
        if (
            head[0] != "H"
            or not number.isdigit()
            or len(units) not in (0, 2)
            or (not units and head[1] != ("v",))
        ):
            raise _wrong(kind, entry)
        return head, ("number", (int(number),))
    base, indices = head
    layers = tuple(i for i in indices if i != "v")
    second = indices.count("v")
    wanted = 1 if kind == GRADIENT else 2
    places = 0 if second == wanted else (1 if second == 1 or kind == GRADIENT else 2)
    bulk = len(inner) == 1 and _shape(inner[0]) in ("bulk0", "bulk1")
    if base != _LETTERS[kind] or len(layers) != wanted or (indices and indices[-1] == "v"):
        raise _wrong(kind, entry)
    if bulk and places == 2:
        return head, *inner
    if len(inner) != places or any(_shape(p) not in ("e1", "x1", "e2", "x2") for p in inner):
        raise _wrong(kind, entry)
    return head, *inner


def _wrong(kind: str, entry: str) -> InputError:
    """The refusal of an entry, with what it probably stands for."""
    head, _, inside = re.sub(r"\s", "_", entry).partition("[")
    base, indices = split_name(head)
    letter = _LETTERS.get(kind, "")
    remedy = "see docs/conventions.md"
    if kind in (DRIFT, STEP):
        names = [n for n in _WRITTEN if kind == DRIFT or n != "corrector"]
        close = difflib.get_close_matches(base, names, n=1, cutoff=0.5)
        remedy = (
            f"write {_WRITTEN[close[0]]}, with letters or numbers for its indices"
            if close
            else remedy
        )
    elif base in _STARTS and _STARTS[base] != kind:
        remedy = f"did you mean '{entry}', without the word {kind}"
    elif kind == DIFFUSION:
        remedy = "write the two variables, such as Cov[m_1_1,R_1_2]"
    elif letter and not inside and base == letter and len(indices) == 2 and "v" not in indices:
        remedy = f"name a coefficient, such as {entry}[bulk] or {entry}[e_1,e_1];"
        remedy += f" the mean itself is E_l[{entry}]"
    elif difflib.get_close_matches(inside.rstrip("]"), ["bulk"], cutoff=0.5):
        remedy = f"did you mean '{head}[bulk]'"
    return InputError("quantity", f"the entry {entry!r} of {kind}", KINDS[kind], remedy)


def _shape(part: Part) -> str:
    return f"{part[0]}{len(part[1])}"

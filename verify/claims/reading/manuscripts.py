r"""Claims of a LaTeX file: every equality of its displays is one, judged on its own.

What stands left of = says what the formula is for, where no comment ``% quantity: ...`` does:
``\dot m_{as}`` is a drift, ``H_{ab}[e_s, x^c]`` an entry of a Hessian, ``\mathrm{Cov}[m_{as},
R_{bc}]`` a covariance, anything else an expression.  In a chain a = b = c the second equality is
b = c.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from theory import InputError, Model
from theory.errors import check_choice
from theory.names import DISTRIBUTIONAL
from theory.problem.kinks import check_kink_rule
from theory.regular_files import read_bytes
from verify.claims.judge import make_claim
from verify.claims.judgement import Claim
from verify.claims.language.conventions import RANDOM
from verify.claims.language.latex.document import (
    NAMES,
    Comment,
    Document,
    Equality,
    Statement,
    read_document,
    read_statement,
)
from verify.claims.language.latex.remainders import Remainder
from verify.claims.language.tree import (
    Expectation,
    FormulaError,
    Name,
    Node,
    Number,
    children,
    show,
)
from verify.claims.quantities import EIGENVALUE, EXPRESSION, FIXED_POINT, GRADIENT, STEP, Quantity
from verify.claims.quantity_names import entry_name, is_entry, parse_quantity
from verify.settings.configuration import Configuration
from verify.settings.values import parse_integer

from .listing import KEYS, MODEL_KEYS, ListedClaim, check_count
from .matrix_claims import block_claims

# letters of numbers that have names as keys
_LETTERS = {"lambda": "precision", "beta": "ridge", "c_delta": "step"}
# of the equalities of one display only the first can have these from a comment before it
_FIRST = ("quantity", "name")
_LABEL = re.compile(r"\\label\s*\{([^{}\n]{1,80})\}")
_VALUES = ("lambda", "beta", "c_delta", "d", "k", "K", "r", "n", "q")

# of one sample, without indices: matrices, columns and the output of a network
_COLUMNS = ("g", "H", "u", "Q", "f")

# bytes of a manuscript
_BYTES = 10**6


def list_manuscript(path: Path, about: Model | None = None) -> list[ListedClaim]:
    """The claims of a file, each to be read on its own.

    Parameters
    ----------
    path : Path
    about : theory.Model, optional
        What they are about, in place of the models that comments name.

    Raises
    ------
    theory.InputError
        A file that is none, a misspelt comment, a model that does not exist, no display.
    """
    expected, remedy = "a readable text in UTF-8", "see the files in examples/claims"
    content = read_bytes("FILE", path, _BYTES, expected, remedy)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise InputError("FILE", path, expected, str(error)) from error
    document = read_document(text)
    check_count(path, len(document.displays))
    asked = _known_comments(document, path)
    claims: list[ListedClaim] = []
    said: dict[str, str] = {}
    last = 0
    for number, (begin, stop, statements) in enumerate(document.displays, 1):
        before = {c.key: c.value for c in asked if last <= c.position < begin}
        # what is said once holds for the formulas after it, except for what only one can have
        said = {k: v for k, v in said.items() if k in MODEL_KEYS} | before
        inside = [c for c in asked if begin <= c.position < stop]
        last = stop
        claims += _claims(document, path, number, (begin, stop), statements, said, inside, about)
    if not claims:  # all is well with nothing: that would be a verdict on no claim
        got = "no formula in a display" if document.displays else "no display mathematics"
        expected = r"\[ ... \], $$ ... $$ or an equation environment"
        remedy = "put the formula into one"
        raise InputError(f"claims {path.name}", got, expected, remedy)
    return claims


def _known_comments(document: Document, path: Path) -> list[Comment]:
    """Comments with a key; one that only looks like a key is a slip of the pen."""
    known = (*KEYS, *MODEL_KEYS, NAMES)
    found = []
    for comment in document.comments:
        if comment.key in known:
            found.append(comment)
        elif difflib.get_close_matches(comment.key, known, n=1, cutoff=0.75):
            check_choice(f"comment in {path.name}", comment.key, known, kind="key")
        elif comment.key in _LETTERS and re.fullmatch(r"[\d.eE+/-]+", comment.value):
            got, remedy = f"{comment.key}: {comment.value}", f"write % {_LETTERS[comment.key]}: "
            expected = "numbers under the names of the options"
            raise InputError(f"comment in {path.name}", got, expected, remedy + comment.value)
    return found


def _claims(
    document: Document,
    path: Path,
    number: int,
    span: tuple[int, int],
    statements: tuple[Statement, ...],
    said: Mapping[str, str],
    inside: list[Comment],
    about: Model | None = None,
) -> list[ListedClaim]:
    """The claims of one display."""
    expected = [part.strip() for part in said.get("expected", "").split(",") if part.strip()]
    made: list[ListedClaim] = []
    chain: list[tuple[Statement, Mapping[str, Any]]] = []
    last = -1
    for i, statement in enumerate(statements):
        own = {c.key: c.value for c in inside if last < c.position <= statement.stop}
        last = statement.stop
        whole = {k: v for k, v in said.items() if i == 0 or k not in _FIRST}
        texts: dict[str, Any] = whole | own
        if expected and "expected" not in own:
            texts["expected"] = expected[min(i, len(expected) - 1)]
            if len(expected) not in (1, len(statements)):
                texts["expected"] = said["expected"]  # refused where it is read
        title = f"{path.stem} {number}"
        if len(statements) > 1:
            title += f".{statement.line}"
            if "name" in said and "name" not in own:
                texts["name"] = f"{said['name']}, line {statement.line}"
        elif (label := _LABEL.search(document.text, *span)) is not None:
            title += f" ({label[1].strip()})"
        name = str(texts.get("name", title))
        texts["latex"] = document.text[statement.start : statement.stop]
        chain = [*chain, (statement, texts)] if statement.follows else [(statement, texts)]
        where = f"formula {number} of {path.name}"
        if len(statements) > 1:
            where += f", line {statement.line}"
        model = str(said.get("model", "")) if about is None else about.name
        places = () if statement.follows else _places(document.text, statement)
        for place in places or ("",):
            title = f"{name} [{place}]" if place else name
            read = partial(_read, where, document.text, tuple(chain), title, place, about)
            made.append(ListedClaim(title, read, model, texts))
    return made


def _places(text: str, statement: Statement) -> tuple[str, ...]:
    """The coefficients of which a block in dyads is made, each a claim of its own."""
    try:
        read = read_statement(text, statement)
        found = [] if read.left is None else list(block_claims(read.left, read.right))
    except FormulaError:
        return ()  # it is told where the claim is read
    return tuple(quantity.partition("[")[2].rstrip("]") for quantity, *_ in found)


def _read(
    where: str,
    text: str,
    chain: tuple[tuple[Statement, Mapping[str, Any]], ...],
    name: str,
    place: str = "",
    model: Model | None = None,
) -> Claim:
    try:
        return _claim(where, text, chain, name, place, model)
    except FormulaError as error:
        # positions count in the document
        whole = error.text if error.parameter == "quantity" else text
        raise FormulaError(
            whole, error.position, error.plain, error.expected, error.remedy, where
        ) from error
    except InputError as error:
        if error.parameter.startswith(where):
            raise
        parameter = f"{where}: {error.parameter}"
        raise InputError(parameter, error.got, error.expected, error.remedy) from error


def _claim(
    where: str,
    text: str,
    chain: tuple[tuple[Statement, Mapping[str, Any]], ...],
    name: str,
    place: str,
    model: Model | None = None,
) -> Claim:
    statement, texts = chain[-1]
    model = _model(texts) if model is None else model
    asked = _options(where, texts)
    quantity = texts.get("quantity")
    fixed: frozenset[str] = frozenset()
    if quantity is not None:
        fixed = frozenset(parse_quantity(quantity).letters) if "\\" not in quantity else fixed
    beside = tuple(s for s, _ in chain[:-1])
    read = read_statement(text, statement, fixed, beside, named=quantity is not None)
    about: str | Quantity = quantity if quantity is not None else ""
    if place and read.left is not None:
        entries = block_claims(read.left, read.right)
        about, regularized, formula = next(e for e in entries if e[0].endswith(f"[{place}]"))
        read = Equality(read.left, formula, read.left_away)
        asked.setdefault("regularized", regularized)
    elif quantity is None:
        read, about = _about(text, chain, read, asked.get("kink_rule"))
    if (told := read.left_away) is not None:
        asked_for = Remainder(asked.get("order", told.order), True)
        told = min(told, asked_for)
        asked |= {"order": told.order, "little": not told.whole}
    return make_claim(model, about, read.right, text=str(texts["latex"]), name=name, **asked)


def _model(texts: Mapping[str, Any]) -> Model:
    numbers = {o.name: o.read_text(texts[k]) for k, o in MODEL_KEYS.items() if k in texts}
    return Configuration(**numbers).symbolic_model()


def _options(where: str, texts: Mapping[str, Any]) -> dict[str, Any]:
    """What comments say beside the quantity."""
    keys = ("order", "parameter", "regularized", "kink_rule", "source", "expected")
    asked: dict[str, Any] = {k: texts[k] for k in keys if k in texts}
    if "order" in asked:
        asked["order"] = parse_integer(f"{where}: order", asked["order"])
    if "regularized" in asked:
        check_choice(f"{where}: regularized", asked["regularized"], ("true", "false"))
        asked["regularized"] = asked["regularized"] == "true"
    return asked


def _about(
    text: str,
    chain: tuple[tuple[Statement, Mapping[str, Any]], ...],
    read: Equality,
    kink_rule: str | None,
) -> tuple[Equality, str | Quantity]:
    """What the right side of an equality is claimed for, from its left side or its chain."""
    statement, _ = chain[-1]
    left = read.left
    if left is None:
        place, expected = statement.start, "what the formula is for"
        remedy = "write a left side and =, or a comment % quantity: drift m_a_s before the display"
        raise FormulaError(text, place, "a formula without a left side", expected, remedy)
    follows = len(chain) > 1
    if follows:
        first = chain[0][1].get("quantity")
        kind = parse_quantity(first).kind if first and "\\" not in first else ""
        if kind in (EIGENVALUE, STEP):
            return read, str(first)
        if kind == FIXED_POINT:
            return read, f"{FIXED_POINT} {show(left)}"
    elif _is_value(left):
        got, expected = f"a value of {show(left)}", "a claim about a quantity of the model"
        remedy = "give parameters in comments, such as % precision: 10; a claim is for all indices"
        raise FormulaError(text, statement.start, got, expected, remedy)
    second_layer = isinstance(left, Name) and left.base == "g" and "v" in left.indices
    if second_layer and not _of_one_sample(read.right):
        # no derivative of the loss at a sample, but its mean
        return read, f"{GRADIENT} {show(left)}"
    if not _holds_average(left) and _holds_average(read.right) and not is_entry(left):
        return Equality(read.right, left, read.left_away), show(read.right)
    if follows:
        rule = check_kink_rule(kink_rule or DISTRIBUTIONAL)
        sample = not _holds_average(left)
        return read, Quantity(EXPRESSION, show(left), left=left, sample=sample, kink_rule=rule)
    return read, entry_name(left)


def _is_value(left: Node) -> bool:
    if isinstance(left, Name):
        single = len(left.base) == 1 and not left.indices
        return left.base in _VALUES or (single and left.base not in _COLUMNS)
    return isinstance(left, Number)


def _holds_average(node: Node) -> bool:
    return isinstance(node, Expectation) or any(map(_holds_average, children(node)))


def _of_one_sample(node: Node) -> bool:
    """Whether something outside of expectations differs from sample to sample."""
    if isinstance(node, Expectation):
        return False
    if isinstance(node, Name):
        return node.base in RANDOM or "y" in node.indices
    return any(map(_of_one_sample, children(node)))

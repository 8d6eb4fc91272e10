"""What a derivation says about one sample: the loss and its derivatives."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, partial

from theory import Model
from theory.names import DISTRIBUTIONAL
from verify.claims.judge import judge, make_claim
from verify.claims.judgement import Finding
from verify.claims.language.conventions import UNITS
from verify.claims.language.text import parse_formula
from verify.claims.language.tree import Node, show
from verify.claims.quantity_names import parse_quantity

from .index_form import (
    first_derivative,
    index_form,
    letters_of,
    second_derivative,
    substitute,
    with_sums_over,
)
from .notation import LOSS, RESULT, Notation, Statement

# name with its letters -> quantity, its left-hand side, positions of first indices, of readout?
_SECOND = {
    "H": ("diff(g_a, u_b)", "ab", "uu"),
    "H_v": ("diff(g_a, v_i)", "ai", "uv"),
    "H_v_v": ("diff(g_v_i, v_j)", "ij", "vv"),
}


@lru_cache(maxsize=16)
def _forms(model: Model, kink_rule: str) -> dict[str, tuple[str, Node]]:
    """Index forms of the derivatives of the loss that hold for all units: name -> letters, formula.

    What a rule leaves out of second derivatives is left out of names alone.
    """
    units, found = model.units, {}
    for name, (letter, position) in {"g": ("a", 0), "g_v": ("i", units)}.items():
        if position < units + model.readout_size:
            found[name] = (f"{name}_{letter}", letter, first_derivative(model, position, letter))
    if model.readout_size in (0, units) and kink_rule == DISTRIBUTIONAL:
        for name, (left, letters, kinds) in _SECOND.items():
            if "v" in kinds and not model.readout_size:
                continue
            one, other = (units if kind == "v" else 0 for kind in kinds)
            found[name] = (left, letters, second_derivative(model, (one, other), letters))
    return {
        name: (letters, form)
        for name, (left, letters, form) in found.items()
        if form is not None and _holds(model, left, form)
    }


def _holds(model: Model, left: str, form: Node) -> bool:
    """A form is made from the first units, and need not hold for the others."""
    return judge(make_claim(model, left, show(form))).finding is not Finding.REFUTED


def sample_statements(note: Notation, second: bool) -> Iterator[Statement]:
    """The loss, its gradient and, where they are needed, its second derivatives."""
    model = note.model
    loss = index_form(model.loss.expression, model.units, {})
    say = partial(Statement, LOSS)
    yield say(
        "The loss of a sample is",
        "ell",
        show(loss) if loss is not None else str(model.loss.expression),
    )
    forms = _forms(note.model, note.kink_rule)
    names = ["g", *(["g_v"] if model.readout_size else [])]
    for name in names:
        gradient = (
            r"Its derivatives in the pre-activations make the sample gradient, "
            r"$\nabla_{x^a}L=g_aY+\beta x^a$:"
            if name == "g"
            else r"In the readout parameters, $\nabla_{v}L=\nabla_v\ell+\beta v$:"
        )
        if name in forms:
            letter, form = forms[name]
            yield say(gradient, f"{name}_{letter}", show(form))
            continue
        count = model.units if name == "g" else model.readout_size
        for i in range(count):
            position = i if name == "g" else model.units + i
            formula = str(model.loss.partial((position,)))
            yield say(gradient if not i else "", f"{name}_{i + 1}", formula)
    if not second:
        return
    lefts = {"H": r"H_{ab}", "H_v": r"H_{av_i}", "H_v_v": r"H_{v_iv_j}"}
    text = "Its second derivatives are"
    for name, (left, _, _) in _SECOND.items():
        if name in forms:
            yield say(text, left, show(forms[name][1]), rf"{lefts[name]}", needed=False)
            text = ""


def inserted(note: Notation, quantity: str, formula: str, left: str = "") -> Iterator[Statement]:
    """A result with the derivatives of this loss written out, where they have an index form."""
    if "diff(" in formula:
        return
    tree = parse_formula(formula)
    taken = {*parse_quantity(quantity).letters, *letters_of(tree)}
    spare = [x for x in UNITS if x not in taken]
    for name, (letters, form) in _forms(note.model, note.kink_rule).items():
        apart = with_sums_over(form, [x for x in spare if x not in letters])
        if apart is not None:
            tree = substitute(tree, name, apart, letters)
    written = show(tree)
    if written != show(parse_formula(formula)) and len(written) < _LONGEST:
        text = "With the derivatives of this loss it reads"
        yield Statement(RESULT, text, quantity, written, left, needed=False)


# letters of a formula that is still read as a whole
_LONGEST = 400

"""The formulas that ``specalign derive`` prints: derived objects as named entries in text, LaTeX or
pretty form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import sympy as sp

from theory import (
    BlockMatrix,
    Derived,
    InputError,
    Model,
    Step,
    derive_diffusion,
    derive_drift,
    derive_gradient,
    derive_gradient_matrix,
    derive_hessian,
    low_noise,
)
from theory.expectations.derived import shown_as
from theory.expectations.heat_expansion import TooManyTermsError, heat_expansion
from theory.expectations.moments import default_route
from theory.formulas.hessian import default_kink_rule
from theory.names import ALMOST_EVERYWHERE, DIFFERENCE, DISTRIBUTIONAL

from .entries import find_entries, find_labels
from .fixed_points import separated_points, softmax_points
from .labels import LABELS, Entry, Indices
from .legend import band_notes, block_notes, legend
from .note import Note

# the expression of the key of a label, expanded when it is asked for
ValueOf = Callable[[Any], sp.Expr]
# title, notes, and the expressions
Derivation = tuple[str, tuple[Note, ...], ValueOf]

# of all expansions in 1 / lambda together: they take some minutes
MOST_TERMS = 300_000
QUANTITIES = ("drift", "gradient", "hessian", "gradient-matrix", "diffusion", "fixed-point")


@dataclass(frozen=True, repr=False)
class PrintedFormulas(Derived):
    """Named formulas of one quantity; maps like every derived object, so that limits apply to it.

    ``selection`` is what ``--entry`` asked for, None for everything.
    """

    model: Model
    title: str
    notes: tuple[Note, ...]
    entries: dict[str, Entry]
    values: dict[str, sp.Expr] = field(metadata=shown_as("x"))
    selection: str | None = None


def collect(
    model: Model,
    quantity: str,
    route: str | None = None,
    *,
    kink_rule: str | None = None,
    assignment: Sequence[str] | None = None,
    notation: Note | None = None,
    entry: str | None = None,
) -> PrintedFormulas:
    """Derive a quantity and name its entries.

    Parameters
    ----------
    model : Model
    quantity : str
        One of QUANTITIES.
    route : {"stein", "projection"}, optional
        That of theory when omitted: Stein, but projection where a kink would be differentiated
        twice.
    kink_rule : str, optional
        Of a Hessian (:mod:`theory.problem.kinks`); distributional when omitted.
    assignment : sequence of str, optional
        Clusters that the units pick at a fixed point; for models whose fixed points are named so.
    notation : Note, optional
        What a reader of the formulas of this model has to know.
    entry : str, optional
        The name of one entry, or of a block: nothing else is expanded then.

    Raises
    ------
    theory.InputError
        Nothing has the name ``entry``; the range of its indices or the nearest name is given.
    """
    if quantity == "fixed-point":
        title, notes, entries = (
            softmax_points(model) if assignment is None else separated_points(model, assignment)
        )
        if entry is not None:
            found = set(find_entries({e.name: e for e in entries}, entry))
            entries = [e for e in entries if e.name in found]
    else:
        if quantity == "hessian":
            title, notes, value_of = _hessian(model, route, kink_rule or default_kink_rule(model))
        else:
            title, notes, value_of = _DERIVATIONS[quantity](model, route)
        notes = (*band_notes(model), *notes)
        of = Indices.all(model.units, model.directions, model.readout_size, model.bands)
        labels = LABELS[quantity]
        asked = labels(of) if entry is None else find_labels(labels, of, entry)
        entries = [label.entry(value_of(label.key)) for label in asked]
    return PrintedFormulas(
        model,
        title,
        notes if notation is None else (*notes, notation),
        {e.name: e for e in entries},
        {e.name: e.expression for e in entries},
        None if entry is None else _selection(entries, entry),
    )


def _selection(entries: Sequence[Entry], wanted: str) -> str:
    """What ``--entry`` asked for: the name of the block if the entries are of one."""
    groups = {entry.group for entry in entries}
    return groups.pop() if len(groups) == 1 else wanted.strip()


def read_limit(limit: str, model: str, is_smooth: bool) -> int | None:
    """The order in 1/lambda that a limit asks for; None for exact.

    Raises
    ------
    theory.InputError
        Not a limit, or a power series for a loss with kinks.
    """
    if limit == "exact":
        return None
    if limit != "noiseless" and not (limit.isascii() and limit.isdigit()):
        expected = "exact, noiseless, or an order N = 0, 1, 2, ... in 1/lambda"
        remedy = "use --limit 1 for the first correction to the noiseless limit"
        raise InputError("--limit", repr(limit), expected, remedy)
    order = 0 if limit == "noiseless" else int(limit)
    if order and not is_smooth:
        expected = f"exact or noiseless for {model}, whose loss has kinks"
        remedy = (
            "what a kink contributes is no power series in 1/lambda; use --limit noiseless, or"
            " specalign curves for numbers at any lambda"
        )
        raise InputError("--limit", repr(limit), expected, remedy)
    return order


def apply_limit(formulas: PrintedFormulas, limit: str) -> PrintedFormulas:
    """Apply ``exact``, ``noiseless`` or the order N of the low-noise expansion.

    Raises
    ------
    theory.InputError
        Not a limit, or the model fixes the precision to a number.
    """
    order = read_limit(limit, formulas.model.name, formulas.model.loss.is_smooth)
    if order is None:
        return formulas
    _check_terms(formulas, order)
    expanded = low_noise(formulas, order)
    name = (
        "noiseless limit, lambda -> infinity"
        if order == 0
        else f"expansion in 1/lambda up to order {order}"
    )
    notes = (
        formulas.notes if formulas.model.loss.is_smooth else (*formulas.notes, *_on_kinks(expanded))
    )
    return replace(expanded, title=f"{formulas.title} ({name})", notes=notes)


def _check_terms(formulas: PrintedFormulas, order: int) -> None:
    """Refuse an expansion that takes hours: the longest expectation tells how long the others are.

    Raises
    ------
    theory.InputError
    """
    expectations = formulas.expectations()
    if order == 0 or not expectations:
        return
    longest = max(expectations, key=lambda e: sp.count_ops(e.integrand))
    try:
        heat_expansion(longest.integrand, longest.law, order, MOST_TERMS / len(expectations))
    except TooManyTermsError as error:
        raise InputError(
            "limit",
            f"{order}, for which the {len(expectations)} expectations have more than "
            f"{MOST_TERMS} terms by order {error.order}",
            f"an order below {error.order}" if error.order > 1 else "the noiseless limit",
            "ask for a lower order, or for one entry: terms grow like the factorial of the order",
        ) from None


def _on_kinks(formulas: PrintedFormulas) -> Iterator[Note]:
    """What a noiseless formula means where an overlap is on a kink."""
    values = list(formulas.values.values())
    if any(value.has(sp.DiracDelta) for value in values):
        text = "The delta functions are what is left of a Gaussian of width 1/sqrt(lambda):"
        text += " off the kinks they are 0."
        yield Note(text, text.replace("1/sqrt(lambda)", r"$1/\sqrt{\lambda}$"))
    if any(value.has(Step) for value in values):
        yield Note(
            "Where an argument stays 0, a step is not 0 or 1 but the share of active samples,"
            " which makes the flow slide along the kink (specalign curves --limit noiseless).",
            r"Where an argument stays 0, a step $\mathbf{1}$ is not 0 or 1 but the share of active"
            r" samples, which makes the flow slide along the kink (\texttt{specalign curves"
            " --limit noiseless}).",
        )


def render(formulas: PrintedFormulas, style: str) -> str:
    """The formulas as ``text``, ``latex`` or ``pretty``; comments start with # or %."""
    latex = style == "latex"
    mark = "%" if latex else "#"
    shown = [name for name, value in formulas.values.items() if value != 0] or list(
        formulas.entries
    )[:1]
    lines = [f"{mark} {formulas.title}"]
    notes = [
        *formulas.notes,
        *_hidden(formulas, len(shown)),
        *legend(list(formulas.values.values()), formulas.model.bands),
    ]
    lines += [f"{mark} {note.latex if latex else note.text}" for note in notes]
    lines.append("")
    for name in shown:
        entry, value = formulas.entries[name], formulas.values[name]
        if latex:
            near = rf" \approx {decimals}" if (decimals := _decimals(value)) else ""
            lines += [f"% quantity: {entry.claim}"] * bool(entry.claim)
            lines.append(rf"\[ {entry.latex} = {sp.latex(value)}{near} \]")
        elif style == "pretty":
            near = f"  # {decimals}" if (decimals := _decimals(value)) else ""
            lines += [
                f"{entry.text} ={near}",
                sp.pretty(value, use_unicode=True, num_columns=110),
                "",
            ]
        else:
            near = f"  # {decimals}" if (decimals := _decimals(value)) else ""
            lines.append(f"{entry.text} = {value}{near}")
    return "\n".join(lines).rstrip() + "\n"


def _decimals(value: sp.Expr) -> str:
    """A number in decimals, where it is written otherwise."""
    return str(value.n(6)) if value.is_number and not (value.is_Integer or value.is_Float) else ""


def _hidden(formulas: PrintedFormulas, shown: int) -> Iterator[Note]:
    """How many entries are zero and left out: zeros are shown only where there is nothing else to
    show.
    """
    total = len(formulas.values)
    of = "" if formulas.selection is None else f" of {formulas.selection}"
    if total == 1:
        return
    if not any(value != 0 for value in formulas.values.values()):
        text = f"All {total} entries{of} are zero; the first is shown."
    elif shown < total:
        text = f"Of the {total} entries{of} {total - shown} are zero and not shown."
    else:
        return
    yield Note(text, text.replace("_", r"\_"))


# --- one derivation a quantity -------------------------------------------------------------------


def _drift(model: Model, route: str | None) -> Derivation:
    drift = derive_drift(model, route or default_route(model, curvatures=False))
    position = {x: i for i, x in enumerate(model.symbols.state)}

    def value_of(key: sp.Symbol | tuple[int, int]) -> sp.Expr:
        pair = isinstance(key, tuple)
        return drift.corrector[key] if pair else drift.vector[position[key]]

    notes = (
        Note(
            "Time t = steps * c_delta / d. corrector_a_b is the part of d R_a_b/dt that comes from"
            " the step size; it is included in d R_a_b/dt.",
            r"Time $t = \mathrm{steps} \cdot c_\delta / d$. $\mathrm{corrector}_{a b}$ is the part"
            " of $dR_{a b}/dt$ that comes from the step size; it is included in $dR_{a b}/dt$.",
        ),
    )
    return _title("effective drift of the summary statistics", model, drift.route), notes, value_of


def _gradient(model: Model, route: str | None) -> Derivation:
    gradient = derive_gradient(model, route or default_route(model, curvatures=False))

    def value_of(key: int | tuple[int, int]) -> sp.Expr:
        return gradient.first_layer[key] if isinstance(key, tuple) else gradient.readout[key]

    notes = (
        Note(
            "g_a[z] is the coefficient of the vector z in E[grad_{x^a} L]; the ridge is included.",
            r"$g_a[z]$ is the coefficient of the vector $z$ in $\mathbb{E}[\nabla_{x^a} L]$; the"
            r" ridge is included.",
        ),
    )
    return _title("population gradient", model, gradient.route), notes, value_of


def _hessian(model: Model, route: str | None, kink_rule: str) -> Derivation:
    hessian = derive_hessian(model, route, kink_rule=kink_rule)
    ridge = "The ridge is included on the diagonal blocks (regularized)."
    if kink_rule == DIFFERENCE:
        ridge = "The ridge drops out of the difference."
    notes = [*block_notes("H", model), Note(ridge, ridge)]
    title = "population Hessian"
    if not model.loss.is_smooth:
        title = (
            f"{'difference of two' if kink_rule == DIFFERENCE else kink_rule} population Hessian"
        )
        title += "s" if kink_rule == DIFFERENCE else ""
        notes.append(Note(_RULES[kink_rule], _RULES[kink_rule]))
    return _title(title, model, hessian.route), tuple(notes), partial(_block_value, hessian)


_RULES = {
    DISTRIBUTIONAL: "Second derivatives with their delta functions on the kinks: the Hessian of"
    " the population risk.",
    ALMOST_EVERYWHERE: "Second derivatives without what they have on the kinks: what automatic"
    " differentiation and averages over data give.",
    DIFFERENCE: "Distributional minus almost-everywhere: the delta functions on the kinks alone.",
}


def _gradient_matrix(model: Model, route: str | None) -> Derivation:
    matrix = derive_gradient_matrix(model, route)
    ridge = "Gradients of the loss alone, without the ridge."
    title = _title("population gradient matrix E[grad grad^T]", model, matrix.route)
    return (title, (*block_notes("G", model), Note(ridge, ridge)), partial(_block_value, matrix))


def _diffusion(model: Model, route: str | None) -> Derivation:
    diffusion = derive_diffusion(model, route)
    covariance, state = diffusion.covariance, model.symbols.state
    position = {x: i for i, x in enumerate(state)}

    def value_of(key: tuple[sp.Symbol, sp.Symbol]) -> sp.Expr:
        one, other = key
        return covariance[position[one], position[other]]

    notes = (
        Note(
            "Covariance of one SGD increment of the statistics divided by the step delta, as d ->"
            " infinity (symmetric: each pair once).",
            r"Covariance of one SGD increment of the statistics divided by the step $\delta$, as"
            r" $d \to \infty$ (symmetric: each pair once).",
        ),
    )
    return _title("diffusion matrix", model, diffusion.route), notes, value_of


_DERIVATIONS = {
    "drift": _drift,
    "gradient": _gradient,
    "gradient-matrix": _gradient_matrix,
    "diffusion": _diffusion,
}


def _block_value(matrix: BlockMatrix, key: tuple[Any, ...]) -> sp.Expr:
    """The coefficient that a key of :func:`verify.printing.labels.block_labels` names."""
    match key:
        case ("mixed", a, i, column):
            return matrix.mixed[a * matrix.model.readout_size + i, column]
        case ("readout", _, i, j):
            return matrix.readout[i, j]
        case ("bulk", a, b, band):
            return matrix.first_layer[a, b].bulk[band]
        case (a, b):
            return matrix.first_layer[a, b].bulk
        case (a, b, row, column):
            return matrix.first_layer[a, b].coefficients[row, column]
    raise KeyError(key)


def _title(what: str, model: Model, route: str) -> str:
    return f"{what} of {model.name}, {route} route"

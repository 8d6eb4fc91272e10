"""The formulas that ``specalign derive`` prints: derived objects as named entries in text, LaTeX or
pretty form.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field, replace

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
    symbols,
)
from theory.expectations.derived import shown_as
from theory.expectations.heat_expansion import TooManyTermsError, heat_expansion
from theory.expectations.moments import default_route
from theory.formulas.hessian import default_kink_rule
from theory.names import ALMOST_EVERYWHERE, DIFFERENCE, DISTRIBUTIONAL

from .entries import Collected, find_entries
from .fixed_points import separated_points, softmax_points
from .labels import LABELS, Entry, Indices
from .legend import block_notes, legend
from .note import Note

# expressions by the keys of labels
Values = dict[Hashable, sp.Expr]

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
    """
    if quantity == "hessian":
        title, notes, entries = _hessian(model, route, kink_rule or default_kink_rule(model))
    elif quantity == "fixed-point" and assignment is not None:
        title, notes, entries = separated_points(model, assignment)
    elif quantity == "fixed-point":
        title, notes, entries = softmax_points(model)
    else:
        title, notes, entries = _COLLECTORS[quantity](model, route)
    notes = notes if notation is None else (*notes, notation)
    return PrintedFormulas(
        model, title, notes, {e.name: e for e in entries}, {e.name: e.expression for e in entries}
    )


def select(formulas: PrintedFormulas, wanted: str) -> PrintedFormulas:
    """Keep one entry, or all entries of a block.

    Raises
    ------
    theory.InputError
        Nothing has that name; the range of its indices or the nearest name is given.
    """
    found = find_entries(formulas.entries, wanted)
    entries = {name: formulas.entries[name] for name in found}
    groups = {entry.group for entry in entries.values()}
    return replace(
        formulas,
        entries=entries,
        values={name: formulas.values[name] for name in found},
        selection=groups.pop() if len(groups) == 1 else wanted.strip(),
    )


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
        *legend(list(formulas.values.values())),
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


# --- one collector a quantity ---------------------------------------------------------------------


def _drift(model: Model, route: str | None) -> Collected:
    drift = derive_drift(model, route or default_route(model, curvatures=False))
    values: Values = dict(zip(model.symbols.state, drift.vector, strict=True))
    values |= {pair: drift.corrector[pair] for pair in symbols.upper_triangle(model.units)}
    entries = _entries(model, "drift", values)
    notes = (
        Note(
            "Time t = steps * c_delta / d. corrector_a_b is the part of d R_a_b/dt that comes from"
            " the step size; it is included in d R_a_b/dt.",
            r"Time $t = \mathrm{steps} \cdot c_\delta / d$. $\mathrm{corrector}_{a b}$ is the part"
            " of $dR_{a b}/dt$ that comes from the step size; it is included in $dR_{a b}/dt$.",
        ),
    )
    return _title("effective drift of the summary statistics", model, drift.route), notes, entries


def _gradient(model: Model, route: str | None) -> Collected:
    gradient = derive_gradient(model, route or default_route(model, curvatures=False))
    rows, columns = gradient.first_layer.shape
    values: Values = {
        (a, j): gradient.first_layer[a, j] for a in range(rows) for j in range(columns)
    }
    values |= dict(enumerate(gradient.readout))
    entries = _entries(model, "gradient", values)
    notes = (
        Note(
            "g_a[z] is the coefficient of the vector z in E[grad_{x^a} L]; the ridge is included.",
            r"$g_a[z]$ is the coefficient of the vector $z$ in $\mathbb{E}[\nabla_{x^a} L]$; the"
            r" ridge is included.",
        ),
    )
    return _title("population gradient", model, gradient.route), notes, entries


def _hessian(model: Model, route: str | None, kink_rule: str) -> Collected:
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
    entries = _entries(model, "hessian", _block_values(hessian, "H"))
    return _title(title, model, hessian.route), tuple(notes), entries


_RULES = {
    DISTRIBUTIONAL: "Second derivatives with their delta functions on the kinks: the Hessian of"
    " the population risk.",
    ALMOST_EVERYWHERE: "Second derivatives without what they have on the kinks: what automatic"
    " differentiation and averages over data give.",
    DIFFERENCE: "Distributional minus almost-everywhere: the delta functions on the kinks alone.",
}


def _gradient_matrix(model: Model, route: str | None) -> Collected:
    matrix = derive_gradient_matrix(model, route)
    ridge = "Gradients of the loss alone, without the ridge."
    title = _title("population gradient matrix E[grad grad^T]", model, matrix.route)
    entries = _entries(model, "gradient-matrix", _block_values(matrix, "G"))
    return title, (*block_notes("G", model), Note(ridge, ridge)), entries


def _diffusion(model: Model, route: str | None) -> Collected:
    diffusion = derive_diffusion(model, route)
    covariance, state = diffusion.covariance, model.symbols.state
    values: Values = {
        (state[i], state[j]): covariance[i, j] for i, j in symbols.upper_triangle(len(state))
    }
    entries = _entries(model, "diffusion", values)
    notes = (
        Note(
            "Covariance of one SGD increment of the statistics divided by the step delta, as d ->"
            " infinity (symmetric: each pair once).",
            r"Covariance of one SGD increment of the statistics divided by the step $\delta$, as"
            r" $d \to \infty$ (symmetric: each pair once).",
        ),
    )
    return _title("diffusion matrix", model, diffusion.route), notes, entries


_COLLECTORS = {
    "drift": _drift,
    "gradient": _gradient,
    "gradient-matrix": _gradient_matrix,
    "diffusion": _diffusion,
}


def _entries(model: Model, quantity: str, values: Values) -> list[Entry]:
    """The formulas of a quantity under their names."""
    of = Indices.all(model.units, model.directions, model.readout_size)
    return [label.entry(values[label.key]) for label in LABELS[quantity](of)]


def _block_values(matrix: BlockMatrix, letter: str) -> Values:
    """Coefficients of all blocks by the keys of their labels."""
    values: Values = {}
    for (a, b), block in matrix.first_layer.items():
        values[a, b] = block.bulk
        size = range(block.coefficients.shape[0])
        values |= {(a, b, i, j): block.coefficients[i, j] for i in size for j in size}
    q = matrix.model.readout_size
    for row in range(matrix.mixed.shape[0]):
        a, i = divmod(row, q)
        for j, value in enumerate(matrix.mixed.row(row)):
            values["mixed", a, i, j] = value
    for i, j in symbols.upper_triangle(q):
        values["readout", letter, i, j] = matrix.readout[i, j]
    return values


def _title(what: str, model: Model, route: str) -> str:
    return f"{what} of {model.name}, {route} route"

"""The formulas that ``specalign derive`` prints: derived objects as named entries in text, LaTeX or pretty form."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import sympy as sp

from theory import (
    BlockMatrix,
    Derived,
    InputError,
    Model,
    derive_diffusion,
    derive_drift,
    derive_gradient,
    derive_gradient_matrix,
    derive_hessian,
    low_noise,
    softmax_fixed_point,
    solve_noiseless_fixed_point,
    symbols,
)

from .legend import Note, block_note, legend

QUANTITIES = ("drift", "gradient", "hessian", "gradient-matrix", "diffusion", "fixed-point")


@dataclass(frozen=True)
class Entry:
    """One printed formula.

    ``name`` is what ``--entry`` accepts, ``group`` selects it together with others (a block), ``latex`` is the
    left-hand side in LaTeX.
    """

    name: str
    group: str
    text: str
    latex: str
    expression: sp.Expr


@dataclass(frozen=True)
class Formulas(Derived):
    """Named formulas of one quantity; maps like every derived object, so that limits apply to it.

    ``selection`` is what ``--entry`` asked for, None for everything.
    """

    model: Model
    title: str
    notes: tuple[Note, ...]
    entries: dict[str, Entry]
    values: dict[str, sp.Expr] = field(metadata={"expressions": True})
    selection: str | None = None


def collect(model: Model, quantity: str, route: str) -> Formulas:
    """Derive a quantity and name its entries."""
    title, notes, entries = _COLLECTORS[quantity](model, route)
    return Formulas(model, title, notes, {e.name: e for e in entries}, {e.name: e.expression for e in entries})


def select(formulas: Formulas, wanted: str) -> Formulas:
    """Keep one entry, or all entries of a block.

    Raises
    ------
    theory.InputError
        Nothing has that name; the range of its indices or the nearest name is given.
    """
    known = {_canonical(name): [name] for name in formulas.entries}
    for entry in formulas.entries.values():
        if entry.group:
            members = known.setdefault(_canonical(entry.group), [])
            if entry.name not in members:
                members.append(entry.name)
    # a diagonal block and a covariance are symmetric, and named once
    found = known.get(_canonical(wanted)) or known.get(re.sub(r"\[(\w+),(\w+)\]", r"[\2,\1]", _canonical(wanted)))
    if found is None and re.fullmatch(r"\s*\d+\s*,\s*\d+\s*", wanted):
        pair = _canonical("_".join(part.strip() for part in wanted.split(",")))
        found = next((names for key, names in known.items() if key.split("_", 1)[-1] == pair and names[1:]), None)
    if found is None:
        raise _unknown_entry(formulas, wanted, known)
    entries = {name: formulas.entries[name] for name in found}
    groups = {entry.group for entry in entries.values()}
    return replace(
        formulas, entries=entries, values={name: formulas.values[name] for name in found},
        selection=groups.pop() if len(groups) == 1 else wanted.strip(),
    )


def _unknown_entry(formulas: Formulas, wanted: str, known: dict[str, list[str]]) -> InputError:
    """The range of the indices if only these are wrong, else the nearest name."""
    asked = _canonical(wanted)
    transposed = _transposed(asked)
    if _canonical(transposed) in known or any(name.split("_", 1)[-1] == transposed.replace(",", "_") for name in known):
        return InputError(
            "--entry", repr(wanted), "the smaller unit of a block first",
            f"block (b, a) is the transpose of block (a, b): ask for {transposed}",
        )
    template, got = _template(asked)
    if re.fullmatch(r"\d+,\d+", asked):
        members = [_template(name)[1] for name in known if re.fullmatch(r"[A-Z]_\d+_\d+", name)]
    else:
        members = [_template(name)[1] for name in known if _template(name)[0] == template]
    if members:
        letters = iter("ijkl")
        pattern = re.sub(r"\d+", lambda _: next(letters), asked)
        ranges = [
            f"{x} in {min(values)}..{max(values)}"
            for x, values in zip("ijkl"[: len(got)], zip(*members, strict=True), strict=True)
        ]
        return InputError(
            "--entry", repr(wanted), f"{pattern} with {', '.join(ranges)}", "choose indices in this range"
        )
    shown = list(formulas.entries)[:3] + sorted({e.group for e in formulas.entries.values() if e.group})[:3]
    close = difflib.get_close_matches(asked, known, n=1, cutoff=0.5)
    remedy = f"did you mean {close[0]!r}" if close else "leave --entry away to see every name"
    return InputError("--entry", repr(wanted), f"a name such as {', '.join(shown)}", remedy)


def _transposed(name: str) -> str:
    """The entry of block (a, b) that an entry of block (b, a) with b > a is; other names as they are."""
    match = re.fullmatch(r"(?:([HG])_)?(\d+)([_,])(\d+)(?:\[(\w+),(\w+)\])?", name)
    if match is None or int(match[2]) <= int(match[4]):
        return name
    inner = f"[{match[6]},{match[5]}]" if match[5] else ""
    return f"{match[1]}_{match[4]}_{match[2]}{inner}" if match[1] else f"{match[4]},{match[2]}"


def _template(name: str) -> tuple[str, tuple[int, ...]]:
    """A name with its numbers taken out, and the numbers."""
    return re.sub(r"\d+", "#", name), tuple(map(int, re.findall(r"\d+", name)))


def apply_limit(formulas: Formulas, limit: str) -> Formulas:
    """Apply ``exact``, ``noiseless`` or the order N of the low-noise expansion.

    Raises
    ------
    theory.InputError
        Not a limit, or the model fixes the precision to a number.
    """
    if limit == "exact":
        return formulas
    if limit != "noiseless" and not (limit.isascii() and limit.isdigit()):
        raise InputError(
            "limit", repr(limit), "exact, noiseless, or an order N = 0, 1, 2, ... in 1/lambda",
            "use --limit 1 for the first correction to the noiseless limit",
        )
    order = 0 if limit == "noiseless" else int(limit)
    expanded = low_noise(formulas, order)
    name = "noiseless limit, lambda -> infinity" if order == 0 else f"expansion in 1/lambda up to order {order}"
    return replace(expanded, title=f"{formulas.title} ({name})")


def render(formulas: Formulas, style: str) -> str:
    """The formulas as ``text``, ``latex`` or ``pretty``; comments start with # or %."""
    latex = style == "latex"
    mark = "%" if latex else "#"
    shown = [name for name, value in formulas.values.items() if value != 0] or list(formulas.entries)[:1]
    lines = [f"{mark} {formulas.title}"]
    notes = [*formulas.notes, *_hidden(formulas, len(shown)), *legend(list(formulas.values.values()))]
    lines += [f"{mark} {note.latex if latex else note.text}" for note in notes]
    lines.append("")
    for name in shown:
        entry, value = formulas.entries[name], formulas.values[name]
        if latex:
            lines.append(rf"\[ {entry.latex} = {sp.latex(value)} \]")
        elif style == "pretty":
            lines += [f"{entry.text} =", sp.pretty(value, use_unicode=True, num_columns=110), ""]
        else:
            lines.append(f"{entry.text} = {value}")
    return "\n".join(lines).rstrip() + "\n"


def _hidden(formulas: Formulas, shown: int) -> Iterator[Note]:
    """How many entries are zero and left out: zeros are shown only where there is nothing else to show."""
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


# --- one collector a quantity ---------------------------------------------------------------------------------

_Collected = tuple[str, tuple[Note, ...], list[Entry]]


def _drift(model: Model, route: str) -> _Collected:
    drift = derive_drift(model, route)
    names = [str(s) for s in model.symbols.state]
    entries = [
        Entry(name, "", f"d {name}/dt", rf"\frac{{d {sp.latex(s)}}}{{dt}}", value)
        for name, s, value in zip(names, model.symbols.state, drift.vector, strict=True)
    ]
    for a, b in symbols.upper_triangle(model.units):
        entries.append(
            Entry(
                f"corrector_{a + 1}_{b + 1}", "corrector", f"corrector_{a + 1}_{b + 1}",
                rf"\mathrm{{corrector}}_{{{a + 1} {b + 1}}}", drift.corrector[a, b],
            )
        )
    notes = (
        Note(
            "Time t = steps * c_delta / d. corrector_a_b is the part of d R_a_b/dt that comes from the step size;"
            " it is included in d R_a_b/dt.",
            r"Time $t = \mathrm{steps} \cdot c_\delta / d$. $\mathrm{corrector}_{a b}$ is the part of $dR_{a b}/dt$"
            r" that comes from the step size; it is included in $dR_{a b}/dt$.",
        ),
    )
    return _title("effective drift of the summary statistics", model, route), notes, entries


def _gradient(model: Model, route: str) -> _Collected:
    gradient = derive_gradient(model, route)
    entries = []
    for a in range(model.units):
        for j, (name, latex) in enumerate(_basis(model)):
            entries.append(
                Entry(
                    f"g_{a + 1}[{name}]", f"g_{a + 1}", f"g_{a + 1}[{name}]", rf"g_{{{a + 1}}}[{latex}]",
                    gradient.first_layer[a, j],
                )
            )
    for i in range(model.readout_size):
        entries.append(
            Entry(f"g_v_{i + 1}", "g_v", f"g_v_{i + 1}", rf"g_{{v_{{{i + 1}}}}}", gradient.readout[i])
        )
    notes = (
        Note(
            "g_a[z] is the coefficient of the vector z in E[grad_{x^a} L]; the ridge is included.",
            r"$g_a[z]$ is the coefficient of the vector $z$ in $\mathbb{E}[\nabla_{x^a} L]$; the ridge is included.",
        ),
    )
    return _title("population gradient", model, route), notes, entries


def _hessian(model: Model, route: str) -> _Collected:
    ridge = "Regularized: the ridge is included on the diagonal blocks."
    notes = (block_note("H"), Note(ridge, ridge))
    entries = list(_blocks(derive_hessian(model, route), "H"))
    return _title("population Hessian", model, route), notes, entries


def _gradient_matrix(model: Model, route: str) -> _Collected:
    ridge = "Gradients of the loss alone, without the ridge."
    notes = (block_note("G"), Note(ridge, ridge))
    entries = list(_blocks(derive_gradient_matrix(model, route), "G"))
    return _title("population gradient matrix E[grad grad^T]", model, route), notes, entries


def _diffusion(model: Model, route: str) -> _Collected:
    covariance = derive_diffusion(model, route).covariance
    names = [str(s) for s in model.symbols.state]
    latex = [sp.latex(s) for s in model.symbols.state]
    entries = [
        Entry(
            f"Cov[{names[i]},{names[j]}]", names[i], f"Cov[{names[i]},{names[j]}]",
            rf"\mathrm{{Cov}}\left[{latex[i]}, {latex[j]}\right]", covariance[i, j],
        )
        for i, j in symbols.upper_triangle(len(names))
    ]
    notes = (
        Note(
            "Covariance of one SGD increment of the statistics divided by the step delta, as d -> infinity"
            " (symmetric: each pair once).",
            r"Covariance of one SGD increment of the statistics divided by the step $\delta$, as $d \to \infty$"
            " (symmetric: each pair once).",
        ),
    )
    return _title("diffusion matrix", model, route), notes, entries


def _fixed_point(model: Model, route: str) -> _Collected:
    s = model.symbols
    title = f"fixed point of the noiseless dynamics of {model.name}"
    if model.mixture.directions_gram == sp.eye(model.directions):
        point = softmax_fixed_point(model)
        entries = [
            Entry(str(s.overlap[a, i]), "", str(s.overlap[a, i]), sp.latex(s.overlap[a, i]), point.overlap[a, i])
            for a in range(model.units) for i in range(model.directions)
        ]
        for gap, residual in zip(point.gaps, point.residuals, strict=True):
            entries.append(Entry(f"{gap}", "", f"0 [fixes {gap}]", "0", residual))
        text = "Orthonormal means: each gap solves one scalar equation; R = 0."
        return title, (Note(text, text),), entries
    needed = model.parameter_symbols - {symbols.PRECISION, symbols.STEP}
    if needed:
        raise InputError(
            "fixed-point", f"symbols {', '.join(sorted(map(str, needed)))}",
            "numbers for weights, ridge and directions_gram, unless the means are orthonormal",
            "give --weights and --ridge, or leave --directions-gram away",
        )
    solution = solve_noiseless_fixed_point(model)
    entries = [
        Entry(str(x), "", str(x), sp.latex(x), sp.Float(value, 15)) for x, value in solution.items()
    ]
    text = "Solved by Newton's method to 30 digits, 15 shown; R = 0."
    return title, (Note(text, text),), entries


_COLLECTORS = {
    "drift": _drift, "gradient": _gradient, "hessian": _hessian, "gradient-matrix": _gradient_matrix,
    "diffusion": _diffusion, "fixed-point": _fixed_point,
}


def _blocks(matrix: BlockMatrix, letter: str) -> Iterator[Entry]:
    model = matrix.model
    basis = _basis(model)
    for (a, b), block in matrix.first_layer.items():
        group = f"{letter}_{a + 1}_{b + 1}"
        latex = rf"{letter}_{{{a + 1} {b + 1}}}"
        yield Entry(f"{group}[bulk]", group, f"{group}[bulk]", rf"{latex}[\mathrm{{bulk}}]", block.bulk)
        # a diagonal block is symmetric
        size = range(len(basis))
        for i, j in symbols.upper_triangle(len(basis)) if a == b else ((i, j) for i in size for j in size):
            name = f"{group}[{basis[i][0]},{basis[j][0]}]"
            yield Entry(name, group, name, rf"{latex}[{basis[i][1]}, {basis[j][1]}]", block.coefficients[i, j])
    q = model.readout_size
    for row in range(matrix.mixed.shape[0]):
        a, i = divmod(row, q)
        group = f"{letter}_{a + 1}_v_{i + 1}"
        for j, (name, text) in enumerate(basis):
            yield Entry(
                f"{group}[{name}]", group, f"{group}[{name}]", rf"{letter}_{{{a + 1}, v_{{{i + 1}}}}}[{text}]",
                matrix.mixed[row, j],
            )
    for i, j in symbols.upper_triangle(q):
        name = f"{letter}_v_{i + 1}_v_{j + 1}"
        yield Entry(
            name, f"{letter}_v", name, rf"{letter}_{{v_{{{i + 1}}} v_{{{j + 1}}}}}", matrix.readout[i, j]
        )


def _basis(model: Model) -> list[tuple[str, str]]:
    """Names of V = [e_1..e_r, x^1..x^C] in text and LaTeX."""
    return [
        *((f"e_{s + 1}", f"e_{{{s + 1}}}") for s in range(model.directions)),
        *((f"x_{a + 1}", f"x^{{{a + 1}}}") for a in range(model.units)),
    ]


def _title(what: str, model: Model, route: str) -> str:
    return f"{what} of {model.name}, {route} route"


def _canonical(name: str) -> str:
    """Compare names without spaces, and with the smaller index of a symmetric pair first."""
    text = re.sub(r"\s+", "", name)
    match = re.fullmatch(r"(R|corrector)_(\d+)_(\d+)", text)
    if match:
        letter, *pair = match.groups()
        first, second = sorted(map(int, pair))
        return f"{letter}_{first}_{second}"
    return text

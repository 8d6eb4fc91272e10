"""The fixed points that ``specalign derive --quantity fixed-point`` prints, of one layer and of
two.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace

import sympy as sp

from theory import (
    InputError,
    Model,
    SeparatedFixedPoint,
    existing_clusters,
    separated_fixed_point,
    softmax_fixed_point,
    solve_noiseless_fixed_point,
    symbols,
)
from theory.fixed_points.existing_clusters import IDLE
from theory.names import CLUSTERS

from .entries import Collected
from .labels import (
    LATEX_CLUSTERS,
    SEPARATED,
    Indices,
    Label,
    separated_point_labels,
    softmax_point_labels,
)
from .note import Note


def softmax_points(model: Model) -> Collected:
    """The fixed point of softmax regression: implicit for orthonormal means, else solved."""
    s, of = model.symbols, Indices.all(model.units, model.directions, model.readout_size)
    title = f"fixed point of the noiseless dynamics of {model.name}"
    if model.mixture.directions_gram == sp.eye(model.directions):
        point = softmax_fixed_point(model)
        open_symbols = model.parameter_symbols & {model.ridge, *model.mixture.weights}
        values: dict[Hashable, sp.Expr] = dict(zip(s.overlap, point.overlap, strict=True))
        values |= {("gap", i): residual for i, residual in enumerate(point.residuals)}
        text = "Orthonormal means: each gap solves one scalar equation; R = 0."
        if not open_symbols:
            text += " Solved: the same overlaps as numbers, by bracketing to 30 digits, 15 shown."
            numbers = point.solve()
            values |= {("solved", x): sp.Float(numbers[i], 15) for i, x in enumerate(s.overlap)}
        labels = softmax_point_labels(of, implicit=True, solved=not open_symbols)
        entries = [label.entry(values[label.key]) for label in labels]
        return title, (Note(text, text),), entries
    needed = model.parameter_symbols - {symbols.PRECISION, symbols.STEP}
    if needed:
        rows = ";".join(",".join(map(str, row)) for row in model.mixture.directions_gram.tolist())
        raise InputError(
            "directions_gram",
            f"{rows!r} with the symbols {', '.join(sorted(map(str, needed)))}",
            "orthonormal means for a fixed-point formula, or numbers for all of weights, ridge and"
            " directions_gram",
            "give --weights and --ridge, or leave --directions-gram away",
        )
    solution = solve_noiseless_fixed_point(model)
    labels = softmax_point_labels(of, implicit=False, solved=False)
    entries = [label.entry(sp.Float(solution[label.key], 15)) for label in labels]
    text = "Solved by Newton's method to 30 digits, 15 shown; R = 0."
    return title, (Note(text, text),), entries


def separated_points(model: Model, assignment: Sequence[str]) -> Collected:
    """The fixed points at which the units pick the given clusters: state, norms, flow, and all
    blocks.

    Raises
    ------
    theory.InputError
        An assignment with unknown names or of another length, or clusters that no fixed point
        separates at this ridge.
    """
    check_existence(model, assignment)
    point = separated_fixed_point(model, assignment)
    separated = f"{len(point.separated)} of 4 clusters separated"
    title = f"fixed points of the noiseless dynamics of {model.name}, {separated}"
    values, of = _separated_values(point), Indices.all(model.units, model.directions, model.units)
    labels = separated_point_labels(of, point.assignment, len(point.flow_eigenvalues()))
    entries = [_told(label, point).entry(values[label.key]) for label in labels]
    return title, tuple(_notes(point)), entries


def check_existence(model: Model, assignment: Sequence[str]) -> None:
    """Refuse a ridge at which no fixed point but 0 exists, whatever is assigned."""
    weights, beta = model.mixture.weights, model.ridge
    if not beta.is_number or all(name == IDLE for name in assignment):
        return
    if all(p.is_number for p in weights):
        existing = [CLUSTERS[l] for l in existing_clusters(model)] if beta > 0 else list(CLUSTERS)
        lost = [name for name in CLUSTERS if name in assignment and name not in existing]
        if not existing:
            expected = f"a number below p/2 of some cluster, that is below {max(weights) / 2}"
            remedy = (
                "only the zero fixed point exists at such a ridge: nothing is separated; give a"
                " smaller --ridge"
            )
            raise InputError("ridge", beta, expected, remedy)
        if lost:
            rest = ",".join(name if name in existing else IDLE for name in assignment)
            raise InputError(
                "ridge",
                beta,
                f"a number below p/2 = {weights[CLUSTERS.index(lost[0])] / 2} of the cluster"
                f" {lost[0]}",
                f"no fixed point separates {' or '.join(lost)} at such a ridge; give a smaller"
                f" --ridge, or --assignment {rest}",
            )
        return
    picked = {name for name in assignment if name != IDLE}
    if 2 * beta * len(picked) >= 1:
        # the weights of the picked clusters sum to 1 at most
        few = 2 * beta >= 1
        raise InputError(
            "ridge",
            beta,
            f"a number below 1/{2 * len(picked)}, since beta < p/2 for every separated cluster",
            "only the zero fixed point exists at such a ridge, whatever the weights; give a smaller"
            " --ridge"
            if few
            else "at equal weights only the zero fixed point exists from 1/8 on; give a smaller"
            " --ridge, or an --assignment to fewer clusters",
        )


def _told(label: Label, point: SeparatedFixedPoint) -> Label:
    """The label with what a norm is the sum of, and how often an eigenvalue of the flow occurs."""
    kind, number = label.key[:2] if isinstance(label.key, tuple) else ("", 0)
    if kind == "norm":
        v = point.model.symbols.readout
        total = sp.Add(*(v[i] ** 2 for i in point.members[number]))
        latex = f"{label.latex} = {sp.latex(total)}"
        return replace(label, latex=latex, shown=f"{label.name} = {total}")
    if kind == "flow":
        times = list(point.flow_eigenvalues().values())[number]
        often = f"{times} times" if times > 1 else "once"
        latex = rf"{label.latex}\ (\text{{{often}}})"
        return replace(label, latex=latex, shown=f"{label.name} ({often})")
    return label


def _separated_values(point: SeparatedFixedPoint) -> dict[Hashable, sp.Expr]:
    """Expressions by the keys of their labels."""
    units, directions = range(point.model.units), range(point.model.directions)
    values: dict[Hashable, sp.Expr] = {
        (a, s): point.overlap[a, s] for a in units for s in directions
    }
    values |= dict(point.readout_conditions)
    values |= {("norm", l): square for l, square in point.squared_norms.items()}
    values |= {("flow", n): value for n, value in enumerate(point.flow_eigenvalues())}
    for letter, matrix in SEPARATED.items():
        eigenvalues, readout = point.readout_eigenvalues(matrix), point.readout(matrix)
        values |= {(f"eigenvalue_{letter}_v", l): value for l, value in eigenvalues.items()}
        for i, j in symbols.upper_triangle(point.model.units):
            # diagonal in (mu, nu)
            block = point.first_layer(i, j, matrix)
            values |= {(letter, i, j, s): block[s, s] for s in directions}
            values["readout", letter, i, j] = readout[i, j]
    for i in units:
        for j in units:
            mixed = point.mixed(i, j)
            values |= {("mixed", i, j, s): mixed[s, 0] for s in directions}
    return values


def _notes(point: SeparatedFixedPoint) -> Iterator[Note]:
    names = [IDLE if l is None else CLUSTERS[l] for l in point.assignment]
    text = ", ".join(f"{i + 1}: {'idle' if n == IDLE else n}" for i, n in enumerate(names))
    latex = ", ".join(
        f"{i + 1}: {'idle' if n == IDLE else f'${LATEX_CLUSTERS[n]}$'}" for i, n in enumerate(names)
    )
    yield Note(f"Units pick {text}.", f"Units pick {latex}.")
    if point.separated:
        signs = [
            f"v_{i + 1} {'>' if point.sign(l) > 0 else '<'} 0"
            for i, l in enumerate(point.assignment)
            if l is not None
        ]
        yield Note(
            f"R = 0 and {', '.join(signs)}. norm[z], the sum of v_i^2 over the units that pick z,"
            " fixes |f| at z; the readouts are free on that sphere. They exist while beta < p/2"
            " of every cluster that is picked.",
            f"$R = 0$ and ${', '.join(signs)}$. norm$[z]$, the sum of $v_i^2$ over the units that"
            " pick $z$, fixes $|f|$ at $z$; the readouts are free on that sphere. They exist"
            r" while $\beta < p/2$ of every cluster that is picked.",
        )
    else:
        yield Note(
            "The zero fixed point: R = 0, and nothing is separated.",
            "The zero fixed point: $R = 0$.",
        )
    yield from _stability(point)
    ranks = ", ".join(
        f"({i + 1}, {i + 1}) {point.first_layer(i, i).rank()}" for i in range(point.model.units)
    )
    count = len(point.separated)
    yield Note(
        f"Ranks: v, v block {count}, the number of separated clusters; first-layer blocks {ranks};"
        " the same for H and G.",
        f"Ranks: $v, v$ block {count}, the number of separated clusters; first-layer blocks"
        f" ${ranks}$; the same for $H$ and $G$.",
    )
    yield Note(
        "Blocks: entries of H (almost-everywhere derivatives) and G on e_1, e_2 at lambda ->"
        " infinity, without the ridge. They are diagonal there: these entries are eigenvalues."
        " H_a_v_i[z] is the block of x^a and v_i.",
        r"Blocks: entries of $H$ (almost-everywhere derivatives) and $G$ on $e_1, e_2$ at $\lambda"
        r" \to \infty$, without the ridge. They are diagonal there: these entries are eigenvalues."
        " $H_{a, v_i}[z]$ is the block of $x^a$ and $v_i$.",
    )


def _stability(point: SeparatedFixedPoint) -> Iterator[Note]:
    try:
        verdict = point.stability()
    except InputError:
        verdict = "unstable where the last flow_n, that of the idle units, is > 0;"
        verdict += " --weights and --ridge decide"
    meaning = {
        "attracting": "attracting as a set",
        "neutral": "neutral to first order in an idle unit",
        "unstable": "unstable: an idle unit grows towards a cluster that nobody picks",
    }.get(verdict, verdict)
    still = point.flow_eigenvalues().get(sp.Integer(0), 0)
    often = "once" if still == 1 else f"{still} times"
    moves = f" (0 occurs {often}, turning the readouts on their spheres)" if still else ""
    eigenvalues = "flow_n are the eigenvalues of the noiseless flow, with multiplicities"
    text = f"Stability: {meaning}. {eigenvalues}{moves}."
    yield Note(text, text.replace("flow_n", "flow$_n$"))

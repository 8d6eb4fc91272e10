"""The fixed points that ``specalign derive --quantity fixed-point`` prints, of one layer and of
two.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
from theory.fixed_points.existing_clusters import CLUSTERS, IDLE

from .entries import Collected, Entry
from .legend import Note

_MATRICES = {"H": "hessian", "G": "gradient"}
_LATEX = {"mu": r"\mu", "-mu": r"-\mu", "nu": r"\nu", "-nu": r"-\nu", IDLE: "0"}


def softmax_points(model: Model) -> Collected:
    """The fixed point of softmax regression: implicit for orthonormal means, else solved."""
    s = model.symbols
    title = f"fixed point of the noiseless dynamics of {model.name}"
    if model.mixture.directions_gram == sp.eye(model.directions):
        point = softmax_fixed_point(model)
        entries = [
            Entry(str(s.overlap[a, i]), sp.latex(s.overlap[a, i]), point.overlap[a, i])
            for a in range(model.units)
            for i in range(model.directions)
        ]
        for gap, residual in zip(point.gaps, point.residuals, strict=True):
            entries.append(Entry(f"{gap}", "0", residual, shown=f"0 [fixes {gap}]"))
        text = "Orthonormal means: each gap solves one scalar equation; R = 0."
        open_symbols = model.parameter_symbols & {model.ridge, *model.mixture.weights}
        if not open_symbols:
            text += " Solved: the same overlaps as numbers, by bracketing to 30 digits, 15 shown."
            numbers = point.solve()
            entries += [
                Entry(
                    f"solved[{x}]",
                    rf"\mathrm{{solved}}[{sp.latex(x)}]",
                    sp.Float(numbers[a, i], 15),
                    group="solved",
                )
                for a in range(model.units)
                for i, x in enumerate(s.overlap.row(a))
            ]
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
    entries = [Entry(str(x), sp.latex(x), sp.Float(value, 15)) for x, value in solution.items()]
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
    _check_existence(model, assignment)
    point = separated_fixed_point(model, assignment)
    separated = f"{len(point.separated)} of 4 clusters separated"
    title = f"fixed points of the noiseless dynamics of {model.name}, {separated}"
    entries = [
        *_state(point),
        *_norms(point),
        *_flow(point),
        *_blocks(point),
        *_readout_eigenvalues(point),
    ]
    return title, tuple(_notes(point)), entries


def _check_existence(model: Model, assignment: Sequence[str]) -> None:
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


def _state(point: SeparatedFixedPoint) -> Iterator[Entry]:
    s = point.model.symbols
    for a in range(point.model.units):
        for i in range(point.model.directions):
            m = s.overlap[a, i]
            yield Entry(str(m), sp.latex(m), point.overlap[a, i])
    for v, value in point.readout_conditions.items():
        yield Entry(str(v), sp.latex(v), value)


def _norms(point: SeparatedFixedPoint) -> Iterator[Entry]:
    v = point.model.symbols.readout
    for l, square in point.squared_norms.items():
        total, name = sp.Add(*(v[i] ** 2 for i in point.members[l])), CLUSTERS[l]
        yield Entry(
            f"norm[{name}]",
            rf"\mathrm{{norm}}[{_LATEX[name]}] = {sp.latex(total)}",
            square,
            group="norm",
            shown=f"norm[{name}] = {total}",
        )


def _flow(point: SeparatedFixedPoint) -> Iterator[Entry]:
    for n, (value, times) in enumerate(point.flow_eigenvalues().items(), start=1):
        often = f"{times} times" if times > 1 else "once"
        yield Entry(
            f"flow_{n}",
            rf"\mathrm{{flow}}_{{{n}}}\ (\text{{{often}}})",
            value,
            group="flow",
            shown=f"flow_{n} ({often})",
        )


def _blocks(point: SeparatedFixedPoint) -> Iterator[Entry]:
    units = range(point.model.units)
    for letter, matrix in _MATRICES.items():
        for i, j in symbols.upper_triangle(point.model.units):
            # diagonal in (mu, nu)
            block, group = point.first_layer(i, j, matrix), f"{letter}_{i + 1}_{j + 1}"
            for s in range(2):
                name = f"{group}[e_{s + 1},e_{s + 1}]"
                latex = rf"{letter}_{{{i + 1} {j + 1}}}[e_{{{s + 1}}}, e_{{{s + 1}}}]"
                yield Entry(name, latex, block[s, s], group=group)
        if letter == "H":
            for i in units:
                for j in units:
                    mixed, group = point.mixed(i, j), f"H_{i + 1}_v_{j + 1}"
                    for s in range(2):
                        latex = rf"H_{{{i + 1}, v_{{{j + 1}}}}}[e_{{{s + 1}}}]"
                        yield Entry(f"{group}[e_{s + 1}]", latex, mixed[s, 0], group=group)
        readout = point.readout(matrix)
        for i, j in symbols.upper_triangle(point.model.readout_size):
            name = f"{letter}_v_{i + 1}_v_{j + 1}"
            yield Entry(
                name,
                rf"{letter}_{{v_{{{i + 1}}} v_{{{j + 1}}}}}",
                readout[i, j],
                group=f"{letter}_v",
            )


def _readout_eigenvalues(point: SeparatedFixedPoint) -> Iterator[Entry]:
    for letter, matrix in _MATRICES.items():
        for l, value in point.readout_eigenvalues(matrix).items():
            name = f"eigenvalue_{letter}_v[{CLUSTERS[l]}]"
            latex = rf"\mathrm{{eigenvalue}}\ {letter}_v[{_LATEX[CLUSTERS[l]]}]"
            yield Entry(name, latex, value, group=f"eigenvalue_{letter}_v")


def _notes(point: SeparatedFixedPoint) -> Iterator[Note]:
    names = [IDLE if l is None else CLUSTERS[l] for l in point.assignment]
    text = ", ".join(f"{i + 1}: {'idle' if n == IDLE else n}" for i, n in enumerate(names))
    latex = ", ".join(
        f"{i + 1}: {'idle' if n == IDLE else f'${_LATEX[n]}$'}" for i, n in enumerate(names)
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

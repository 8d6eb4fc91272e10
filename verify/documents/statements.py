r"""What a derivation says, step by step: a sentence, a quantity and a formula of the language.

Nothing here is believed: every statement is a claim that the checker judges for the model at hand.
Formulas are those of docs/mathematics.md, written once for all models; the data of the mixture
decide only how its means are written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations_with_replacement

from theory import Model, derive_gradient_matrix, derive_hessian
from theory.expectations.moments import default_route
from theory.names import DISTRIBUTIONAL
from verify.claims.quantities import DIFFUSION, DRIFT, GRADIENT, GRADIENT_MATRIX, HESSIAN

from .notation import RESULT, STEIN, STEPS, Notation, Statement
from .samples import inserted, sample_statements


def statements_of(
    model: Model, quantity: str, route: str | None = None, kink_rule: str = DISTRIBUTIONAL
) -> Iterator[Statement]:
    """All statements about a quantity, in the order of their derivation."""
    curved = quantity in (HESSIAN, GRADIENT_MATRIX, DIFFUSION)
    chosen = route or default_route(model, curvatures=curved)
    if curved and chosen == STEIN and not model.loss.is_smooth:
        _check_differentiable(model, quantity)
    yield from _WRITERS[quantity](Notation(model, chosen, kink_rule))


def _check_differentiable(model: Model, quantity: str) -> None:
    """Refuse Stein's lemma, as the engine does, where a weight with kinks has no two derivatives.

    Products of a step with the delta function of the same kink mean nothing.
    """
    derive = derive_hessian if quantity == HESSIAN else derive_gradient_matrix
    blocks = derive(model, route=STEIN)
    for a, b in combinations_with_replacement(range(model.units), 2):
        blocks.block(a, b).coefficients[-1, -1]


# --- the quantities -------------------------------------------------------------------------------


def _first_moments(note: Notation) -> Iterator[Statement]:
    """E_l[g_a Y], by its products with the directions and with the rest of the weight vectors."""
    yield Statement(
        STEPS,
        f"{note.rule} gives the mean of the sample gradient in the directions $e_s$,",
        "E_l[g_a*Y_s]",
        f"{note.mean('l', 's')}*E_l[g_a] + {note.sum_along('g_a', 'b', 'm_b_s', 'l')}"
        + note.teachers_along("g_a", "Gamma_{}_s", "l"),
    )
    yield Statement(
        STEPS,
        r"and along the parts $x_\perp^b$ of the weight vectors orthogonal to all $e_s$,",
        "E_l[g_a*zeta_b]",
        note.sum_along("g_a", "c", "R_c_b", "l"),
    )


def _drift(note: Notation) -> Iterator[Statement]:
    yield from sample_statements(note, note.is_stein)
    yield Statement(
        STEPS,
        r"A step changes $m_{as}$ by $-\delta(g_a\,Y\cdot e_s+\beta m_{as})$. Its mean, over"
        r" $\delta$, is the drift:",
        "drift m_a_s",
        "-E[g_a*Y_s] - beta*m_a_s",
        r"\dot m_{as}",
    )
    yield Statement(
        STEPS,
        r"$R^\perp_{ab}=x_\perp^a\cdot x_\perp^b$ changes to first order in $\delta$ and, because"
        r" $\|Y_\perp\|^2/d\to1/\lambda$, to second order too: with $\delta=c_\delta/d$ that is the"
        " corrector",
        "corrector_a_b",
        "c_delta/lambda*E[g_a*g_b]",
        r"K_{ab}",
    )
    yield Statement(
        STEPS,
        "so that",
        "drift R_a_b",
        "-E[g_a*zeta_b] - E[g_b*zeta_a] - 2*beta*R_a_b + c_delta/lambda*E[g_a*g_b]",
        r"\dot R^\perp_{ab}",
    )
    yield from _first_moments(note)
    mean = f"{note.averaged('g_a', 's')} + {note.sum_along('g_a', 'b', 'm_b_s')}"
    overlap = f"-({mean}{note.teachers_along('g_a', 'Gamma_{}_s')}) - beta*m_a_s"
    pairs = (("a", "b"), ("b", "a"))
    both = " - ".join(note.sum_along(f"g_{a}", "c", f"R_c_{b}") for a, b in pairs)
    gram = f"-{both} - 2*beta*R_a_b + c_delta/lambda*E[g_a*g_b]"
    results = [
        ("drift m_a_s", overlap, r"\dot m_{as}"),
        ("drift R_a_b", gram, r"\dot R^\perp_{ab}"),
    ]
    if note.model.readout_size:
        results.append(("drift v_i", "-E[g_v_i] - beta*v_i", r"\dot v_i"))
    yield from _results(note, results, "Summed over the components, the effective dynamics are")


def _results(note: Notation, results: list[tuple[str, str, str]], text: str) -> Iterator[Statement]:
    for i, (quantity, formula, left) in enumerate(results):
        yield Statement(RESULT, "" if i else text, quantity, formula, left)
        yield from inserted(note, quantity, formula, left)


def _gradient(note: Notation) -> Iterator[Statement]:
    yield from sample_statements(note, note.is_stein)
    yield from _first_moments(note)
    results = [
        (
            "gradient g_a[e_s]",
            note.coordinate("g_a", "s") + note.teacher_coordinates("g_a", "s"),
            "g_a[e_s]",
        ),
        ("gradient g_a[x_b]", f"{note.along('g_a', 'b')} + beta*delta_a_b", "g_a[x^b]"),
    ]
    if note.model.readout_size:
        results.append(("gradient g_v_i", "E[g_v_i] + beta*v_i", r"\mathbb{E}[\partial_{v_i}L]"))
    text = (
        r"The population gradient is $\mathbb{E}[\nabla_{x^a}L]=\sum_s g_a[e_s]\,e_s+\sum_b"
        r" g_a[x^b]\,x^b$ with"
    )
    yield from _results(note, results, text)


def _blocks(note: Notation, letter: str, weight: str, ridge: bool) -> Iterator[Statement]:
    """The blocks V B V^T + c I of E[h Y Y^T]."""
    h = weight
    yield from sample_statements(note, letter == "H" or note.is_stein)
    once = note.sum_along(h, "c", "(E_l[Y_s]*m_c_t + E_l[Y_t]*m_c_s)", "l")
    once += note.teachers_along(h, "(E_l[Y_s]*Gamma_{0}_t + E_l[Y_t]*Gamma_{0}_s)", "l")
    yield Statement(
        STEPS,
        f"{note.rule} used twice, gives between the directions",
        f"E_l[{h}*Y_s*Y_t]",
        f"E_l[{h}]*(E_l[Y_s]*E_l[Y_t] + 1/lambda*Gamma_s_t) + {once}"
        f" + {note.sum_twice_along(h, 'm_c_s*m_d_t')}{note.teachers_twice_along(h, 's', 't')}",
    )
    on = " + beta*delta_a_b" if ridge else ""
    name = f"{letter}_a_b"
    latex = f"{letter}_{{ab}}"
    results = [
        (f"{name}[bulk]", f"1/lambda*E[{h}]{on}", r"c_{ab}"),
        (
            f"{name}[e_s,e_t]",
            note.coordinate(h, "s", "t") + note.teacher_coordinates(h, "s", "t"),
            f"{latex}[e_s,e_t]",
        ),
        (
            f"{name}[e_s,x_c]",
            note.coordinate_along(h, "s", "c") + note.teacher_coordinates_along(h, "s", "c"),
            f"{latex}[e_s,x^c]",
        ),
        (f"{name}[x_c,x_d]", note.twice_along(h, "c", "d"), f"{latex}[x^c,x^d]"),
    ]
    if note.model.readout_size:
        mixed, small = ("H_a_v_i", "H_v_i_v_j") if letter == "H" else ("g_a*g_v_i", "g_v_i*g_v_j")
        on = " + beta*delta_i_j" if ridge else ""
        row = f"{letter}_{{av_i}}"
        results += [
            (
                f"{letter}_a_v_i[e_s]",
                note.coordinate(mixed, "s") + note.teacher_coordinates(mixed, "s"),
                f"{row}[e_s]",
            ),
            (f"{letter}_a_v_i[x_b]", note.along(mixed, "b"), f"{row}[x^b]"),
            (f"{letter}_v_i_v_j", f"E[{small}]{on}", f"{letter}_{{v_iv_j}}"),
        ]
    text = r"Block $(a,b)$ is $V B_{ab} V^T+c_{ab}I$ with $V=[e_1..e_r,x^1..x^C]$. Its entries are"
    yield from _results(note, results, text)


def _diffusion(note: Notation) -> Iterator[Statement]:
    yield from sample_statements(note, False)
    readout = bool(note.model.readout_size)
    text = (
        r"Over $-\delta$, a step changes $m_{as}$ by $g_a\,Y\cdot e_s$, $R^\perp_{ab}$ by"
        r" $g_a\,Y\cdot x_\perp^b+g_b\,Y\cdot x_\perp^a-(c_\delta/\lambda)\,g_ag_b$"
        + (r" and $v_i$ by $\partial_{v_i}\ell$" if readout else "")
        + ", up to constants. The diffusion is the covariance of these,"
    )
    for letters in _PAIRS:
        if "v" in letters and not readout:
            continue
        (one, f, left), (other, g, right) = (_CHANGES[x[0]](*x[1:]) for x in letters.split())
        formula = f"E[({f})*({g})] - E[{f}]*E[{g}]"
        yield Statement(
            RESULT, text, f"Cov[{one},{other}]", formula, rf"\mathrm{{Cov}}[{left}, {right}]"
        )
        text = ""


# a statistic with its letters -> its name, its change in a step, its name in LaTeX
_CHANGES: dict[str, Callable[..., tuple[str, str, str]]] = {
    "m": lambda a, s: (f"m_{a}_{s}", f"g_{a}*Y_{s}", f"m_{{{a}{s}}}"),
    "R": lambda a, b: (
        f"R_{a}_{b}",
        f"g_{a}*zeta_{b} + g_{b}*zeta_{a} - c_delta/lambda*g_{a}*g_{b}",
        rf"R^\perp_{{{a}{b}}}",
    ),
    "v": lambda i: (f"v_{i}", f"g_v_{i}", f"v_{i}"),
}
_PAIRS = ("mas mbt", "mas Rbc", "Rab Rcd", "mas vi", "Rab vi", "vi vj")


def _hessian(note: Notation) -> Iterator[Statement]:
    yield from _blocks(note, "H", "H_a_b", ridge=True)


def _gradient_matrix(note: Notation) -> Iterator[Statement]:
    yield from _blocks(note, "G", "g_a*g_b", ridge=False)


_WRITERS = {
    DRIFT: _drift,
    GRADIENT: _gradient,
    HESSIAN: _hessian,
    GRADIENT_MATRIX: _gradient_matrix,
    DIFFUSION: _diffusion,
}

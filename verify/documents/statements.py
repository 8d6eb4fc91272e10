r"""What a derivation says, step by step: a sentence, a quantity and a formula of the language.

Nothing here is believed: every statement is a claim that the checker judges for the model at hand.
Formulas are those of docs/mathematics.md, written once for all models; the data of the mixture
decide only how its means are written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial

import sympy as sp

from theory import Model
from theory.expectations.moments import default_route
from theory.problem.kinks import DISTRIBUTIONAL
from verify.claims.judge import judge, make_claim
from verify.claims.judgement import Finding
from verify.claims.language.text import parse_formula
from verify.claims.language.tree import Node, show
from verify.claims.quantities import DIFFUSION, DRIFT, GRADIENT, GRADIENT_MATRIX, HESSIAN

from .index_form import first_derivative, index_form, second_derivative, substitute

ROUTES = STEIN, PROJECTION = "stein", "projection"
# what a statement is part of
LOSS, STEPS, RESULT = "The loss and its derivatives", "Expectations", "Collected terms"
# name with its letters -> quantity, its left-hand side, positions of first indices, of readout?
_SECOND = {
    "H": ("diff(g_a, u_b)", "ab", "uu"),
    "H_v": ("diff(g_a, v_i)", "ai", "uv"),
    "H_v_v": ("diff(g_v_i, v_j)", "ij", "vv"),
}


@dataclass(frozen=True)
class Statement:
    r"""One step.

    Attributes
    ----------
    part : str
        The section it stands in.
    text : str
        What is done, in words with mathematics between dollar signs.
    quantity, formula : str
        The claim.
    left : str
        The left-hand side in LaTeX where it is written in another way than the quantity.
    needed : bool
        A form that only restates a result is left out where it does not stand.
    order : int, optional
        It holds up to this power of 1/lambda.
    """

    part: str
    text: str
    quantity: str
    formula: str
    left: str = ""
    needed: bool = True
    order: int | None = None


def statements_of(
    model: Model, quantity: str, route: str | None = None, kink_rule: str = DISTRIBUTIONAL
) -> Iterator[Statement]:
    """All statements about a quantity, in the order of their derivation."""
    curved = quantity in (HESSIAN, GRADIENT_MATRIX, DIFFUSION)
    chosen = route or default_route(model, curvatures=curved)
    yield from _WRITERS[quantity](_Notation(model, chosen, kink_rule))


@dataclass(frozen=True)
class _Notation:
    """How sums over components and derivatives are written for a model and a route."""

    model: Model
    route: str
    kink_rule: str = DISTRIBUTIONAL

    @property
    def is_stein(self) -> bool:
        return self.route == STEIN

    @property
    def rule(self) -> str:
        if self.is_stein:
            return r"Stein's lemma, $\mathbb{E}[F(Z)\,Z_i]=\mathbb{E}[\partial_iF(Z)]$,"
        return r"Projection onto the pre-activations, with $w=Q^{+}(u-\mathbb{E}_l u)$,"

    @property
    def _coordinates_are_identity(self) -> bool:
        s = self.model.mixture.coordinates
        return bool(s.shape[0] == s.shape[1] and s == sp.eye(s.shape[0]))

    @property
    def _is_orthonormal(self) -> bool:
        return bool(self.model.mixture.directions_gram == sp.eye(self.model.directions))

    def mean(self, component: str, direction: str) -> str:
        """mu_l . e_s"""
        if self._coordinates_are_identity:
            name = "delta" if self._is_orthonormal else "Gamma"
            return f"{name}_{component}_{direction}"
        if self._is_orthonormal:
            return f"S_{component}_{direction}"
        return f"sum_t(S_{component}_t*Gamma_t_{direction})"

    def averaged(self, f: str, s: str) -> str:
        """E[f mu_l . e_s] over the mixture."""
        if self._coordinates_are_identity and self._is_orthonormal:
            return f"p_{s}*E_{s}[{f}]"
        return f"sum_l(p_l*{self.mean('l', s)}*E_l[{f}])"

    def coordinate(self, f: str, *directions: str) -> str:
        """E[f S_ls], the coefficient of e_s."""
        if self._coordinates_are_identity:
            s, *others = directions
            return "*".join([*(f"delta_{s}_{t}" for t in others), f"p_{s}*E_{s}[{f}]"])
        coordinates = "*".join(f"S_l_{s}" for s in directions)
        return f"sum_l(p_l*{coordinates}*E_l[{f}])"

    def _scaled(self, formula: str, power: int = 1) -> str:
        """With the factor that each use of Stein's lemma brings."""
        if not self.is_stein:
            return formula
        return f"1/lambda{f'^{power}' if power > 1 else ''}*{formula}"

    def _once(self, f: str, c: str) -> str:
        return _derivative(f, c) if self.is_stein else f"{f}*w_{c}"

    def _twice(self, f: str, c: str, d: str) -> str:
        if self.is_stein:
            return _derivative(_derivative(f, c), d)
        return f"{f}*(w_{c}*w_{d} - P_{c}_{d}/lambda)"

    def along(self, f: str, c: str) -> str:
        """The coefficient of x^c in E[f (Y - mean)]."""
        return self._scaled(f"E[{self._once(f, c)}]")

    def sum_along(self, f: str, c: str, other: str, component: str = "") -> str:
        """E[f (Y - mean)] . z, where ``other`` is x^c . z."""
        sign = f"E_{component}" if component else "E"
        return self._scaled(f"sum_{c}({sign}[{self._once(f, c)}]*{other})")

    def sum_twice_along(self, f: str, other: str) -> str:
        return self._scaled(f"sum_c_d(E_l[{self._twice(f, 'c', 'd')}]*{other})", 2)

    def coordinate_along(self, f: str, s: str, c: str) -> str:
        return self._scaled(self.coordinate(self._once(f, c), s))

    def twice_along(self, f: str, c: str, d: str) -> str:
        """The coefficient of x^c (x^d)^T."""
        return self._scaled(f"E[{self._twice(f, c, d)}]", 2)


def _derivative(f: str, c: str) -> str:
    return f"H_{f[-1]}_{c}" if len(f) == 3 and f[:2] == "g_" else f"diff({f}, u_{c})"


# --- the sample -----------------------------------------------------------------------------------


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


def _sample(note: _Notation, second: bool) -> Iterator[Statement]:
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


def _inserted(note: _Notation, quantity: str, formula: str, left: str = "") -> Iterator[Statement]:
    """A result with the derivatives of this loss written out, where they have an index form."""
    if "diff(" in formula:
        return
    tree = parse_formula(formula)
    for name, (letters, form) in _forms(note.model, note.kink_rule).items():
        tree = substitute(tree, name, form, letters)
    written = show(tree)
    if written != show(parse_formula(formula)) and len(written) < _LONGEST:
        text = "With the derivatives of this loss it reads"
        yield Statement(RESULT, text, quantity, written, left, needed=False)


# letters of a formula that is still read as a whole
_LONGEST = 400


# --- the quantities -------------------------------------------------------------------------------


def _first_moments(note: _Notation) -> Iterator[Statement]:
    """E_l[g_a Y], by its products with the directions and with the rest of the weight vectors."""
    yield Statement(
        STEPS,
        f"{note.rule} gives the mean of the sample gradient in the directions $e_s$,",
        "E_l[g_a*Y_s]",
        f"{note.mean('l', 's')}*E_l[g_a] + {note.sum_along('g_a', 'b', 'm_b_s', 'l')}",
    )
    yield Statement(
        STEPS,
        r"and along the parts $x_\perp^b$ of the weight vectors orthogonal to all $e_s$,",
        "E_l[g_a*zeta_b]",
        note.sum_along("g_a", "c", "R_c_b", "l"),
    )


def _drift(note: _Notation) -> Iterator[Statement]:
    yield from _sample(note, note.is_stein)
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
    overlap = f"-{note.averaged('g_a', 's')} - {note.sum_along('g_a', 'b', 'm_b_s')} - beta*m_a_s"
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


def _results(
    note: _Notation, results: list[tuple[str, str, str]], text: str
) -> Iterator[Statement]:
    for i, (quantity, formula, left) in enumerate(results):
        yield Statement(RESULT, "" if i else text, quantity, formula, left)
        yield from _inserted(note, quantity, formula, left)


def _gradient(note: _Notation) -> Iterator[Statement]:
    yield from _sample(note, note.is_stein)
    yield from _first_moments(note)
    results = [
        ("gradient g_a[e_s]", note.coordinate("g_a", "s"), "g_a[e_s]"),
        ("gradient g_a[x_b]", f"{note.along('g_a', 'b')} + beta*delta_a_b", "g_a[x^b]"),
    ]
    if note.model.readout_size:
        results.append(("gradient g_v_i", "E[g_v_i] + beta*v_i", r"\mathbb{E}[\partial_{v_i}L]"))
    text = (
        r"The population gradient is $\mathbb{E}[\nabla_{x^a}L]=\sum_s g_a[e_s]\,e_s+\sum_b"
        r" g_a[x^b]\,x^b$ with"
    )
    yield from _results(note, results, text)


def _blocks(note: _Notation, letter: str, weight: str, ridge: bool) -> Iterator[Statement]:
    """The blocks V B V^T + c I of E[h Y Y^T]."""
    h = weight
    yield from _sample(note, letter == "H" or note.is_stein)
    once = note.sum_along(h, "c", "(E_l[Y_s]*m_c_t + E_l[Y_t]*m_c_s)", "l")
    yield Statement(
        STEPS,
        f"{note.rule} used twice, gives between the directions",
        f"E_l[{h}*Y_s*Y_t]",
        f"E_l[{h}]*(E_l[Y_s]*E_l[Y_t] + 1/lambda*Gamma_s_t) + {once}"
        f" + {note.sum_twice_along(h, 'm_c_s*m_d_t')}",
    )
    on = " + beta*delta_a_b" if ridge else ""
    name = f"{letter}_a_b"
    latex = f"{letter}_{{ab}}"
    results = [
        (f"{name}[bulk]", f"1/lambda*E[{h}]{on}", r"c_{ab}"),
        (f"{name}[e_s,e_t]", note.coordinate(h, "s", "t"), f"{latex}[e_s,e_t]"),
        (f"{name}[e_s,x_c]", note.coordinate_along(h, "s", "c"), f"{latex}[e_s,x^c]"),
        (f"{name}[x_c,x_d]", note.twice_along(h, "c", "d"), f"{latex}[x^c,x^d]"),
    ]
    if note.model.readout_size:
        mixed, small = ("H_a_v_i", "H_v_i_v_j") if letter == "H" else ("g_a*g_v_i", "g_v_i*g_v_j")
        on = " + beta*delta_i_j" if ridge else ""
        row = f"{letter}_{{av_i}}"
        results += [
            (f"{letter}_a_v_i[e_s]", note.coordinate(mixed, "s"), f"{row}[e_s]"),
            (f"{letter}_a_v_i[x_b]", note.along(mixed, "b"), f"{row}[x^b]"),
            (f"{letter}_v_i_v_j", f"E[{small}]{on}", f"{letter}_{{v_iv_j}}"),
        ]
    text = r"Block $(a,b)$ is $V B_{ab} V^T+c_{ab}I$ with $V=[e_1..e_r,x^1..x^C]$. Its entries are"
    yield from _results(note, results, text)


def _diffusion(note: _Notation) -> Iterator[Statement]:
    yield from _sample(note, False)
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


def _hessian(note: _Notation) -> Iterator[Statement]:
    yield from _blocks(note, "H", "H_a_b", ridge=True)


def _gradient_matrix(note: _Notation) -> Iterator[Statement]:
    yield from _blocks(note, "G", "g_a*g_b", ridge=False)


_WRITERS = {
    DRIFT: _drift,
    GRADIENT: _gradient,
    HESSIAN: _hessian,
    GRADIENT_MATRIX: _gradient_matrix,
    DIFFUSION: _diffusion,
}

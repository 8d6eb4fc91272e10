r"""Derivations as documents: sections of text and numbered formulas, set in LaTeX or in HTML.

Texts hold mathematics between dollar signs; everything else in them is plain and is escaped.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import sympy as sp
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from theory import Model
from verify.claims.judgement import Judgement
from verify.claims.quantities import EXPRESSION, HESSIAN
from verify.printing.legend import legend
from verify.printing.mathml import mathml
from verify.printing.tree_latex import tree_lines, width

if TYPE_CHECKING:
    from .derivation import Derivation, DerivationStep

# letters on a line of the printed page
LINE = 70.0
TITLES = {
    "drift": "Effective dynamics",
    "gradient": "Population gradient",
    "hessian": "Population Hessian",
    "gradient-matrix": "Population gradient matrix",
    "diffusion": "Diffusion matrix",
    "fixed-point": "Noiseless fixed point",
}
# components that a table still shows
MOST_ROWS = 12


@dataclass(frozen=True)
class Formula:
    """A numbered display: its lines, and what is known about it."""

    number: int
    lines: tuple[str, ...]
    step: DerivationStep

    @property
    def judgement(self) -> Judgement:
        return self.step.judgement

    @property
    def aligned(self) -> str:
        """The display in LaTeX."""
        if len(self.lines) == 1:
            return self.lines[0].replace("&", "", 1)
        inside = " \\\\\n".join(self.lines)
        return f"\\begin{{split}}\n{inside}\n\\end{{split}}"

    @property
    def about(self) -> str:
        """The quantity of the claim, as ``specalign check`` reads it."""
        quantity = self.judgement.claim.quantity
        return (
            quantity.entry if quantity.kind == EXPRESSION else f"{quantity.kind} {quantity.entry}"
        )

    @property
    def evidence(self) -> list[str]:
        """What each stage says, in a line."""
        stages = self.judgement.stages
        return [f"{s.name}: {s.status.value}, {s.text}" for s in stages]


@dataclass(frozen=True)
class Section:
    """A heading, and texts and formulas in turn."""

    title: str
    blocks: tuple[str | Formula, ...]


@dataclass(frozen=True)
class Page:
    """A document before it is set."""

    title: str
    notation: tuple[str, ...]
    components: tuple[tuple[str, ...], ...]
    sections: tuple[Section, ...]
    closing: tuple[str, ...]

    @classmethod
    def of(cls, derivation: Derivation) -> Page:
        """Sections by the parts of the statements, formulas numbered through."""
        parts: dict[str, list[str | Formula]] = {}
        for number, step in enumerate(derivation.steps, 1):
            blocks = parts.setdefault(step.statement.part, [])
            if step.statement.text:
                blocks.append(step.statement.text)
            blocks.append(Formula(number, tuple(_lines(step)), step))
        return cls(
            f"{TITLES[derivation.quantity]} of {derivation.model.name}",
            tuple(_notation(derivation)),
            tuple(_components(derivation.model)),
            tuple(Section(title, tuple(blocks)) for title, blocks in parts.items()),
            tuple(_closing(derivation)),
        )

    @property
    def formulas(self) -> list[Formula]:
        return [b for s in self.sections for b in s.blocks if isinstance(b, Formula)]


def _lines(step: DerivationStep) -> Iterator[str]:
    """The formula in lines, its relation sign and continuations aligned."""
    left = step.left
    room = LINE - min(width(left), LINE / 2) - 4
    first, *rest = tree_lines(step.formula, room)
    yield f"{left} &= {first}"
    for line in rest:
        yield rf"&\quad {line}"


def _notation(derivation: Derivation) -> Iterator[str]:
    """What every symbol means."""
    model = derivation.model
    yield (
        r"A feature of component $l$ is $Y=\mu_l+Z/\sqrt{\lambda}$ with $Z\sim N(0,I_d)$ and mean"
        r" $\mu_l=\sum_sS_{ls}e_s$; $l$ has the weight $p_l$ and the label $y_l$. The directions"
        f" $e_s$ have the Gram matrix ${_gram(model)}$.{_numbers(model)}"
    )
    yield (
        r"The loss $\ell(y;u,v)$ sees a feature by the pre-activations $u_a=x^a\cdot Y$,"
        rf" $a=1..{model.units}$; $L=\ell+\frac{{\beta}}{{2}}(\|x\|^2+\|v\|^2)$. SGD takes a fresh"
        r" sample for every step $\delta=c_\delta/d$, and time is $t=\mathrm{steps}\cdot\delta$."
    )
    yield (
        r"Statistics are $m_{as}=x^a\cdot e_s$ and $R^\perp=Q-m\Gamma^{-1}m^T$ with"
        r" $Q_{ab}=x^a\cdot x^b$; $x_\perp^a$ is the part of $x^a$ orthogonal to all $e_s$. Given"
        r" $l$, $u\sim N(mS_l^T,Q/\lambda)$. $\mathbb{E}_l$ is the mean in component $l$, where"
        r" $y=y_l$, and $\mathbb{E}=\sum_lp_l\mathbb{E}_l$."
    )
    if model.loss.teachers:
        yield (
            r"Teachers are $t_s=e_s\cdot Y$: given $l$, $(u,t)$ is Gaussian, $t$ with mean"
            r" $\Gamma S_l^T$ and covariance $\Gamma/\lambda$, and $\mathrm{Cov}(u,t)=m/\lambda$."
        )
    partials = [model.loss.partial((i,)) for i in range(len(model.loss.variables))]
    second = [model.loss.partial((0, 0))] if derivation.quantity in ("drift", HESSIAN) else []
    yield (
        r"$g_a=\partial_{u_a}\ell$, $H_{ab}=\partial_{u_a}\partial_{u_b}\ell$, and with $v_i$ for"
        r" an index the same in the readout parameters; $\mathbf{1}\{\cdot\}$ is 1 where its"
        r" condition holds and 0 elsewhere."
    )
    for note in legend([model.loss.expression, *partials, *second]):
        yield note.latex
    yield from derivation.notes


def _numbers(model: Model) -> str:
    """Parameters that have a value."""
    values = {r"\lambda": model.mixture.precision, r"\beta": model.ridge, r"c_\delta": model.step}
    known = [f"${name}={sp.latex(x)}$" for name, x in values.items() if x.is_number]
    return f" Here {', '.join(known)}." if known else ""


def _gram(model: Model) -> str:
    gram = model.mixture.directions_gram
    if gram == sp.eye(model.directions):
        return r"\Gamma=I"
    if gram.free_symbols:
        return r"\Gamma"
    return rf"\Gamma={sp.latex(sp.Matrix(gram))}"


def _components(model: Model) -> Iterator[tuple[str, ...]]:
    """Rows of a table, of LaTeX: component, weight, label, mean."""
    mixture = model.mixture
    if model.components > MOST_ROWS:
        return
    e = sp.symbols(f"e_1:{model.directions + 1}")
    for l in range(model.components):
        mean = sum((s * x for s, x in zip(mixture.coordinates.row(l), e, strict=True)), sp.S.Zero)
        values = mixture.weights[l], mixture.labels[l], mean
        yield (str(l + 1), *map(sp.latex, values))


def _closing(derivation: Derivation) -> Iterator[str]:
    """How far the formulas were checked."""
    counts: dict[str, int] = {}
    for step in derivation.steps:
        finding = step.judgement.finding.value
        counts[finding] = counts.get(finding, 0) + 1
    told = ", ".join(f"{n} {finding}" for finding, n in counts.items())
    yield (
        f"Each formula was judged by specalign check before it was written, for all values of its"
        f" indices: {told}. Proved means that exact identities bring the difference to zero,"
        " agrees that it is zero to the digits stated. Seed"
        f" {derivation.steps[0].judgement.seed}."
    )
    if derivation.left_out:
        count = len(derivation.left_out)
        yield f"{count} forms that restate a result were not confirmed and are left out."


# --- LaTeX ----------------------------------------------------------------------------------------


def as_latex(page: Page, keys: Mapping[str, object]) -> str:
    """A LaTeX document that needs amsmath and amsfonts alone."""
    environment = _environment()
    environment.block_start_string, environment.block_end_string = "<%", "%>"
    environment.variable_start_string, environment.variable_end_string = "<<", ">>"
    environment.comment_start_string, environment.comment_end_string = "<#", "#>"
    environment.autoescape = False
    environment.filters |= {"text": latex_text, "plain": latex_plain}
    return environment.get_template("derivation.tex.j2").render(page=page, keys=keys) + "\n"


_LATEX = {
    "\\": r"\textbackslash{}",
    **{c: rf"\{c}" for c in "#$%&_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "±": r"$\pm$",
    "·": r"$\cdot$",
}


def latex_plain(text: object) -> str:
    r"""Text as LaTeX sets it; what plain LaTeX has no letter for becomes its code point.

    Examples
    --------
    >>> print(latex_plain("a_b 50% \\input{x}"))
    a\_b 50\% \textbackslash{}input\{x\}
    """
    found = []
    for c in " ".join(str(text).split()):
        if c in _LATEX:
            found.append(_LATEX[c])
        elif c.isascii() and c.isprintable():
            found.append(c)
        else:
            marks = unicodedata.normalize("NFKD", c)
            bare = "".join(x for x in marks if not unicodedata.combining(x))
            plain = bare.isascii() and bare.isalnum()
            found.append(bare if plain else rf"\texttt{{U+{ord(c):04X}}}")
    return "".join(found)


def latex_text(text: str) -> str:
    """A text with mathematics between dollar signs."""
    return "".join(
        f"${part}$" if mathematics else latex_plain_keeping_space(part)
        for mathematics, part in _parts(text)
    )


def latex_plain_keeping_space(text: str) -> str:
    """Plain text between formulas: the spaces at its ends count."""
    inside = latex_plain(text)
    before = " " * text[:1].isspace()
    return before + inside + " " * (bool(inside) and text[-1:].isspace())


def _parts(text: str) -> Iterator[tuple[bool, str]]:
    """Texts and formulas in turn."""
    for i, part in enumerate(re.split(r"\$([^$]*)\$", text)):
        if part:
            yield bool(i % 2), part


# --- HTML -----------------------------------------------------------------------------------------


def as_html(page: Page) -> str:
    """A page without scripts and without anything to load."""
    environment = _environment()
    environment.filters |= {
        "text": html_text,
        "display": lambda x: Markup(mathml(x)),
        "math": _inline,
    }
    return environment.get_template("derivation.html.j2").render(page=page) + "\n"


def html_text(text: str) -> Markup:
    """A text with mathematics between dollar signs."""
    return Markup("").join(
        _inline(part) if mathematics else escape(part) for mathematics, part in _parts(text)
    )


def _displayed(latex: str) -> Markup:
    return Markup(mathml(latex))


def _inline(latex: str) -> Markup:
    return Markup(mathml(latex, "inline"))


@lru_cache(maxsize=1)
def _loader() -> PackageLoader:
    return PackageLoader("verify.documents", "templates")


def _environment() -> Environment:
    return Environment(
        loader=_loader(),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

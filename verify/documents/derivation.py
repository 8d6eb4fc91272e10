r"""Derivations of the quantities of a model, judged step by step, as LaTeX and as HTML.

Every displayed formula is a claim in the language of docs/derivations.md, and it is the claim
itself that is printed: a step that the checker does not confirm is marked where it stands, and one
that it refutes is never written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import sympy as sp

from numerics.core.files import write_text
from numerics.core.validation import as_integer
from theory import InputError, Model
from theory.errors import brief, check_choice
from theory.keywords import with_known_keywords
from theory.names import DISTRIBUTIONAL
from theory.notebook import short_repr
from theory.problem.covariance.bands import refuse_bands
from theory.problem.covariance.tokens import refuse_tokens
from theory.problem.kinks import check_kink_rule
from theory.problem.model import check_no_statistics, check_plain
from verify.claims.judge import judge, make_claim
from verify.claims.judgement import Finding, Judgement
from verify.claims.language.text import parse_formula
from verify.claims.language.tree import FormulaError, Node, show
from verify.claims.quantities import DRIFT, FIXED_POINT, GRADIENT, HESSIAN
from verify.printing.formulas import QUANTITIES, PrintedFormulas
from verify.printing.tree_latex import tree_latex
from verify.verdict.notebook import table

from .fixed_points import fixed_point_statements
from .index_form import signs_in_front, with_names_of_paper
from .notation import ROUTES, Statement
from .pages import Page, as_html, as_latex
from .statements import statements_of

WRITTEN = "Written out"
# more entries than these nobody reads
MOST_ENTRIES = 40
ENDINGS = {".tex": "latex", ".html": "html", ".htm": "html"}


@dataclass(frozen=True)
class DerivationStep:
    """A statement, and what the checker says about it."""

    statement: Statement
    judgement: Judgement

    def __repr__(self) -> str:
        claim = self.judgement.claim
        return short_repr(self, brief(claim.read_as, 200), self.judgement.finding.value)

    @property
    def formula(self) -> Node:
        """The right-hand side: the tree that was judged."""
        formula = self.judgement.claim.formula
        assert isinstance(formula, Node)
        return formula

    @property
    def left(self) -> str:
        """The left-hand side in LaTeX."""
        quantity = self.judgement.claim.quantity
        if self.statement.left or quantity.left is None:
            return self.statement.left or quantity.entry
        # an expectation, or the left-hand side of an equation at a fixed point
        return tree_latex(quantity.left)


@with_known_keywords
@dataclass(frozen=True)
class Derivation:
    """A derivation with the verdict on each of its steps.

    Attributes
    ----------
    model : theory.Model
    quantity : str
        What is derived.
    steps : tuple of DerivationStep
    left_out : tuple of Judgement
        Forms that only restate a result and that the checker did not confirm: they are not written.
    notes : tuple of str
        What a reader has to know about the model, in words with mathematics between dollar signs.

    Examples
    --------
    >>> from theory import kgmm
    >>> model = kgmm(2)
    >>> statement = Statement("Drift", "The corrector.", "corrector_a_b", "c_delta*E[g_a*g_b]")
    >>> claim = make_claim(model, statement.quantity, statement.formula)
    >>> wrong = DerivationStep(statement, Judgement(claim, Finding.REFUTED, ()))
    >>> derivation = Derivation(model, "drift", (wrong,))
    >>> derivation.stands, len(derivation.open_steps)
    (False, 1)
    >>> derivation.html()
    Traceback (most recent call last):
        ...
    theory.errors.InputError: derivation: got a step that is refuted: c_delta*E[g_a*g_b]; ...
    """

    model: Model
    quantity: str
    steps: tuple[DerivationStep, ...]
    left_out: tuple[Judgement, ...] = ()
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        stands = f"{len(self.steps) - len(self.open_steps)} of {len(self.steps)} steps stand"
        return short_repr(self, f"of {brief(self.model.name)!r}", repr(self.quantity), stands)

    def _repr_html_(self) -> str:
        """Every step with the verdict on it, for notebooks."""
        rows = [
            (
                step.statement.text,
                rf"$\displaystyle {step.left} = {tree_latex(step.formula)}$",
                step.judgement.finding,
            )
            for step in self.steps
        ]
        return table(("because", "it holds that", "verdict"), rows)

    @property
    def open_steps(self) -> tuple[DerivationStep, ...]:
        """Steps that are neither proved nor in agreement."""
        return tuple(s for s in self.steps if not s.judgement.stands)

    @property
    def refuted_steps(self) -> tuple[DerivationStep, ...]:
        """Steps that the checker finds wrong, or breaks down on."""
        wrong = (Finding.REFUTED, Finding.CONTRADICTORY, Finding.DEFECT)
        return tuple(s for s in self.steps if s.judgement.finding in wrong)

    @property
    def stands(self) -> bool:
        """Every step is proved or agrees."""
        return not self.open_steps

    def __str__(self) -> str:
        lines = [f"{self.page.title}: {len(self.steps)} steps"]
        for step in self.steps:
            claim = step.judgement.claim
            quantity = f"{claim.quantity.kind} {claim.quantity.entry}".removeprefix("expression ")
            lines.append(f"  {step.judgement.finding.value:<12} {quantity}")
        return "\n".join(lines)

    @cached_property
    def page(self) -> Page:
        """The derivation as sections of text and formulas."""
        return Page.of(self)

    def latex(self, keys: Mapping[str, object] | None = None) -> str:
        """A document for LaTeX with amsmath.

        Each formula stands behind a comment that says what it is for, so that ``specalign check``
        reads the document back; ``keys`` are written into comments for that (``model``, ``k``,
        ...).
        """
        self._refuse_wrong()
        return as_latex(self.page, keys or {})

    def html(self) -> str:
        """A page for a browser that needs nothing else: formulas are MathML."""
        self._refuse_wrong()
        return as_html(self.page)

    @with_known_keywords
    def write(self, path: str | Path, keys: Mapping[str, object] | None = None) -> None:
        """Write the document, whole or not at all, as LaTeX (.tex) or HTML (.html).

        Raises
        ------
        theory.InputError
            Another ending, or a step that is refuted.
        """
        target = Path(path)
        if target.suffix.lower() not in ENDINGS:
            expected = f"a file name ending in {', '.join(ENDINGS)}"
            raise InputError("path", target, expected, "the ending chooses the format")
        kind = ENDINGS[target.suffix.lower()]
        write_text(target, self.latex(keys) if kind == "latex" else self.html())

    def _refuse_wrong(self) -> None:
        if self.refuted_steps:
            judgement = self.refuted_steps[0].judgement
            got = f"a step that is {judgement.finding.value}: {judgement.claim.text}"
            remedy = "print(derivation.refuted_steps[0].judgement) shows where; please report it"
            raise InputError("derivation", got, "steps that stand", remedy)


@with_known_keywords
def make_derivation(
    model: Model,
    quantity: str = DRIFT,
    *,
    route: str | None = None,
    kink_rule: str | None = None,
    formulas: PrintedFormulas | None = None,
    order: int | None = None,
    notes: Sequence[str] = (),
    seed: int = 0,
    progress: Callable[[str, float], None] | None = None,
) -> Derivation:
    r"""Derive a quantity of a model step by step, and judge every step.

    From the loss and its derivatives over expectations, by Stein's lemma or by projection, to
    collected terms, in the notation of docs/conventions.md.

    Parameters
    ----------
    model : theory.Model
        Any model: the two of the paper or one of your own.
    quantity : str
        ``drift``, ``gradient``, ``hessian``, ``gradient-matrix``, ``diffusion`` or ``fixed-point``.
    route : {"stein", "projection"}, optional
        How Gaussian moments are evaluated; that of theory when omitted.
    kink_rule : str, optional
        Of a Hessian (:mod:`theory.problem.kinks`); distributional when omitted.
    formulas : PrintedFormulas, optional
        Entries of the quantity to write out and judge too.
    order : int, optional
        ``formulas`` hold up to this power of 1/lambda; exactly when omitted.
    notes : sequence of str
        What a reader has to know about the model, with mathematics between dollar signs.
    seed : int
        Root of the random points and samples of the checker.
    progress : callable, optional
        Takes the step at work and the share of steps done.

    Returns
    -------
    Derivation
        Its ``write`` makes a document of it.

    Raises
    ------
    theory.InputError
        An unknown quantity, route or rule, or a fixed point that the checker does not know.

    Examples
    --------
    >>> from theory import kgmm
    >>> derivation = make_derivation(kgmm(2, directions_gram="orthonormal"), "gradient")
    >>> derivation.stands, len(derivation.steps)
    (True, 9)
    >>> print(derivation.latex().splitlines()[-1])
    \end{document}
    """
    refuse_bands(getattr(model, "mixture", None), "a derivation step by step")
    refuse_tokens(getattr(model, "mixture", None), "a derivation step by step")
    check_choice("quantity", quantity, QUANTITIES, kind="quantity")
    check_plain(model, "derivations step by step")
    check_no_statistics(model, "a derivation step by step")
    if route is not None:
        check_choice("route", route, ROUTES)
    rule = check_kink_rule(kink_rule or DISTRIBUTIONAL)
    as_integer("seed", seed, 0, "seeds are non-negative integers")
    if quantity == FIXED_POINT:
        statements = list(fixed_point_statements(model))
    else:
        statements = list(statements_of(model, quantity, route, rule))
    if formulas is not None:
        statements += _written_out(formulas, quantity, order)
    claims = [
        make_claim(
            model,
            s.quantity,
            show(signs_in_front(parse_formula(s.formula))),
            name=s.quantity,
            order=s.order,
            kink_rule=rule if quantity == HESSIAN else None,
        )
        for s in statements
    ]
    steps: list[DerivationStep] = []
    left_out: list[Judgement] = []
    for i, (statement, claim) in enumerate(zip(statements, claims, strict=True)):
        if progress is not None:
            progress(f"judging step {i + 1} of {len(claims)}, {claim.name}", i / len(claims))
        judgement = judge(claim, seed)
        if judgement.stands or statement.needed:
            steps.append(DerivationStep(statement, judgement))
        else:
            left_out.append(judgement)
    return Derivation(model, quantity, tuple(steps), tuple(left_out), tuple(notes))


def _written_out(formulas: PrintedFormulas, quantity: str, order: int | None) -> list[Statement]:
    """Entries as the engine has them, in the names of the language."""
    values = {name: value for name, value in formulas.values.items() if value != 0}
    values = values or dict(list(formulas.values.items())[:1])
    if len(values) > MOST_ENTRIES:
        expected = f"at most {MOST_ENTRIES} entries to write out"
        remedy = "choose one with --entry, or leave --limit away"
        raise InputError("--document", f"{len(values)} entries", expected, remedy)
    spoken = f"{quantity} " if quantity in (DRIFT, GRADIENT, FIXED_POINT) else ""
    found = []
    text = f"{formulas.title[:1].upper()}{formulas.title[1:]}:".replace("lambda", r"$\lambda$")
    text = text.replace("->", r"$\to$")
    for name, value in values.items():
        entry = formulas.entries[name]
        about = name if name.startswith("corrector") else f"{spoken}{name}"
        found.append(
            Statement(
                WRITTEN, text, about, _as_text(value, formulas.model), entry.latex, order=order
            )
        )
        text = ""
    return found


def _as_text(value: sp.Expr, model: Model) -> str:
    try:
        return show(with_names_of_paper(parse_formula(str(value)), model.units))
    except FormulaError as error:
        expected = "formulas of the language of claims"
        raise InputError("--document", str(value)[:60], expected, error.remedy) from error

r"""Checking derivations: a formula somebody brings, judged in three stages of their own.

(a) *symbolic*: exact identities bring claimed minus derived to zero, or they do not; (b) *digits*:
both are evaluated at random admissible points, to as many digits as the quadrature certifies; (c)
*sampling*: the claim is compared with samples from the raw definition in R^d, which share nothing
with the engine's formula.
"""

from __future__ import annotations

import traceback
from time import perf_counter
from typing import Any

import numpy as np
import sympy as sp
from threadpoolctl import threadpool_limits

from numerics.core.validation import as_integer, kind_of
from theory import InputError, Model
from theory.errors import check_choice
from theory.keywords import with_known_keywords
from theory.problem.covariance.bands import refuse_bands
from theory.problem.covariance.tokens import refuse_tokens
from theory.problem.model import check_no_statistics, check_plain
from verify.claims.language.latex.formula import looks_like_latex, parse_latex
from verify.claims.language.text import parse_formula
from verify.claims.language.tree import Node
from verify.claims.reading.matrix_claims import written_out
from verify.printing.shorten import shorten

from .asymptotic import AsymptoticClaim
from .cases import cases_of
from .exact import ExactClaim
from .fixed_points import FixedPointClaim, fixed_cases
from .judgement import Claim, Finding, Judgement, Stage, Status, Verdict
from .orthonormal_directions import HINT, over_orthonormal_directions
from .quantities import DIFFUSION, DRIFT, EIGENVALUE, EXPRESSION, FIXED_POINT, STEP, Quantity
from .quantity_names import entry_name, parse_quantity
from .sample_identities import SampleClaim
from .stage_verdicts import STAGES, ClaimKind, Watch, ignore, judge_stages

# orders of an expansion that are worked out
MOST_ORDER = 12


@with_known_keywords
def check(
    model: Model,
    quantity: str | Quantity,
    claim: str | sp.Expr,
    *,
    name: str = "claim",
    order: int | None = None,
    parameter: str = "lambda",
    regularized: bool | None = None,
    kink_rule: str | None = None,
    source: str = "",
    expected: str | None = None,
    seed: int = 0,
) -> Judgement:
    r"""Judge a formula that is claimed for a quantity of a model.

    Parameters
    ----------
    model : theory.Model
        Symbols are drawn at random, numbers are kept.
    quantity : str or Quantity
        An entry by the names of docs/conventions.md, ``drift m_a_s``, ``corrector_1_2``,
        ``H_1_2[e_1,x_2]``, ``G_a_b[bulk]``, ``Cov[m_1_1,R_1_2]``, ``gradient g_a[x_b]``, ``step
        R_1_1``; or an expression, ``E_l[g_a*Y_s]``, ``diff(pi_a*pi_b, u_c)``.  Letters a, b, c
        (units), s, t (directions), l (components), i, j (readout) stand for all of their values.
    claim : str or sympy.Expr
        In the language of docs/derivations.md, in LaTeX, or an expression in the symbols of
        ``sa.symbols``.
    name, source, expected : str
        For reports; ``expected`` is ``"true"`` or ``"false"``.
    order : int, optional
        The claim holds up to and including this power of 1/``parameter``; exactly when omitted.
    parameter : {"lambda", "d"}
    regularized : bool, optional
        The ridge is included: by default in the Hessian and not in the gradient matrix.
    kink_rule : str, optional
        What second derivatives keep of a kink (:mod:`theory.problem.kinks`); distributional when
        omitted.
    seed : int
        Root of the random points and samples.

    Returns
    -------
    Judgement
        Verdict, the three stages, and for a refuted claim counterexample, difference and repair.

    Raises
    ------
    theory.InputError
        An unknown quantity, a formula that cannot be read (with position and reason), a symbol the
        model does not have, an index that is free or out of range; before any work.

    Examples
    --------
    >>> from theory import kgmm
    >>> model = kgmm(2, directions_gram="orthonormal")
    >>> check(model, "corrector_a_b", "c_delta*E[g_a*g_b]/lambda").finding.value
    'proved'
    >>> wrong = check(model, "corrector_a_b", "c_delta*E[g_a*g_b]")
    >>> wrong.finding.value, wrong.repair
    ('refuted', 'multiply the whole by lambda^-1')
    """
    asked: dict[str, Any] = {"name": name, "order": order, "parameter": parameter}
    asked |= {"regularized": regularized, "kink_rule": kink_rule}
    asked |= {"source": source, "expected": expected}
    return judge(make_claim(model, quantity, claim, **asked), seed)


@with_known_keywords
def make_claim(
    model: Model,
    quantity: str | Quantity,
    claim: str | sp.Expr | Node,
    *,
    text: str | None = None,
    name: str = "claim",
    order: int | None = None,
    little: bool = False,
    parameter: str = "lambda",
    regularized: bool | None = None,
    kink_rule: str | None = None,
    source: str = "",
    expected: str | None = None,
) -> Claim:
    """Read a claim and refuse one that means nothing; see :func:`check`.

    A formula that has been read already is taken as it is; ``text`` is how it was written.  With
    ``little`` what is left falls faster than the last power kept, as ``o(...)`` says, where it
    otherwise falls like the next.

    Examples
    --------
    >>> from theory import kgmm
    >>> make_claim(kgmm(2), "corrector_a_b", "c_delta*E[g_a*g_b]/lambda").read_as
    'drift corrector_a_b = c_delta*E[g_a*g_b]/lambda'
    >>> make_claim(kgmm(2), "corrector_a_b", "eta*E[g_a*g_b]")
    Traceback (most recent call last):
        ...
    verify.claims.language.tree.FormulaError: formula: got 'eta', which kgmm2 does not have at ...
    """
    if not isinstance(model, Model):
        remedy = "build one with kgmm, xor or Model.build"
        raise InputError("model", type(model).__name__, "an sa.Model", remedy)
    _check_update(model)
    check_choice("parameter", parameter, ("lambda", "d"))
    if expected is not None:
        check_choice("expected", expected, ("true", "false"))
    if order is not None:
        as_integer("order", order, 0, "the highest power of 1/lambda (or 1/d) that the claim keeps")
        if order > MOST_ORDER:
            remedy = "terms grow like the factorial of the order"
            raise InputError("order", order, f"an order up to {MOST_ORDER}", remedy)
    if isinstance(quantity, str):
        if looks_like_latex(quantity):
            quantity = entry_name(parse_latex(quantity))
        quantity = parse_quantity(quantity, regularized=regularized, kink_rule=kink_rule)
    elif not isinstance(quantity, Quantity):
        remedy = "write a text such as 'drift m_a_s'"
        raise InputError("quantity", kind_of(quantity), "a text or a Quantity", remedy)
    if quantity.kind in (FIXED_POINT, EIGENVALUE):
        check_plain(model, "claims about fixed points")
        refuse_bands(model.mixture, "a claim about fixed points")
        refuse_tokens(model.mixture, "a claim about fixed points")
    if quantity.kind not in (DRIFT, DIFFUSION, STEP, EXPRESSION):
        check_no_statistics(model, f"a claim about {quantity.kind}")
    formula, text = _formula(claim), str(claim) if text is None else text
    small = little and order is not None
    found = Claim(name, model, quantity, formula, text, order, parameter, source, expected, small)
    found = written_out(found)
    check_form(found)
    return found


def _check_update(model: Model) -> None:
    """Refuse updates whose single steps are not taken from samples here."""
    update = model.update
    names = ("ridges", "averages", "momentum", "project")
    stated = [] if update is None else [n for n in names if getattr(update, n) not in ((), 0, None)]
    if stated:
        remedy = "claims know rates, what is frozen and rules: judge the model by check_model"
        got = f"{model.name} with {', '.join(stated)} of its update"
        raise InputError("model", got, "an update of rates, frozen and rules alone", remedy)


def _formula(claim: str | sp.Expr | Node) -> Node | sp.Expr:
    if isinstance(claim, Node):
        return claim
    if isinstance(claim, str):
        return parse_latex(claim) if looks_like_latex(claim) else parse_formula(claim)
    if isinstance(claim, sp.Expr):
        return claim
    remedy = "write the formula in quotes"
    raise InputError("claim", repr(claim), "a text or a SymPy expression", remedy)


def check_form(claim: Claim) -> None:
    """Refuse a claim that means nothing for its model, before any work."""
    if claim.quantity.kind in (FIXED_POINT, EIGENVALUE):
        fixed_cases(claim)
    else:
        cases_of(claim)


@with_known_keywords
def judge(claim: Claim, seed: int = 0, watch: Watch = ignore) -> Judgement:
    """Judge a claim that has been read; ``watch`` is told what is known after every stage.

    Examples
    --------
    >>> from theory import kgmm
    >>> print(judge(make_claim(kgmm(2), "g_1 + g_2", "1", name="sum")))
    sum: refuted
      claimed      1
      ...
    """
    start = perf_counter()
    as_integer("seed", seed, 0, "seeds are non-negative integers")
    rng = np.random.default_rng([seed, 1])
    # a claim may be complex or infinite; that is judged, not warned of
    quiet = np.errstate(divide="ignore", over="ignore", invalid="ignore")
    # products of small matrices are slower on many threads, which wait for each other
    with quiet, threadpool_limits(limits=1, user_api="blas"):
        finding, stages, example, difference, repair = _judged(claim, rng, watch)
        hint = _hint(claim, seed) if finding is Finding.REFUTED else ""
    seconds = perf_counter() - start
    said = (example, difference, repair, hint)
    return Judgement(claim, finding, tuple(stages), *said, seed, seconds)


def _hint(claim: Claim, seed: int) -> str:
    """What a refuted claim may have taken for granted: it is compared over orthonormal directions.

    Digits refute at the first point what is wrong there too; symbols are asked only where digits
    cannot tell, as of a mean that is zero.
    """
    orthonormal = over_orthonormal_directions(claim)
    if orthonormal is None:
        return ""
    try:
        kind = _kind(orthonormal, np.random.default_rng([seed, 2]))
        digits, wrong = kind.compare()
        holds = digits.status is Status.AGREES or (
            wrong is None and kind.prove().status is Status.PROVED
        )
        holds = holds and not kind.without_value()
    except Exception:  # a hint that cannot be worked out takes nothing from the verdict
        return ""
    return HINT if holds else ""


def _judged(claim: Claim, rng: np.random.Generator, watch: Watch) -> Verdict:
    """The verdict; where judging breaks down that is a verdict of its own, of this claim alone."""
    try:
        return judge_stages(_kind(claim, rng), watch)
    except InputError:
        raise
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        text = f"please report: {type(error).__name__} in {where.name}: {shorten(error, 200)}"
        stages = [Stage(name, Status.INCONCLUSIVE, text) for name in STAGES]
        return Finding.DEFECT, stages, None, "", ""


def _kind(claim: Claim, rng: np.random.Generator) -> ClaimKind[Any]:
    if claim.quantity.kind in (FIXED_POINT, EIGENVALUE):
        return FixedPointClaim(claim, rng)
    if claim.quantity.sample:
        return SampleClaim(claim, rng)
    return ExactClaim(claim, rng) if claim.order is None else AsymptoticClaim(claim, rng)

"""Laws that every model obeys, judged on a model of the user's own."""

from __future__ import annotations

import os
import secrets
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np

from numerics import Parameters, State
from numerics.core.validation import as_integer
from theory import InputError, Model
from theory.errors import check_choice
from theory.keywords import with_known_keywords
from verify.random_points.floating import (
    CubePoint,
    Domain,
    check_open_parameters,
    parameters_at,
    random_cube_point,
    shrink_cube_point,
    state_at,
)
from verify.verdict.results import CheckResult
from verify.verdict.tolerance import FAMILY_ERROR, Comparison, Verdict

from . import dynamics as laws_dynamics
from . import population as laws_population
from . import routes as laws_routes
from . import symmetry as laws_symmetry
from .judged_formulas import Formulas
from .law import MORE, Law, LawCase, check_is_model
from .report import LawResult, LawViolation, ModelReport

# laws that compare a formula with its definition come first: of several that fail for one slip
# they name it
_ORDER = (
    "gradient_of_risk",
    "hessian_of_gradient",
    "gradient_matrix_mean",
    "mean_increment",
    "increment_covariance",
    "noiseless_limit",
    "low_noise_expansion",
    "moment_routes",
    "block_spectrum",
    "hessian_symmetric",
    "gradient_matrix_psd",
    "gauge",
    "relabelled_classes",
    "relabelled_units",
    "relabelled_components",
    "rotation",
)
LAWS: dict[str, Law] = {
    law.name: law
    for law in sorted(
        [
            law
            for part in (laws_population, laws_routes, laws_symmetry, laws_dynamics)
            for law in part.LAWS
        ],
        key=lambda law: _ORDER.index(law.name),
    )
}
# read where no seed is given, so that a failure of a test suite can be repeated
SEED_VARIABLE = "SPECALIGN_TEST_SEED"
# of random cases: noise matters, and every rule of quadrature is at ease
DOMAIN = Domain(precision=(4.0, 40.0))
# noise narrower than this makes a kink too sharp for differences with shared nodes
KINKED_DOMAIN = Domain(precision=(1.0, 6.0))


@with_known_keywords
def check_model(
    model: Model,
    *,
    only: Sequence[str] | None = None,
    seed: int | None = None,
    formulas: Formulas | None = None,
    domain: Domain | None = None,
    on_fail: str = "raise",
) -> ModelReport:
    r"""Judge every law on a model at random admissible parameters and states.

    The laws are :data:`verify.laws.check_model.LAWS`: symmetry and definiteness of the matrices,
    derivatives, the two routes to every moment, bases and names, gauge, single steps of SGD, limits
    of little noise, spectra.

    Parameters
    ----------
    model : theory.Model
        What it leaves open is drawn; what it fixes to a number stays.
    only : sequence of str, optional
        Names of laws; all when omitted.  A law is judged alike alone and in company.
    seed : int, optional
        Root of all randomness; that of the environment variable SPECALIGN_TEST_SEED, else a fresh
        one, when omitted.
    formulas : Formulas, optional
        Formulas to judge in place of the derived ones.
    domain : Domain, optional
        Where parameters and states come from.
    on_fail : {"raise", "report"}
        Raise on a law that fails or is inconclusive, or leave it to the caller to look at the
        report.

    Returns
    -------
    ModelReport
        A true theory is refuted by chance with probability at most 1e-4 over all laws, whatever the
        seed.

    Raises
    ------
    theory.InputError
        No Model, unknown law, bad seed; before any work.
    LawViolation
        A law fails or is inconclusive, with the simplest case found and what repeats it.

    Examples
    --------
    >>> from theory import kgmm
    >>> print(check_model(kgmm(2), only=["gauge"], seed=1)["gauge"])
    gauge: holds
    """
    check_is_model(model)
    names = chosen_laws(only)
    check_choice("on_fail", on_fail, ("raise", "report"))
    root = chosen_seed(seed)
    subject = Formulas(model) if formulas is None else check_formulas(formulas, model)
    space = domain_of(model) if domain is None else domain
    check_open_parameters(model)
    start = perf_counter()
    results = tuple(judge_law(LAWS[name], subject, space, root) for name in names)
    report = ModelReport(model, root, results, perf_counter() - start)
    if on_fail == "raise" and not report.holds and any(r.check is not None for r in results):
        __tracebackhide__ = True  # pytest shows the line of the test, and what the law says
        raise LawViolation(report)
    return report


def judge_law(law: Law, formulas: Formulas, domain: Domain, seed: int) -> LawResult:
    """Judge one law on its random cases; a failing one is simplified before it is shown."""
    model = formulas.model
    reason = law.applies(model)
    if reason is not None:
        return LawResult(law, None, reason)
    start = perf_counter()
    comparisons: list[Comparison] = []
    notes: list[str] = []
    example = ""
    cases = law.cases_of(model)
    # a case may be judged twice
    share = FAMILY_ERROR / (2 * len(LAWS) * cases)
    for number in range(cases):

        def judge(point: CubePoint, number: int = number) -> list[Comparison]:
            at = parameters_at(model, point, domain), state_at(model, point, domain)
            return _judge_case(
                law, LawCase(model, formulas, *at, _generator(law, seed, number, 1), share)
            )

        point = random_cube_point(model, _generator(law, seed, number, 0))
        try:
            found = judge(point)
        except InputError as error:
            # a formula of this model that nothing evaluates; the model itself was checked
            notes.append(f"could not be judged: {error}")
            # what holds in other cases says nothing for this one; a failure stays one
            if not example:
                comparisons.clear()
            break
        if not example and any(c.verdict is Verdict.FAILS for c in found):
            simple = shrink_cube_point(point, lambda p: _fails(judge, p))
            found = judge(simple)
            example = _example(
                law,
                formulas,
                parameters_at(model, simple, domain),
                state_at(model, simple, domain),
                seed,
            )
        comparisons += found
    check = CheckResult(
        law.name,
        law.statement,
        law.source,
        comparisons,
        seed,
        {"cases": cases},
        perf_counter() - start,
        notes=notes,
    )
    return LawResult(law, check, example=example)


def _judge_case(law: Law, case: LawCase) -> list[Comparison]:
    """Judge a case; one that says nothing, with more samples and nodes once more."""
    found = law.judge(case)
    if any(c.verdict is Verdict.INCONCLUSIVE for c in found):
        found = law.judge(replace(case, effort=MORE))
    return found


def _fails(judge: Callable[[CubePoint], list[Comparison]], point: CubePoint) -> bool:
    """Whether a law fails at a point by a deviation of interest.

    Where both sides nearly vanish, what is left is rounding: nobody would see the mistake there.
    """
    try:
        return any(c.verdict is Verdict.FAILS and _is_of_interest(c) for c in judge(point))
    except InputError:
        return False


def _is_of_interest(c: Comparison) -> bool:
    return c.resolution is None or not abs(c.deviation) < c.resolution


def _generator(law: Law, seed: int, *numbers: int) -> np.random.Generator:
    """Random numbers that depend on the law and the case alone, not on what else is judged."""
    return np.random.default_rng(
        np.random.SeedSequence([seed, zlib.crc32(law.name.encode()), *numbers])
    )


def _example(law: Law, formulas: Formulas, parameters: Parameters, state: State, seed: int) -> str:
    def show(values: Any) -> str:
        return str(np.round(values, 12).tolist())

    # the derived formulas obey the law where those in their place may not
    claimed = (
        f", formulas=... with your {', '.join(formulas.replaced)}" if formulas.replaced else ""
    )
    return "\n".join(
        [
            "  simplest failing case:",
            f"    Parameters({show(parameters.weights)}, precision={parameters.precision:.12g},"
            f" ridge={parameters.ridge:.12g}, step={parameters.step:.12g},"
            f" directions_gram={show(parameters.directions_gram)})",
            f"    State({show(state.overlap)}, {show(state.gram_perp)}, {show(state.readout)})",
            f"  repeat: sa.check_model(model, only=[{law.name!r}], seed={seed}{claimed}), or"
            f" {SEED_VARIABLE}={seed} for a test",
        ]
    )


def domain_of(model: Model) -> Domain:
    """Where the random cases of a model come from when nothing is said."""
    return DOMAIN if model.loss.is_smooth else KINKED_DOMAIN


def check_formulas(formulas: Formulas, model: Model) -> Formulas:
    """Refuse what are no formulas, or those of another model."""
    if not isinstance(formulas, Formulas):
        remedy = 'write Formulas(model, {"drift": ...})'
        raise InputError("formulas", type(formulas).__name__, "sa.Formulas", remedy)
    if formulas.model != model:
        expected = f"formulas of {model.name}"
        remedy = "build Formulas(model, ...)"
        raise InputError("formulas", f"those of the model {formulas.model.name}", expected, remedy)
    return formulas


def chosen_seed(seed: int | None) -> int:
    """The seed given, else that of the environment, else a fresh one."""
    if seed is not None:
        return as_integer("seed", seed, 0, "seeds are non-negative integers")
    text = os.environ.get(SEED_VARIABLE)
    if not text:
        return secrets.randbits(32)
    if not text.isdigit():
        raise InputError(
            SEED_VARIABLE, repr(text), "a non-negative integer", "unset it for a fresh seed"
        )
    return int(text)


def chosen_laws(only: Sequence[str] | None) -> list[str]:
    """Names of laws, each once and known; all when nothing is asked for."""
    if only is None:
        return list(LAWS)
    if isinstance(only, str):
        raise InputError("only", repr(only), "a sequence of names", f"write [{only!r}]")
    return [check_choice("only", name, LAWS, "law") for name in dict.fromkeys(only)]

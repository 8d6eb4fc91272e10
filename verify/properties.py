"""Laws that every model obeys, judged on a model of the user's own: ``check_model`` and ``parametrize_checks``."""

from __future__ import annotations

import os
import secrets
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from numerics import Parameters, State
from numerics.state import as_integer
from theory import InputError, Model
from theory.errors import check_choice

from . import laws_dynamics, laws_population, laws_symmetry
from .admissible import Domain, Point, check_open_parameters, parameters_at, random_point, shrink, state_at
from .laws import Case, Formulas, Law, check_is_model
from .result import CheckResult
from .tolerance import FAMILY_ERROR, Verdict

LAWS: dict[str, Law] = {
    law.name: law for part in (laws_population, laws_symmetry, laws_dynamics) for law in part.LAWS
}
# read where no seed is given, so that a failure of a test suite can be repeated
SEED_VARIABLE = "SPECALIGN_TEST_SEED"
# of random cases: noise matters, and every rule of quadrature is at ease
DOMAIN = Domain(precision=(4.0, 40.0))
# noise narrower than this makes a kink too sharp for differences with shared nodes
KINKED_DOMAIN = Domain(precision=(1.0, 6.0))
NOT_APPLICABLE = "not applicable"


class LawViolation(AssertionError):
    """A law does not hold, or could not be judged sharply enough; ``report`` has all results."""

    def __init__(self, report: ModelReport) -> None:
        super().__init__(str(report))
        self.report = report


@dataclass(frozen=True)
class LawResult:
    """What became of one law.

    Attributes
    ----------
    law : Law
    check : CheckResult, optional
        Comparisons of all cases; None where the law does not apply.
    reason : str
        Why it does not apply.
    example : str
        The simplest failing case found, as code, and the command that repeats it; empty if nothing failed.
    """

    law: Law
    check: CheckResult | None
    reason: str = ""
    example: str = ""

    @property
    def outcome(self) -> str:
        """``holds``, ``fails``, ``inconclusive`` or ``not applicable``."""
        return NOT_APPLICABLE if self.check is None else self.check.verdict.value

    def __str__(self) -> str:
        lines = [f"{self.law.name}: {self.outcome}" + (f" ({self.reason})" if self.reason else "")]
        if self.check is not None and self.check.verdict is not Verdict.HOLDS:
            lines.append(f"  {self.law.statement}")
            lines += [
                f"  {c.quantity}: measured {c.measured:.6g}, predicted {c.predicted:.6g}, deviation {c.deviation:.3g},"
                f" tolerance {c.tolerance.total:.3g} = {c.tolerance}"
                + (f"; to be of use at most {c.resolution:.3g}" if c.verdict is Verdict.INCONCLUSIVE else "")
                for c in self.check.comparisons if c.verdict is not Verdict.HOLDS
            ]
        if self.example:
            lines.append(self.example)
        return "\n".join(lines)


@dataclass(frozen=True)
class ModelReport:
    """All laws judged on one model.

    Attributes
    ----------
    model : theory.Model
    seed : int
    results : tuple of LawResult
    seconds : float
    family_error : float
        Probability that a true theory is refuted by chance in a run of all laws.
    """

    model: Model
    seed: int
    results: tuple[LawResult, ...]
    seconds: float
    family_error: float = FAMILY_ERROR

    @property
    def holds(self) -> bool:
        """True if every law that applies holds, and at least one applies: what is inconclusive does not hold."""
        judged = [r.check.verdict for r in self.results if r.check is not None]
        return bool(judged) and all(verdict is Verdict.HOLDS for verdict in judged)

    def __getitem__(self, name: str) -> LawResult:
        by_name = {r.law.name: r for r in self.results}
        return by_name[check_choice("law", name, by_name, "law")]

    def __str__(self) -> str:
        counts: dict[str, int] = {}
        for r in self.results:
            counts[r.outcome] = counts.get(r.outcome, 0) + 1
        head = f"{self.model.name}: " + ", ".join(f"{count} {name}" for name, count in counts.items())
        return "\n".join([f"{head}; seed {self.seed}, {self.seconds:.1f} s", *(str(r) for r in self.results)])


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

    The laws are :data:`verify.properties.LAWS`: symmetry and definiteness of the matrices, derivatives, the two routes
    to every moment, bases and names, gauge, single steps of SGD, limits of little noise, spectra.

    Parameters
    ----------
    model : theory.Model
        What it leaves open is drawn; what it fixes to a number stays.
    only : sequence of str, optional
        Names of laws; all when omitted.  A law is judged alike alone and in company.
    seed : int, optional
        Root of all randomness; that of the environment variable SPECALIGN_TEST_SEED, else a fresh one, when omitted.
    formulas : Formulas, optional
        Formulas to judge in place of the derived ones.
    domain : Domain, optional
        Where parameters and states come from.
    on_fail : {"raise", "report"}
        Raise on a law that fails or is inconclusive, or leave it to the caller to look at the report.

    Returns
    -------
    ModelReport
        A true theory is refuted by chance with probability at most 1e-4 over all laws, whatever the seed.

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
    names = _chosen(only)
    check_choice("on_fail", on_fail, ("raise", "report"))
    root = chosen_seed(seed)
    subject = Formulas(model) if formulas is None else formulas
    if subject.model != model:
        raise InputError(
            "formulas", f"those of the model {subject.model.name}", f"formulas of {model.name}",
            "build Formulas(model, ...)",
        )
    space = domain_of(model) if domain is None else domain
    check_open_parameters(model)
    start = perf_counter()
    results = tuple(judge_law(LAWS[name], subject, space, root) for name in names)
    report = ModelReport(model, root, results, perf_counter() - start)
    if on_fail == "raise" and not report.holds and any(r.check is not None for r in results):
        raise LawViolation(report)
    return report


def judge_law(law: Law, formulas: Formulas, domain: Domain, seed: int) -> LawResult:
    """Judge one law on its random cases; a failing one is simplified before it is shown."""
    model = formulas.model
    reason = law.applies(model)
    if reason is not None:
        return LawResult(law, None, reason)
    start = perf_counter()
    comparisons, example = [], ""
    cases = law.cases_of(model)
    share = FAMILY_ERROR / (len(LAWS) * cases)
    for number in range(cases):
        def judge(point: Point, number: int = number) -> list[Any]:
            parameters, state = parameters_at(model, point, domain), state_at(model, point, domain)
            return law.judge(Case(model, formulas, parameters, state, _generator(law, seed, number, 1), share))

        point = random_point(model, _generator(law, seed, number, 0))
        found = judge(point)
        if not example and any(c.verdict is Verdict.FAILS for c in found):
            simple = shrink(point, lambda p: any(c.verdict is Verdict.FAILS for c in judge(p)))
            found = judge(simple)
            example = _example(law, model, parameters_at(model, simple, domain), state_at(model, simple, domain), seed)
        comparisons += found
    check = CheckResult(
        law.name, law.statement, law.source, comparisons, seed, {"cases": cases}, perf_counter() - start
    )
    return LawResult(law, check, example=example)


def _generator(law: Law, seed: int, *numbers: int) -> np.random.Generator:
    """Random numbers that depend on the law and the case alone, not on what else is judged."""
    return np.random.default_rng(np.random.SeedSequence([seed, zlib.crc32(law.name.encode()), *numbers]))


def _example(law: Law, model: Model, parameters: Parameters, state: State, seed: int) -> str:
    def show(values: Any) -> str:
        return str(np.round(values, 12).tolist())

    return "\n".join([
        "  simplest failing case:",
        f"    Parameters({show(parameters.weights)}, precision={parameters.precision:.12g},"
        f" ridge={parameters.ridge:.12g}, step={parameters.step:.12g},"
        f" directions_gram={show(parameters.directions_gram)})",
        f"    State({show(state.overlap)}, {show(state.gram_perp)}, {show(state.readout)})",
        f"  repeat: verify.check_model(model, only=[{law.name!r}], seed={seed}), or {SEED_VARIABLE}={seed} for a test",
    ])


def domain_of(model: Model) -> Domain:
    """Where the random cases of a model come from when nothing is said."""
    return DOMAIN if model.loss.is_smooth else KINKED_DOMAIN


def chosen_seed(seed: int | None) -> int:
    """The seed given, else that of the environment, else a fresh one."""
    if seed is not None:
        return as_integer("seed", seed, 0, "seeds are non-negative integers")
    text = os.environ.get(SEED_VARIABLE)
    if not text:
        return secrets.randbits(32)
    if not text.isdigit():
        raise InputError(SEED_VARIABLE, repr(text), "a non-negative integer", "unset it for a fresh seed")
    return int(text)


def _chosen(only: Sequence[str] | None, parameter: str = "only") -> list[str]:
    if only is None:
        return list(LAWS)
    if isinstance(only, str):
        raise InputError(parameter, repr(only), "a sequence of names", f"write [{only!r}]")
    return [check_choice(parameter, name, LAWS, "law") for name in dict.fromkeys(only)]


@dataclass(frozen=True)
class ModelCheck:
    """One law of one model, to be called in a test."""

    model: Model
    law: Law
    seed: int | None
    domain: Domain | None

    def __call__(self) -> LawResult:
        """Judge the law.

        Raises
        ------
        LawViolation
            It fails or is inconclusive.
        """
        return check_model(self.model, only=[self.law.name], seed=self.seed, domain=self.domain).results[0]

    def __str__(self) -> str:
        return f"{self.model.name}-{self.law.name}"


ExpectedFailures = Mapping[str, str] | Callable[[Model], Mapping[str, str]]


def parametrize_checks(
    models: Model | Sequence[Model],
    *,
    expected_failures: ExpectedFailures | None = None,
    only: Sequence[str] | None = None,
    seed: int | None = None,
    domain: Domain | None = None,
) -> Any:
    """Return a pytest decorator: one test for every law of every model.

    A law that does not apply is skipped with its reason, never passed.  An expected failure is strict: if the law holds
    after all, the test fails.

    Parameters
    ----------
    models : theory.Model or sequence of them
    expected_failures : mapping, or callable model -> mapping
        From the name of a law to the reason why it is expected to fail.
    only : sequence of str, optional
        Names of laws; all when omitted.
    seed : int, optional
        As for :func:`check_model`; a fresh one for every test when omitted.
    domain : Domain, optional

    Returns
    -------
    decorator of a test with the argument ``check``, which it calls

    Raises
    ------
    theory.InputError
        No model, an unknown law, no reason for a failure, or a failure expected of a law that does not apply.

    Examples
    --------
    >>> from theory import kgmm
    >>> @parametrize_checks(kgmm(2), expected_failures={"gauge": "the ridge is left out on purpose"})
    ... def test_my_model(check):
    ...     check()
    """
    import pytest

    listed: list[Any] = list(models) if isinstance(models, (list, tuple)) else [models]
    if not listed:
        raise InputError("models", "none", "at least one theory.Model", "a test of nothing passes")
    names = _chosen(only)
    parameters = []
    for index, entry in enumerate(listed):
        model = check_is_model(entry, "models" if len(listed) == 1 else f"models[{index}]")
        expected = _expected(expected_failures, model, names)
        for name in names:
            check, marks = ModelCheck(model, LAWS[name], seed, domain), []
            reason = LAWS[name].applies(model)
            if reason is not None:
                marks = [pytest.mark.skip(reason=f"not applicable: {reason}")]
            elif name in expected:
                marks = [pytest.mark.xfail(reason=expected[name], strict=True, raises=LawViolation)]
            parameters.append(pytest.param(check, marks=marks, id=str(check)))
    return pytest.mark.parametrize("check", parameters)


def _expected(given: ExpectedFailures | None, model: Model, names: Sequence[str]) -> Mapping[str, str]:
    expected = given(model) if callable(given) else ({} if given is None else given)
    if not isinstance(expected, Mapping):
        raise InputError(
            "expected_failures", type(expected).__name__, "a mapping from a law to a reason",
            'write {"gauge": "why it fails"}',
        )
    for name, reason in expected.items():
        check_choice("expected_failures", name, LAWS, "law")
        if not isinstance(reason, str) or not reason.strip():
            raise InputError(
                f"expected_failures[{name!r}]", repr(reason), "the reason, as text",
                "say why the law is expected to fail",
            )
        if name not in names:
            raise InputError("expected_failures", name, f"laws among {list(names)}", "it is left out by only=")
        if (why := LAWS[name].applies(model)) is not None:
            raise InputError(
                "expected_failures", name, f"laws that apply to {model.name}", f"drop it: {why}"
            )
    return expected

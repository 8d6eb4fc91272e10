"""The laws as tests of a user's own suite: one for every law of every model, expected failures with
a reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from theory import InputError, Model
from theory.errors import check_choice
from theory.keywords import with_known_keywords
from verify.random_points.floating import Domain

from .check_model import LAWS, check_formulas, check_model, chosen_laws
from .judged_formulas import Formulas
from .law import Law, check_is_model
from .report import LawResult, LawViolation


@dataclass(frozen=True)
class ModelCheck:
    """One law of one model, to be called in a test."""

    model: Model
    law: Law
    seed: int | None
    domain: Domain | None
    formulas: Formulas | None = None

    def __call__(self) -> LawResult:
        """Judge the law.

        Raises
        ------
        LawViolation
            It fails or is inconclusive.
        """
        __tracebackhide__ = True  # as in check_model
        return check_model(
            self.model,
            only=[self.law.name],
            seed=self.seed,
            formulas=self.formulas,
            domain=self.domain,
        ).results[0]

    def __str__(self) -> str:
        return f"{self.model.name}-{self.law.name}"


ExpectedFailures = Mapping[str, str] | Callable[[Model], Mapping[str, str]]


@with_known_keywords
def parametrize_checks(
    models: Model | Sequence[Model],
    *,
    expected_failures: ExpectedFailures | None = None,
    only: Sequence[str] | None = None,
    seed: int | None = None,
    formulas: Formulas | Callable[[Model], Formulas] | None = None,
    domain: Domain | None = None,
) -> Any:
    """Return a pytest decorator: one test for every law of every model.

    A law that does not apply is skipped with its reason, never passed.  An expected failure is
    strict: if the law holds after all, the test fails.

    Parameters
    ----------
    models : theory.Model or sequence of them
    expected_failures : mapping, or callable model -> mapping
        From the name of a law to the reason why it is expected to fail.
    only : sequence of str, optional
        Names of laws; all when omitted.
    seed : int, optional
        As for :func:`check_model`; a fresh one for every test when omitted.
    formulas : Formulas, or callable model -> Formulas, optional
        Formulas to judge in place of the derived ones, as for :func:`check_model`.
    domain : Domain, optional

    Returns
    -------
    decorator of a test with the argument ``check``, which it calls

    Raises
    ------
    ImportError
        pytest is not installed; the message says how to install it.
    theory.InputError
        No model, an unknown law, no reason for a failure, a failure expected of a law that does not
        apply, or formulas of another model.

    Examples
    --------
    >>> from theory import kgmm
    >>> @parametrize_checks(kgmm(2), expected_failures={"gauge": "no ridge, on purpose"})
    ... def test_my_model(check):
    ...     check()
    """
    try:
        import pytest
    except ImportError as error:
        raise ImportError(
            "parametrize_checks needs pytest, which is not installed: pip install pytest"
        ) from error
    listed: list[Any] = list(models) if isinstance(models, (list, tuple)) else [models]
    if not listed:
        raise InputError("models", "none", "at least one sa.Model", "a test of nothing passes")
    names = chosen_laws(only)
    parameters = []
    for index, entry in enumerate(listed):
        model = check_is_model(entry, "models" if len(listed) == 1 else f"models[{index}]")
        expected = _expected(expected_failures, model, names)
        subject = formulas(model) if callable(formulas) else formulas
        if subject is not None:
            check_formulas(subject, model)
        for name in names:
            check, marks = ModelCheck(model, LAWS[name], seed, domain, subject), []
            reason = LAWS[name].applies(model)
            if reason is not None:
                marks = [pytest.mark.skip(reason=f"not applicable: {reason}")]
            elif name in expected:
                marks = [pytest.mark.xfail(reason=expected[name], strict=True, raises=LawViolation)]
            parameters.append(pytest.param(check, marks=marks, id=str(check)))
    return pytest.mark.parametrize("check", parameters)


def _expected(
    given: ExpectedFailures | None, model: Model, names: Sequence[str]
) -> Mapping[str, str]:
    expected = given(model) if callable(given) else ({} if given is None else given)
    if not isinstance(expected, Mapping):
        raise InputError(
            "expected_failures",
            type(expected).__name__,
            "a mapping from a law to a reason",
            'write {"gauge": "why it fails"}',
        )
    for name, reason in expected.items():
        check_choice("expected_failures", name, LAWS, "law")
        if not isinstance(reason, str) or not reason.strip():
            raise InputError(
                f"expected_failures[{name!r}]",
                repr(reason),
                "the reason, as text",
                "say why the law is expected to fail",
            )
        if name not in names:
            raise InputError(
                "expected_failures", name, f"laws among {list(names)}", "it is left out by only="
            )
        if (why := LAWS[name].applies(model)) is not None:
            raise InputError(
                "expected_failures", name, f"laws that apply to {model.name}", f"drop it: {why}"
            )
    return expected

"""One check: its comparisons are judged together, and a theory without a number is refuted."""

from __future__ import annotations

from time import perf_counter

import numpy as np

from numerics import FixedPointError, IntegrationError, ResolventError
from verify.checks.equations import EQUATIONS
from verify.checks.judged_theory import Theory
from verify.checks.registry import CHECKS, statement_of
from verify.evidence.evidence import Evidence
from verify.verdict.compare import compare
from verify.verdict.results import CheckResult, Outcome
from verify.verdict.tolerance import Part, judge_together


def run_check(name: str, theory: Theory, evidence: Evidence, share: float) -> CheckResult:
    """Judge a theory by one check.

    Parameters
    ----------
    name : str
        Of :mod:`verify.checks.registry`.
    theory : Theory
    evidence : Evidence
    share : float
        Probability that the check refutes a true theory by chance.
    """
    function, source = CHECKS[name]
    start = perf_counter()
    try:
        outcome = function(theory, evidence)
    except (IntegrationError, FixedPointError, ResolventError) as error:
        # a theory that gives no number (its flow diverges, its fixed point does not exist) is
        # refuted, not excused; trouble in the measurements is an error of the run, not of the
        # theory
        nothing = Part(0.0, "the theory gives no number to compare")
        missing = compare(f"computable: {error}", np.nan, 0.0, nothing)
        outcome = Outcome([missing], {}, notes=[str(error)])
    return CheckResult(
        name,
        statement_of(name),
        source,
        judge_together(outcome.comparisons, share),
        evidence.seed,
        outcome.samples,
        perf_counter() - start,
        outcome.exhibits,
        outcome.notes,
        EQUATIONS[name],
    )

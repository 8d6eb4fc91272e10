"""Run the checks of a system and collect the verdicts."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from typing import Any

from threadpoolctl import threadpool_limits

from numerics.core.results import library_versions
from numerics.core.validation import as_integer, kind_of
from theory import InputError
from theory.errors import check_choice
from theory.keywords import with_known_keywords
from verify.evidence.evidence import Evidence
from verify.evidence.levels import get_level
from verify.evidence.systems import PAPER_SYSTEMS, SYSTEMS, get_system
from verify.verdict.results import CheckResult, Exhibit, JointReport, Report
from verify.verdict.tolerance import FAMILY_ERROR

from .judged_theory import Theory
from .registry import CHECKS
from .running.one_check import run_check
from .running.pool import CheckPool, Job
from .theory_form import check_claim


class VerificationInterrupted(KeyboardInterrupt):
    """The user interrupted the run; ``partial`` is the report of the checks that had finished.

    Examples
    --------
    >>> partial = Report("kgmm", "quick", 1, FAMILY_ERROR, [], 0.0, {}, complete=False)
    >>> try:
    ...     raise VerificationInterrupted(partial, 12)        # by run, on Ctrl-C
    ... except VerificationInterrupted as stopped:
    ...     print(stopped, "-", stopped.partial.verdict)
    verification interrupted after 0 of 12 checks - inconclusive
    """

    def __init__(self, partial: Report | JointReport, total: int) -> None:
        super().__init__(f"verification interrupted after {len(partial.results)} of {total} checks")
        self.partial = partial


@with_known_keywords
def run(
    system: str = "kgmm",
    level: str = "quick",
    seed: int = 0,
    *,
    progress: Callable[[str, float], None] | None = None,
    theory: Theory | None = None,
    evidence: Evidence | None = None,
    only: Sequence[str] | None = None,
    family_error: float = FAMILY_ERROR,
    pool: CheckPool | None = None,
) -> Report:
    """Judge the theory of a system against simulation.

    Parameters
    ----------
    system : str
        A name of verify.evidence.systems.
    level : {"quick", "full"}
        Sample sizes.
    seed : int
        Root of all randomness.
    progress : callable, optional
        Called with the name of the check at work and the fraction done over the whole run.
    theory : Theory, optional
        Formulas to judge; the engine's own when omitted.  Its form is checked first
        (:mod:`verify.checks.theory_form`).
    evidence : Evidence, optional
        Measurements to reuse (for judging several theories against the same data); must be of the
        same system.
    only : sequence of str, optional
        Names of checks to run; all of the system when omitted.
    family_error : float
        Probability that a true theory is refuted by chance, over all checks of the system; a share
        of it where several systems are judged in one run.
    pool : CheckPool, optional
        Where the results come from, of :func:`open_pool`; they are made here when omitted.

    Returns
    -------
    Report
        The probability that a true theory is refuted by chance anywhere in it is at most
        ``family_error``.

    Raises
    ------
    theory.InputError
        Unknown system, level or check, a bad seed, a theory of another form than the model's;
        before any work.
    VerificationInterrupted
        On Ctrl-C; carries the report of what had finished.
    """
    chosen = get_system(system) if evidence is None else evidence.system
    seed = as_integer("seed", seed, 0, "seeds are non-negative integers")
    sizes = get_level(level) if evidence is None else evidence.level
    names = _names(chosen.checks, only)
    if theory is not None:
        check_claim(theory, chosen.model)
    # the share does not depend on `only`: a check gives the same verdict alone and in company
    share = family_error / len(chosen.checks)
    start = perf_counter()
    results: list[CheckResult] = []

    def report(complete: bool) -> Report:
        return Report(
            chosen.name,
            sizes.name,
            seed if evidence is None else evidence.seed,
            family_error,
            results,
            perf_counter() - start,
            _environment(),
            complete,
            () if only is None else tuple(names),
        )

    if pool is None:
        measured = Evidence(chosen, sizes, seed) if evidence is None else evidence
        subject = Theory.derive(chosen.model) if theory is None else theory
        made = _results_here(names, subject, measured, share, progress)
    else:
        made = _results_of(pool, chosen.name, names, progress)
    try:
        results.extend(made)
    except KeyboardInterrupt:
        if pool is not None:
            pool.close()
            results[:] = pool.finished(chosen.name, names)
        raise VerificationInterrupted(report(False), len(names)) from None
    if progress is not None:
        progress("done", 1.0)
    return report(True)


def _results_here(
    names: Sequence[str],
    subject: Theory,
    measured: Evidence,
    share: float,
    progress: Callable[[str, float], None] | None,
) -> Iterator[CheckResult]:
    """One check after the other, in this process."""
    # many small matrix products: threads of the linear algebra library would only wait for each
    # other, and the replicas already use all processors
    with threadpool_limits(limits=1, user_api="blas"):
        for i, name in enumerate(names):
            if progress is not None:
                progress(name, i / len(names))
                measured.progress = lambda f, name=name, i=i: progress(name, (i + f) / len(names))
            yield run_check(name, subject, measured, share)


def _results_of(
    pool: CheckPool,
    system: str,
    names: Sequence[str],
    progress: Callable[[str, float], None] | None,
) -> Iterator[CheckResult]:
    """What other processes find, in the same order."""
    for i, name in enumerate(names):
        if progress is not None:
            progress(name, i / len(names))
        yield pool.result(system, name)


def open_pool(
    level: str,
    seed: int,
    *,
    systems: Sequence[str] = PAPER_SYSTEMS,
    only: Sequence[str] | None = None,
    processes: int | None = None,
    prepare: Callable[[Exhibit], Exhibit] | None = None,
) -> CheckPool:
    """Processes that judge the checks of some systems, to the error budget of one run.

    Parameters
    ----------
    level, seed, systems, only
        As in :func:`run_all`.
    processes : int, optional
        One a processor when omitted.
    prepare : callable, optional
        What is made of an exhibit where it was measured; the results have none without.

    Returns
    -------
    CheckPool
        A context manager, for :func:`run` and :func:`run_all`.
    """
    wanted = check_names(systems, only)
    checks = {name: get_system(name).checks for name in systems}
    shares = {n: FAMILY_ERROR / len(systems) / len(checks[n]) for n in systems}
    names = {n: [check for check in checks[n] if check in wanted] for n in systems}
    seed = as_integer("seed", seed, 0, "seeds are non-negative integers")
    return CheckPool(
        {system: chosen for system, chosen in names.items() if chosen},
        Job(get_level(level).name, seed, shares, prepare),
        (os.cpu_count() or 1) if processes is None else processes,
    )


@with_known_keywords
def run_all(
    level: str = "quick",
    seed: int = 0,
    *,
    systems: Sequence[str] = PAPER_SYSTEMS,
    progress: Callable[[str, float], None] | None = None,
    only: Sequence[str] | None = None,
    pool: CheckPool | None = None,
    group: str = "",
) -> JointReport:
    """Judge several systems in one run, which has one error budget.

    Parameters
    ----------
    level, seed
        As in :func:`run`.
    systems : sequence of str
        Names of verify.evidence.systems; those of one and two layers when omitted.
    progress : callable, optional
        Called with ``system: check`` and the fraction done over the whole run.
    only : sequence of str, optional
        Names of checks to run in every system that has them, to the same tolerances; all when
        omitted.
    pool : CheckPool, optional
        Where the results come from, as in :func:`run`.
    group : str
        What the command calls these systems, where they are not those it judges unasked.

    Returns
    -------
    JointReport
        The probability that a true theory is refuted by chance anywhere in it is at most
        FAMILY_ERROR, shared equally.

    Raises
    ------
    theory.InputError
        As :func:`run`; before any work.
    VerificationInterrupted
        On Ctrl-C; carries the joint report of what had finished.

    Examples
    --------
    >>> run_all(only=["curve"])
    Traceback (most recent call last):
        ...
    theory.errors.InputError: only: got 'curve'; ... Remedy: did you mean 'curves'.
    """
    wanted = check_names(systems, only)
    chosen = {
        name: [check for check in get_system(name).checks if check in wanted] for name in systems
    }
    checks = {name: len(listed) for name, listed in chosen.items()}
    total, done = sum(checks.values()), 0
    reports: list[Report] = []

    def joint(complete: bool) -> JointReport:
        return JointReport(
            tuple(reports),
            level,
            seed,
            FAMILY_ERROR,
            complete,
            () if only is None else tuple(wanted),
            group,
        )

    source: dict[str, Any] = {} if pool is None else {"pool": pool}
    interrupted = False
    for name in (name for name in systems if checks[name]):
        inner = None
        if progress is not None:

            def inner(check: str, fraction: float, name: str = name, done: int = done) -> None:
                progress(f"{name}: {check}", (done + checks[name] * fraction) / total)

        try:
            reports.append(
                run(
                    name,
                    level,
                    seed,
                    progress=inner,
                    family_error=FAMILY_ERROR / len(checks),
                    only=None if only is None else chosen[name],
                    **source,
                )
            )
        except VerificationInterrupted as event:
            reports += [report for report in _reports(event.partial) if report.results]
            interrupted = True
        except KeyboardInterrupt:
            interrupted = True
        # processes may have finished checks of the systems to come
        if interrupted and pool is None:
            break
        done += checks[name]
    if interrupted:
        raise VerificationInterrupted(joint(False), total)
    return joint(True)


def _reports(done: Report | JointReport) -> Sequence[Report]:
    return done.reports if isinstance(done, JointReport) else [done]


def _environment() -> dict[str, str]:
    return {
        "versions": library_versions(),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
    }


def check_names(systems: Sequence[str], only: Sequence[str] | None = None) -> list[str]:
    """The checks of some systems, those of ``only`` where it is given.

    Raises
    ------
    theory.InputError
        A name in ``only`` that no check of these systems has.
    """
    return _names(
        tuple(dict.fromkeys(check for name in systems for check in get_system(name).checks)), only
    )


def _names(available: Sequence[str], only: Sequence[str] | None) -> list[str]:
    if only is None:
        return list(available)
    if isinstance(only, str) or not isinstance(only, Sequence):
        raise InputError("only", kind_of(only), "a list of names", 'write only=["curves"]')
    for name in only:
        if isinstance(name, str) and name in CHECKS and name not in available:
            homes = [system for system in SYSTEMS if name in get_system(system).checks]
            raise InputError(
                "only",
                repr(name),
                f"one of {', '.join(available)}",
                f"this check applies to {', '.join(homes)}"
                if homes
                else "no system lists this check: add its name in verify/evidence/systems.py",
            )
        check_choice("only", name, available, "check: specalign verify --list names them")
    if not only:
        raise InputError(
            "only", "no name", f"names among {', '.join(available)}", "leave it away for all checks"
        )
    return [name for name in available if name in only]

"""Checks on several processes: the same verdicts in the same order, and what ends them."""

from __future__ import annotations

import os

import pytest

import verify.checks.running.pool as pool_module
from numerics.core.errors import SweepError
from verify.checks.registry import CHECKS
from verify.checks.runner import VerificationInterrupted, open_pool, run, run_all
from verify.checks.running.pool import LONG, TOGETHER, CheckPool, Job, groups_of
from verify.verdict.compare import compare
from verify.verdict.results import Exhibit, Outcome
from verify.verdict.tolerance import Part

NAMES = ("routes", "fixed_point", "span")
forks = pytest.mark.skipif(
    "fork" not in pool_module.multiprocessing.get_all_start_methods(),
    reason="processes that are no copies of this one do not know the checks of a test",
)


@pytest.fixture
def quick_checks(monkeypatch):
    """Checks that say which seed they had and do nothing else."""
    for name in NAMES:

        def check(theory, evidence, name=name):
            """It holds."""
            bound = Part(1.0, "any")
            seed = float(evidence.child_seed(name) % 2**20)
            return Outcome(
                [compare(f"{name} of {evidence.system.name}", seed, seed, bound)],
                {},
                [Exhibit(name, "a word", lambda: name)],
            )

        monkeypatch.setitem(CHECKS, name, (check, "nowhere"))


def told(report):
    return [(r.name, r.comparisons[0].quantity, r.comparisons[0].measured) for r in report.results]


def test_checks_that_share_measurements_stay_together():
    assert groups_of(["routes", "risk", "curves"]) == [("risk", "curves"), ("routes",)]
    assert {name for group in (*TOGETHER, LONG) for name in group} <= set(CHECKS)


def test_long_checks_come_first_and_the_others_as_they_were():
    assert groups_of(["routes", "span", "top_vector", "blocks"]) == [
        ("blocks",), ("span",), ("routes",), ("top_vector",)
    ]  # fmt: skip


@pytest.mark.slow
@forks
def test_results_are_those_of_one_process_in_the_same_order(quick_checks):
    alone = run_all("quick", 3, only=NAMES)
    for processes in (1, 2, 5):
        with open_pool("quick", 3, only=NAMES, processes=processes) as pool:
            together = run_all("quick", 3, only=NAMES, pool=pool)
        assert [r.system for r in together.reports] == [r.system for r in alone.reports]
        assert told(together) == told(alone)
        assert together.complete


@forks
def test_exhibits_are_prepared_where_they_were_measured(quick_checks):
    with open_pool("quick", 3, systems=["kgmm"], only=NAMES, prepare=prepared) as pool:
        report = run("kgmm", "quick", 3, only=NAMES, pool=pool)
    assert [e.data() for r in report.results for e in r.exhibits] == [
        r.name for r in report.results
    ]
    with open_pool("quick", 3, systems=["kgmm"], only=NAMES) as pool:
        report = run("kgmm", "quick", 3, only=NAMES, pool=pool)
    assert not any(r.exhibits for r in report.results)


class Ready:
    def __init__(self, value):
        self.value = value

    def __call__(self):
        return self.value


def prepared(exhibit):
    return Exhibit(exhibit.name, exhibit.caption, Ready(exhibit.data()))


@forks
def test_an_interruption_keeps_what_any_process_has_finished(quick_checks):
    def interrupt(name, _):
        if name == "kgmm: fixed_point":
            # the first process has told of its first check by now, the second one of others
            raise KeyboardInterrupt

    with open_pool("quick", 3, only=NAMES, processes=2) as pool:
        for name in ("routes", "span"):
            pool.result("xor", name)
        with pytest.raises(VerificationInterrupted) as caught:
            run_all("quick", 3, only=NAMES, progress=interrupt, pool=pool)
    partial = caught.value.partial
    assert not partial.complete
    kept = {r.system: [result.name for result in r.results] for r in partial.reports}
    assert "routes" in kept["kgmm"]
    assert set(kept["xor"]) == {"span", "routes"}


@forks
def test_what_a_check_raises_reaches_the_one_who_asked(monkeypatch):
    def broken(theory, evidence):
        raise SweepError("no luck")

    monkeypatch.setitem(CHECKS, "routes", (broken, "nowhere"))
    with (
        open_pool("quick", 3, systems=["kgmm"], only=["routes"]) as pool,
        pytest.raises(SweepError, match="no luck"),
    ):
        run("kgmm", "quick", 3, only=["routes"], pool=pool)


@forks
def test_a_process_that_dies_is_an_error_and_no_verdict(monkeypatch):
    def deadly(theory, evidence):
        os._exit(7)

    monkeypatch.setitem(CHECKS, "routes", (deadly, "nowhere"))
    job = Job("quick", 3, {"kgmm": 1e-6})
    with (
        CheckPool({"kgmm": ["routes"]}, job, 1) as pool,
        pytest.raises(RuntimeError, match="ended with code 7"),
    ):
        pool.result("kgmm", "routes")

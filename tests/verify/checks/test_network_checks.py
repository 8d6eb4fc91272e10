"""The verification of networks of three layers: the true theory holds, wrong ones are refuted."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers import fresh_rng

from verify.checks.judged_theory import Theory
from verify.checks.runner import run
from verify.evidence.evidence import Evidence
from verify.evidence.levels import LEVELS
from verify.evidence.systems import GROUPS, SYSTEMS, get_system
from verify.mutants.theories import NETWORK_MUTANTS
from verify.verdict.tolerance import Verdict

# smaller samples than `quick`: what is inconclusive is not refuted
SMALL = replace(
    LEVELS["quick"],
    name="small",
    dimensions=(32, 64),
    replicas=(6_000, 3_000),
    trained_replicas=60,
    spectrum_replicas=12,
)
REFUTED_BY = {
    "corrector dropped": ("drift", "layer_alignment"),
    "sign of the ridge flipped": ("drift",),
    "features of another layer": ("layer_alignment", "layer_rank"),
    "block of another layer": ("layer_spectra",),
}


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return Evidence(get_system("mlp_xor"), SMALL, int(fresh_rng().integers(2**31)))


@pytest.fixture(scope="module")
def true_theory(evidence: Evidence) -> Theory:
    return Theory.derive(evidence.system.model)


def test_a_word_stands_for_systems():
    assert {name for names in GROUPS.values() for name in names} == set(SYSTEMS)
    assert GROUPS["all"] == tuple(SYSTEMS)


@pytest.mark.slow
def test_the_true_theory_is_not_refuted(evidence: Evidence, true_theory: Theory) -> None:
    report = run(evidence=evidence, theory=true_theory)
    assert [r.name for r in report.results if r.verdict is Verdict.FAILS] == []
    assert len(report.results) == len(evidence.system.checks)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(NETWORK_MUTANTS))
def test_every_wrong_theory_is_refuted(name: str, evidence: Evidence, true_theory: Theory) -> None:
    wrong = NETWORK_MUTANTS[name](true_theory)
    for check in REFUTED_BY[name]:
        report = run(evidence=evidence, theory=wrong, only=[check])
        assert report.verdict is Verdict.FAILS, check
        assert report.results[0].worst.strain > 1

"""Theories that the checks of a module judge by its `evidence`, and the reports on wrong ones."""

from __future__ import annotations

from functools import lru_cache

import pytest
from checked_systems import Judged, Wrong

from verify.checks.judged_theory import Theory
from verify.checks.runner import run
from verify.evidence.evidence import Evidence


@pytest.fixture(scope="module")
def true_theory(evidence: Evidence) -> Theory:
    return Theory.derive(evidence.system.model)


@pytest.fixture(scope="module")
def wrong_theory(true_theory: Theory) -> Wrong:
    """The wrong theory that a change makes; the tests share it with the curves it has computed."""
    return lru_cache(maxsize=None)(lambda change: change(true_theory))


@pytest.fixture(scope="module")
def judged(evidence: Evidence, wrong_theory: Wrong) -> Judged:
    """The report of one check on a wrong theory; several tests look at one."""
    return lru_cache(maxsize=None)(
        lambda change, check: run(evidence=evidence, theory=wrong_theory(change), only=[check])
    )

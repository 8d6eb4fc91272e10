"""Checks of effective spectra: true theories are not refuted at any seed, and each recognisable
mistake is.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers import fresh_rng
from wrong_resolvents import without_inverse_precision

import verify.checks.effective
import verify.checks.proportional
from numerics import effective_spectrum
from numerics.proportional.limiting_spectrum import solve_all
from numerics.proportional.resolvent import Resolvent
from numerics.proportional.weight_nodes import WeightNodes
from verify.checks.runner import run
from verify.evidence.evidence import Evidence
from verify.evidence.levels import LEVELS
from verify.evidence.systems import get_system
from verify.verdict.results import Report
from verify.verdict.tolerance import Verdict

SMALL = replace(
    LEVELS["quick"],
    name="small",
    dimensions=(32, 64),
    replicas=(10, 10),
    effective_dimensions=(48, 96, 144),
    effective_replicas=(40, 30, 30),
    train_replicas=30,
)


@pytest.fixture(scope="module", params=["kgmm", "xor"])
def evidence(request) -> Evidence:
    return Evidence(get_system(request.param), SMALL, int(fresh_rng().integers(2**31)))


@pytest.fixture(scope="module")
def mixture() -> Evidence:
    system = replace(get_system("kgmm"), full_spectra=False)
    return Evidence(system, SMALL, int(fresh_rng().integers(2**31)))


@pytest.mark.slow
@pytest.mark.parametrize("check", ["proportional", "large_aspect", "train_spectra"])
def test_the_true_theory_is_not_refuted(check: str, evidence: Evidence) -> None:
    report = run(evidence.system.name, evidence=evidence, only=[check])
    assert report.verdict is not Verdict.FAILS, [
        (c.quantity, c.measured, c.predicted)
        for c in report.results[0].comparisons
        if c.verdict is Verdict.FAILS
    ]
    if (evidence.system.name, check) == ("xor", "large_aspect"):
        check_that_exponents_are_sharp(report)


def check_that_exponents_are_sharp(report: Report) -> None:
    """Far out the outliers of ReLU units are closer to their limits than quadrature knows them."""
    assert report.verdict is Verdict.HOLDS
    exponents = [c for c in report.results[0].comparisons if "exponent" in c.quantity]
    assert len(exponents) == 2
    assert all(abs(c.deviation) < 0.01 for c in exponents)
    # it holds, so that tolerances are within the resolution: 0.05 is the next power, and four
    # scramblings add less than 0.001
    assert all(c.resolution == 0.1 for c in exponents)
    assert all(sum(part.value for part in c.tolerance.parts) < 0.06 for c in exponents)


def exchange_aspect_ratio(monkeypatch):
    monkeypatch.setattr(
        verify.checks.proportional,
        "effective_spectrum",
        lambda model, parameters, state, ratio, **options: effective_spectrum(
            model, parameters, state, 1 / ratio, **options
        ),
    )


def drop_derivative(monkeypatch):
    monkeypatch.setattr(Resolvent, "derivative", lambda self, s: 0 * s)


def centre_weights(monkeypatch):
    plain = WeightNodes._weight

    def centred(self, derivatives: np.ndarray) -> np.ndarray:
        weight = plain(self, derivatives)
        return weight - weight.mean(axis=0)

    monkeypatch.setattr(WeightNodes, "_weight", centred)


MISTAKES = {
    "phi and 1/phi exchanged": exchange_aspect_ratio,
    "1/lambda missing in the Stieltjes equation": without_inverse_precision,
    "F' missing in the overlap": drop_derivative,
    "weights centred": centre_weights,
}


@pytest.mark.slow
@pytest.mark.parametrize("mistake", list(MISTAKES))
def test_mistakes_are_refuted(mistake: str, mixture: Evidence, monkeypatch) -> None:
    MISTAKES[mistake](monkeypatch)
    report = run("kgmm", evidence=mixture, only=["proportional"])
    assert report.verdict is Verdict.FAILS
    failing = [c.quantity for c in report.results[0].comparisons if c.verdict is Verdict.FAILS]
    if mistake.startswith("F'"):
        # nothing but eigenvectors depends on it
        assert not any("eigenvalue" in q or ": outlier" in q for q in failing)
        assert any("overlap" in q for q in failing)


@pytest.mark.slow
def test_a_wrong_population_is_refuted_at_large_aspect(mixture: Evidence) -> None:
    """The effective theory does not take the formulas under judgement: it exposes a wrong
    population block.
    """
    from verify.checks.judged_theory import Theory
    from verify.mutants.theories import ignore_weights

    wrong = ignore_weights(Theory.derive(mixture.system.model))
    assert (
        run("kgmm", evidence=mixture, theory=wrong, only=["large_aspect"]).verdict is Verdict.FAILS
    )


@pytest.mark.slow
def test_another_approach_to_the_population_is_refuted(mixture: Evidence, monkeypatch) -> None:
    """Like (d/M)^(1/2): of the aspect ratio its root is taken."""
    monkeypatch.setattr(
        verify.checks.effective,
        "solve_all",
        lambda nodes, rules, ratio: solve_all(nodes, rules, ratio**0.5),
    )
    report = run("kgmm", evidence=mixture, only=["large_aspect"])
    failing = {c.quantity for c in report.results[0].comparisons if c.verdict is Verdict.FAILS}
    assert failing == {
        c.quantity for c in report.results[0].comparisons if "exponent" in c.quantity
    }


@pytest.mark.slow
def test_train_data_that_do_not_align_are_refuted(mixture: Evidence, monkeypatch) -> None:
    """Weights trained on other samples than those looked at, turned away from the means, do not
    pass.
    """
    plain = Evidence.train_and_test

    def turned(self, scenario, dimension, ratio, replicas):
        data = plain(self, scenario, dimension, ratio, replicas).copy(deep=True)
        data.overlap.loc[{"data": "train"}] *= 0.5
        return data

    monkeypatch.setattr(Evidence, "train_and_test", turned)
    assert run("kgmm", evidence=mixture, only=["train_spectra"]).verdict is Verdict.FAILS

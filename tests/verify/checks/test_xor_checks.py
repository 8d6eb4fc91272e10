"""The verification of the two-layer system: the true theory holds, every wrong one is refuted, any
seed.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
from checked_systems import Judged, with_coarse_numbers, with_one_scenario
from helpers import fresh_rng

from verify.checks.judged_theory import Theory
from verify.checks.registry import CHECKS
from verify.checks.runner import run
from verify.evidence.evidence import Evidence
from verify.evidence.levels import LEVELS
from verify.evidence.outcomes import separated_clusters, separated_counts
from verify.evidence.systems import SYSTEMS, get_system
from verify.mutants.theories import TWO_LAYER_MUTANTS
from verify.verdict.tolerance import Verdict

# far smaller samples than `quick`: comparisons may become inconclusive, but a true theory is never
# refuted
SMALL = replace(
    LEVELS["quick"],
    name="small",
    dimensions=(32, 64, 128),
    replicas=(2000, 1500, 1000),
    trained_dimension=32,
    trained_replicas=60,
    test_points=20_000,
    aspects=(32, 64, 128),
    spectrum_dimensions=(24,),
    spectrum_replicas=16,
    layer_points=10_000,
    risk_replicas=60,
    risk_samples=200,
    # the excess at small precision is some 0.1 of runs: five standard errors need a thousand
    outcome_runs=(400, 50, 50, 1200),
    other_dimensions=(64, 128),
    other_replicas=600,
    aligned_replicas=400,
)
# wrong theory -> a check that must refute it from simulation alone
REFUTED_BY = {
    "almost-everywhere for distributional": ("curves", "curvature"),
    "label of one cluster swapped": ("curves", "curvature"),
    "factor v_i dropped from a W-block": ("blocks",),
    "corrector dropped": ("curves", "alignment"),
    "feature span with W instead of g(W.)": ("second_layer",),
}


# judged against something else than a theory of the model, or in files of their own
EFFECTIVE = ("proportional", "large_aspect", "train_spectra")
ELSEWHERE = {"chain", "separated_points", "outcomes", *EFFECTIVE}


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    rng = fresh_rng()
    system = with_coarse_numbers(with_one_scenario("xor", rng), end=4.0)
    return Evidence(system, SMALL, int(rng.integers(2**31)))


@pytest.mark.slow
def test_the_true_theory_is_not_refuted(evidence: Evidence, true_theory: Theory) -> None:
    # effective spectra are judged at any seed in test_effective_checks.py
    checks = [name for name in evidence.system.checks if name not in EFFECTIVE]
    report = run(evidence=evidence, theory=true_theory, only=checks)
    assert [r.name for r in report.results if r.verdict is Verdict.FAILS] == []
    assert len(report.results) == len(evidence.system.checks) - len(EFFECTIVE)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(TWO_LAYER_MUTANTS))
def test_every_wrong_theory_is_refuted(name: str, judged: Judged) -> None:
    for check in REFUTED_BY[name]:
        report = judged(TWO_LAYER_MUTANTS[name], check)
        assert report.verdict is Verdict.FAILS, check
        assert report.results[0].worst.strain > 1


@pytest.mark.slow
def test_the_dropped_factor_is_wrong_in_its_own_block_only(judged: Judged) -> None:
    report = judged(TWO_LAYER_MUTANTS["factor v_i dropped from a W-block"], "blocks")
    failing = [c.quantity for c in report.results[0].comparisons if c.verdict is Verdict.FAILS]
    assert failing
    assert all("hessian block (1, 1)" in q for q in failing)


@pytest.mark.slow
def test_every_check_can_fail(evidence: Evidence, judged: Judged) -> None:
    """Each check of a theory refutes a wrong one; `separated_points` and `outcomes` judge a closed
    form, see below, and the rest has its wrong theories above.

    Few wrong flows serve many checks: each is compiled anew.
    """
    own = {
        "finite_size": "corrector dropped",
        "universality": "label of one cluster swapped",
        "risk": "label of one cluster swapped",
        "precision_exponents": "corrector dropped",
        "routes": "almost-everywhere for distributional",
    }
    changes = {name: TWO_LAYER_MUTANTS[mutant] for name, mutant in own.items()}
    changes |= {"span": _larger_bulk, "eigenspaces": _curved_off_the_span}
    changes |= {"concentration": _swapped_units}
    above = {check for checks in REFUTED_BY.values() for check in checks}
    assert {*changes, *above, *ELSEWHERE} == set(evidence.system.checks)
    passed = [
        name
        for name, change in changes.items()
        if judged(change, name).verdict is not Verdict.FAILS
    ]
    assert passed == []


def _larger_bulk(theory: Theory) -> Theory:
    blocks = {k: replace(b, bulk=20 * b.bulk) for k, b in theory.hessian.first_layer.items()}
    return replace(theory, hessian=replace(theory.hessian, first_layer=blocks))


def _curved_off_the_span(theory: Theory) -> Theory:
    """Every diagonal block with a large term along x^a - P x^a, the part of the weights orthogonal
    to the directions.

    The top eigenspace turns off the span, by far more than a few replicas can miss.
    """
    m, r = theory.model.symbols.overlap, theory.model.directions

    def add(block, a):  # type: ignore[no-untyped-def]
        normal = sp.zeros(block.coefficients.rows, 1)
        normal[r + a] = 1
        for s in range(r):
            normal[s] = -m[a, s]  # the directions are orthonormal
        term = 1000 * block.coefficients[0, 0] * (normal * normal.T)
        wrong = (block.coefficients + term).applyfunc(sp.expand)
        return replace(block, coefficients=sp.ImmutableDenseMatrix(wrong))

    blocks = {k: add(b, k[0]) if k[0] == k[1] else b for k, b in theory.hessian.first_layer.items()}
    return replace(theory, hessian=replace(theory.hessian, first_layer=blocks))


def _swapped_units(theory: Theory) -> Theory:
    """Every diagonal block with the coefficients of another unit, of the other axis, in its
    place.
    """
    units = theory.model.units
    blocks = dict(theory.hessian.first_layer)
    for a in range(units):
        blocks[a, a] = theory.hessian.first_layer[(a + 2) % units, (a + 2) % units]
    return replace(theory, hessian=replace(theory.hessian, first_layer=blocks))


@pytest.mark.slow
def test_a_wrong_fixed_point_is_refuted(evidence: Evidence, true_theory: Theory) -> None:
    """The closed form at another ridge: norms log((p - beta)/beta) that are off by a few per
    cent.
    """
    from theory import separated_fixed_point, xor

    def trained(precision):  # type: ignore[no-untyped-def]
        found = []
        for scenario in evidence.system.trained(precision):
            names = [["mu", "-mu", "nu", "-nu"][l] for l in scenario.point.assignment]
            other = separated_fixed_point(xor(5, weights=["1/4"] * 4, ridge="1/20"), names)
            found.append(replace(scenario, point=other))
        return tuple(found)

    moved = Evidence(replace(evidence.system, trained=trained), evidence.level, evidence.seed)
    report = run(evidence=moved, theory=true_theory, only=["separated_points", "second_layer"])
    assert [r.verdict for r in report.results] == [Verdict.FAILS] * 2


@pytest.mark.slow
def test_wrong_outcome_probabilities_are_refuted(evidence: Evidence, true_theory: Theory) -> None:
    """Uniform over one to four, in place of 4, 84, 144, 24 of 256."""
    study = replace(evidence.system.outcomes, probabilities=(0.25,) * 4)
    wrong = Evidence(replace(evidence.system, outcomes=study), evidence.level, evidence.seed)
    assert run(evidence=wrong, theory=true_theory, only=["outcomes"]).verdict is Verdict.FAILS


def test_every_check_belongs_to_a_system() -> None:
    assert {name for make in SYSTEMS.values() for name in make().checks} == set(CHECKS)


def test_separated_clusters_are_counted_by_norm_and_sign() -> None:
    """Hand-made ends: a grown unit on each of mu and nu; one with the wrong sign; one that has not
    grown.
    """
    import xarray as xr

    overlap = np.array([[[1.2, 0.0], [0.0, 1.2], [0.0, -1.2], [-0.1, 0.0]]])
    readout = np.array([[1.2, -1.2, 1.2, 0.1]])
    ends = xr.Dataset(
        {
            "overlap": (("replica", "unit", "direction"), overlap),
            "readout": (("replica", "parameter"), readout),
        }
    )
    parameters = get_system("xor").outcomes.parameters(100.0)
    assert separated_clusters(ends, parameters).tolist() == [[True, False, True, False]]
    counts = separated_counts(get_system("xor").outcomes, ends.expand_dims(time=2), 1e6)
    assert counts.tolist() == [[0, 0, 1, 0, 0]] * 2

"""The verification run: true theory holds, each wrong theory is refuted by simulation, any seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from checked_systems import Judged, with_one_scenario
from helpers import fresh_rng
from sgd_cases import whole_source

import numerics.dynamics.local_law
import numerics.sgd.simulate
from numerics.core import codegen
from theory import InputError, derive_diffusion, derive_finite_size
from verify.checks.judged_theory import Theory
from verify.checks.registry import CHECKS
from verify.checks.runner import VerificationInterrupted, run
from verify.evidence.evidence import Evidence
from verify.evidence.levels import LEVELS
from verify.evidence.systems import SYSTEMS, get_system
from verify.mutants.theories import MUTANTS
from verify.verdict.compare import compare
from verify.verdict.results import Outcome
from verify.verdict.tolerance import FAMILY_ERROR, Chance, Verdict, critical_value

# Far smaller samples than `quick`: comparisons may become inconclusive, but a true theory is never
# refuted (probability FAMILY_ERROR per run, whatever the seed), and the mutants are wrong by much
# more than the noise.
SMALL = replace(
    LEVELS["quick"],
    name="small",
    dimensions=(32, 64, 128),
    replicas=(3000, 2000, 1500),
    trained_replicas=60,
    test_points=20_000,
    aspects=(32, 64, 128),
    spectrum_dimensions=(24,),
    spectrum_replicas=8,
    wide_dimensions=(100, 1_000, 10_000),
    wide_replicas=(1_000, 500, 200),
    shift_dimensions=(50, 100, 200),
    shift_replicas=(8_000, 8_000, 8_000),
    settled_dimensions=(50, 100),
    settled_replicas=(800, 800),
    other_dimensions=(64, 128),
    other_replicas=600,
    aligned_replicas=400,
)

# judged in test_effective_checks.py, right and wrong, at sizes of its own
EFFECTIVE = ("proportional", "large_aspect", "train_spectra")
# wrong theory -> a check that must refute it from simulation alone
REFUTED_BY = {
    "corrector dropped": "curves",
    "1/lambda term dropped": "curves",
    "sign of the ridge flipped": "curves",
    "softmax case b != a = c missing": "blocks",
    "class weights ignored": "curves",
}
ALSO_REFUTED_BY = {"class weights ignored": "blocks", "corrector dropped": "alignment"}


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    rng = fresh_rng()
    return Evidence(with_one_scenario("kgmm", rng), SMALL, int(rng.integers(2**31)))


@pytest.mark.slow
def test_the_true_theory_is_not_refuted(evidence: Evidence, true_theory: Theory) -> None:
    # effective spectra are judged at any seed in test_effective_checks.py
    checks = [name for name in evidence.system.checks if name not in EFFECTIVE]
    report = run(evidence=evidence, theory=true_theory, only=checks)
    assert len(report.results) == len(evidence.system.checks) - len(EFFECTIVE)
    refuted = [r.name for r in report.results if r.verdict is Verdict.FAILS]
    assert refuted == []
    assert report.family_error == FAMILY_ERROR


@pytest.mark.slow
@pytest.mark.parametrize("name", list(MUTANTS))
def test_every_wrong_theory_is_refuted(name: str, judged: Judged) -> None:
    report = judged(MUTANTS[name], REFUTED_BY[name])
    assert report.verdict is Verdict.FAILS
    assert report.results[0].worst.strain > 1


@pytest.mark.slow
def test_the_missing_softmax_case_is_wrong_in_off_diagonal_blocks_only(judged: Judged) -> None:
    report = judged(MUTANTS["softmax case b != a = c missing"], "blocks")
    failing = [c.quantity for c in report.results[0].comparisons if c.verdict is Verdict.FAILS]
    assert failing
    assert not any(f"block ({a}, {a})" in q for q in failing for a in (1, 2, 3))
    assert not any("gradient" in q for q in failing)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "check"), ALSO_REFUTED_BY.items())
def test_some_are_seen_in_other_checks_too(name: str, check: str, judged: Judged) -> None:
    assert judged(MUTANTS[name], check).verdict is Verdict.FAILS


@pytest.mark.slow
def test_every_check_can_fail(evidence: Evidence, judged: Judged) -> None:
    """Each check refutes at least one wrong theory, here or above: a check that cannot fail is a
    defect.
    """
    own = {
        "precision_exponents": MUTANTS["corrector dropped"],
        "fixed_point": MUTANTS["class weights ignored"],
        "routes": MUTANTS["1/lambda term dropped"],
        "finite_size": MUTANTS["corrector dropped"],
        "span": _bulk_to_the_power_zero,
        "eigenspaces": _slope_without_precision,
        "top_vector": _swap_classes,
        "concentration": _swap_classes,
        "risk": MUTANTS["class weights ignored"],
        "curvature": _wrong_curvature,
        "fluctuations": MUTANTS["corrector dropped"],
        "stationary": MUTANTS["class weights ignored"],
        "universality": MUTANTS["class weights ignored"],
    }
    # the chain is judged against the direct simulation, see below
    elsewhere = {"chain", *EFFECTIVE}
    above = {*REFUTED_BY.values(), *ALSO_REFUTED_BY.values()}
    assert {*own, *above, *elsewhere} == set(evidence.system.checks)
    passed = [
        name for name, change in own.items() if judged(change, name).verdict is not Verdict.FAILS
    ]
    assert passed == []


def _small_evidence() -> Evidence:
    return Evidence(get_system("kgmm"), SMALL, int(fresh_rng().integers(2**31)))


@pytest.mark.slow
def test_a_wrong_chain_is_refuted_by_the_direct_simulation(
    monkeypatch: pytest.MonkeyPatch, true_theory: Theory
) -> None:
    """Without the noise beyond the span of the weights R_perp does not grow as it should."""

    def compile_wrong(loss, method):  # type: ignore[no-untyped-def]
        source = whole_source(loss, method)
        beyond = "scale * np.sqrt(2.0 * lengths[k])"
        assert source.count(beyond) == (method == "reduced")
        return codegen.load_module(source.replace(beyond, "0.0"))

    monkeypatch.setattr(numerics.sgd.simulate, "compile_kernel", compile_wrong)
    report = run(evidence=_small_evidence(), theory=true_theory, only=["chain"])
    assert report.verdict is Verdict.FAILS


@pytest.fixture(scope="module")
def many_runs() -> Evidence:
    """As the main job has them: half a diffusion is seen by many runs only."""
    return Evidence(get_system("kgmm"), LEVELS["quick"], int(fresh_rng().integers(2**31)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "check"),
    [("noise", "fluctuations"), ("shift", "fluctuations"), ("noise", "stationary")],
)
def test_wrong_fluctuations_are_refuted(
    part: str, check: str, many_runs: Evidence, monkeypatch: pytest.MonkeyPatch, true_theory: Theory
) -> None:
    """Half the diffusion; a 1/d part of the step with the wrong sign."""
    if part == "noise":
        monkeypatch.setattr(
            numerics.dynamics.local_law,
            "derive_diffusion",
            lambda model: derive_diffusion(model).map(lambda e: e / 2),
        )
    else:
        monkeypatch.setattr(
            numerics.dynamics.local_law,
            "derive_finite_size",
            lambda model, batch: derive_finite_size(model, batch=batch).map(lambda e: -e),
        )
    report = run(evidence=many_runs, theory=true_theory, only=[check])
    assert report.verdict is Verdict.FAILS


@pytest.mark.slow
def test_a_theory_that_diverges_is_refuted_not_an_error(
    evidence: Evidence, true_theory: Theory
) -> None:
    """With + 40 beta the flow leaves every bound before the last time: no number, hence no pass."""
    from theory import symbols

    wrong = replace(
        true_theory,
        drift=true_theory.drift.map(lambda e: e.xreplace({symbols.RIDGE: -40 * symbols.RIDGE})),
    )
    report = run(evidence=evidence, theory=wrong, only=["curves"])
    assert report.verdict is Verdict.FAILS
    assert "could not be integrated" in report.results[0].notes[0]


@pytest.mark.parametrize("count", [1, 7])
def test_the_runner_counts_the_comparisons_of_a_check(
    count: int, evidence: Evidence, true_theory: Theory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A check says its standard errors alone; the family-wise error of the run is shared out."""

    def check(theory: Theory, evidence: Evidence) -> Outcome:
        """Nothing is wrong."""
        return Outcome([compare(str(i), 0.0, 0.0, Chance(1.0)) for i in range(count)], {})

    monkeypatch.setitem(CHECKS, "curves", (check, "nowhere"))
    report = run(evidence=evidence, theory=true_theory, only=["curves"], family_error=0.01)
    z = critical_value(count, 0.01 / len(evidence.system.checks))
    assert [c.tolerance.total for c in report.results[0].comparisons] == [z] * count
    assert report.results[0].statement == "Nothing is wrong."


def test_an_interrupted_run_keeps_what_was_finished(
    evidence: Evidence, true_theory: Theory
) -> None:
    def interrupt(name: str, _: float) -> None:
        if name == "finite_size":
            raise KeyboardInterrupt

    with pytest.raises(VerificationInterrupted) as caught:
        run(
            evidence=evidence,
            theory=true_theory,
            only=["curves", "finite_size"],
            progress=interrupt,
        )
    partial = caught.value.partial
    assert [r.name for r in partial.results] == ["curves"]
    assert not partial.complete
    assert partial.verdict is Verdict.INCONCLUSIVE


def test_evidence_does_not_depend_on_the_order_of_checks(evidence: Evidence) -> None:
    assert evidence.child_seed("a") == Evidence(evidence.system, SMALL, evidence.seed).child_seed(
        "a"
    )
    assert evidence.child_seed("a") != evidence.child_seed("b")


@pytest.mark.slow
def test_a_trained_state_is_that_of_all_runs_and_needs_few_of_them() -> None:
    level = replace(SMALL, trained_replicas=9, spectrum_replicas=3)
    alone, beside = (Evidence(get_system("kgmm"), level, 5) for _ in range(2))
    scenario = alone.system.trained(8.0)[0]
    runs = beside.trained_runs(scenario)[-1]
    for replica in (0, 2):
        for state in (each.trained_state(scenario, replica) for each in (alone, beside)):
            np.testing.assert_array_equal(state.overlap, runs.overlap[replica, -1])
            np.testing.assert_array_equal(state.gram_perp, runs.gram_perp[replica, -1])
    assert [runs.sizes["replica"] for runs in alone._kept.values()] == [3]
    assert [runs.sizes["replica"] for runs in beside._kept.values()] == [9, 9]


def test_unknown_names_are_refused_before_any_work() -> None:
    with pytest.raises(InputError, match="system: got 'kgm'"):
        run("kgm")
    with pytest.raises(InputError, match="level: got 'fast'"):
        run("kgmm", "fast")
    with pytest.raises(InputError, match="only: got"):
        run("kgmm", only=["curve"])
    with pytest.raises(InputError, match="seed: got -1"):
        run("kgmm", seed=-1)


def _bulk_to_the_power_zero(theory: Theory) -> Theory:
    """Blocks whose bulk does not fall with lambda."""
    from theory import symbols

    def change(matrix):  # type: ignore[no-untyped-def]
        blocks = {
            pair: replace(block, bulk=block.bulk * symbols.PRECISION)
            for pair, block in matrix.first_layer.items()
        }
        return replace(matrix, first_layer=blocks)

    return replace(theory, hessian=change(theory.hessian), gradient=change(theory.gradient))


def _slope_without_precision(theory: Theory) -> Theory:
    """Coefficients of e_s x^cT that lost their factor 1/lambda."""
    from theory import symbols

    def change(matrix):  # type: ignore[no-untyped-def]
        r, blocks = theory.model.directions, {}
        for pair, block in matrix.first_layer.items():
            wrong = block.coefficients.as_mutable()
            wrong[:r, r:] *= symbols.PRECISION
            wrong[r:, :r] *= symbols.PRECISION
            blocks[pair] = replace(block, coefficients=wrong.as_immutable())
        return replace(matrix, first_layer=blocks)

    return replace(theory, hessian=change(theory.hessian), gradient=change(theory.gradient))


def _wrong_curvature(theory: Theory) -> Theory:
    """The Hessian of the risk with its classes swapped; that of the data stays right."""
    return replace(theory, curvature=_swap_classes(theory).hessian)


def _swap_classes(theory: Theory) -> Theory:
    """Every diagonal block with the expectations of the next class in its place (a transposed
    index).
    """

    def change(matrix):  # type: ignore[no-untyped-def]
        k = theory.model.units
        blocks = dict(matrix.first_layer)
        for a in range(k):
            blocks[a, a] = matrix.first_layer[(a + 1) % k, (a + 1) % k]
        return replace(matrix, first_layer=blocks)

    return replace(theory, hessian=change(theory.hessian), gradient=change(theory.gradient))


def test_every_registered_check_applies_to_a_system():
    listed = {check for name in SYSTEMS for check in get_system(name).checks}
    assert set(CHECKS) == listed, "list a check in verify/evidence/systems.py too"


def test_a_check_that_no_system_lists_is_refused_with_the_place_to_list_it(monkeypatch):
    monkeypatch.setitem(CHECKS, "positive_gram", CHECKS["curves"])
    with pytest.raises(InputError, match=r"no system lists .* verify/evidence/systems\.py"):
        run("kgmm", only=["positive_gram"])

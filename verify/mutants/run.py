"""How many systematic wrong formulas each stage catches alone, and whether it leaves the true ones
in peace.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import sympy as sp
from threadpoolctl import threadpool_limits

from numerics.expectations.certified_digits import DimensionError
from theory import Model, kgmm, xor
from theory.errors import check_choice
from theory.names import ALMOST_EVERYWHERE, DISTRIBUTIONAL
from verify.claims.cases import Case
from verify.claims.quantities import Target, derived
from verify.claims.quantity_names import parse_quantity
from verify.claims.raw.measurements import measure
from verify.claims.raw.samples import RawSamples
from verify.claims.stages.digits import certified_gaps, gaps, general_points
from verify.claims.stages.sampling import FAMILY_ERROR, Deviation, deviations
from verify.claims.stages.symbolic import prove_equal
from verify.random_points.exact import Point, random_point

from .theories import Mutant, mutants_of

# mutants of each kind and entry; samples a component and point
MOST, SAMPLES, POINTS = 5, 100_000, 2
# what has to be caught
DIGITS_SHARE, SAMPLING_SHARE = 1.0, 0.95

# fmt: off
KGMM_ENTRIES = (
    "drift m_1_1", "drift m_1_2", "drift R_1_1", "drift R_1_2", "corrector_1_2", "H_1_1[bulk]",
    "H_1_2[bulk]", "H_1_2[e_1,e_1]", "H_1_2[e_1,x_1]", "H_1_1[x_1,x_2]", "G_1_1[bulk]",
    "G_1_2[e_1,x_2]",
)
XOR_ENTRIES = (
    "drift m_1_1", "drift m_2_1", "drift R_1_1", "drift R_1_2", "drift v_1", "corrector_1_2",
    "H_1_1[bulk]", "H_1_2[bulk]", "H_1_v_2[e_1]", "H_1_v_1[e_2]", "H_v_1_v_2", "G_1_1[bulk]",
    "G_1_2[e_1,x_2]", "G_v_1_v_2", "G_1_v_2[e_1]",
)
# fmt: on
# system -> (model, entries, kink rules of Hessians)
SUBJECTS: dict[str, tuple[Callable[[], Model], tuple[str, ...]]] = {
    "kgmm": (lambda: kgmm(3, directions_gram="orthonormal"), KGMM_ENTRIES),
    "xor": (lambda: xor(2), XOR_ENTRIES),
}


@dataclass(frozen=True)
class MutantTrial:
    """One mutant and who caught it.

    Attributes
    ----------
    mutant : Mutant
    equivalent : str
        The identities by which it is no mutant; empty for a real one.
    by_digits, by_sampling : bool
    visible : bool
        Its effect exceeds the resolution of the samples at one of the points.
    effect, resolution : float
        At the point where their ratio is largest.
    """

    mutant: Mutant
    equivalent: str
    by_digits: bool
    by_sampling: bool
    visible: bool
    effect: float
    resolution: float


@dataclass(frozen=True)
class MutationReport:
    """Shares of mutants caught by each stage alone.

    Attributes
    ----------
    trials : tuple of (system, MutantTrial)
    refuted : tuple of str
        True formulas that a stage refuted; empty but with probability ``family_error``.
    """

    trials: tuple[tuple[str, MutantTrial], ...]
    refuted: tuple[str, ...]
    formulas: int
    seed: int
    family_error: float
    seconds: float

    def counted(self, system: str | None = None) -> list[MutantTrial]:
        """Mutants that are different from the derived formula."""
        return [t for name, t in self.trials if not t.equivalent and system in (None, name)]

    def shares(self, system: str | None = None) -> dict[str, float]:
        """Shares caught by digits, and by sampling among the visible ones."""
        real = self.counted(system)
        seen = [t for t in real if t.visible]
        return {
            "digits": sum(t.by_digits for t in real) / max(1, len(real)),
            "sampling": sum(t.by_sampling for t in seen) / max(1, len(seen)),
        }

    @property
    def holds(self) -> bool:
        shares = self.shares()
        return (
            shares["digits"] >= DIGITS_SHARE
            and shares["sampling"] >= SAMPLING_SHARE
            and not self.refuted
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "seed": self.seed,
            "family_error": self.family_error,
            "seconds": self.seconds,
            "holds": self.holds,
            "formulas": self.formulas,
            "refuted_formulas": list(self.refuted),
            "mutants": len(self.counted()),
            "shares": self.shares(),
            "equivalent": [
                {**_described(s, t), "reason": t.equivalent} for s, t in self.trials if t.equivalent
            ],
            "trials": [
                {
                    **_described(s, t),
                    "kind": t.mutant.kind,
                    "digits": t.by_digits,
                    "sampling": t.by_sampling,
                    "visible": t.visible,
                    "effect": t.effect,
                    "resolution": t.resolution,
                }
                for s, t in self.trials
                if not t.equivalent
            ],
        }


def _described(system: str, trial: MutantTrial) -> dict[str, str]:
    return {"system": system, "entry": trial.mutant.entry, "change": trial.mutant.text}


def run_mutants(
    systems: Sequence[str] = tuple(SUBJECTS),
    seed: int = 0,
    *,
    most: int = MOST,
    samples: int = SAMPLES,
    progress: Callable[[str, float], None] | None = None,
) -> MutationReport:
    """Make the mutants of the entries of both systems and let each stage judge them alone.

    Parameters
    ----------
    systems : sequence of str
        Names of SUBJECTS.
    seed : int
        Root of the choice of mutants, of points and of samples.
    most : int
        Mutants of each kind and entry.
    samples : int
        A component and point.
    progress : callable, optional
        Called with the entry at work and the fraction done.

    Returns
    -------
    MutationReport
        A true formula is refuted by chance with probability at most ``family_error`` over the whole
        run.
    """
    for name in systems:
        check_choice("system", name, SUBJECTS)
    start = perf_counter()
    jobs = _jobs(systems)
    trials: list[tuple[str, MutantTrial]] = []
    refuted: list[str] = []
    models = {name: SUBJECTS[name][0]() for name in systems}
    streams = {name: np.random.default_rng([seed, i, 7]) for i, name in enumerate(systems)}
    with threadpool_limits(limits=1, user_api="blas"):
        drawn = {
            name: [RawSamples(random_point(models[name], rng), rng, samples) for _ in range(POINTS)]
            for name, rng in streams.items()
        }
        for i, (name, entry, rule) in enumerate(jobs):
            if progress is not None:
                progress(f"{name}: {entry}", i / len(jobs))
            mutants = mutants_of(models[name], entry, kink_rule=rule, most=most, seed=seed)
            found, wrong = _entry_trials(
                models[name], entry, rule, mutants, drawn[name], streams[name], len(jobs)
            )
            trials += [(name, t) for t in found]
            refuted += [f"{name} {entry}: {w}" for w in wrong]
    return MutationReport(
        tuple(trials), tuple(refuted), len(jobs), seed, FAMILY_ERROR, perf_counter() - start
    )


def refuted_formulas(
    systems: Sequence[str] = tuple(SUBJECTS),
    seed: int = 0,
    *,
    samples: int = SAMPLES,
    family_error: float = FAMILY_ERROR,
) -> list[str]:
    """Derived formulas that digits or samples refute: none, but with probability ``family_error``
    over the whole run.

    The numbers of a run are drawn as in :func:`run_mutants`; only the derived formulas are judged.
    """
    found = []
    jobs = _jobs(systems)
    for index, name in enumerate(systems):
        model, rng = SUBJECTS[name][0](), np.random.default_rng([seed, index, 11])
        targets = [
            parse_quantity(entry, kink_rule=rule).target(model, {})
            for other, entry, rule in jobs
            if other == name
        ]
        rights = [derived(model, target) for target in targets]
        for _ in range(POINTS):
            drawn = RawSamples(random_point(model, rng), rng, samples)
            measured = [measure(target, drawn) for target in targets]
            for target, deviation in zip(
                targets,
                deviations(measured, rights, drawn, POINTS * len(jobs), family_error),
                strict=True,
            ):
                if deviation.refuted:
                    found.append(f"{name} {target}: {deviation.value:.3g} ± {deviation.error:.2g}")
    return found


def _jobs(systems: Sequence[str]) -> list[tuple[str, str, str | None]]:
    """System, entry and kink rule of every formula that is judged."""
    return [
        (name, entry, rule)
        for name in systems
        for entry in SUBJECTS[name][1]
        for rule in _rules(name, entry)
    ]


def _rules(system: str, entry: str) -> tuple[str | None, ...]:
    if system == "xor" and entry.startswith("H_") and "v" not in entry:
        return DISTRIBUTIONAL, ALMOST_EVERYWHERE
    return (None,)


def _entry_trials(
    model: Model,
    entry: str,
    rule: str | None,
    mutants: list[Mutant],
    drawn: list[RawSamples],
    rng: np.random.Generator,
    formulas: int,
) -> tuple[list[MutantTrial], list[str]]:
    target = parse_quantity(entry, kink_rule=rule).target(model, {})
    right = derived(model, target)
    wrong = []
    by_digits = _caught_by_digits(
        model, target, [right, *(m.expression for m in mutants)], right, rng
    )
    if by_digits[0]:
        wrong.append("refuted by digits")
    sampled: list[list[Deviation]] = []
    effects: list[list[float]] = []
    for samples in drawn:
        measured = measure(target, samples)
        claims = [m.expression for m in mutants]
        # the true formulas share one error; a mutant is judged like a claim of its own
        true = deviations([measured], [right], samples, POINTS * formulas)[0]
        if true.refuted:
            wrong.append(f"refuted by samples, {true.value:.3g} ± {true.error:.2g}")
        sampled.append(deviations([measured] * len(claims), claims, samples, POINTS))
        effects.append(_effects(claims, right, samples.point))
    found = []
    for j, mutant in enumerate(mutants):
        caught = by_digits[j + 1]
        same = ""
        if not caught:
            proof = prove_equal(mutant.expression, right, model)
            same = ", ".join(proof.identities) if proof.proved else ""
        ratios = [
            e[j] / d[j].resolution if d[j].resolution else np.inf * bool(e[j])
            for e, d in zip(effects, sampled, strict=True)
        ]
        k = int(np.nanargmax(ratios))
        found.append(
            MutantTrial(
                mutant,
                same,
                caught,
                any(d[j].refuted for d in sampled),
                bool(ratios[k] > 1),
                effects[k][j],
                sampled[k][j].resolution,
            )
        )
    return found, wrong


def _caught_by_digits(
    model: Model, target: Target, claims: list[sp.Expr], right: sp.Expr, rng: np.random.Generator
) -> list[bool]:
    pairs = [(claim, right) for claim in claims]
    caught = [False] * len(claims)
    full = any(Case("", {}, claim, right, target).needs_full_rank for claim in claims)
    points: list[Point | None] = [*general_points(model, rng, 3), *([] if full else [None, None])]
    for point in points:
        try:
            values = (
                certified_gaps(pairs, model, rng)[1] if point is None else gaps(pairs, point, None)
            )
        except DimensionError:
            continue
        caught = [c or v.refuted for c, v in zip(caught, values, strict=True)]
    return caught


def _effects(claims: list[sp.Expr], right: sp.Expr, point: Point) -> list[float]:
    """How much each mutant differs from the derived formula at the point of the samples."""
    values = gaps([(claim, right) for claim in claims], point, None)
    return [float(abs(v.value)) for v in values]


def count_kinds(trials: Sequence[MutantTrial]) -> dict[str, tuple[int, int, int, int]]:
    """kind -> mutants, caught by digits, visible to samples, caught by samples among these."""
    kinds = Counter(t.mutant.kind for t in trials)
    return {
        kind: (
            n,
            sum(t.by_digits for t in trials if t.mutant.kind == kind),
            sum(t.visible for t in trials if t.mutant.kind == kind),
            sum(t.visible and t.by_sampling for t in trials if t.mutant.kind == kind),
        )
        for kind, n in sorted(kinds.items())
    }

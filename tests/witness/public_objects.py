"""One value of every class whose values a user meets, made as a user makes it."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import sympy as sp

import specalign as sa
from theory.problem.activations import ARGUMENT
from theory.problem.held.loss_symbols import FreeSymbol, Statistic
from verify.claims.judgement import Stage
from verify.documents.derivation import DerivationStep
from verify.documents.statements import Statement
from verify.evidence.levels import Level
from verify.evidence.system import System
from verify.verdict.tolerance import Comparison, Part, Tolerance, Verdict


@lru_cache(maxsize=1)
def parts() -> SimpleNamespace:
    """What several of the values are made of."""
    model = sa.kgmm(3, directions_gram="orthonormal")
    problem = sa.Problem(model, weights=[0.5, 0.3, 0.2], precision=10, ridge=0.1, step=1)
    start = sa.State.zero(problem)
    claim = sa.make_claim(model, "drift m_a_s", "-beta*m_a_s")
    found = sa.check(model, "corrector_a_b", "c_delta*sum_l(p_l*E_l[g_a*g_b])/lambda")
    return SimpleNamespace(
        model=model,
        problem=problem,
        start=start,
        drift=sa.derive_drift(model),
        data=sa.draw_data(problem, start, 20, 50, 0),
        claim=claim,
        found=found,
        step=DerivationStep(
            Statement("Drift", "The corrector.", claim.quantity, "-beta*m_a_s"), found
        ),
        setting=sa.Setting(problem, start, time=[0, 1], dimension=20, replicas=2),
        labelled=sa.label_data(
            np.random.default_rng(0).standard_normal((60, 4)), np.repeat([0, 1, 2], 20)
        ),
        report=sa.Report("kgmm", "quick", 1, 1e-4, [_check()], 0.0, {}),
    )


def _comparison() -> Comparison:
    tolerance = Tolerance((Part(0.01, "remainder"),))
    return Comparison("accuracy at 2 samples per dimension", 0.897, 0.9, tolerance)


def _check() -> sa.CheckResult:
    return sa.CheckResult("curves", "They agree.", "section 6", [_comparison()], 1, {}, 0.0)


@lru_cache(maxsize=1)
def _design() -> sa.Design:
    p = parts()
    return sa.design(p.problem, p.start, over={"step": (0.5, 2.0)}, best=("loss", 1.0))


def _confirmation() -> sa.Confirmation:
    values = np.linspace(0.89, 0.9, 8)[:, None]
    return sa.Confirmation(_comparison(), 500, 8, 0.895, 0.002, 0.005, np.ones(1), values)


# class -> a value of it
MADE: dict[type, Callable[[], Any]] = {
    sa.Activation: lambda: sa.Activation("square", ARGUMENT**2),
    sa.Bands: lambda: sa.Bands(fractions=[0.1, 0.9], scales=[[1, 2], [2, 1]]),
    sa.BinnedSpectrum: lambda: sa.bin_spectrum(np.linspace(4, 1, 200), bands=12),
    sa.Block: lambda: sa.derive_hessian(parts().model).block(0, 1),
    sa.BlockMatrix: lambda: sa.derive_hessian(parts().model),
    sa.CheckResult: _check,
    sa.Claim: lambda: parts().claim,
    sa.CompiledExpressions: lambda: sa.compile_expressions(
        parts().model, parts().drift.vector, target="numpy"
    ),
    sa.Confirmation: _confirmation,
    sa.Curve: lambda: sa.solve_curve(parts().problem, parts().start, end=1.0),
    sa.Derivation: lambda: sa.Derivation(parts().model, "drift", (parts().step,)),
    sa.Design: _design,
    sa.Diffusion: lambda: sa.derive_diffusion(parts().model),
    sa.Domain: lambda: sa.Domain(),
    sa.Drift: lambda: parts().drift,
    sa.Estimate: lambda: sa.compile_expressions(
        parts().model, parts().drift.vector, target="numpy"
    ).estimate(parts().problem, parts().start),
    sa.Evidence: lambda: sa.Evidence(sa.get_system("kgmm"), sa.get_level("quick"), 1),
    sa.Finding: lambda: sa.Finding.PROVED,
    sa.FiniteSize: lambda: sa.derive_finite_size(parts().model),
    sa.FittedMixture: lambda: sa.fit_mixture(parts().labelled, bands=2),
    sa.Formulas: lambda: sa.Formulas(parts().model, {"drift": parts().drift}),
    sa.ImplicitFixedPoint: lambda: sa.softmax_fixed_point(parts().model),
    sa.JointReport: lambda: sa.JointReport([parts().report], "quick", 1, 1e-4),
    sa.Judgement: lambda: parts().found,
    sa.LabelledData: lambda: parts().labelled,
    sa.Layer: lambda: sa.xor(2).loss.layers[0],
    sa.Loss: lambda: parts().model.loss,
    sa.MeasureOptions: lambda: sa.MeasureOptions(),
    sa.Measurement: lambda: sa.MEASUREMENTS["statistics"],
    sa.Mixture: lambda: parts().model.mixture,
    sa.Model: lambda: parts().model,
    sa.ModelReport: lambda: sa.check_model(sa.kgmm(2), only=["gauge"], seed=3),
    sa.Moments: lambda: sa.Moments(parts().model),
    sa.Noise: lambda: sa.Noise.of("student:5"),
    sa.Output: lambda: parts().model.loss.output,
    sa.Parameters: lambda: parts().problem.parameters,
    sa.PopulationGradient: lambda: sa.derive_gradient(parts().model),
    sa.PopulationRisk: lambda: sa.derive_risk(parts().model),
    sa.Problem: lambda: parts().problem,
    sa.RandomStart: lambda: sa.RandomStart(0.5),
    sa.ReadoutFeatures: lambda: sa.derive_readout_features(sa.xor(2)),
    sa.Report: lambda: parts().report,
    sa.SampleData: lambda: parts().data,
    sa.Schedule: lambda: sa.Schedule.of(1 / (1 + sa.TIME)),
    sa.SeparatedFixedPoint: lambda: sa.separated_fixed_point(sa.xor(2), ["mu", "nu"]),
    sa.Setting: lambda: parts().setting,
    sa.SoftmaxNetwork: lambda: sa.SoftmaxNetwork(),
    sa.SpanMatrix: lambda: sa.population_block(parts().problem, parts().start),
    sa.State: lambda: parts().start,
    sa.Sweep: lambda: sa.Sweep(
        {"precision": np.linspace(1, 9, 50)}, lambda values: parts().setting, ["statistics"]
    ),
    sa.Theory: lambda: sa.Theory.derive(parts().model),
    sa.Trial: lambda: sa.Trial(parts().setting, 1, 0),
    sa.Update: lambda: sa.Update(momentum="1/2"),
    sa.Variable: lambda: sa.Variable(("replica",), "largest overlap ever"),
    sa.Weight: lambda: sa.Weight.of((0,), (0, 1)),
    # what the ones above hold and hand out
    FreeSymbol: lambda: FreeSymbol(ARGUMENT, sp.Integer(0), sp.oo),
    Statistic: lambda: Statistic("Q", 0, 1),
    Comparison: _comparison,
    DerivationStep: lambda: parts().step,
    Level: lambda: sa.get_level("quick"),
    Stage: lambda: parts().found.stages[0],
    System: lambda: sa.get_system("kgmm"),
    Verdict: lambda: Verdict.HOLDS,
}

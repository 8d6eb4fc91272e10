"""What is judged: a model with the formulas somebody claims for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import xarray as xr

from numerics import (
    CompiledExpressions,
    State,
    compile_expressions,
    integrate_curves,
    population_block,
    population_spectrum,
)
from numerics.alignment.layer_alignment import aligned_layers
from numerics.core.validation import Array
from numerics.spectra.span_matrix import BlockName, SpanMatrix
from theory import (
    BlockMatrix,
    Drift,
    Model,
    ReadoutFeatures,
    derive_drift,
    derive_gradient_matrix,
    derive_hessian,
    derive_readout_features,
)
from theory.errors import brief
from theory.keywords import with_known_keywords
from theory.names import ALMOST_EVERYWHERE
from theory.notebook import short_repr
from theory.problem.model import check_plain
from verify.evidence.systems import Scenario

# the matrices whose sample means data show
MATRICES = ("hessian", "gradient")


@with_known_keywords
@dataclass(frozen=True)
class Theory:
    """A model and the formulas to be judged; by default those the engine derives.

    The Hessian is that of the loss without ridge, as in the statements of arXiv 2310.03010: beta I
    shifts every eigenvalue alike, belongs to no subspace, and would hide how the rest scales with
    1/lambda.

    Replace a field to judge somebody else's formula (or a wrong one on purpose:
    :mod:`verify.mutants.theories`).

    Attributes
    ----------
    model : Model
    drift : Drift
    hessian : BlockMatrix
        What averages of sample Hessians tend to: of a loss with kinks the almost-everywhere one.
    gradient : BlockMatrix
        G.
    curvature : BlockMatrix
        Hessian of the population risk: of a loss with kinks the distributional one.
    features : ReadoutFeatures, optional
        Of a model with readout parameters in one layer.
    layer_features : mapping, name -> ReadoutFeatures
        Of every layer behind the first that has several columns, where there are several layers.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from theory import kgmm
    >>> own = Theory.derive(kgmm(2))
    >>> wrong = replace(own, drift=own.drift.without_corrector())
    >>> wrong.drift.corrector[0, 0], wrong.hessian == own.hessian     # run(theory=wrong) judges it
    (0, True)
    """

    model: Model
    drift: Drift
    hessian: BlockMatrix
    gradient: BlockMatrix
    curvature: BlockMatrix
    features: ReadoutFeatures | None = None
    layer_features: Mapping[str, ReadoutFeatures] = field(default_factory=dict)
    # curves of this very drift, by scenario; a replaced theory starts without
    _curves: dict[str, xr.Dataset] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _compiled: dict[str, CompiledExpressions] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __repr__(self) -> str:
        return short_repr(self, f"of {brief(self.model.name)!r}", f"route {self.drift.route!r}")

    @classmethod
    def derive(cls, model: Model) -> Theory:
        """The engine's own theory of ``model``."""
        check_plain(model, "the checks of the paper's statements")
        curvature = derive_hessian(model, regularized=False)
        hessian = curvature
        if not model.loss.is_smooth:
            hessian = derive_hessian(model, regularized=False, kink_rule=ALMOST_EVERYWHERE)
        drift, gradient = derive_drift(model), derive_gradient_matrix(model)
        if len(model.loss.layers) > 1:
            names = aligned_layers(model)[1:]
            layers = {name: derive_readout_features(model, name) for name in names}
            return cls(model, drift, hessian, gradient, curvature, layer_features=layers)
        features = derive_readout_features(model) if model.readout_size else None
        return cls(model, drift, hessian, gradient, curvature, features)

    @property
    def statistic_names(self) -> list[str]:
        """Names of the statistics, in the order of the state vector."""
        return [str(symbol) for symbol in self.model.symbols.state]

    def blocks(self, matrix: str) -> BlockMatrix:
        """The formulas of a matrix: "hessian", "gradient" or "curvature" (risk-Hessian)."""
        return {"hessian": self.hessian, "gradient": self.gradient, "curvature": self.curvature}[
            matrix
        ]

    def population_block(
        self,
        scenario: Scenario,
        state: State,
        matrix: str,
        block: BlockName,
        tolerance: float | Array | None = None,
    ) -> SpanMatrix:
        """Numbers of a block, on the span of directions and weights, at a state."""
        return population_block(
            self.model,
            scenario.parameters,
            state,
            matrix="gradient" if matrix == "gradient" else "hessian",
            block=block,
            blocks=self.blocks(matrix),
            tolerance=tolerance,
        )

    def population_spectrum(
        self,
        scenario: Scenario,
        state: State,
        matrix: str,
        unit: int,
        tolerance: float | None = None,
    ) -> xr.Dataset:
        """Spectrum of the population block (unit, unit) at a state."""
        return population_spectrum(
            self.model,
            scenario.parameters,
            state,
            matrix=matrix,
            block=(unit, unit),
            blocks=self.blocks(matrix),
            tolerance=tolerance,
        )

    def features_at(self, scenario: Scenario, state: State, layer: str) -> Array:
        """Feature vectors that a layer sees of the components, by the formulas under judgement."""
        vectors = self.layer_features[layer].vectors
        if layer not in self._compiled:
            self._compiled[layer] = compile_expressions(self.model, tuple(vectors), "numpy")
        estimate = self._compiled[layer].estimate(scenario.parameters, state)
        return estimate.values.reshape(vectors.shape)

    def curve(self, scenario: Scenario) -> xr.Dataset:
        """The curve that the drift under judgement predicts for a scenario."""
        if scenario.name not in self._curves:
            self._curves[scenario.name] = integrate_curves(
                self.model,
                scenario.parameters,
                scenario.initial,
                list(scenario.times),
                drift=self.drift,
                tolerance=scenario.tolerance,
            )
        return self._curves[scenario.name]

"""The law of the sample covariance of the features."""

from __future__ import annotations

import numpy as np

from numerics.core.geometry import coordinates_of, span_basis
from numerics.core.parameters import Parameters
from numerics.core.state import State
from numerics.proportional.nodes.weight_law import WeightLaw
from theory import Model

from .noise_covariances import NoiseCovariances


def covariance_law(model: Model, parameters: Parameters) -> WeightLaw:
    """The law of the sample covariance of the features: weight 1, spikes at the means."""
    band = (model.bands,) if model.bands > 1 else ()
    origin = State(np.zeros((*band, 1, model.directions)), np.zeros((*band, 1, 1)))
    basis, covariances = span_basis(parameters, origin), NoiseCovariances.of(model)
    rank, n = basis.rank, model.components
    place = np.concatenate([coordinates_of(model) @ basis.along, np.ones((n, 1))], axis=1)
    noise = np.zeros((covariances.groups, rank + 1, rank + 1))
    for group, variances in zip(noise, covariances.variances, strict=True):
        group[:rank, :rank] = np.diag(variances[basis.bands]) / parameters.precision
    return WeightLaw(
        np.asarray(parameters.weights, dtype=float),
        np.ones((n, 1, 1)),
        1,
        place,
        noise,
        parameters.precision,
        basis,
        covariances=covariances,
        group=np.arange(n) if covariances.groups > 1 else None,
    )

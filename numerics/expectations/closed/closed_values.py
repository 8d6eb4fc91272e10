"""Expressions by closed forms at one state, and what rounding does to them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from numerics.core.covariance.band_arrays import RANK_SHARE
from numerics.core.covariance.token_arrays import means_of_components, over_tokens
from numerics.core.geometry import field_grams, field_statistics
from numerics.core.parameters import Parameters
from numerics.core.validation import Array
from numerics.expectations.component_laws import Parts
from numerics.expectations.evaluation import Evaluator
from numerics.expectations.quadrature import closed_forms

from .closed_moments import FieldLaws

EPS = float(np.finfo(float).eps)
# of a term of a sum
ROUNDING = 16 * EPS


def closed_values(compiled: Evaluator, parameters: Parameters, parts: Parts) -> tuple[Array, Array]:
    """Values of the expressions, and bounds of their rounding errors.

    A bound is infinite where a closed form has no value, or keeps no digit: a division by the
    variance of a pre-activation that does not vary.  ``compiled.closed`` must not be None.
    """
    missed = moment_errors(compiled, parameters, parts)
    values, sizes, added = compiled.values_and_sizes(parameters, parts, closed_forms(), missed)
    with np.errstate(over="ignore", invalid="ignore"):
        errors = added + ROUNDING * sizes
    return values, np.where(np.isfinite(values) & np.isfinite(errors), errors, np.inf)


def moment_errors(compiled: Evaluator, parameters: Parameters, parts: Parts) -> Array:
    """Bounds of the rounding errors of E_l[f_j], shape (L, number of integrands)."""
    assert compiled.closed is not None
    overlap, gram_perp, readout = parts
    *_, laws = compiled.laws.at(parameters, overlap[None], gram_perp[None], readout[None])
    if compiled.model.mixture.bands is not None:
        return _own_errors(compiled, parameters, parts, laws)
    # rounding of means and covariance, which are sums of products
    overlap, gram_perp = field_statistics(compiled.model, parameters, overlap, gram_perp)
    terms = sum(overlap.shape) + 2
    model = compiled.model
    means_error = terms * EPS * np.abs(compiled.coordinates) @ np.abs(overlap).T
    means_error = means_of_components(model, means_error)
    inverse = np.linalg.inv(parameters.directions_gram)
    lost = terms * float(np.linalg.cond(parameters.directions_gram))
    gram_size = np.abs(gram_perp) + lost * np.abs(overlap) @ np.abs(inverse) @ np.abs(overlap).T
    covariance_error = over_tokens(model, 4 * EPS * gram_size / parameters.precision)
    slopes = np.abs(laws[0].inverse[0])
    inverse_error = slopes @ (parameters.precision * covariance_error) @ slopes
    errors = means_error[None], covariance_error[None], inverse_error[None]
    return compiled.closed.rounding(laws[0], *errors)[0]


def _own_errors(
    compiled: Evaluator, parameters: Parameters, parts: Parts, laws: Sequence[FieldLaws]
) -> Array:
    """The same of components with laws of their own: sums over bands too."""
    assert compiled.closed is not None
    model, gamma = compiled.model, parameters.directions_gram
    found = field_grams(model, parameters, *parts[:2])
    overlaps, _ = field_statistics(model, parameters, np.abs(parts[0]), np.abs(parts[1]))
    heights = np.abs(overlaps).reshape(-1, *overlaps.shape[-2:]).sum(axis=0)
    terms = sum(overlaps.shape) + 2
    means_error = terms * EPS * np.abs(compiled.coordinates) @ heights.T
    spectra = np.linalg.eigvalsh(gamma.reshape(-1, *gamma.shape[-2:]))
    lost = 1.0
    for values in spectra:  # of the part that a band has
        held = values[values > RANK_SHARE * values.max(initial=0.0)]
        lost = max(lost, float(held.max() / held.min())) if held.size else lost
    bounds = []
    for l, law in enumerate(laws):
        gram_error = 4 * EPS * terms * lost * found.sizes[l]
        slopes = np.abs(law.inverse[0])
        errors = (
            means_error[None, l : l + 1],
            gram_error[None] / parameters.precision,
            (slopes @ gram_error @ slopes)[None],
        )
        bounds.append(compiled.closed.rounding(law, *errors)[0])
    return np.concatenate(bounds)

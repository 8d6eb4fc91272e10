"""The Gaussian laws of the fields in every component: one that all share, or one for each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from numerics.core.covariance.band_arrays import inverse_of
from numerics.core.covariance.token_arrays import means_of_components, over_tokens
from numerics.core.flatten import held_values
from numerics.core.geometry import (
    coordinates_of,
    field_gram,
    field_grams,
    field_statistics,
    labels_of,
)
from numerics.core.parameters import Parameters
from numerics.core.validation import Array
from theory import Model

from .closed.closed_moments import FieldLaws

# overlap, gram_perp and readout of a state, or of several
Parts = tuple[Array, Array, Array]


class ComponentLaws:
    """Laws of the fields of a model at any state.

    Parameters
    ----------
    model : theory.Model
    whitened : bool
        Whether an integrand needs the pseudo-inverses of the Gram matrices.
    """

    def __init__(self, model: Model, whitened: bool) -> None:
        self._model, self._whitened = model, whitened
        self._labels, self._coordinates = labels_of(model), coordinates_of(model)
        self._inverted = b"", np.zeros((0, 0))

    def at(
        self,
        parameters: Parameters,
        overlap: Array,
        gram_perp: Array,
        readout: Array,
        change: Callable[[Array, int], Array] | None = None,
    ) -> tuple[Array, Array, list[FieldLaws]]:
        """Gram matrices, their inverses, and laws of the fields at states of shape (R, ...).

        One law for all components, or one for each where the noise of these has scales of its own:
        then Gram matrices are those of the units in every band, and inverses those of every
        component.
        """
        precision = parameters.precision
        if self._model.mixture.bands is not None:
            return self._own_laws(parameters, overlap, gram_perp, readout, change)
        overlap, gram_perp = field_statistics(self._model, parameters, overlap, gram_perp)
        inverse_gamma = self._inverse_directions(parameters.directions_gram)
        gram = gram_perp + overlap @ inverse_gamma @ np.swapaxes(overlap, 1, 2)
        if change is not None:
            gram = np.array([change(each, 0) for each in gram])
        inverse = self._inverse_laws(gram)
        model = self._model
        means = means_of_components(model, self._coordinates @ np.swapaxes(overlap, 1, 2))
        # a copy, because code is compiled anew for every memory layout it meets
        v = np.array(held_values(model, parameters, readout, overlap, gram))
        covariance, whitening = over_tokens(model, gram / precision), over_tokens(model, inverse)
        law = FieldLaws(self._labels, means, covariance, whitening, precision, v)
        return gram, inverse, [law]

    def _own_laws(
        self,
        parameters: Parameters,
        overlap: Array,
        gram_perp: Array,
        readout: Array,
        change: Callable[[Array, int], Array] | None,
    ) -> tuple[Array, Array, list[FieldLaws]]:
        """As :meth:`at`, of components with laws of their own."""
        inverse_gamma = self._inverse_directions(parameters.directions_gram)
        gram = gram_perp + overlap @ inverse_gamma @ np.swapaxes(overlap, -1, -2)
        found = field_grams(self._model, parameters, overlap, gram_perp)
        laws = found.laws
        if change is not None:
            laws = np.array([[change(g, l) for l, g in enumerate(each)] for each in laws])
        inverse = self._inverse_laws(laws)
        means = self._coordinates @ np.swapaxes(found.overlap, 1, 2)
        precision = parameters.precision
        v = np.array(held_values(self._model, parameters, readout, overlap, gram))
        return (
            gram,
            inverse,
            [
                FieldLaws(
                    self._labels[l : l + 1],
                    np.ascontiguousarray(means[:, l : l + 1]),
                    laws[:, l] / precision,
                    np.ascontiguousarray(inverse[:, l]),
                    precision,
                    v,
                )
                for l in range(len(self._labels))
            ],
        )

    def _inverse_laws(self, gram: Array) -> Array:
        """Pseudo-inverses of Gram matrices of fields, where an integrand needs them."""
        if not self._whitened:
            return np.zeros_like(gram)
        return np.asarray(np.linalg.pinv(gram, hermitian=True), dtype=float)

    def _inverse_directions(self, gram: Array) -> Array:
        """The inverse of the directions' Gram matrix, remembered: a curve asks for that of the same
        numbers at each step.
        """
        known, inverse = self._inverted
        numbers = gram.tobytes()
        if known != numbers:
            inverse = inverse_of(gram)
            self._inverted = numbers, inverse
        return inverse

    def covariances(self, parameters: Parameters, overlap: Array, gram_perp: Array) -> Array:
        """Covariance of the pre-activations, and of all fields beside them, shape (1, fields,
        fields); one for each component where these have laws of their own.
        """
        if self._model.mixture.bands is not None:
            laws = field_grams(self._model, parameters, overlap, gram_perp).laws
        else:
            laws = field_gram(self._model, parameters, overlap, gram_perp)[1][None]
        return np.asarray(laws / parameters.precision)

    def means(self, parameters: Parameters, overlap: Array) -> Array:
        """Means of the fields in every component, shape (n, fields)."""
        size = self._model.units
        nothing = np.zeros((*overlap.shape[:-2], size, size))
        rows, _ = field_statistics(self._model, parameters, overlap, nothing)
        rows = rows.sum(axis=0) if rows.ndim == 3 else rows  # over bands
        return means_of_components(self._model, np.asarray(self._coordinates @ rows.T))


def gauge_directions(model: Model) -> tuple[Array, Array]:
    """Columns of fields along which the derivatives of the loss are constant, and orthonormal rows
    spanning the rest.
    """
    gauge, fields = model.loss.gauge, len(model.loss.fields)
    if gauge is None:
        return np.zeros((fields, 0)), np.eye(fields)
    null = np.zeros((fields, gauge.cols))
    null[: len(model.loss.preactivation)] = np.array(gauge.tolist(), dtype=float)
    full, _ = np.linalg.qr(null, mode="complete")
    return null, np.ascontiguousarray(full[:, null.shape[1] :].T)

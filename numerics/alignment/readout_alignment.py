r"""Alignment of the layers behind the first: their weights and blocks against their features.

The feature vector of component l is what a layer sees of its mean, :math:`\Phi_l = g(W\mu_l)` for
the second layer of a network of two (:func:`theory.derive_readout_features`; mathematics.md
sections 8 and 13).  A component whose feature is much shorter than the longest is one the network
does not separate: the rank of the layer is the number of the others.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from numerics.core.problem import Problem
from numerics.core.state import State, check_state
from numerics.core.takes_problem import takes_problem
from numerics.core.validation import Array, as_integer, check_kind
from numerics.expectations.compiled import compile_expressions
from theory import InputError, Layer, Model, ReadoutFeatures, derive_readout_features
from theory.problem.layers import layer_of, positions_of

from .eigenspace_angles import eigenspace_share, principal_angles
from .misalignment import vector_misalignment

# features shorter than this share of the longest belong to components that are not separated
SEPARATED_SHARE = 0.3
# features whose singular values are below this share of the largest span nothing more
PARALLEL = 1e-6


@takes_problem(tokens=True)
def readout_features(
    problem: Problem,
    state: State,
    features: ReadoutFeatures | None = None,
    *,
    layer: str | None = None,
) -> Array:
    """Return the feature vector of every component, shape (n, columns of the layer).

    Parameters
    ----------
    problem : Problem
        Or a model and Parameters in its place.
        With readout parameters.
    state : State
    features : theory.ReadoutFeatures, optional
        Evaluate these instead of the derived ones.
    layer : str, optional
        A layer of v by its name; may be left away where there is one.

    Examples
    --------
    >>> from theory import xor
    >>> state = State([[0.5, -1.0]], [[0.0]], [0.3])
    >>> problem = Problem(xor(1), weights=[0.25] * 4, precision=1, ridge=0.1, step=1,
    ...                   directions_gram=np.eye(2))
    >>> readout_features(problem, state).ravel()
    array([0.5, 0. , 0. , 1. ])
    """
    model, parameters = problem.model, problem.parameters
    check_state(model, state, "state")
    given = derive_readout_features(model, layer) if features is None else features
    compiled = compile_expressions(model, tuple(given.vectors), "numpy")
    return compiled.estimate(parameters, state).values.reshape(given.vectors.shape)


@takes_problem(tokens=True)
def readout_alignment(
    problem: Problem,
    state: State,
    spectrum: xr.Dataset,
    *,
    features: ReadoutFeatures | None = None,
    rank: int | None = None,
) -> xr.Dataset:
    r"""Return how a layer behind the first and the top eigenspace of its block align with the
    span of its features.

    With weights V of several rows these are compared with :math:`\mathbb R^{rows}\otimes
    \mathrm{span}_l\,\Phi_l`: every row of V in the span of the features.

    Parameters
    ----------
    problem : Problem
        Or a model and Parameters in its place.
    state : State
        Where the spectrum was computed.
    spectrum : xarray.Dataset
        ``population_spectrum`` or ``empirical_spectrum`` with ``block="readout"``, or that of a
        layer such as ``block="layer 2"``.
    features : theory.ReadoutFeatures, optional
        Evaluate these instead of the derived ones.
    rank : int, optional
        Dimension of the top eigenspace and of the span; by default that of the features of the
        separated components, those longer than ``SEPARATED_SHARE`` of the longest.

    Returns
    -------
    xarray.Dataset
        ``feature_length`` (component); ``rank``; ``top_share``: share of the weights in the top
        ``rank`` eigenvectors; ``feature_share``: share of the weights in the span of the ``rank``
        longest independent features;
        ``feature_angle`` (angle): principal angles of the two subspaces in radians, largest first;
        ``eigenvalue_ratio``: eigenvalue rank + 1 over eigenvalue rank (0 where there is none).

    Raises
    ------
    theory.InputError
        A spectrum of another block; a rank out of range.

    Examples
    --------
    >>> from numerics import Problem, State, population_spectrum
    >>> from theory import xor
    >>> problem = Problem(xor(2), weights=[0.25] * 4, precision=100, ridge=0.01, step=1)
    >>> state = State([[2, 0], [-2, 0]], [[0, 0], [0, 0]], readout=[1, 1])
    >>> spectrum = population_spectrum(problem, state, block="readout")
    >>> found = readout_alignment(problem, state, spectrum)
    >>> int(found["rank"]), found["feature_share"].round(3).item()
    (2, 1.0)
    """
    model = problem.model
    check_state(model, state, "state")
    check_kind("spectrum", spectrum, xr.Dataset, "give a spectrum of a block of the readout")
    layer = _layer_of(model, spectrum)
    weights = state.readout[list(positions_of(model.loss.layers, layer.name))]
    vectors = spectrum[
        "eigenvector_readout" if "eigenvector_readout" in spectrum else "eigenvector"
    ].to_numpy()
    values = spectrum["eigenvalue"].to_numpy()
    phi = readout_features(problem, state, features, layer=layer.name)
    length = np.linalg.norm(phi, axis=1)
    # an odd activation gives opposite means features along one line
    independent = _independent(phi[np.argsort(-length, kind="stable")])
    separated = np.linalg.norm(independent, axis=1) > SEPARATED_SHARE * length.max()
    found = int(separated.sum())
    most = min(len(values), layer.columns, model.components)
    chosen = as_integer(
        "rank", min(found, most) if rank is None else rank, 1, "the readout has rank 1 or more"
    )
    if chosen > most:
        raise InputError(
            "rank", chosen, f"at most {most}", "there are no more features or eigenvectors"
        )
    span = np.kron(np.eye(layer.rows), independent[:chosen])
    top = vectors[:chosen]
    variables: dict[str, Any] = {
        "feature_length": (
            "component",
            length,
            {"long_name": "length of the feature vector", "units": "1"},
        ),
        "rank": (
            (),
            chosen,
            {"long_name": "dimension of the features of separated components", "units": "1"},
        ),
        "top_share": (
            (),
            float(eigenspace_share(top, weights)),
            {"long_name": "share of v in the eigenspace"},
        ),
        "feature_share": (
            (),
            1.0 - float(vector_misalignment(weights, span)) ** 2,
            {"long_name": "share of v in the span of the features"},
        ),
        "feature_angle": (
            "angle",
            principal_angles(top, span),
            {"long_name": "leading eigenspace against the span of the features", "units": "radian"},
        ),
        "eigenvalue_ratio": (
            (),
            float(values[chosen] / values[chosen - 1]) if len(values) > chosen else 0.0,
            {"long_name": "first eigenvalue beyond the rank over the last within", "units": "1"},
        ),
    }
    labels = {"component": np.arange(1, model.components + 1)}
    return xr.Dataset(variables, coords=labels, attrs=spectrum.attrs)


def _independent(vectors: Array) -> Array:
    """The rows that are no combination of those before them."""
    kept = vectors[:1]
    for row in vectors[1:]:
        longer = np.vstack([kept, row])
        if np.linalg.matrix_rank(longer, rtol=PARALLEL) == len(longer):
            kept = longer
    return kept


def _layer_of(model: Model, spectrum: xr.Dataset) -> Layer:
    """The layer of v that a spectrum belongs to."""
    layers, block = model.loss.layers, str(spectrum.attrs.get("block"))
    names = [layer.name for layer in layers]
    if block == "readout" and len(layers) == 1:
        return layers[0]
    if block not in names:
        expected = f"one of the blocks {', '.join(['readout', *names][len(names) > 1 :])}"
        raise InputError("spectrum", f"block {block}", expected, "ask for that block")
    return layer_of(layers, block)

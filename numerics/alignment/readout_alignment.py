r"""Second-layer alignment: the readout and its blocks against the span of the feature vectors.

The feature vector of component l is what the readout sees of its mean, :math:`\Phi_l = g(W\mu_l)`
for a two-layer network (:func:`theory.derive_readout_features`; mathematics.md section 8).  A
component whose feature is much shorter than the longest is one the network does not separate: the
rank of the second layer is the number of the others.
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
from theory import InputError, ReadoutFeatures, derive_readout_features

from .eigenspace_angles import eigenspace_share, principal_angles
from .misalignment import vector_misalignment

# features shorter than this share of the longest belong to components that are not separated
SEPARATED_SHARE = 0.3


@takes_problem
def readout_features(
    problem: Problem, state: State, features: ReadoutFeatures | None = None
) -> Array:
    """Return the feature vector of every component, shape (n, q).

    Parameters
    ----------
    problem : Problem
        Or a model and Parameters in its place.
        With readout parameters.
    state : State
    features : theory.ReadoutFeatures, optional
        Evaluate these instead of the derived ones.

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
    given = derive_readout_features(model) if features is None else features
    compiled = compile_expressions(model, tuple(given.vectors), "numpy")
    return compiled.estimate(parameters, state).values.reshape(model.components, model.readout_size)


@takes_problem
def readout_alignment(
    problem: Problem,
    state: State,
    spectrum: xr.Dataset,
    *,
    features: ReadoutFeatures | None = None,
    rank: int | None = None,
) -> xr.Dataset:
    r"""Return how the readout and the top eigenspace of its block align with the span of the
    features.

    Parameters
    ----------
    problem : Problem
        Or a model and Parameters in its place.
    state : State
        Where the spectrum was computed.
    spectrum : xarray.Dataset
        ``population_spectrum`` or ``empirical_spectrum`` with ``block="readout"``.
    features : theory.ReadoutFeatures, optional
        Evaluate these instead of the derived ones.
    rank : int, optional
        Dimension of the top eigenspace and of the span; by default the number of separated
        components: features longer than ``SEPARATED_SHARE`` of the longest.

    Returns
    -------
    xarray.Dataset
        ``feature_length`` (component); ``rank``; ``top_share``: share of v in the top ``rank``
        eigenvectors; ``feature_share``: share of v in the span of the ``rank`` longest features;
        ``feature_angle`` (angle): principal angles of the two subspaces in radians, largest first;
        ``eigenvalue_ratio``: eigenvalue rank + 1 over eigenvalue rank (0 where there is none).

    Raises
    ------
    theory.InputError
        A spectrum of another block; a rank out of range.
    """
    check_state(problem.model, state, "state")
    check_kind("spectrum", spectrum, xr.Dataset, "give a spectrum of the block 'readout'")
    if str(spectrum.attrs.get("block")) != "readout":
        raise InputError(
            "spectrum",
            f"block {spectrum.attrs.get('block')}",
            "block 'readout'",
            "ask for that block",
        )
    vectors = spectrum[
        "eigenvector_readout" if "eigenvector_readout" in spectrum else "eigenvector"
    ].to_numpy()
    values = spectrum["eigenvalue"].to_numpy()
    phi = readout_features(problem, state, features)
    length = np.linalg.norm(phi, axis=1)
    found = int(np.sum(length > SEPARATED_SHARE * length.max())) if rank is None else rank
    most = min(len(values), problem.model.components)
    chosen = as_integer(
        "rank", min(found, most) if rank is None else rank, 1, "the readout has rank 1 or more"
    )
    if chosen > most:
        raise InputError(
            "rank", chosen, f"at most {most}", "there are no more features or eigenvectors"
        )
    top, longest = vectors[:chosen], phi[np.argsort(-length, kind="stable")[:chosen]]
    variables: dict[str, Any] = {
        "feature_length": (
            "component",
            length,
            {"long_name": "length of the feature vector", "units": "1"},
        ),
        "rank": ((), chosen, {"long_name": "number of separated components", "units": "1"}),
        "top_share": (
            (),
            float(eigenspace_share(top, state.readout)),
            {"long_name": "share of v in the eigenspace"},
        ),
        "feature_share": (
            (),
            1.0 - float(vector_misalignment(state.readout, longest)) ** 2,
            {"long_name": "share of v in the span of the features"},
        ),
        "feature_angle": (
            "angle",
            principal_angles(top, longest),
            {"long_name": "leading eigenspace against the span of the features", "units": "radian"},
        ),
        "eigenvalue_ratio": (
            (),
            float(values[chosen] / values[chosen - 1]) if len(values) > chosen else 0.0,
            {"long_name": "first eigenvalue beyond the rank over the last within", "units": "1"},
        ),
    }
    labels = {"component": np.arange(1, problem.model.components + 1)}
    return xr.Dataset(variables, coords=labels, attrs=spectrum.attrs)

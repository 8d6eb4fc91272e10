"""Linear stability of the effective dynamics: the Jacobian of the drift and its eigenvalues, with
errors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg
import xarray as xr
from numpy.typing import NDArray

from numerics.core.covariance.band_arrays import inverse_of
from numerics.core.geometry import law_eigenvalues
from numerics.core.parameters import Parameters
from numerics.core.problem import Problem
from numerics.core.results import common_attributes
from numerics.core.state import State, check_state
from numerics.core.takes_problem import takes_problem
from numerics.core.validation import Array
from numerics.expectations.compiled import CompiledExpressions, compile_expressions
from numerics.expectations.families import family_rules
from numerics.expectations.quadrature import Rule, replicate_error
from theory import Drift, InputError, Model, derive_drift

from .integration.flow_field import right_hand_side

# step of the central differences: error h^4 after extrapolation, rounding eps / h
STEP = 2e-3
# an eigenvalue within this error of zero, relative to the largest, is said to be zero
NEUTRAL_ERROR = 1e-6
# Q is singular when its smallest eigenvalue is below this share of its largest
SINGULAR = 1e-10

Field = Callable[[Array], Array]


@takes_problem(bands=True, tokens=True)
def drift_jacobian(
    problem: Problem, state: State, *, drift: Drift | None = None, seed: int = 0
) -> xr.Dataset:
    r"""Return the Jacobian of the effective drift and its eigenvalues, with error estimates.

    .. math:: J_{ij} = \partial F_i/\partial s_j,\qquad s = (m, R_\perp\text{ upper triangle}, v)

    by central differences of two steps h and h/2, extrapolated; Q = R_perp + m Gamma^-1 m^T moves
    along (mathematics.md section 4).  With bands the eigenvalues are those on the changes that
    weights can have: a band changes no overlap with what it does not hold.

    Parameters
    ----------
    problem : Problem
        Or a model and Parameters in its place.
    state : State
        Q must be positive definite on the directions of u the loss depends on (for the softmax: up
        to the gauge).
    drift : theory.Drift, optional
        Use this drift instead of the derived one.
    seed : int
        Root seed of quasi-Monte Carlo scramblings.

    Returns
    -------
    xarray.Dataset
        ``jacobian`` and ``jacobian_error`` (statistic, statistic_b) in the order of the state
        vector; ``jacobian_eigenvalue_real`` and ``jacobian_eigenvalue_imag`` (eigen), largest real
        part first, each within ``jacobian_eigenvalue_error`` (Bauer-Fike).  attrs ``stable`` is 1
        when all real parts are negative beyond the error, else 0; ``stability`` is "stable",
        "unstable", "neutral" (the largest real part is zero within a small error: the linear motion
        does not decide, as along a family of fixed points) or "undecided" (within a large one);
        ``neutral_directions`` counts the real parts that are zero within the error.

    Raises
    ------
    theory.InputError
        Bad shapes, or a singular Q: the drift is not differentiable in R_perp at the edge of its
        domain.

    Examples
    --------
    A square loss at lambda = 4, beta = 1/2: -(1 + 1/lambda + beta) m, -(2/lambda + 2 beta) R + (m^2
    + Q/lambda)/lambda:

    >>> from theory import Loss, Mixture, Model, symbols
    >>> u = symbols.vector("u", 1)
    >>> one = Mixture.build(weights=[1], labels=[0], coordinates=[[1]], directions_gram=[[1]])
    >>> model = Model.build(one, Loss(u[0]**2 / 2, units=1))
    >>> found = drift_jacobian(model, Parameters([1], 4, 0.5, 1), State([[1]], [[1]]))
    >>> found.jacobian_eigenvalue_real.values.round(6)
    array([-1.4375, -1.75  ])
    """
    model, parameters = problem.model, problem.parameters
    check_state(model, state, "state")
    derived = default_drift(model, drift)
    compiled = compile_expressions(model, derived.vector)
    steps = _steps(compiled, parameters, state)
    rule = compiled.estimate(problem, state, seed=seed).rule
    vector = state.flatten()
    found = [
        _differences(autonomous_field(compiled, parameters, rule, i), vector, steps)
        for i in range(rule.replicates)
    ]
    jacobians = np.array([j for j, _ in found])
    jacobian, error = jacobians.mean(axis=0), np.max([e for _, e in found], axis=0)
    if rule.replicates > 1:
        error = error + replicate_error(jacobians)
    elif compiled.dimension and rule.kind != "closed":
        rules = family_rules(rule.kind, rule.dimension)
        sizes = [r.size for r in rules]
        coarser = rules[max(0, sizes.index(rule.size) - 1)]
        other = autonomous_field(compiled, parameters, coarser, 0)
        error = error + np.abs(jacobian - _differences(other, vector, steps)[0])
    moving = possible_changes(problem)
    values, eigenvalue_error = _eigenvalues(
        moving.T @ jacobian @ moving, np.abs(moving.T) @ error @ np.abs(moving)
    )
    top = float(values.real.max())
    neutral = int(np.sum(np.abs(values.real) <= eigenvalue_error))
    stability = "undecided"
    if abs(top) > eigenvalue_error:
        stability = "stable" if top < 0 else "unstable"
    elif eigenvalue_error <= NEUTRAL_ERROR * (1.0 + float(np.abs(values).max())):
        stability = "neutral"
    names = np.array([str(s) for s in model.symbols.state])
    variables: dict[str, Any] = {
        "jacobian": (("statistic", "statistic_b"), jacobian),
        "jacobian_error": (("statistic", "statistic_b"), error),
        "jacobian_eigenvalue_real": ("eigen", values.real, {"units": "1 / time"}),
        "jacobian_eigenvalue_imag": ("eigen", values.imag, {"units": "1 / time"}),
        "jacobian_eigenvalue_error": ((), eigenvalue_error),
    }
    attributes = common_attributes(model, parameters, "Jacobian of the effective drift") | {
        "stable": int(stability == "stable"),
        "stability": stability,
        "neutral_directions": neutral,
        "quadrature": str(rule),
        "route": derived.route,
        "seed": seed,
        "error_estimate": float(error.max()),
        "error_meaning": "largest error of a Jacobian entry: central differences and quadrature",
    }
    labels = {"statistic": names, "statistic_b": names, "eigen": np.arange(1, values.size + 1)}
    return xr.Dataset(variables, coords=labels, attrs=attributes)


def possible_changes(problem: Problem) -> Array:
    """An orthonormal basis, as columns, of the changes of the state vector that weights can have.

    All of them, but for overlaps with what a band does not hold of the directions.
    """
    model, gamma = problem.model, problem.parameters.directions_gram
    identity = np.eye(len(model.symbols.state))
    if gamma.ndim == 2:
        return identity
    r, rows = model.directions, model.units * model.directions
    columns = []
    for g, onto in enumerate(inverse_of(gamma) @ gamma):
        values, vectors = np.linalg.eigh((onto + onto.T) / 2)
        held = vectors[:, values > 0.5]
        for a in range(model.units):
            begin = g * rows + a * r
            columns.append(identity[:, begin : begin + r] @ held)
    columns.append(identity[:, model.bands * rows :])
    return np.concatenate(columns, axis=1)


def default_drift(model: Model, drift: Drift | None) -> Drift:
    """The given drift, or the derived one: by Stein's identity, whose deltas need kinks that are
    affine in u.
    """
    return derive_drift(model) if drift is None else drift


def autonomous_field(
    compiled: CompiledExpressions, parameters: Parameters, rule: Rule, replicate: int
) -> Field:
    """The drift as a function of the state vector, with one replicate of a quadrature rule."""
    field = right_hand_side(compiled, parameters, rule, replicate)
    return lambda vector: field(0.0, vector)


def integrated_gram_eigenvalues(
    compiled: CompiledExpressions, parameters: Parameters, state: State
) -> Array:
    """Eigenvalues of Q, or of the Gram matrix of all fields, on the directions that the loss
    depends on, smallest first.
    """
    return law_eigenvalues(
        compiled.model, parameters, state.overlap, state.gram_perp, compiled.quadrature_basis
    )


def is_singular(eigenvalues: Array) -> bool:
    """Whether a Gram matrix with these eigenvalues, smallest first, is too close to singular for a
    Jacobian.
    """
    return bool(eigenvalues[0] <= SINGULAR * eigenvalues[-1] or eigenvalues[-1] <= 0)


def _steps(compiled: CompiledExpressions, parameters: Parameters, state: State) -> Array:
    """Difference steps: fixed for overlaps and readout; for R_perp inside the cone of Q > 0."""
    model = compiled.model
    eigenvalues = integrated_gram_eigenvalues(compiled, parameters, state)
    if is_singular(eigenvalues):
        raise InputError(
            "state",
            f"Gram matrix Q with eigenvalues {eigenvalues.tolist()} along the integration "
            "directions",
            "a positive definite Q",
            "the drift has no two-sided derivative in R_perp at a singular Q; add noise to R_perp",
        )
    size = model.bands * model.units * model.directions
    gram = model.bands * model.units * (model.units + 1) // 2
    inside = min(STEP, 0.05 * float(eigenvalues[0]))
    return np.concatenate(
        [np.full(size, STEP), np.full(gram, inside), np.full(model.readout_size, STEP)]
    )


def _differences(field: Field, vector: Array, steps: Array) -> tuple[Array, Array]:
    """Extrapolated central differences and a bound of their error."""
    n = vector.size
    coarse, fine, rounding = (np.empty((n, n)) for _ in range(3))
    for j, h in enumerate(steps):
        shift = np.zeros(n)
        for out, step in ((coarse, h), (fine, h / 2)):
            shift[j] = step
            up, down = field(vector + shift), field(vector - shift)
            out[:, j] = (up - down) / (2 * step)
        # sums of a few hundred terms of order 1
        rounding[:, j] = 32 * np.finfo(float).eps * (1 + np.abs(up)) / h
    best = (4 * fine - coarse) / 3
    return best, np.abs(best - fine) + rounding


def _eigenvalues(jacobian: Array, error: Array) -> tuple[NDArray[np.complex128], float]:
    """Eigenvalues, largest real part first, and the Bauer-Fike bound of their error."""
    values, vectors = scipy.linalg.eig(jacobian)
    order = np.lexsort((-values.imag, -values.real))
    try:
        inverse = np.linalg.inv(vectors)
    except np.linalg.LinAlgError:
        return values[order], float("inf")  # a defective Jacobian: no first-order bound exists
    return values[order], float(np.linalg.norm(np.abs(inverse) @ error @ np.abs(vectors), 2))

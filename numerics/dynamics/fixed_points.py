"""Fixed points of the effective dynamics at finite lambda, with the Jacobian that decides their
stability.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from numerics.core.covariance.band_arrays import inverse_of
from numerics.core.errors import FixedPointError
from numerics.core.flatten import unflatten
from numerics.core.problem import Problem
from numerics.core.results import unit_coordinates
from numerics.core.state import State, check_state, nearest_psd
from numerics.core.takes_problem import takes_problem
from numerics.core.tolerance import warn_of_tolerance
from numerics.core.validation import Array, as_generator, as_integer, as_scalar
from numerics.expectations.compiled import compile_expressions
from numerics.expectations.quadrature import INTERVAL
from theory import Drift, InputError, symbols

from .jacobian import default_drift, drift_jacobian
from .root_refinement import Root, find_root
from .root_search import NUDGE, ZERO, RootSearch

# error asked of the drift at a root by the rule that checks it
WITNESS_TOLERANCE = 1e-13
# singular values of a Jacobian below this share of the largest are rounding
ROUNDING = 1e-12
# a root that the check would move by this share of the state is none
CREDIBLE = 1e-3
# states whose largest statistics differ by this share are different fixed points
DISTINCT = 1e-3
# scales of R_perp, and of random overlaps, from which the flow is followed to other fixed points
OTHER_STARTS = ((0.04, 0.0), (25.0, 0.0), (1.0, 2.0), (1.0, 2.0))


@takes_problem(bands=True, tokens=True)
def solve_fixed_point(
    problem: Problem,
    start: State | None = None,
    *,
    tolerance: float | None = None,
    drift: Drift | None = None,
    seed: int = 0,
) -> xr.Dataset:
    r"""Solve for a fixed point of the effective dynamics, F(m, R_perp, v) = 0, and its stability.

    .. math:: F(s;\lambda,\beta,c_\delta,p,\Gamma) = 0,\qquad J = \partial F/\partial s

    with F of :func:`theory.derive_drift`, corrector included (mathematics.md section 4).  Newton's
    method (Powell's hybrid) from ``start``; if it does not converge, or ends where Q is singular,
    the flow is followed first.  The quadrature is refined until the fixed point stops moving, and
    the drift there computed once more by a rule chosen for this state alone.

    Parameters
    ----------
    problem : Problem
        Or a model and Parameters in its place.  Without a ridge there is a fixed point where noise
        confines the weights, as that of features or labels does.
    start : State, optional
        Where to start.  Omitted: overlap 0 and R_perp = I, following the flow, and a few other
        starts are followed too; for models without readout only, because others have several fixed
        points.
    tolerance : float, optional
        Absolute error of the statistics; 1e-8 for deterministic quadrature and 1e-4 for quasi-Monte
        Carlo when omitted.
    drift : theory.Drift, optional
        Use this drift instead of the derived one (for instance ``without_corrector()``).
    seed : int
        Root seed of quasi-Monte Carlo scramblings, and of the other starts.

    Returns
    -------
    xarray.Dataset
        ``overlap`` (unit, direction), ``gram_perp``, ``gram`` (unit, unit_b), ``readout``
        (parameter), ``other_root`` (other, statistic), the state vectors of other fixed points that
        the other starts led to, and the variables of :func:`drift_jacobian` there.  attrs:
        ``residual`` (largest entry of the drift), ``error_estimate`` (of any statistic), ``stable``
        (1 or 0), ``stability``, ``neutral_directions``, ``route_to_root``, ``other_starts`` (how
        many were followed).

    Raises
    ------
    theory.InputError
        No start for a model with readout, or bad shapes.
    FixedPointError
        No convergence; convergence to a fixed point at which Q is singular, such as zero, where
        the drift has no Jacobian to decide the stability; or a root that another quadrature rule
        does not confirm.  Names the residual.

    Warns
    -----
    ToleranceWarning
        The error estimate is larger than the tolerance.

    Examples
    --------
    The gap m_11 - m_21 of two orthonormal classes solves beta s (e^s + 1) = 1 as lambda ->
    infinity:

    >>> from numerics import Parameters
    >>> from theory import kgmm
    >>> point = solve_fixed_point(kgmm(2), Parameters([0.5, 0.5], 1e6, 0.1, 1))
    >>> s = float(point.overlap[0, 0] - point.overlap[1, 0])
    >>> bool(abs(0.1 * s * (np.exp(s) + 1) - 1) < 1e-5), point.attrs["stability"]
    (True, 'stable')
    """
    model, parameters = problem.model, problem.parameters
    seed = as_integer("seed", seed, 0, "seeds are non-negative integers")
    own_start = start is None
    start = _default_start(problem) if start is None else start
    check_state(model, start, "start")
    _check_update(problem)
    if tolerance is not None:
        tolerance = as_scalar("tolerance", tolerance, 0.0, True, "give an absolute error")
    derived = default_drift(model, drift)
    search = RootSearch(compile_expressions(model, derived.vector), parameters)
    root = find_root(search, start, not own_start, tolerance, seed)
    overlap, gram_perp, readout = unflatten(root.vector, model)
    state = State(overlap, nearest_psd(gram_perp), readout)
    if search.is_degenerate(root.vector):
        raise _singular(problem, state, root.residual)
    data = drift_jacobian(problem, state, drift=derived, seed=seed)
    checked = _check(search, root, state, data, seed)
    warn_of_tolerance(
        f"the fixed point of {model.name}", checked.error, root.tolerance, f"{root.rule} ends here"
    )
    tried = own_start and root.rule.replicates == 1 and not data.attrs["neutral_directions"]
    starts = _other_starts(problem, seed) if tried else []
    band = ("band",) if model.bands > 1 else ()
    pair = (*band, "unit", "unit_b")
    variables = {
        "overlap": ((*band, "unit", "direction"), overlap),
        "gram_perp": (pair, state.gram_perp),
        "gram": (pair, state.gram(parameters.directions_gram)),
        "readout": ("parameter", readout),
        "other_root": (("other", "statistic"), _other_roots(search, root, starts)),
    }
    names = unit_coordinates(model) | {"unit_b": np.arange(1, model.units + 1)}
    return (
        data.assign(variables)
        .assign_coords(names)
        .assign_attrs(
            source="fixed point of the effective dynamics",
            residual=checked.residual,
            error_estimate=checked.error,
            error_meaning=(
                "largest absolute error of a statistic: two resolutions of the quadrature or "
                f"{INTERVAL}, and |J^-1| times the drift there by a rule of its own"
            ),
            tolerance=root.tolerance,
            quadrature=str(root.rule),
            route_to_root=root.path,
            other_starts=len(starts),
            route=derived.route,
            seed=seed,
        )
    )


@dataclass(frozen=True)
class _Checked:
    residual: float
    error: float


def _check(
    search: RootSearch, root: Root, state: State, jacobian: xr.Dataset, seed: int
) -> _Checked:
    """The drift at a root by a rule chosen for this state, and what it says of the error.

    A root of one rule may be an artefact of its nodes.  The drift with its error, times |J^-1|,
    bounds how far the true root is.  Directions in which nothing moves are left out: there every
    point is one.
    """
    witness = search.compiled.estimate(
        search.parameters,
        state,
        tolerance=WITNESS_TOLERANCE if root.rule.replicates == 1 else root.tolerance,
        seed=seed + 1,
    )
    drift, doubt = np.abs(witness.values), witness.errors
    # scramblings are no rule but a sample: what their own error explains says nothing of the root
    beyond = drift + doubt if witness.rule.replicates == 1 else np.maximum(drift - doubt, 0.0)
    inverse = np.abs(_inverse(jacobian))
    moved = float((inverse @ np.maximum(beyond, root.residual)).max(initial=0.0))
    size = float(np.abs(root.vector).max(initial=0.0))
    if not moved <= CREDIBLE * (1.0 + size) + root.error:
        raise FixedPointError(
            f"the fixed point of {search.compiled.model.name} found with {root.rule} is not "
            f"confirmed: by {witness.rule} the drift there is {drift.max():.3g}, known to "
            f"{doubt.max():.3g}, which may move it by {moved:.3g}; start closer, or raise the "
            "precision",
            float(drift.max()),
        )
    # doubled for what is not linear; scrambled roots share the error of a check by other ones
    error = min(root.error + moved, 2 * moved) if root.rule.replicates == 1 else root.error + moved
    rounding = 8 * np.finfo(float).eps * (1.0 + size)
    return _Checked(max(root.residual, float(drift.max())), error + rounding)


def _check_update(problem: Problem) -> None:
    """Refuse updates that leave a part of the weights where it is: Newton's method would move it.

    Fixed points are then families, one for every place of what stands still.
    """
    model, rule = problem.model, problem.model.rule
    if rule is None:
        return
    value = {symbols.RIDGE: problem.parameters.ridge}
    decays = [rule.decay[a, a] for a in range(model.units)] + list(rule.readout_decay)
    still = [bool(e.xreplace(value) == 0) for e in decays]
    frozen = any(s and slope == 0 for s, slope in zip(still, rule.slopes, strict=True))
    if rule.project is not None or frozen or any(still) != all(still):
        remedy = "follow the curve to a late time: integrate_curves"
        expected = "an update that moves all weights, with a ridge on all of them or on none"
        raise InputError("model", f"{model.name} with {model.update!r}", expected, remedy)


def _inverse(jacobian: xr.Dataset) -> Array:
    """Inverse of the Jacobian on the directions in which it is known to move something."""
    left, values, right = np.linalg.svd(jacobian.jacobian.to_numpy())
    unknown = np.linalg.norm(jacobian.jacobian_error.to_numpy(), 2)
    moving = values > max(unknown, ROUNDING * values[0])
    inverse: Array = (right[moving].T / values[moving]) @ left[:, moving].T
    return inverse


def _default_start(problem: Problem) -> State:
    model = problem.model
    if model.readout_size:
        raise InputError(
            "start",
            None,
            "a State",
            f"the model {model.name} has readout parameters and may have several fixed points",
        )
    return State.zero(problem)


def _other_starts(problem: Problem, seed: int) -> list[State]:
    """Starts with other sizes of R_perp, and with random overlaps.

    Those without overlaps stand on the other side of a symmetric saddle than the default start.
    Every band has its share.
    """
    still, generator = State.zero(problem), as_generator(seed)
    gamma = problem.parameters.directions_gram
    held = inverse_of(gamma) @ gamma if problem.model.bands > 1 else np.eye(gamma.shape[-1])
    return [
        State(
            (spread * generator.normal(size=still.overlap.shape) - NUDGE) @ held,
            size * still.gram_perp,
        )
        for size, spread in OTHER_STARTS
    ]


def _other_roots(search: RootSearch, root: Root, starts: list[State]) -> Array:
    """Fixed points that the flow leads to from the other starts, without the one known."""
    known = [root.vector]
    for start in starts:
        try:
            point, _ = search.first_root(start, root.rule, False)
        except FixedPointError:
            continue
        if search.is_degenerate(point):
            continue
        far = DISTINCT * (1.0 + np.abs(point).max())
        if all(np.abs(point - other).max() > far for other in known):
            known.append(point)
    return np.reshape(known[1:], (-1, root.vector.size))


def _singular(problem: Problem, state: State, residual: float) -> FixedPointError:
    """What to say of a fixed point without a Jacobian."""
    largest = float(np.abs(state.flatten()).max())
    gram = np.linalg.eigvalsh(state.gram(problem.parameters.directions_gram)).ravel()
    where = "the zero fixed point" if largest <= ZERO else "a fixed point"
    return FixedPointError(
        f"the solver arrived at {where} of {problem.model.name}, where Q is singular (eigenvalues "
        f"{', '.join(f'{x:.2g}' for x in gram)}): the drift has no derivative in R_perp there, and "
        "the stability is undecided. If another fixed point is meant, start closer to it: at the "
        "end of a curve, sa.solve_curve(model, parameters, initial, T).state(T), or at the "
        "noiseless closed form",
        residual,
    )

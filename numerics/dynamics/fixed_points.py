"""Fixed points of the effective dynamics at finite lambda, with the Jacobian that decides their
stability.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.optimize
import xarray as xr
from scipy.integrate import solve_ivp

from numerics.core.errors import FixedPointError
from numerics.core.flatten import unflatten
from numerics.core.parameters import Parameters
from numerics.core.problem import Problem
from numerics.core.results import unit_coordinates
from numerics.core.state import State, check_state
from numerics.core.takes_problem import takes_problem
from numerics.core.validation import Array, as_integer, as_scalar
from numerics.expectations.compiled import CompiledExpressions, compile_expressions
from numerics.expectations.families import family_rules, run_family, unseen_error
from numerics.expectations.quadrature import MAX_PANEL_DIMENSION, Rule, replicate_error, sobol
from theory import Drift, InputError, Model

from .jacobian import (
    Field,
    autonomous_field,
    default_drift,
    drift_jacobian,
    integrated_gram_eigenvalues,
    is_singular,
)
from .refinement import SOBOL_REPLICATES

# a root of the field is accepted when the field is this small relative to the size of the state
ROOT_RESIDUAL = 1e-10
# lengths of the relaxation tried before Newton's method, in units of the slowest linear time 1 /
# beta
FLOW_TIMES = (4.0, 16.0, 64.0)
# statistics below this are those of the zero fixed point, up to the accuracy of the flow
ZERO = 1e-5
# the flow that has come this close to 0 is taken to lead there
NEAR_ZERO = 1e-2
# growth of the state by this factor is divergence
DIVERGED = 1e4


@takes_problem
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
    the flow is followed first.  The quadrature is refined until the fixed point stops moving.

    Parameters
    ----------
    problem : Problem
        Or a model and Parameters in its place.
        ridge > 0: without it nothing confines the weights.
    start : State, optional
        Where to start.  Omitted: overlap 0 and R_perp = I, following the flow; for models without
        readout only, because others have several fixed points.
    tolerance : float, optional
        Absolute error of the statistics; 1e-8 for tensor quadrature and 1e-4 for quasi-Monte Carlo
        when omitted.
    drift : theory.Drift, optional
        Use this drift instead of the derived one (for instance ``without_corrector()``).
    seed : int
        Root seed of quasi-Monte Carlo scramblings.

    Returns
    -------
    xarray.Dataset
        ``overlap`` (unit, direction), ``gram_perp``, ``gram`` (unit, unit_b), ``readout``
        (parameter), and the variables of :func:`drift_jacobian` there.  attrs: ``residual``
        (largest entry of the drift), ``error_estimate`` (two resolutions of the quadrature, or a 99
        % interval over scramblings, plus residual times the norm of the inverse Jacobian),
        ``stable`` (1 or 0), ``stability``, ``route_to_root``.

    Raises
    ------
    theory.InputError
        ridge = 0, no start for a model with readout, or bad shapes.
    FixedPointError
        No convergence, or convergence to a fixed point at which Q is singular, such as zero, where
        the drift has no Jacobian to decide the stability; names the residual.

    Examples
    --------
    The gap m_11 - m_21 of two orthonormal classes solves beta s (e^s + 1) = 1 as lambda ->
    infinity:

    >>> from theory import kgmm
    >>> point = solve_fixed_point(kgmm(2), Parameters([0.5, 0.5], 1e6, 0.1, 1))
    >>> s = float(point.overlap[0, 0] - point.overlap[1, 0])
    >>> bool(abs(0.1 * s * (np.exp(s) + 1) - 1) < 1e-5), point.attrs["stability"]
    (True, 'stable')
    """
    model, parameters = problem.model, problem.parameters
    if parameters.ridge == 0:
        raise InputError(
            "ridge", 0, "a number > 0", "without a ridge there is no finite fixed point"
        )
    seed = as_integer("seed", seed, 0, "seeds are non-negative integers")
    given = start is not None
    if start is None:
        start = _default_start(model)
    check_state(model, start, "start")
    derived = default_drift(model, drift)
    compiled = compile_expressions(model, derived.vector)
    if tolerance is not None:
        tolerance = as_scalar("tolerance", tolerance, 0.0, True, "give an absolute error")
    parts = (start.overlap, start.gram_perp, start.readout)
    family = (
        run_family(compiled, parameters, [parts], tolerance)
        if compiled.integrands
        else "gauss-hermite"
    )
    found = _solve(compiled, parameters, start, given, family, tolerance, seed)
    if found is None:
        # pre-activations have widened beyond what Gauss-Hermite nodes resolve
        family = "panels" if compiled.dimension <= MAX_PANEL_DIMENSION else "sobol"
        found = _solve(compiled, parameters, start, given, family, tolerance, seed)
    assert found is not None
    root, path, wanted = found
    overlap, gram_perp, readout = unflatten(root.vector, model)
    state = State(overlap, _clip(gram_perp), readout)
    if _is_degenerate(compiled, parameters, root.vector):
        raise _singular(model, state, parameters, root.residual)
    jacobian = drift_jacobian(model, parameters, state, drift=derived, seed=seed)
    inverse = np.linalg.norm(np.linalg.inv(jacobian.jacobian.values), 2)
    rounding = 8 * np.finfo(float).eps * float(np.abs(root.vector).max())
    names = unit_coordinates(model) | {"unit_b": np.arange(1, model.units + 1)}
    pair = ("unit", "unit_b")
    data = jacobian.assign(
        {
            "overlap": (("unit", "direction"), overlap),
            "gram_perp": (pair, state.gram_perp),
            "gram": (pair, state.gram(parameters.directions_gram)),
            "readout": ("parameter", readout),
        }
    ).assign_coords(names)
    return data.assign_attrs(
        source="fixed point of the effective dynamics",
        residual=root.residual,
        error_estimate=root.error + float(inverse) * root.residual + rounding,
        error_meaning="largest absolute error of a statistic: quadrature, and residual times |J^-1|",
        tolerance=wanted,
        quadrature=str(root.rule),
        route_to_root=path,
        route=derived.route,
        seed=seed,
    )


@dataclass(frozen=True)
class _Root:
    vector: Array
    residual: float
    error: float
    rule: Rule


def _default_start(model: Model) -> State:
    if model.readout_size:
        raise InputError(
            "start",
            None,
            "a State",
            f"the model {model.name} has readout parameters and may have several fixed points",
        )
    return State(np.zeros((model.units, model.directions)), np.eye(model.units))


def _newton(field: Field, vector: Array) -> tuple[Array, float, bool]:
    """Solve field = 0 from ``vector``; returns the point, its residual and whether it is a root."""
    found = scipy.optimize.root(field, vector, method="hybr", options={"xtol": 1e-13})
    point = np.asarray(found.x, dtype=float)
    residual = float(np.abs(field(point)).max())
    return point, residual, bool(residual <= ROOT_RESIDUAL * (1.0 + np.abs(point).max()))


def _first_root(
    compiled: CompiledExpressions, parameters: Parameters, start: State, rule: Rule, given: bool
) -> tuple[Array, str]:
    """A root with a coarse rule: Newton from the start if it was given, then from further and
    further down the flow.
    """
    model = compiled.model
    field = autonomous_field(compiled, parameters, rule, 0)
    residual = float(np.abs(field(start.flatten())).max())
    if given:
        point, residual, found = _newton(field, start.flatten())
        if found and _is_state(point, model) and not _is_degenerate(compiled, parameters, point):
            return point, "Newton"
    vector = start.flatten()
    for multiple in FLOW_TIMES:
        time = multiple / parameters.ridge
        vector, diverged = _follow(field, vector, time)
        residual = float(np.abs(field(vector)).max())
        if diverged:
            raise FixedPointError(
                f"no fixed point of {model.name} was found: from this start the dynamics diverge (residual "
                f"{residual:.3g}); take a smaller step c_delta",
                residual,
            )
        point, residual, found = _newton(field, vector)
        # a jump to a singular Q counts only where the flow itself has come there
        settled = not _is_degenerate(compiled, parameters, point) or bool(
            np.abs(vector).max() <= NEAR_ZERO
        )
        found = found and _is_state(point, model)
        if found and (settled or multiple == FLOW_TIMES[-1]):
            return point, f"flow over t = {time:g}, then Newton"
    raise FixedPointError(
        f"no fixed point of {model.name} was found: the drift is still {residual:.3g}; start closer, or take "
        "a smaller step c_delta",
        residual,
    )


def _follow(field: Field, vector: Array, time: float) -> tuple[Array, bool]:
    """Follow the flow roughly, to get near an attractor; the flag says that it diverges."""
    limit = DIVERGED * (1.0 + np.abs(vector).max())

    def escaped(_: float, s: Array) -> float:
        return float(limit - np.abs(s).max())

    escaped.terminal = True  # type: ignore[attr-defined]
    found = solve_ivp(
        lambda _, s: field(s),
        (0.0, time),
        vector,
        method="RK45",
        rtol=1e-4,
        atol=1e-6,
        events=escaped,
    )
    return found.y[:, -1], found.status != 0


def _is_state(vector: Array, model: Model) -> bool:
    """A root with a Gram matrix that is not positive semidefinite is none."""
    _, gram_perp, _ = unflatten(vector, model)
    lowest = np.linalg.eigvalsh(gram_perp)
    return bool(lowest[0] > -1e-8 * (1.0 + lowest[-1]))


def _is_degenerate(compiled: CompiledExpressions, parameters: Parameters, vector: Array) -> bool:
    """A root at which Q is singular or 0, which Newton's method may reach by a jump from far away."""
    overlap, gram_perp, readout = unflatten(vector, compiled.model)
    eigenvalues = integrated_gram_eigenvalues(
        compiled, parameters, State(overlap, _clip(gram_perp), readout)
    )
    return is_singular(eigenvalues) or bool(eigenvalues[-1] <= ZERO**2)


def _singular(
    model: Model, state: State, parameters: Parameters, residual: float
) -> FixedPointError:
    """What to say of a fixed point without a Jacobian."""
    largest = float(np.abs(state.flatten()).max())
    gram = np.linalg.eigvalsh(state.gram(parameters.directions_gram))
    where = "the zero fixed point" if largest <= ZERO else "a fixed point"
    return FixedPointError(
        f"the solver arrived at {where} of {model.name}, where Q is singular (eigenvalues "
        f"{', '.join(f'{x:.2g}' for x in gram)}): the drift has no derivative in R_perp there, and the stability is "
        "undecided. If another fixed point is meant, start closer to it: at the end of a curve, "
        "numerics.solve_curve(model, parameters, initial, T).state(T), or at the noiseless closed form",
        residual,
    )


def _polish(
    compiled: CompiledExpressions, parameters: Parameters, vector: Array, rule: Rule, i: int
) -> _Root:
    point, residual, found = _newton(autonomous_field(compiled, parameters, rule, i), vector)
    if not found or not _is_state(point, compiled.model):
        raise FixedPointError(
            f"the fixed point of {compiled.model.name} was lost when the quadrature was refined to {rule} "
            f"(residual {residual:.3g}); start closer",
            residual,
        )
    return _Root(point, residual, 0.0, rule)


def _solve(
    compiled: CompiledExpressions,
    parameters: Parameters,
    start: State,
    given: bool,
    family: str,
    tolerance: float | None,
    seed: int,
) -> tuple[_Root, str, float] | None:
    """The root with rules of one family, its path and tolerance; None where they do not resolve
    it.
    """
    if family == "sobol":
        wanted = tolerance or 1e-4
        first = sobol(compiled.dimension, 256, SOBOL_REPLICATES, seed)
        vector, path = _first_root(compiled, parameters, start, first, given)
        return _refine_sobol(compiled, parameters, vector, wanted, seed), path, wanted
    wanted = tolerance or 1e-8
    rules = family_rules(family, compiled.dimension)
    rules = rules if family == "panels" else rules[1:]
    try:
        vector, path = _first_root(compiled, parameters, start, rules[0], given)
        root = _refine_tensor(compiled, parameters, vector, wanted, rules)
    except FixedPointError:
        if family == "panels" or compiled.dimension > MAX_PANEL_DIMENSION:
            raise
        return None
    return (root, path, wanted) if np.isfinite(root.error) else None


def _refine_tensor(
    compiled: CompiledExpressions,
    parameters: Parameters,
    vector: Array,
    tolerance: float,
    rules: Sequence[Rule],
) -> _Root:
    """Polish with finer and finer rules; an infinite error says that none resolves the root."""
    previous: Array | None = None
    error = np.inf
    for rule in rules:
        root = _polish(compiled, parameters, vector, rule, 0)
        vector = root.vector
        unseen = unseen_error(compiled, parameters, [unflatten(vector, compiled.model)], rule)
        if previous is not None:
            error = float(np.abs(vector - previous).max()) + unseen / parameters.ridge
            if error <= tolerance:
                break
        previous = vector
    return _Root(vector, root.residual, error, root.rule)


def _refine_sobol(
    compiled: CompiledExpressions,
    parameters: Parameters,
    vector: Array,
    tolerance: float,
    seed: int,
    max_nodes: int = 2**15,
) -> _Root:
    size = 256
    while True:
        rule = sobol(compiled.dimension, size, SOBOL_REPLICATES, seed)
        roots = [_polish(compiled, parameters, vector, rule, i) for i in range(SOBOL_REPLICATES)]
        vectors = np.array([root.vector for root in roots])
        vector, error = vectors.mean(axis=0), float(replicate_error(vectors).max())
        if error <= tolerance or size >= max_nodes:
            return _Root(vector, max(root.residual for root in roots), error, rule)
        size = min(max_nodes, size * 2 ** max(1, int(np.ceil(np.log2(error / tolerance)))))


def _clip(gram: Array) -> Array:
    eigenvalues, vectors = np.linalg.eigh(gram)
    return (vectors * np.clip(eigenvalues, 0.0, None)) @ vectors.T

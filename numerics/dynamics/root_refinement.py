"""A root of the drift with finer and finer quadrature, and its error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from numerics.core.errors import FixedPointError
from numerics.core.flatten import unflatten
from numerics.core.state import State
from numerics.core.validation import Array
from numerics.expectations.families import family_rules, run_family, unseen_error
from numerics.expectations.quadrature import MAX_PANEL_DIMENSION, Rule, replicate_error, sobol

from .refinement import SOBOL_REPLICATES
from .root_search import RootSearch, newton

# absolute errors asked for when nothing is said
TENSOR_TOLERANCE, SOBOL_TOLERANCE = 1e-8, 1e-4
SOBOL_FIRST, SOBOL_LAST = 256, 2**15


@dataclass(frozen=True)
class Root:
    """A root of the drift.

    Attributes
    ----------
    vector : array
    residual : float
        Largest entry of the drift there, with the last rule.
    error : float
        Largest change of a statistic from the rule before, or half width over scramblings.
    rule : Rule
    path : str
        How it was found.
    tolerance : float
        What was asked of the error.
    """

    vector: Array
    residual: float
    error: float
    rule: Rule
    path: str
    tolerance: float


def find_root(
    search: RootSearch, start: State, newton_first: bool, tolerance: float | None, seed: int
) -> Root:
    """Find a root with a coarse rule and refine it, with rules that resolve the integrands.

    Raises
    ------
    FixedPointError
    """
    compiled = search.compiled
    parts = (start.overlap, start.gram_perp, start.readout)
    family = (
        run_family(compiled, search.parameters, [parts], tolerance)
        if compiled.integrands
        else "gauss-hermite"
    )
    if family == "closed":
        rules = family_rules(family, compiled.dimension)[:2]
        root = _refine_tensor(search, start, newton_first, tolerance, rules)
        if root is not None and root.error <= root.tolerance:
            return root
        family = run_family(compiled, search.parameters, [parts], tolerance, closed=False)
    if family == "gauss-hermite":
        rules = family_rules(family, compiled.dimension)[1:]
        try:
            root = _refine_tensor(search, start, newton_first, tolerance, rules)
        except FixedPointError:
            if not 0 < compiled.dimension <= MAX_PANEL_DIMENSION:
                raise
            root = None
        better = root is None or root.error > root.tolerance
        if root is not None and not (better and 0 < compiled.dimension <= MAX_PANEL_DIMENSION):
            return root
        # pre-activations have widened on the way beyond what Gauss-Hermite nodes resolve
        family = "panels" if compiled.dimension <= MAX_PANEL_DIMENSION else "sobol"
    if family == "panels":
        rules = family_rules(family, compiled.dimension)
        root = _refine_tensor(search, start, newton_first, tolerance, rules)
        assert root is not None  # panels know the scales of the integrands
        return root
    return _refine_sobol(search, start, newton_first, tolerance or SOBOL_TOLERANCE, seed)


def _polish(search: RootSearch, vector: Array, rule: Rule, replicate: int) -> tuple[Array, float]:
    """The root near ``vector`` with another rule, and its residual."""
    conserves = search.parameters.ridge == 0
    point, residual, is_root = newton(search.field(rule, replicate), vector, conserves)
    if not is_root or not search.is_state(point):
        raise FixedPointError(
            f"the fixed point of {search.compiled.model.name} was lost when the quadrature was "
            f"refined to {rule} (residual {residual:.3g}); start closer",
            residual,
        )
    return point, residual


def _refine_tensor(
    search: RootSearch,
    start: State,
    newton_first: bool,
    tolerance: float | None,
    rules: Sequence[Rule],
) -> Root | None:
    """Polish with finer and finer rules; None where even the finest may miss a transition."""
    wanted = tolerance or TENSOR_TOLERANCE
    vector, path = search.first_root(start, rules[0], newton_first)
    previous, error = vector, np.inf
    for i, rule in enumerate(rules):
        vector, residual = _polish(search, previous, rule, 0)
        change = float(np.abs(vector - previous).max())
        previous = vector
        if i == 0:
            continue
        parts = [unflatten(vector, search.compiled.model)]
        resolved = np.isfinite(unseen_error(search.compiled, search.parameters, parts, rule))
        error = change if resolved else np.inf
        if error <= wanted:
            break
    return Root(vector, residual, error, rule, path, wanted) if np.isfinite(error) else None


def _refine_sobol(
    search: RootSearch, start: State, newton_first: bool, tolerance: float, seed: int
) -> Root:
    """A root for every scrambling: their spread is the error of their mean."""
    dimension, size = search.compiled.dimension, SOBOL_FIRST
    rule = sobol(dimension, size, SOBOL_REPLICATES, seed)
    vector, path = search.first_root(start, rule, newton_first)
    while True:
        rule = sobol(dimension, size, SOBOL_REPLICATES, seed)
        roots = [_polish(search, vector, rule, i) for i in range(SOBOL_REPLICATES)]
        vectors = np.array([point for point, _ in roots])
        vector, error = vectors.mean(axis=0), float(replicate_error(vectors).max())
        if error <= tolerance or size >= SOBOL_LAST:
            residual = max(residual for _, residual in roots)
            return Root(vector, residual, error, rule, path, tolerance)
        # the error falls at best like 1/N: no size is tried that would then still miss it
        size = min(SOBOL_LAST, size * 2 ** max(1, int(np.ceil(np.log2(error / tolerance)))))

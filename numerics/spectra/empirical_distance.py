"""How far an empirical block is from its population value, in operator norm."""

from __future__ import annotations

import numpy as np

from numerics.core.problem import Problem
from numerics.core.state import State
from numerics.core.takes_problem import takes_problem
from numerics.core.validation import check_kind
from numerics.core.weights import sizes_in
from numerics.data.samples import draw_data
from theory import InputError

from .empirical_parts import block_operator
from .span_matrix import SpanMatrix


@takes_problem(bands=True)
def empirical_distance(
    problem: Problem,
    state: State,
    population: SpanMatrix,
    *,
    dimension: int,
    samples: int,
    seed: int,
) -> float:
    r"""Return :math:`\|\hat M - M\|_{op}` for a d x d block and fresh test data.

    Parameters
    ----------
    problem : Problem
        Or a model and Parameters in its place.
    state : State
    population : SpanMatrix
        Of a single block, as :func:`numerics.population_block` returns it.
    dimension, samples, seed : int

    Returns
    -------
    float
        Exact to rounding: the d x d difference is formed, so d should be moderate.

    Raises
    ------
    theory.InputError
        ``population`` is not a d x d block.

    Examples
    --------
    >>> from theory import kgmm
    >>> from numerics import population_block
    >>> problem = Problem(kgmm(2), weights=[0.5, 0.5], precision=10, ridge=0, step=1)
    >>> state = State([[1, 0], [0, 1]], [[0.1, 0], [0, 0.1]])
    >>> block = population_block(problem, state, block=(0, 0))
    >>> near, far = (empirical_distance(problem, state, block, dimension=20, samples=m, seed=0)
    ...              for m in (40_000, 400))
    >>> near < far
    True
    """
    check_kind("population", population, SpanMatrix, "give what population_block returned")
    if not isinstance(population.block, tuple):
        raise InputError(
            "population",
            f"block {population.block!r}",
            "a d x d block (a, b)",
            "use population_block(..., block=(a, b))",
        )
    data = draw_data(problem, state, dimension, samples, seed)
    operator = block_operator(data, population.kind, population.block, population.regularized)
    basis, sizes = population.basis, sizes_in(problem, dimension)
    levels = population.bulk.reshape(-1)
    difference = operator.dense() - np.diag(np.repeat(levels, sizes))
    # the layout of the data has the basis of span(directions, x) in these coordinates
    here = basis.places(sizes)
    difference[np.ix_(here, here)] -= population.matrix - np.diag(levels[basis.bands])
    return float(np.linalg.norm(difference, 2))

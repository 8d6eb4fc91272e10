"""Fixed points of models with an update: where the curve ends, or refused where a part stands."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import fresh_rng
from update_cases import CASES, SQUARE, one_unit, random_start

from numerics import Problem, State, integrate_curves, solve_fixed_point
from theory import InputError, Update


@pytest.mark.slow
@pytest.mark.parametrize("update", [Update(rates={"unit 1": 2}), Update(momentum="1/2"), None])
def test_the_fixed_point_is_where_the_curve_ends(update):
    """Of least squares; rates and momentum move R_perp there, by the corrector."""
    problem = Problem(one_unit(SQUARE, update))
    state = random_start(problem.model, fresh_rng())
    point = solve_fixed_point(problem, state)
    ends = [
        State.at(integrate_curves(Problem(model), state, [0.0, 100.0]), 100.0)
        for model in (problem.model, one_unit(SQUARE, None))
    ]
    assert np.allclose(point.overlap, ends[0].overlap, rtol=1e-6)
    assert np.allclose(point.gram_perp, ends[0].gram_perp, rtol=1e-6)
    assert np.allclose(ends[0].overlap, ends[1].overlap, rtol=1e-6)
    assert (update is None) == np.allclose(ends[0].gram_perp, ends[1].gram_perp, rtol=1e-2)


@pytest.mark.parametrize("name", ["frozen", "dominant", "bulk", "rates"])
def test_updates_that_leave_a_part_where_it_is_are_refused(name):
    """Newton's method would move what is frozen, or has no ridge where others have one."""
    problem = Problem(CASES[name].model())
    with pytest.raises(
        InputError, match=r"model: got mlp2-1 with Update.*follow the curve to a la"
    ):
        solve_fixed_point(problem, State.zero(problem))

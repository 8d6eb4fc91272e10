"""Random numbers drawn in compiled loops are NumPy's own, bit for bit, and leave its state."""

from __future__ import annotations

from collections.abc import Callable

import numba
import numpy as np
import pytest
from helpers import fresh_rng

from numerics.sgd.generators import sfc64_states
from numerics.sgd.kernel import random_numbers as drawn

# enough for the tail of the normal, once in 3,800 numbers, and that of the exponential
COUNT = 100_000
SHAPES = (0.3, 0.5, 1.0, 1.5, 2.0, 17.5, 5e8)


def pair() -> tuple[np.random.Generator, np.ndarray]:
    """A generator of NumPy's, and its state in the compiled form."""
    seed = int(fresh_rng().integers(2**40))
    child = np.random.SeedSequence(seed).spawn(1)[0]
    return np.random.Generator(np.random.SFC64(child)), sfc64_states(seed, 0, 1)[0]


def same_state(generator: np.random.Generator, state: np.ndarray) -> bool:
    return bool((generator.bit_generator.state["state"]["state"] == state).all())


@numba.njit
def one_by_one(draw: Callable[..., float], state: np.ndarray, count: int) -> np.ndarray:
    out = np.empty(count)
    for i in range(count):
        out[i] = draw(state)
    return out


@pytest.mark.parametrize(
    ("draw", "name"),
    [
        (drawn.normal, "standard_normal"),
        (drawn.uniform, "random"),
        (drawn.exponential, "standard_exponential"),
    ],
)
def test_one_number_after_the_other(draw: Callable[..., float], name: str) -> None:
    generator, state = pair()
    found = one_by_one(draw, state, COUNT)
    assert np.array_equal(found, getattr(generator, name)(COUNT))
    assert same_state(generator, state)


def test_normals_of_a_block() -> None:
    generator, state = pair()
    out = np.empty(COUNT)
    drawn.fill_normals(state, 0.25, out)
    assert np.array_equal(out, 0.25 * generator.standard_normal(COUNT))
    drawn.fill_normals(state, 1.0, out[::2])
    assert np.array_equal(out[::2], generator.standard_normal(COUNT // 2))
    assert same_state(generator, state)


@pytest.mark.parametrize("shape", SHAPES)
def test_gamma_variables(shape: float) -> None:
    generator, state = pair()
    found = np.array([drawn.gamma(state, shape) for _ in range(2_000)])
    assert np.array_equal(found, generator.standard_gamma(shape, 2_000))
    out = np.empty(COUNT)
    drawn.fill_gammas(state, shape, out)
    assert np.array_equal(out, generator.standard_gamma(shape, COUNT))
    assert same_state(generator, state)


def test_gamma_variables_without_degrees_of_freedom() -> None:
    """Of no or less than no coordinates nothing is drawn."""
    generator, state = pair()
    out = np.ones(5)
    for shape in (0.0, -0.5, -3.0):
        drawn.fill_gammas(state, shape, out)
        assert not out.any()
    assert drawn.gamma(state, 0.0) == 0.0
    assert same_state(generator, state)

"""Random numbers drawn in compiled loops are NumPy's own, bit for bit, and leave its state."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np
import pytest
from helpers import fresh_rng

from numerics.core.random_numbers.gamma import fill_gammas, gamma
from numerics.core.random_numbers.numpy_generators import draw_normals, words_of
from numerics.core.random_numbers.words import next_word, uniform
from numerics.core.random_numbers.ziggurat import exponential, fill_normals, normal
from theory import InputError

# enough for the tail of the normal, once in 3,800 numbers, and that of the exponential
COUNT = 100_000
SHAPES = (0.3, 0.5, 1.0, 1.5, 2.0, 17.5, 5e8)


def state_of(generator: np.random.Generator) -> np.ndarray:
    """The state of a generator of NumPy's in the compiled form."""
    state = generator.bit_generator.state["state"]
    if isinstance(generator.bit_generator, np.random.PCG64):
        return np.array([divmod(state[name], 2**64) for name in ("state", "inc")], dtype=np.uint64)
    return np.array(state["state"], dtype=np.uint64)


@pytest.fixture(params=[np.random.SFC64, np.random.PCG64], ids=lambda kind: kind.__name__)
def pair(request: pytest.FixtureRequest) -> tuple[np.random.Generator, np.ndarray]:
    """A generator of NumPy's, and its state in the compiled form."""
    generator = np.random.Generator(request.param(int(fresh_rng().integers(2**60))))
    return generator, state_of(generator)


def same_state(generator: np.random.Generator, state: np.ndarray) -> bool:
    return np.array_equal(state_of(generator), state)


@numba.njit
def one_by_one(draw: Callable[..., float], state: np.ndarray, count: int) -> np.ndarray:
    out = np.empty(count)
    for i in range(count):
        out[i] = draw(state)
    return out


@pytest.mark.parametrize(
    ("draw", "name"),
    [(normal, "standard_normal"), (uniform, "random"), (exponential, "standard_exponential")],
)
def test_one_number_after_the_other(pair, draw: Callable[..., float], name: str) -> None:
    generator, state = pair
    found = one_by_one(draw, state, COUNT)
    assert np.array_equal(found, getattr(generator, name)(COUNT))
    assert same_state(generator, state)


def test_normals_of_a_block(pair) -> None:
    generator, state = pair
    out = np.empty(COUNT)
    fill_normals(state, 0.25, out)
    assert np.array_equal(out, 0.25 * generator.standard_normal(COUNT))
    fill_normals(state, 1.0, out[::2])
    assert np.array_equal(out[::2], generator.standard_normal(COUNT // 2))
    assert same_state(generator, state)


@pytest.mark.parametrize("shape", SHAPES)
def test_gamma_variables(pair, shape: float) -> None:
    generator, state = pair
    found = np.array([gamma(state, shape) for _ in range(2_000)])
    assert np.array_equal(found, generator.standard_gamma(shape, 2_000))
    out = np.empty(COUNT)
    fill_gammas(state, shape, out)
    assert np.array_equal(out, generator.standard_gamma(shape, COUNT))
    assert same_state(generator, state)


def test_gamma_variables_without_degrees_of_freedom(pair) -> None:
    """Of no or less than no coordinates nothing is"""
    generator, state = pair
    out = np.ones(5)
    for shape in (0.0, -0.5, -3.0):
        fill_gammas(state, shape, out)
        assert not out.any()
    assert gamma(state, 0.0) == 0.0
    assert same_state(generator, state)


def test_words(pair) -> None:
    generator, state = pair
    found = [next_word(state) for _ in range(1_000)]
    assert np.array_equal(np.array(found), generator.bit_generator.random_raw(1_000))


@pytest.mark.parametrize("kind", [np.random.PCG64, np.random.PCG64DXSM, np.random.MT19937])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("slow", [False, True])
def test_generators_of_numpy_go_on_as_if_they_had_drawn(kind, dtype: str, slow: bool) -> None:
    """Also where half of a word is kept from an integer of 32 bits drawn before."""
    seed = int(fresh_rng().integers(2**60))
    mine, theirs = (np.random.Generator(kind(seed)) for _ in range(2))
    assert mine.integers(7, dtype=np.int32) == theirs.integers(7, dtype=np.int32)
    out = np.empty((40, 50), dtype)[:, :: 2 if slow else 1]
    if slow:  # strided: NumPy refuses what it would have to copy
        with pytest.raises(ValueError, match="contiguous"):
            draw_normals(mine, out)
        return
    draw_normals(mine, out)
    assert np.array_equal(out, theirs.standard_normal((40, 50), dtype))
    assert mine.integers(7, dtype=np.int32) == theirs.integers(7, dtype=np.int32)
    assert mine.random() == theirs.random()


def test_other_generators_have_no_words() -> None:
    twister = np.random.Generator(np.random.MT19937(0))
    with pytest.raises(InputError, match="default_rng"), words_of(twister):
        pass


def test_a_generator_goes_on_after_an_error() -> None:
    """Nothing is drawn twice, and the lock is free again."""
    seed = int(fresh_rng().integers(2**60))
    mine, theirs = (np.random.default_rng(seed) for _ in range(2))
    out = np.empty(10)

    def interrupted() -> None:
        with words_of(mine) as words:
            fill_normals(words, 1.0, out)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert np.array_equal(out, theirs.standard_normal(10))
    assert mine.random() == theirs.random()


# called first by code of fast arithmetic, which must not change a bit
FIRST_CALLED_FAST = """
import numba
import numpy as np
from numerics.core.random_numbers.gamma import fill_gammas, gamma

@numba.njit(fastmath=True)
def many(state, out):
    for i in range(out.size):
        out[i] = gamma(state, 1.5)
    fill_gammas(state, 2.5, out[:1])

generator = np.random.Generator(np.random.SFC64(1))
state = np.array(generator.bit_generator.state["state"]["state"], dtype=np.uint64)
out = np.empty(20_000)
many(state, out)
expected = generator.standard_gamma(1.5, 20_000)
assert (out[1:] == expected[1:]).all()
"""


@pytest.mark.slow
def test_the_arithmetic_of_a_caller_is_not_taken_over(tmp_path: Path) -> None:
    empty = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", FIRST_CALLED_FAST], env=empty, check=True)

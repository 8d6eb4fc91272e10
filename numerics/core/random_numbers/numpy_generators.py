"""Random numbers of NumPy's generators, drawn by compiled code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from numerics.core.validation import Array
from theory import InputError

from .words import States
from .ziggurat import fill_normals

_WORD = (1 << 64) - 1


def draw_normals(generator: np.random.Generator, out: Array) -> None:
    """``generator.standard_normal(out=out, dtype=out.dtype)``: the same numbers, sooner.

    Numbers and the state that is left behind are those of NumPy, bit for bit.  Arrays of doubles
    of a PCG64, which ``numpy.random.default_rng`` makes, are drawn in a third of the time; for
    others NumPy draws.

    Parameters
    ----------
    generator : numpy.random.Generator
    out : array
        C-contiguous; is filled.

    Examples
    --------
    >>> out = np.empty(3)
    >>> draw_normals(np.random.default_rng(1), out)
    >>> bool((out == np.random.default_rng(1).standard_normal(3)).all())
    True
    """
    is_doubles = out.dtype == np.float64 and out.flags.c_contiguous
    if type(generator.bit_generator) is not np.random.PCG64 or not is_doubles:
        generator.standard_normal(out=out, dtype=out.dtype)
        return
    with words_of(generator) as words:
        fill_normals(words, 1.0, out.reshape(-1))


@contextmanager
def words_of(generator: np.random.Generator) -> Iterator[States]:
    """The state of a generator, to be drawn from by compiled code, which the generator then goes
    on from.

    Parameters
    ----------
    generator : numpy.random.Generator
        Of a PCG64, such as ``numpy.random.default_rng(seed)``.

    Raises
    ------
    theory.InputError
        The generator is of another kind.
    """
    bits = generator.bit_generator
    if type(bits) is not np.random.PCG64:
        expected, remedy = "one of a PCG64", "take numpy.random.default_rng(seed)"
        raise InputError("generator", type(bits).__name__, expected, remedy)
    with bits.lock:
        found: Any = bits.state
        numbers = (found["state"]["state"], found["state"]["inc"])
        words = np.array([[n >> 64, n & _WORD] for n in numbers], dtype=np.uint64)
        try:
            yield words
        finally:
            high, low = (int(word) for word in words[0])
            found["state"]["state"] = high << 64 | low
            bits.state = found

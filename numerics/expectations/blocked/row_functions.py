r"""Elementary functions of rows of numbers, in a form that compilers turn into vector instructions.

The functions of the math module are calls, one for each number; these are arithmetic:

.. math:: e^x=2^n e^r,\qquad n=\text{round}(x/\ln 2),\quad |r|\le\tfrac12\ln 2,

with the Taylor polynomial of degree 13 of :math:`e^r`, whose remainder is below 1e-17 (J.-M.
Muller, *Elementary Functions*, 3rd ed., chapter 11).  Errors are below 2 units in the last place.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numba
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from numerics.core.validation import Array

# numbers of a row: all rows of some ten functions of some ten variables stay in the nearest cache
ROW = 128
# adding it rounds a number to an integer, which then stands in the lowest bits
_ROUNDER = 6755399441055744.0
_ROUNDER_BITS = 4843621399236968448
_PER_LOG_2 = 1.4426950408889634
# ln 2 in two parts, the first with so few bits that its products with integers are exact
_LOG_2_HIGH, _LOG_2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
# exp is 0 below, in floating point numbers, and infinite above
_LOWEST, _HIGHEST = -746.0, 709.79
# tanh is 1 beyond
_FLAT = 20.0


@intrinsic
def _float_of(typing: Any, bits: Any) -> Any:
    """The number of these bits."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), build


@intrinsic
def _bits_of(typing: Any, number: Any) -> Any:
    """The bits of a number."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.int64(types.float64), build


@numba.njit(inline="always")
def _power_minus_one(r: float) -> float:
    """exp(r) - 1 for |r| <= ln(2) / 2."""
    p = 1 / 6227020800.0
    p = p * r + 1 / 479001600.0
    p = p * r + 1 / 39916800.0
    p = p * r + 1 / 3628800.0
    p = p * r + 1 / 362880.0
    p = p * r + 1 / 40320.0
    p = p * r + 1 / 5040.0
    p = p * r + 1 / 720.0
    p = p * r + 1 / 120.0
    p = p * r + 1 / 24.0
    p = p * r + 1 / 6.0
    p = p * r + 0.5
    p = p * r + 1.0
    return p * r


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def exp_rows(x: Array) -> None:
    """Replace every number by its exponential; inf and NaN as NumPy has them."""
    for i in range(x.size):
        a = x[i]
        c = a if a < _HIGHEST else _HIGHEST
        c = c if c > _LOWEST else _LOWEST
        shifted = c * _PER_LOG_2 + _ROUNDER
        n = shifted - _ROUNDER
        r = (c - n * _LOG_2_HIGH) - n * _LOG_2_LOW
        # in two steps: 2^n may be no normal number where e^x is one
        exponent = _bits_of(shifted) - _ROUNDER_BITS  # type: ignore[call-arg]
        half = exponent >> 1
        scale = _float_of((half + 1023) << 52)
        rest = _float_of((exponent - half + 1023) << 52)
        value = (1.0 + _power_minus_one(r)) * scale * rest
        x[i] = value if a == a else a


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def tanh_rows(x: Array) -> None:
    """Replace every number by its hyperbolic tangent, E / (E + 2) with E = exp(2 |x|) - 1."""
    for i in range(x.size):
        a = x[i]
        c = 2.0 * abs(a)
        c = c if c < 2.0 * _FLAT else 2.0 * _FLAT
        shifted = c * _PER_LOG_2 + _ROUNDER
        n = shifted - _ROUNDER
        r = (c - n * _LOG_2_HIGH) - n * _LOG_2_LOW
        exponent = _bits_of(shifted) - _ROUNDER_BITS  # type: ignore[call-arg]
        scale = _float_of((exponent + 1023) << 52)
        minus_one = _power_minus_one(r) * scale + (scale - 1.0)
        value = minus_one / (minus_one + 2.0)
        value = value if a >= 0.0 else -value
        x[i] = value if a == a else a


# machine code holds a copy of these functions: it is made again where they change
DIGEST = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:16]

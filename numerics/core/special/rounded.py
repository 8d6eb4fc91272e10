"""Numbers with a bound of their rounding error: running error analysis of generated code.

Every operation carries |computed - exact| along: what its arguments bring, by the slope of the
function over the whole interval they may lie in, and the rounding of the operation itself.  An
operation that loses its meaning within the bound (a division by what may be 0, a root of what may
be negative) has an infinite error.  Source: N. Higham, Accuracy and Stability of Numerical
Algorithms, 2nd ed., section 3.3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special

from numerics.core.validation import Array

from .bivariate_normal import bivariate_normal_array
from .trivariate_normal import trivariate_normal_array

# of one operation, and of one elementary function of a library
UNIT = float(np.finfo(float).eps) / 2
FUNCTION = 4 * UNIT
# absolute error of a normal probability of two and of three variables
BIVARIATE = 16 * UNIT
TRIVARIATE = 32 * UNIT
# smallest number that is not subnormal: what underflow loses
TINY = float(np.finfo(float).tiny)
TWO_PI = float(2 * np.pi)
SQRT_TWO_PI = float(np.sqrt(TWO_PI))


class Rounded:
    """Arrays of values and of bounds of their errors, for NumPy's arithmetic.

    Parameters
    ----------
    value, error : array
        ``error >= 0``, of the same shape.

    Examples
    --------
    What cancels leaves its error:

    >>> one = Rounded(np.array([1.0]), np.array([1e-16]))
    >>> difference = (one + 1e-8) - 1.0
    >>> bool(difference.error[0] > 1e-16), bool(abs(difference.value[0] - 1e-8) < 1e-15)
    (True, True)
    >>> np.sqrt(one - 1.0).error         # of what may be negative
    array([inf])
    """

    # so that arrays and numbers on the left leave the operation to __array_ufunc__
    __array_priority__ = 1000

    def __init__(self, value: Array, error: Array) -> None:
        self.value = value
        self.error = error

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        rule = _RULES.get(ufunc.__name__)
        if rule is None or method != "__call__" or options:
            return NotImplemented
        return _apply(rule, *inputs)

    def __add__(self, other: Any) -> Rounded:
        return _apply(_add, self, other)

    def __radd__(self, other: Any) -> Rounded:
        return _apply(_add, other, self)

    def __sub__(self, other: Any) -> Rounded:
        return _apply(_subtract, self, other)

    def __rsub__(self, other: Any) -> Rounded:
        return _apply(_subtract, other, self)

    def __mul__(self, other: Any) -> Rounded:
        return _apply(_multiply, self, other)

    def __rmul__(self, other: Any) -> Rounded:
        return _apply(_multiply, other, self)

    def __truediv__(self, other: Any) -> Rounded:
        return _apply(_divide, self, other)

    def __rtruediv__(self, other: Any) -> Rounded:
        return _apply(_divide, other, self)

    def __abs__(self) -> Rounded:
        return Rounded(np.abs(self.value), self.error)

    def __pow__(self, power: float) -> Rounded:
        with np.errstate(all="ignore"):
            return _power(self, power)

    def __neg__(self) -> Rounded:
        return Rounded(-self.value, self.error)

    @staticmethod
    def bivariate_normal(h: Any, k: Any, r: Any) -> Rounded:
        """The bivariate normal probability with the bound of its error."""
        h, k, r = _of(h), _of(k), _of(r)
        with np.errstate(all="ignore"):
            bells = _bell(h), _bell(k)
            # no more than either margin: in the far tails digits are lost, and values are smaller
            margins = (0.5 * scipy.special.erfc(-x.value / np.sqrt(2)) for x in (h, k))
            value = bivariate_normal_array(h.value, k.value, r.value)
            error = (bells[0] * h.error + bells[1] * k.error) / SQRT_TWO_PI
            error = error + np.minimum(*bells) * _rise_of_arcsine(r) / TWO_PI
            return _rounded(value, error + np.minimum(BIVARIATE, np.minimum(*margins)))

    @staticmethod
    def trivariate_normal(*arguments: Any) -> Rounded:
        """The trivariate normal probability with the bound of its error.

        A bound moves it by a density times a probability, a correlation by the density of two of
        the variables times a probability.
        """
        h, r = [_of(x) for x in arguments[:3]], [_of(x) for x in arguments[3:]]
        with np.errstate(all="ignore"):
            bells = [_bell(x) for x in h]
            margins = [0.5 * scipy.special.erfc(-x.value / np.sqrt(2)) for x in h]
            value = trivariate_normal_array(*(x.value for x in (*h, *r)))
            error = sum(bell * x.error for bell, x in zip(bells, h, strict=True)) / SQRT_TWO_PI
            for (i, j), correlation in zip(((0, 1), (0, 2), (1, 2)), r, strict=True):
                moved = Rounded(correlation.value, correlation.error + UNIT)
                error = error + np.minimum(bells[i], bells[j]) * _rise_of_arcsine(moved) / TWO_PI
            return _rounded(value, error + np.minimum(TRIVARIATE, np.minimum.reduce(margins)))


def _apply(rule: Callable[..., Rounded], *inputs: Any) -> Rounded:
    with np.errstate(all="ignore"):  # what is not finite has an infinite error in the end
        return rule(*(_of(x) for x in inputs))


def _of(x: Any) -> Rounded:
    if isinstance(x, Rounded):
        return x
    value = np.asarray(x, dtype=float)
    # decimal fractions and roots of constants are rounded, integers and halves are not
    error = np.where(value * 2 == np.round(value * 2), 0.0, 2 * UNIT * np.abs(value))
    return Rounded(value, error)


def _rounded(value: Any, error: Any, relative: float = UNIT) -> Rounded:
    """A result with its own rounding added to what its arguments bring."""
    value, error = np.broadcast_arrays(value, error)
    return Rounded(value, error + relative * np.abs(value) + TINY)


def _add(a: Rounded, b: Rounded) -> Rounded:
    return _rounded(a.value + b.value, a.error + b.error)


def _subtract(a: Rounded, b: Rounded) -> Rounded:
    return _rounded(a.value - b.value, a.error + b.error)


def _multiply(a: Rounded, b: Rounded) -> Rounded:
    error = np.abs(a.value) * b.error + np.abs(b.value) * a.error + a.error * b.error
    return _rounded(a.value * b.value, error)


def _divide(a: Rounded, b: Rounded) -> Rounded:
    value, least = a.value / b.value, np.abs(b.value) - b.error
    error = np.where(least > 0, (a.error + np.abs(value) * b.error) / least, np.inf)
    return _rounded(value, error)


def _power(a: Rounded, power: float) -> Rounded:
    """A constant power; integers of any sign, else of what is surely positive."""
    size, value = np.abs(a.value), a.value**power
    low, high = size - a.error, size + a.error
    steepest = np.maximum(low, 0.0) ** (power - 1) if power < 1 else high ** (power - 1)
    error = abs(power) * steepest * a.error
    whole = float(power).is_integer()
    unsure = (low <= 0) if whole and power < 0 else (a.value - a.error <= 0) & (not whole)
    return _rounded(value, np.where(unsure, np.inf, error), FUNCTION * (1 + abs(power)))


def _sqrt(a: Rounded) -> Rounded:
    value = np.sqrt(a.value)
    low = a.value - a.error
    error = np.where(low > 0, a.error / (value + np.sqrt(np.maximum(low, 0.0))), np.inf)
    return _rounded(value, np.where(a.error == 0, 0.0, error))


def _exp(a: Rounded) -> Rounded:
    value = np.exp(a.value)
    return _rounded(value, value * np.expm1(a.error), FUNCTION)


def _bell(a: Rounded) -> Array:
    """The largest exp(-x^2 / 2) within the error of a."""
    return np.asarray(np.exp(-(np.maximum(np.abs(a.value) - a.error, 0.0) ** 2) / 2))


def _erf(function: Callable[[Array], Array]) -> Callable[[Rounded], Rounded]:
    def rule(a: Rounded) -> Rounded:
        slope = 2 / np.sqrt(np.pi) * _bell(a) ** 2
        return _rounded(function(a.value), slope * a.error, FUNCTION)

    return rule


def _wave(function: Callable[[Array], Array]) -> Callable[[Rounded], Rounded]:
    def rule(a: Rounded) -> Rounded:
        return _rounded(function(a.value), a.error, FUNCTION)

    return rule


def _rise_of_arcsine(a: Rounded) -> Array:
    """The largest change of the arcsine within the error of a."""
    size = np.abs(a.value)
    low, high = np.maximum(size - a.error, 0.0), size + a.error
    inside = a.error / np.sqrt(np.maximum((1 - high) * (1 + high), 0.0))
    # at the end the slope is infinite and the rise is not; both are bounds
    toward = np.arccos(np.minimum(low, 1.0))
    return np.where(high < 1, np.minimum(inside, toward + TINY), toward)


def _arcsine(a: Rounded) -> Rounded:
    return _rounded(np.arcsin(a.value), _rise_of_arcsine(a), FUNCTION)


_RULES: dict[str, Callable[..., Rounded]] = {
    "add": _add,
    "subtract": _subtract,
    "multiply": _multiply,
    "divide": _divide,
    "absolute": abs,
    "sqrt": _sqrt,
    "exp": _exp,
    "erf": _erf(scipy.special.erf),
    "erfc": _erf(scipy.special.erfc),
    "sin": _wave(np.sin),
    "cos": _wave(np.cos),
    "arcsin": _arcsine,
}

"""How many digits the exact numbers of a formula may have, told before any of them is worked out.

Powers of powers are short to write and too large for any memory: a bound for each exponent does
not help, (2^64)^64 has it twice.
"""

from __future__ import annotations

import math

from .tree import Add, Divide, Multiply, Negative, Node, Number, Power, children

# of numerator and denominator together: some 60,000 decimal digits
MOST_BITS = 200_000
# those of 1
UNITS = 2


def largest_bits(tree: Node) -> float:
    """A bound of the binary digits of any number that working out a formula meets.

    Examples
    --------
    >>> from fractions import Fraction
    >>> two = Number(Fraction(2))
    >>> largest_bits(Power(two, Number(Fraction(64))))
    192.0
    """
    worst = 0.0

    def size(node: Node) -> tuple[float, float]:
        """Bounds of the digits of a number, and of log2 of its absolute value; names are none."""
        nonlocal worst
        bits, height = _size(node, [size(child) for child in children(node)])
        worst = max(worst, bits)
        return bits, height

    size(tree)
    return worst


def _size(node: Node, parts: list[tuple[float, float]]) -> tuple[float, float]:
    bits = math.fsum(part[0] for part in parts)
    heights = [part[1] for part in parts]
    match node:
        case Number(value):
            top, below = abs(value.numerator), value.denominator
            height = math.log2(top) - math.log2(below) if top else 0.0
            return float(top.bit_length() + below.bit_length()), max(0.0, height)
        case Add():
            # over a common denominator
            return bits + len(parts), max(heights, default=0.0) + math.log2(len(parts) + 1)
        case Multiply():
            return bits, math.fsum(heights)
        case Divide():
            return bits, heights[0] + parts[1][0]
        case Negative():
            return parts[0]
        case Power() if parts[0][0] <= UNITS:
            return parts[0]  # 0, 1 and -1 do not grow, nor do names
        case Power():
            # exponents beyond any bound are as good as infinite ones
            exponent = 2.0 ** min(heights[1], 500.0)
            # what is raised to a negative number may be small
            above = heights[0] if isinstance(children(node)[1], Number) else parts[0][0]
            return parts[0][0] * exponent, above * exponent
    return bits, max(heights, default=0.0)

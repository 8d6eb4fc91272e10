r"""Orders that remainders tell: O(\lambda^{-n}) and o(\lambda^{-n})."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from verify.claims.language.tree import Divide, Name, Negative, Node, Number, Power


@dataclass(frozen=True, order=True)
class Remainder:
    """What a formula leaves away; the smaller of two claims less.

    Attributes
    ----------
    order : int
        Highest power of 1/lambda that is kept.
    whole : bool
        O of the next power is left, and not only o of the last one: where a loss has kinks half
        powers lie between.
    """

    order: int
    whole: bool


def inverse_power(node: Node) -> int | None:
    """n of lambda^-n and 1/lambda^n."""
    match node:
        case Number(value) if value == 1:
            return 0
        case Divide(Number(value), below) if value == 1:
            power = inverse_power(Power(below, Negative(Number(Fraction(1)))))
            return power if not isinstance(below, Power) else inverse_power(_inverted(below))
        case Power(Name("lambda", ()), Negative(Number(value))) if value.denominator == 1:
            return int(value)
    return None


def _inverted(power: Power) -> Node:
    return Power(power.base, Negative(power.exponent))

r"""Orders that remainders tell: O(\lambda^{-n})."""

from __future__ import annotations

from fractions import Fraction

from verify.claims.language.tree import Divide, Name, Negative, Node, Number, Power


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

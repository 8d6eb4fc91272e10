"""Continuous piecewise linear functions of one variable, as one sum of ramps."""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from theory.problem.relu_step import ReLU


@dataclass(frozen=True)
class PiecewiseLinear:
    """f(z) = offset + slope z + sum of bend (z - point)_+ over the bends, all of them numbers."""

    offset: sp.Expr
    slope: sp.Expr
    bends: dict[sp.Expr, sp.Expr]

    def __add__(self, other: PiecewiseLinear) -> PiecewiseLinear:
        bends = dict(self.bends)
        for point, bend in other.bends.items():
            bends[point] = bends.get(point, sp.Integer(0)) + bend
        kept = {point: bend for point, bend in bends.items() if bend != 0}
        return PiecewiseLinear(self.offset + other.offset, self.slope + other.slope, kept)

    def scaled(self, factor: sp.Expr) -> PiecewiseLinear:
        """The function times a number."""
        bends = {point: factor * bend for point, bend in self.bends.items() if factor != 0}
        return PiecewiseLinear(factor * self.offset, factor * self.slope, bends)

    def ramp(self) -> PiecewiseLinear:
        """max(f, 0)."""
        points = sorted(self.bends)
        offset, slope = self.offset, self.slope
        # the pieces in turn, each cut where f changes its sign inside it
        edges: list[sp.Expr] = []
        lines = [(offset, slope)]
        for left, right in zip([None, *points], [*points, None], strict=True):
            if left is not None:
                edges.append(left)
                offset, slope = offset - self.bends[left] * left, slope + self.bends[left]
                lines.append((offset, slope))
            root = -offset / slope if slope != 0 else None
            inside = root is not None and (left is None or left < root)
            if root is not None and inside and (right is None or root < right):
                edges.append(root)
                lines.append((offset, slope))
        zero = (sp.Integer(0), sp.Integer(0))
        cut = [line if _middle(line, i, edges) > 0 else zero for i, line in enumerate(lines)]
        bends = {
            point: after[1] - before[1]
            for point, before, after in zip(edges, cut, cut[1:], strict=False)
            if after[1] != before[1]
        }
        return PiecewiseLinear(*cut[0], bends)

    def expression(self, variable: sp.Expr) -> sp.Expr:
        """The function as a sum of ReLU, bends from left to right."""
        ramps = (self.bends[point] * ReLU(variable - point) for point in sorted(self.bends))
        return self.offset + self.slope * variable + sp.Add(*ramps)


def _middle(line: tuple[sp.Expr, sp.Expr], piece: int, edges: list[sp.Expr]) -> sp.Expr:
    """A line at a point inside its piece."""
    if not edges:
        at = sp.Integer(0)
    elif piece == 0:
        at = edges[0] - 1
    elif piece == len(edges):
        at = edges[-1] + 1
    else:
        at = (edges[piece - 1] + edges[piece]) / 2
    return line[0] + line[1] * at


def piecewise_linear(expression: sp.Expr, variable: sp.Symbol) -> PiecewiseLinear | None:
    """Read an expression as a continuous piecewise linear function of a variable, or None.

    Examples
    --------
    >>> z = sp.Symbol("z", real=True)
    >>> piecewise_linear(sp.Max(-1, sp.Min(1, z)), z).expression(z)
    -relu(z - 1) + relu(z + 1) - 1
    """
    if expression == variable:
        return PiecewiseLinear(sp.Integer(0), sp.Integer(1), {})
    if expression.is_number:
        return PiecewiseLinear(expression, sp.Integer(0), {}) if expression.is_real else None
    if isinstance(expression, sp.Mul):
        factor, rest = expression.as_independent(variable, as_Add=False)
        inner = piecewise_linear(rest, variable) if factor.is_number and factor != 1 else None
        return inner.scaled(factor) if inner is not None else None
    if not isinstance(expression, (sp.Add, sp.Max, sp.Min, sp.Abs, ReLU)):
        return None
    parts = [piecewise_linear(argument, variable) for argument in expression.args]
    read = [part for part in parts if part is not None]
    if len(read) < len(parts):
        return None
    total = read[0]
    if isinstance(expression, ReLU):
        return total.ramp()
    if isinstance(expression, sp.Abs):
        return total.ramp().scaled(sp.Integer(2)) + total.scaled(sp.Integer(-1))
    sign = sp.Integer(-1 if isinstance(expression, sp.Min) else 1)
    for part in read[1:]:
        if isinstance(expression, sp.Add):
            total = total + part
        else:  # max(f, g) = g + (f - g)_+, min(f, g) = g - (g - f)_+
            above = total + part.scaled(sp.Integer(-1))
            total = part + above.scaled(sign).ramp().scaled(sign)
    return total

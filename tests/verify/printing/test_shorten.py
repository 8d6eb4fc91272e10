"""Long sums are printed as far as a line shows them."""

from __future__ import annotations

import sympy as sp

from verify.printing.shorten import shorten


def test_a_long_sum_is_printed_to_the_end_of_the_line_alone(monkeypatch):
    terms = [sp.Symbol(f"x_{n}") * sp.Rational(n - 150, 7) for n in range(200)]
    whole, printed = sp.Add(*terms), []
    monkeypatch.setattr(sp.Mul, "__str__", lambda e: printed.append(e) or f"<{len(printed)}>")
    text = shorten(whole, 40)
    assert len(text) == 40
    assert text.endswith("...")
    assert len(printed) < 12


def test_a_sum_that_fits_is_printed_whole():
    x = sp.symbols("x_:3")
    assert shorten(x[0] - x[1] * x[2]) == "x_0 - x_1*x_2"
    zeros = sp.Add(*(sp.Symbol("a") ** n for n in range(120)))
    assert shorten(zeros, 10_000) == str(zeros)

"""Long expressions are printed as far as a line shows them."""

from __future__ import annotations

import pytest
import sympy as sp
from sympy.printing.str import StrPrinter

from verify.printing.shorten import shorten

A, X = sp.Symbol("a"), sp.symbols("x_:200")
SUM = sp.Add(*(n * x for n, x in enumerate(X, 2)))


@pytest.mark.parametrize("whole", [SUM, 1 / SUM], ids=["a sum", "one term"])
def test_a_long_expression_is_not_printed_to_its_end(whole, monkeypatch):
    printed = []
    plain = StrPrinter._print_Symbol
    monkeypatch.setattr(
        StrPrinter, "_print_Symbol", lambda self, e: printed.append(e) or plain(self, e)
    )
    text = shorten(whole, 40)
    assert len(text) == 40
    assert text.endswith("...")
    assert "x_" in text
    assert len(printed) < 40


def test_an_expression_that_fits_is_printed_whole():
    assert shorten(X[0] - X[1] * X[2]) == "x_0 - x_1*x_2"
    assert shorten(sp.exp(-A) / 3) == str(sp.exp(-A) / 3)

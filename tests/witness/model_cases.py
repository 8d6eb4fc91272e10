"""Messages of errors and labels of models, compared."""

from __future__ import annotations

import sympy as sp

from theory import GaussianExpectation


def check_message(error, parameter, got, expected):
    """parameter: got VALUE; expected EXPECTATION. Remedy: TEXT."""
    text = str(error)
    assert text.startswith(f"{parameter}: got ")
    head, _, remedy = text.partition(" Remedy: ")
    value, _, expectation = head.partition("; expected ")
    assert got in value
    assert expected in expectation
    assert len(remedy) > 5
    assert error.parameter == parameter


def same_label(expression):
    """Fill the label into every integrand, as the transcription does."""
    return sp.sympify(expression).replace(
        lambda e: isinstance(e, GaussianExpectation),
        lambda e: GaussianExpectation(e.integrand, e.law),
    )

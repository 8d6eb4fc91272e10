"""Schedules written as text: what is read, and what is refused with its name."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from numerics import TIME, Schedule
from theory import InputError
from verify.settings.values import parse_schedule


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1/(1 + t)", 1 / (1 + TIME)),
        ("2", sp.Integer(2)),
        ("exp(-t/10)", sp.exp(-TIME / 10)),
        ("1e-1*t**2", TIME**2 / 10),
    ],
)
def test_texts_become_exact_expressions(text, value):
    assert parse_schedule("schedule", text) == value
    assert np.all(
        np.isfinite(Schedule.of(parse_schedule("schedule", text) + 1)(np.array([0.5, 1.0])))
    )


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("1/(1+t", "check the brackets"),
        (")", "check the brackets"),
        ("1/(1 + t))", "check the brackets"),
        ("exp", "a real number for every t"),
        ("sqrt(-1) + 1", "a real number for every t"),
        ("1/0", "a real number"),
        ("1/(1+t)^2", "write \\*\\* for powers"),
        ("9**9**9**9", "towers of powers"),
        ("1/(1+u)", "u is not known here"),
        ("__import__('os')", "is not known here"),
        ("t.diff(t)", "diff is not known here"),
    ],
)
def test_other_texts_are_refused_by_name(text, remedy):
    with pytest.raises(InputError, match=f"schedule: got .*Remedy: .*{remedy}"):
        parse_schedule("schedule", text)

"""Titles say how a curve or simulation was run, where that is not the default."""

from __future__ import annotations

import pytest
import xarray as xr
from command_cases import succeed

from verify import figures
from verify.tables.text import run_text


def test_defaults_are_not_said():
    data = xr.Dataset(
        attrs={"method": "direct", "batch": 1, "schedule": "constant", "noise": "gaussian"}
    )
    assert run_text(data) == ""
    assert run_text(xr.Dataset()) == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["simulate", "--method", "reduced", "--batch", "3", "-d", "50", "--replicas", "2"],
            ", reduced, batch = 3",
        ),
        (["simulate", "--noise", "student:5", "-d", "50", "--replicas", "2"], ", noise: student:5"),
        (["curves", "--schedule", "1/(1 + t)"], ", η(t) = 1/(t + 1)"),
    ],
)
def test_titles_name_the_run(arguments, words, monkeypatch, tmp_path):
    drawn = []
    real = figures.plot_curves
    monkeypatch.setattr(
        figures, "plot_curves", lambda *a, **k: drawn.append(real(*a, **k)) or drawn[-1]
    )
    succeed(*arguments, "--k", "2", "--time", "0.1", "--plot", tmp_path / "a.svg")
    assert words.replace(" ", "") in "".join(drawn[0].get_suptitle().split())

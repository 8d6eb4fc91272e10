"""Checks return data, figures draw them: every kind of exhibit has one, no check loads any."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import is_dataclass, replace
from inspect import getmembers

import numpy as np
import pytest
from checked_systems import with_coarse_numbers
from helpers import ROOT, fresh_rng
from matplotlib.figure import Figure

from verify.checks import exhibits
from verify.checks.judged_theory import Theory
from verify.checks.runner import run
from verify.evidence.evidence import Evidence
from verify.evidence.levels import LEVELS
from verify.evidence.systems import get_system
from verify.figures.of_exhibits import draw

SMALL = replace(
    LEVELS["quick"],
    name="small",
    dimensions=(32, 48, 64),
    replicas=(20, 20, 20),
    trained_dimension=32,
    trained_replicas=4,
    test_points=2_000,
    aspects=(8, 16, 32),
    spectrum_dimensions=(16,),
    spectrum_replicas=2,
    layer_points=500,
    risk_replicas=4,
    risk_samples=50,
    outcome_runs=(8, 4, 4, 8),
)
# the checks that show something, and what they show
SHOWN = {
    "kgmm": {
        "curves": exhibits.Curves,
        "finite_size": exhibits.PowerLaw,
        "risk": exhibits.Risk,
        "blocks": exhibits.TrainingSpectrum,
        "eigenspaces": exhibits.WeightShares,
    },
    "xor": {
        "second_layer": exhibits.LayerShares,
        "separated_points": exhibits.SideBySide,
        "outcomes": exhibits.Outcomes,
    },
}

ROOMS = """
import sys, importlib, pkgutil
import verify.checks, verify.evidence, verify.verdict, verify.tables, verify.commands
import verify.commands.terminal
for room in (verify.checks, verify.evidence, verify.verdict, verify.tables):
    for module in pkgutil.iter_modules(room.__path__):
        importlib.import_module(f"{room.__name__}.{module.name}")
"""
RUN = """
from dataclasses import replace
from verify.checks.runner import run
from verify.evidence.evidence import Evidence
from verify.evidence.levels import LEVELS
from verify.evidence.systems import get_system
from verify.tables.verdicts import verdict_details, verdict_table
small = replace(LEVELS["quick"], dimensions=(32, 48, 64), replicas=(9, 9, 9), test_points=500)
report = run(evidence=Evidence(get_system("kgmm"), small, 1), only=["curves", "finite_size"])
table = verdict_table(report)
lines = [line for result in report.results for line in verdict_details(result)]
assert all(result.exhibits for result in report.results)
"""


@pytest.mark.slow
def test_no_check_loads_a_figure() -> None:
    """Neither when it is imported, nor when it is run, in one process; a figure would be seen."""
    steps = {"rooms": ROOMS, "run": RUN, "figures": "import verify.figures.of_exhibits"}
    code = "\n".join(
        f"{step}\nimport sys\nprint('{name}', 'matplotlib' in sys.modules)"
        for name, step in steps.items()
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["rooms False", "run False", "figures True"]


def test_every_kind_of_exhibit_has_a_figure() -> None:
    kinds = {
        kind
        for _, kind in getmembers(exhibits, is_dataclass)
        if kind.__module__ == exhibits.__name__
    }
    assert kinds == set(draw.registry) & kinds
    assert len(kinds) == 9
    with pytest.raises(TypeError, match="no figure of a dict"):
        draw({})


@pytest.mark.slow
@pytest.mark.parametrize("system", list(SHOWN))
def test_checks_show_data_that_are_made_when_asked_for(
    system: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = with_coarse_numbers(get_system(system), end=2.0)
    evidence = Evidence(small, SMALL, int(fresh_rng().integers(2**31)))
    asked = []
    display_runs = evidence.display_runs
    monkeypatch.setattr(evidence, "display_runs", lambda s: asked.append(s.name) or display_runs(s))
    report = run(
        evidence=evidence, theory=Theory.derive(evidence.system.model), only=list(SHOWN[system])
    )
    assert asked == []
    for result in report.results:
        kinds = set()
        for exhibit in result.exhibits:
            record = exhibit.data()
            kinds.add(type(record))
            assert isinstance(draw(record), Figure)
            assert exhibit.caption.endswith(".")
        assert SHOWN[system][result.name] in kinds


def test_a_power_law_is_drawn_with_its_own_numbers() -> None:
    x = np.array([10.0, 100.0, 1000.0])
    fit = exhibits.Exponent(-1.02, 0.03, 0.0)
    law = exhibits.power_law(
        "n", "Bias, against d → infinity.", ("d", x), ("b", 5 / x, 0.1 / x), fit, -1.0
    )
    record = law.data()
    assert record.title == "Bias"
    (axes,) = draw(record).axes
    points = axes.containers[0].lines[0]
    assert np.allclose(points.get_xdata(), x)
    assert np.allclose(points.get_ydata(), 5 / x)
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert any("−1.02 ± 0.03" in label for label in labels)

"""The command run inside a test."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from command_runner import new_runner
from typer.main import get_command

import numerics.dynamics.curves
import numerics.sgd.simulate
import numerics.spectra.empirical_spectrum
import numerics.spectra.population_spectrum
import verify.checks.runner
from verify.commands.cli import app

# made once: it takes longer than what most of the tests ask of it
command, runner = get_command(app), new_runner(CliRunner)


def invoke(*arguments: object):
    # a wide terminal, so that no message is broken into lines
    return runner.invoke(
        command, [str(a) for a in arguments], env={"COLUMNS": "200", "NO_COLOR": "1"}
    )


def succeed(*arguments: object) -> str:
    result = invoke(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def no_work(monkeypatch):
    """Every function that computes raises: whoever reaches it has started to work."""

    def refuse(*_, **__):
        raise AssertionError("work was started")

    monkeypatch.setattr(numerics.dynamics.curves, "integrate_curves", refuse)
    monkeypatch.setattr(numerics.dynamics.curves, "solve_curve", refuse)
    monkeypatch.setattr(numerics.sgd.simulate, "run_replica", refuse)
    monkeypatch.setattr(numerics.spectra.population_spectrum, "population_spectrum", refuse)
    monkeypatch.setattr(numerics.spectra.empirical_spectrum, "empirical_spectrum", refuse)
    monkeypatch.setattr(verify.checks.runner, "run", refuse)

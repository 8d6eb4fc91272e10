"""What the command loads: starting must not wait for what nobody asked for."""

import subprocess
import sys

import pytest
from helpers import ROOT

# a help needs the words of the options alone
HELP = {
    "sympy", "mpmath", "numpy", "scipy", "numba", "xarray", "pandas", "matplotlib", "jinja2",
    "rich.progress", "tomllib", "importlib.metadata", "theory.problem", "numerics",
}  # fmt: skip
# a curve by Gauss-Hermite rules needs neither figures, nor tests, nor a reader of formulas
CURVES = {
    "scipy.stats", "scipy.signal", "scipy.interpolate", "matplotlib", "lark", "hypothesis",
    "sklearn", "latex2mathml", "numerics.sgd", "numerics.proportional", "numerics.sweeps",
    "verify.checks", "verify.claims", "verify.report", "verify.figures", "tomllib",
}  # fmt: skip


def loaded(*words: str) -> set[str]:
    """The modules that are there when the command ends."""
    code = (
        "import atexit, sys\n"
        "atexit.register(lambda: sys.stderr.write('|' + ' '.join(sys.modules)))\n"
        f"sys.argv = {['specalign', *words]}\n"
        "from specalign.__main__ import main\n"
        "main()"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stderr
    return set(run.stderr.rpartition("|")[2].split())


def test_a_help_loads_the_words_of_the_options_alone() -> None:
    modules = loaded("--help")
    assert {"typer", "verify.commands.cli"} <= modules  # a look at nothing would find nothing
    assert not HELP & modules


@pytest.mark.slow
def test_a_first_curve_loads_what_curves_need() -> None:
    modules = loaded("curves", "--k", "2", "--time", "0.5")
    assert {"numba", "numerics.dynamics.curves"} <= modules
    assert not CURVES & modules

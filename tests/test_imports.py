"""The packages depend on each other one way only, and the theory on SymPy alone."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import theory

ROOT = Path(theory.__file__).resolve().parent.parent
NUMERIC = {"numpy", "scipy", "numba", "xarray", "pandas", "matplotlib"}
FORBIDDEN = {"theory": {"numerics", "verify", *NUMERIC}, "numerics": {"verify"}}


def imported_packages(source: str) -> set[str]:
    """Top-level names of every absolute import, also inside functions and TYPE_CHECKING blocks."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.level == 0:
                found.add(node.module.split(".")[0])
            elif node.level > 1:
                found.add(f"<leaves the package: level {node.level}>")
    return found


@pytest.mark.parametrize("package", FORBIDDEN)
def test_imports_run_one_way(package):
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    wrong = {
        str(f): bad
        for f in files
        if (bad := imported_packages(f.read_text("utf-8")) & FORBIDDEN[package])
    }
    assert wrong == {}


def test_theory_imports_only_the_standard_library_and_sympy():
    allowed = {"sympy", "mpmath", "theory", *sys.stdlib_module_names}
    for file in (ROOT / "theory").rglob("*.py"):
        assert imported_packages(file.read_text("utf-8")) <= allowed, file


@pytest.mark.parametrize(
    "source",
    [
        "import numpy as np",
        "def f():\n    from numpy.linalg import det",
        "if X:\n    import a, numpy.random",
    ],
)
def test_the_import_scan_sees_hidden_imports(source):
    assert "numpy" in imported_packages(source)


def test_the_import_scan_sees_relative_imports_that_leave_the_package():
    assert any("leaves" in name for name in imported_packages("from ...verify import x"))


def modules_after(statements: str) -> set[str]:
    code = (
        f"import sys\n{statements}\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return set(run.stdout.split())


@pytest.mark.slow
def test_using_theory_loads_no_numeric_package():
    baseline = modules_after("import sympy") & NUMERIC  # what SymPy itself may load is not ours
    used = modules_after(
        "from theory import *\n"
        "model = kgmm(2, weights=['1/2', '1/2'], directions_gram='orthonormal', ridge='1/10')\n"
        "noiseless(derive_drift(model)); derive_hessian(model); derive_diffusion(model)\n"
        "solve_noiseless_fixed_point(model)"
    )
    assert "theory" in used
    assert used & (NUMERIC | {"numerics", "verify"}) == baseline


def test_every_public_name_exists_and_is_documented():
    for name in theory.__all__:
        assert (getattr(theory, name).__doc__ or "").strip(), name
    assert len(set(theory.__all__)) == len(theory.__all__)

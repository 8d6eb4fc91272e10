"""``import specalign as sa``: every public name, nothing loaded before it is used, hidden packages
named.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import ROOT

import numerics
import specalign as sa
import theory
import verify


def python(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess:
    path = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=path,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("package", [theory, numerics, verify])
def test_every_public_name_is_handed_on(package):
    for name in package.__all__:
        assert getattr(sa, name) is getattr(package, name), name
    assert set(package.__all__) <= set(dir(sa))


def test_no_two_packages_share_a_name():
    names = [name for package in (theory, numerics, verify) for name in package.__all__]
    assert len(names) == len(set(names))


def test_the_table_of_verify_is_what_type_checkers_see():
    tree = ast.parse((ROOT / "verify" / "__init__.py").read_text("utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    assert seen.pop("strategies") is None
    homes = {name: module for module, names in verify._PUBLIC.items() for name in names}
    assert seen == homes
    assert set(verify.__all__) == {*seen, "strategies"}


def test_unknown_names_are_attribute_errors_and_private_ones_load_nothing():
    with pytest.raises(AttributeError, match="no public name 'kgm'"):
        sa.kgm  # noqa: B018
    code = (
        "import sys, specalign; hasattr(specalign, '_repr_html_');"
        "hasattr(specalign, '__wrapped__');"
        "print(sorted({'sympy', 'numpy', 'theory', 'numerics', 'verify'} & set(sys.modules)))"
    )
    assert python("-c", code).stdout.strip() == "[]"


@pytest.mark.slow
def test_a_symbolic_name_loads_no_numeric_library():
    code = (
        "import sys, specalign as sa; sa.kgmm(2);"
        "print(sorted({'scipy', 'numba', 'xarray', 'matplotlib'} & set(sys.modules)))"
    )
    assert python("-c", code).stdout.strip() == "[]"


def test_version_and_command():
    assert sa.__version__.split(".")[0].isdigit()
    run = python("-m", "specalign", "--version")
    assert run.stdout.strip() == f"specalign {sa.__version__}"


@pytest.mark.parametrize("name", ["theory", "numerics", "verify"])
@pytest.mark.parametrize("form", ["{}.py", "{}/__init__.py"])
def test_a_file_that_hides_a_package_is_named(name, form, tmp_path):
    hiding = tmp_path / form.format(name)
    hiding.parent.mkdir(exist_ok=True)
    hiding.write_text("")
    script = tmp_path / "script.py"
    script.write_text("import specalign as sa; sa.kgmm(2)")
    run = python(str(script), folder=tmp_path)
    assert run.returncode == 1
    last = run.stderr.strip().splitlines()[-1]
    assert last.startswith(f"ImportError: {hiding} hides the package {name!r} of specalign")
    assert "rename that file" in last


def test_a_script_of_that_name_may_not_import_itself(tmp_path):
    script = tmp_path / "theory.py"
    script.write_text("import specalign as sa\nsa.kgmm(2)")
    run = python(str(script), folder=tmp_path)
    assert f"{script} hides the package 'theory'" in run.stderr


@pytest.mark.parametrize(
    ("typed", "meant"), [("integrate_curve", "integrate_curves"), ("Problm", "Problem")]
)
def test_a_misspelt_name_is_told_the_nearest(typed, meant):
    with pytest.raises(AttributeError, match=f"did you mean '{meant}'"):
        getattr(sa, typed)
    with pytest.raises(AttributeError) as error:
        sa.zzzzzz  # noqa: B018
    assert "did you mean" not in str(error.value)


def test_help_lists_every_public_name_once():
    listed = [
        name.strip()
        for line in sa.__doc__.splitlines()
        if line.startswith("    ")
        for name in line.split(",")
        if name.strip()
    ]
    assert sorted([*listed, "__version__", "plot"]) == dir(sa)


@pytest.mark.slow
def test_messages_name_objects_as_users_reach_them():
    # users have ``import specalign as sa``
    names = "|".join(name for name in dir(sa) if not name.startswith("_"))
    inner = re.compile(rf"(?<![\w.`~/])(theory|numerics|verify)\.({names})\b(?!\.py)")
    found = []
    for package in ("theory", "numerics", "verify", "specalign"):
        for path in (ROOT / package).rglob("*.py"):
            tree = ast.parse(path.read_text("utf-8"))
            said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
            found += [
                f"{path.name}:{node.lineno}: {node.value[:60]}"
                for node in ast.walk(tree)
                if isinstance(node, ast.Constant) and id(node) not in said
                if isinstance(node.value, str) and inner.search(node.value)
            ]
    assert not found

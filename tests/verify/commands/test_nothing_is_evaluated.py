"""No text of a file or an option is run: what evaluates text occurs only where it is named."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_cases import invoke
from helpers import ROOT

PACKAGES = ("theory", "numerics", "verify", "specalign")
# functions that turn text or bytes into code or objects
EVALUATORS = {
    "eval",
    "exec",
    "compile",
    "parse_expr",
    "parse_latex",
    "literal_eval",
    "run_path",
    "run_module",
    "unpickle",
}
# where one of them is used, on what is no text of a file of data
ALLOWED = {
    ("numerics/core/codegen.py", "exec"),  # a module that was generated, in place of an import
    ("numerics/core/codegen.py", "compile"),
    ("verify/claims/files.py", "run_path"),  # a .py that is named on the command line
    ("verify/claims/files.py", "parse_latex"),  # our own reader of this name
    ("verify/claims/judge.py", "parse_latex"),
    ("verify/settings/user_model.py", "run_path"),  # a .py that is named in --model
}
# rooms that read text: not even sympify, which evaluates strings
READERS = ("verify/settings", "verify/commands", "verify/claims/language", "verify/claims/files.py")


def calls(source: str) -> Iterator[str]:
    """Names of the functions that a module calls; of modules alone for re.compile and its like."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            function = node.func
            if isinstance(function, ast.Name):
                yield function.id
            elif isinstance(function, ast.Attribute):
                owner = function.value.id if isinstance(function.value, ast.Name) else ""
                yield f"{owner}.{function.attr}" if function.attr == "compile" else function.attr


def evaluators(source: str) -> set[str]:
    return {name for name in calls(source) if name in EVALUATORS}


@pytest.mark.slow
def test_nothing_evaluates_text_but_where_it_is_named():
    found = {
        (str(file.relative_to(ROOT)), name)
        for package in PACKAGES
        for file in (ROOT / package).rglob("*.py")
        for name in evaluators(file.read_text("utf-8"))
    }
    assert found <= ALLOWED


def test_readers_of_text_do_not_sympify():
    for room in READERS:
        files = [ROOT / room] if room.endswith(".py") else sorted((ROOT / room).rglob("*.py"))
        assert files
        for file in files:
            assert not {"sympify", "nsimplify", "S"} & set(calls(file.read_text("utf-8"))), file


@pytest.mark.parametrize(
    "source", ["sp.parse_expr(text)", "eval(x)", "builtins.exec(x)", "compile(x, 'f', 'exec')"]
)
def test_the_search_sees_them(source):
    assert evaluators(source)
    assert not evaluators("re.compile(x); numba.compile(x)")


# the text writes a file if any reader runs it
MARK = "open('{path}', 'w')"
WIDE = str.maketrans({chr(c): chr(c + 0xFEE0) for c in range(0x21, 0x7F)})


@pytest.mark.parametrize("disguise", [lambda text: text, lambda text: text.translate(WIDE)])
@pytest.mark.parametrize("place", ["option", "file", "sweep", "axis", "number", "rows", "claim"])
def test_code_in_any_text_is_refused(place, disguise, tmp_path, no_work):
    mark, file = tmp_path / "mark", tmp_path / "run.toml"
    code = disguise(MARK.format(path=mark))
    store = tmp_path / "s.zarr"
    tables = {
        "file": f'[run]\nschedule = "{code}"\n',
        "sweep": f'[run]\nschedule = "{code}"\n[sweep]\nridge = [0.1]\nmeasure = ["risk"]\n',
        "axis": f'[sweep]\nschedule = ["{code}"]\nmeasure = ["risk"]\n',
        "claim": f'[model]\nk = 2\n[[claim]]\nquantity = "drift m_a_s"\nformula = "{code}"\n',
    }
    file.write_text(tables.get(place, ""), encoding="utf-8")
    words = {
        "option": ["curves", "--schedule", code],
        "number": ["curves", "--precision", code],
        "rows": ["curves", "--overlap", code],
        "file": ["curves", "--config", file],
        "sweep": ["sweep", file, "--store", store, "--list"],
        "axis": ["sweep", file, "--store", store, "--list"],
        "claim": ["check", file],
    }[place]
    result = invoke(*words)
    assert result.exit_code == 2, result.output
    assert "Remedy:" in result.stderr
    assert not mark.exists()
    assert not store.exists()
    assert not Path("mark").exists()


HOSTILE = {
    "replicas": ["simulate", "--replicas", "1000000000"],
    "replicas in memory": ["simulate", "--replicas", "1000000"],
    "k": ["curves", "--k", "1000000"],
    "dimension": ["simulate", "--dimension", "1000000000000"],
    "dimension of digits": ["simulate", "--dimension", "9" * 5000],
    "batch": ["simulate", "--batch", "1000000000"],
    "batch in memory": ["simulate", "--batch", "10000000"],
    "samples": ["spectrum", "--samples", "100000000000"],
    "samples in memory": ["spectrum", "--samples", "1000000000"],
    "samples of effective": ["effective", "--samples", "1000000000", "-d", "100000"],
    "steps": ["simulate", "--time", "1e12"],
    "time": ["curves", "--time", "1e300"],
    "time of a list": ["curves", "--time", "0,1e300"],
    "at": ["spectrum", "--at", "1e300"],
    "aspect ratio": ["effective", "--aspect-ratio", "1e-300"],
    "large aspect ratio": ["effective", "--aspect-ratio", "1e300"],
    "precision of digits": ["curves", "--precision", "9" * 5000],
    "tiny precision": ["curves", "--precision", "1e-300"],
    "vanishing ridge": ["curves", "--ridge", "1e-999"],
    "ridge": ["curves", "--ridge", "1e300"],
    "step": ["curves", "--step", "1e300"],
    "overlap": ["curves", "--overlap", "1e300,0,0;0,0,0;0,0,0"],
    "gram_perp": ["curves", "--gram-perp", "1e300,0,0;0,1e300,0;0,0,1e300"],
    "seed": ["simulate", "--seed", "9" * 5000],
    "arabic digits": ["simulate", "--seed", "\u0663"],
    "limit": ["derive", "--limit", "1000000"],
    "limit of digits": ["derive", "--limit", "9" * 300],
    "entry": ["derive", "--entry", f"m_{'9' * 5000}_1"],
    "assignment": ["derive", "xor", "--quantity", "fixed-point", "--assignment", "mu," * 5000],
    "noise": ["simulate", "--noise", f"student:{'9' * 5000}"],
    "workers": ["sweep", "a.toml", "--store", "a.zarr", "--workers", "1000000000"],
    "block": ["spectrum", "--block", f"{'9' * 5000},1"],
    "schedule": ["curves", "--schedule", "\u03c0"],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_values_beyond_all_bounds_are_refused(name, no_work):
    result = invoke(*HOSTILE[name])
    assert result.exit_code == 2, result.output
    for word in ("got", "expected", "Remedy:"):
        assert word in result.stderr
    assert len(result.stderr) < 1000
    assert len(result.stderr.splitlines()) == 1

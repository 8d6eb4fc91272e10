"""The house: no circle of imports, rooms of a size, files one can read in one sitting."""

from __future__ import annotations

import ast
import runpy
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest
from helpers import ROOT

PACKAGES = ("theory", "numerics", "verify", "specalign")
FILES = sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def module_of(file: Path, root: Path = ROOT) -> str:
    return ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def import_statements(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Imports inside functions tie files too; those for type checkers alone do not."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node
        elif not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)):
            yield from import_statements(node)


def import_graph(files: list[Path], root: Path = ROOT) -> dict[str, set[str]]:
    """Module -> modules of ours that it imports."""
    modules = {module_of(file, root): file for file in files}
    graph: dict[str, set[str]] = {}
    for module, file in modules.items():
        package = module if file.name == "__init__.py" else module.rpartition(".")[0]
        found = set()
        for node in import_statements(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
                continue
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                found.add(inner if inner in modules else base)
        graph[module] = (found & set(modules)) - {module}
    return graph


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that reach each other: strip what imports nothing left, until only circles
    stay.
    """
    left = {module: set(found) for module, found in graph.items()}
    while True:
        used = {m for found in left.values() for m in found}
        ends = [m for m, found in left.items() if not found or m not in used]
        if not ends:
            return [sorted(left)] if left else []
        for module in ends:
            del left[module]
        for found in left.values():
            found.difference_update(ends)


def longest_functions(file: Path) -> Iterator[tuple[int, str]]:
    """Lines of every function, its docstring apart."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = node.body[0]
            docstring = first.end_lineno - first.lineno + 1 if ast.get_docstring(node) else 0
            yield node.end_lineno - node.lineno + 1 - docstring, f"{module_of(file)}.{node.name}"


@pytest.mark.slow
def test_no_circle_of_imports_anywhere():
    assert circles(import_graph(FILES)) == []


@pytest.mark.parametrize(
    ("files", "circle"),
    [
        (
            {"a": "from .b import x", "b": "def f():\n    from .c import y", "c": "import p.a"},
            ["p.a", "p.b", "p.c"],
        ),
        (
            {
                "a": "from . import b",
                "b": "if TYPE_CHECKING:\n    from .a import x",
                "c": "from p.a import z",
            },
            None,
        ),
        ({"a": "from p.b import x\nimport p.c", "b": "from .c import y", "c": ""}, None),
    ],
)
def test_circles_are_seen(files, circle, tmp_path):
    folder = tmp_path / "p"
    folder.mkdir()
    for name, source in files.items():
        (folder / f"{name}.py").write_text(source)
    found = circles(import_graph(sorted(folder.glob("*.py")), tmp_path))
    assert found == ([] if circle is None else [circle])


def test_no_folder_holds_more_than_sixteen_modules():
    assert {folder: n for folder, n in Counter(f.parent for f in FILES).items() if n > 16} == {}


def test_files_can_be_read_in_one_sitting():
    lengths = {module_of(file): len(file.read_text("utf-8").splitlines()) for file in FILES}
    assert {module: n for module, n in lengths.items() if n > 400} == {}
    assert median(lengths.values()) <= 180


@pytest.mark.slow
def test_no_function_is_longer_than_eighty_lines():
    long = {name: n for file in FILES for n, name in longest_functions(file) if n > 80}
    assert long == {}


def test_every_room_says_what_it_is_for():
    for file in FILES:
        if file.name == "__init__.py":
            assert ast.get_docstring(ast.parse(file.read_text("utf-8"))), file


def test_names_of_test_files_are_unique():
    names = Counter(file.name for file in TESTS if file.name != "conftest.py")
    assert {name: n for name, n in names.items() if n > 1} == {}


def test_tests_stand_in_the_tree_of_the_packages():
    rooms = {file.parent.relative_to(ROOT) for file in FILES}
    for file in TESTS:
        folder = file.parent.relative_to(ROOT / "tests")
        assert str(folder) in {".", "witness", "reference"} or folder in rooms, file


def test_every_dependency_states_its_lowest_version(capsys):
    script = runpy.run_path(str(ROOT / ".ci" / "lowest_versions.py"))
    script["main"](["test"])
    constraints = capsys.readouterr().out.split()
    assert "numpy==2.0" in constraints
    assert len(constraints) > 20
    for open_ended in ("numpy", "numpy<3", "numpy==2.0"):
        with pytest.raises(ValueError, match="names no lowest version"):
            script["lowest"](open_ended)

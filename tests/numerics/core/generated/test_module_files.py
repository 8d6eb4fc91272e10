"""Generated modules and their machine code between runs, whatever has become of their files."""

from __future__ import annotations

import importlib.util
import os
import py_compile
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT

from numerics.core import codegen
from numerics.core.generated import module_files
from theory import symbols


@pytest.fixture
def forgetful(monkeypatch):
    """Empty the caches of this process, before and after; files lie where the test has them."""
    monkeypatch.setattr("numba.core.config.CACHE_DIR", "")
    caches = module_files.cache_directory, module_files.temporary_directory, codegen._load
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


@pytest.mark.usefixtures("forgetful")
def test_cache_directory_can_be_chosen(tmp_path, monkeypatch):
    monkeypatch.setenv("SPECALIGN_CACHE_DIR", str(tmp_path / "here"))
    module = codegen.load_module("def f():\n    return 41\n")
    assert module.f() == 41
    assert Path(module.__file__).parent == tmp_path / "here" / "generated"
    assert codegen.load_module("def f():\n    return 41\n") is module
    assert codegen.load_module("def f():\n    return 42\n").f() == 42
    assert not list((tmp_path / "here" / "generated").glob("*.tmp"))


@pytest.mark.usefixtures("forgetful")
def test_a_damaged_cache_file_is_replaced(tmp_path, monkeypatch):
    monkeypatch.setenv("SPECALIGN_CACHE_DIR", str(tmp_path))
    path = Path(codegen.load_module("def f():\n    return 1\n").__file__)
    path.write_text("raise RuntimeError")
    codegen._load.cache_clear()
    assert codegen.load_module("def f():\n    return 1\n").f() == 1


@pytest.mark.usefixtures("forgetful")
def test_an_unwritable_cache_directory_falls_back_to_a_temporary_one(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("a file, where a directory is wanted")
    monkeypatch.setenv("SPECALIGN_CACHE_DIR", str(blocked))
    assert tripled() == 6.0
    assert not module_files.cache_directory().is_relative_to(tmp_path)


# --- what may stand in the place of the files ----------------------------------------------------


def tripled() -> float:
    """A compiled function of a module that is loaded anew."""
    codegen._load.cache_clear()
    out, u = np.empty(1), symbols.vector("u", 1)
    source = codegen.generate_function("f", (("u", u),), [3 * u[0]], "numba")
    codegen.load_module(source).f(np.array([2.0]), out)
    return out[0]


def a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def zeros_without_end(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def a_circle(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def another_file(path: Path) -> None:
    target = path.with_suffix(".target")
    target.write_text("not ours")
    path.unlink()
    path.symlink_to(target)


def nothing(path: Path) -> None:
    path.write_bytes(b"")


def noise(path: Path) -> None:
    path.write_bytes(os.urandom(50))


def a_wrong_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.skipif(os.name != "posix", reason="makes pipes and links")
@pytest.mark.usefixtures("forgetful")
@pytest.mark.parametrize("ending", ["py", "nbi", "nbc"])
@pytest.mark.parametrize(
    "made",
    [a_directory, a_pipe, zeros_without_end, a_circle, another_file, nothing, noise, a_wrong_bit],
    ids=lambda made: made.__name__,
)
def test_no_file_of_the_cache_is_trusted(ending, made, tmp_path, monkeypatch):
    monkeypatch.setenv("SPECALIGN_CACHE_DIR", str(tmp_path))
    assert tripled() == 6.0
    files = list(tmp_path.rglob(f"*.{ending}"))
    assert files
    for path in files:
        made(path)
    assert tripled() == 6.0
    for target in tmp_path.rglob("*.target"):
        assert target.read_text() == "not ours"


@pytest.mark.usefixtures("forgetful")
def test_python_keeps_no_compiled_file_that_could_be_cut_short(tmp_path, monkeypatch):
    monkeypatch.setenv("SPECALIGN_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    assert tripled() == 6.0
    for path in (tmp_path / "generated").glob("*.py"):
        compiled = Path(importlib.util.cache_from_source(str(path)))
        assert not compiled.exists()
        compiled.parent.mkdir(exist_ok=True)
        py_compile.compile(str(path))
        compiled.write_bytes(compiled.read_bytes()[:200])
    assert tripled() == 6.0


@pytest.mark.usefixtures("forgetful")
def test_numba_reads_the_machine_code_too(tmp_path, monkeypatch):
    monkeypatch.setenv("SPECALIGN_CACHE_DIR", str(tmp_path))
    assert tripled() == 6.0
    monkeypatch.setattr(codegen, "keep_machine_code_safely", lambda module: None)
    assert tripled() == 6.0


@pytest.mark.skipif(os.name != "posix", reason="permissions")
@pytest.mark.usefixtures("forgetful")
def test_a_directory_that_all_can_write_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setenv("SPECALIGN_CACHE_DIR", str(tmp_path))
    (tmp_path / "generated").mkdir()
    (tmp_path / "generated").chmod(0o777)
    assert tripled() == 6.0
    assert list((tmp_path / "generated").iterdir()) == []


# Another user may not read the files of the packages, and numba imports parts of itself when it
# compiles, writes and reads its first function: root does that before, in a place of its own.
OTHER_USER = r"""
import os, sys
from numerics.core import codegen
from numerics.core.generated import module_files
source = "@numba.njit(cache=True)\ndef f():\n    return {}\n"
place = os.environ["SPECALIGN_CACHE_DIR"]
os.environ["SPECALIGN_CACHE_DIR"] = sys.argv[1]
for _ in range(2):
    assert codegen.load_module(source.format(2)).f() == 2
    codegen._load.cache_clear()
os.environ["SPECALIGN_CACHE_DIR"] = place
module_files.cache_directory.cache_clear(), module_files.temporary_directory.cache_clear()
os.setgid(65534), os.setuid(65534)
print(codegen.load_module(source.format(1)).f())
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid(), reason="only root can be another")
@pytest.mark.parametrize("mode", [0o700, 0o755, 0o555])
def test_the_directory_of_another_user_is_no_hindrance(mode, tmp_path, tmp_path_factory):
    folder = tmp_path / "generated"
    folder.mkdir()
    (folder / "specalign_generated.py").write_text("")
    tmp_path.chmod(mode)
    folder.chmod(mode)
    process = subprocess.run(
        [sys.executable, "-c", OTHER_USER, str(tmp_path_factory.mktemp("warm"))],
        env=os.environ | {"PYTHONPATH": str(ROOT), "SPECALIGN_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert process.stdout == "1\n", process.stderr

"""The benchmarks: what is asked for is run, and compared with the run before."""

from __future__ import annotations

import pytest

import benchmarks.__main__ as benchmarks
from benchmarks.history import Rows, append, last_values


def test_a_part_is_run_alone_and_compared_with_the_run_before(monkeypatch, tmp_path, capsys):
    values = iter(["1 s", "2 s"])

    def part(rows: Rows) -> None:
        rows.add_row("something", next(values), "3 s", "-")

    def other(rows: Rows) -> None:
        pytest.fail("not asked for")

    monkeypatch.setattr(benchmarks, "PARTS", {"part": part, "other": other})
    history = tmp_path / "new" / "history.jsonl"
    for _ in range(2):
        benchmarks.main(["--only", "part", "--history", str(history)])
    row = [line for line in capsys.readouterr().out.splitlines() if "something" in line][-1]
    assert row.index("2 s") < row.index("3 s") < row.index("1 s")
    assert last_values(history) == {"something": "2 s"}


def test_help_and_unknown_parts_measure_nothing(monkeypatch, capsys):
    monkeypatch.setattr(benchmarks, "PARTS", {"part": lambda _: pytest.fail("measured")})
    for arguments, code in ((["--help"], 0), (["--only", "prat"], 2)):
        with pytest.raises(SystemExit) as caught:
            benchmarks.main(arguments)
        assert caught.value.code == code
    assert "no part 'prat'" in capsys.readouterr().err


def test_a_history_keeps_what_later_runs_left_out(tmp_path):
    history = tmp_path / "history.jsonl"
    append(history, [("a", "1", "-", "-"), ("b", "2", "-", "-")], "machine")
    append(history, [("a", "3", "-", "-")], "machine")
    assert last_values(history) == {"a": "3", "b": "2"}

"""Rows of a run of the benchmarks, shown beside those of the run before."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import platformdirs
from rich.table import Table

# measured in words, value, limit or baseline, ratio
Row = tuple[str, str, str, str]


def default_file() -> Path:
    """Where runs are kept when nothing else is said."""
    return Path(platformdirs.user_data_dir("specalign")) / "benchmarks.jsonl"


class Rows:
    """Rows in the order in which they were measured."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def add_row(self, what: str, value: str, limit: str, ratio: str) -> None:
        """Add what was measured, its value, the limit or baseline, and the ratio of the two."""
        self.rows.append((what, value, limit, ratio))

    def table(self, before: dict[str, str]) -> Table:
        """All rows, with the values of an earlier run."""
        table = Table("measured", "value", "limit or baseline", "ratio", "run before")
        for row in self.rows:
            table.add_row(*row, before.get(row[0], "-"))
        return table


def last_values(file: Path) -> dict[str, str]:
    """The latest value of everything that a history holds."""
    values: dict[str, str] = {}
    if file.exists():
        for line in file.read_text("utf-8").splitlines():
            values |= {what: value for what, value, *_ in json.loads(line)["rows"]}
    return values


def append(file: Path, rows: list[Row], machine: str) -> None:
    """Add a run to a history."""
    file.parent.mkdir(parents=True, exist_ok=True)
    time = datetime.now(UTC).isoformat(timespec="seconds")
    with file.open("a", encoding="utf-8") as out:
        out.write(json.dumps({"time": time, "machine": machine, "rows": rows}) + "\n")

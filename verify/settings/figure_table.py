"""The table [figure] of a sweep file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numerics import Sweep
from theory import InputError
from theory.errors import check_choice

from .values import READERS

# dimensions over which values are independent draws of one quantity
RANDOM = ("replica", "seed")


@dataclass(frozen=True)
class FigureTable:
    """The table [figure].

    Attributes
    ----------
    x : str
        Axis, or the dimension ``time``.
    y : tuple of str
        Variables, a panel for each.
    lines : str or None
        Axis or dimension with a line for each value.
    select : tuple of mapping
        For each panel, labels kept of other axes and dimensions; the rest is averaged.
    theory : tuple of str
        For each panel a variable drawn dashed, or "".
    log_x : bool
    log_y, fit : tuple of bool
        For each panel; ``fit`` states the exponent of a power law.
    labels : tuple of str
        For each panel, of the vertical axis.
    title : str or None
    """

    x: str
    y: tuple[str, ...]
    lines: str | None = None
    select: tuple[Mapping[str, Any], ...] = ()
    theory: tuple[str, ...] = ()
    log_x: bool = False
    log_y: tuple[bool, ...] = ()
    fit: tuple[bool, ...] = ()
    labels: tuple[str, ...] = ()
    title: str | None = None

    def check(self, sweep: Sweep) -> None:
        """Refuse names that the sweep does not have.

        Raises
        ------
        theory.InputError
        """
        layout = sweep.layout
        for key, names in (("y", self.y), ("theory", self.theory)):
            for name in filter(None, names):
                check_choice(
                    f"[figure] {key}", name, layout.variables, kind="variable of the measurements"
                )
        dims = {d for name in self.y for d in layout.variables[name].dims}
        check_choice(
            "[figure] x", self.x, [*layout.axes, *(["time"] if "time" in dims else [])], kind="axis"
        )
        known = [*layout.axes, *dims]
        if self.lines is not None:
            check_choice(
                "[figure] lines",
                self.lines,
                [n for n in known if n != self.x],
                kind="axis or dimension",
            )
        for name, value in [item for panel in self.select for item in panel.items()]:
            check_choice(
                "[figure] select",
                name,
                [n for n in known if n not in (self.x, self.lines)],
                kind="name",
            )
            labels = layout.coordinates[name].to_numpy().tolist()
            if value not in labels:
                raise InputError(
                    f"[figure] select {name}",
                    value,
                    f"one of {', '.join(map(str, labels))}",
                    "select a label",
                )


def read_figure(path: Path, table: Any) -> FigureTable:
    """Read the table [figure].

    Raises
    ------
    theory.InputError
    """
    where = f"config {path.name} [figure]"
    if not isinstance(table, Mapping):
        raise InputError(where, "figure = ...", "a table [figure]", "put keys below it")
    for key in table:
        check_choice(where, key, FigureTable.__dataclass_fields__, kind="key")
    for key in ("x", "y"):
        if key not in table:
            raise InputError(
                where, f"no {key}", f"{key} = ...", 'write x = "dimension" and y = "alignment"'
            )
    y = _texts("y", table["y"])
    select = table.get("select", {})
    select = select if isinstance(select, list) else [select]
    if not select or not all(isinstance(panel, Mapping) for panel in select):
        raise InputError(
            "[figure] select",
            repr(select),
            "a table or a list of tables",
            "write select = { unit = 1 }",
        )
    return FigureTable(
        READERS["name"]("x", table["x"]),
        y,
        None if "lines" not in table else READERS["name"]("lines", table["lines"]),
        _each(
            "select",
            tuple(
                {
                    k: v if isinstance(v, str) else float(READERS["ridge"](k, v))
                    for k, v in panel.items()
                }
                for panel in select
            ),
            len(y),
        ),
        _each("theory", _texts("theory", table.get("theory", "")), len(y)),
        _flags("log_x", table.get("log_x", False))[0],
        _each("log_y", _flags("log_y", table.get("log_y", False)), len(y)),
        _each("fit", _flags("fit", table.get("fit", False)), len(y)),
        _each("labels", _texts("labels", table.get("labels", "")), len(y)),
        None if "title" not in table else READERS["name"]("title", table["title"]),
    )


def _texts(key: str, value: Any) -> tuple[str, ...]:
    given = value if isinstance(value, list) else [value]
    if not given or not all(isinstance(v, str) for v in given):
        raise InputError(
            f"[figure] {key}", repr(value), "a text or a list of texts", f'write {key} = "..."'
        )
    return tuple(given)


def _flags(key: str, value: Any) -> tuple[bool, ...]:
    given = value if isinstance(value, list) else [value]
    if not given or not all(isinstance(v, bool) for v in given):
        raise InputError(f"[figure] {key}", repr(value), "true or false", f"write {key} = true")
    return tuple(given)


def _each(key: str, given: tuple[Any, ...], panels: int) -> tuple[Any, ...]:
    """One entry serves all panels."""
    if len(given) not in (1, panels):
        raise InputError(
            f"[figure] {key}",
            f"{len(given)} entries",
            f"1 or {panels}, as y has",
            "give one for each y",
        )
    return given * panels if len(given) == 1 else given

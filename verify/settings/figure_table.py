"""The table [figure] of a sweep file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from theory.errors import InputError, check_choice

from .values import read_number, read_text

if TYPE_CHECKING:
    from numerics import Sweep

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
        kind = "variable of the measurements"
        for key, names in (("y", self.y), ("theory", self.theory)):
            for name in filter(None, names):
                check_choice(f"[figure] {key}", name, layout.variables, kind)
        dims = {d for name in self.y for d in layout.variables[name].dims}
        axes = [*layout.axes, *(["time"] if "time" in dims else [])]
        check_choice("[figure] x", self.x, axes, kind="axis")
        known = [n for n in (*layout.axes, *dims) if n != self.x]
        if self.lines is not None:
            check_choice("[figure] lines", self.lines, known, kind="axis or dimension")
            known = [n for n in known if n != self.lines]
        for name, value in [item for panel in self.select for item in panel.items()]:
            check_choice("[figure] select", name, known)
            labels = layout.coordinates[name].to_numpy().tolist()
            if value not in labels:
                expected = f"one of {', '.join(map(str, labels))}"
                raise InputError(f"[figure] select {name}", value, expected, "select a label")


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
            remedy = 'write x = "dimension" and y = "alignment"'
            raise InputError(where, f"no {key}", f"{key} = ...", remedy)
    y = _texts("y", table["y"])

    def each(
        key: str, read: Callable[[str, Any], tuple[Any, ...]], missing: Any
    ) -> tuple[Any, ...]:
        return _each(key, read(key, table.get(key, missing)), len(y))

    return FigureTable(
        read_text("x", table["x"]),
        y,
        lines=read_text("lines", table["lines"]) if "lines" in table else None,
        select=each("select", _labels, {}),
        theory=each("theory", _texts, ""),
        log_x=_flags("log_x", table.get("log_x", False))[0],
        log_y=each("log_y", _flags, False),
        fit=each("fit", _flags, False),
        labels=each("labels", _texts, ""),
        title=read_text("title", table["title"]) if "title" in table else None,
    )


def _labels(key: str, value: Any) -> tuple[dict[str, str | float], ...]:
    """Labels of axes and dimensions, a table for each panel."""
    panels = value if isinstance(value, list) else [value]
    if not panels or not all(isinstance(panel, Mapping) for panel in panels):
        expected, remedy = "a table or a list of tables", f"write {key} = {{ unit = 1 }}"
        raise InputError(f"[figure] {key}", repr(panels), expected, remedy)
    return tuple(
        {k: v if isinstance(v, str) else float(read_number(k, v)) for k, v in panel.items()}
        for panel in panels
    )


def _texts(key: str, value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(v, str) for v in values):
        expected = "a text or a list of texts"
        raise InputError(f"[figure] {key}", repr(value), expected, f'write {key} = "..."')
    return tuple(values)


def _flags(key: str, value: Any) -> tuple[bool, ...]:
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(v, bool) for v in values):
        raise InputError(f"[figure] {key}", repr(value), "true or false", f"write {key} = true")
    return tuple(values)


def _each(key: str, values: tuple[Any, ...], panels: int) -> tuple[Any, ...]:
    """One entry serves all panels."""
    if len(values) not in (1, panels):
        expected = f"1 or {panels}, as y has"
        raise InputError(
            f"[figure] {key}", f"{len(values)} entries", expected, "give one for each y"
        )
    return values * panels if len(values) == 1 else values

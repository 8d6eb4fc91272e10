"""Theory against evidence: checks with tolerances, laws of every model, reports, the ``specalign`` command.

Public names are loaded when first used: the command starts without them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .admissible import Domain
    from .law_formulas import Formulas
    from .law_report import LawViolation, ModelReport
    from .parametrize import parametrize_checks
    from .properties import check_model

__all__ = ["Domain", "Formulas", "LawViolation", "ModelReport", "check_model", "parametrize_checks"]

# name -> module
_PUBLIC = {
    "Domain": "admissible", "Formulas": "law_formulas", "LawViolation": "law_report", "ModelReport": "law_report",
    "check_model": "properties", "parametrize_checks": "parametrize",
}
_MODULES = ("properties", "strategies")


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(f".{_PUBLIC[name]}", __name__), name)
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})

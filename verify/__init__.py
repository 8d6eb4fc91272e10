"""Theory against evidence: claimed formulas, systems, laws of every model; reports and the ``specalign`` command.

Public names are loaded when first used: the command starts without them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .admissible import Domain
    from .claim_files import read_claims
    from .derivation import check_derivation, judge, make_claim
    from .judgement import Claim, Finding, Judgement
    from .law_formulas import Formulas
    from .law_report import LawViolation, ModelReport
    from .parametrize import parametrize_checks
    from .properties import check_model

__all__ = [
    "Claim", "Domain", "Finding", "Formulas", "Judgement", "LawViolation", "ModelReport", "check_derivation",
    "check_model", "judge", "make_claim", "parametrize_checks", "read_claims",
]

# name -> module
_PUBLIC = {
    "Claim": "judgement", "Domain": "admissible", "Finding": "judgement", "Formulas": "law_formulas",
    "Judgement": "judgement", "LawViolation": "law_report", "ModelReport": "law_report",
    "check_derivation": "derivation", "check_model": "properties", "judge": "derivation", "make_claim": "derivation",
    "parametrize_checks": "parametrize", "read_claims": "claim_files",
}
_MODULES = ("mutants", "properties", "strategies")


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(f".{_PUBLIC[name]}", __name__), name)
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})

"""Theory against evidence: claimed formulas, systems, laws of every model; reports and the
``specalign`` command.

Public names are loaded when first used: the command starts without them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .claims.files import read_claims
    from .claims.judge import check_derivation, judge, make_claim
    from .claims.judgement import Claim, Finding, Judgement
    from .laws.check_model import check_model
    from .laws.judged_formulas import Formulas
    from .laws.parametrize import parametrize_checks
    from .laws.report import LawViolation, ModelReport
    from .random_points.floating import Domain

__all__ = [
    "Claim",
    "Domain",
    "Finding",
    "Formulas",
    "Judgement",
    "LawViolation",
    "ModelReport",
    "check_derivation",
    "check_model",
    "judge",
    "make_claim",
    "parametrize_checks",
    "read_claims",
]

# name -> module
_PUBLIC = {
    "Claim": "claims.judgement",
    "Domain": "random_points.floating",
    "Finding": "claims.judgement",
    "Formulas": "laws.judged_formulas",
    "Judgement": "claims.judgement",
    "LawViolation": "laws.report",
    "ModelReport": "laws.report",
    "check_derivation": "claims.judge",
    "check_model": "laws.check_model",
    "judge": "claims.judge",
    "make_claim": "claims.judge",
    "parametrize_checks": "laws.parametrize",
    "read_claims": "claims.files",
}
_MODULES = ("strategies",)


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(f".{_PUBLIC[name]}", __name__), name)
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})

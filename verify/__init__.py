"""Judging theory: formulas against exact identities, digits and samples; a system's theory against simulation.

Public names are loaded when they are first used, so that the command starts quickly.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

# name -> module
_PUBLIC = {
    "Claim": "judgement", "Finding": "judgement", "Judgement": "judgement", "check_derivation": "derivation",
    "judge": "derivation", "make_claim": "derivation", "read_claims": "claim_files",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'verify' has no attribute {name!r}")
    return getattr(import_module(f".{_PUBLIC[name]}", __name__), name)

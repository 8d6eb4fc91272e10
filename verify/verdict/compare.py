"""Comparisons of the usual kinds: of a number, of a limit, of an exponent."""

from __future__ import annotations

from typing import SupportsFloat

from .extrapolation import Exponent, Extrapolation
from .tolerance import Chance, Comparison, Part, Tolerance

NEXT_POWER = "next power of 1/d (T4)"


def compare(
    quantity: str,
    measured: SupportsFloat,
    predicted: SupportsFloat,
    *parts: Part | Chance,
    resolution: SupportsFloat | None = None,
    one_sided: bool = False,
) -> Comparison:
    """One number against its prediction, with at most one part of the tolerance left to chance."""
    chances = [part for part in parts if isinstance(part, Chance)]
    if len(chances) > 1:
        raise ValueError(f"{quantity}: one standard error is left to chance, got {len(chances)}")
    fixed = tuple(Part(float(p.value), p.reason) for p in parts if isinstance(p, Part))
    return Comparison(
        quantity,
        float(measured),
        float(predicted),
        Tolerance(fixed, *chances),
        None if resolution is None else float(resolution),
        one_sided,
    )


def compare_limit(
    quantity: str,
    limit: Extrapolation,
    predicted: SupportsFloat,
    *parts: Part,
    resolution: SupportsFloat,
    degrees: float | None = None,
    reason: str = "",
    remainder: str = NEXT_POWER,
) -> Comparison:
    """A limit of one quantity: its error is left to chance, its remainder part of the tolerance."""
    return compare(
        quantity,
        limit.value,
        predicted,
        Chance(float(limit.error), degrees, reason),
        Part(float(limit.remainder), remainder),
        *parts,
        resolution=resolution,
    )


def compare_exponent(
    quantity: str,
    fit: Exponent,
    predicted: float,
    *parts: Part,
    resolution: float,
    degrees: float | None = None,
    reason: str = "",
) -> Comparison:
    """A measured exponent, whose error is left to chance."""
    chance = Chance(fit.error, degrees, reason)
    return compare(quantity, fit.slope, predicted, chance, *parts, resolution=resolution)

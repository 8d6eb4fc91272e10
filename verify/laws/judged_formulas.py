"""The formulas that the laws judge: derived when first asked for, or put in their place by whoever
claims others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, cast

import sympy as sp

from theory import (
    BlockMatrix,
    Diffusion,
    Drift,
    FiniteSize,
    Model,
    PopulationGradient,
    PopulationRisk,
    derive_diffusion,
    derive_drift,
    derive_finite_size,
    derive_gradient,
    derive_gradient_matrix,
    derive_hessian,
    derive_risk,
    low_noise,
    noiseless,
)
from theory.errors import brief, check_choice
from theory.keywords import with_known_keywords
from theory.notebook import short_repr
from theory.symbols import upper_triangle

_DERIVE: dict[str, Callable[[Model], Any]] = {
    "risk": derive_risk,
    "gradient": derive_gradient,
    "hessian": derive_hessian,
    "gradient_matrix": derive_gradient_matrix,
    "drift": derive_drift,
    "diffusion": derive_diffusion,
    "finite_size": derive_finite_size,
}


@lru_cache(maxsize=256)
def _derived(model: Model, name: str) -> Any:
    return _DERIVE[name](model)


@with_known_keywords
@dataclass(frozen=True)
class Formulas:
    """The formulas that the laws judge: those the engine derives, or others put in their place.

    Parameters
    ----------
    model : theory.Model
    replaced : dict
        By name: ``risk``, ``gradient``, ``hessian`` (of the risk, ridge included),
        ``gradient_matrix`` (without ridge), ``drift``, ``diffusion``, ``finite_size``; objects as
        the ``derive_*`` functions of :mod:`theory` return them.

    Raises
    ------
    theory.InputError
        Unknown name.

    Examples
    --------
    >>> from theory import derive_drift, kgmm
    >>> model = kgmm(2)
    >>> claimed = Formulas(model, {"drift": derive_drift(model).without_corrector()})
    >>> claimed.drift.corrector[0, 0], claimed.risk.model.name
    (0, 'kgmm2')
    """

    model: Model
    replaced: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return short_repr(self, f"of {brief(self.model.name)!r}", replaced=sorted(self.replaced))

    def __post_init__(self) -> None:
        for name in self.replaced:
            check_choice("formulas", name, _DERIVE, "formula")

    def _get(self, name: str) -> Any:
        return self.replaced[name] if name in self.replaced else _derived(self.model, name)

    @property
    def risk(self) -> PopulationRisk:
        """E[loss] without ridge."""
        return cast(PopulationRisk, self._get("risk"))

    @property
    def gradient(self) -> PopulationGradient:
        return cast(PopulationGradient, self._get("gradient"))

    @property
    def hessian(self) -> BlockMatrix:
        """Of the population risk, ridge included: across kinks the distributional one."""
        return cast(BlockMatrix, self._get("hessian"))

    @property
    def gradient_matrix(self) -> BlockMatrix:
        """G without ridge."""
        return cast(BlockMatrix, self._get("gradient_matrix"))

    @property
    def drift(self) -> Drift:
        return cast(Drift, self._get("drift"))

    @cached_property
    def limit(self) -> Sequence[sp.Expr]:
        """The drift without noise, the same in every case of a law."""
        return noiseless(self.drift).vector

    @cached_property
    def slope(self) -> Sequence[sp.Expr]:
        """What stands beside 1/lambda in the expansion of the drift, times 1/lambda."""
        orders = (low_noise(self.drift, order).vector for order in (1, 0))
        return tuple(first - zeroth for first, zeroth in zip(*orders, strict=True))

    @property
    def diffusion(self) -> Diffusion:
        return cast(Diffusion, self._get("diffusion"))

    @property
    def finite_size(self) -> FiniteSize:
        return cast(FiniteSize, self._get("finite_size"))


def block_expressions(blocks: BlockMatrix) -> Sequence[sp.Expr]:
    """Everything a matrix consists of: its upper blocks, each with its bulk, then mixed and
    readout.

    What is derived stays contracted: none of the entries is written out in symbols.
    """
    readout = range(blocks.model.readout_size)
    pairs = upper_triangle(blocks.model.units)
    return blocks.entries(pairs, mixed=bool(readout), readout=readout)

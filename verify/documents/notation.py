"""One step of a derivation, and how sums over components and derivatives are written in it."""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from theory import Model
from theory.names import DISTRIBUTIONAL

ROUTES = STEIN, PROJECTION = "stein", "projection"
# what a statement is part of
LOSS, STEPS, RESULT = "The loss and its derivatives", "Expectations", "Collected terms"


@dataclass(frozen=True)
class Statement:
    r"""One step.

    Attributes
    ----------
    part : str
        The section it stands in.
    text : str
        What is done, in words with mathematics between dollar signs.
    quantity, formula : str
        The claim.
    left : str
        The left-hand side in LaTeX where it is written in another way than the quantity.
    needed : bool
        A form that only restates a result is left out where it does not stand.
    order : int, optional
        It holds up to this power of 1/lambda.
    """

    part: str
    text: str
    quantity: str
    formula: str
    left: str = ""
    needed: bool = True
    order: int | None = None


@dataclass(frozen=True)
class Notation:
    """How sums over components and derivatives are written for a model and a route."""

    model: Model
    route: str
    kink_rule: str = DISTRIBUTIONAL

    @property
    def is_stein(self) -> bool:
        return self.route == STEIN

    @property
    def rule(self) -> str:
        if self.is_stein:
            return r"Stein's lemma, $\mathbb{E}[F(Z)\,Z_i]=\mathbb{E}[\partial_iF(Z)]$,"
        return r"Projection onto the pre-activations, with $w=Q^{+}(u-\mathbb{E}_l u)$,"

    @property
    def _coordinates_are_identity(self) -> bool:
        s = self.model.mixture.coordinates
        return bool(s.shape[0] == s.shape[1] and s == sp.eye(s.shape[0]))

    @property
    def _is_orthonormal(self) -> bool:
        return bool(self.model.mixture.directions_gram == sp.eye(self.model.directions))

    def mean(self, component: str, direction: str) -> str:
        """mu_l . e_s"""
        if self._coordinates_are_identity:
            name = "delta" if self._is_orthonormal else "Gamma"
            return f"{name}_{component}_{direction}"
        if self._is_orthonormal:
            return f"S_{component}_{direction}"
        return f"sum_t(S_{component}_t*Gamma_t_{direction})"

    def averaged(self, f: str, s: str) -> str:
        """E[f mu_l . e_s] over the mixture."""
        if self._coordinates_are_identity and self._is_orthonormal:
            return f"p_{s}*E_{s}[{f}]"
        return f"sum_l(p_l*{self.mean('l', s)}*E_l[{f}])"

    def coordinate(self, f: str, *directions: str) -> str:
        """E[f S_ls], the coefficient of e_s."""
        if self._coordinates_are_identity:
            s, *others = directions
            return "*".join([*(f"delta_{s}_{t}" for t in others), f"p_{s}*E_{s}[{f}]"])
        coordinates = "*".join(f"S_l_{s}" for s in directions)
        return f"sum_l(p_l*{coordinates}*E_l[{f}])"

    def _scaled(self, formula: str, power: int = 1) -> str:
        """With the factor that each use of Stein's lemma brings."""
        if not self.is_stein:
            return formula
        return f"1/lambda{f'^{power}' if power > 1 else ''}*{formula}"

    def _once(self, f: str, c: str) -> str:
        return _derivative(f, c) if self.is_stein else f"{f}*w_{c}"

    def _twice(self, f: str, c: str, d: str) -> str:
        if self.is_stein:
            return _derivative(_derivative(f, c), d)
        return f"{f}*(w_{c}*w_{d} - P_{c}_{d}/lambda)"

    def along(self, f: str, c: str) -> str:
        """The coefficient of x^c in E[f (Y - mean)]."""
        return self._scaled(f"E[{self._once(f, c)}]")

    def sum_along(self, f: str, c: str, other: str, component: str = "") -> str:
        """E[f (Y - mean)] . z, where ``other`` is x^c . z."""
        sign = f"E_{component}" if component else "E"
        return self._scaled(f"sum_{c}({sign}[{self._once(f, c)}]*{other})")

    def sum_twice_along(self, f: str, other: str) -> str:
        return self._scaled(f"sum_c_d(E_l[{self._twice(f, 'c', 'd')}]*{other})", 2)

    def coordinate_along(self, f: str, s: str, c: str) -> str:
        return self._scaled(self.coordinate(self._once(f, c), s))

    def twice_along(self, f: str, c: str, d: str) -> str:
        """The coefficient of x^c (x^d)^T."""
        return self._scaled(f"E[{self._twice(f, c, d)}]", 2)


def _derivative(f: str, c: str) -> str:
    return f"H_{f[-1]}_{c}" if len(f) == 3 and f[:2] == "g_" else f"diff({f}, u_{c})"

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
        if self._teachers:
            seen = r"$w=P^{+}((u,t)-\mathbb{E}_l(u,t))$, $P/\lambda$ their covariance,"
            return rf"Projection onto the pre-activations and teachers, with {seen}"
        return r"Projection onto the pre-activations, with $w=Q^{+}(u-\mathbb{E}_l u)$,"

    @property
    def _teachers(self) -> list[tuple[int, int]]:
        """The directions that the loss sees, and the place of each behind the pre-activations."""
        teachers = self.model.loss.teachers
        return [(s + 1, self.model.units + i + 1) for i, s in enumerate(teachers)]

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

    def _teacher(self, f: str, s: int, place: int) -> str:
        """What Stein's lemma or projection makes of f along a teacher."""
        return f"diff({f}, t_{s})" if self.is_stein else f"{f}*w_{place}"

    def _with_teacher(self, f: str, c: str, s: int, place: int) -> str:
        """The same along a unit and a teacher."""
        if self.is_stein:
            return self._teacher(_derivative(f, c), s, place)
        return f"{f}*(w_{c}*w_{place} - P_{c}_{place}/lambda)"

    def _two_teachers(self, f: str, one: tuple[int, int], other: tuple[int, int]) -> str:
        if self.is_stein:
            return self._teacher(self._teacher(f, *one), *other)
        places = (one[1], other[1])
        return "{}*(w_{}*w_{} - P_{}_{}/lambda)".format(f, *places, *places)

    def _total(self, terms: list[str], power: int = 1) -> str:
        """Terms of the teachers, to be added to a formula."""
        inside = " + ".join(terms)
        return f" + {self._scaled(f'({inside})', power)}" if terms else ""

    def teachers_along(self, f: str, other: str, component: str = "") -> str:
        """The teachers' part of E[f (Y - mean)] . z; ``other`` is e . z, room for e's number."""
        sign = f"E_{component}" if component else "E"
        return self._total(
            [f"{sign}[{self._teacher(f, *t)}]*{other.format(t[0])}" for t in self._teachers]
        )

    def teachers_twice_along(self, f: str, s: str, t: str) -> str:
        """The teachers' part of the second-order terms of E_l[f Y_s Y_t]."""
        terms, teachers = [], self._teachers
        for x in teachers:
            both = f"(m_c_{s}*Gamma_{x[0]}_{t} + m_c_{t}*Gamma_{x[0]}_{s})"
            terms.append(f"sum_c(E_l[{self._with_teacher(f, 'c', *x)}]*{both})")
            terms += [
                f"E_l[{self._two_teachers(f, x, z)}]*Gamma_{x[0]}_{s}*Gamma_{z[0]}_{t}"
                for z in teachers
            ]
        return self._total(terms, 2)

    def teacher_coordinates(self, f: str, s: str, t: str = "") -> str:
        """The teachers' part of the coefficient of e_s, or of e_s e_t^T."""
        teachers = self._teachers
        if not t:
            return self.teachers_along(f, f"delta_{s}_{{}}")
        once = [
            f"delta_{one}_{x[0]}*{self.coordinate(self._teacher(f, *x), other)}"
            for x in teachers
            for one, other in ((s, t), (t, s))
        ]
        twice = [
            f"delta_{s}_{x[0]}*delta_{t}_{z[0]}*E[{self._two_teachers(f, x, z)}]"
            for x in teachers
            for z in teachers
        ]
        return self._total(once) + self._total(twice, 2)

    def teacher_coordinates_along(self, f: str, s: str, c: str) -> str:
        """The teachers' part of the coefficient of e_s (x^c)^T."""
        teachers = self._teachers
        return self._total(
            [f"delta_{s}_{x[0]}*E[{self._with_teacher(f, c, *x)}]" for x in teachers], 2
        )

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

r"""The tensors that derived quantities are contracted from: the mixture, the state, moments.

Letters of indices, here and in :mod:`theory.formulas`: l component; a b e f units whose gradient is
meant; c d units summed over by integration by parts; n o teachers summed over by it, as directions;
s t directions; i j readout parameters.

Integration by parts runs over all vectors that the loss sees, units and teachers:

.. math:: E[h\,(Y-\mu)\cdot w]
          = \sum_c\mathrm{slope}_c\,x^c\cdot w + \sum_n\mathrm{slope}_n\,e_n\cdot w.

The terms of teachers are asked for with their letters; a loss without teachers has none.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property, lru_cache
from itertools import accumulate

import sympy as sp

from theory.names import DISTRIBUTIONAL
from theory.problem.model import Model

from .contraction import MomentTensor, Operand, Tensor, Term
from .moments import Moments, Weight

# kinds of variables of the partial derivatives in a weight: g_a is (("u",),), H_ab is
# (("u", "u"),), g_a g_b is (("u",), ("u",)), the derivative in a readout parameter is (("v",),)
WeightKind = tuple[tuple[str, ...], ...]
UNIT: WeightKind = (("u",),)
READOUT: WeightKind = (("v",),)
# what integration by parts runs over
UNIT_FIELD, TEACHER_FIELD = "u", "t"


class MomentTensors:
    """Every tensor of one model by one route, each made once.

    Parameters
    ----------
    moments : Moments
        What builds the entries.
    """

    def __init__(self, moments: Moments) -> None:
        self.moments = moments
        self.model = moments.model
        self._tensors: dict[tuple[WeightKind, str], MomentTensor] = {}
        self._inverses: dict[str, Tensor] = {}

    @cached_property
    def weights(self) -> Tensor:
        """p_l."""
        values = self.model.mixture.weights
        return Tensor("p", (self.model.components,), lambda l: values[l])

    @cached_property
    def coordinates(self) -> Tensor:
        """S_ls."""
        return _of_matrix("S", self.model.mixture.coordinates)

    @cached_property
    def mean_overlaps(self) -> Tensor:
        """(S Gamma)_ls."""
        return _of_matrix("S Gamma", self.model.mixture.mean_overlaps)

    @cached_property
    def directions_gram(self) -> Tensor:
        """Gamma_st."""
        return _of_matrix("Gamma", self.model.mixture.directions_gram)

    @cached_property
    def overlap(self) -> Tensor:
        """m_as."""
        return _of_matrix("m", self.model.symbols.overlap)

    @cached_property
    def gram_perp(self) -> Tensor:
        """R_ab."""
        return _of_matrix("R", self.model.symbols.gram_perp)

    @cached_property
    def readout(self) -> Tensor:
        """v_i."""
        values = self.model.symbols.readout
        return Tensor("v", (self.model.readout_size,), lambda i: values[i])

    def identity(self, size: int) -> Tensor:
        """delta_ab."""
        return _identity(size)

    def mean(self, kind: WeightKind, letters: str, *rest: Operand) -> list[Term]:
        r""":math:`\sum_l p_l E_l[h] \cdots`, the operands ``rest`` standing for the dots."""
        return [self._averaged(sp.Integer(1), (self._tensor(kind, ""), "l" + letters), *rest)]

    def slope(
        self, kind: WeightKind, letters: str, c: str, *rest: Operand, teachers: str = ""
    ) -> list[Term]:
        r""":math:`\sum_l p_l\,\mathrm{slope}_c(h) \cdots`, summed over ``c`` where it repeats.

        ``c`` runs over units, or over directions where it is among the letters ``teachers``: then
        the slope is that in t_c, 0 for a direction that is no teacher.
        """
        if teachers and not self.model.loss.teachers:
            return []
        here, scale = "l" + letters + c, sp.Integer(1)
        if self.moments.route == "stein":
            scale = 1 / self.model.mixture.precision
        return [self._averaged(scale, (self._tensor(kind, _kinds(c, teachers)), here), *rest)]

    def curvature(
        self, kind: WeightKind, letters: str, c: str, d: str, *rest: Operand, teachers: str = ""
    ) -> list[Term]:
        r""":math:`\sum_l p_l\,\mathrm{curvature}_{cd}(h) \cdots`; ``teachers`` as for a slope."""
        if teachers and not self.model.loss.teachers:
            return []
        lam, here = self.model.mixture.precision, "l" + letters + c + d
        along = _kinds(c + d, teachers)
        second = (self._tensor(kind, along), here)
        if self.moments.route == "stein":
            return [self._averaged(lam**-2, second, *rest)]
        mean = (self._tensor(kind, ""), "l" + letters)
        return [
            self._averaged(sp.Integer(1), second, *rest),
            self._averaged(-1 / lam, mean, (self._gram_inverse(along), c + d), *rest),
        ]

    def shared_slopes(self, gram: Tensor) -> list[Term]:
        r""":math:`\sum_{cd}(\sum_lp_l\,\mathrm{slope}_c(g_a))R_{cd}(\sum_kp_k\,\mathrm{slope}_d(g_b))`,
        of two independent samples.
        """
        (left,) = self.slope(UNIT, "a", "c", (gram, "cd"))
        (right,) = self.slope(UNIT, "b", "d")
        renamed = ((x, letters.replace("l", "k")) for x, letters in right.operands)
        return [Term(left.factor * right.factor, (*left.operands, *renamed))]

    def _averaged(self, factor: sp.Expr, *operands: Operand) -> Term:
        return Term(factor, ((self.weights, "l"), *operands))

    def _gram_inverse(self, along: str) -> Tensor:
        """P over units or teachers, as :meth:`_tensor` has them."""
        if along not in self._inverses:
            self._inverses[along] = self._new_inverse(along)
        return self._inverses[along]

    def _new_inverse(self, along: str) -> Tensor:
        gram_inverse = self.model.symbols.gram_inverse

        def entry(*index: int) -> sp.Expr:
            fields = [self._field(a, i) for a, i in zip(along, index, strict=True)]
            return sp.Integer(0) if None in fields else gram_inverse[tuple(fields)]

        return Tensor("P", tuple(self._size(a) for a in along), entry)

    def _size(self, along: str) -> int:
        return self.model.directions if along == TEACHER_FIELD else self.model.units

    def _field(self, along: str, i: int) -> int | None:
        """Where a unit, or the teacher of a direction, stands among the fields."""
        if along == UNIT_FIELD:
            return int(i)
        teachers = self.model.loss.teachers
        return self.model.units + teachers.index(i) if i in teachers else None

    def _tensor(self, kind: WeightKind, actions: str) -> MomentTensor:
        """E_l of a weight, with a slope, by the route, for each of ``actions``: in a unit, or in
        the teacher of a direction.
        """
        if (kind, actions) not in self._tensors:
            self._tensors[kind, actions] = self._new_tensor(kind, actions)
        return self._tensors[kind, actions]

    def _new_tensor(self, kind: WeightKind, actions: str) -> MomentTensor:
        model, moments = self.model, self.moments
        units = model.units
        sizes = [units if v == "u" else model.readout_size for factor in kind for v in factor]
        offsets = [0 if v == "u" else units for factor in kind for v in factor]
        ends = list(accumulate(len(factor) for factor in kind))
        starts = [0, *ends[:-1]]
        w, by_parts = model.symbols.whitened, moments.route == "stein"
        behind = len(model.loss.variables) - units

        def integrand(*index: int) -> sp.Expr:
            own, extra = index[: len(sizes)], index[len(sizes) :]
            found = [self._field(a, i) for a, i in zip(actions, extra, strict=True)]
            fields = [c for c in found if c is not None]
            if len(fields) < len(found):
                return sp.Integer(0)
            variables = [o + i for o, i in zip(offsets, own, strict=True)]
            pairs = zip(starts, ends, strict=True)
            weight = Weight.of(*(variables[start:end] for start, end in pairs))
            if not by_parts:
                return moments.expression(weight) * sp.Mul(*(w[c] for c in fields))
            # teachers stand behind the readout among what the loss is differentiated by
            return moments.derivative(weight, tuple(c + behind * (c >= units) for c in fields))

        shape = (model.components, *sizes, *map(self._size, actions))
        name = "E[" + "".join("g" if len(f) == 1 else "H" for f in kind) + actions + "]"
        return MomentTensor(name, shape, integrand, moments.expectation)


def _kinds(letters: str, teachers: str) -> str:
    """For every letter whether it runs over units or over teachers."""
    return "".join(TEACHER_FIELD if c in teachers else UNIT_FIELD for c in letters)


@lru_cache(maxsize=64)
def _identity(size: int) -> Tensor:
    return Tensor("delta", (size, size), lambda a, b: sp.Integer(int(a == b)))


def _of_matrix(name: str, matrix: sp.MatrixBase) -> Tensor:
    return Tensor(name, matrix.shape, lambda i, j: matrix[i, j])


def scaled(terms: Iterable[Term], factor: sp.Expr) -> list[Term]:
    """Every term times a factor."""
    return [term.scaled(factor) for term in terms]


@lru_cache(maxsize=64)
def moment_tensors(model: Model, route: str, kink_rule: str = DISTRIBUTIONAL) -> MomentTensors:
    """The tensors of a model by one route, shared by all that is derived of it."""
    return MomentTensors(Moments(model, route, kink_rule))

r"""The tensors that derived quantities are contracted from: the mixture, the state, moments.

Letters of indices, here and in :mod:`theory.formulas`: l component; a b e f units whose gradient is
meant; c d units summed over by integration by parts; s t directions; i j readout parameters.
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
    def gram_inverse(self) -> Tensor:
        """P_cd."""
        return _of_matrix("P", self.model.symbols.gram_inverse)

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

    def slope(self, kind: WeightKind, letters: str, c: str, *rest: Operand) -> list[Term]:
        r""":math:`\sum_l p_l\,\mathrm{slope}_c(h) \cdots`, summed over ``c`` where it repeats."""
        here = "l" + letters + c
        if self.moments.route == "stein":
            scale = 1 / self.model.mixture.precision
            return [self._averaged(scale, (self._tensor(kind, "d"), here), *rest)]
        return [self._averaged(sp.Integer(1), (self._tensor(kind, "w"), here), *rest)]

    def curvature(
        self, kind: WeightKind, letters: str, c: str, d: str, *rest: Operand
    ) -> list[Term]:
        r""":math:`\sum_l p_l\,\mathrm{curvature}_{cd}(h) \cdots`."""
        lam, here = self.model.mixture.precision, "l" + letters + c + d
        if self.moments.route == "stein":
            return [self._averaged(lam**-2, (self._tensor(kind, "dd"), here), *rest)]
        mean = (self._tensor(kind, ""), "l" + letters)
        return [
            self._averaged(sp.Integer(1), (self._tensor(kind, "ww"), here), *rest),
            self._averaged(-1 / lam, mean, (self.gram_inverse, c + d), *rest),
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

    def _tensor(self, kind: WeightKind, actions: str) -> MomentTensor:
        """E_l of a weight, of its derivatives ("d") or of its products with w ("w")."""
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
        w = model.symbols.whitened

        def integrand(*index: int) -> sp.Expr:
            own, extra = index[: len(sizes)], index[len(sizes) :]
            variables = [o + i for o, i in zip(offsets, own, strict=True)]
            pairs = zip(starts, ends, strict=True)
            weight = Weight.of(*(variables[start:end] for start, end in pairs))
            if actions.startswith("w"):
                return moments.expression(weight) * sp.Mul(*(w[c] for c in extra))
            return moments.derivative(weight, extra)

        shape = (model.components, *sizes, *(units for _ in actions))
        name = "E[" + "".join("g" if len(f) == 1 else "H" for f in kind) + actions + "]"
        return MomentTensor(name, shape, integrand, moments.expectation)


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

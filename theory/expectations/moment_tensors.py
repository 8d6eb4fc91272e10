r"""The tensors that derived quantities are contracted from: the mixture, the state, moments.

Letters of indices, here and in :mod:`theory.formulas`: l component; a b e f units whose gradient is
meant; c d units summed over by integration by parts; n o teachers summed over by it, as directions;
s t directions; i j readout parameters; g h bands; p q tokens.

Integration by parts runs over all vectors that the loss sees, units and teachers:

.. math:: E[h\,(Y-\mu)\cdot w]
          = \sum_c\mathrm{slope}_c\,x^c\cdot w + \sum_n\mathrm{slope}_n\,e_n\cdot w.

The terms of teachers are asked for with their letters; a loss without teachers has none.

Within a band g the noise of component l has the variance sigma_lg^2 / lambda, so that

.. math:: E_l[h\,P_g(Y-\mu_l)\cdot w] = \sigma_{lg}^2\sum_c\mathrm{slope}_c\,x^c\cdot P_gw + \ldots

(mathematics.md section 10): a slope along a vector of band g is asked for with the operands
``variance("lg")``, and letters of bands pass through :meth:`MomentTensors.over`.  Of isotropic
noise both are empty, and nothing but the formula without bands is left.

Where a sample holds several tokens, a derivative in u has two indices, unit and token: weights are
asked for with letters such as "ap" and "apbq".  What is of different tokens is independent, so that
a slope along token p is asked for with "cp" (mathematics.md section 12b).  Of one feature a sample
the letters of tokens fall away.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property, lru_cache
from itertools import accumulate
from typing import Any

import sympy as sp

from theory.names import DISTRIBUTIONAL
from theory.problem.held.loss_symbols import Statistic
from theory.problem.model import Model
from theory.problem.updating.update import DOMINANT

from .band_tensors import (
    TEACHER_FIELD,
    UNIT_FIELD,
    BandTensors,
    identity,
    kinds_of,
    of_matrix,
    positions_of,
)
from .contraction import MomentTensor, Operand, Tensor, Term
from .moments import Moments, Weight

# kinds of variables of the partial derivatives in a weight: g_a is (("u",),), H_ab is
# (("u", "u"),), g_a g_b is (("u",), ("u",)), the derivative in a readout parameter is (("v",),)
WeightKind = tuple[tuple[str, ...], ...]
UNIT: WeightKind = (("u",),)
READOUT: WeightKind = (("v",),)
# kappa_ab = (1 + delta_ab) d l / d Q_ab and eta_as = d l / d m_as, of a loss that holds statistics:
# these letters have two indices each
KAPPA: WeightKind = (("Q",),)
ETA: WeightKind = (("m",),)
# what stands in their place in a step, where a model has a rule of its own
UNIT_STEP: WeightKind = (("x",),)
READOUT_STEP: WeightKind = (("w",),)
# letters of directions before they are projected
_KEPT = {"s": "x", "t": "y"}
# letters of statistics, of two indices each
_PAIRS = "Qm"


class MomentTensors(BandTensors):
    """Every tensor of one model by one route, each made once.

    Parameters
    ----------
    moments : Moments
        What builds the entries.
    """

    def __init__(self, moments: Moments) -> None:
        super().__init__(moments.model)
        self.moments = moments
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
        return self._of_tokens("S", self.model.mixture.coordinates)

    @cached_property
    def mean_overlaps(self) -> Tensor:
        """(S Gamma)_ls."""
        if self.model.tokens > 1:
            return self._of_tokens("S Gamma", self.model.mixture.mean_overlaps)
        return self._of_bands("S Gamma", self.model.mixture.mean_overlaps)

    @cached_property
    def directions_gram(self) -> Tensor:
        """Gamma_st."""
        return self._of_bands("Gamma", self.model.mixture.directions_gram)

    @cached_property
    def overlap(self) -> Tensor:
        """m_as."""
        return self._of_bands("m", self.model.symbols.overlap)

    @cached_property
    def gram_perp(self) -> Tensor:
        """R_ab."""
        return self._of_bands("R", self.model.symbols.gram_perp)

    @cached_property
    def readout(self) -> Tensor:
        """v_i."""
        values = self.model.symbols.readout
        return Tensor("v", (self.model.readout_size,), lambda i: values[i])

    @property
    def unit_step(self) -> WeightKind:
        """What a step multiplies the sample by: g_a, or that of the rule of the model."""
        return UNIT if self.model.rule is None else UNIT_STEP

    @property
    def readout_step(self) -> WeightKind:
        """What a step subtracts from the readout: the derivative, or that of the rule."""
        return READOUT if self.model.rule is None else READOUT_STEP

    def decay(self, letter: str, matrix: Tensor, rest: str) -> Term:
        r""":math:`\sum_bK_{ab}x^b\cdot(\ldots)`, of a matrix whose rows are units.

        K is the ridge, or that of the rule.
        """
        if self.model.rule is None:
            return Term(self.model.ridge, ((matrix, self.over("g" + letter + rest)),))
        inner = (matrix, self.over("gz" + rest))
        return Term(sp.Integer(1), ((self.decay_matrix, letter + "z"), inner))

    @cached_property
    def decay_matrix(self) -> Tensor:
        """K of the rule."""
        rule = self.model.rule
        assert rule is not None  # the plain gradient has its ridge
        return of_matrix("K", rule.gain * rule.decay)

    def gains(self, letter: str, matrix: Tensor, rest: str) -> list[Term]:
        r""":math:`\sum_bE[\kappa_{ab}]x^b\cdot(\ldots)`, of a matrix whose rows are units; nothing
        where the loss holds no statistics.
        """
        if not self.model.loss.statistics:
            return []
        return self.mean(KAPPA, letter + "z", (matrix, "z" + rest))

    def pushes(self, letter: str) -> list[Term]:
        r""":math:`\sum_tE[\eta_{at}]\Gamma_{ts}`; none where the loss holds no statistics."""
        if not self.model.loss.statistics:
            return []
        return self.mean(ETA, letter + "r", (self.directions_gram, "rs"))

    def decays(self, gram: Tensor) -> list[Term]:
        """K G + G K^T of a Gram matrix of the units."""
        if self.model.rule is None:
            return [Term(2 * self.model.ridge, ((gram, self.over("gab")),))]
        return [self.decay("a", gram, "b"), self.decay("b", gram, "a")]

    def readout_decay(self) -> Term:
        """The ridge of the readout, times its rates."""
        rule = self.model.rule
        if rule is None:
            return Term(self.model.ridge, ((self.readout, "i"),))
        factors = [rule.gain * e for e in rule.readout_decay]
        decay = Tensor("k", (self.model.readout_size,), lambda i: factors[i])
        return Term(sp.Integer(1), ((decay, "i"), (self.readout, "i")))

    def along_directions(self, terms: list[Term], letter: str = "s") -> list[Term]:
        """The part of what moves along the directions that the rule keeps: all, if none projects.

        ``letter`` is that of the direction.
        """
        kept = self.model.kept_directions
        if kept is None:
            return terms
        tensor, inner = of_matrix("Pi", kept), _KEPT[letter]
        return [
            Term(
                term.factor,
                (
                    *((x, letters.replace(letter, inner)) for x, letters in term.operands),
                    (tensor, inner + letter),
                ),
            )
            for term in terms
        ]

    def off_directions(self, terms: list[Term]) -> list[Term]:
        """The part off the directions that the rule keeps: all or nothing."""
        rule = self.model.rule
        return [] if rule is not None and rule.project == DOMINANT else terms

    def ridge(self, kind: str, letter: str, *rest: Operand) -> Term:
        """The ridge of the loss on a unit ("u") or a readout parameter ("v") times operands."""
        rule, units = self.model.rule, self.model.units
        if rule is None:
            return Term(self.model.ridge, rest)
        values = rule.ridges[:units] if kind == "u" else rule.ridges[units:]
        return Term(
            sp.Integer(1), ((Tensor("beta", (len(values),), lambda a: values[a]), letter), *rest)
        )

    @property
    def ridges(self) -> tuple[sp.Expr, Tensor, Tensor]:
        """A factor, and tensors of which it makes beta_a delta_ab and beta_i v_i."""
        rule, c, v = self.model.rule, self.model.units, self.readout
        if rule is None:
            return self.model.ridge, self.identity(c), v
        return (
            sp.Integer(1),
            of_matrix("beta", sp.diag(*rule.ridges[:c])),
            Tensor("beta v", v.shape, lambda i: rule.ridges[c + i] * v.entry(i)),
        )

    def identity(self, size: int) -> Tensor:
        """delta_ab."""
        return identity(size)

    def mean(self, kind: WeightKind, letters: str, *rest: Operand) -> list[Term]:
        r""":math:`\sum_l p_l E_l[h] \cdots`, the operands ``rest`` standing for the dots."""
        here = self.over("l" + letters)
        return [self._averaged(sp.Integer(1), (self._tensor(kind, ""), here), *rest)]

    def slope(
        self, kind: WeightKind, letters: str, c: str, *rest: Operand, teachers: str = ""
    ) -> list[Term]:
        r""":math:`\sum_l p_l\,\mathrm{slope}_c(h) \cdots`, summed over ``c`` where it repeats.

        ``c`` runs over units, or over directions where it is among the letters ``teachers``: then
        the slope is that in t_c, 0 for a direction that is no teacher.
        """
        if teachers and not self.model.loss.teachers:
            return []
        here, scale = self.over("l" + letters + c), sp.Integer(1)
        if self.moments.route == "stein":
            scale = 1 / self.model.mixture.precision
        return [self._averaged(scale, (self._tensor(kind, kinds_of(c, teachers)), here), *rest)]

    def curvature(
        self, kind: WeightKind, letters: str, c: str, d: str, *rest: Operand, teachers: str = ""
    ) -> list[Term]:
        r""":math:`\sum_l p_l\,\mathrm{curvature}_{cd}(h) \cdots`; ``teachers`` as for a slope."""
        if teachers and not self.model.loss.teachers:
            return []
        lam, here = self.model.mixture.precision, self.over("l" + letters + c + d)
        along = kinds_of(c + d, teachers)
        second = (self._tensor(kind, along), here)
        if self.moments.route == "stein":
            return [self._averaged(lam**-2, second, *rest)]
        mean = (self._tensor(kind, ""), self.over("l" + letters))
        own = "" if self.model.mixture.bands is None else "l"
        inverse = (self._gram_inverse(along), own + c[0] + d[0])
        return [
            self._averaged(sp.Integer(1), second, *rest),
            self._averaged(-1 / lam, mean, inverse, *self.same_token(c[1:], d[1:]), *rest),
        ]

    def _averaged(self, factor: sp.Expr, *operands: Operand) -> Term:
        return Term(factor, ((self.weights, "l"), *operands))

    def _gram_inverse(self, along: str) -> Tensor:
        """P over units or teachers, as :meth:`_tensor` has them."""
        if along not in self._inverses:
            self._inverses[along] = self._new_inverse(along)
        return self._inverses[along]

    def _new_inverse(self, along: str) -> Tensor:
        s, own = self.model.symbols, self.model.mixture.bands is not None
        inverses = [s.gram_inverse_of(l) for l in range(self.model.components if own else 1)]

        def entry(*index: int) -> sp.Expr:
            l, pair = (index[0], index[1:]) if own else (0, index)
            fields = [self._field(a, i) for a, i in zip(along, pair, strict=True)]
            return sp.Integer(0) if None in fields else inverses[l][tuple(fields)]

        sizes = tuple(self._size(a) for a in along)
        return Tensor("P", (len(inverses), *sizes) if own else sizes, entry)

    def _size(self, along: str) -> int:
        return self.model.directions if along == TEACHER_FIELD else self.model.units

    def _field(self, along: str, i: int) -> int | None:
        """Where a unit (and token), or the teacher of a direction, stands among the fields."""
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
        units, tokens = len(model.loss.preactivation), model.tokens
        # the slopes of a rule stand behind all that the loss is differentiated by
        own = len(model.loss.differentiated)
        places = {"u": 0, "v": units, "x": own, "w": own + units}
        letters = [v for factor in kind for v in factor]
        if any(v in _PAIRS for v in letters):
            return self._with_statistics(kind, actions)
        at_unit = (model.units, tokens) if tokens > 1 else (units,)
        sizes = [at_unit if v in "ux" else (model.readout_size,) for v in letters]
        offsets = [places[v] for v in letters]
        ends = list(accumulate(len(factor) for factor in kind))
        starts = [0, *ends[:-1]]
        w, by_parts = model.symbols.whitened, moments.route == "stein"
        behind = len(model.loss.variables) - units

        every = [*sizes, *(at_unit if a == UNIT_FIELD else (self._size(a),) for a in actions)]

        def integrand(*index: int) -> sp.Expr:
            flat = positions_of(every, index, model.units)
            first, extra = flat[: len(sizes)], flat[len(sizes) :]
            found = [self._field(a, i) for a, i in zip(actions, extra, strict=True)]
            fields = [c for c in found if c is not None]
            if len(fields) < len(found):
                return sp.Integer(0)
            variables = [o + i for o, i in zip(offsets, first, strict=True)]
            pairs = zip(starts, ends, strict=True)
            weight = Weight.of(*(variables[start:end] for start, end in pairs))
            if not by_parts:
                return moments.expression(weight) * sp.Mul(*(w[c] for c in fields))
            # teachers stand behind the readout among what the loss is differentiated by
            return moments.derivative(weight, tuple(c + behind * (c >= units) for c in fields))

        shape = (model.components, *(n for size in every for n in size))
        name = "E[" + "".join("g" if len(f) == 1 else "H" for f in kind) + actions + "]"
        return MomentTensor(name, shape, integrand, moments.expectation)

    def _with_statistics(self, kind: WeightKind, actions: str) -> MomentTensor:
        """As :meth:`_new_tensor`, of a weight with derivatives in statistics of the loss."""
        model, moments, loss = self.model, self.moments, self.model.loss
        ranges: dict[str, tuple[int, ...]]
        ranges = {"u": (model.units,), "v": (model.readout_size,)}
        ranges |= {"Q": (model.units, model.units), "m": (model.units, model.directions)}
        behind = len(loss.variables) - model.units
        first = sum(len(ranges[v]) for factor in kind for v in factor)
        w, by_parts = model.symbols.whitened, moments.route == "stein"

        def position(letter: str, at: list[int]) -> int | None:
            if letter in "uv":
                return at[0] + (model.units if letter == "v" else 0)
            pair = sorted(at) if letter == "Q" else at
            return loss.statistic_position(Statistic(letter, *pair))

        def integrand(*index: int) -> sp.Expr:
            left, scale = list(index[:first]), sp.Integer(1)
            factors: list[Any] = []
            for factor in kind:
                found = []
                for letter in factor:
                    at, left = left[: len(ranges[letter])], left[len(ranges[letter]) :]
                    scale *= 2 if letter == "Q" and at[0] == at[1] else 1
                    found.append(position(letter, at))
                factors.append(found)
            seen = [self._field(a, i) for a, i in zip(actions, index[first:], strict=True)]
            fields = [c for c in seen if c is not None]
            if len(fields) < len(seen) or any(None in found for found in factors):
                return sp.Integer(0)
            weight = Weight.of(*factors)
            if not by_parts:
                return scale * moments.expression(weight) * sp.Mul(*(w[c] for c in fields))
            along = tuple(c + behind * (c >= model.units) for c in fields)
            return scale * moments.derivative(weight, along)

        sizes = [n for factor in kind for v in factor for n in ranges[v]]
        shape = (model.components, *sizes, *map(self._size, actions))
        name = "E[" + "".join("".join(f) for f in kind) + actions + "]"
        return MomentTensor(name, shape, integrand, moments.expectation)


def scaled(terms: Iterable[Term], factor: sp.Expr) -> list[Term]:
    """Every term times a factor."""
    return [term.scaled(factor) for term in terms]


@lru_cache(maxsize=64)
def moment_tensors(model: Model, route: str, kink_rule: str = DISTRIBUTIONAL) -> MomentTensors:
    """The tensors of a model by one route, shared by all that is derived of it."""
    return MomentTensors(Moments(model, route, kink_rule))

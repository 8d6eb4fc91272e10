"""What a law is, and the random case it is judged on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from numerics import Parameters, State
from numerics.expectations.compiled import (
    SCRAMBLINGS,
    CompiledExpressions,
    compile_expressions,
    sampling_error,
)
from numerics.expectations.estimation import estimate_sobol
from numerics.expectations.quadrature import MISSED, Rule, choose_family
from theory import BlockMatrix, InputError, Model
from theory.expectations.contracted import ContractedVector
from verify.verdict.tolerance import Comparison, Part, Tolerance, Verdict, critical_value

from .judged_formulas import Formulas, block_expressions

Array = NDArray[np.float64]

# of sums of products of numbers of order 1, in the dimensions of the laws
ROUNDING = 1e-12
# smallest deviation of interest, as a share of the size of the quantity: where both sides are
# deterministic, and where one is sampled, by quasi-Monte Carlo (kinks, four and more dimensions) or
# by steps of SGD.  A wrong term is larger.
SHARP, SAMPLED = 1e-3, 0.1
# in three dimensions a tensor rule has 28 nodes an axis at most, and bounds its errors in wide
# fields by a few hundredths (they are a thousand times smaller): the resolution is that of sampling
SHARP_DIMENSIONS = 2
# errors are asked to be smaller than what is of use by so much: both sides of a law have them
SPARE = 4.0
# the share of the largest value to which scrambled rules are refined: a tenth of that
SHARE = SAMPLED / SPARE / 10
# scrambled nodes at most, where their first errors are of use
NODES = 2**16
# absolute error asked of the coefficients of matrices where rules sample: they are many, and the
# resolution is no finer
COARSE = 3e-4
# what a case takes of samples and nodes when the first ones left it inconclusive
MORE = 8


@dataclass(frozen=True)
class Numbers:
    """Values of expressions at a state with bounds of their errors, and what evaluates them at
    other states alike.

    Attributes
    ----------
    values, errors : array, shape (number of expressions,)
    samples : array, shape (scramblings, number of expressions), or None where the rule is
        deterministic
    """

    values: Array
    errors: Array
    samples: Array | None
    rule: Rule
    compiled: CompiledExpressions
    share: float

    def map(
        self, linear: Callable[[Array, Array], Array], generators: Array
    ) -> tuple[Array, Array]:
        """A linear map of the values with bounds of its errors.

        ``linear(numbers, generators)`` is multilinear: with the errors and absolute generators it
        gives the bound.
        """
        if self.samples is None:
            bound = self.errors + 16 * np.finfo(float).eps * np.abs(self.values)
            return linear(self.values, generators), np.abs(linear(bound, np.abs(generators)))
        return self.spread(np.array([linear(row, generators) for row in self.samples]))

    def spread(self, samples: Array) -> tuple[Array, Array]:
        """Mean over scramblings, and a bound of its error that holds for all entries together."""
        mean = samples.mean(axis=0)
        return mean, self.widening(mean.size) * sampling_error(samples)

    def read(self, linear: Callable[[Array], Array] | None) -> tuple[Array, Array]:
        """What a linear map makes of values of scramblings, and a bound of its error."""
        assert self.samples is not None
        rows = self.samples if linear is None else np.array([linear(row) for row in self.samples])
        return self.spread(rows)

    def widening(self, count: int) -> float:
        """From errors over scramblings, intervals of one number, to the level of the case."""
        degrees = SCRAMBLINGS - 1
        return critical_value(max(count, 1), self.share, degrees) / critical_value(
            1, MISSED, degrees
        )

    def at(self, parameters: Parameters, state: State) -> Array:
        """Values at another state with the same nodes, a row for each scrambling."""
        parts = (state.overlap, state.gram_perp, state.readout)
        if self.samples is None:
            return self.compiled.evaluate(parameters, *parts, self.rule)[None]
        overlap, gram_perp, readout = (
            np.repeat(part[None], self.rule.replicates, axis=0) for part in parts
        )
        return self.compiled.evaluate_replicates(parameters, overlap, gram_perp, readout, self.rule)


@dataclass(frozen=True)
class LawCase:
    """One random trial of a law.

    Attributes
    ----------
    model : theory.Model
    formulas : Formulas
    parameters : Parameters
    state : State
    rng : numpy.random.Generator
        For whatever else the law draws.
    share : float
        Probability with which this case may refute a true law.
    effort : int
        Factor of samples and nodes: 1, and MORE where a case said nothing with 1.
    """

    model: Model
    formulas: Formulas
    parameters: Parameters
    state: State
    rng: np.random.Generator
    share: float
    effort: int = 1

    @cached_property
    def nodes(self) -> int:
        """Seed of the scrambled nodes: one a case, so that both sides of a law share them.

        Each side has the error that is said of it, whatever that of the other.
        """
        return int(self.rng.integers(2**32))

    def numbers(
        self,
        expressions: Sequence[sp.Expr],
        *,
        model: Model | None = None,
        parameters: Parameters | None = None,
        state: State | None = None,
        tolerance: float | None = None,
        share: float = SHARE,
        max_nodes: int = NODES,
        judge: Callable[[Array], Array] | None = None,
    ) -> Numbers:
        """Evaluate expressions at the parameters and state of the case, or at others.

        Rules that sample are refined to a ``share`` of the largest value only, unless the case is
        looked at again.  Tensor rules of three and more dimensions end at few nodes an axis.  Where
        these miss what was asked and the case is looked at again, scrambled nodes bound the error
        more tightly.
        """
        compiled = compile_expressions(
            self.model if model is None else model,
            expressions if isinstance(expressions, ContractedVector) else tuple(expressions),
            "numpy",
            # closed forms would make both sides of a law the same expression
            closed_forms=False,
        )
        parameters = self.parameters if parameters is None else parameters
        state = self.state if state is None else state
        seed, most = self.nodes, max(max_nodes, NODES * self.effort)
        share = 0.0 if self.effort > 1 else share
        found = compiled.estimate(
            parameters,
            state,
            tolerance=tolerance,
            seed=seed,
            max_nodes=most,
            judge=judge,
            share=share,
        )
        if self.effort > 1 and found.samples is None and found.rule.dimension > SHARP_DIMENSIONS:
            wanted = max(COARSE / self.effort, 0.0 if tolerance is None else tolerance)
            if found.errors.max(initial=0.0) > wanted:
                parts = (state.overlap, state.gram_perp, state.readout)
                found = estimate_sobol(compiled, parameters, parts, wanted, seed, most, judge)
        return Numbers(found.values, found.errors, found.samples, found.rule, compiled, self.share)

    def resolved(
        self, expressions: Sequence[sp.Expr], read: Callable[[Array], Array] | None = None
    ) -> Numbers:
        """Evaluate with errors that are of use: scrambled nodes that miss it are taken again, with
        as many more of them.

        Of use for a linear map of the values, where one is given.
        """
        found = self.numbers(expressions, judge=read)
        if found.samples is None:
            return found
        values, errors = found.read(read)
        wanted = SAMPLED * max(float(np.abs(values).max()), 1e-3) / SPARE
        missed = float(errors.max()) / wanted
        if missed <= 1:
            return found
        reached = float(errors.max()) / found.widening(errors.size)
        return self.numbers(
            expressions, tolerance=reached / missed, share=0.0, max_nodes=MORE * NODES, judge=read
        )

    def matrix_numbers(self, blocks: BlockMatrix, **where: Any) -> Numbers:
        """Evaluate everything a matrix consists of (:func:`block_expressions`)."""
        asked = is_sampled(self.model) or self.effort > 1
        tolerance = COARSE / self.effort if asked else None
        return self.numbers(block_expressions(blocks), tolerance=tolerance, **where)

    def values(self, expressions: Sequence[sp.Expr], **where: Any) -> tuple[Array, Array]:
        """Values of expressions and bounds of their errors."""
        found = self.numbers(expressions, **where)
        if found.samples is None:
            return found.values, found.errors
        return found.spread(found.samples)

    def with_parameters(self, **changes: Any) -> Parameters:
        """The parameters with some of them changed."""
        p = self.parameters
        parts: dict[str, Any] = {
            "weights": p.weights,
            "precision": p.precision,
            "ridge": p.ridge,
            "step": p.step,
            "directions_gram": p.directions_gram,
            "values": p.values,
        }
        return Parameters(**(parts | changes))


Judge = Callable[[LawCase], list[Comparison]]


def flat_kinks(model: Model) -> str | None:
    """Why a law that integrates over kinks, or stays clear of them, says nothing about a model."""
    if model.loss.is_smooth or model.loss.kink_forms is not None:
        return None
    return "a kink of its loss is not affine in the pre-activations"


def always(_: Model) -> None:
    """The law applies to every model."""


@dataclass(frozen=True)
class Law:
    """A statement every model has to meet, judged on random cases.

    Attributes
    ----------
    name : str
    statement : str
        In words.
    equation : str
        The same in LaTeX.
    source : str
        Where it comes from.
    tolerance : str
        What its bound is made of.
    judge : callable, LawCase -> list of Comparison
    applies : callable, Model -> str or None
        Why the law says nothing about a model; None where it does.
    cases : int
        How many random cases are judged; a third where expectations are sampled, and every one is
        dear.
    """

    name: str
    statement: str
    equation: str
    source: str
    tolerance: str
    judge: Judge
    applies: Callable[[Model], str | None] = always
    cases: int = 3

    def cases_of(self, model: Model) -> int:
        """How many random cases of a model are judged."""
        return max(1, self.cases // 3) if is_sampled(model) else self.cases


def compare(
    quantity: str,
    measured: Array,
    predicted: Array,
    parts: Sequence[tuple[Array | float, str]],
    *,
    resolution: float,
    scale: Array | float | None = None,
    names: Sequence[str] | None = None,
) -> Comparison:
    """Compare arrays entry by entry and return the worst: failures first, then what is too weak,
    then the nearest.

    ``resolution`` is a share of ``scale``, by default the largest entry of either side. ``names``
    are those of the entries, in their order; one number needs none.
    """
    measured, predicted = np.atleast_1d(measured), np.atleast_1d(predicted)
    if scale is None:
        scale = max(np.abs(measured).max(initial=0.0), np.abs(predicted).max(initial=0.0), 1e-3)
    sizes = np.broadcast_to(np.asarray(scale, dtype=float), measured.shape).ravel()
    spread = [
        (np.broadcast_to(np.asarray(v, dtype=float), measured.shape).ravel(), why)
        for v, why in parts
    ]
    measured, predicted = measured.ravel(), predicted.ravel()
    if len(names or "1") != measured.size:
        raise ValueError(f"{quantity}: {measured.size} entries, {len(names or '1')} names")
    found = [
        Comparison(
            quantity if names is None else f"{quantity}, entry {names[i]}",
            float(measured[i]),
            float(predicted[i]),
            Tolerance(tuple(Part(float(v[i]), why) for v, why in spread)),
            resolution=float(resolution * sizes[i]),
        )
        for i in range(measured.size)
    ]
    order = {Verdict.FAILS: 2, Verdict.INCONCLUSIVE: 1, Verdict.HOLDS: 0}
    return max(found, key=lambda c: (order[c.verdict], np.inf if np.isnan(c.strain) else c.strain))


def resolution_of(*numbers: Numbers) -> float:
    """SHARP where all numbers come from deterministic rules of a few dimensions, else SAMPLED."""
    sharp = (n.samples is None and n.rule.dimension <= SHARP_DIMENSIONS for n in numbers)
    return SHARP if all(sharp) else SAMPLED


def is_sampled(model: Model) -> bool:
    """True where expectations of a model need quasi-Monte Carlo."""
    gauge = model.loss.gauge
    # teachers and label noise are integrated over as pre-activations are
    dimension = len(model.loss.fields) - (0 if gauge is None else gauge.shape[1])
    return choose_family(dimension, model.loss.is_smooth) != "gauss-hermite"


def check_is_model(model: object, parameter: str = "model") -> Model:
    """Refuse what is no Model."""
    if not isinstance(model, Model):
        got = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
        remedy = "build one: sa.Model.build(mixture, loss), sa.kgmm(3), sa.xor(4)"
        raise InputError(parameter, got, "an sa.Model", remedy)
    return model

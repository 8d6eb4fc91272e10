"""The same problem under other names, or over another basis: models whose theory must be that of
the first, renamed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from numerics import Parameters, State
from theory import Bands, Loss, Mixture, Model, symbols
from theory.problem.held.loss_symbols import GRAM, Statistic

from .law import LawCase

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Twin:
    """The same problem under other names: its model, and where parameters, state and results go.

    Attributes
    ----------
    model : theory.Model
    parameters : Parameters
    state : State
    units, readout : tuple of int
        Unit a of the first problem is unit units[a] of the twin; likewise readout parameters.
    basis : array, shape (r, r)
        The directions of the twin are the rows of ``basis`` times those of the first problem.
    """

    model: Model
    parameters: Parameters
    state: State
    units: tuple[int, ...]
    readout: tuple[int, ...]
    basis: Array


def make_twin(
    case: LawCase,
    model: Model,
    *,
    units: Sequence[int] | None = None,
    readout: Sequence[int] | None = None,
    components: Sequence[int] | None = None,
    basis: Array | None = None,
) -> Twin:
    """Carry parameters and state over; place k of a permutation says where entry k goes."""
    c, q, r = case.model.units, case.model.readout_size, case.model.directions
    units, readout = (
        tuple(range(c) if units is None else units),
        tuple(range(q) if readout is None else readout),
    )
    basis = np.eye(r) if basis is None else basis
    weights = case.parameters.weights
    if components is not None:
        weights = put(weights, components)
    gamma = basis @ case.parameters.directions_gram @ basis.T
    gamma = (gamma + np.swapaxes(gamma, -1, -2)) / 2
    state = case.state
    moved = State(
        put(state.overlap, units, -2) @ basis.T,
        put(put(state.gram_perp, units, -1), units, -2),
        put(state.readout, readout),
    )
    parameters = case.with_parameters(weights=weights, directions_gram=gamma)
    return Twin(model, parameters, moved, units, readout, basis)


def put(values: Array, places: Sequence[int], axis: int = 0) -> Array:
    """Entry k of an axis at places[k]."""
    return np.take(values, np.argsort(places), axis=axis)


def cycle(size: int) -> tuple[int, ...]:
    """Place k goes to k + 1: for three and more not its own inverse, so that a transposed
    permutation shows.
    """
    return tuple((k + 1) % size for k in range(size))


@lru_cache(maxsize=32)
def permuted_units(model: Model) -> Model:
    """The same loss with its pre-activations and readout parameters renamed."""
    loss, units, readout = model.loss, cycle(model.units), cycle(model.readout_size)
    fields = _at_tokens(units, model.tokens)
    names = {u: loss.preactivation[fields[a]] for a, u in enumerate(loss.preactivation)}
    names |= {v: loss.readout[readout[i]] for i, v in enumerate(loss.readout)}
    names |= {each.symbol: _renamed(each, units) for each in loss.statistics}
    gauge = loss.gauge
    if gauge is not None:
        gauge = sp.ImmutableDenseMatrix([gauge.row(fields.index(a)) for a in range(len(fields))])
    kinks = tuple(k.xreplace(names) for k in loss.kinks)
    update = model.update
    if model.rule is not None and update is not None:
        update = model.rule.permuted(update, units, readout)
    expression = loss.expression.xreplace(names)
    beside = {"parameters": loss.parameters, "tokens": loss.tokens}
    twin = Loss(expression, loss.units, loss.readout_size, gauge, kinks, **beside)
    return replace(model, loss=twin, update=update)


def _renamed(each: Statistic, units: Sequence[int]) -> sp.Symbol:
    """Q_ab or m_as of the units that are called otherwise."""
    if each.kind == GRAM:
        return symbols.indexed(GRAM, *sorted((units[each.first], units[each.second])))
    return symbols.indexed(each.kind, units[each.first], each.second)


def _at_tokens(units: Sequence[int], tokens: int) -> tuple[int, ...]:
    """The same permutation of the pre-activations at every token."""
    return tuple(p * len(units) + a for p in range(tokens) for a in units)


def _rows_of(mixture: Mixture, component: int) -> sp.MatrixBase:
    """The coordinates of a component, a row per token."""
    first = component * mixture.tokens
    return mixture.coordinates[first : first + mixture.tokens, :]


@lru_cache(maxsize=32)
def permuted_components(model: Model) -> Model:
    """The same mixture with its components in another order."""
    mixture, places = model.mixture, cycle(model.components)
    back = [places.index(l) for l in range(model.components)]
    fixed, bands = all(p.is_number for p in mixture.weights), mixture.bands
    if bands is not None:
        bands = Bands(bands.fractions, sp.Matrix([bands.scales.row(l) for l in back]))
    return replace(
        model,
        mixture=Mixture(
            tuple(mixture.weights[l] for l in back)
            if fixed
            else symbols.vector("p", model.components, positive=True),
            tuple(mixture.labels[l] for l in back),
            sp.ImmutableDenseMatrix.vstack(*(_rows_of(mixture, l) for l in back)),
            mixture.directions_gram,
            mixture.precision,
            bands,
            mixture.tokens,
        ),
    )


@lru_cache(maxsize=64)
def other_basis(model: Model, rows: tuple[tuple[int, ...], ...]) -> Model:
    """The mixture over the directions e' = A e: coordinates S A^-1, Gram matrix A Gamma A^T.

    Teachers of the loss, t = Y . e, are A^-1 t'.
    """
    mixture, a = model.mixture, sp.ImmutableDenseMatrix(rows)
    fixed = not mixture.directions_gram.free_symbols
    update = model.update
    if update is not None and model.loss.teachers:
        names = _teachers_over(a)
        update = update.map_rules(lambda rule: rule.xreplace(names))
    gram: sp.MatrixBase = symbols.symmetric("Gamma", model.directions, model.bands)
    if fixed:
        grams = [a * mixture.band_gram(g) * a.T for g in range(model.bands)]
        gram = sp.ImmutableDenseMatrix.vstack(*grams)
    return replace(
        model,
        loss=_over_basis(model.loss, a),
        mixture=Mixture(
            mixture.weights,
            mixture.labels,
            sp.ImmutableDenseMatrix(mixture.coordinates * a.inv()),
            sp.ImmutableDenseMatrix(gram),
            mixture.precision,
            mixture.bands,
            mixture.tokens,
        ),
        update=update,
    )


def _over_basis(loss: Loss, a: sp.ImmutableDenseMatrix) -> Loss:
    """The loss with its teachers and overlaps as combinations of those of another basis."""
    if not loss.teachers and not loss.statistics:
        return loss
    names = _teachers_over(a) if loss.teachers else {}
    m = symbols.rectangular("m", loss.units, a.rows)
    names |= dict(zip(m, m * a.inv().T, strict=True))
    return replace(
        loss,
        expression=loss.expression.xreplace(names),
        kinks=tuple(k.xreplace(names) for k in loss.kinks),
    )


def _teachers_over(a: sp.ImmutableDenseMatrix) -> dict[sp.Symbol, sp.Expr]:
    """t_s in terms of the t of another basis."""
    old = symbols.vector("t", a.rows)
    return dict(zip(old, a.inv() * sp.Matrix(old), strict=True))


@dataclass(frozen=True)
class Symmetry:
    """A renaming that leaves loss and mixture as they are; place k of each permutation says where
    entry k goes.
    """

    units: tuple[int, ...]
    readout: tuple[int, ...]
    components: tuple[int, ...]
    directions: tuple[int, ...]

    def after(self, first: Symmetry) -> Symmetry:
        """The renaming ``first``, then this one."""
        pairs = [(getattr(self, f.name), getattr(first, f.name)) for f in fields(self)]
        return Symmetry(*(tuple(own[k] for k in places) for own, places in pairs))


def widest_symmetry(model: Model) -> Symmetry | None:
    """A renaming that moves every unit that any symmetry moves; None where there is no symmetry.

    The product of the exchanges of a spanning tree is a cycle of all its units.
    """
    found: Symmetry | None = None
    tree = list(range(model.units))  # the least unit that each is connected to
    for exchange in find_symmetries(model):
        a, b = (k for k, place in enumerate(exchange.units) if place != k)
        if tree[a] != tree[b]:
            tree = [tree[a] if root == tree[b] else root for root in tree]
            found = exchange if found is None else exchange.after(found)
    return found


@lru_cache(maxsize=32)
def find_symmetries(model: Model) -> tuple[Symmetry, ...]:
    """Exchanges of two units that the loss does not notice, together with readout, labels and
    directions.

    Looked for among exchanges of two, at random points of the loss; the mixture is compared
    exactly.  An update that tells weights apart by their names has none.
    """
    if model.update is not None and model.update.names_weights:
        return ()
    if any(each.kind != GRAM for each in model.loss.statistics):
        return ()
    found = []
    for units in _exchanges(model.units):
        if units == tuple(range(model.units)):
            continue
        for readout in _exchanges(model.readout_size):
            fits = (
                Symmetry(units, readout, *fit)
                for labels in _label_maps(model)
                if model.loss.teachers or _leaves_loss(model, units, readout, labels)
                for fit in _mixture_maps(model, labels)
                # teachers are exchanged with their directions
                if not model.loss.teachers or _leaves_loss(model, units, readout, labels, fit[1])
            )
            if (first := next(fits, None)) is not None:
                found.append(first)
                break
    return tuple(found)


def _exchanges(size: int) -> Iterator[tuple[int, ...]]:
    """The identity, and all exchanges of two."""
    yield tuple(range(size))
    for i in range(size):
        for j in range(i + 1, size):
            places = list(range(size))
            places[i], places[j] = j, i
            yield tuple(places)


def _label_maps(model: Model) -> Iterator[dict[sp.Expr, sp.Expr]]:
    labels = sorted(set(model.mixture.labels), key=sp.default_sort_key)
    for places in _exchanges(len(labels)):
        yield {y: labels[places[i]] for i, y in enumerate(labels)}


def _leaves_loss(
    model: Model,
    units: tuple[int, ...],
    readout: tuple[int, ...],
    labels: dict[sp.Expr, sp.Expr],
    directions: tuple[int, ...] = (),
) -> bool:
    """loss(y, t; u, v) = loss(renamed y, t, u, v) at rational points, one for each label."""
    loss = model.loss
    names = symbols.vector("t", model.directions if loss.teachers else 0)
    t = [sp.Rational((3 * s + 1) % 5 - 2, s + 2) for s in range(len(names))]
    noise = {symbols.LABEL_NOISE: sp.Rational(3, 7)}
    noise |= {each.symbol: each.middle for each in loss.free_parameters}
    norms = {
        each: sp.Rational(each.first + each.second + 2, each.first * each.second + 3)
        for each in loss.statistics
    }
    renamed = {_renamed(each, units): value for each, value in norms.items()}
    if set(renamed) != {each.symbol for each in norms}:
        return False
    here_t = dict(zip(names, t, strict=True)) | noise
    here_t |= {each.symbol: value for each, value in norms.items()}
    there_t = {names[place]: t[s] for s, place in enumerate(directions[: len(names)])} | noise
    there_t |= renamed
    for shift, (y, image) in enumerate(labels.items()):
        fields = _at_tokens(units, loss.tokens)
        every = range(len(fields))
        u = [sp.Rational((7 * a + 3 * shift) % 11 - 5, a + shift + 2) for a in every]
        v = [
            sp.Rational((5 * i + 2 * shift) % 7 - 3, i + shift + 3)
            for i in range(loss.readout_size)
        ]
        here = dict(zip(loss.variables, [*u, *v], strict=True)) | {symbols.LABEL: y} | here_t
        moved = [u[fields.index(a)] for a in every] + [
            v[readout.index(i)] for i in range(loss.readout_size)
        ]
        there = dict(zip(loss.variables, moved, strict=True)) | {symbols.LABEL: image} | there_t
        left, right = (_number_at(loss.expression, frozenset(p.items())) for p in (here, there))
        if abs(left - right) > sp.Float("1e-20"):
            return False
    return True


@lru_cache(maxsize=1024)
def _number_at(expression: sp.Expr, point: frozenset[tuple[sp.Basic, sp.Basic]]) -> sp.Expr:
    """30 digits at numbers for all symbols; every exchange is compared with the same points."""
    return expression.xreplace(dict(point)).evalf(30)


def _mixture_maps(
    model: Model, labels: dict[sp.Expr, sp.Expr]
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Permutations of components and directions that carry the mixture into itself with renamed
    labels.
    """
    mixture = model.mixture
    r = mixture.directions
    rows = [tuple(_rows_of(mixture, l)) for l in range(mixture.components)]
    for directions in _exchanges(mixture.directions):
        back = [directions.index(s) for s in range(mixture.directions)]
        images = [
            (labels[y], tuple(row[p + s] for p in range(0, len(row), r) for s in back))
            for y, row in zip(mixture.labels, rows, strict=True)
        ]
        targets = list(zip(mixture.labels, rows, strict=True))
        if len(set(targets)) < len(targets) or set(images) != set(targets):
            continue
        components = tuple(targets.index(image) for image in images)
        fixed = not mixture.directions_gram.free_symbols
        grams = [mixture.band_gram(g) for g in range(model.bands)]
        if any(
            (mixture.weights[l].is_number and mixture.weights[l] != mixture.weights[components[l]])
            or _scales(model, l) != _scales(model, components[l])
            for l in range(mixture.components)
        ) or (
            fixed
            and any(
                gram[s, t] != gram[directions[s], directions[t]]
                for gram in grams
                for s in range(gram.rows)
                for t in range(gram.rows)
            )
        ):
            continue
        yield components, directions


def _scales(model: Model, component: int) -> list[sp.Expr]:
    """sigma_lg of a component in all bands; nothing without bands."""
    bands = model.mixture.bands
    return [] if bands is None else list(bands.scales.row(component))

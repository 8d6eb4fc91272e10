"""Laws of symmetry: names and bases do not matter, and what the loss does not see, nothing sees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from numerics import Parameters, State
from theory import Loss, Mixture, Model, symbols

from .law_frames import dense, gradient_expressions, gradient_vector, random_frame
from .laws import ROUNDING, Case, Formulas, Law, Numbers, compare, resolution_of
from .tolerance import Comparison

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


def _twin(
    case: Case, model: Model, *, units: Sequence[int] | None = None, readout: Sequence[int] | None = None,
    components: Sequence[int] | None = None, basis: Array | None = None,
) -> Twin:
    """Carry parameters and state of a case over; place k of a permutation says where entry k goes."""
    c, q, r = case.model.units, case.model.readout_size, case.model.directions
    units, readout = tuple(range(c) if units is None else units), tuple(range(q) if readout is None else readout)
    basis = np.eye(r) if basis is None else basis
    weights = case.parameters.weights
    if components is not None:
        weights = _moved(weights, components)
    gamma = basis @ case.parameters.directions_gram @ basis.T
    state = case.state
    moved = State(
        _moved(state.overlap, units) @ basis.T, _moved(_moved(state.gram_perp, units).T, units).T,
        _moved(state.readout, readout),
    )
    parameters = case.with_parameters(weights=weights, directions_gram=(gamma + gamma.T) / 2)
    return Twin(model, parameters, moved, units, readout, basis)


def _moved(values: Array, places: Sequence[int]) -> Array:
    out = np.empty_like(values)
    out[list(places)] = values
    return out


def _judge_twin(case: Case, twin: Twin, formulas: Formulas) -> list[Comparison]:
    """Risk, drift and gradient matrix of a twin against the first problem's, under the names of the first."""
    c, r, model = case.model.units, case.model.directions, case.model
    units, readout = list(twin.units), list(twin.readout)
    inverse = np.asarray(np.linalg.inv(twin.basis), dtype=float)
    rows, columns = map(list, zip(*symbols.upper_triangle(c), strict=True))
    found = []

    def plain(numbers: Array, _: Array) -> Array:
        return numbers

    def back(numbers: Array, generators: Array) -> Array:
        """Drift of the twin under the names of the first problem; ``generators`` is the inverse basis."""
        gram = np.empty((c, c))
        gram[rows, columns] = gram[columns, rows] = numbers[c * r : c * r + len(rows)]
        return np.concatenate([
            (numbers[: c * r].reshape(c, r)[units] @ generators.T).ravel(), gram[np.ix_(units, units)][rows, columns],
            numbers[c * r + len(rows) :][readout],
        ])

    frame = random_frame(case.parameters, case.state, r + c + 1, case.rng)
    own, other = dense(model), dense(twin.model)
    d = frame.dimension
    order = [a * d + i for a in units for i in range(d)] + [c * d + i for i in readout]

    def matrix_back(numbers: Array, generators: Array) -> Array:
        return other(numbers, generators)[np.ix_(order, order)]

    generators = np.concatenate([twin.basis @ frame.directions, _moved(frame.weights, units)])
    there: dict[str, Any] = {"model": twin.model, "parameters": twin.parameters, "state": twin.state}
    for name, left, right, read in (
        ("risk", [case.formulas.risk.loss], [formulas.risk.loss], plain),
        ("drift", case.formulas.drift.vector, formulas.drift.vector, back),
    ):
        here, moved = case.numbers(left), case.numbers(right, **there)
        (a, ea), (b, eb) = here.map(plain, inverse), moved.map(read, inverse)
        found.append(_equal(name, a, b, ea + eb, here, moved))
    for name in ("gradient_matrix", "hessian"):
        here = case.matrix_numbers(getattr(case.formulas, name))
        moved = case.matrix_numbers(getattr(formulas, name), **there)
        (a, ea), (b, eb) = here.map(own, frame.generators), moved.map(matrix_back, generators)
        found.append(_equal(name.replace("_", " "), a, b, ea + eb, here, moved))
    return found


def _equal(name: str, a: Array, b: Array, error: Array, *numbers: Numbers) -> Comparison:
    scale = max(float(np.abs(a).max(initial=0.0)), float(np.abs(b).max(initial=0.0)), 1e-3)
    return compare(
        name, a, b, [(error, "quadrature of both (T2)"), (10 * ROUNDING * scale, "rounding (T1)")],
        resolution=resolution_of(*numbers), scale=scale,
    )


# --- names ------------------------------------------------------------------------------------------------


def _cycle(size: int) -> tuple[int, ...]:
    """Place k goes to k + 1: for three and more not its own inverse, so that a transposed permutation shows."""
    return tuple((k + 1) % size for k in range(size))


@lru_cache(maxsize=32)
def _permuted_units(model: Model) -> Model:
    """The same loss with its pre-activations and readout parameters renamed."""
    loss, units, readout = model.loss, _cycle(model.units), _cycle(model.readout_size)
    names = {u: loss.preactivation[units[a]] for a, u in enumerate(loss.preactivation)}
    names |= {v: loss.readout[readout[i]] for i, v in enumerate(loss.readout)}
    gauge = loss.gauge
    if gauge is not None:
        gauge = sp.ImmutableDenseMatrix([gauge.row(units.index(a)) for a in range(model.units)])
    kinks = tuple(k.xreplace(names) for k in loss.kinks)
    return replace(model, loss=Loss(loss.expression.xreplace(names), loss.units, loss.readout_size, gauge, kinks))


@lru_cache(maxsize=32)
def _permuted_components(model: Model) -> Model:
    mixture, places = model.mixture, _cycle(model.components)
    back = [places.index(l) for l in range(model.components)]
    fixed = all(p.is_number for p in mixture.weights)
    return replace(model, mixture=Mixture(
        tuple(mixture.weights[l] for l in back) if fixed else symbols.vector("p", model.components, positive=True),
        tuple(mixture.labels[l] for l in back),
        sp.ImmutableDenseMatrix([mixture.coordinates.row(l) for l in back]),
        mixture.directions_gram, mixture.precision,
    ))


def relabelled_units(case: Case) -> list[Comparison]:
    """Theory of the loss with its units renamed, under the old names."""
    twin_model = _permuted_units(case.model)
    twin = _twin(case, twin_model, units=_cycle(case.model.units), readout=_cycle(case.model.readout_size))
    return _judge_twin(case, twin, Formulas(twin_model))


def relabelled_components(case: Case) -> list[Comparison]:
    """Theory of the mixture with its components in another order."""
    twin_model = _permuted_components(case.model)
    twin = _twin(case, twin_model, components=_cycle(case.model.components))
    return _judge_twin(case, twin, Formulas(twin_model))


@dataclass(frozen=True)
class Symmetry:
    """A renaming that leaves loss and mixture as they are; place k of each permutation says where entry k goes."""

    units: tuple[int, ...]
    readout: tuple[int, ...]
    components: tuple[int, ...]
    directions: tuple[int, ...]


@lru_cache(maxsize=32)
def find_symmetries(model: Model) -> tuple[Symmetry, ...]:
    """Exchanges of two units that the loss does not notice, together with readout, labels and directions.

    Looked for among exchanges of two, at random points of the loss; the mixture is compared exactly.
    """
    found = []
    for units in _exchanges(model.units):
        if units == tuple(range(model.units)):
            continue
        for readout in _exchanges(model.readout_size):
            for labels in _label_maps(model):
                if _leaves_loss(model, units, readout, labels) and (fit := _mixture_map(model, labels)) is not None:
                    found.append(Symmetry(units, readout, *fit))
                    break
            else:
                continue
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
    model: Model, units: tuple[int, ...], readout: tuple[int, ...], labels: dict[sp.Expr, sp.Expr]
) -> bool:
    """loss(y; u, v) = loss(renamed y; renamed u, renamed v) at rational points, one for each label."""
    loss = model.loss
    for shift, (y, image) in enumerate(labels.items()):
        u = [sp.Rational((7 * a + 3 * shift) % 11 - 5, a + shift + 2) for a in range(loss.units)]
        v = [sp.Rational((5 * i + 2 * shift) % 7 - 3, i + shift + 3) for i in range(loss.readout_size)]
        here = dict(zip(loss.variables, [*u, *v], strict=True)) | {symbols.LABEL: y}
        moved = [u[units.index(a)] for a in range(loss.units)] + [v[readout.index(i)] for i in range(loss.readout_size)]
        there = dict(zip(loss.variables, moved, strict=True)) | {symbols.LABEL: image}
        if abs((loss.expression.subs(here) - loss.expression.subs(there)).evalf(30)) > sp.Float("1e-20"):
            return False
    return True


def _mixture_map(
    model: Model, labels: dict[sp.Expr, sp.Expr]
) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Permutations of components and directions that carry the mixture into itself with renamed labels."""
    mixture = model.mixture
    rows = [tuple(mixture.coordinates.row(l)) for l in range(mixture.components)]
    for directions in _exchanges(mixture.directions):
        back = [directions.index(s) for s in range(mixture.directions)]
        images = [(labels[y], tuple(row[s] for s in back)) for y, row in zip(mixture.labels, rows, strict=True)]
        targets = list(zip(mixture.labels, rows, strict=True))
        if len(set(targets)) < len(targets) or set(images) != set(targets):
            continue
        components = tuple(targets.index(image) for image in images)
        gram = mixture.directions_gram
        fixed = not gram.free_symbols
        if any(
            mixture.weights[l].is_number and mixture.weights[l] != mixture.weights[components[l]]
            for l in range(mixture.components)
        ) or (fixed and any(
            gram[s, t] != gram[directions[s], directions[t]] for s in range(gram.rows) for t in range(gram.rows)
        )):
            continue
        return components, directions
    return None


def relabelled_classes(case: Case) -> list[Comparison]:
    """The same formulas at a renamed state and renamed parameters, for one symmetry of loss and mixture."""
    choices = find_symmetries(case.model)
    s = choices[int(case.rng.integers(len(choices)))]
    basis = np.eye(case.model.directions)[[s.directions.index(k) for k in range(case.model.directions)]]
    twin = _twin(
        case, case.model, units=s.units, readout=s.readout, components=s.components, basis=basis,
    )
    return _judge_twin(case, twin, case.formulas)


# --- bases ------------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def _other_basis(model: Model, rows: tuple[tuple[int, ...], ...]) -> Model:
    """The same mixture over the directions e' = A e: coordinates S A^-1, Gram matrix A Gamma A^T."""
    mixture, a = model.mixture, sp.ImmutableDenseMatrix(rows)
    fixed = not mixture.directions_gram.free_symbols
    gram = a * mixture.directions_gram * a.T if fixed else symbols.symmetric("Gamma", model.directions)
    return replace(model, mixture=Mixture(
        mixture.weights, mixture.labels, sp.ImmutableDenseMatrix(mixture.coordinates * a.inv()),
        sp.ImmutableDenseMatrix(gram), mixture.precision,
    ))


def rotation(case: Case) -> list[Comparison]:
    """Theory over another basis of the span of the means, under the old one."""
    r = case.model.directions
    steps = [case.rng.integers(1, 3) * (-1) ** case.rng.integers(2) for _ in range(r)]
    a = np.eye(r, dtype=int)
    for s in range(r):  # shears, one direction after the other: integers, and determinant 1
        a[s] += steps[s] * a[(s + 1) % r] if r > 1 else -2 * a[s]
    twin_model = _other_basis(case.model, tuple(tuple(int(x) for x in row) for row in a))
    return _judge_twin(case, _twin(case, twin_model, basis=a.astype(float)), Formulas(twin_model))


# --- gauge ------------------------------------------------------------------------------------------------


def gauge(case: Case) -> list[Comparison]:
    """Rows of the Hessian along a gauge sum to the ridge; weights moved along it have the same gradient of the loss."""
    model, beta = case.model, case.parameters.ridge
    assert model.loss.gauge is not None  # the law applies
    null = np.array(model.loss.gauge.tolist(), dtype=float)
    frame = random_frame(case.parameters, case.state, model.directions + model.units + 1, case.rng)
    c, d, q = model.units, frame.dimension, model.readout_size
    numbers = case.matrix_numbers(case.formulas.hessian)
    matrix, errors = numbers.map(dense(model), frame.generators)
    found = []
    for n in null.T:
        total = np.tensordot(n, matrix[: c * d].reshape(c, d, c * d + q), axes=1)
        error = np.tensordot(np.abs(n), errors[: c * d].reshape(c, d, c * d + q), axes=1)
        ridge = np.concatenate([np.kron(n, beta * np.eye(d)), np.zeros((d, q))], axis=1)
        found.append(compare(
            "sum of the Hessian's rows along the gauge", total, ridge,
            [(error, "quadrature (T2)"), (c * ROUNDING * float(np.abs(matrix).max()), "rounding (T1)")],
            resolution=resolution_of(numbers), scale=float(np.abs(matrix).max()),
        ))
    weights = frame.weights + null @ case.rng.standard_normal((null.shape[1], d))
    moved = frame.state(weights, case.state.readout)
    here = case.numbers(gradient_expressions(case.formulas.gradient))
    there = case.numbers(gradient_expressions(case.formulas.gradient), state=moved)
    assemble = gradient_vector(model)
    a, ea = here.map(assemble, frame.generators)
    b, eb = there.map(assemble, np.concatenate([frame.directions, weights]))
    shift = np.concatenate([beta * (weights - frame.weights).ravel(), np.zeros(q)])
    name = "gradient after a movement along the gauge, ridge taken off"
    return [*found, _equal(name, b - shift, a, ea + eb, here, there)]


def _has_gauge(model: Model) -> str | None:
    return None if model.loss.gauge is not None else "the loss declares no gauge"


def _has_two_units(model: Model) -> str | None:
    return None if model.units > 1 else "the model has one unit: there is no other order"


def _has_two_components(model: Model) -> str | None:
    return None if model.components > 1 else "the mixture has one component: there is no other order"


def _has_symmetry(model: Model) -> str | None:
    if model.units < 2:
        return "the model has one unit: there is nothing to exchange"
    if find_symmetries(model):
        return None
    return "no exchange of two units, with labels, readout and directions, leaves loss and mixture as they are"


LAWS = (
    Law(
        "rotation", "Nothing depends on the basis in which the span of the means is stated.",
        r"F(mA^T, A\Gamma A^T; SA^{-1}) = F(m, \Gamma; S)\,A^T", "mathematics.md sections 1 and 2",
        "quadrature on both sides (T2) and rounding (T1)", rotation,
    ),
    Law(
        "relabelled_units", "Renaming the units of the loss renames everything, and changes nothing else.",
        r"F_{\ell\circ P}(Pm, PR^\perp P^T, Pv) = P\,F_\ell(m, R^\perp, v)", "mathematics.md section 1",
        "quadrature on both sides (T2) and rounding (T1)", relabelled_units, _has_two_units,
    ),
    Law(
        "relabelled_components", "The order in which a mixture lists its components does not matter.",
        r"F(p_{\sigma}, S_{\sigma}, y_{\sigma}) = F(p, S, y)", "mathematics.md section 1",
        "quadrature on both sides (T2) and rounding (T1)", relabelled_components,
        _has_two_components,
    ),
    Law(
        "relabelled_classes",
        "Where loss and mixture are symmetric, formulas at the renamed state are the renamed formulas.",
        r"\ell(\sigma y; Pu, Pv) = \ell(y; u, v) \;\Rightarrow\; F(Ps) = P\,F(s)", "mathematics.md section 1",
        "quadrature on both sides (T2) and rounding (T1)", relabelled_classes, _has_symmetry,
    ),
    Law(
        "gauge",
        "Where the loss has a gauge, the Hessian's rows along it sum to the ridge and the gradient does not move.",
        r"\sum_a n_a\,\partial_{u_a}\partial_w\ell = 0 \;\Rightarrow\;"
        r" \sum_a n_a\,E[\nabla^2_{x^ax^b}L] = \beta\,n_b I",
        "mathematics.md section 5", "quadrature (T2) and rounding (T1)", gauge, _has_gauge,
    ),
)

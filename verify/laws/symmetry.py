"""Laws of symmetry: names and bases do not matter, and what the loss does not see, nothing sees."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theory import Model, symbols
from verify.verdict.tolerance import Comparison

from .entry_names import pairs, weight_names
from .frames import Frame, dense, gradient_expressions, gradient_vector, random_frame
from .judged_formulas import Formulas
from .law import ROUNDING, Law, LawCase, Numbers, compare, resolution_of
from .rule_witness import ridges_of
from .twins import (
    Twin,
    cycle,
    find_symmetries,
    make_twin,
    other_basis,
    permuted_components,
    permuted_units,
    put,
    widest_symmetry,
)

Array = NDArray[np.float64]


def _judge_twin(case: LawCase, twin: Twin, formulas: Formulas) -> list[Comparison]:
    """Risk, drift and gradient matrix of a twin against the first problem's, under the names of the
    first.
    """
    c, r, model = case.model.units, case.model.directions, case.model
    bands, overlaps = model.bands, model.bands * c * r
    units, readout = list(twin.units), list(twin.readout)
    inverse = np.asarray(np.linalg.inv(twin.basis), dtype=float)
    rows, columns = map(list, zip(*symbols.upper_triangle(c), strict=True))
    found = []

    def plain(numbers: Array, _: Array) -> Array:
        return numbers

    def back(numbers: Array, generators: Array) -> Array:
        """Drift of the twin under the names of the first problem; ``generators`` is the inverse
        basis.
        """
        gram, ends = np.empty((bands, c, c)), overlaps + bands * len(rows)
        upper = numbers[overlaps:ends].reshape(bands, -1)
        gram[:, rows, columns] = gram[:, columns, rows] = upper
        overlap = numbers[:overlaps].reshape(bands, c, r)[:, units] @ generators.T
        moved = gram[:, units][:, :, units][:, rows, columns]
        return np.concatenate([overlap.ravel(), moved.ravel(), numbers[ends:][readout]])

    frame = random_frame(case.parameters, case.state, r + c + 1, case.rng)
    own, other = dense(model, frame.sizes), dense(twin.model, frame.sizes)
    d = frame.dimension
    order = [a * d + i for a in units for i in range(d)] + [c * d + i for i in readout]

    def matrix_back(numbers: Array, generators: Array) -> Array:
        return other(numbers, generators)[np.ix_(order, order)]

    directions = twin.basis @ frame.directions
    generators = Frame(directions, put(frame.weights, units), frame.sizes).generators
    there: dict[str, Any] = {
        "model": twin.model,
        "parameters": twin.parameters,
        "state": twin.state,
    }
    states = [str(s) for s in model.symbols.state]
    for name, left, right, read, names in (
        ("risk", [case.formulas.risk.loss], [formulas.risk.loss], plain, None),
        ("drift", case.formulas.drift.vector, formulas.drift.vector, back, states),
    ):
        here, moved = case.numbers(left), case.numbers(right, **there)
        (a, ea), (b, eb) = here.map(plain, inverse), moved.map(read, inverse)
        found.append(_equal(name, a, b, ea + eb, here, moved, names=names))
    names = pairs(weight_names(model, d))
    for name in ("gradient_matrix", "hessian"):
        here = case.matrix_numbers(getattr(case.formulas, name))
        moved = case.matrix_numbers(getattr(formulas, name), **there)
        (a, ea), (b, eb) = here.map(own, frame.generators), moved.map(matrix_back, generators)
        found.append(_equal(name.replace("_", " "), a, b, ea + eb, here, moved, names=names))
    return found


def _equal(
    name: str, a: Array, b: Array, error: Array, *numbers: Numbers, names: list[str] | None = None
) -> Comparison:
    scale = max(float(np.abs(a).max(initial=0.0)), float(np.abs(b).max(initial=0.0)), 1e-3)
    return compare(
        name,
        a,
        b,
        [(error, "quadrature of both (T2)"), (10 * ROUNDING * scale, "rounding (T1)")],
        resolution=resolution_of(*numbers),
        scale=scale,
        names=names,
    )


def relabelled_units(case: LawCase) -> list[Comparison]:
    """Theory of the loss with its units renamed, under the old names."""
    twin_model = permuted_units(case.model)
    twin = make_twin(
        case, twin_model, units=cycle(case.model.units), readout=cycle(case.model.readout_size)
    )
    return _judge_twin(case, twin, Formulas(twin_model))


def relabelled_components(case: LawCase) -> list[Comparison]:
    """Theory of the mixture with its components in another order."""
    twin_model = permuted_components(case.model)
    twin = make_twin(case, twin_model, components=cycle(case.model.components))
    return _judge_twin(case, twin, Formulas(twin_model))


def relabelled_classes(case: LawCase) -> list[Comparison]:
    """The same formulas at a renamed state and renamed parameters, by a symmetry that moves all
    units it can.
    """
    s = widest_symmetry(case.model)
    assert s is not None  # the law applies
    basis = np.eye(case.model.directions)[
        [s.directions.index(k) for k in range(case.model.directions)]
    ]
    twin = make_twin(
        case, case.model, units=s.units, readout=s.readout, components=s.components, basis=basis
    )
    return _judge_twin(case, twin, case.formulas)


def rotation(case: LawCase) -> list[Comparison]:
    """Theory over another basis of the span of the means, under the old one."""
    r = case.model.directions
    steps = [case.rng.integers(1, 3) * (-1) ** case.rng.integers(2) for _ in range(r)]
    a = np.eye(r, dtype=int)
    for s in range(r):  # shears, one direction after the other: integers, and determinant 1
        a[s] += steps[s] * a[(s + 1) % r] if r > 1 else -2 * a[s]
    twin_model = other_basis(case.model, tuple(tuple(int(x) for x in row) for row in a))
    return _judge_twin(
        case, make_twin(case, twin_model, basis=a.astype(float)), Formulas(twin_model)
    )


def gauge(case: LawCase) -> list[Comparison]:
    """Rows of the Hessian along a gauge sum to the ridge; weights moved along it have the same
    gradient of the loss.
    """
    model = case.model
    betas = ridges_of(case)[: model.units]
    assert model.loss.gauge is not None  # the law applies
    null = np.array(model.loss.gauge.tolist(), dtype=float)
    frame = random_frame(case.parameters, case.state, model.directions + model.units + 1, case.rng)
    c, d, q = model.units, frame.dimension, model.readout_size
    numbers = case.matrix_numbers(case.formulas.hessian)
    matrix, errors = numbers.map(dense(model, frame.sizes), frame.generators)
    found = []
    for n in null.T:
        total = np.tensordot(n, matrix[: c * d].reshape(c, d, c * d + q), axes=1)
        error = np.tensordot(np.abs(n), errors[: c * d].reshape(c, d, c * d + q), axes=1)
        ridge = np.concatenate([np.kron(n * betas, np.eye(d)), np.zeros((d, q))], axis=1)
        found.append(
            compare(
                "sum of the Hessian's rows along the gauge",
                total,
                ridge,
                [
                    (error, "quadrature (T2)"),
                    (c * ROUNDING * float(np.abs(matrix).max()), "rounding (T1)"),
                ],
                resolution=resolution_of(numbers),
                scale=float(np.abs(matrix).max()),
                names=pairs([f"axis {i + 1}" for i in range(d)], weight_names(model, d)),
            )
        )
    weights = frame.weights + null @ case.rng.standard_normal((null.shape[1], d))
    moved = frame.state(weights, case.state.readout)
    here = case.numbers(gradient_expressions(case.formulas.gradient))
    there = case.numbers(gradient_expressions(case.formulas.gradient), state=moved)
    assemble = gradient_vector(model)
    a, ea = here.map(assemble, frame.generators)
    b, eb = there.map(assemble, replace(frame, weights=weights).generators)
    shift = np.concatenate([(betas[:, None] * (weights - frame.weights)).ravel(), np.zeros(q)])
    name = "gradient after a movement along the gauge, ridge taken off"
    names = weight_names(model, d)
    return [*found, _equal(name, b - shift, a, ea + eb, here, there, names=names)]


def _has_gauge(model: Model) -> str | None:
    if model.loss.gauge is not None and model.loss.statistics:
        return "the loss holds statistics, whose parts of the gradient know no gauge"
    if model.tokens > 1:
        return "a gauge of tokens moves their pre-activations together, which no weights do"
    return None if model.loss.gauge is not None else "the loss declares no gauge"


def _has_two_units(model: Model) -> str | None:
    return None if model.units > 1 else "the model has one unit: there is no other order"


def _has_two_components(model: Model) -> str | None:
    return (
        None if model.components > 1 else "the mixture has one component: there is no other order"
    )


def _has_symmetry(model: Model) -> str | None:
    if model.units < 2:
        return "the model has one unit: there is nothing to exchange"
    if find_symmetries(model):
        return None
    moved = "with labels, readout and directions"
    return f"no exchange of two units, {moved}, leaves loss and mixture as they are"


LAWS = (
    Law(
        "rotation",
        "Nothing depends on the basis in which the span of the means is stated.",
        r"F(mA^T, A\Gamma A^T; SA^{-1}) = F(m, \Gamma; S)\,A^T",
        "mathematics.md sections 1 and 2",
        "quadrature on both sides (T2) and rounding (T1)",
        rotation,
    ),
    Law(
        "relabelled_units",
        "Renaming the units of the loss renames everything, and changes nothing else.",
        r"F_{\ell\circ P}(Pm, PR^\perp P^T, Pv) = P\,F_\ell(m, R^\perp, v)",
        "mathematics.md section 1",
        "quadrature on both sides (T2) and rounding (T1)",
        relabelled_units,
        _has_two_units,
    ),
    Law(
        "relabelled_components",
        "The order in which a mixture lists its components does not matter.",
        r"F(p_{\sigma}, S_{\sigma}, y_{\sigma}) = F(p, S, y)",
        "mathematics.md section 1",
        "quadrature on both sides (T2) and rounding (T1)",
        relabelled_components,
        _has_two_components,
    ),
    Law(
        "relabelled_classes",
        "Where loss and mixture are symmetric, formulas at the renamed state are the renamed"
        " formulas.",
        r"\ell(\sigma y; Pu, Pv) = \ell(y; u, v) \;\Rightarrow\; F(Ps) = P\,F(s)",
        "mathematics.md section 1",
        "quadrature on both sides (T2) and rounding (T1)",
        relabelled_classes,
        _has_symmetry,
    ),
    Law(
        "gauge",
        "Where the loss has a gauge, the Hessian's rows along it sum to the ridge and the gradient"
        " does not move.",
        r"\sum_a n_a\,\partial_{u_a}\partial_w\ell = 0 \;\Rightarrow\;"
        r" \sum_a n_a\,E[\nabla^2_{x^ax^b}L] = \beta\,n_b I",
        "mathematics.md section 5",
        "quadrature (T2) and rounding (T1)",
        gauge,
        _has_gauge,
    ),
)

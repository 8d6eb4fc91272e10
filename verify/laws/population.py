"""Laws of risk, gradient, Hessian and gradient matrix."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import sympy as sp

from numerics import State, population_spectrum
from numerics.spectra.span_matrix import BlockName
from verify.verdict.tolerance import Comparison, Part, Tolerance

from .entry_names import pairs, weight_names
from .frames import (
    Frame,
    Movement,
    dense,
    derivative,
    frame_of,
    gradient_expressions,
    gradient_vector,
    movements,
    risk_expressions,
)
from .judged_formulas import block_expressions
from .law import (
    ROUNDING,
    SAMPLED,
    SHARP,
    Array,
    Law,
    LawCase,
    Numbers,
    compare,
    flat_kinks,
    resolution_of,
)
from .rule_witness import ridges_of


def gradient_matrix_psd(case: LawCase) -> list[Comparison]:
    """Smallest eigenvalue of G, dense in a few dimensions, ridge excluded."""
    numbers, frame = case.matrix_numbers(case.formulas.gradient_matrix), frame_of(case)
    matrix, errors = numbers.map(dense(case.model, frame.sizes), frame.generators)
    size = float(np.linalg.norm(matrix, 2))
    lowest = float(np.linalg.eigvalsh((matrix + matrix.T) / 2)[0])
    return [
        Comparison(
            "minus the smallest eigenvalue of G",
            -lowest,
            0.0,
            Tolerance(
                (
                    Part(float(np.linalg.norm(errors, 2)), "norm of the quadrature errors (T2)"),
                    Part(ROUNDING * size, "rounding (T1)"),
                )
            ),
            resolution=SAMPLED * size,
            one_sided=True,
        )
    ]


def hessian_symmetric(case: LawCase) -> list[Comparison]:
    """Every first-layer block and the readout block against their own transposes.

    Of tokens the blocks of two units hold Y_p Y_q^T with p and q exchanged in the transpose: those
    of one unit, and of the readout, are symmetric.
    """
    numbers, frame = case.matrix_numbers(case.formulas.hessian), frame_of(case)
    matrix, errors = numbers.map(dense(case.model, frame.sizes), frame.generators)
    c, d, scale = case.model.units, frame.dimension, float(np.abs(matrix).max())
    every = weight_names(case.model, d)
    found = []

    def judge(name: str, rows: slice, columns: slice) -> None:
        block, error = matrix[rows, columns], errors[rows, columns]
        found.append(
            compare(
                name,
                block,
                block.T,
                [(error + error.T, "quadrature (T2)"), (ROUNDING * scale, "rounding (T1)")],
                resolution=resolution_of(numbers),
                scale=scale,
                names=pairs(every[rows], every[columns]),
            )
        )

    # of two units a block is symmetric where all of it is a multiple of Y Y^T
    beyond = 1 if case.model.loss.statistics or case.model.tokens > 1 else c
    for a in range(c):
        for b in range(a, min(c, a + beyond)):
            judge(f"block ({a + 1}, {b + 1})", slice(a * d, (a + 1) * d), slice(b * d, (b + 1) * d))
    if case.model.readout_size:
        judge("readout block", slice(c * d, None), slice(c * d, None))
    return found


def gradient_of_risk(case: LawCase) -> list[Comparison]:
    """Differences of the risk, ridge added, against the gradient along random movements."""
    frame = frame_of(case)
    risk = case.numbers(risk_expressions(case.formulas.risk), tolerance=_tight(case))
    gradient = case.numbers(gradient_expressions(case.formulas.gradient), tolerance=_tight(case))
    ridges, gamma = ridges_of(case), case.parameters.directions_gram
    units, readout = np.split(ridges, [case.model.units])

    def read(values: Array, generators: Array, state: State) -> Array:
        lengths = np.diagonal(state.gram(gamma), axis1=-2, axis2=-1)
        squares = np.sum(lengths @ units) + readout @ state.readout**2
        return values + squares / 2

    assemble = gradient_vector(case.model)
    found = []
    for movement in movements(case, frame):

        def along(numbers: Array, generators: Array, movement: Movement = movement) -> Array:
            return np.atleast_1d(assemble(numbers, generators) @ movement.flat)

        predicted, errors = _along(gradient, along, frame, movement)
        found.append(
            _judge_derivative(
                f"derivative of the risk along a random movement of {movement.name}",
                derivative(risk, case.parameters, frame, case.state.readout, movement, read),
                predicted,
                errors,
                risk,
                gradient,
                _size_along(gradient, assemble, frame, movement),
            )
        )
    return found


def hessian_of_gradient(case: LawCase) -> list[Comparison]:
    """Differences of the gradient against Hessian times movement, all entries."""
    frame = frame_of(case)
    gradient = case.numbers(gradient_expressions(case.formulas.gradient), tolerance=_tight(case))
    hessian = case.matrix_numbers(case.formulas.hessian)
    assemble, matrix = gradient_vector(case.model), dense(case.model, frame.sizes)
    size = float(np.linalg.norm(hessian.map(matrix, frame.generators)[0], 2))
    found = []
    for movement in movements(case, frame):

        def times(numbers: Array, generators: Array, movement: Movement = movement) -> Array:
            return np.asarray(matrix(numbers, generators) @ movement.flat)

        predicted, errors = _along(hessian, times, frame, movement)
        found.append(
            _judge_derivative(
                f"derivative of the gradient along a random movement of {movement.name}",
                derivative(
                    gradient,
                    case.parameters,
                    frame,
                    case.state.readout,
                    movement,
                    lambda values, generators, state: assemble(values, generators),
                ),
                predicted,
                errors,
                gradient,
                hessian,
                size * float(np.linalg.norm(movement.flat)),
                weight_names(case.model, frame.dimension),
            )
        )
    return found


def _tight(case: LawCase) -> float | None:
    """Differences divide quadrature errors by the step: rules that can are asked for more."""
    return 1e-12 if case.model.loss.is_smooth else None


def _along(
    numbers: Numbers, linear: Callable[..., Array], frame: Frame, movement: Movement
) -> tuple[Array, Array]:
    """A linear map that ends in a product with a movement, whose error bound needs the movement's
    absolute value.
    """
    if numbers.samples is not None:
        return numbers.spread(np.array([linear(row, frame.generators) for row in numbers.samples]))
    absolute = Movement(movement.name, np.abs(movement.weights), np.abs(movement.readout))
    bound = numbers.errors + 16 * np.finfo(float).eps * np.abs(numbers.values)
    return linear(numbers.values, frame.generators), linear(
        bound, np.abs(frame.generators), absolute
    )


def _size_along(
    numbers: Numbers, assemble: Callable[[Array, Array], Array], frame: Frame, movement: Movement
) -> float:
    """Length of the part of the gradient that a movement can see: the product itself may be small
    by chance.
    """
    vector = assemble(numbers.values, frame.generators)
    return float(np.linalg.norm(vector[movement.flat != 0]) + 1e-3)


def _judge_derivative(
    quantity: str,
    differences: tuple[Array, Array, Array],
    predicted: Array,
    errors: Array,
    left: Numbers,
    right: Numbers,
    scale: float,
    names: list[str] | None = None,
) -> Comparison:
    samples, truncation, rounding = differences
    if left.samples is None:
        measured, sampling = samples[0], np.zeros_like(samples[0])
    else:
        measured, sampling = left.spread(samples)
    return compare(
        quantity,
        measured,
        predicted,
        [
            (truncation, "change by the last extrapolation of the differences (T2)"),
            (rounding + 0 * measured, "errors of the values over the step (T2)"),
            (sampling, "quadrature of the differences (T2)"),
            (errors, "quadrature of the prediction (T2)"),
        ],
        resolution=resolution_of(left, right),
        scale=scale,
        names=names,
    )


def block_spectrum(case: LawCase) -> list[Comparison]:
    """Eigenvalues of the dense matrix in a random frame against those found without it, at the same
    coefficients.
    """
    model = case.model
    frame = frame_of(case, beyond=2)
    d = frame.dimension
    ranks = [np.linalg.matrix_rank(frame.generators[:, band]) for band in frame.bands]
    found = []
    parts: list[BlockName] = ["all" if model.readout_size else "first_layer", (0, 0)]
    # blocks of two units are symmetric where all of them are multiples of Y Y^T
    if model.units > 1 and not model.loss.statistics and model.tokens == 1:
        parts.append((0, 1))
    for name, blocks in (("Hessian", case.formulas.hessian), ("G", case.formulas.gradient_matrix)):
        expressions = tuple(block_expressions(blocks))
        numbers = case.matrix_numbers(blocks).values
        matrix = dense(model, frame.sizes)(numbers, frame.generators)
        # numbers in place of the expressions: the law is one of matrices, and quadrature has no
        # part in it
        known = {e: sp.Float(x, 17) for e, x in zip(expressions, numbers.tolist(), strict=True)}
        given = blocks.map(known.__getitem__)
        size = float(np.linalg.norm(matrix, 2))
        for part in parts:
            label = str(part).replace("_", " ")
            whole = matrix
            if not isinstance(part, str):
                a, b = part
                label = f"block ({a + 1}, {b + 1})"
                whole = matrix[a * d : (a + 1) * d, b * d : (b + 1) * d]
            small = population_spectrum(
                model, case.parameters, case.state, matrix=blocks.kind, block=part, blocks=given
            )
            levels = small.bulk.values.reshape(len(frame.sizes), -1)
            bulk = np.repeat(levels, np.subtract(frame.sizes, ranks), axis=0)
            values = np.concatenate([small.eigenvalue.values, bulk.ravel()])
            found.append(
                compare(
                    f"{name}, {label}: eigenvalues",
                    np.asarray(np.linalg.eigvalsh((whole + whole.T) / 2), dtype=float),
                    np.sort(values),
                    [(100 * ROUNDING * size, "rounding of both (T1)")],
                    resolution=SHARP,
                    scale=size,
                    names=[f"{n + 1} from below" for n in range(len(whole))],
                )
            )
    return found


LAWS = (
    Law(
        "gradient_matrix_psd",
        "G, a mean of squares, has no negative eigenvalue.",
        r"G = E[\nabla\ell\,\nabla\ell^T] \succeq 0",
        "mathematics.md section 3",
        "quadrature (T2) and rounding (T1)",
        gradient_matrix_psd,
        cases=6,
    ),
    Law(
        "hessian_symmetric",
        "Every block of the Hessian is a symmetric matrix.",
        r"E[H_{ab}\,YY^T] = E[H_{ab}\,YY^T]^T",
        "mathematics.md section 3",
        "quadrature (T2) and rounding (T1)",
        hessian_symmetric,
    ),
    Law(
        "gradient_of_risk",
        "The gradient is the derivative of the risk, ridge included.",
        r"E[\nabla L] = \nabla\Big(E[\ell] + \tfrac\beta2(\|x\|^2 + \|v\|^2)\Big)",
        "mathematics.md sections 1 and 3",
        "central differences at three steps, and quadrature (T2)",
        gradient_of_risk,
    ),
    Law(
        "hessian_of_gradient",
        "The Hessian is the derivative of the gradient, kinks included.",
        r"E[\nabla^2 L] = \nabla E[\nabla L]",
        "mathematics.md sections 2 and 3",
        "central differences at three steps, and quadrature (T2)",
        hessian_of_gradient,
        flat_kinks,
        cases=2,
    ),
    Law(
        "block_spectrum",
        "Spectra found without a d x d matrix are those of the d x d matrix.",
        r"\mathrm{spec}(VBV^T + cI_d) = \mathrm{spec}(cI + W^{1/2}BW^{1/2}) \cup \{c\},\quad W ="
        " V^TV",
        "mathematics.md section 3",
        "rounding (T1): both sides have the same coefficients",
        block_spectrum,
        cases=2,
    ),
)

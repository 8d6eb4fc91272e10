"""Checks of every block, entry by entry: data against V B V^T + c I, and the risk Hessian against
the gradient.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from numerics import State
from numerics.core.geometry import span_basis
from numerics.core.validation import Array
from numerics.data.derivatives import compile_derivatives
from numerics.data.samples import draw_data
from numerics.spectra.span_matrix import SpanMatrix
from theory.symbols import upper_triangle
from verify.evidence.evidence import Evidence
from verify.evidence.systems import Scenario
from verify.verdict.compare import compare
from verify.verdict.results import Outcome
from verify.verdict.tolerance import Chance, Family, Part

from .displays import training_exhibit
from .judged_theory import MATRICES, Theory

# step of the finite differences, in standard deviations of the pre-activation; the second is half
# of it
DIFFERENCE_STEP = 0.25
# samples whose gradients are in memory together
CHUNK = 20_000


class _Entry(NamedTuple):
    """An entry of a block: measured with its standard error, predicted with its error."""

    name: str
    measured: float
    error: float
    predicted: float
    predicted_error: float


def blocks(theory: Theory, evidence: Evidence) -> Outcome:
    """Every Hessian and G block of both layers equals its closed form, entry by entry."""
    families = [
        _family(f"{scenario.name}, {name}: {matrix} {part}", list(entries), resolution=0.01)
        for scenario, state, name in _block_cases(evidence)
        for matrix in MATRICES
        for part, entries in _block_entries(theory, evidence, scenario, state, matrix, name)
    ]
    samples = {
        "test_points": evidence.level.test_points,
        "dimension": evidence.level.spectrum_dimensions[-1],
    }
    exhibits = [training_exhibit(theory, evidence, matrix) for matrix in MATRICES]
    return Outcome(families, samples, exhibits)


def curvature(theory: Theory, evidence: Evidence) -> Outcome:
    """The Hessian of the population risk is the derivative of the mean gradient, kinks included."""
    families, notes = [], []
    for scenario in evidence.system.scenarios:
        state = scenario.initial
        measured = [
            _gradient_differences(evidence, scenario, unit)
            for unit in range(min(2, theory.model.units))
        ]
        compared = np.concatenate([error for _, error, _ in measured], axis=1)
        errors = np.full((len(compared), len(compared)), compared.max())
        errors[:, : compared.shape[1]] = compared
        predicted = _predicted(theory, evidence, scenario, state, "curvature", errors)
        families += [
            _curvature_family(scenario, predicted, unit, *found)
            for unit, found in enumerate(measured)
        ]
        if theory.curvature is not theory.hessian:
            # for a remark, in per cent
            coarse = np.full_like(errors, errors.max())
            plain = _predicted(theory, evidence, scenario, state, "hessian", coarse)
            norm = np.linalg.norm(predicted.matrix, 2)
            size = np.linalg.norm(predicted.matrix - plain.matrix, 2) / norm
            notes.append(
                f"{scenario.name}: the almost-everywhere Hessian, to which data average, "
                f"is off by {size:.0%}"
            )
    samples = {
        "test_points": evidence.level.test_points,
        "steps": [DIFFERENCE_STEP, DIFFERENCE_STEP / 2],
    }
    return Outcome(families, samples, notes=notes)


def _curvature_family(
    scenario: Scenario,
    predicted: SpanMatrix,
    unit: int,
    limit: np.ndarray,
    error: np.ndarray,
    remainder: np.ndarray,
) -> Family:
    """Changes of the mean gradient with x^unit, against the columns of the risk Hessian."""
    rank = predicted.basis.rank
    columns = slice(unit * rank, (unit + 1) * rank)
    table = (limit, error, predicted.matrix[:, columns], predicted.matrix_error[:, columns])
    entries = [
        _Entry(_row_name(predicted, i, j), *(float(numbers[i, j]) for numbers in table))
        for i, j in np.ndindex(limit.shape)
    ]
    return _family(
        f"{scenario.name}: change of the mean gradient with x^{unit + 1}",
        entries,
        resolution=0.05,
        remainders=[Part(r, "fourth power of the step (T4)") for r in remainder.ravel()],
    )


def _family(
    label: str, entries: Sequence[_Entry], resolution: float, remainders: Sequence[Part] = ()
) -> Family:
    """Entries of one block; ``remainders`` has a further part of the tolerance for each, if any."""
    return Family(
        tuple(
            compare(
                f"{label}, {entry.name} (the worst of {len(entries)})",
                entry.measured,
                entry.predicted,
                Chance(float(entry.error)),
                Part(entry.predicted_error, "quadrature (T2)"),
                *remainders[n : n + 1],
                resolution=resolution,
            )
            for n, entry in enumerate(entries)
        )
    )


def _block_cases(evidence: Evidence) -> list[tuple[Scenario, State, str]]:
    """States at which all blocks are compared: the start and the end of a run, every scenario."""
    cases = []
    for scenario in evidence.system.scenarios:
        trained = evidence.one_state(scenario)
        cases += [(scenario, scenario.initial, "start"), (scenario, trained, "end of a run")]
    return cases


def _predicted(
    theory: Theory,
    evidence: Evidence,
    scenario: Scenario,
    state: State,
    matrix: str,
    errors: np.ndarray,
) -> SpanMatrix:
    """The population matrix, to ``errors``, the standard errors of what is measured beside it:
    these are several times smaller than what the check tolerates.
    """
    block = "all" if theory.model.readout_size else "first_layer"
    if evidence.system.quadrature is None:
        return theory.population_block(scenario, state, matrix, block)
    # entries that do not vary, such as those of a bulk, are asked for no more than others
    least = evidence.system.quadrature * float(errors.max())
    tolerance = np.maximum(errors, least)
    return theory.population_block(scenario, state, matrix, block, tolerance)


def _error_matrix(data: xr.Dataset) -> np.ndarray:
    """Standard errors of the entries, laid out as in the matrix of a SpanMatrix."""
    errors = data.matrix_error.values
    c, rank = errors.shape[0], errors.shape[2]
    inner = errors.transpose(0, 2, 1, 3).reshape(c * rank, c * rank)
    if "mixed_error" not in data:
        return inner
    mixed = data.mixed_error.values.transpose(0, 2, 1).reshape(c * rank, -1)
    return np.block([[inner, mixed], [mixed.T, data.readout_error.values]])


def _block_entries(
    theory: Theory, evidence: Evidence, scenario: Scenario, state: State, matrix: str, name: str
) -> Iterator[tuple[str, Iterator[_Entry]]]:
    """Every block with its entries: those of x^a, x^b on the basis and the bulk, of x^a, v_i, and
    of v_i, v_j.
    """
    data = evidence.projection(scenario, state, matrix, name)
    predicted = _predicted(theory, evidence, scenario, state, matrix, _error_matrix(data))
    rank, c, q = predicted.basis.rank, theory.model.units, theory.model.readout_size

    def entry(i: int, j: int, measured: str, at: tuple[int, ...], row: int, column: int) -> _Entry:
        return _Entry(
            f"entry ({i + 1}, {j + 1})",
            data[measured].values[at],
            data[f"{measured}_error"].values[at],
            predicted.matrix[row, column],
            predicted.matrix_error[row, column],
        )

    def block(a: int, b: int) -> Iterator[_Entry]:
        for i, j in upper_triangle(rank):
            yield entry(i, j, "matrix", (a, b, i, j), a * rank + i, b * rank + j)
        yield _Entry(
            "bulk",
            data.bulk.values[a, b],
            data.bulk_error.values[a, b],
            predicted.bulk[a, b],
            predicted.bulk_error[a, b],
        )

    def across(a: int) -> Iterator[_Entry]:
        for i, j in np.ndindex(rank, q):
            yield entry(i, j, "mixed", (a, j, i), a * rank + i, c * rank + j)

    for a, b in upper_triangle(c):
        yield f"block ({a + 1}, {b + 1})", block(a, b)
    if q:
        for a in range(c):
            yield f"block (x^{a + 1}, v)", across(a)
        yield (
            "block (v, v)",
            (
                entry(i, j, "readout", (i, j), c * rank + i, c * rank + j)
                for i, j in upper_triangle(q)
            ),
        )


def _row_name(predicted: SpanMatrix, i: int, j: int) -> str:
    rank = predicted.basis.rank
    a, inner = divmod(i, rank)
    row = (
        f"x^{a + 1} along {inner + 1}"
        if a < predicted.rows
        else f"v_{i - predicted.rows * rank + 1}"
    )
    return f"gradient of {row}, moved along {j + 1}"


def _gradient_differences(
    evidence: Evidence, scenario: Scenario, unit: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""Derivative of the mean gradient along every basis vector of x^unit: value, standard error,
    remainder.

    Central differences over the same samples with two steps h, h/2, extrapolated to order h^4;
    entries of the gradient as in the rows of :class:`numerics.spectra.span_matrix.SpanMatrix`.  The
    sample gradient alone is used.
    """
    model, parameters, state = evidence.system.model, scenario.parameters, scenario.initial
    basis = span_basis(parameters, state)
    c, rank = model.units, basis.rank
    deviation = np.sqrt(state.gram(parameters.directions_gram)[unit, unit] / parameters.precision)
    gradient = compile_derivatives(model, "gradient")
    # x^unit moves by a length that changes its pre-activation, whose features have length about 1,
    # by the step
    steps = DIFFERENCE_STEP * deviation * np.array([1.0, 0.5])
    dimension, samples = evidence.level.spectrum_dimensions[-1], evidence.level.test_points
    shape = (2, c * rank + model.readout_size, rank)
    sums, squares, cross = np.zeros(shape), np.zeros(shape), np.zeros(shape[1:])
    generator = np.random.default_rng(evidence.child_seed(f"curvature {scenario.name} {unit}"))
    for start in range(0, samples, CHUNK):
        size = min(CHUNK, samples - start)
        data = draw_data(model, parameters, state, dimension, size, generator)
        u, w = data.fields, data.features[:, :rank]

        def gradient_at(
            j: int, shift: float, labels: Array = data.labels, u: Array = u, w: np.ndarray = w
        ) -> Array:
            """Gradients of the samples, with x^unit moved along basis vector j."""
            moved = u.copy()
            moved[unit] += shift * w[:, j]
            return gradient(labels, moved, state.readout)

        for j in range(rank):
            one, other = ((gradient_at(j, h) - gradient_at(j, -h)) / (2 * h) for h in steps)
            for total, values, power in (
                (sums[0], one, 1),
                (sums[1], other, 1),
                (squares[0], one**2, 2),
                (squares[1], other**2, 2),
                (cross, one * other, 2),
            ):
                total[: c * rank, j] += (values[:c] @ w**power).ravel()
                total[c * rank :, j] += values[c:].sum(axis=1)
    mean = sums / samples
    variance = squares / samples - mean**2
    covariance = cross / samples - mean[0] * mean[1]
    limit = (4 * mean[1] - mean[0]) / 3
    error = np.sqrt(np.clip(16 * variance[1] + variance[0] - 8 * covariance, 0, None) / 9 / samples)
    # the two steps differ by a term of order h^2; the next is smaller by about (h / deviation)^2
    difference_error = np.sqrt(
        np.clip(variance[0] + variance[1] - 2 * covariance, 0, None) / samples
    )
    remainder = DIFFERENCE_STEP**2 * (np.abs(mean[1] - mean[0]) + difference_error)
    return limit, error, remainder

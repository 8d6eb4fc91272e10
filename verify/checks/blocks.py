"""Checks of every block, entry by entry: data against V B V^T + c I, and the risk Hessian against
the gradient.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from numerics import State, population_block
from numerics.core.geometry import span_basis
from numerics.data.samples import compile_derivatives, draw_data
from numerics.spectra.span_matrix import SpanMatrix
from theory.symbols import upper_triangle
from verify.evidence.evidence import Evidence
from verify.evidence.run_states import state_of
from verify.evidence.systems import Scenario
from verify.figures import of_checks as plots
from verify.verdict.results import Outcome
from verify.verdict.tolerance import Comparison, Part, Tolerance, critical_value

from .judged_theory import Theory

MATRICES = ("hessian", "gradient")
# (label, measured, its standard error, predicted, its error)
Entry = tuple[str, float, float, float, float]
# step of the finite differences, in standard deviations of the pre-activation; the second is half
# of it
DIFFERENCE_STEP = 0.25


def blocks(theory: Theory, evidence: Evidence, share: float) -> Outcome:
    """Every Hessian and G block of both layers equals its closed form, entry by entry."""
    comparisons = []
    cases = _block_cases(evidence)
    families = [
        (f"{scenario.name}, {name}: {matrix} {part}", list(entries))
        for scenario, state, name in cases
        for matrix in MATRICES
        for part, entries in _block_entries(theory, evidence, scenario, state, matrix, name)
    ]
    z = critical_value(sum(len(entries) for _, entries in families), share)
    for label, entries in families:
        comparisons.append(_worst(label, entries, z, (), resolution=0.01))
    samples = {
        "test_points": evidence.level.test_points,
        "dimension": evidence.level.spectrum_dimensions[-1],
    }
    return Outcome(
        comparisons, samples, [plots.training_plot(theory, evidence, m) for m in MATRICES]
    )


def curvature(theory: Theory, evidence: Evidence, share: float) -> Outcome:
    """The Hessian of the population risk is the derivative of the mean gradient, kinks included."""
    families = []
    notes = []
    for scenario in evidence.system.scenarios:
        state = scenario.initial
        predicted = _predicted(theory, evidence, scenario, state, "curvature")
        for unit in range(min(2, theory.model.units)):
            measured = _gradient_differences(theory, evidence, scenario, state, unit)
            label = f"{scenario.name}: change of the mean gradient with x^{unit + 1}"
            families.append((label, measured, predicted, unit))
        if theory.curvature is not theory.hessian:
            plain = _predicted(theory, evidence, scenario, state, "hessian")
            norm = np.linalg.norm(predicted.matrix, 2)
            size = np.linalg.norm(predicted.matrix - plain.matrix, 2) / norm
            notes.append(
                f"{scenario.name}: the almost-everywhere Hessian, to which data average, is off by {size:.0%}"
            )
    z = critical_value(sum(m[0].size for _, m, _, _ in families), share)
    comparisons = []
    for label, (limit, error, remainder), predicted, unit in families:
        rank = predicted.basis.rank
        columns = slice(unit * rank, (unit + 1) * rank)
        column, column_error = predicted.matrix[:, columns], predicted.matrix_error[:, columns]
        candidates = []
        for i, j in np.ndindex(limit.shape):
            parts = (Part(float(remainder[i, j]), "fourth power of the step (T4)"),)
            numbers = (float(m[i, j]) for m in (limit, error, column, column_error))
            entry: Entry = (_row_name(predicted, i, j), *numbers)  # type: ignore[assignment]
            candidates.append(_compare(label, entry, limit.size, z, parts, resolution=0.05))
        comparisons.append(max(candidates, key=lambda c: c.strain))
    return Outcome(
        comparisons,
        {
            "test_points": evidence.level.test_points,
            "steps": [DIFFERENCE_STEP, DIFFERENCE_STEP / 2],
        },
        notes=notes,
    )


def _block_cases(evidence: Evidence) -> list[tuple[Scenario, State, str]]:
    """The states at which all blocks are compared: at the start and after training, every scenario."""
    cases = []
    for scenario in evidence.system.scenarios:
        trained = state_of(evidence.curve_runs(scenario)[-1], 0, -1)
        cases += [(scenario, scenario.initial, "start"), (scenario, trained, "end of a run")]
    return cases


def _predicted(
    theory: Theory, evidence: Evidence, scenario: Scenario, state: State, matrix: str
) -> SpanMatrix:
    return population_block(
        theory.model,
        scenario.parameters,
        state,
        matrix="gradient" if matrix == "gradient" else "hessian",
        block="all" if theory.model.readout_size else "first_layer",
        blocks=theory.blocks(matrix),
        tolerance=evidence.system.quadrature,
    )


def _block_entries(
    theory: Theory, evidence: Evidence, scenario: Scenario, state: State, matrix: str, name: str
) -> Iterator[tuple[str, Iterator[Entry]]]:
    """Every block with its entries: those of x^a, x^b on the basis and the bulk, of x^a, v_i, and
    of v_i, v_j.
    """
    data = evidence.projection(scenario, state, matrix, name)
    predicted = _predicted(theory, evidence, scenario, state, matrix)
    rank, c = predicted.basis.rank, theory.model.units
    split = c * rank
    full = predicted.matrix[:split, :split].reshape(c, rank, c, rank)
    error = predicted.matrix_error[:split, :split].reshape(full.shape)

    def block(a: int, b: int) -> Iterator[Entry]:
        for i, j in upper_triangle(rank):
            yield (
                f"entry ({i + 1}, {j + 1})",
                data.matrix.values[a, b, i, j],
                data.matrix_error.values[a, b, i, j],
                full[a, i, b, j],
                error[a, i, b, j],
            )
        yield (
            "bulk",
            data.bulk.values[a, b],
            data.bulk_error.values[a, b],
            predicted.bulk[a, b],
            predicted.bulk_error[a, b],
        )

    for a, b in upper_triangle(c):
        yield f"block ({a + 1}, {b + 1})", block(a, b)
    q = theory.model.readout_size
    if not q:
        return
    mixed, mixed_error = predicted.matrix[:split, split:], predicted.matrix_error[:split, split:]

    def across(a: int) -> Iterator[Entry]:
        for i, j in np.ndindex(rank, q):
            row = a * rank + i
            yield (
                f"entry ({i + 1}, {j + 1})",
                data.mixed.values[a, j, i],
                data.mixed_error.values[a, j, i],
                mixed[row, j],
                mixed_error[row, j],
            )

    for a in range(c):
        yield f"block (x^{a + 1}, v)", across(a)
    last, last_error = predicted.matrix[split:, split:], predicted.matrix_error[split:, split:]
    yield (
        "block (v, v)",
        (
            (
                f"entry ({i + 1}, {j + 1})",
                data.readout.values[i, j],
                data.readout_error.values[i, j],
                last[i, j],
                last_error[i, j],
            )
            for i, j in upper_triangle(q)
        ),
    )


def _worst(
    label: str, entries: list[Entry], z: float, parts: tuple[Part, ...], resolution: float
) -> Comparison:
    made = [_compare(label, entry, len(entries), z, parts, resolution) for entry in entries]
    return max(made, key=lambda c: c.strain)


def _compare(
    label: str, entry: Entry, count: int, z: float, parts: tuple[Part, ...], resolution: float
) -> Comparison:
    name, measured, error, predicted, predicted_error = entry
    return Comparison(
        f"{label}, {name} (the worst of {count})",
        float(measured),
        float(predicted),
        Tolerance(
            (
                Part(z * float(error), f"{z:.2f} standard errors (T3)"),
                Part(float(predicted_error), "quadrature (T2)"),
                *parts,
            )
        ),
        resolution=resolution,
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
    theory: Theory, evidence: Evidence, scenario: Scenario, state: State, unit: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""Derivative of the mean gradient along every basis vector of x^unit: value, standard error,
    remainder.

    Central differences over the same samples with two steps h, h/2, extrapolated to order h^4;
    entries of the gradient as in the rows of :class:`numerics.spectra.span_matrix.SpanMatrix`.  The
    sample gradient alone is used.
    """
    model, parameters = theory.model, scenario.parameters
    basis = span_basis(parameters, state)
    c, rank = model.units, basis.rank
    deviation = np.sqrt(state.gram(parameters.directions_gram)[unit, unit] / parameters.precision)
    gradient = compile_derivatives(model, "gradient")
    # x^unit moves by a length that changes its pre-activation, whose features have length about 1,
    # by the step
    steps = DIFFERENCE_STEP * deviation * np.array([1.0, 0.5])
    dimension, samples = evidence.level.spectrum_dimensions[-1], evidence.level.test_points
    chunk, total = 20_000, 0
    shape = (2, c * rank + model.readout_size, rank)
    sums, squares, cross = np.zeros(shape), np.zeros(shape), np.zeros(shape[1:])
    generator = np.random.default_rng(evidence.child_seed(f"curvature {scenario.name} {unit}"))
    while total < samples:
        size = min(chunk, samples - total)
        data = draw_data(model, parameters, state, dimension, size, generator)
        u, w = data.weights @ data.features.T, data.features[:, :rank]
        for j in range(rank):
            rows = np.empty((2, shape[1], size))
            for k, h in enumerate(steps):
                ends = []
                for sign in (1.0, -1.0):
                    moved = u.copy()
                    moved[unit] += sign * h * w[:, j]
                    g = gradient(data.labels, moved, state.readout)
                    ends.append(
                        np.concatenate([(g[:c, None] * w.T).reshape(c * rank, size), g[c:]])
                    )
                rows[k] = (ends[0] - ends[1]) / (2 * h)
            sums[:, :, j] += rows.sum(axis=2)
            squares[:, :, j] += (rows**2).sum(axis=2)
            cross[:, j] += (rows[0] * rows[1]).sum(axis=1)
        total += size
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

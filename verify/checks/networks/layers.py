"""Every layer of a network and its blocks against the layer's own low-dimensional space."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from numerics import State
from numerics.alignment.layer_alignment import (
    LayerSpace,
    aligned_layers,
    eigenspace_in_space,
    first_layer_share,
    layer_space,
    space_of_features,
    weight_rank,
    weights_of_layer,
)
from numerics.core.problem import Problem
from numerics.core.validation import Array
from theory.problem.layers import FIRST_LAYER
from verify.checks.dynamics import trained_samples
from verify.checks.judged_theory import MATRICES, Theory
from verify.evidence.evidence import Evidence
from verify.evidence.layer_samples import BATCHES, DIMENSION, SAMPLES, sample_blocks
from verify.evidence.run_states import inverse_dimensions, state_of
from verify.evidence.systems import Scenario
from verify.verdict.compare import compare, compare_limit
from verify.verdict.extrapolation import extrapolate_means, mean_and_error
from verify.verdict.results import Outcome
from verify.verdict.tolerance import Chance, Comparison, Family, Part

# eigenpairs of a block that are looked at
LEADING = 3
# samples of the matrices at the end of a run, looked at whole and in halves
END_SAMPLES = 4_000


class Place(NamedTuple):
    """A layer at the state that the curve of a scenario ends in, by the theory under judgement.

    ``space`` is None for layer 1, whose space is that of the means.
    """

    scenario: Scenario
    layer: str
    state: State
    space: LayerSpace | None
    weights: Array

    @property
    def rank(self) -> int:
        """Dimension of the eigenspaces to look at."""
        return weight_rank(self.weights) if self.space is None else self.space.rank

    @property
    def fills(self) -> bool:
        """The space is everything: nothing could be off it."""
        return self.space is not None and self.rank == self.space.basis.shape[1]


class End(NamedTuple):
    """The state that a run ended in, and blocks of all layers over two halves of fresh samples."""

    state: State
    halves: list[dict[str, Array]]


def layer_spectra(theory: Theory, evidence: Evidence) -> Outcome:
    """Outliers and eigenvectors of every layer's Hessian and G block are those of matrices of
    samples.
    """
    families = []
    for scenario in evidence.system.scenarios:
        ended = state_of(evidence.runs(scenario, *_small(evidence)), 0, -1)
        for name, state in (("start", scenario.initial), ("end of a run", ended)):
            found = evidence.layer_batches(scenario, state, name)
            for layer in aligned_layers(theory.model):
                for matrix in MATRICES:
                    label = f"{scenario.name}, {name}: {matrix} of {layer}"
                    block, _, bulk = _population(theory, evidence, scenario, state, matrix, layer)
                    measured = found[f"{matrix} of {layer}"].values
                    families.append(_eigenpairs(label, measured, block, bulk))
    samples = {"batches": BATCHES, "samples of each": SAMPLES, "dimension": DIMENSION}
    return Outcome(families, samples)


def layer_alignment(theory: Theory, evidence: Evidence) -> Outcome:
    """After training the weights of a layer and the top eigenspaces of its blocks are as far off
    the layer's space as the effective dynamics say.
    """
    comparisons, notes = [], []
    ends: dict[str, list[list[End]]] = {}
    for place in _places(theory, evidence):
        if place.scenario.name not in ends:
            ends[place.scenario.name] = _ends(evidence, place.scenario)
        if place.fills:
            notes.append(f"{place.scenario.name}: the features of {place.layer} fill its space")
            continue
        comparisons += _weights_off(evidence, place)
        comparisons += _eigenspaces_off(theory, evidence, place, ends[place.scenario.name])
    samples = {
        **trained_samples(evidence),
        "replicas with spectra": evidence.level.spectrum_replicas,
        "samples": END_SAMPLES,
    }
    return Outcome(comparisons, samples, notes=notes)


def layer_rank(theory: Theory, evidence: Evidence) -> Outcome:
    """Weights and features of every layer have the ranks of the effective dynamics, lower at a
    sub-optimal end.
    """
    comparisons = []
    for place in _places(theory, evidence):
        states = evidence.trained_states(place.scenario)[-1]
        problem = Problem(theory.model, place.scenario.parameters)
        ranks = {"weights": [weight_rank(_weights(problem, s, place.layer)) for s in states]}
        predicted = {"weights": weight_rank(place.weights)}
        if place.space is not None:
            ranks["features"] = [layer_space(problem, s, place.layer).rank for s in states]
            predicted["features"] = place.space.rank
        comparisons += [
            compare(
                f"{place.scenario.name}: mean rank of the {what} of {place.layer}",
                np.mean(found),
                predicted[what],
                Part(0.0, "a rank is a whole number, the same in every run"),
            )
            for what, found in ranks.items()
        ]
    return Outcome(comparisons, trained_samples(evidence))


def _places(theory: Theory, evidence: Evidence) -> Iterator[Place]:
    """Every layer at the end of every trained curve."""
    for scenario in evidence.system.trained_at(evidence.system.precisions):
        state = _end_of(theory.curve(scenario))
        problem = Problem(theory.model, scenario.parameters)
        for layer in aligned_layers(theory.model):
            weights = _weights(problem, state, layer)
            space = None
            if layer != FIRST_LAYER:
                features = theory.features_at(scenario, state, layer)
                space = space_of_features(features, scenario.parameters.weights)
            yield Place(scenario, layer, state, space, weights)


def _weights_off(evidence: Evidence, place: Place) -> list[Comparison]:
    """Share of the weights off the layer's space, SGD against the curve."""
    problem = Problem(evidence.system.model, place.scenario.parameters)
    runs = evidence.trained_runs(place.scenario)
    measured = [
        np.array([_off(problem, s, place) for s in states])
        for states in evidence.trained_states(place.scenario)
    ]
    predicted = (
        1.0 - first_layer_share(problem, place.state)
        if place.space is None
        else 1.0 - place.space.share(place.weights)
    )
    return [_limit(place, "squared length of the weights", measured, runs, predicted, 0.02)]


def _off(problem: Problem, state: State, place: Place) -> float:
    if place.space is None:
        return 1.0 - first_layer_share(problem, state)
    space = layer_space(problem, state, place.layer, place.rank)
    return 1.0 - space.share(_weights(problem, state, place.layer))


def _ends(evidence: Evidence, scenario: Scenario) -> list[list[End]]:
    """Ends of some runs at each of the two dimensions, with matrices of fresh samples."""
    system, count = evidence.system, evidence.level.spectrum_replicas
    dimension = system.model.directions + system.model.units
    trained = evidence.trained_states(scenario)
    seed = evidence.child_seed(f"ends {scenario.name}")
    seeds = iter(np.random.SeedSequence(seed).spawn(count * len(trained)))

    def end(state: State) -> End:
        halves = [
            sample_blocks(system, scenario, state, dimension, END_SAMPLES // 2, child)
            for child in next(seeds).spawn(2)
        ]
        return End(state, halves)

    return [[end(state) for state in states[:count]] for states in trained]


def _eigenspaces_off(
    theory: Theory, evidence: Evidence, place: Place, ends: Sequence[Sequence[End]]
) -> list[Comparison]:
    """Share of the top eigenspaces off the layer's space, blocks at ends of SGD against theory."""
    runs = evidence.trained_runs(place.scenario)
    problem = Problem(evidence.system.model, place.scenario.parameters)
    tables = [np.array([_end_off(problem, end, place) for end in each]) for each in ends]
    comparisons = []
    for i, matrix in enumerate(MATRICES):
        block, basis, _ = _population(
            theory, evidence, place.scenario, place.state, matrix, place.layer
        )
        space = _means(problem, basis) if place.space is None else place.space
        predicted = 1.0 - eigenspace_in_space(block, space, place.rank)
        what = f"top eigenspace of the {matrix}"
        comparisons.append(_limit(place, what, [t[:, i] for t in tables], runs, predicted, 0.05))
    return comparisons


def _end_off(problem: Problem, end: End, place: Place) -> list[float]:
    """Share of the top eigenspace off the space, of a matrix of infinitely many samples: what is
    of order 1 / M cancels between all samples and both halves of them.
    """
    model = problem.model
    # the first axes of the samples are those of the means
    space = LayerSpace(np.eye(model.directions, model.directions + model.units), np.ones(0))
    if place.space is not None:
        space = layer_space(problem, end.state, place.layer, place.rank)
    off = []
    for matrix in MATRICES:
        blocks = [half[f"{matrix} of {place.layer}"] for half in end.halves]
        whole = eigenspace_in_space((blocks[0] + blocks[1]) / 2, space, place.rank)
        parts = [eigenspace_in_space(block, space, place.rank) for block in blocks]
        off.append(1.0 - 2 * whole + sum(parts) / 2)
    return off


def _limit(
    place: Place,
    what: str,
    measured: Sequence[Array],
    runs: Sequence[xr.Dataset],
    predicted: float,
    resolution: float,
) -> Comparison:
    limit = extrapolate_means(inverse_dimensions(runs), measured)
    return compare_limit(
        f"{place.scenario.name}: share of the {what} off the space of {place.layer}, d -> infinity",
        limit,
        predicted,
        Part(0.02 * abs(predicted) + 1e-4, "1/d^2, 1/M^2, integration (T2, T4)"),
        resolution=0.25 * abs(predicted) + resolution,
        degrees=len(measured[0]) - 1,
    )


def _eigenpairs(label: str, batches: Array, block: Array, bulk: float | None) -> Family:
    """The predicted eigenvectors diagonalise the measured block, with the predicted values."""
    size = len(block)
    values, vectors = np.linalg.eigh(block)
    order = np.argsort(-np.abs(values))
    rotated = vectors.T @ batches[:, :size, :size] @ vectors
    mean, error = mean_and_error(rotated)
    degrees = len(batches) - 1
    largest = float(np.abs(values).max())

    def compared(what: str, measured: float, predicted: float, spread: float) -> Comparison:
        return compare(
            f"{label}, {what}",
            measured,
            predicted,
            Chance(float(spread), degrees),
            Part(1e-3 * largest, "quadrature (T2)"),
            resolution=0.15 * largest,
        )

    found = []
    for n, i in enumerate(order[:LEADING]):
        found.append(compared(f"eigenvalue {n + 1}", mean[i, i], values[i], error[i, i]))
        found += [
            compared(f"eigenvector {n + 1} against {k + 1}", mean[i, j], 0.0, error[i, j])
            for k, j in enumerate(order)
            if k > n
        ]
    if bulk is not None:
        level, spread = mean_and_error(np.array([np.diag(b)[size:].mean() for b in batches]))
        found.append(compared("bulk", float(level), bulk, float(spread)))
    return Family(tuple(found))


def _population(
    theory: Theory, evidence: Evidence, scenario: Scenario, state: State, matrix: str, layer: str
) -> tuple[Array, Array | None, float | None]:
    """Numbers of a layer's block; for layer 1 those on the span with its basis, and the bulk."""
    block = (0, 0) if layer == FIRST_LAYER else layer
    small = theory.population_block(scenario, state, matrix, block, evidence.system.quadrature)
    if layer == FIRST_LAYER:
        return small.matrix, small.basis.along, float(small.bulk[0, 0])
    return small.matrix, None, None


def _means(problem: Problem, basis: Array | None) -> LayerSpace:
    assert basis is not None  # layer 1 has it
    return LayerSpace(np.linalg.qr(basis.T)[0].T, np.ones(0))


def _small(evidence: Evidence) -> tuple[int, int]:
    return evidence.level.dimensions[0], 1


def _weights(problem: Problem, state: State, layer: str) -> Array:
    """Weights of a layer; of the first one their coordinates along the means."""
    if layer == FIRST_LAYER:
        return np.asarray(state.overlap)
    return weights_of_layer(problem.model, state.readout, layer)


def _end_of(curve: xr.Dataset) -> State:
    last = curve.isel(time=-1)
    return State(last.overlap.values, last.gram_perp.values, last.readout.values)

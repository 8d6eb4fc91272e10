"""Checks of effective spectra: against data in the proportional limit, against the population,
train against test.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr

from numerics import State, effective_spectrum
from numerics.expectations.quadrature import replicate_error
from numerics.proportional.limiting_spectrum import quadrature_rules, solve_all
from numerics.proportional.weight_law import WeightNodes
from numerics.spectra.span_matrix import BlockName
from verify.evidence.evidence import Evidence
from verify.evidence.run_states import state_of
from verify.evidence.systems import Scenario
from verify.verdict.compare import compare, compare_exponent, compare_limit
from verify.verdict.extrapolation import (
    extrapolate,
    extrapolate_means,
    fit_exponent,
    mean_and_error,
)
from verify.verdict.results import Outcome
from verify.verdict.tolerance import Chance, Comparison, Part

from .judged_theory import MATRICES, Theory

# parts of the bulk's distribution at which distribution functions are compared
QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.9)
# a level this close to the edge, relative to it, moves the edge of finite matrices
CROWDED = 0.1
# phi -> infinity is looked at from here
LARGE_ASPECTS = (20.0, 60.0, 180.0, 540.0)


@dataclass(frozen=True)
class _Case:
    """One state, aspect ratio and parts of its matrices."""

    scenario: Scenario
    time: int
    ratio: int
    parts: tuple[tuple[str, BlockName], ...]
    dimensions: tuple[int, ...]

    def name(self, part: tuple[str, BlockName]) -> str:
        """For reports."""
        matrix, block = part
        where = (
            "full first layer"
            if isinstance(block, str)
            else f"block ({block[0] + 1}, {block[1] + 1})"
        )
        moment = f"t = {self.scenario.times[self.time]:g}, lambda = {self.scenario.parameters.precision:g}"
        return f"{self.scenario.name}, {moment}, M/d = {self.ratio}, {matrix} {where}"


def _cases(evidence: Evidence) -> Iterator[_Case]:
    """Early and late in training, at small and large noise and at several M/d."""
    first, last = evidence.system.scenarios[0], evidence.system.scenarios[-1]
    dimensions = evidence.level.effective_dimensions
    blocks: list[tuple[str, BlockName]] = [(m, (0, 0)) for m in MATRICES]
    yield _Case(first, 0, 2, tuple(blocks), dimensions)
    yield _Case(first, -1, 8, tuple(blocks), dimensions)
    yield _Case(last, -1, 4, tuple(blocks), dimensions)
    if evidence.system.full_spectra:
        full: list[tuple[str, BlockName]] = [(m, "first_layer") for m in MATRICES]
        yield _Case(last, -1, 4, tuple(full), tuple(d // 3 for d in dimensions))


def proportional(theory: Theory, evidence: Evidence) -> Outcome:
    """Bulk, edges, outliers and eigenvectors of data at fixed M/d tend to those of the effective
    theory.
    """
    comparisons: list[Comparison] = []
    spreads: list[tuple[np.ndarray, np.ndarray]] = []
    cases = list(_cases(evidence))
    replicas = evidence.level.effective_replicas
    for case in cases:
        state = _state(evidence, case)
        data = [
            evidence.proportional_data(
                case.scenario, case.time, state, case.parts, d, case.ratio, n
            )
            for d, n in zip(case.dimensions, replicas, strict=True)
        ]
        for part in case.parts:
            predicted = effective_spectrum(
                theory.model,
                case.scenario.parameters,
                state,
                case.ratio,
                matrix=part[0],
                block=part[1],
                regularized=False,
            )
            part_data = [d[part] for d in data]
            judged = _PartComparisons(
                case.name(part), predicted, part_data, np.array(case.dimensions), min(replicas) - 1
            )
            comparisons += judged.comparisons()
            spreads += judged.spreads()
    dimensions = evidence.level.effective_dimensions
    comparisons.append(_spread_exponent(spreads, np.array(dimensions), min(replicas) - 1))
    samples = {
        "dimensions": list(dimensions),
        "replicas": list(replicas),
        "M/d": sorted({case.ratio for case in cases}),
    }
    return Outcome(comparisons, samples)


def _state(evidence: Evidence, case: _Case) -> State:
    """What one run of SGD had reached: no theory has a say in it."""
    return state_of(evidence.curve_runs(case.scenario)[-1], 0, case.time)


class _PartComparisons:
    """One part of a matrix: prediction beside eigenvalues and projected eigenvectors of data at
    several dimensions.
    """

    def __init__(
        self,
        name: str,
        predicted: xr.Dataset,
        data: list[xr.Dataset],
        dimensions: np.ndarray,
        degrees: int,
    ) -> None:
        self.name, self.predicted, self.data = name, predicted, data
        self.dimensions, self.degrees = dimensions, degrees
        self.sides = {side: np.flatnonzero(predicted.side.values == side) for side in (1, -1)}
        critical = predicted.near_critical.values == 1
        self.clear = {side: not critical[chosen].any() for side, chosen in self.sides.items()}
        self.judged = {side: chosen[~critical[chosen]] for side, chosen in self.sides.items()}

    def comparisons(self) -> Iterator[Comparison]:
        """All that the prediction says of these data."""
        yield from self._distribution()
        for side in (1, -1):
            yield from self._edge(side)
            if len(self.judged[side]):
                yield from self._outliers(side)
        if self.clear[1] and self.predicted.attrs["edge_kind_right"] == "critical":
            yield from self._count()

    def _limit(
        self,
        what: str,
        samples: list[np.ndarray],
        predicted: float,
        own: float,
        resolution: float,
        power: float = 1.0,
    ) -> Comparison:
        """A mean over replicas at every d, extrapolated to d -> infinity in 1 / d^power."""
        means, errors = map(np.array, zip(*map(mean_and_error, samples), strict=True))
        # what no replica changes (no eigenvalue lies there) has no error to weigh with
        fit = extrapolate(self.dimensions**-power, means, errors + 1e-15, degree=1)
        return compare_limit(
            f"{self.name}: {what}, d -> infinity",
            fit,
            predicted,
            Part(own, "quadrature of the effective theory (T2)"),
            resolution=resolution,
            degrees=self.degrees,
            remainder=f"next power of d^-{power:.2g} (T4)",
        )

    def _distribution(self) -> Iterator[Comparison]:
        x, below = self.predicted.grid.values, self.predicted.distribution.values
        error = self.predicted.distribution_error.values
        atom = self.predicted.attrs["atom"]
        for q in QUANTILES:
            i = int(np.abs(below - atom - q * (1 - atom)).argmin())
            samples = [(d.eigenvalue.values <= x[i]).mean(axis=1) for d in self.data]
            what = f"share of eigenvalues below {x[i]:.4g}"
            yield self._limit(what, samples, float(below[i]), float(error[i]), 0.03)

    def _edge(self, side: int) -> Iterator[Comparison]:
        """The first eigenvalue of the bulk; fluctuations and shift at a square-root edge are of
        order d^(-2/3).
        """
        kind = self.predicted.attrs["edge_kind_right" if side > 0 else "edge_kind_left"]
        if (
            kind != "critical"
            or not self.clear[side]
            or self.predicted.attrs["missed_by"] < CROWDED
        ):
            return
        if side < 0 and self.predicted.attrs["atom"] > 0:  # the atom lies below
            return
        edge = float(self.predicted.edges[-1 if side > 0 else 0, 1 if side > 0 else 0])
        error = float(self.predicted.edge_error[-1 if side > 0 else 0, 1 if side > 0 else 0])
        if error > 0.01 * abs(edge):
            return
        outside = len(self.sides[side])
        samples = [self._from(side, d.eigenvalue.values)[:, outside] for d in self.data]
        span = float(self.predicted.edges[-1, 1] - self.predicted.edges[0, 0])
        what = f"{'largest' if side > 0 else 'least'} eigenvalue of the bulk"
        yield self._limit(what, samples, edge, error, 0.1 * span, power=2 / 3)

    @staticmethod
    def _from(side: int, values: np.ndarray) -> np.ndarray:
        """Eigenvalues, or what belongs to them, counted from one end; they come in decreasing
        order.
        """
        return values if side > 0 else values[:, ::-1]

    def _outliers(self, side: int) -> Iterator[Comparison]:
        # from the outside inwards, as in the data
        order = self.judged[side] if side > 0 else self.judged[side][::-1]
        count, where = len(order), "right" if side > 0 else "left"
        for n, i in enumerate(order):
            samples = [self._from(side, d.eigenvalue.values)[:, n] for d in self.data]
            place, error = float(self.predicted.outliers[i]), float(self.predicted.outlier_error[i])
            yield self._limit(
                f"outlier {n + 1} on the {where}", samples, place, error, 0.15 * abs(place)
            )
        vectors = [self._from(side, d.projection.values)[:, :count] for d in self.data]
        own = float(self.predicted.overlap_error.values[order].max())
        samples = [np.sum(v**2, axis=(1, 2, 3)) / count for v in vectors]
        overlap = float(self.predicted.overlap.values[order].mean())
        yield self._limit(
            f"overlap of the outliers on the {where} with the span, mean",
            samples,
            overlap,
            own,
            0.15,
        )
        flat = self.predicted.outlier_vector.values[order].reshape(count, -1)
        angle = float(np.linalg.svd(flat, compute_uv=False)[-1] ** 2)
        samples = [
            np.linalg.svd(v.reshape(len(v), count, -1), compute_uv=False)[:, -1] ** 2
            for v in vectors
        ]
        what = f"cos^2 of the largest principal angle between outliers on the {where} and the span"
        yield self._limit(what, samples, angle, own, 0.15)
        weights = self.data[0].weights.values  # (unit, span), unit vectors
        single = self.predicted.outlier_vector.ndim == 2
        for a in range(len(weights)) if not single else range(1):
            row = 0 if single else a
            samples = [np.sum((v[:, :, row] @ weights[a]) ** 2, axis=1) for v in vectors]
            expected = float(self.predicted.weight_share.values[order, a].sum())
            yield self._limit(
                f"share of x^{a + 1} in the outliers on the {where}", samples, expected, own, 0.15
            )

    def _count(self) -> Iterator[Comparison]:
        """How many eigenvalues lie beyond the middle between the edge and the innermost outlier, at
        the largest d.
        """
        right = self.sides[1]
        edge = float(self.predicted.edges[-1, 1])
        if not len(right) or float(self.predicted.edge_distance.values[right].min()) < CROWDED:
            return
        middle = (edge + float(self.predicted.outliers.values[right].min())) / 2
        counts = np.sum(self.data[-1].eigenvalue.values > middle, axis=1)
        mean, error = mean_and_error(counts.astype(float))
        yield compare(
            f"{self.name}: eigenvalues beyond the bulk at d = {self.dimensions[-1]}",
            mean,
            len(right),
            Chance(float(error), self.degrees),
            Part(0.1, "finite d: an outlier crosses the middle in one run of ten (T4)"),
            resolution=0.9,
        )

    def spreads(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Standard deviations of the outermost outlier at every d, and their relative errors."""
        for side in (1, -1):
            if len(self.judged[side]):
                outer = [self._from(side, d.eigenvalue.values)[:, 0] for d in self.data]
                yield (
                    np.array([v.std(ddof=1) for v in outer]),
                    np.array([1 / np.sqrt(2 * (len(v) - 1)) for v in outer]),
                )


def _spread_exponent(
    spreads: list[tuple[np.ndarray, np.ndarray]], dimensions: np.ndarray, degrees: int
) -> Comparison:
    """Outliers fluctuate like d^(-1/2): the geometric mean over all parts, as if they were one
    sample.
    """
    values = np.exp(np.mean([np.log(v) for v, _ in spreads], axis=0))
    # parts of one data set are dependent: no error is divided by their number
    return compare_exponent(
        "exponent of d in the standard deviation of the outermost outlier, geometric mean over parts",
        fit_exponent(dimensions, values, spreads[0][1]),
        -0.5,
        Part(2.0 / dimensions.min(), "O(1/d) correction of the variance, coefficient up to 2 (T4)"),
        resolution=1.0,
        degrees=degrees,
        reason="{z:.2f} standard errors as of one part (T3)",
    )


def large_aspect(theory: Theory, evidence: Evidence) -> Outcome:
    """As M/d -> infinity the effective theory tends to the population formulas, like d/M."""
    scenario = evidence.system.scenarios[0]
    state = state_of(evidence.curve_runs(scenario)[-1], 0, -1)
    comparisons = []
    for matrix in MATRICES:
        population = theory.population_spectrum(
            scenario, state, matrix, 0, evidence.system.quadrature
        )
        values, bulk = population.eigenvalue.values, float(population.bulk.values.max())
        places, errors = _outliers_at_large_aspects(theory, scenario, state, matrix)
        exact = values[values > bulk][: places.shape[1]]
        fit = extrapolate(1 / np.array(LARGE_ASPECTS), places, errors + 1e-14, degree=2)
        own = float(population.attrs["error_estimate"])
        where = f"{scenario.name}, {matrix} block (1, 1)"
        comparisons += [
            compare(
                f"{where}: outlier {i + 1}, M/d -> infinity, against the population",
                fit.value[i],
                value,
                Part(fit.remainder[i], "next power of d/M (T4)"),
                Part(3 * errors[:, i].max() + own, "quadrature on both sides (T2)"),
                resolution=0.01 * abs(value),
            )
            for i, value in enumerate(exact)
        ]
        gaps = _gaps_by_the_same_nodes(theory, scenario, state, matrix)
        fits = [fit_exponent(LARGE_ASPECTS, gap, np.ones(gap.size)) for gap in gaps]
        slopes = np.array([fit.slope for fit in fits])
        comparisons.append(
            compare(
                f"{where}: exponent of M/d in |outlier 1 - population|",
                slopes.mean(),
                -1.0,
                Part(
                    max(abs(fit.curvature) for fit in fits) + 1 / min(LARGE_ASPECTS),
                    "next power of d/M bends the line (T4)",
                ),
                Part(
                    float(replicate_error(slopes)),
                    "quadrature, by the same nodes on both sides (T2)",
                ),
                resolution=0.1,
            )
        )
    return Outcome(comparisons, {"M/d": list(LARGE_ASPECTS)})


def _outliers_at_large_aspects(
    theory: Theory, scenario: Scenario, state: State, matrix: str
) -> tuple[np.ndarray, np.ndarray]:
    """Outliers on the right of block (1, 1) that all aspect ratios have, and errors of quadrature:
    (M/d, outlier).
    """
    spectra = [
        effective_spectrum(
            theory.model,
            scenario.parameters,
            state,
            ratio,
            matrix=matrix,
            block=(0, 0),
            regularized=False,
            density=False,
        )
        for ratio in LARGE_ASPECTS
    ]
    right = [s.side.values == 1 for s in spectra]
    count = min(chosen.sum() for chosen in right)
    places, errors = (
        np.array([s[name].values[chosen][:count] for s, chosen in zip(spectra, right, strict=True)])
        for name in ("outliers", "outlier_error")
    )
    return places, errors


def _gaps_by_the_same_nodes(
    theory: Theory, scenario: Scenario, state: State, matrix: str
) -> np.ndarray:
    """Distances of outlier 1 of block (1, 1) from its population value: (rule, M/d).

    Far out they are smaller than the quadrature errors of either, which hide their exponent.  With
    E[K ww^T] of the same nodes for the population these errors are nearly equal, and cancel; how
    well, two rules say.
    """
    nodes = WeightNodes(theory.model, scenario.parameters, state, matrix, (0, 0))
    rules = quadrature_rules(nodes, theory.model, seed=0)[-2:]
    places = [
        [max(outlier.place for outlier in run.outliers) for run in solve_all(nodes, rules, ratio)]
        for ratio in LARGE_ASPECTS
    ]
    population = []
    for rule, replicate in rules:
        law = nodes.law(rule, replicate)
        weights = law.probability * law.weight[:, 0, 0]
        on_span = np.tensordot(weights, law.moment[:, :-1, :-1], axes=1)
        population.append(np.linalg.eigvalsh(on_span)[-1])
    return np.asarray(np.abs(np.array(places) - population).T)


def train_spectra(theory: Theory, evidence: Evidence) -> Outcome:
    """Spectra of the samples that trained the weights align like those of fresh ones, and tend to
    them like d/M.
    """
    scenario, level = evidence.system.scenarios[0], evidence.level
    ratios, replicas = level.train_ratios, level.train_replicas
    data = [
        evidence.train_and_test(scenario, level.train_dimension, ratio, replicas)
        for ratio in ratios
    ]
    comparisons = []
    for matrix in MATRICES:
        pairs = [
            (d.sel(matrix=matrix, data="train"), d.sel(matrix=matrix, data="test")) for d in data
        ]
        train, test = pairs[0]
        mean, error = mean_and_error((train.overlap - test.overlap).values)
        comparisons.append(
            compare(
                f"{matrix} block (1, 1), M/d = {ratios[0]}: overlap of the top eigenvector with the"
                " span, test minus train (at most 0)",
                -mean,
                0.0,
                Chance(float(error), replicas - 1),
                Part(0.5 / level.train_dimension, "finite d (T4)"),
                resolution=0.1,
                one_sided=True,
            )
        )
        for name, resolution in (("outlier", 0.1), ("overlap", 0.05)):
            excess = [
                (train[name].values - test[name].values) / test[name].values.mean()
                for train, test in pairs
            ]
            comparisons.append(
                compare_limit(
                    f"{matrix} block (1, 1): {name} of train over that of test data, minus 1,"
                    " M/d -> infinity",
                    extrapolate_means(1 / np.array(ratios), excess),
                    0.0,
                    Part(1 / level.train_dimension, "finite d (T4)"),
                    resolution=resolution,
                    degrees=replicas - 1,
                    remainder="next power of d/M (T4)",
                )
            )
    samples = {"dimension": level.train_dimension, "M/d": list(ratios), "replicas": replicas}
    return Outcome(comparisons, samples)

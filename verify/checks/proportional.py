"""Check of effective spectra against data in the proportional limit: bulk, edges, outliers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr

from numerics import State, effective_spectrum
from numerics.spectra.span_matrix import BlockName
from verify.evidence.evidence import Evidence
from verify.evidence.systems import Scenario
from verify.verdict.compare import compare, compare_exponent, compare_limit
from verify.verdict.extrapolation import extrapolate, fit_exponent, mean_and_error
from verify.verdict.results import Outcome
from verify.verdict.tolerance import Chance, Comparison, Part

from .judged_theory import MATRICES, Theory

# parts of the bulk's distribution at which distribution functions are compared
QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.9)
# a level this close to the edge, relative to it, moves the edge of finite matrices
CROWDED = 0.1


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
        time, precision = self.scenario.times[self.time], self.scenario.parameters.precision
        moment = f"t = {time:g}, lambda = {precision:g}"
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
    return evidence.one_state(case.scenario, case.time)


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
        *further: Part,
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
            *further,
            resolution=resolution,
            degrees=self.degrees,
            remainder=f"next power of d^-{power:.2g} (T4)",
        )

    def _distribution(self) -> Iterator[Comparison]:
        x, below = self.predicted.grid.values, self.predicted.distribution.values
        error = self.predicted.distribution_error.values
        atom = self.predicted.attrs["atom"]
        # a matrix changed by rank n has at most n more eigenvalues below any point
        rare = self.predicted.attrs["tail"] * self.predicted.attrs["aspect_ratio"]
        left_out = [Part(rare, "rank of the rarest samples, left out (T4)")] if rare else []
        for q in QUANTILES:
            i = int(np.abs(below - atom - q * (1 - atom)).argmin())
            samples = [(d.eigenvalue.values <= x[i]).mean(axis=1) for d in self.data]
            what = f"share of eigenvalues below {x[i]:.4g}"
            yield self._limit(what, samples, float(below[i]), float(error[i]), 0.03, *left_out)

    def _edge(self, side: int) -> Iterator[Comparison]:
        """The first eigenvalue of the bulk; fluctuations and shift at a square-root edge are of
        order d^(-2/3).

        Where the rarest samples were left out the edge is not that of the limit d -> infinity.
        """
        kind = self.predicted.attrs["edge_kind_right" if side > 0 else "edge_kind_left"]
        if (
            kind != "critical"
            or self.predicted.attrs["tail"] > 0
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
        "exponent of d in the standard deviation of the outermost outlier, geometric mean over "
        "parts",
        fit_exponent(dimensions, values, spreads[0][1]),
        -0.5,
        Part(2.0 / dimensions.min(), "O(1/d) correction of the variance, coefficient up to 2 (T4)"),
        resolution=1.0,
        degrees=degrees,
        reason="{z:.2f} standard errors as of one part (T3)",
    )

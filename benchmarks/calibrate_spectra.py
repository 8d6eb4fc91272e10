r"""True error against estimate of effective edges, outliers and their overlaps.

The truth shares no code with the package: one block, whose weights D are those of
:mod:`benchmarks.calibrate_blocks` on a line.  With :math:`x=SD/(\phi\lambda)`

.. math:: z(S)=-\frac1S+\phi E\Big[\frac{D}{\lambda\phi+SD}\Big],\qquad
          \phi E\Big[\frac{x^2}{(1+x)^2}\Big]=1\text{ at an edge},\qquad
          F(S)=E\Big[\frac{D}{1+x}YY^T\Big]

by bisection (Brent); outliers are the roots of the eigenvalues of F - z beyond the edges, with
overlap :math:`1/(1-e^TF'(z)e)`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import scipy.optimize
import scipy.stats
import xarray as xr

from numerics import effective_spectrum

from .brute_losses import brute
from .calibrate_blocks import Line, draw_line
from .calibration_record import Array, Record

# relative distance of S from the pole of the largest weight
POLE = 1e-13
# the support of a law ends at the pole of its largest weight, however rare: of all weights so many
# standard deviations from the mean
FAR, GRID = 24.0, 4001
# where D is extreme on a grid, and how panels shrink towards there
HILL_GRID, SHRINK, STEPS = 4001, 0.25, 12
# two true outliers closer than this, relative, are one of which only the sum is known
EQUAL = 1e-6


@dataclass(frozen=True)
class Law:
    """Weights D of one block on the nodes of all components."""

    line: Line
    ratio: float
    parts: tuple[tuple[Array, Array, Array, Array], ...]  # mean off w, nodes t, probability, D
    rare: Array  # D beyond the nodes

    @classmethod
    def of(cls, line: Line, matrix: str, unit: int, ratio: float, tail: float, nodes: int) -> Law:
        """The law, without the share ``tail`` of the most extreme weights on either side of 0."""
        ends = _hills(line, matrix, unit)
        if tail:
            cuts = _cuts(line, matrix, unit, tail)
            ends = [np.concatenate(pair) for pair in zip(ends, cuts, strict=True)]
        rules = zip(line.rules(nodes, ends), range(len(line.labels)), strict=True)
        parts = [
            (off, t, share * weight, _weight(line, matrix, unit, l, t))
            for (share, _, off, t, weight, _), l in rules
        ]
        rare = np.zeros(0)
        if tail:
            parts = _without_tail(parts, tail)
        else:
            spread = np.linspace(-FAR, FAR, GRID) / np.sqrt(line.parameters.precision)
            centers = line.means @ line.direction
            rare = np.concatenate(
                [
                    _weight(line, matrix, unit, l, center + spread)
                    for l, center in enumerate(centers)
                ]
            )
        return cls(line, ratio, tuple(parts), rare)

    @property
    def probability(self) -> Array:
        """Of all nodes."""
        return np.concatenate([p for _, _, p, _ in self.parts])

    @property
    def weights(self) -> Array:
        """D at all nodes that count."""
        return np.concatenate([d for _, _, _, d in self.parts])

    def pole(self, side: int) -> float:
        """S at the pole of the most extreme weight, on the right (1) or the left (-1)."""
        d, p = self.weights, self.probability
        extreme = max(float((side * each).max(initial=0.0)) for each in (d[p > 0], self.rare))
        unit = self.ratio * self.line.parameters.precision
        return -side * (unit / extreme if extreme > 0 else np.inf)

    def steepness(self, s: float) -> float:
        """phi E[x^2 / (1 + x)^2], 1 at an edge."""
        x = s * self.weights / (self.ratio * self.line.parameters.precision)
        return float(self.ratio * self.probability @ (x / (1 + x)) ** 2)

    def place(self, s: float) -> float:
        """z(S)."""
        unit, d = self.ratio * self.line.parameters.precision, self.weights
        return float(-1 / s + self.ratio * self.probability @ (d / (unit + s * d)))

    def edge(self, side: int) -> float | None:
        """S at the critical edge of that side; None where there is none."""
        pole = self.pole(side)
        scale = self.ratio * self.line.parameters.precision / np.abs(self.weights).max()
        far = pole * (1 - POLE) if np.isfinite(pole) else -side * scale * 1e12
        if not self.steepness(far) > 1:
            return None
        near = -side * scale * 1e-12
        logs = np.log(abs(near)), np.log(abs(far))
        root = scipy.optimize.brentq(
            lambda x: self.steepness(-side * np.exp(x)) - 1, *logs, xtol=1e-15, rtol=1e-15
        )
        return float(-side * np.exp(root))

    def matrix(self, s: float, power: int = 1) -> Array:
        """F(S), or minus its derivative by S for a power of 2."""
        unit = self.ratio * self.line.parameters.precision
        total = 0.0
        for off, t, p, d in self.parts:
            h = d * (d / unit if power == 2 else 1) / (1 + s * d / unit) ** power
            total = total + self.line.second_moment(h, off, t, p)
        return np.asarray(total)

    def outliers(self, side: int, edge: float) -> list[tuple[float, float]]:
        """Place and overlap of every outlier beyond an edge, outermost first."""
        out = []
        size = len(self.line.direction)

        def excess(s: float, k: int) -> float:
            return float(side * (np.linalg.eigvalsh(self.matrix(s))[k] - self.place(s)))

        for k in range(size - 1, -1, -1) if side == 1 else range(size):
            if excess(edge, k) <= 0:
                break
            near = edge
            while excess(near, k) > 0:
                near /= 4
            logs = np.log(abs(near)), np.log(abs(edge))
            root = scipy.optimize.brentq(
                lambda x, k=k: excess(-side * np.exp(x), k), *logs, xtol=1e-15, rtol=1e-14
            )
            s = float(-side * np.exp(root))
            vector = np.linalg.eigh(self.matrix(s))[1][:, k]
            slope = (1 - self.steepness(s)) / s**2
            change = float(vector @ self.matrix(s, 2) @ vector) / slope
            out.append((self.place(s), 1 / (1 + change)))
        return out


def _weight(line: Line, matrix: str, unit: int, component: int, t: Array) -> Array:
    """D at points of the line."""
    g, hessian = line.derivatives(line.along[:, None] * t, float(line.labels[component]))
    return np.asarray(hessian[unit, unit] if matrix == "hessian" else g[unit] ** 2)


def _hills(line: Line, matrix: str, unit: int) -> list[Array]:
    """Ends of panels, by component, that shrink towards where D is largest and least: near the pole
    of an extreme weight an edge sees a width of which no other panel knows.
    """
    deviation = 1 / np.sqrt(line.parameters.precision)
    z = np.linspace(-brute.EDGE, brute.EDGE, HILL_GRID)
    steps = brute.EDGE * SHRINK ** np.arange(STEPS)
    out = []
    for l, center in enumerate(line.means @ line.direction):

        def height(x: float | Array, side: int = 1, l: int = l, center: float = center) -> Array:
            return side * _weight(line, matrix, unit, l, np.atleast_1d(center + deviation * x))

        places = [np.zeros(0)]
        for side in (1, -1):
            i = int(np.argmax(height(z, side)))
            if 0 < i < len(z) - 1:
                low, high = float(z[i - 1]), float(z[i + 1])
                top = scipy.optimize.minimize_scalar(
                    lambda x, side=side: -float(height(x, side)[0]),
                    bounds=(low, high),
                    method="bounded",
                    options={"xatol": 1e-14},
                ).x
                places.append(
                    center + deviation * np.concatenate([[top], top + steps, top - steps])
                )
        out.append(np.concatenate(places))
    return out


def _cuts(line: Line, matrix: str, unit: int, share: float) -> list[Array]:
    """Places, by component, where D passes the levels that a share of all samples lies beyond."""
    grids = [np.sort(t) for _, _, _, t, _, _ in line.rules(24)]
    centers = line.means @ line.direction
    deviation = 1 / np.sqrt(line.parameters.precision)
    out = [np.zeros(0)] * len(grids)
    for side in (1, -1):

        def excess(t: float, l: int, level: float, side: int = side) -> float:
            return side * float(_weight(line, matrix, unit, l, np.array([t]))[0]) - level

        heights = [side * _weight(line, matrix, unit, l, t) for l, t in enumerate(grids)]

        def passed(level: float, l: int, heights: list[Array] = heights) -> tuple[bool, Array]:
            above = heights[l] > level
            at = np.flatnonzero(above[1:] != above[:-1])
            roots = [
                scipy.optimize.brentq(excess, a, b, args=(l, level), xtol=1e-15 * (abs(a) + abs(b)))
                for a, b in zip(grids[l][at], grids[l][at + 1], strict=True)
            ]
            return bool(above[0]), np.array(roots)

        def beyond(level: float) -> float:
            total = 0.0
            for l, weight in enumerate(line.parameters.weights):
                inside, roots = passed(level, l)
                z = np.concatenate([[-np.inf], (roots - centers[l]) / deviation, [np.inf]])
                masses = scipy.stats.norm.cdf(z[1:]) - scipy.stats.norm.cdf(z[:-1])
                total += weight * masses[0 if inside else 1 :: 2].sum()
            return total - share

        most = max(float(h.max()) for h in heights)
        if most <= 0 or beyond(0.0) <= 0 or beyond(most) > 0:
            continue
        # levels span many powers of ten
        low = most
        while beyond(low) <= 0:
            low *= 0.1
        level = scipy.optimize.brentq(beyond, low, most, xtol=1e-14 * low, maxiter=500)
        out = [np.append(known, passed(level, l)[1]) for l, known in enumerate(out)]
    return out


def _without_tail(
    parts: list[tuple[Array, Array, Array, Array]], share: float
) -> list[tuple[Array, Array, Array, Array]]:
    d = np.concatenate([p[3] for p in parts])
    probability = np.concatenate([p[2] for p in parts])
    left = probability.copy()
    for size in (d, -d):
        order = np.argsort(-size)
        rest = np.clip(np.cumsum(probability[order]) - share, 0, probability[order])
        cut = np.where(size[order] > 0, rest, probability[order])
        left[order] = np.minimum(left[order], cut)
    ends = np.cumsum([len(p[1]) for p in parts])[:-1]
    return [(off, t, q, w) for (off, t, _, w), q in zip(parts, np.split(left, ends), strict=True)]


def spectrum_record(seed: int) -> list[Record]:
    """Edges and outliers of one block: two records, or one refusal."""
    rng = np.random.default_rng([seed, 4])
    line = draw_line(rng)
    while line.model.units > 6:
        line = draw_line(rng)
    matrix = "hessian" if rng.uniform() < 0.6 else "gradient"
    unit = int(rng.integers(line.model.units))
    ratio = float(10.0 ** rng.uniform(-1, 1.5))
    detail = f"spectrum_record({seed}), {matrix}, {line.name}, phi = {ratio:.4g}, {line.parameters}"
    start = perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            found = effective_spectrum(
                line.model,
                line.parameters,
                line.state,
                ratio,
                matrix=matrix,
                block=(unit, unit),
                density=False,
            )
    except ArithmeticError as error:
        return [Record.refused("effective spectrum", error, detail, perf_counter() - start)]
    seconds = perf_counter() - start
    shift = line.parameters.ridge if matrix == "hessian" else 0.0
    tail = float(found.attrs["tail"])
    cut, whole = (
        [Law.of(line, matrix, unit, ratio, share, nodes) for nodes in (16, 24)]
        for share in (tail, tail if found.attrs["unbounded"] else 0.0)
    )
    return _compare(found, cut, whole, shift, detail, seconds)


def _compare(
    found: xr.Dataset, laws: list[Law], whole: list[Law], shift: float, detail: str, seconds: float
) -> list[Record]:
    edges: list[tuple[float, float, float]] = []
    outliers: list[tuple[float, float, float]] = []
    for side in (1, -1):
        kind = found.attrs["edge_kind_right" if side == 1 else "edge_kind_left"]
        at = [law.edge(side) if np.abs(law.weights).max() > 0 else None for law in laws]
        if kind != "critical" or any(s is None for s in at):
            continue
        places = [law.place(s) + shift for law, s in zip(laws, at, strict=True)]
        # the place is a difference of terms of the size of 1 / S
        doubt = 3 * abs(places[1] - places[0]) + 1e-13 * (abs(places[1]) + 1 / abs(at[1]))
        ends = found.edges.values
        index = int(np.argmax(side * ends))
        edge, error = ends.flat[index], found.edge_error.values.flat[index]
        edges.append((abs(edge - places[1]), error, doubt))
        coarse, fine = (
            _seen(*laws_and_place, side) for laws_and_place in zip(laws, whole, at, strict=True)
        )
        outliers += _outliers(found, side, coarse, fine, shift, places[1], error + doubt)
    detail += f", edge kinds {found.attrs['edge_kind_left']}, {found.attrs['edge_kind_right']}"
    detail += f", tail {found.attrs['tail']}"
    records = []
    for what, rows in (("effective edges", edges), ("effective outliers", outliers)):
        if rows:
            table = np.array(rows).T
            records.append(Record(what, table[0], table[1], "", detail, seconds, table[2]))
            seconds = 0.0
    return records


def _seen(cut: Law, whole: Law, edge: float, side: int) -> list[tuple[float, float]]:
    """Outliers beyond the edge of the cut law; those of the whole law where it has them."""
    seen = cut.outliers(side, edge)
    end = whole.edge(side)
    end = whole.pole(side) * (1 - POLE) if end is None else end
    known = whole.outliers(side, end) if np.isfinite(end) else []
    return known[: len(seen)] + seen[len(known) :]


def _outliers(
    found: xr.Dataset,
    side: int,
    coarse: list[tuple[float, float]],
    fine: list[tuple[float, float]],
    shift: float,
    edge: float,
    border: float,
) -> list[tuple[float, float, float]]:
    """Errors, estimates and doubts of places and overlaps of one side."""
    here = np.flatnonzero(found.side.values == side)
    here = here if side == 1 else here[::-1]
    rows = []
    for k, (place, overlap) in enumerate(fine):
        place += shift
        if k >= len(coarse):
            continue
        doubts = [3 * abs(a - b) for a, b in zip(coarse[k], fine[k], strict=True)]
        if k >= len(here):
            # an outlier that is not returned must lie within the error of the edge
            rows.append((abs(place - edge), border, doubts[0]))
            continue
        i = here[k]
        value, estimate = float(found.outliers[i]), float(found.outlier_error[i])
        rows.append((abs(value - place), estimate, doubts[0] + 1e-13 * abs(place)))
        others = [other for j, (other, _) in enumerate(fine) if j != k]
        if all(abs(place - shift - other) > EQUAL * abs(place) for other in others):
            value, estimate = float(found.overlap[i]), float(found.overlap_error[i])
            rows.append((abs(value - overlap), estimate, doubts[1] + 1e-12))
    # one more than there are must lie within the error of the edge as well
    for i in here[len(fine) :]:
        rows.append((abs(float(found.outliers[i]) - edge), border, 0.0))
    return rows


def calibrate_spectra(count: int, seed: int) -> Iterator[Record]:
    """Draw and compare effective spectra."""
    for s in np.random.SeedSequence(seed).generate_state(count):
        yield from spectrum_record(int(s))

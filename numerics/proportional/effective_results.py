"""The Dataset of an effective spectrum, from the spectra of several quadrature rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from numerics.core.validation import Array
from numerics.expectations.quadrature import INTERVAL
from theory import Model

from .bulk.solved_density import densities
from .limiting_spectrum import LimitingSpectrum, agreed_gaps
from .outliers import Outlier
from .rule_choice import SCRAMBLINGS, best_and_error
from .weight_nodes import WeightNodes

# an outlier closer to the edge than this share of the edge is flagged: at finite d it is not told
# from the bulk
CRITICAL = 0.02

# outliers closer than this, relative to the largest, count as one of higher multiplicity
EQUAL = 1e-8

GRID = 400
# a distribution function may be off by so much more than its smoothed one
SHARP = 3.0
# accuracy to which the equation for S is solved, relative to its terms
ROUNDING = 4e-13


class EffectiveResult:
    """All runs as one Dataset: values of the best, or the mean, and errors."""

    def __init__(
        self, model: Model, nodes: WeightNodes, runs: Sequence[LimitingSpectrum], shift: float
    ) -> None:
        self.model, self.nodes, self.runs, self.shift = model, nodes, runs, shift
        count = min(len(run.outliers) for run in runs)
        kept = [sorted(run.outliers, key=lambda o: -o.distance)[:count] for run in runs]
        self.outliers = [sorted(outliers, key=lambda o: -o.place) for outliers in kept]
        # rows that count as null may move every eigenvalue by this
        self.neglected = max(run.resolvent.neglected for run in runs)

    @property
    def by_tensor_rules(self) -> bool:
        """Whether the runs are rules of different kind, the best last, not scramblings of one."""
        return len(self.runs) < SCRAMBLINGS

    def _both(self, values: Sequence[Array], terms: Array | float = 1.0) -> tuple[Array, Array]:
        """Value and error of what every run has; ``terms`` is the size of what was summed up."""
        array = np.array(values, dtype=float)
        rounding = ROUNDING * (terms + np.abs(array[-1]))
        rounding = rounding + self.runs[-1].resolvent.law.rounding * np.abs(array[-1])
        value, error = best_and_error(array)
        return value, error + rounding

    def _terms(self, traces: Sequence[float]) -> Array:
        """Size of the terms of z, which cancel down to the places of edges and outliers: S^-1 at a
        trace of S, and the shift.
        """
        rows, sizes = self.runs[-1].resolvent.rows, np.abs(np.array(traces, dtype=float))
        inverse = np.divide(rows, sizes, out=np.zeros_like(sizes), where=sizes > 0)
        return np.asarray(inverse + abs(self.shift))

    def _outlier_variables(self) -> dict[str, Any]:
        nodes, model, basis = self.nodes, self.model, self.nodes.basis

        def each(of: Callable[[Outlier], Any], terms: Array | float = 1.0) -> tuple[Array, Array]:
            values = [np.array([of(o) for o in kept], dtype=float) for kept in self.outliers]
            return self._both(values, terms)

        terms = self._terms([o.trace for o in self.outliers[-1]])
        place, place_error = each(lambda o: o.place, terms)
        overlap, overlap_error = each(lambda o: np.sum(o.vector**2))
        best = self.outliers[-1]
        place_error = place_error + np.array([o.rounding for o in best])
        overlap_error = overlap_error + np.array([o.overlap_rounding for o in best])
        count, rows, tail = len(best), nodes.units, nodes.parameters_beside
        vectors = np.array([o.vector for o in best]).reshape(count, rows * basis.rank + tail)
        first = vectors[:, : rows * basis.rank].reshape(count, rows, basis.rank)
        distance = np.array([o.distance for o in best])
        apart = EQUAL * np.abs(place).max(initial=0.0) + place_error[:, None] + place_error
        equal = np.abs(place[:, None] - place) <= apart
        variables: dict[str, Any] = {
            "outliers": ("eigen", place + self.shift, {"long_name": "outlier"}),
            "outlier_error": ("eigen", place_error + self.neglected),
            "side": ("eigen", np.array([o.side for o in best], dtype=int)),
            "multiplicity": ("eigen", equal.sum(axis=1)),
            "overlap": (
                "eigen",
                overlap,
                {"long_name": "squared projection of the eigenvector on the span"},
            ),
            "overlap_error": ("eigen", overlap_error),
            "share_determined": ("eigen", (equal.sum(axis=1) == 1).astype(int)),
            "edge_distance": ("eigen", distance),
            "near_critical": ("eigen", (distance < CRITICAL).astype(int)),
            "basis": (("span", "generator"), basis.coefficients),
        }
        if tail:
            variables["readout_vector"] = (("eigen", "parameter"), vectors[:, rows * basis.rank :])
        if not rows:
            return variables
        share = np.array([nodes.weight_shares(o.vector) for o in best]).reshape(count, model.units)
        leading = nodes.leading
        every = [i for i, o in enumerate(best) if o.side == 1]
        right, further = every[:leading], every[leading:]
        # a multiplet of which the eigenspace holds a part has no such share
        determined = not equal[np.ix_(right, further)].any()
        single = isinstance(nodes.block, tuple)
        variables |= {
            "outlier_vector": (("eigen", "span"), first[:, 0])
            if single
            else (("eigen", "unit", "span"), first),
            "weight_share": (("eigen", "unit"), share, {"long_name": "squared cosine with x^a"}),
            "direction_share": ("eigen", np.sum(first[..., : basis.directions] ** 2, axis=(1, 2))),
            "leading_share": (
                "unit",
                share[right].sum(axis=0).reshape(model.units),
                {
                    "long_name": f"share of x^a in the leading eigenspace of dimension {leading}",
                    "determined": int(determined),
                },
            ),
        }
        return variables

    def _support_variables(self) -> dict[str, Any]:
        outer = np.array([[edge.place for edge in run.edges] for run in self.runs]).reshape(
            len(self.runs), -1
        )
        parts = [outer[:, :1], *agreed_gaps(self.runs), outer[:, 1:]]
        ends = np.concatenate(parts, axis=1).reshape(len(self.runs), -1, 2)
        # gaps lie within, at smaller z, and their terms are not larger by much
        terms = self._terms([edge.trace for edge in self.runs[-1].edges]).max(initial=0.0)
        edges, error = self._both(list(ends), float(terms))
        wide = edges[:, 1] > edges[:, 0]  # an atom is no interval
        edges, error = edges[wide], error[wide]
        inside = np.array([[self.runs[-1].nearest_inside(x) for x in pair] for pair in ends[-1]])
        inside = inside.reshape(-1, 2)[wide]
        variables: dict[str, Any] = {
            "edges": (
                ("interval", "end"),
                edges + self.shift,
                {"long_name": "edge of the support"},
            ),
            "edge_error": (("interval", "end"), error + self.neglected),
            "candidate_distance": (
                ("interval", "end"),
                inside,
                {"long_name": "distance of the next candidate inside the edge, over the edge"},
            ),
            "candidate_near_critical": (("interval", "end"), (inside < CRITICAL).astype(int)),
        }
        if self.runs[-1].pieces:
            middles = [
                ((p.interval.left + p.interval.right) / 2, p.mass) for p in self.runs[-1].pieces
            ]
            mass = [sum(m for middle, m in middles if a <= middle <= b) for a, b in edges]
            variables["interval_mass"] = ("interval", np.array(mass))
        return variables

    def _density_variables(self, points: Array | None) -> tuple[dict[str, Any], Array]:
        best = self.runs[-1]
        if points is None:
            per = GRID // max(1, len(best.pieces))
            theta = np.pi * (np.arange(per) + 0.5) / per
            grids = [piece.interval.place(theta)[0] for piece in best.pieces]
            points = np.concatenate(grids) if grids else np.zeros(0)
        else:
            points = points - self.shift

        # of one scrambling a density is known far less than a series resolves it
        found = [
            densities(run.pieces, run.resolvent, points, solved=self.by_tensor_rules)
            for run in self.runs
        ]

        def of(run: LimitingSpectrum, rho: Array) -> Array:
            below = sum((p.cumulative(points) for p in run.pieces), run.atom * (points >= 0))
            return np.array([rho, below])

        pairs = zip(self.runs, found, strict=True)
        values, errors = self._both([of(run, rho) for run, (rho, _) in pairs])
        # z is known to the rounding of its terms, and a density rises steeply from its edge
        steep = sum((p.slope(points) for p in best.pieces), np.zeros(points.size))
        terms = self._terms([edge.trace for edge in best.edges]).max(initial=0.0)
        errors[0] += ROUNDING * float(terms) * steep
        errors[0] += found[-1][1]
        # what the series leaves out, and mass that was not found
        errors[1] += max(
            sum(p.truncation for p in run.pieces) + abs(1 - run.mass) + SHARP * run.misplaced
            for run in self.runs
        )
        return {
            "density": ("grid", values[0], {"long_name": "density of eigenvalues"}),
            "density_error": ("grid", errors[0]),
            "distribution": (
                "grid",
                np.clip(values[1], 0, 1),
                {"long_name": "share of eigenvalues below"},
            ),
            "distribution_error": ("grid", errors[1]),
        }, points + self.shift

    def dataset(
        self, density: bool, points: Array | None, attributes: dict[str, Any]
    ) -> xr.Dataset:
        """Everything."""
        best, model = self.runs[-1], self.model
        variables = self._outlier_variables() | self._support_variables()
        coordinates: dict[str, Any] = {
            "eigen": np.arange(1, len(self.outliers[-1]) + 1),
            "end": ["left", "right"],
            "interval": np.arange(1, len(variables["edges"][1]) + 1),
            "unit": np.arange(1, model.units + 1),
        }
        if density:
            more, grid = self._density_variables(points)
            variables |= more
            coordinates["grid"] = grid
            attributes["mass_error"] = abs(1 - best.mass) if best.branches else 0.0
        counts = sorted({len(run.outliers) for run in self.runs})
        atom, atom_error = self._both([np.array(run.atom) for run in self.runs])
        kinds = [edge.kind for edge in best.edges] or ["none", "none"]
        place_error, edge_error = variables["outlier_error"][1], variables["edge_error"][1]
        attributes |= {
            "atom": float(atom),
            "atom_error": float(atom_error),
            "missed_by": best.missed,
            "nodes": len(best.resolvent.law.probability),
            "outlier_counts": ", ".join(map(str, counts)),
            "edge_kind_left": kinds[0],
            "edge_kind_right": kinds[1],
            "error_estimate": float(max(place_error.max(initial=0.0), edge_error.max(initial=0.0))),
            "error_meaning": "largest error of outliers and edges: "
            + ("rules of different size and family" if self.by_tensor_rules else INTERVAL),
        }
        return xr.Dataset(variables, coords=coordinates, attrs=attributes)

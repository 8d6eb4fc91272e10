r"""Samples of the mixture in R^d, vectors that realise a state, and what is measured on them from
the definitions.

Nothing of the engine's derivations enters: samples are drawn, the loss is differentiated in
elementary functions (:mod:`verify.claims.raw.loss`), steps of SGD are taken, blocks are second
moments projected on the dual vectors of V = [e, x].  A Dirac delta of a form k = a . u + c is the
density of k at 0 times the mean over samples moved onto its hyperplane, where Y is Gaussian again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from numerics.expectations.certified_double import array_functions
from theory import InputError, Model, symbols
from theory.names import ALMOST_EVERYWHERE
from theory.problem.held.loss_symbols import GRAM, Statistic
from theory.problem.kinks import split_deltas
from verify.random_points.exact import Point

from .loss import RawLoss, elementary

Array = NDArray[np.float64]

# coordinates of R^d beyond the span of directions and weights
SPARE = 4


@dataclass
class RawFrame:
    """Vectors of R^d with the inner products of a point of full rank."""

    point: Point
    directions: Array  # d x r
    x: Array  # d x C

    @classmethod
    def of(cls, point: Point, dimension: int, rng: np.random.Generator) -> RawFrame:
        numbers = lambda m: np.array(m.tolist(), dtype=float).reshape(m.shape)  # noqa: E731
        r, rank = point.model.directions, point.rank
        basis = np.linalg.qr(rng.standard_normal((dimension, r + rank)))[0]
        e = basis[:, :r] @ np.linalg.cholesky(numbers(point.gamma)).T
        n = basis[:, r:] @ np.linalg.cholesky(numbers(point.across)).T
        return cls(point, e, (e @ numbers(point.along).T + n) @ numbers(point.mixing).T)

    @property
    def span(self) -> Array:
        return np.hstack([self.directions, self.x])

    @cached_property
    def perpendicular(self) -> Array:
        """x without its parts along the directions."""
        return self.x - self.directions @ np.linalg.lstsq(self.directions, self.x)[0]

    @cached_property
    def dual(self) -> Array:
        """T with T^T V = 1: T^T (V B V^T + c) T = B + c W^-1."""
        return self.span @ np.linalg.inv(self.span.T @ self.span)

    @cached_property
    def complement(self) -> Array:
        """Orthonormal vectors orthogonal to V."""
        return np.linalg.svd(self.span)[0][:, self.span.shape[1] :]


@dataclass
class Batch:
    """Samples of one component, with what is seen of them; ``weight`` is the density where they
    were moved to.
    """

    samples: RawSamples
    component: int
    y: Array  # N x d
    weight: float = 1.0
    _moved: dict[sp.Expr, Batch] = field(default_factory=dict)

    @cached_property
    def u(self) -> Array:
        return self.y @ self.samples.frame.x

    @cached_property
    def along(self) -> Array:
        """Y . e_s."""
        return self.y @ self.samples.frame.directions

    @cached_property
    def zeta(self) -> Array:
        return self.y @ self.samples.frame.perpendicular

    @cached_property
    def whitened(self) -> Array:
        """P (fields - mean), P of units and teachers; label noise is apart from both."""
        teachers = list(self.samples.model.loss.teachers)
        rows = np.hstack([self.samples.frame.x, self.samples.frame.directions[:, teachers]])
        centred = (self.y - self.samples.means[self.component]) @ rows
        return np.hstack(
            [
                centred @ np.linalg.pinv(rows.T @ rows, hermitian=True),
                self.label_noise / self.samples.precision,
            ]
        )

    @cached_property
    def label_noise(self) -> Array:
        """xi of every sample, as a column."""
        return self.samples.rng.standard_normal((len(self.y), 1))

    @cached_property
    def projected(self) -> Array:
        """Y on the dual vectors."""
        return self.y @ self.samples.frame.dual

    @cached_property
    def noise(self) -> Array:
        """Mean square of Y on the complement."""
        return ((self.y @ self.samples.frame.complement) ** 2).mean(axis=1)

    def on(self, kink: sp.Expr) -> Batch:
        """The same samples moved onto the hyperplane where a form of u vanishes."""
        if kink not in self._moved:
            s = self.samples
            loss = s.model.loss
            if kink.has(symbols.LABEL_NOISE):
                remedy = "check it by the engine's expectations, without samples"
                raise InputError("kink", kink, "a kink of features, not of label noise", remedy)
            u = loss.fields
            row = np.array([float(kink.diff(x)) for x in u if x != symbols.LABEL_NOISE])
            offset = float(kink.xreplace(dict.fromkeys(u, sp.Integer(0))))
            seen = np.hstack([s.frame.x, s.frame.directions[:, list(loss.teachers)]])
            normal = seen @ row
            length = float(np.linalg.norm(normal))
            height = float(s.means[self.component] @ normal + offset)
            sigma = length / np.sqrt(s.precision)
            density = float(np.exp(-((height / sigma) ** 2) / 2) / np.sqrt(2 * np.pi) / sigma)
            moved = self.y - np.outer((self.y @ normal + offset) / length**2, normal)
            self._moved[kink] = Batch(s, self.component, moved, density)
        return self._moved[kink]

    def values(self, f: sp.Expr) -> Array:
        """f(u, w, Y, zeta) without deltas, for every sample."""
        return self.samples.function(f)(self)

    def mean_of(self, f: sp.Expr, times: Callable[[Batch], Array | float] | None = None) -> Array:
        """A number a sample whose mean is that of f [times a measurement], deltas included."""
        regular, deltas = _of_label(f, self.samples.model.mixture.labels[self.component])
        total = self.values(regular) * (1.0 if times is None else times(self))
        for kink, coefficient in deltas.items():
            moved = self.on(kink)
            part = moved.values(coefficient) * (1.0 if times is None else times(moved))
            total = total + moved.weight * part
        return np.broadcast_to(total, (len(self.y),))


class RawSamples:
    """Independent samples of every component of a mixture at a point of full rank.

    Parameters
    ----------
    point : Point
    rng : numpy.random.Generator
    size : int
        Samples a component.
    """

    def __init__(self, point: Point, rng: np.random.Generator, size: int) -> None:
        self.point, self.model, self.size, self.rng = point, point.model, size, rng
        self.loss = RawLoss(point.model)
        self.dimension = self.model.directions + point.rank + SPARE
        self.frame = RawFrame.of(point, self.dimension, rng)
        self.precision, self.ridge, self.step = (
            float(x) for x in (point.precision, point.ridge, point.step)
        )
        self.readout = np.array([float(v) for v in point.readout])
        self.weights = np.array([float(p) for p in point.weights])
        coordinates = np.array(self.model.mixture.coordinates.tolist(), dtype=float)
        self.means = coordinates @ self.frame.directions.T
        self._steps: dict[tuple[int, float], list[Array]] = {}
        self._numbers = {s: float(v) for s, v in point.values.items()}
        self.batches = [
            Batch(
                self,
                l,
                mean + rng.standard_normal((size, self.dimension)) / np.sqrt(self.precision),
            )
            for l, mean in enumerate(self.means)
        ]
        # further coordinates, for steps in more dimensions: means and weights have none there
        self._more: list[Array] | None = None

    def function(self, f: sp.Expr) -> Callable[[Batch], Array]:
        """A compiled function of a batch."""
        compiled, seen, outer = _compiled(f, self.model)
        fixed = [self._numbers[x] for x in outer]
        return lambda batch: np.asarray(
            compiled(*(_SEEN[name](batch)[:, i] for name, i in seen), *fixed), dtype=float
        )

    def gradients(self, batch: Batch) -> Array:
        """d loss / d(u, v), or what the rule of the model puts in its place; N x (C + q)."""
        rule = self.model.rule
        slopes = (
            [self.loss.partial((i,)) for i in range(len(self.loss.variables))]
            if rule is None
            else [elementary(slope) for slope in rule.slopes]
        )
        return np.stack([batch.mean_of(slope) for slope in slopes], axis=1)

    def pushes(self, batch: Batch) -> list[tuple[Array, Statistic]]:
        """Slopes of the loss in the statistics that it holds, one a sample."""
        raw = self.loss
        return [
            (batch.mean_of(raw.derivative(raw.expression, each.symbol, ALMOST_EVERYWHERE)), each)
            for each in self.model.loss.statistics
        ]

    @property
    def decays(self) -> tuple[Array, Array]:
        """Ridges of the units and of the readout, times their rates."""
        c, rule, at = self.model.units, self.model.rule, {symbols.RIDGE: sp.Float(self.ridge, 17)}
        if rule is None:
            return np.full(c, self.ridge), np.full(self.readout.size, self.ridge)
        units = [float(rule.decay[a, a].xreplace(at)) for a in range(c)]
        return np.array(units), np.array([float(e.xreplace(at)) for e in rule.readout_decay])

    def increments(self, dimension: int, factor: float = 1.0) -> list[Array]:
        """(change of the state in one step of SGD) / step, N x size for every component.

        The step is ``factor`` c_delta / dimension, taken in R^dimension: ``self.dimension`` times
        1, 2 or 4.
        """
        key = (dimension, factor)
        if key not in self._steps:
            self._steps[key] = [
                self._step(batch, dimension, factor * self.step / dimension)
                for batch in self.batches
            ]
        return self._steps[key]

    def _step(self, batch: Batch, dimension: int, delta: float) -> Array:
        frame, c = self.frame, self.model.units
        extra = dimension - self.dimension
        if extra and self._more is None:
            shape = (self.size, 3 * self.dimension)
            self._more = [
                self.rng.standard_normal(shape) / np.sqrt(self.precision) for _ in self.batches
            ]
        pad = lambda v: np.vstack([v, np.zeros((extra, v.shape[1]))])  # noqa: E731
        x, e = pad(frame.x), pad(frame.directions)
        basis = np.linalg.qr(e)[0]
        upper = np.triu_indices(c)
        start = x - basis @ (basis.T @ x)
        gram = start.T @ start
        found = []
        gradients = self.gradients(batch)
        units, outputs = self.decays
        pushes = self.pushes(batch)
        for low in range(0, self.size, 20_000):
            rows = slice(low, low + 20_000)
            y = batch.y[rows]
            if extra:
                assert self._more is not None
                y = np.hstack([y, self._more[batch.component][rows, :extra]])
            g, dv = gradients[rows, :c], gradients[rows, c:]
            moved = x.T - delta * (g[:, :, None] * y[:, None, :] + units[:, None] * x.T)
            for slope, each in pushes:  # d Q_ab / d x^a = x^b, d m_as / d x^a = e_s
                a, b = each.first, each.second
                if each.kind == GRAM:
                    moved[:, a] -= delta * np.multiply.outer(slope[rows], x[:, b])
                    moved[:, b] -= delta * np.multiply.outer(slope[rows], x[:, a])
                else:
                    moved[:, a] -= delta * np.multiply.outer(slope[rows], e[:, b])
            # one product of matrices of all samples, in place of one a sample
            flat = moved.reshape(-1, moved.shape[2])
            away = (flat - (flat @ basis) @ basis.T).reshape(moved.shape)
            overlap = ((flat @ e).reshape(len(y), c, -1) - x.T @ e) / delta
            pairs = zip(*upper, strict=True)
            norms = [np.einsum("nd,nd->n", away[:, a], away[:, b]) for a, b in pairs]
            change = (np.stack(norms, axis=1) - gram[upper]) / delta
            readout = -dv - outputs * self.readout
            found.append(np.concatenate([overlap.reshape(len(y), -1), change, readout], axis=1))
        return np.concatenate(found)


_SEEN: dict[str, Callable[[Batch], Array]] = {
    "u": lambda b: b.u,
    "w": lambda b: b.whitened,
    "Y": lambda b: b.along,
    "zeta": lambda b: b.zeta,
    "t": lambda b: b.along,
    "xi": lambda b: b.label_noise,
}


@lru_cache(maxsize=10_000)
def _of_label(f: sp.Expr, label: sp.Expr) -> tuple[sp.Expr, dict[sp.Expr, sp.Expr]]:
    """A function at the label of a component, apart from its deltas; every batch asks again."""
    return split_deltas(f.xreplace({symbols.LABEL: label}))


@lru_cache(maxsize=10_000)
def _compiled(
    f: sp.Expr, model: Model
) -> tuple[Callable[..., Any], list[tuple[str, int]], list[sp.Symbol]]:
    """Code for a function of what is seen of a sample, and the columns and numbers it asks for."""
    names = {
        "u": model.symbols.preactivation,
        "w": model.symbols.whitened,
        "Y": symbols.vector("Y", model.directions),
        "zeta": symbols.vector("zeta", model.units),
        "t": symbols.vector("t", model.directions),
        "xi": (symbols.LABEL_NOISE,),
    }
    found = [
        (name, i, x)
        for name, group in names.items()
        for i, x in enumerate(group)
        if x in f.free_symbols
    ]
    arguments = [x for *_, x in found]
    outer = sorted(f.free_symbols - set(arguments), key=str)
    compiled = sp.lambdify([*arguments, *outer], f, [array_functions(), "scipy", "numpy"], cse=True)
    return compiled, [(name, i) for name, i, _ in found], outer

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
from verify.claims.language.features import feature_names, residual_names
from verify.random_points.exact import Point

from .frame import RawFrame
from .loss import RawLoss, elementary

Array = NDArray[np.float64]


@dataclass
class Batch:
    """Samples of one component, with what is seen of them; ``weight`` is the density where they
    were moved to.
    """

    samples: RawSamples
    component: int
    y: Array  # N x d, of several tokens N x P d
    weight: float = 1.0
    _moved: dict[sp.Expr, Batch] = field(default_factory=dict)
    _noise: dict[tuple[int, int, int], Array] = field(default_factory=dict)

    @cached_property
    def u(self) -> Array:
        """x^a . Y, of several tokens those of the first before those of the second."""
        return self.y @ self.samples.seen

    @cached_property
    def along(self) -> Array:
        """Y . e_s, in every band or of every token."""
        frame = self.samples.frame
        return self.y @ frame.of_tokens(frame.direction_parts)

    @cached_property
    def teachers(self) -> Array:
        """Y . e_s."""
        return self.y @ self.samples.frame.directions

    @cached_property
    def zeta(self) -> Array:
        frame = self.samples.frame
        return self.y @ frame.of_tokens(frame.perpendicular)

    @cached_property
    def whitened(self) -> Array:
        """P (fields - mean), P of units and teachers; label noise is apart from both."""
        s = self.samples
        rows = s.behind_fields
        centred = (self.y - s.means[self.component]) @ rows
        scaled = s.scales[self.component][:, None] * rows
        return np.hstack(
            [
                centred @ np.linalg.pinv(scaled.T @ scaled, hermitian=True),
                self.label_noise / s.precision,
            ]
        )

    @cached_property
    def label_noise(self) -> Array:
        """xi of every sample, as a column."""
        return self.samples.rng.standard_normal((len(self.y), 1))

    @cached_property
    def features(self) -> Array:
        """The features of every sample, N x P x d."""
        return self.y.reshape(len(self.y), self.samples.model.tokens, -1)

    @cached_property
    def projected(self) -> Array:
        """Features on the dual vectors, N x P x |V|."""
        return self.features @ self.samples.frame.dual

    def noise(self, band: int, one: int = 0, two: int = 0) -> Array:
        """Mean product of two features on the complement, in a band."""
        if (band, one, two) not in self._noise:
            complement = self.samples.frame.complements[band]
            left, right = (self.features[:, p] @ complement for p in (one, two))
            self._noise[band, one, two] = (left * right).mean(axis=1)
        return self._noise[band, one, two]

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
            normal = s.behind_fields @ row
            # the way along which the density of what is left does not change
            way = s.scales[self.component] ** 2 * normal
            spread = float(way @ normal)
            height = float(s.means[self.component] @ normal + offset)
            sigma = np.sqrt(spread / s.precision)
            density = float(np.exp(-((height / sigma) ** 2) / 2) / np.sqrt(2 * np.pi) / sigma)
            moved = self.y - np.outer((self.y @ normal + offset) / spread, way)
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
        self.frame = RawFrame.of(point, rng)
        self.precision, self.ridge, self.step = (
            float(x) for x in (point.precision, point.ridge, point.step)
        )
        self.readout = np.array([float(v) for v in point.readout])
        self.weights = np.array([float(p) for p in point.weights])
        self._numbers = {s: float(v) for s, v in point.values.items()}
        self.coordinates = len(self.frame.x)
        self.scales, self.dimension = self._noise()
        means = np.array(self.model.mixture.coordinates.tolist(), dtype=float)
        self.means = (means @ self.frame.directions.T).reshape(self.model.components, -1)
        self.seen = self.frame.of_tokens(self.frame.x)
        teachers = list(self.model.loss.teachers)
        self.behind_fields = (
            np.hstack([self.seen, self.frame.directions[:, teachers]]) if teachers else self.seen
        )
        self._steps: dict[tuple[int, float], list[Array]] = {}
        self.batches = [
            Batch(
                self,
                l,
                mean
                + self.scales[l] * rng.standard_normal((size, mean.size)) / np.sqrt(self.precision),
            )
            for l, mean in enumerate(self.means)
        ]
        # further coordinates, for steps in more dimensions: means and weights have none there
        self._beyond: dict[tuple[int, int], Array] = {}

    def _noise(self) -> tuple[Array, int]:
        """sigma of every coordinate in every component, and a dimension whose bands have room for
        the coordinates.
        """
        mixture, frame, tokens = self.model.mixture, self.frame, self.model.tokens
        shape = (self.model.components, tokens * self.coordinates)
        if mixture.bands is None:
            self.sigma = np.ones((self.model.components, 1))
            self.shares = np.ones(1)
            return np.ones(shape), self.coordinates
        number = lambda e: float(e.xreplace(self.point.values))  # noqa: E731
        self.sigma = np.array([[number(x) for x in row] for row in mixture.bands.scales.tolist()])
        self.shares = np.array([number(x) for x in mixture.bands.fractions])
        room = np.bincount(frame.band_of) / self.shares
        return self.sigma[:, frame.band_of], int(np.ceil(room.max() - 1e-9))

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

    def beyond(self, component: int, dimension: int) -> Array:
        """Inner products of a sample's features beyond the coordinates, N x B x P x P.

        Weights and means have nothing there.  In a band of n dimensions more they are those of
        normal vectors in R^n: a number that is whole of isotropic noise, and of a band need not be.
        """
        key = component, dimension
        if key not in self._beyond:
            below = dimension // 2 if dimension > self.dimension else 0
            start = self.beyond(component, below) if below else None
            room = self.shares * (dimension - below)
            if not below:
                room = room - np.bincount(self.frame.band_of)
            more = self._products(room) * self.sigma[component][:, None, None] ** 2
            self._beyond[key] = more / self.precision + (0.0 if start is None else start)
        return self._beyond[key]

    def _products(self, room: Array) -> Array:
        """Inner products of standard normal vectors: of one its square, which is a chi-square."""
        tokens = self.model.tokens
        shape = (self.size, len(room), tokens, tokens)
        if tokens == 1:
            found = np.zeros(shape)
            found[:, room > 0, 0, 0] = self.rng.chisquare(
                room[room > 0], (self.size, int((room > 0).sum()))
            )
            return found
        vectors = self.rng.standard_normal((self.size, tokens, round(float(room[0]))))
        return (vectors @ np.swapaxes(vectors, 1, 2))[:, None]

    def _step(self, batch: Batch, dimension: int, delta: float) -> Array:
        frame, c = self.frame, self.model.units
        x, e, size = frame.x, frame.direction_parts, self.size
        start = frame.off_directions(x)
        upper = symbols.upper_triangle(c)
        inside = frame.slices
        gram = [[start[own, a] @ start[own, b] for a, b in upper] for own in inside]
        basis = np.hstack(frame.direction_basis)
        found = []
        gradients = self.gradients(batch)
        units, outputs = self.decays
        pushes = self.pushes(batch)
        beyond = self.beyond(batch.component, dimension)
        for low in range(0, size, 20_000):
            rows = slice(low, low + 20_000)
            y, dv = batch.features[rows], gradients[rows, self.seen.shape[1] :]
            g = gradients[rows, : self.seen.shape[1]].reshape(len(y), -1, c)
            change = g[:, 0, :, None] * y[:, 0, None, :]
            for p in range(1, y.shape[1]):
                change += g[:, p, :, None] * y[:, p, None, :]
            moved = x.T - delta * (change + units[:, None] * x.T)
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
            overlap = overlap.reshape(len(y), c, frame.bands, -1).swapaxes(1, 2)
            norms = [
                np.einsum("nd,nd->n", away[:, a, own], away[:, b, own])
                + delta**2 * np.einsum("np,nq,npq->n", g[..., a], g[..., b], beyond[rows, band])
                for band, own in enumerate(inside)
                for a, b in upper
            ]
            squares = (np.stack(norms, axis=1) - np.ravel(gram)) / delta
            readout = -dv - outputs * self.readout
            found.append(np.concatenate([overlap.reshape(len(y), -1), squares, readout], axis=1))
        return np.concatenate(found)


_SEEN: dict[str, Callable[[Batch], Array]] = {
    "u": lambda b: b.u,
    "w": lambda b: b.whitened,
    "Y": lambda b: b.along,
    "zeta": lambda b: b.zeta,
    "t": lambda b: b.teachers,
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
        "Y": feature_names(model),
        "zeta": residual_names(model),
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

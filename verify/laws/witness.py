r"""One step of SGD from the raw definition: samples in R^d, the loss itself, and differences of the
loss.

Nothing derived enters: components and noise are drawn, the loss is evaluated at x Y, its gradient
is a central difference, the weights take the step, and their summary statistics are taken anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from numerics.core.covariance.band_arrays import fractions_of, scales_of
from numerics.core.flatten import held_of
from numerics.data.risk import classifier
from theory import symbols
from theory.problem.held.loss_symbols import GRAM

from .frames import Frame
from .law import LawCase
from .rule_witness import movement
from .sample_means import CHUNK

Array = NDArray[np.float64]
# central differences of the loss: the error is about the square, and the share of samples so close
# to a kink
LOSS_STEP = 1e-5
# of a second look at a case: samples that wider noise draws have weights of at most this
HEAVIEST = 4.0


@dataclass(frozen=True)
class Steps:
    """Samples of one step of SGD from the same state.

    Attributes
    ----------
    increments : array, shape (N, size of the state)
        (state after - state before) / delta.
    weight : array, shape (N,)
        Density of the noise over that it was drawn from, so that means are those of weight times
        value: 1, or where a case is looked at again up to HEAVIEST.
    """

    increments: Array
    weight: Array

    @property
    def centre(self) -> Array:
        """Mean increment, over the sum of the weights: means that are much larger than what varies
        would let fluctuations of the weights hide it.
        """
        return np.asarray(self.weight @ self.increments / self.weight.sum())

    @property
    def centred(self) -> Array:
        """Rows whose mean is that of the increments: with their weights about the centre."""
        rows = self.increments - self.centre
        rows *= self.weight[:, None]
        rows += self.centre
        return rows

    @property
    def mean_square(self) -> Array:
        """Mean squares of the increments."""
        rows = self.increments
        return np.asarray(np.einsum("n,nk,nk->k", self.weight, rows, rows) / len(rows))


def sample_steps(case: LawCase, frame: Frame, dimension: int | None, count: int) -> Steps:
    r"""Take ``count`` independent single steps from the state of a case.

    ``frame`` may have fewer axes than R^d.  Noise is isotropic within a band, so that of all axes
    off its span only the length of the noise counts: the last axis of the band then carries the
    square root of a chi-square variable with the degrees of freedom of d_g - r - C axes, exactly as
    in R^d.  Of several tokens lengths and angles count: the axes off the span carry the rows of a
    Bartlett factor.

    A case that said nothing is sampled with wider noise along all axes that a loss sees, and with
    weights: where losses are high powers, rare samples make the means, and plain samples neither
    meet these often nor tell how much they miss.

    Parameters
    ----------
    case : LawCase
    frame : Frame
        Of d axes, or of r + C + 1 in every band; with P tokens of r + C + P.
    dimension : int or None
        d, of which every band has its share; where left out, the axes of the frame are all there
        is.
    count : int
    """
    p, v = case.parameters, case.state.readout
    update = case.model.update
    delta = p.step / (frame.dimension if dimension is None else dimension)
    steps, at = Steps(np.empty((count, len(case.model.symbols.state))), np.empty(count)), 0
    for drawn in _drawn(case, frame, dimension, count):
        if update is None:
            moved = -(drawn.readout + p.ridge * v)
            step = -(drawn.first_layer + p.ridge * frame.weights)
        else:
            gradient = drawn.by_u, drawn.readout
            step, moved = movement(
                case, frame, drawn.labels, drawn.fields, drawn.tokens[0], gradient
            )
        some = slice(at, at := at + len(moved))
        change = _change(frame, step, delta)
        steps.increments[some, : change.shape[1]] = change
        steps.increments[some, change.shape[1] :] = moved
        steps.weight[some] = drawn.weight
    return steps


def sample_gradients(case: LawCase, frame: Frame, count: int) -> tuple[Array, Array]:
    """Gradients of the loss without ridge at ``count`` samples, shape (N, C d + q), and their
    weights; all d axes are those of the frame.
    """
    gradients, weights = [], []
    for drawn in _drawn(case, frame, None, count):
        first = drawn.first_layer.reshape(len(drawn.weight), -1)
        gradients.append(np.concatenate([first, drawn.readout], axis=1))
        weights.append(drawn.weight)
    return np.concatenate(gradients), np.concatenate(weights)


@dataclass(frozen=True)
class _Drawn:
    """Samples with what the loss sees of them, and its gradient.

    ``by_u`` and ``readout`` are its derivatives in u and v, ``first_layer`` (N, C, d) that in the
    weights.
    """

    labels: Array
    tokens: list[Array]
    fields: Array
    by_u: Array
    readout: Array
    first_layer: Array
    weight: Array


def _drawn(case: LawCase, frame: Frame, dimension: int | None, count: int) -> Iterator[_Drawn]:
    """Samples, some at a time."""
    size = max(1, CHUNK // (frame.dimension * max(case.model.units, case.model.tokens)))
    noise = _Noise(case, frame, dimension)
    for at in range(0, count, size):
        yield _chunk(case, frame, noise, min(size, count - at))


def _chunk(case: LawCase, frame: Frame, noise: _Noise, count: int) -> _Drawn:
    p, rng = case.parameters, case.rng
    component = rng.choice(p.weights.size, size=count, p=p.weights)
    tokens, means = [], _coordinates(case) @ frame.directions
    noise.begin(count)
    for number in range(case.model.tokens):
        features = noise.of_token(number) * noise.spread[component]
        features += means[component, number]
        tokens.append(features)
    labels = np.array([float(y) for y in case.model.mixture.labels])[component]
    fields = _fields(case, frame, tokens, noise.of_labels())
    by_u, by_v, by_statistics = loss_gradient(case, labels, fields)
    slopes = np.split(by_u, len(tokens), axis=1)
    parts = [g[:, :, None] * y[:, None, :] for g, y in zip(slopes, tokens, strict=True)]
    data = np.sum(parts, axis=0) if len(parts) > 1 else parts[0]
    if by_statistics.size:
        data += _along_weights(case, frame, by_statistics)
    return _Drawn(labels, tokens, fields, by_u, by_v, data, noise.weight)


class _Noise:
    """Standard normal noise of samples, which may be drawn wider, with the weights for that.

    ``spread`` is its scale in every component, shape (L, d).
    """

    def __init__(self, case: LawCase, frame: Frame, dimension: int | None) -> None:
        self.case, self.frame = case, frame
        model, shares = case.model, fractions_of(case.model)
        scales = np.repeat(scales_of(model), frame.sizes, axis=1)
        self.spread = scales / np.sqrt(case.parameters.precision)
        # axes of every band in R^d; those of the frame where it has them all
        whole = [None if dimension is None else float(share) * dimension for share in shares]
        self._whole = [
            size if axes is None else axes for size, axes in zip(frame.sizes, whole, strict=True)
        ]
        normal = sum(sum(self._normal_axes(token)) for token in range(model.tokens))
        normal += int(model.loss.has_label_noise)
        # the weight of a sample is at most the product of all factors
        self._factor = HEAVIEST ** (1 / normal) if case.effort > 1 else 1.0
        self.begin(0)

    def begin(self, count: int) -> None:
        """What follows is that of so many other samples."""
        self.count, self._logarithm = count, np.zeros(count)

    @property
    def weight(self) -> Array:
        """Density of the noise over that it was drawn from."""
        return np.exp(self._logarithm)

    def of_labels(self) -> Array:
        """Where the loss holds label noise, shape (N, 1), else (N, 0)."""
        shape = (self.count, int(self.case.model.loss.has_label_noise))
        return self._widened(self.case.rng.standard_normal(shape))

    def of_token(self, token: int) -> Array:
        """Noise of a token, shape (N, d); where a band of the frame is smaller than that of R^d, in
        the axes of its span and one beyond for every token so far.
        """
        rng, frame = self.case.rng, self.frame
        z = rng.standard_normal((self.count, frame.dimension))
        axes = zip(frame.bands, frame.bases, self._whole, self._normal_axes(token), strict=True)
        for band, basis, whole, normal in axes:
            part = z[:, band]
            part[:, :normal] = self._widened(part[:, :normal])
            if normal == part.shape[1]:
                continue
            part[:, normal:] = 0.0
            part[:, normal] = np.sqrt(rng.chisquare(whole - normal, self.count))
            z[:, band] = part @ basis
        return z

    def _normal_axes(self, token: int) -> list[int]:
        """How many axes of every band hold normal noise, and not a length."""
        span = self.case.model.directions + self.case.model.units + token
        sizes = zip(self.frame.sizes, self._whole, strict=True)
        return [size if size == whole else span for size, whole in sizes]

    def _widened(self, z: Array) -> Array:
        if self._factor > 1:
            change = np.sum(z**2, axis=1) * (self._factor**2 - 1) / 2
            self._logarithm += z.shape[1] * np.log(self._factor) - change
        return np.asarray(self._factor * z)


def loss_gradient(case: LawCase, labels: Array, u: Array) -> tuple[Array, Array, Array]:
    """Central differences of the loss in u, shape (N, P C) of P tokens, in v, shape (N, q), and in
    the statistics that it holds.

    ``u`` has further columns where the loss sees teachers or label noise.
    """
    loss, h = classifier(case.model).loss, LOSS_STEP
    v = held_of(case.model, case.parameters, case.state)
    width = len(case.model.loss.preactivation)
    by_u, by_v = np.empty((len(u), width)), np.empty((len(u), v.size))
    for out, size in ((by_u, u.shape[1]), (by_v, v.size)):
        for i in range(out.shape[1]):
            shift = h * np.eye(size)[i]
            sides = (
                loss(
                    labels,
                    (u + s * shift).T if out is by_u else u.T,
                    v if out is by_u else v + s * shift,
                )
                for s in (1.0, -1.0)
            )
            plus, minus = sides
            out[:, i] = (plus - minus) / (2 * h)
    q, last = case.state.readout.size, v.size - len(case.model.loss.statistics)
    return by_u, by_v[:, :q], by_v[:, last:]


def _along_weights(case: LawCase, frame: Frame, slopes: Array) -> Array:
    """Gradients in the weights of f(Q, m), N x C x d, from slopes in the statistics: d Q_ab / d x^a
    is x^b, twice that for a = b, and d m_as / d x^a is e_s.
    """
    found = np.zeros((len(slopes), *frame.weights.shape))
    for slope, each in zip(slopes.T, case.model.loss.statistics, strict=True):
        a, b = each.first, each.second
        if each.kind == GRAM:
            found[:, a] += np.multiply.outer(slope, frame.weights[b])
            found[:, b] += np.multiply.outer(slope, frame.weights[a])
        else:
            found[:, a] += np.multiply.outer(slope, frame.directions[b])
    return found


def _fields(case: LawCase, frame: Frame, tokens: list[Array], label_noise: Array) -> Array:
    """What the loss sees of samples: pre-activations of every token, t_s of the teachers, label
    noise.
    """
    loss, first = case.model.loss, tokens[0]
    seen = [features @ frame.weights.T for features in tokens]
    teachers = [first @ frame.directions[s][:, None] for s in loss.teachers]
    return np.hstack([*seen, *teachers, label_noise])


def _coordinates(case: LawCase) -> Array:
    """S, shape (n, P, r)."""
    rows = np.array(case.model.mixture.coordinates.tolist(), dtype=float)
    return rows.reshape(case.model.components, case.model.tokens, -1)


def _change(frame: Frame, step: Array, delta: float) -> Array:
    """What a step adds to overlaps and upper triangle of R_perp, over delta; for many steps, shape
    (N, C, d).

    (B(x + delta s) - B(x)) / delta is B(x, s) + B(s, x) + delta B(s, s) of a bilinear B: a
    difference of statistics after and before would leave the rounding of the statistics over delta.
    """
    (count, c, d), r, bands = step.shape, len(frame.directions), len(frame.sizes)
    before = frame.weights - frame.along(frame.weights)
    # of products with these columns every axis counts in the sum of its band
    sums = np.repeat(np.eye(bands), frame.sizes, axis=0)
    rows = np.concatenate([frame.directions, before])
    columns = (rows.T[:, :, None] * sums[:, None, :]).reshape(d, -1)
    linear = (step.reshape(-1, d) @ columns).reshape(count, c, r + c, bands)
    along, once = linear[:, :, :r], linear[:, :, r:]
    spanned = np.einsum("nask,kst->natk", along, np.array(frame.inverses))
    grams = [
        once[:, a, b]
        + once[:, b, a]
        + delta * ((step[:, a] * step[:, b]) @ sums - np.sum(spanned[:, a] * along[:, b], axis=1))
        for a, b in symbols.upper_triangle(c)
    ]
    overlaps = along.transpose(0, 3, 1, 2).reshape(count, -1)
    return np.concatenate([overlaps, np.stack(grams, axis=2).reshape(count, -1)], axis=1)

r"""One step of SGD from the raw definition: samples in R^d, the loss itself, and differences of the
loss.

Nothing derived enters: components and noise are drawn, the loss is evaluated at x Y, its gradient
is a central difference, the weights take the step, and their summary statistics are taken anew.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from numerics.core.covariance.band_arrays import fractions_of, scales_of
from numerics.core.flatten import held_of
from numerics.data.risk import classifier
from theory import symbols
from theory.problem.held.loss_symbols import GRAM
from verify.verdict.tolerance import critical_value

from .frames import Frame
from .law import LawCase
from .rule_witness import movement

Array = NDArray[np.float64]
# central differences of the loss: the error is about the square, and the share of samples so close
# to a kink
LOSS_STEP = 1e-5
CHUNK = 20_000
# of a second look at a case: samples that wider noise draws have weights of at most this
HEAVIEST = 4.0


@dataclass(frozen=True)
class Steps:
    """Samples of one step of SGD from the same state.

    Attributes
    ----------
    increments : array, shape (N, size of the state)
        (state after - state before) / delta.
    first_layer : array, shape (N, C, d)
        Gradients of the loss without ridge.
    readout : array, shape (N, q)
    weight : array, shape (N,)
        Density of the noise over that it was drawn from, so that means are those of weight times
        value: 1, or where a case is looked at again up to HEAVIEST.
    """

    increments: Array
    first_layer: Array
    readout: Array
    weight: Array

    @property
    def centre(self) -> Array:
        """Mean increment, over the sum of the weights: means that are much larger than what varies
        would let fluctuations of the weights hide it.
        """
        return np.asarray(self.weight @ self.increments / self.weight.sum())


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
    parts = [
        _chunk(case, frame, dimension, min(CHUNK, count - at)) for at in range(0, count, CHUNK)
    ]
    names = ("increments", "first_layer", "readout", "weight")
    return Steps(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))


def _chunk(case: LawCase, frame: Frame, dimension: int | None, count: int) -> Steps:
    p, rng = case.parameters, case.rng
    v = case.state.readout
    component = rng.choice(p.weights.size, size=count, p=p.weights)
    spread = np.repeat(scales_of(case.model), frame.sizes, axis=1) / np.sqrt(p.precision)
    tokens, noise = [], _Noise(case, frame, dimension, count)
    for number in range(case.model.tokens):
        features = noise.of_token(number) * spread[component]
        features += (_coordinates(case)[:, number] @ frame.directions)[component]
        tokens.append(features)
    labels = np.array([float(y) for y in case.model.mixture.labels])[component]
    fields = _fields(case, frame, tokens, noise.of_labels())
    by_u, by_v, by_statistics = loss_gradient(case, labels, fields)
    delta = p.step / (frame.dimension if dimension is None else dimension)
    slopes = np.split(by_u, len(tokens), axis=1)
    parts = [g[:, :, None] * y[:, None, :] for g, y in zip(slopes, tokens, strict=True)]
    data = np.sum(parts, axis=0) if len(parts) > 1 else parts[0]
    if by_statistics.size:
        data += _along_weights(case, frame, by_statistics)
    if case.model.update is None:
        step, moved = -(data + p.ridge * frame.weights), -(by_v + p.ridge * v)
    else:
        step, moved = movement(case, frame, labels, fields, tokens[0], (by_u, by_v))
    statistics = _change(frame, step, delta)
    increments = np.concatenate([statistics, moved], axis=1)
    return Steps(increments, data, by_v, noise.weight)


class _Noise:
    """Standard normal noise of samples, which may be drawn wider, with the weights for that."""

    def __init__(self, case: LawCase, frame: Frame, dimension: int | None, count: int) -> None:
        self.case, self.frame, self.dimension, self.count = case, frame, dimension, count
        model = case.model
        normal = sum(sum(self._normal_axes(token)) for token in range(model.tokens))
        normal += int(model.loss.has_label_noise)
        # the weight of a sample is at most the product of all factors
        self._factor = HEAVIEST ** (1 / normal) if case.effort > 1 else 1.0
        self._logarithm = np.zeros(count)

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
        case, frame = self.case, self.frame
        z = case.rng.standard_normal((self.count, frame.dimension))
        shares = fractions_of(case.model)
        for band, share, normal in zip(frame.bands, shares, self._normal_axes(token), strict=True):
            part = z[:, band]
            part[:, :normal] = self._widened(part[:, :normal])
            if normal == part.shape[1]:
                continue
            assert self.dimension is not None  # only bands of R^d are larger than those of a frame
            vectors = np.concatenate([frame.directions[:, band], frame.weights[:, band]])
            basis = np.linalg.qr(vectors.T, mode="complete")[0].T
            part[:, normal:] = 0.0
            beyond = share * self.dimension - normal
            part[:, normal] = np.sqrt(case.rng.chisquare(beyond, self.count))
            z[:, band] = part @ basis
        return np.asarray(z)

    def _normal_axes(self, token: int) -> list[int]:
        """How many axes of every band hold normal noise, and not a length."""
        model = self.case.model
        found = []
        for size, share in zip(self.frame.sizes, fractions_of(model), strict=True):
            whole = self.dimension is None or size == share * self.dimension
            found.append(size if whole else model.directions + model.units + token)
        return found

    def _widened(self, z: Array) -> Array:
        if self._factor > 1:
            change = np.sum(z**2, axis=1) * (self._factor**2 - 1) / 2
            self._logarithm += z.shape[1] * np.log(self._factor) - change
        return np.asarray(self._factor * z)


@dataclass(frozen=True)
class SampleMean:
    """Means over independent samples, and the parts of the tolerance that sampling asks for.

    Attributes
    ----------
    value : array
    parts : list of (array, reason)
        z standard errors; and what the largest sample may stand for, where a few samples make the
        mean.
    """

    value: Array
    parts: list[tuple[Array, str]]


def sample_mean(values: Array, share: float, entries: int | None = None) -> SampleMean:
    r"""Mean of the rows, which is off by more than its tolerance with probability at most
    ``share``.

    .. math:: z\,\hat\sigma/\sqrt N + 3\,b\,\ln(3/\epsilon)/N

    with b the largest deviation seen: the second term is that of the empirical Bernstein bound
    (Audibert, Munos, Szepesvari 2009).  Without heavy tails it is small; with them the standard
    error alone, itself found from a few samples, is not to be believed.

    Parameters
    ----------
    values : array, shape (N, ...)
    share : float
        Family-wise error of all entries together.
    entries : int, optional
        How many numbers are judged with that share; those of a row when omitted.
    """
    count = len(values)
    mean = values.mean(axis=0)
    deviation = np.abs(values - mean)
    return _with_parts(
        mean,
        np.sqrt((deviation**2).mean(axis=0)),
        deviation.max(axis=0),
        count,
        share,
        mean.size if entries is None else entries,
    )


def sample_products(values: Array, share: float) -> SampleMean:
    """Mean of the outer products of the rows, shape (k, k), judged as :func:`sample_mean`."""
    size = values.shape[1]
    mean, spread, largest = (np.empty((size, size)) for _ in range(3))
    for i in range(size):  # row by row: all products of all samples would not fit into memory
        products = values[:, i, None] * values
        mean[i] = products.mean(axis=0)
        deviation = np.abs(products - mean[i])
        spread[i], largest[i] = np.sqrt((deviation**2).mean(axis=0)), deviation.max(axis=0)
    return _with_parts(mean, spread, largest, len(values), share, size * (size + 1) // 2)


def _with_parts(
    mean: Array, spread: Array, largest: Array, count: int, share: float, entries: int
) -> SampleMean:
    z = critical_value(entries, share)
    tail = 3.0 * np.log(3.0 * entries / share) / count
    return SampleMean(
        mean,
        [
            (z * spread / np.sqrt(count), f"{z:.2f} standard errors of {count} samples (T3)"),
            (tail * largest, "the largest sample: heavy tails (T3)"),
        ],
    )


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
    count, c, d = step.shape
    rest = step - frame.along(step.reshape(-1, d)).reshape(step.shape)
    before = frame.weights - frame.along(frame.weights)
    rows, columns = map(list, zip(*symbols.upper_triangle(c), strict=True))
    overlaps, grams = [], []
    for band in frame.bands:
        part = rest[..., band]
        once = np.einsum("ai,nbi->nab", before[:, band], part)
        gram = once + once.transpose(0, 2, 1) + delta * (part @ part.transpose(0, 2, 1))
        grams.append(gram[:, rows, columns])
        overlaps.append((step[..., band] @ frame.directions[:, band].T).reshape(count, -1))
    return np.concatenate([*overlaps, *grams], axis=1)

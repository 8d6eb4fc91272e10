r"""Where several wide arguments are small at once: what scrambled nodes may all miss.

Activations bend where their argument is small (:mod:`numerics.expectations.graded.scales`).  A
product of slopes such as :math:`\sigma'(u_1)\sigma'(u_2)` is nothing elsewhere, and arguments of
deviation s are there with a probability of about :math:`s^{-2}`.  Scramblings none of which has a
node there agree with each other, on a number that is wrong.

Arguments :math:`c+a\cdot u` make slabs, whose intersections have a probability that is known.  An
argument that is not affine, such as the output of a network, is small beside a surface, which
random ellipses :math:`x\cos\theta+x'\sin\theta` cross: each has the law of the fields.  Or it is
small beside a point, where kinks meet: their slabs are as wide as it stays small.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import combinations

import numpy as np
import scipy.special
from numpy.typing import NDArray

from numerics.core.validation import Array

from .scales import BRANCH, CUT, GAUSSIAN, GROWTH, POLE, Forms, Scales

# half of a transition, in units of the distance of its singularity; nodes that have to fall into a
# region before their spread says anything; nodes that look what the integrands are in it, and the
# factor that so few of them need
REACH, ENOUGH, LOOKS, LOOSELY = 2.0, 64, 64, 2.0
# regions of two arguments that are looked at, of all that there are; regions whose surfaces are
SETS, SURFACES = 96, 24
# a transition far from the mean is looked at this far beyond, in lengths of the tail; an argument
# of this variance, in units of its reach, stays on one side, or beside others is one of them
PAST, NARROW = 3.0, 0.1
# points of an ellipse between which a surface is looked for, and halvings that find it
AROUND, HALVINGS = 64, 40
# places at which a slope across a kink is looked for, and steps for it, in deviations
PROBES, STEP = 16, 1e-3
# values of the integrands that are laid out at once
ROOM = 2**15


class Slabs:
    """The affine arguments that are wide, under one law of the fields.

    Attributes
    ----------
    levels : array, shape (N,)
        At the mean, in units of the reach.
    slopes : array, shape (N, C)
    grams : array, shape (N, N)
        Their covariance.
    """

    def __init__(self, scales: Scales, label: float, mean: Array, law: Array, held: Array) -> None:
        forms = scales.forms(label, held)
        poles = forms.kinds == POLE
        offsets, slopes, widths = forms.offsets[poles], forms.slopes[poles], forms.widths[poles]
        more = [
            *_bells(scales, label, held, len(mean)),
            *_kinks(scales, forms, label, mean, law, held),
        ]
        more.insert(0, (offsets, slopes, widths))
        offsets, slopes, widths = (np.concatenate(part) for part in zip(*more, strict=True))
        slopes = slopes / (REACH * widths)[:, None]
        levels = offsets / (REACH * widths) + slopes @ mean
        grams = slopes @ law @ slopes.T
        # slopes fall off like exponentials, which little variance carries to the transition
        wide = np.diag(grams) > np.where(np.abs(levels) > 1.0, NARROW, 1.0)
        self.levels, self.slopes = levels[wide], slopes[wide]
        self.grams = grams[np.ix_(wide, wide)]

    def sets(self) -> Iterator[tuple[list[int], float]]:
        """One, two and as many as vary beside each other, and how far past zero; some, where pairs
        are too many.

        Arguments whose differences are narrow are small together: their region is that of one.
        """
        far = self.levels**2 > np.diag(self.grams)
        for chosen in self._sets():
            yield chosen, 0.0
            if far[chosen].any():
                yield chosen, PAST

    def _sets(self) -> Iterator[list[int]]:
        count = len(self.levels)
        yield from ([i] for i in range(count))
        pairs = list(combinations(range(count), 2))
        if len(pairs) > SETS:
            some = np.random.default_rng(1).choice(len(pairs), size=SETS, replace=False)
            pairs = [pairs[i] for i in sorted(some.tolist())]
        for pair in pairs:
            if len(self._beside_each_other(pair)) == 2:
                yield list(pair)
        several = self._beside_each_other(range(count))
        if len(several) > 2:
            yield several

    def _beside_each_other(self, some: Iterable[int]) -> list[int]:
        left, chosen = self.grams.copy(), []
        for i in some:
            if left[i, i] > max(NARROW, 1e-9 * self.grams[i, i]):
                chosen.append(i)
                left = left - np.outer(left[i], left[i]) / left[i, i]
        return chosen

    def shifts_into(self, law: Array, chosen: list[int], past: float) -> tuple[Array, Array]:
        """Shifts of the mean with the chosen arguments small, the fields under their law there;
        and the shares of the law that they stand for.

        Where the mean is far from zero, so many lengths of the tail past zero belong to it.
        """
        fields = len(law)
        points = _points(fields + len(chosen))
        normals = scipy.special.ndtri(points[:, :fields])
        shift = normals @ _root_of(law).T
        if not chosen:
            return np.asarray(shift), np.full(LOOKS, 1.0 / LOOKS)
        slopes, level = self.slopes[chosen], self.levels[chosen]
        gram = self.grams[np.ix_(chosen, chosen)]
        variances = np.diag(gram)
        far = level**2 > variances
        length = 2.0 + np.where(far, past * variances / np.maximum(np.abs(level), 1.0), 0.0)
        target = (1 - length * points[:, fields:]) * np.where(level < 0, -1.0, 1.0) - level
        solved = np.linalg.solve(gram, target.T)
        exponent = np.einsum("ni,in->n", target, solved)
        logarithm = np.log(2 * np.pi * np.linalg.eigvalsh(gram)).sum() - 2 * np.log(length).sum()
        moved = shift + (target - shift @ slopes.T) @ np.linalg.solve(gram, slopes @ law)
        return np.asarray(moved), np.exp(-0.5 * (exponent + logarithm)) / LOOKS


def _bells(
    scales: Scales, label: float, held: Array, fields: int
) -> Iterator[tuple[Array, Array, Array]]:
    r"""Offsets, slopes and widths of what falls off from the middle of a quadratic argument.

    :math:`e^{g}` is a bell along each axis that :math:`g=g_0+\sum_i\mu_ix_i^2/2` falls along, and
    a root or a quotient of g has its singularities at :math:`x_i=\pm i\sqrt{2g_0/\mu_i}`.
    """
    one, zero = np.eye(fields), np.zeros((1, fields))
    pairs = (one[:, None] + one).reshape(-1, fields)
    probe = np.random.default_rng(1).normal(size=(1, fields))
    found = scales.composites(np.concatenate([zero, one, -one, pairs, probe]).T, label, held)
    for bend, g in zip(scales.composite, found, strict=True):
        if bend.kind not in (GROWTH, BRANCH):
            continue
        at, up, down = g[0], g[1 : fields + 1], g[fields + 1 : 2 * fields + 1]
        curvature = g[2 * fields + 1 : -1].reshape(fields, fields) - up[:, None] - up + at
        slope = (up - down) / 2
        said = at + probe[0] @ (slope + curvature @ probe[0] / 2)
        if not abs(said - g[-1]) <= 1e-9 * np.abs(g).max():
            continue  # no quadratic form
        values, axes = np.linalg.eigh(curvature)
        middle = -np.linalg.pinv(curvature, hermitian=True) @ slope
        top = at + slope @ middle / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            square = GAUSSIAN**2 / -values if bend.kind == GROWTH else 2 * top / values
        real = (np.abs(values) > 1e-12 * np.abs(values).max()) & (square > 0)
        slopes = axes.T[real]
        yield -slopes @ middle, slopes, np.sqrt(square[real])


def _root_of(law: Array) -> Array:
    """A with A A^T the covariance, which may be singular."""
    values, vectors = np.linalg.eigh(law)
    return np.asarray(vectors * np.sqrt(np.clip(values, 0.0, None)))


def _kinks(
    scales: Scales, forms: Forms, label: float, mean: Array, law: Array, held: Array
) -> Iterator[tuple[Array, Array, Array]]:
    r"""Offsets, slopes and widths of kinks in what saturates.

    :math:`g=\sum_av_a|u_a|` is small beside a point, where all kinks meet, and on no surface.  A
    kink is as wide as g stays small beside it, by the slope of g across it.
    """
    cuts = forms.kinds == CUT
    offsets, slopes = forms.offsets[cuts], forms.slopes[cuts]
    lengths = np.sqrt(np.einsum("ia,ab,ib->i", slopes, law, slopes))
    offsets, slopes, lengths = (part[lengths > 0] for part in (offsets, slopes, lengths))
    if not (len(lengths) and any(bend.kind == POLE for bend in scales.composite)):
        return
    normals = scipy.special.ndtri(_points(len(law))[:PROBES])
    places = mean + normals @ _root_of(law).T
    # what moves this argument by a little of its deviation
    steps = slopes * (STEP * lengths / np.sum(slopes**2, axis=1))[:, None]
    u = np.concatenate([places, *(places + step for step in steps)])
    g = scales.composites(u.T, label, held).reshape(len(scales.composite), len(steps) + 1, -1)
    rates = np.abs(g[:, 1:] - g[:, :1]).max(axis=2) / (STEP * lengths)
    for bend, rate in zip(scales.composite, rates, strict=True):
        bent = (rate > 0) & np.isfinite(rate)
        if bend.kind == POLE and bent.any():
            yield offsets[bent], slopes[bent], bend.width / rate[bent]


def rare_regions(
    scales: Scales,
    label: float,
    mean: Array,
    law: Array,
    held: Array,
    heights: Callable[[Array], Array],
    nodes: float,
) -> Array | None:
    r"""Bound of what so many nodes leave unseen, twice :math:`\max_S P(S)\,E[|f_j|\mid S]`, over
    regions S where one, two or all wide arguments are small.

    Parameters
    ----------
    scales : Scales
        Of the integrands.
    label, mean, held
        Of the component and state.
    law : array, shape (C, C)
        Covariance of the fields.
    heights : callable
        From shifts (N, C) of the mean to :math:`|f_j|`, shape (J, N).
    nodes : float
        Of all scramblings.

    Returns
    -------
    array of shape (J,), or None where all regions are seen.
    """
    slabs = Slabs(scales, label, mean, law, held)
    found: list[Array] = []
    surfaces = SURFACES if any(b.kind == POLE for b in scales.composite) else 0
    for chosen, past in [([], 0.0), *slabs.sets()]:
        shifts, shares = slabs.shifts_into(law, chosen, past)
        probability = float(shares.sum())
        if probability == 0.0:
            continue
        if probability * nodes < ENOUGH:
            found.append(_heights(heights, shifts) @ shares)
        if surfaces:
            surfaces -= 1
            for beside, weights in _surfaces(scales, label, mean, held, shifts):
                share = probability * float(weights.sum())
                if 0.0 < share * nodes < ENOUGH:
                    found.append(probability * (_heights(heights, beside) @ weights))
    return LOOSELY * np.max(found, axis=0) if found else None


def _heights(heights: Callable[[Array], Array], shifts: Array) -> Array:
    with np.errstate(all="ignore"):
        parts = [heights(shifts[i : i + ROOM]) for i in range(0, len(shifts), ROOM)]
    return np.nan_to_num(np.concatenate(parts, axis=1), nan=0.0)


def _surfaces(
    scales: Scales, label: float, mean: Array, held: Array, shifts: Array
) -> Iterator[tuple[Array, Array]]:
    """Of each argument that is not affine, shifts beside its zeros, and shares of the law there."""
    centre = shifts.mean(axis=0) if len(shifts) else 0.0
    first, second = (shifts - centre)[0::2], (shifts - centre)[1::2]
    angles = np.linspace(0.0, 2 * np.pi, AROUND + 1)

    def at(theta: Array, row: NDArray[np.int64]) -> Array:
        turn = np.cos(theta)[:, None] * first[row] + np.sin(theta)[:, None] * second[row]
        return np.asarray(centre + turn)

    def values(theta: Array, row: NDArray[np.int64]) -> Array:
        return scales.composites((mean + at(theta, row)).T, label, held)

    rows = np.repeat(np.arange(len(first)), AROUND + 1)
    everywhere = values(np.tile(angles, len(first)), rows)
    everywhere = everywhere.reshape(len(scales.composite), len(first), AROUND + 1)
    for j, bend in enumerate(scales.composite):
        signs = np.sign(everywhere[j])
        row, step = np.nonzero(signs[:, 1:] * signs[:, :-1] < 0)
        if bend.kind != POLE or not len(row):
            continue
        low, high, side = angles[step], angles[step + 1], signs[row, step]
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            before = np.sign(values(middle, row)[j]) == side
            low, high = np.where(before, middle, low), np.where(before, high, middle)
        # as far as the argument stays small, on either side, by its slope at the zero
        apart = 2 * np.pi / AROUND * 1e-4
        rise = np.abs(values(low + apart, row)[j] - values(low - apart, row)[j]) / (2 * apart)
        with np.errstate(divide="ignore", invalid="ignore"):
            half = REACH * bend.width / rise
        thin = half < np.pi / AROUND
        if not thin.any():
            continue
        row, low, half = row[thin], low[thin], half[thin]
        inside = np.linspace(-0.75, 0.75, 4)
        theta = (low[:, None] + half[:, None] * inside).ravel()
        weights = np.repeat(half / np.pi / len(first), len(inside)) / len(inside)
        yield at(theta, np.repeat(row, len(inside))), weights


@lru_cache(maxsize=64)
def _points(dimension: int) -> Array:
    """The same points every time: what is looked at is no part of the randomness of a rule."""
    return np.random.default_rng(1).uniform(size=(LOOKS, dimension))

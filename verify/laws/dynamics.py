"""Laws of the dynamics: drift, diffusion and G against single steps of SGD, and the limits of
little noise.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from numerics import State
from numerics.core.covariance.band_arrays import fractions_of, inverse_of
from numerics.core.covariance.token_arrays import over_tokens
from numerics.core.flatten import held_of
from numerics.core.geometry import field_grams
from numerics.expectations.kinked.kink_forms import kink_forms
from theory import Model, symbols
from verify.verdict.tolerance import Comparison

from .entry_names import pairs, weight_names
from .frames import dense, largest_change, random_frame
from .law import ROUNDING, SAMPLED, SHARP, Law, LawCase, compare, flat_kinks
from .sample_means import SampleMean, sample_mean, sample_products
from .witness import sample_gradients, sample_steps

Array = NDArray[np.float64]

SAMPLES = 120_000
# rounding of a difference of the loss over its step, and the least size of a statistic's change,
# for weights and features of order 1
DIFFERENCES, SMALLEST = 3e-10, 1e-8
# smallest deviation of interest of a slope in 1 / lambda, as a share of the largest slope
SLOPE = 1e-2
# a dimension in which nothing beyond the limit is left to see, and the factor of what is:
# mathematics.md section 4
LARGE = 10**7
# precisions in the limit of little noise; expansions in 1 / lambda are extrapolated over them
LITTLE_NOISE = (5e3, 1e4, 2e4, 4e4)
# beside a kink a pre-activation must be on one side: narrower noise, and no expansion to
# extrapolate
LEAST_NOISE = (1e8, 2e8, 4e8, 8e8)
# a kink closer than this many standard deviations to a mean has not yet reached its limit
CLEAR_OF_KINKS = 8.0


def mean_increment(case: LawCase) -> list[Comparison]:
    """Mean of single steps, in few dimensions and in many, against drift plus its 1/d part."""
    model = case.model
    few = model.directions + model.units + model.tokens + 2
    least = float(fractions_of(model).min())
    # the law of the noise's length is known for any dimension: a band's need not be whole
    small = (few, few) if model.bands == 1 else (int(np.ceil(few / least)), few - 2)
    drift, drift_error = case.values(case.formulas.drift.vector)
    beyond, beyond_error = case.values(case.formulas.finite_size.vector)
    found = []
    for dimension, axes in (small, (LARGE, few - 2)):
        frame = random_frame(case.parameters, case.state, axes, case.rng)
        steps = sample_steps(case, frame, dimension, SAMPLES * case.effort)
        # what is smaller than the rounding of a step says nothing
        scale = 1 + float(np.abs(frame.weights).max()) ** 2
        size = np.sqrt(steps.mean_square) + SMALLEST * scale
        sampled = sample_mean(steps.centred, case.share, 2 * drift.size)
        found += _by_part(
            model,
            f"mean increment per unit of time, d = {dimension}",
            sampled.value,
            drift + beyond / dimension,
            [
                *sampled.parts,
                (drift_error + beyond_error / dimension, "quadrature (T2)"),
                (1e-7 * size, "differences of the loss (T2)"),
                (DIFFERENCES * scale, "rounding of a step and of the loss (T1)"),
            ],
            size,
        )
    return found


def increment_covariance(case: LawCase) -> list[Comparison]:
    """Covariance of single steps in many dimensions against the diffusion."""
    model = case.model
    predicted, errors = _covariance(case)
    axes = model.directions + model.units + model.tokens
    frame = random_frame(case.parameters, case.state, axes, case.rng)
    steps = sample_steps(case, frame, LARGE, SAMPLES * case.effort)
    rows = np.sqrt(steps.weight)[:, None] * (steps.increments - steps.centre)
    sampled = sample_products(rows, case.share)
    deviation = np.sqrt(np.diag(sampled.value))
    names = [f"{a}, {b}" for a in model.symbols.state for b in model.symbols.state]
    return [_judge_products("covariance of one step", sampled, predicted, errors, deviation, names)]


def _covariance(case: LawCase) -> tuple[Array, Array]:
    """E[G G^T] - E[G] E[G]^T of the diffusion, and bounds of its errors."""
    size = len(case.model.symbols.state)
    # of both moments, contracted: their products written out are many times longer
    numbers = case.numbers(case.formulas.diffusion.vector)

    def covariance(moments: Array) -> Array:
        second, mean = moments[:-size].reshape(size, size), moments[-size:]
        return np.asarray(second - np.outer(mean, mean))

    if numbers.samples is not None:
        return numbers.spread(np.array([covariance(row) for row in numbers.samples]))
    mean, errors = np.abs(numbers.values[-size:]), numbers.errors
    second, first = errors[:-size].reshape(size, size), errors[-size:]
    product = np.outer(mean + first, mean + first) - np.outer(mean, mean)
    return covariance(numbers.values), second + product


def gradient_matrix_mean(case: LawCase) -> list[Comparison]:
    """Mean of the outer products of sample gradients in a few dimensions against G."""
    model = case.model
    numbers = case.matrix_numbers(case.formulas.gradient_matrix)
    axes = model.directions + model.units + 1
    frame = random_frame(case.parameters, case.state, axes, case.rng)
    predicted, errors = numbers.map(dense(model, frame.sizes), frame.generators)
    gradients, weight = sample_gradients(case, frame, SAMPLES * case.effort)
    sampled = sample_products(np.sqrt(weight)[:, None] * gradients, case.share)
    deviation = np.sqrt(np.diag(sampled.value))
    names = pairs(weight_names(model, frame.dimension))
    title = "mean outer product of sample gradients"
    return [_judge_products(title, sampled, predicted, errors, deviation, names)]


def _judge_products(
    quantity: str,
    sampled: SampleMean,
    predicted: Array,
    errors: Array,
    deviation: Array,
    names: list[str],
) -> Comparison:
    """Entries in units of what both of their factors are in the mean; products have heavier tails
    than the factors.
    """
    sizes = np.outer(deviation, deviation)
    rounding = DIFFERENCES * (1 + float(deviation.max(initial=0.0)))
    return compare(
        quantity,
        sampled.value,
        predicted,
        [
            *sampled.parts,
            (errors, "quadrature (T2)"),
            (1e-6 * sizes, "differences of the loss, and 1/d (T2, T4)"),
            (rounding * np.add.outer(deviation, deviation + rounding), "rounding (T1)"),
        ],
        resolution=SAMPLED,
        scale=4 * sizes + 1e-6,
        names=names,
    )


def noiseless_limit(case: LawCase) -> list[Comparison]:
    """Drift at large precisions, extrapolated, against the noiseless drift."""
    clear = _clear_of_kinks(case)
    if clear is None:
        return []
    case = clear
    limit, _ = case.values(case.formulas.limit)
    values, error = _at_little_noise(case)
    value, remainder = _extrapolate(values)
    return _by_part(
        case.model,
        "drift, extrapolated to infinite precision",
        value,
        limit,
        [
            (remainder, "change by the last extrapolation in 1/lambda (T4)"),
            (8 * error, "quadrature (T2)"),
            (ROUNDING * (1 + np.abs(limit)), "rounding (T1)"),
        ],
        np.full(limit.size, max(float(np.abs(limit).max()), 1e-2)),
        resolution=SHARP if case.model.loss.is_smooth else SAMPLED,
    )


def low_noise_expansion(case: LawCase) -> list[Comparison]:
    """Coefficient of 1/lambda in the drift, from differences at large precisions, against the
    expansion.
    """
    unit = case.with_parameters(precision=1.0)
    predicted, _ = case.values(case.formulas.slope, parameters=unit)
    values, error = _at_little_noise(case)
    x = [1 / precision for precision in LITTLE_NOISE]
    slopes = [
        (a - b) / (s - t) for (a, b), (s, t) in zip(pairwise(values), pairwise(x), strict=True)
    ]
    value, remainder = _extrapolate(slopes)
    return _by_part(
        case.model,
        "coefficient of 1/lambda in the drift",
        value,
        predicted,
        [
            (remainder, "change by the last extrapolation in 1/lambda (T4)"),
            (
                12 * (error + 1e-14 * (1 + np.abs(values[0]))) / (x[2] - x[3]),
                "quadrature and rounding over 1/lambda (T1, T2)",
            ),
        ],
        np.full(predicted.size, max(float(np.abs(predicted).max()), 1e-2)),
        resolution=SLOPE,
    )


def _at_little_noise(case: LawCase) -> tuple[list[Array], Array]:
    smooth = case.model.loss.is_smooth
    found = [
        case.values(
            case.formulas.drift.vector,
            parameters=case.with_parameters(precision=precision),
            tolerance=1e-13 if smooth else 1e-6,
            share=0.0,
        )
        for precision in (LITTLE_NOISE if smooth else LEAST_NOISE)
    ]
    return [v for v, _ in found], np.max([e for _, e in found], axis=0)


def _extrapolate(values: list[Array]) -> tuple[Array, Array]:
    """Limit of values at x, x/2, x/4, ..., free of their first order, and what the last step
    changed.
    """
    first, second = [2 * b - a for a, b in pairwise(values)][-2:]
    change = largest_change(second - first, values[-1] - values[-2])
    return second, np.full(second.shape, change)


def _clear_of_kinks(case: LawCase) -> LawCase | None:
    """The case with overlaps for which every mean is on one side of every kink; None if there are
    none.
    """
    forms = kink_forms(case.model)
    if forms is None:
        return case
    model = case.model
    held = held_of(model, case.parameters, case.state)
    matrix, offsets = (array[0] for array in forms(held[None]))
    coordinates = np.array(model.mixture.coordinates.tolist(), dtype=float)
    for _ in range(100):
        state = case.state
        grams = field_grams(model, case.parameters, state.overlap, state.gram_perp)
        laws = over_tokens(model, grams.laws)
        squares = np.einsum("ja,lab,jb->lj", matrix, laws, matrix)
        means = (coordinates @ grams.overlap.T).reshape(model.components, -1)
        heights = np.abs(means @ matrix.T + offsets)
        if np.all(heights > CLEAR_OF_KINKS * np.sqrt(squares / LEAST_NOISE[0])):
            return case
        redrawn = case.rng.uniform(-1, 1, case.state.overlap.shape)
        if case.model.bands > 1:  # overlaps with what the bands hold of the directions
            gamma = case.parameters.directions_gram
            redrawn = redrawn @ inverse_of(gamma) @ gamma
        case = replace(case, state=State(redrawn, case.state.gram_perp, case.state.readout))
    return None


def _by_part(
    model: Model,
    quantity: str,
    measured: Array,
    predicted: Array,
    parts: list[tuple[Array | float, str]],
    scale: Array,
    resolution: float = SAMPLED,
) -> list[Comparison]:
    """One comparison each for overlaps, R_perp and readout: the worst entry of each."""
    names = [str(s) for s in model.symbols.state]
    overlaps = model.bands * model.units * model.directions
    grams = model.bands * len(symbols.upper_triangle(model.units))
    ends = [0, overlaps, overlaps + grams, len(names)]
    return [
        compare(
            quantity,
            measured[i:j],
            predicted[i:j],
            [(np.broadcast_to(v, measured.shape)[i:j], why) for v, why in parts],
            resolution=resolution,
            scale=scale[i:j],
            names=names[i:j],
        )
        for i, j in pairwise(ends)
        if j > i
    ]


def _is_smooth(model: Model) -> str | None:
    return None if model.loss.is_smooth else "a kink has no expansion in 1/lambda"


def _kink_at_a_mean(model: Model) -> str | None:
    """Why no state is clear of the kinks: a mean lies on one whatever the weights."""
    forms = model.loss.kink_forms
    if model.loss.is_smooth or forms is None:
        return None
    matrix, offsets = forms
    for l in range(model.components):
        heights = matrix * model.field_means.row(l).T + offsets
        if any(sp.expand(height) == 0 for height in heights):
            return f"the mean of component {l + 1} lies on a kink of the loss at every state"
    return None


def _single_steps(model: Model) -> str | None:
    if model.rule is None or model.rule.momentum == 0:
        return None
    return "with momentum a step knows the last one: the drift is the mean of many"


def _open_precision(model: Model) -> str | None:
    if model.loss.has_label_noise:
        return "Gaussian label noise stays where that of the features vanishes"
    if model.mixture.precision == symbols.PRECISION:
        return None
    return f"the model fixes the precision to {model.mixture.precision}: there is no limit to take"


LAWS = (
    Law(
        "mean_increment",
        "The drift, with its 1/d part, is the mean step of SGD, corrector included.",
        r"E[S_{t+\delta} - S_t \mid S_t] = \delta\,\big(F + F_1/d\big)",
        "arXiv 2206.04030; mathematics.md section 4",
        "standard errors over independent steps (T3), quadrature (T2)",
        mean_increment,
        _single_steps,
        cases=2,
    ),
    Law(
        "increment_covariance",
        "The diffusion is the covariance of one step of SGD.",
        r"\mathrm{Cov}(S_{t+\delta} - S_t \mid S_t)/\delta^2 \to \mathrm{Cov}(G)",
        "arXiv 2206.04030; mathematics.md section 4",
        "standard errors over independent steps (T3), quadrature (T2)",
        increment_covariance,
        _single_steps,
        cases=1,
    ),
    Law(
        "gradient_matrix_mean",
        "G is the mean of the outer products of sample gradients.",
        r"G = \lim_M \tfrac1M\sum_i \nabla\ell_i\,\nabla\ell_i^T",
        "mathematics.md section 3",
        "standard errors over independent samples (T3), quadrature (T2)",
        gradient_matrix_mean,
        cases=1,
    ),
    Law(
        "noiseless_limit",
        "The drift tends to the noiseless drift as the noise vanishes.",
        r"\lim_{\lambda\to\infty} F(\lambda) = F|_{E_l[f(u)] \to f(mS_l^T)}",
        "mathematics.md section 5",
        "the next powers of 1/lambda, from four precisions (T4), quadrature (T2)",
        noiseless_limit,
        lambda model: _open_precision(model) or flat_kinks(model) or _kink_at_a_mean(model),
    ),
    Law(
        "low_noise_expansion",
        "The first order of the low-noise expansion is the slope of the drift in 1/lambda.",
        r"F(\lambda) = F_\infty + \lambda^{-1}F^{(1)} + O(\lambda^{-2})",
        "mathematics.md section 5",
        "the next power of 1/lambda, from four precisions (T4), quadrature (T2)",
        low_noise_expansion,
        lambda model: _is_smooth(model) or _open_precision(model),
        cases=2,
    ),
)

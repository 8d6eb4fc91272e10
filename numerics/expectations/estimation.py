r"""The choice of a rule at a state, and its error: every estimate has a witness of another kind.

* Gauss-Hermite rules are judged by the difference of two of them *and* by the singularities of the
  integrand (:mod:`numerics.expectations.graded.reliability`).
* Graded panels know the scales of the integrand beforehand; two levels share neither nodes, ends of
  panels nor the grading.
* Scrambled Sobol rules are judged by their spread, and by regions that too few nodes are in
  (:mod:`numerics.expectations.graded.rare_regions`).

What no rule resolves is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import scipy.special

from numerics.core.errors import IntegrandError, QuadratureError
from numerics.core.geometry import field_grams
from numerics.core.parameters import Parameters
from numerics.core.validation import Array

from .estimate import Estimate, KnownMoments
from .evaluation import Evaluator
from .families import Parts, hermite_misses, panel_misses, sobol_misses
from .graded.placement import PlacementError, directions_of
from .graded.reliability import UNSEEN
from .kinked.kink_forms import kink_forms
from .quadrature import (
    PANEL_RATIOS,
    Rule,
    gauss_hermite,
    panels,
    replicate_error,
    sobol,
    tensor_sizes,
)

# of every Sobol estimate
SCRAMBLINGS = 8
# error of a sum over Sobol nodes and of the closed forms of control variates, relative to 1 + value
SOBOL_ROUNDING = 1e-14
# without control variates of second order, the rare side of a kink needs this many nodes over all
# scramblings before their spread says anything; sides less likely than this share of the tolerance
# cannot matter
RARE_NODES = 64
NEGLIGIBLE = 0.1
# exp of this is still a finite number, with room for factors
MAX_EXPONENT = 600.0
# two levels of panels that differ by more than this share of E|f| have not resolved it
TRUSTED = 1e-2
# of a term of a sum
ROUNDING = 16 * float(np.finfo(float).eps)
# A Gram matrix is rounded in every entry.  Where the loss sees a small difference of large fields
# that moves the law: so much is it moved, some times, to tell by how much.
MOVED, MOVES = 1e-12, 2
# a direction with less of the variance may be rounding
ROUNDED_RANK = 1e-13


def estimate_tensor(
    compiled: Evaluator, parameters: Parameters, parts: Parts, tolerance: float
) -> Estimate:
    """Refine Gauss-Hermite rules until their difference and the singularities allow the tolerance.

    Three rules at least: two may agree by accident.  For a converging sequence the last difference
    bounds the error of the finest rule; doubled, and never less than a quarter of the difference
    before it.  A rule that may miss a transition altogether has an infinite error.
    """
    sequence: list[Array] = []
    sizes: list[Array] = []
    rules: list[Rule] = []
    errors = np.full(compiled.size, np.inf)
    tensor = tensor_sizes(compiled.dimension)
    shares, beside = hermite_misses(compiled, parameters, parts, tensor)
    unseen = np.full(compiled.size, np.inf)
    for n, share, missed in zip(tensor, shares, beside, strict=True):
        rule = gauss_hermite(compiled.dimension, n)
        try:
            values, size, added = compiled.values_and_sizes(parameters, parts, rule, missed)
        except (IntegrandError, OverflowError):
            if not sequence:
                raise
            break  # only the outermost nodes meet what is no number
        if not np.all(np.isfinite(size)):
            break  # overflow at the outermost nodes: coarser rules do not reach that far
        sequence.append(values)
        sizes.append(size)
        rules.append(rule)
        unseen = share * size + added if share < UNSEEN else unseen
        if len(sequence) >= 3:
            last, before = (np.abs(sequence[-i] - sequence[-i - 1]) for i in (1, 2))
            with np.errstate(over="ignore"):
                tail = _missing_tail(sizes[-2:], rules[-2:])
                errors = np.maximum(2 * last * tail, 0.25 * before) + unseen
            if errors.max(initial=0.0) <= tolerance:
                break
    if len(sequence) < 3:
        raise compiled.overflow(compiled.laws.covariances(parameters, *parts[:2]))
    # the weights of a rule are known to 2 n eps in each dimension, arguments and sums to a few eps
    rounding = (8 + 2 * compiled.dimension * rules[-1].size) * np.finfo(float).eps
    errors = (
        errors
        + rounding * sizes[-1]
        + law_rounding(compiled, parameters, parts, rules[0], sequence[0])
    )
    return Estimate(sequence[-1], errors, rules[-1])


def law_rounding(
    compiled: Evaluator, parameters: Parameters, parts: Parts, rule: Rule, values: Array
) -> Array:
    r"""What the rounding of :math:`Q=R^\perp+m\Gamma^{-1}m^T`, entry by entry, does to the values.

    Told by a rule, which may be a coarse one, and its values: every entry is moved by a random
    share of the terms it is the sum of, and every field is stretched, without a change of the rank.
    """
    terms = field_grams(compiled.model, parameters, *parts[:2]).sizes
    rng = np.random.default_rng(0)

    def moved(gram: Array, law: int) -> Array:
        spectrum, vectors = np.linalg.eigh(gram)
        span = vectors[:, spectrum > ROUNDED_RANK * max(float(spectrum[-1]), 0.0)]
        moves = rng.normal(size=gram.shape)
        inside = span @ (span.T @ (terms[law] * (moves + moves.T)) @ span) @ span.T
        stretch = 1.0 + MOVED * rng.normal(size=len(gram))
        return np.asarray(stretch[:, None] * (gram + MOVED * inside) * stretch)

    with np.errstate(over="ignore", invalid="ignore"):
        change = compiled.evaluate_changed(parameters, parts, rule, moved, MOVES) - values
        return np.asarray(ROUNDING / MOVED * np.sqrt(np.sum(change**2, axis=0)))


def panel_rank(compiled: Evaluator, parameters: Parameters, parts: Parts) -> int:
    """Rank of the covariance of the pre-activations that the integrands see."""
    covariances = compiled.laws.covariances(parameters, *parts[:2])
    return max(len(directions_of(each, compiled.quadrature_basis)) for each in covariances)


def estimate_panels(
    compiled: Evaluator, parameters: Parameters, parts: Parts, tolerance: float, rank: int
) -> Estimate:
    """Refine graded panels until two levels agree to the tolerance; twice their difference is it.

    Raises
    ------
    QuadratureError
        Two levels still differ by a share of E|f|, or the transitions need too many panels.
    """
    previous: Array | None = None
    best: Estimate | None = None
    missed = panel_misses(compiled, parameters, parts)
    for size in PANEL_RATIOS:
        rule = panels(rank, size)
        try:
            values, sizes, beyond = compiled.values_and_sizes(parameters, parts, rule, missed)
        except PlacementError as error:
            if best is None:
                raise QuadratureError(
                    _unresolved(compiled, parameters, parts, str(error))
                ) from None
            break
        if not np.all(np.isfinite(values)):
            raise compiled.overflow(compiled.laws.covariances(parameters, *parts[:2]))
        if previous is None:
            moved = law_rounding(compiled, parameters, parts, rule, values)
        else:
            # sums over some 40 panels a dimension, added up one by one
            rounding = ROUNDING * (4 + (40 * size) ** (rank / 2)) * (sizes + np.abs(values))
            errors = 2 * np.abs(values - previous) + rounding + moved + beyond
            best = Estimate(values, errors, rule)
            if errors.max(initial=0.0) <= tolerance:
                return best
        previous = values
        scale = sizes + np.abs(values)
    assert best is not None
    if np.any(best.errors > TRUSTED * np.maximum(scale, tolerance / TRUSTED)):
        reached = float(best.errors.max())
        raise QuadratureError(
            _unresolved(compiled, parameters, parts, f"two levels differ by {reached:.3g}"), reached
        )
    return best


def _unresolved(compiled: Evaluator, parameters: Parameters, parts: Parts, reason: str) -> str:
    return (
        f"an expectation of the model {compiled.model.name} is not resolved by graded panels: "
        f"{reason}, where the pre-activations have a standard deviation of "
        f"{compiled.spread(parameters, *parts[:2]):.3g}; "
        "raise the precision, or take smaller weights"
    )


def estimate_sobol(
    compiled: Evaluator,
    parameters: Parameters,
    parts: Parts,
    tolerance: float,
    seed: int,
    max_nodes: int,
    judge: Callable[[Array], Array] | None,
    share: float = 0.0,
) -> Estimate:
    """Refine scrambled Sobol rules until the spread of the judged values is the tolerance, or a
    share of the largest of them.
    """
    size = least_size(compiled, parameters, parts, tolerance, max_nodes)
    overlap, gram_perp, readout = (np.repeat(x[None], SCRAMBLINGS, axis=0) for x in parts)
    repeated = overlap, gram_perp, readout
    known: KnownMoments | None = None
    while True:
        rule = sobol(compiled.dimension, size, SCRAMBLINGS, seed)
        samples, known = compiled.extend_replicates(parameters, repeated, rule, known)
        missed = sobol_misses(compiled, parameters, parts, SCRAMBLINGS * size)
        if missed.any():
            beyond = compiled.values_and_sizes(parameters, parts, rule, missed)[2]
            samples = _widened(samples, beyond)
        judged = samples if judge is None else np.array([judge(row) for row in samples])
        error = sampling_error(judged).max(initial=0.0)
        wanted = max(tolerance, share * float(np.abs(judged.mean(axis=0)).max(initial=0.0)))
        if error <= wanted or size >= max_nodes:
            return Estimate(samples.mean(axis=0), sampling_error(samples), rule, samples)
        # the error falls at best like 1/N: a size that would then still miss what is asked is not
        # tried
        size = min(max_nodes, size * 2 ** max(1, int(np.log2(error / wanted))))


def _widened(samples: Array, beyond: Array) -> Array:
    """Scramblings spread so far that their error holds what all of them may miss; the mean stays.

    Whatever is made of the values later, eigenvalues say, has that spread too.
    """
    signs = np.where(np.arange(len(samples)) % 2 == 0, 1.0, -1.0)[:, None]
    return samples + signs * (beyond / replicate_error(signs))


def least_size(
    compiled: Evaluator, parameters: Parameters, parts: Parts, tolerance: float, max_nodes: int
) -> int:
    """Sobol size with which every side of a kink that can matter is seen often enough.

    Scramblings that all miss a side agree with each other and are wrong.  The control variates of
    :mod:`numerics.expectations.kinked.kinked_integrands` make up for that, except for whitened
    integrands, of higher degree in u.
    """
    forms = kink_forms(compiled.model)
    if forms is None or not compiled.uses_whitening:
        return min(256, max_nodes)
    overlap, gram_perp, _ = parts
    held = compiled.held(parameters, parts)
    matrix, offsets = (array[0] for array in forms(held[None]))
    grams = compiled.laws.covariances(parameters, overlap, gram_perp)
    deviation = np.sqrt(np.clip(np.einsum("ja,lab,jb->lj", matrix, grams, matrix), 0, None))
    deviation = np.broadcast_to(deviation, (len(compiled.labels), len(matrix)))
    height = np.abs(compiled.laws.means(parameters, overlap) @ matrix.T + offsets)
    distance = np.divide(height, deviation, out=np.full_like(height, np.inf), where=deviation > 0)
    rare = scipy.special.ndtr(-distance)
    rare = rare[rare >= NEGLIGIBLE * tolerance]
    if not rare.size:
        return min(256, max_nodes)
    needed = RARE_NODES / (SCRAMBLINGS * float(rare.min()))
    return int(min(max(256, 2 ** int(np.ceil(np.log2(needed)))), max_nodes))


def sampling_error(samples: Array) -> Array:
    """Error of the mean over scramblings (first axis): their spread, and rounding.

    Scramblings of an integrand that its control variate reproduces agree to rounding, right or not.
    """
    return replicate_error(samples) + SOBOL_ROUNDING * (1 + np.abs(samples).max(axis=0))


def _missing_tail(sizes: Sequence[Array], rules: Sequence[Rule]) -> Array:
    r"""Factor >= 1 by which what lies beyond the outermost nodes may exceed what a rule has seen.

    A rule that reaches z misses most of :math:`E\,e^{sr}=e^{s^2/2}` if :math:`s>z`: it finds
    :math:`e^{sz-z^2/2}`, up to a factor below 4.  Two rules that reach z and z' tell s; where
    :math:`E|f|` has settled, :math:`s=(z+z')/2<z'`.
    """
    near, far = (float(rule.nodes.max()) for rule in rules)
    ratio = np.divide(sizes[1], sizes[0], out=np.ones_like(sizes[0]), where=sizes[0] > 0)
    # doubled: sizes grow a little less than expectations, by their factor for the rounding of
    # arguments
    slope = np.log(2 * np.maximum(ratio, 1.0)) / (far - near) + (far + near) / 2
    beyond = np.exp(np.minimum(np.maximum(slope - far, 0.0) ** 2 / 2, MAX_EXPONENT))
    return np.where(slope > far, 4 * beyond, 1.0)

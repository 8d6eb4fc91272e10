r"""Rules for Gaussian expectations, each with a way to estimate its own error.

A rule is a set of standard normal nodes, or a way to place them:

* *Tensor Gauss-Hermite* for smooth integrands in few dimensions whose transitions are wider than
  the spacing of the nodes.  Two rules of this family miss a sharper transition together, so that
  beside their difference the distance to the nearest singularity bounds the error.
* *Graded panels* on the line and the plane (:mod:`numerics.expectations.graded.panels`): a rule
  of this kind is a resolution, and its nodes are placed at each state, around the transitions and
  between the kinks of the integrand.
* *Scrambled Sobol points* with their mirror images for everything else (error: spread over
  independent scramblings).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.special
from numpy.typing import NDArray

from theory import InputError

Array = NDArray[np.float64]

# tensor rules beyond this many nodes cost more than quasi-Monte Carlo at equal accuracy for softmax
# losses
MAX_TENSOR_NODES = 40_000
# Gauss-Hermite nodes per dimension, tried in turn.  Where fields are wide the error falls slowly
# and not monotonically, and rules of similar size can agree on a wrong value: sizes double where
# that is affordable.
TENSOR_SIZES = {1: (6, 12, 24, 48, 96, 192), 2: (6, 12, 24, 48, 96, 192)}
TENSOR_SIZES_BEYOND = (6, 9, 13, 19, 28)
# Gauss-Legendre nodes a panel, and the length of a panel over the distance to the nearest
# singularity: one pays for the other, and together they double the digits from level to level
PANEL_RATIOS = {12: 2.0, 16: 1.6, 20: 1.3, 24: 0.9, 28: 0.6}
# odds that the error of a number by a randomised rule exceeds its estimate, and how results say it
MISSED = 1e-4
INTERVAL = "Student's interval over scramblings, missed once in 10,000 numbers"
# panels serve the line and the plane
MAX_PANEL_DIMENSION = 2


@dataclass(frozen=True)
class Rule:
    """Nodes and weights for expectations under N(0, I).

    Attributes
    ----------
    kind : {"gauss-hermite", "panels", "sobol", "closed"}
    nodes : array, shape (replicates, N, D)
        Independent randomisations along the first axis (1 for a deterministic rule).  N = 0 for
        panels, whose nodes depend on the state.
    weights : array, shape (N,)
        Sum 1.
    size : int
        Nodes per dimension (Gauss-Hermite), per panel, or N (Sobol); 1 for closed forms, which
        have no nodes.
    """

    kind: str
    nodes: Array
    weights: Array
    size: int

    @property
    def dimension(self) -> int:
        return int(self.nodes.shape[2])

    @property
    def replicates(self) -> int:
        return int(self.nodes.shape[0])

    def single(self, replicate: int) -> Rule:
        """The rule of one randomisation alone."""
        return Rule(self.kind, self.nodes[replicate : replicate + 1], self.weights, self.size)

    def __str__(self) -> str:
        if self.kind == "closed":
            return "closed forms, no quadrature"
        if self.kind == "gauss-hermite":
            return f"tensor Gauss-Hermite, {self.size} nodes in each of {self.dimension} dimensions"
        if self.kind == "panels":
            return (
                f"graded Gauss-Legendre panels, {self.size} nodes each, {self.dimension} dimensions"
            )
        return (
            f"scrambled Sobol with mirror images, {self.weights.size} nodes x {self.replicates} "
            f"scramblings, {self.dimension} dimensions"
        )


@lru_cache(maxsize=64)
def gauss_hermite(dimension: int, size: int) -> Rule:
    """Return the tensor rule with ``size`` nodes a dimension, exact for degree 2 size - 1 in each
    variable.

    Examples
    --------
    >>> rule = gauss_hermite(2, 6)
    >>> bool(abs((rule.weights * rule.nodes[0, :, 0]**4).sum() - 3) < 1e-12)   # E z^4 = 3
    True
    """
    if dimension == 0:
        return Rule("gauss-hermite", np.zeros((1, 1, 0)), np.ones(1), size)
    # no node is dropped for its small weight: an integrand such as exp(u) of a wide field lives on
    # the outermost ones
    points, weights = np.polynomial.hermite_e.hermegauss(size)
    weights = weights / weights.sum()
    grids = np.meshgrid(*[points] * dimension, indexing="ij")
    nodes = np.stack([g.ravel() for g in grids], axis=1)
    product = weights
    for _ in range(dimension - 1):
        product = np.multiply.outer(product, weights)
    flat = product.ravel()
    return Rule("gauss-hermite", _frozen(nodes[None]), _frozen(flat / flat.sum()), size)


def closed_forms() -> Rule:
    """Return what stands in the place of a rule where expectations have closed forms."""
    return Rule("closed", np.zeros((1, 1, 0)), np.ones(1), 1)


@lru_cache(maxsize=64)
def panels(dimension: int, size: int) -> Rule:
    """Return the rule of graded panels with ``size`` nodes a panel, a key of PANEL_RATIOS.

    Examples
    --------
    >>> str(panels(1, 16))
    'graded Gauss-Legendre panels, 16 nodes each, 1 dimensions'
    """
    if size not in PANEL_RATIOS:
        raise InputError("size", size, f"one of {tuple(PANEL_RATIOS)}", "take one of these")
    return Rule("panels", _frozen(np.zeros((1, 0, dimension))), _frozen(np.zeros(0)), size)


@lru_cache(maxsize=16)
def sobol(dimension: int, size: int, replicates: int, seed: int) -> Rule:
    """Return ``replicates`` independently scrambled Sobol rules of ``size`` nodes (half of them
    mirrored).

    Mirroring z -> -z integrates odd functions exactly; scrambling makes every replicate unbiased.

    Parameters
    ----------
    dimension : int
    size : int
        Number of nodes, a power of two >= 4.
    replicates : int
        >= 2, so that the spread is an error estimate.
    seed : int
        Root of the numpy SeedSequence; replicate i uses its i-th child.
    """
    if size < 4 or size & (size - 1):
        raise InputError("size", size, "a power of two >= 4", "use 2**m nodes")
    if replicates < 2:
        raise InputError(
            "replicates", replicates, "an integer >= 2", "one scrambling has no error estimate"
        )
    from scipy.stats.qmc import Sobol  # half a second that deterministic rules do without

    half = size // 2
    out = np.empty((replicates, size, dimension))
    sequence = dimension, replicates, seed
    begun = _begun.get(sequence)
    # a longer rule begins with the points of a shorter one
    known = 0 if begun is None else min(begun.size // 2, half)
    for i, child in enumerate(np.random.SeedSequence(seed).spawn(replicates)):
        if begun is not None:
            out[i, :known] = begun.nodes[i, :known]
        if known < half:
            sampler = Sobol(dimension, scramble=True, rng=np.random.default_rng(child))
            sampler = sampler.fast_forward(known) if known else sampler
            uniform = sampler.random(half - known)
            # scrambled points can round to 0 or 1, where the normal quantile is infinite
            np.clip(uniform, 2.0**-33, 1 - 2.0**-33, out=uniform)
            scipy.special.ndtri(uniform, out=out[i, known:half])
        np.negative(out[i, :half], out=out[i, half:])
    rule = Rule("sobol", _frozen(out), _frozen(np.full(size, 1.0 / size)), size)
    if known < half:
        _begun.clear()
        _begun[sequence] = rule
    return rule


# the last sequence of which points were drawn, and its longest rule
_begun: dict[tuple[int, int, int], Rule] = {}


def sobol_beyond(rule: Rule, known: int) -> Rule:
    """Return the nodes of a scrambled Sobol rule that the rule of ``known`` nodes with the same
    seed has not.

    A rule is the mean of the two, in the shares of their nodes: scrambled sequences go on.
    """
    half, before = rule.size // 2, known // 2
    nodes = np.concatenate([rule.nodes[:, before:half], rule.nodes[:, half + before :]], axis=1)
    weights = rule.weights[known:] / (1 - known / rule.size)
    return Rule(rule.kind, _frozen(nodes), _frozen(weights), rule.size)


def tensor_sizes(dimension: int) -> tuple[int, ...]:
    """Gauss-Hermite sizes worth trying in this dimension, coarse to fine (empty: use Sobol)."""
    sizes = TENSOR_SIZES.get(dimension, TENSOR_SIZES_BEYOND)
    affordable = tuple(n for n in sizes if n**dimension <= MAX_TENSOR_NODES)
    return affordable if len(affordable) >= 3 else ()


def rule_of(family: str, dimension: int, size: int) -> Rule:
    """The deterministic rule of a family, "gauss-hermite", "panels" or "closed"."""
    if family == "closed":
        return closed_forms()
    return panels(dimension, size) if family == "panels" else gauss_hermite(dimension, size)


def family_sizes(family: str, dimension: int) -> tuple[int, ...]:
    """Sizes of a deterministic family, coarse to fine."""
    return tuple(PANEL_RATIOS) if family == "panels" else tensor_sizes(dimension)


def choose_family(dimension: int, smooth: bool) -> str:
    """Return the first family to try.

    "gauss-hermite" for a smooth integrand in few dimensions, "panels" for one with kinks on the
    line or the plane, else "sobol".

    Examples
    --------
    >>> choose_family(2, smooth=True), choose_family(9, smooth=True), choose_family(2, smooth=False)
    ('gauss-hermite', 'sobol', 'panels')
    """
    if smooth and tensor_sizes(dimension):
        return "gauss-hermite"
    return "panels" if 0 < dimension <= MAX_PANEL_DIMENSION else "sobol"


def replicate_error(values: Array, odds: float = MISSED) -> Array:
    """Error of the mean over randomisations (first axis): half the width of Student's interval that
    misses the true mean with these odds.

    Every estimate of a randomised rule is this one, with the same odds: an interval of 99 % is
    missed by one number in a hundred, and a result has many.
    """
    replicates = values.shape[0]
    quantile = -scipy.special.stdtrit(replicates - 1, odds / 2)
    return quantile * values.std(axis=0, ddof=1) / np.sqrt(replicates)


def _frozen(array: Array) -> Array:
    array = np.ascontiguousarray(array)
    array.flags.writeable = False
    return array

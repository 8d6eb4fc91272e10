"""The arrays of a chain on noise with bands, from a problem and a state."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from numerics.core.covariance.band_arrays import (
    band_sizes,
    check_room,
    inverse_of,
    root_of,
    scales_of,
)
from numerics.core.problem import Problem
from numerics.core.state import State
from numerics.core.validation import Array
from numerics.sgd.kernel.banded import BandedDirectArrays, BandedReducedArrays
from numerics.sgd.kernel.reduced import BLOCK
from theory import InputError

from .noise import LAWS, Noise


class BandedFrame:
    """Coordinates of directions and weights in every band.

    Attributes
    ----------
    rows : int
        Vectors of the chain: units, and their velocities where it has them.
    sizes : int array, shape (B,)
        Dimensions d_g.
    factor : array, shape (B, r, r)
        Lower triangular F with Gamma^g = F F^T, its columns beyond the rank 0.
    ranks : int array, shape (B,)
    means : array, shape (B, n, r)
        Coordinates of the means.
    spread : array, shape (n, B)
    """

    def __init__(self, problem: Problem, dimension: int, rows: int) -> None:
        self.problem, self.rows, model = problem, rows, problem.model
        gamma = problem.parameters.directions_gram
        self.gamma = gamma.reshape(-1, *gamma.shape[-2:])
        self.sizes: NDArray[np.int64] = band_sizes(model, dimension)
        roots = [root_of(each) for each in self.gamma]
        self.factor = np.array([root for root, _ in roots])
        self.ranks = np.array([rank for _, rank in roots], dtype=np.int64)
        self.means = problem.coordinates @ self.factor
        self.spread = scales_of(model)
        check_room(self.sizes, self.ranks, rows)

    @property
    def edges(self) -> NDArray[np.int64]:
        """Where the bands begin, and the last one ends."""
        return np.concatenate([[0], np.cumsum(self.sizes)])

    def placed(self, state: State) -> Array:
        """Coordinates of the C rows in every band, (B, C, r + C): along the frame of the
        directions' part, then a lower triangular factor of R^g_perp.  Velocities begin at rest.
        """
        c = self.problem.model.units
        overlaps = state.overlap.reshape(-1, *state.overlap.shape[-2:])
        grams = state.gram_perp.reshape(-1, c, c)
        found = np.zeros((len(self.sizes), self.rows, self.gamma.shape[-1] + self.rows))
        for g, (overlap, gram) in enumerate(zip(overlaps, grams, strict=True)):
            rank = int(self.ranks[g])
            along = overlap @ inverse_of(self.gamma[g][None])[0] @ self.factor[g]
            if np.abs(along @ self.factor[g].T - overlap).max(initial=0.0) > 1e-8 * (
                1.0 + np.abs(overlap).max(initial=0.0)
            ):
                raise InputError(
                    "initial",
                    f"overlaps {overlap.tolist()} in band {g + 1}",
                    "overlaps with what the band holds of the directions",
                    "where Gamma^g is singular some of them follow from others, or are 0",
                )
            found[g, :c, :rank] = along[:, :rank]
            found[g, :c, rank : rank + c] = root_of(gram)[0]
        return found


def refuse_for_bands(frame: str, keep_weights: bool) -> None:
    """Bands stand one after the other in the coordinates, each with its part of the directions."""
    if frame == "random":
        expected = "'coordinate' for noise with bands, which stand in coordinates"
        raise InputError("frame", repr(frame), expected, "write frame='coordinate'")
    if keep_weights:
        expected = "False for noise with bands"
        remedy = "run the summary statistics alone: directions lie in several bands"
        raise InputError("keep_weights", "True", expected, remedy)


def direct_arrays(
    frame: BandedFrame, noise: Noise, batch: int, block_steps: int
) -> BandedDirectArrays:
    """What the direct kernel works on."""
    problem, dimension = frame.problem, int(frame.sizes.sum())
    c, r = problem.model.units, problem.model.directions
    means = np.zeros((problem.model.components, dimension))
    basis = np.zeros_like(frame.factor)
    for g, begin in enumerate(frame.edges[:-1]):
        rank = frame.ranks[g]
        means[:, begin : begin + rank] = frame.means[g][:, :rank]
        basis[g, :rank, :rank] = np.eye(rank)
    return BandedDirectArrays(
        x=np.zeros((c, dimension)),
        features=np.empty((batch, dimension)),
        means=means,
        edges=frame.edges,
        spread=np.array(frame.spread, order="C"),
        # a band may have fewer coordinates than there are directions
        basis=np.ascontiguousarray(basis[:, :, : min(r, int(frame.sizes.min()))]),
        factor=np.array(frame.factor, order="C"),
        ranks=frame.ranks,
        cumulative=np.cumsum(problem.parameters.weights),
        scale=1.0 / np.sqrt(problem.parameters.precision),
        law=LAWS.index(noise.kind),
        degrees=noise.degrees,
        block=np.empty((block_steps if noise.sampler else 0, batch, dimension)),
    )


def reduced_arrays(frame: BandedFrame, batch: int) -> BandedReducedArrays:
    """What the reduced kernel works on."""
    problem, bands = frame.problem, len(frame.sizes)
    c, r = frame.rows, problem.model.directions
    ranks, block = min(batch, c), max(1, BLOCK // batch)
    return BandedReducedArrays(
        m=np.zeros((bands, c, r)),
        a_perp=np.zeros((bands, c, c + ranks)),
        y=np.empty((bands, batch, r)),
        zeta=np.empty((bands, batch, c)),
        triangle=np.empty((c, batch)),
        means=np.array(frame.means, order="C"),
        factor=np.array(frame.factor, order="C"),
        spread=np.array(frame.spread, order="C"),
        ranks=frame.ranks,
        cumulative=np.cumsum(problem.parameters.weights),
        scale=1.0 / np.sqrt(problem.parameters.precision),
        tail=np.array(frame.sizes - frame.ranks - c, dtype=float),
        position=np.array([block]),
        noise=np.empty((bands, block, batch, r + c)),
        wishart=np.zeros((bands, block, ranks, ranks)),
        component=np.empty((block, batch), dtype=np.int64),
        drawn=np.zeros(batch, dtype=np.int64),
        h=np.empty((batch, c)),
    )

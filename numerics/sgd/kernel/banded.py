r"""One step of SGD on noise with bands, in d dimensions and as a chain of the statistics.

Every band holds a copy of what isotropic noise has once: a frame of the directions' parts, a factor
A_g of R^g_perp and a Wishart matrix with d_g - rank Gamma^g - C degrees of freedom.  A sample of
component l has noise sigma_lg / sqrt(lambda) in band g.  The functions are those of
:mod:`numerics.sgd.kernel.direct` and :mod:`numerics.sgd.kernel.reduced`; sample j of a batch moves
A_g by sigma_lg g_j zeta_j^T, which is a sample with the gradient sigma_lg g_j (mathematics.md
section 10).
"""

from __future__ import annotations

from typing import NamedTuple

from numpy.typing import NDArray

from numerics.core.validation import Array
from theory import Loss

from . import direct, reduced
from .part import KernelPart, unpack_lines


class BandedDirectArrays(NamedTuple):
    """What the direct kernel works on, with B bands one after the other in the coordinates.

    Attributes
    ----------
    x, features, cumulative, scale, law, degrees, block
        As of :class:`numerics.sgd.kernel.direct.DirectArrays`.
    means : array, shape (n, d)
    edges : int array, shape (B + 1,)
        Where the bands begin, and the last one ends.
    spread : array, shape (n, B)
        sigma_lg.
    basis : array, shape (B, r, r)
        Ones on the diagonal for the first coordinates of a band, which hold its part of the
        directions.
    factor : array, shape (B, r, r)
        Lower triangular, of Gamma^g = F F^T.
    ranks : int array, shape (B,)
        Of Gamma^g: its coordinates in a band.
    """

    x: Array
    features: Array
    means: Array
    edges: NDArray
    spread: Array
    basis: Array
    factor: Array
    ranks: NDArray
    cumulative: Array
    scale: float
    law: int
    degrees: float
    block: NDArray


class BandedReducedArrays(NamedTuple):
    """What the reduced kernel works on, with B bands.

    Attributes
    ----------
    m, a_perp, y, zeta, means, factor, tail, noise, wishart
        As of :class:`numerics.sgd.kernel.reduced.ReducedArrays`, with a first axis of bands.
    triangle, cumulative, scale, position, component
        As there.
    spread : array, shape (n, B)
        sigma_lg.
    ranks : int array, shape (B,)
        Of Gamma^g: coordinates beyond hold nothing.
    drawn : int array, shape (b,)
        Scratch: the components of the samples of a step.
    h : array, shape (b, C)
        Scratch: gradients in units of the noise of a band.
    """

    m: Array
    a_perp: Array
    y: Array
    zeta: Array
    triangle: Array
    means: Array
    factor: Array
    spread: Array
    ranks: NDArray
    cumulative: Array
    scale: float
    tail: Array
    position: NDArray
    noise: Array
    wishart: Array
    component: NDArray
    drawn: NDArray
    h: Array


def direct_part(loss: Loss) -> KernelPart:
    """The direct method for a loss."""
    preactivations, update = direct.step_lines(loss.units, "features[j, i]", "features[0, i]")
    along = "features[j, edges[band] + q]"
    return KernelPart(
        direct.IMPORT,
        unpack_lines(BandedDirectArrays),
        _BEGIN_DIRECT,
        _RECORD_DIRECT,
        direct.DRAW.replace("@SCALE@", _SPREAD) + preactivations + _lines_of_teachers(loss, along),
        update,
    )


def reduced_part(loss: Loss) -> KernelPart:
    """The reduced method for a loss."""
    return KernelPart(
        reduced.FUNCTIONS,
        unpack_lines(BandedReducedArrays),
        _BEGIN_REDUCED,
        _RECORD_REDUCED,
        _SAMPLE + _lines_of_teachers(loss, "y[band, j, q]"),
        _UPDATE,
    )


def _lines_of_teachers(loss: Loss, along: str) -> str:
    """As :func:`numerics.sgd.kernel.part.lines_of_teachers`: the sum over bands."""
    lines = []
    for n, s in enumerate(loss.teachers, start=loss.units):
        lines += [
            f"u[{n}] = 0.0",
            "for band in range(factor.shape[0]):",
            f"    for q in range(min({s + 1}, ranks[band])):",
            f"        u[{n}] += factor[band, {s}, q] * {along}",
        ]
    if loss.has_label_noise:
        lines.append(f"u[{len(loss.fields) - 1}] = normal(state)")
    return "\n".join(lines) + "\n"


# ``start`` has the first coordinates of every band, of which the others are 0
_BEGIN_DIRECT = """
x[:] = 0.0
for band in range(start.shape[0]):
    for a in range(@UNITS@):
        for i in range(ranks[band] + @UNITS@):
            x[a, edges[band] + i] = start[band, a, i]
"""

_RECORD_DIRECT = """
for band in range(factor.shape[0]):
    record_weights(
        x[:, edges[band] : edges[band + 1]], basis[band], factor[band],
        overlap[n, slot, band], gram_perp[n, slot, band],
    )
"""

# the noise of sample j of the batch, of its component
_SPREAD = """for band in range(spread.shape[1]):
    for i in range(edges[band], edges[band + 1]):
        features[j, i] *= spread[l, band]
"""

_BEGIN_REDUCED = """
a_perp[:] = 0.0
for band in range(m.shape[0]):
    for a in range(@UNITS@):
        for i in range(m.shape[2]):
            m[band, a, i] = 0.0
        for i in range(ranks[band]):
            m[band, a, i] = start[band, a, i]
        for i in range(@UNITS@):
            a_perp[band, a, i] = start[band, a, ranks[band] + i]
position[0] = component.shape[0]
"""

_RECORD_REDUCED = """
for band in range(m.shape[0]):
    record_factor(
        m[band], a_perp[band], factor[band], overlap[n, slot, band], gram_perp[n, slot, band]
    )
"""

# components are drawn with the noise of every band: those that are drawn last are kept
_SAMPLE = """
if j == 0:
    if position[0] == component.shape[0]:
        for band in range(m.shape[0]):
            draw_block(state, cumulative, scale, tail[band], noise[band], wishart[band], component)
        position[0] = 0
    k = position[0]
    position[0] = k + 1
l = component[k, j]
drawn[j] = l
for a in range(@UNITS@):
    u[a] = 0.0
for band in range(m.shape[0]):
    sigma = spread[l, band]
    for i in range(m.shape[2]):
        y[band, j, i] = means[band, l, i]
    for i in range(ranks[band]):
        y[band, j, i] += sigma * noise[band, k, j, i]
    for c in range(@UNITS@):
        zeta[band, j, c] = noise[band, k, j, m.shape[2] + c]
    for a in range(@UNITS@):
        total = 0.0
        for i in range(m.shape[2]):
            total += m[band, a, i] * y[band, j, i]
        for c in range(a + 1):
            total += sigma * a_perp[band, a, c] * zeta[band, j, c]
        u[a] += total
"""

_UPDATE = """
for band in range(m.shape[0]):
    for a in range(@UNITS@):
        for i in range(m.shape[2]):
            m[band, a, i] *= shrink
            for j in range(batch):
                m[band, a, i] -= rate * g[j, a] * y[band, j, i]
        for c in range(a + 1):
            a_perp[band, a, c] *= shrink
        for c in range(a + 1, a_perp.shape[2]):
            a_perp[band, a, c] = 0.0
        for j in range(batch):
            h[j, a] = spread[drawn[j], band] * g[j, a]
    if batch == 1:
        update_one(a_perp[band], zeta[band], wishart[band, k, 0, 0], rate, h)
    else:
        update_many(a_perp[band], zeta[band], wishart[band, k], rate, h, triangle)
"""

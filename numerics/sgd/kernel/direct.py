"""One step of SGD in d dimensions: the part of the generated kernel that touches d numbers."""

from __future__ import annotations

from typing import NamedTuple

from numpy.typing import NDArray

from numerics.core.validation import Array
from numerics.sgd.noise import LAWS
from theory import Loss

from .part import KernelPart, lines_of_teachers, unpack_lines


class DirectArrays(NamedTuple):
    """What the direct kernel works on; n components, batch b, r directions, w = r or d coordinates
    they touch.

    Attributes
    ----------
    x : array, shape (C, d)
        First-layer weights, changed in place.
    features : array, shape (b, d)
        Scratch: the samples of one step.
    means : array, shape (n, w)
    basis : array, shape (r, w)
        Orthonormal, spans the directions.
    factor : array, shape (r, r)
        Lower Cholesky factor of Gamma: e_s = sum_q factor_sq basis_q.
    cumulative : array, shape (n,)
        Cumulative class weights.
    scale : float
        1 / sqrt(lambda).
    law : int
        Of the entries, a position in ``LAWS``.
    degrees : float
        Parameter of the law.
    block : array, shape (steps, b, d)
        Noise drawn beforehand, for a sampler of the user's; empty otherwise.
    along : array, shape (r,)
        Scratch: coordinates of a sample along the directions.
    """

    x: Array
    features: Array
    means: Array
    basis: Array
    factor: Array
    cumulative: Array
    scale: float
    law: int
    degrees: float
    block: NDArray
    along: Array


def part(loss: Loss) -> KernelPart:
    """The direct method for a loss."""
    preactivations, update = step_lines(loss.units, "features[j, i]", "features[0, i]")
    beside = _ALONG if loss.teachers else ""
    return KernelPart(
        IMPORT,
        unpack_lines(DirectArrays),
        _BEGIN,
        "record_weights(x, basis, factor, overlap[n, slot], gram_perp[n, slot])",
        DRAW.replace("@SCALE@", "") + preactivations + beside + lines_of_teachers(loss, "along[q]"),
        update,
    )


def step_lines(units: int, feature: str, first: str) -> tuple[str, str]:
    """Lines that compute the pre-activations of sample j, and those of the update.

    ``feature`` is coordinate i of sample j of the batch, ``first`` that of sample 0.
    Pre-activations have one scalar a unit, so that the compiler sees independent sums.
    """
    ids = range(units)
    lines = {
        "FEATURE": feature,
        "FIRST": first,
        "ZERO": "\n".join(f"u{a} = 0.0" for a in ids),
        "ACCUMULATE": "\n    ".join(f"u{a} += x[{a}, i] * z" for a in ids),
        "STORE": "\n".join(f"u[{a}] = u{a}" for a in ids),
    }
    found = [_PREACTIVATIONS, _UPDATE]
    for name, body in lines.items():
        found = [text.replace(f"@{name}@", body) for text in found]
    return found[0], found[1]


IMPORT = """
from numerics.sgd.kernel.entries import draw_entries
from numerics.sgd.kernel.recording import record_weights
from numerics.core.random_numbers.words import uniform
from numerics.core.random_numbers.ziggurat import fill_normals, normal
"""

# ``start`` has the first coordinates, of which the others are 0
_BEGIN = """
x[:] = 0.0
for a in range(@UNITS@):
    for i in range(start.shape[1]):
        x[a, i] = start[a, i]
"""

# the component of sample j of the batch
COMPONENT = """
draw = uniform(state)
l = 0
while l < cumulative.size - 1 and draw >= cumulative[l]:
    l += 1
"""

# sample j into ``features``; drawing has branches and cannot be vectorised, the other loops can
FEATURE = """if law == @GAUSSIAN@:
    fill_normals(state, scale, features[j])
elif law == @SAMPLER@:
    k = step - begin
    for i in range(x.shape[1]):
        features[j, i] = scale * block[k, j, i]
else:
    draw_entries(state, law, degrees, scale, features[j])
@SCALE@for i in range(means.shape[1]):
    features[j, i] += means[l, i]
""".replace("@GAUSSIAN@", str(LAWS.index("gaussian"))).replace(
    "@SAMPLER@", str(LAWS.index("sampler"))
)

DRAW = COMPONENT + FEATURE

# its pre-activations into ``u``
_PREACTIVATIONS = """@ZERO@
for i in range(x.shape[1]):
    z = @FEATURE@
    @ACCUMULATE@
@STORE@
"""

# its coordinates along the directions, which teachers see
_ALONG = """
for q in range(basis.shape[0]):
    along[q] = 0.0
    for i in range(basis.shape[1]):
        along[q] += features[j, i] * basis[q, i]
"""

# x <- shrink x - rate sum_j g_j y_j; row by row, for the compiler cannot know that rows do not
# overlap
_UPDATE = """
for a in range(@UNITS@):
    rate_a = rate * g[0, a]
    for i in range(x.shape[1]):
        x[a, i] = shrink * x[a, i] - rate_a * @FIRST@
    for j in range(1, batch):
        rate_a = rate * g[j, a]
        for i in range(x.shape[1]):
            x[a, i] -= rate_a * @FEATURE@
"""

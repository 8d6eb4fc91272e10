r"""One step of the exact chain of the summary statistics: the part of the generated kernel without
the dimension.

With Gaussian noise the law of a step depends on the weights through m, R_perp and v alone.  Take
orthonormal coordinates of the span of the directions (m then C x r) and a factor R_perp = A A^T, A
lower triangular.  A sample of component l has the coordinates S_l + z / sqrt(lambda) along the
directions and zeta / sqrt(lambda) along an orthonormal basis of the rows of x_perp, z and zeta
standard normal, so

.. math:: u = m\,(S_l + z/\sqrt\lambda) + A\zeta/\sqrt\lambda,

and of what remains in the other n = d - r - C coordinates only its Gram matrix over the samples of
a batch matters: a Wishart matrix with n degrees of freedom (a chi-square variable for one sample),
drawn by its Bartlett factor. The step makes of [A, 0] the matrix [s A - (delta/b) sum_j g_j
zeta_j^T / sqrt(lambda), -(delta/b) G L / sqrt(lambda)], which Givens rotations from the right bring
back to a lower triangle (mathematics.md section 6).
"""

from __future__ import annotations

from typing import NamedTuple

from numpy.typing import NDArray

from numerics.core.validation import Array
from theory import Loss

from .part import KernelPart, lines_of_teachers, unpack_lines

# Random numbers are drawn for this many samples at once: their unpredictable branches then do not
# stall the arithmetic of the steps, which is one long chain of dependent operations.
BLOCK = 256


class ReducedArrays(NamedTuple):
    """What the reduced kernel works on; n components, r directions, batch b, q = min(b, C), B steps
    a block.

    Attributes
    ----------
    m : array, shape (C, r)
        Weights in orthonormal coordinates of the span of the directions, changed in place.
    a_perp : array, shape (C, C + q)
        Lower triangular factor of R_perp in the first C columns, changed in place.
    y : array, shape (b, r)
        Scratch: the samples of one step along the directions.
    zeta : array, shape (b, C)
        Scratch: along the weights.
    triangle : array, shape (C, b)
        Scratch: gradients, to be made triangular.
    means : array, shape (n, r)
    factor : array, shape (r, r)
        Lower Cholesky factor of Gamma.
    cumulative : array, shape (n,)
    scale : float
        1 / sqrt(lambda).
    tail : float
        d - r - C.
    position : int array, shape (1,)
        Steps of the block that are used up.
    noise : array, shape (B, b, r + C)
        Block of scaled normals.
    wishart : array, shape (B, q, q)
        Block of scaled Bartlett factors.
    component : int array, shape (B, b)
    """

    m: Array
    a_perp: Array
    y: Array
    zeta: Array
    triangle: Array
    means: Array
    factor: Array
    cumulative: Array
    scale: float
    tail: float
    position: NDArray
    noise: Array
    wishart: Array
    component: NDArray


def part(loss: Loss) -> KernelPart:
    """The reduced method for a loss."""
    return KernelPart(
        FUNCTIONS,
        unpack_lines(ReducedArrays),
        _BEGIN,
        "record_factor(m, a_perp, factor, overlap[n, slot], gram_perp[n, slot])",
        COMPONENT + FEATURE + lines_of_teachers(loss, "y[j, q]"),
        _UPDATE,
    )


# what only kernels call needs no entrance from Python, which takes a tenth of the compilation
_INNER = (
    "cache=True, nogil=True, error_model='numpy', fastmath={'reassoc', 'contract'}, "
    "no_cpython_wrapper=True, no_cfunc_wrapper=True"
)
FUNCTIONS = '''
from numerics.core.random_numbers.ziggurat import normal
from numerics.sgd.kernel.drawn_block import draw_block
from numerics.sgd.kernel.recording import record_factor

@numba.njit(@INNER@)
def rotate(a, first, second, cosine, sine, begin):
    """Rotate two columns, in the rows from ``begin`` on."""
    for i in range(begin, @UNITS@):
        p, q = a[i, first], a[i, second]
        a[i, first] = cosine * p + sine * q
        a[i, second] = cosine * q - sine * p


@numba.njit(@INNER@)
def triangularise(a):
    """Rotate columns until nothing is left above the diagonal: a a^T stays."""
    for i in range(min(@UNITS@, a.shape[1])):
        for j in range(i + 1, a.shape[1]):
            q = a[i, j]
            if q != 0.0:
                p = a[i, i]
                length = np.sqrt(p * p + q * q)
                rotate(a, i, j, p / length, q / length, i)


@numba.njit(@INNER@)
def update_one(a, zeta, rho, rate, g):
    """A <- factor of [A - rate g zeta^T, -rate g rho] for one sample with noise (zeta, rho).

    In O(C^2): rotations bring the noise to the first axis, and A to lower Hessenberg form; then
    only column 0 changes.
    """
    for c in range(@UNITS@ - 1, -1, -1):
        z = zeta[0, c]
        length = np.sqrt(z * z + rho * rho)
        if length > 0.0:
            rotate(a, c, c + 1, z / length, rho / length, c)
        rho = length
    for i in range(@UNITS@):
        a[i, 0] -= rate * rho * g[0, i]
    for c in range(@UNITS@):
        p, q = a[c, c], a[c, c + 1]
        length = np.sqrt(p * p + q * q)
        if length > 0.0:
            rotate(a, c, c + 1, p / length, q / length, c)


@numba.njit(@INNER@)
def update_many(a, zeta, bartlett, rate, g, triangle):
    """The same for a batch: the triangle of the gradients for g, a Bartlett factor for rho."""
    ranks = bartlett.shape[0]
    for i in range(@UNITS@):
        for j in range(g.shape[0]):
            triangle[i, j] = g[j, i]
            for c in range(@UNITS@):
                a[i, c] -= rate * g[j, i] * zeta[j, c]
    triangularise(triangle)
    for i in range(@UNITS@):
        for c in range(ranks):
            total = 0.0
            for q in range(c, min(i + 1, ranks)):
                total += triangle[i, q] * bartlett[q, c]
            a[i, @UNITS@ + c] = -rate * total
    triangularise(a)
'''.replace("@INNER@", _INNER)

# ``start`` has coordinates along the directions, and the triangular factor of the rest
_BEGIN = """
a_perp[:] = 0.0
for a in range(@UNITS@):
    for i in range(m.shape[1]):
        m[a, i] = start[a, i]
    for i in range(m.shape[1], start.shape[1]):
        a_perp[a, i - m.shape[1]] = start[a, i]
position[0] = component.shape[0]
"""

# the component of sample j of the batch, from the block
COMPONENT = """
if j == 0:
    if position[0] == component.shape[0]:
        draw_block(state, cumulative, scale, tail, noise, wishart, component)
        position[0] = 0
    k = position[0]
    position[0] = k + 1
l = component[k, j]
"""

# the sample along the directions (y) and the weights (zeta); pre-activations into ``u``
FEATURE = """for i in range(m.shape[1]):
    y[j, i] = means[l, i] + noise[k, j, i]
for c in range(@UNITS@):
    zeta[j, c] = noise[k, j, m.shape[1] + c]
for a in range(@UNITS@):
    total = 0.0
    for i in range(m.shape[1]):
        total += m[a, i] * y[j, i]
    for c in range(a + 1):
        total += a_perp[a, c] * zeta[j, c]
    u[a] = total
"""

# m <- shrink m - rate sum_j g_j y_j; A as in the heading of this module
_UPDATE = """
for a in range(@UNITS@):
    for i in range(m.shape[1]):
        m[a, i] *= shrink
        for j in range(batch):
            m[a, i] -= rate * g[j, a] * y[j, i]
    for c in range(a + 1):
        a_perp[a, c] *= shrink
    for c in range(a + 1, a_perp.shape[1]):
        a_perp[a, c] = 0.0
if batch == 1:
    update_one(a_perp, zeta, wishart[k, 0, 0], rate, g)
else:
    update_many(a_perp, zeta, wishart[k], rate, g, triangle)
"""

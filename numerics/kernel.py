"""The SGD kernel, generated from the gradient of the loss."""

from __future__ import annotations

from functools import lru_cache
from types import ModuleType

from theory import Loss, symbols

from . import codegen


@lru_cache(maxsize=64)
def compile_kernel(loss: Loss) -> ModuleType:
    """Generate and compile the SGD kernel of a loss; the module has ``advance`` and ``sample_gradient``."""
    return codegen.load_module(kernel_source(loss))


def kernel_source(loss: Loss) -> str:
    """Return the generated source of the SGD kernel: the gradient of the loss, and the loop around it."""
    variables = range(len(loss.variables))
    gradient = codegen.generate_function(
        "sample_gradient",
        (("y", (symbols.LABEL,)), ("u", loss.preactivation), ("v", loss.readout)),
        [loss.partial((i,)) for i in variables],
        "numba",
    )
    units = range(loss.units)
    lines = {
        "UNITS": str(loss.units),
        "VARIABLES": str(len(loss.variables)),
        "ZERO": "\n        ".join(f"u{a} = 0.0" for a in units),
        "ACCUMULATE": "\n            ".join(f"u{a} += x[{a}, i] * z" for a in units),
        "STORE": "\n        ".join(f"u[{a}] = u{a}" for a in units),
        "RATES": "\n        ".join(f"g{a} = delta * g[{a}]" for a in units),
        "UPDATE": "\n            ".join(f"x[{a}, i] = shrink * x[{a}, i] - g{a} * y[i]" for a in units),
    }
    text = _LOOP
    for name, body in lines.items():
        text = text.replace(f"@{name}@", body)
    return gradient + text


_LOOP = '''

@numba.njit(cache=True, nogil=True, error_model='numpy', fastmath={'reassoc', 'contract'})
def record(x, v, corner, overlap, gram_perp, readout):
    """Summary statistics of the weights: overlaps with the directions, Gram of the rest, readout."""
    r, d = corner.shape[1], x.shape[1]
    for a in range(x.shape[0]):
        for s in range(corner.shape[0]):
            overlap[a, s] = 0.0
            for i in range(r):
                overlap[a, s] += x[a, i] * corner[s, i]
        for b in range(a + 1):
            total = 0.0
            for i in range(r, d):
                total += x[a, i] * x[b, i]
            gram_perp[a, b] = total
            gram_perp[b, a] = total
    for i in range(v.size):
        readout[i] = v[i]


@numba.njit(cache=True, nogil=True, error_model='numpy', fastmath={'reassoc', 'contract'})
def advance(
    rng, cumulative, labels, means, scale, x, v, delta, beta, begin, end, record_steps, slot, corner,
    overlap, gram_perp, readout, limit, y,
):
    """Take the steps ``begin`` .. ``end`` in place, recording after the steps in ``record_steps``.

    Returns the number of steps taken (fewer if a pre-activation passed ``limit``) and the next record slot.
    """
    d = x.shape[1]
    shrink = 1.0 - delta * beta
    u = np.empty(@UNITS@)
    g = np.empty(@VARIABLES@)
    for step in range(begin, end + 1):
        if slot < record_steps.size and record_steps[slot] == step:
            record(x, v, corner, overlap[slot], gram_perp[slot], readout[slot])
            slot += 1
        if step == end:
            break
        draw = rng.random()
        l = 0
        while l < labels.size - 1 and draw >= cumulative[l]:
            l += 1
        @ZERO@
        for i in range(means.shape[1]):
            z = means[l, i] + scale * rng.standard_normal()
            y[i] = z
            @ACCUMULATE@
        for i in range(means.shape[1], d):
            z = scale * rng.standard_normal()
            y[i] = z
            @ACCUMULATE@
        @STORE@
        for a in range(@UNITS@):
            if not abs(u[a]) <= limit:
                return step, slot
        sample_gradient(labels[l], u, v, g)
        @RATES@
        for i in range(d):
            @UPDATE@
        for i in range(v.size):
            v[i] = shrink * v[i] - delta * g[@UNITS@ + i]
    return end, slot
'''

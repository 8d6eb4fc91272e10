"""Generated machine code for sums over nodes: integrands, deltas, steps and ramps; stencils."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

# of one delta; what it does not read is not computed
DELTA = """
            if density[e, l, {j}] > 0.0:
{reads}
                delta_{j}(labels[l], at, white, v[e], r_at, s_at, g)
                weight = weights[i] * density[e, l, {j}]
                m = 0
                for index in ({indices}):
                    out[e, l, index] += weight * g[m]
                    if sized:
                        sizes[e, l, index] += abs(weight * g[m]) * doubt[e, l, {j}]
                    m += 1
"""
# group of arguments -> the lines that fill it on the line of kink j
READS = {
    "u": """
                for a in range(units):
                    at[a] = u[a] - regression[e, {j}, a] * k[{j}]""",
    "w": """
                for a in range(units):
                    white[a] = whitened[e, i, a] - whitened_regression[e, {j}, a] * k[{j}]""",
    "r": """
                for j in range(kinks):
                    r_at[j] = max(k[j] - kink_regression[e, {j}, j] * k[{j}], 0.0)
                r_at[{j}] = 0.0""",
    "s": """
                for j in range(kinks):
                    s_at[j] = 1.0 if k[j] > kink_regression[e, {j}, j] * k[{j}] else 0.0
                s_at[{j}] = 0.0""",
}


def delta_sums(j: int, indices: Sequence[int], read: Iterable[str]) -> str:
    """Code that adds the delta of kink j to integrands, of the groups of arguments it reads."""
    lines = "".join(READS[group].format(j=j) for group in READS if group in read)
    return DELTA.format(j=j, indices=f"{', '.join(map(str, indices))},", reads=lines.strip("\n"))


SUMS = '''

@numba.njit(cache=True, nogil=True, error_model='numpy')
def sums(
    labels, means, shift, whitened, weights, v, forms, offsets, regression, kink_regression,
    whitened_regression, density, doubt, linear, control, reach, out, sizes, step, ramp, step_step,
    step_ramp, ramp_ramp,
):
    """Sums over nodes: integrands with their deltas, steps, ramps and their products.

    Unless ``sizes`` is empty, sizes[e, l, j] += E_l[|f_j| (1 + reach max_a |u_a|)]; that of a delta
    grows with the exponent of its density.
    """
    sized = sizes.size > 0
    units, kinks = shift.shape[2], offsets.shape[1]
    variables = kinks + linear.size
    u, at, white = np.empty(units), np.empty(units), np.empty(units)
    k, r, s = np.empty(kinks), np.empty(kinks), np.empty(kinks)
    r_at, s_at, q = np.empty(kinks), np.empty(kinks), np.empty(variables)
    f, g = np.empty(out.shape[2]), np.empty(out.shape[2])
    for e in range(means.shape[0]):
      for l in range(labels.size):
        for i in range(weights.size):
            for a in range(units):
                u[a] = means[e, l, a] + shift[e, i, a]
            for j in range(kinks):
                height = offsets[e, j]
                for a in range(units):
                    height += forms[e, j, a] * u[a]
                k[j] = height
                r[j] = max(height, 0.0)
                s[j] = 1.0 if height > 0.0 else 0.0
            integrand(labels[l], u, whitened[e, i], v[e], r, s, f)
            for j in range(f.size):
                out[e, l, j] += weights[i] * f[j]
            if sized:
                largest = 0.0
                for a in range(units):
                    largest = max(largest, abs(u[a]))
                for j in range(f.size):
                    sizes[e, l, j] += weights[i] * abs(f[j]) * (1.0 + reach * largest)
            if control:
                for j in range(kinks):
                    q[j] = r[j]
                for j in range(linear.size):
                    q[kinks + j] = u[linear[j]]
                for a in range(variables):
                    weighted = weights[i] * q[a]
                    ramp[e, l, a] += weighted
                    for b in range(variables):
                        ramp_ramp[e, l, a, b] += weighted * q[b]
                for a in range(kinks):
                    if s[a] > 0.0:
                        step[e, l, a] += weights[i]
                        for b in range(kinks):
                            step_step[e, l, a, b] += weights[i] * s[b]
                        for b in range(variables):
                            step_ramp[e, l, a, b] += weights[i] * q[b]
            @DELTAS@


@numba.njit(cache=True, nogil=True, error_model='numpy')
def stencil(labels, means, v, steps, ramps, linear, weights, out):
    """Weighted sums of the integrands at given steps and ramps, whitened pre-activations at 0."""
    kinks = steps.shape[1]
    u, w = np.empty(means.shape[2]), np.zeros(means.shape[2])
    r, s, f = np.empty(kinks), np.empty(kinks), np.empty(out.shape[2])
    for e in range(means.shape[0]):
        for l in range(labels.size):
            for a in range(u.size):
                u[a] = means[e, l, a]
            for m in range(steps.shape[0]):
                weight = weights[e, l, m]
                if weight == 0.0:
                    continue
                for j in range(kinks):
                    r[j], s[j] = ramps[e, l, m, j], steps[m, j]
                for j in range(linear.size):
                    u[linear[j]] = ramps[e, l, m, kinks + j]
                integrand(labels[l], u, w, v[e], r, s, f)
                for j in range(f.size):
                    out[e, l, j] += weight * f[j]
'''

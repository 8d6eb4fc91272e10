r"""Sums over nodes of what the equation for S needs, many nodes at a time.

For symmetric D and T = Sigma^-1,

.. math:: A=D\,(I+\Sigma D)^{-1}=T-TRT,\qquad R=(D+T)^{-1},

so that the sums of A and of A (x) A are those of R and R (x) R, and R is the inverse of a symmetric
matrix: a quarter of the operations of an elimination in I + Sigma D, and without pivoting, since
outside the support D + T is definite and inside its imaginary part is.  Nodes stand in lanes: every
operation is one on a block of them.
"""

from __future__ import annotations

import numba
import numpy as np

# nodes in a block
LANES = 64
# A diagonal entry that grows by more than this factor in the elimination tells of a small pivot.
# (Schur complements of a definite matrix shrink; where the imaginary part is definite they grow by
# less than 3.)
GROWTH = 10.0

_compiled = numba.njit(
    cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz"}
)


@_compiled
def complex_sums(weight, probability, re_t, im_t, at, squares):  # type: ignore[no-untyped-def]
    """E[R] and E[R (x) R] of packed R = (D + T)^-1, for every T, and where pivots were too small.

    Parameters
    ----------
    weight : array, shape (n, N)
        Packed D, n = k(k+1)/2 and N a multiple of LANES.
    probability : array, shape (N,)
    re_t, im_t : array, shape (Z, n)
        Packed T.
    at : int array, shape (k, k)
        Positions of packed entries.
    squares : bool
        Whether the second moments are asked for.
    """
    size, k, points = weight.shape[0], at.shape[0], re_t.shape[0]
    mean = np.zeros((points, size), dtype=np.complex128)
    second = np.zeros((points if squares else 0, size, size), dtype=np.complex128)
    lost = np.zeros(points, dtype=np.bool_)
    re, im = np.empty((size, LANES)), np.empty((size, LANES))
    row_re, row_im = np.empty((k, LANES)), np.empty((k, LANES))
    start, grown = np.empty((k, LANES)), np.empty(LANES)
    for begin in range(0, weight.shape[1], LANES):
        p = probability[begin : begin + LANES]
        for z in range(points):
            for i in range(size):
                d, x, y = weight[i], re_t[z, i], im_t[z, i]
                for l in range(LANES):
                    re[i, l] = d[begin + l] + x
                    im[i, l] = y
            for j in range(k):
                a = at[j, j]
                for l in range(LANES):
                    start[j, l] = re[a, l] ** 2 + im[a, l] ** 2
            for l in range(LANES):
                grown[l] = 0.0
            for j in range(k):
                _sweep(re, im, row_re, row_im, at, j)
                for m in range(j + 1, k):
                    a = at[m, m]
                    for l in range(LANES):
                        now = re[a, l] ** 2 + im[a, l] ** 2
                        # not a number counts as grown
                        grown[l] += 0.0 if now <= GROWTH**2 * start[m, l] else 1.0
            for l in range(LANES):
                if grown[l] > 0 and p[l] > 0:
                    lost[z] = True
            for i in range(size):
                x, y = 0.0, 0.0
                for l in range(LANES):
                    row_re[0, l], row_im[0, l] = p[l] * re[i, l], p[l] * im[i, l]
                    x += row_re[0, l]
                    y += row_im[0, l]
                mean[z, i] -= complex(x, y)
                if not squares:
                    continue
                for j in range(i, size):
                    x, y = 0.0, 0.0
                    for l in range(LANES):
                        x += row_re[0, l] * re[j, l] - row_im[0, l] * im[j, l]
                        y += row_re[0, l] * im[j, l] + row_im[0, l] * re[j, l]
                    second[z, i, j] += complex(x, y)
    for z in range(second.shape[0]):
        for i in range(size):
            for j in range(i):
                second[z, i, j] = second[z, j, i]
    return mean, second, lost


@_compiled
def _sweep(re, im, row_re, row_im, at, j):  # type: ignore[no-untyped-def]
    """One step of Gauss-Jordan elimination in place: after all k of them there is minus R."""
    k, a = at.shape[0], at[j, j]
    for l in range(LANES):
        size = re[a, l] ** 2 + im[a, l] ** 2
        row_re[j, l] = re[a, l] / size
        row_im[j, l] = -im[a, l] / size
    for i in range(k):
        if i == j:
            continue
        b = at[i, j]
        for l in range(LANES):
            row_re[i, l] = re[b, l] * row_re[j, l] - im[b, l] * row_im[j, l]
            row_im[i, l] = re[b, l] * row_im[j, l] + im[b, l] * row_re[j, l]
    for i in range(k):
        if i == j:
            continue
        for m in range(i, k):
            if m == j:
                continue
            b, c = at[i, m], at[m, j]
            for l in range(LANES):
                re[b, l] -= row_re[i, l] * re[c, l] - row_im[i, l] * im[c, l]
                im[b, l] -= row_re[i, l] * im[c, l] + row_im[i, l] * re[c, l]
    for i in range(k):
        b, sign = at[i, j], -1.0 if i == j else 1.0
        for l in range(LANES):
            re[b, l] = sign * row_re[i, l]
            im[b, l] = sign * row_im[i, l]


@_compiled
def real_sums(weight, probability, t, at, squares):  # type: ignore[no-untyped-def]
    """The same as :func:`complex_sums` for one real T."""
    size, k = weight.shape[0], at.shape[0]
    mean, lost = np.zeros(size), False
    second = np.zeros((size, size) if squares else (0, 0))
    values, row = np.empty((size, LANES)), np.empty((k, LANES))
    start, grown = np.empty((k, LANES)), np.empty(LANES)
    for begin in range(0, weight.shape[1], LANES):
        p = probability[begin : begin + LANES]
        for i in range(size):
            d, x = weight[i], t[i]
            for l in range(LANES):
                values[i, l] = d[begin + l] + x
        for j in range(k):
            for l in range(LANES):
                start[j, l] = abs(values[at[j, j], l])
        for l in range(LANES):
            grown[l] = 0.0
        for j in range(k):
            _real_sweep(values, row, at, j)
            for m in range(j + 1, k):
                a = at[m, m]
                for l in range(LANES):
                    grown[l] += 0.0 if abs(values[a, l]) <= GROWTH * start[m, l] else 1.0
        for l in range(LANES):
            if grown[l] > 0 and p[l] > 0:
                lost = True
        for i in range(size):
            x = 0.0
            for l in range(LANES):
                row[0, l] = p[l] * values[i, l]
                x += row[0, l]
            mean[i] -= x
            if not squares:
                continue
            for j in range(i, size):
                x = 0.0
                for l in range(LANES):
                    x += row[0, l] * values[j, l]
                second[i, j] += x
    for i in range(second.shape[0]):
        for j in range(i):
            second[i, j] = second[j, i]
    return mean, second, lost


@_compiled
def _real_sweep(values, row, at, j):  # type: ignore[no-untyped-def]
    k, a = at.shape[0], at[j, j]
    for l in range(LANES):
        row[j, l] = 1.0 / values[a, l]
    for i in range(k):
        if i == j:
            continue
        b = at[i, j]
        for l in range(LANES):
            row[i, l] = values[b, l] * row[j, l]
    for i in range(k):
        if i == j:
            continue
        for m in range(i, k):
            if m == j:
                continue
            b, c = at[i, m], at[m, j]
            for l in range(LANES):
                values[b, l] -= row[i, l] * values[c, l]
    for i in range(k):
        b, sign = at[i, j], -1.0 if i == j else 1.0
        for l in range(LANES):
            values[b, l] = sign * row[i, l]


@_compiled
def real_determinants(weight, t, at, out):  # type: ignore[no-untyped-def]
    """det(D + T) at every node, and whether pivots were too small, for one real T."""
    size, k, lost = weight.shape[0], at.shape[0], False
    values, row = np.empty((size, LANES)), np.empty((k, LANES))
    start, grown = np.empty((k, LANES)), np.empty(LANES)
    for begin in range(0, weight.shape[1], LANES):
        for i in range(size):
            d, x = weight[i], t[i]
            for l in range(LANES):
                values[i, l] = d[begin + l] + x
        for j in range(k):
            for l in range(LANES):
                start[j, l] = abs(values[at[j, j], l])
        for l in range(LANES):
            grown[l] = 0.0
            out[begin + l] = 1.0
        for j in range(k):
            a = at[j, j]
            for l in range(LANES):
                out[begin + l] *= values[a, l]
            _real_sweep(values, row, at, j)
            for m in range(j + 1, k):
                a = at[m, m]
                for l in range(LANES):
                    grown[l] += 0.0 if abs(values[a, l]) <= GROWTH * start[m, l] else 1.0
        for l in range(LANES):
            lost |= grown[l] > 0
    return lost


@_compiled
def rank_one_sums(size, forms, probability, re_s, im_s, squares):  # type: ignore[no-untyped-def]
    """E[A] and E[A (x) A] of D = size f f^T, for every Sigma: A = size / (1 + size f^T Sigma f) f
    f^T.

    Parameters
    ----------
    size, probability : array, shape (N,)
        N a multiple of LANES.
    forms : array, shape (n, N)
        Packed f f^T.
    re_s, im_s : array, shape (Z, n)
        Packed Sigma, its entries off the diagonal twice.
    squares : bool
        Whether the second moments are asked for.
    """
    n, points = forms.shape[0], re_s.shape[0]
    mean = np.zeros((points, n), dtype=np.complex128)
    second = np.zeros((points if squares else 0, n, n), dtype=np.complex128)
    re, im = np.empty(LANES), np.empty(LANES)
    re_row, im_row = np.empty(LANES), np.empty(LANES)
    for begin in range(0, size.size, LANES):
        d, p = size[begin : begin + LANES], probability[begin : begin + LANES]
        for z in range(points):
            for l in range(LANES):
                re[l] = 1.0
                im[l] = 0.0
            for i in range(n):
                f, x, y = forms[i], re_s[z, i], im_s[z, i]
                for l in range(LANES):
                    re[l] += d[l] * (x * f[begin + l])
                    im[l] += d[l] * (y * f[begin + l])
            for l in range(LANES):
                x, y = re[l], im[l]
                norm = d[l] / (x**2 + y**2)
                re[l], im[l] = x * norm, -y * norm
            for i in range(n):
                f, x, y = forms[i], 0.0, 0.0
                for l in range(LANES):
                    x += p[l] * re[l] * f[begin + l]
                    y += p[l] * im[l] * f[begin + l]
                mean[z, i] += complex(x, y)
            if not squares:
                continue
            for l in range(LANES):
                x, y = re[l], im[l]
                re[l], im[l] = p[l] * (x * x - y * y), 2 * p[l] * x * y
            for i in range(n):
                f = forms[i]
                for l in range(LANES):
                    re_row[l], im_row[l] = re[l] * f[begin + l], im[l] * f[begin + l]
                for j in range(i, n):
                    g, x, y = forms[j], 0.0, 0.0
                    for l in range(LANES):
                        x += re_row[l] * g[begin + l]
                        y += im_row[l] * g[begin + l]
                    second[z, i, j] += complex(x, y)
    for z in range(second.shape[0]):
        for i in range(n):
            for j in range(i):
                second[z, i, j] = second[z, j, i]
    return mean, second

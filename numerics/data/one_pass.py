"""One pass over data: Y V^T, the weights of the samples, and Y^T (...) while the rows are still in
the cache.

The loops are unrolled over blocks of rows and columns, so that every number read from memory enters
many products; the source is generated for that reason alone.  Two library products would read the
data twice, and are slow where V has few columns.  Rows are divided among a fixed number of parts,
whose sums are added in order: results do not depend on threads.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from types import ModuleType

import numpy as np

from numerics.core import codegen
from numerics.core.packed_symmetric import positions
from numerics.core.validation import Array, Floats

# rows and columns of V that an inner loop takes together: 24 accumulators fill the vector registers
ROWS, COLUMNS = 8, 3
# rows between the first and the second product: they stay in the cache
CHUNK = 32
# features fewer than this are passed over sooner than threads begin
FEW = 2**17
# numbers of a row that an inner loop sees: what is added to stays in the cache however large d is
TILE = 4096
PARTS = 8


def project(features: Floats, vectors: Array) -> Array:
    """Return V Y^T, shape (n, N), for vectors V of shape (n, d), in the precision of V."""
    rows = np.ascontiguousarray(vectors)
    out = np.empty((len(rows), len(features)), dtype=rows.dtype)
    kernels = _kernels()

    def run(part: slice) -> None:
        kernels.project(features[part], rows, out[:, part])

    _over_parts(run, _parts(len(features)), features.size)
    return out


def weighted_sum(
    features: Floats, weights: Array, vectors: Floats, blocks: int, rank_one: bool
) -> Array:
    r"""Return :math:`\sum_i (D_i\otimes Y_iY_i^T)V` as rows, reading every row of Y once.

    Parameters
    ----------
    features : array, shape (N, d)
        float32 or float64, C-contiguous.
    weights : array, shape (p, N)
        Upper triangles of D_i by rows, p = k (k + 1) / 2; or g_i with D_i = g_i g_i^T, p = k, where
        ``rank_one``.
    vectors : array, shape (k b, d)
        Row a b + c is the part of vector c in block row a.  Products are taken in its precision,
        and no lower one than that of the data.
    blocks : int
        k.
    rank_one : bool

    Returns
    -------
    array, shape (k b, d), float64
    """
    kernels = _kernels()
    rows = np.ascontiguousarray(vectors)
    parts = _parts(len(features))
    sums = np.zeros((len(parts), *rows.shape), dtype=rows.dtype)
    numbers = np.arange(len(parts))
    symmetric = positions(blocks)

    def run(part: int) -> None:
        at = parts[part]
        kernels.weighted_sum(
            features[at], weights[:, at], rows, sums[part], blocks, rank_one, symmetric
        )

    _over_parts(run, numbers, features.size)
    return np.asarray(sums.sum(axis=0, dtype=float))


def combine(features: Floats, coefficients: Array) -> Array:
    """Return C Y, shape (n, d), for coefficients C of shape (n, N)."""
    kernels = _kernels()
    parts = _parts(len(features))
    sums = np.zeros((len(parts), len(coefficients), features.shape[1]))

    def run(part: int) -> None:
        kernels.combine(features[parts[part]], coefficients[:, parts[part]], sums[part])

    _over_parts(run, np.arange(len(parts)), features.size)
    return np.asarray(sums.sum(axis=0))


def copy_single(features: Floats) -> Floats:
    """A float32 copy, made on all processors: most of its time goes into memory that is touched for
    the first time.
    """
    out = np.empty(features.shape, dtype=np.float32)

    def run(part: slice) -> None:
        out[part] = features[part]

    _over_parts(run, _parts(len(features)), features.size)
    return out


def row_blocks(total: int, size: int) -> Iterator[slice]:
    """Slices of at most ``size`` rows."""
    for start in range(0, total, size):
        yield slice(start, min(total, start + size))


def _parts(samples: int) -> list[slice]:
    """The fixed division of rows into parts of whole chunks."""
    chunks = -(-samples // CHUNK)
    size = -(-chunks // PARTS) * CHUNK
    return list(row_blocks(samples, max(size, CHUNK)))


def _over_parts(run, parts, numbers: int) -> None:  # type: ignore[no-untyped-def]
    """Call ``run`` for every part of so many numbers, on all processors where they are many."""
    if len(parts) == 1 or numbers < FEW:
        for part in parts:
            run(part)
    else:
        list(_pool().map(run, parts))


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=os.cpu_count(), thread_name_prefix="specalign-pass")


@lru_cache(maxsize=1)
def _kernels() -> ModuleType:
    source = ""
    for rows, columns in ((ROWS, COLUMNS), (ROWS, 1), (1, 1)):
        source += _project_block(rows, columns) + _combine_block(rows, columns)
    steps = (
        (COLUMNS, f"range(0, n - n % {COLUMNS}, {COLUMNS})"),
        (1, f"range(n - n % {COLUMNS}, n)"),
    )
    for name, arguments in (("project", "Y, V, u"), ("combine", "Y, u, out")):
        call = f"{arguments}, i, i - s, c, j0, j1"
        whole = "".join(
            f"                for c in {span}:\n                    {name}_{ROWS}_{c}({call})\n"
            for c, span in steps
        )
        source += _INNER + _OUTER.format(
            name=name,
            arguments=arguments,
            n="V" if name == "project" else "out",
            whole=whole,
            single=f"{name}_1_1({call})",
            rows=ROWS,
            tile=TILE,
        )
    return codegen.load_module(source + _PASS.replace("@CHUNK@", str(CHUNK)))


_HEAD = """
@numba.njit(
    cache=True, nogil=True, error_model='numpy', fastmath={'reassoc', 'contract', 'nsz'}@MORE@
)
"""
# what only these functions call needs no entrance from Python, which is part of the compilation
_INNER = _HEAD.replace("@MORE@", ", no_cpython_wrapper=True, no_cfunc_wrapper=True")
_HEAD = _HEAD.replace("@MORE@", "")


def _project_block(rows: int, columns: int) -> str:
    """Add Y[i : i + rows, j0 : j1] V[c : c + columns]^T to u."""
    cells = [(r, c) for r in range(rows) for c in range(columns)]
    lines = [f"def project_{rows}_{columns}(Y, V, u, i, at, c, j0, j1):"]
    lines += [f"    y{r} = Y[i + {r}, j0:j1]" for r in range(rows)]
    lines += [f"    v{c} = V[c + {c}, j0:j1]" for c in range(columns)]
    lines += [f"    a{r}{c} = V.dtype.type(0)" for r, c in cells]
    lines += ["    for j in range(j1 - j0):"]
    lines += [f"        a{r}{c} += y{r}[j] * v{c}[j]" for r, c in cells]
    lines += [f"    u[c + {c}, at + {r}] += a{r}{c}" for r, c in cells]
    return _INNER + "\n".join(lines) + "\n"


def _combine_block(rows: int, columns: int) -> str:
    """Add u[c : c + columns, at : at + rows] Y[i : i + rows, j0 : j1] to out."""
    lines = [f"def combine_{rows}_{columns}(Y, u, out, i, at, c, j0, j1):"]
    lines += [f"    y{r} = Y[i + {r}, j0:j1]" for r in range(rows)]
    lines += [f"    o{c} = out[c + {c}, j0:j1]" for c in range(columns)]
    lines += [f"    w{r}{c} = u[c + {c}, at + {r}]" for r in range(rows) for c in range(columns)]
    lines += ["    for j in range(j1 - j0):"]
    for c in range(columns):
        lines += [f"        o{c}[j] += " + " + ".join(f"w{r}{c} * y{r}[j]" for r in range(rows))]
    return _INNER + "\n".join(lines) + "\n"


_OUTER = '''def {name}_rows({arguments}, s, e):
    """Rows s .. e of Y; column 0 of u belongs to row s."""
    d = Y.shape[1]
    n = {n}.shape[0]
    for j0 in range(0, d, {tile}):
        j1 = min(d, j0 + {tile})
        for i in range(s, e - (e - s) % {rows}, {rows}):
{whole}        for i in range(e - (e - s) % {rows}, e):
            for c in range(n):
                {single}
'''

_PASS = (
    _HEAD
    + '''def project(Y, V, out):
    """V Y^T."""
    out[:] = 0
    for s in range(0, Y.shape[0], @CHUNK@):
        e = min(Y.shape[0], s + @CHUNK@)
        project_rows(Y, V, out[:, s:e], s, e)

'''
    + _HEAD
    + '''def combine(Y, u, out):
    """Add u Y to out."""
    for s in range(0, Y.shape[0], @CHUNK@):
        e = min(Y.shape[0], s + @CHUNK@)
        combine_rows(Y, u[:, s:e], out, s, e)

'''
    + _INNER
    + '''def weigh(u, D, k, rank_one, pairs, t):
    """Multiply the k numbers of every sample and vector by D."""
    size = u.shape[1]
    b = u.shape[0] // k
    for c in range(b):
        if rank_one:
            for i in range(size):
                t[0, i] = 0
            for a in range(k):
                for i in range(size):
                    t[0, i] += D[a, i] * u[a * b + c, i]
            for a in range(k):
                for i in range(size):
                    u[a * b + c, i] = D[a, i] * t[0, i]
        else:
            for a in range(k):
                for i in range(size):
                    t[a, i] = 0
                for o in range(k):
                    p = pairs[a, o]
                    for i in range(size):
                        t[a, i] += D[p, i] * u[o * b + c, i]
            for a in range(k):
                for i in range(size):
                    u[a * b + c, i] = t[a, i]

'''
    + _HEAD
    + '''def weighted_sum(Y, D, V, out, k, rank_one, pairs):
    """Add sum_i (D_i x Y_i Y_i^T) V to out."""
    u = np.empty((V.shape[0], @CHUNK@), V.dtype)
    t = np.empty((k, @CHUNK@), V.dtype)
    for s in range(0, Y.shape[0], @CHUNK@):
        e = min(Y.shape[0], s + @CHUNK@)
        size = e - s
        u[:] = 0
        # as a view, of which the functions are compiled for project and combine too
        part = u[:, :size]
        project_rows(Y, V, part, s, e)
        weigh(part, D[:, s:e], k, rank_one, pairs, t)
        combine_rows(Y, part, out, s, e)
'''
)

"""Integrands of compiled expressions: one generated function, summed over the nodes of a rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, cast

import numpy as np
import sympy as sp

from numerics.core import codegen
from numerics.core.validation import Array
from theory import Model, symbols

# entries of one chunk of array evaluation, a few megabytes: what is read again is still in a cache
CHUNK_ENTRIES = 2**20
# rows longer than this leave the cache of a processor before they are read again
CHUNK_NODES = 3 * 2**10


@dataclass(frozen=True)
class Fields:
    """The Gaussian pre-activations of every component at R states, each on the nodes of its own
    rule.

    Attributes
    ----------
    labels : array, shape (L,)
    means : array, shape (R, L, C)
    covariance : array, shape (R, C, C)
        Common to all components of a state.
    inverse : array, shape (R, C, C)
        Pseudo-inverse P of the Gram matrix Q; zero where no integrand needs it.
    shift, whitened : array, shape (R, N, C)
        u - E u and w = P (u - E u) at the nodes.
    weights : array, shape (N,)
        Sum 1.
    readout : array, shape (R, q)
    exact : bool
        Whether the nodes resolve the kinks, so that no control variates are needed.
    deltas : bool
        Whether what stands beside the deltas of kinks is met on the same nodes.
    """

    labels: Array
    means: Array
    covariance: Array
    inverse: Array
    shift: Array
    whitened: Array
    weights: Array
    readout: Array
    exact: bool = False
    deltas: bool = True


class Integrands(Protocol):
    """What :class:`numerics.expectations.compiled.CompiledExpressions` needs of its integrands."""

    source: str
    # entries of each kink: (integrand, coefficient of its delta)
    deltas: list[list[tuple[int, sp.Expr]]]

    def moments(self, fields: Fields, reach: float = 0.0, sizes: Array | None = None) -> Array:
        """E_l[f_j], shape (R, L, number of integrands)."""

    def values(self, u: Array, label: float | Array, v: Array, w: Array | None = None) -> Array:
        """f_j at given pre-activations of shape (C, N), shape (number of integrands, N)."""


class PlainIntegrands:
    """Integrands evaluated as they are, kinks included.

    Parameters
    ----------
    model : theory.Model
    integrands : sequence of sympy.Expr
        In y, u, w, v.
    target : {"numba", "numpy"}
    """

    def __init__(self, model: Model, integrands: Sequence[sp.Expr], target: str) -> None:
        s = model.symbols
        self.integrands = tuple(integrands)
        self.deltas: list[list[tuple[int, sp.Expr]]] = []
        self.arguments: codegen.Arguments = (
            ("y", (symbols.LABEL,)),
            ("u", s.fields),
            ("w", s.whitened),
            ("v", s.held),
        )
        self.source = codegen.generate_function(
            "integrand", self.arguments, self.integrands, target
        )
        self._sums: Callable[..., None] = self._array_sums
        if target == "numba":
            self.source += _SUMS
            self._sums = codegen.load_module(self.source).sums

    def moments(self, fields: Fields, reach: float = 0.0, sizes: Array | None = None) -> Array:
        """E_l[f_j]; ``sizes`` gains E_l[|f_j| (1 + reach max_a |u_a|)] where it is given."""
        out = np.zeros((*fields.means.shape[:2], len(self.integrands)))
        for e in range(out.shape[0]):
            self._sums(
                fields.labels,
                fields.means[e],
                fields.shift[e],
                fields.whitened[e],
                fields.weights,
                fields.readout[e],
                reach,
                out[e],
                NO_SIZES[0] if sizes is None else sizes[e],
            )
        return out

    def values(self, u: Array, label: float | Array, v: Array, w: Array | None = None) -> Array:
        """Evaluate with NumPy: the independent target of the same expressions."""
        out = np.empty((len(self.integrands), u.shape[1]))
        self._array_function(label, u, np.zeros_like(u) if w is None else w, v, out)
        return out

    @cached_property
    def _array_function(self) -> Callable[..., None]:
        source = codegen.generate_function("integrand", self.arguments, self.integrands, "numpy")
        return cast("Callable[..., None]", codegen.load_module(source).integrand)

    def _array_sums(
        self,
        labels: Array,
        means: Array,
        shift: Array,
        whitened: Array,
        weights: Array,
        v: Array,
        reach: float,
        out: Array,
        sizes: Array,
    ) -> None:
        """The NumPy twin of the generated ``sums``: same arguments, same sums."""
        for l, label in enumerate(labels):
            for part in chunks(weights.size, len(self.integrands)):
                u = (means[l] + shift[part]).T
                f = self.values(u, float(label), v, whitened[part].T)
                out[l] += f @ weights[part]
                if sizes.size:
                    sizes[l] += np.abs(f) @ (weights[part] * (1.0 + reach * np.abs(u).max(axis=0)))


def chunks(nodes: int, width: int) -> list[slice]:
    """Slices of the nodes such that arrays of ``width`` rows stay small."""
    step = max(1, min(CHUNK_NODES, CHUNK_ENTRIES // max(1, width)))
    return [slice(start, start + step) for start in range(0, nodes, step)]


# given where the sizes of the integrands are not asked for
NO_SIZES: Array = np.empty((1, 0, 0))

_SUMS = '''

@numba.njit(cache=True, nogil=True, error_model='numpy')
def sums(labels, means, shift, whitened, weights, v, reach, out, sizes):
    """out[l, j] += E_l[f_j]: component l has label labels[l] and u = means[l] + shift[i].

    Unless ``sizes`` is empty, sizes[l, j] += E_l[|f_j| (1 + reach max_a |u_a|)].
    """
    units = shift.shape[1]
    u = np.empty(units)
    f = np.empty(out.shape[1])
    for l in range(labels.size):
        for i in range(weights.size):
            for a in range(units):
                u[a] = means[l, a] + shift[i, a]
            integrand(labels[l], u, whitened[i], v, f)
            for j in range(f.size):
                out[l, j] += weights[i] * f[j]
            if sizes.size > 0:
                largest = 0.0
                for a in range(units):
                    largest = max(largest, abs(u[a]))
                for j in range(f.size):
                    sizes[l, j] += weights[i] * abs(f[j]) * (1.0 + reach * largest)
'''

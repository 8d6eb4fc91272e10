"""Sums over nodes, in lanes, of one group of weights: E[A] and E[A X A] at one or many S."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from numerics.core.packed_symmetric import Array, congruence, pack, positions, sandwich, unpack

from .lane_kernels import LANES, complex_sums, rank_one_sums, real_determinants, real_sums
from .node_weights import Full, NodeWeights, RankOne

# sums at so many single S are kept
REMEMBERED = 4


@dataclass(frozen=True)
class NodeSums:
    """The weights of one group with their probabilities.

    Attributes
    ----------
    weights : NodeWeights
        D.
    probability : array, shape (N,)
    careful : bool
        Take pivots at every node: slower, without cancellation where A is small beside Sigma^-1.
    """

    weights: NodeWeights
    probability: Array
    careful: bool = False

    def at(self, couplings: Array, squares: bool) -> tuple[Array, Array | None]:
        """E[A], packed, and the operators X -> E[A X A] on packed X if they are asked for.

        Parameters
        ----------
        couplings : array, shape (Z, k, k)
            Sigma, real or complex.
        squares : bool

        Returns
        -------
        mean : array, shape (Z, n)
        operators : array, shape (Z, n, n), or None

        Examples
        --------
        >>> from numerics.proportional.nodes.node_weights import node_weights
        >>> sums = NodeSums(node_weights(2 * np.eye(2)[None]), np.ones(1))
        >>> mean, operators = sums.at(0.5 * np.eye(2)[None], squares=True)
        >>> mean, np.diag(operators[0])
        (array([[1., 0., 1.]]), array([1., 1., 1.]))
        """
        if len(couplings) > 1:
            return self._at(couplings, squares)
        # slopes, radii and the next Newton step ask for the sums at one S again
        key = couplings.dtype.char, couplings.tobytes()
        found = self._last.get(key)
        if found is None or (squares and found[1] is None):
            found = self._at(couplings, squares)
            self._last[key] = found
            if len(self._last) > REMEMBERED:
                self._last.pop(next(iter(self._last)))
        return found if squares else (found[0], None)

    @cached_property
    def _last(self) -> dict[tuple[str, bytes], tuple[Array, Array | None]]:
        """What was found last, at one Sigma each."""
        return {}

    def _at(self, couplings: Array, squares: bool) -> tuple[Array, Array | None]:
        if isinstance(self.weights, RankOne):
            return self._rank_one(couplings, squares)
        mean, operators, lost = self._full(couplings, squares)
        lost |= self.careful
        for z in np.flatnonzero(lost):
            one, two = self._careful(couplings[z], squares)
            mean[z] = one
            if operators is not None and two is not None:
                operators[z] = two
        return mean, operators

    def determinants(self, coupling: Array) -> Array:
        """det(I + Sigma D) at every node, for one real Sigma."""
        if isinstance(self.weights, RankOne):
            return self.weights.determinants(coupling)
        try:
            t, at = np.linalg.inv(coupling), positions(len(coupling))
        except np.linalg.LinAlgError:
            return self.weights.determinants(coupling)
        out = np.empty(self._packed.shape[1])
        if real_determinants(self._packed, pack((t + t.T) / 2), at, out):
            return self.weights.determinants(coupling)
        return np.asarray(np.linalg.det(coupling) * out[: len(self.probability)])

    @cached_property
    def _padded(self) -> Array:
        """Probabilities, of a number of nodes that is a multiple of that of lanes."""
        return _pad(self.probability)

    @cached_property
    def _forms(self) -> tuple[Array, Array]:
        """Sizes, and packed f f^T, of weights of rank one."""
        assert isinstance(self.weights, RankOne)
        f = self.weights.direction
        return _pad(self.weights.size), _pad(pack(f[:, :, None] * f[:, None, :]).T)

    @cached_property
    def _packed(self) -> Array:
        assert isinstance(self.weights, Full)
        return _pad(pack(self.weights.matrix).T)

    def _rank_one(self, couplings: Array, squares: bool) -> tuple[Array, Array | None]:
        k = couplings.shape[-1]
        twice = pack(2 * np.ones((k, k)) - np.eye(k))
        s = pack(couplings) * twice
        size, forms = self._forms
        re, im = np.ascontiguousarray(s.real), np.ascontiguousarray(s.imag)
        mean, second = rank_one_sums(size, forms, self._padded, re, im, squares)
        if not np.iscomplexobj(couplings):
            mean, second = mean.real, second.real
        return mean, sandwich(second, k) if squares else None

    def _full(self, couplings: Array, squares: bool) -> tuple[Array, Array | None, Array]:
        r"""From R: E[A] = T - U, and E[A X A] = T X T - U X T - T X U + T E[R(TXT)R] T, where U = T
        E[R] T, and T stands for T times the sum of probabilities once a term.
        """
        k = couplings.shape[-1]
        n = k * (k + 1) // 2
        try:
            t = np.linalg.inv(couplings) if not self.careful else couplings[:0]
        except np.linalg.LinAlgError:
            t = couplings[:0]
        if not len(t):
            shape, kind = (len(couplings), n), couplings.dtype
            operators = np.zeros((*shape, n), dtype=kind) if squares else None
            return np.zeros(shape, dtype=kind), operators, np.ones(len(couplings), dtype=bool)
        t = (t + np.swapaxes(t, -1, -2)) / 2
        packed, at = pack(t), positions(k)
        if np.iscomplexobj(couplings):
            re, im = np.ascontiguousarray(packed.real), np.ascontiguousarray(packed.imag)
            r, rr, lost = complex_sums(self._packed, self._padded, re, im, at, squares)
        else:
            found = [real_sums(self._packed, self._padded, one, at, squares) for one in packed]
            r, rr, lost = (np.array([each[i] for each in found]) for i in range(3))
        total = self.probability.sum()
        u = pack(t @ unpack(r, k) @ t)
        mean = total * packed - u
        if not squares:
            return mean, None, lost
        own = congruence(t)
        cross = u[:, :, None] * packed[:, None, :]
        cross = sandwich(cross + np.swapaxes(cross, 1, 2), k)
        return mean, total * own - cross + own @ sandwich(rr, k) @ own, lost

    def _careful(self, coupling: Array, squares: bool) -> tuple[Array, Array | None]:
        """With pivots, node by node."""
        a = self.weights.propagate(coupling)
        probability = self.probability.astype(a.dtype)  # of one type, for BLAS
        mean = probability @ a
        if not squares:
            return mean, None
        return mean, sandwich((a * probability[:, None]).T @ a, coupling.shape[-1])


def _pad(values: Array) -> Array:
    """With zeros at the end of the last axis."""
    missing = -values.shape[-1] % LANES
    return np.ascontiguousarray(np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, missing)]))

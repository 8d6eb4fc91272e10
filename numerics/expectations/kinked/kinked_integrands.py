r"""Expectations of integrands with kinks: ramps and steps as variables of their own.

An integrand is a smooth function of the ramps :math:`q_j=\max(k_j,0)` (and of u), a polynomial in
the steps :math:`s_j=1\{k_j>0\}`, and linear in the deltas :math:`\delta(k_j)`, for kinks
:math:`k_j=A_j(v)u+c_j(v)`.  This serves twice:

* *Deltas.*  :math:`E[\delta(k_j)h(u)] = \varphi_j(0)\,E[h(u)\,|\,k_j=0]` with the density
  :math:`\varphi_j` of k_j, and :math:`u-\Sigma A_j^T k_j/\sigma_j^2` has the conditional
  law: the nodes serve for it as they are.
* *Control variates.*  Quasi-Monte Carlo is slow for jumps.  The part of the integrand that is of
  low degree in (s, q) has exact means (:mod:`numerics.expectations.kinked.ramp_moments`): its sum
  over the nodes is replaced by its expectation.  Any coefficients leave the rule unbiased; those
  used are difference quotients over one standard deviation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import cast

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from numerics.core import codegen
from numerics.core.validation import Array
from theory import Model, ReLU, Step, symbols
from theory.problem.kinks import split_deltas
from theory.problem.regularity.canonical_form import canonical

from ..smooth_integrands import NO_SIZES, Fields, chunks
from .control_variates import stencil_points, stencil_weights
from .factored import FactoredIntegrands
from .kink_forms import KinkForms
from .node_blocks import NodeBlock
from .node_sums import SUMS, delta_sums
from .ramp_moments import RampMoments, ramp_moments


class KinkedIntegrands:
    """Integrands of a loss whose kinks are affine in u.

    Parameters
    ----------
    model : theory.Model
        With ``loss.kink_forms``.
    integrands : sequence of sympy.Expr
        In y, u, w, v, with ReLU, Step and DiracDelta of the declared kinks.
    target : {"numba", "numpy"}
    control : bool
        Use control variates.
    """

    def __init__(
        self, model: Model, integrands: Sequence[sp.Expr], target: str, *, control: bool = True
    ) -> None:
        self.control = control
        self.forms = KinkForms(model)
        self.kinks = self.forms.kinks
        ramps = tuple(sp.Symbol(f"ramp_{j + 1}", real=True) for j in range(self.kinks))
        steps = tuple(sp.Symbol(f"step_{j + 1}", real=True) for j in range(self.kinks))
        names: dict[sp.Expr, sp.Expr] = {}
        for kink, ramp, step in zip(model.loss.kinks, ramps, steps, strict=True):
            names |= {ReLU(kink): ramp, Step(kink): step}

        def lower(e: sp.Expr) -> sp.Expr:
            # names of declared kinks first: few functions, if any, are left to be brought to
            # canonical form
            return canonical(e.xreplace(names), model.loss.kinks).xreplace(names)

        s = model.symbols
        self.arguments: codegen.Arguments = (
            ("y", (symbols.LABEL,)),
            ("u", s.fields),
            ("w", s.whitened),
            ("v", s.held),
            ("r", ramps),
            ("s", steps),
        )
        self.regular: list[sp.Expr] = []
        position = {kink: j for j, kink in enumerate(model.loss.kinks)}
        self.deltas: list[list[tuple[int, sp.Expr]]] = [[] for _ in position]
        for i, integrand in enumerate(integrands):
            regular, parts = split_deltas(integrand)
            self.regular.append(lower(regular))
            for kink, coefficient in parts.items():
                self.deltas[position[kink]].append((i, lower(coefficient)))
        used = set().union(*(e.free_symbols for e in self.regular)) if self.regular else set()
        # u that an integrand meets directly counts as a ramp that never bends
        self.linear = np.array([a for a, u in enumerate(s.fields) if u in used], dtype=np.int64)
        self._whitened = s.whitened
        self._target = target
        self.source = self._generate(target)
        self._sums: Callable[..., None] = self._array_sums
        self._stencil: Callable[..., None] = self._array_stencil
        if target == "numba":
            module = codegen.load_module(self.source)
            self._sums, self._stencil = module.sums, module.stencil

    def moments(self, fields: Fields, reach: float = 0.0, sizes: Array | None = None) -> Array:
        """E_l[f_j], shape (R, L, number of integrands); ``sizes`` gains E_l[|f_j| (1 + reach max_a
        |u_a|)] where it is given.
        """
        lead = fields.means.shape[:2]
        variables = self.kinks + self.linear.size
        control = self.control and not fields.exact
        out = np.zeros((*lead, len(self.regular)))
        sampled = RampMoments.zeros(lead, self.kinks, variables)
        forms, offsets = self.forms(fields.readout)
        across = np.ascontiguousarray(np.swapaxes(forms, 1, 2))
        kink_means = fields.means @ across + offsets[:, None]
        cross = forms @ fields.covariance
        kink_covariance = cross @ across
        variance = np.diagonal(kink_covariance, axis1=1, axis2=2)
        # a kink without noise is met with probability 0 or has no side: no delta either way; of a
        # subnormal variance there is no inverse
        noisy = variance >= np.finfo(float).tiny
        inverse = np.divide(1.0, variance, out=np.zeros_like(variance), where=noisy)
        regression = cross * inverse[:, :, None]
        with np.errstate(over="ignore"):  # beyond all numbers of deviations away: density 0
            exponent = kink_means**2 * inverse[:, None] / 2
            density = np.sqrt(inverse[:, None] / (2 * np.pi)) * np.exp(-exponent)
        if not fields.deltas:
            density = np.zeros_like(density)
        self._sums(
            fields.labels,
            fields.means,
            fields.shift,
            fields.whitened,
            fields.weights,
            fields.readout,
            forms,
            offsets,
            regression,
            regression @ across,
            regression @ fields.inverse,
            density,
            1.0 + 2.0 * exponent,
            self.linear,
            control,
            reach,
            out,
            NO_SIZES if sizes is None else sizes,
            sampled.step,
            sampled.ramp,
            sampled.step_step,
            sampled.step_ramp,
            sampled.ramp_ramp,
        )
        if not control:
            return out
        mean, covariance = kink_means, kink_covariance
        if self.linear.size:
            mean = np.concatenate([kink_means, fields.means[:, :, self.linear]], axis=2)
            beside = cross[:, :, self.linear]
            covariance = np.block(
                [
                    [kink_covariance, beside],
                    [
                        np.swapaxes(beside, 1, 2),
                        fields.covariance[:, self.linear][:, :, self.linear],
                    ],
                ]
            )
        exact = ramp_moments(mean, covariance[:, None], self.kinks)
        deviation = np.sqrt(np.clip(np.diagonal(covariance, axis1=1, axis2=2), 0.0, None))
        return out + self._correction(fields, exact, sampled, np.maximum(deviation, 1e-8))

    @cached_property
    def _stencil_points(self) -> tuple[Array, Array]:
        return stencil_points(self.kinks, self.kinks + self.linear.size)

    def _correction(
        self, fields: Fields, exact: RampMoments, sampled: RampMoments, spread: Array
    ) -> Array:
        """Expectation minus sum over the nodes of the low-degree part of every integrand."""
        steps, points = self._stencil_points
        weights = stencil_weights(exact, sampled, spread[:, None], len(steps))
        ramps = exact.ramp[:, :, None, :] + (points * spread[:, None])[:, None]
        out = np.zeros((*fields.means.shape[:2], len(self.regular)))
        self._stencil(
            fields.labels, fields.means, fields.readout, steps, ramps, self.linear, weights, out
        )
        return out

    def values(self, u: Array, label: float | Array, v: Array, w: Array | None = None) -> Array:
        """The functions among the integrands (deltas left out) at u of shape (C, N), by NumPy."""
        forms, offsets = self.forms(np.asarray(v, dtype=float)[None])
        k = forms[0] @ u + offsets[0][:, None]
        w = np.zeros_like(u) if w is None else w
        found = self._functions_at(0, label, u, w, v, np.maximum(k, 0.0), (k > 0) * 1.0)
        return self._factored[0].values(found, w)

    def beside_delta(
        self, kink: int, u: Array, label: float, v: Array, w: Array
    ) -> tuple[list[int], Array]:
        """The integrands that hold the delta of a kink, and what stands beside it at u (C, N) on
        the kink.
        """
        entries = self.deltas[kink]
        forms, offsets = self.forms(np.asarray(v, dtype=float)[None])
        k = forms[0] @ u + offsets[0][:, None]
        k[kink] = 0.0
        sides = np.maximum(k, 0.0), (k > 0) * 1.0
        found = self._functions_at(kink + 1, label, u, w, v, *sides)
        return [i for i, _ in entries], self._factored[kink + 1].values(found, w)

    @cached_property
    def _factored(self) -> list[FactoredIntegrands]:
        """The integrands, then the coefficients of every delta, as products."""
        coefficients = [[e for _, e in entries] for entries in self.deltas]
        return [FactoredIntegrands(e, self._whitened) for e in (self.regular, *coefficients)]

    @cached_property
    def _array_functions(self) -> list[Callable[..., None]]:
        """The functions in the integrands, then those in the coefficients of every delta."""
        source = self.source if self._target == "numpy" else self._functions("numpy")
        module = codegen.load_module(source)
        return [cast("Callable[..., None]", getattr(module, name)) for name in self._names]

    def _functions_at(self, which: int, label: float | Array, u: Array, *others: Array) -> Array:
        """Values of the functions in the integrands (0), or in the coefficients of a delta."""
        out = np.empty((len(self._factored[which].functions), u.shape[1]))
        self._array_functions[which](label, u, *others, out)
        return out

    @property
    def _names(self) -> list[str]:
        return ["integrand", *(f"delta_{j}" for j in range(self.kinks))]

    def _functions(self, target: str) -> str:
        if target == "numpy":
            wanted: list[Sequence[sp.Expr]] = [f.functions for f in self._factored]
        else:
            wanted = [self.regular, *([e for _, e in entries] for entries in self.deltas)]
        parts = [
            codegen.generate_function(name, self.arguments, expressions, target)
            for name, expressions in zip(self._names, wanted, strict=True)
        ]
        return "\n\n".join(parts)

    def _generate(self, target: str) -> str:
        source = self._functions(target)
        if target == "numpy":
            return source
        calls = []
        for j, entries in enumerate(self.deltas):
            if entries:
                used = codegen.symbols_in([e for _, e in entries])
                read = [name for name, group in self.arguments if used & set(group)]
                calls.append(delta_sums(j, [i for i, _ in entries], read))
        return source + SUMS.replace("@DELTAS@", "".join(calls) or "pass")

    def _array_sums(
        self,
        labels: Array,
        means: Array,
        shift: Array,
        whitened: Array,
        weights: Array,
        v: Array,
        forms: Array,
        offsets: Array,
        regression: Array,
        kink_regression: Array,
        whitened_regression: Array,
        density: Array,
        doubt: Array,
        linear: NDArray[np.int64],
        control: bool,
        reach: float,
        out: Array,
        sizes: Array,
        step: Array,
        ramp: Array,
        step_step: Array,
        step_ramp: Array,
        ramp_ramp: Array,
    ) -> None:
        """What the generated ``sums`` does, by NumPy: as many replicates and labels at once as a
        small array holds.
        """
        replicates, labelled, units = means.shape
        pairs = np.array(list(np.ndindex(replicates, labelled)))
        rows = sum(factored.rows for factored in self._factored)
        totals = out, step, ramp, step_step, step_ramp, ramp_ramp
        for part in chunks(weights.size, rows):
            w = weights[part]
            for group in chunks(len(pairs), rows * w.size):
                e, l = pairs[group].T
                laws = forms[e], offsets[e], regression[e], kink_regression[e]
                nodes = (means[e, l][:, None] + shift[e, part]).reshape(-1, units).T
                white = whitened[e, part].reshape(-1, units).T
                block = NodeBlock(labels[l], v[e], nodes, white, w, *laws, whitened_regression[e])
                measure = 1.0 + reach * np.abs(nodes).max(axis=0) if sizes.size else None
                sums, size = self._block_sums(block, linear, measure)
                for total, found in zip(totals, sums, strict=True):
                    total[e, l] += found
                if size is not None:
                    sizes[e, l] += size
                for j, indices, found, white in self._beside_deltas(block, density[e, l]):
                    # a kink that is never met: nothing, whatever stands beside its delta
                    met = density[e, l, j][:, None]
                    at = e[:, None], l[:, None], np.array(indices)[None]
                    factored = self._factored[j + 1]
                    out[at] += np.where(met > 0, met * factored.sums(found, white, w), 0.0)
                    if sizes.size:
                        unsure = met * doubt[e, l, j][:, None]
                        added = unsure * block.sums(np.abs(factored.values(found, white)))
                        sizes[at] += np.where(met > 0, added, 0.0)

    def _block_sums(
        self, block: NodeBlock, linear: NDArray[np.int64], measure: Array | None
    ) -> tuple[tuple[Array, ...], Array | None]:
        """Sums of the integrands and of the moments of steps and ramps; of |f| measure."""
        k = block.kinks
        r, s = np.maximum(k, 0.0), np.asarray(k > 0, dtype=float)
        f = self._functions_at(0, block.label, block.u, block.white, block.readout, r, s)
        factored = self._factored[0]
        q: Array = np.concatenate([r, block.u[linear]])
        on, ramps, w = block.apart(s), block.apart(q), block.weights
        weighted = on * w
        sums = (
            factored.sums(f, block.white, w),
            block.sums(s),
            block.sums(q),
            weighted @ on.swapaxes(1, 2),
            weighted @ ramps.swapaxes(1, 2),
            (ramps * w) @ ramps.swapaxes(1, 2),
        )
        if measure is None:
            return sums, None
        return sums, block.sums(np.abs(factored.values(f, block.white)) * measure)

    def _beside_deltas(
        self, block: NodeBlock, density: Array
    ) -> Iterator[tuple[int, list[int], Array, Array]]:
        """For every kink that is met the integrands that hold its delta, the functions beside it
        at every node, and the whitened pre-activations there.
        """
        for j, entries in enumerate(self.deltas):
            if not entries or not np.any(density[:, j] > 0):
                continue
            k = block.kinks
            at = block.u - block.over(block.regression[:, j].T) * k[j]
            k_at = k - block.over(block.kink_regression[:, j].T) * k[j]
            k_at[j] = 0.0
            white = block.white - block.over(block.whitened_regression[:, j].T) * k[j]
            sides = np.maximum(k_at, 0.0), (k_at > 0) * 1.0
            found = self._functions_at(j + 1, block.label, at, white, block.readout, *sides)
            yield j, [i for i, _ in entries], found, white

    def _array_stencil(
        self,
        labels: Array,
        means: Array,
        v: Array,
        steps: Array,
        ramps: Array,
        linear: NDArray[np.int64],
        weights: Array,
        out: Array,
    ) -> None:
        """What the generated ``stencil`` does, by NumPy."""
        for x in np.ndindex(means.shape[:2]):
            u = np.tile(means[x][:, None], (1, len(steps)))
            u[linear] = ramps[x][:, self.kinks :].T
            r = np.ascontiguousarray(ramps[x][:, : self.kinks].T)
            on = np.ascontiguousarray(steps.T)
            white = np.zeros_like(u)
            f = self._functions_at(0, float(labels[x[1]]), u, white, v[x[0]], r, on)
            out[x] += self._factored[0].sums(f, white, weights[x])[0]

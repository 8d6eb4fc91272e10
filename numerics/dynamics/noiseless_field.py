"""The noiseless drift of a loss with kinks, with the shares of active samples as arguments."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import sympy as sp

from numerics.core import codegen
from numerics.core.flatten import outer_symbols, outer_values, unflatten
from numerics.core.parameters import Parameters
from numerics.core.validation import Array
from theory import InputError, Model, Step, derive_drift, noiseless

ACTIVE, SLIDING, INACTIVE = 1, 0, -1


class NoiselessField:
    """The noiseless drift with its steps as arguments."""

    def __init__(self, model: Model) -> None:
        self.model = model
        expressions = noiseless(derive_drift(model)).vector
        steps = sorted({s for e in expressions for s in e.atoms(Step)}, key=sp.default_sort_key)
        surfaces: list[sp.Expr] = []
        share: dict[sp.Expr, sp.Expr] = {}
        gates: list[sp.Symbol] = []
        for step in steps:
            k = sp.expand(step.args[0])
            if sp.expand(-k) in surfaces:
                share[step] = 1 - gates[surfaces.index(sp.expand(-k))]
                continue
            surfaces.append(k)
            gates.append(sp.Symbol(f"theta_{len(surfaces)}", real=True))
            share[step] = gates[-1]
        self.surfaces = tuple(surfaces)
        state = model.symbols.state
        slopes = (
            sp.Matrix([[k.diff(s) for s in state] for k in surfaces])
            if surfaces
            else sp.zeros(0, len(state))
        )
        beside = set(model.loss.beside)
        if not all(e.is_number for e in slopes) or any(k.free_symbols & beside for k in surfaces):
            raise InputError(
                "model",
                model.name,
                "kinks that are affine in the pre-activations",
                "the noiseless flow of other kinks is not implemented; use a large finite "
                "precision",
            )
        self.slopes = np.array(slopes.tolist(), dtype=float).reshape(len(surfaces), len(state))
        origin = dict.fromkeys(state, sp.Integer(0))
        self.offsets = np.array([float(k.xreplace(origin)) for k in surfaces])
        lowered = [e.xreplace(share) for e in expressions]
        source = codegen.generate_function(
            "field", (("outer", outer_symbols(model)), ("gates", tuple(gates))), lowered, "numba"
        )
        self._function: Callable[[Array, Array, Array], None] = codegen.load_module(source).field

    def heights(self, vector: Array) -> Array:
        """k(m S_l) of every surface."""
        return self.slopes @ vector + self.offsets

    def evaluate(self, parameters: Parameters, vector: Array, gates: Array) -> Array:
        overlap, gram_perp, readout = unflatten(vector, self.model)
        gram = gram_perp + overlap @ np.linalg.inv(parameters.directions_gram) @ overlap.T
        nothing = np.zeros((self.model.symbols.gram_inverse.cols,) * 2)
        parts = (x[None] for x in (overlap, gram_perp, readout, gram, nothing))
        outer = outer_values(parameters, *parts)[0]
        out = np.empty(vector.size)
        self._function(outer, gates, out)
        return out

    def rates(self, parameters: Parameters, vector: Array, gates: Array) -> Array:
        """d k / d t of every surface."""
        return self.slopes @ self.evaluate(parameters, vector, gates)

    def sliding_gates(self, parameters: Parameters, vector: Array, mode: Array) -> Array:
        """Gates of a mode: 1 and 0 off the surfaces; on them the shares that keep every k at 0."""
        gates = (mode == ACTIVE).astype(float)
        on = np.flatnonzero(mode == SLIDING)
        if not on.size:
            return gates
        # the drift is affine in the gates: no product of two steps survives without noise
        gates[on] = 0.0
        base = self.rates(parameters, vector, gates)[on]
        matrix = np.empty((on.size, on.size))
        for column, k in enumerate(on):
            gates[k] = 1.0
            matrix[:, column] = self.rates(parameters, vector, gates)[on] - base
            gates[k] = 0.0
        # equations of one scale: a unit with a small readout has small pushes, and its own share
        # all the same
        scale = np.abs(matrix).max(axis=1)
        scale[scale == 0] = 1.0
        gates[on] = np.linalg.lstsq(matrix / scale[:, None], -base / scale, rcond=None)[0]
        return gates

    def project(self, vector: Array, mode: Array) -> Array:
        """The nearest state on the surfaces along which a mode slides."""
        on = mode == SLIDING
        projected: Array = vector - np.linalg.pinv(self.slopes[on]) @ self.heights(vector)[on]
        return projected


@lru_cache(maxsize=16)
def noiseless_field(model: Model) -> NoiselessField:
    """The field of a model, compiled once."""
    return NoiselessField(model)

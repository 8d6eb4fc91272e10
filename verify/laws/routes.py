"""The law of the two routes to every moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sympy as sp

from theory import (
    BlockMatrix,
    Model,
    derive_drift,
    derive_gradient,
    derive_gradient_matrix,
    derive_hessian,
)
from theory.expectations.moments import ROUTES
from verify.verdict.tolerance import Comparison

from .entry_names import expression_names, pairs, weight_names
from .frames import dense, frame_of
from .judged_formulas import block_expressions
from .law import ROUNDING, Array, Law, LawCase, compare, flat_kinks, is_sampled, resolution_of


def moment_routes(case: LawCase) -> list[Comparison]:
    """Stein against projection, for everything both serve."""
    model = case.model
    derived: dict[str, Callable[[Model, str], Any]] = {
        "gradient": derive_gradient,
        "drift": derive_drift,
    }
    if model.loss.is_smooth:
        derived |= {"Hessian": derive_hessian, "G": derive_gradient_matrix}
    own: dict[str, Any] = {
        "gradient": case.formulas.gradient,
        "drift": case.formulas.drift,
        "Hessian": case.formulas.hessian,
        "G": case.formulas.gradient_matrix,
    }
    frame = frame_of(case)
    assemble = dense(model, frame.sizes)

    def matrix(numbers: Array) -> Array:
        return assemble(numbers, frame.generators)

    found = []
    for name, derive in derived.items():
        other = next(route for route in ROUTES if route != own[name].route)
        # coefficients on nearly parallel weights are large and cancel: of scrambled nodes only the
        # matrix itself has a useful error
        whole = is_sampled(model) and isinstance(own[name], BlockMatrix)
        read, names = None, expression_names(own[name], model)
        if whole:
            read, names = matrix, pairs(weight_names(model, frame.dimension))
        left = case.resolved(_entries(own[name]), read)
        right = case.resolved(_entries(derive(model, other)), read)
        (a, ea), (b, eb) = (
            (n.values, n.errors) if n.samples is None else n.read(read) for n in (left, right)
        )
        scale = max(float(np.abs(a).max()), 1e-3)
        found.append(
            compare(
                f"{name}: {own[name].route} against {other}",
                a,
                b,
                [(ea + eb, "quadrature of both routes (T2)"), (ROUNDING * scale, "rounding (T1)")],
                resolution=resolution_of(left, right),
                scale=scale,
                names=names,
            )
        )
    return found


def _entries(derived: Any) -> Sequence[sp.Expr]:
    """All expressions of a derived object, contracted where the object is."""
    blocks = isinstance(derived, BlockMatrix)
    return block_expressions(derived) if blocks else tuple(derived.expressions())


LAWS = (
    Law(
        "moment_routes",
        "Stein's lemma and projection give the same moments.",
        r"\lambda^{-1}E_l[\partial_c f] = E_l[f\,w_c],\quad w = Q^+(u - E u)",
        "mathematics.md section 2",
        "quadrature of both routes (T2) and rounding (T1)",
        moment_routes,
        flat_kinks,
    ),
)

"""Which separated fixed points of the XOR network exist at a ridge."""

from __future__ import annotations

from collections.abc import Mapping

import sympy as sp

from theory.errors import InputError
from theory.keywords import with_known_keywords
from theory.names import COORDINATES, LABELS
from theory.problem.covariance.bands import refuse_bands
from theory.problem.exact_numbers import exact
from theory.problem.model import Model, check_plain
from theory.problem.relu_step import ReLU
from theory.problem.xor import xor

IDLE = "0"


@with_known_keywords
def existing_clusters(
    model: Model, values: Mapping[sp.Symbol, object] | None = None
) -> tuple[int, ...]:
    r"""Return the 0-based clusters that some fixed point separates: those with :math:`\beta<p_l/2`.

    Empty when only the zero fixed point exists.

    Raises
    ------
    InputError
        Another model, a weight or ridge without a number, or no ridge.

    Examples
    --------
    >>> existing_clusters(xor(4, weights=["1/4"] * 4, ridge="1/20"))
    (0, 1, 2, 3)
    >>> existing_clusters(xor(4, weights=["1/4"] * 4, ridge="1/8"))
    ()
    """
    _check_model(model)
    numbers = _numbers(model, values)
    beta = _ridge(model, numbers)
    margins = [p.xreplace(numbers) - 2 * beta for p in model.mixture.weights]
    if not all(x.is_number for x in margins):
        raise InputError(
            "values",
            "a model with symbolic weights or ridge",
            "numbers for the weights and the ridge",
            "give them as values",
        )
    return tuple(l for l, margin in enumerate(margins) if margin > 0)


def _check_model(model: Model) -> None:
    """Refuse anything but the ReLU network on the orthonormal XOR mixture."""
    refuse_bands(model.mixture, "a fixed point in closed form")
    check_plain(model, "separated fixed points")
    same = (
        model.mixture.coordinates == sp.ImmutableDenseMatrix(COORDINATES)
        and tuple(model.mixture.labels) == LABELS
        and model.mixture.directions_gram == sp.eye(2)
        and model.loss.readout_size == model.units
        and model.loss.expression == xor(model.units).loss.expression
        and model.loss.expression.has(ReLU)
    )
    if not same:
        raise InputError(
            "model",
            model.name,
            "sa.xor(K) with ReLU units and orthonormal directions",
            "use sa.solve_fixed_point for another model",
        )


def _numbers(model: Model, values: Mapping[sp.Symbol, object] | None) -> dict[sp.Symbol, sp.Expr]:
    numbers = {s: exact(str(s), x) for s, x in (values or {}).items()}
    known = frozenset().union(*(e.free_symbols for e in (*model.mixture.weights, model.ridge)))
    unknown = sorted(map(str, set(numbers) - known))
    if unknown:
        raise InputError(
            "values",
            unknown,
            f"the open symbols of weights and ridge, {sorted(map(str, known))}",
            "leave the others out",
        )
    model.substitute(numbers)
    return numbers


def _ridge(model: Model, numbers: Mapping[sp.Symbol, sp.Expr]) -> sp.Expr:
    """The ridge, refused at 0."""
    beta = model.ridge.xreplace(dict(numbers))
    if beta.is_number and not beta > 0:
        raise InputError(
            "ridge", beta, "a number > 0", "without a ridge the readouts grow without bound"
        )
    return beta

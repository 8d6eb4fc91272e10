"""Strategies for parameters, states and exact values of a model."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import sympy as sp
from hypothesis import strategies as st

from numerics import Parameters, State
from numerics.core.validation import as_integer
from theory import InputError, Model
from verify.laws.law import check_is_model
from verify.random_points.floating import (
    CubePoint,
    Domain,
    check_open_parameters,
    check_range,
    parameters_at,
    point_shapes,
    rational_values,
    state_at,
)

from .matrix_strategies import coordinates, refusing


def _point(model: Model) -> st.SearchStrategy[CubePoint]:
    return st.fixed_dictionaries(
        {name: coordinates(size) for name, size in point_shapes(model).items()}
    )


@lru_cache(maxsize=None)
def _hundredths(low: float, high: float) -> tuple[sp.Rational, ...]:
    """Hundredths of a range, those of small denominators first, 0 and 1 before all others."""
    exact = [sp.Rational(n, 100) for n in range(round(100 * low), round(100 * high) + 1)]
    return tuple(sorted(exact, key=lambda x: (x.q, abs(x.p), x.p < 0)))


@refusing
def parameters(model: Model, domain: Domain | None = None) -> st.SearchStrategy[Parameters]:
    """Admissible :class:`numerics.Parameters` of a model; what the model fixes to a number stays.

    Parameters
    ----------
    model : theory.Model
    domain : verify.Domain, optional
        Bounds and ranges.

    Returns
    -------
    strategy of numerics.Parameters
        Every open weight is at least ``least_weight`` of an equal one; the condition number of
        Gamma, where it is open, is at most ``condition``.

    Raises
    ------
    hypothesis.errors.InvalidArgument
        No Model, or one whose open parameters are not the canonical symbols.

    Examples
    --------
    >>> from hypothesis import find
    >>> from theory import kgmm
    >>> found = find(parameters(kgmm(2, ridge=0)), lambda numbers: True)
    >>> found.weights.tolist(), found.precision, found.ridge
    ([0.5, 0.5], 10.0, 0.0)
    """
    return problems(model, domain).map(lambda pair: pair[0])


@refusing
def states(
    model: Model, domain: Domain | None = None, *, singular: bool = False
) -> st.SearchStrategy[State]:
    """Admissible :class:`numerics.State` of a model.

    Parameters
    ----------
    model : theory.Model
    domain : verify.Domain, optional
        Bounds and ranges.
    singular : bool
        As in :func:`problems`.

    Returns
    -------
    strategy of numerics.State
        The condition number of R_perp is at most ``condition``; that of the part that is not 0, if
        ``singular``.

    Raises
    ------
    hypothesis.errors.InvalidArgument
        As :func:`parameters`.

    Examples
    --------
    >>> from hypothesis import find
    >>> from theory import kgmm
    >>> find(states(kgmm(2)), lambda state: True).gram_perp.tolist()
    [[0.5, 0.0], [0.0, 0.5]]
    """
    return problems(model, domain, singular=singular).map(lambda pair: pair[1])


@refusing
def problems(
    model: Model, domain: Domain | None = None, *, singular: bool = False
) -> st.SearchStrategy[tuple[Parameters, State]]:
    r"""Parameters and a state of a model.

    With :math:`\kappa` the ``condition`` of the domain, o its ``overlap`` and p its
    ``perpendicular``, the condition numbers of :math:`\Gamma` and :math:`R_\perp` are at most
    :math:`\kappa`, and (unless ``singular``)

    .. math:: \operatorname{cond} Q \le \kappa\left(1 + C\,r\,o^2/p\right),\qquad
        Q = R_\perp + m\,\Gamma^{-1}m^T .

    Both presume that :math:`\Gamma` is open; one that the model fixes stays as it is.

    Parameters
    ----------
    model : theory.Model
    domain : verify.Domain, optional
        Bounds and ranges.
    singular : bool
        R_perp of any rank from 0 to C, its other part well conditioned; positive definite when
        False.

    Returns
    -------
    strategy of (numerics.Parameters, numerics.State)

    Raises
    ------
    hypothesis.errors.InvalidArgument
        As :func:`parameters`.

    Examples
    --------
    >>> from hypothesis import find
    >>> from theory import kgmm
    >>> numbers, state = find(problems(kgmm(2)), lambda problem: True)
    >>> numbers.directions_gram.tolist(), state.overlap.tolist()
    ([[1.0, 0.0], [0.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]])
    """
    check_open_parameters(check_is_model(model))
    space = _domain(domain)
    ranks = st.integers(0, model.units) if singular else st.none()
    return st.tuples(_point(model), ranks).map(
        lambda drawn: (
            parameters_at(model, drawn[0], space),
            state_at(model, drawn[0], space, drawn[1]),
        )
    )


@refusing
def rational_parameters(
    model: Model,
    *,
    precision: int | None = None,
    scale: int = 1,
    least: float = 1 / 3,
    ridge: tuple[float, float] = (0.05, 0.5),
) -> st.SearchStrategy[dict[sp.Symbol, sp.Expr]]:
    r"""Exact values for every symbol of a model: parameters, state, and consistent Q and P = Q^-1,
    in hundredths.

    With s the ``scale``, and where :math:`\Gamma` is open,

    .. math:: 1 \le \Gamma \le 1 + 0.16\,r^2,\quad s^2/4 \le R_\perp \le s^2(1 + C^2)/4,\quad
        |m_{as}| \le 0.6\,s,\quad \operatorname{cond} Q \le 1 + C^2 + 1.44\,r\,C .

    Parameters
    ----------
    model : theory.Model
    precision : int, optional
        lambda; an integer from 1 to 100 when omitted.
    scale : int
        >= 1.
    least : float
        Every open weight is at least this share, in (0, 1], of an equal one.
    ridge : (low, high)
        Range of beta.

    Returns
    -------
    strategy of dict Symbol -> Rational
        What the model fixes to a number is no symbol.

    Raises
    ------
    hypothesis.errors.InvalidArgument
        No Model, one whose open parameters are not the canonical symbols, or a bound out of its
        domain.

    Examples
    --------
    >>> from hypothesis import find
    >>> from theory import kgmm
    >>> values = find(rational_parameters(kgmm(2)), lambda values: True)
    >>> model = kgmm(2)
    >>> [values[symbol] for symbol in (*model.mixture.weights, model.symbols.gram_perp[0, 0])]
    [1/2, 1/2, 1/4]
    """
    check_open_parameters(check_is_model(model))
    size = as_integer("scale", scale, 1, "give the size of the weights")
    fixed = None if precision is None else as_integer("precision", precision, 1, "give lambda")
    share = Domain(least_weight=least).least_weight
    ends = check_range("ridge", ridge, False)

    @st.composite
    def draw_values(draw: st.DrawFn) -> dict[sp.Symbol, sp.Expr]:
        def number(low: float, high: float) -> sp.Expr:
            return draw(st.sampled_from(_hundredths(low, high)))

        given_precision = draw(st.integers(1, 100)) if fixed is None else fixed
        return rational_values(
            model, number, precision=given_precision, scale=size, least_weight=share, ridge=ends
        )

    return draw_values()


def _domain(domain: Any) -> Domain:
    if domain is None:
        return Domain()
    if not isinstance(domain, Domain):
        remedy = "build one: Domain(precision=(1, 10))"
        raise InputError("domain", type(domain).__name__, "an sa.Domain", remedy)
    return domain

"""Hypothesis strategies for mixtures, parameters, states and small models, well-conditioned by construction.

For the tests of any project that uses :mod:`theory` or :mod:`numerics`; needs hypothesis
(``pip install 'specalign[hypothesis]'``), which nothing else of the package does.  Every strategy shrinks towards the
simplest case: equal weights, the identity as Gram matrix, overlaps 0, the middle of every range.  Nothing is filtered.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np
import sympy as sp
from numpy.typing import NDArray

try:
    from hypothesis import strategies as st
    from hypothesis.errors import InvalidArgument
except ImportError as error:
    raise ImportError(
        "verify.strategies needs hypothesis, which is not installed: pip install 'specalign[hypothesis]'"
    ) from error

from numerics import Parameters, State
from numerics.state import as_integer, as_scalar
from theory import InputError, Loss, Mixture, Model, Softplus, kgmm, symbols, xor
from theory.errors import check_choice

from .admissible import (
    Domain,
    Point,
    check_open_parameters,
    check_range,
    gram_at,
    gram_coordinates,
    log_uniform,
    parameters_at,
    point_shapes,
    rational_values,
    state_at,
    weights_at,
)
from .laws import check_is_model

Array = NDArray[np.float64]
P = ParamSpec("P")
T = TypeVar("T")

__all__ = [
    "gram_matrices", "mixtures", "models", "parameters", "precisions", "problems", "rational_parameters", "states",
    "weights",
]


def _refusing(strategy: Callable[P, st.SearchStrategy[T]]) -> Callable[P, st.SearchStrategy[T]]:
    """Bad arguments are refused where the strategy is made, as hypothesis refuses those of its own."""

    @wraps(strategy)
    def checked(*args: P.args, **kwargs: P.kwargs) -> st.SearchStrategy[T]:
        try:
            return strategy(*args, **kwargs)
        except InputError as error:
            raise InvalidArgument(str(error)) from error

    return checked


def _coordinates(size: int) -> st.SearchStrategy[Array]:
    """Points of the cube [-1, 1]^size; the simplest is 0."""
    # thousandths: what shrinks is short, and no coordinate is a denormal number
    one = st.integers(-1000, 1000).map(lambda n: n / 1000)
    return st.lists(one, min_size=size, max_size=size).map(lambda values: np.array(values, dtype=float))


def _point(model: Model) -> st.SearchStrategy[Point]:
    return st.fixed_dictionaries({name: _coordinates(size) for name, size in point_shapes(model).items()})


@_refusing
def weights(components: int, *, least: float = 0.3) -> st.SearchStrategy[Array]:
    """Component weights of sum 1, each at least ``least`` / n.

    Parameters
    ----------
    components : int
        n >= 1.
    least : float
        In (0, 1]; 1 makes them equal.

    Raises
    ------
    hypothesis.errors.InvalidArgument
        n < 1, or a bound out of its domain.
    """
    n = as_integer("components", components, 1, "a mixture has a component")
    bound = Domain(least_weight=least).least_weight
    return _coordinates(n).map(lambda t: weights_at(t, bound))


@_refusing
def gram_matrices(size: int, *, condition: float = 10.0, scale: float = 1.0) -> st.SearchStrategy[Array]:
    """Symmetric positive definite matrices with a bounded condition number.

    Parameters
    ----------
    size : int
        n >= 1.
    condition : float
        Bound >= 1; eigenvalues lie in ``scale`` * [condition^-1/2, condition^1/2].
    scale : float
        > 0.

    Returns
    -------
    strategy of arrays, shape (n, n)
    """
    n = as_integer("size", size, 1, "a Gram matrix has a row")
    bound = Domain(condition=condition).condition
    factor = as_scalar("scale", scale, 0.0, True, "give the size of the eigenvalues")
    return _coordinates(gram_coordinates(n)).map(lambda t: factor * gram_at(t, n, bound))


@_refusing
def precisions(low: float = 1.0, high: float = 100.0) -> st.SearchStrategy[float]:
    """Log-uniform precisions lambda in [low, high], 0 < low <= high; the simplest is the geometric mean."""
    ends = check_range("precision", (low, high), True)
    return _coordinates(1).map(lambda t: log_uniform(float(t[0]), ends))


@_refusing
def parameters(model: Model, domain: Domain | None = None) -> st.SearchStrategy[Parameters]:
    """Admissible :class:`numerics.Parameters` of a model; what the model fixes to a number stays.

    Parameters
    ----------
    model : theory.Model
    domain : verify.Domain, optional
        Bounds and ranges.

    Raises
    ------
    hypothesis.errors.InvalidArgument
        No Model, or one whose open parameters are not the canonical symbols.
    """
    return problems(model, domain).map(lambda pair: pair[0])


@_refusing
def states(model: Model, domain: Domain | None = None, *, singular: bool = False) -> st.SearchStrategy[State]:
    """Admissible :class:`numerics.State` of a model; arguments as :func:`problems`."""
    return problems(model, domain, singular=singular).map(lambda pair: pair[1])


@_refusing
def problems(
    model: Model, domain: Domain | None = None, *, singular: bool = False
) -> st.SearchStrategy[tuple[Parameters, State]]:
    """Parameters and a state of a model.

    Parameters
    ----------
    model : theory.Model
    domain : verify.Domain, optional
        Bounds and ranges.
    singular : bool
        R_perp of any rank from 0 to C, its other part well conditioned; positive definite when False.

    Raises
    ------
    hypothesis.errors.InvalidArgument
        As :func:`parameters`.
    """
    check_open_parameters(check_is_model(model))
    space = _domain(domain)
    ranks = st.integers(0, model.units) if singular else st.none()
    return st.tuples(_point(model), ranks).map(
        lambda drawn: (parameters_at(model, drawn[0], space), state_at(model, drawn[0], space, drawn[1]))
    )


@_refusing
def rational_parameters(
    model: Model, *, precision: int | None = None, scale: int = 1
) -> st.SearchStrategy[dict[sp.Symbol, sp.Expr]]:
    """Exact values for every symbol of a model: parameters, state, and consistent Q and P = Q^-1, in hundredths.

    Gamma >= I, R_perp >= scale^2 I / 4, |m_as| <= 0.6 scale: Q stays below about 3 scale^2 C, and the condition number
    of P is bounded.

    Parameters
    ----------
    model : theory.Model
    precision : int, optional
        lambda; an integer from 1 to 100 when omitted.
    scale : int
        >= 1.

    Returns
    -------
    strategy of dict Symbol -> Rational
    """
    check_open_parameters(check_is_model(model))
    size = as_integer("scale", scale, 1, "give the size of the weights")
    fixed = None if precision is None else as_integer("precision", precision, 1, "give lambda")

    @st.composite
    def draw_values(draw: st.DrawFn) -> dict[sp.Symbol, sp.Expr]:
        def number(low: float, high: float) -> sp.Expr:
            start = round(100 * low)
            # 0, where it is in the range, is the simplest
            return sp.Rational(draw(st.integers(start, round(100 * high))), 100)

        given_precision = draw(st.integers(1, 100)) if fixed is None else fixed
        return rational_values(model, number, precision=given_precision, scale=size)

    return draw_values()


@_refusing
def mixtures(
    *, components: tuple[int, int] = (1, 4), directions: tuple[int, int] = (1, 3), labels: tuple[object, ...] = (0, 1)
) -> st.SearchStrategy[Mixture]:
    """Mixtures with open weights, Gram matrix and precision, and small integer coordinates.

    Parameters
    ----------
    components, directions : (low, high)
        Ranges of n and r.
    labels : tuple
        What labels are drawn from.

    Returns
    -------
    strategy of theory.Mixture
        No component has mean 0 if it can be helped: the first r means lie along one direction each.
    """
    ranges = {}
    for name, ends in (("components", components), ("directions", directions)):
        low, high = check_range(name, ends, True)
        ranges[name] = (as_integer(name, int(low), 1, "sizes are at least 1"), int(high))
    if not labels:
        raise InputError("labels", labels, "at least one label", "give what labels are drawn from")

    @st.composite
    def draw_mixture(draw: st.DrawFn) -> Mixture:
        r = draw(st.integers(*ranges["directions"]))
        n = draw(st.integers(*ranges["components"]))
        rows = [[int(s == l) for s in range(r)] for l in range(min(n, r))]
        rows += [draw(st.lists(st.integers(-1, 1), min_size=r, max_size=r)) for _ in range(n - len(rows))]
        return Mixture.build(labels=[draw(st.sampled_from(labels)) for _ in range(n)], coordinates=rows)

    return draw_mixture()


def _linear_regression(mixture: Mixture) -> Model:
    u = symbols.vector("u", 1)
    return Model.build(mixture, Loss((u[0] - symbols.LABEL) ** 2 / 2, units=1), name="regression")


def _logistic(mixture: Mixture) -> Model:
    u = symbols.vector("u", 1)
    return Model.build(mixture, Loss(Softplus(u[0]) - symbols.LABEL * u[0], units=1), name="logistic")


def _committee(mixture: Mixture) -> Model:
    u = symbols.vector("u", 2)
    return Model.build(mixture, Loss((sp.erf(u[0]) + sp.erf(u[1]) - symbols.LABEL) ** 2 / 2, units=2), name="committee")


_KINDS: dict[str, Callable[[], st.SearchStrategy[Model]]] = {
    "regression": lambda: mixtures().map(_linear_regression),
    "logistic": lambda: mixtures().map(_logistic),
    "committee": lambda: mixtures(directions=(1, 2)).map(_committee),
    "kgmm": lambda: st.integers(2, 3).map(kgmm),
    "xor": lambda: st.integers(1, 2).map(xor),
    "smooth_xor": lambda: st.sampled_from(["tanh", "erf"]).map(lambda name: xor(2, activation=name)),
}
_KINKED = ("xor",)


@_refusing
def models(*kinds: str, smooth: bool = False) -> st.SearchStrategy[Model]:
    """Small models, all of whose expectations are cheap: at most three units, readout or not, kinks or not.

    Parameters
    ----------
    *kinds : str
        Among ``regression`` (square loss), ``logistic``, ``committee`` (two erf units), ``kgmm`` (2 or 3 classes),
        ``xor`` (1 or 2 ReLU units) and ``smooth_xor`` (tanh or erf units); all when none is named.
    smooth : bool
        Leave out those with kinks.

    Raises
    ------
    hypothesis.errors.InvalidArgument
        Unknown kind, or smooth models asked of kinds that have kinks.
    """
    chosen = [check_choice("kinds", kind, _KINDS, "kind of model") for kind in kinds] or list(_KINDS)
    if smooth:
        if kinds and (kinked := [kind for kind in kinds if kind in _KINKED]):
            raise InputError("kinds", kinked, "kinds of smooth models", "leave smooth=True away, or name others")
        chosen = [kind for kind in chosen if kind not in _KINKED]
    return st.sampled_from(chosen).flatmap(lambda kind: _KINDS[kind]())


def _domain(domain: Any) -> Domain:
    if domain is None:
        return Domain()
    if not isinstance(domain, Domain):
        raise InputError("domain", type(domain).__name__, "a verify.Domain", "build one: Domain(precision=(1, 10))")
    return domain

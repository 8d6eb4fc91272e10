"""Strategies for mixtures and for small models."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import sympy as sp
from hypothesis import strategies as st

from numerics.core.validation import as_integer
from theory import InputError, Loss, Mixture, Model, Softplus, kgmm, symbols, xor
from theory.errors import check_choice
from verify.random_points.floating import check_range

from .matrix_strategies import refusing


@refusing
def mixtures(
    *,
    components: tuple[int, int] = (1, 4),
    directions: tuple[int, int] = (1, 3),
    labels: tuple[object, ...] = (0, 1),
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
        The first r means lie along one direction each, so that every direction is seen; later ones
        may be 0.

    Raises
    ------
    hypothesis.errors.InvalidArgument
        A range of sizes below 1 or in the wrong order, or no label.

    Examples
    --------
    >>> from hypothesis import find
    >>> found = find(mixtures(components=(2, 4)), lambda mixture: True)
    >>> found.components, found.directions, found.labels
    (2, 1, (0, 0))
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
        # as many numbers for every size, so that a smaller one is reached from a larger one by
        # itself
        most, widest = ranges["components"][1], ranges["directions"][1]
        named = draw(st.lists(st.sampled_from(labels), min_size=most, max_size=most))
        entries = draw(st.lists(st.integers(-1, 1), min_size=most * widest, max_size=most * widest))
        rows = [tuple(entries[l * widest : l * widest + r]) for l in range(n)]
        for s in range(min(n, r)):
            rows[s] = tuple(int(s == t) for t in range(r))
        return _mixture(tuple(named[:n]), tuple(rows))

    return draw_mixture()


# building costs more than drawing, and shrinking draws the same models again and again
@lru_cache(maxsize=1000)
def _mixture(labels: tuple[object, ...], rows: tuple[tuple[int, ...], ...]) -> Mixture:
    return Mixture.build(labels=labels, coordinates=rows)


@lru_cache(maxsize=1000)
def _linear_regression(mixture: Mixture) -> Model:
    u = symbols.vector("u", 1)
    return Model.build(mixture, Loss((u[0] - symbols.LABEL) ** 2 / 2, units=1), name="regression")


@lru_cache(maxsize=1000)
def _logistic(mixture: Mixture) -> Model:
    u = symbols.vector("u", 1)
    return Model.build(
        mixture, Loss(Softplus(u[0]) - symbols.LABEL * u[0], units=1), name="logistic"
    )


@lru_cache(maxsize=1000)
def _committee(mixture: Mixture) -> Model:
    u = symbols.vector("u", 2)
    return Model.build(
        mixture,
        Loss((sp.erf(u[0]) + sp.erf(u[1]) - symbols.LABEL) ** 2 / 2, units=2),
        name="committee",
    )


_softmax, _xor = lru_cache(maxsize=None)(kgmm), lru_cache(maxsize=None)(xor)

_KINDS: dict[str, Callable[[], st.SearchStrategy[Model]]] = {
    "regression": lambda: mixtures().map(_linear_regression),
    "logistic": lambda: mixtures().map(_logistic),
    "committee": lambda: mixtures(directions=(1, 2)).map(_committee),
    "kgmm": lambda: st.integers(2, 3).map(_softmax),
    "xor": lambda: st.integers(1, 2).map(_xor),
    "smooth_xor": lambda: st.sampled_from(["tanh", "erf"]).map(
        lambda name: _xor(2, activation=name)
    ),
}
_KINKED = ("xor",)


@refusing
def models(*kinds: str, smooth: bool = False) -> st.SearchStrategy[Model]:
    """Small models, all of whose expectations are cheap: at most three units, readout or not, kinks
    or not.

    Parameters
    ----------
    *kinds : str
        Among ``regression`` (square loss), ``logistic``, ``committee`` (two erf units), ``kgmm`` (2
        or 3 classes), ``xor`` (1 or 2 ReLU units) and ``smooth_xor`` (tanh or erf units); all when
        none is named.
    smooth : bool
        Leave out those with kinks.

    Returns
    -------
    strategy of theory.Model
        Weights, Gamma, lambda, beta and c_delta are open, except that the directions of ``xor`` are
        orthonormal.

    Raises
    ------
    hypothesis.errors.InvalidArgument
        Unknown kind, or smooth models asked of kinds that have kinks.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(models("kgmm"), lambda model: True).name
    'kgmm2'
    """
    chosen = [check_choice("kinds", kind, _KINDS, "kind of model") for kind in kinds] or list(
        _KINDS
    )
    if smooth:
        if kinds and (kinked := [kind for kind in kinds if kind in _KINKED]):
            raise InputError(
                "kinds", kinked, "kinds of smooth models", "leave smooth=True away, or name others"
            )
        chosen = [kind for kind in chosen if kind not in _KINKED]
    return st.sampled_from(chosen).flatmap(lambda kind: _KINDS[kind]())

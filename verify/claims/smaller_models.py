"""Smaller models of the same kind, for counterexamples with few classes or units."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import sympy as sp

from theory import Model, kgmm, symbols, xor

from .judgement import Claim


def smaller_models(claim: Claim) -> Iterator[Model]:
    """Models of the claim's family with fewer classes or hidden units, the smallest first.

    Only a claim in text can be read for another size, and only a model whose weights and Gram
    matrix are symbols, equal or orthonormal has a smaller one.
    """
    model = claim.model
    if not claim.is_text or model.mixture.bands is not None or model.tokens > 1:
        return
    for build, least in _FAMILIES:
        if model.units > least and build(model, model.units) == model:
            for size in range(least, model.units):
                smaller = build(model, size)
                if smaller is not None:
                    yield smaller


def _kgmm(model: Model, k: int) -> Model | None:
    gram = _gram(model, k)
    if gram is None or model.readout_size:
        return None
    return kgmm(k, weights=_weights(model, k), directions_gram=gram, **_scalars(model))


def _xor(model: Model, width: int) -> Model | None:
    if not model.readout_size or model.components != 4:
        return None
    return xor(
        width,
        weights=model.mixture.weights,
        directions_gram=model.mixture.directions_gram,
        **_scalars(model),
    )


_FAMILIES: tuple[tuple[Callable[[Model, int], Model | None], int], ...] = ((_kgmm, 2), (_xor, 1))


def _scalars(model: Model) -> dict[str, sp.Expr]:
    return {"precision": model.mixture.precision, "ridge": model.ridge, "step": model.step}


def _weights(model: Model, k: int) -> tuple[sp.Expr, ...]:
    given = model.mixture.weights
    if k == len(given):
        return given
    if given[0].is_Symbol:
        return symbols.vector("p", k, positive=True)
    return (sp.Rational(1, k),) * k


def _gram(model: Model, k: int) -> sp.MatrixBase | None:
    gram = model.mixture.directions_gram
    if gram.rows == k:
        return gram
    if gram == sp.eye(gram.rows):
        return sp.eye(k)
    return symbols.symmetric("Gamma", k) if gram == symbols.symmetric("Gamma", gram.rows) else None

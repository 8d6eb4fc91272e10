"""Random numbers for the open symbols of a mixture: weights, Gram matrices, bands of the noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sympy as sp

from theory import InputError, Mixture

# draws a rational number between two bounds, never zero
Numbers = Callable[[float, float], sp.Rational]


def drawn_weights(
    given: Sequence[sp.Expr], raw: Sequence[sp.Rational], number: Numbers
) -> tuple[list[sp.Rational], dict[sp.Symbol, sp.Rational]]:
    """Weights of sum 1: symbols share what numbers leave; symbols inside of formulas are drawn."""
    bare = [i for i, p in enumerate(given) if p.is_Symbol]
    if not any(p.free_symbols for p in given if not p.is_Symbol):
        left = 1 - sp.Add(*(p for p in given if not p.is_Symbol))
        total = sum(raw[i] for i in bare)
        return [left * raw[i] / total if i in bare else p for i, p in enumerate(given)], {}
    names = sorted(set().union(*(p.free_symbols for p in given)), key=str)
    for _ in range(1000):
        at = {s: number(0.02, 0.95) for s in names}
        rest = sp.Add(*given) - 1
        if rest.has(names[-1]):  # the last one is what makes the sum 1
            solutions = sp.solve(rest.xreplace({s: at[s] for s in names[:-1]}), names[-1])
            if not solutions:
                break
            at[names[-1]] = solutions[0]
        weights = [p.xreplace(at) for p in given]
        if sum(weights) == 1 and all(w.is_Rational and w > 0 for w in weights):
            return weights, at
    remedy = "give weights that are positive and sum to 1 for some values of their symbols"
    raise InputError("weights", tuple(given), "weights of sum 1", remedy)


def drawn_noise(mixture: Mixture, number: Numbers) -> dict[sp.Symbol, sp.Rational]:
    """Numbers for open shares of bands, of sum 1, and for open scales of the noise."""
    bands = mixture.bands
    if bands is None:
        return {}
    raw = [number(0.4, 1.6) for _ in bands.fractions]
    shares, drawn = drawn_weights(bands.fractions, raw, number)
    drawn |= {x: v for x, v in zip(bands.fractions, shares, strict=True) if x.is_Symbol}
    names = sorted(set().union(*(x.free_symbols for x in bands.scales)) - set(drawn), key=str)
    return drawn | {x: number(0.5, 1.8) for x in names}


def partial_gram(mixture: Mixture, number: Numbers) -> dict[sp.Symbol, sp.Rational]:
    """Numbers for the open entries of a Gram matrix whose other entries are given."""
    grams = [mixture.band_gram(g) for g in range(mixture.band_count)]
    names = sorted(mixture.directions_gram.free_symbols, key=str)
    diagonal = set().union(*(x.free_symbols for gram in grams for x in gram.diagonal()))
    for _ in range(1000):
        at = {s: number(0.5, 2) if s in diagonal else number(-0.6, 0.6) for s in names}
        if all(_is_gram(gram.xreplace(at), len(grams) > 1) for gram in grams):
            return at
    remedy = "give entries for which some positive definite matrix exists"
    got = mixture.directions_gram.tolist()
    raise InputError("directions_gram", got, "a Gram matrix", remedy)


def _is_gram(gram: sp.MatrixBase, of_band: bool) -> bool:
    """Whether a matrix is positive definite; a band may hold nothing of some direction."""
    return bool(gram.is_positive_semidefinite if of_band else gram.is_positive_definite)

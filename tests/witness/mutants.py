"""Wrong theories a check has to refute: each changes one thing in a derived object."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from theory import GaussianExpectation, symbols


def without_inverse_precision(derived):
    """Drop every term that carries an explicit 1/lambda (the laws of u keep theirs)."""
    return derived.map(lambda e: e.xreplace({1 / symbols.PRECISION: sp.Integer(0)}))


def overlap_without_inverse_precision(drift):
    """Drop the 1/lambda term of the overlap drift only."""
    return replace(drift, overlap=without_inverse_precision(drift).overlap)


def noise_without_inverse_precision(drift):
    """Drop the 1/lambda term of the R_perp drift only, corrector kept."""
    return replace(drift, gram_perp=without_inverse_precision(drift).gram_perp)


def ridge_flipped(derived):
    return derived.map(lambda e: e.xreplace({symbols.RIDGE: -symbols.RIDGE}))


def weights_ignored(derived):
    weights = derived.model.mixture.weights
    return derived.map(lambda e: e.xreplace({p: sp.Rational(1, len(weights)) for p in weights}))


def transposed_overlap(drift):
    """Read the directions' Gram matrix in the order of the units: m and its drift transposed."""
    return replace(drift, overlap=drift.overlap.T)


def missing_softmax_case(blocks):
    """Forget the case b != a = c of d_c(pi_a pi_b) = pi_a pi_b (delta_ac + delta_bc - 2 pi_c), in
    block (a, b).
    """
    partial = blocks.model.loss.partial
    first = {}
    for (a, b), block in blocks.first_layer.items():
        if a != b:
            # d_a H_ab = -d_a(pi_a pi_b); without delta_ac it lacks -pi_a pi_b = H_ab
            right, wrong = partial((a, a, b)), partial((a, a, b)) - partial((a, b))
            changed = block.map(
                lambda e, right=right, wrong=wrong: e.replace(
                    lambda n: isinstance(n, GaussianExpectation) and n.general_integrand == right,
                    lambda n: GaussianExpectation(wrong, n.law),
                )
            )
            assert changed != block
            block = changed
        first[a, b] = block
    return replace(blocks, first_layer=first)

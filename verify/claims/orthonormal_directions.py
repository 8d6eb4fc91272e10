"""A claim over orthonormal directions, for what is missing where no Gram matrix is stated."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from .judgement import Claim

HINT = "holds if directions_gram = orthonormal"


def over_orthonormal_directions(claim: Claim) -> Claim | None:
    """The claim for Gamma = I; None where Gamma is stated, or the claim is no text to read anew.

    With bands orthonormal directions still have many Gram matrices of their parts.
    """
    mixture = claim.model.mixture
    if not claim.is_text or not mixture.directions_gram.free_symbols or mixture.band_count > 1:
        return None
    mixture = replace(mixture, directions_gram=sp.ImmutableDenseMatrix.eye(mixture.directions))
    return replace(claim, model=replace(claim.model, mixture=mixture))

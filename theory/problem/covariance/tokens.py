r"""Tokens: samples of several independent features, which all units see."""

from __future__ import annotations

from typing import Any

import sympy as sp

from theory.errors import InputError, brief
from theory.problem.exact_numbers import as_matrix

_REMEDY = "give for every component a row of coordinates per token: [[[1, 0], [0, 1]], ...]"


def coordinates_of_tokens(tokens: object) -> tuple[sp.ImmutableDenseMatrix, int]:
    """S_lp, n x P rows one below the other, and the number P of tokens.

    Raises
    ------
    InputError
        Components with another number of tokens, or what is no list of matrices.

    Examples
    --------
    >>> coordinates_of_tokens([[[1], [0]], [[-1], [0]]])
    (Matrix([
    [ 1],
    [ 0],
    [-1],
    [ 0]]), 2)
    """
    try:
        each = [] if isinstance(tokens, str) else list(tokens)  # type: ignore[call-overload]
    except TypeError:
        each = []
    if not each:
        got, expected = brief(repr(tokens)), "a matrix of coordinates per component"
        raise InputError("tokens", got, expected, _REMEDY)
    matrices = [as_matrix(f"tokens[{l}]", rows) for l, rows in enumerate(each)]
    first = matrices[0]
    for l, matrix in enumerate(matrices):
        if matrix.rows != first.rows:
            got, expected = f"{matrix.rows} token(s)", f"{first.rows}, as in the first component"
            raise InputError(f"tokens[{l}]", got, expected, "every sample has as many tokens")
        if matrix.cols != first.cols:
            got, expected = f"{matrix.cols} coordinates", f"{first.cols}, one per direction"
            raise InputError(f"tokens[{l}]", got, expected, _REMEDY)
    return sp.ImmutableDenseMatrix.vstack(*matrices), int(first.rows)


def check_tokens_of_loss(loss: Any) -> None:
    """Refuse what losses hold of single features alone."""
    beside = len(loss.fields) > len(loss.preactivation) or loss.statistics or loss.output
    if loss.tokens > 1 and beside:
        got = "a teacher, label noise, a statistic of the weights or an output beside tokens"
        remedy = "state labels as components of the mixture, norms by a ridge, and no output"
        raise InputError("loss expression", got, "pre-activations u_a_p alone", remedy)


def check_tokens(model: Any) -> None:
    """Refuse a loss of other tokens than its data, and what is known of single features alone."""
    loss, mixture = model.loss, model.mixture
    if loss.tokens != mixture.tokens:
        raise InputError(
            "tokens",
            f"{loss.tokens} in the loss and {mixture.tokens} in the mixture",
            "the same number of tokens in both",
            "write Loss(..., tokens=P) and Mixture.build(tokens=...) with P rows per component",
        )
    if model.update is not None:
        refuse_tokens(mixture, "an update other than the plain gradient")


def refuse_tokens(mixture: object, what: str) -> None:
    """Refuse samples of several features where ``what`` is known for single ones alone."""
    tokens = getattr(mixture, "tokens", 1)
    if tokens > 1:
        raise InputError(
            "tokens",
            f"samples of {tokens} tokens",
            f"samples of one feature: {what} is not known for tokens",
            "drift, corrector, diffusion, finite-size corrections, population blocks, effective "
            "spectra, curves and both simulations know tokens",
        )

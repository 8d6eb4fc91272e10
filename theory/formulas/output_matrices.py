r"""The population matrices of the outputs: generalised Gauss-Newton and true Fisher, by blocks.

In the place of the second derivatives of the loss they have the products of first derivatives of
the outputs with a curvature (:mod:`theory.problem.output.output_law`); they are of the same
V B V^T + c I as the Hessian, and are derived by projection, which differentiates nothing further.
"""

from __future__ import annotations

from functools import lru_cache

import sympy as sp

from theory.errors import InputError, brief
from theory.expectations.moment_tensors import MomentTensors, WeightKind
from theory.expectations.moments import Moments
from theory.keywords import with_known_keywords
from theory.names import ALMOST_EVERYWHERE
from theory.problem.covariance.tokens import refuse_tokens
from theory.problem.kinks import tidy
from theory.problem.model import Model, check_is_model, check_no_statistics
from theory.problem.output.output_law import FISHER, GAUSS_NEWTON, HOW

from .block_matrix import BlockMatrix, contracted_matrix
from .block_tensors import second_moments, with_terms


@with_known_keywords
def derive_gauss_newton(model: Model, *, regularized: bool = True) -> BlockMatrix:
    r"""Derive the population generalised Gauss-Newton matrix :math:`E[J^T(\partial_f^2\rho)J]`.

    Parameters
    ----------
    model : Model
        Whose loss states its outputs.
    regularized : bool, default True
        Include the ridge: + beta on the diagonal blocks, as in the Hessian.

    Raises
    ------
    InputError
        The loss states no outputs.

    Examples
    --------
    Of one layer with softmax it is the Hessian:

    >>> from theory import kgmm
    >>> from theory.formulas.hessian import derive_hessian
    >>> model = kgmm(2, directions_gram="orthonormal")
    >>> hessian = derive_hessian(model, "projection")
    >>> derive_gauss_newton(model).block(0, 1) == hessian.block(0, 1)
    True
    """
    return _matrix(_checked(model, GAUSS_NEWTON), GAUSS_NEWTON, bool(regularized))


@with_known_keywords
def derive_fisher(model: Model, *, regularized: bool = False) -> BlockMatrix:
    r"""Derive the true Fisher matrix.

    .. math:: E[J^TE_{y\sim p(\cdot\mid f)}[ss^T]J],\qquad s=\partial_f\rho

    Labels are drawn from the law that the model states, not from the data: with the labels of the
    data it is the gradient matrix G.

    Parameters
    ----------
    model : Model
        Whose loss states its outputs.
    regularized : bool, default False
        Include the ridge: + beta on the diagonal blocks.

    Raises
    ------
    InputError
        The loss states no outputs.

    Examples
    --------
    >>> from theory import kgmm
    >>> fisher = derive_fisher(kgmm(2))
    >>> fisher.kind, fisher.block(0, 1).coefficients.shape
    ('fisher', (4, 4))
    """
    return _matrix(_checked(model, FISHER), FISHER, bool(regularized))


def _curvature_expressions(model: Model, matrix: str) -> sp.ImmutableDenseMatrix:
    """J^T A J of a sample in all variables (u, v), in y, u and v."""
    output, loss = model.loss.output, model.loss
    assert output is not None  # the model has been checked
    at = dict(zip(output.symbols, output.values, strict=True))
    middle = output.curvature(matrix).xreplace(at)
    jacobian = sp.Matrix([[value.diff(x) for x in loss.variables] for value in output.values])
    whole = jacobian.T * middle * jacobian
    return sp.ImmutableDenseMatrix(whole if loss.is_smooth else whole.applyfunc(tidy))


@lru_cache(maxsize=32)
def _curvatures(model: Model, matrix: str) -> sp.ImmutableDenseMatrix:
    return _curvature_expressions(_checked(model, matrix), matrix)


def output_curvature(model: Model, matrix: str, i: int, j: int) -> sp.Expr:
    """Entry (i, j) of the matrix of a sample, 0-based among (u, v)."""
    return _curvatures(model, matrix)[min(i, j), max(i, j)]


class _OutputMoments(Moments):
    """Moments whose second derivatives are those of the matrix of the outputs."""

    def __init__(self, model: Model, matrix: str) -> None:
        super().__init__(model, "projection", ALMOST_EVERYWHERE)
        self.matrix = matrix

    def _factor(self, indices: tuple[int, ...]) -> sp.Expr:
        return output_curvature(self.model, self.matrix, *indices)


@lru_cache(maxsize=64)
def _matrix(model: Model, matrix: str, regularized: bool) -> BlockMatrix:
    t = MomentTensors(_OutputMoments(model, matrix))
    kinds: tuple[WeightKind, ...] = ((("u", "u"),), (("u", "v"),), (("v", "v"),))
    tensors = second_moments(t, *kinds)
    if regularized:
        units, outputs = (t.identity(n) for n in (model.units, model.readout_size))
        tensors = with_terms(
            tensors,
            bulk=[t.ridge("u", "a", (units, "ab"), *t.every("g"))],
            readout=[t.ridge("v", "i", (outputs, "ij"))],
        )
    return contracted_matrix(model, "projection", matrix, regularized, tensors, ALMOST_EVERYWHERE)


def _checked(model: Model, matrix: str) -> Model:
    check_is_model(model)
    check_no_statistics(model, f"the matrix {matrix!r}")
    refuse_tokens(model.mixture, f"the matrix {matrix!r}")
    if model.loss.output is None:
        got = f"{brief(model.name)}, whose loss states no outputs"
        raise InputError("model", got, f"a loss with outputs, for the matrix {matrix!r}", HOW)
    return model

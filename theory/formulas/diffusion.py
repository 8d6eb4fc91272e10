"""The covariance of one step of SGD: the diffusion of the summary statistics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import sympy as sp

from theory.expectations.contracted import ContractedMatrix
from theory.expectations.derived import Derived, shown_as
from theory.expectations.moment_tensors import moment_tensors
from theory.expectations.moments import chosen_route, exists
from theory.keywords import with_known_keywords
from theory.problem.model import Model

from .increments import IncrementMoments, Increments


@with_known_keywords
@dataclass(frozen=True, repr=False)
class Diffusion(Derived):
    """Covariance of (one SGD increment / step delta), as d -> infinity.

    Matrices are indexed by the state vector.  sqrt(d) (statistics - curve) has covariance C with
    dC/dt = J C + C J^T + c_delta * covariance, J the Jacobian of the drift (mathematics.md section
    4).

    Attributes
    ----------
    second_moment : matrix, E[G G^T] of the random part G of an increment
    mean : matrix, E[G], a column

    Examples
    --------
    >>> from theory import kgmm
    >>> found = derive_diffusion(kgmm(2))
    >>> found.covariance.shape, found.mean.shape          # 4 overlaps and 3 products of weights
    ((7, 7), (7, 1))
    """

    model: Model
    route: str
    second_moment: sp.ImmutableDenseMatrix = field(metadata=shown_as("E[GG^T]"))
    mean: sp.ImmutableDenseMatrix = field(metadata=shown_as("E[G]"))

    @cached_property
    def vector(self) -> Sequence[sp.Expr]:
        """The entries of ``second_moment``, row by row, and of ``mean``."""
        moments = getattr(self.second_moment, "moments", None)
        if isinstance(moments, IncrementMoments) and self.mean is moments.mean:
            return moments.vector
        return (*self.second_moment, *self.mean)

    @property
    def covariance(self) -> sp.ImmutableDenseMatrix:
        """E[G G^T] - E[G] E[G]^T, symmetric positive semidefinite."""
        second, mean = self.second_moment, self.mean
        return ContractedMatrix.build(
            second.rows, second.cols, lambda i, j: second[i, j] - mean[i, 0] * mean[j, 0]
        )


@with_known_keywords
def derive_diffusion(model: Model, route: str | None = None) -> Diffusion:
    r"""Derive the covariance of G = (one step's increment) / (-delta), in the limit d -> infinity.

    With :math:`\zeta_b = Y\cdot x_\perp^b` one step moves the state by :math:`-\delta\,G`,

    .. math:: G = \big(g_a\,Y\cdot e_s + \beta m_{as};\;
                  g_a\zeta_b + g_b\zeta_a + 2\beta R^\perp_{ab}
                  - \tfrac{c_\delta}{\lambda} g_a g_b;\;
                  \partial_{v_i}\ell + \beta v_i\big),

    and the diffusion matrix is Cov(G) over component and noise (mathematics.md section 4; the
    fluctuation of g_a g_b counts, being of the same order).  The ridge terms are deterministic:
    they drop out of the covariance and are left out of ``mean`` and ``second_moment``.

    Parameters
    ----------
    model : Model
    route : {"stein", "projection"}, optional
        Stein for a smooth loss and projection for one with kinks when omitted.

    Returns
    -------
    Diffusion
        ``covariance``, symmetric positive semidefinite, in the order of the state vector.

    Examples
    --------
    >>> from theory import Mixture, Model, Loss, symbols
    >>> u = symbols.vector("u", 1)
    >>> one = Mixture.build(weights=[1], labels=[0], coordinates=[[1]], directions_gram=[[1]])
    >>> model = Model.build(one, Loss(u[0], units=1))          # g = 1: the increment of m is Y . e
    >>> derive_diffusion(model).covariance[0, 0]
    1/lambda
    """
    return _diffusion(model, chosen_route(model, route, curvatures=True))


@lru_cache(maxsize=64)
def _diffusion(model: Model, route: str) -> Diffusion:
    moments = IncrementMoments(Increments(moment_tensors(model, route)))
    found = Diffusion(model, route, moments.second_moment, moments.mean)
    return found if exists(model, route) else found.written_out()

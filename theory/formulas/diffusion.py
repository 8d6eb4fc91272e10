"""The covariance of one step of SGD: the diffusion of the summary statistics."""

from __future__ import annotations

from dataclasses import dataclass, field

import sympy as sp

from theory.expectations.derived import Derived
from theory.expectations.moments import Feature, Moments, Weight, default_route
from theory.problem.model import Model
from theory.symbols import upper_triangle


@dataclass(frozen=True)
class Diffusion(Derived):
    """Covariance of (one SGD increment / step delta), as d -> infinity.

    Matrices are indexed by the state vector.  sqrt(d) (statistics - curve) has covariance C with
    dC/dt = J C + C J^T + c_delta * covariance, J the Jacobian of the drift (mathematics.md section
    4).

    Attributes
    ----------
    second_moment : matrix, E[G G^T] of the random part G of an increment
    mean : matrix, E[G], a column
    """

    model: Model
    route: str
    second_moment: sp.ImmutableDenseMatrix = field(metadata={"expressions": True})
    mean: sp.ImmutableDenseMatrix = field(metadata={"expressions": True})

    @property
    def covariance(self) -> sp.ImmutableDenseMatrix:
        """E[G G^T] - E[G] E[G]^T, symmetric positive semidefinite."""
        return sp.ImmutableDenseMatrix(self.second_moment - self.mean * self.mean.T)


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
    route = default_route(model, curvatures=True) if route is None else route
    moments = Moments(model, route)
    increments = _increments(moments)
    components = range(model.components)
    size = len(increments)

    def second_moment(i: int, j: int) -> sp.Expr:
        return moments.average(
            sp.Add(
                *(
                    ca * cb * term
                    for ca, ta in increments[i]
                    for cb, tb in increments[j]
                    for term in sp.Add.make_args(_product_moment(moments, l, ta, tb))
                )
            )
            for l in components
        )

    means = [
        moments.average(
            sp.Add(*(c * _term_moment(moments, l, t) for c, t in increment)) for l in components
        )
        for increment in increments
    ]
    upper = {(i, j): second_moment(i, j) for i, j in upper_triangle(size)}
    second = sp.ImmutableDenseMatrix(size, size, lambda i, j: upper[min(i, j), max(i, j)])
    return Diffusion(model, route, second, sp.ImmutableDenseMatrix(size, 1, means))


# A term of an increment is (weight, index of a linear feature or None); deterministic parts (ridge)
# drop out of a covariance and are left away.
_Term = tuple[Weight, tuple[str, int] | None]


def _increments(moments: Moments) -> list[list[tuple[sp.Expr, _Term]]]:
    model = moments.model
    one = sp.Integer(1)
    rows: list[list[tuple[sp.Expr, _Term]]] = []
    for a in range(model.units):
        for i in range(model.directions):
            rows.append([(one, (Weight.of((a,)), ("direction", i)))])
    scale = -model.step / model.mixture.precision
    for a, b in upper_triangle(model.units):
        rows.append(
            [
                (one, (Weight.of((a,)), ("perpendicular", b))),
                (one, (Weight.of((b,)), ("perpendicular", a))),
                (scale, (Weight.of((a,), (b,)), None)),
            ]
        )
    for i in range(model.readout_size):
        rows.append([(one, (Weight.of((model.units + i,)), None))])
    return rows


def _feature(moments: Moments, kind: tuple[str, int]) -> Feature:
    name, index = kind
    if name == "direction":
        return moments.direction_feature(index)
    return moments.perpendicular_feature(index)


def _inner(model: Model, left: tuple[str, int], right: tuple[str, int]) -> sp.Expr:
    """Inner product of the vectors behind two features."""
    if left[0] != right[0]:
        return sp.Integer(0)
    gram = model.mixture.directions_gram if left[0] == "direction" else model.symbols.gram_perp
    return gram[left[1], right[1]]


def _term_moment(moments: Moments, component: int, term: _Term) -> sp.Expr:
    weight, kind = term
    if kind is None:
        return moments.mean(weight, component)
    return moments.first(weight, component, _feature(moments, kind))


def _product_moment(moments: Moments, component: int, left: _Term, right: _Term) -> sp.Expr:
    weight = Weight.of(*left[0].factors, *right[0].factors)
    if left[1] is None or right[1] is None:
        return _term_moment(moments, component, (weight, left[1] or right[1]))
    return moments.second(
        weight,
        component,
        _feature(moments, left[1]),
        _feature(moments, right[1]),
        _inner(moments.model, left[1], right[1]),
    )

"""Effective dynamics of the summary statistics: drift and corrector."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import sympy as sp

from theory.expectations.derived import Derived
from theory.expectations.moments import Feature, Moments, Weight, default_route
from theory.problem.model import Model
from theory.symbols import flatten_state, upper_triangle


@dataclass(frozen=True)
class Drift(Derived):
    """The right-hand side of the effective dynamics, d(state)/dt, t = steps * c_delta / d.

    Attributes
    ----------
    overlap : matrix, C x r
    gram_perp : matrix, C x C, symmetric, without the corrector
    corrector : matrix, C x C, symmetric; the term (c_delta/lambda) sum_l p_l E_l[g_a g_b] of
        gram_perp
    readout : matrix, q x 1
    """

    model: Model
    route: str
    overlap: sp.ImmutableDenseMatrix = field(metadata={"expressions": True})
    gram_perp: sp.ImmutableDenseMatrix = field(metadata={"expressions": True})
    corrector: sp.ImmutableDenseMatrix = field(metadata={"expressions": True})
    readout: sp.ImmutableDenseMatrix = field(metadata={"expressions": True})

    @property
    def vector(self) -> tuple[sp.Expr, ...]:
        """The drift of the state vector, corrector included.

        Order of :class:`theory.symbols.Symbols`.
        """
        return flatten_state(self.overlap, self.gram_perp + self.corrector, self.readout)

    def without_corrector(self) -> Drift:
        """The dynamics of a vanishing step size, c_delta -> 0.

        At c_delta > 0 this is the classic mistake.
        """
        size = self.model.units
        return replace(self, corrector=sp.ImmutableDenseMatrix(sp.zeros(size, size)))


def derive_drift(model: Model, route: str | None = None) -> Drift:
    r"""Derive the effective drift of (m, R_perp, v) as d -> infinity at fixed c_delta.

    .. math::
       \dot m_{as} &= -E[g_a\, Y\cdot e_s] - \beta m_{as} \\
       \dot R^\perp_{ab} &= -E[g_a\, Y\cdot x_\perp^b] - E[g_b\, Y\cdot x_\perp^a]
                            - 2\beta R^\perp_{ab} + \frac{c_\delta}{\lambda} E[g_a g_b] \\
       \dot v_i &= -E[\partial_{v_i}\ell] - \beta v_i

    with the moments evaluated by ``route`` (mathematics.md section 4; arXiv 2206.04030, section 2).

    Parameters
    ----------
    model : Model
    route : {"stein", "projection"}, optional
        Stein differentiates the weight; projection does not (see
        :mod:`theory.expectations.moments`).  Stein when omitted, unless a kink is not affine in u.

    Returns
    -------
    Drift
        Exact expressions with unevaluated expectations E_l[...].

    Raises
    ------
    InputError
        Unknown route.

    Examples
    --------
    The drift of a single linear unit under the square loss is that of Polyak's linear SGD:

    >>> from theory import Mixture, Model, Loss, symbols
    >>> u = symbols.vector("u", 1)
    >>> one = Mixture.build(weights=[1], labels=[0], coordinates=[[1]], directions_gram=[[1]])
    >>> model = Model.build(one, Loss(u[0]**2 / 2, units=1))
    >>> drift = derive_drift(model)
    >>> drift.overlap[0, 0]
    -beta*m_1_1 - E_1[u_1] - m_1_1/lambda
    >>> drift.corrector[0, 0]
    c_delta*E_1[u_1**2]/lambda
    """
    route = default_route(model, curvatures=False) if route is None else route
    moments = Moments(model, route)
    s = model.symbols
    units, components = range(model.units), range(model.components)
    beta = model.ridge

    directions = [moments.direction_feature(i) for i in range(model.directions)]
    perpendicular = [moments.perpendicular_feature(b) for b in units]
    gradients = [Weight.of((a,)) for a in units]

    def projected(a: int, feature: Feature) -> sp.Expr:
        return moments.average(moments.first(gradients[a], l, feature) for l in components)

    overlap = sp.ImmutableDenseMatrix(
        model.units,
        model.directions,
        lambda a, i: -projected(a, directions[i]) - beta * s.overlap[a, i],
    )
    noise = [[projected(a, perpendicular[b]) for b in units] for a in units]
    gram_perp = sp.ImmutableDenseMatrix(
        model.units,
        model.units,
        lambda a, b: -(noise[a][b] + noise[b][a]) - 2 * beta * s.gram_perp[a, b],
    )
    squares = {
        (a, b): sp.Add(
            *(
                model.step * t
                for t in sp.Add.make_args(moments.averaged_mean(Weight.of((a,), (b,)), 1))
            )
        )
        for a, b in upper_triangle(model.units)
    }
    corrector = sp.ImmutableDenseMatrix(
        model.units, model.units, lambda a, b: squares[min(a, b), max(a, b)]
    )
    readout = sp.ImmutableDenseMatrix(
        model.readout_size,
        1,
        lambda i, _: -moments.averaged_mean(Weight.of((model.units + i,))) - beta * s.readout[i],
    )
    return Drift(model, route, overlap, gram_perp, corrector, readout)

"""Effective dynamics of the summary statistics: drift and corrector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache

import sympy as sp

from theory.expectations.contracted import (
    ContractedMatrix,
    ContractedVector,
    Selection,
    contraction_of,
    scale,
)
from theory.expectations.contraction import sum_of
from theory.expectations.derived import Derived, shown_as
from theory.expectations.moment_tensors import moment_tensors, scaled
from theory.expectations.moments import chosen_route
from theory.keywords import with_known_keywords
from theory.problem.model import Model
from theory.symbols import flatten_state


@with_known_keywords
@dataclass(frozen=True, repr=False)
class Drift(Derived):
    """The right-hand side of the effective dynamics, d(state)/dt, t = steps * c_delta / d.

    Attributes
    ----------
    overlap : matrix, C x r
    gram_perp : matrix, C x C, symmetric, without the corrector
    corrector : matrix, C x C, symmetric; the term (c_delta/lambda) sum_l p_l E_l[g_a g_b] of
        gram_perp
    readout : matrix, q x 1

    With bands the matrices of these stand one below the other: row g C + a is that of unit a.

    Examples
    --------
    >>> from theory import kgmm
    >>> drift = derive_drift(kgmm(2))
    >>> drift
    Drift(model 'kgmm2', route 'stein', overlap 2 x 2, gram_perp 2 x 2, corrector 2 x 2, ...)
    >>> len(drift.vector), drift.without_corrector().corrector[0, 0]
    (7, 0)
    """

    model: Model
    route: str
    overlap: sp.ImmutableDenseMatrix = field(metadata=shown_as(r"\dot m"))
    gram_perp: sp.ImmutableDenseMatrix = field(metadata=shown_as(r"\dot R^\perp"))
    corrector: sp.ImmutableDenseMatrix = field(metadata=shown_as(r"\text{corrector}"))
    readout: sp.ImmutableDenseMatrix = field(metadata=shown_as(r"\dot v"))

    @cached_property
    def vector(self) -> Sequence[sp.Expr]:
        """The drift of the state vector, corrector included.

        Order of :class:`theory.symbols.Symbols`.
        """
        s = self.model.symbols
        overlaps, grams = (s.over("gas"), s.overlap_shape), (s.over("gab"), s.gram_shape)
        parts = (
            (self.overlap, *overlaps),
            (self.gram_perp, *grams),
            (self.corrector, *grams),
            (self.readout, "i", (self.model.readout_size,)),
        )
        contractions = [c for c in (contraction_of(*part) for part in parts) if c is not None]
        if len(contractions) < len(parts):
            return flatten_state(self.overlap, self.gram_perp + self.corrector, self.readout)
        overlap, gram_perp, corrector, readout = contractions
        whole = Selection(gram_perp + corrector, s.gram_indices)
        return ContractedVector((Selection.all_of(overlap), whole, Selection.all_of(readout)))

    def with_step(self, step: sp.Expr) -> Drift:
        """The same dynamics with another expression for the step, to which the corrector is
        proportional.
        """
        return replace(self, corrector=scale(self.corrector, step / self.model.step))

    def without_corrector(self) -> Drift:
        """The dynamics of a vanishing step size, c_delta -> 0.

        At c_delta > 0 this is the classic mistake.
        """
        return replace(self, corrector=sp.ImmutableDenseMatrix(sp.zeros(*self.corrector.shape)))


@with_known_keywords
def derive_drift(model: Model, route: str | None = None) -> Drift:
    r"""Derive the effective drift of (m, R_perp, v) as d -> infinity at fixed c_delta.

    .. math::
       \dot m_{as} &= -E[g_a\, Y\cdot e_s] - \beta m_{as} \\
       \dot R^\perp_{ab} &= -E[g_a\, Y\cdot x_\perp^b] - E[g_b\, Y\cdot x_\perp^a]
                            - 2\beta R^\perp_{ab} + \frac{c_\delta}{\lambda} E[g_a g_b] \\
       \dot v_i &= -E[\partial_{v_i}\ell] - \beta v_i

    with the moments evaluated by ``route`` (mathematics.md section 4; arXiv 2206.04030, section 2).
    Teachers in the loss add :math:`\lambda^{-1}\sum_n E[\partial_{t_n}g_a]\,\Gamma_{ns}` to
    :math:`E[g_a\,Y\cdot e_s]`, and nothing to the rest (section 11).  With bands every statistic
    is that of a band, with :math:`P_gY` for Y and the corrector :math:`c_\delta\rho_g\lambda^{-1}
    \sum_lp_l\sigma_{lg}^2E_l[g_ag_b]` (section 10).  A loss that holds statistics adds
    :math:`-E[\kappa]m-E[\eta]\Gamma` and :math:`-E[\kappa]R^\perp-R^\perp E[\kappa]^T` with
    :math:`\kappa_{ab}=(1+\delta_{ab})\partial\ell/\partial Q_{ab}` and
    :math:`\eta_{as}=\partial\ell/\partial m_{as}` (section 12a).  With tokens :math:`g_aY` and
    :math:`g_ag_b` are :math:`\sum_pg_{ap}Y_p` and :math:`\sum_pg_{ap}g_{bp}` (section 12b).

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
    return _drift(model, chosen_route(model, route, curvatures=False))


@lru_cache(maxsize=64)
def _drift(model: Model, route: str) -> Drift:
    t = moment_tensors(model, route)
    m, r, over, variance = t.overlap, t.gram_perp, t.over, t.variance("lg")
    minus, step = sp.Integer(-1), t.unit_step

    # E[g_a Y . e_s] and E[g_a Y . x_perp^b] by the law of Y given u, in every band g
    signal = (
        t.mean(step, "ap", (t.mean_overlaps, over("glps")))
        + t.slope(step, "ap", "cp", (m, over("gcs")), *variance)
        + t.slope(step, "a", "n", (t.directions_gram, over("gns")), *variance, teachers="n")
    )
    noise = [
        *t.slope(step, "ap", "cp", (r, over("gbc")), *variance),
        *t.slope(step, "bp", "cp", (r, over("gac")), *variance),
    ]
    squares = t.mean(step + step, "apbp", *variance, *t.fraction("g"))
    outputs = t.mean(t.readout_step, "i")

    s, size = model.symbols, model.step / model.mixture.precision
    overlaps, grams = (over("gas"), s.overlap_shape), (over("gab"), s.gram_shape)
    signal += [*t.gains("a", m, "s"), *t.pushes("a")]
    noise += [*t.gains("a", r, "b"), *t.gains("b", r, "a")]
    along = t.along_directions([*signal, t.decay("a", m, "s")])
    off = t.off_directions([*noise, *t.decays(r)])
    overlap = sum_of(*overlaps, scaled(along, minus))
    gram_perp = sum_of(*grams, scaled(off, minus))
    corrector = sum_of(*grams, scaled(t.off_directions(squares), size))
    readout = sum_of("i", (model.readout_size,), scaled([*outputs, t.readout_decay()], minus))
    matrices = (ContractedMatrix.of(c) for c in (overlap, gram_perp, corrector, readout))
    return Drift(model, route, *matrices)

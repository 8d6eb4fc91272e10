"""Statistics in the loss: the ridge is one of them; what they do not go with is named."""

from __future__ import annotations

import pytest
import sympy as sp
from statistic_cases import oja, pair

from theory import (
    InputError,
    Loss,
    Mixture,
    Model,
    Softplus,
    Update,
    derive_diffusion,
    derive_drift,
    derive_finite_size,
    derive_gradient,
    derive_gradient_matrix,
    derive_hessian,
    symbols,
)

(U1, U2), Y = symbols.vector("u", 2), symbols.LABEL
BETA = sp.Rational(1, 3)
Q = symbols.symmetric("Q", 2)


def twice():
    """The same model with its ridge as such, and as the statistic beta (Q_11 + Q_22) / 2."""
    mixture = Mixture.build(
        weights=["1/4", "3/4"], labels=[1, 0], coordinates=[[1], [-1]], directions_gram=[[1]]
    )
    f = U1 + sp.sin(U2)
    loss = Loss((f - Y) ** 2 / 2, units=2)
    norm = Loss((f - Y) ** 2 / 2 + BETA * (Q[0, 0] + Q[1, 1]) / 2, units=2)
    return Model.build(mixture, loss, ridge=BETA), Model.build(mixture, norm, ridge=0)


def same(left, right):
    """Whether matrices are equal once expectations are evaluated."""
    return all(sp.expand(e.doit()) == 0 for e in sp.Matrix(left - right))


@pytest.mark.parametrize("route", ["stein", "projection"])
def test_the_ridge_is_the_statistic_of_half_the_squared_norms(route):
    plain, norm = twice()
    one, two = (derive_drift(model, route) for model in (plain, norm))
    for part in ("overlap", "gram_perp", "corrector", "readout"):
        assert getattr(one, part) == getattr(two, part)
    one, two = (derive_gradient(model, route) for model in (plain, norm))
    assert one.first_layer == two.first_layer
    one, two = (derive_hessian(model, route) for model in (plain, norm))
    for units in ((0, 0), (0, 1)):
        assert one.block(*units) == two.block(*units)


def test_the_ridge_in_the_gradient_matrix_and_at_finite_size():
    plain, norm = twice()
    one = derive_gradient_matrix(plain, "stein", regularized=True)
    two = derive_gradient_matrix(norm, "stein")
    assert same(one.block(0, 1).coefficients, two.block(0, 1).coefficients)
    for batch in (1, 3):
        one, two = (derive_finite_size(m, "stein", batch).gram_perp for m in (plain, norm))
        assert same(one, two)
    one, two = (derive_diffusion(m, "stein").covariance for m in (plain, norm))
    assert same(one[:1, :2], two[:1, :2])


def test_oja_by_hand():
    """dm/dt = (2 - Q) E[u Y.e] - E[u^2] m - beta m with E[u^2] = m^2 + Q / lambda."""
    drift = derive_drift(oja())
    (m,), (q,) = oja().symbols.overlap, oja().symbols.gram
    lam, beta = 3, sp.Rational(1, 10)
    by_hand = (2 - q) * (m + m / lam) - (m**2 + q / lam) * m - beta * m
    assert sp.expand(drift.overlap[0, 0].doit() - by_hand) == 0


def test_overlaps_in_the_loss_push_along_the_directions():
    model = pair()
    (m, _), gamma = model.symbols.overlap.row(0), model.mixture.directions_gram
    drift = derive_drift(model).overlap
    with_push = drift[0, 1].doit()
    u2 = sum(p * f for p, f in zip(model.mixture.weights, second_moments_of(model), strict=True))
    # E[eta_12] Gamma_22 = E[u_2^2] / 3 Gamma_22 is all that holds Q_22 there
    q = model.symbols.gram[1, 1]
    assert sp.expand(with_push.diff(q) + (u2 / 3 * gamma[1, 1]).diff(q)) == 0
    assert m.name == "m_1_1"


def second_moments_of(model):
    """E_l[u_2^2]."""
    q, lam = model.symbols.gram[1, 1], model.mixture.precision
    return [mean**2 + q / lam for mean in model.preactivation_means.col(1)]


def test_what_statistics_do_not_go_with_is_named():
    plain, norm = twice()
    with pytest.raises(InputError, match=r"^update: .*holds Q_1_1, Q_2_2\. Remedy: leave"):
        norm.with_update(Update(frozen=["unit 1"]))
    m = symbols.rectangular("m", 1, 2)
    with pytest.raises(InputError, match="the statistic m_1_2"):
        Model.build(plain.mixture, Loss(U1**2 + m[0, 1], units=1))
    with pytest.raises(InputError, match=r"unknown symbols \['Q_2_2'\]"):
        Loss(Softplus(U1) + Q[1, 1], units=1)

"""Losses that hold the pre-activations of directions: what is a teacher, and what is refused."""

from __future__ import annotations

import pytest
import sympy as sp

from theory import (
    InputError,
    Loss,
    Mixture,
    Model,
    derive_drift,
    derive_hessian,
    integrate_by_parts,
    low_noise,
    noiseless,
    preactivation_law,
    symbols,
)

(U,), (T1, T2) = symbols.vector("u", 1), symbols.vector("t", 2)
TWO = Mixture.build(labels=[0], coordinates=[[0, 0]])


def test_the_law_of_the_fields_is_that_of_units_teachers_and_noise():
    model = Model.build(TWO, Loss((U - T2 - symbols.LABEL_NOISE) ** 2 / 2, units=1))
    law = preactivation_law(model, 0)
    q, m, g = (sp.Symbol(n, real=True) for n in ("Q_1_1", "m_1_2", "Gamma_2_2"))
    assert law.variables == sp.Tuple(U, T2, symbols.LABEL_NOISE)
    assert law.covariance * symbols.PRECISION == sp.Matrix(
        [[q, m, 0], [m, g, 0], [0, 0, symbols.PRECISION]]
    )


def test_a_linear_teacher_by_hand():
    """g = u - t: dm_s/dt = -(m_s - Gamma_s2) / lambda - beta m_s, by either route."""
    model = Model.build(TWO, Loss((U - T2) ** 2 / 2, units=1), ridge=0)
    m, gamma = model.symbols.overlap, TWO.directions_gram
    for route in ("stein", "projection"):
        drift = derive_drift(model, route).map(integrate_by_parts)
        for s in range(2):
            expected = sum(p * (gamma[1, s] - m[0, s]) / symbols.PRECISION for p in TWO.weights)
            assert sp.expand(drift.overlap[0, s] - expected) == 0


def test_blocks_of_a_teacher_lie_along_its_direction():
    """H = t^2: E[t^2 Y Y^T] has 2 Gamma^2/lambda^2 on e e^T, and is Gamma/lambda^2 beside it."""
    one = Mixture.build(weights=[1], labels=[0], coordinates=[[0]])
    model = Model.build(one, Loss(U**2 * T1**2 / 2, units=1))
    block = derive_hessian(model, regularized=False).block(0, 0)
    gamma = one.directions_gram[0, 0]
    assert block.coefficients[0, 0] == 2 / symbols.PRECISION**2
    assert block.bulk.doit() == gamma / symbols.PRECISION**2


def test_labels_that_jump_with_a_teacher_are_no_jumps_of_the_loss():
    sign = Loss((sp.tanh(U) - sp.sign(T1)) ** 2 / 2, units=1, kinks=(T1,))
    assert sign.teachers == (0,)
    assert not sign.is_smooth
    assert sign.is_smooth_in_weights
    with pytest.raises(InputError, match="a jump at u_1 = 0"):
        Loss(sp.sign(U) * T1, units=1, kinks=(U,))
    with pytest.raises(InputError, match="kink"):
        Loss((U - sp.sign(T1)) ** 2, units=1)


def test_teachers_that_are_none_are_named():
    with pytest.raises(InputError, match=r"teacher t_3; expected t_s of a direction s in 1\.\.2"):
        Model.build(TWO, Loss((U - symbols.indexed("t", 2)) ** 2, units=1))
    with pytest.raises(InputError, match=r"unknown symbols \['u_2'\].*a teacher, which is not"):
        Loss((U - symbols.vector("u", 2)[1]) ** 2, units=1)
    with pytest.raises(InputError, match=r"unknown symbols \['kappa'\].*vector\('t', r\)"):
        Loss((U - sp.Symbol("kappa", real=True) * T1) ** 2, units=1)
    with pytest.raises(InputError, match=r"t_1.*with other assumptions"):
        Loss((U - sp.Symbol("t_1")) ** 2, units=1)


def test_label_noise_has_no_noiseless_limit():
    model = Model.build(TWO, Loss((U - T1 - symbols.LABEL_NOISE) ** 2 / 2, units=1))
    for limit in (noiseless, lambda derived: low_noise(derived, 1)):
        with pytest.raises(InputError, match="label noise"):
            limit(derive_drift(model)).written_out()

"""What an update is: names, numbers, by hand on linear models, and what is refused."""

from __future__ import annotations

import pickle

import pytest
import sympy as sp

from theory import (
    InputError,
    Loss,
    Mixture,
    Model,
    Softplus,
    Step,
    Update,
    derive_diffusion,
    derive_drift,
    derive_finite_size,
    derive_gradient_matrix,
    derive_hessian,
    integrate_by_parts,
    kgmm,
    low_noise,
    separated_fixed_point,
    softmax_fixed_point,
    symbols,
    xor,
)
from theory.problem.updating.rule import positions

(U1, U2), G, Y = symbols.vector("u", 2), symbols.SLOPE, symbols.LABEL
LAM, BETA, C = symbols.PRECISION, symbols.RIDGE, symbols.STEP
ONE = Mixture.build(weights=[1], labels=[0], coordinates=[[1]], directions_gram=[[1]])
PLANE = Mixture.build(
    weights=[1], labels=[0], coordinates=[[1, 0]], directions_gram=[[1, "1/3"], ["1/3", 1]]
)
LINEAR = Loss(2 * U1 + 3 * U2, units=2)


def equal(left, right):
    assert sp.expand(integrate_by_parts(left) - right) == 0


@pytest.mark.parametrize("route", ["stein", "projection"])
def test_rates_and_ridges_by_hand(route):
    """g = (2, 3): units move by rates times (g mu + ridge x), the corrector by both rates."""
    update = Update(rates={"layer 1": 5, "unit 2": "1/2"}, ridges={"unit 1": 2 * BETA})
    model = Model.build(ONE, LINEAR, update=update)
    drift, s = derive_drift(model, route), model.symbols
    equal(drift.overlap[0, 0], -10 - 10 * BETA * s.overlap[0, 0])
    equal(drift.overlap[1, 0], -sp.Rational(3, 2) - BETA * s.overlap[1, 0] / 2)
    equal(drift.gram_perp[0, 1], -(10 * BETA + BETA / 2) * s.gram_perp[0, 1])
    equal(drift.corrector[0, 1], C / LAM * 10 * sp.Rational(3, 2))
    equal(derive_diffusion(model, route).covariance[0, 0], 100 / LAM)


def test_what_is_frozen_stands_still():
    model = Model.build(ONE, LINEAR, update=Update(frozen=["unit 2"]))
    drift, plain = derive_drift(model), derive_drift(model.with_update(None))
    assert drift.overlap[1, 0] == 0
    assert drift.gram_perp[1, 1] == drift.corrector[1, 1] == drift.corrector[0, 1] == 0
    assert drift.overlap[0, 0] == plain.overlap[0, 0]
    assert drift.corrector[0, 0] == plain.corrector[0, 0]


def test_momentum_rescales_the_whole_field_corrector_included():
    half = Model.build(ONE, LINEAR, update=Update(momentum="1/2"))
    plain = derive_drift(half.with_update(None))
    drift = derive_drift(half)
    equal(drift.overlap[0, 0], 2 * plain.overlap[0, 0])
    equal(drift.gram_perp[0, 1], 2 * plain.gram_perp[0, 1])
    equal(drift.corrector[0, 1], 4 * plain.corrector[0, 1])
    with pytest.raises(InputError, match=r"momentum 1/2.*has to be simulated"):
        derive_finite_size(half)


def test_projections_by_hand():
    """The mean e_1 in a plane: (P w).e_2 = w.e_1 / 3, and nothing beside the plane moves."""
    loss = Loss(U1, units=1)
    for project, first, second in (("dominant", 1, sp.Rational(1, 3)), ("bulk", 0, 0)):
        model = Model.build(PLANE, loss, ridge=0, update=Update(project=project))
        drift = derive_drift(model)
        equal(drift.overlap[0, 0], -first)
        equal(drift.overlap[0, 1], -second)
        equal(drift.corrector[0, 0], 0 if project == "dominant" else C / LAM)
        # of the noise along e_2 the part off the mean is 1 - 1/9
        kept = first / sp.Integer(9) if project == "dominant" else 1 - sp.Rational(1, 9)
        equal(derive_diffusion(model).covariance[1, 1], kept / LAM)


def test_an_average_follows_its_unit():
    update = Update(averages={"unit 2": ("unit 1", 3)})
    model = Model.build(ONE, Loss(2 * U1, units=2), update=update)
    drift, s = derive_drift(model), model.symbols
    equal(drift.overlap[1, 0], 3 * (s.overlap[0, 0] - s.overlap[1, 0]))
    equal(drift.gram_perp[1, 1], 6 * (s.gram_perp[0, 1] - s.gram_perp[1, 1]))
    equal(derive_finite_size(model).gram_perp[1, 1],
          9 * C * (s.gram_perp[0, 0] - 2 * s.gram_perp[0, 1] + s.gram_perp[1, 1]))  # fmt: skip


def test_hessian_and_gradient_matrix_stay_those_of_the_loss():
    plain = kgmm(2, directions_gram="orthonormal")
    model = plain.with_update(Update(rates={"unit 1": 7}, rules={"unit 2": G / 2}, momentum="1/3"))
    for derive in (derive_hessian, derive_gradient_matrix):
        ours, theirs = derive(model), derive(plain)
        for e, f in zip(ours.expressions(), theirs.expressions(), strict=True):
            assert e == f
    # the ridges are those of the loss
    ridged = plain.with_update(Update(ridges={"unit 1": 0}))
    bulk = derive_hessian(ridged).block(0, 0).bulk
    assert sp.expand(derive_hessian(plain).block(0, 0).bulk - bulk) == BETA
    assert derive_hessian(ridged).block(1, 1).bulk == derive_hessian(plain).block(1, 1).bulk


def test_rules_are_written_with_a_term_a_label_where_their_kinks_need_it():
    two = Mixture.build(labels=[1, -1], coordinates=[[1], [-1]])
    model = Model.build(
        two, Loss((U1 - Y) ** 2 / 2, units=1), update=Update(rules={"unit 1": sp.sign(G)})
    )
    assert set(model.loss.kinks) == {U1 - 1, U1 + 1}
    for y, side in ((1, Step(U1 - 1)), (-1, Step(U1 + 1))):
        assert model.rule.slopes[0].xreplace({Y: sp.Integer(y)}) == 2 * side - 1
    for route in ("stein", "projection"):
        corrector = derive_drift(model, route).corrector[0, 0].doit()
        equal(corrector, sum(two.weights) * C / LAM)


def test_names_and_what_is_named_closer():
    loss = xor(4).loss
    assert positions("layer 1", loss, "rates") == range(4)
    assert positions("layer 2", loss, "rates") == positions("readout", loss, "rates")
    assert positions("v_2", loss, "rates") == range(5, 6)
    rule = xor(4).with_update(Update(rates={"v_2": 3, "layer 2": 2})).rule
    assert [e.coeff(BETA) for e in rule.readout_decay] == [2, 3, 2, 2]


def test_an_update_is_data():
    update = Update(rates={"unit 1": 2}, momentum=0.5)
    model = kgmm(2).with_update(update)
    assert pickle.loads(pickle.dumps(model)) == model
    assert hash(model) != hash(kgmm(2))
    assert kgmm(2).with_update(Update()) == kgmm(2)
    assert "rates={'unit 1': 2}" in repr(model)
    assert model.substitute({BETA: "1/2"}).ridges == (sp.Rational(1, 2),) * 2
    assert update.text != Update(rates={"unit 1": 2}).text


@pytest.mark.parametrize(
    ("update", "message"),
    [
        ({"rates": {"layer 3": 1}}, r"rates: got 'layer 3'; expected one of layer 1, unit 1 \.\."),
        ({"rates": {"unit 1": -1}}, r"rates\['unit 1'\]: got -1; expected a number >= 0"),
        ({"rates": {"unit 1": C}}, r"rates\['unit 1'\]: got c_delta; expected a number"),
        ({"rates": {"unit 1": "fast"}}, r"rates\['unit 1'\]: got 'fast'"),
        ({"rates": 2}, r"rates: got 2; expected a mapping of names"),
        ({"rates": {"unit 1": 1}, "frozen": ["unit 1"]}, r"frozen: got 'unit 1', which has an"),
        ({"ridges": {"unit 1": -BETA}}, r"ridges\['unit 1'\]: got -1"),
        ({"frozen": "unit 1"}, r"frozen: got 'unit 1'; expected a sequence"),
        ({"frozen": ["unit 9"]}, r"frozen: got 'unit 9'; expected one of"),
        ({"momentum": 1}, r"momentum: got 1; expected a number in \[0, 1\)"),
        ({"project": "top"}, r"project: got 'top'; expected one of dominant, bulk"),
        ({"rules": {"unit 1": sp.Symbol("q")}}, r"rules: got unknown symbols \['q'\]"),
        (
            {"averages": {"unit 2": "unit 1"}},
            r"averages\['unit 2'\]: got 'unit 1'; expected a pair",
        ),
        ({"averages": {"unit 2": ("unit 1", 1)}}, r"averages: got unit 2, which the loss trains"),
        ({"averages": {"unit 2": ("layer 1", 1)}}, r"averages: got 'layer 1'; expected a unit"),
        ({"rate": {}}, r"rate: got no argument of this name"),
    ],
)
def test_bad_updates_are_named(update, message):
    with pytest.raises(InputError, match=message):
        kgmm(2).with_update(Update(**update))


def test_what_knows_the_plain_gradient_alone_refuses():
    update = Update(rates={"unit 1": 2})
    with pytest.raises(InputError, match=r"model: got kgmm2 with Update.*take model\.with_update"):
        softmax_fixed_point(kgmm(2, directions_gram="orthonormal").with_update(update))
    with pytest.raises(InputError, match=r"separated fixed points know the plain gradient"):
        separated_fixed_point(xor(4).with_update(update), ["mu", "-mu", "nu", "nu"])
    with pytest.raises(InputError, match=r"ridges: got 2\*beta; expected numbers: the ridge"):
        kgmm(2, ridge=0).with_update(Update(ridges={"unit 1": 2 * BETA}))
    with pytest.raises(InputError, match=r"rules: "):
        Model.build(ONE, Loss(U1**2 / 2, units=1), update=Update(rules={"unit 1": 1 / G}))
    with pytest.raises(InputError, match=r"update: got .*; expected an sa.Update"):
        Model.build(ONE, LINEAR, update={"rates": {}})


def test_limits_of_little_noise_take_the_rule():
    two = Mixture.build(weights=["1/2", "1/2"], labels=[1, -1], coordinates=[[1], [-1]])
    loss = Loss(Softplus(-Y * U1), units=1)
    model = Model.build(two, loss, update=Update(rules={"unit 1": sp.tanh(G)}))
    limit = low_noise(derive_drift(model), 0).overlap[0, 0]
    m = model.symbols.overlap[0, 0]
    slope = sp.tanh(loss.partial((0,)).xreplace({Y: sp.Integer(1), U1: m}))
    at = {m: sp.Rational(1, 3), BETA: sp.Rational(1, 5), sp.Symbol("Gamma_1_1", real=True): 2}
    value = (limit + 2 * slope + BETA * m).rewrite(sp.exp).xreplace(at)
    assert abs(value.evalf(30)) < 1e-25

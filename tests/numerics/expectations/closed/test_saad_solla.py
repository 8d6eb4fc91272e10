"""Soft committee machines with erf learn a rule: closed forms against those published.

D. Saad and S. Solla, Phys. Rev. E 52 (1995) 4225, appendix A: with g(x) = erf(x / sqrt 2) and
Gaussian fields of zero mean and covariance C,

    I2(a, b) = E[g(a) g(b)] = (2/pi) asin(C_ab / sqrt((1 + C_aa)(1 + C_bb))),
    I3(a, b, c) = E[g'(a) b g(c)]
        = (2/pi) (C_bc (1 + C_aa) - C_ab C_ac) / ((1 + C_aa) sqrt(L3)),
    I4(a, b, c, d) = E[g'(a) g'(b) g(c) g(d)]
        = (4/pi^2) asin(L0 / sqrt(L1 L2)) / sqrt(L4).

Students and teachers are units of one mixture with a single component in the origin; their fields
meet in the expectations of the student's equations of motion.
"""

from __future__ import annotations

import itertools

import mpmath
import numpy as np
import pytest
import sympy as sp
from helpers import fresh_rng

from numerics import Parameters, State
from numerics.expectations.compiled import compile_expressions
from theory import GaussianExpectation, Loss, Mixture, Model, preactivation_law, symbols


def g(x):
    return sp.erf(x / sp.sqrt(2))


def machine(units):
    """Units whose fields are Gaussian of zero mean; the loss is that of the students together."""
    u = symbols.vector("u", units)
    one = Mixture.build(weights=[1], labels=[0], coordinates=[[0]], directions_gram=[[1]])
    return Model.build(one, Loss(sum(g(a) for a in u) ** 2 / 2, units=units), name="committee")


def right_hand_sides(students, teachers):
    """dR_in/dt / eta and the two parts of dQ_ik/dt, as expectations (their equations 4 and 5)."""
    model = machine(students + teachers)
    u = model.symbols.preactivation
    law = preactivation_law(model, 0)
    error = sum(g(b) for b in u[students:]) - sum(g(a) for a in u[:students])
    delta = [sp.diff(g(u[i]), u[i]) * error for i in range(students)]
    pairs = list(itertools.combinations_with_replacement(range(students), 2))
    integrands = [delta[i] * u[students + n] for i in range(students) for n in range(teachers)]
    integrands += [delta[i] * u[k] + delta[k] * u[i] for i, k in pairs]
    integrands += [delta[i] * delta[k] for i, k in pairs]
    return model, tuple(GaussianExpectation(f, law) for f in integrands)


class Published:
    """The integrals at 40 digits, from the formulas of the paper."""

    def __init__(self, covariance):
        self.c = mpmath.matrix(covariance.tolist())

    def i3(self, a, b, c):
        s = self.c
        root = mpmath.sqrt((1 + s[a, a]) * (1 + s[c, c]) - s[a, c] ** 2)
        return 2 / mpmath.pi / root * (s[b, c] * (1 + s[a, a]) - s[a, b] * s[a, c]) / (1 + s[a, a])

    def i4(self, a, b, c, d):
        s = self.c
        l4 = (1 + s[a, a]) * (1 + s[b, b]) - s[a, b] ** 2
        l0 = (
            l4 * s[c, d]
            - s[b, c] * s[b, d] * (1 + s[a, a])
            - s[a, c] * s[a, d] * (1 + s[b, b])
            + s[a, b] * s[a, c] * s[b, d]
            + s[a, b] * s[a, d] * s[b, c]
        )
        l1, l2 = (
            l4 * (1 + s[e, e])
            - s[b, e] ** 2 * (1 + s[a, a])
            - s[a, e] ** 2 * (1 + s[b, b])
            + 2 * s[a, b] * s[a, e] * s[b, e]
            for e in (c, d)
        )
        return 4 / mpmath.pi**2 / mpmath.sqrt(l4) * mpmath.asin(l0 / mpmath.sqrt(l1 * l2))

    def right_hand_sides(self, students, teachers):
        every = students + teachers
        sign = [-1] * students + [1] * teachers
        found = [
            mpmath.fsum(sign[j] * self.i3(i, students + n, j) for j in range(every))
            for i in range(students)
            for n in range(teachers)
        ]
        pairs = list(itertools.combinations_with_replacement(range(students), 2))
        found += [
            mpmath.fsum(sign[j] * (self.i3(i, k, j) + self.i3(k, i, j)) for j in range(every))
            for i, k in pairs
        ]
        found += [
            mpmath.fsum(
                sign[j] * sign[l] * self.i4(i, k, j, l) for j in range(every) for l in range(every)
            )
            for i, k in pairs
        ]
        return found


def difference(size, rng):
    """Largest error of the compiled right-hand sides of ``size`` students and teachers, and the
    largest bound they state.
    """
    model, expressions = right_hand_sides(size, size)
    compiled = compile_expressions(model, expressions, "numpy")
    worst = bound = 0.0
    for _ in range(5):
        mixing = rng.normal(size=(2 * size, 2 * size)) * 10.0 ** rng.uniform(-2, 0.5)
        covariance = mixing @ mixing.T
        state = State(np.zeros((2 * size, 1)), covariance)
        found = compiled.estimate(Parameters([1], 1.0, 0.0, 1, [[1.0]]), state)
        assert found.rule.kind == "closed"
        with mpmath.workdps(40):
            right = Published(state.gram_perp).right_hand_sides(size, size)
            away = [abs(mpmath.mpf(float(x)) - e) for x, e in zip(found.values, right, strict=True)]
        assert np.all(np.array(away, dtype=float) <= found.errors)
        worst, bound = max(worst, float(max(away))), max(bound, float(found.errors.max()))
    return worst, bound


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_equations_of_motion_are_those_published(size):
    worst, _ = difference(size, fresh_rng())
    assert worst < 1e-12


@pytest.mark.slow
def test_a_wrong_sign_in_the_published_integral_is_seen(monkeypatch):
    right = Published.i4
    monkeypatch.setattr(Published, "i4", lambda self, a, b, c, d: -right(self, a, b, c, d))
    with pytest.raises(AssertionError):
        difference(2, fresh_rng())

"""Models with teachers, each with the gradient of its loss written out by hand in NumPy.

Saad and Solla, Phys. Rev. E 52 (1995) 4225: the equations of motion of committee machines with
g(x) = erf(x / sqrt 2) are written out here from their integrals I3 and I4; nothing of the engine
enters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.special
import sympy as sp

from numerics import Problem, State, realise_weights
from theory import Loss, Mixture, Model, symbols

ROOT_2 = np.sqrt(2.0)


@dataclass(frozen=True)
class TeacherCase:
    """A problem at a state, and d loss / d (u, v) from (y, u, t, xi, v), one row a sample."""

    problem: Problem
    state: State
    gradient: Callable[..., np.ndarray]


def committee(students, teachers, *, labels=(0,), noise=0, precision=1, step="1/2"):
    """sum_a g(u_a) against sum_s g(t_s) + y + noise * xi, square loss, orthonormal teachers."""
    u, t = symbols.vector("u", students), symbols.vector("t", teachers)
    target = sum(sp.erf(x / sp.sqrt(2)) for x in t) + symbols.LABEL + noise * symbols.LABEL_NOISE
    output = sum(sp.erf(x / sp.sqrt(2)) for x in u)
    count = len(labels)
    data = Mixture.build(
        weights=[sp.Rational(1, count)] * count,
        labels=list(labels),
        coordinates=[[0] * teachers] * count,
        directions_gram=sp.eye(teachers),
        precision=precision,
    )
    loss = Loss((output - target) ** 2 / 2, units=students)
    return Model.build(data, loss, ridge=0, step=step, name=f"committee{students}-{teachers}")


def phase_retrieval():
    """(u^2 - t^2)^2 / 8."""
    (u,), (t,) = symbols.vector("u", 1), symbols.vector("t", 1)
    return _one_component(Loss((u**2 - t**2) ** 2 / 8, units=1), "phase retrieval", 0.05)


def sign_teacher():
    """(erf(u) - sign(t))^2 / 2: a label that jumps, which no gradient sees."""
    (u,), (t,) = symbols.vector("u", 1), symbols.vector("t", 1)
    loss = Loss((sp.erf(u) - sp.sign(t)) ** 2 / 2, units=1, kinks=(t,))
    return _one_component(loss, "sign teacher", 0.5)


def multi_index():
    """tanh(u_1) v_1 + tanh(u_2) against t_1 t_2 + y: two components with means, a readout."""
    u, t, (v,) = symbols.vector("u", 2), symbols.vector("t", 2), symbols.vector("v", 1)
    third = sp.Rational(1, 3)
    data = Mixture.build(
        weights=[third, 2 * third],
        labels=[0, 1],
        coordinates=[[1, 0], [0, -1]],
        directions_gram=[[1, third], [third, 2]],
        precision=2,
    )
    output = v * sp.tanh(u[0]) + sp.tanh(u[1])
    loss = Loss((output - t[0] * t[1] - symbols.LABEL) ** 2 / 2, units=2, readout_size=1)
    return Model.build(data, loss, ridge="1/10", step="1/4", name="multi-index")


def _one_component(loss, name, step):
    data = Mixture.build(
        weights=[1], labels=[0], coordinates=[[0]], directions_gram=[[1]], precision=1
    )
    return Model.build(data, loss, ridge="1/10", step=step, name=name)


def _committee_gradient(noise):
    def gradient(y, u, t, xi, v):
        error = scipy.special.erf(u / ROOT_2).sum(1) - scipy.special.erf(t / ROOT_2).sum(1)
        slope = np.sqrt(2 / np.pi) * np.exp(-(u**2) / 2)
        return (error - y - noise * xi)[:, None] * slope

    return gradient


def _phase_gradient(y, u, t, xi, v):
    return (u**2 - t**2) * u / 2


def _sign_gradient(y, u, t, xi, v):
    error = scipy.special.erf(u) - np.sign(t)
    return error * 2 / np.sqrt(np.pi) * np.exp(-(u**2))


def _multi_gradient(y, u, t, xi, v):
    h = np.tanh(u)
    error = v[0] * h[:, 0] + h[:, 1] - t[:, 0] * t[:, 1] - y
    slopes = np.stack([v[0] * (1 - h[:, 0] ** 2), 1 - h[:, 1] ** 2, h[:, 0]], axis=1)
    return error[:, None] * slopes


BUILDERS = {
    "committee": (lambda: committee(2, 2, labels=("3/10", "-3/10")), _committee_gradient(0.0)),
    "noisy committee": (lambda: committee(3, 2, noise=sp.Rational(1, 2)), _committee_gradient(0.5)),
    "phase": (phase_retrieval, _phase_gradient),
    "sign": (sign_teacher, _sign_gradient),
    "multi-index": (multi_index, _multi_gradient),
}


def teacher_case(name, rng) -> TeacherCase:
    """A case at a random state of moderate size."""
    build, gradient = BUILDERS[name]
    model = build()
    return TeacherCase(Problem(model), random_state(model, rng), gradient)


def random_state(model, rng, size=0.6):
    """Random overlaps, R_perp and readout."""
    factor = rng.uniform(-1, 1, (model.units, model.units))
    return State(
        size * rng.uniform(-1, 1, (model.units, model.directions)),
        size * (0.3 * np.eye(model.units) + factor @ factor.T / model.units),
        rng.uniform(0.3, 1, model.readout_size),
    )


def raw_step(case, dimension, samples, rng):
    """Changes of the statistics in single steps of SGD over delta, from the definition alone."""
    problem, state = case.problem, case.state
    model, p = problem.model, problem.parameters
    directions, x = realise_weights(problem, state, dimension)
    component = rng.choice(model.components, size=samples, p=p.weights)
    noise = rng.standard_normal((samples, dimension)) / np.sqrt(p.precision)
    y = (problem.coordinates @ directions)[component] + noise
    xi = rng.standard_normal(samples)
    labels = problem.labels[component]
    slopes = case.gradient(labels, y @ x.T, y @ directions.T, xi, state.readout)
    g, dv = slopes[:, : model.units], slopes[:, model.units :]
    delta = p.step / dimension
    moved = x - delta * (g[:, :, None] * y[:, None, :] + p.ridge * x)
    overlap = moved @ directions.T
    away = moved - overlap @ np.linalg.inv(p.directions_gram) @ directions
    gram = away @ away.transpose(0, 2, 1)
    upper = np.triu_indices(len(x))
    readout = state.readout - delta * (dv + p.ridge * state.readout)
    after = [overlap.reshape(samples, -1), gram[:, upper[0], upper[1]], readout]
    return (np.concatenate(after, axis=1) - state.flatten()) / delta


# --- the equations of Saad and Solla --------------------------------------------------------------


def integral_3(c):
    """E[g'(a) b g(c)] of Gaussian fields (a, b, c) of covariance c."""
    root = np.sqrt((1 + c[0, 0]) * (1 + c[2, 2]) - c[0, 2] ** 2)
    top = c[1, 2] * (1 + c[0, 0]) - c[0, 1] * c[0, 2]
    return 2 / np.pi * top / root / (1 + c[0, 0])


def integral_4(c):
    """E[g'(a) g'(b) g(c) g(d)]."""
    a, b = 1 + c[0, 0], 1 + c[1, 1]
    last = a * b - c[0, 1] ** 2
    cross = c[0, 1] * (c[0, 2] * c[1, 3] + c[0, 3] * c[1, 2])
    zero = last * c[2, 3] - c[1, 2] * c[1, 3] * a - c[0, 2] * c[0, 3] * b + cross

    def one(i):
        square = c[1, i] ** 2 * a + c[0, i] ** 2 * b
        return last * (1 + c[i, i]) - square + 2 * c[0, 1] * c[0, i] * c[1, i]

    return 4 / np.pi**2 * np.arcsin(zero / np.sqrt(one(2) * one(3))) / np.sqrt(last)


def integral_2(c):
    """E[g'(a) g'(b)]."""
    return 2 / np.pi / np.sqrt((1 + c[0, 0]) * (1 + c[1, 1]) - c[0, 1] ** 2)


def saad_solla(m, q, step, variance):
    """(dm/dt, dQ/dt) of orthonormal teachers, label noise of a variance, t = steps step / d."""
    students, teachers = m.shape
    fields = np.block([[q, m], [m.T, np.eye(teachers)]])
    sign = np.repeat([1.0, -1.0], [students, teachers])
    every = range(students + teachers)

    def of(*index):
        return fields[np.ix_(index, index)]

    dm, dq = np.zeros_like(m), np.zeros_like(q)
    for i in range(students):
        for n in range(teachers):
            dm[i, n] = -sum(sign[j] * integral_3(of(i, students + n, j)) for j in every)
        for k in range(i + 1):
            both = (integral_3(of(i, k, j)) + integral_3(of(k, i, j)) for j in every)
            dq[i, k] = -sum(s * x for s, x in zip(sign, both, strict=True))
            # symmetric in a and b
            squares = (
                (2 - (a == b)) * sign[a] * sign[b] * integral_4(of(i, k, a, b))
                for a in every
                for b in range(a + 1)
            )
            dq[i, k] += step * (sum(squares) + variance * integral_2(of(i, k)))
            dq[k, i] = dq[i, k]
    return dm, dq

"""Separated fixed points of the XOR network, against direct calculations."""

from __future__ import annotations

import itertools
import math
from functools import lru_cache

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
import sympy as sp
from helpers import fresh_rng
from hypothesis import given, settings
from hypothesis import strategies as st
from kinked_quadrature import REACH, panels
from model_cases import check_message

from theory import (
    InputError,
    ReLU,
    Sigmoid,
    Step,
    derive_drift,
    existing_clusters,
    kgmm,
    noiseless,
    separated_fixed_point,
    separation_probabilities,
    symbols,
    xor,
)

NAMES = ("0", "mu", "-mu", "nu", "-nu")
MEANS = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
LABELS = (1, 1, 0, 0)
CLUSTER = {"mu": 0, "-mu": 1, "nu": 2, "-nu": 3}
P, BETA = symbols.vector("p", 4, positive=True), symbols.RIDGE


# --- the noiseless drift vanishes, symbolically ---------------------------------------------------


class Sliding:
    """The noiseless drift at v_i = +-a_i, W_i = a_i S_l, shares unknown on a kink."""

    def __init__(self, assignment) -> None:
        self.assignment, self.width = assignment, len(assignment)
        self.sizes = symbols.vector("a", self.width, positive=True)
        s = xor(self.width).symbols
        self.place, self.shares, self.theta = {}, {}, {}
        for i, name in enumerate(assignment):
            own = CLUSTER.get(name)
            self.place[s.readout[i]] = (
                sp.Integer(0) if own is None else self.sizes[i] * (1 if LABELS[own] else -1)
            )
            for t in range(2):
                m = s.overlap[i, t]
                at = sp.Integer(0) if own is None else self.sizes[i] * int(MEANS[own][t])
                self.place[m] = at
                for sign, l in ((1, 2 * t), (-1, 2 * t + 1)):
                    if own is None:
                        share = sp.Integer(0)
                    elif own // 2 == t:
                        share = sp.Integer(int(own == l))
                    else:
                        share = sp.Symbol(f"theta_{i}_{l}")
                        self.theta[i, l] = share
                    self.shares[Step(sign * m)] = share
                    self.shares[ReLU(sign * m)] = self.sizes[i] * int(own == l)

    def norm(self, l):
        return sp.Add(
            *(
                a**2
                for a, name in zip(self.sizes, self.assignment, strict=True)
                if CLUSTER.get(name) == l
            )
        )

    def filled(self, l):
        return any(CLUSTER.get(name) == l for name in self.assignment)

    def probability(self, argument):
        """sigma(f) with f = +-log((p_l - beta)/beta) where it is the output at cluster l."""
        argument = sp.expand(argument)
        if argument == 0:
            return sp.Rational(1, 2)
        (l,) = (
            l
            for l in range(4)
            if sp.expand(argument - (1 if LABELS[l] else -1) * self.norm(l)) == 0
        )
        return (P[l] - BETA) / P[l] if LABELS[l] else BETA / P[l]

    def drift(self) -> list[sp.Expr]:
        drift = noiseless_drift(self.width)
        out = []
        for e in (*drift.overlap, *drift.readout):
            e = e.xreplace(self.shares).xreplace(self.place)
            out.append(e.replace(Sigmoid, self.probability))
        return out

    def residuals(self, shares) -> list[sp.Expr]:
        values = {symbol: shares(i, l) for (i, l), symbol in self.theta.items()}
        return [sp.cancel(sp.together(e.xreplace(values))) for e in self.drift()]


@lru_cache(maxsize=None)
def noiseless_drift(width):
    return noiseless(derive_drift(xor(width)))


def test_the_noiseless_drift_has_one_step_a_term():
    """So that replacing a step by the share of active samples is its average."""
    for e in noiseless_drift(2).overlap:
        steps = [term.atoms(Step) for term in sp.Add.make_args(sp.expand(e))]
        assert max(map(len, steps)) == 1


@pytest.mark.parametrize("width", [1, 2, pytest.param(3, marks=pytest.mark.slow)])
def test_the_drift_vanishes_at_every_assignment(width):
    """All 5^K assignments, any weights and ridge, any point of the spheres."""
    model = xor(width)
    for assignment in itertools.product(NAMES, repeat=width):
        point = separated_fixed_point(model, assignment)
        assert set(Sliding(assignment).residuals(point.active_share)) <= {0}, assignment


@pytest.mark.slow
@settings(max_examples=5)
@given(
    st.integers(4, 5).flatmap(lambda k: st.lists(st.sampled_from(NAMES), min_size=k, max_size=k))
)
def test_the_drift_vanishes_for_wider_networks(assignment):
    point = separated_fixed_point(xor(len(assignment)), assignment)
    assert set(Sliding(tuple(assignment)).residuals(point.active_share)) <= {0}


@pytest.mark.parametrize("assignment", list(itertools.product(NAMES, repeat=2)), ids="/".join)
def test_the_shares_are_the_only_ones_at_which_the_drift_vanishes(assignment):
    """The pushes from both sides of the axis cancel at the shares solved for."""
    sliding = Sliding(assignment)
    point = separated_fixed_point(xor(2), assignment)
    pairs = {(i, l // 2) for i, l in sliding.theta}
    closure = [sliding.theta[i, 2 * t] + sliding.theta[i, 2 * t + 1] - 1 for i, t in pairs]
    unknowns = list(sliding.theta.values())
    equations = [e for e in map(sp.cancel, [*sliding.drift(), *closure]) if e != 0]
    (found,) = sp.linsolve(equations, unknowns) if unknowns else ((),)
    for (i, l), value in zip(sliding.theta, found, strict=True):
        assert sp.cancel(value - point.active_share(i, l)) == 0


def test_another_norm_or_share_does_not_solve_it():
    """The check has teeth: sigma of another output, or half of the samples active."""
    sliding = Sliding(("mu", "nu"))
    assert set(sliding.residuals(lambda i, l: sp.Rational(1, 2))) != {0}
    sliding.probability = lambda argument: sp.Rational(1, 3)
    point = separated_fixed_point(xor(2), ["mu", "nu"])
    assert set(sliding.residuals(point.active_share)) != {0}


# --- norms ----------------------------------------------------------------------------------------


def test_norms_at_equal_weights():
    model = xor(4, weights=["1/4"] * 4)
    point = separated_fixed_point(model, ["mu", "-mu", "nu", "-nu"])
    expected = sp.log((1 - 4 * BETA) / (4 * BETA))
    assert [sp.simplify(e - expected) for e in point.squared_norms.values()] == [0] * 4


def test_norms_at_any_weights():
    """sigma(sum v^2) = 1 - beta / p_l, solved for the sum."""
    point = separated_fixed_point(xor(3), ["mu", "mu", "-nu"])
    assert set(point.squared_norms) == {0, 3}
    for l, norm in point.squared_norms.items():
        x = sp.Symbol("x", positive=True)
        (solution,) = sp.solve(P[l] * (1 - x / (1 + x)) - BETA, x)  # x = e^norm
        assert sp.simplify(sp.exp(norm) - solution) == 0
        assert sp.simplify(Sigmoid(norm).rewrite(sp.exp) - (1 - BETA / P[l])) == 0


def test_names_of_the_parts():
    point = separated_fixed_point(xor(5), ["nu", "0", "mu", "nu", None])
    assert point.members == ((2,), (), (0, 3), ())
    assert point.separated == (0, 2)
    assert set(point.readout_conditions) == {point.model.symbols.readout[i] for i in (1, 4)}


# --- blocks: against a direct calculation with random numbers -------------------------------------


class Numbers:
    """A random assignment, weights, ridge and point of the spheres, at lambda -> infinity."""

    def __init__(self, rng, width: int, assignment=None) -> None:
        self.assignment = list(assignment or rng.choice(NAMES, size=width))
        width = len(self.assignment)
        raw = rng.uniform(0.6, 1.4, 4)
        self.p = raw / raw.sum()
        self.beta = 0.5 * self.p.min() * rng.uniform(0.1, 0.9)
        self.own = [CLUSTER.get(name) for name in self.assignment]
        self.norm = np.array(
            [
                math.log((p - self.beta) / self.beta) if l in self.own else 0.0
                for l, p in enumerate(self.p)
            ]
        )
        raw = rng.uniform(0.3, 1.0, width)
        self.v, self.w = np.zeros(width), np.zeros((width, 2))
        for i, l in enumerate(self.own):
            if l is not None:
                share = raw[i] ** 2 / sum(raw[j] ** 2 for j, o in enumerate(self.own) if o == l)
                self.v[i] = (1 if LABELS[l] else -1) * math.sqrt(share * self.norm[l])
                self.w[i] = abs(self.v[i]) * MEANS[l]
        self.model = xor(width)
        self.point = separated_fixed_point(self.model, self.assignment)
        sign = np.array([1, 1, -1, -1])
        sigma = 1 / (1 + np.exp(-sign * self.norm))
        self.curvature = self.p * sigma * (1 - sigma)
        self.residual = sigma - np.array(LABELS)

    def __call__(self, expression) -> np.ndarray:
        values = dict(zip(self.model.symbols.readout, self.v, strict=True)) | {BETA: self.beta}
        values |= dict(zip(P, self.p, strict=True))
        return np.array(sp.Matrix([expression]).xreplace(values).evalf(17).tolist(), float)

    def outputs(self) -> np.ndarray:
        """g(W S_l), 4 x K."""
        return np.maximum(MEANS @ self.w.T, 0)


WIDTHS = [1, 2, 4, 7]


@pytest.mark.parametrize("width", WIDTHS)
def test_readout_blocks(width):
    """E[sigma' g g^T] and E[(sigma - y)^2 g g^T] at the means: rank and eigenvalues by NumPy."""
    rng = fresh_rng()
    for _ in range(8):
        at = Numbers(rng, width)
        g = at.outputs()
        for matrix, weight in (("hessian", at.curvature), ("gradient", at.p * at.residual**2)):
            expected = g.T @ (weight[:, None] * g)
            assert np.abs(at(at.point.readout(matrix)) - expected).max() < 1e-13
            eigenvalues = np.sort(np.linalg.eigvalsh(expected))[::-1]
            named = sorted(
                (float(at(e)[0, 0]) for e in at.point.readout_eigenvalues(matrix).values()),
                reverse=True,
            )
            clusters = len({l for l in at.own if l is not None})
            assert len(named) == len(at.point.separated) == clusters
            assert np.abs(eigenvalues[:clusters] - named).max(initial=0) < 1e-13
            assert np.abs(eigenvalues[clusters:]).max(initial=0) < 1e-13
            assert min(named, default=1.0) > 1e-4  # so the rank is not smaller


@pytest.mark.slow
@pytest.mark.parametrize("width", [1, 2, 4])
def test_the_rank_is_the_number_of_separated_clusters_symbolically(width):
    for assignment in itertools.islice(
        itertools.product(NAMES, repeat=width), 0, None, max(1, 5**width // 6)
    ):
        point = separated_fixed_point(xor(width), assignment)
        v = dict(
            zip(point.model.symbols.readout, sp.symbols(f"x0:{width}", positive=True), strict=True)
        )
        clusters = len(set(assignment) - {"0"})
        assert point.readout().xreplace(v).rank() == clusters
        assert point.readout("gradient").xreplace(v).rank() == clusters


# --- blocks and shares: against the equilibrium at large, finite precision ------------------------


class FiniteNoise:
    """E[h] over Y = S_l + z / sqrt(lambda), z in the plane of mu and nu: the definition.

    The unknowns of unit i are its overlap with the cluster it picked, its offset a_i (overlap with
    the other axis, times sqrt(lambda)) and v_i.  At a cluster of that other axis its kink is the
    line where z along its own axis is -(a_i + ...) / m_i: Gauss-Hermite across the line, panels
    split at the kinks along it.
    """

    def __init__(self, at: Numbers, precision: float) -> None:
        assert None not in at.own
        self.at, self.precision, self.width = at, precision, len(at.own)
        self.axis = np.array([l // 2 for l in at.own])
        self.side = np.array([MEANS[l].sum() for l in at.own])

    def unpack(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        along, offset, v = x.reshape(3, -1)
        w = np.empty((self.width, 2))
        units = np.arange(self.width)
        w[units, self.axis] = along * self.side
        w[units, 1 - self.axis] = offset / np.sqrt(self.precision)
        return w, v

    def nodes(self, w: np.ndarray, l: int) -> tuple[np.ndarray, np.ndarray]:
        """z (2, N) and probabilities at cluster l."""
        across, along = l // 2, 1 - l // 2  # the units that slide here noise along the other axis
        root = np.sqrt(self.precision)
        outer, weight = np.polynomial.hermite_e.hermegauss(6)
        weight = weight / weight.sum()
        points, probabilities = [], []
        for t, p in zip(outer, weight, strict=True):
            z = np.zeros(2)
            z[across] = t
            fixed = w @ (MEANS[l] + z / root)
            sliding = self.axis == along
            kinks = -fixed[sliding] * root / w[sliding, along]
            x, q = panels(0.0, 1.0, sorted(set(kinks[np.abs(kinks) < REACH])))
            pair = np.empty((2, x.size))
            pair[across], pair[along] = t, x
            points.append(pair)
            probabilities.append(p * q * scipy.stats.norm.pdf(x))
        return np.concatenate(points, axis=1), np.concatenate(probabilities)

    def sample(self, x: np.ndarray, l: int):
        """Probabilities, Y, active units, g(u) and sigma(f) - y at the nodes of cluster l."""
        w, v = self.unpack(x)
        z, p = self.nodes(w, l)
        y = MEANS[l][:, None] + z / np.sqrt(self.precision)
        u = w @ y
        g = np.maximum(u, 0)
        return p, y, (u > 0) * 1.0, g, 1 / (1 + np.exp(-(v @ g))) - LABELS[l], v

    def drift(self, x: np.ndarray) -> np.ndarray:
        """-E[grad] in the unknowns (v, overlap with the own cluster, offset)."""
        w, v = self.unpack(x)
        dw, dv = -self.at.beta * w, -self.at.beta * v
        for l, weight in enumerate(self.at.p):
            p, y, on, g, r, _ = self.sample(x, l)
            dw -= weight * v[:, None] * np.einsum("n,in,sn->is", p * r, on, y)
            dv -= weight * g @ (p * r)
        units = np.arange(self.width)
        own, other = (
            dw[units, self.axis] * self.side,
            dw[units, 1 - self.axis] * np.sqrt(self.precision),
        )
        return np.concatenate([own, other, dv])

    def equilibrium(self) -> np.ndarray:
        """Solved from the closed form at lambda -> infinity, with offsets that make the shares."""
        units = range(self.width)
        theta = [
            float(self.at(self.at.point.active_share(i, 2 * int(1 - self.axis[i])))[0, 0])
            for i in units
        ]
        size = np.abs(self.at.v)
        start = np.concatenate([size, size * scipy.stats.norm.ppf(theta), self.at.v])
        # units of one cluster may exchange their sizes: least squares stays near the start
        scale = np.concatenate(
            [np.ones(self.width), np.full(self.width, np.sqrt(self.precision)), np.ones(self.width)]
        )
        found = scipy.optimize.least_squares(
            lambda x: self.drift(x) / scale, start, method="lm", xtol=1e-14, ftol=1e-14
        )
        assert np.abs(found.fun).max() < 1e-10
        return found.x

    def blocks(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Shares, and the blocks of Hessian (almost everywhere) and G, over units and (mu, nu)."""
        k = self.width
        names = {
            "share": (k, 4),
            "joint": (k, k, 4),
            "hessian": (k, k, 2, 2),
            "gradient": (k, k, 2, 2),
            "mixed": (k, k, 2),
            "readout hessian": (k, k),
            "readout gradient": (k, k),
        }
        out = {name: np.zeros(shape) for name, shape in names.items()}
        for l, weight in enumerate(self.at.p):
            p, y, on, g, r, v = self.sample(x, l)
            s1, fu = (r + LABELS[l]) * (1 - r - LABELS[l]), v[:, None] * on
            out["share"][:, l] = on @ p
            out["joint"][:, :, l] = np.einsum("n,in,jn->ij", p, on, on)
            p = weight * p
            out["hessian"] += np.einsum("n,in,jn,sn,tn->ijst", p * s1, fu, fu, y, y, optimize=True)
            out["gradient"] += np.einsum(
                "n,in,jn,sn,tn->ijst", p * r**2, fu, fu, y, y, optimize=True
            )
            out["mixed"] += np.einsum("n,in,jn,sn->ijs", p * s1, fu, g, y, optimize=True)
            out["mixed"] += np.eye(k)[:, :, None] * np.einsum("n,in,sn->is", p * r, on, y)[:, None]
            out["readout hessian"] += np.einsum("n,in,jn->ij", p * s1, g, g)
            out["readout gradient"] += np.einsum("n,in,jn->ij", p * r**2, g, g)
        return out

    def closed_forms(self) -> dict[str, np.ndarray]:
        """The same from the theory."""
        at, point, units = self.at, self.at.point, range(self.width)
        pair = lambda entry: np.array([[entry(i, j) for j in units] for i in units])  # noqa: E731
        return {
            "share": np.array(
                [[at(point.active_share(i, l))[0, 0] for l in range(4)] for i in units]
            ),
            "joint": pair(lambda i, j: [at(point.joint_share(i, j, l))[0, 0] for l in range(4)]),
            "hessian": pair(lambda i, j: at(point.first_layer(i, j))),
            "gradient": pair(lambda i, j: at(point.first_layer(i, j, "gradient"))),
            "mixed": pair(lambda i, j: at(point.mixed(i, j)).ravel()),
            "readout hessian": at(point.readout()),
            "readout gradient": at(point.readout("gradient")),
        }


FAST = [["-nu"], ["mu", "nu"], ["mu", "-mu"]]
SLOW = [
    ["mu"],
    ["mu", "mu", "-nu"],
    ["-mu", "mu", "nu"],
    ["mu", "-mu", "nu", "-nu"],
    ["nu", "nu", "-nu", "-mu"],
]
ASSIGNMENTS = FAST + [pytest.param(a, marks=pytest.mark.slow) for a in SLOW]


@pytest.mark.slow
@pytest.mark.parametrize("assignment", ASSIGNMENTS, ids="/".join)
def test_shares_and_blocks_are_the_limit_of_the_equilibrium(assignment):
    """Deviations fall like lambda^-1/2: by 10 from 10^4 to 10^6, up to the next order."""
    at = Numbers(fresh_rng(), len(assignment), assignment)
    deviations = []
    for precision in (1e4, 1e6):
        finite = FiniteNoise(at, precision)
        x = finite.equilibrium()
        at.v = x.reshape(3, -1)[
            2
        ]  # the closed forms hold at every point of the sphere: take this one
        measured, closed = finite.blocks(x), finite.closed_forms()
        deviations.append({name: np.abs(measured[name] - closed[name]).max() for name in closed})
        assert np.abs(
            finite.unpack(x)[0] - np.abs(at.v)[:, None] * MEANS[at.own]
        ).max() < 5 / np.sqrt(precision)
    coarse, fine = deviations
    assert max(coarse.values()) < 3e-2  # 3 lambda^-1/2
    assert max(fine.values()) < 0.15 * max(coarse.values())


@pytest.mark.slow
@pytest.mark.parametrize("assignment", ASSIGNMENTS, ids="/".join)
def test_flow_eigenvalues_are_those_of_the_jacobian_of_the_equilibrium(assignment):
    """2K slow eigenvalues tend to the named ones, K run to -infinity like sqrt(lambda)."""
    at = Numbers(fresh_rng(), len(assignment), assignment)
    named = at.point.flow_eigenvalues()
    expected = np.sort([float(at(e)[0, 0]) for e, times in named.items() for _ in range(times)])
    assert expected.size == 2 * len(assignment)
    deviations, fast = [], []
    for precision in (1e4, 1e6):
        finite = FiniteNoise(at, precision)
        x, h = finite.equilibrium(), 1e-5
        steps = h * np.eye(x.size)
        jacobian = np.array([finite.drift(x + e) - finite.drift(x - e) for e in steps]).T / (2 * h)
        found = np.sort(np.linalg.eigvals(jacobian).real)
        fast.append(found[: len(assignment)].max() / np.sqrt(precision))
        deviations.append(np.abs(found[len(assignment) :] - expected).max())
    assert deviations[0] < 3e-2
    assert (
        deviations[1] < 0.15 * deviations[0] + 1e-4
    )  # rounding: 1e-13 sqrt(lambda) / h, of a non-normal matrix
    assert max(fast) < -1e-3
    assert abs(fast[1] / fast[0] - 1) < 0.1
    assert expected.max() < 1e-12  # attracting, but for motions on the spheres


# --- stability of idle units ----------------------------------------------------------------------


@pytest.mark.parametrize("width", [1, 2, 4])
def test_an_idle_unit_grows_towards_the_clusters_nobody_picks(width):
    """Its linear flow: (W, v) <- (A v - beta W, A W - beta v), A = p_l |sigma - y|."""
    rng = fresh_rng()
    for _ in range(10):
        at = Numbers(rng, width, ["0", *rng.choice(NAMES, size=width - 1)])
        rates = []
        for l in range(4):
            push = at.p[l] * abs(at.residual[l])
            rates.append(np.linalg.eigvalsh([[-at.beta, push], [push, -at.beta]]).max())
        values = {BETA: at.beta} | dict(zip(P, at.p, strict=True))
        point = at.point
        named = {float(at(e)[0, 0]): n for e, n in point.flow_eigenvalues().items()}
        assert min(abs(max(rates) - e) for e in named) < 1e-12
        idle = at.own.count(None)
        assert sum(point.flow_eigenvalues().values()) == idle + 2 * (width - idle)
        everything = len(point.separated) == 4
        assert point.stability(exact_weights(values)) == ("neutral" if everything else "unstable")
        assert (max(rates) > 1e-9) == (not everything)


def exact_weights(values):
    """The same as decimals that sum to 1 exactly."""
    values = {s: sp.Rational(str(round(float(x), 6))) for s, x in values.items()}
    values[P[3]] = 1 - values[P[0]] - values[P[1]] - values[P[2]]
    return values


def test_stability_claims():
    even = ["1/4"] * 4
    below, above = (xor(2, weights=even, ridge=beta) for beta in ("1/20", "1/5"))
    assert (
        separated_fixed_point(below, ["mu", "nu"]).stability() == "attracting"
    )  # sub-optimal, no unit left
    assert separated_fixed_point(below, ["mu", "0"]).stability() == "unstable"
    assert separated_fixed_point(below, ["0", "0"]).stability() == "unstable"
    assert (
        separated_fixed_point(above, ["0", "0"]).stability() == "attracting"
    )  # weight decay wins everywhere
    assert (
        separated_fixed_point(xor(2, weights=even, ridge="1/8"), ["0", "0"]).stability()
        == "neutral"
    )
    full = xor(5, weights=even, ridge="1/20")
    assert separated_fixed_point(full, ["mu", "-mu", "nu", "-nu", "0"]).stability() == "neutral"
    assert separated_fixed_point(full, ["mu", "-mu", "nu", "-nu", "nu"]).stability() == "attracting"


def test_stability_needs_numbers_beside_an_idle_unit():
    point = separated_fixed_point(xor(2), ["mu", "0"])
    with pytest.raises(
        InputError,
        match=r"values: got no numbers for \['beta', 'p_2'.*; expected numbers for the wei",
    ):
        point.stability()


# --- where no fixed point separates ---------------------------------------------------------------


@pytest.mark.slow
@settings(max_examples=30)
@given(
    st.lists(st.integers(1, 20), min_size=4, max_size=4),
    st.fractions("1/100", "1/2", max_denominator=100),
)
def test_a_cluster_is_separated_up_to_half_its_weight(raw, ridge):
    """Where p sigma(-x) = beta has a root x > 0: at x = 0 the push is p/2, and it falls with x."""
    weights = [sp.Rational(n, sum(raw)) for n in raw]
    beta = sp.Rational(ridge.numerator, ridge.denominator)
    model = xor(1, weights=weights, ridge=beta)
    expected = tuple(
        l for l, p in enumerate(weights) if beta < p * Sigmoid(sp.Integer(0)).rewrite(sp.exp)
    )
    assert existing_clusters(model) == expected
    assert existing_clusters(xor(1), exact_values(weights, beta)) == expected
    for name, l in CLUSTER.items():
        if l in expected:
            norm = separated_fixed_point(model, [name]).squared_norms[l]
            assert norm.evalf() > 0
        else:
            with pytest.raises(InputError) as caught:
                separated_fixed_point(model, [name])
            assert caught.value.parameter == "ridge"
            assert str(beta) in str(caught.value)
            assert f"below p/2 = {weights[l] / 2} of the cluster {name}" in str(caught.value)
            assert "only the zero fixed point exists" in str(caught.value)


def exact_values(weights, beta):
    return dict(zip(P, weights, strict=True)) | {BETA: beta}


def test_the_norm_vanishes_where_the_fixed_point_does():
    p = sp.Symbol("p", positive=True)
    norm = separated_fixed_point(xor(1), ["nu"]).squared_norms[2].subs(P[2], p)
    assert sp.simplify(norm.subs(BETA, p / 2)) == 0
    assert sp.simplify(norm.diff(BETA) * BETA * (p - BETA) + p) == 0  # strictly falling on (0, p)


def test_only_the_zero_fixed_point_above():
    model = xor(4, weights=["1/4"] * 4, ridge="1/8")
    assert existing_clusters(model) == ()
    zero = separated_fixed_point(model, ["0"] * 4)
    assert zero.separated == ()
    assert zero.readout().is_zero_matrix
    assert zero.squared_norms == {}


# --- probabilities --------------------------------------------------------------------------------


@pytest.mark.parametrize("width", range(1, 7))
def test_probabilities_by_enumeration(width):
    counts = [0] * 5
    for picks in itertools.product(range(4), repeat=width):
        counts[len(set(picks))] += 1
    assert separation_probabilities(width) == tuple(sp.Rational(n, 4**width) for n in counts[1:])


def test_probabilities_of_four_units():
    assert [256 * p for p in separation_probabilities(4)] == [4, 84, 144, 24]


@given(st.integers(1, 60))
def test_probabilities_are_stirling_numbers_and_sum_to_one(width):
    """P(n) = C(4, n) n! S(K, n) / 4^K with S from its recursion."""
    stirling = [1, 0, 0, 0, 0]
    for _ in range(width):
        stirling = [0] + [n * stirling[n] + stirling[n - 1] for n in range(1, 5)]
    expected = tuple(
        sp.Rational(math.comb(4, n) * math.factorial(n) * stirling[n], 4**width)
        for n in range(1, 5)
    )
    found = separation_probabilities(width)
    assert found == expected
    assert sum(found) == 1


@pytest.mark.slow
def test_units_pick_uniformly_by_signs():
    """The noiseless flow of one unit from a small W ends at the cluster of its signs."""
    drift = noiseless_drift(1)
    s = drift.model.symbols
    unknowns = [*s.overlap, *s.readout]
    values = dict.fromkeys(P, sp.Rational(1, 4)) | {BETA: sp.Rational(1, 20)}
    field = sp.lambdify(
        unknowns,
        [e.xreplace(values).rewrite(sp.exp) for e in (*drift.overlap, *drift.readout)],
        [{"ReLU": lambda z: max(z, 0.0), "Step": lambda z: float(z > 0)}, "numpy"],
    )
    rng = fresh_rng()
    for signs in itertools.product((1, -1), repeat=3):
        x = np.array([1e-3, 1e-3, 1.0]) * signs * rng.uniform(0.5, 1, 3)
        for _ in range(8_000):  # Euler steps of 0.01; sliding chatters within one step
            x = x + 0.01 * np.array(field(*x))
        picked = 0 if signs[2] > 0 else 1
        expected = np.zeros(2)
        expected[picked] = signs[picked] * math.sqrt(math.log(4))
        assert np.abs(x[:2] - expected).max() < 2e-2
        assert abs(x[2] - signs[2] * math.sqrt(math.log(4))) < 2e-2


# --- bad input ------------------------------------------------------------------------------------

GOOD = ["mu", "nu"]
BAD = [
    # model, assignment, values: parameter, got, expected
    (xor(2), ["mu"], None, "assignment", "['mu']", "2 names, one for each unit"),
    (xor(2), ["mu", "nu", "0"], None, "assignment", "'0'", "2 names"),
    (xor(2), "mu", None, "assignment", "'mu'", "2 names"),
    (xor(2), 5, None, "assignment", "5", "2 names"),
    (xor(2), ["mu", "xi"], None, "assignment", "'xi'", "one of ('0', 'mu'"),
    (xor(2), ["mu", 1], None, "assignment", "1", "one of ('0', 'mu'"),
    (kgmm(2), GOOD, None, "model", "kgmm2", "ReLU units and orthonormal directions"),
    (xor(2, activation="leaky_relu"), GOOD, None, "model", "xor2", "ReLU"),
    (xor(2, activation="tanh"), GOOD, None, "model", "xor2", "ReLU"),
    (xor(2, directions_gram=[[1, "1/2"], ["1/2", 1]]), GOOD, None, "model", "xor2", "orthonormal"),
    (xor(2, ridge=0), GOOD, None, "ridge", "0", "> 0"),
    (xor(2), GOOD, {BETA: 0}, "ridge", "0", "> 0"),
    (xor(2), GOOD, {BETA: -1}, "ridge", "-1", ">= 0"),
    (xor(2), GOOD, {P[0]: "1/4", BETA: "1/8"}, "ridge", "1/8", "below p/2 = 1/8 of the cluster mu"),
    (xor(2), GOOD, {symbols.STEP: 1}, "values", "c_delta", "weights and ridge, ['beta', 'p_1'"),
    (xor(2, ridge="1/20"), GOOD, {BETA: "1/10"}, "values", "beta", "['p_1', 'p_2', 'p_3', 'p_4']"),
    (xor(2), GOOD, dict.fromkeys(P, "1/2"), "weights", "sum 2", "simplex"),
]


@pytest.mark.parametrize(
    ("model", "assignment", "values", "parameter", "got", "expected"), BAD, ids=lambda x: None
)
def test_bad_input_is_explained(model, assignment, values, parameter, got, expected):
    with pytest.raises(InputError) as caught:
        separated_fixed_point(model, assignment, values)
    check_message(caught.value, parameter, got, expected)


def test_weights_may_be_symbols_of_the_user():
    q = sp.Symbol("q", positive=True)
    model = xor(2, weights=[q, q, sp.Rational(1, 2) - q, sp.Rational(1, 2) - q])
    point = separated_fixed_point(model, ["mu", "0"], {q: "1/4", BETA: "1/20"})
    assert point.stability({q: "1/4", BETA: "1/20"}) == "unstable"
    assert existing_clusters(model, {q: "1/5", BETA: "1/9"}) == (2, 3)


def test_existence_needs_a_ridge_and_numbers():
    with pytest.raises(
        InputError, match=r"values: got a model with symbolic weights or ridge; expected numbers"
    ):
        existing_clusters(xor(2))
    with pytest.raises(
        InputError, match=r"ridge: got 0; expected a number > 0. Remedy: without a ridge"
    ):
        existing_clusters(xor(2, weights=["1/4"] * 4, ridge=0))


def test_an_unknown_matrix_is_refused():
    point = separated_fixed_point(xor(1), ["mu"])
    for ask in (
        point.readout,
        point.readout_eigenvalues,
        lambda matrix: point.first_layer(0, 0, matrix),
    ):
        with pytest.raises(
            InputError, match=r"matrix: got 'fisher'; expected 'hessian' or 'gradient'. Remedy"
        ):
            ask("fisher")


@pytest.mark.parametrize("width", [0, -2, True, 2.0, "4", None])
def test_a_bad_width_is_refused(width):
    with pytest.raises(
        InputError, match=r"width: got .*; expected an integer K >= 1. Remedy: a two-layer network"
    ):
        separation_probabilities(width)

"""Closed forms against nested Gauss-Legendre panels that split at every kink."""

import secrets

import mpmath
import numpy as np
import pytest
import scipy.special
import sympy as sp

from theory import (
    GaussianExpectation,
    Loss,
    Mixture,
    Model,
    ReLU,
    Step,
    derive_drift,
    integrate_by_parts,
    preactivation_law,
    symbols,
)
from theory.expectations.normal_functions import BivariateNormal, TrivariateNormal

U = symbols.vector("u", 2)
V = symbols.vector("v", 1)
Y = symbols.LABEL
u, w = U
MIXTURE = Mixture.build(
    weights=["1/3", "2/3"], labels=[1, -2], coordinates=[[1], ["-1/2"]], directions_gram=[[2]]
)
MODEL = Model.build(MIXTURE, Loss(sp.erf(u) + w * V[0], units=2, readout_size=1))
LAW = preactivation_law(MODEL, 1)
NODES, WEIGHTS = np.polynomial.legendre.leggauss(30)
REACH = 14.0


def random_values(rng):
    """Numbers for all outer symbols: overlaps, a Gram matrix of rank 2, a precision."""
    s = MODEL.symbols
    overlap, root = rng.uniform(-1, 1, 2), rng.normal(size=(2, 2))
    gram = root @ root.T + 0.05 * np.eye(2)
    values = {s.overlap[a, 0]: overlap[a] for a in range(2)}
    values |= {s.gram[a, b]: gram[a, b] for a in range(2) for b in range(a, 2)}
    values[symbols.PRECISION] = rng.uniform(0.5, 4)
    values[V[0]] = rng.uniform(-1, 1)
    inverse = np.linalg.inv(gram)
    values |= {s.gram_inverse[a, b]: inverse[a, b] for a in range(2) for b in range(a, 2)}
    return {k: sp.Float(float(x), 17) for k, x in values.items()}


def panels(edges):
    """Nodes and weights on the intervals between sorted edges, none longer than 1."""
    inside = sorted({-REACH, REACH, *(e for e in edges if -REACH < e < REACH)})
    cut = np.concatenate([np.arange(-REACH, REACH, 1.0), inside])
    cut = np.unique(np.concatenate([cut, [REACH]]))
    left, right = cut[:-1], cut[1:]
    half = (right - left)[:, None] / 2
    z = left[:, None] + half * (NODES + 1)
    return z.ravel(), (half * WEIGHTS * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)).ravel()


def by_panels(f, kinks, values):
    """E f(u) with u = mean + L z: the inner integral splits where a kink cuts its line."""
    mean = np.array([float(m.xreplace(values)) for m in LAW.mean])
    covariance = np.array(LAW.covariance.xreplace(values).tolist(), dtype=float)
    root = np.linalg.cholesky(covariance)
    f = f.xreplace(values)
    heaviside = {"step": lambda k: (k > 0) * 1.0, "Step": lambda k: (k > 0) * 1.0}
    ramp = {"relu": lambda k: np.maximum(k, 0.0), "ReLU": lambda k: np.maximum(k, 0.0)}
    function = sp.lambdify(
        U, f, [heaviside, ramp, {"erf": scipy.special.erf, "erfc": scipy.special.erfc}, "numpy"]
    )
    forms = []
    for kink in kinks:
        offset = float(kink.xreplace(dict.fromkeys(U, sp.Integer(0))).xreplace(values))
        slope = np.array([float(kink.diff(a).xreplace(values)) for a in U])
        forms.append((offset + slope @ mean, slope @ root))
    outer, outer_weights = panels([-o / s[0] for o, s in forms if abs(s[1]) < 1e-12])
    total = 0.0
    for z, weight in zip(outer, outer_weights, strict=True):
        edges = [-(o + s[0] * z) / s[1] for o, s in forms if abs(s[1]) >= 1e-12]
        inner, inner_weights = panels(edges)
        at = mean[:, None] + root @ np.array([np.full(inner.size, z), inner])
        total += weight * np.sum(inner_weights * function(*at))
    return total


SMOOTH = {
    "polynomial": u**2 * w - 3 * w + Y,
    "polynomial and exponential": u * w * sp.exp(u / 2 - w / 3),
    "Gaussian factor": sp.exp(-(u**2)) * w**2,
    "two Gaussian factors": sp.exp(-(u**2) - (w - 1) ** 2 / 2) * u * w,
    "biased erf": w * sp.erf(u - 1 / sp.Integer(2)),
    "arcsine": sp.erf(u) * sp.erf(w),
    "square of erf": sp.erf(u) ** 2 * u,
    "biased pair": sp.erf(u + 1) * sp.erf(2 * w - u) * u,
    "three": sp.erf(u) * sp.erf(w - 1) * sp.erf(u + w / 2),
    "slope times erf": sp.erf(u).diff(u) * sp.erf(w) * w,
    "slopes times erfs": sp.erf(u).diff(u) * sp.erf(w).diff(w) * sp.erf(u) * sp.erf(w),
    "second slope": sp.erf(u).diff(u, 2) * sp.erfc(w),
    "trained bias": sp.erf(u + V[0]) * V[0] * w,
    "cosine": sp.cos(2 * u - w) * u,
    "sine and cosine": sp.sin(u) * sp.cos(w) ** 2,
    "sine and Gaussian": sp.sin(u) * w * sp.exp(-(w**2) / 2),
}
KINKED = {
    "arc-cosine 0": (Step(u) * Step(w), (u, w)),
    "arc-cosine 1": (ReLU(u) * ReLU(w), (u, w)),
    "arc-cosine 2": (ReLU(u) ** 2 * ReLU(w) ** 2, (u, w)),
    "biased ramps": (ReLU(u - 1) * ReLU(w + V[0]) * u, (u - 1, w + V[0])),
    "ramp and erf": (ReLU(u - w) * sp.erf(u), (u - w,)),
    "ramp and exponential": (ReLU(u) * sp.exp(-u + w / 2), (u,)),
    "three steps": (Step(u) * Step(w - 1) * ReLU(u + w), (u, w - 1, u + w)),
    "ramps and erf": (Step(u) * ReLU(w) * sp.erf(u - w), (u, w)),
}
CASES = {name: (f, ()) for name, f in SMOOTH.items()} | KINKED


@pytest.mark.parametrize("name", CASES)
def test_closed_form_is_the_integral(name):
    f, kinks = CASES[name]
    seed = secrets.randbits(32)
    values = random_values(np.random.default_rng(seed))
    closed = GaussianExpectation(f, LAW).doit()
    assert not closed.has(GaussianExpectation)
    found = complex(closed.xreplace(values).evalf(15))
    expected = by_panels(GaussianExpectation(f, LAW).integrand, kinks, values)
    # panels of order 30 and length 1 are exact to rounding; exponentials tilt by a few deviations
    assert abs(found - expected) < 2e-12 * (1 + abs(expected)), seed


def test_a_delta_is_a_density_times_a_conditional_mean():
    """The derivative of a biased ramp twice: E[delta(u - 1) h] by conditioning, by hand."""
    values = random_values(np.random.default_rng(secrets.randbits(32)))
    mean = [float(m.xreplace(values)) for m in LAW.mean]
    c = np.array(LAW.covariance.xreplace(values).tolist(), dtype=float)
    node = GaussianExpectation(sp.DiracDelta(u - 1) * w**2, LAW).doit()
    gap = 1 - mean[0]
    density = np.exp(-(gap**2) / (2 * c[0, 0])) / np.sqrt(2 * np.pi * c[0, 0])
    conditional = mean[1] + c[0, 1] / c[0, 0] * gap
    variance = c[1, 1] - c[0, 1] ** 2 / c[0, 0]
    expected = density * (conditional**2 + variance)
    assert abs(float(node.xreplace(values)) - expected) < 1e-12 * (1 + expected)


@pytest.mark.parametrize("name", ["arcsine", "slope times erf", "arc-cosine 1", "biased ramps"])
def test_both_routes_have_the_same_closed_form(name):
    """E[f w_c] with w whitened, written as a polynomial in u, and by parts: equal at 30 digits."""
    f, _ = CASES[name]
    values = random_values(np.random.default_rng(secrets.randbits(32)))
    # at the same binary numbers in both routes, P is the inverse of Q to 30 digits
    s = MODEL.symbols
    with mpmath.workdps(40):
        entries = [[str(values[s.gram[min(a, b), max(a, b)]]) for b in (0, 1)] for a in (0, 1)]
        inverse = mpmath.matrix(entries) ** -1
        values = {k: sp.Float(str(x), 40) for k, x in values.items()}
        for a, b in symbols.upper_triangle(2):
            values[s.gram_inverse[a, b]] = sp.Float(str(inverse[a, b]), 40)
    parts = integrate_by_parts(GaussianExpectation(f * s.whitened[0], LAW)).doit()
    whitened = sp.Add(*(s.gram_inverse[0, a] * (U[a] - LAW.mean[a]) for a in range(2)))
    written = GaussianExpectation(sp.expand(f * whitened), LAW).doit()
    difference = (parts - written).xreplace(values).evalf(30)
    assert abs(difference) < 1e-20


@pytest.mark.slow
def test_derivatives_of_normal_probabilities():
    """Against central differences at 40 digits, step 1e-10: errors of order 1e-20."""
    with mpmath.workdps(40):
        step = sp.Float("1e-10", 40)
        for function, args, count in (
            (BivariateNormal, (0.3, -0.8, 0.6), 3),
            (TrivariateNormal, (0.2, -0.4, 0.7, 0.5, -0.3, 0.2), 3),
        ):
            names = sp.symbols(f"x:{len(args)}", real=True)
            at = {n: sp.Float(str(a), 40) for n, a in zip(names, args, strict=True)}
            for n in names[:count]:
                slope = function(*names).diff(n).xreplace(at).evalf(30)
                sides = [function(*names).xreplace(at | {n: at[n] + d}) for d in (step, -step)]
                quotient = (sides[0].evalf(40) - sides[1].evalf(40)) / (2 * step)
                assert abs(slope - quotient) < 1e-16


def test_an_exponential_that_outgrows_the_noise_stays():
    node = GaussianExpectation(sp.exp(u**2), LAW)
    assert node.doit() == node


@pytest.mark.slow
def test_the_drift_of_an_erf_network_is_closed():
    f = V[0] * (sp.erf(u) + sp.erf(w))
    model = Model.build(MIXTURE, Loss((f - Y) ** 2 / 2, units=2, readout_size=1))
    drift = derive_drift(model)
    assert not any(e.doit().has(GaussianExpectation) for e in drift.expectations())

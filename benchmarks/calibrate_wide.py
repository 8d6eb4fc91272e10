r"""True error against estimate of drifts in three dimensions and more, against random sampling.

The truth is a shifted rank-one lattice (Korobov) in the normal coordinates of u, at derivatives by
hand: another family of points than the package's, with an error by the spread of the shifts.  In
place of integration by parts, :math:`\dot m=-E[gY^T]` and :math:`\dot R_\perp=-E[gx_\perp^TY]-
\dots+\tfrac{c_\delta}\lambda E[gg^T]` directly.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from time import perf_counter

import numpy as np
import scipy.special
import scipy.stats

from numerics import Parameters, State, compile_expressions
from theory import Model, derive_drift, kgmm

from . import brute_losses as brute
from .calibrate_blocks import network
from .calibration_record import Array, Record

# points of a lattice (a prime), its generator, and shifts
POINTS, GENERATOR, SHIFTS = 65_521, 17_364, 12
CHUNK = 1 << 15


def wide_record(seed: int) -> Record:
    """The drift of one problem of full rank."""
    rng = np.random.default_rng([seed, 5])
    model, loss, name = _model(rng)
    c, r = model.units, model.directions
    overlap = rng.normal(size=(c, r)) * 10.0 ** rng.uniform(-2, 1)
    factor = rng.normal(size=(c, c)) / np.sqrt(c) * 10.0 ** rng.uniform(-1, 0, size=c)
    factor *= np.sqrt(10.0 ** rng.uniform(-3, 4))
    parameters = Parameters(
        rng.dirichlet(np.ones(model.components)),
        10.0 ** rng.uniform(-3, 8),
        rng.uniform(0, 5) * (rng.uniform() < 0.8),
        10.0 ** rng.uniform(-2, 1.7),
        np.eye(r),
    )
    readout = rng.normal(size=model.readout_size) * 10.0 ** rng.uniform(-1, 0.5)
    state = State(overlap, factor @ factor.T, readout)
    tolerance = float(10.0 ** rng.uniform(-5, -2))
    detail = f"wide_record({seed}), {c} units, tolerance {tolerance:.2g}, {parameters}"
    route = "stein" if model.loss.is_smooth else "projection"
    entries = derive_drift(model, route).vector
    start = perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            compiled = compile_expressions(model, entries, "numpy")
            found = compiled.estimate(parameters, state, tolerance=tolerance, seed=int(seed))
    except ArithmeticError as error:
        return Record.refused(name, error, detail, perf_counter() - start)
    seconds = perf_counter() - start
    detail += f", {found.rule}"
    samples = np.array([_drift(model, loss, parameters, state, rng) for _ in range(SHIFTS)])
    truth, spread = samples.mean(axis=0), samples.std(axis=0, ddof=1) / np.sqrt(SHIFTS)
    size = 1 + np.abs(truth).max() + np.abs(state.gram_perp).max()
    # Student's quantile at odds of 1e-6
    doubt = scipy.stats.t.isf(5e-7, SHIFTS - 1) * spread + 1e-12 * size
    return Record(name, np.abs(found.values - truth), found.errors, "", detail, seconds, doubt)


def _model(rng: np.random.Generator) -> tuple[Model, brute.Network | brute.Softmax, str]:
    kind = int(rng.integers(3))
    if kind == 0:
        k = int(rng.integers(4, 9))
        return kgmm(k), brute.Softmax(), "drift in >= 3 dimensions, softmax"
    activation = ("tanh", "relu")[kind - 1]
    units = int(rng.integers(3, 7))
    model = network("logistic", activation, units, False)
    name = f"drift in >= 3 dimensions, {activation}"
    return model, brute.Network("logistic", activation), name


def _drift(
    model: Model,
    loss: brute.Network | brute.Softmax,
    parameters: Parameters,
    state: State,
    rng: np.random.Generator,
) -> Array:
    """One shift of the lattice."""
    c, r = model.units, model.directions
    size = r + c
    values, vectors = np.linalg.eigh(state.gram_perp)
    x = np.concatenate([state.overlap, vectors * np.sqrt(np.maximum(values, 0))], axis=1)
    # the longest direction of x first, where a lattice is evenest
    turn = np.linalg.svd(x)[2]
    v, p = np.asarray(state.readout), parameters
    dm, dperp, dv = np.zeros((c, r)), np.zeros((c, c)), np.zeros(len(v))
    generator = np.array([pow(GENERATOR, j, POINTS) for j in range(size)])
    shift = rng.uniform(size=size)
    coordinates = np.array(model.mixture.coordinates.tolist(), dtype=float)
    labels = [float(y) for y in model.mixture.labels]
    for at in range(0, POINTS, CHUNK):
        index = np.arange(at, min(at + CHUNK, POINTS))
        z = scipy.special.ndtri((index[:, None] * generator / POINTS + shift) % 1.0) @ turn
        for share, place, y in zip(p.weights, coordinates, labels, strict=True):
            feature = z / np.sqrt(p.precision)
            feature[:, :r] += place
            u = x @ feature.T
            g, _ = loss.derivatives(u, y, v)
            scale = share / POINTS
            dm -= scale * g @ feature[:, :r]
            along = g @ (x[:, r:] @ feature[:, r:].T).T
            dperp += scale * (p.step / p.precision * g @ g.T - along - along.T)
            if len(v):
                h = brute.ACTIVATIONS[loss.activation][0](u)
                dv -= scale * h @ brute.OUTPUTS[loss.output][0](y, v @ h)
    dm -= p.ridge * state.overlap
    dperp -= 2 * p.ridge * state.gram_perp
    return np.concatenate([dm.ravel(), dperp[np.triu_indices(c)], dv - p.ridge * v])


def calibrate_wide(count: int, seed: int) -> Iterator[Record]:
    """Draw and compare drifts of full rank."""
    for s in np.random.SeedSequence(seed).generate_state(count):
        yield wide_record(int(s))

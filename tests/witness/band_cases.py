"""Mixtures with bands, realised in d dimensions from their definition; nothing of the engine
enters.

The loss is (f - t - y)^2 / 2 with f = u_1^2 + v u_2 and a teacher t, so that every expectation is
that of a polynomial.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sympy as sp

from numerics import State
from theory import Bands, Loss, Mixture, Model, kgmm, preactivation_law, symbols
from theory.expectations.derived import find_expectations


@dataclass(frozen=True)
class BandCase:
    """A model of numbers, the parts of directions and weights in every band, and a readout."""

    model: Model
    directions: list[np.ndarray]  # r x d_g
    weights: list[np.ndarray]  # C x d_g
    scales: np.ndarray  # n x B
    readout: np.ndarray

    @property
    def sizes(self):
        return [part.shape[1] for part in self.weights]

    def statistics(self, weights=None, readout=None):
        """The state vector of weights (..., C, d_g) a band, from its definition."""
        weights = self.weights if weights is None else weights
        readout = self.readout if readout is None else readout
        overlaps, grams = [], []
        for e, x in zip(self.directions, weights, strict=True):
            # the projector on the span of the directions' parts, by their singular vectors
            basis = np.linalg.svd(e, full_matrices=False)
            inside = basis[2][basis[1] > 1e-9 * max(basis[1].max(), 1e-300)]
            away = x - (x @ inside.T) @ inside
            gram = away @ np.swapaxes(away, -1, -2)
            upper = np.triu_indices(gram.shape[-1])
            overlap = x @ e.T
            overlaps.append(overlap.reshape(*overlap.shape[:-2], -1))
            grams.append(gram[..., upper[0], upper[1]])
        return np.concatenate([*overlaps, *grams, readout], axis=-1)


def band_case(rng, *, bands=2, absent=True, units=2):
    """Two components in random bands; the second direction is absent from the last band."""
    sizes = rng.integers(6, 9, size=bands).tolist()
    dimension = sum(sizes)
    directions = []
    for g, size in enumerate(sizes):
        part = sp.zeros(2, size)
        part[:, :3] = sp.Matrix(2, 3, [sp.Rational(int(k), 5) for k in rng.integers(-4, 5, 6)])
        part[0, 3] = part[1, 4] = sp.Rational(1, 2)
        if absent and bands > 1 and g == bands - 1:
            part[1, :] = sp.zeros(1, size)
        directions.append(part)
    scales = [[sp.Rational(int(k), 10) for k in rng.integers(4, 15, bands)] for _ in range(2)]
    grams = [part * part.T for part in directions]
    data = Mixture.build(
        weights=["2/5", "3/5"],
        labels=[0, 1],
        coordinates=[[1, 0], ["-1/2", 1]],
        directions_gram=grams if bands > 1 else grams[0],
        precision=2,
        bands=Bands([sp.Rational(size, dimension) for size in sizes], scales),
    )
    model = Model.build(data, polynomial_loss(), ridge="1/5", step="1/2", name="bands")
    weights = [0.5 * rng.standard_normal((units, size)) for size in sizes]
    numbers = [np.array(part.tolist(), dtype=float) for part in directions]
    return BandCase(model, numbers, weights, np.array(scales, dtype=float), rng.uniform(0.3, 1, 1))


def polynomial_loss():
    """(u_1^2 + v u_2 - t_1 - y)^2 / 2."""
    u, (v,) = symbols.vector("u", 2), symbols.vector("v", 1)
    (t,) = symbols.vector("t", 1)
    return Loss((u[0] ** 2 + v * u[1] - t - symbols.LABEL) ** 2 / 2, units=2, readout_size=1)


def polynomial_gradient(y, u, t, v):
    """Its derivatives in (u, v), one row a sample."""
    error = u[:, 0] ** 2 + v[0] * u[:, 1] - t - y
    return error[:, None] * np.stack([2 * u[:, 0], np.full(len(u), v[0]), u[:, 1]], axis=1)


def draw(case, samples, rng):
    """Components, and the parts of samples in every band."""
    mixture = case.model.mixture
    component = rng.choice(2, size=samples, p=[float(p) for p in mixture.weights])
    coordinates = np.array(mixture.coordinates.tolist(), dtype=float)
    root = np.sqrt(float(mixture.precision))
    parts = []
    for g, e in enumerate(case.directions):
        noise = rng.standard_normal((samples, e.shape[1]))
        parts.append((coordinates @ e)[component] + case.scales[component, g, None] / root * noise)
    return component, parts


def gradients(case, component, parts):
    """g and the derivative in v at samples."""
    u = sum(y @ x.T for y, x in zip(parts, case.weights, strict=True))
    t = sum(y @ e.T for y, e in zip(parts, case.directions, strict=True))[:, 0]
    labels = np.array([0.0, 1.0])[component]
    slopes = polynomial_gradient(labels, u, t, case.readout)
    return slopes[:, :2], slopes[:, 2:]


def raw_steps(case, samples, rng, batch=1, rates=(1.0, 1.0, 1.0), most=np.inf):
    """Changes of the statistics in single steps of SGD over delta, from the definition alone.

    ``rates`` of both units and of the readout; slopes of units are clipped at ``most``.
    """
    model, dimension = case.model, sum(case.sizes)
    delta, beta = float(model.step) / dimension, float(model.ridge)
    eta = np.array(rates[:2])[:, None]
    moved = [np.repeat((1 - delta * beta * eta) * x[None], samples, axis=0) for x in case.weights]
    readout = np.repeat((1 - delta * beta * rates[2]) * case.readout[None], samples, axis=0)
    for _ in range(batch):
        component, parts = draw(case, samples, rng)
        g, dv = gradients(case, component, parts)
        g = np.clip(g, -most, most) * eta[:, 0]
        for x, y in zip(moved, parts, strict=True):
            x -= delta / batch * g[:, :, None] * y[:, None, :]
        readout -= delta / batch * rates[2] * dv
    return (case.statistics(moved, readout) - case.statistics()) / delta


def second_derivatives(u, t, y, v):
    """d^2 loss / d (u, v)^2 of the polynomial loss, (samples, 3, 3)."""
    error = u[:, 0] ** 2 + v[0] * u[:, 1] - t - y
    slopes = np.stack([2 * u[:, 0], np.full(len(u), v[0]), u[:, 1]], axis=1)
    out = slopes[:, :, None] * slopes[:, None, :]
    out[:, 0, 0] += 2 * error
    out[:, 1, 2] += error
    out[:, 2, 1] += error
    return out


def raw_samples(case, samples, rng):
    """Samples in R^d, the derivatives of the loss in (u, v) there, and the second ones."""
    component, parts = draw(case, samples, rng)
    u = sum(y @ x.T for y, x in zip(parts, case.weights, strict=True))
    t = sum(y @ e.T for y, e in zip(parts, case.directions, strict=True))[:, 0]
    labels = np.array([0.0, 1.0])[component]
    first = polynomial_gradient(labels, u, t, case.readout)
    return np.concatenate(parts, axis=1), first, second_derivatives(u, t, labels, case.readout)


def generators(case):
    """The columns of V: the parts of directions, then those of weights, band by band."""
    columns = []
    for vectors in (case.directions, case.weights):
        for g, part in enumerate(vectors):
            before, behind = sum(case.sizes[:g]), sum(case.sizes[g + 1 :])
            columns += [np.pad(row, (before, behind)) for row in part]
    return np.array(columns).T


def raw_increments(case, samples, rng):
    """The random part G of an increment for d -> infinity, sample by sample."""
    model, (component, parts) = case.model, draw(case, samples, rng)
    g, dv = gradients(case, component, parts)
    overlaps, grams = [], []
    rows, columns = np.triu_indices(2)
    for band, (e, x, y) in enumerate(zip(case.directions, case.weights, parts, strict=True)):
        basis = np.linalg.svd(e, full_matrices=False)
        inside = basis[2][basis[1] > 1e-9 * basis[1].max()]
        zeta = y @ (x - (x @ inside.T) @ inside).T
        overlaps.append((g[:, :, None] * (y @ e.T)[:, None, :]).reshape(samples, -1))
        share = case.sizes[band] / sum(case.sizes) * float(model.step / model.mixture.precision)
        corrector = share * case.scales[component, band, None] ** 2 * g[:, rows] * g[:, columns]
        grams.append(g[:, rows] * zeta[:, columns] + g[:, columns] * zeta[:, rows] - corrector)
    return np.concatenate([*overlaps, *grams, dv], axis=1)


def value(case, expressions):
    """Derived expressions at the state of a case; expectations by a rule exact for polynomials."""
    model, expressions = case.model, [sp.sympify(e) for e in expressions]
    numbers = dict(zip(model.symbols.state, case.statistics(), strict=True))
    numbers |= {q: e.xreplace(numbers) for q, e in model.gram_definition().items()}
    nodes = list(dict.fromkeys(n for e in expressions for n in find_expectations(e)))
    for component in range(model.components):
        own = [n for n in nodes if n.law.component == component + 1]
        numbers |= _expectations(own, preactivation_law(model, component), numbers)
    return np.array([float(e.xreplace(numbers)) for e in expressions])


def _expectations(nodes, law, numbers):
    """Values of expectations over one law, and its pseudo-inverse."""
    mean = np.array([float(e.xreplace(numbers)) for e in law.mean])
    gram = np.array(law.gram.xreplace(numbers).tolist(), dtype=float)
    inverse = np.linalg.pinv(gram)
    found = dict(zip(law.gram_inverse, inverse.ravel(), strict=True))
    points, weights = np.polynomial.hermite_e.hermegauss(9)
    size = len(mean)
    z = np.stack([axis.ravel() for axis in np.meshgrid(*[points] * size, indexing="ij")])
    weight = np.prod(np.meshgrid(*[weights / weights.sum()] * size, indexing="ij"), axis=0).ravel()
    precision = float(law.precision)
    shift = np.linalg.cholesky(gram / precision) @ z
    known = [*law.variables, *law.whitened, *(s for s in numbers if str(s).startswith("v"))]
    values = [*(mean[:, None] + shift), *(inverse @ shift), numbers[known[-1]]]
    integrands = [n.integrand for n in nodes]
    rows = sp.lambdify(known, integrands, cse=True)(*values)
    return found | {n: float(np.sum(weight * row)) for n, row in zip(nodes, rows, strict=True)}


def classes_in_bands(rng):
    """Three classes in three bands of 1/10, 3/10 and 6/10, with scales of their own."""
    scales = [[sp.Rational(int(k), 10) for k in rng.integers(3, 20, 3)] for _ in range(3)]
    parts = [rng.integers(-3, 4, (3, 4)) for _ in range(3)]
    # beside random parts of the means an identity: their sum is definite
    grams = [(sp.Matrix(p @ p.T) / 40 + sp.eye(3) / 3).tolist() for p in parts]
    return kgmm(
        3,
        weights=["1/2", "3/10", "1/5"],
        directions_gram=grams,
        precision=4,
        ridge="1/10",
        step=1,
        bands=Bands(["1/10", "3/10", "3/5"], scales),
    )


def random_state(model, rng, size=0.6):
    """Random overlaps and R_perp in every band, of which some may be empty."""
    bands, units = model.bands, model.units
    factor = rng.uniform(-1, 1, (bands, units, units))
    grams = size * (0.2 * np.eye(units) + factor @ np.swapaxes(factor, 1, 2) / units) / bands
    overlap = size * rng.uniform(-1, 1, (bands, units, model.directions))
    return State(overlap, grams, rng.uniform(0.3, 1, model.readout_size))

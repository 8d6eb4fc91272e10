r"""Gaussian expectations in double precision on the plane and in space, with kinks, by two rules
and their difference.

The companion of :mod:`numerics.expectations.certified_digits` for parameters in general position:
tensor trapezoidal rules for smooth integrands in up to three dimensions, and on the plane
Gauss-Legendre panels between the lines on which an integrand has its kinks.  It shares nothing with
the rules of :mod:`numerics.expectations.compiled`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from theory import GaussianExpectation, ReLU, Step
from theory.expectations.gaussian_law import GaussianLaw
from theory.problem.kinks import split_deltas

from .certified_digits import DimensionError

Array = NDArray[np.float64]

# beyond it the normal density is below 1e-17 of its height
EDGE = 9.0
# width of the outermost layer of nodes
LAYER = 0.5
# steps of the trapezoidal rule and nodes a panel, the finer first
STEPS = {1: (0.12, 0.16), 2: (0.2, 0.27), 3: (0.36, 0.45)}
PANEL_NODES = (56, 40)
ROUNDING = 1e-14
SMALL = 1e-12


def few_digits(
    nodes: Iterable[GaussianExpectation],
    values: Mapping[sp.Symbol, sp.Expr],
    gauge: sp.MatrixBase | None = None,
) -> dict[GaussianExpectation, tuple[float, float]]:
    """Evaluate expectations in double precision.

    Parameters
    ----------
    nodes, values, gauge
        As for :func:`numerics.expectations.certified_digits.many_digits`.

    Returns
    -------
    dict node -> (value, error)
        The error is the difference of two rules and the rounding of the sums.

    Raises
    ------
    DimensionError
        More than three dimensions, or more than two with kinks.

    Examples
    --------
    >>> from theory import kgmm, preactivation_law
    >>> law = preactivation_law(kgmm(2, directions_gram="orthonormal"), 0)
    >>> node = GaussianExpectation(sp.cos(law.variables[0]), law)
    >>> at = {s: sp.Integer(1) for s in node.free_symbols}
    >>> value, error = few_digits([node], at)[node]
    >>> bool(abs(value - np.cos(1) * np.exp(-0.5)) < 1e-13), error < 1e-13
    (True, True)
    """
    found: dict[GaussianExpectation, tuple[float, float]] = {}
    for node in dict.fromkeys(nodes):
        found[node] = (0.0, 0.0)
    # integrands that see the same arguments share their nodes; what is zero hides the arguments
    # behind it
    groups: dict[
        tuple[GaussianLaw, sp.Expr | None, bool, frozenset[sp.Symbol]],
        list[tuple[GaussianExpectation, sp.Expr]],
    ] = {}
    zeros = {s: sp.Integer(0) for s, v in values.items() if v == 0}
    for node in found:
        regular, deltas = split_deltas(node.integrand)
        for kink, integrand in ((None, regular), *deltas.items()):
            integrand = integrand.xreplace(zeros) if zeros else integrand
            if integrand != 0:
                seen = seen_arguments(integrand, node.law) if zeros else frozenset()
                groups.setdefault((node.law, kink, node.uses_whitening, seen), []).append(
                    (node, integrand)
                )
    numbers = {s: float(v) for s, v in values.items()}
    for (law, kink, whitened, seen), members in groups.items():
        rows = _rows(law, values, whitened)
        if zeros:
            names = (*law.variables, *law.whitened)[: len(rows)]
            hidden = [i for i, name in enumerate(names) if name not in seen]
            if kink is not None:
                hidden = [i for i in hidden if names[i] not in kink.free_symbols]
            rows[hidden, 1:] = 0.0
        scale = 1.0
        if kink is not None:
            rows, scale = _on_hyperplane(rows, _affine(kink, law, numbers))
        integrands = [integrand for _, integrand in members]
        for (node, _), value, error in zip(
            members, *_integrate(law, integrands, rows, numbers, whitened, gauge), strict=True
        ):
            known, bound = found[node]
            found[node] = (known + scale * float(value), bound + scale * float(error))
    return found


def seen_arguments(integrand: sp.Expr, law: GaussianLaw) -> frozenset[sp.Symbol]:
    """The pre-activations, plain and whitened, that an integrand depends on."""
    return frozenset(integrand.free_symbols & {*law.variables, *law.whitened})


def _rows(law: GaussianLaw, values: Mapping[sp.Symbol, sp.Expr], whitened: bool) -> Array:
    """Arguments as means and combinations of independent normals, a row each: u, then w."""
    mean = np.array([float(e.xreplace(values)) for e in law.mean])
    covariance = np.array(law.covariance.xreplace(values).tolist(), dtype=float)
    eigenvalues, vectors = np.linalg.eigh(covariance)
    kept = eigenvalues > SMALL * max(eigenvalues.max(), 1e-300)
    factor = vectors[:, kept] * np.sqrt(eigenvalues[kept])
    rows = np.column_stack([mean, factor])
    if whitened:
        inverse = np.array(law.gram_inverse.xreplace(values).tolist(), dtype=float)
        rows = np.vstack([rows, np.column_stack([np.zeros(len(mean)), inverse @ factor])])
    return rows


def _on_hyperplane(rows: Array, kink: Array) -> tuple[Array, float]:
    value = kink[1:] @ rows[: len(kink) - 1]
    height, normal = value[0] + kink[0], value[1:]
    length = float(np.linalg.norm(normal))
    if length == 0:
        raise DimensionError("a Dirac delta of a pre-activation without noise")
    along = rows[:, 1:] @ normal / length
    moved = np.column_stack(
        [rows[:, 0] - along * height / length, rows[:, 1:] - np.outer(along, normal / length)]
    )
    return moved, float(np.exp(-((height / length) ** 2) / 2) / np.sqrt(2 * np.pi) / length)


def _integrate(
    law: GaussianLaw,
    integrands: list[sp.Expr],
    rows: Array,
    numbers: Mapping[sp.Symbol, float],
    whitened: bool,
    gauge: sp.MatrixBase | None,
) -> tuple[Array, Array]:
    bound = [*law.variables, *(law.whitened if whitened else ())]
    outer = sorted(set().union(*(e.free_symbols for e in integrands)) - set(bound), key=str)
    compiled = _compiled((*bound, *outer), tuple(integrands))
    fixed = [numbers[s] for s in outer]
    kinks = kinks_of(integrands, law, numbers)

    def at(arguments: Array) -> Array:
        return np.array(
            [np.broadcast_to(v, arguments.shape[1:]) for v in compiled(*arguments, *fixed)],
            dtype=float,
        )

    if gauge is not None and not len(kinks):
        rows = _without_gauge(at, rows, np.array(gauge.tolist(), dtype=float), len(law.variables))
    slopes = rows[:, 1:]
    _, sizes, basis = (
        np.linalg.svd(slopes) if slopes.size else (None, np.zeros(0), np.zeros((0, 0)))
    )
    rank = int(np.sum(sizes > 1e-11 * max(sizes.max(initial=0.0), 1e-300))) if len(sizes) else 0
    slopes = slopes @ basis[:rank].T if rank else np.zeros((len(rows), 0))
    if rank > 3 or (rank > 2 and len(kinks)):
        raise DimensionError(
            f"an integral in dimension {rank}{' with kinks' if len(kinks) else ''}"
        )
    results = []
    for level in (0, 1):
        if rank == 0:
            z, weights = np.zeros((0, 1)), np.ones(1)
        elif len(kinks):
            offsets = kinks[:, 0] + kinks[:, 1:] @ rows[: kinks.shape[1] - 1, 0]
            lines = np.column_stack([offsets, kinks[:, 1:] @ slopes[: kinks.shape[1] - 1]])
            z, weights = _panel_rule(lines, PANEL_NODES[level])
        else:
            z, weights = _trapezoid(rank, STEPS[rank][level])
        values = at(rows[:, :1] + slopes @ z)
        # the outermost nodes stand for what lies beyond them, in every direction: corners of the
        # grid are cut off where the density is that of its edge
        last = np.linalg.norm(z, axis=0) > EDGE - LAYER
        outside = np.abs(values[:, last]) @ weights[last]
        results.append((values @ weights, np.abs(values) @ np.abs(weights)))
    (fine, size), (coarse, _) = results
    return fine, np.abs(fine - coarse) + outside + ROUNDING * size


@lru_cache(maxsize=2_000)
def _compiled(names: tuple[sp.Symbol, ...], integrands: tuple[sp.Expr, ...]) -> Callable[..., Any]:
    """Code for integrands, which are met again at every point."""
    known = [array_functions(), "scipy", "numpy"]
    code: Callable[..., Any] = sp.lambdify(names, list(integrands), known, cse=True)
    return code


def kinks_of(
    integrands: Iterable[sp.Expr], law: GaussianLaw, numbers: Mapping[sp.Symbol, float]
) -> Array:
    """Rows (c, a) of the forms c + a . u at whose zeros the integrands are not smooth."""
    atoms = sorted(set().union(*(e.atoms(ReLU, Step) for e in integrands)), key=sp.default_sort_key)
    forms = list(dict.fromkeys(a.args[0] for a in atoms))
    return np.array([_affine(form, law, numbers) for form in forms]).reshape(
        len(forms), len(law.variables) + 1
    )


def _affine(form: sp.Expr, law: GaussianLaw, numbers: Mapping[sp.Symbol, float]) -> Array:
    row = [form.diff(u) for u in law.variables]
    if any(e.free_symbols & set(law.variables) for e in row):
        raise DimensionError(f"the kink {form}, which is not affine in the pre-activations")
    offset = form.xreplace(dict.fromkeys(law.variables, sp.Integer(0)))
    return np.array([float(e.xreplace(numbers)) for e in (offset, *row)])


def _without_gauge(  # type: ignore[no-untyped-def]
    at, rows: Array, gauge: Array, units: int
) -> Array:
    # at small and large arguments: a high power is tiny, and looks constant, at some of them
    base = (np.arange(len(rows)) + 2.0)[:, None] * np.array([1.0, -4.0, 12.0]) / 7
    moved = base.copy()
    moved[:units] += gauge @ np.full((gauge.shape[1], 1), 3 / 11)
    here, there = at(base), at(moved)
    if not np.allclose(here, there, rtol=1e-12, atol=1e-13):
        return rows
    q = np.linalg.qr(gauge)[0]
    rows = rows.copy()
    rows[:units] -= q @ (q.T @ rows[:units])
    return rows


@lru_cache(maxsize=8)
def _trapezoid(dimension: int, step: float) -> tuple[Array, Array]:
    line = np.arange(-int(EDGE / step) - 1, int(EDGE / step) + 2) * step
    weight = step * np.exp(-(line**2) / 2) / np.sqrt(2 * np.pi)
    z = np.stack([g.ravel() for g in np.meshgrid(*[line] * dimension, indexing="ij")])
    weights = np.prod(
        [g.ravel() for g in np.meshgrid(*[weight] * dimension, indexing="ij")], axis=0
    )
    kept = weights > 1e-19
    return z[:, kept], weights[kept]


def _panel_rule(lines: Array, nodes: int) -> tuple[Array, Array]:
    """Nodes and weights between the lines c + s z_1 [+ t z_2] = 0."""
    if lines.shape[1] == 2:
        cuts = -lines[:, 0][lines[:, 1] != 0] / lines[:, 1][lines[:, 1] != 0]
        z, w = _panels(cuts, nodes)
        return z[None], w
    turned = _rotation(lines[:, 1:])
    lines = np.column_stack([lines[:, 0], lines[:, 1:] @ turned])
    slanted = np.abs(lines[:, 2]) > SMALL
    outer = list(
        -lines[~slanted & (np.abs(lines[:, 1]) > SMALL)]
        @ [1.0, 0, 0]
        / lines[~slanted & (np.abs(lines[:, 1]) > SMALL), 1]
    )
    for i in range(len(lines)):
        for j in range(i + 1, len(lines)):
            determinant = lines[i, 1] * lines[j, 2] - lines[j, 1] * lines[i, 2]
            if abs(determinant) > SMALL:
                outer.append((lines[j, 0] * lines[i, 2] - lines[i, 0] * lines[j, 2]) / determinant)
    first, second, weights = [], [], []
    for z, w in zip(*_panels(np.array(outer), nodes), strict=True):
        inner, v = _panels(-(lines[slanted, 0] + lines[slanted, 1] * z) / lines[slanted, 2], nodes)
        first.append(np.full(len(inner), z))
        second.append(inner)
        weights.append(w * v)
    w = np.concatenate(weights)
    kept = w > 1e-19
    return turned @ np.stack([np.concatenate(first)[kept], np.concatenate(second)[kept]]), w[kept]


def _rotation(normals: Array) -> Array:
    """Axes of the plane whose second one meets all lines as squarely as possible.

    The integral over it is cut at the lines; where a line runs along it, the cut races past as the
    first one changes.
    """
    lengths = np.linalg.norm(normals, axis=1)
    unit = normals[lengths > SMALL] / lengths[lengths > SMALL, None]
    angles = np.linspace(0.0, np.pi, 181)
    second = np.stack([-np.sin(angles), np.cos(angles)])
    steepness = np.abs(unit @ second).min(axis=0) if len(unit) else np.ones(len(angles))
    best = angles[int(np.argmax(steepness))]
    return np.array([[np.cos(best), -np.sin(best)], [np.sin(best), np.cos(best)]])


def _panels(cuts: Array, nodes: int) -> tuple[Array, Array]:
    edges = np.array([-EDGE, *sorted(c for c in cuts if -EDGE < c < EDGE), EDGE])
    x, w = _legendre(nodes)
    middle, half = (edges[1:] + edges[:-1]) / 2, np.diff(edges) / 2
    z = (middle[:, None] + half[:, None] * x).ravel()
    return z, (half[:, None] * w).ravel() * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)


@lru_cache(maxsize=8)
def _legendre(nodes: int) -> tuple[Array, Array]:
    x, w = np.polynomial.legendre.leggauss(nodes)
    return x, w


def array_functions() -> dict[str, object]:
    """The functions of :mod:`theory.problem.stable_functions` on arrays."""
    return {
        "LogSumExp": lambda *u: np.logaddexp.reduce(np.broadcast_arrays(*u), axis=0),
        "Softmax": lambda a, *u: 1 / sum(np.exp(b - u[int(a) - 1]) for b in u),
        "Softplus": lambda f: np.logaddexp(0, f),
        "Sigmoid": lambda f: (1 + np.tanh(f / 2)) / 2,
        "ReLU": lambda f: np.maximum(f, 0.0),
        "Step": lambda f: (f > 0) * 1.0,
    }

"""Spectral density of empirical matrices: exact where small, else stochastic Lanczos quadrature
with its errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
import xarray as xr
from numpy.typing import ArrayLike
from threadpoolctl import threadpool_limits

from numerics.core.results import labelled
from numerics.core.validation import Array, as_array, as_generator, as_integer
from numerics.data.samples import BLOCK_SAMPLES, SampleData, check_data
from theory import InputError, Model
from theory.errors import check_choice
from theory.keywords import with_known_keywords

from .empirical_parts import block_operator, check_symmetric
from .null_space import NullSpace, null_space
from .operators import SecondMoment
from .population_block import check_block, check_matrix, is_of_readout, one_ridge
from .span_matrix import BlockName

METHODS = ("auto", "dense", "lanczos")
# eigvalsh is exact and cheaper than quadrature up to about this size
DENSE_SIZE = 2000
# bytes of Lanczos vectors kept at a time; more probes run one group after the other
GROUP_BYTES = 2**28
CELLS = 200
# eigenvalues of a dense matrix this close to the shift, relative to the largest, are the atom
ROUNDING = 1e-12


@dataclass(frozen=True)
class _Measure:
    """A discrete measure on the line that stands for one probe's share of the spectrum, atom taken
    out.
    """

    nodes: Array
    weights: Array

    def cumulative(self, points: Array) -> Array:
        """Linear between nodes, half of each weight on either side of its node."""
        middle = np.cumsum(self.weights) - self.weights / 2
        ends = np.diff(self.nodes)
        first = self.nodes[0] - (ends[0] / 2 if ends.size else 0.0)
        last = self.nodes[-1] + (ends[-1] / 2 if ends.size else 0.0)
        at = np.concatenate([[first], self.nodes, [last]])
        return np.interp(points, at, np.concatenate([[0.0], middle, [self.weights.sum()]]))

    def resolution(self, points: Array) -> Array:
        """Half the distance of the bounds of Chebyshev, Markov and Stieltjes: the two weights
        around a point.
        """
        padded = np.concatenate([[0.0], self.weights, [0.0]])
        below = np.searchsorted(self.nodes, points, side="right")
        return np.asarray(padded[below] + padded[below + 1]) / 2


@with_known_keywords
def empirical_density(
    data: SampleData,
    *,
    matrix: str = "hessian",
    block: BlockName = "first_layer",
    regularized: bool | None = None,
    grid: ArrayLike | None = None,
    probes: int = 10,
    steps: int = 80,
    seed: int | np.random.SeedSequence = 0,
    method: str = "auto",
) -> xr.Dataset:
    r"""Return the spectral distribution of an empirical matrix: atoms, cumulative distribution and
    density.

    .. math:: F(t)=\frac1n\#\{j:\lambda_j\le t\}
              \approx\frac1P\sum_{p=1}^P\sum_{j=1}^m w_{pj}\,1\{\theta_{pj}\le t\},\qquad
              w_{pj}=(e_1^Ts_{pj})^2

    with the eigenpairs :math:`\theta_{pj},s_{pj}` of the Jacobi matrix of m Lanczos steps from
    probe p, a uniformly random unit vector, reorthogonalised in full (stochastic Lanczos
    quadrature).  Matrices up to size 2000 are diagonalised instead.

    The mass at zero (at the ridge, where it is included) follows from ranks exactly: where the
    weights of all samples share a null space, as those of a softmax loss do, where they vanish, or
    where samples are few (:mod:`numerics.spectra.null_space`).  It is an atom, and no part of the
    density.

    Parameters
    ----------
    data : SampleData
    matrix : {"hessian", "gradient", "gauss-newton", "fisher"}
    block : (a, b) or "first_layer" (or "full")
    regularized : bool, optional
        Include the ridge; default of theory when omitted: yes for the Hessian, no for G.
    grid : array, optional
        Increasing boundaries of cells, at least two; 200 equal cells over the whole spectrum when
        omitted.
    probes, steps : int
        P >= 2 and m >= 2.  Each step is one pass over the data for all probes.
    seed : int or numpy SeedSequence
        Of the probes.
    method : {"auto", "dense", "lanczos"}

    Returns
    -------
    xarray.Dataset
        ``distribution`` (boundary), the distribution function with the atom in it;
        ``distribution_error`` (boundary), its standard error over probes, and
        ``distribution_resolution`` (boundary), the most that m steps leave open: half the distance
        of the Chebyshev-Markov-Stieltjes bounds.  ``density`` (cell), mass of the cell without atom
        over its width, and ``density_error`` (cell), standard error over probes.  ``atom_value``
        and ``atom_mass`` (atom), none or one.  Dense matrices have no errors.  Atoms and cells have
        total mass 1 - ``mass_outside`` (attribute, 0 for the default grid).

        Of a positive semidefinite matrix nothing lies below zero (below the ridge).  attrs:
        ``method``, ``probes``, ``steps``, ``passes``, ``positive`` (1 for a positive semidefinite
        matrix), ``data``.

    Raises
    ------
    theory.InputError
        Bad grid, too few probes or steps, unknown block.

    Examples
    --------
    Two samples in three dimensions leave a third of the spectrum at zero:

    >>> from theory import Loss, Mixture, Model, symbols
    >>> from numerics import user_data
    >>> u = symbols.vector("u", 1)
    >>> one = Mixture.build(weights=[1], labels=[0], coordinates=[[1]], directions_gram=[[1]])
    >>> model = Model.build(one, Loss(u[0]**2 / 2, units=1))
    >>> features = [[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]]
    >>> data = user_data(model, features, [0, 0], [[1.0, 1.0, 1.0]], ridge=0)
    >>> found = empirical_density(data, grid=[0, 1, 3])
    >>> found.atom_mass.values.round(3), found.density.values.round(3)
    (array([0.333]), array([0.   , 0.333]))
    """
    check_data(data)
    kind, name = check_matrix(matrix), check_block(data.model, block)
    ridge_in = one_ridge(data.model, kind, regularized)
    if name == "all" or is_of_readout(name):
        raise InputError(
            "block",
            repr(name),
            "a pair of units or 'first_layer'",
            "take eigenvalues of small blocks",
        )
    check_symmetric(name, kind, ridge_in)
    probes = as_integer("probes", probes, 2, "a standard error needs two probes")
    steps = as_integer("steps", steps, 2, "take a few Lanczos steps")
    method = check_choice("method", method, METHODS)
    boundaries = None if grid is None else _check_grid(grid)
    operator = block_operator(data, kind, name, ridge_in)
    size, known, positive = (
        operator.shape[0],
        null_space(operator, data.labels),
        _is_positive(operator),
    )
    if method == "auto":
        method = "dense" if size <= DENSE_SIZE else "lanczos"
    if method == "dense":
        values = scipy.linalg.eigvalsh(operator.dense())
        measures, atom = _exact(values, known, operator.shift_value)
        what = "dense eigvalsh"
    else:
        atom = known.mass
        measures = _quadrature(operator, known, probes, min(steps, size), seed, positive)
        what = "stochastic Lanczos quadrature, fully reorthogonalised"
    attributes = data.attributes() | {
        "matrix": kind,
        "block": str(name),
        "regularized": int(ridge_in),
        "method": what,
        "positive": int(positive),
        "passes": operator.passes,
    }
    if method != "dense":
        attributes |= {"probes": probes, "steps": steps, "seed": str(seed)}
    if boundaries is None:
        boundaries = _default_grid(measures, operator.shift_value, atom, positive)
    return _dataset(
        data.model, measures, boundaries, operator.shift_value, atom, method == "dense", attributes
    )


def _exact(values: Array, known: NullSpace, shift: float) -> tuple[list[_Measure], float]:
    """All eigenvalues but those of the atom, the nearest to the shift; and the mass of the atom."""
    away = np.abs(values - shift)
    null = max(
        known.size - known.rank, int(np.sum(away <= ROUNDING * np.abs(values).max(initial=0.0)))
    )
    rest = np.sort(values[np.argsort(away, kind="stable")[null:]])
    weights = np.full(rest.size, 1 / known.size)
    return [_Measure(rest, weights)], null / known.size


def _quadrature(
    operator: SecondMoment,
    known: NullSpace,
    probes: int,
    steps: int,
    seed: int | np.random.SeedSequence,
    positive: bool,
) -> list[_Measure]:
    """One measure a probe, for probes off the common null space of the weights."""
    size, k = operator.shape[0], operator.blocks
    generator = as_generator(seed)
    share = 1 - len(known.kernel) / k
    at_shift = 1 - (1 - known.mass) / share if share > 0 else 1.0
    group = max(1, GROUP_BYTES // (steps * size * 8))
    measures = []
    for start in range(0, probes, group):
        rows = generator.standard_normal((min(group, probes - start), k, size // k))
        rows -= np.einsum("na,nb,pbd->pad", known.kernel, known.kernel, rows)
        for nodes, weights in _jacobi(operator, rows.reshape(len(rows), size), steps):
            if positive:
                # Ritz values lie inside the spectrum, up to rounding
                nodes = np.maximum(nodes, operator.shift_value)
            measures.append(
                _without_atom(nodes, share * weights, share * at_shift, operator.shift_value)
            )
    return measures


def _jacobi(operator: SecondMoment, rows: Array, steps: int) -> list[tuple[Array, Array]]:
    """Nodes and weights of Gauss quadrature from Lanczos runs side by side, one from each row."""
    count, size = rows.shape
    basis = np.empty((count, steps, size))
    alpha, beta, last = np.zeros((count, steps)), np.zeros((count, steps)), np.full(count, steps)
    current = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    with threadpool_limits(limits=1, user_api="blas"):
        for j in range(steps):
            basis[:, j] = current
            following = operator.rows_product(current)
            alpha[:, j] = np.einsum("pd,pd->p", current, following)
            scale = np.linalg.norm(following, axis=1)
            for p in range(count):
                for _ in range(2):
                    following[p] -= (basis[p, : j + 1] @ following[p]) @ basis[p, : j + 1]
            beta[:, j] = np.linalg.norm(following, axis=1)
            # an invariant space is complete: what follows has weight zero
            ended = (beta[:, j] <= 1e-12 * scale) & (last == steps)
            last[ended] = j + 1
            if np.all(last <= j + 1):
                break
            current = following / np.where(beta[:, j] > 0, beta[:, j], 1.0)[:, None]
    found = []
    for p in range(count):
        nodes, vectors = scipy.linalg.eigh_tridiagonal(alpha[p, : last[p]], beta[p, : last[p] - 1])
        found.append((nodes, vectors[0] ** 2))
    return found


def _without_atom(nodes: Array, weights: Array, mass: float, place: float) -> _Measure:
    """Take the known mass of the atom from the nodes nearest to it."""
    rest = weights.copy()
    for j in np.argsort(np.abs(nodes - place), kind="stable"):
        taken = min(rest[j], mass)
        rest[j] -= taken
        mass -= taken
        if mass <= 0:
            break
    return _Measure(nodes, rest)


def _is_positive(operator: SecondMoment) -> bool:
    """Whether every weight is positive semidefinite, up to rounding."""
    if operator.rank_one:
        return True
    k, largest, lowest = operator.blocks, 0.0, 0.0
    for start in range(0, operator.source.samples, BLOCK_SAMPLES):
        part = slice(start, start + BLOCK_SAMPLES)
        small = np.array(
            [[operator.weight(a, b)[part] for b in range(k)] for a in range(k)]
        ).transpose(2, 0, 1)
        values = np.linalg.eigvalsh(small)
        largest, lowest = (
            max(largest, float(np.abs(values).max())),
            min(lowest, float(values.min())),
        )
    return lowest >= -1e-12 * largest


def _check_grid(grid: ArrayLike) -> Array:
    boundaries = as_array("grid", grid, 1)
    if boundaries.size < 2 or np.any(np.diff(boundaries) <= 0):
        raise InputError(
            "grid",
            boundaries.tolist(),
            "at least two increasing numbers",
            "give boundaries of cells",
        )
    return boundaries


def _default_grid(measures: list[_Measure], shift: float, mass: float, positive: bool) -> Array:
    """Equal cells over all nodes and the atom; of a positive matrix from the shift on."""
    ends = [(shift, shift)] if mass > 0 else []
    for m in measures:
        if not m.nodes.size:
            continue
        gap = np.diff(m.nodes)
        ends.append(
            (m.nodes[0] - (gap[0] if gap.size else 0), m.nodes[-1] + (gap[-1] if gap.size else 0))
        )
    low, high = min(e[0] for e in ends), max(e[1] for e in ends)
    low = shift if positive else low
    if not high > low:
        low, high = low - 1e-9 - 1e-9 * abs(low), high + 1e-9 + 1e-9 * abs(high)
    return np.linspace(low, high, CELLS + 1)


def _dataset(
    model: Model,
    measures: list[_Measure],
    boundaries: Array,
    shift: float,
    atom: float,
    exact: bool,
    attributes: dict[str, Any],
) -> xr.Dataset:
    if exact:
        summed = np.concatenate([[0.0], np.cumsum(measures[0].weights)])
        rows = summed[np.searchsorted(measures[0].nodes, boundaries, side="right")][None]
        resolution = np.zeros(boundaries.size)
    else:
        rows = np.array([m.cumulative(boundaries) for m in measures])
        if attributes["positive"]:
            # nothing lies below the shift, and what lies on it is the atom
            rows[:, boundaries <= shift] = 0.0
        resolution = np.mean([m.resolution(boundaries) for m in measures], axis=0)
    width = np.diff(boundaries)
    cells = np.diff(rows, axis=1) / width
    cumulative = rows.mean(axis=0) + atom * (boundaries >= shift)
    inside = float(np.diff(rows, axis=1).mean(axis=0).sum()) + atom * bool(
        boundaries[0] <= shift <= boundaries[-1]
    )
    outside = 1 - inside

    def error(values: Array) -> Array:
        if exact:
            return np.zeros(values.shape[1])
        return np.asarray(values.std(axis=0, ddof=1) / np.sqrt(len(values)))

    keep = [shift] if atom > 0 else []
    attributes |= {
        "mass_outside": outside if abs(outside) > 1e-12 else 0.0,
        "error_estimate": float((error(rows) + resolution).max()),
        "error_meaning": "largest standard error over probes of the distribution function "
        "plus its resolution",
    }
    data = labelled(
        model,
        {
            "distribution": (
                "boundary",
                cumulative,
                {"long_name": "share of eigenvalues up to here"},
            ),
            "distribution_error": (
                "boundary",
                error(rows),
                {"long_name": "standard error over probes"},
            ),
            "distribution_resolution": (
                "boundary",
                resolution,
                {"long_name": "left open by the number of steps"},
            ),
            "density": (
                "cell",
                cells.mean(axis=0),
                {"long_name": "share of eigenvalues per unit, without atoms"},
            ),
            "density_error": ("cell", error(cells), {"long_name": "standard error over probes"}),
            "atom_value": ("atom", np.array(keep, dtype=float)),
            "atom_mass": ("atom", np.array([atom] if keep else [], dtype=float)),
        },
        attributes,
    )
    return data.assign_coords(boundary=boundaries, cell=(boundaries[:-1] + boundaries[1:]) / 2)

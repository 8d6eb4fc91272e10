"""Spectra of empirical Hessian and G-matrix in the proportional limit: bulk, edges, outliers,
overlaps.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from numerics.core.errors import ResolventError
from numerics.core.problem import Problem
from numerics.core.results import common_attributes
from numerics.core.state import State, check_state
from numerics.core.takes_problem import takes_problem
from numerics.core.validation import Array, as_array, as_integer, as_scalar
from numerics.spectra.population_block import check_block, check_matrix, is_of_readout, one_ridge
from numerics.spectra.span_matrix import BlockName
from theory import InputError, Model

from .effective_results import EffectiveResult
from .limiting_spectrum import LimitingSpectrum, rules_agree, solve_all
from .rule_choice import quadrature_rules, scattered_rules
from .weight_nodes import WeightNodes

# a density whose mass is off by more than this is refused
MASS = 0.05
# noise of a larger precision is lost in rounding beside the means
MOST_PRECISION = 1e15


@takes_problem(bands=True, tokens=True)
def effective_spectrum(
    problem: Problem,
    state: State,
    aspect_ratio: float,
    *,
    matrix: str = "hessian",
    block: BlockName = "first_layer",
    regularized: bool | None = None,
    density: bool = True,
    grid: ArrayLike | None = None,
    tail: float | None = None,
    seed: int = 0,
) -> xr.Dataset:
    r"""Return the limiting spectrum of an empirical matrix of fresh test data, M / d -> phi as d ->
    infinity.

    .. math:: M=\tfrac1M\sum_i D_i\otimes Y_iY_i^T,\qquad
              S^{-1}=-zI+\lambda^{-1}E[D(I+SD/(\phi\lambda))^{-1}],\qquad
              \det\big(zI-F(z)\big)=0,\ F(z)=E[D(I+SD/(\phi\lambda))^{-1}\otimes ww^T]

    S(z) is the resolvent off the span of directions and weights, w the coordinates of Y in an
    orthonormal basis L of it.  The density is that of S; outliers are the roots of the determinant
    outside the support, with :math:`L^T` (unit eigenvector) :math:`=e/\sqrt{e^T(I-F'(z))e}`
    (mathematics.md section 7; arXiv 2502.15655).  With bands S is one matrix a band (section 10).
    Of samples with several tokens D has a row for every unit at every token, :math:`I\otimes S`
    stands for S beside it, and both expectations sum over tokens (section 12b).
    F decreases in z, so each of its sorted
    eigenvalues gives one outlier right of the bulk, or none; likewise left, and in a gap.  Readout
    parameters, finitely many, join F and not S.

    Parameters
    ----------
    problem : Problem
        Or a model and Parameters in its place.
    state : State
    aspect_ratio : float
        phi > 0, test points per dimension.
    matrix : {"hessian", "gradient", "gauss-newton", "fisher"}
        The almost-everywhere Hessian, as data have it, or G.
    block : (a, b) of 0-based units, "first_layer" (or "full"), "readout", a layer, "mixed" or "all"
        One block (scalar weights); the full first layer (matrix-valued transform); of two layers
        also the readout block, which has no bulk, the blocks of x^a and v_i beside each other as
        :math:`\begin{pmatrix}0&N\\N^T&0 \end{pmatrix}`, whose eigenvalues are plus and minus the
        singular values of N, and the whole matrix.
    regularized : bool, optional
        Include the ridge: a shift by beta, and the default, for the Hessian; not available for G.
    density : bool
        Solve for the density, and with it for gaps inside the support and outliers in them.
    grid : array, optional
        Where to give the density; points that resolve every interval when omitted.
    tail : float, optional
        Leave out this share of the samples, those with the most extreme weights, at either end: M
        data have hardly a weight rarer than 1 / M.  With 0 an ``edge_kind`` may be "essential", at
        the end of an exponentially thin tail that no data show.  When omitted, 0.001 where an end
        is essential or weights have no bound, so that the limit has no end, and 0 elsewhere.
    seed : int
        Root seed of quasi-Monte Carlo scramblings (unused by tensor rules).

    Returns
    -------
    xarray.Dataset
        ``edges`` (interval, end), ends of the intervals of the support, ``edge_error``,
        ``interval_mass``; ``candidate_distance`` (interval, end), how far inside an edge the next
        candidate for an outlier lies, over the edge, and ``candidate_near_critical``, 1 where that
        is below 2 %: data of finite d may show it beyond the edge; ``outliers`` (eigen), farthest
        right first, ``outlier_error``, ``side`` (eigen) 1 right of the support, -1 left, 0 in a
        gap, ``multiplicity`` (eigen); ``overlap`` (eigen), squared length of the eigenvector's
        projection on span and readout, ``overlap_error``; ``share_determined`` (eigen), 0 for an
        outlier that has equals within errors: overlaps, shares and vectors are then those of one
        basis of their eigenspace, and only sums over the equal ones are determined;
        ``outlier_vector`` (eigen, [unit,] span), that projection in the basis ``basis`` (span,
        generator), and ``readout_vector`` (eigen, parameter); ``edge_distance`` (eigen), distance
        from the nearest edge over the edge; ``near_critical`` (eigen), 1 where that is below 2 %;
        ``weight_share`` (eigen, unit), squared cosine of the eigenvector with
        x^a (in its row of the full matrix); ``direction_share`` (eigen), squared length of the
        projection on Span(e_1..e_r); ``leading_share`` (unit), share of x^a in the eigenspace of
        the r largest eigenvalues (C r of the full matrix); bulk eigenvectors among them contribute
        nothing.  With ``density`` also ``density`` (grid) of the eigenvalues without the atom,
        ``distribution`` (grid) with it, and their errors.

        attrs ``atom``, the mass at zero (at the ridge, if included), with rows whose eigenvalues
        stay below 1e-7 of the largest weight, and ``atom_error``; ``mass_error``, |1 - mass of
        atom and density|; ``edge_kind_right`` and ``_left``: "critical" for a square-root edge,
        "essential" where the density has a thin tail up to the largest weight of the law, "zero"
        where the support reaches the atom; ``missed_by``: the next candidate for an outlier lies
        inside the edge by this share of it.

    Raises
    ------
    theory.InputError
        phi <= 0, unknown matrix or block, the ridge of G, a grid with the atom in it.
    ResolventError
        The equation was not solved; carries z and the residual.

    Examples
    --------
    The square loss has D = 1: a spiked covariance, whose bulk is Marchenko-Pastur's, (1 +-
    sqrt(1/phi))^2 / lambda:

    >>> from numerics import Parameters
    >>> from theory import Loss, Mixture, Model, symbols
    >>> u = symbols.vector("u", 1)
    >>> one = Mixture.build(weights=[1], labels=[0], coordinates=[[1]], directions_gram=[[1]])
    >>> model = Model.build(one, Loss(u[0]**2 / 2, units=1))
    >>> found = effective_spectrum(model, Parameters([1], 4, 0, 1), State([[1]], [[1]]), 4.0)
    >>> found.edges.values.round(6)
    array([[0.0625, 0.5625]])
    """
    model, parameters = problem.model, problem.parameters
    check_state(model, state, "state")
    ratio = as_scalar(
        "aspect_ratio", aspect_ratio, 0.0, True, "give M / d, test points per dimension"
    )
    kind, name = check_matrix(matrix), check_effective_block(model, block)
    seed = as_integer("seed", seed, 0, "seeds are non-negative integers")
    tail = check_tail(tail)
    ridge, shift = ridge_and_shift(problem, kind, name, regularized)
    points = None if grid is None else as_array("grid", grid, 1)
    nodes = WeightNodes(model, parameters, state, kind, name)
    _check_bounded(nodes, tail)
    runs = _spectra(nodes, model, seed, ratio, tail, density)
    if density and abs(runs[-1].mass - 1) > MASS and runs[-1].branches:
        lost = (
            "the density was not found everywhere between the atom at 0 and the right edge; "
            "its mass is incomplete"
        )
        raise ResolventError(runs[-1].branches[1].edge.place, abs(runs[-1].mass - 1), lost)
    elsewhere = runs[-1].misplaced
    if density and elsewhere > MASS:
        lost = (
            f"the density is not resolved: {elsewhere:.2g} of its mass stands at wrong places; "
            "density=False gives edges and outliers"
        )
        raise ResolventError(runs[-1].branches[1].edge.place, elsewhere, lost)
    if points is not None:
        _check_grid(points, runs[-1].atom, shift)
    attributes = common_attributes(model, parameters, "effective spectral theory") | {
        "matrix": kind,
        "block": str(name),
        "regularized": int(ridge),
        "aspect_ratio": ratio,
        "tail": runs[-1].tail,
        "unbounded": ", ".join({1: "right", -1: "left"}[s] for s in nodes.unbounded_sides),
    }
    return EffectiveResult(model, nodes, runs, shift).dataset(density, points, attributes)


def _spectra(
    nodes: WeightNodes, model: Model, seed: int, ratio: float, tail: float | None, density: bool
) -> list[LimitingSpectrum]:
    """With tensor rules where two agree, and with panels on the line; else scattered nodes."""
    rules = quadrature_rules(nodes, model, seed)
    try:
        runs = solve_all(nodes, rules, ratio, tail, density)
        if nodes.dimension == 1 or rules[0][0].kind == "sobol" or rules_agree(runs[-2:]):
            return runs
    except ResolventError:
        if rules[0][0].kind != "gauss-hermite" or not nodes.dimension:
            raise
    return solve_all(nodes, scattered_rules(nodes, model, seed), ratio, tail, density)


def check_effective_block(model: Model, block: object) -> BlockName:
    """Return the canonical name of a block: also "mixed"."""
    if isinstance(block, str) and block == "mixed":
        check_block(model, "all")
        return "mixed"
    name = check_block(model, block)
    if model.tokens > 1 and isinstance(name, tuple) and name[0] != name[1]:
        raise InputError(
            "block",
            repr(block),
            "a block of one unit, 'first_layer', 'readout', 'mixed' or 'all'",
            "of several tokens the block of two units is not symmetric, and has no spectrum",
        )
    return name


def check_block_with_bulk(model: Model, block: object) -> BlockName:
    """Return the canonical name of a block that multiplies features on both sides."""
    name = check_effective_block(model, block)
    if name == "mixed" or is_of_readout(name):
        raise InputError(
            "block",
            repr(name),
            "a block with a bulk",
            "use a pair of units, 'first_layer' or 'all'",
        )
    return name


def ridge_and_shift(
    problem: Problem, kind: str, name: BlockName, regularized: bool | None
) -> tuple[bool, float]:
    """Whether the ridge is included, and the shift of all eigenvalues that it is.

    Raises
    ------
    theory.InputError
        A ridge that is no shift, and noise that is lost in rounding.
    """
    parameters = problem.parameters
    if parameters.precision > MOST_PRECISION:
        expected = f"at most {MOST_PRECISION:g} for the spectrum that the noise makes"
        remedy = "rounding errors beside the means are larger than such noise: take less, or the "
        remedy += "population spectrum, which is the limit of little noise"
        raise InputError("precision", parameters.precision, expected, remedy)
    ridge = one_ridge(problem.model, kind, regularized)
    if ridge and kind == "gradient":
        raise InputError(
            "regularized",
            True,
            "False for the gradient matrix",
            "its ridge is no shift: leave it away",
        )
    off_diagonal = name == "mixed" or (isinstance(name, tuple) and name[0] != name[1])
    return ridge, parameters.ridge if ridge and not off_diagonal else 0.0


def check_tail(tail: object) -> float | None:
    """Return a share of samples in [0, 0.1], or None for the default."""
    if tail is None:
        return None
    share = as_scalar("tail", tail, 0.0, False, "give a small share of the samples, such as 1 / M")
    if share > 0.1:
        raise InputError(
            "tail",
            share,
            "a share of at most 0.1",
            "give a small share of the samples, such as 1 / M",
        )
    return share


def _check_bounded(nodes: WeightNodes, tail: float | None) -> None:
    if tail == 0 and nodes.unbounded_sides:
        raise InputError(
            "tail",
            0.0,
            "a positive share of the samples: their weights have no bound, and the limit no edge",
            "leave tail out, or give 1 / M to see what M samples show",
        )


def _check_grid(points: Array, atom: float, shift: float) -> None:
    if not np.all(np.diff(points) > 0):
        raise InputError("grid", "values that do not increase", "increasing points", "sort them")
    if atom > 0 and np.any(points == shift):
        raise InputError(
            "grid",
            f"the point {shift:g}",
            "points beside the atom there",
            f"{atom:.3g} of the eigenvalues are exactly {shift:g}, where the density is infinite: "
            "leave it out",
        )

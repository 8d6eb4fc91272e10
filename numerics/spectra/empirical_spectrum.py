"""Empirical Hessian and G-matrix of test or train data: leading eigenpairs, beside directions and
weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from numerics.core.problem import Problem
from numerics.core.state import State
from numerics.core.takes_problem import takes_problem
from numerics.data.samples import SampleData, draw_data
from theory import InputError

from .population_block import check_block, check_matrix, one_ridge
from .span_matrix import BlockName
from .spectrum_of_data import check_offered, spectrum_of_data


@takes_problem(beside=SampleData, bands=True)
def empirical_spectrum(
    problem: Problem | SampleData,
    state: State | None = None,
    *,
    dimension: int | None = None,
    samples: int | None = None,
    seed: int | np.random.SeedSequence | None = None,
    matrix: str = "hessian",
    block: BlockName = "first_layer",
    regularized: bool | None = None,
    count: int | None = None,
    which: str = "largest",
    weights: ArrayLike | None = None,
    dtype: str = "float64",
    method: str = "auto",
    beside: xr.Dataset | None = None,
    beyond: float | None = None,
    tolerance: float = 1e-10,
    block_size: int | None = None,
    max_passes: int = 500,
    mixed_precision: bool = True,
    start: ArrayLike | None = None,
    misfit: bool | None = None,
) -> xr.Dataset:
    r"""Return the leading eigenpairs of a matrix of test data at weights of a given state, or of
    one's own data.

    .. math:: \hat H_{ab} = \frac1M\sum_{i=1}^M H_{ab}(u_i)\,Y_iY_i^T + \beta\delta_{ab}I,\qquad
              \hat G_{ab} = \frac1M\sum_{i=1}^M g_a(u_i)g_b(u_i)\,Y_iY_i^T,\qquad u_i = xY_i

    with M fresh samples of the mixture (mathematics.md sections 1 and 8), or with the samples of a
    :class:`SampleData`, test or train data.  The derivatives are the almost-everywhere ones of the
    loss.

    Parameters
    ----------
    problem : Problem, or SampleData
        A model and Parameters may stand in place of the problem.  Data come with state, dimension,
        samples and weights, which are then left away.
    state : State
    dimension : int
        d >= r + C.
    samples : int
        M >= 1.
    seed : int or numpy SeedSequence
    matrix : {"hessian", "gradient", "gauss-newton", "fisher"}
    block : (a, b), "first_layer" (or "full"), "readout" or a layer
        0-based units of a d x d block, the Cd x Cd first-layer matrix, the q x q readout block, or
        the block of a layer such as "layer 2".
    regularized : bool, optional
        Include the ridge; default of theory when omitted: yes for the Hessian, no for G.
    count : int, optional
        Number of eigenpairs; r + C for a block, C r for the full matrix, q for the readout when
        omitted.  At most the rank, or the size of the matrix for its whole spectrum.
    which : {"largest", "smallest"}
        The end of the spectrum to take them from, with sign.
    weights : array, shape (C, d), optional
        First-layer vectors to use (directions in the first r coordinates, as
        :func:`realise_weights` lays them out); their summary statistics must be ``state``.
    dtype : {"float64", "float32"}
        Precision of the samples; products are taken in double precision either way.
    method : {"auto", "dense", "krylov", "lanczos"}
        ``eigh`` of the matrix itself, block Krylov or ARPACK (``eigsh``) on an operator that never
        forms it.  "auto" takes the cheaper of the first two for the size.
    beside : xarray.Dataset, optional
        The :func:`numerics.population_spectrum` of the same part of the same matrix, in place of
        ``count``: return the eigenpairs that stand beside its eigenvalues, counted from both ends
        of the spectrum, since outliers may lie below the bulk, and the first of the bulk at either
        end.
    beyond : float, optional
        In place of ``count``: all eigenvalues above this number, such as a predicted edge of the
        bulk.
    tolerance : float
        Residual at which a pair has converged, relative to its eigenvalue.
    block_size : int, optional
        Most vectors that block Krylov multiplies at a time; all that have not converged when
        omitted.
    max_passes : int
        Passes over the data after which it ends; ``converged`` then tells which pairs are good.
    mixed_precision : bool
        Let block Krylov build its basis with products in single precision, corrected by double
        precision: faster, with the same residuals.  Resident float64 data are copied to float32 for
        it, which takes half their memory.
    start : array, shape (n, size), optional
        Guesses of eigenvectors for block Krylov, beside those from span(directions, x) tensor the
        units.
    misfit : bool, optional
        Compute ``misfit``; up to size 6000 when omitted.

    Returns
    -------
    xarray.Dataset
        ``eigenvalue`` (eigen), largest first; ``residual`` (eigen), true residual norms in double
        precision; ``converged`` (eigen), 1 or 0; ``eigenvector`` (eigen, [unit,] coordinate);
        ``share_of_directions``, ``mean_overlap``, ``row_weight``, ``row_share_of_directions``,
        ``misfit`` and, for a block with count >= r, ``unit_share`` and ``principal_angle``, all as
        in :func:`numerics.population_spectrum`.  For "readout" the ``eigenvector`` is (eigen,
        parameter).  What needs directions is absent where the data have none. With ``beside``:
        ``population_eigen`` (eigen), the eigenvalue of the population beside it, counted from 1, or
        0 in the bulk and beyond the rank of few samples; ``bulk_edge`` (edge), the least and the
        largest eigenvalue left by counting from the ends; for a block with r outliers
        ``outlier_share`` and ``outlier_angle``, and not ``unit_share`` and ``principal_angle``.
        attrs: ``data`` ("test data" or "train data"), the method, the number of ``passes`` over the
        data, seed and sizes; with ``beyond`` whether the list is ``complete`` (1 or 0), as far as
        the iteration tells.

    Raises
    ------
    theory.InputError
        Unknown matrix or block, d < r + C, M < 1, count out of range or above the rank, weights of
        another state.
    ArithmeticError
        ARPACK did not converge.

    Examples
    --------
    >>> from theory import kgmm
    >>> zero = State([[0, 0], [0, 0]], [[0, 0], [0, 0]])
    >>> problem = Problem(kgmm(2), weights=[0.5, 0.5], precision=10, ridge=0, step=1)
    >>> found = empirical_spectrum(problem, zero, dimension=20, samples=4000, seed=1, block=(0, 0))
    >>> found.eigenvalue.values[:2].round(1)          # population value 0.15
    array([0.2, 0.1])
    """
    options: dict[str, Any] = {
        "regularized": regularized,
        "count": count,
        "which": which,
        "method": method,
        "beside": beside,
        "beyond": beyond,
        "tolerance": tolerance,
        "block_size": block_size,
        "max_passes": max_passes,
        "mixed_precision": mixed_precision,
        "start": start,
        "misfit": misfit,
    }
    if isinstance(problem, SampleData):
        given = {
            "state": state,
            "dimension": dimension,
            "samples": samples,
            "seed": seed,
            "weights": weights,
        }
        for name, value in given.items():
            if value is not None:
                raise InputError(
                    name, "a value beside data", "nothing", "the data have their own: leave it away"
                )
        return spectrum_of_data(problem, matrix=matrix, block=block, **options)
    kind = check_matrix(matrix)
    ridge_in = one_ridge(problem.model, kind, regularized)
    check_offered(check_block(problem.model, block), kind, ridge_in)
    if state is None or dimension is None or samples is None or seed is None:
        values = {"state": state, "dimension": dimension, "samples": samples, "seed": seed}
        missing = next(n for n, value in values.items() if value is None)
        raise InputError(
            missing,
            "None",
            "a value, to draw with",
            "give it, or SampleData in place of the problem",
        )
    data = draw_data(problem, state, dimension, samples, seed, weights, dtype)
    return spectrum_of_data(data, matrix=kind, block=block, **options).assign_attrs(seed=str(seed))

"""The k-component Gaussian mixture with a softmax layer: a mixture and a loss, nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from theory.errors import InputError
from theory.keywords import with_known_keywords

from .covariance.bands import Bands
from .cross_entropy import softmax_cross_entropy
from .exact_numbers import as_matrix
from .mixture import Mixture
from .model import Model


@with_known_keywords
def kgmm(
    k: int,
    *,
    weights: Sequence[object] | None = None,
    directions_gram: object | None = None,
    means: object | None = None,
    precision: object | None = None,
    ridge: object | None = None,
    step: object | None = None,
    bands: Bands | None = None,
) -> Model:
    r"""Return the k-class Gaussian mixture under multinomial logistic regression.

    Classes l = 1..k with label l and mean :math:`\mu_l = e_l`; one first-layer vector a class;
    :math:`\ell = -u_y + \log\sum_c e^{u_c}` (mathematics.md section 1; arXiv 2310.03010, section
    2).

    Parameters
    ----------
    k : int
        Number of classes, at least 2.
    weights : sequence of k numbers or symbols, optional
        Class probabilities; symbols p_1..p_k when None.
    directions_gram : k x k matrix or "orthonormal", optional
        Gram matrix Gamma of the class means, positive definite; symbols Gamma_s_t when None.
    means : k x r matrix or "simplex", optional
        Class means that depend on each other, a row each, as coordinates in r directions: centred
        data, more classes than directions, means on one line.  The directions are orthonormal
        unless ``directions_gram``, then r x r, says otherwise.  "simplex": k unit vectors of sum 0
        at equal angles, in the directions mu_1 .. mu_(k-1).
    precision, ridge, step : number or symbol, optional
        lambda > 0, beta >= 0, c_delta > 0; symbols when None.
    bands : Bands, optional
        Bands of the noise, with scales of its own in each.  With several of them
        ``directions_gram`` is a sequence of matrices, one per band.

    Returns
    -------
    Model

    Raises
    ------
    InputError
        k < 2, wrong shapes, weights off the simplex, a singular Gram matrix, or a parameter out of
        its domain.

    Examples
    --------
    >>> model = kgmm(3, weights=["1/2", "3/10", "1/5"], directions_gram="orthonormal")
    >>> model.units, model.directions, model.components
    (3, 3, 3)
    >>> model.ridge
    beta

    Three classes on a line, and three centred ones in a plane:

    >>> kgmm(3, means=[[-1], [0], [1]]).directions
    1
    >>> kgmm(3, means="simplex").mixture.mean_overlaps
    Matrix([
    [   1, -1/2],
    [-1/2,    1],
    [-1/2, -1/2]])
    """
    if isinstance(k, bool) or not isinstance(k, int) or k < 2:
        remedy = "give the number of classes, as in kgmm(3)"
        raise InputError("k", repr(k), "an integer >= 2", remedy)
    several = isinstance(bands, Bands) and bands.count > 1
    coordinates, gram = _means(k, means, None if several else directions_gram)
    if several:
        gram = directions_gram
        if isinstance(gram, str) or isinstance(means, str):
            got = repr(gram if isinstance(gram, str) else means)
            expected = "a Gram matrix of the directions for every band"
            raise InputError("directions_gram", got, expected, "give e_s . P_g e_t, band by band")
    mixture = Mixture.build(
        labels=list(range(1, k + 1)),
        coordinates=coordinates,
        weights=weights,
        directions_gram=gram,
        precision=precision,
        bands=bands,
    )
    return Model.build(mixture, softmax_cross_entropy(k), ridge=ridge, step=step, name=f"kgmm{k}")


def _means(k: int, means: object, gram: object) -> tuple[sp.MatrixBase, object]:
    """Coordinates of the class means, and the Gram matrix of the directions they refer to."""
    if isinstance(gram, str) and gram != "orthonormal":
        raise InputError(
            "directions_gram", repr(gram), "a matrix or 'orthonormal'", "check the spelling"
        )
    if means is None:
        return sp.eye(k), sp.eye(k) if isinstance(gram, str) else gram
    if isinstance(means, str):
        if means != "simplex":
            raise InputError("means", repr(means), "a matrix or 'simplex'", "check the spelling")
        if gram is not None:
            got, expected = "given beside means='simplex'", "None: the simplex has its own"
            raise InputError("directions_gram", got, expected, "leave it away")
        cosine = sp.Rational(-1, k - 1)
        rows = sp.eye(k - 1).col_join(-sp.ones(1, k - 1))
        return rows, (1 - cosine) * sp.eye(k - 1) + cosine * sp.ones(k - 1, k - 1)
    rows = as_matrix("means", means)
    if rows.rows != k:
        got, expected = f"{rows.rows} row(s)", f"{k}, one a class"
        raise InputError("means", got, expected, "give the coordinates of every mean as a row")
    return rows, sp.eye(rows.cols) if gram is None or isinstance(gram, str) else gram

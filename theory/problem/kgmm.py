"""The k-component Gaussian mixture with a softmax layer: a mixture and a loss, nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from theory.errors import InputError
from theory.keywords import with_known_keywords

from .cross_entropy import softmax_cross_entropy
from .mixture import Mixture
from .model import Model


@with_known_keywords
def kgmm(
    k: int,
    *,
    weights: Sequence[object] | None = None,
    directions_gram: object | None = None,
    precision: object | None = None,
    ridge: object | None = None,
    step: object | None = None,
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
    precision, ridge, step : number or symbol, optional
        lambda > 0, beta >= 0, c_delta > 0; symbols when None.

    Returns
    -------
    Model

    Raises
    ------
    InputError
        k < 2, wrong shapes, weights off the simplex, dependent means, or a parameter out of its
        domain.

    Examples
    --------
    >>> model = kgmm(3, weights=["1/2", "3/10", "1/5"], directions_gram="orthonormal")
    >>> model.units, model.directions, model.components
    (3, 3, 3)
    >>> model.ridge
    beta
    """
    if isinstance(k, bool) or not isinstance(k, int) or k < 2:
        raise InputError("k", repr(k), "an integer >= 2", "a classification task needs two classes")
    if isinstance(directions_gram, str):
        if directions_gram != "orthonormal":
            raise InputError(
                "directions_gram",
                repr(directions_gram),
                "a matrix or 'orthonormal'",
                "check the spelling",
            )
        directions_gram = sp.eye(k)
    mixture = Mixture.build(
        labels=list(range(1, k + 1)),
        coordinates=sp.eye(k),
        weights=weights,
        directions_gram=directions_gram,
        precision=precision,
    )
    return Model.build(mixture, softmax_cross_entropy(k), ridge=ridge, step=step, name=f"kgmm{k}")

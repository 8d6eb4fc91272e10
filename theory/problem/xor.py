"""The XOR mixture with a two-layer network: a mixture and a loss, nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from theory.errors import InputError
from theory.keywords import with_known_keywords
from theory.names import COORDINATES, LABELS

from .activations import Activation
from .cross_entropy import two_layer_cross_entropy
from .mixture import Mixture
from .model import Model


@with_known_keywords
def xor(
    width: int = 4,
    *,
    activation: str | Activation = "relu",
    weights: Sequence[object] | None = None,
    directions_gram: object | None = None,
    precision: object | None = None,
    ridge: object | None = None,
    step: object | None = None,
) -> Model:
    r"""Return the XOR mixture under a two-layer network of K = ``width`` hidden units.

    Clusters :math:`\mu,-\mu` with label 1 and :math:`\nu,-\nu` with label 0; :math:`f = \sum_i
    v_i\,g(u_i)`, :math:`\ell = -yf + \log(1+e^f)` (mathematics.md section 1; arXiv 2310.03010,
    section 3, which has K >= 4 and orthonormal :math:`\mu,\nu`).

    Parameters
    ----------
    width : int
        K >= 1 hidden units.
    activation : str or Activation
        g; "relu" by default.
    weights : sequence of 4 numbers or symbols, optional
        Probabilities of the clusters mu, -mu, nu, -nu; symbols p_1..p_4 when None.
    directions_gram : 2 x 2 matrix, optional
        Gram matrix of (mu, nu); the identity when None.
    precision, ridge, step : number or symbol, optional
        lambda > 0, beta >= 0, c_delta > 0; symbols when None.

    Returns
    -------
    Model

    Raises
    ------
    InputError
        K < 1, an activation with an undeclared kink or without derivative, weights off the simplex,
        dependent directions, or a parameter out of its domain.

    Examples
    --------
    >>> model = xor(2)
    >>> model.units, model.directions, model.components, model.readout_size
    (2, 2, 4, 2)
    >>> model.loss.partial((0,))
    -v_1*y*step(u_1) + v_1*Sigmoid(v_1*relu(u_1) + v_2*relu(u_2))*step(u_1)
    """
    if isinstance(width, bool) or not isinstance(width, int) or width < 1:
        raise InputError(
            "width", repr(width), "an integer K >= 1", "a two-layer network needs a hidden unit"
        )
    mixture = Mixture.build(
        labels=LABELS,
        coordinates=COORDINATES,
        weights=weights,
        directions_gram=sp.eye(2) if directions_gram is None else directions_gram,
        precision=precision,
    )
    loss = two_layer_cross_entropy(width, activation)
    return Model.build(mixture, loss, ridge=ridge, step=step, name=f"xor{width}")

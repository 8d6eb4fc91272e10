"""The losses of the two systems of the paper."""

from __future__ import annotations

import sympy as sp

from theory import symbols
from theory.keywords import with_known_keywords

from .activations import Activation, get_activation
from .loss import Loss
from .output.output_loss import stated_output
from .softmax import LogSumExp
from .softplus_sigmoid import Softplus


@with_known_keywords
def softmax_cross_entropy(classes: int) -> Loss:
    r"""Return :math:`\ell = -u_y + \log\sum_c e^{u_c}` for labels y = 1..classes.

    Source: mathematics.md section 1.

    Examples
    --------
    >>> print(softmax_cross_entropy(2).partial((0,)))
    softmax_1(u_1, u_2) - KroneckerDelta(1, y)
    """
    u = symbols.vector("u", classes)
    picked = sp.Add(*(sp.KroneckerDelta(symbols.LABEL, a + 1) * u[a] for a in range(classes)))
    gauge, output = sp.ImmutableDenseMatrix(sp.ones(classes, 1)), stated_output("softmax", u)
    return Loss(LogSumExp(*u) - picked, units=classes, gauge=gauge, output=output)


@with_known_keywords
def two_layer_cross_entropy(width: int, activation: str | Activation = "relu") -> Loss:
    r"""Return :math:`\ell = -yf + \log(1+e^f)`, :math:`f=\sum_i v_i\,g(u_i)`, labels 0 and 1.

    Source: mathematics.md section 1.

    Examples
    --------
    >>> print(two_layer_cross_entropy(1).partial((0,)))
    -v_1*y*step(u_1) + v_1*Sigmoid(v_1*relu(u_1))*step(u_1)
    """
    g = get_activation(activation)
    u, v = symbols.vector("u", width), symbols.vector("v", width)
    f = sp.Add(*(v[i] * g(u[i]) for i in range(width)))
    kinks = tuple(kink for a in u for kink in g.kinks_at(a))
    expression, output = Softplus(f) - symbols.LABEL * f, stated_output("logistic", (f,))
    return Loss(expression, units=width, readout_size=width, kinks=kinks, output=output)

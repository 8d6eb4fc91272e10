"""Networks of several layers on any mixture: a mixture and a loss, nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import sympy as sp

from theory import symbols
from theory.errors import InputError, brief
from theory.keywords import with_known_keywords

from .activations import Activation, get_activation
from .layers import Layer
from .loss import Loss
from .mixture import Mixture
from .model import Model
from .output.output_loss import OUTPUTS, output_loss, stated_output


@with_known_keywords
def mlp(
    mixture: Mixture,
    units: Sequence[int],
    *,
    activation: str | Activation = "tanh",
    output: str = "logistic",
    biases: bool = False,
    ridge: object | None = None,
    step: object | None = None,
    name: str | None = None,
) -> Model:
    r"""Return a network of fully connected layers on a Gaussian mixture.

    .. math:: h^1 = g(u + b^1),\qquad h^j = g(V^jh^{j-1} + b^j),\qquad f = V^Lh^{L-1} + b^L

    with u the pre-activations of the first layer, all other weights among the finite parameters v
    (mathematics.md section 13).  The loss is

    * "logistic": :math:`-yf + \log(1+e^f)` for labels 0 and 1;
    * "softmax": :math:`-f_y + \log\sum_c e^{f_c}` for labels 1 .. k, one output a label;
    * "square": :math:`(f-y)^2/2` for any labels.

    Parameters
    ----------
    mixture : Mixture
    units : sequence of int
        Width of every hidden layer, the first one first; the network has one layer more.
    activation : str or Activation
        g of every hidden layer.
    output : {"logistic", "softmax", "square"}
    biases : bool
        Whether the layers have biases.  Those of the first layer stand at the beginning of v as
        "biases of layer 1"; in a further layer they are the last column of its weights.
    ridge, step : number or symbol, optional
        beta >= 0, c_delta > 0; symbols when None.
    name : str, optional

    Returns
    -------
    Model
        Its layers are called "layer 1", "layer 2", ...: spectra are asked for as
        ``block="layer 2"``.

    Raises
    ------
    InputError
        Widths, labels or an output that do not fit together.

    Examples
    --------
    >>> data = Mixture.build(labels=[1, 2], coordinates=[[1], [-1]], directions_gram=[[1]])
    >>> model = mlp(data, units=[3, 2], output="softmax")
    >>> [(layer.name, layer.rows, layer.columns) for layer in model.loss.layers]
    [('layer 2', 2, 3), ('layer 3', 2, 2)]
    >>> model.units, model.readout_size
    (3, 10)
    """
    if not isinstance(mixture, Mixture):
        remedy = "the order is mlp(mixture, units)"
        raise InputError("mixture", type(mixture).__name__, "an sa.Mixture", remedy)
    widths = _checked_widths(units)
    if not isinstance(biases, bool):
        raise InputError("biases", brief(repr(biases)), "True or False", "True gives every layer")
    outputs = _checked_outputs(output, mixture)
    network = _Network.build(widths, outputs, get_activation(activation), biases)
    loss = Loss(
        output_loss(output, network.outputs),
        units=widths[0],
        readout_size=sum(layer.size for layer in network.layers),
        kinks=network.kinks,
        layers=network.layers,
        output=stated_output(output, network.outputs),
    )
    title = "mlp" + "-".join(map(str, (*widths, outputs))) if name is None else name
    return Model.build(mixture, loss, ridge=ridge, step=step, name=title)


@dataclass(frozen=True)
class _Network:
    """Outputs, layers and kinks of a network, in terms of u and v."""

    outputs: tuple[sp.Expr, ...]
    layers: tuple[Layer, ...]
    kinks: tuple[sp.Expr, ...]

    @classmethod
    def build(
        cls, widths: tuple[int, ...], outputs: int, activation: Activation, biased: bool
    ) -> _Network:
        """Stack the layers."""
        columns = [width + biased for width in widths]
        rows = [*widths[1:], outputs]
        sizes = [width * count for width, count in zip(rows, columns, strict=True)]
        first = widths[0] if biased else 0
        v = symbols.vector("v", first + sum(sizes))
        forms: tuple[sp.Expr, ...] = symbols.vector("u", widths[0])
        layers, at = [], first
        if biased:
            forms = tuple(u + b for u, b in zip(forms, v[:first], strict=True))
            layers.append(Layer("biases of layer 1", first, 1, (sp.Integer(1),)))
        kinks: list[sp.Expr] = []
        for j, (count, size) in enumerate(zip(rows, sizes, strict=True)):
            kinks += [kink for form in forms for kink in activation.kinks_at(form)]
            features = (*map(activation, forms), *([sp.Integer(1)] if biased else []))
            layers.append(Layer(f"layer {j + 2}", count, len(features), features))
            weights = [
                v[at + i * len(features) : at + (i + 1) * len(features)] for i in range(count)
            ]
            forms = tuple(
                reduce(add, (w * h for w, h in zip(row, features, strict=True))) for row in weights
            )
            at += size
        return cls(forms, tuple(layers), tuple(kinks))


def _checked_widths(units: object) -> tuple[int, ...]:
    expected = "the width of every hidden layer, integers >= 1"
    if not isinstance(units, Sequence) or isinstance(units, str | bytes) or not units:
        remedy = "write units=[3, 3] for two hidden layers of three units"
        raise InputError("units", brief(repr(units)), expected, remedy)
    for width in units:
        if isinstance(width, bool) or not isinstance(width, int) or width < 1:
            raise InputError("units", brief(repr(width)), expected, "count the units of a layer")
    return tuple(units)


def _checked_outputs(output: object, mixture: Mixture) -> int:
    """Number of outputs; the labels are those that the output is made for."""
    if not isinstance(output, str) or output not in OUTPUTS:
        remedy = "'softmax' has one output a label, the others one"
        raise InputError("output", brief(repr(output)), f"one of {OUTPUTS}", remedy)
    labels = mixture.labels
    if output == "square":
        return 1
    if output == "logistic":
        if not set(labels) <= {sp.Integer(0), sp.Integer(1)}:
            remedy = "give labels 0 and 1, or take output='softmax' or 'square'"
            raise InputError("labels", brief(list(labels)), "0 or 1 for 'logistic'", remedy)
        return 1
    most = max((y for y in labels if y.is_Integer), default=sp.Integer(0))
    if not all(y.is_Integer and y >= 1 for y in labels) or most < 2:
        remedy = "number the classes from 1"
        raise InputError("labels", brief(list(labels)), "1 .. k, k >= 2, for 'softmax'", remedy)
    return int(most)

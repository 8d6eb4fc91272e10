"""The layers of a network behind the first: which entries of v are the weights of which layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sympy as sp

from theory.errors import InputError, brief
from theory.keywords import with_known_keywords

FIRST_LAYER = "layer 1"
RESERVED = ("first_layer", "full", "readout", "mixed", "all", FIRST_LAYER)


@with_known_keywords
@dataclass(frozen=True)
class Layer:
    """A weight matrix among the finite parameters v, row by row.

    Layer j sends the features h of the layer below to W h, one row of W an output.  A bias is the
    last column of W, of a feature that is always 1.

    Parameters
    ----------
    name : str
        As spectra are asked for it: ``block="layer 2"``.
    rows : int
        Outputs.
    columns : int
        Inputs, the bias included.
    features : tuple of sympy.Expr, length ``columns``, optional
        h, in terms of u and of the weights below.  Without them the features of a layer with one
        row are read off the loss.

    Examples
    --------
    >>> Layer("layer 2", 2, 3).size
    6
    """

    name: str
    rows: int
    columns: int
    features: tuple[sp.Expr, ...] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name or self.name in RESERVED:
            expected = f"a text that is none of {', '.join(RESERVED)}"
            raise InputError("layer", repr(self.name), expected, "name it 'layer 2'")
        for name, value in (("rows", self.rows), ("columns", self.columns)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                what = f"{name} of {self.name}"
                raise InputError(what, repr(value), "an integer >= 1", "count its weights")
        if self.features is not None and len(self.features) != self.columns:
            got = f"{len(self.features)} features"
            remedy = "give one feature a column, 1 for that of the bias"
            raise InputError(self.name, got, f"{self.columns}, one a column", remedy)

    @property
    def size(self) -> int:
        """Number of weights."""
        return self.rows * self.columns


def checked_layers(layers: object, readout_size: int) -> tuple[Layer, ...]:
    """The layers of a loss; what is left of v, or all of it, is one layer with one row."""
    if isinstance(layers, Layer) or not isinstance(layers, Sequence):
        got = type(layers).__name__
        raise InputError("layers", got, "a sequence of Layer", "give a tuple of layers")
    for layer in layers:
        if not isinstance(layer, Layer):
            remedy = "write Layer(name, rows, columns)"
            raise InputError("layers", brief(repr(layer)), "objects of class Layer", remedy)
    if not layers:
        return (Layer("layer 2", 1, readout_size),) if readout_size else ()
    names = [layer.name for layer in layers]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InputError("layers", f"{repeated} twice", "names that differ", "rename a layer")
    total = sum(layer.size for layer in layers)
    if total != readout_size:
        got = f"{total} weights in {', '.join(names)}"
        remedy = "let the layers share out v in their order, biases included"
        raise InputError("layers", got, f"{readout_size}, the number of entries of v", remedy)
    return tuple(layers)


def layer_of(layers: Sequence[Layer], name: object) -> Layer:
    """The layer of a name."""
    for layer in layers:
        if layer.name == name:
            return layer
    known = ", ".join(layer.name for layer in layers)
    raise InputError("layer", brief(repr(name)), f"one of {known}", "take the name of a layer of v")


def positions_of(layers: Sequence[Layer], name: object) -> range:
    """Positions in v of a layer's weights."""
    layer = layer_of(layers, name)
    start = sum(other.size for other in layers[: layers.index(layer)])
    return range(start, start + layer.size)

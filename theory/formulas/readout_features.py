"""Features of the layers behind the first: what their weights see of each component."""

from __future__ import annotations

from dataclasses import dataclass, field

import sympy as sp

from theory.errors import InputError
from theory.expectations.derived import Derived, shown_as
from theory.expectations.expectation import GaussianExpectation
from theory.expectations.gaussian_law import preactivation_law
from theory.keywords import with_known_keywords
from theory.problem.layers import Layer, layer_of, positions_of
from theory.problem.model import Model
from theory.symbols import LABEL

# digits with which the features of a layer are compared with its gradient, and what counts as zero
DIGITS = 40
ZERO = sp.Float("1e-20")


@with_known_keywords
@dataclass(frozen=True, repr=False)
class ReadoutFeatures(Derived):
    """The feature vector of every component, a row each, up to its length.

    Attributes
    ----------
    model : Model
    vectors : matrix, n x columns of the layer
    layer : str
        The layer whose weights meet these features.

    Examples
    --------
    >>> from theory import xor
    >>> found = derive_readout_features(xor(3))
    >>> found.layer, found.vectors.shape                      # four clusters, three units
    ('layer 2', (4, 3))
    """

    model: Model
    vectors: sp.ImmutableDenseMatrix = field(metadata=shown_as(r"\Phi"))
    layer: str = "layer 2"


@with_known_keywords
def derive_readout_features(model: Model, layer: str | None = None) -> ReadoutFeatures:
    r"""Derive the vectors whose span a layer behind the first, its Hessian and G block align with.

    .. math:: \Phi_l = \partial_v\ell(y_l; u, v)\big|_{u = mS_l^T}

    For :math:`f=\sum_iv_ig(u_i)` it is :math:`(\sigma(f)-y_l)\,g(WS_l)`: the span over l is that of
    :math:`g(W\mu), g(-W\mu), g(W\nu), g(-W\nu)` of arXiv 2310.03010, section 3 (mathematics.md
    section 8).  The scalar factor, which vanishes as a cluster is fitted, is divided out where it
    is common to all entries.

    In a network of several layers the gradient of the weights V of a layer is
    :math:`\delta\,h^T` with h the features of the layer below: :math:`\Phi_l = h(mS_l^T)`, and the
    row space of V aligns with the span over l (mathematics.md section 13).

    Parameters
    ----------
    model : Model
        With readout parameters.
    layer : str, optional
        A layer of v by its name; may be left away where there is one.

    Returns
    -------
    ReadoutFeatures

    Raises
    ------
    InputError
        The model has no readout parameters, no such layer, or several and none is named; or the
        features stated with the layer are not those of the loss.

    Examples
    --------
    >>> from theory import Mixture, mlp, xor
    >>> derive_readout_features(xor(2)).vectors.row(1)
    Matrix([[relu(-m_1_1), relu(-m_2_1)]])
    >>> data = Mixture.build(labels=[1, 0], coordinates=[[1], [-1]], directions_gram=[[1]])
    >>> derive_readout_features(mlp(data, units=[1, 1]), "layer 3").vectors.row(1)
    Matrix([[-tanh(v_1*tanh(m_1_1))]])
    """
    if model.readout_size == 0:
        raise InputError(
            "model", model.name, "a model with readout parameters", "it has a single layer"
        )
    chosen = _chosen_layer(model, layer)
    features = chosen.features
    if features is None:
        features = _features_of_a_row(model, chosen)
    else:
        _check_features(model, chosen, features)
    nodes = [
        [GaussianExpectation(e, preactivation_law(model, l)) for e in features]
        for l in range(model.components)
    ]
    at_mean = [
        [n.noiseless() if isinstance(n, GaussianExpectation) else n for n in row] for row in nodes
    ]
    return ReadoutFeatures(model, sp.ImmutableDenseMatrix(at_mean), chosen.name)


def _chosen_layer(model: Model, name: str | None) -> Layer:
    layers = model.loss.layers
    if name is None and len(layers) > 1:
        known = ", ".join(layer.name for layer in layers)
        raise InputError("layer", "none", f"one of {known}", "say which layer")
    return layers[0] if name is None else layer_of(layers, name)


def _features_of_a_row(model: Model, layer: Layer) -> tuple[sp.Expr, ...]:
    """The gradient of the only row of a layer, without the factor that its entries share."""
    if layer.rows > 1:
        remedy = "state them: Layer(name, rows, columns, features)"
        raise InputError(layer.name, "several rows and no features", "features", remedy)
    first = len(model.loss.preactivation)
    positions = [first + i for i in positions_of(model.loss.layers, layer.name)]
    factors = [sp.Mul.make_args(sp.factor(model.loss.partial((i,)))) for i in positions]
    common = (
        set(factors[0]).intersection(*factors[1:])
        if len(factors) > 1
        else _scalar_factors(factors[0], model)
    )
    return tuple(sp.Mul(*(f for f in each if f not in common)) for each in factors)


def _scalar_factors(factors: tuple[sp.Expr, ...], model: Model) -> set[sp.Expr]:
    """Factors that are no feature, of a loss with one readout parameter.

    Any factor is common then; those with the label or without u are no feature.
    """
    return {f for f in factors if f.has(LABEL) or not f.has(*model.symbols.preactivation)}


def _check_features(model: Model, layer: Layer, features: tuple[sp.Expr, ...]) -> None:
    """Refuse features h that are not those of the loss: the gradient of every row is along h."""
    loss = model.loss
    start = len(loss.preactivation) + positions_of(loss.layers, layer.name)[0]
    columns = len(features)
    slopes = [loss.partial((start + i,)) for i in range(layer.rows * columns)]
    shared, results = sp.cse([*map(sp.sympify, features), *slopes], order="none")
    for shift in range(2):  # at two points without zeros
        point = {
            s: sp.Rational(2 * ((5 * i + 3 * shift) % 7) - 5, i % 5 + shift + 2)
            for i, s in enumerate(dict.fromkeys((*loss.variables, *loss.fields)))
        } | {LABEL: model.mixture.labels[shift % model.components]}
        numbers = _values(shared, results, point)
        h, *rows = (numbers[i : i + columns] for i in range(0, len(numbers), columns))
        pairs = [(j, k) for j in range(columns) for k in range(j)]
        if any(abs(row[j] * h[k] - row[k] * h[j]) > ZERO for row in rows for j, k in pairs):
            expected = f"the features that multiply the weights of {layer.name} in the loss"
            remedy = "write what the layer below puts out, 1 for the column of a bias"
            raise InputError("features", features, expected, remedy)


def _values(
    shared: list[tuple[sp.Symbol, sp.Expr]], results: list[sp.Expr], point: dict[sp.Expr, sp.Expr]
) -> list[sp.Expr]:
    """Digits of expressions at a point, where what they share is worked out once."""
    known = dict(point)
    for name, expression in shared:
        known[name] = expression.xreplace(known).evalf(DIGITS)
    return [e.xreplace(known).evalf(DIGITS) for e in results]

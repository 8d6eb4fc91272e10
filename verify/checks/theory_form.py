"""A claimed theory is checked for its form before any work: shapes, kinds, symbols, laws of
expectations.
"""

from __future__ import annotations

from collections.abc import Iterator

import sympy as sp

from theory import Block, BlockMatrix, Drift, InputError, Model, ReadoutFeatures, symbols
from theory.expectations.well_formed import _short, well_formed

from .judged_theory import Theory


def check_claim(theory: Theory, model: Model) -> None:
    """Refuse a theory that is not one of ``model``, whatever its formulas say.

    Parameters
    ----------
    theory : Theory
    model : theory.Model
        Of the system that is judged.

    Raises
    ------
    theory.InputError
        Another model; a part of the wrong kind or shape; a matrix that is not symmetric; a symbol
        the model does not have, or one of the right name that was made without its assumptions; an
        expectation over another law, or one that does not enter as a polynomial.
    """
    if not isinstance(theory, Theory):
        raise InputError(
            "theory",
            type(theory).__name__,
            "an sa.Theory",
            "start from Theory.derive(model) and replace parts",
        )
    if theory.model is not model and theory.model != model:
        raise InputError(
            "theory.model",
            theory.model.name,
            f"the model {model.name} of the system",
            "start from Theory.derive(get_system(name).model)",
        )
    sound = well_formed(model)
    for name, expression in _expressions(theory, model):
        sound.check(f"theory.{name}", expression)


def _expressions(theory: Theory, model: Model) -> Iterator[tuple[str, sp.Expr]]:
    """Every expression with its place, once kinds and shapes are right."""
    c, r, q = model.units, model.directions, model.readout_size
    drift = theory.drift
    _check_kind("drift", drift, Drift, "replace parts of derive_drift(model)")
    shapes = {"overlap": (c, r), "gram_perp": (c, c), "corrector": (c, c), "readout": (q, 1)}
    for part, shape in shapes.items():
        yield from _entries(
            f"drift.{part}",
            getattr(drift, part),
            shape,
            symmetric=part in ("gram_perp", "corrector"),
        )
    for kind in ("hessian", "gradient", "curvature"):
        matrix: BlockMatrix = theory.blocks(kind)
        derive = (
            "derive_gradient_matrix(model)"
            if kind == "gradient"
            else "derive_hessian(model, regularized=False)"
        )
        _check_kind(kind, matrix, BlockMatrix, f"replace blocks of {derive}")
        meant = "gradient" if kind == "gradient" else "hessian"
        if matrix.kind != meant or matrix.regularized:
            got = f"a {matrix.kind} matrix {'with' if matrix.regularized else 'without'} ridge"
            raise InputError(
                f"theory.{kind}",
                got,
                f"a {meant} matrix without ridge",
                f"replace blocks of {derive}",
            )
        pairs = symbols.upper_triangle(c)
        if sorted(matrix.first_layer) != pairs:
            raise InputError(
                f"theory.{kind}.first_layer",
                f"blocks {sorted(matrix.first_layer)}",
                f"blocks {pairs}",
                "give every pair of units (a, b), a <= b, counted from 0",
            )
        for (a, b), block in matrix.first_layer.items():
            place = f"{kind}.first_layer[{a}, {b}]"
            _check_kind(place, block, Block, "give sa.Block(coefficients, bulk)")
            yield from _entries(
                f"{place}.coefficients", block.coefficients, (r + c, r + c), symmetric=a == b
            )
            yield f"{place}.bulk", block.bulk
        yield from _entries(f"{kind}.mixed", matrix.mixed, (c * q, r + c))
        yield from _entries(f"{kind}.readout", matrix.readout, (q, q), symmetric=True)
    if len(model.loss.layers) > 1:
        yield from _layer_features(theory, model)
    elif q:
        derive = "replace vectors of derive_readout_features(model)"
        _check_kind("features", theory.features, ReadoutFeatures, derive)
        assert theory.features is not None  # just checked
        yield from _entries("features.vectors", theory.features.vectors, (model.components, q))


def _layer_features(theory: Theory, model: Model) -> Iterator[tuple[str, sp.Expr]]:
    """Features of the layers behind the first, where there are several."""
    for layer in model.loss.layers:
        if layer.columns > 1:
            name, derive = f"layer_features[{layer.name!r}]", "replace vectors of the derived ones"
            found = theory.layer_features.get(layer.name)
            _check_kind(name, found, ReadoutFeatures, derive)
            assert found is not None  # just checked
            shape = (model.components, layer.columns)
            yield from _entries(f"{name}.vectors", found.vectors, shape)


def _check_kind(name: str, value: object, kind: type, remedy: str) -> None:
    if not isinstance(value, kind):
        raise InputError(f"theory.{name}", type(value).__name__, f"an sa.{kind.__name__}", remedy)


def _entries(
    name: str, matrix: sp.MatrixBase, shape: tuple[int, int], symmetric: bool = False
) -> Iterator[tuple[str, sp.Expr]]:
    if not isinstance(matrix, sp.MatrixBase):
        raise InputError(
            f"theory.{name}",
            type(matrix).__name__,
            f"a SymPy matrix of shape {shape}",
            "use sympy.ImmutableDenseMatrix",
        )
    # a matrix without entries has no shape to get wrong
    if matrix.shape != shape and (len(matrix) or 0 not in shape):
        raise InputError(
            f"theory.{name}",
            f"shape {matrix.shape}",
            f"shape {shape}",
            "rows are units, as in the derived one",
        )
    for i in range(matrix.rows):
        for j in range(matrix.cols):
            if (
                symmetric
                and i > j
                and matrix[i, j] != matrix[j, i]
                and sp.expand(matrix[i, j] - matrix[j, i]) != 0
            ):
                raise InputError(
                    f"theory.{name}[{i}, {j}]",
                    _short(matrix[i, j]),
                    f"the same as [{j}, {i}], {_short(matrix[j, i])}",
                    "the matrix is symmetric: give both entries the same expression",
                )
            yield f"{name}[{i}, {j}]", matrix[i, j]

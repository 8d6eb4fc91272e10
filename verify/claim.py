"""A claimed theory is checked for its form before any work: shapes, kinds, symbols, laws of expectations."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

import sympy as sp
from sympy.core.function import AppliedUndef

from theory import Block, BlockMatrix, Drift, GaussianExpectation, InputError, Model, ReadoutFeatures, symbols
from theory.derived import find_expectations
from theory.gaussian import preactivation_law

from .subject import Theory


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
        Another model; a part of the wrong kind or shape; a matrix that is not symmetric; a symbol the model does not
        have, or one of the right name that was made without its assumptions; an expectation over another law, or one
        that does not enter as a polynomial.
    """
    if not isinstance(theory, Theory):
        raise InputError(
            "theory", type(theory).__name__, "a verify.subject.Theory",
            "start from Theory.derive(model) and replace parts",
        )
    if theory.model is not model and theory.model != model:
        raise InputError(
            "theory.model", theory.model.name, f"the model {model.name} of the system",
            "start from Theory.derive(get_system(name).model)",
        )
    known = _known_symbols(model)
    for name, expression in _expressions(theory, model):
        _check_expression(f"theory.{name}", expression, model, known)


def check_expression(name: str, value: object, model: Model) -> None:
    """Refuse an expression that means nothing for a model: unknown symbols, other laws, no number.

    Raises
    ------
    theory.InputError
    """
    _check_expression(name, value, model, _known_symbols(model))


def _expressions(theory: Theory, model: Model) -> Iterator[tuple[str, sp.Expr]]:
    """Every expression with its place, once kinds and shapes are right."""
    c, r, q = model.units, model.directions, model.readout_size
    drift = theory.drift
    _check_kind("drift", drift, Drift, "replace parts of derive_drift(model)")
    shapes = {"overlap": (c, r), "gram_perp": (c, c), "corrector": (c, c), "readout": (q, 1)}
    for part, shape in shapes.items():
        yield from _entries(f"drift.{part}", getattr(drift, part), shape, symmetric=part in ("gram_perp", "corrector"))
    for kind in ("hessian", "gradient", "curvature"):
        matrix: BlockMatrix = theory.blocks(kind)
        derive = "derive_gradient_matrix(model)" if kind == "gradient" else "derive_hessian(model, regularized=False)"
        _check_kind(kind, matrix, BlockMatrix, f"replace blocks of {derive}")
        meant = "gradient" if kind == "gradient" else "hessian"
        if matrix.kind != meant or matrix.regularized:
            got = f"a {matrix.kind} matrix {'with' if matrix.regularized else 'without'} ridge"
            raise InputError(f"theory.{kind}", got, f"a {meant} matrix without ridge", f"replace blocks of {derive}")
        pairs = symbols.upper_triangle(c)
        if sorted(matrix.first_layer) != pairs:
            raise InputError(
                f"theory.{kind}.first_layer", f"blocks {sorted(matrix.first_layer)}", f"blocks {pairs}",
                "give every pair of units (a, b), a <= b, counted from 0",
            )
        for (a, b), block in matrix.first_layer.items():
            place = f"{kind}.first_layer[{a}, {b}]"
            _check_kind(place, block, Block, "give theory.Block(coefficients, bulk)")
            yield from _entries(f"{place}.coefficients", block.coefficients, (r + c, r + c), symmetric=a == b)
            yield f"{place}.bulk", block.bulk
        yield from _entries(f"{kind}.mixed", matrix.mixed, (c * q, r + c))
        yield from _entries(f"{kind}.readout", matrix.readout, (q, q), symmetric=True)
    if q:
        derive = "replace vectors of derive_readout_features(model)"
        _check_kind("features", theory.features, ReadoutFeatures, derive)
        assert theory.features is not None  # just checked
        yield from _entries("features.vectors", theory.features.vectors, (model.components, q))


def _check_kind(name: str, value: object, kind: type, remedy: str) -> None:
    if not isinstance(value, kind):
        raise InputError(f"theory.{name}", type(value).__name__, f"a theory.{kind.__name__}", remedy)


def _entries(
    name: str, matrix: sp.MatrixBase, shape: tuple[int, int], symmetric: bool = False
) -> Iterator[tuple[str, sp.Expr]]:
    if not isinstance(matrix, sp.MatrixBase):
        raise InputError(
            f"theory.{name}", type(matrix).__name__, f"a SymPy matrix of shape {shape}",
            "use sympy.ImmutableDenseMatrix",
        )
    # a matrix without entries has no shape to get wrong
    if matrix.shape != shape and (len(matrix) or 0 not in shape):
        raise InputError(
            f"theory.{name}", f"shape {matrix.shape}", f"shape {shape}", "rows are units, as in the derived one"
        )
    for i in range(matrix.rows):
        for j in range(matrix.cols):
            if symmetric and i > j and matrix[i, j] != matrix[j, i] and sp.expand(matrix[i, j] - matrix[j, i]) != 0:
                raise InputError(
                    f"theory.{name}[{i}, {j}]", _short(matrix[i, j]), f"the same as [{j}, {i}], {_short(matrix[j, i])}",
                    "the matrix is symmetric: give both entries the same expression",
                )
            yield f"{name}[{i}, {j}]", matrix[i, j]


def _check_expression(name: str, value: object, model: Model, known: dict[str, tuple[sp.Symbol, str]]) -> None:
    if not isinstance(value, sp.Expr):
        raise InputError(name, repr(value), "a SymPy expression", "write numbers as sympy.Integer or Rational")
    if value.has(sp.nan, sp.oo, -sp.oo, sp.zoo):
        raise InputError(name, _short(value), "a finite expression", "remove NaN and infinities")
    unknown = value.atoms(AppliedUndef)
    if unknown:
        raise InputError(
            name, min(map(str, unknown)), "a function with a definition",
            "use SymPy's functions or those of theory.functions",
        )
    nodes = list(dict.fromkeys(find_expectations(value)))
    for node in nodes:
        _check_node(name, node, model, known)
    names = {node: sp.Dummy() for node in nodes}
    plain = value.xreplace(names)
    outer = {text for text in known if text.split("_")[0] not in ("u", "w", "y")}
    _check_symbols(name, plain.free_symbols - set(names.values()), outer, known, inside=False)
    if names and not plain.is_polynomial(*names.values()):
        raise InputError(
            name, _short(value), "a polynomial in the expectations E_l[...]",
            "quotients and functions of them are not evaluated",
        )


def _check_node(
    name: str, node: GaussianExpectation, model: Model, known: dict[str, tuple[sp.Symbol, str]]
) -> None:
    l = node.law.component - 1
    if not 0 <= l < model.components or node.law != preactivation_law(model, l):
        raise InputError(
            name, _short(node), "an expectation over the law of a component of this model",
            f"use GaussianExpectation(f, preactivation_law(model, l)), l in 0..{model.components - 1}, with the model "
            "of the theory and nothing substituted in it",
        )
    allowed = {text for text in known if text.split("_")[0] in ("u", "w", "y", "v")}
    _check_symbols(name, node.general_integrand.free_symbols, allowed, known, inside=True)


def _check_symbols(
    name: str, used: set[sp.Symbol], allowed: set[str], known: dict[str, tuple[sp.Symbol, str]], inside: bool
) -> None:
    where = "inside an expectation" if inside else "outside expectations"
    for symbol in sorted(used, key=str):
        text = str(symbol)
        if text in allowed and known[text][0] == symbol:
            continue
        if text in allowed:
            raise InputError(
                name, f"a Symbol({text!r}) made with other assumptions", f"the symbol {text} of the theory",
                f"write {known[text][1]}",
            )
        if text in known:
            raise InputError(
                name, f"{text} {where}", f"there only {_families(allowed)}",
                "put constants and state in front of E_l[...]" if inside else "put it into an expectation E_l[...]",
            )
        close = difflib.get_close_matches(text, allowed, n=1, cutoff=0.5)
        remedy = f"did you mean {close[0]}: write {known[close[0]][1]}" if close else "use the symbols of the model"
        raise InputError(name, f"the symbol {text} {where}", f"there only {_families(allowed)}", remedy)


def _short(value: sp.Basic) -> str:
    text = str(value)
    return text if len(text) <= 100 else f"{text[:97]}..."


def _families(names: set[str]) -> str:
    """Symbols by their letters, such as ``beta, lambda, m_i_j``."""
    indices = ("", "_i", "_i_j")
    found = {
        text if text in ("c_delta", "lambda", "beta", "y") else text.split("_")[0] + indices[text.count("_")]
        for text in names
    }
    return ", ".join(sorted(found))


def _known_symbols(model: Model) -> dict[str, tuple[sp.Symbol, str]]:
    """Symbols by name, each with the Python that gives it."""
    s, n, r = model.symbols, model.components, model.directions
    found = [
        (symbols.PRECISION, "theory.symbols.PRECISION"), (symbols.RIDGE, "theory.symbols.RIDGE"),
        (symbols.STEP, "theory.symbols.STEP"), (symbols.LABEL, "theory.symbols.LABEL"),
    ]
    for i, p in enumerate(symbols.vector("p", n, positive=True)):
        found.append((p, f'theory.symbols.vector("p", {n}, positive=True)[{i}]'))
    for i, j in symbols.upper_triangle(r):
        found.append((symbols.indexed("Gamma", i, j), f'theory.symbols.indexed("Gamma", {i}, {j})'))
    for part in ("overlap", "gram_perp", "gram", "gram_inverse"):
        matrix = getattr(s, part)
        found += [
            (matrix[i, j], f"model.symbols.{part}[{i}, {j}]")
            for i in range(matrix.rows) for j in range(matrix.cols) if part == "overlap" or i <= j
        ]
    for part in ("readout", "preactivation", "whitened"):
        found += [(x, f"model.symbols.{part}[{i}]") for i, x in enumerate(getattr(s, part))]
    return {str(symbol): (symbol, text) for symbol, text in found}

"""The base of all derived objects: expressions that can be mapped and searched."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

import sympy as sp

from theory.notebook import entries_latex, equations_latex, shape_text

from .contracted import ContractedMatrix
from .contraction import Contraction
from .expectation import GaussianExpectation

D = TypeVar("D", bound="Derived")


def shown_as(latex: str) -> dict[str, Any]:
    """Metadata of a field that holds expressions: its letter in a notebook."""
    return {"expressions": True, "latex": latex}


class Derived:
    """Base of frozen dataclasses whose fields hold expressions, matrices, or dicts of these.

    The metadata of such a field are :func:`shown_as`.

    Examples
    --------
    >>> from theory import derive_drift, kgmm, symbols
    >>> drift = derive_drift(kgmm(2))
    >>> len(drift.expectations())
    16
    >>> without_ridge = drift.map(lambda expression: expression.subs(symbols.RIDGE, 0))
    >>> without_ridge.overlap.has(symbols.RIDGE)
    False
    """

    def __repr__(self) -> str:
        """What it is and the sizes of its parts, on one line; formulas have thousands of terms."""
        model = getattr(self, "model", None)
        parts = [] if model is None else [f"model {model.name!r}"]
        parts += [
            f"{f.name} {shape_text(getattr(self, f.name))}"
            if f.metadata.get("expressions")
            else f"{f.name} {getattr(self, f.name)!r}"
            for f in fields(self)  # type: ignore[arg-type]
            if f.name != "model"
        ]
        return f"{type(self).__name__}({', '.join(parts)})"

    def _repr_latex_(self) -> str:
        """The first entries of every part, for notebooks."""
        return equations_latex(self._equations())

    def _equations(self) -> Iterator[tuple[str, str]]:
        """Left and right hand sides in LaTeX."""
        for f in fields(self):  # type: ignore[arg-type]
            if f.metadata.get("expressions"):
                yield from entries_latex(f.metadata["latex"], getattr(self, f.name))

    def map(self: D, function: Callable[[sp.Expr], sp.Expr]) -> D:
        """Return a copy with ``function`` applied to every expression.

        It may be a limit, a substitution or a mutation.
        """
        changed = {
            f.name: _map_value(getattr(self, f.name), function)
            for f in fields(self)  # type: ignore[arg-type]
            if f.metadata.get("expressions")
        }
        return replace(self, **changed)  # type: ignore[type-var]

    def limit(self: D, function: Callable[[sp.Expr], sp.Expr]) -> D:
        """As :meth:`map`, for a limit that respects sums and products.

        What is contracted stays so: the limit is taken of its tensors.
        """
        changed = {}
        for f in fields(self):  # type: ignore[arg-type]
            if f.metadata.get("expressions"):
                value = getattr(self, f.name)
                found: Contraction | None = getattr(value, "contraction", None)
                changed[f.name] = (
                    _map_value(value, function)
                    if found is None
                    else ContractedMatrix.of(found.limit(function))
                )
        return replace(self, **changed)  # type: ignore[type-var]

    def expressions(self) -> Iterator[sp.Expr]:
        """Yield every expression, in a fixed order."""
        for f in fields(self):  # type: ignore[arg-type]
            if f.metadata.get("expressions"):
                yield from _walk(getattr(self, f.name))

    def written_out(self: D) -> D:
        """The same, with every entry expanded: what does not exist is refused now."""
        for _ in self.expressions():
            pass
        return self

    def expectations(self) -> list[GaussianExpectation]:
        """Return the distinct unevaluated expectations, in order of appearance."""
        seen: dict[GaussianExpectation, None] = {}
        for expression in self.expressions():
            for node in find_expectations(expression):
                seen.setdefault(node)
        return list(seen)


def find_expectations(expression: sp.Expr) -> Iterator[GaussianExpectation]:
    """Yield the expectation nodes of an expression in argument order, with repetition."""
    if isinstance(expression, GaussianExpectation):
        yield expression
    else:
        for argument in expression.args:
            yield from find_expectations(argument)


def _map_value(value: Any, function: Callable[[sp.Expr], sp.Expr]) -> Any:
    if isinstance(value, sp.MatrixBase):
        return sp.ImmutableDenseMatrix(value.applyfunc(function))
    if isinstance(value, sp.Expr):
        return function(value)
    if isinstance(value, Derived):
        return value.map(function)
    if isinstance(value, Mapping):
        return {k: _map_value(v, function) for k, v in value.items()}
    raise TypeError(f"cannot map over {type(value).__name__}")


def _walk(value: Any) -> Iterator[sp.Expr]:
    if isinstance(value, sp.MatrixBase):
        yield from value
    elif isinstance(value, sp.Expr):
        yield value
    elif isinstance(value, Derived):
        yield from value.expressions()
    elif isinstance(value, Mapping):
        for v in value.values():
            yield from _walk(v)
    else:
        raise TypeError(f"cannot walk {type(value).__name__}")

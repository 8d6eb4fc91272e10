"""The names of claimed formulas, and what each stands for in a model."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sympy as sp

from theory import Model, Softmax, symbols
from theory.problem.kinks import apply_kink_rule

from .conventions import DIMENSION, FUNCTIONS, RANDOM, SHAPES, UNITS, Scope
from .tree import FormulaError, Index, Name, Node

if TYPE_CHECKING:
    from .vocabulary import Vocabulary


@dataclass(frozen=True)
class NamesOfModel:
    """Names to expressions: symbols, derivatives of the loss, Kronecker deltas; indices are
    checked.

    Attributes
    ----------
    vocabulary : Vocabulary
    text : str
        The formula, for messages.
    """

    vocabulary: Vocabulary
    text: str

    @property
    def model(self) -> Model:
        return self.vocabulary.model

    def fail(self, node: Node, got: str, expected: str, remedy: str) -> FormulaError:
        return FormulaError(self.text, node.position, got, expected, remedy)

    def index(self, index: Index, node: Node, scope: Scope) -> int:
        if isinstance(index, int):
            return index
        if index not in scope.bindings:
            known = ", ".join(scope.bindings) or "none"
            expected = f"an index of the quantity ({known}) or of a sum"
            remedy = f"sum over it, sum_{index}(...), or name the quantity with it"
            raise self.fail(node, f"the free index {index!r}", expected, remedy)
        return scope.bindings[index]

    def name(self, node: Name, scope: Scope) -> sp.Expr:
        base, model, s = node.base, self.model, self.model.symbols
        if base == "pi" and not node.indices:
            return sp.pi
        if base not in self.vocabulary.names():
            close = difflib.get_close_matches(base, self.vocabulary.names(), n=1, cutoff=0.5)
            if base in FUNCTIONS:
                remedy = "give its argument in brackets"
                raise self.fail(node, f"{base!r} without arguments", f"{base}(...)", remedy)
            missing = (
                f"{base!r}, which {model.name} does not have"
                if base in SHAPES
                else f"the unknown name {base!r}"
            )
            expected = f"a name of the conventions: {', '.join(self.vocabulary.names())}"
            remedy = f"did you mean {close[0]}" if close else "see docs/conventions.md"
            raise self.fail(node, missing, expected, remedy)
        if base in RANDOM and not scope.inside and not (base == "y" and node.indices):
            got = f"{base!r}, which differs from sample to sample"
            expected = "it inside E_l[...]"
            remedy = "take its expectation, or give the quantity as left = ... about one sample"
            raise self.fail(node, got, expected, remedy)
        if base in ("g", "H"):
            return self.partial(node, scope)
        if base == "delta":
            return self.kronecker(node, scope)
        if base == "y" and node.indices:
            of_unit = isinstance(node.indices[0], str) and node.indices[0] in UNITS
            if scope.inside or of_unit:
                got = "y with an index where a sample is at hand" if scope.inside else "y of a unit"
                expected = "y for the label of the sample, y_l for that of component l"
                remedy = "write delta_a_y for entry a of a one-hot label"
                raise self.fail(node, got, expected, remedy)
            l = self.indices(node, scope, ("component", model.components))[0]
            return model.mixture.labels[l]
        constants: dict[str, sp.Expr] = {
            "lambda": model.mixture.precision,
            "beta": model.ridge,
            "c_delta": model.step,
            "y": symbols.LABEL,
            "ell": self.vocabulary.loss.expression
            if self.vocabulary.raw
            else model.loss.expression,
            "k": sp.Integer(model.units),
            "K": sp.Integer(model.units),
            "r": sp.Integer(model.directions),
            "n": sp.Integer(model.components),
            "q": sp.Integer(model.readout_size),
            "d": DIMENSION,
        }
        if base in constants:
            self.indices(node, scope)
            return constants[base]
        unit, direction = ("unit", model.units), ("direction", model.directions)
        shapes = {
            "m": (unit, direction),
            "R": (unit, unit),
            "Q": (unit, unit),
            "P": (unit, unit),
            "Gamma": (direction, direction),
            "S": (("component", model.components), direction),
            "p": (("component", model.components),),
            "v": (("readout parameter", model.readout_size),),
            "u": (unit,),
            "w": (unit,),
            "Y": (direction,),
            "zeta": (unit,),
            "pi": (unit,),
            "s": (("class", model.units),),
        }
        at = self.indices(node, scope, *shapes[base])
        matrices = {
            "m": s.overlap,
            "R": s.gram_perp,
            "Q": s.gram,
            "P": s.gram_inverse,
            "Gamma": model.mixture.directions_gram,
            "S": model.mixture.coordinates,
        }
        if base in matrices:
            return matrices[base][at[0], at[1]]
        if base == "pi":
            u = s.preactivation
            return (
                sp.exp(u[at[0]]) / sp.Add(*map(sp.exp, u))
                if self.vocabulary.raw
                else Softmax(at[0] + 1, *u)
            )
        vectors = {
            "p": model.mixture.weights,
            "v": s.readout,
            "u": s.preactivation,
            "w": s.whitened,
            "Y": symbols.vector("Y", model.directions),
            "zeta": symbols.vector("zeta", model.units),
            "s": symbols.vector("s", model.units, positive=True),
        }
        return vectors[base][at[0]]

    def indices(self, node: Name, scope: Scope, *kinds: tuple[str, int]) -> list[int]:
        """0-based indices, of the right number and within their ranges."""
        if len(node.indices) != len(kinds):
            shape = SHAPES[node.base]
            expected = f"{len(kinds) or 'no'} indices"
            remedy = f"write {node.base}{'_' + shape if shape else ''}"
            raise self.fail(node, f"{node.base} with {len(node.indices)} indices", expected, remedy)
        found = []
        for index, (kind, size) in zip(node.indices, kinds, strict=True):
            value = self.index(index, node, scope)
            self.check_range(node, node.base, kind, value, size)
            found.append(value - 1)
        return found

    def check_range(self, node: Node, what: str, kind: str, value: int, size: int) -> None:
        if not 1 <= value <= size:
            expected = f"1..{size}, the {kind}s of {self.model.name}"
            remedy = "count from 1, and check the size of the model"
            raise self.fail(node, f"{what} with the {kind} {value}", expected, remedy)

    def partial(self, node: Name, scope: Scope) -> sp.Expr:
        """g_a, H_a_b, g_v_i, H_a_v_i, H_v_i_v_j: derivatives of the loss."""
        model, found, second_layer = self.model, [], False
        for index in node.indices:
            if index == "v" and not second_layer:
                second_layer = True
                continue
            value = self.index(index, node, scope)
            kind, size = (
                ("readout parameter", model.readout_size) if second_layer else ("unit", model.units)
            )
            self.check_range(node, node.base, kind, value, size)
            found.append(value - 1 + (model.units if second_layer else 0))
            second_layer = False
        if len(found) != (1 if node.base == "g" else 2) or second_layer:
            expected = "one derivative" if node.base == "g" else "two"
            remedy = (
                "write g_a or g_v_i" if node.base == "g" else "write H_a_b, H_a_v_i or H_v_i_v_j"
            )
            raise self.fail(node, f"{node.base} with {len(found)} indices", expected, remedy)
        if self.vocabulary.raw:
            return self.vocabulary.loss.partial(found, self.vocabulary.kink_rule)
        partial = model.loss.partial(found)
        return partial if len(found) < 2 else apply_kink_rule(partial, self.vocabulary.kink_rule)

    def kronecker(self, node: Name, scope: Scope) -> sp.Expr:
        if len(node.indices) != 2:
            raise self.fail(
                node, f"delta with {len(node.indices)} indices", "two indices", "write delta_a_b"
            )
        if "y" not in node.indices:
            left, right = (self.index(i, node, scope) for i in node.indices)
            return sp.Integer(int(left == right))
        if not scope.inside:
            remedy = "write delta_a_l there"
            raise self.fail(node, "the label y outside an expectation", "y inside E_l[...]", remedy)
        other = node.indices[1 - node.indices.index("y")]
        if other == "y":
            return sp.Integer(1)
        return sp.KroneckerDelta(symbols.LABEL, self.index(other, node, scope))

r"""What a claimed formula means for a model: a syntax tree becomes a SymPy expression, or is refused with its position.

Two readings of one tree are kept apart.  The *derived* reading takes derivatives of the loss from the engine and
removes the features :math:`Y\cdot e_s` and :math:`\zeta_b=Y\cdot x_\perp^b` from expectations by conditioning on
u.  The
*raw* reading writes the loss in elementary functions, differentiates that by itself, and leaves features for sampling:
nothing of the engine's derivations enters it.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product

import sympy as sp

from theory import GaussianExpectation, Model, ReLU, Sigmoid, Softmax, Softplus, Step, symbols
from theory.functions import LogSumExp
from theory.gaussian import preactivation_law
from theory.kinks import DISTRIBUTIONAL, apply_kink_rule

from .claim_features import average_features
from .claim_tree import (
    Add,
    Call,
    Condition,
    Divide,
    Expectation,
    FormulaError,
    Index,
    Multiply,
    Name,
    Negative,
    Node,
    Number,
    Power,
    Sum,
)
from .raw_loss import RawLoss

DIMENSION = sp.Symbol("d", positive=True)
# letters and what they count; the conventions of docs/conventions.md
UNITS, DIRECTIONS, COMPONENTS, PARAMETERS = "abcdef", "st", "l", "ij"
FUNCTIONS = {
    "exp": sp.exp, "log": sp.log, "ln": sp.log, "sqrt": sp.sqrt, "sin": sp.sin, "cos": sp.cos, "tanh": sp.tanh,
    "sinh": sp.sinh, "cosh": sp.cosh,
    "erf": sp.erf, "relu": ReLU, "ReLU": ReLU, "step": Step, "Step": Step, "Sigmoid": Sigmoid, "sigmoid": Sigmoid,
    "sigma": Sigmoid, "Softplus": Softplus, "softplus": Softplus, "dirac": sp.DiracDelta, "DiracDelta": sp.DiracDelta,
    "lse": LogSumExp, "LogSumExp": LogSumExp,
}
# functions whose arguments are indices or variables
SPECIAL = ("diff", "softmax", "KroneckerDelta")
# name -> number of indices, for messages and suggestions
SHAPES = {
    "lambda": "", "beta": "", "c_delta": "", "y": "", "m": "a_s", "R": "a_b", "Q": "a_b", "P": "a_b", "Gamma": "s_t",
    "S": "l_s", "p": "l", "v": "i", "u": "a", "w": "a", "Y": "s", "zeta": "b", "g": "a", "H": "a_b", "pi": "a",
    "ell": "", "delta": "a_b", "s": "l", "k": "", "K": "", "r": "", "n": "", "q": "", "d": "",
}
# seen only by a sample
RANDOM = ("u", "w", "Y", "zeta", "g", "H", "pi", "ell", "y")
MAX_EXPONENT = 64


@dataclass(frozen=True)
class Scope:
    """Where a part of a formula stands: the values of its indices, and whether a sample is at hand."""

    bindings: Mapping[str, int] = field(default_factory=dict)
    inside: bool = False

    def bind(self, letters: Sequence[str], values: Sequence[int]) -> Scope:
        return replace(self, bindings={**self.bindings, **dict(zip(letters, values, strict=True))})


@dataclass(frozen=True)
class Vocabulary:
    """The names of a model, and what they stand for.

    Parameters
    ----------
    model : Model
    kink_rule : str
        What second derivatives of the loss keep of a kink.
    raw : bool
        The raw reading in place of the derived one.
    gaps : bool
        The gaps s_l of a fixed point have names.
    sized : bool
        The dimension d has a name.
    """

    model: Model
    kink_rule: str = DISTRIBUTIONAL
    raw: bool = False
    gaps: bool = False
    sized: bool = False

    @cached_property
    def loss(self) -> RawLoss:
        return RawLoss(self.model)

    def read(
        self, tree: Node, text: str, bindings: Mapping[str, int] | None = None, *, sample: bool = False
    ) -> sp.Expr:
        """The expression that a formula stands for.

        Parameters
        ----------
        tree : Node
        text : str
            Where it was read from, for messages.
        bindings : mapping letter -> int, optional
            Values, counted from 1, of the indices that the quantity has.
        sample : bool
            The formula is about one sample: u, y and derivatives of the loss stand outside expectations.

        Raises
        ------
        FormulaError
            An unknown name, a wrong number or range of indices, a free index, a name where it has no value.
        """
        return _Reading(self, text).of(tree, Scope(dict(bindings or {}), inside=sample))

    def size_of(self, letter: str) -> int | None:
        """How many values an index letter has."""
        model = self.model
        for letters, size in (
            (UNITS, model.units), (DIRECTIONS, model.directions), (COMPONENTS, model.components),
            (PARAMETERS, model.readout_size or model.units),
        ):
            if letter in letters:
                return size
        return None

    def names(self) -> list[str]:
        """What a formula may hold."""
        model, q = self.model, self.model.readout_size
        left = {"v"} if not q else set()
        left |= set() if self.gaps else {"s"}
        left |= set() if self.sized else {"d"}
        left |= set() if model.loss.gauge is not None else {"pi"}
        return [n for n in SHAPES if n not in left]


@dataclass(frozen=True)
class _Reading:
    vocabulary: Vocabulary
    text: str

    @property
    def model(self) -> Model:
        return self.vocabulary.model

    def fail(self, node: Node, got: str, expected: str, remedy: str) -> FormulaError:
        return FormulaError(self.text, node.position, got, expected, remedy)

    def of(self, node: Node, scope: Scope) -> sp.Expr:
        match node:
            case Number(value):
                return sp.Rational(value.numerator, value.denominator)
            case Add(terms):
                return sp.Add(*(self.of(t, scope) for t in terms))
            case Multiply(factors):
                return sp.Mul(*(self.of(f, scope) for f in factors))
            case Negative(inside):
                return -self.of(inside, scope)
            case Divide(above, below):
                divisor = self.of(below, scope)
                if divisor == 0:
                    raise self.fail(node, "a division by zero", "a divisor that is not zero", "check the denominator")
                return self.of(above, scope) / divisor
            case Power(base, exponent):
                return self.power(node, self.of(base, scope), self.of(exponent, scope))
            case Sum():
                return self.sum(node, scope)
            case Expectation():
                return self.expectation(node, scope)
            case Call():
                return self.call(node, scope)
            case Name():
                return self.name(node, scope)
        raise TypeError(type(node).__name__)

    def power(self, node: Node, base: sp.Expr, exponent: sp.Expr) -> sp.Expr:
        if exponent.is_number and abs(exponent) > MAX_EXPONENT:
            raise self.fail(
                node, f"the exponent {exponent}", f"one up to {MAX_EXPONENT}", "write exp(...) for large powers"
            )
        if base == 0 and not exponent.is_positive:
            raise self.fail(node, "a division by zero", "a base that is not zero", "check the power")
        return base**exponent

    def sum(self, node: Sum, scope: Scope) -> sp.Expr:
        sizes = []
        for letter in node.indices:
            size = self.vocabulary.size_of(letter)
            if size is None:
                raise self.fail(node, f"a sum over {letter!r}", _LETTERS, "use a letter of the conventions")
            if letter in scope.bindings:
                raise self.fail(
                    node, f"a sum over {letter!r}, which has a value already", "a letter that is not used outside",
                    "rename the index of the sum",
                )
            sizes.append(size)
        terms = []
        for values in product(*(range(1, size + 1) for size in sizes)):
            inner = scope.bind(node.indices, values)
            if all(self.holds(c, inner) for c in node.conditions):
                terms.append(self.of(node.body, inner))
        return sp.Add(*terms)

    def holds(self, condition: Condition, scope: Scope) -> bool:
        left, right = (self.index(i, condition, scope) for i in (condition.left, condition.right))
        return (left == right) == condition.equal

    def index(self, index: Index, node: Node, scope: Scope) -> int:
        if isinstance(index, int):
            return index
        if index not in scope.bindings:
            known = ", ".join(scope.bindings) or "none"
            raise self.fail(
                node, f"the free index {index!r}", f"an index of the quantity ({known}) or of a sum",
                f"sum over it, sum_{index}(...), or name the quantity with it",
            )
        return scope.bindings[index]

    def expectation(self, node: Expectation, scope: Scope) -> sp.Expr:
        if scope.inside:
            raise self.fail(
                node, "an expectation where a sample is at hand", "one level of E_l[...]",
                "put constants in front of E_l[...]",
            )
        if node.component is None:
            return sp.Add(*(
                p * self.within(node.body, l, scope) for l, p in enumerate(self.model.mixture.weights)
            ))
        l = self.index(node.component, node, scope)
        self.check_range(node, "E", "component", l, self.model.components)
        return self.within(node.body, l - 1, scope)

    def within(self, body: Node, component: int, scope: Scope) -> sp.Expr:
        inner = self.of(body, replace(scope, inside=True))
        if self.vocabulary.raw:
            return GaussianExpectation(inner, preactivation_law(self.model, component))
        return average_features(inner, self.model, component)

    def call(self, node: Call, scope: Scope) -> sp.Expr:
        base = node.name.base
        if base == "diff":
            inside, *variables = node.arguments
            f = self.of(inside, scope)
            for variable in variables:
                x = self.of(variable, scope) if isinstance(variable, Name) else sp.Integer(0)
                if not x.is_Symbol:
                    raise self.fail(variable, "no variable", "a symbol such as u_a", "write diff(f, u_a)")
                f = self.vocabulary.loss.derivative(f, x) if self.vocabulary.raw else f.diff(x)
            return f
        if base == "KroneckerDelta":
            indices = tuple(
                a.base if isinstance(a, Name) and not a.indices else int(a.value) if isinstance(a, Number) else "?"
                for a in node.arguments
            )
            return self.name(Name("delta", indices, position=node.position), scope)
        if base == "softmax" and len(node.name.indices) == 1:
            return self.name(Name("pi", node.name.indices, position=node.position), scope)
        function = FUNCTIONS.get(base)
        if function is None or node.name.indices:
            close = difflib.get_close_matches(base, [*FUNCTIONS, *SPECIAL, "sum", "E"], n=1, cutoff=0.5)
            known = f"did you mean {close[0]}" if close else f"known are {', '.join(sorted(FUNCTIONS))}"
            if base in SHAPES:
                known = f"write * after {base}"
            raise self.fail(node, f"the function {base!r}", "a function of the conventions", known)
        arguments = [self.of(a, scope) for a in node.arguments]
        if base not in ("lse", "LogSumExp") and len(arguments) != 1:
            raise self.fail(node, f"{base} of {len(arguments)} arguments", "one argument", f"write {base}(x)")
        value = function(*arguments)
        if self.vocabulary.raw and not isinstance(value, (ReLU, Step, sp.DiracDelta)):
            value = value.rewrite(sp.exp) if isinstance(value, (Sigmoid, Softplus, LogSumExp)) else value
        if value.has(sp.zoo, sp.nan, sp.oo):
            raise self.fail(node, f"{base} where it is infinite", "a finite value", "check its argument")
        return value

    def name(self, node: Name, scope: Scope) -> sp.Expr:
        base, model, s = node.base, self.model, self.model.symbols
        if base == "pi" and not node.indices:
            return sp.pi
        if base not in self.vocabulary.names():
            close = difflib.get_close_matches(base, self.vocabulary.names(), n=1, cutoff=0.5)
            if base in FUNCTIONS:
                raise self.fail(node, f"{base!r} without arguments", f"{base}(...)", "give its argument in brackets")
            missing = f"{base!r}, which {model.name} does not have" if base in SHAPES else f"the unknown name {base!r}"
            raise self.fail(
                node, missing, f"a name of the conventions: {', '.join(self.vocabulary.names())}",
                f"did you mean {close[0]}" if close else "see docs/conventions.md",
            )
        if base in RANDOM and not scope.inside and not (base == "y" and node.indices):
            raise self.fail(
                node, f"{base!r}, which differs from sample to sample", "it inside E_l[...]",
                "take its expectation, or give the quantity as left = ... about one sample",
            )
        if base in ("g", "H"):
            return self.partial(node, scope)
        if base == "delta":
            return self.kronecker(node, scope)
        if base == "y" and node.indices:
            l = self.indices(node, scope, ("component", model.components))[0]
            return model.mixture.labels[l]
        constants: dict[str, sp.Expr] = {
            "lambda": model.mixture.precision, "beta": model.ridge, "c_delta": model.step, "y": symbols.LABEL,
            "ell": self.vocabulary.loss.expression if self.vocabulary.raw else model.loss.expression,
            "k": sp.Integer(model.units), "K": sp.Integer(model.units), "r": sp.Integer(model.directions),
            "n": sp.Integer(model.components), "q": sp.Integer(model.readout_size), "d": DIMENSION,
        }
        if base in constants:
            self.indices(node, scope)
            return constants[base]
        unit, direction = ("unit", model.units), ("direction", model.directions)
        shapes = {
            "m": (unit, direction), "R": (unit, unit), "Q": (unit, unit), "P": (unit, unit),
            "Gamma": (direction, direction), "S": (("component", model.components), direction),
            "p": (("component", model.components),), "v": (("readout parameter", model.readout_size),), "u": (unit,),
            "w": (unit,), "Y": (direction,), "zeta": (unit,), "pi": (unit,), "s": (("class", model.units),),
        }
        at = self.indices(node, scope, *shapes[base])
        matrices = {
            "m": s.overlap, "R": s.gram_perp, "Q": s.gram, "P": s.gram_inverse,
            "Gamma": model.mixture.directions_gram, "S": model.mixture.coordinates,
        }
        if base in matrices:
            return matrices[base][at[0], at[1]]
        if base == "pi":
            u = s.preactivation
            return sp.exp(u[at[0]]) / sp.Add(*map(sp.exp, u)) if self.vocabulary.raw else Softmax(at[0] + 1, *u)
        vectors = {
            "p": model.mixture.weights, "v": s.readout, "u": s.preactivation, "w": s.whitened,
            "Y": symbols.vector("Y", model.directions), "zeta": symbols.vector("zeta", model.units),
            "s": symbols.vector("s", model.units, positive=True),
        }
        return vectors[base][at[0]]

    def indices(self, node: Name, scope: Scope, *kinds: tuple[str, int]) -> list[int]:
        """0-based indices, of the right number and within their ranges."""
        if len(node.indices) != len(kinds):
            shape = SHAPES[node.base]
            raise self.fail(
                node, f"{node.base} with {len(node.indices)} indices", f"{len(kinds) or 'no'} indices",
                f"write {node.base}{'_' + shape if shape else ''}",
            )
        found = []
        for index, (kind, size) in zip(node.indices, kinds, strict=True):
            value = self.index(index, node, scope)
            self.check_range(node, node.base, kind, value, size)
            found.append(value - 1)
        return found

    def check_range(self, node: Node, what: str, kind: str, value: int, size: int) -> None:
        if not 1 <= value <= size:
            raise self.fail(
                node, f"{what} with the {kind} {value}", f"1..{size}, the {kind}s of {self.model.name}",
                "count from 1, and check the size of the model",
            )

    def partial(self, node: Name, scope: Scope) -> sp.Expr:
        """g_a, H_a_b, g_v_i, H_a_v_i, H_v_i_v_j: derivatives of the loss."""
        model, found, second_layer = self.model, [], False
        for index in node.indices:
            if index == "v" and not second_layer:
                second_layer = True
                continue
            value = self.index(index, node, scope)
            kind, size = ("readout parameter", model.readout_size) if second_layer else ("unit", model.units)
            self.check_range(node, node.base, kind, value, size)
            found.append(value - 1 + (model.units if second_layer else 0))
            second_layer = False
        if len(found) != (1 if node.base == "g" else 2) or second_layer:
            raise self.fail(
                node, f"{node.base} with {len(found)} indices", "one derivative" if node.base == "g" else "two",
                "write g_a or g_v_i" if node.base == "g" else "write H_a_b, H_a_v_i or H_v_i_v_j",
            )
        if self.vocabulary.raw:
            return self.vocabulary.loss.partial(found, self.vocabulary.kink_rule)
        partial = model.loss.partial(found)
        return partial if len(found) < 2 else apply_kink_rule(partial, self.vocabulary.kink_rule)

    def kronecker(self, node: Name, scope: Scope) -> sp.Expr:
        if len(node.indices) != 2:
            raise self.fail(node, f"delta with {len(node.indices)} indices", "two indices", "write delta_a_b")
        if "y" not in node.indices:
            left, right = (self.index(i, node, scope) for i in node.indices)
            return sp.Integer(int(left == right))
        if not scope.inside:
            raise self.fail(node, "the label y outside an expectation", "y inside E_l[...]", "write delta_a_l there")
        other = node.indices[1 - node.indices.index("y")]
        if other == "y":
            return sp.Integer(1)
        return sp.KroneckerDelta(symbols.LABEL, self.index(other, node, scope))


_LETTERS = "a, b, c, ... for units, s, t for directions, l for components, i, j for readout parameters"

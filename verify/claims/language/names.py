"""The names of claimed formulas, and what each stands for in a model."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sympy as sp

from theory import Model, Softmax, Softplus, symbols
from theory.problem.held.loss_symbols import GRAM, OVERLAP, Statistic
from theory.problem.kinks import apply_kink_rule

from .conventions import DIMENSION, FUNCTIONS, RANDOM, SHAPES, UNITS, Scope, shape_of
from .features import copies_of, feature_names, features_of, residual_names
from .tree import Call, FormulaError, Index, Name, Node

if TYPE_CHECKING:
    from .vocabulary import Vocabulary


# quantities of a sample that the label may index
_OF_LABEL = ("u", "pi", "g", "w", "zeta")


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
        """What a name of the conventions, with its indices, stands for here."""
        base = node.base
        if base == "pi" and not node.indices:
            return sp.pi  # the number; with an index it is the softmax
        own = self.own_letters.get("_".join([base, *map(str, node.indices)]))
        if own is not None:
            return own
        if base not in self.vocabulary.names():
            raise self.unknown(node)
        if base in RANDOM and not scope.inside and not (base == "y" and node.indices):
            got = f"{base!r}, which differs from sample to sample"
            expected = "it inside E_l[...]"
            remedy = "take its expectation, or give the quantity as left = ... about one sample"
            raise self.fail(node, got, expected, remedy)
        if "y" in node.indices and base in _OF_LABEL:
            return self.at_label(node, scope)
        if base in ("g", "H"):
            return self.partial(node, scope)
        if base == "delta":
            return self.kronecker(node, scope)
        if base == "y" and node.indices:
            return self.label_of_component(node, scope)
        if base in ("kappa", "eta"):
            return self.gain(node, scope)
        if base == "pi":
            return self.softmax(node, scope)
        if base == "f":
            return self.network_output(node)
        constants = self.constants()
        if base in constants or base in self.own_letters:
            self.indices(node, scope)
            return constants[base]
        entries, *ranges = self.arrays()[base]
        at = self.indices(node, scope, *ranges)
        if len(at) == 3:  # matrices of bands, components or tokens stand one below the other
            return entries[at[0] * ranges[1][1] + at[1], at[2]]
        return entries[at[0]] if len(at) == 1 else entries[at[0], at[1]]

    @property
    def own_letters(self) -> dict[str, sp.Symbol]:
        """Letters of the author of the model."""
        return self.vocabulary.own_letters

    def at_label(self, node: Name, scope: Scope) -> sp.Expr:
        """u_y and pi_y: the entry of the label of the sample."""
        if node.indices != ("y",) or not scope.inside or not self.has_classes:
            got = f"{node.base} with the index y"
            expected = "the label of a sample, for labels that count the units"
            raise self.fail(node, got, expected, "write sum_a(delta_a_y*u_a) there")
        terms = (
            sp.KroneckerDelta(symbols.LABEL, a)
            * self.name(Name(node.base, (a,), position=node.position), scope)
            for a in range(1, self.model.units + 1)
        )
        return sp.Add(*terms)

    def unknown(self, node: Name) -> FormulaError:
        """The error of a name that the model or the conventions do not have."""
        base, names = node.base, self.vocabulary.names()
        if base in FUNCTIONS:
            remedy = "give its argument in brackets"
            return self.fail(node, f"{base!r} without arguments", f"{base}(...)", remedy)
        absent = f"{base!r}, which {self.model.name} does not have"
        missing = absent if base in SHAPES else f"the unknown name {base!r}"
        close = difflib.get_close_matches(base, names, n=1, cutoff=0.5)
        remedy = f"did you mean {close[0]}" if close else "see docs/conventions.md"
        return self.fail(node, missing, f"a name of the conventions: {', '.join(names)}", remedy)

    @property
    def has_classes(self) -> bool:
        """The labels count the units, so that a label has a one-hot form."""
        labels = list(self.model.mixture.labels)
        return (
            set(labels) <= set(range(1, self.model.units + 1)) and "pi" in self.vocabulary.names()
        )

    def label_of_component(self, node: Name, scope: Scope) -> sp.Expr:
        """y_l, the label of component l; the label of a sample has no index."""
        of_unit = isinstance(node.indices[0], str) and node.indices[0] in UNITS
        if scope.inside and of_unit and len(node.indices) == 1 and self.has_classes:
            return self.kronecker(Name("delta", (node.indices[0], "y")), scope)
        if scope.inside or of_unit:
            got = "y with an index where a sample is at hand" if scope.inside else "y of a unit"
            expected = "y for the label of the sample, y_l for that of component l"
            remedy = "write delta_a_y for entry a of a one-hot label"
            raise self.fail(node, got, expected, remedy)
        l = self.indices(node, scope, ("component", self.model.components))[0]
        return self.model.mixture.labels[l]

    def constants(self) -> dict[str, sp.Expr]:
        """Names without an index."""
        model = self.model
        loss = self.vocabulary.loss if self.vocabulary.raw else model.loss
        return {
            "lambda": model.mixture.precision,
            "beta": model.ridge,
            "c_delta": model.step,
            "y": symbols.LABEL,
            "xi": symbols.LABEL_NOISE,
            "ell": loss.expression,
            "k": sp.Integer(model.units),
            "K": sp.Integer(model.units),
            "r": sp.Integer(model.directions),
            "n": sp.Integer(model.components),
            "q": sp.Integer(model.readout_size),
            "d": DIMENSION,
        }

    @property
    def output(self) -> sp.Expr | None:
        r"""f of a loss -y f + log(1 + e^f), the log-odds of a network; None of other losses."""
        model = self.model
        expression, y = model.loss.expression, symbols.LABEL
        f = expression.xreplace({y: sp.S.Zero}) - expression.xreplace({y: sp.S.One})
        if not model.readout_size or sp.expand(expression - Softplus(f) + y * f) != 0:
            return None
        return f

    def network_output(self, node: Name) -> sp.Expr:
        f = self.output
        if f is None or node.indices:
            got = "the output f" if f is None else "f with an index"
            expected = "f of a two-layer network with labels 0 and 1"
            raise self.fail(node, got, expected, "write the output in u_a and v_i")
        return f

    def activation(self, node: Call, scope: Scope) -> sp.Expr:
        """g(x) of the hidden units, or its derivative dg(x)."""
        s, f = self.model.symbols, self.output
        expected = "a two-layer network"
        if f is None or len(node.arguments) != 1:
            got = f"{node.name.base!r} before a bracket, the activation of hidden units"
            remedy = "write * between factors, and g_a for a derivative of the loss"
            raise self.fail(node, got, expected, remedy)
        u, v = s.preactivation[0], s.readout[0]
        g = f.diff(v)
        if g.free_symbols != {u} or self.model.readout_size != self.model.units:
            got = "an activation that is not the same for all units"
            raise self.fail(node, got, expected, "write it in elementary functions")
        slope = node.name.base == "dg"
        if slope:
            loss = self.vocabulary.loss
            g = loss.derivative(g, u) if self.vocabulary.raw else g.diff(u)
        return g.xreplace({u: self.of(node.arguments[0], scope)})

    def of(self, node: Node, scope: Scope) -> sp.Expr:
        """What a part of a formula stands for."""
        raise NotImplementedError

    def arrays(self) -> dict[str, tuple[Any, *tuple[tuple[str, int], ...]]]:
        """Names with indices: the entries, and for each index what it counts and how many."""
        model, s = self.model, self.model.symbols
        unit, direction = ("unit", model.units), ("direction", model.directions)
        component, class_ = ("component", model.components), ("class", model.units)
        # of a teacher the feature Y . e_s is one of the fields, t_s
        field = unit if len(s.fields) == model.units else ("field", len(s.fields))
        found: dict[str, tuple[Any, *tuple[tuple[str, int], ...]]] = {
            "m": (s.overlap, unit, direction),
            "R": (s.gram_perp, unit, unit),
            "Q": (s.gram, unit, unit),
            "P": (s.gram_inverse, field, field),
            "Gamma": (model.mixture.directions_gram, direction, direction),
            "S": (model.mixture.coordinates, component, direction),
            "p": (model.mixture.weights, component),
            "v": (s.readout, ("readout parameter", model.readout_size)),
            "u": (s.preactivation, unit),
            "w": (s.whitened, field),
            "t": (self.teachers(), direction),
            "Y": (features_of(model), direction),
            "zeta": (residual_names(model), unit),
            "s": (symbols.vector("s", model.units, positive=True), class_),
        }
        if model.mixture.bands is not None:
            found |= self.banded_arrays(found)
        return found | (self.token_arrays(found) if model.tokens > 1 else {})

    def teachers(self) -> tuple[sp.Expr, ...]:
        """Y . e_s of every direction; with bands the sum over these, but of a teacher t_s."""
        model, seen = self.model, self.model.loss.teachers
        if model.bands == 1:
            return features_of(model)
        parts = sp.Matrix(model.bands, model.directions, feature_names(model))
        return tuple(
            symbols.indexed("t", s) if s in seen else sp.Add(*parts[:, s])
            for s in range(model.directions)
        )

    def banded_arrays(self, plain: Mapping[str, Any]) -> dict[str, Any]:
        """Those that have a value in every band, and what the noise is in it."""
        model, bands = self.model, self.model.mixture.bands
        assert bands is not None
        band, component = ("band", model.bands), ("component", model.components)
        found: dict[str, Any] = {
            "rho": (bands.fractions, band),
            "sigma": (bands.scales, component, band),
        }
        if model.components > 1:
            entries, *ranges = plain["P"]
            found["P"] = (entries, component, *ranges)
        if model.bands > 1:
            for name in ("m", "R", "Q", "Gamma", "Y", "zeta"):
                entries, *ranges = plain[name]
                found[name] = (self.by_copies(entries), band, *ranges)
        return found

    def token_arrays(self, plain: Mapping[str, Any]) -> dict[str, Any]:
        """Those that have a value of every token."""
        model, s = self.model, self.model.symbols
        token, unit = ("token", model.tokens), ("unit", model.units)
        coordinates, component, direction = plain["S"]
        return {
            "P": (s.gram_inverse, unit, unit),
            "S": (coordinates, component, token, direction),
            "Y": (self.by_copies(plain["Y"][0]), token, direction),
            "zeta": (self.by_copies(plain["zeta"][0]), token, unit),
            "u": (self.by_copies(s.preactivation).T, unit, token),
            "w": (self.by_copies(s.whitened).T, unit, token),
        }

    def by_copies(self, entries: Any) -> Any:
        """A list with a part for every band or token as a matrix of a row for each."""
        if isinstance(entries, sp.MatrixBase):
            return entries
        copies = copies_of(self.model)
        return sp.Matrix(copies, len(entries) // copies, list(entries))

    def softmax(
        self, node: Name, scope: Scope, arguments: Sequence[sp.Expr] | None = None
    ) -> sp.Expr:
        """pi_a, or softmax_a of arguments; written out in exponentials where the loss is."""
        a = self.indices(node, scope, ("unit", self.model.units))[0]
        u = tuple(self.model.symbols.preactivation) if arguments is None else tuple(arguments)
        if len(u) != self.model.units:
            got, expected = f"softmax of {len(u)} arguments", f"{self.model.units}, one a class"
            remedy = "write pi_a for the probability of class a"
            raise self.fail(node, got, expected, remedy)
        if self.vocabulary.raw:
            return sp.exp(u[a]) / sp.Add(*map(sp.exp, u))
        return Softmax(a + 1, *u)

    def indices(self, node: Name, scope: Scope, *kinds: tuple[str, int]) -> list[int]:
        """0-based indices, of the right number and within their ranges."""
        if len(node.indices) != len(kinds):
            shape = shape_of(node.base, self.model)
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
        model, variables, left = self.model, [], list(node.indices)
        known = ("readout parameter", model.readout_size), ("unit", model.units)
        token = ("token", model.tokens)
        while left:
            second_layer = len(left) > 1 and left[0] == "v"
            if second_layer:
                left.pop(0)
            value = self.one_index(left.pop(0), node, scope, *known[not second_layer])
            if second_layer:
                value += len(model.symbols.preactivation)
            elif model.tokens > 1:
                if not left:
                    break
                value += model.units * self.one_index(left.pop(0), node, scope, *token)
            variables.append(value)
        if len(variables) != (1 if node.base == "g" else 2) or left:
            count = len(node.indices) - node.indices.count("v")
            expected = "one derivative" if node.base == "g" else "two"
            names: tuple[str, ...] = ("g_a", "g_v_i")
            if node.base == "H":
                names = ("H_a_b", "H_a_v_i", "H_v_i_v_j")
            if model.tokens > 1:
                names = tuple(n.replace("a", "a_p").replace("b", "b_q") for n in names)
            remedy = f"write {', '.join(names[:-1])} or {names[-1]}"
            raise self.fail(node, f"{node.base} with {count} indices", expected, remedy)
        found = variables
        if self.vocabulary.raw:
            return self.vocabulary.loss.partial(found, self.vocabulary.kink_rule)
        partial = model.loss.partial(found)
        return partial if len(found) < 2 else apply_kink_rule(partial, self.vocabulary.kink_rule)

    def one_index(self, index: Index, node: Name, scope: Scope, kind: str, size: int) -> int:
        """One 0-based index."""
        value = self.index(index, node, scope)
        self.check_range(node, node.base, kind, value, size)
        return value - 1

    def gain(self, node: Name, scope: Scope) -> sp.Expr:
        """kappa_a_b = (1 + delta_ab) d ell / d Q_ab, eta_a_s = d ell / d m_as."""
        model, loss = self.model, self.model.loss
        of_gram = node.base == "kappa"
        last = ("unit", model.units) if of_gram else ("direction", model.directions)
        a, b = self.indices(node, scope, ("unit", model.units), last)
        pair = sorted((a, b)) if of_gram else (a, b)
        each = Statistic(GRAM if of_gram else OVERLAP, *pair)
        factor = 2 if of_gram and a == b else 1
        if self.vocabulary.raw:
            raw = self.vocabulary.loss
            return factor * raw.derivative(raw.expression, each.symbol)
        position = loss.statistic_position(each)
        return sp.Integer(0) if position is None else factor * loss.partial((position,))

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

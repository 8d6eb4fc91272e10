"""How the weights are trained: what a step does beside following the gradient of the loss."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import sympy as sp

from theory import symbols
from theory.errors import InputError, brief, check_choice
from theory.keywords import with_known_keywords
from theory.problem.exact_numbers import check_positive, exact

DOMINANT, BULK = "dominant", "bulk"
# pairs of a name and what is stated for it: mappings are kept so, for what is derived of a model is
# remembered by the model
Stated = tuple[tuple[str, Any], ...]
NAMES = 'name a layer ("layer 1"), a unit ("unit 2") or a readout parameter ("v_3")'


@with_known_keywords
@dataclass(frozen=True)
class Update:
    r"""What a step of SGD does with the weights, where it is not the plain gradient of the loss.

    .. math:: x^a \leftarrow x^a - \delta\,\eta_a(\hat g_a\,Y + \beta_a x^a),\qquad
              v_i \leftarrow v_i - \delta\,\eta_i(\hat g_i + \beta_i v_i)

    with factors :math:`\eta` of the step, ridges :math:`\beta` and, in place of the derivatives of
    the loss, any :math:`\hat g(g; y, t, \xi; u, v)` (mathematics.md section 12).  Drift, corrector,
    diffusion and simulations take the update; Hessian and gradient matrix stay those of the loss
    and its ridges.  Names are those of layers ("layer 1", "layer 2", ...), of units ("unit 2") and
    of readout parameters ("v_3"); what is named closer counts.

    Parameters
    ----------
    rates : mapping of name to number
        :math:`\eta\ge0`; 1 where none is stated.
    ridges : mapping of name to number or multiple of the ridge of the model
        :math:`\beta_a\ge0`; the ridge of the model where none is stated.
    frozen : sequence of names
        What is not trained: its rate is 0.
    rules : mapping of name to sympy.Expr
        :math:`\hat g`, in terms of ``symbols.SLOPE`` (the derivative of the loss in the entry
        itself), ``symbols.vector("g", C)`` (those of all units) and of what losses are made of.  It
        may jump, as in ``sympy.sign(symbols.SLOPE)``.
    averages : mapping of unit to (unit, rate)
        Units that the loss does not train: running averages of another one,
        :math:`x^a\leftarrow x^a+\delta\,\rho\,(x^b-x^a)`.
    momentum : number in [0, 1)
        :math:`\theta` of the heavy ball, :math:`x_{k+1}=x_k-\delta(\ldots)+\theta(x_k-x_{k-1})`.
        As d grows it is SGD of the step c_delta / (1 - theta), in the whole field.
    project : {"dominant", "bulk"}, optional
        Steps of the first layer are projected onto the span of the means, or off it.

    Raises
    ------
    InputError
        Negative rates or ridges, a momentum outside of [0, 1), names twice; unknown names when the
        model is built.

    Examples
    --------
    >>> Update(rates={"layer 2": 4}, frozen=["unit 3"])
    Update(rates={'layer 2': 4}, frozen=['unit 3'])
    """

    rates: Mapping[str, object] | Stated = ()
    ridges: Mapping[str, object] | Stated = ()
    frozen: Sequence[str] = ()
    rules: Mapping[str, object] | Stated = ()
    averages: Mapping[str, tuple[str, object]] | Stated = ()
    momentum: object = 0
    project: str | None = None

    def __post_init__(self) -> None:
        for name, allowed in (("rates", False), ("ridges", True)):
            table = {key: exact(f"{name}[{key!r}]", x) for key, x in self._items(name)}
            for key, number in table.items():
                _check_number(f"{name}[{key!r}]", number, symbols.RIDGE if allowed else None)
            self._keep(name, table)
        rules: dict[str, sp.Expr] = {}
        for key, rule in self._items("rules"):
            if not isinstance(rule, sp.Expr) or isinstance(rule, sp.Float):
                rule = exact(f"rules[{key!r}]", rule)
            rules[key] = rule
        self._keep("rules", rules)
        averages = {}
        for key, pair in self._items("averages"):
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                got, expected = brief(repr(pair)), "a pair (unit, rate)"
                remedy = 'write averages={"unit 2": ("unit 1", 0.5)}'
                raise InputError(f"averages[{key!r}]", got, expected, remedy)
            rate = exact(f"averages[{key!r}]", pair[1])
            _check_number(f"averages[{key!r}]", rate, None)
            averages[key] = (pair[0], rate)
        self._keep("averages", averages)
        self._check_frozen()
        momentum = exact("momentum", self.momentum)
        if not momentum.is_number or not momentum.is_real or not 0 <= momentum < 1:
            remedy = "give the theta of the heavy ball, 0 for none"
            raise InputError("momentum", momentum, "a number in [0, 1)", remedy)
        object.__setattr__(self, "momentum", momentum)
        if self.project is not None:
            check_choice("project", self.project, (DOMINANT, BULK))

    def __repr__(self) -> str:
        parts = []
        for f in fields(self):
            value = getattr(self, f.name)
            if value in ((), 0, None):
                continue
            if isinstance(value, tuple) and f.name != "frozen":
                items = (f"{key!r}: {brief(str(x))}" for key, x in value)
                parts.append(f"{f.name}={{{', '.join(items)}}}")
            else:
                parts.append(f"{f.name}={list(value) if f.name == 'frozen' else repr(value)}")
        return f"Update({', '.join(parts)})"

    def table(self, name: str) -> dict[str, Any]:
        """``rates``, ``ridges``, ``rules`` or ``averages`` as a dict."""
        return dict(getattr(self, name))

    @property
    def text(self) -> str:
        """All of it, however long: tells updates apart."""
        return str([(f.name, getattr(self, f.name)) for f in fields(self)])

    @property
    def names_weights(self) -> bool:
        """Whether it does other things with one weight than with another."""
        return any((self.rates, self.ridges, self.frozen, self.rules, self.averages))

    def map_rules(self, function: Callable[[sp.Expr], sp.Expr]) -> Update:
        """The same with a function of every rule."""
        return replace(self, rules={n: function(e) for n, e in self.table("rules").items()})

    def substitute(self, numbers: Mapping[sp.Symbol, sp.Expr]) -> Update:
        """The update of the model with numbers for its symbols."""
        ridges, rules = (
            {name: value.xreplace(numbers) for name, value in self.table(what).items()}
            for what in ("ridges", "rules")
        )
        return replace(self, ridges=ridges, rules=rules)

    def _items(self, name: str) -> Iterable[tuple[str, object]]:
        value = getattr(self, name)
        pairs = value.items() if isinstance(value, Mapping) else value
        if isinstance(pairs, (str, bytes)) or not isinstance(pairs, Iterable):
            remedy = f'write {name}={{"layer 1": ...}}'
            raise InputError(name, brief(repr(value)), "a mapping of names", remedy)
        found = list(pairs)
        for pair in found:
            if not isinstance(pair, tuple) or len(pair) != 2 or not isinstance(pair[0], str):
                raise InputError(name, brief(repr(pair)), "texts as names", NAMES)
        return found

    def _keep(self, name: str, table: Mapping[str, object]) -> None:
        object.__setattr__(self, name, tuple(table.items()))

    def _check_frozen(self) -> None:
        names = self.frozen
        if isinstance(names, str) or not all(isinstance(n, str) for n in names):
            got, remedy = brief(repr(names)), 'write frozen=["layer 2"]'
            raise InputError("frozen", got, "a sequence of names", remedy)
        object.__setattr__(self, "frozen", tuple(names))
        for other in ("rates", "rules", "averages"):
            both = sorted({*self.frozen} & {*self.table(other)})
            if both:
                got = f"{both[0]!r}, which has an entry in {other} too"
                raise InputError("frozen", got, "what is not trained", "leave one of the two out")


def _check_number(name: str, value: sp.Expr, ridge: sp.Symbol | None) -> None:
    """A number >= 0, or for a ridge a multiple of that of the model."""
    factor = value / ridge if ridge is not None and value.has(ridge) else value
    if not factor.is_number:
        expected = "a number" if ridge is None else f"a number or a multiple of {ridge}"
        raise InputError(name, value, expected, "rates are factors of the step: give numbers")
    check_positive(name, factor, "give 0 for what does not move", allow_zero=True)

"""The rule of a model: what its update does with every unit and every readout parameter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import sympy as sp

from theory import symbols
from theory.errors import InputError, brief
from theory.problem.layers import FIRST_LAYER
from theory.problem.loss import Loss
from theory.problem.mixture import Mixture
from theory.problem.regularity.canonical_form import canonical, required_kinks
from theory.problem.regularity.domain import check_domain

from .update import NAMES, Update

READOUT = "readout"


@dataclass(frozen=True)
class Rule:
    r"""What a step subtracts from the weights, over delta: :math:`\hat g_aY+\sum_bK_{ab}x^b`.

    Attributes
    ----------
    loss : Loss
        With the kinks of the rule among its own.
    slopes : tuple of sympy.Expr
        What stands in the place of the first derivatives of the loss, rates included, in the order
        of its variables.
    ridges : tuple of sympy.Expr
        Of the loss, for every variable.
    decay : matrix, C x C
        K: ridges times rates, and running averages.
    readout_decay : tuple of sympy.Expr
        Ridges times rates of v.
    momentum : sympy.Expr
    project : str or None
    """

    loss: Loss
    slopes: tuple[sp.Expr, ...]
    ridges: tuple[sp.Expr, ...]
    decay: sp.ImmutableDenseMatrix
    readout_decay: tuple[sp.Expr, ...]
    momentum: sp.Expr
    project: str | None
    _cache: dict[tuple[int, tuple[int, ...]], sp.Expr] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @cached_property
    def gain(self) -> sp.Expr:
        """What momentum makes of the step: 1 / (1 - theta)."""
        return 1 / (1 - self.momentum)

    def partial(self, position: int, indices: tuple[int, ...]) -> sp.Expr:
        """Derivative of a slope in the variables and teachers at ``indices``."""
        key = position, indices
        if key not in self._cache:
            self._cache[key] = (
                self.partial(position, indices[:-1]).diff(self.loss.differentiated[indices[-1]])
                if indices
                else self.gain * self.slopes[position]
            )
        return self._cache[key]

    def permuted(self, update: Update, units: Sequence[int], readout: Sequence[int]) -> Update:
        """The update of the model whose unit ``units[a]`` is unit a of this one, and so on."""
        loss, c = self.loss, self.loss.units
        names = [f"unit {a + 1}" for a in units] + [f"v_{i + 1}" for i in readout]
        old, new = symbols.vector("g", c), symbols.vector("g", c)
        letters = dict(zip(loss.preactivation, (loss.preactivation[a] for a in units), strict=True))
        letters |= dict(zip(loss.readout, (loss.readout[i] for i in readout), strict=True))
        letters |= dict(zip(old, (new[a] for a in units), strict=True))

        def moved(table: Mapping[str, Any]) -> dict[str, Any]:
            entries = resolved(table, loss)
            return {names[n]: value for n, value in entries.items()}

        return replace(
            update,
            rates=moved(update.table("rates")),
            ridges=moved(update.table("ridges")),
            frozen=tuple(moved(dict.fromkeys(update.frozen, True))),
            rules=moved(update.map_rules(lambda rule: rule.xreplace(letters)).table("rules")),
            averages={
                n: (names[unit_of(other, loss)], rate)
                for n, (other, rate) in moved(update.table("averages")).items()
            },
        )


def resolved(table: Mapping[str, Any], loss: Loss, what: str = "rates") -> dict[int, Any]:
    """Values by position among the variables of the loss; what is named closer counts."""
    found = {name: positions(name, loss, what) for name in table}
    values: dict[int, Any] = {}
    taken: dict[int, str] = {}
    for name in sorted(found, key=lambda n: -len(found[n])):
        for n in found[name]:
            if n in taken and len(found[taken[n]]) == len(found[name]):
                got = f"{taken[n]!r} and {name!r}, which are the same weights"
                raise InputError(what, got, "one entry for each", "leave one of them out")
            taken[n] = name
            values[n] = table[name]
    return dict(sorted(values.items()))


def positions(name: str, loss: Loss, what: str) -> range:
    """Where the weights of a name stand among the variables of a loss."""
    c, q = loss.units, loss.readout_size
    ranges = {FIRST_LAYER: range(c)}
    at = c
    for layer in loss.layers:
        ranges[layer.name] = range(at, at + layer.size)
        at += layer.size
    if q:
        ranges[READOUT] = range(c, c + q)
    if name in ranges:
        return ranges[name]
    for letter, start, count in (("unit ", 0, c), ("v_", c, q)):
        number = name.removeprefix(letter)
        if name.startswith(letter) and number.isdecimal() and 1 <= int(number) <= count:
            return range(start + int(number) - 1, start + int(number))
    if name in [f"t_{s + 1}" for s in loss.teachers]:
        expected = "weights that are trained"
        remedy = "a teacher is a fixed direction, which no step moves: name units or layers"
        raise InputError(what, f"{name!r}, a teacher", expected, remedy)
    known = [*ranges, f"unit 1 .. unit {c}", *([f"v_1 .. v_{q}"] if q else [])]
    raise InputError(what, repr(brief(name)), f"one of {', '.join(known)}", NAMES)


def unit_of(name: object, loss: Loss) -> int:
    """The unit of a name."""
    found = positions(name, loss, "averages") if isinstance(name, str) else range(0)
    if len(found) != 1 or found[0] >= loss.units:
        expected = f"a unit, unit 1 .. unit {loss.units}"
        raise InputError("averages", brief(repr(name)), expected, "name it 'unit 1'")
    return found[0]


def rule_of(update: Update, loss: Loss, mixture: Mixture, ridge: sp.Expr) -> Rule:
    """The rule that an update is for a loss; names, and where a rule exists, are checked.

    Raises
    ------
    InputError
        Names that the loss does not have, rules that are no functions of the sample.
    """
    variables = range(len(loss.variables))
    units, c = range(loss.units), loss.units
    rates = resolved(update.table("rates"), loss, "rates")
    rates |= dict.fromkeys(resolved(dict.fromkeys(update.frozen), loss, "frozen"), sp.Integer(0))
    averages = resolved(update.table("averages"), loss, "averages")
    stated = resolved(update.table("ridges"), loss, "ridges")
    _check_ridges(stated, ridge)
    ridges = tuple(sp.Integer(0) if n in averages else stated.get(n, ridge) for n in variables)
    slopes = {n: loss.partial((n,)) for n in variables}
    rules = resolved(update.table("rules"), loss, "rules")
    for n, rule in rules.items():
        slopes[n] = _slope(n, rule, loss, mixture)
    kinks = required_kinks(sp.Add(*(slopes[n] for n in rules)), loss.kinks) if rules else ()
    if kinks:
        loss = replace(loss, kinks=(*loss.kinks, *kinks))
    for n in rules:
        slopes[n] = canonical(slopes[n], loss.kinks)
        _check_slope(slopes[n], loss)
    total = tuple(rates.get(n, sp.Integer(1)) * slopes[n] for n in variables)
    decays = [rates.get(n, sp.Integer(1)) * ridges[n] for n in variables]
    decay = sp.diag(*decays[:c])
    for a, (other, rate) in averages.items():
        b = unit_of(other, loss)
        if a not in units or a == b or b in averages:
            got = f"an average of {other!r} as {loss.variables[a]}"
            expected = "averages of units that are trained, as units that are not"
            raise InputError("averages", got, expected, "give the loss one more unit for each")
        if total[a] != 0:
            remedy = f"the loss and its rules must not hold u_{a + 1} where it is an average"
            raise InputError(
                "averages", f"unit {a + 1}, which the loss trains", "a unit of slope 0", remedy
            )
        decay[a, a], decay[a, b] = rate, -rate
    momentum = sp.sympify(update.momentum)
    frozen = sp.ImmutableDenseMatrix(decay)
    return Rule(loss, total, ridges, frozen, tuple(decays[c:]), momentum, update.project)


def _check_ridges(stated: Mapping[int, sp.Expr], ridge: sp.Expr) -> None:
    """Multiples of the ridge need a model that leaves its ridge open."""
    for value in stated.values():
        if value.free_symbols - ridge.free_symbols:
            expected = f"numbers: the ridge of the model is {ridge}"
            remedy = "give the model a ridge that is a symbol, or numbers here"
            raise InputError("ridges", value, expected, remedy)


def _slope(position: int, rule: sp.Expr, loss: Loss, mixture: Mixture) -> sp.Expr:
    """A rule as an expression in y, u, t, xi and v; one term a label where its kinks hold y."""
    units = {g: loss.partial((a,)) for a, g in enumerate(symbols.vector("g", loss.units))}
    found = rule.xreplace({symbols.SLOPE: loss.partial((position,)), **units})
    known = {symbols.LABEL, symbols.LABEL_NOISE, *loss.variables, *loss.fields, *loss.beside}
    unknown = sorted(map(str, found.free_symbols - known))
    if unknown:
        names = ", ".join(map(str, (symbols.SLOPE, *units, symbols.LABEL, *loss.variables)))
        remedy = "teachers and label noise are those that the loss holds"
        raise InputError("rules", f"unknown symbols {unknown}", f"only {names}", remedy)
    if not any(kink.has(symbols.LABEL) for kink in required_kinks(found, loss.kinks)):
        return found
    labels = dict.fromkeys(mixture.labels)
    if len(labels) == 1:
        return found.xreplace({symbols.LABEL: mixture.labels[0]})
    return _by_label(found, labels)


def _by_label(expression: sp.Expr, labels: Iterable[sp.Expr]) -> sp.Expr:
    """One term for each label, so that no kink depends on it."""
    delta = sp.KroneckerDelta
    terms = (delta(symbols.LABEL, y) * expression.xreplace({symbols.LABEL: y}) for y in labels)
    return sp.Add(*terms)


def _check_slope(slope: sp.Expr, loss: Loss) -> None:
    try:
        check_domain(slope, [], loss.fields)
    except InputError as error:
        raise InputError("rules", error.got, error.expected, error.remedy) from None

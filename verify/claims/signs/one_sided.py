"""Ramps, steps and absolute values of forms that have one sign at every state.

relu(Q_12^2 - Q_11 Q_22) is zero by the inequality of Cauchy and Schwarz, relu(1 + tanh(u)) is
1 + tanh(u), and of weights relu(p_1 + p_2 - 1) is zero.
"""

from __future__ import annotations

from functools import lru_cache

import sympy as sp

from theory import GaussianExpectation, Model, ReLU, Step
from theory.expectations.derived import find_expectations

from .exclusion import is_impossible
from .leading_powers import certain_sign

_KINKED = (ReLU, Step, sp.Abs, sp.sign)


def without_one_sided(e: sp.Expr, model: Model) -> sp.Expr:
    """An expression in which functions of forms of one sign are what they are on that side.

    Examples
    --------
    >>> from theory import kgmm
    >>> model = kgmm(3)
    >>> p, m = model.mixture.weights, model.symbols.overlap
    >>> without_one_sided(ReLU(p[0] + p[1] - 1) + ReLU(m[0, 0] ** 2), model)
    m_1_1**2
    """
    nodes = {n: _in_node(n, model) for n in dict.fromkeys(find_expectations(e))}
    names = {n: sp.Dummy(real=True) for n in nodes}
    back = {name: nodes[n] for n, name in names.items()}
    return sp.sympify(_changed(e.xreplace(names), model).xreplace(back))


@lru_cache(maxsize=20_000)
def _in_node(node: GaussianExpectation, model: Model) -> sp.Expr:
    f = node.general_integrand
    changed = _changed(f, model)
    return node if changed == f else GaussianExpectation(changed, node.law)


def _changed(f: sp.Expr, model: Model) -> sp.Expr:
    # what is inside of another first
    kinked = sorted(f.atoms(*_KINKED), key=lambda e: e.count_ops())
    change: dict[sp.Expr, sp.Expr] = {}
    for e in kinked:
        here = e.xreplace(change)
        if isinstance(here, _KINKED) and (value := _value(here, model)) is not None:
            change[e] = value
    return sp.sympify(f.xreplace(change))


@lru_cache(maxsize=20_000)
def _value(e: sp.Expr, model: Model) -> sp.Expr | None:
    """What a function of a form is at every state, None where its sign changes or is not known."""
    form = e.args[0]
    if form.is_Symbol and not (form.is_positive or form.is_negative):
        return None
    if isinstance(e, Step) and certain_sign(form, model) > 0:
        return sp.S.One
    if is_impossible(model, {form: 1}):  # a step is 0 at 0 too
        return {ReLU: sp.S.Zero, Step: sp.S.Zero, sp.Abs: -form}.get(e.func)
    if is_impossible(model, {form: -1}):
        return {ReLU: form, sp.Abs: form}.get(e.func)
    return None

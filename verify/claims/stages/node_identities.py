"""Identities of Gaussian expectations and of what stands in them, one expectation at a time.

What is linear in expectations is brought to one form by bringing each of them there, once for all
formulas that hold it (:func:`by_nodes`): sums of hundreds of terms need no expansion of the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import sympy as sp

from theory import GaussianExpectation, ReLU, Sigmoid, Softmax, Step, integrate_by_parts
from theory.expectations.derived import find_expectations
from theory.expectations.existence import why_undefined
from theory.expectations.gaussian_law import GaussianLaw
from theory.problem.kinks import tidy
from verify.claims.signs.exponentials import logistic
from verify.claims.stages.digits import without_zero_deltas

from .expansion import expanded, has


def closed_form(node: GaussianExpectation) -> sp.Expr:
    """The value of an expectation, expanded where it is that of a polynomial."""
    f, law = node.integrand, node.law
    if node.uses_whitening or not f.is_polynomial(*law.variables):
        return sp.sympify(node.doit())
    terms = sp.Poly(f, *law.variables).terms()
    return sp.expand(sp.Add(*(c * _moment(law, powers) for powers, c in terms)))


@lru_cache(maxsize=20_000)
def _moment(law: GaussianLaw, powers: tuple[int, ...]) -> sp.Expr:
    """E[u^n] by the recursion of Stein's lemma; expanded at every step, or it grows without end."""
    a = next((i for i, n in enumerate(powers) if n), None)
    if a is None:
        return sp.Integer(1)

    def lowered(exponents: tuple[int, ...], i: int) -> tuple[int, ...]:
        return (*exponents[:i], exponents[i] - 1, *exponents[i + 1 :])

    rest = lowered(powers, a)
    total = law.mean[a] * _moment(law, rest)
    for b, n in enumerate(rest):
        if n:
            total += n * law.covariance[a, b] * _moment(law, lowered(rest, b))
    return sp.expand(total)


def linearise(expression: sp.Expr) -> sp.Expr:
    """Write every expectation as a combination of expectations of products, and expand."""
    return expanded(on_nodes(expression, _split))


@lru_cache(maxsize=20_000)
def _split(node: GaussianExpectation) -> sp.Expr:
    terms = []
    # with the label of the component: E_1[1{1=y} f] is E_1[f]
    for term in sp.Add.make_args(sp.expand(node.integrand)):
        constant, rest = term.as_independent(*node.law.bound, as_Add=False)
        terms.append(constant * GaussianExpectation(rest, node.law))
    return sp.Add(*terms)


def on_nodes(expression: sp.Expr, change: Callable[[GaussianExpectation], sp.Expr]) -> sp.Expr:
    """Replace every expectation, each looked at once."""
    return expression.xreplace(
        {node: change(node) for node in dict.fromkeys(find_expectations(expression))}
    )


def stein(expression: sp.Expr) -> sp.Expr:
    """Remove the whitened pre-activations and powers of u in front of other functions by
    integration by parts.
    """
    return expanded(on_nodes(expression, _by_parts))


@lru_cache(maxsize=20_000)
def _by_parts(node: GaussianExpectation) -> sp.Expr:
    if node.general_integrand.is_polynomial(*node.law.variables):
        return node  # it has a closed form
    found = linearise(
        on_nodes(
            sp.sympify(integrate_by_parts(node)),
            lambda n: _without_powers(n.general_integrand, n.law),
        )
    )
    # Stein's identity holds where both sides exist
    return node if any(why_undefined(n) for n in find_expectations(found)) else found


@lru_cache(maxsize=20_000)
def _without_powers(f: sp.Expr, law: GaussianLaw) -> sp.Expr:
    """E[u_a f] = mean_a E[f] + sum_b cov_ab E[d_b f], until no power of u is left.

    Where an exponential is of a higher power of u_a, its derivative would bring back what is
    removed: it stays.
    """
    total = []
    for term in sp.Add.make_args(sp.expand(f)):
        # a factor u_a or u_a**n with a whole n > 0
        whole = {
            base
            for base, power in term.as_powers_dict().items()
            if sp.sympify(power).is_Integer and power > 0
        }
        curved = _in_curved_exponentials(term, law) | _in_curved_functions(term, law)
        a = next((i for i, u in enumerate(law.variables) if u in whole - curved), None)
        if a is None:
            total.append(GaussianExpectation(term, law))
            continue
        rest = term / law.variables[a]
        total.append(law.mean[a] * _without_powers(rest, law))
        for b, u in enumerate(law.variables):
            slope = rest.diff(u)
            if slope != 0 and law.covariance[a, b] != 0:
                total.append(law.covariance[a, b] * _without_powers(slope, law))
    return sp.Add(*total)


def _in_curved_exponentials(term: sp.Expr, law: GaussianLaw) -> set[sp.Symbol]:
    """Fields in exponentials whose argument is not affine in all fields."""
    arguments = (e.args[0] for e in term.atoms(sp.exp))
    curved = (x for x in arguments if any(x.diff(u).has(*law.variables) for u in law.variables))
    return set(law.variables) & {u for x in curved for u in x.free_symbols}


def _in_curved_functions(term: sp.Expr, law: GaussianLaw) -> set[sp.Symbol]:
    """Fields in functions, and roots, of what is not affine in a field: of u_1 u_2, u_1 tanh(u_2).

    What their derivatives bring back is another power of a field.
    """
    fields = set(law.variables)
    arguments = [a for f in term.atoms(sp.Function) - term.atoms(sp.exp) for a in f.args]
    arguments += [p.base for p in term.atoms(sp.Pow) if not (p.exp.is_Integer and p.exp > 0)]
    found: set[sp.Symbol] = set()
    for x in arguments:
        inner = {f: sp.Dummy() for f in x.atoms(sp.Function) if f.free_symbols & fields}
        plain = x.xreplace(inner)
        moving = fields | set(inner.values())
        if any(plain.diff(u).free_symbols & moving for u in fields & plain.free_symbols):
            found |= fields & x.free_symbols
    return found


def on_functions(expression: sp.Expr, change: Callable[[sp.Expr], sp.Expr]) -> sp.Expr:
    """Change integrands and what stands outside of expectations."""
    nodes = {n: _changed(n, change) for n in dict.fromkeys(find_expectations(expression))}
    names = {n: sp.Dummy() for n in nodes}
    outside = change(expression.xreplace(names))
    return expanded(outside.xreplace({names[n]: changed for n, changed in nodes.items()}))


@lru_cache(maxsize=20_000)
def _changed(node: GaussianExpectation, change: Callable[[sp.Expr], sp.Expr]) -> sp.Expr:
    return GaussianExpectation(change(node.general_integrand), node.law)


def independent_softmax(f: sp.Expr) -> sp.Expr:
    """The last class probability by the others."""

    def change(e: sp.Expr) -> sp.Expr:
        size = len(e.args) - 1
        return (
            1 - sp.Add(*(Softmax(i, *e.args[1:]) for i in range(1, size))) if e.index == size else e
        )

    return sp.expand(f.replace(lambda e: isinstance(e, Softmax), change))


def sorted_softmax(f: sp.Expr) -> sp.Expr:
    """Class probabilities of the same arguments in one order."""

    def change(e: sp.Expr) -> sp.Expr:
        arguments = sorted(e.args[1:], key=sp.default_sort_key)
        return Softmax(arguments.index(e.args[e.index]) + 1, *arguments)

    return f.replace(lambda e: isinstance(e, Softmax), change)


@lru_cache(maxsize=20_000)
def without_odd(node: GaussianExpectation) -> sp.Expr:
    """Zero for what changes its sign with all fields, whose means are zero."""
    law = node.law
    if any(law.mean) or node.uses_whitening:
        return node
    mirrored = node.integrand.xreplace({x: -x for x in law.variables})
    return sp.Integer(0) if sp.expand(node.integrand + mirrored) == 0 else node


def steps(f: sp.Expr) -> sp.Expr:
    """Step(k)^n = Step(k), and ReLU(k) Step(k) = ReLU(k)."""
    f = without_zero_deltas(f) if f.has(sp.DiracDelta) else f
    return sp.expand(
        sp.expand(f).replace(
            lambda e: e.is_Mul and any(isinstance(a, ReLU) for a in e.args),
            lambda e: e.xreplace(
                {Step(a.args[0]): sp.Integer(1) for a in e.args if isinstance(a, ReLU)}
            ),
        )
    )


def without_ramps(expression: sp.Expr) -> sp.Expr:
    """ReLU(k) = 0 beside the delta function of k."""
    if not has(expression, sp.DiracDelta):
        return expression
    return linearise(on_functions(expression, _tidied))


def _tidied(f: sp.Expr) -> sp.Expr:
    return tidy(sp.expand(f)) if f.has(sp.DiracDelta) else f


Identity = tuple[str, Callable[[sp.Expr], sp.Expr]]
# of integrands, before anything is integrated
INSIDE: tuple[Identity, ...] = (
    ("linearity of E_l", linearise),
    ("an odd function of centred variables has no mean", lambda e: on_nodes(e, without_odd)),
    (
        "1/(1 + exp(-x)) = sigmoid(x)",
        lambda e: (
            linearise(on_nodes(e, lambda n: _changed(n, logistic)))
            if has(e, sp.exp, Sigmoid)
            else e
        ),
    ),
    (
        "steps are idempotent and relu = u step",
        lambda e: on_functions(e, steps) if has(e, ReLU, Step, sp.DiracDelta) else e,
    ),
    ("a ramp vanishes on its kink", without_ramps),
    (
        "symmetry of the softmax",
        lambda e: linearise(on_functions(e, sorted_softmax)) if has(e, Softmax) else e,
    ),
    (
        "softmax probabilities sum to 1",
        lambda e: linearise(on_functions(e, independent_softmax)) if has(e, Softmax) else e,
    ),
)
INTEGRALS: tuple[Identity, ...] = (
    (
        "Stein's identity",
        lambda e: linearise(on_functions(without_ramps(stein(e)), independent_softmax)),
    ),
    ("closed forms of Gaussian moments", lambda e: expanded(on_nodes(e, closed_form))),
)
# expectation, or None for what stands outside of all, -> its coefficient
Linear = Mapping[GaussianExpectation | None, sp.Expr]


@dataclass(frozen=True)
class Form:
    """What identities make of an expression that is linear in expectations, and which they are."""

    linear: Linear
    identities: tuple[str, ...]

    @property
    def expression(self) -> sp.Expr:
        return sp.Add(*(c if n is None else c * n for n, c in self.linear.items()))


def by_nodes(e: sp.Expr) -> Form | None:
    """An expression by expectations that identities leave as they are, with expanded coefficients.

    What cancels as it stands is not integrated.  None where it is not linear in expectations.

    Examples
    --------
    >>> from theory import kgmm, preactivation_law
    >>> law = preactivation_law(kgmm(2, directions_gram="orthonormal"), 0)
    >>> u = law.variables[0]
    >>> by_nodes(GaussianExpectation(u, law) * (1 + u.func("x"))).expression
    m_1_1*x + m_1_1
    """
    parts = linear_parts(e)
    if parts is None:
        return None
    outside: Linear = {None: sp.S.One}
    split = _combined(
        (c, outside if n is None else _linear_of(_split(n), n)) for n, c in parts.items()
    )
    names: dict[str, None] = {}
    forms = []
    for node, coefficient in split.items():
        form = Form(outside, ()) if node is None else _form(node)
        names |= dict.fromkeys(form.identities)
        forms.append((coefficient, form.linear))
    return Form(_combined(forms), tuple(names))


def linear_parts(e: sp.Expr) -> dict[GaussianExpectation | None, sp.Expr] | None:
    """Coefficients of the expectations in an expression; None where it is not linear in them."""
    found: dict[GaussianExpectation | None, list[sp.Expr]] = {}
    if not _collect(e, sp.S.One, found):
        return None
    return {node: sp.Add(*coefficients) for node, coefficients in found.items()}


def _collect(
    e: sp.Expr, factor: sp.Expr, found: dict[GaussianExpectation | None, list[sp.Expr]]
) -> bool:
    if isinstance(e, GaussianExpectation):
        found.setdefault(e, []).append(factor)
        return True
    if not _holds_nodes(e):
        found.setdefault(None, []).append(factor * e)
        return True
    if e.is_Add:
        return all([_collect(x, factor, found) for x in e.args])
    if not e.is_Mul:
        return False
    inner = [x for x in e.args if _holds_nodes(x)]
    others = [x for x in e.args if x not in inner]
    return len(inner) == 1 and _collect(inner[0], sp.Mul(factor, *others), found)


@lru_cache(maxsize=20_000)
def _holds_nodes(e: sp.Expr) -> bool:
    return isinstance(e, GaussianExpectation) or any(map(_holds_nodes, e.args))


def _combined(parts: Iterable[tuple[sp.Expr, Linear]]) -> dict[GaussianExpectation | None, sp.Expr]:
    """The sum of linear expressions with coefficients."""
    found: dict[GaussianExpectation | None, list[sp.Expr]] = {}
    for coefficient, linear in parts:
        for node, inner in linear.items():
            found.setdefault(node, []).append(coefficient * inner)
    total = {node: sp.expand(sp.Add(*terms)) for node, terms in found.items()}
    return {node: c for node, c in total.items() if c != 0}


def _linear_of(e: sp.Expr, node: GaussianExpectation) -> Linear:
    """An expression by its expectations; the one it was made of where it is not linear."""
    parts = linear_parts(e)
    return {node: sp.S.One} if parts is None else parts


def _form(node: GaussianExpectation) -> Form:
    """An expectation by those that no identity changes; worked out once for all components."""
    law = node.law
    means = _any_means(len(law.mean))
    of_any = GaussianLaw(sp.S.Zero, sp.S.Zero, *law.args[2:4], means, *law.args[5:])
    general = GaussianExpectation(node.integrand, of_any)
    if not isinstance(general, GaussianExpectation):
        return _form_of_any(node)
    form, own = _form_of_any(general), dict(zip(means, law.mean, strict=True))
    linear = {
        n if n is None else GaussianExpectation(n.integrand, law): c.xreplace(own)
        for n, c in form.linear.items()
    }
    return Form(linear, form.identities)


@lru_cache(maxsize=None)
def _any_means(size: int) -> sp.Tuple:
    return sp.Tuple(*(sp.Dummy(f"mean_{i + 1}", real=True) for i in range(size)))


@lru_cache(maxsize=20_000)
def _form_of_any(node: GaussianExpectation) -> Form:
    used, e = [], sp.sympify(node)
    for name, change in (*INSIDE, *INTEGRALS):
        try:
            changed = change(e)
        except (sp.PolynomialError, ValueError, NotImplementedError):
            continue
        if changed != e:
            used.append(name)
        e = changed
    return Form(_linear_of(e, node), tuple(used))

"""Stage (a): is the difference of two expressions exactly zero, and by which identities?

Only exact arithmetic decides: an expression is zero here when expansion into independent generators
leaves nothing. What SymPy cannot bring there is *not proved*, however small its numbers are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import sympy as sp

from theory import GaussianExpectation, Model, ReLU, Softmax, Step, integrate_by_parts
from theory.expectations.derived import find_expectations
from theory.expectations.existence import why_undefined
from theory.expectations.gaussian_law import GaussianLaw
from theory.problem.kinks import tidy
from verify.claims.judgement import Stage, Status
from verify.claims.stages.digits import without_zero_deltas
from verify.claims.stages.pointwise import without_constant_integrands
from verify.printing.shorten import shorten

from .expansion import expanded, has, operations

# beyond this many operations an expression is left undecided
LARGEST = 8_000
LARGEST_RATIONAL = 1_200


@dataclass(frozen=True)
class Proof:
    """Whether a difference was brought to zero.

    Attributes
    ----------
    proved : bool
    identities : tuple of str
        Those that were used, in order; of an unsuccessful attempt those that were tried.
    remainder : sympy.Expr
        What is left; 0 if proved.
    """

    proved: bool
    identities: tuple[str, ...]
    remainder: sp.Expr


@lru_cache(maxsize=500)
def prove_equal(left: sp.Expr, right: sp.Expr, model: Model) -> Proof:
    """Bring left - right to zero, if exact identities do.

    Examples
    --------
    >>> from theory import kgmm
    >>> u = sp.symbols("u_1 u_2", real=True)
    >>> total = Softmax(1, *u) + Softmax(2, *u)
    >>> prove_equal(total, sp.Integer(1), kgmm(2)).identities
    ('softmax probabilities sum to 1',)
    >>> prove_equal(Softmax(1, *u), sp.Integer(1), kgmm(2)).proved
    False
    """
    difference = sp.sympify(left - right)
    if difference == 0:
        return Proof(True, ("identical expressions",), difference)
    used: list[str] = []
    for name, change in _identities(model):
        if operations(difference) > LARGEST:
            used.append("given up: too large")
            break
        try:
            changed = change(difference)
        except (sp.PolynomialError, ValueError, NotImplementedError):
            continue
        if changed != difference:
            used.append(name)
        difference = changed
        if difference == 0:
            return Proof(True, _needed(used), difference)
    return Proof(False, tuple(used), difference)


def prove_all(
    entries: Sequence[tuple[str, sp.Expr, sp.Expr]], model: Model, outcome: str = ""
) -> Stage:
    """The stage of a claim that holds where every entry (name, claimed, derived) is proved."""
    used: dict[str, None] = {}
    for name, claimed, derived in entries:
        proof = prove_equal(claimed, derived, model)
        if not proof.proved:
            text = f"{name}: the identities tried leave {shorten(proof.remainder)}"
            details = {"identities": list(proof.identities)}
            return Stage("symbolic", Status.UNPROVED, text, details)
        used |= dict.fromkeys(proof.identities)
    names = [u for u in used if u != "identical expressions"] or list(used)
    text = f"{outcome or 'claimed - derived = 0'} by {', '.join(names)}"
    return Stage("symbolic", Status.PROVED, text, {"identities": names})


def _needed(used: list[str]) -> tuple[str, ...]:
    """The identities, without the bookkeeping where there is anything else."""
    others = tuple(u for u in dict.fromkeys(used) if u != "expansion")
    return others or ("expansion",)


def _identities(model: Model) -> Iterator[tuple[str, Callable[[sp.Expr], sp.Expr]]]:
    yield "expansion", expanded
    yield "linearity of E_l", linearise
    yield (
        "steps are idempotent and relu = u step",
        lambda e: _on_functions(e, _steps) if has(e, ReLU, Step, sp.DiracDelta) else e,
    )
    yield "a ramp vanishes on its kink", _without_ramps
    yield (
        "symmetry of the softmax",
        lambda e: linearise(_on_functions(e, _sorted_softmax)) if has(e, Softmax) else e,
    )
    yield (
        "softmax probabilities sum to 1",
        lambda e: linearise(_on_functions(e, _independent_softmax)) if has(e, Softmax) else e,
    )
    yield "identities of elementary functions, on both sides of kinks", without_constant_integrands
    weights = model.mixture.weights
    alone = [w for w in weights if w.is_Symbol and sp.Add(*weights).coeff(w) == 1]
    if alone and (sp.Add(*weights) - alone[-1]).coeff(alone[-1]) == 0:
        last = {alone[-1]: 1 - (sp.Add(*weights) - alone[-1])}
        yield "weights sum to 1", lambda e: expanded(_outside(e, last))
    yield (
        "Stein's identity",
        lambda e: linearise(_on_functions(_without_ramps(stein(e)), _independent_softmax)),
    )
    yield "closed forms of Gaussian moments", lambda e: expanded(_on_nodes(e, _closed_form))
    gram = model.gram_definition()
    yield "Q = R + m Gamma^-1 m^T", lambda e: expanded(_outside(e, gram))
    yield "common denominator", lambda e: _rational(e) if not e.has(sp.DiracDelta) else e
    yield (
        "exponential form",
        lambda e: _rational(sp.expand(e.rewrite(sp.exp))) if not e.has(GaussianExpectation) else e,
    )


def _closed_form(node: GaussianExpectation) -> sp.Expr:
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


def _rational(e: sp.Expr) -> sp.Expr:
    """Over a common denominator, where the polynomials stay small."""
    return sp.cancel(sp.together(e)) if e.count_ops() <= LARGEST_RATIONAL else e


def linearise(expression: sp.Expr) -> sp.Expr:
    """Write every expectation as a combination of expectations of products, and expand."""
    return expanded(_on_nodes(expression, _split))


@lru_cache(maxsize=20_000)
def _split(node: GaussianExpectation) -> sp.Expr:
    terms = []
    # with the label of the component: E_1[1{1=y} f] is E_1[f]
    for term in sp.Add.make_args(sp.expand(node.integrand)):
        constant, rest = term.as_independent(*node.law.bound, as_Add=False)
        terms.append(constant * GaussianExpectation(rest, node.law))
    return sp.Add(*terms)


def _on_nodes(expression: sp.Expr, change: Callable[[GaussianExpectation], sp.Expr]) -> sp.Expr:
    """Replace every expectation, each looked at once."""
    return expression.xreplace(
        {node: change(node) for node in dict.fromkeys(find_expectations(expression))}
    )


def stein(expression: sp.Expr) -> sp.Expr:
    """Remove the whitened pre-activations and powers of u in front of other functions by
    integration by parts.
    """
    return expanded(_on_nodes(expression, _by_parts))


@lru_cache(maxsize=20_000)
def _by_parts(node: GaussianExpectation) -> sp.Expr:
    if node.general_integrand.is_polynomial(*node.law.variables):
        return node  # it has a closed form
    found = linearise(
        _on_nodes(
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


def _on_functions(expression: sp.Expr, change: Callable[[sp.Expr], sp.Expr]) -> sp.Expr:
    """Change integrands and what stands outside of expectations."""
    nodes = {n: _changed(n, change) for n in dict.fromkeys(find_expectations(expression))}
    names = {n: sp.Dummy() for n in nodes}
    outside = change(expression.xreplace(names))
    return expanded(outside.xreplace({names[n]: changed for n, changed in nodes.items()}))


@lru_cache(maxsize=20_000)
def _changed(node: GaussianExpectation, change: Callable[[sp.Expr], sp.Expr]) -> sp.Expr:
    return GaussianExpectation(change(node.general_integrand), node.law)


def _independent_softmax(f: sp.Expr) -> sp.Expr:
    """The last class probability by the others."""

    def change(e: sp.Expr) -> sp.Expr:
        size = len(e.args) - 1
        return (
            1 - sp.Add(*(Softmax(i, *e.args[1:]) for i in range(1, size))) if e.index == size else e
        )

    return sp.expand(f.replace(lambda e: isinstance(e, Softmax), change))


def _sorted_softmax(f: sp.Expr) -> sp.Expr:
    """Class probabilities of the same arguments in one order."""

    def change(e: sp.Expr) -> sp.Expr:
        arguments = sorted(e.args[1:], key=sp.default_sort_key)
        return Softmax(arguments.index(e.args[e.index]) + 1, *arguments)

    return f.replace(lambda e: isinstance(e, Softmax), change)


def _steps(f: sp.Expr) -> sp.Expr:
    f = without_zero_deltas(f) if f.has(sp.DiracDelta) else f
    return sp.expand(
        sp.expand(f).replace(
            lambda e: e.is_Mul and any(isinstance(a, ReLU) for a in e.args),
            lambda e: e.xreplace(
                {Step(a.args[0]): sp.Integer(1) for a in e.args if isinstance(a, ReLU)}
            ),
        )
    )


def _without_ramps(expression: sp.Expr) -> sp.Expr:
    """ReLU(k) = 0 beside the delta function of k."""
    if not has(expression, sp.DiracDelta):
        return expression
    return linearise(_on_functions(expression, _tidied))


def _tidied(f: sp.Expr) -> sp.Expr:
    return tidy(sp.expand(f)) if f.has(sp.DiracDelta) else f


def _outside(expression: sp.Expr, replacement: dict[sp.Expr, sp.Expr]) -> sp.Expr:
    """Replace symbols outside of expectations, whose law keeps its own."""
    names = {n: sp.Dummy() for n in set(find_expectations(expression))}
    back = {name: node for node, name in names.items()}
    return expression.xreplace(names).xreplace(replacement).xreplace(back)

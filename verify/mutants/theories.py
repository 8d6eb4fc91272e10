"""Wrong theories on purpose: every check has to refute at least one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import sympy as sp

from theory import Block, BlockMatrix, GaussianExpectation, Model, ReLU, symbols
from theory.names import ALMOST_EVERYWHERE
from theory.problem.kinks import apply_kink_rule
from verify.checks.judged_theory import Theory
from verify.claims.quantities import DRIFT, HESSIAN, Target, derived
from verify.claims.quantity_names import parse_quantity
from verify.claims.repair.expression_edits import single_edits


def drop_corrector(theory: Theory) -> Theory:
    """The drift of R_perp without (c_delta/lambda) E[g_a g_b]."""
    return replace(theory, drift=theory.drift.without_corrector())


def drop_noise_term(theory: Theory) -> Theory:
    """The drift of the overlaps without lambda^-1 sum_b E[H_ab] m_bs."""
    kept = theory.drift.overlap.applyfunc(lambda e: _drop(e, _has_inverse_precision))
    return replace(theory, drift=replace(theory.drift, overlap=sp.ImmutableDenseMatrix(kept)))


def flip_ridge(theory: Theory) -> Theory:
    """The drift with + beta where - beta is due."""
    return replace(
        theory, drift=theory.drift.map(lambda e: e.xreplace({symbols.RIDGE: -symbols.RIDGE}))
    )


def drop_softmax_case(theory: Theory) -> Theory:
    r"""The Hessian with the case b != a = c of d_c(pi_a pi_b) treated like three different indices.

    The derivative is then -2 pi_a pi_b pi_c instead of pi_a pi_b (1 - 2 pi_a), so d_c H_ab is off
    by pi_a pi_b = -H_ab.
    """
    loss = theory.model.loss
    first = {}
    for (a, b), block in theory.hessian.first_layer.items():
        wrong = (
            {loss.partial((a, a, b)): loss.partial((a, a, b)) - loss.partial((a, b))}
            if a != b
            else {}
        )
        first[a, b] = (
            block
            if not wrong
            else Block(
                sp.ImmutableDenseMatrix(
                    block.coefficients.applyfunc(_substitute_integrands(wrong))
                ),
                block.bulk,
            )
        )
    return replace(theory, hessian=replace(theory.hessian, first_layer=first))


def ignore_weights(theory: Theory) -> Theory:
    """Every formula with equal class weights."""
    n = theory.model.components
    equal = {p: sp.Rational(1, n) for p in symbols.vector("p", n, positive=True)}
    return _everywhere(theory, lambda e: e.xreplace(equal))


def almost_everywhere(theory: Theory) -> Theory:
    """The second derivative of the activation as automatic differentiation has it, where the
    distributional is due.
    """

    def drop(e: GaussianExpectation) -> sp.Expr:
        return GaussianExpectation(apply_kink_rule(e.general_integrand, ALMOST_EVERYWHERE), e.law)

    return replace(theory, drift=theory.drift.map(_on_nodes(drop)), curvature=theory.hessian)


def swap_label(theory: Theory) -> Theory:
    """Every formula with the other label, of 0 and 1, for the last component."""
    last = theory.model.components

    def swap(e: GaussianExpectation) -> sp.Expr:
        if e.law.component != last:
            return e
        return GaussianExpectation(
            e.general_integrand.xreplace({symbols.LABEL: 1 - symbols.LABEL}), e.law
        )

    return _everywhere(theory, _on_nodes(swap))


def drop_readout_factor(theory: Theory) -> Theory:
    """The Hessian block (1, 1) of the first layer with v_1 where v_1^2 is due."""
    v = theory.model.symbols.readout[0]
    block = theory.hessian.first_layer[0, 0]
    wrong = block.map(_on_nodes(lambda e: GaussianExpectation(e.general_integrand / v, e.law)))
    return replace(
        theory,
        hessian=replace(theory.hessian, first_layer={**theory.hessian.first_layer, (0, 0): wrong}),
    )


def linear_features(theory: Theory) -> Theory:
    """The span of W mu, -W mu, W nu, -W nu in place of that of g(W mu), .., g(-W nu)."""
    assert theory.features is not None
    return replace(theory, features=theory.features.map(lambda e: e.replace(ReLU, lambda k: k)))


def features_of_another_layer(theory: Theory) -> Theory:
    """The features of every layer in place of those of the next, of the last one in the first."""
    found = theory.layer_features
    names = list(found)
    moved = dict(zip(names, [*names[1:], names[0]], strict=True))
    return replace(
        theory,
        layer_features={
            name: replace(found[name], vectors=found[other].vectors)
            for name, other in moved.items()
        },
    )


def block_of_another_layer(theory: Theory) -> Theory:
    """Blocks of v with the entries of v in the reverse order, the last layer first."""
    order = range(theory.model.readout_size - 1, -1, -1)

    def change(matrix: BlockMatrix) -> BlockMatrix:
        wrong = matrix.readout.extract(order, order)
        return replace(matrix, readout=sp.ImmutableDenseMatrix(wrong))

    return replace(theory, hessian=change(theory.hessian), gradient=change(theory.gradient))


# name -> mutant, by system; the wrong theories a reader of the field would recognise
MUTANTS: dict[str, Callable[[Theory], Theory]] = {
    "corrector dropped": drop_corrector,
    "1/lambda term dropped": drop_noise_term,
    "sign of the ridge flipped": flip_ridge,
    "softmax case b != a = c missing": drop_softmax_case,
    "class weights ignored": ignore_weights,
}
TWO_LAYER_MUTANTS: dict[str, Callable[[Theory], Theory]] = {
    "almost-everywhere for distributional": almost_everywhere,
    "label of one cluster swapped": swap_label,
    "factor v_i dropped from a W-block": drop_readout_factor,
    "corrector dropped": drop_corrector,
    "feature span with W instead of g(W.)": linear_features,
}

NETWORK_MUTANTS: dict[str, Callable[[Theory], Theory]] = {
    "corrector dropped": drop_corrector,
    "sign of the ridge flipped": flip_ridge,
    "features of another layer": features_of_another_layer,
    "block of another layer": block_of_another_layer,
}


def _everywhere(theory: Theory, change: Callable[[sp.Expr], sp.Expr]) -> Theory:
    """The theory with a change made to every formula of the dynamics and the matrices."""
    return replace(
        theory,
        drift=theory.drift.map(change),
        hessian=theory.hessian.map(change),
        gradient=theory.gradient.map(change),
        curvature=theory.curvature.map(change),
    )


def _on_nodes(change: Callable[[GaussianExpectation], sp.Expr]) -> Callable[[sp.Expr], sp.Expr]:
    return lambda expression: expression.replace(
        lambda e: isinstance(e, GaussianExpectation), change
    )


def _has_inverse_precision(term: sp.Expr) -> bool:
    """True for a term with an explicit factor 1/lambda (not one inside the law of an
    expectation).
    """
    return bool(term.as_powers_dict().get(symbols.PRECISION, 0) < 0)


def _drop(expression: sp.Expr, predicate: Callable[[sp.Expr], bool]) -> sp.Expr:
    return sp.Add(*(t for t in sp.Add.make_args(expression) if not predicate(t)))


def _substitute_integrands(wrong: dict[sp.Expr, sp.Expr]) -> Callable[[sp.Expr], sp.Expr]:
    return _on_nodes(
        lambda e: GaussianExpectation(wrong.get(e.general_integrand, e.general_integrand), e.law)
    )


# --- systematic mutants of one derived expression -------------------------------------------------


@dataclass(frozen=True)
class Mutant:
    """A wrong expression for an entry, and what was changed.

    Attributes
    ----------
    entry : str
    target : Target
    kind : str
        ``drop``, ``sign``, ``factor``, ``index``, ``component``, ``kronecker``, ``kink``, the same
        inside of an expectation (``inner ...``), ``corrector`` or ``almost-everywhere``.
    text : str
    expression, right : sympy.Expr
        The wrong and the derived expression.
    """

    entry: str
    target: Target
    kind: str
    text: str
    expression: sp.Expr
    right: sp.Expr


def mutants_of(
    model: Model,
    quantity: str,
    *,
    kink_rule: str | None = None,
    most: int | None = None,
    seed: int = 0,
) -> list[Mutant]:
    """Systematic wrong expressions for one entry of a derived object.

    Parameters
    ----------
    model : Model
    quantity : str
        An entry with numbers for its indices, such as ``drift m_1_2`` or ``H_1_2[e_1,x_2]``.
    kink_rule : str, optional
        Of a Hessian.
    most : int, optional
        Keep at most this many of each kind, drawn at random; all when omitted.
    seed : int
        Of the draw.

    Returns
    -------
    list of Mutant
        Distinct expressions; some may be equal to the derived one by an identity.

    Examples
    --------
    >>> from theory import kgmm
    >>> found = mutants_of(kgmm(2, directions_gram="orthonormal"), "drift R_1_1")
    >>> sorted({m.kind for m in found})[:4]
    ['component', 'corrector', 'drop', 'factor']
    """
    asked = parse_quantity(quantity, kink_rule=kink_rule)
    target = asked.target(model, {})
    right = derived(model, target)
    found: dict[str, dict[sp.Expr, Mutant]] = {}
    for kind, text, wrong in (
        *_whole(model, target, right),
        *_components(right),
        *((e.kind, e.text, e.expression) for e in single_edits(right)),
    ):
        if wrong != right:
            mutant = Mutant(asked.name({}), target, kind, text, wrong, right)
            found.setdefault(kind, {}).setdefault(wrong, mutant)
    rng = np.random.default_rng(seed)
    chosen: dict[sp.Expr, Mutant] = {}
    for members in found.values():
        listed = list(members.values())
        if most is not None and len(listed) > most:
            listed = [listed[i] for i in sorted(rng.choice(len(listed), most, replace=False))]
        for mutant in listed:
            chosen.setdefault(mutant.expression, mutant)
    return list(chosen.values())


def _whole(model: Model, target: Target, right: sp.Expr) -> Iterator[tuple[str, str, sp.Expr]]:
    """The corrector dropped, or the almost-everywhere Hessian where the distributional is due."""
    base, at = target.parts[0]
    if target.kind == DRIFT and base == "R":
        corrector = derived(model, replace(target, parts=(("corrector", at),)))
        yield "corrector", "drop the corrector", right - corrector
    if (
        target.kind == HESSIAN
        and not model.loss.is_smooth
        and target.kink_rule != ALMOST_EVERYWHERE
    ):
        yield (
            "almost-everywhere",
            "take the almost-everywhere Hessian",
            derived(model, replace(target, kink_rule=ALMOST_EVERYWHERE)),
        )


def _components(right: sp.Expr) -> Iterator[tuple[str, str, sp.Expr]]:
    """One expectation taken in the next component."""
    nodes = list(dict.fromkeys(n for n in right.atoms(GaussianExpectation)))
    laws = sorted({n.law for n in nodes}, key=lambda law: law.component)
    for node in sorted(nodes, key=sp.default_sort_key):
        if len(laws) > 1:
            other = laws[(laws.index(node.law) + 1) % len(laws)]
            changed = GaussianExpectation(node.general_integrand, other)
            yield (
                "component",
                f"read E_{other.component} for E_{node.law.component}",
                right.xreplace({node: changed}),
            )

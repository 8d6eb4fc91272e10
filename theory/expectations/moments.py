r"""Moments E_l[h Y], E_l[h Y Y^T] weighted by a function h of the pre-activations.

Every formula of the project (gradient, Hessian, G-matrix, drift, diffusion) is a combination of the
three *coefficients* defined here, for a weight h that is a product of partial derivatives of the
loss:

.. math::  E_l[h Z]/\sqrt\lambda &= \sum_c \mathrm{slope}_c(h)\, x^c \\
           E_l[h Z Z^T]/\lambda &= \lambda^{-1}E_l[h]\, I
           + \sum_{cd} \mathrm{curvature}_{cd}(h)\, x^c x^{dT}.

Each has two routes:

* *Stein*: slope = lambda^-1 E[d_c h], curvature = lambda^-2 E[d_c d_d h].
* *Projection*, with w = Q^+ (u - E u): slope = E[h w_c], curvature = E[h w_c w_d] - lambda^-1
  Q^+_cd E[h]. It differentiates nothing.

Across a kink the derivatives of the Stein route are distributions: its slopes exist (a function
plus deltas on the kinks), its curvatures in general do not.

Source: mathematics.md sections 2 and 3.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sympy as sp

from theory.errors import InputError, brief
from theory.keywords import with_known_keywords
from theory.names import DISTRIBUTIONAL
from theory.notebook import short_repr
from theory.problem.covariance.bands import refuse_bands
from theory.problem.covariance.tokens import refuse_tokens
from theory.problem.kinks import apply_kink_rule, check_kink_rule, split_deltas
from theory.problem.model import Model, check_is_model
from theory.rewriting import derivative_of

from .expectation import GaussianExpectation
from .gaussian_law import preactivation_law

ROUTES = ("stein", "projection")


def default_route(model: Model, *, curvatures: bool) -> str:
    """The route taken when none is asked for: Stein, except where a delta cannot be integrated.

    A curvature differentiates its weight twice; across a kink that leaves products and derivatives
    of deltas.  On a kink that is not affine in u, such as a ReLU behind a ReLU, even one delta has
    no Gaussian density: there everything is derived by projection.  So are the curvatures of
    several layers of v, whose fourth derivatives are thousands of terms long.
    """
    check_is_model(model)
    loss = model.loss
    if loss.is_smooth:
        return "projection" if curvatures and len(loss.layers) > 1 else "stein"
    return "projection" if curvatures or loss.kink_forms is None else "stein"


def check_route(route: object) -> str:
    """Return the route, or refuse what is none."""
    if not isinstance(route, str) or route not in ROUTES:
        remedy = "choose a route of mathematics.md section 2"
        raise InputError("route", repr(route), f"one of {ROUTES}", remedy)
    return route


def chosen_route(model: Model, route: object, *, curvatures: bool) -> str:
    """The route asked for, or the one taken when none is."""
    if route is None:
        return default_route(model, curvatures=curvatures)
    check_is_model(model)
    return check_route(route)


def exists(model: Model, route: str) -> bool:
    """Whether the curvatures of a route exist whatever the weight.

    By Stein's lemma they do where the loss is smooth; else it is seen when they are written out.
    """
    return route != "stein" or model.loss.is_smooth


@dataclass(frozen=True)
class Weight:
    """A product of partial derivatives of the loss: the h of E_l[h Y Y^T].

    ``factors`` are sorted tuples of variable indices; ``Weight.of((0,), (1,))`` is g_1 g_2 and
    ``Weight.of((0, 1))`` is H_12.

    Examples
    --------
    >>> weight = Weight.of((1, 0), (0,))                      # H_12 g_1
    >>> weight.factors
    ((0,), (0, 1))
    >>> [each.factors for each in weight.derivatives(1)]      # a sum: Leibniz, in u_2
    [((0, 1), (0, 1)), ((0,), (0, 1, 1))]
    """

    factors: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, *factors: Iterable[int]) -> Weight:
        return cls(tuple(sorted(tuple(sorted(f)) for f in factors)))

    def derivatives(self, index: int) -> list[Weight]:
        """Leibniz: the weights whose sum is the derivative in variable ``index``."""
        return [
            Weight.of(*self.factors[:i], (*f, index), *self.factors[i + 1 :])
            for i, f in enumerate(self.factors)
        ]


@with_known_keywords
class Moments:
    """Coefficients and moments of one model by one route; each is built once.

    Parameters
    ----------
    model : Model
    route : {"stein", "projection"}
    kink_rule : {"distributional", "almost-everywhere", "difference"}
        What a *weight* keeps of a second derivative of the loss across a kink
        (:mod:`theory.problem.kinks`).  Derivatives that stem from integration by parts are always
        distributional.

    Examples
    --------
    >>> from theory import Loss, Mixture, symbols
    >>> u = symbols.vector("u", 1)
    >>> one = Mixture.build(weights=[1], labels=[0], coordinates=[[1]], directions_gram=[[1]])
    >>> moments = Moments(Model.build(one, Loss(u[0]**3, units=1)), "projection")
    >>> moments.expression(Weight.of((0,), (0, 0)))
    18*u_1**3
    >>> moments.averaged_mean(Weight.of((0,)))
    E_1[3*u_1**2]
    """

    def __init__(self, model: Model, route: str = "stein", kink_rule: str = DISTRIBUTIONAL) -> None:
        self.route = check_route(route)
        check_is_model(model)
        self.model = model
        self.kink_rule = check_kink_rule(kink_rule)
        self._expressions: dict[Weight, sp.Expr] = {}
        self._derived: dict[tuple[Weight, tuple[int, ...]], sp.Expr] = {}
        self._averages: dict[tuple[sp.Expr, int], sp.Expr] = {}
        self._nodes: dict[tuple[int, sp.Expr], sp.Expr] = {}

    def __repr__(self) -> str:
        said = (f"model {brief(self.model.name)!r}", f"route {self.route!r}")
        return short_repr(self, *said, f"kink_rule {self.kink_rule!r}")

    def expression(self, weight: Weight) -> sp.Expr:
        """Return the weight as a SymPy expression in y, u, v."""
        if weight not in self._expressions:
            self._expressions[weight] = sp.Mul(*(self._factor(f) for f in weight.factors))
        return self._expressions[weight]

    def _factor(self, indices: tuple[int, ...]) -> sp.Expr:
        """One partial derivative of the loss; only second ones can have a part on a kink.

        Or one of a slope of the rule, which stands behind what the loss is differentiated by.
        """
        own = len(self.model.loss.differentiated)
        if indices and indices[-1] >= own and self.model.rule is not None:
            return self.model.rule.partial(indices[-1] - own, indices[:-1])
        partial = self.model.loss.partial(indices)
        return partial if len(indices) < 2 else apply_kink_rule(partial, self.kink_rule)

    def derivative(self, weight: Weight, indices: tuple[int, ...]) -> sp.Expr:
        """Return the derivative of the weight in the variables at ``indices`` by Leibniz' rule.

        Raises
        ------
        InputError
            Across a kink the derivative is more than a function plus deltas: take the projection
            route.
        """
        if not indices:
            return self.expression(weight)
        key = (weight, tuple(sorted(indices)))
        if key not in self._derived and not self.model.loss.is_smooth:
            # Leibniz' rule would meet step times delta where the product, an idempotent step, has a
            # plain delta
            derivative = self.expression(weight)
            for index in key[1]:
                derivative = derivative_of(derivative, self.model.loss.differentiated[index])
            regular, parts = split_deltas(derivative)
            self._derived[key] = sp.Add(regular, *(c * sp.DiracDelta(k) for k, c in parts.items()))
        elif key not in self._derived:
            weights = [weight]
            for index in key[1]:
                weights = [w for each in weights for w in each.derivatives(index)]
            self._derived[key] = sp.Add(*(self.expression(w) for w in weights))
        return self._derived[key]

    def expectation(self, integrand: sp.Expr, component: int) -> sp.Expr:
        """Return the node E_l[integrand] for the 0-based ``component``."""
        key = (component, integrand)
        if key not in self._nodes:
            law = preactivation_law(self.model, component)
            self._nodes[key] = GaussianExpectation(integrand, law)
        return self._nodes[key]

    def mean(self, weight: Weight, component: int) -> sp.Expr:
        """E_l[h]."""
        return self.expectation(self.expression(weight), component)

    def slope(self, weight: Weight, component: int, c: int) -> sp.Expr:
        """Coefficient of x^c in E_l[h Z] / sqrt(lambda)."""
        refuse_bands(self.model.mixture, "one coefficient of x^c")
        refuse_tokens(self.model.mixture, "one coefficient of x^c")
        if self.route == "stein":
            inner = self.derivative(weight, (c,))
            return self.expectation(inner, component) / self.model.mixture.precision
        w = self.model.symbols.whitened
        return self.expectation(self.expression(weight) * w[c], component)

    def curvature(self, weight: Weight, component: int, c: int, d: int) -> sp.Expr:
        """Coefficient of x^c x^dT in E_l[h Z Z^T] / lambda (beside lambda^-1 E_l[h] I)."""
        refuse_bands(self.model.mixture, "one coefficient of x^c x^d")
        refuse_tokens(self.model.mixture, "one coefficient of x^c x^d")
        lam = self.model.mixture.precision
        if self.route == "stein":
            return self.expectation(self.derivative(weight, (c, d)), component) / lam**2
        s = self.model.symbols
        h = self.expression(weight)
        return (
            self.expectation(h * s.whitened[c] * s.whitened[d], component)
            - s.gram_inverse[c, d] * self.expectation(h, component) / lam
        )

    def average(self, per_component: Iterable[sp.Expr]) -> sp.Expr:
        """Sum_l p_l (...)_l, as a flat sum of products (cheaper than expanding afterwards)."""
        return sp.Add(
            *(
                p * term
                for p, e in zip(self.model.mixture.weights, per_component, strict=True)
                for term in sp.Add.make_args(e)
            )
        )

    def averaged_mean(self, weight: Weight, power: int = 0) -> sp.Expr:
        """lambda^-power sum_l p_l E_l[h], built once per integrand."""
        return self._averaged(self.expression(weight), power)

    def _averaged(self, integrand: sp.Expr, power: int) -> sp.Expr:
        key = (integrand, power)
        if key not in self._averages:
            scale = self.model.mixture.precision**-power
            self._averages[key] = self.average(
                scale * self.expectation(integrand, l) for l in range(self.model.components)
            )
        return self._averages[key]

r"""Gaussian expectations in closed form, by one rule.

For a product of a polynomial, exponentials of quadratic forms, and up to three functions erf, step
or ReLU of affine forms of u:

1. *Complete the square*: the exponential tilts the Gaussian law of u to another one.
2. *Noise for erf*: :math:`\mathrm{erf}(x) = 2P(\xi < \sqrt2\,x) - 1` with a normal variable
   :math:`\xi` of its own, so that erf is a step of one more Gaussian variable.  ReLU(k) is
   k step(k).
3. *Integrate the polynomial by parts*: each power of u becomes a mean, a covariance, or a delta on
   a step, which conditions the law.
4. What is left is an *orthant probability*: a normal probability of one, two or three variables.

sin and cos of an affine form take the place of the steps: integration by parts turns them into each
other.  Arcsine and arc-cosine kernels, Gaussian factors (the slope of erf) and biased forms are
special cases.

A polynomial may hold the whitened variables w = Q^+ (u - E u) too: where Q is invertible they are
Gaussian together with u, of mean zero and covariances :math:`E[w_au_b]=\delta_{ab}/\lambda`,
:math:`E[w_aw_b]=P_{ab}/\lambda`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import sympy as sp
from sympy.simplify.fu import TR8

from theory.problem.relu_step import ReLU, Step

from .gaussian_law import GaussianLaw
from .normal_functions import BivariateNormal, TrivariateNormal, normal_density, normal_probability
from .parallel_steps import separated

_TRIGONOMETRIC = (sp.sin, sp.cos)
_STEPPED = (sp.erf, sp.erfc, Step, ReLU)
_KNOWN = (sp.exp, sp.DiracDelta, *_TRIGONOMETRIC, *_STEPPED)
MOST_STEPS = 3

Affine = tuple[sp.Expr, tuple[sp.Expr, ...]]


def closed_form(f: sp.Expr, law: GaussianLaw) -> sp.Expr | None:
    """Exact expectation of ``f``, or None when the rule does not serve it."""
    u = list(law.variables)
    if not f.has(*u, *law.whitened):
        return f
    functions = {e for e in f.atoms(sp.Function) if e.has(*u)}
    if not all(isinstance(e, _KNOWN) and _affine(e.args[0], u, e) for e in functions):
        return None
    f = f.replace(sp.erfc, lambda x: 1 - sp.erf(x)).replace(ReLU, lambda x: x * Step(x))
    f = sp.expand(f)
    if f.has(*_TRIGONOMETRIC):
        f = sp.expand(TR8(f))
    separate = separated(f, u)
    if separate is None:
        return None
    found = [_term(term, law) for term in sp.Add.make_args(separate)]
    read = [part for part in found if part is not None]
    return sp.Add(*read) if len(read) == len(found) else None


def _affine(argument: sp.Expr, u: list[sp.Symbol], function: sp.Expr | None = None) -> bool:
    """Whether an argument is affine in u, or for an exponential quadratic."""
    slopes = [argument.diff(a) for a in u]
    if isinstance(function, sp.exp):
        slopes = [slope.diff(a) for slope in slopes for a in u]
    return not any(sp.expand(slope).has(*u) for slope in slopes)


def _read_affine(argument: sp.Expr, u: list[sp.Symbol]) -> Affine:
    """(offset, slopes) of an affine form."""
    argument = sp.expand(argument)
    return argument.xreplace(dict.fromkeys(u, sp.Integer(0))), tuple(argument.diff(a) for a in u)


def _term(term: sp.Expr, law: GaussianLaw) -> sp.Expr | None:
    """Expectation of one product."""
    u, w = list(law.variables), list(law.whitened)
    constant, rest = term.as_independent(*u, *w, as_Add=False)
    exponent, polynomial = sp.Integer(0), sp.Integer(1)
    signs: list[Affine] = []
    steps: list[Affine] = []
    deltas: list[Affine] = []
    waves: list[sp.Expr] = []
    for factor in sp.Mul.make_args(rest):
        base, power = factor.as_base_exp()
        if isinstance(factor, sp.exp):
            exponent += factor.args[0]
        elif isinstance(base, (sp.erf, *_TRIGONOMETRIC)) and power.is_Integer and power > 0:
            if isinstance(base, sp.erf):
                signs += [_read_affine(base.args[0], u)] * int(power)
            else:
                waves += [base] * int(power)
        elif isinstance(factor, Step):
            steps.append(_read_affine(factor.args[0], u))
        elif isinstance(factor, sp.DiracDelta) and len(factor.args) == 1:
            deltas.append(_read_affine(factor.args[0], u))
        elif factor.is_polynomial(*u, *w):
            polynomial *= factor
        else:
            return None
    many = len(signs) + len(steps) > MOST_STEPS or len(deltas) > 1 or len(waves) > 1
    if many or (waves and (signs or steps or deltas)):
        return None
    whitened = rest.has(*w)
    variables = [*u, *w] if whitened else u
    forms = (tuple(deltas), tuple(steps), tuple(signs), tuple(waves))
    tilted = _tilted(law, whitened, exponent, forms)
    if tilted is None:
        return None
    scale, joint, kept, noisy, wave = tilted
    moments = sp.Poly(polynomial, *variables).terms()
    total = []
    # erf = 2 step - 1, one after the other
    for chosen in _subsets(noisy):
        sign = 2 ** len(chosen) * (-1) ** (len(noisy) - len(chosen))
        on = (*kept, *chosen)
        total += [sign * c * _moment(joint, powers, on, wave) for powers, c in moments]
    return constant * scale * sp.Add(*total)


# the terms of a formula, and of others of a model, differ in their polynomials more than in what
# tilts the law
@lru_cache(maxsize=512)
def _tilted(
    law: GaussianLaw, whitened: bool, exponent: sp.Expr, forms: tuple[tuple[Any, ...], ...]
) -> tuple[sp.Expr, _Joint, list[int], list[int], tuple[bool, int] | None] | None:
    """The law tilted by an exponential and conditioned on deltas, with their expectation, and the
    places in it of the arguments of steps, signs and a wave; None if there is no such law.
    """
    deltas, steps, signs, waves = forms
    u, w = list(law.variables), list(law.whitened)
    variables = [*u, *w] if whitened else u
    tilted = _complete_square(exponent, u, *_law_of(variables, law))
    if tilted is None:
        return None
    scale, joint = tilted
    for offset, slopes in deltas:
        scale *= joint.condition(joint.append(offset, slopes))
    kept = [joint.append(offset, slopes) for offset, slopes in steps]
    noisy = [joint.append(sp.sqrt(2) * o, [sp.sqrt(2) * s for s in sl], 1) for o, sl in signs]
    wave = None
    if waves:
        wave = (isinstance(waves[0], sp.sin), joint.append(*_read_affine(waves[0].args[0], u)))
    return scale, joint, kept, noisy, wave


def _law_of(
    variables: list[sp.Symbol], law: GaussianLaw
) -> tuple[list[sp.Expr], list[list[sp.Expr]]]:
    """Mean and covariance of u alone, or of u and w."""
    mean, covariance = list(law.mean), law.covariance
    units = len(mean)
    if len(variables) == units:
        return mean, covariance.tolist()
    across, within = sp.eye(units) / law.precision, law.gram_inverse / law.precision
    joint = sp.Matrix([[covariance, across], [across, within]])
    return [*mean, *[sp.Integer(0)] * units], joint.tolist()


def _subsets(items: list[int]) -> list[tuple[int, ...]]:
    found: list[tuple[int, ...]] = [()]
    for item in items:
        found += [(*chosen, item) for chosen in found]
    return found


@dataclass
class _Joint:
    """A Gaussian law of u and of further affine forms of it, as lists of symbols and numbers."""

    mean: list[sp.Expr]
    covariance: list[list[sp.Expr]]
    units: int
    known: dict[object, sp.Expr] = field(default_factory=dict)
    conditioned: dict[int, _Joint] = field(default_factory=dict)

    def append(self, offset: sp.Expr, slopes: Sequence[sp.Expr], noise: int = 0) -> int:
        """Add offset + slopes . u plus independent noise; returns its index."""
        u = range(self.units)
        rows = range(len(self.mean))
        self.mean.append(offset + sp.Add(*(slopes[a] * self.mean[a] for a in u)))
        beside = [sp.Add(*(slopes[a] * self.covariance[a][i] for a in u)) for i in rows]
        variance = noise + sp.Add(*(slopes[a] * beside[a] for a in u))
        for row, entry in zip(self.covariance, beside, strict=True):
            row.append(entry)
        self.covariance.append([*beside, variance])
        return len(rows)

    def density(self, i: int) -> sp.Expr:
        """Density of variable i at 0."""
        deviation = sp.sqrt(self.covariance[i][i])
        return normal_density(self.mean[i] / deviation) / deviation

    def given(self, i: int) -> _Joint:
        """The law where variable i is 0; all variables are there when it is first asked for."""
        if i not in self.conditioned:
            c, size = self.covariance, range(len(self.mean))
            mean = [self.mean[j] - c[j][i] / c[i][i] * self.mean[i] for j in size]
            covariance = [[c[j][k] - c[j][i] * c[i][k] / c[i][i] for k in size] for j in size]
            self.conditioned[i] = _Joint(mean, covariance, self.units)
        return self.conditioned[i]

    def condition(self, i: int) -> sp.Expr:
        """Condition on variable i = 0 for good; returns its density there."""
        density, conditional = self.density(i), self.given(i)
        self.mean, self.covariance = conditional.mean, conditional.covariance
        self.conditioned = {}
        return density

    def orthant(self, on: tuple[int, ...]) -> sp.Expr:
        """Probability that the variables are positive."""
        bounds = [self.mean[i] / sp.sqrt(self.covariance[i][i]) for i in on]
        if not on:
            return sp.Integer(1)
        if len(on) == 1:
            return normal_probability(bounds[0])
        correlations = [
            self.covariance[i][j] / sp.sqrt(self.covariance[i][i] * self.covariance[j][j])
            for n, i in enumerate(on)
            for j in on[n + 1 :]
        ]
        return (BivariateNormal if len(on) == 2 else TrivariateNormal)(*bounds, *correlations)


def _moment(
    joint: _Joint, powers: tuple[int, ...], on: tuple[int, ...], wave: tuple[bool, int] | None
) -> sp.Expr:
    """E[u^powers prod step(z_i)], or with sin or cos of z_k: by parts in one u after another."""
    key = (powers, on, wave)
    if key in joint.known:
        return joint.known[key]
    if not any(powers):
        value = joint.orthant(on) if wave is None else _wave(joint, wave)
    else:
        a = next(i for i, n in enumerate(powers) if n)
        rest = _lower(powers, a)
        terms = [joint.mean[a] * _moment(joint, rest, on, wave)]
        for b, n in enumerate(rest):
            if n and joint.covariance[a][b] != 0:
                inner = _moment(joint, _lower(rest, b), on, wave)
                terms.append(n * joint.covariance[a][b] * inner)
        for i in on:
            others = tuple(j for j in on if j != i)
            inner = _moment(joint.given(i), rest, others, None)
            terms.append(joint.covariance[a][i] * joint.density(i) * inner)
        if wave is not None:  # sin' = cos, cos' = -sin
            is_sine, k = wave
            slope = _moment(joint, rest, on, (not is_sine, k))
            terms.append((1 if is_sine else -1) * joint.covariance[a][k] * slope)
        value = sp.Add(*terms)
    joint.known[key] = value
    return value


def _lower(powers: tuple[int, ...], a: int) -> tuple[int, ...]:
    return (*powers[:a], powers[a] - 1, *powers[a + 1 :])


def _wave(joint: _Joint, wave: tuple[bool, int]) -> sp.Expr:
    """E sin(z) or E cos(z): the characteristic function."""
    is_sine, k = wave
    function = sp.sin if is_sine else sp.cos
    return function(joint.mean[k]) * sp.exp(-joint.covariance[k][k] / 2)


def _complete_square(
    exponent: sp.Expr, u: list[sp.Symbol], mean: list[sp.Expr], covariance: list[list[sp.Expr]]
) -> tuple[sp.Expr, _Joint] | None:
    r"""The mean of exp(exponent), a function of the first variables u, and the law tilted by it.

    With the exponent :math:`c_0 + c\cdot u - \frac12 u^TAu`, A of few rows V, and
    :math:`G = (I + A\Sigma_{VV})^{-1}A`,

    .. math:: \Sigma' = \Sigma - \Sigma_{\cdot V}G\Sigma_{V\cdot},\quad
              m' = m_1 - \Sigma_{\cdot V}Gm_{1V},\quad m_1 = m + \Sigma c.
    """
    units, size = range(len(u)), range(len(mean))
    if exponent == 0:
        return sp.Integer(1), _Joint(mean, covariance, len(u))
    exponent = sp.expand(exponent)
    origin = dict.fromkeys(u, sp.Integer(0))
    slope = [exponent.diff(a).xreplace(origin) for a in u]
    curved = [a for a in units if exponent.diff(u[a]).has(*u)]
    moved = [sp.Add(*(covariance[a][b] * slope[b] for b in units)) for a in size]
    shift = sp.Add(*(slope[a] * (mean[a] + moved[a] / 2) for a in units))
    scale = sp.exp(exponent.xreplace(origin) + shift)
    mean = [m + x for m, x in zip(mean, moved, strict=True)]
    if not curved:
        return scale, _Joint(mean, covariance, len(u))
    form = sp.Matrix([[-exponent.diff(u[a], u[b]) for b in curved] for a in curved])
    # an exponential that grows like a Gaussian has a mean only where the noise is narrow
    if any(not e.is_number for e in form) or not form.is_positive_semidefinite:
        return None
    across = sp.Matrix([[covariance[a][b] for b in curved] for a in size])
    widened = sp.eye(len(curved)) + form * sp.Matrix([across.row(a) for a in curved])
    gain = widened.adjugate() * form / widened.det()
    at = sp.Matrix([mean[a] for a in curved])
    scale *= sp.exp(-(at.T * gain * at)[0, 0] / 2) / sp.sqrt(widened.det())
    drop, less = across * gain * at, across * gain * across.T
    mean = [mean[a] - drop[a] for a in size]
    covariance = [[covariance[a][b] - less[a, b] for b in size] for a in size]
    return scale, _Joint(mean, covariance, len(u))

"""The law of the pre-activations of one component."""

from __future__ import annotations

from functools import lru_cache
from operator import index
from typing import SupportsIndex

import sympy as sp

from theory import symbols
from theory.errors import InputError, brief
from theory.keywords import with_known_keywords
from theory.problem.model import Model, check_is_model


class GaussianLaw(sp.Basic):
    """Law of the pre-activations in one component.

    Arguments: 1-based component, label value, Tuple of u, Tuple of w, Tuple of means, Gram matrix
    Q, precision lambda and the Gram inverse P with w = P (u - mean).  For a loss with teachers or
    label noise u stands for all fields, (u, t, xi), and Q for their Gram matrix.  Built once per
    component by :func:`preactivation_law`.

    Examples
    --------
    >>> from theory import kgmm
    >>> law = preactivation_law(kgmm(2, directions_gram="orthonormal"), 0)
    >>> law.component, law.variables, law.mean
    (1, (u_1, u_2), (m_1_1, m_2_1))
    >>> law.covariance[0, 1]
    Q_1_2/lambda
    """

    @property
    def component(self) -> int:
        return int(self.args[0])

    @property
    def label(self) -> sp.Expr:
        return self.args[1]

    @property
    def variables(self) -> sp.Tuple:
        return self.args[2]

    @property
    def whitened(self) -> sp.Tuple:
        return self.args[3]

    @property
    def mean(self) -> sp.Tuple:
        return self.args[4]

    @property
    def gram(self) -> sp.ImmutableDenseMatrix:
        return self.args[5]

    @property
    def precision(self) -> sp.Expr:
        return self.args[6]

    @property
    def gram_inverse(self) -> sp.ImmutableDenseMatrix:
        return self.args[7]

    @property
    def covariance(self) -> sp.ImmutableDenseMatrix:
        """Q / lambda."""
        return _covariance(self)

    @property
    def bound(self) -> frozenset[sp.Symbol]:
        """Symbols integrated over (or fixed by the component)."""
        return _bound_symbols(self)

    @property
    def outer_symbols(self) -> frozenset[sp.Symbol]:
        """Free symbols of mean and covariance."""
        return _outer_symbols(self)


@lru_cache(maxsize=1024)
def _bound_symbols(law: GaussianLaw) -> frozenset[sp.Symbol]:
    return frozenset({symbols.LABEL, *law.variables, *law.whitened})


@lru_cache(maxsize=1024)
def _covariance(law: GaussianLaw) -> sp.ImmutableDenseMatrix:
    return law.gram / law.precision


@lru_cache(maxsize=1024)
def _outer_symbols(law: GaussianLaw) -> frozenset[sp.Symbol]:
    return frozenset(law.mean.free_symbols | law.covariance.free_symbols)


@lru_cache(maxsize=1024, typed=True)  # 1.0 is no component, though it equals 1
@with_known_keywords
def preactivation_law(model: Model, component: int) -> GaussianLaw:
    """Return the law N(m S_l^T, Q/lambda) of the fields in a 0-based ``component``.

    Examples
    --------
    >>> from theory import kgmm
    >>> preactivation_law(kgmm(3), 2).mean
    (m_1_3, m_2_3, m_3_3)
    """
    check_is_model(model)
    count = model.components
    if not isinstance(component, SupportsIndex) or not 0 <= index(component) < count:
        expected = f"an integer in 0..{count - 1}"
        raise InputError("component", brief(component), expected, "count components from 0")
    component = index(component)
    s = model.symbols
    return GaussianLaw(
        sp.Integer(component + 1),
        model.mixture.labels[component],
        sp.Tuple(*s.fields),
        sp.Tuple(*s.whitened),
        sp.Tuple(*model.field_means.row(component)),
        model.field_gram_of(component),
        model.mixture.precision,
        s.gram_inverse_of(component),
    )

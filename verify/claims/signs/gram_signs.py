"""Signs that polynomials in Gram matrices never have: a minor of Q is not negative.

The entries of a Gram matrix are written by a triangular factor, G = L L^T.  Where every term of a
form is then an even monomial with a coefficient of one sign, the form has that sign, or is zero, at
every state; what stands under the roots of Gaussian averages of error functions is of this kind:
(lambda + Q_11) (lambda + Q_22) - Q_12^2.
"""

from __future__ import annotations

from functools import lru_cache

import sympy as sp

from theory import Model

# a form with more operations is not expanded
LARGEST = 400


@lru_cache(maxsize=2_000)
def never_has(model: Model, form: sp.Expr, sign: int) -> bool:
    """Whether a form is shown to have a sign (1 or -1) at no state.

    Examples
    --------
    >>> from theory import kgmm
    >>> model = kgmm(2)
    >>> (q11, q12), (_, q22) = model.symbols.gram.tolist()
    >>> never_has(model, (1 + q11) * (1 + q22) - q12**2, -1), never_has(model, 1 - q12**2, -1)
    (True, False)
    """
    if form.count_ops() > LARGEST or not form.is_polynomial(*form.free_symbols):
        return False
    for change in _factors(model, form.free_symbols):
        free = sp.expand(-sign * form.xreplace(change))
        if all(_is_not_negative(term) for term in sp.Add.make_args(free)):
            return True
    return False


def _is_not_negative(term: sp.Expr) -> bool:
    return all(
        bool(x.is_nonnegative) or (x.is_Pow and x.base.is_real and x.exp.is_even)
        for x in sp.Mul.make_args(term)
    )


def _factors(model: Model, names: set[sp.Symbol]) -> list[dict[sp.Symbol, sp.Expr]]:
    """The entries of the Gram matrices that names are of, by triangular factors of those rows that
    are named.
    """
    s, bands = model.symbols, range(model.bands)
    r, c = model.directions, s.units
    changes: list[dict[sp.Symbol, sp.Expr]] = []
    # with the directions, or for the units alone: those of all bands, which share nothing
    for with_directions in (True, False):
        parts = []
        for g in bands:
            gamma = model.mixture.directions_gram[g * r : (g + 1) * r, :]
            overlap, gram, perp = (
                m[g * c : (g + 1) * c, :] for m in (s.overlap, s.gram, s.gram_perp)
            )
            parts.append(_by_factor(sp.Matrix(perp), names))
            if with_directions:
                gram = sp.Matrix(sp.BlockMatrix([[gamma, overlap.T], [overlap, gram]]))
            parts.append(_by_factor(sp.Matrix(gram), names))
        known = [part for part in parts if part is not None]
        if len(known) == len(parts):
            changes.append({x: e for part in known for x, e in part.items()})
    return changes


def _by_factor(gram: sp.Matrix, names: set[sp.Symbol]) -> dict[sp.Symbol, sp.Expr] | None:
    """Entries of G = L L^T, rows that are numbers first; None where those are not orthonormal."""
    size = gram.rows
    rows = [i for i in range(size) if names & gram[i, :].free_symbols]
    fixed = [i for i in rows if gram[i, i].is_number]
    rows = [*fixed, *(i for i in rows if i not in fixed)]
    if gram.extract(fixed, fixed) != sp.eye(len(fixed)):
        return None
    factor = sp.zeros(len(rows), len(rows))
    for i in range(len(rows)):
        for j in range(i + 1):
            factor[i, j] = sp.Dummy(real=True)
    factor[: len(fixed), : len(fixed)] = sp.eye(len(fixed))
    product = factor * factor.T
    return {
        gram[i, j]: product[a, b]
        for a, i in enumerate(rows)
        for b, j in enumerate(rows)
        if gram[i, j].is_Symbol
    }

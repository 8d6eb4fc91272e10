"""Terms with a logarithm of the parameter that an order of it leaves away.

1/(lambda log lambda) falls faster than 1/lambda, but so little that no measurement tells: beside
1/lambda, the error has the order of neither for as long as numbers go.
"""

from __future__ import annotations

import sympy as sp

from .leading_powers import without_terms

# beyond this size the comparison of growths takes long
MOST_OPERATIONS = 60


def without_logarithms(e: sp.Expr, x: sp.Symbol, power: int, little: bool) -> sp.Expr:
    r"""An expression without terms that hold log(x) and are :math:`O(x^{-n})`, where n is the
    power, or, where ``little``, :math:`o(x^{-n})`.

    Examples
    --------
    >>> x, q = sp.symbols("x q", positive=True)
    >>> without_logarithms(q + q / (x * sp.log(x)) + sp.log(x) / x, x, 1, little=False)
    q + log(x)/x
    """
    return without_terms(e, x, sp.log, lambda term: _is_left(term, x, power, little))


def _is_left(term: sp.Expr, x: sp.Symbol, power: int, little: bool) -> bool:
    if not any(f.has(x) for f in term.atoms(sp.log)):
        return False
    growing = [f for f in sp.Mul.make_args(term) if f.has(x)]
    scaled = sp.Mul(*growing, x**power)
    # a coefficient inside may make it grow at some states
    if scaled.free_symbols != {x} or scaled.count_ops() > MOST_OPERATIONS:
        return False
    try:
        limit = sp.limit(scaled, x, sp.oo)
    except (NotImplementedError, ValueError, TypeError):
        return False
    return bool(limit == 0) if little else bool(limit.is_finite)

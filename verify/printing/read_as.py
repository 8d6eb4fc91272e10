"""A claim as it was read, as an equation in LaTeX."""

from __future__ import annotations

import re

import sympy as sp

from verify.claims.judgement import Claim
from verify.claims.language.text import split_name
from verify.claims.language.tree import Name, Node
from verify.claims.quantities import EXPRESSION

from .tree_latex import tree_latex


def read_as_latex(claim: Claim) -> str:
    r"""What ``claim.read_as`` says, as a formula.

    Examples
    --------
    >>> from theory import kgmm
    >>> from verify.claims.judge import make_claim
    >>> claim = make_claim(kgmm(2), "H_a_b[bulk]", "E[H_a_b]/lambda + beta*delta_a_b")
    >>> print(read_as_latex(claim))
    \text{hessian }H_{ab}[\mathrm{bulk}] = \frac{\mathbb{E}[H_{ab}]}{\lambda} + \beta \delta_{ab}
    """
    quantity, formula = claim.quantity, claim.formula
    left = _entry(quantity.entry) if quantity.left is None else tree_latex(quantity.left)
    right = tree_latex(formula) if isinstance(formula, Node) else sp.latex(formula)
    kind = "" if quantity.kind == EXPRESSION else rf"\text{{{quantity.kind} }}"
    parameter = r"\lambda" if claim.parameter == "lambda" else "d"
    order = "" if claim.order is None else rf" + o({parameter}^{{-{claim.order}}})"
    return f"{kind}{left} = {right}{order}"


def _entry(entry: str) -> str:
    r"""H_a_b[e_s,x_c], Cov[m_1_1,v_2]: a name, and the places in brackets."""
    head, bracket, places = entry.partition("[")
    inside = ", ".join(_name(place) for place in re.split(r",\s*", places.rstrip("]")))
    return _name(head) + (f"[{inside}]" if bracket else "")


def _name(text: str) -> str:
    base, indices = split_name(text.strip())
    if base == "x" and len(indices) == 1:
        return f"x^{{{indices[0]}}}"
    latex = tree_latex(Name(base, indices))
    return rf"\mathrm{{{base}}}" + latex.removeprefix(base) if len(base) > 1 else latex

"""Two more ways to typeset a tree as LaTeX, beside that of the documents, and what both languages
may write differently: nested products and sums, and where a sign stands.

The styles share no code with the printer of the package.
"""

from __future__ import annotations

from collections.abc import Callable

from verify.claims.language.tree import (
    Add,
    Call,
    Condition,
    Divide,
    Expectation,
    Multiply,
    Name,
    Negative,
    Node,
    Number,
    Power,
    Sum,
    show,
)

GREEK = {"lambda": r"\lambda", "beta": r"\beta", "pi": r"\pi", "delta": r"\delta"}
FUNCTIONS = {"exp": r"\exp", "log": r"\ln", "tanh": r"\tanh", "sigmoid": r"\sigma"}
Print = Callable[[Node], str]


def manuscript(node: Node) -> str:
    r"""Brackets that grow, ``\tfrac``, averages in angles, thin spaces, operators in words."""
    match node:
        case Number(value):
            return str(value)
        case Name():
            return name(node, separator=" ")
        case Add(terms):
            return signed(terms, manuscript, r"\left( {} \right)")
        case Negative(inside):
            return rf"-\left( {manuscript(inside)} \right)"
        case Multiply(factors):
            return r"\,".join(rf"\left( {manuscript(f)} \right)" for f in factors)
        case Divide(above, below):
            return rf"\tfrac{{{manuscript(above)}}}{{{manuscript(below)}}}"
        case Power(base, exponent):
            return rf"\left( {manuscript(base)} \right)^{{{manuscript(exponent)}}}"
        case Expectation(component, body):
            index = "" if component is None else f"_{component}"
            return rf"\left\langle {manuscript(body)} \right\rangle{index}"
        case Sum():
            return rf"\sum\nolimits{limits(node)} \left[ {manuscript(node.body)} \right]"
        case Call(Name("diff"), (f, *variables)):
            below = " ".join(rf"\partial {manuscript(x)}" for x in variables)
            order = f"^{len(variables)}" if len(variables) > 1 else ""
            return rf"\frac{{\partial{order}}}{{{below}}} \left( {manuscript(f)} \right)"
        case Call(Name(base), (x,)):
            if base == "sqrt":
                return rf"\sqrt {{{manuscript(x)}}}"
            head = FUNCTIONS.get(base, rf"\mathrm{{{base}}}")
            return rf"{head}\left\{{ {manuscript(x)} \right\}}"
    raise TypeError(type(node).__name__)


def inline(node: Node) -> str:
    r"""Slashes, ``\cdot``, indices with commas, plain and sized brackets, powers of e."""
    match node:
        case Number(value):
            return str(value)
        case Name():
            return name(node, separator=",")
        case Add(terms):
            return signed(terms, inline, "({})")
        case Negative(inside):
            return f"-({inline(inside)})"
        case Multiply(factors):
            return r" \cdot ".join(f"({inline(f)})" for f in factors)
        case Divide(above, below):
            return f"({inline(above)}) / ({inline(below)})"
        case Power(base, exponent):
            return rf"\big({inline(base)}\big)^{{{inline(exponent)}}}"
        case Expectation(component, body):
            index = "" if component is None else f"_{{{component}}}"
            return rf"\operatorname{{E}}{index}\Big[{inline(body)}\Big]"
        case Sum():
            return rf"\sum\limits{limits(node)} \{{{inline(node.body)}\}}"
        case Call(Name("diff"), (f, *variables)):
            marks = "".join(rf"\partial_{{{inline(x)}}}" for x in variables)
            return rf"{marks} ({inline(f)})"
        case Call(Name(base), (x,)):
            if base == "exp":
                return rf"\mathrm{{e}}^{{{inline(x)}}}"
            if base == "sqrt":
                return rf"\sqrt{{{inline(x)}}}"
            head = FUNCTIONS.get(base, rf"\operatorname{{{base}}}")
            return f"{head}({inline(x)})"
    raise TypeError(type(node).__name__)


def name(node: Name, separator: str) -> str:
    base, indices = node.base, node.indices
    if base == "c_delta":
        return r"c_{\delta}"
    if base == "Y":
        return rf"(e_{indices[0]}^\top Y)" if separator == " " else rf"(Y \cdot e_{indices[0]})"
    if base == "R":
        return rf"R_{{{separator.join(map(str, indices))}}}^{{\perp}}"
    text = GREEK.get(base, base)
    return f"{text}_{{{separator.join(map(str, indices))}}}" if indices else text


def limits(node: Sum) -> str:
    conditions = [rf"{c.left} \neq {c.right}" for c in node.conditions if isinstance(c, Condition)]
    return f"_{{{', '.join(conditions or node.indices)}}}"


def signed(terms: tuple[Node, ...], inner: Print, brackets: str) -> str:
    """Terms in brackets, with a minus in front of those that are negative."""
    text = ""
    for term in terms:
        negative = isinstance(term, Negative)
        sign = "-" if negative else "+" if text else ""
        inside = term.inside if isinstance(term, Negative) else term
        text += f" {sign} " + brackets.replace("{}", inner(inside))
    return text.strip()


def flattened(node: Node) -> Node:
    """Products of products, sums of sums and derivatives of derivatives as one, with one sign in
    front of a product.
    """
    match node:
        case Negative(inside):
            inside = flattened(inside)
            return inside.inside if isinstance(inside, Negative) else Negative(inside)
        case Add(terms):
            found: list[Node] = []
            for term in map(flattened, terms):
                found += term.terms if isinstance(term, Add) else [term]
            return Add(tuple(found))
        case Multiply(factors):
            found, negative = [], False
            for factor in map(flattened, factors):
                if isinstance(factor, Negative):
                    negative, factor = not negative, factor.inside
                found += factor.factors if isinstance(factor, Multiply) else [factor]
            product = Multiply(tuple(found))
            return Negative(product) if negative else product
        case Divide(above, below):
            return Divide(flattened(above), flattened(below))
        case Power(base, exponent):
            return Power(flattened(base), flattened(exponent))
        case Expectation(component, body):
            return Expectation(component, flattened(body))
        case Sum(indices, body, conditions):
            return Sum(indices, flattened(body), conditions)
        case Call(Name("diff"), (f, *variables)):
            f = flattened(f)
            if isinstance(f, Call) and f.name.base == "diff":
                f, *more = f.arguments
                variables += more
            return Call(Name("diff"), (f, *sorted(variables, key=show)))
        case Call(function, arguments):
            return Call(function, tuple(map(flattened, arguments)))
    return node

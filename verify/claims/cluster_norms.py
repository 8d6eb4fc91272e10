"""The norm of the units of a cluster, ``norm_l``: the sum of v_i^2 over the units that pick it."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from theory import InputError, Model
from theory.names import CLUSTERS
from verify.claims.language.tree import Add, Index, Name, Node, Number, Power, children
from verify.claims.repair.formula_edits import put

NORM = "norm"


def cluster_of(unit: int) -> int:
    """The cluster, from 0, that a unit picks at the fixed point that claims are about."""
    return unit % len(CLUSTERS)


def written_norms(tree: Node, bindings: Mapping[str, int], model: Model) -> Node:
    """The tree with every ``norm_l`` written out as a sum of squares of readout parameters.

    Raises
    ------
    theory.InputError
        The model has no readout, or no unit picks the cluster.

    Examples
    --------
    >>> from theory import xor
    >>> from verify.claims.language.text import parse_formula
    >>> from verify.claims.language.tree import show
    >>> show(written_norms(parse_formula("beta*norm_l"), {"l": 2}, xor(6)))
    'beta*(v_2^2 + v_6^2)'
    """
    if isinstance(tree, Name):
        is_norm = tree.base == NORM and len(tree.indices) == 1
        return _squares(tree.indices[0], bindings, model) if is_norm else tree
    for i, child in enumerate(children(tree)):
        tree = put(tree, (i,), written_norms(child, bindings, model))
    return tree


def _squares(index: Index, bindings: Mapping[str, int], model: Model) -> Node:
    cluster = index if isinstance(index, int) else bindings.get(index)
    if cluster is None:
        remedy = "write it with a number, or with an index of the quantity"
        raise InputError("claim", f"norm_{index}", "a cluster that is given", remedy)
    if not model.readout_size or not 1 <= cluster <= len(CLUSTERS):
        expected = f"a readout and a cluster 1..{len(CLUSTERS)}"
        raise InputError(
            "claim", f"norm_{cluster} of {model.name}", expected, "norms are those of xor"
        )
    units = [i for i in range(model.readout_size) if cluster_of(i) == cluster - 1]
    if not units:
        expected = f"one of the clusters 1..{min(model.readout_size, len(CLUSTERS))}"
        remedy = "no unit picks it: give the model more units, or number the clusters that are"
        raise InputError("claim", f"norm_{cluster} of {model.name}", expected, remedy)
    two = Number(Fraction(2))
    squares = tuple(Power(Name("v", (i + 1,)), two) for i in units)
    return squares[0] if len(squares) == 1 else Add(squares)

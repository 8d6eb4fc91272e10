"""Losses of outputs: logistic, softmax and square, each with the law of labels that it states."""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from theory import symbols
from theory.problem.softmax import LogSumExp
from theory.problem.softplus_sigmoid import Softplus

from .output_law import BERNOULLI, CATEGORICAL, NORMAL, Output

OUTPUTS = ("logistic", "softmax", "square")
_LAW_OF = {"logistic": BERNOULLI, "softmax": CATEGORICAL, "square": NORMAL}


def output_loss(output: str, f: Sequence[sp.Expr]) -> sp.Expr:
    """The loss as a function of the outputs and the label."""
    y = symbols.LABEL
    if output == "softmax":
        picked = sp.Add(*(sp.KroneckerDelta(y, c + 1) * f_c for c, f_c in enumerate(f)))
        return LogSumExp(*f) - picked
    return Softplus(f[0]) - y * f[0] if output == "logistic" else (f[0] - y) ** 2 / 2


def stated_output(output: str, values: Sequence[sp.Expr]) -> Output:
    """The outputs with their law."""
    f = symbols.vector("f", len(values))
    return Output(tuple(values), output_loss(output, f), _LAW_OF[output])

"""Losses and rules written as text, read by the grammar of claims."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sympy as sp

from theory import LogSumExp, ReLU, Sigmoid, Softmax, Softplus, Step, symbols
from theory.errors import InputError
from verify.claims.language import tree
from verify.settings.values import shown

from .reading import Reading, Vocabulary

# functions of a loss, with their least and most numbers of arguments
_MOST_ARGUMENTS = 64
FUNCTIONS: dict[str, tuple[Callable[..., sp.Expr], int, int]] = {
    **{
        name: (getattr(sp, name), 1, 1)
        for name in ("exp", "log", "sqrt", "sin", "cos", "tanh", "atan", "erf", "sign")
    },
    "abs": (sp.Abs, 1, 1),
    "min": (sp.Min, 2, _MOST_ARGUMENTS),
    "max": (sp.Max, 2, _MOST_ARGUMENTS),
    "relu": (ReLU, 1, 1),
    "step": (Step, 1, 1),
    "sigmoid": (Sigmoid, 1, 1),
    "softplus": (Softplus, 1, 1),
    "lse": (LogSumExp, 1, _MOST_ARGUMENTS),
    "softmax": (Softmax, 3, _MOST_ARGUMENTS),
    "delta": (sp.KroneckerDelta, 2, 2),
}
# as formulas print them
FUNCTIONS |= {"Sigmoid": FUNCTIONS["sigmoid"], "Softplus": FUNCTIONS["softplus"]}
# names with indices: how many, and the letter of the symbols
_INDEXED = {"u": (1, 2), "v": (1, 1), "t": (1, 1), "g": (0, 1), "Q": (2, 2), "m": (2, 2)}
# largest unit, direction, token
_LARGEST = 256
_VOCABULARY = Vocabulary(
    "an expression in y, u_a, v_i, t_s, xi, Q_a_b, m_a_s, pi, numbers and functions",
    FUNCTIONS,
    parts=2000,
    exponent=64,
    bits=1200,
)


def parse_loss(parameter: str, text: Any, letters: Mapping[str, sp.Symbol] | None = None) -> Any:
    """Read a loss or a rule, such as ``(u_1^2 - t_1^2)^2 / 8``.

    Parameters
    ----------
    parameter : str
        For messages.
    text : str
    letters : mapping of name to symbol, optional
        Free parameters that it may hold.

    Raises
    ------
    theory.InputError

    Examples
    --------
    >>> parse_loss("loss", "(u_1 - y)^2 / 2")
    (u_1 - y)**2/2
    >>> parse_loss("loss", "tan(u_1)")
    Traceback (most recent call last):
    ...
    theory.errors.InputError: loss: got 'tan(u_1)'; expected ... tan is not known here...
    """
    if not isinstance(text, str):
        raise InputError(parameter, shown(text), "a formula as text", 'write "(u_1 - y)^2 / 2"')

    def named(reading: Reading, name: tree.Name) -> sp.Expr | None:
        plain = {"y": symbols.LABEL, "xi": symbols.LABEL_NOISE} | dict(letters or {})
        if not name.indices and name.base in plain:
            return plain[name.base]
        if name.base in _INDEXED:
            return _with_indices(reading, name)
        if name.base in FUNCTIONS:
            return None
        raise reading.fail(f"{tree.show(name)} is not known here; declare free parameters")

    return Reading(_VOCABULARY, parameter, text, named).expression()


def _with_indices(reading: Reading, name: tree.Name) -> sp.Expr:
    """A symbol with indices, counted from 1."""
    base, indices = name.base, name.indices
    least, most = _INDEXED[base]
    numbers = [i for i in indices if isinstance(i, int) and 1 <= i <= _LARGEST]
    if len(numbers) != len(indices) or not least <= len(indices) <= most:
        example = "_1" * most
        remedy = f"{tree.show(name)}: write {base}{example}, indices counted from 1"
        raise reading.fail(remedy)
    if base == "g" and not numbers:
        return symbols.SLOPE
    if base == "Q":
        a, b = sorted(numbers)
        return symbols.symmetric("Q", b)[a - 1, b - 1]
    if base == "m":
        return symbols.rectangular("m", *numbers)[-1, -1]
    if len(numbers) == 2:
        unit, token = numbers
        return symbols.tokens(base, unit, max(token, 2))[unit - 1][token - 1]
    return symbols.vector(base, numbers[0])[-1]

"""Letters, names and bounds of the languages of claims."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import sympy as sp

from theory import Model, ReLU, Sigmoid, Softplus, Step, symbols
from theory.problem.softmax import LogSumExp

DIMENSION = sp.Symbol("d", positive=True)

# letters and what they count; the conventions of docs/conventions.md
UNITS, DIRECTIONS, COMPONENTS, PARAMETERS = "abcdef", "st", "l", "ij"
BANDS, TOKENS = symbols.BANDS, symbols.TOKENS

FUNCTIONS: dict[str, Any] = {
    "exp": sp.exp,
    "log": sp.log,
    "ln": sp.log,
    "sqrt": sp.sqrt,
    "sin": sp.sin,
    "cos": sp.cos,
    "tan": sp.tan,
    "asin": sp.asin,
    "acos": sp.acos,
    "atan": sp.atan,
    "tanh": sp.tanh,
    "sinh": sp.sinh,
    "cosh": sp.cosh,
    "sech": lambda x: 1 / sp.cosh(x),
    "erf": sp.erf,
    "erfc": lambda x: 1 - sp.erf(x),
    "Phi": lambda x: (1 + sp.erf(x / sp.sqrt(2))) / 2,
    "relu": ReLU,
    "ReLU": ReLU,
    "step": Step,
    "Step": Step,
    "Sigmoid": Sigmoid,
    "sigmoid": Sigmoid,
    "sigma": Sigmoid,
    "Softplus": Softplus,
    "softplus": Softplus,
    "dirac": sp.DiracDelta,
    "DiracDelta": sp.DiracDelta,
    "lse": LogSumExp,
    "LogSumExp": LogSumExp,
}

# functions whose arguments are indices or variables
SPECIAL = ("diff", "softmax", "KroneckerDelta", "g", "dg")

# name -> number of indices, for messages and suggestions
SHAPES = {
    "lambda": "",
    "beta": "",
    "c_delta": "",
    "y": "",
    "m": "a_s",
    "R": "a_b",
    "Q": "a_b",
    "P": "a_b",
    "Gamma": "s_t",
    "S": "l_s",
    "p": "l",
    "v": "i",
    "u": "a",
    "t": "s",
    "xi": "",
    "w": "a",
    "Y": "s",
    "zeta": "b",
    "kappa": "a_b",
    "eta": "a_s",
    "g": "a",
    "H": "a_b",
    "pi": "a",
    "ell": "",
    "f": "",
    "delta": "a_b",
    "s": "l",
    "rho": "g",
    "sigma": "l_g",
    "k": "",
    "K": "",
    "r": "",
    "n": "",
    "q": "",
    "d": "",
}

# where the noise has bands, and where a sample has several tokens, some have more
BAND_SHAPES = {
    "m": "g_a_s",
    "R": "g_a_b",
    "Q": "g_a_b",
    "Gamma": "g_s_t",
    "Y": "g_s",
    "zeta": "g_b",
    "corrector": "g_a_b",
}
# the inverse of lambda times the covariance of u, in every component its own
SCALED_SHAPES = {"P": "l_a_b"}
TOKEN_SHAPES = {
    "u": "a_p",
    "w": "a_p",
    "S": "l_p_s",
    "Y": "p_s",
    "zeta": "p_b",
    "g": "a_p",
    "H": "a_p_b_q",
}

# seen only by a sample
RANDOM = ("u", "t", "xi", "w", "Y", "zeta", "kappa", "eta", "g", "H", "pi", "ell", "f", "y")

MAX_EXPONENT = 64

LETTERS = (
    "a, b, c, ... for units, s, t for directions, l for components, i, j for readout parameters,"
    " g, h for bands, p, q for tokens"
)


def shape_of(base: str, model: Model) -> str:
    """The indices of a name in a model, joined by underscores."""
    if model.tokens > 1 and base in TOKEN_SHAPES:
        return TOKEN_SHAPES[base]
    if model.bands > 1 and base in BAND_SHAPES:
        return BAND_SHAPES[base]
    if model.symbols.own_laws not in (None, 1) and base in SCALED_SHAPES:
        return SCALED_SHAPES[base]
    return SHAPES.get(base, "")


@dataclass(frozen=True)
class Scope:
    """Where a part of a formula stands: values of its indices; whether a sample is at hand."""

    bindings: Mapping[str, int] = field(default_factory=dict)
    inside: bool = False

    def bind(self, letters: Sequence[str], values: Sequence[int]) -> Scope:
        return replace(self, bindings={**self.bindings, **dict(zip(letters, values, strict=True))})

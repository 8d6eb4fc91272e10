"""What a claim is about: a named entry of a derived object, or any expression of the language."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import sympy as sp

from theory import (
    BlockMatrix,
    InputError,
    Model,
    PopulationGradient,
    derive_diffusion,
    derive_drift,
    derive_finite_size,
    derive_gradient,
    derive_gradient_matrix,
    derive_hessian,
)
from theory.expectations.moments import default_route
from theory.names import DISTRIBUTIONAL
from verify.claims.language.conventions import DIMENSION
from verify.claims.language.tree import Index, Node, free_letters, show
from verify.claims.language.vocabulary import Vocabulary

DRIFT, STEP, GRADIENT, HESSIAN = "drift", "step", "gradient", "hessian"
GRADIENT_MATRIX, DIFFUSION, EXPRESSION = "gradient-matrix", "diffusion", "expression"
FIXED_POINT, EIGENVALUE = "fixed-point", "eigenvalue"
# kind -> an example of an entry
KINDS = {
    DRIFT: "m_a_s, R_a_b, v_i or corrector_a_b",
    STEP: "m_a_s, R_a_b or v_i",
    GRADIENT: "g_a[e_s], g_a[x_b] or g_v_i",
    HESSIAN: "H_a_b[e_s,x_c], H_a_b[bulk], H_a_v_i[e_s] or H_v_i_v_j",
    GRADIENT_MATRIX: "G_a_b[e_s,x_c], G_a_b[bulk], G_a_v_i[e_s] or G_v_i_v_j",
    DIFFUSION: "Cov[m_a_s,R_a_b]",
    FIXED_POINT: "m_a_s, v_i, or any expression in them and in the gaps s_l",
    EIGENVALUE: "H_a_b[1] or H_v[1]",
}
# a part of an entry: a letter and its indices (0-based numbers once a letter has a value)
Part = tuple[str, tuple[Index, ...]]


@dataclass(frozen=True)
class Target:
    """One entry: its kind, and names with 0-based positions.

    ``parts`` is ``(("m", (0, 1)),)`` for the drift of m_1_2 and ``(("H", (0, 1)), ("e", (0,)),
    ("x", (1,)))`` for H_1_2[e_1,x_2].
    """

    kind: str
    parts: tuple[tuple[str, tuple[int | str, ...]], ...]
    regularized: bool = False
    kink_rule: str = DISTRIBUTIONAL


@dataclass(frozen=True)
class Quantity:
    """What a claim is about.

    Attributes
    ----------
    kind : str
        One of KINDS, or ``"expression"``.
    entry : str
        The entry as written, or the expression.
    parts : tuple
        Of a named entry.
    left : Node, optional
        Of an expression.
    sample : bool
        The expression is about one sample, outside of any expectation.
    regularized : bool
        The ridge is included (Hessian and gradient matrix).
    kink_rule : str
        What second derivatives keep of a kink.
    """

    kind: str
    entry: str
    parts: tuple[Part, ...] = ()
    left: Node | None = None
    sample: bool = False
    regularized: bool = False
    kink_rule: str = DISTRIBUTIONAL

    @property
    def letters(self) -> tuple[str, ...]:
        """The indices that the quantity leaves open: the claim is about all of their values."""
        if self.left is not None:
            return tuple(dict.fromkeys(letter for letter, _ in free_letters(self.left)))
        found = [
            i
            for _, indices in self.parts
            for i in indices
            if isinstance(i, str) and i not in ("v", "bulk")
        ]
        return tuple(dict.fromkeys(found))

    def instances(self, model: Model) -> Iterator[dict[str, int]]:
        """Every choice of values (from 1) of the open indices."""
        sizes = []
        for letter in self.letters:
            size = Vocabulary(model).size_of(letter)
            if size is None:
                raise InputError(
                    "quantity",
                    f"the index {letter!r} in {self.entry!r}",
                    "a, b, c, ... for units, s, t for directions, l for components, i, j for"
                    " readout parameters",
                    "use a letter of the conventions",
                )
            sizes.append(range(1, size + 1))
        for values in product(*sizes):
            yield dict(zip(self.letters, values, strict=True))

    def target(self, model: Model, bindings: Mapping[str, int]) -> Target:
        """The entry at given values of the indices; ranges are checked."""
        parts = []
        for base, indices in self.parts:
            found: list[int | str] = []
            second = False
            for index in indices:
                if index in ("v", "bulk"):
                    found.append(str(index))
                    second = index == "v"
                    continue
                value = bindings[index] if isinstance(index, str) else index
                size, what = _range(base, len(found), second, model)
                if not 1 <= value <= size:
                    got = f"{self.entry!r} with the {what} {value}"
                    expected = f"1..{size} for {model.name}"
                    remedy = "count from 1, and check the size of the model"
                    raise InputError("quantity", got, expected, remedy)
                found.append(value - 1)
                second = False
            parts.append((base, tuple(found)))
        return Target(self.kind, tuple(parts), self.regularized, self.kink_rule)

    def name(self, bindings: Mapping[str, int]) -> str:
        """The entry with numbers for its indices."""
        if self.left is not None:
            at = ", ".join(f"{k}={v}" for k, v in bindings.items())
            return f"{show(self.left)}" + (f" at {at}" if at else "")
        texts = [
            "_".join(
                ["" if b == "number" else b, *(str(bindings.get(str(i), i)) for i in ix)]
            ).lstrip("_")
            for b, ix in self.parts
        ]
        if self.kind == DIFFUSION:
            texts = ["Cov", *texts]
        head, *rest = texts
        return head + (f"[{','.join(rest)}]" if rest else "")


def _range(base: str, position: int, second: bool, model: Model) -> tuple[int, str]:
    if base == "number":
        return max(model.directions, model.readout_size), "eigenvalue"
    if second or base == "v":
        return model.readout_size, "readout parameter"
    if base == "e" or (base == "m" and position == 1):
        return model.directions, "direction"
    return model.units, "unit"


# --- what the engine derives ----------------------------------------------------------------------


@lru_cache(maxsize=16)
def _gradient(model: Model) -> PopulationGradient:
    return derive_gradient(model, default_route(model, curvatures=False))


def block_matrix(
    model: Model, kind: str, regularized: bool, kink_rule: str = DISTRIBUTIONAL
) -> BlockMatrix:
    """The engine's Hessian or gradient matrix."""
    if kind == HESSIAN:
        return derive_hessian(model, regularized=regularized, kink_rule=kink_rule)
    return derive_gradient_matrix(model, regularized=regularized)


def derived(model: Model, target: Target) -> sp.Expr:
    """The engine's expression for an entry."""
    kind, parts = target.kind, target.parts
    base, at = parts[0]
    if kind in (DRIFT, STEP):
        drift = derive_drift(model)
        if base == "corrector":
            return drift.corrector[at]
        if base == "m":
            return drift.overlap[at]
        if base == "v":
            return drift.readout[at[0], 0]
        limit = drift.gram_perp[at] + drift.corrector[at]
        return (
            limit if kind == DRIFT else limit + derive_finite_size(model).gram_perp[at] / DIMENSION
        )
    if kind == DIFFUSION:
        covariance = derive_diffusion(model).covariance
        return covariance[tuple(state_position(model, part) for part in parts)]
    if kind == GRADIENT:
        gradient = _gradient(model)
        if at[0] == "v":
            return gradient.readout[at[1], 0]
        return gradient.first_layer[at[0], basis_position(model, parts[1])]
    blocks = block_matrix(model, kind, target.regularized, target.kink_rule)
    units = [int(i) for i in at if i != "v"]
    if at.count("v") == 2:
        return blocks.readout[tuple(units)]
    if at.count("v") == 1:
        a, i = units if at[0] != "v" else reversed(units)
        return blocks.mixed[a * model.readout_size + i, basis_position(model, parts[1])]
    block = blocks.block(*units)
    if parts[1][0] == "bulk":
        return block.bulk
    return block.coefficients[tuple(basis_position(model, part) for part in parts[1:])]


def basis_position(model: Model, part: tuple[str, tuple[int | str, ...]]) -> int:
    """Position in V = [e_1..e_r, x^1..x^C]."""
    return int(part[1][0]) + (model.directions if part[0] == "x" else 0)


def state_position(model: Model, part: tuple[str, tuple[int | str, ...]]) -> int:
    """Position in the state vector."""
    s, (base, at) = model.symbols, part
    symbol = (
        s.readout[int(at[0])] if base == "v" else (s.overlap if base == "m" else s.gram_perp)[at]
    )
    return s.state.index(symbol)

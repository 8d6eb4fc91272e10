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
from verify.claims.language.conventions import (
    BANDS,
    DIMENSION,
    DIRECTIONS,
    LETTERS,
    PARAMETERS,
    UNITS,
    shape_of,
)
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
# with bands a first index says which: m_g_a_s, R_g_a_b, corrector_g_a_b, H_a_b[e_g_s,x_h_c] and
# H_a_b[bulk_g]
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
        found = [i for _, indices in self.parts for i in indices if isinstance(i, str) and i != "v"]
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
                    LETTERS,
                    "use a letter of the conventions",
                )
            sizes.append(range(1, size + 1))
        for values in product(*sizes):
            yield dict(zip(self.letters, values, strict=True))

    def target(self, model: Model, bindings: Mapping[str, int]) -> Target:
        """The entry at given values of the indices; their number and ranges are checked."""
        parts = []
        for base, indices in self.parts:
            found: list[int | str] = []
            places = _places(base, indices, model)
            if places is None:
                written = "_".join([base, *map(str, indices)])
                got = f"{written!r} of {self.entry!r}, with {len(indices)} indices"
                expected = f"{base}_{_shape(base, model)} for {model.name}"
                remedy = "with bands the first index is that of a band"
                raise InputError("quantity", got, expected, remedy)
            for index, (size, what) in zip(indices, places, strict=True):
                if not size:  # a mark
                    found.append(str(index))
                    continue
                value = bindings[index] if isinstance(index, str) else index
                if not 1 <= value <= size:
                    got = f"{self.entry!r} with the {what} {value}"
                    expected = f"1..{size} for {model.name}"
                    remedy = "count from 1, and check the size of the model"
                    raise InputError("quantity", got, expected, remedy)
                found.append(value - 1)
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


# of a vector in brackets with bands, and of what lies off all of them
_BAND_VECTORS = {"e": "g_s", "x": "g_c", "bulk": "g"}
_VECTORS = {"e": "s", "x": "c", "bulk": "", "corrector": "a_b"}


def _shape(base: str, model: Model) -> str:
    vectors = _BAND_VECTORS if model.bands > 1 else _VECTORS
    return vectors.get(base, shape_of(base, model))


def _places(base: str, indices: tuple[Index, ...], model: Model) -> list[tuple[int, str]] | None:
    """How many values each index has, and what they are called; 0 for the mark v.

    None where a name has another number of indices in the model.
    """
    if base == "number":
        return [(max(model.directions, model.readout_size), "eigenvalue")] * len(indices)
    found: list[tuple[int, str]] = []
    if base in ("H", "G", "g"):
        for i, index in enumerate(indices):
            after_mark = i > 0 and indices[i - 1] == "v" and not (i > 1 and indices[i - 2] == "v")
            if index == "v" and not after_mark:
                found.append((0, ""))
            elif after_mark:
                found.append((model.readout_size, "readout parameter"))
            else:
                found.append((model.units, "unit"))
        return found
    letters = [x for x in _shape(base, model).split("_") if x]
    sizes = {
        UNITS: (model.units, "unit"),
        DIRECTIONS: (model.directions, "direction"),
        PARAMETERS: (model.readout_size, "readout parameter"),
        BANDS: (model.bands, "band"),
    }
    if len(letters) != len(indices):
        return None
    return [next(size for group, size in sizes.items() if x in group) for x in letters]


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
        if base == "v":
            return drift.readout[at[0], 0]
        at = row_and_column(model, at)
        if base == "corrector":
            return drift.corrector[at]
        if base == "m":
            return drift.overlap[at]
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
        return block.bulk[parts[1][1][0], 0] if model.bands > 1 else block.bulk
    return block.coefficients[tuple(basis_position(model, part) for part in parts[1:])]


def basis_position(model: Model, part: tuple[str, tuple[int | str, ...]]) -> int:
    """Position in V = [e_1..e_r, x^1..x^C]; with bands in [P_1 e_1..P_B e_r, P_1 x^1..P_B x^C]."""
    base, (*band, at) = part
    size = model.units if base == "x" else model.directions
    first = model.bands * model.directions if base == "x" else 0
    return first + (int(band[0]) * size if band else 0) + int(at)


def row_and_column(model: Model, at: tuple[int | str, ...]) -> tuple[int, int]:
    """Where an entry of m, R or the corrector is: bands stand one below the other."""
    *band, row, column = map(int, at)
    return (band[0] * model.units if band else 0) + row, column


def state_position(model: Model, part: tuple[str, tuple[int | str, ...]]) -> int:
    """Position in the state vector."""
    s, (base, at) = model.symbols, part
    if base == "v":
        return s.state.index(s.readout[int(at[0])])
    matrix = s.overlap if base == "m" else s.gram_perp
    return s.state.index(matrix[row_and_column(model, at)])

"""What a claim is about: a named entry of a derived object, or any expression of the language."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import sympy as sp

from theory import (
    BlockMatrix,
    Diffusion,
    Drift,
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
from theory.errors import check_choice
from theory.kinks import DISTRIBUTIONAL, check_kink_rule
from theory.moments import default_route

from .claim_language import parse_formula, split_name
from .claim_meaning import DIMENSION, Vocabulary
from .claim_tree import Index, Node, free_letters, show

DRIFT, STEP, GRADIENT, HESSIAN = "drift", "step", "gradient", "hessian"
GRADIENT_MATRIX, DIFFUSION, EXPRESSION = "gradient-matrix", "diffusion", "expression"
FIXED_POINT, EIGENVALUE = "fixed-point", "eigenvalue"
# kind -> an example of an entry
KINDS = {
    DRIFT: "m_a_s, R_a_b, v_i or corrector_a_b", STEP: "m_a_s, R_a_b or v_i", GRADIENT: "g_a[e_s], g_a[x_b] or g_v_i",
    HESSIAN: "H_a_b[e_s,x_c], H_a_b[bulk], H_a_v_i[e_s] or H_v_i_v_j",
    GRADIENT_MATRIX: "G_a_b[e_s,x_c], G_a_b[bulk], G_a_v_i[e_s] or G_v_i_v_j", DIFFUSION: "Cov[m_a_s,R_a_b]",
    FIXED_POINT: "m_a_s, v_i, or any expression in them and in the gaps s_l", EIGENVALUE: "H_a_b[1] or H_v[1]",
}
_STARTS = {"H": HESSIAN, "G": GRADIENT_MATRIX, "Cov": DIFFUSION, "corrector": DRIFT}
# a part of an entry: a letter and its indices (0-based numbers once a letter has a value)
Part = tuple[str, tuple[Index, ...]]


@dataclass(frozen=True)
class Target:
    """One entry: its kind, and names with 0-based positions.

    ``parts`` is ``(("m", (0, 1)),)`` for the drift of m_1_2 and ``(("H", (0, 1)), ("e", (0,)), ("x", (1,)))`` for
    H_1_2[e_1,x_2].
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
        found = [i for _, indices in self.parts for i in indices if isinstance(i, str) and i not in ("v", "bulk")]
        return tuple(dict.fromkeys(found))

    def instances(self, model: Model) -> Iterator[dict[str, int]]:
        """Every choice of values (from 1) of the open indices."""
        sizes = []
        for letter in self.letters:
            size = Vocabulary(model).size_of(letter)
            if size is None:
                raise InputError(
                    "quantity", f"the index {letter!r} in {self.entry!r}",
                    "a, b, c, ... for units, s, t for directions, l for components, i, j for readout parameters",
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
                    raise InputError(
                        "quantity", f"{self.entry!r} with the {what} {value}", f"1..{size} for {model.name}",
                        "count from 1, and check the size of the model",
                    )
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
            "_".join(["" if b == "number" else b, *(str(bindings.get(str(i), i)) for i in ix)]).lstrip("_")
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


def parse_quantity(
    text: str, *, regularized: bool | None = None, kink_rule: str | None = None, sample: bool | None = None
) -> Quantity:
    """Read ``drift m_a_s``, ``H_1_2[e_1,x_2]``, ``corrector_a_b``, ``Cov[m_1_1,R_1_1]``, or an expression.

    Raises
    ------
    theory.InputError
        An unknown kind, an entry that the kind does not have, or an expression that cannot be read.

    Examples
    --------
    >>> parse_quantity("drift m_a_s").letters, parse_quantity("H_1_2[e_1,x_c]").parts
    (('a', 's'), (('H', (1, 2)), ('e', (1,)), ('x', ('c',))))
    """
    text, rule = text.strip(), check_kink_rule(kink_rule or DISTRIBUTIONAL)
    word, _, rest = text.partition(" ")
    start = re.match(r"[A-Za-z]+", text)
    if word in KINDS:
        kind, entry = word, rest.strip()
    elif start and start.group() in _STARTS and re.fullmatch(r"\w+(\[[^\]]*\])?", re.sub(r"\s", "", text)):
        kind, entry = _STARTS[start.group()], text
    elif re.fullmatch(r"[\w-]+", word) and rest and re.match(r"\w", rest):
        check_choice("quantity", word, KINDS, kind="quantity")
    else:
        left = parse_formula(text)
        outside = _looks_at_samples(left) if sample is None else sample
        return Quantity(EXPRESSION, text, left=left, sample=outside, kink_rule=rule)
    if kind == FIXED_POINT:
        return Quantity(kind, entry, left=parse_formula(entry), kink_rule=rule)
    own = kind == HESSIAN if regularized is None else regularized
    return Quantity(kind, entry, _parts(kind, entry), regularized=own, kink_rule=rule)


def _looks_at_samples(left: Node) -> bool:
    return "E" not in re.findall(r"\bE(?=[_\[])", show(left))


def _parts(kind: str, entry: str) -> tuple[Part, ...]:
    match = re.fullmatch(r"([A-Za-z]\w*)(?:\[([^\[\]]*)\])?", re.sub(r"\s", "", entry))
    wrong = InputError("quantity", f"the entry {entry!r} of {kind}", KINDS[kind], "see docs/conventions.md")
    if match is None:
        raise wrong
    head = split_name(match[1])
    inner = [split_name(part) for part in match[2].split(",")] if match[2] else []
    if kind == DIFFUSION:
        if head != ("Cov", ()) or len(inner) != 2 or any(_shape(p) not in ("m2", "R2", "v1") for p in inner):
            raise wrong
        return tuple(inner)
    if kind in (DRIFT, STEP):
        allowed = ("m2", "R2", "v1") + (("corrector2",) if kind == DRIFT else ())
        if inner or _shape(head) not in allowed:
            close = difflib.get_close_matches(head[0], ["m", "R", "v", "corrector"], n=1, cutoff=0.5)
            wrong.remedy = f"did you mean {close[0]}" if close else wrong.remedy
            raise InputError("quantity", f"the entry {entry!r} of {kind}", KINDS[kind], wrong.remedy)
        return (head,)
    if kind == EIGENVALUE:
        number = inner[0][0] if len(inner) == 1 and not inner[0][1] else ""
        units = tuple(i for i in head[1] if i != "v")
        if head[0] != "H" or not number.isdigit() or len(units) not in (0, 2) or (not units and head[1] != ("v",)):
            raise wrong
        return head, ("number", (int(number),))
    letter = {HESSIAN: "H", GRADIENT_MATRIX: "G", GRADIENT: "g"}[kind]
    base, indices = head
    layers = tuple(i for i in indices if i != "v")
    second = indices.count("v")
    wanted = (1 if kind == GRADIENT else 2)
    places = 0 if second == wanted else (1 if second == 1 or kind == GRADIENT else 2)
    bulk = inner == [("bulk", ())]
    if base != letter or len(layers) != wanted or (indices and indices[-1] == "v"):
        raise wrong
    if bulk and places == 2:
        return head, ("bulk", ())
    if len(inner) != places or any(_shape(p) not in ("e1", "x1") for p in inner):
        raise wrong
    return head, *inner


def _shape(part: Part) -> str:
    return f"{part[0]}{len(part[1])}"


# --- what the engine derives -----------------------------------------------------------------------------------


@lru_cache(maxsize=16)
def _drift(model: Model) -> Drift:
    return derive_drift(model)


@lru_cache(maxsize=16)
def _diffusion(model: Model) -> Diffusion:
    return derive_diffusion(model)


@lru_cache(maxsize=16)
def _gradient(model: Model) -> PopulationGradient:
    return derive_gradient(model, default_route(model, curvatures=False))


@lru_cache(maxsize=32)
def _blocks(model: Model, kind: str, regularized: bool, kink_rule: str) -> BlockMatrix:
    if kind == HESSIAN:
        return derive_hessian(model, regularized=regularized, kink_rule=kink_rule)
    return derive_gradient_matrix(model, regularized=regularized)


def block_matrix(model: Model, kind: str, regularized: bool, kink_rule: str = DISTRIBUTIONAL) -> BlockMatrix:
    """The engine's Hessian or gradient matrix, derived once."""
    return _blocks(model, kind, regularized, kink_rule)


def derived(model: Model, target: Target) -> sp.Expr:
    """The engine's expression for an entry."""
    kind, parts = target.kind, target.parts
    base, at = parts[0]
    if kind in (DRIFT, STEP):
        drift = _drift(model)
        if base == "corrector":
            return drift.corrector[at]
        if base == "m":
            return drift.overlap[at]
        if base == "v":
            return drift.readout[at[0], 0]
        limit = drift.gram_perp[at] + drift.corrector[at]
        return limit if kind == DRIFT else limit + derive_finite_size(model).gram_perp[at] / DIMENSION
    if kind == DIFFUSION:
        covariance = _diffusion(model).covariance
        return covariance[tuple(state_position(model, part) for part in parts)]
    if kind == GRADIENT:
        gradient = _gradient(model)
        if at[0] == "v":
            return gradient.readout[at[1], 0]
        return gradient.first_layer[at[0], basis_position(model, parts[1])]
    blocks = _blocks(model, kind, target.regularized, target.kink_rule)
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
    symbol = s.readout[int(at[0])] if base == "v" else (s.overlap if base == "m" else s.gram_perp)[at]
    return s.state.index(symbol)

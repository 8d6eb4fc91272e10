"""The models that the command knows: one table, in which everything that differs between them
stands.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from theory.errors import InputError
from theory.names import CLUSTERS, COORDINATES, LABELS
from verify.printing.note import Note

if TYPE_CHECKING:
    from theory import Model

Rows = list[list[Fraction]]


@dataclass(frozen=True)
class Start:
    """An initial state in exact numbers: overlap C x r, R_perp = ``perpendicular`` times the
    identity, readout.
    """

    overlap: Rows
    perpendicular: Fraction
    readout: list[Fraction]


@dataclass(frozen=True)
class Shape:
    """Sizes of a model, known before it is built: the derivatives of a large one take minutes."""

    name: str
    units: int
    directions: int
    readout_size: int
    bands: int = 1


@dataclass(frozen=True)
class ModelKind:
    """A model of the command, and what is taken where nothing is said.

    Attributes
    ----------
    build : callable
        Takes the size, and by keyword the numbers and the other ``options``.
    description : str
    size : str
        Name of the option for the size.
    meaning : str
        What the size is.
    default, least, most : int
        Sizes.
    components, directions : callable, size -> int
        Numbers of mixture components and of directions.
    component : str
        What a component is called.
    start : callable, size -> Start
        The default initial state.
    precision, ridge, step, time : Fraction
        Defaults; component weights are equal and directions orthonormal.
    options : tuple of str
        Further options that only this model has.
    direction_names : tuple of str
        Names of the directions, where they have any; else directions are means 1, 2, ...
    clusters : tuple of str
        Names that units are assigned to at a fixed point, where there is one for each assignment.
    notation : Note, optional
        What a reader of formulas has to know.
    """

    build: Callable[..., Model]
    description: str
    size: str
    meaning: str
    default: int
    least: int
    most: int
    components: Callable[[int], int]
    directions: Callable[[int], int]
    component: str
    start: Callable[[int], Start]
    precision: Fraction
    ridge: Fraction
    step: Fraction
    time: Fraction
    options: tuple[str, ...] = ()
    direction_names: tuple[str, ...] = ()
    clusters: tuple[str, ...] = ()
    notation: Note | None = None

    def check_size(self, given: int | None) -> int:
        """The size, refused below the least."""
        if given is None:
            return self.default
        if given < self.least:
            raise InputError(
                self.size,
                given,
                f"an integer >= {self.least}, {self.meaning}",
                f"leave it away for {self.default}",
            )
        return given

    def shape(self, name: str, size: int) -> Shape:
        """Sizes of the model of this size."""
        start = self.start(size)
        units, readout = len(start.overlap), len(start.readout)
        return Shape(f"{name}{size}", units, self.directions(size), readout)

    def unit_clusters(self, size: int) -> list[str]:
        """The default assignment: clusters in turn."""
        return [self.clusters[i % len(self.clusters)] for i in range(size)]


def _kgmm(*size: int, **numbers: Any) -> Model:
    from theory import kgmm

    return kgmm(*size, **numbers)


def _xor(*size: int, **numbers: Any) -> Model:
    from theory import xor

    return xor(*size, **numbers)


def _random_start(k: int) -> Start:
    """What x^a ~ N(0, I/d) tends to."""
    return Start([[Fraction(0)] * k for _ in range(k)], Fraction(1), [])


def _leaning_start(width: int) -> Start:
    """Every unit leans a little towards the cluster that it is to pick, in turn: 0 is a saddle."""
    picked = [i % len(COORDINATES) for i in range(width)]
    return Start(
        [[Fraction(s, 10) for s in COORDINATES[l]] for l in picked],
        Fraction(1, 4),
        [Fraction(1 if LABELS[l] else -1, 2) for l in picked],
    )


MODELS = {
    "kgmm": ModelKind(
        build=_kgmm,
        description="a k-class Gaussian mixture under softmax regression",
        size="k",
        meaning="the number of classes",
        default=3,
        least=2,
        most=24,
        components=lambda k: k,
        directions=lambda k: k,
        component="class",
        start=_random_start,
        precision=Fraction(10),
        ridge=Fraction(1, 10),
        step=Fraction(1),
        time=Fraction(16),
    ),
    "xor": ModelKind(
        build=_xor,
        description="the XOR mixture of four clusters under a two-layer network",
        size="width",
        meaning="the number K of hidden units",
        default=4,
        least=1,
        most=64,
        components=lambda _: len(COORDINATES),
        directions=lambda _: 2,
        component="cluster",
        start=_leaning_start,
        precision=Fraction(100),
        ridge=Fraction(1, 20),
        step=Fraction(1),
        time=Fraction(30),
        options=("activation",),
        direction_names=("μ", "ν"),
        clusters=CLUSTERS,
        notation=Note(
            "Clusters 1..4 are mu, -mu (label 1) and nu, -nu (label 0), with e_1 = mu and e_2 = nu;"
            " x^a is the weight vector W_a of hidden unit a.",
            r"Clusters $1..4$ are $\mu, -\mu$ (label 1) and $\nu, -\nu$ (label 0), with "
            r"$e_1 = \mu$ and $e_2 = \nu$; $x^a$ is the weight vector $W_a$ of hidden unit $a$.",
        ),
    ),
}
DEFAULT_MODEL = "kgmm"

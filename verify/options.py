"""The options that several commands share, and their way into a :class:`verify.configuration.Configuration`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from .configuration import Configuration, read_configuration
from .console import spinner
from .values import Number, check_choice, parse_integer, parse_list, parse_number, parse_rows

if TYPE_CHECKING:
    from numerics import Parameters, State
    from theory import Model

# exit codes; 0 is success
NOT_WELL, BAD_INPUT, INTERRUPTED = 1, 2, 130
DATA_SUFFIXES = (".nc",)
PLOT_SUFFIXES = (".png", ".svg", ".pdf")


class Quantity(StrEnum):
    """What ``derive`` can derive."""

    drift = "drift"
    gradient = "gradient"
    hessian = "hessian"
    gradient_matrix = "gradient-matrix"
    diffusion = "diffusion"
    fixed_point = "fixed-point"


class Route(StrEnum):
    """How Gaussian moments are evaluated."""

    stein = "stein"
    projection = "projection"


class Format(StrEnum):
    """How formulas are written."""

    text = "text"
    latex = "latex"
    pretty = "pretty"


class Matrix(StrEnum):
    """Matrices with a spectrum."""

    hessian = "hessian"
    gradient = "gradient"


class VerifyLevel(StrEnum):
    """How much work ``verify`` does."""

    quick = "quick"
    full = "full"


C = TypeVar("C", bound=StrEnum)


def chosen(option: str, text: str, choices: type[C]) -> C:
    """The member of ``choices`` with this name, or an error that names the nearest."""
    return choices(check_choice(option, text, [c.value for c in choices], kind="value"))


def metavar(choices: type[StrEnum]) -> str:
    """The choices as a help text shows them."""
    return "|".join(c.value for c in choices)


_MODEL, _INITIAL, _RUN, _OUTPUT = "Model and numbers", "Initial state", "Run", "Output"


def _option(*names: str, panel: str, help: str, metavar: str | None = None) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=panel, metavar=metavar, show_default=False)


ModelName = Annotated[
    str | None,
    typer.Argument(
        metavar="MODEL", show_default=False,
        help="kgmm, a k-class Gaussian mixture under softmax regression (default), or xor, a two-layer network on the"
        " XOR mixture.",
    ),
]
Config = Annotated[
    Path | None,
    _option(
        "--config", panel=_MODEL, metavar="FILE.toml",
        help="Read model, numbers, initial state and run from a TOML file (see examples/); options override it.",
    ),
]
Classes = Annotated[
    str | None, _option("--k", panel=_MODEL, metavar="INT", help="kgmm: number of classes, at least 2 (default 3).")
]
Width = Annotated[
    str | None,
    _option("--width", panel=_MODEL, metavar="INT", help="xor: number of hidden units, at least 1 (default 4)."),
]
ActivationName = Annotated[
    str | None,
    _option(
        "--activation", panel=_MODEL, metavar="NAME",
        help="xor: relu (default), leaky_relu, softplus, sigmoid, tanh or erf.",
    ),
]
Weights = Annotated[
    str | None,
    _option(
        "--weights", panel=_MODEL, metavar="P1,P2,...",
        help="Weights of the components, positive with sum 1, such as 0.5,0.3,0.2 or 1/3,1/3,1/3 (default: equal).",
    ),
]
Precision = Annotated[
    str | None,
    _option(
        "--precision", panel=_MODEL, metavar="NUMBER",
        help="lambda > 0, the inverse variance of the noise in a feature (default 10; xor: 100).",
    ),
]
Ridge = Annotated[
    str | None,
    _option("--ridge", panel=_MODEL, metavar="NUMBER", help="beta >= 0, the weight decay (default 0.1; xor: 0.05)."),
]
Step = Annotated[
    str | None,
    _option(
        "--step", panel=_MODEL, metavar="NUMBER",
        help="c_delta > 0: step size times dimension (default 1).",
    ),
]
DirectionsGram = Annotated[
    str | None,
    _option(
        "--directions-gram", panel=_MODEL, metavar="ROWS",
        help="Inner products of the class means: 'orthonormal' (default) or rows such as '1,0.4;0.4,1'.",
    ),
]
Overlap = Annotated[
    str | None,
    _option(
        "--overlap", panel=_INITIAL, metavar="ROWS",
        help="Inner products of weights (rows) and means (columns), such as '0.1,0;0,0.1' (default 0; xor: unit i"
        " leans 0.1 towards cluster i mod 4 of mu, -mu, nu, -nu).",
    ),
]
GramPerp = Annotated[
    str | None,
    _option(
        "--gram-perp", panel=_INITIAL, metavar="ROWS",
        help="Gram matrix of the weights' parts orthogonal to all means: 'identity' (default) or rows. The defaults"
        " are what a random start of length 1 tends to in high dimension.",
    ),
]
Readout = Annotated[
    str | None,
    _option(
        "--readout", panel=_INITIAL, metavar="V1,V2,...",
        help="Second-layer parameters, for models that have them (xor: 1/2 or -1/2, by the label of the cluster).",
    ),
]
Time = Annotated[
    str | None,
    _option(
        "--time", panel=_RUN, metavar="T or T1,T2,...",
        help="End of the run, or the times to record, in units of steps * c_delta / dimension (default 16; xor: 30).",
    ),
]
Dimension = Annotated[
    str | None,
    _option("--dimension", "-d", panel=_RUN, metavar="INT", help="Number of coordinates of a feature (default 1000)."),
]
Replicas = Annotated[
    str | None,
    _option("--replicas", panel=_RUN, metavar="INT", help="Independent runs of SGD (default 20)."),
]
Samples = Annotated[
    str | None,
    _option(
        "--samples", panel=_RUN, metavar="INT",
        help="Draw this many fresh samples and compare with their empirical matrix (default: none).",
    ),
]
Seed = Annotated[
    str | None,
    _option("--seed", panel=_RUN, metavar="INT", help="Root of all random numbers, at least 0 (default 0)."),
]
Plot = Annotated[
    Path | None,
    _option("--plot", panel=_OUTPUT, metavar="FILE.png|svg|pdf", help="Draw a figure into this file."),
]
DataOutput = Annotated[
    Path | None,
    _option("--output", "-o", panel=_OUTPUT, metavar="FILE.nc", help="Write the numbers as netCDF (xarray opens it)."),
]
TextOutput = Annotated[
    Path | None,
    _option("--output", "-o", panel=_OUTPUT, metavar="FILE", help="Write to this file instead of the terminal."),
]


def configure(
    config: Path | None = None, *, name: str | None = None, k: str | None = None, width: str | None = None,
    activation: str | None = None, weights: str | None = None,
    precision: str | None = None, ridge: str | None = None, step: str | None = None,
    directions_gram: str | None = None, overlap: str | None = None, gram_perp: str | None = None,
    readout: str | None = None, time: str | None = None, dimension: str | None = None,
    replicas: str | None = None, samples: str | None = None, seed: str | None = None,
) -> Configuration:
    """Read the file, then let the options override it.

    Raises
    ------
    theory.InputError
        A file or value that cannot be read.
    """
    said = Configuration(
        name=name, k=_integer("k", k), width=_integer("width", width), activation=activation,
        weights=None if weights is None else parse_list("weights", weights),
        precision=_scalar("precision", precision),
        ridge=_scalar("ridge", ridge),
        step=_scalar("step", step),
        directions_gram=_rows_or_name("directions_gram", directions_gram),
        overlap=None if overlap is None else parse_rows("overlap", overlap),
        gram_perp=_rows_or_name("gram_perp", gram_perp),
        readout=None if readout is None else parse_list("readout", readout),
        time=None if time is None else _times(time),
        dimension=_integer("dimension", dimension), replicas=_integer("replicas", replicas),
        samples=_integer("samples", samples), seed=_integer("seed", seed),
    )
    return said if config is None else read_configuration(config).override(said)


def numbers(given: Configuration) -> tuple[Model, Parameters, State]:
    """Model, parameters and initial state; a large model takes a while to build."""
    with spinner(f"building the model for {given.size_name}"):
        return given.numbers()


def _scalar(name: str, text: str | None) -> Number | None:
    return None if text is None else parse_number(name, text)


def _integer(name: str, text: str | None) -> int | None:
    return None if text is None else parse_integer(name, text)


def _rows_or_name(name: str, text: str | None) -> list[list[Number]] | str | None:
    """A word is a name, to be judged where it is used; anything with a digit is rows."""
    if text is None or (text.isalpha() and text.lower() not in ("nan", "inf")):
        return text
    return parse_rows(name, text)


def _times(text: str) -> Number | list[Number]:
    return parse_list("time", text) if "," in text else parse_number("time", text)

"""The options that several commands share, and their way into a
:class:`verify.settings.configuration.Configuration`.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from theory import InputError
from theory.errors import check_choice
from theory.problem.activations import ACTIVATIONS, ARGUMENT
from theory.problem.kinks import ALMOST_EVERYWHERE, DIFFERENCE, DISTRIBUTIONAL
from verify.settings.configuration import Configuration, read_configuration
from verify.settings.models import DEFAULT_MODEL, MODELS
from verify.settings.values import Number, parse_integer, parse_list, parse_number, parse_rows

from .terminal import complain, spinner

if TYPE_CHECKING:
    from numerics import Parameters, State
    from theory import Model

# exit codes; 0 is success
NOT_WELL, BAD_INPUT, INTERRUPTED = 1, 2, 130
DATA_SUFFIXES = (".nc",)
PLOT_SUFFIXES = (".png", ".svg", ".pdf")


class Derivable(StrEnum):
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


class Flow(StrEnum):
    """Which effective dynamics ``curves`` integrates."""

    exact = "exact"
    noiseless = "noiseless"


class KinkRule(StrEnum):
    """What a Hessian keeps of the kinks of a loss."""

    distributional = DISTRIBUTIONAL
    almost_everywhere = ALMOST_EVERYWHERE
    difference = DIFFERENCE


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


def _by_model(attribute: str) -> str:
    """The defaults of all models, for a help text."""
    values = {name: float(getattr(kind, attribute)) for name, kind in MODELS.items()}
    if len(set(values.values())) == 1:
        return f"default {values[DEFAULT_MODEL]:g}"
    return "default: " + ", ".join(f"{name} {value:g}" for name, value in values.items())


def _sizes(size: str) -> str:
    """What a size option is, for a help text."""
    name, kind = next((name, kind) for name, kind in MODELS.items() if kind.size == size)
    return f"{name}: {kind.meaning}, at least {kind.least} (default {kind.default})."


def _option(*names: str, panel: str, help: str, metavar: str | None = None) -> Any:
    return typer.Option(
        *names, help=help, rich_help_panel=panel, metavar=metavar, show_default=False
    )


ModelName = Annotated[
    str | None,
    typer.Argument(
        metavar="MODEL",
        show_default=False,
        help="; ".join(
            f"{name}, {kind.description}" + (" (default)" if name == DEFAULT_MODEL else "")
            for name, kind in MODELS.items()
        )
        + ".",
    ),
]
Config = Annotated[
    Path | None,
    _option(
        "--config",
        panel=_MODEL,
        metavar="FILE.toml",
        help="Read model, numbers, initial state and run from a TOML file (see examples/); options override it.",
    ),
]
Classes = Annotated[str | None, _option("--k", panel=_MODEL, metavar="INT", help=_sizes("k"))]
Width = Annotated[str | None, _option("--width", panel=_MODEL, metavar="INT", help=_sizes("width"))]
ActivationName = Annotated[
    str | None,
    _option(
        "--activation",
        panel=_MODEL,
        metavar="NAME",
        help=f"xor: activation of the hidden units, one of {', '.join(ACTIVATIONS)} (default relu).",
    ),
]
Weights = Annotated[
    str | None,
    _option(
        "--weights",
        panel=_MODEL,
        metavar="P1,P2,...",
        help="Weights of the classes, or of the clusters mu, -mu, nu, -nu: positive with sum 1, such as 0.5,0.3,0.2 or"
        " 1/3,1/3,1/3 (default: equal).",
    ),
]
Precision = Annotated[
    str | None,
    _option(
        "--precision",
        panel=_MODEL,
        metavar="NUMBER",
        help=f"lambda > 0, the inverse variance of the noise in a feature ({_by_model('precision')}).",
    ),
]
Ridge = Annotated[
    str | None,
    _option(
        "--ridge",
        panel=_MODEL,
        metavar="NUMBER",
        help=f"beta >= 0, the weight decay ({_by_model('ridge')}).",
    ),
]
Step = Annotated[
    str | None,
    _option(
        "--step",
        panel=_MODEL,
        metavar="NUMBER",
        help=f"c_delta > 0: step size times dimension ({_by_model('step')}).",
    ),
]
DirectionsGram = Annotated[
    str | None,
    _option(
        "--directions-gram",
        panel=_MODEL,
        metavar="ROWS",
        help="Inner products of the directions, the class means or mu and nu: 'orthonormal' (default) or rows such as"
        " '1,0.4;0.4,1'.",
    ),
]
Overlap = Annotated[
    str | None,
    _option(
        "--overlap",
        panel=_INITIAL,
        metavar="ROWS",
        help="Inner products of weight vectors (rows) and directions (columns), such as '0.1,0;0,0.1' (default: kgmm 0;"
        " xor 0.1 of each unit with mu, -mu, nu, -nu in turn, because 0 is a saddle).",
    ),
]
GramPerp = Annotated[
    str | None,
    _option(
        "--gram-perp",
        panel=_INITIAL,
        metavar="ROWS",
        help="Gram matrix of the parts of the weight vectors orthogonal to all directions: 'identity' or rows (default:"
        " kgmm identity, what a random start of length 1 tends to in high dimension; xor identity / 4).",
    ),
]
Readout = Annotated[
    str | None,
    _option(
        "--readout",
        panel=_INITIAL,
        metavar="V1,V2,...",
        help="xor: second-layer parameters, one a unit (default: 1/2 for a unit that leans to mu or -mu, -1/2 for one"
        " that leans to nu or -nu).",
    ),
]
Time = Annotated[
    str | None,
    _option(
        "--time",
        panel=_RUN,
        metavar="T or T1,T2,...",
        help="End of the run, or the times to record, in units of steps * c_delta / dimension"
        f" ({_by_model('time')}).",
    ),
]
Dimension = Annotated[
    str | None,
    _option(
        "--dimension",
        "-d",
        panel=_RUN,
        metavar="INT",
        help="Number of coordinates of a feature (default 1000).",
    ),
]
Replicas = Annotated[
    str | None,
    _option("--replicas", panel=_RUN, metavar="INT", help="Independent runs of SGD (default 20)."),
]
Samples = Annotated[
    str | None,
    _option(
        "--samples",
        panel=_RUN,
        metavar="INT",
        help="Draw this many fresh samples and compare with their empirical matrix (default: none).",
    ),
]
Seed = Annotated[
    str | None,
    _option(
        "--seed",
        panel=_RUN,
        metavar="INT",
        help="Root of all random numbers, at least 0 (default 0).",
    ),
]
Method = Annotated[
    str | None,
    _option(
        "--method",
        panel=_RUN,
        metavar="direct|reduced",
        help="direct: all d coordinates; reduced: the exact chain of the summary statistics, whose cost does not depend"
        " on the dimension (default direct).",
    ),
]
Batch = Annotated[
    str | None,
    _option(
        "--batch", panel=_RUN, metavar="INT", help="Fresh samples averaged in a step (default 1)."
    ),
]
ScheduleOption = Annotated[
    str | None,
    _option(
        "--schedule",
        panel=_RUN,
        metavar="EXPRESSION",
        help="Factor of the step size as a function of the time t, such as '1/(1 + t)' (default: constant).",
    ),
]
NoiseOption = Annotated[
    str | None,
    _option(
        "--noise",
        panel=_RUN,
        metavar="gaussian|rademacher|uniform|student:NU",
        help="Law of the independent entries of the noise, scaled to variance 1 / lambda; other than Gaussian in a"
        " random frame of coordinates, and with the direct method only (default gaussian).",
    ),
]
_RULES = (
    "Which Hessian of a loss with kinks: distributional, that of the population risk; almost-everywhere, that of"
    " automatic differentiation and of data; or the difference of the two"
)
DerivedRule = Annotated[
    str | None,
    typer.Option(
        "--kink-rule",
        metavar="RULE",
        show_default=False,
        rich_help_panel="Formula",
        help=f"{_RULES} (default: distributional).",
    ),
]
HessianRule = Annotated[
    str | None,
    typer.Option(
        "--kink-rule",
        metavar="RULE",
        show_default=False,
        rich_help_panel="Matrix",
        help=f"{_RULES} (default: distributional; with --samples almost-everywhere).",
    ),
]
AspectRatio = Annotated[
    str | None,
    _option(
        "--aspect-ratio",
        panel="Matrix",
        metavar="NUMBER",
        help="phi > 0, samples of the matrix per dimension (default 4; M / d with --samples).",
    ),
]
Tail = Annotated[
    str | None,
    _option(
        "--tail",
        panel="Matrix",
        metavar="SHARE",
        help="Leave out this share of the samples with the rarest weights at either end, such as 1/4000 (default 0).",
    ),
]
Plot = Annotated[
    Path | None,
    _option(
        "--plot", panel=_OUTPUT, metavar="FILE.png|svg|pdf", help="Draw a figure into this file."
    ),
]
DataOutput = Annotated[
    Path | None,
    _option(
        "--output",
        "-o",
        panel=_OUTPUT,
        metavar="FILE.nc",
        help="Write the numbers as netCDF (xarray opens it).",
    ),
]
TextOutput = Annotated[
    Path | None,
    _option(
        "--output",
        "-o",
        panel=_OUTPUT,
        metavar="FILE",
        help="Write to this file instead of the terminal.",
    ),
]


def configure(
    config: Path | None = None,
    *,
    name: str | None = None,
    k: str | None = None,
    width: str | None = None,
    activation: str | None = None,
    weights: str | None = None,
    precision: str | None = None,
    ridge: str | None = None,
    step: str | None = None,
    directions_gram: str | None = None,
    overlap: str | None = None,
    gram_perp: str | None = None,
    readout: str | None = None,
    time: str | None = None,
    dimension: str | None = None,
    replicas: str | None = None,
    samples: str | None = None,
    seed: str | None = None,
    method: str | None = None,
    batch: str | None = None,
    schedule: str | None = None,
    noise: str | None = None,
) -> Configuration:
    """Read the file, then let the options override it.

    Raises
    ------
    theory.InputError
        A file or value that cannot be read.
    """
    said = Configuration(
        name=name,
        k=_integer("k", k),
        width=_integer("width", width),
        activation=activation,
        weights=None if weights is None else parse_list("weights", weights),
        precision=_scalar("precision", precision),
        ridge=_scalar("ridge", ridge),
        step=_scalar("step", step),
        directions_gram=_rows_or_name("directions_gram", directions_gram),
        overlap=None if overlap is None else parse_rows("overlap", overlap),
        gram_perp=_rows_or_name("gram_perp", gram_perp),
        readout=None if readout is None else parse_list("readout", readout),
        time=None if time is None else _times(time),
        dimension=_integer("dimension", dimension),
        replicas=_integer("replicas", replicas),
        samples=_integer("samples", samples),
        seed=_integer("seed", seed),
        method=method,
        batch=_integer("batch", batch),
        schedule=schedule,
        noise=noise,
    )
    return said if config is None else read_configuration(config).override(said)


def numbers(given: Configuration) -> tuple[Model, Parameters, State]:
    """Model, parameters and initial state; a large model takes a while to build."""
    kind = given.kind
    if given.readout is not None and not kind.start(given.size).readout:
        raise InputError(
            "readout",
            ", ".join(f"{float(v):g}" for v in given.readout),
            f"no readout for {given.model_name}",
            "leave it away: the model has no second layer",
        )
    if given.activation not in (None, "relu") and given.overlap is None:
        form = ACTIVATIONS[given.activation].expression
        what = ": --overlap, --gram-perp and --readout give another one"
        if form.subs(ARGUMENT, -ARGUMENT) == -form:
            what = ", and since this activation is odd, mu and -mu, of one label, get opposite outputs from any start"
        complain(
            f"hint: the default start is made for ReLU units; with {given.activation} it may decay to 0{what}"
        )
    with spinner(f"building the model for {given.size_name}"):
        return given.numbers()


def check_kink_rule(text: str | None, matrix: str, model: Model) -> str | None:
    """The rule that the Hessian of this model is asked to follow; None where nothing is asked.

    Raises
    ------
    theory.InputError
        A rule that does not exist, or for anything but the Hessian of a loss with kinks.
    """
    if text is None:
        return None
    rule = chosen("--kink-rule", text, KinkRule).value
    if matrix != Matrix.hessian:
        raise InputError(
            "--kink-rule",
            repr(text),
            f"no kink rule for {matrix}",
            "leave it away: only a Hessian has second derivatives",
        )
    if model.loss.is_smooth:
        raise InputError(
            "--kink-rule",
            repr(text),
            f"no kink rule for {model.name}",
            "leave it away: its loss has no kinks",
        )
    return rule


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

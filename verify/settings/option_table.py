"""Every option of every command, stated once.

Signatures and help of the commands, keys and values of configuration files, axes of sweeps and the
page docs/options.md are made from this table. A new option is a new entry; a command that is to do
something with it finds it in its :class:`verify.settings.configuration.Configuration`, or, where
the entry has no ``table``, takes a parameter of its name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from theory.names import ACTIVATION_NAMES, ALMOST_EVERYWHERE, DIFFERENCE, DISTRIBUTIONAL

from .data_options import DATA_OPTIONS
from .design_options import DESIGN_OPTIONS
from .layer_options import LAYER_OPTIONS
from .models import DEFAULT_MODEL, MODELS
from .option import Option, by_model
from .values import (
    ASSIGNMENTS,
    INTEGER,
    LIST,
    NAMES,
    NUMBER,
    NUMBER_OR_END,
    ROWS,
    ROWS_OR_NAME,
    SIZE,
    TIME,
)

# groups of commands: with a model, with a state, with dynamics, with data
_MODEL = ("derive", "curves", "simulate", "spectrum", "effective", "design")
_STATE = ("curves", "simulate", "spectrum", "effective", "design")
_WRITING = ("curves", "simulate", "spectrum", "effective", "fit", "layers")
_PACE = ("curves", "simulate", "design")
_SPECTRA = ("spectrum", "effective")
_DRAWING = (*_STATE, "sweep", "fit", "layers")
_ALL = (
    *("new", "derive", "check", "simulate", "curves", "spectrum", "effective", "fit", "sweep"),
    *("layers", "design", "verify", "paper"),
)
_RANDOM = ("simulate", "spectrum", "effective", "design", "check", "verify", "paper")

DATA_SUFFIXES, FIGURE_SUFFIXES = (".nc",), (".png", ".svg", ".pdf")
DOCUMENT_SUFFIXES = (".tex", ".html", ".htm")
ORTHONORMAL, IDENTITY = "orthonormal", "identity"


def _group(panel: str | None, table: str | None, *options: Option) -> Iterator[Option]:
    """Options that share the panel of the help text and the table of the file."""
    return (replace(option, panel=panel, table=table) for option in options)


def _size(name: str) -> Option:
    """The size of a model."""
    model, kind = next((n, kind) for n, kind in MODELS.items() if kind.size == name)
    return Option(
        name,
        "INT",
        f"{model}: {kind.meaning}",
        INTEGER,
        commands=_MODEL,
        domain=f"an integer from {kind.least} to {kind.most}",
        most=kind.most,
        beyond="larger models take hours to derive: build one in Python for them",
        default=kind.default,
    )


_NAMES = "; ".join(f"{name}, {kind.description}" for name, kind in MODELS.items())
_KINKS = (
    "Which Hessian of a loss with kinks: distributional, that of the population risk; "
    "almost-everywhere, that of automatic differentiation and of data; or the difference of the two"
)
_QUANTITIES = ("drift", "gradient", "hessian", "gradient-matrix", "diffusion", "fixed-point")
_MATRICES = ("hessian", "gauss-newton", "gradient", "fisher")
_RULES = (DISTRIBUTIONAL, ALMOST_EVERYWHERE, DIFFERENCE)
# numbers beyond are slips: their squares leave nothing of the others
LARGEST = 1e9
_LARGE = "squares of larger numbers leave nothing of the others: choose another unit of length"
# the end of a run that an integrator follows in seconds
LATEST = 10**12
_LATE = "what rests at a fixed point by then rests for ever: end the run before"
_CLOCK = "in units of steps * c_delta / dimension"

# laid out by hand: a paragraph for each option, as in a manual
# fmt: off
OPTIONS: tuple[Option, ...] = (
    *_group(None, None,
        Option("system", "SYSTEM",
            "kgmm, the k-class Gaussian mixture; xor, the XOR mixture with a two-layer network; "
            "paper, these two; mlp, networks of three layers; all", commands=("verify",),
            flags=("SYSTEM",), offered=(*MODELS, "mlp", "all"), default="paper"),
        Option("paper", "NAME",
            "A published work, such as saad_solla_1995; --list names them",
            commands=("paper",), flags=("NAME",)),
        Option("files", "FILE...",
            "Files of claims (.toml, .tex, .py), or directories of .toml and .tex files. A .py "
            "file is run, as you",
            commands=("check",), flags=("FILE",), type=list[Path], required=True),
        Option("start", "FILE",
            "model.py, test_model.py, claims.toml, claims.tex, sweep.toml, config.toml, or a name "
            "of your own that looks alike", commands=("new",), flags=("FILE",), type=Path,
            required=True),
        Option("file", "FILE.toml", "The grid: see examples/sweep_*.toml",
            commands=("sweep",), flags=("FILE",), type=Path, required=True),
        Option("store", "DIRECTORY.zarr",
            "Where the numbers go; a store that exists is completed (xarray.open_zarr reads it)",
            commands=("sweep",), type=Path, required=True),
        Option("workers", "INT", "Processes", INTEGER, commands=("sweep",),
            least=1, most=4096, beyond="use a Dask scheduler for more", default="(all processors)"),
        Option("scheduler", "ADDRESS",
            "Compute on the workers of this Dask scheduler, such as tcp://10.0.0.1:8786",
            commands=("sweep",)),
        Option("retry_failed", "", "Also compute the points again that failed",
            commands=("sweep",), type=bool),
        Option("model_file", "FILE.py:NAME",
            "Judge all claims for a model of your own, whatever the files say of a model: this "
            "file is run as you, and the model of this name in it is taken", commands=("check",),
            flags=("--model",)),
        Option("model_file", "FILE.py:NAME",
            "Judge the laws of a model of your own instead of a system: the file is run as you, "
            "and the model of this name in it is taken", commands=("verify",),
            flags=("--model",)),
        Option("claim", "NAME", "Judge the claim of this name only", commands=("check",)),
        Option("time_limit", "SECONDS",
            "Give a claim up after this time; the others are judged all the same", NUMBER,
            commands=("check",), domain="from 0.01 to 10^6", least=0.01, most=1e6,
            beyond="no stage ends in less, and eleven days are for ever: leave it away for 60",
            default=60.0),
        Option("level", "quick|full",
            "quick takes about two and a half minutes on two cores for both systems; full uses "
            "more runs and larger dimensions",
            commands=("verify",), choices=("quick", "full"), default="quick"),
        Option("only", "NAME[,NAME]",
            "Run these checks alone; verdicts and tolerances are those of the whole run",
            NAMES, commands=("verify",)),
        Option("listing", "",
            "Name every check with its statement and the systems it applies to, and stop",
            commands=("verify",), flags=("--list",), type=bool),
        Option("only", "NAME[,NAME]", "Judge these statements alone", NAMES, commands=("paper",)),
        Option("listing", "", "Name every published work there is, and stop",
            commands=("paper",), flags=("--list",), type=bool),
        Option("listing", "", "List the points and how far they are; compute nothing",
            commands=("sweep",), flags=("--list",), type=bool),
        Option("mutants", "",
            "Judge systematic wrong formulas instead, and report the share that each stage catches",
            commands=("verify",), type=bool),
    ),
    *_group("Formula", None,
        Option("quantity", "NAME", "What to derive: " + ", ".join(_QUANTITIES),
            commands=("derive",), default="drift", choices=_QUANTITIES),
        Option("route", "stein|projection",
            "How Gaussian moments are evaluated; both give equal values", commands=("derive",),
            choices=("stein", "projection"),
            default="(stein; projection for matrices of a loss with kinks)"),
        Option("limit", "exact|noiseless|N",
            "exact, noiseless (lambda to infinity), or the order N of the expansion in 1/lambda "
            "(losses without kinks)", commands=("derive",), default="(exact)"),
        Option("style", "text|latex|pretty", "How to write formulas", commands=("derive",),
            flags=("--format",), choices=("text", "latex", "pretty"), default="text"),
        Option("entry", "NAME",
            "Only this formula or block, such as m_1_1, R_1_2, v_1, H_1_2 or 1,2; H_1_v_2 of x^1 "
            "and v_2, H_v of the second layer. Indices count from 1", commands=("derive",)),
        Option("kink_rule", "RULE", _KINKS, commands=("derive",), choices=_RULES,
            default="(distributional)"),
        Option("assignment", "C1,C2,...",
            "xor, fixed-point: the cluster mu, -mu, nu, -nu that each unit picks, or 0 for an idle "
            "one",
            commands=("derive",), default="(mu,-mu,nu,-nu in turn)"),
    ),
    *_group("Matrix", None,
        Option("matrix", "NAME",
            "hessian, of the loss; gauss-newton, without the curvature of outputs; gradient, G, "
            "the mean of grad grad^T; fisher, G with labels that the outputs draw",
            commands=_SPECTRA, choices=_MATRICES, default="hessian"),
        Option("block", "A,B|full|readout|all",
            "Block of two units, counted from 1; or the full first layer, the second layer, "
            "everything", commands=("spectrum",), offered=("full", "readout", "all"),
            default="1,1"),
        Option("block", "A,B|full|readout|mixed|all",
            "Block of two units, counted from 1; or the full first layer, the second layer, the "
            "blocks of both, everything", commands=("effective",),
            offered=("full", "readout", "mixed", "all"), default="1,1"),
        Option("kink_rule", "RULE", _KINKS, commands=("spectrum",), choices=_RULES,
            default="(distributional; with --samples almost-everywhere)"),
        Option("aspect_ratio", "NUMBER", "phi, samples of the matrix per dimension", NUMBER,
            commands=("effective",), domain="from 1e-4 to 1e6", tiny=1e-4, most=1e6,
            beyond="for more samples specalign spectrum has the limit, the population spectrum",
            aliases=("--phi",), default="(4; M / d with --samples)"),
        Option("tail", "SHARE",
            "Leave out this share of the samples with the rarest weights at either end, such as "
            "1/4000", NUMBER, commands=("effective",), domain="from 0 to 0.1", least=0, most=0.1,
            beyond="the rare ends are cut, no part of the bulk: give a small share such as 1 / M",
            default="(0.001 where an end is essential, else 0)"),
        Option("at", "T", f"Time on the theoretical curve, {_CLOCK}", NUMBER,
            commands=("spectrum",), domain="from 0 to 1e12", most=LATEST, beyond=_LATE,
            default="(initial state)"),
        Option("at", "T|end",
            f"Time on the theoretical curve, {_CLOCK}, or the end of the run, --time",
            NUMBER_OR_END, commands=("effective",), domain="from 0 to 1e12", most=LATEST,
            beyond=_LATE, default="(initial state)"),
        Option("emergence", "",
            "Follow the outliers along the curve to the end of --time, and find when they leave "
            "the bulk", commands=("effective",), type=bool),
    ),
    *_group("Model and numbers", None,
        Option("model_file", "FILE.py:NAME",
            "A model of your own: the file is run as you, and the model of this name in it is "
            "taken", commands=_MODEL, flags=("--model",)),
        Option("config", "FILE.toml",
            "Read model, numbers, initial state and run from a TOML file (see examples/); options "
            "override it", commands=_MODEL, type=Path),
    ),
    *_group("Model and numbers", "model",
        Option("name", "MODEL", _NAMES, commands=_MODEL, flags=("MODEL",), default=DEFAULT_MODEL,
            domain=f"one of {', '.join(MODELS)}", offered=tuple(MODELS),
            fixed="write a file for each model"),
        replace(_size("k"), aliases=("--classes", "--num-classes")),
        replace(_size("width"), aliases=("--units", "--hidden", "--hidden-units")),
        Option("activation", "NAME", "xor: activation of the hidden units", commands=_MODEL,
            domain=f"one of {', '.join(ACTIVATION_NAMES)}", offered=tuple(ACTIVATION_NAMES),
            default="relu"),
    ),
    *_group("Model and numbers", "parameters",
        Option("weights", "P1,P2,...",
            "Weights of the classes, or of the clusters mu, -mu, nu, -nu, such as 0.5,0.3,0.2 or "
            "1/3,1/3,1/3", LIST, commands=_MODEL, domain="each > 0, sum 1",
            default="(equal)", aliases=("--class-weights",)),
        Option("precision", "NUMBER", "lambda, the inverse variance of the noise in a feature",
            NUMBER, commands=_MODEL, domain="> 0", tiny=1e-9,
            beyond="such noise is 3e4 times the means: lambda is the inverse of its variance",
            default=by_model("precision"),
            aliases=("--lambda", "--lamda", "--lam")),
        Option("ridge", "NUMBER", "beta, the weight decay", NUMBER, commands=_MODEL, domain=">= 0",
            most=LARGEST, beyond=_LARGE, default=by_model("ridge"),
            aliases=("--beta", "--weight-decay")),
        Option("step", "NUMBER", "c_delta: step size times dimension", NUMBER, commands=_MODEL,
            domain="> 0", most=LARGEST, beyond=_LARGE, default=by_model("step"),
            aliases=("--c-delta",)),
        Option("set", "NAME=NUMBER[,...]",
            "Numbers of the free parameters that the loss of a model of your own declares, such as "
            "T=0.5,margin=1; in a file set = {T = 0.5}", ASSIGNMENTS, commands=_MODEL,
            fixed="name the free parameter itself: T = [0.5, 1, 2]"),
        Option("directions_gram", "ROWS",
            "Inner products of the directions, the class means or mu and nu: 'orthonormal' or rows "
            "such as '1,0.4;0.4,1'", ROWS_OR_NAME, commands=_MODEL, default=f"({ORTHONORMAL})",
            domain="symmetric, positive definite", most=LARGEST, beyond=_LARGE,
            aliases=("--gamma",)),
    ),
    *_group("Initial state", "initial",
        Option("overlap", "ROWS",
            "Inner products of weight vectors (rows) and directions (columns), such as "
            "'0.1,0;0,0.1'", ROWS, commands=_STATE, domain="units x directions", most=LARGEST,
            beyond=_LARGE,
            default="(kgmm 0; xor 0.1 of each unit with mu, -mu, nu, -nu in turn, because 0 is a "
            "saddle)", aliases=("--overlaps",)),
        Option("gram_perp", "ROWS",
            "Gram matrix of the parts of the weight vectors orthogonal to all directions: "
            "'identity' or rows", ROWS_OR_NAME, commands=_STATE,
            domain="symmetric, positive semidefinite", most=LARGEST, beyond=_LARGE,
            default="(kgmm identity, what a random start of length 1 tends to in high dimension; "
            "xor identity / 4)", aliases=("--r-perp",)),
        Option("readout", "V1,V2,...", "xor: second-layer parameters, one a unit", LIST,
            commands=_STATE, domain="a number a unit", most=LARGEST, beyond=_LARGE,
            default="(1/2 for a unit that leans to mu or -mu, -1/2 for one that leans to nu or "
            "-nu)"),
        Option("random", "SCALE",
            "Random weights x^a ~ N(0, scale^2 I/d) in place of overlap and gram_perp", NUMBER,
            domain="> 0", default="(none)"),
    ),
    *_group("Run", None,
        Option("limit", "exact|noiseless",
            "exact, or noiseless: lambda to infinity, sliding along kinks where the flow has to",
            commands=("curves",), choices=("exact", "noiseless"), default="exact"),
    ),
    *_group("Run", "run",
        Option("time", "T or T1,T2,...",
            f"End of the run, or the times to record, {_CLOCK}", TIME,
            commands=("curves", "simulate", "effective"),
            domain="> 0, or increasing times >= 0; up to 1e12",
            most=LATEST, beyond=_LATE,
            default=by_model("time"), fixed="give the latest time in [run]"),
        Option("dimension", "INT", "Number of coordinates of a feature", INTEGER,
            commands=("simulate", "design", *_SPECTRA),
            domain="an integer >= directions + units", least=1,
            most=10**15, beyond="steps are counted exactly below: curves have the limit",
            default=1000, flags=("--dimension", "-d"), aliases=("--dim",)),
        Option("replicas", "INT", "Independent runs of SGD", INTEGER,
            commands=("simulate", "design"),
            domain="an integer from 1 to 1e6", least=1, most=10**6, default=20,
            beyond="make several simulations with seeds of their own",
            aliases=("--runs", "--repeats")),
        Option("samples", "INT",
            "Draw this many fresh samples and compare with their empirical matrix", INTEGER,
            commands=_SPECTRA, domain="an integer from 1 to 1e10", least=1, most=10**10,
            beyond="leave it away: the population spectrum is the limit of many samples",
            default="(none)",
            example=20000, aliases=("--num-samples",)),
        Option("samples_per_dimension", "NUMBER",
            "M/d, samples of an empirical matrix per dimension", NUMBER, domain="> 0",
            default="(none)", example=20),
        Option("seed", "INT", "Root of all random numbers", INTEGER, commands=_RANDOM,
            domain="an integer >= 0", least=0, most=10**100 - 1,
            beyond="it is printed with every result, to be typed again: 100 digits are enough",
            default=0, aliases=("--random-seed",)),
        Option("method", "direct|reduced",
            "direct: all d coordinates; reduced: the exact chain of the summary statistics, whose "
            "cost does not depend on the dimension", commands=("simulate", "design"),
            default="direct",
            domain="direct or reduced", offered=("direct", "reduced"), example="reduced"),
        Option("batch", "INT", "Fresh samples averaged in a step", INTEGER, commands=_PACE,
            domain="an integer from 1 to 1e7", least=1, most=10**7, default=1,
            beyond="take a smaller --step: the dynamics know the two by step / batch alone",
            aliases=("--batch-size",)),
        Option("schedule", "EXPRESSION",
            "Factor of the step size as a function of the time t, such as '1/(1 + t)'",
            commands=_PACE, domain="an expression in t, positive and finite", default="(constant)",
            example="1/(1 + t)"),
        Option("noise", "gaussian|rademacher|uniform|student:NU",
            "Law of the independent entries of the noise, scaled to variance 1 / lambda; other "
            "than Gaussian in a random frame of coordinates, and with the direct method only",
            commands=("simulate",), domain="a known law",
            offered=("gaussian", "rademacher", "uniform", "student:"), default="gaussian"),
    ),
    *_group("Run", None,
        Option("theory", "", "Also compute the theoretical curve", commands=("simulate",),
            flags=("--theory/--no-theory",), type=bool, default=True),
    ),
    *DATA_OPTIONS,
    *LAYER_OPTIONS,
    *DESIGN_OPTIONS,
    *_group("Output", None,
        Option("log_density", "", "Draw the density on a logarithmic scale",
            commands=("effective",), type=bool),
        Option("output", "FILE.nc", "Write the numbers as netCDF (xarray opens it)",
            commands=_WRITING, flags=("--output", "-o"), type=Path,
            suffixes=DATA_SUFFIXES),
        Option("output", "FILE", "Write to this file instead of the terminal", commands=("derive",),
            flags=("--output", "-o"), type=Path, suffixes=()),
        Option("document", "FILE.tex|html",
            "Write the derivation step by step, each step judged first, as LaTeX or as a page for "
            "a browser; takes minutes for many units", commands=("derive",), type=Path,
            suffixes=DOCUMENT_SUFFIXES),
        Option("json", "FILE", "Write everything but the density as JSON", commands=("effective",),
            type=Path, suffixes=()),
        Option("json", "FILE", "Write all numbers of the tables as JSON",
            commands=("fit", "layers"), type=Path, suffixes=()),
        Option("json", "FILE", "Write all results as JSON", commands=("verify",), type=Path,
            suffixes=()),
        Option("json", "FILE", "Write all numbers and verdicts as JSON",
            commands=("paper", "design"), type=Path, suffixes=()),
        Option("json", "FILE", "Write all as JSON; - for the screen", commands=("check",),
            type=Path),
        Option("report", "FILE.html", "Write a self-contained HTML report with figures",
            commands=("verify",), type=Path, suffixes=(".html", ".htm")),
        Option("report", "FILE.html",
            "Write a self-contained HTML report: what was read as a formula, and all that is said",
            commands=("check",), type=Path, suffixes=(".html", ".htm")),
        Option("plot", "FILE.png|svg|pdf", "Draw a figure into this file",
            commands=(*_DRAWING, "paper"), type=Path, suffixes=FIGURE_SUFFIXES),
        Option("size", "WIDTHxHEIGHT", "Size of the figure in inches, such as 7x4", SIZE,
            commands=_DRAWING, domain="each from 1 to 60", least=1, most=60,
            beyond="no page is larger: --style talk makes letters larger",
            default="(as the panels need)"),
        Option("title", "TEXT", "Title of the figure; '' for none", commands=_DRAWING,
            default="(the model and its numbers)"),
        Option("figure_style", "paper|talk",
            "Small letters and at most 7.1 inches for a journal, or large letters for a talk",
            commands=_DRAWING, flags=("--style",), choices=("paper", "talk"),
            default="(for a screen)"),
        Option("quiet", "", "Say nothing but results, warnings and errors", commands=_ALL,
            type=bool),
        Option("log", "FILE", "Add everything that is said to this file, with times",
            commands=_ALL, type=Path, suffixes=()),
    ),
)
# fmt: on

# options of which the commands know nothing: what is said, and how figures look
COMMON = ("quiet", "log", "size", "title", "figure_style")


def options_of(command: str) -> list[Option]:
    """The options of a command, in the order of its help text."""
    return [option for option in OPTIONS if command in option.commands]


def keys(*, sweep: bool = False) -> dict[str, Option]:
    """The keys of configuration files; those of sweeps have some more."""
    return {o.name: o for o in OPTIONS if o.table and (sweep or o.commands)}

"""Options of the command `fit`, about data of the user's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from theory.names import ACTIVATION_NAMES

from .option import Option
from .values import INTEGER, NAMES, NUMBER

NETWORKS = ("softmax", "two-layer")
_ONLY = ("fit",)
_SLIP = "larger numbers are slips: check the value"


def _group(panel: str | None, *options: Option) -> Iterator[Option]:
    return (replace(option, panel=panel, commands=_ONLY) for option in options)


# laid out by hand: a paragraph for each option, as in a manual
# fmt: off
DATA_OPTIONS: tuple[Option, ...] = (
    *_group(None,
        Option("data", "DATA...",
            "A .csv file, an .npz archive with X and y, two .npy files; or of scikit-learn: "
            "sklearn:digits, sklearn:iris, sklearn:wine, sklearn:breast_cancer",
            flags=("DATA",), type=list[str], required=True),
    ),
    *_group("Data",
        Option("label_column", "NAME|INT",
            "The column of a .csv file with the labels, by name or counted from 1",
            default="(the last one)"),
        Option("labels", "L1,L2,...",
            "Use the samples of these labels alone, such as 0,1,2", NAMES, default="(all)"),
        Option("scale", "unit|standard|none|NUMBER",
            "unit: divide all columns by one number, the largest entry; standard: each by its "
            "standard deviation; or all by a number", default="unit"),
        Option("bands", "INT",
            "At most so many bands, bins of the spectrum of the noise", INTEGER,
            domain="an integer >= 1", least=1, most=10**4, beyond=_SLIP,
            default="(one for each eigenvector)"),
        Option("clusters", "INT",
            "Gaussian components of a class, found by k-means", INTEGER,
            domain="an integer from 1 to 100", least=1, most=100,
            beyond="a cluster needs samples enough for a covariance", default=1),
    ),
    *_group("Training",
        Option("network", "softmax|two-layer",
            "softmax regression, from zero weights; or one hidden layer below the softmax, from "
            "random ones", choices=NETWORKS, default="softmax"),
        Option("width", "INT", "two-layer: hidden units", INTEGER,
            domain="an integer from 1 to 12", least=1, most=12,
            beyond="expectations over more units take hours", default=3),
        Option("activation", "NAME", "two-layer: activation of the hidden units",
            choices=ACTIVATION_NAMES, default="tanh"),
        Option("ridge", "NUMBER", "beta, the weight decay", NUMBER, domain=">= 0", least=0,
            most=1e9, beyond=_SLIP, default="(0)"),
        Option("step", "NUMBER", "c_delta: step size times dimension", NUMBER, domain="> 0",
            tiny=1e-6, most=1e9, beyond=_SLIP, default="(1)"),
        Option("time", "T", "End of the run, in units of steps * c_delta / dimension", NUMBER,
            domain="> 0", least=0, most=1e6, beyond="end the run before", default="(16)"),
        Option("replicas", "INT", "Runs of SGD on the data, and draws of the theory", INTEGER,
            domain="an integer from 2 to 1000", least=2, most=1000,
            beyond="ten show the scatter", default=10),
        Option("count", "INT", "Leading eigenvalues to compare", INTEGER,
            domain="an integer >= 1", least=1, most=1000, beyond=_SLIP, default=8),
        Option("samples", "INT", "Gaussian samples of a draw", INTEGER,
            domain="an integer >= 100", least=100, most=10**7,
            beyond="eigenvalues have three digits from ten thousand", default=10_000),
        Option("seed", "INT", "Root of all random numbers", INTEGER, domain="an integer >= 0",
            least=0, most=10**100 - 1,
            beyond="it is printed with every result, to be typed again: 100 digits are enough",
            default=0),
    ),
)
# fmt: on

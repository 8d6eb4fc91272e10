"""Options of the command `layers`, about networks of several layers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from .option import Option
from .values import INTEGER, LIST, NUMBER

DATA, ACTIVATIONS = ("kgmm", "xor"), ("tanh", "relu")
_SLIP = "larger numbers are slips: check the value"


def _group(panel: str | None, *options: Option) -> Iterator[Option]:
    return (replace(option, panel=panel, commands=("layers",)) for option in options)


# laid out by hand: a paragraph for each option, as in a manual
# fmt: off
LAYER_OPTIONS: tuple[Option, ...] = (
    *_group(None,
        Option("data", "DATA",
            "kgmm: orthonormal class means, softmax; xor: the four XOR clusters, one logistic "
            "output and biases", flags=("DATA",), choices=DATA, default="kgmm"),
    ),
    *_group("Network",
        Option("k", "INT", "kgmm: number of classes", INTEGER,
            domain="an integer from 2 to 20", least=2, most=20, beyond=_SLIP, default=3),
        Option("depth", "INT", "Number of hidden layers; the readout is one layer more", INTEGER,
            domain="an integer from 1 to 6", least=1, most=6, beyond=_SLIP, default=2),
        Option("widths", "W1,W2,...", "Widths to compare; all hidden layers have the same", LIST,
            domain="integers from 1 to 100", least=1, most=100, beyond=_SLIP,
            default="(2,4,8,20)"),
        Option("activation", "tanh|relu", "Activation of the hidden units", choices=ACTIVATIONS,
            default="tanh"),
    ),
    *_group("Training",
        Option("precision", "L1,L2,...", "lambda, the inverse variance of the noise", LIST,
            domain="numbers > 0", tiny=1e-6, most=1e12, beyond=_SLIP,
            default="(1,10,100,1000,10000)"),
        Option("ridge", "NUMBER", "beta, the weight decay", NUMBER, domain="> 0", tiny=1e-6,
            most=1e3, beyond=_SLIP, default="(kgmm 0.005, xor 0.002)"),
        Option("step", "NUMBER", "c_delta: step size times dimension", NUMBER, domain="> 0",
            tiny=1e-6, most=1e9, beyond=_SLIP, default="(1)"),
        Option("time", "T", "End of the runs, in units of steps * c_delta / dimension", NUMBER,
            domain="> 0", least=0, most=1e6, beyond="end the run before",
            default="(4 / ridge: weights that nothing feeds are down to 2 %)"),
        Option("dimension", "INT", "Number of coordinates of a feature", INTEGER,
            domain="an integer >= directions + width", least=2, most=10**5, beyond=_SLIP,
            default=100, flags=("--dimension", "-d")),
        Option("replicas", "INT", "Runs at each precision, from random weights", INTEGER,
            domain="an integer from 2 to 10000", least=2, most=10**4, beyond=_SLIP, default=6),
        Option("samples", "INT", "Samples behind the blocks of a state", INTEGER,
            domain="an integer >= 100", least=100, most=10**7, beyond=_SLIP, default=3000),
        Option("seed", "INT", "Root of all random numbers", INTEGER, domain="an integer >= 0",
            least=0, most=10**100 - 1,
            beyond="it is printed with every result, to be typed again: 100 digits are enough",
            default=0),
    ),
    *_group("Answer",
        Option("theory", "", "Integrate the effective dynamics beside SGD, from the same weights: "
            "tanh, at most 2 hidden layers of 3 units; minutes at small precision", type=bool,
            flags=("--theory/--no-theory",),
            default=False),
        Option("epsilon", "NUMBER", "Up to which a layer counts as aligned", NUMBER,
            domain="between 0 and 1", tiny=1e-6, most=1, beyond="everything is aligned up to 1",
            default="(0.3)"),
    ),
)
# fmt: on

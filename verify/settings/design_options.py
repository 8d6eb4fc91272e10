"""Options of the command `design`, about what is chosen and what for."""

from __future__ import annotations

from dataclasses import replace

from .option import Option
from .values import NAME_AND_BOUNDS, NAME_AND_NUMBER, NUMBER

CLOCKS = ("samples", "steps")

# laid out by hand: a paragraph for each option, as in a manual
# fmt: off
_GOAL = (
    Option("reach", "QUANTITY TARGET",
        "Reach it soonest: accuracy or alignment (the share of the first layer's squared length in "
        "the span of the directions), or a loss at most as large", NAME_AND_NUMBER, words=2,
        example="accuracy 0.9"),
    Option("best", "QUANTITY TIME",
        "Instead: the best accuracy, alignment or loss at this time, in units of --clock over the "
        "dimension", NAME_AND_NUMBER, words=2, example="accuracy 4"),
    Option("over", "NAME LOW HIGH",
        "What is chosen, and its bounds; given once for each: step (c_delta), ridge, batch, a "
        "letter of --schedule, a free parameter of the loss", NAME_AND_BOUNDS, words=3,
        type=list[str], example="step 0.1 3"),
    Option("clock", "samples|steps", "What counts as time", choices=CLOCKS, default="samples"),
    Option("within", "NUMBER",
        "Latest time at which a target counts as reached, in units of --clock over the dimension",
        NUMBER, domain="> 0", tiny=1e-6, most=1e6, beyond="a target is reached before, or never",
        default="(64)"),
    Option("confirm", "", "Run SGD in the best setting and say whether it agrees",
        flags=("--confirm/--no-confirm",), type=bool, default=True),
)
# fmt: on

DESIGN_OPTIONS = tuple(replace(o, panel="Goal", commands=("design",)) for o in _GOAL)

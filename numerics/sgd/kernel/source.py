"""The SGD kernels, generated from the gradient of the loss: one loop, and what a step is in either
method.

A method brings the lines that ``begin`` a replica, ``record`` summary statistics, ``sample`` (a
fresh sample's component and pre-activations) and ``update`` (the step).  The loops around them,
over replicas and over steps, the gradient and the second layer are shared. They are lines and not
functions: to hand a dozen arrays to a function costs more than what it does with them.
"""

from __future__ import annotations

import re
from functools import lru_cache
from textwrap import indent
from types import ModuleType

from numerics.core import codegen
from numerics.core.validation import check_kind
from theory import Loss, symbols
from theory.keywords import with_known_keywords
from theory.problem.updating.rule import Rule

from . import banded as kernel_banded
from . import direct as kernel_direct
from . import given as kernel_given
from . import reduced as kernel_reduced
from . import tokens as kernel_tokens
from .ruled import readout_line, ruled
from .statistical import statistics_lines

METHODS = ("direct", "reduced")
# the part of a method, the weights that it moves, and coordinate i of sample j of a batch
_PARTS = {
    "direct": (kernel_direct, "x", "features[j, i]"),
    "reduced": (kernel_reduced, "m", "y[j, i]"),
    "given": (kernel_given, "x", "samples[(step - begin) * batch + j, i]"),
}
_OF_TOKENS = {"direct": kernel_tokens.direct_part, "reduced": kernel_tokens.reduced_part}
_BANDED = {"direct": kernel_banded.direct_part, "reduced": kernel_banded.reduced_part}


@lru_cache(maxsize=64)
def compile_kernel(
    loss: Loss, method: str = "direct", rule: Rule | None = None, *, banded: bool = False
) -> ModuleType:
    """Generate and compile the SGD kernel of a loss; the module has ``advance`` and
    ``sample_gradient``.
    """
    return codegen.load_module(kernel_source(loss, method, rule, banded=banded))


@with_known_keywords
def kernel_source(
    loss: Loss, method: str = "direct", rule: Rule | None = None, *, banded: bool = False
) -> str:
    """Return the generated source of an SGD kernel: the gradient of the loss, and the loop around
    it.

    Parameters
    ----------
    loss : theory.Loss
    method : {"direct", "reduced", "given"}
        The d-dimensional simulation, the chain of the summary statistics, or one pass over given
        samples.
    rule : Rule, optional
        ``model.rule`` of a model with an update of its own: what takes the place of the gradient.
    banded : bool
        Whether the noise has bands, for fresh samples.

    Returns
    -------
    str
        Source of a module; :func:`numerics.core.codegen.load_module` adds the imports.

    Examples
    --------
    >>> from theory import kgmm
    >>> source = kernel_source(kgmm(2).loss)
    >>> [line.split("(")[0] for line in source.splitlines() if line.startswith("def ")]
    ['def sample_gradient', 'def advance']
    """
    check_kind("loss", loss, Loss, "give model.loss")
    variables = range(len(loss.variables))
    slopes = [loss.partial((i,)) if rule is None else rule.slopes[i] for i in variables]
    # behind them the derivatives in the statistics that the loss holds
    found = (loss.statistic_position(each) for each in loss.statistics)
    slopes += [loss.partial((i,)) for i in found if i is not None]
    arguments = (("y", (symbols.LABEL,)), ("u", loss.fields), ("v", loss.readout))
    beside = (("held", loss.beside),) if loss.beside else ()
    gradient = codegen.generate_function("sample_gradient", (*arguments, *beside), slopes, "numba")
    home, weights, feature = _PARTS[method]
    part = _BANDED[method](loss) if banded else home.part(loss)
    if loss.tokens > 1:
        part = _OF_TOKENS[method](loss)
    if rule is not None:
        part = ruled(part, rule, weights, feature, banded)
    text = part.functions + _LOOP
    if loss.beside:
        text = _with_held(text, statistics_lines(loss, weights == "m"))
    if rule is not None:
        text = text.replace("u, v, g, s,", "u, v, g, s_and_rule,")
    marks = {
        "UNPACK": part.unpack,
        "BEGIN": part.begin,
        "RECORD": part.record,
        "SAMPLE": part.sample,
        "UPDATE": part.update,
        "READOUT": readout_line(rule),
    }
    for mark, lines in marks.items():
        text = _fill(text, mark, lines)
    text = text.replace("@FIELDS@", str(len(loss.preactivation)))
    return gradient + text.replace("@UNITS@", str(loss.units))


def _with_held(text: str, statistics: str) -> str:
    """The loop with an array of what the loss holds beside a sample, statistics taken once a
    step.
    """
    step = "delta = rates[min(step - begin, rates.size - 1)]\n"
    for old, new in (
        ("u, v, g, s,\n):", "u, v, g, s, held,\n):"),
        ("labels[l], u, v, g[j])", "labels[l], u, v, held, g[j])"),
        (step, f"{step}            @STATISTICS@\n"),
    ):
        assert old in text
        text = text.replace(old, new)
    return _fill(text, "STATISTICS", statistics or "pass")


def _fill(text: str, mark: str, lines: str) -> str:
    """A mark stands alone in its line, whose indentation is that of the lines that replace it."""
    return re.sub(
        rf"^( *)@{mark}@$",
        lambda found: indent(lines.strip("\n"), found[1]),
        text,
        flags=re.MULTILINE,
    )


_LOOP = '''

@numba.njit(cache=True, nogil=True, error_model='numpy', fastmath={'reassoc', 'contract'})
def advance(
    state, generators, starts, readouts, labels, rates, beta, begin, end, record_steps,
    recorded, done, overlap, gram_perp, readout, limit, u, v, g, s,
):
    """Take the steps ``begin`` .. ``end`` of one replica after the other, recording before the
    steps in ``record_steps``.

    A replica that is at its begin, 0, gets a state of the generator (written to ``state``), its
    weights and its readout; another one goes on with what is there, and is alone. ``rates`` are the
    step sizes from ``begin`` on, the last one for all that follow; row j of ``g`` is the gradient
    at sample j of a batch; ``s`` are the arrays of the method. ``done`` counts steps and
    ``recorded`` records. Returns the number of replicas that came to the end: the next one passed
    ``limit`` with a pre-activation.
    """
    @UNPACK@
    batch = g.shape[0]
    for n in range(generators.shape[0]):
        if begin == 0:
            start = starts[n]
            for i in range(4):
                state[i] = generators[n, i]
            for i in range(v.size):
                v[i] = readouts[n, i]
            @BEGIN@
        slot = recorded[n]
        for step in range(begin, end + 1):
            if slot < record_steps.size and record_steps[slot] == step:
                @RECORD@
                for i in range(v.size):
                    readout[n, slot, i] = v[i]
                slot += 1
            if step == end:
                break
            delta = rates[min(step - begin, rates.size - 1)]
            shrink = 1.0 - delta * beta
            rate = delta / batch
            for j in range(batch):
                @SAMPLE@
                for a in range(@FIELDS@):
                    if not abs(u[a]) <= limit:
                        done[n], recorded[n] = step, slot
                        return n
                sample_gradient(labels[l], u, v, g[j])
            @UPDATE@
            for i in range(v.size):
                total = 0.0
                for j in range(batch):
                    total += g[j, @FIELDS@ + i]
                @READOUT@
        done[n], recorded[n] = end, slot
    return generators.shape[0]
'''

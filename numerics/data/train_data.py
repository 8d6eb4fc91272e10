"""Train data: one pass of online SGD over given samples in their order, and the weights that it
ends with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import sympy as sp

from numerics.core.schedule import Schedule
from numerics.core.validation import Array, Floats, as_integer, as_scalar
from numerics.sgd.kernel.given import GivenArrays
from numerics.sgd.kernel.ruled import RuleArrays
from numerics.sgd.kernel.source import compile_kernel
from numerics.sgd.simulate import DIVERGED
from theory import InputError
from theory.keywords import with_known_keywords

from .one_pass import row_blocks
from .samples import ROLES, SampleData, check_data
from .sources import BLOCK_NUMBERS
from .user_data import statistics


@with_known_keywords
def train_data(
    data: SampleData,
    *,
    step: float | None = None,
    batch: int = 1,
    schedule: sp.Expr | Callable[[Array], Array] | None = None,
) -> SampleData:
    r"""Return the samples with the weights that one pass of online SGD over them, in their order,
    ends with.

    .. math:: x^a\leftarrow x^a-\delta\,\Big(\frac1b\sum_{j\le b}g_{aj}Y_j+\beta x^a\Big),\qquad
              \delta=c_\delta/d

    (mathematics.md section 1): the step of :func:`numerics.simulate_sgd`, from the same generated
    source.  A matrix of these samples at these weights is one of train data: the weights depend on
    the samples (arXiv 2310.03010). ``result.fresh(samples, seed)``, or
    :func:`numerics.with_samples`, gives test data at the same weights.

    Parameters
    ----------
    data : SampleData
        Samples in order, with the weights to start from: from :func:`numerics.draw_data` or
        :func:`numerics.user_data`.
    step : float, optional
        c_delta > 0; that of the parameters, or of the model where it is a number, when omitted.
    batch : int
        b >= 1 samples averaged in a step; divides the number of samples (of each chunk).
    schedule : sympy.Expr in t, or callable
        Factor of the step size, as for :func:`numerics.simulate_sgd`.

    Returns
    -------
    SampleData
        With final ``weights``, ``readout`` and ``state``, and role "train data"; the samples are
        shared, not copied.

    Raises
    ------
    theory.InputError
        No step, a batch that does not divide the samples.
    ArithmeticError
        The run diverged; names the sample.

    Examples
    --------
    One step on one sample: x = 0 - (1 / d) g Y with g = (-1/2, 1/2).

    >>> from theory import kgmm
    >>> from numerics import user_data
    >>> start = user_data(kgmm(2), [[2.0, 0.0]], [1], np.zeros((2, 2)), ridge=0)
    >>> train_data(start, step=1.0).weights
    array([[ 0.5,  0. ],
           [-0.5,  0. ]])
    """
    check_data(data)
    delta = _step(data, step) / data.dimension
    batch = as_integer("batch", batch, 1, "a step needs at least one sample")
    if data.samples % batch:
        raise InputError(
            "batch",
            batch,
            f"a divisor of the {data.samples} samples",
            "leave samples out, or change the batch",
        )
    pace = Schedule.of(schedule)
    if pace is not None:
        pace.check(data.samples // batch, delta)
    rule = data.model.rule
    if rule is not None and rule.project is not None:
        remedy = "the means of given samples are not known: train by sa.simulate_sgd"
        raise InputError("data", f"an update projected ({rule.project})", "no projection", remedy)
    kernel = compile_kernel(data.model.loss, "given", *(() if rule is None else (rule,)))
    x, v = np.array(data.weights), np.array(data.readout)
    loss, beside = data.model.loss, data.fields[len(x) :]
    held = (data.held[len(v) :],) if loss.beside else ()
    u, g = np.empty(len(loss.fields)), np.empty((batch, len(loss.variables)))
    # part of the kernel's signature: nothing is drawn, and no record is taken
    draws = np.zeros(4, np.uint64)
    none, nothing, counts = np.empty(0, dtype=np.int64), np.empty((1, 0, 0)), np.zeros(2, np.int64)
    means = np.zeros((0, 0))
    numbers = None if rule is None else RuleArrays.build(rule, data.ridge, x.shape[1], means)
    generators, starts = np.zeros((1, 4), np.uint64), np.empty((1, 0, 0))
    for start, rows in _blocks(data, batch):
        begin, steps = start // batch, len(rows) // batch
        rates = np.array([delta]) if pace is None else pace.rates(begin, begin + steps, delta)
        labels = np.ascontiguousarray(data.labels[start : start + len(rows)])
        fields = np.ascontiguousarray(beside[:, start : start + len(rows)])
        arrays = GivenArrays(x, rows, fields)
        ended = kernel.advance(
            draws,
            generators,
            starts,
            v[None].copy(),
            labels,
            rates,
            data.ridge,
            begin,
            begin + steps,
            none,
            counts[:1],
            counts[1:],
            nothing,
            nothing,
            nothing,
            DIVERGED,
            u,
            v,
            g,
            arrays if numbers is None else (arrays, numbers),
            *held,
        )
        if not ended:
            raise ArithmeticError(
                f"SGD on {data.model.name} diverged at sample {counts[1] * batch} of "
                f"{data.samples} (d = {data.dimension}, step delta = {delta:.3g}): "
                f"a pre-activation left [-{DIVERGED:g}, {DIVERGED:g}]. "
                "Remedy: reduce step (c_delta)"
            )
    state = None if data.directions is None else statistics(data.directions, x, v)
    return replace(data, weights=x, readout=v, state=state, role=ROLES[1])


def _step(data: SampleData, step: float | None) -> float:
    if step is None:
        if data.parameters is not None:
            return data.parameters.step
        if data.model.step.is_number:
            return float(data.model.step)
        raise InputError(
            "step", "None", "a number > 0", "give c_delta, the step size times the dimension"
        )
    return as_scalar("step", step, 0.0, True, "give c_delta, the step size times the dimension")


def _blocks(data: SampleData, batch: int) -> Iterator[tuple[int, Floats]]:
    """Blocks of whole batches."""
    if data.source.kind == "memory-mapped" and data.source.array is not None:
        size = max(1, BLOCK_NUMBERS // (data.dimension * batch)) * batch
        for part in row_blocks(data.samples, size):
            yield part.start, np.array(data.source.array[part], order="C")
        return
    for number, (start, rows) in enumerate(data.source.blocks()):
        if len(rows) % batch:
            raise InputError(
                "batch",
                batch,
                f"a divisor of the {len(rows)} samples of chunk {number + 1}",
                "make chunks of whole batches",
            )
        yield start, rows

"""What a simulation takes in memory and time, before it is begun."""

from __future__ import annotations

import os

from numpy.typing import ArrayLike

from numerics.core.state import HasSizes, bands_of
from numerics.core.validation import MOST_STEPS, check_memory, check_times, check_work
from theory import InputError

# numbers that the samples of a step may take in a run, and in all runs at work: half a gigabyte
MOST_BATCH_NUMBERS = 2**26


def check_size(
    model: HasSizes,
    step: float,
    time: ArrayLike,
    dimension: int,
    replicas: int,
    *,
    method: str = "direct",
    batch: int = 1,
) -> None:
    """Refuse a simulation that cannot be held in memory, or that would take years.

    Sizes are all that is asked of the model, so that it need not be built for this.

    Raises
    ------
    theory.InputError
        With what it would take.
    """
    times = check_times(time)
    units, directions = model.units, model.directions
    steps = times[-1] / (step / dimension)
    # records at every time, and what generators and states of the replicas take
    statistics = bands_of(model) * units * (directions + units) + model.readout_size
    records = replicas * (times.size * statistics + 200)
    check_memory("replicas", replicas, records, "take fewer replicas or fewer times")
    # what the runs that are at work hold: weights, and the samples of a step
    width = dimension if method == "direct" else 4 * (units + directions)
    samples = batch_numbers(model, dimension, method, batch)
    if batch > 1 and samples > MOST_BATCH_NUMBERS:
        most = batch * MOST_BATCH_NUMBERS // samples
        got = f"{batch}, whose samples take {8 * samples / 1e9:.3g} GB in every run"
        remedy = "take fewer: a batch beyond the dimension leaves hardly any noise, as in a curve"
        raise InputError("batch", got, f"at most {most}, which take half a gigabyte", remedy)
    held = min(replicas, os.cpu_count() or 1) * (samples + 2 * units * width)
    larger, value = ("batch", batch) if batch > units else ("dimension", dimension)
    check_memory(larger, value, held, "take less, or the method reduced for a large dimension")
    length = f"{times[-1]:g}, {steps:.3g} steps"
    operations = steps * replicas * batch * width * (units + directions)
    check_work("time", length, operations, "end the run before")
    if steps > MOST_STEPS:
        raise InputError("time", length, f"at most {MOST_STEPS} steps", "end the run before")


def batch_numbers(model: HasSizes, dimension: int, method: str, batch: int) -> int:
    """Numbers that a run keeps of the samples of a step: features, noise and gradients."""
    tokens = int(getattr(model, "tokens", 1))
    gradients = tokens * model.units + model.readout_size
    if method == "direct":
        return batch * (tokens * dimension + gradients)
    return batch * (tokens * (2 * model.directions + 3 * model.units) + gradients + 1)

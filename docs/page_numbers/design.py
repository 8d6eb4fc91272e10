"""Settings of training: runs and numbers of the page on designs."""

from __future__ import annotations

import math
from typing import Any

from .markdown import commands, measured, minutes, output
from .runs import Run

RUNS = (
    Run(
        "design",
        "specalign design kgmm --k 3 --reach accuracy 0.9 --over step 0.1 40 --over ridge 0 1 "
        "--plot docs/img/design.png",
        printed=True,
    ),
    Run(
        "schedule",
        "specalign design --reach accuracy 0.9 --within 16 --over step 1 40 --over a 0 4 "
        '--schedule "1/(1 + a*t)" --no-confirm',
        printed=True,
    ),
)


def values(found: dict[str, Any]) -> dict[str, str]:
    """Commands, what they print, and numbers by the names of their places."""
    design, schedule = found["design"], found["schedule"]
    ratio = schedule["time"] / design["time"]
    error = math.hypot(*(run["error"] / run["time"] for run in (design, schedule)))
    return {
        **{f"{name} command": commands(found, [name]) for name in found},
        **{f"{name} output": output(run) for name, run in found.items()},
        "constant": measured(design["time"], design["error"]),
        "scheduled": measured(schedule["time"], schedule["error"]),
        "gain": measured(100 * (1 - ratio), 100 * ratio * error),
        "minutes": minutes(found),
    }

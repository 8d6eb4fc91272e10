"""The command inside a test, with stderr kept apart from stdout."""

from __future__ import annotations

import inspect
from typing import Any

from typer.testing import CliRunner


def new_runner(kind: type = CliRunner) -> Any:
    """A runner of an app, or of the command made from it, whose results have ``stderr`` apart.

    Click before 8.2 writes both into one stream unless told not to; later ones cannot be told.
    """
    apart = {"mix_stderr": False} if "mix_stderr" in inspect.signature(kind).parameters else {}
    return kind(**apart)

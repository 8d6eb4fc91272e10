"""The command inside a test, with stderr kept apart from stdout."""

from __future__ import annotations

import inspect
from typing import Any

from click.testing import Result
from typer.testing import CliRunner


class _Both(Result):
    """A result of Click before 8.2, whose ``output`` is that of stdout alone."""

    @property
    def output(self) -> str:
        return self.stdout + self.stderr


def new_runner(kind: type = CliRunner) -> Any:
    """A runner of an app, or of the command made from it, whose results have ``stderr`` apart.

    Click before 8.2 writes both into one stream unless told not to; later ones cannot be told.
    """
    if "mix_stderr" not in inspect.signature(kind).parameters:
        return kind()

    class Runner(kind):
        def invoke(self, *arguments: Any, **settings: Any) -> Result:
            result = super().invoke(*arguments, **settings)
            result.__class__ = _Both
            return result

    return Runner(mix_stderr=False)

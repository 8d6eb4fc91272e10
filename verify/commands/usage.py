"""Errors of the words of a command line, in the one shape that errors have here."""

from __future__ import annotations

from typing import Any

import typer

from theory import InputError

# Typer brings its own copy of what used to be click: its public error leads to the common kind
UsageError: type[Exception] = typer.BadParameter.__mro__[1]


def as_input_error(error: Any, ctx: Any) -> InputError:
    """What was typed, what was expected and what to do.

    Parameters
    ----------
    error : click.UsageError
        As the parser raises it.
    ctx : click.Context
        Of whoever parses, where the error names none.

    Raises
    ------
    click.UsageError
        The error itself where it is none: a command without words shows its help.
    """
    if type(error).__name__ == "NoArgsIsHelpError":
        raise error
    command = (getattr(error, "ctx", None) or ctx).command_path
    help_ = f"see {command} --help"
    message = str(error.format_message()).rstrip(".").removeprefix("Got ")
    name = getattr(error, "option_name", None)
    close = getattr(error, "possibilities", None)
    if name is not None and type(error).__name__ == "NoSuchOption":
        remedy = f"did you mean {' or '.join(sorted(close))}" if close else help_
        return InputError(name, "No such option", f"an option of {command}", remedy)
    if name is not None:
        return InputError(name, message, f"an option of {command} with its value", help_)
    parameter = getattr(error, "param", None)
    if parameter is not None:
        name = parameter.opts[0] if parameter.opts[0].startswith("-") else parameter.metavar
        missing = type(error).__name__ == "MissingParameter"
        got = "nothing" if missing else message
        return InputError(name or parameter.name, got, f"a value that {command} can use", help_)
    return InputError(command, message, "its options and arguments", help_)

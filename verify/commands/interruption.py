"""Requests to end, by Ctrl-C or SIGTERM: what was finished is kept, and the exit code is 130.

Python raises KeyboardInterrupt wherever it happens to be. In a destructor it is printed and lost,
in an import it leaves half a module and another error follows: the request is noted as well, so
that whatever came of the exception, the work ends with the code of an interruption.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable

from .messages import complain
from .terminal import INTERRUPTED

_REQUESTS: list[int] = []


def was_interrupted() -> bool:
    """Whether somebody asked the command to end."""
    return bool(_REQUESTS)


def run_interruptibly(command: Callable[[], object]) -> None:
    """Run a command that ends with SystemExit.

    Raises
    ------
    SystemExit
        With the code of the command, and that of an interruption where one was asked for.
    """
    _REQUESTS.clear()
    for number in (signal.SIGINT, signal.SIGTERM):
        # who ignores a signal, as shells do for work in the background, passes that on
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _note)
    try:
        command()
        code: object = 0
    except SystemExit as end:
        code = end.code
    except BaseException as error:
        if not was_interrupted():
            raise
        told = traceback.format_exception_only(error)[-1].strip()
        complain("interrupted" + ("" if isinstance(error, KeyboardInterrupt) else f": {told}"))
        code = INTERRUPTED
    if was_interrupted() and code != INTERRUPTED:
        complain("interrupted")
        code = INTERRUPTED
    _leave_at_once(code)
    sys.exit(code)  # type: ignore[arg-type]


def _note(number: int, _: object) -> None:
    _REQUESTS.append(number)
    raise KeyboardInterrupt


def _leave_at_once(code: object) -> None:
    """From now on there is nothing to keep: a request while Python shuts down ends it."""

    def leave(*_: object) -> None:
        os._exit(code if isinstance(code, int) else 1)

    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is _note:
            signal.signal(number, leave)

"""``python -m specalign`` is the command ``specalign``."""

from __future__ import annotations

import gc
import os
import signal


def main() -> None:
    """Entry point of the command.

    Until the command itself listens to requests to end, there is nothing to keep: an import that is
    left halfway would only be reported as an error of its own.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        # who ignores a signal, as shells do for work in the background, passes that on
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _leave)
    # nearly all that imports make is there to stay: to look through it for garbage again and again,
    # and once more at the end, is a quarter of a short command's time
    gc.set_threshold(100_000, 20, 20)
    from verify.commands.cli import main as command

    try:
        command()
    finally:
        gc.freeze()


def _leave(*_: object) -> None:
    os.write(2, b"interrupted\n")
    os._exit(130)


if __name__ == "__main__":
    main()

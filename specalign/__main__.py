"""``python -m specalign`` is the command ``specalign``."""

from __future__ import annotations

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
    from verify.commands.cli import main as command

    command()


def _leave(*_: object) -> None:
    os.write(2, b"interrupted\n")
    os._exit(130)


if __name__ == "__main__":
    main()

"""Fixtures of the tests of the command."""

from command_cases import no_work

__all__ = ["no_work"]

"""The `specalign` command and its parts, from derive to verify.

Exit codes: 0 all is well, 1 a check failed or was inconclusive or a computation diverged, 2 bad
input, 130 interrupted.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from theory.errors import InputError, check_choice
from verify.network_layers.layers_command import layers
from verify.real_data.fit_command import fit
from verify.training_design.design_command import design

from .check import check
from .command import Command, PlainFlags, UsageError, as_input_error
from .curves import curves
from .derive import derive
from .effective import effective
from .interruption import run_interruptibly
from .judging.paper import paper
from .messages import complain, say
from .simulate import simulate
from .spectrum import spectrum
from .starts.new import new
from .sweep import sweep
from .terminal import BAD_INPUT, INTERRUPTED, NOT_WELL, hush_libraries
from .verify import verify


class _Commands(PlainFlags, TyperGroup):
    """Turns the errors of every command into one line and an exit code."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words before the name of a command."""
        try:
            return super().parse_args(ctx, args)
        except UsageError as error:
            raise _refusal(as_input_error(error, ctx)) from error

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command of this name; others are refused with the nearest one."""
        try:
            check_choice("command", args[0], self.list_commands(ctx))
        except InputError as error:
            raise _refusal(error) from error
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except UsageError as error:
            raise _refusal(as_input_error(error, ctx)) from error
        except InputError as error:
            raise _refusal(error) from error
        except (ZeroDivisionError, OverflowError, FloatingPointError):
            raise  # defects, not statements about the input
        except ArithmeticError as error:
            complain(f"stopped: {error}")
            raise typer.Exit(NOT_WELL) from error
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise
            complain(f"error: could not write: {error}")
            raise typer.Exit(NOT_WELL) from error
        except EOFError as error:
            # typer takes it for the end of what is typed, and would say "Aborted." and no more
            raise RuntimeError(f"a file ends too early: {error}") from error
        except KeyboardInterrupt as error:
            complain("interrupted")
            raise typer.Exit(INTERRUPTED) from error


def _refusal(error: InputError) -> typer.Exit:
    """One line on standard error, and the exit that goes with it."""
    complain(f"error: {error}")
    return typer.Exit(BAD_INPUT)


app = typer.Typer(
    name="specalign",
    cls=_Commands,
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 all well, 1 a check did not hold or a run diverged, 2 bad input, "
    "130 interrupted.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from numerics.version import version

        say(f"specalign {version()}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Theory checker for stochastic gradient descent (SGD) in high dimension.

    Derive the theory of a model from its loss, draw its curves, simulate SGD
    beside them, compare spectra, and get a verdict with stated tolerances.

    Start with:  specalign curves --plot curves.png
    """


for _command in (
    *(new, derive, check, curves, simulate, spectrum, effective, fit, sweep, layers, design),
    *(verify, paper),
):
    app.command(cls=Command)(_command)


def main() -> None:
    """Run the command `specalign`."""
    hush_libraries()
    run_interruptibly(lambda: app(prog_name="specalign"))


if __name__ == "__main__":
    main()

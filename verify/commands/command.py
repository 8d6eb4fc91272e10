"""A command made from a function and the table of options, and the errors of its words."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from theory.errors import InputError
from verify.settings.configuration import Configuration
from verify.settings.option import Option
from verify.settings.option_table import COMMON, OPTIONS, options_of
from verify.settings.related_spellings import OWN_SPELLINGS, RELATED

from .messages import messages
from .terminal import check_outputs

# Typer brings its own copy of what used to be click: its public error leads to the common kind
UsageError: type[Exception] = typer.BadParameter.__mro__[1]


def takes_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a function the options that the table has for its name.

    Those that are keys of configuration files reach it as one
    :class:`verify.settings.configuration.Configuration`, called ``settings``; every other one as a
    keyword of its own. Values are read, files are merged and outputs are known to be writable
    before the function runs.

    Examples
    --------
    >>> @takes_options
    ... def spectrum(settings, *, matrix, **others):
    ...     print(settings.precision, matrix, others["at"])
    >>> spectrum(precision="1/2")
    1/2 hessian None
    """
    options = options_of(function.__name__)
    # what becomes part of the settings, and what is for all commands
    shared = {"config", *COMMON}
    if any(option.table == "model" for option in options):
        shared.add("model_file")
    own = [option for option in options if not option.table and option.name not in shared]

    @wraps(function)
    def command(**texts: Any) -> None:
        values = {o.name: _value(o, texts.get(o.name)) for o in options}
        typed = Configuration(**{o.name: values[o.name] for o in options if o.table})
        check_outputs(
            (o.label, values[o.name], o.suffixes) for o in options if o.suffixes is not None
        )
        with (
            messages(function.__name__, values.get("quiet", False), values.get("log")),
            _canvas(values),
        ):
            settings = _settings(typed, values.get("config"), "model_file" in shared)
            if "model_file" in shared and values["model_file"] is not None:
                settings = _with_user_model(values["model_file"], settings)
            settings.typed = frozenset(typed.values)
            function(settings, **{o.name: values[o.name] for o in own})

    parameters = [_parameter(option) for option in options]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def _settings(typed: Configuration, file: Path | None, own_models: bool) -> Configuration:
    """What a file and the options say, which override it."""
    if file is None:
        return typed
    from verify.settings.stated_model import read_settings
    from verify.settings.user_model import UserConfiguration

    found = read_settings(file)
    if isinstance(found, UserConfiguration) and not own_models:
        remedy = "leave loss, [mixture], [bands] and [update] away"
        raise InputError("--config", file, "a built-in model for this command", remedy)
    return found.override(typed)


def _canvas(values: dict[str, Any]) -> AbstractContextManager[None]:
    """How the figure of the command is to look; nothing is loaded where nothing is said."""
    asked = {"size": values.get("size"), "title": values.get("title")}
    asked["style"] = values.get("figure_style")
    for name, value in asked.items():
        if value is not None and values.get("plot") is None:
            expected = "nothing of the kind without --plot"
            raise InputError(f"--{name}", str(value), expected, "add --plot FILE.png")
    if all(value is None for value in asked.values()):
        return nullcontext()
    from verify.figures.canvas import canvas
    from verify.figures.style import check_text

    if asked["title"] is not None:
        check_text("--title", asked["title"])
    if asked["size"] is not None:
        asked["size"] = tuple(map(float, asked["size"]))
    return canvas(**asked)


def _with_user_model(text: str, settings: Configuration) -> Configuration:
    """The same about a model of the user's own, whose file is run now."""
    from verify.settings.user_model import UserConfiguration, load_model

    if isinstance(settings, UserConfiguration):
        got, expected = f"{text} beside a configuration that states a model", "one of the two"
        raise InputError("--model", got, expected, "leave --model or --config away")
    return UserConfiguration(load_model(text), **settings.values)


def _value(option: Option, text: Any) -> Any:
    """What a text means; of an option that is no key, the default where nothing was said."""
    if text is None:
        return None if option.table else option.default_of("")
    if option.words > 1 and option.type is not str:
        return [option.read_text(each) for each in text]
    return option.read_text(text) if option.type is str else text


def _parameter(option: Option) -> inspect.Parameter:
    """The parameter that Typer makes an option or argument of."""
    missing: Any = bool(option.default) if option.type is bool else None
    offered = option.choices or option.offered
    words: dict[str, Any] = {"autocompletion": lambda: list(offered)} if offered else {}
    if option.is_argument:
        shown: Any = typer.Argument(
            metavar=option.metavar, **words, help=option.help, show_default=False
        )
    else:
        shown = typer.Option(
            *option.spellings,
            **words,
            help=option.help,
            metavar=option.metavar,  # "" for a flag: it takes no value
            rich_help_panel=option.panel,
            show_default=option.type is bool and missing,
        )
    optional = option.required or option.type is bool
    return inspect.Parameter(
        option.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if option.required else missing,
        annotation=Annotated[option.type if optional else option.type | None, shown],
    )


class PlainFlags:
    """A command whose help shows no kind of value behind options that take none."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Options and arguments, ``--help`` among them."""
        parameters = super().get_params(ctx)  # type: ignore[misc]
        for parameter in parameters:
            if getattr(parameter, "is_flag", False):
                parameter.metavar = ""
        return list(parameters)


class Command(PlainFlags, TyperCommand):
    """Reads further spellings of options, and refuses an option that is given twice."""

    def __init__(self, *args: Any, help: str | None = None, **further: Any) -> None:
        super().__init__(*args, help=_unwrapped(help), **further)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words of the command line."""
        try:
            return self._parsed(ctx, args)
        except UsageError as error:
            raise as_input_error(error, ctx) from error

    def _parsed(self, ctx: Any, args: list[str]) -> list[str]:
        command = str(ctx.info_name)
        words = _joined(_understood(command, args), options_of(command))
        _, _, order = self.make_parser(ctx).parse_args(args=list(words))
        counts = Counter(
            p.opts[0] for p in order if p.opts[0].startswith("-") and not (p.is_eager or p.multiple)
        )
        for spelling, count in counts.items():
            if count > 1:
                remedy = "leave all but one away"
                raise InputError(spelling, f"{count} values", "an option given once", remedy)
        return super().parse_args(ctx, words)


def _unwrapped(text: str | None) -> str | None:
    """Help whose paragraphs are one line each, to be wrapped to the terminal and not at the width
    of the source as well.
    """
    if text is None:
        return None
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(" ".join(map(str.strip, p.splitlines())) for p in paragraphs)


def _understood(command: str, words: Sequence[str]) -> list[str]:
    """The words with the spellings of the table; one that may mean something else is refused."""
    aliases = {alias: option for option in OPTIONS for alias in option.aliases}
    takes = options_of(command)
    known = {spelling for option in takes for spelling in option.spellings}
    own = OWN_SPELLINGS.get(command, {})
    found: list[str] = []
    for i, word in enumerate(words):
        if word == "--":
            return [*found, *words[i:]]
        flag, equals, value = word.partition("=")
        if flag in own:
            flag = own[flag]
            word = f"{flag}{equals}{value}"
        option = aliases.get(flag)
        meant, remedy = RELATED.get(flag, (option.spellings[0] if option else None, ""))
        if meant is not None and flag not in known and meant not in known:
            remedy = f"it would mean {meant}, which specalign {command} does not take"
            expected = f"an option of specalign {command}"
            raise InputError(flag, "no option of this name", expected, remedy)
        if flag in RELATED and flag not in known:
            raise InputError(flag, "no option of this name", f"the option {meant}", remedy)
        if option is not None and option.spellings[0] in known:
            word = f"{option.spellings[0]}{equals}{value}"
        found.append(word)
    return found


def _joined(words: Sequence[str], takes: Sequence[Option]) -> list[str]:
    """The words with those of one value behind each other in one: ``--over=step 0.1 3``."""
    several = {spelling: o for o in takes if o.words > 1 for spelling in o.spellings}
    found: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        if word == "--":
            return [*found, word, *left]
        if word in several:
            option = several[word]
            value, left = left[: option.words], left[option.words :]
            if len(value) < option.words or any(part.startswith("--") for part in value):
                got = " ".join(value[: option.words]) or "nothing"
                raise InputError(word, got, option.metavar, f"write {word} {option.example}")
            word = f"{word}={' '.join(value)}"
        found.append(word)
    return found


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
        remedy = f"write {' or '.join(sorted(close))}" if close else help_
        return InputError(name, "no option of this name", f"an option of {command}", remedy)
    if name is not None:
        return InputError(name, message, f"an option of {command} with its value", help_)
    parameter = getattr(error, "param", None)
    if parameter is not None:
        name = parameter.opts[0] if parameter.opts[0].startswith("-") else parameter.metavar
        missing = type(error).__name__ == "MissingParameter"
        got = "nothing" if missing else message
        return InputError(name or parameter.name, got, f"a value that {command} can use", help_)
    return InputError(command, message, "its options and arguments", help_)

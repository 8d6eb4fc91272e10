"""The table of options: everything made from it has every option, also one that is added."""

from __future__ import annotations

import runpy
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from command_cases import invoke
from helpers import ROOT

from theory import InputError
from theory.keywords import SAME
from verify.commands.cli import app
from verify.settings.configuration import Configuration, read_configuration
from verify.settings.option_table import OPTIONS, keys, options_of
from verify.settings.related_spellings import RELATED
from verify.settings.sweep_file import SweepConfiguration, read_sweep

COMMANDS = sorted(command.callback.__name__ for command in app.registered_commands)
PAGE = runpy.run_path(str(ROOT / "docs" / "make_options.py"))["page"]
# a text that each kind of key reads, and what a file holds for it
VALUES = {
    "set": "T=0.5",
    "name": "kgmm",
    "activation": "tanh",
    "weights": "1/2,1/2",
    "directions_gram": "1,0;0,1",
    "overlap": "1,0;0,1",
    "gram_perp": "1,0;0,1",
    "readout": "1,2",
    "method": "reduced",
    "schedule": "1/(1 + t)",
    "noise": "uniform",
}


def in_toml(text: str) -> str:
    """A value of the command line as it stands in a file."""
    if ";" in text:
        return f"[{', '.join(in_toml(row) for row in text.split(';'))}]"
    if "," in text:
        return f"[{', '.join(in_toml(entry) for entry in text.split(','))}]"
    return text if text.replace(".", "").isdigit() else f"'{text}'"


# --- every option is everywhere -------------------------------------------------------------------


def test_every_command_takes_its_options_and_no_other():
    for command in COMMANDS:
        text = " ".join(invoke(command, "--help").stdout.replace("│", " ").split())
        for option in options_of(command):
            assert option.spellings[-1].partition("/")[0] in text, (command, option.name)
            assert " ".join(option.help.split()) in text, (command, option.name)
        taken = {o.spellings[0] for o in options_of(command)}
        for flag in {o.spellings[0] for o in OPTIONS if not o.is_argument} - taken:
            assert f" {flag} " not in text.partition("Options")[2], (command, flag)


def test_every_option_belongs_to_a_command_or_to_the_files_of_sweeps():
    for option in OPTIONS:
        assert option.commands or option.table, option.name
        assert set(option.commands) <= set(COMMANDS)
        assert option.meaning
        assert not option.meaning.endswith(".")


def test_every_limit_has_its_reason_on_the_page():
    page = PAGE()
    for option in OPTIONS:
        if option.most is not None or option.tiny is not None:
            assert option.beyond, option.name
        if option.beyond:
            assert f"| `{option.spellings[0]}` |" in page
            assert option.beyond.replace("|", "\\|") in page


def test_bounds_are_values_that_an_option_may_have():
    for option in OPTIONS:
        for bound in (option.least, option.tiny, option.most):
            if bound is not None:
                value = Fraction(str(bound))
                assert option.check(value) == value, option.name


def test_names_flags_and_aliases_mean_one_thing():
    for command in COMMANDS:
        options = options_of(command)
        flags = [s for o in options for s in (*o.spellings, *o.aliases)]
        assert len(flags) == len(set(flags))
        assert len({o.name for o in options}) == len(options)
    aliases = [alias for option in OPTIONS for alias in option.aliases]
    assert len(aliases) == len(set(aliases))
    assert not set(aliases) & {s for option in OPTIONS for s in option.spellings}
    assert not set(RELATED) & set(aliases)
    assert {meant for meant, _ in RELATED.values()} <= {o.spellings[0] for o in OPTIONS}


@pytest.mark.parametrize("name", keys(sweep=True))
def test_files_and_texts_give_the_same_values(name, tmp_path):
    option = keys(sweep=True)[name]
    text = VALUES.get(name, "3")
    file = tmp_path / "run.toml"
    file.write_text(f"[{option.table}]\n{name} = {in_toml(text)}\n")
    kind = Configuration if option.commands else SweepConfiguration
    if option.commands:
        assert getattr(read_configuration(file), name) == option.read_text(text)
    else:
        with pytest.raises(InputError, match=name):
            read_configuration(file)
    assert getattr(kind(**{name: option.read_text(text)}), name) == option.read_text(text)
    assert getattr(kind(), name) is None


@pytest.mark.parametrize("name", keys(sweep=True))
def test_every_key_is_the_axis_of_a_sweep_or_says_why_not(name, tmp_path):
    option = keys(sweep=True)[name]
    model = "xor" if name in ("width", "activation", "readout") else "kgmm"
    head = "" if name == "name" else f"[model]\nname = '{model}'\n"
    file = tmp_path / "sweep.toml"
    values = f"[{in_toml(VALUES.get(name, '3'))}]"
    file.write_text(f"{head}[sweep]\n{name} = {values}\nmeasure = ['risk']\n")
    if option.fixed:
        with pytest.raises(InputError, match=option.fixed.replace("[", r"\[")):
            read_sweep(file)
    else:
        assert list(read_sweep(file).axes) == [name]


def test_the_page_of_the_documentation_is_made_from_the_table():
    page = (ROOT / "docs" / "options.md").read_text("utf-8")
    assert page == PAGE(), "run python docs/make_options.py"
    for option in OPTIONS:
        assert option.meaning.replace("|", "\\|") in page
    assert "options.md" in (ROOT / "mkdocs.yml").read_text("utf-8")


def test_examples_hold_known_keys():
    for file in sorted((ROOT / "examples").glob("*.toml")):
        if file.name.startswith("sweep_"):
            assert read_sweep(file).axes
        else:
            assert read_configuration(file).values


# --- a new option ---------------------------------------------------------------------------------

DUMMY = """
import runpy, sys
from pathlib import Path
import verify.settings.option_table as table
from verify.settings.option import Option
from verify.settings.values import INTEGER
dummy = Option("wobble", "INT", "How much it wobbles", INTEGER, table="run", panel="Run", least=1,
    commands=("curves", "simulate"), domain="an integer >= 1", default=7, aliases=("--shake",))
table.OPTIONS = (*table.OPTIONS, dummy)

from typer.testing import CliRunner
from verify.commands.cli import app
from verify.settings.configuration import Configuration, read_configuration
from verify.settings.sweep_file import read_sweep

def run(*words):
    return CliRunner().invoke(app, words, env={"COLUMNS": "200", "NO_COLOR": "1"})

for command in ("curves", "simulate"):
    assert "How much it wobbles (an integer >= 1; default: 7)." in run(command, "--help").stdout
assert "wobble" not in run("spectrum", "--help").stdout
file = Path(sys.argv[1]) / "run.toml"
file.write_text("[run]\\nwobble = 5\\n")
assert read_configuration(file).wobble == 5
assert Configuration().wobble is None and Configuration().value("wobble") == 7
file.write_text("[run]\\nwobble = 0\\n")
refused = run("curves", "--config", str(file))
assert refused.exit_code == 2 and "wobble: got 0; expected an integer >= 1" in refused.stderr
assert run("curves", "--shake", "0").stderr == refused.stderr
file.write_text("[sweep]\\nwobble = [1, 2]\\nmeasure = ['risk']\\n")
assert read_sweep(file).axes == {"wobble": [1, 2]}
page = runpy.run_path("docs/make_options.py")["page"]()
row = "| `--wobble` `INT` | How much it wobbles | an integer >= 1 | 7 | `[run] wobble` | yes"
assert row in page
"""


@pytest.mark.slow
def test_a_new_entry_is_an_option_everywhere(tmp_path):
    """Nothing but the table is touched."""
    run = subprocess.run(
        [sys.executable, "-c", DUMMY, str(tmp_path)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    assert Path(tmp_path / "run.toml").exists()


def test_keywords_of_functions_and_options_have_the_same_other_spellings():
    aliases = {alias: option.name for option in OPTIONS for alias in option.aliases}
    aliases |= {flag: o.name for o in OPTIONS for flag in o.spellings if len(flag) == 2}
    for typed, meant in SAME.items():
        flag = f"--{typed.rstrip('_').replace('_', '-')}" if len(typed) > 1 else f"-{typed}"
        assert aliases[flag] == meant, typed

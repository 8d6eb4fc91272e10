"""What people type: other spellings, options given twice."""

from __future__ import annotations

import pytest
from command_cases import invoke
from command_runner import new_runner

from verify.commands.cli import app
from verify.commands.command import takes_options
from verify.settings.option_table import OPTIONS
from verify.settings.related_spellings import RELATED


@pytest.mark.parametrize(
    ("typed", "option"),
    [("--lambda", "precision"), ("--beta", "ridge"), ("--classes", "k"), ("--c-delta", "step")],
)
def test_other_spellings_are_read(typed, option, no_work):
    shown = invoke("curves", typed, "-7").stderr
    assert shown.startswith(f"error: {option}: got -7")
    assert shown == invoke("curves", f"{typed}=-7").stderr
    assert shown == invoke("curves", f"--{option}", "-7").stderr


def test_every_other_spelling_reaches_its_option(no_work):
    for option in OPTIONS:
        for alias in option.aliases:
            for command in option.commands[:1]:
                result = invoke(command, alias, "?", alias, "?")
                assert result.exit_code == 2
                assert f"{option.spellings[0]}: got 2 values" in result.stderr


@pytest.mark.parametrize("typed", RELATED)
def test_what_means_another_number_is_refused_with_the_relation(typed, no_work):
    for words in ([typed, "0.1"], [f"{typed}=0.1"]):
        result = invoke("simulate", *words)
        assert result.exit_code == 2
        meant, relation = RELATED[typed]
        assert result.stderr.startswith(f"error: {typed}: got no option of this name")
        assert f"the option {meant}" in result.stderr
        assert relation in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["curves", "--k", "3", "--k", "4"],
        ["curves", "--k", "3", "--k=3"],
        ["curves", "--precision", "3", "--lambda", "3"],
        ["simulate", "-d", "100", "--dimension", "200"],
        ["simulate", "--theory", "--no-theory"],
        ["curves", "--config", "a.toml", "--config", "b.toml"],
        ["curves", "-o", "a.nc", "--output", "b.nc"],
        ["verify", "--seed", "1", "--seed", "2"],
        ["sweep", "a.toml", "--store", "a.zarr", "--store", "b.zarr"],
    ],
)
def test_an_option_given_twice_is_refused(words, no_work):
    result = invoke(*words)
    assert result.exit_code == 2
    assert "got 2 values; expected an option given once" in result.stderr
    assert result.stdout == ""


def test_words_after_two_dashes_are_no_options(no_work):
    result = invoke("curves", "--", "--lambda")
    assert result.exit_code == 2
    assert "model: got '--lambda'" in result.stderr


def test_keys_of_files_have_the_same_other_spellings(tmp_path, no_work):
    file = tmp_path / "run.toml"
    for key, meant in (("lambda", "precision"), ("beta", "ridge"), ("lr", "step")):
        file.write_text(f"[parameters]\n{key} = 0.1\n")
        result = invoke("curves", "--config", file)
        assert result.exit_code == 2
        assert f"got '{key}'; expected the key {meant}" in result.stderr


def test_a_command_without_options_of_its_name_is_a_plain_function():
    seen = []

    @takes_options
    def nothing_of_the_kind(settings):
        seen.append(settings.values)

    nothing_of_the_kind()
    assert seen == [{}]


@pytest.mark.parametrize(
    ("words", "meant"),
    [(["verify", "--lr", "0.1"], "--step"), (["verify", "--lambda=10"], "--precision")],
)
def test_no_option_is_advised_that_the_command_lacks(words, meant, no_work):
    result = invoke(*words)
    assert result.exit_code == 2
    remedy = f"it would mean {meant}, which specalign verify does not take"
    assert f"expected an option of specalign verify. Remedy: {remedy}" in result.stderr


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("specalign cur", ["curves"]),
        ("specalign curves --prec", ["--precision"]),
        ("specalign derive --quantity h", ["hessian"]),
        ("specalign verify --level ", ["quick", "full"]),
    ],
)
def test_shells_complete_commands_options_and_values(words, expected, monkeypatch):
    for name, value in (
        ("_SPECALIGN_COMPLETE", "complete_bash"),
        ("COMP_WORDS", words),
        ("COMP_CWORD", str(words.count(" "))),
    ):
        monkeypatch.setenv(name, value)
    result = new_runner().invoke(app, [], prog_name="specalign")
    assert result.output.split() == expected

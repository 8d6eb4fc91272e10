"""Texts that no option can mean: refused by name at once, whatever they try."""

from __future__ import annotations

import re

import pytest
from audit import import_everything, learning, watched
from command_cases import invoke
from hostile_texts import (
    NO_INTEGERS,
    NO_LISTS,
    NO_NUMBERS,
    NO_PATHS,
    NO_ROWS,
    NO_SCHEDULES,
    NO_WORDS,
)

from verify.settings.option_table import OPTIONS
from verify.settings.values import INTEGER, LIST, NUMBER, ROWS, ROWS_OR_NAME, TIME

BY_KIND = {
    id(NUMBER): NO_NUMBERS,
    id(TIME): NO_NUMBERS,
    id(INTEGER): NO_INTEGERS,
    id(LIST): NO_LISTS,
    id(ROWS): NO_ROWS,
    id(ROWS_OR_NAME): NO_ROWS,
}
# what some options understand after all
UNDERSTOOD = {"--limit": ("1",), "--at": ("1",)}
# words that stand before the option
BEFORE = {"sweep": ["absent.toml", "--store", "absent.zarr", "--list"], "check": ["absent.toml"]}
XOR = ("width", "activation", "readout", "assignment")
# models whose derivation takes minutes: nothing of it may come before a refusal
LARGE_KGMM, LARGE_XOR = ["--k", "24"], ["xor", "--width", "64"]
MODEL = ("derive", "curves", "simulate", "spectrum", "effective")


def bad_texts(option) -> tuple[str, ...]:
    if option.type is not str:
        return NO_PATHS
    if option.name == "schedule":
        return NO_SCHEDULES
    return BY_KIND.get(id(option.kind), NO_WORDS)


def model_beside(option, command) -> list[str]:
    """A large model that does not say what the option says."""
    if command not in MODEL:
        return []
    if option.name == "width":
        return ["xor"]
    if option.name in XOR:
        return LARGE_XOR
    return [] if option.name == "k" else LARGE_KGMM


def cases():
    for option in OPTIONS:
        if option.type is bool or option.is_argument or not option.commands:
            continue
        command = option.commands[0]
        words = [command, *model_beside(option, command), *BEFORE.get(command, [])]
        if option.name == "store":
            words = ["sweep", "absent.toml", "--list"]
        if option.name == "only":
            words = ["verify", "--list"]
        if option.name == "assignment":
            words += ["--quantity", "fixed-point"]
        understood = UNDERSTOOD.get(option.spellings[0], ())
        texts = [t for t in bad_texts(option) if t not in understood]
        yield pytest.param(words, option.spellings[0], texts, id=f"{command} {option.spellings[0]}")


@pytest.fixture(scope="module", autouse=True)
def warmed():
    """Everything is imported, and what the libraries compile at every call is known."""
    import_everything()
    absent = ["sweep", "absent.toml", "--store", "absent.zarr"]
    with learning():
        for words in (["curves", "--k", "1"], ["simulate", "--k", "1"], absent, ["--version"]):
            invoke(*words)


def refusal(*words: object) -> str:
    """The one line that refuses the words."""
    with watched() as watch:
        result = invoke(*words)
    watch.check()
    assert result.exit_code == 2, result.output
    message = result.stderr
    assert message.startswith("error: ")
    assert len(message.splitlines()) == 1
    assert re.search(r"got .*; expected .*\. Remedy: .*", message)
    assert len(message) < 4000
    assert "Traceback" not in result.output
    assert all(c.isprintable() or c == "\n" for c in message)
    return message


TABLE = list(cases())


def test_there_are_enough_of_them():
    assert sum(len(case.values[2]) for case in TABLE) > 500


@pytest.mark.slow
@pytest.mark.parametrize(("words", "flag", "texts"), TABLE)
def test_no_option_trips_over_a_text(words, flag, texts, no_work, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for text in texts:
        refusal(*words, f"{flag}={text}")
    assert list(tmp_path.iterdir()) == []


REPEATED = [
    ["curves", "--k", "2", "--k", "2"],
    ["curves", "--lambda", "3", "--precision", "3"],
    ["simulate", "-d", "50", "--dimension", "50"],
    ["curves", "--k"],
    ["curves", "--bogus"],
    ["curves", "--\u212a", "2"],
    ["curves", "\u2014k", "2"],
    ["curves", "--k\u200b", "2"],
    ["curves", "kgmm", "xor"],
    ["curves", "\u043agmm"],
    ["curves", "file.py:model"],
    ["curves", "os:system"],
    ["curves", "../kgmm"],
    ["curves", "k" * 100_000],
    ["curves", "--" + "k" * 100_000],
    ["verify", "\x1b[31m"],
    ["verify", "--list=1"],
    ["check"],
    ["check", "absent.toml"],
    ["check", "/dev/zero"],
    ["check", "/dev/stdin.toml"],
    ["sweep", "absent.toml"],
    ["sweep", "--store", "x.zarr"],
    ["sweep", "/dev/zero", "--store", "x.zarr"],
    ["sweep", "absent.toml", "--store", "x.zarr", "--workers", "2", "--scheduler", "tcp://a:1"],
    ["--bogus"],
    ["nothing"],
    ["\u202ecurves"],
    ["curves "],
    ["__import__"],
]


@pytest.mark.parametrize("words", REPEATED, ids=lambda words: ascii(" ".join(words))[1:60])
def test_words_that_are_none_are_refused(words, no_work, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refusal(*words)


ENVIRONMENT = {
    "COLUMNS": ["-1", "0", "9" * 30, "x", "\u0661"],
    "LINES": ["x"],
    "NO_COLOR": ["\x1b[31m"],
    "TERM": ["\u202e", "x" * 10_000],
    "PYTHONHASHSEED": ["x"],
    "XDG_CACHE_HOME": ["/dev/null", "/nowhere"],
    "HOME": ["/dev/null"],
    "TMPDIR": ["/nowhere"],
    "LANG": ["C", "xx_XX.nothing"],
}


@pytest.mark.parametrize(
    ("name", "value"), [(n, v) for n, values in ENVIRONMENT.items() for v in values]
)
def test_no_variable_of_the_environment_changes_a_refusal(name, value, no_work, monkeypatch):
    monkeypatch.setenv(name, value)
    assert "k: got 1;" in refusal("curves", "--k", "1")


LARGE = {
    "runs of a large model": ["simulate", "--k", "24", "--replicas", "1000000"],
    "steps of a large model": ["simulate", "--k", "24", "--time", "1e12"],
    "dimension below a large model": ["simulate", "--k", "24", "-d", "20"],
    "samples of a large model": ["spectrum", "--k", "24", "--samples", "1000000000"],
    "data below a large model": ["spectrum", "--k", "24", "--samples", "10", "-d", "20"],
    "data of a large effective": ["effective", "--k", "24", "--samples", "10", "-d", "20"],
    "schedule of a large model": ["curves", "--k", "24", "--schedule", "1 - t"],
    "schedule of zero": ["simulate", "--k", "24", "--schedule", "0"],
    "overlap of a large model": ["curves", "--k", "24", "--overlap", "1,0;0,1"],
    "readout of a large model": ["curves", "xor", "--width", "64", "--readout", "1"],
    "noise of a large model": ["simulate", "--k", "24", "--noise", "cauchy"],
    "method of a large model": ["simulate", "--k", "24", "--method", "exec"],
    "noise with the method": [
        "simulate", "--k", "24", "--method", "reduced", "--noise", "uniform",
    ],
    "entry of a large model": ["derive", "--k", "24", "--entry", "m_1_25"],
    "entry of a large Hessian": [
        "derive", "xor", "--width", "64", "--quantity", "hessian", "--entry", "H_1_65",
    ],
    "entry of a large diffusion": [
        "derive", "--k", "24", "--quantity", "diffusion", "--entry", "Cov[m_1_1,m_25_1]",
    ],
    "flow of a large fixed point": [
        "derive", "xor", "--width", "64", "--quantity", "fixed-point", "--entry", "flow_9",
    ],
    "order of a large network": ["derive", "xor", "--width", "64", "--limit", "1"],
    "order of other digits": ["derive", "--k", "24", "--limit", "\u00b2"],
    "ridge of a large fixed point": [
        "derive", "xor", "--width", "64", "--quantity", "fixed-point", "--ridge", "1",
    ],
    "assignment of a large fixed point": [
        "derive", "xor", "--width", "64", "--quantity", "fixed-point", "--assignment", "mu,nu",
    ],
    "kink rule of a smooth model": ["spectrum", "--k", "24", "--kink-rule", "distributional"],
    "kink rule of a drift": ["derive", "--k", "24", "--kink-rule", "distributional"],
    "kink rule beside samples": [
        "spectrum", "xor", "--width", "64", "--samples", "10", "--kink-rule", "distributional",
    ],
    "units of a large network": ["simulate", "xor", "--width", "64", "-d", "65"],
}  # fmt: skip


@pytest.mark.parametrize("name", LARGE)
def test_what_a_model_need_not_be_built_for_is_refused_before(name, no_work, tmp_path, monkeypatch):
    """The derivatives of 24 classes take minutes; its sizes are known at once."""
    monkeypatch.chdir(tmp_path)
    refusal(*LARGE[name])

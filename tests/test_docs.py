"""The documentation does what it says: every Python snippet runs and prints what stands below it,
commands too.
"""

from __future__ import annotations

import doctest
import re
import shlex
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace

import pytest
from command_runner import new_runner
from helpers import ROOT
from matplotlib import image, pyplot
from typer.main import get_command

import numerics
import theory
import verify
from verify.commands.cli import app

PACKAGES = ("specalign", "theory", "numerics", "verify")


def script(name: str):
    """A module of the folder docs, which is no package."""
    spec = spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def api_pages():
    pytest.importorskip("griffe", reason="the extra docs is not installed")
    return script("api_pages")


@pytest.mark.slow
@pytest.mark.parametrize("package", [theory, numerics, verify])
def test_a_page_of_the_api_lists_what_its_package_exports(package, api_pages):
    source = (ROOT / "docs" / "api" / f"{package.__name__}.md").read_text("utf-8")
    text = api_pages.on_page_markdown(source)
    entries = re.findall(rf"^::: {package.__name__}\.(\w+)$", text, re.M)
    assert entries == list(package.__all__)
    rows = re.findall(rf"^\| \[`(\w+)`\]\[{package.__name__}\.\1\] \| (.*) \|$", text, re.M)
    assert [name for name, _ in rows] == list(package.__all__)
    for name, sentence in rows:
        assert len(sentence) > 10, name
        assert ":math:" not in sentence
    assert len(re.findall(r"^## \w", text, re.M)) > 3
    # in the order of the alphabet inside a subject
    for names in api_pages.public_names(package.__name__).values():
        assert names == sorted(names)


def fences(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text("utf-8"), re.S | re.M)


STATED = script("stated_outputs")


def test_what_a_snippet_states_that_it_prints_is_found():
    assert doctest.testmod(STATED).failed == 0
    source = "print(  # of two\n    2,\n)\n# [1.\n#  2.]\nx = 3  # three\nprint(x)  # 3"
    assert STATED.expected_outputs(source) == {1: "[1. 2.]", 7: "3"}
    assert STATED.without_outputs(source).splitlines()[3:] == ["x = 3  # three", "print(x)"]


def names_in_snippets() -> set[str]:
    """Public names that Python snippets of README and docs use: sa.NAME, or imported by name."""
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    text = "\n".join(source for page in pages for source in fences(page, "python"))
    used = set(re.findall(r"\b(?:sa|theory|numerics|verify)\.(\w+)", text))
    imported = re.findall(rf"^from (?:{'|'.join(PACKAGES)})\S* import (.+)$", text, re.M)
    return used.union(*(re.findall(r"\w+", names) for names in imported))


def without_example(package, in_snippets: set[str]) -> list[str]:
    """Public names that neither a docstring of their own nor a snippet shows at work."""
    documented = {n for n in package.__all__ if ">>> " in (getattr(package, n).__doc__ or "")}
    return [name for name in package.__all__ if name not in documented | in_snippets]


def test_every_public_name_has_an_example():
    shown = names_in_snippets()
    for package in (theory, numerics, verify):
        assert not without_example(package, shown), package.__name__
    # a dict, which has no docstring of its own, is missed where no page names it
    assert without_example(numerics, shown - {"MEASUREMENTS"}) == ["MEASUREMENTS"]


def run_snippets(path: Path, compare: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> int:
    """Run the snippets of a page one after the other; returns how many outputs were compared."""
    monkeypatch.chdir(tmp_path)
    compared = 0
    space: dict = {}
    for source in fences(path, "python"):
        # elsewhere comments explain
        expected, printed = STATED.expected_outputs(source) if compare else {}, {}

        def record(*values: object, printed: dict = printed) -> None:
            line = sys._getframe(1).f_lineno
            printed[line] = printed.get(line, "") + " ".join(map(str, values)) + "\n"

        space["print"] = record
        exec(compile(source, path.name, "exec"), space)
        for line, text in expected.items():
            assert STATED.agree(printed[line], text), (
                f"{path.name} says {text!r}, printed is {printed[line]!r}"
            )
            compared += 1
    pyplot.close("all")
    return compared


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "least"),
    [
        pytest.param("docs/quickstart.md", 20, marks=pytest.mark.slow),
        ("docs/theory.md", 2),
        ("docs/index.md", 0),
        ("docs/glossary.md", 4),
        ("docs/conventions.md", 5),
        ("docs/api/theory.md", 1),
        ("docs/api/numerics.md", 1),
        ("docs/api/verify.md", 1),
        ("docs/sweeps.md", 2),
        ("docs/spectra.md", 9),
        pytest.param("docs/properties.md", 3, marks=pytest.mark.slow),
        ("docs/effective.md", 4),
        pytest.param("docs/models.md", 20, marks=pytest.mark.slow),
        pytest.param("docs/derivations.md", 2, marks=pytest.mark.slow),
        pytest.param("docs/design.md", 2, marks=pytest.mark.slow),
        pytest.param("docs/real_data.md", 1, marks=pytest.mark.slow),
    ],
)
def test_snippets_print_what_the_page_says(page, least, monkeypatch, tmp_path):
    assert run_snippets(ROOT / page, least > 0, monkeypatch, tmp_path) >= least


@pytest.mark.slow
@pytest.mark.parametrize(("page", "least"), [("docs/verification.md", 6), ("README.md", 9)])
def test_long_snippets_print_what_the_page_says(page, least, monkeypatch, tmp_path):
    assert run_snippets(ROOT / page, least > 0, monkeypatch, tmp_path) >= least


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "least"),
    [("howto/paper_figure.md", 3), ("howto/adding_a_check.md", 1), ("api/plot.md", 1)],
)
def test_how_to_pages_do_what_they_say(page, least, monkeypatch, tmp_path):
    path = ROOT / "docs" / page
    assert run_snippets(path, True, monkeypatch, tmp_path) >= least
    for block in fences(path, "sh"):
        for line in block.splitlines():
            result = new_runner().invoke(app, shlex.split(line)[1:])
            assert result.exit_code == 0, (line, result.output)


@pytest.mark.slow
def test_figures_of_the_gallery_are_those_that_its_snippets_draw():
    gallery, space, drawn = script("make_gallery"), {}, {}
    for name, code in gallery.snippets():
        if figure := gallery.draw(code, space):
            drawn[name] = figure.get_size_inches()
    pyplot.close("all")
    for name, (width, height) in drawn.items():
        rows, columns = image.imread(gallery.PLACE / f"{name}.png").shape[:2]
        assert (columns, rows) == (int(width * 80), int(height * 80)), name
    assert len(drawn) >= 20


def test_every_figure_of_the_gallery_has_a_thumbnail_and_a_text():
    names = [name for name, _ in script("make_gallery").snippets() if name]
    front, page = ((ROOT / "docs" / p).read_text("utf-8") for p in ("index.md", "gallery.md"))
    assert len(names) == len(set(names)) == page.count("\n### ")
    assert {p.stem for p in (ROOT / "docs" / "img" / "gallery").iterdir()} == set(names)
    for name in names:
        assert re.search(
            rf'href="gallery/#{name}"><img src="img/gallery/{name}.png" alt=".+?"', front
        )
        assert re.search(rf"^!\[.{{10,}}\]\(img/gallery/{name}.png\)$", page, re.M), name


def test_formulas_of_pages_are_mathml():
    pages = script("math_pages")
    page = SimpleNamespace(file=SimpleNamespace(src_uri="page.md"))
    text = r'<p><span class="arithmatex">\(\tfrac12 x^a &lt; \lVert x\rVert\)</span></p>'
    found = pages.on_page_content(text, page=page)
    assert found.startswith('<p><span class="formula"><math')
    assert "<mfrac>" in found
    wrong = r'<div class="arithmatex">\[\nocommand{x}\]</div>'
    with pytest.raises(ValueError, match=r"page\.md"):
        pages.on_page_content(wrong, page=page)


def displays_inside_a_paragraph(text: str) -> list[str]:
    """Lines of displayed formulas without an empty line around: their dollars would be shown."""
    lines = re.sub(r"^```.*?^```$", "", text, flags=re.S | re.M).split("\n")
    wrong, inside = [], False
    for before, line, after in zip(["", *lines], lines, [*lines[1:], ""], strict=False):
        if not inside and line.startswith("$$") and before.strip():
            wrong.append(line)
        inside ^= line.count("$$") % 2 == 1
        if not inside and line.endswith("$$") and after.strip():
            wrong.append(line)
    return wrong


def test_displayed_formulas_stand_alone():
    assert displays_inside_a_paragraph("so that\n$$x$$") == ["$$x$$"]
    assert displays_inside_a_paragraph("\n$$x\ny$$\nHence") == ["y$$"]
    for page in (ROOT / "docs").rglob("*.md"):
        assert not displays_inside_a_paragraph(page.read_text("utf-8")), page


def test_sections_of_the_mathematics_that_docstrings_cite_are_there():
    text = (ROOT / "docs" / "mathematics.md").read_text("utf-8")
    sections = set(re.findall(r"^##+ (\d+[a-z]?)\. ", text, re.M))
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    source = " ".join(path.read_text("utf-8") for path in files)
    number = r"(\d+[a-z]?)\b"
    places = rf"(?:mathematics\.md\s+|\()sections?\s+{number}(?:\s+and\s+{number})?"
    cited = re.findall(places, source)
    numbers = {number for pair in cited for number in pair if number}
    assert len(numbers) > 9
    assert numbers <= sections


# pages whose snippets other tests run, and what they are
RUN_ELSEWHERE = {
    "docs/gallery.md": "test_figures_of_the_gallery_are_those_that_its_snippets_draw",
    "docs/known_models.md": "tests/test_known_models.py",
}


def test_snippets_of_every_page_are_run():
    source = Path(__file__).read_text("utf-8")
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        name = str(page.relative_to(ROOT))
        if fences(page, "python") and page.parent.name != "tutorials":  # run by the build
            stated = f'"{name.removeprefix("docs/")}"'
            assert name in RUN_ELSEWHERE or f'"{name}"' in source or stated in source, name


def stated_commands(page: Path) -> list[list[str]]:
    """The command lines of a page, without comments, as words."""
    text = page.read_text("utf-8")
    lines = re.findall(r"^(?:    )?specalign (.*)$", "\n".join(fences(page, "sh")), re.M)
    lines += re.findall(
        r"^    specalign (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M), re.M
    )
    return [shlex.split(line, comments=True) for line in lines]


def test_every_command_of_every_page_is_understood():
    """Its name, options and values are: those whose output is stated are also run."""
    commands, seen = get_command(app).commands, 0
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for name, *words in stated_commands(page):
            if not name.startswith("--"):
                with commands[name].make_context(name, words):
                    seen += 1
    assert seen > 40
    with pytest.raises(theory.InputError, match="no-such-option"):
        commands["curves"].make_context("curves", ["--no-such-option"])


def test_a_model_of_the_readme_runs_alone():
    (snippet,) = [
        source for source in fences(ROOT / "README.md", "python") if "two_clusters" in source
    ]
    space: dict = {}
    exec(compile(snippet, "README.md", "exec"), space)
    assert callable(space["test_my_model"])
    assert "E_1[" in str(theory.derive_drift(space["model"]).overlap[0, 0])


def test_the_readme_is_read_in_one_go():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) < 120


def test_letters_of_a_manuscript_are_read_as_the_readme_says(tmp_path):
    quoted = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", (ROOT / "README.md").read_text("utf-8"))
    lines = [text for text in quoted if text.startswith(("% ", r"\mathbb"))]
    assert len(lines) == 3
    file = tmp_path / "manuscript.tex"
    file.write_text("\n".join([*lines[:-1], rf"\[ {lines[-1]} \]"]), "utf-8")
    (claim,) = verify.read_claims(file)
    assert claim.model.name == "kgmm3"
    assert verify.judge(claim).finding == "proved"


def test_every_place_that_contributing_names_is_there():
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8").split("## Where things are")[1]
    named = set(re.findall(r"`((?:[a-z_]+/)+(?:[a-z_]+\.py)?|[a-z_]+\.py)`", text))
    assert len(named) > 40
    places = [str(path.relative_to(ROOT)) for p in PACKAGES for path in (ROOT / p).rglob("*")]
    places += [
        *PACKAGES,
        "examples",
        "docs/page_numbers",
        *(str(p.relative_to(ROOT)) for p in (ROOT / "tests").rglob("*")),
    ]
    for name in named:
        assert any(f"/{place}".endswith("/" + name.rstrip("/")) for place in places), name


STATED_OUTPUT = re.compile(
    r"^    (?P<line>specalign [^\n]*)$|^```(?P<language>sh|text)\n(?P<block>.*?)^```", re.S | re.M
)


def commands_and_outputs(text: str) -> list[tuple[str, str]]:
    """Blocks of commands ("sh") and outputs ("text") of a page; single lines of commands as far as
    its last output, which may take long.
    """
    found = list(STATED_OUTPUT.finditer(text))
    last = max((m.start() for m in found if m["language"] == "text"), default=0)
    return [
        ("sh", match["line"]) if match["line"] else (match["language"], match["block"])
        for match in found
        if match["language"] or match.start() < last
    ]


def test_outputs_of_commands_are_found():
    page = "    specalign a\n\n```text\n1\n2\n```\n\n    specalign c\n\n```sh\nspecalign b\n```\n"
    found = commands_and_outputs(page)
    assert found == [("sh", "specalign a"), ("text", "1\n2\n"), ("sh", "specalign b\n")]


@pytest.mark.slow
@pytest.mark.parametrize("page", ["quickstart.md", "effective.md", "design.md"])
def test_commands_print_what_the_page_says(page, monkeypatch, tmp_path):
    """Every line of a stated output occurs in what the commands above it print; `verify` has tests
    of its own.
    """
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "docs" / "img").mkdir(parents=True)
    text = (ROOT / "docs" / page).read_text("utf-8")
    blocks = commands_and_outputs(text)
    printed: list[str] = []
    for language, block in blocks:
        if language == "sh":
            for line in block.splitlines():
                arguments = shlex.split(line, comments=True)[1:]
                if arguments[0] != "verify":
                    result = new_runner().invoke(
                        app, arguments, env={"COLUMNS": "200", "NO_COLOR": "1"}
                    )
                    assert result.exit_code == 0, result.output
                    printed += result.stdout.splitlines()
        else:
            for line in block.splitlines():
                assert any(STATED.agree(each, line) for each in printed), line
    assert printed

"""The command check, and claims as files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_runner import new_runner
from helpers import ROOT, fresh_rng

from verify.claims.files import find_files, read_claims
from verify.claims.judge import judge
from verify.commands.cli import app

EXAMPLES = ROOT / "examples" / "claims"
HEADER = '[model]\nname = "kgmm"\nk = 2\n[parameters]\ndirections_gram = "orthonormal"\n'


def run(*arguments: str):  # type: ignore[no-untyped-def]
    return new_runner().invoke(app, ["check", *arguments])


def write(path: Path, body: str) -> str:
    path.write_text(HEADER + body, encoding="utf-8")
    return str(path)


@pytest.mark.slow
def test_there_are_published_style_claims_of_both_kinds() -> None:
    modules = sorted(EXAMPLES.glob("*.py"))  # run where they are named alone
    own = [c for f in modules for c in read_claims(f)]
    assert len(own) >= 40
    assert len({c.model.name for c in own}) >= 12
    assert {c.expected for c in own} == {"true", "false"}
    claims = [c for f in find_files([EXAMPLES]) for c in read_claims(f)]
    assert len(claims) >= 30
    assert {c.expected for c in claims} == {"true", "false"}
    assert {c.model.name[:3] for c in claims} == {"kgm", "xor"}
    assert len({c.name for c in claims}) == len(claims)


@pytest.mark.slow
@pytest.mark.parametrize(
    "file", sorted(p.name for p in EXAMPLES.iterdir() if p.suffix in (".toml", ".tex", ".py"))
)
def test_every_example_is_judged_rightly(file: str) -> None:
    rng = fresh_rng()
    for claim in read_claims(EXAMPLES / file):
        assert judge(claim, int(rng.integers(2**31))).as_expected, claim.name


@pytest.mark.slow
def test_exit_codes_and_output(tmp_path: Path) -> None:
    claim = '[[claim]]\nname = "{}"\nquantity = "corrector_1_2"\nformula = "{}"\n'
    good = claim.format("right", "c_delta*E[g_1*g_2]/lambda")
    bad = claim.format("wrong", "c_delta*E[g_1*g_2]")
    _, wrong = write(tmp_path / "a.toml", good), write(tmp_path / "b.toml", bad)
    assert run(str(tmp_path), "--claim", "right").exit_code == 0
    refuted = run(wrong)
    assert refuted.exit_code == 1
    assert "repair       multiply the whole by lambda^-1" in refuted.output
    assert "counterexample" in refuted.output
    both = run(str(tmp_path), "--json", str(tmp_path / "out.json"))
    assert both.exit_code == 1
    document = json.loads((tmp_path / "out.json").read_text())
    assert [c["verdict"] for c in document["claims"]] == ["proved", "refuted"]
    assert run(wrong.replace("b.toml", "c.toml")).exit_code == 2
    # refuted as expected is well; expected to hold and refuted is not
    expected = write(tmp_path / "d.toml", bad + "expected = false\n")
    found = run(expected, "--json", "-")
    assert found.exit_code == 0
    assert json.loads(found.stdout)["claims"][0]["as_expected"] is True


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "no [[claim]]"),
        ('[[claim]]\nquantity = "drift m_1_1"\n', "no formula"),
        ('[[claim]]\nformula = "beta"\n', "no quantity"),
        ('[[claim]]\nquantity = "drift m_1_1"\nformula = "lamda"\n', "did you mean lambda"),
        ('[[claim]]\nquantity = "drift m_1_1"\nformla = "beta"\n', "did you mean 'formula'"),
        ('[[claim]]\nquantity = "drift m_1_1"\nlatex = "\\\\frac{1}"\n', "a group in braces"),
        ('[[claim]]\nquantity = "drift m_a_s"\nformula = "m_a_t"\n', "free index 't'"),
        ('[[claim]]\nquantity = "drift m_1_1"\nformula = "beta"\norder = -1\n', "order"),
        ('[[claim]]\nquantity = "drift m_1_1"\nformula = "beta"\nexpected = "maybe"\n', "expected"),
        ('[[clam]]\nquantity = "drift m_1_1"\n', "did you mean 'claim'"),
    ],
)
def test_bad_files_are_refused_by_name(tmp_path: Path, body: str, message: str) -> None:
    result = run(write(tmp_path / "claims.toml", body))
    assert result.exit_code == 2
    assert message in result.output


def test_files_of_data_run_no_code(tmp_path: Path) -> None:
    """Text that Python would run is a formula that cannot be read."""
    witness = tmp_path / "witness"
    attack = f"__import__('os').system('touch {witness}')"
    body = f'[[claim]]\nquantity = "drift m_1_1"\nformula = """{attack}"""\n'
    assert run(write(tmp_path / "a.toml", body)).exit_code == 2
    (tmp_path / "a.tex").write_text(f"% model: kgmm\n% quantity: drift m_1_1\n\\[ {attack} \\]\n")
    assert run(str(tmp_path / "a.tex")).exit_code == 2
    assert not witness.exists()


def test_a_module_runs_where_it_is_named_and_not_in_a_directory(tmp_path: Path) -> None:
    module = tmp_path / "claims.py"
    module.write_text(
        "from theory import kgmm\nfrom verify import make_claim\n"
        "CLAIMS = [make_claim(kgmm(2), 'corrector_1_1', 'c_delta*E[g_1^2]/lambda', name='own')]\n"
    )
    assert [c.name for c in read_claims(module)] == ["own"]
    assert run(str(tmp_path)).exit_code == 2
    empty = tmp_path / "empty.py"
    empty.write_text("")
    assert "no CLAIMS" in run(str(empty)).output


def test_latex_comments_say_what_a_formula_is_about(tmp_path: Path) -> None:
    file = tmp_path / "a.tex"
    file.write_text(
        "% model: kgmm\n% k: 2\n% name: one\n"
        "\\[ \\partial_c \\pi_a = \\pi_a(\\delta_{ac} - \\pi_c) \\]\n"
        "% name: two\n% quantity: corrector_a_b\n"
        "\\[ c_\\delta\\,\\mathbb{E}[g_a g_b]/\\lambda. \\]\n"
    )
    one, two = read_claims(file)
    assert (one.name, two.name) == ("one", "two")
    assert one.quantity.letters == ("c", "a") or one.quantity.letters == ("a", "c")
    assert two.model.units == 2
    file.write_text("no formula")
    assert "no display mathematics" in run(str(file)).output
    file.write_text("% modl: kgmm\n\\[ 1 \\]")
    assert "did you mean 'model'" in run(str(file)).output

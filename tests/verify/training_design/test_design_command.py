"""The command `design`: what it finds, says, writes and refuses; SGD refutes a wrong theory."""

from __future__ import annotations

from json import loads

import pytest
from command_cases import invoke, succeed

from numerics import Problem, State, design
from theory import derive_drift, kgmm
from verify import confirm_design

# one pre-activation, so that curves cost next to nothing
MODEL = """
import specalign as sa

u = sa.symbols.vector("u", 1)
loss = sa.Loss(sa.Softplus(u[0]) - sa.symbols.LABEL * u[0], units=1)
data = sa.Mixture.build(labels=[1, 0], coordinates=[[1], [-1]], directions_gram=[[1]])
model = sa.Model.build(data, loss, name="logistic")
"""


@pytest.mark.slow
def test_a_users_model_is_designed_confirmed_written_and_drawn(tmp_path):
    file, out, figure = tmp_path / "model.py", tmp_path / "out.json", tmp_path / "out.png"
    file.write_text(MODEL)
    text = succeed(
        "design", "--model", f"{file}:model", "--reach", "accuracy", "0.99", "--over", "step",
        "0.5", "20", "--dimension", "400", "--replicas", "12", "--json", out, "--plot", figure,
    )  # fmt: skip
    for part in ("accuracy 0.99 is reached at", "as stated (step 1", "holds", "at most 1 % worse"):
        assert part in text, part
    content = loads(out.read_text())
    assert content["sgd"]["verdict"] == "holds"
    assert figure.stat().st_size > 10_000
    assert content["setting"]["step"] > 1
    assert content["time"] < content["stated"]
    assert min(c["result"] or 99 for c in content["compared"]) > 0.99 * content["time"]


@pytest.mark.slow
def test_sgd_refutes_the_theory_without_its_corrector():
    problem = Problem(
        kgmm(2, directions_gram="orthonormal"),
        weights=[0.6, 0.4], precision=5, ridge=0.1, step=1,
    )  # fmt: skip
    verdicts = []
    for drift in (derive_drift(problem.model), derive_drift(problem.model).without_corrector()):
        found = design(
            problem, State.zero(problem), over={"step": (2, 8)}, best=("alignment", 2), drift=drift
        )
        runs = confirm_design(found, dimension=400, replicas=20, seed=7)
        verdicts.append(runs.verdict.value)
    assert verdicts == ["holds", "fails"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--reach", "accuracy", "0.9"], "--over"),
        (["--reach", "accuracy"], "QUANTITY TARGET"),
        (["--over", "step", "0.1"], "NAME LOW HIGH"),
        (["--over", "step", "low", "3"], "a name and two numbers"),
        (["--reach", "accuracy", "0.9", "--over", "step", "1", "3", "--over", "step", "1", "2"],
         "every setting once"),
        (["--reach", "accuracy", "0.9", "--over", "b", "1", "3"], "setting"),
        (["--reach", "accuracy", "0.9", "--over", "a", "0", "1", "--schedule", "1/(1+c*t)"], "c"),
        (["--over", "step", "1", "3"], "a target to reach, or a time"),
    ],
)  # fmt: skip
def test_bad_words_are_refused_by_name(words, said):
    result = invoke("design", "kgmm", "--k", "2", *words)
    assert result.exit_code == 2, result.output
    assert said in result.output

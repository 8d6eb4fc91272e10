"""Files of claims: TOML and LaTeX are data and are read without running anything; a .py file is a
module that runs.

TOML: the tables [model] and [parameters] of a configuration file, then a table [[claim]] for each
formula.  LaTeX: every equality in displays (:mod:`verify.claims.reading.manuscripts`).  Python:
a module that defines ``CLAIMS`` (or ``claim``), made by :func:`verify.claims.judge.make_claim`; it
runs as the user who checks it.
"""

from __future__ import annotations

import runpy
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from numerics.core.validation import as_path
from theory import InputError, Model
from theory.errors import check_choice
from theory.keywords import with_known_keywords
from theory.regular_files import check_regular
from verify.claims.language.latex.formula import parse_latex
from verify.claims.language.tree import FormulaError
from verify.claims.reading.listing import KEYS, ListedClaim, check_count
from verify.claims.reading.manuscripts import list_manuscript
from verify.settings.configuration import Configuration, read_toml, read_values

from .judge import make_claim
from .judgement import Claim

SUFFIXES = (".toml", ".tex", ".py")


def find_files(paths: Sequence[Path]) -> list[Path]:
    """The claim files among paths; of a directory those directly in it, in alphabetical order.

    Raises
    ------
    theory.InputError
        A path that does not exist, an unknown ending, a directory without claims.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            # a module runs code: it is run where it is named, not because it lies in a directory
            inside = sorted(p for p in path.iterdir() if p.suffix in (".toml", ".tex"))
            if not inside:
                raise InputError(
                    "FILE", path, "a directory with .toml or .tex files", "name the files"
                )
            found += inside
        elif not path.exists():
            raise InputError("FILE", path, "a file of claims", "check the path")
        elif path.suffix not in SUFFIXES:
            raise InputError(
                "FILE", path, f"a file ending in {', '.join(SUFFIXES)}", "see docs/derivations.md"
            )
        else:
            found.append(path)
    return found


@with_known_keywords
def read_claims(path: Path) -> list[Claim]:
    r"""All claims of a file, read and refused where they mean nothing; before any work.

    Raises
    ------
    theory.InputError
        With the file, the claim, the position and the reason.

    Examples
    --------
    >>> import tempfile
    >>> lines = ["[model]", "name = 'kgmm'", "[[claim]]", "name = 'corrector'"]
    >>> lines += ["quantity = 'corrector_a_b'", "formula = 'c_delta*E[g_a*g_b]/lambda'"]
    >>> with tempfile.TemporaryDirectory() as place:
    ...     file = Path(place, "claims.toml")
    ...     size = file.write_text("\n".join(lines), encoding="utf-8")
    ...     [(claim.name, claim.model.name) for claim in read_claims(file)]
    [('corrector', 'kgmm3')]
    """
    return [claim.read() for claim in list_claims(path)]


def list_claims(path: Path, model: Model | None = None) -> list[ListedClaim]:
    """The claims of a file, each to be read on its own.

    Parameters
    ----------
    path : Path
    model : theory.Model, optional
        What they are about, in place of the model that the file names.

    Raises
    ------
    theory.InputError
        What holds for all of them cannot be read: the file, its tables, its model.
    """
    path = as_path("FILE", path)
    if path.suffix not in SUFFIXES:
        expected = f"a file ending in {', '.join(SUFFIXES)}"
        raise InputError("FILE", path, expected, "see docs/derivations.md")
    if path.suffix == ".toml":
        return _from_toml(path, model)
    if path.suffix == ".tex":
        return list_manuscript(path, model)
    if model is not None:
        expected = "a .toml or .tex file together with --model"
        raise InputError("FILE", path, expected, "claims of a .py file have models of their own")
    return _from_module(path)


def _from_toml(path: Path, model: Model | None) -> list[ListedClaim]:
    data = read_toml(path)
    claims = data.pop("claim", None)
    if claims is None:  # a misspelt table is a likelier slip than none
        read_values(path, data, Configuration, "claim")
    if not isinstance(claims, list) or not claims or not all(isinstance(c, dict) for c in claims):
        expected = "a table [[claim]] for each formula"
        remedy = "see examples/claims"
        raise InputError(f"claims {path.name}", "no [[claim]]", expected, remedy)
    check_count(path, len(claims))
    values = read_values(path, data, Configuration, "claim")
    model = Configuration(**values).symbolic_model() if model is None else model
    return [
        _listed(f"claim {i + 1} of {path.name}", model, c, f"{path.stem} {i + 1}")
        for i, c in enumerate(claims)
    ]


def _listed(where: str, model: Model, given: Mapping[str, Any], name: str) -> ListedClaim:
    own = given.get("name")
    read = partial(_claim, where, model, given, name)
    return ListedClaim(own if isinstance(own, str) else name, read, model.name, given)


def _claim(where: str, model: Model, given: Mapping[str, Any], name: str) -> Claim:
    for key in given:
        check_choice(where, key, KEYS, kind="key")
    for key in ("name", "quantity", "formula", "latex", "kink_rule", "source", "parameter"):
        if key in given and not isinstance(given[key], str):
            raise InputError(f"{where}: {key}", repr(given[key]), "a text", "write it in quotes")
    if ("formula" in given) == ("latex" in given):
        raise InputError(
            where,
            "formula and latex" if "latex" in given else "no formula",
            "one of formula and latex",
            "give the formula as text or in LaTeX",
        )
    if "quantity" not in given:
        raise InputError(
            where, "no quantity", "what the formula is for", 'write quantity = "drift m_a_s"'
        )
    if not isinstance(given.get("regularized", True), bool):
        got = repr(given["regularized"])
        raise InputError(f"{where}: regularized", got, "true or false", "write it without quotes")
    expected = given.get("expected")
    if isinstance(expected, bool):
        expected = str(expected).lower()
    formula = str(given.get("formula", given.get("latex")))
    try:
        found = make_claim(
            model,
            given["quantity"],
            formula if "formula" in given else parse_latex(formula),
            text=formula,
            name=given.get("name", name),
            order=given.get("order"),
            parameter=given.get("parameter", "lambda"),
            regularized=given.get("regularized"),
            kink_rule=given.get("kink_rule"),
            source=given.get("source", ""),
            expected=expected,
        )
    except FormulaError as error:
        raise FormulaError(
            error.text, error.position, error.plain, error.expected, error.remedy, where
        ) from error
    except InputError as error:
        raise InputError(
            f"{where}: {error.parameter}", error.got, error.expected, error.remedy
        ) from error
    return found


def _from_module(path: Path) -> list[ListedClaim]:
    check_regular("FILE", path, "a file of claims", "check the path")
    module = runpy.run_path(str(path))
    claims = module.get("CLAIMS", module.get("claim"))
    claims = [claims] if isinstance(claims, Claim) else claims
    if (
        not isinstance(claims, (list, tuple))
        or not claims
        or not all(isinstance(c, Claim) for c in claims)
    ):
        expected = "a list CLAIMS, or claim, made by sa.make_claim"
        remedy = "write CLAIMS = [make_claim(model, quantity, formula), ...]"
        raise InputError(f"claims {path.name}", "no CLAIMS", expected, remedy)
    return [ListedClaim(c.name, partial(_itself, c), c.model.name) for c in claims]


def _itself(claim: Claim) -> Claim:
    return claim

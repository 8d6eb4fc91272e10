"""Whatever a user meets says what it is: on a few short lines, and in a notebook as a formula or a
table where it is one.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Iterator
from types import GenericAlias

import numpy as np
import pytest
import sympy as sp
from public_objects import MADE
from test_notebook_displays import balanced

import numerics
import specalign as sa
import theory
import verify
from numerics.sweeps.store_layout import Layout
from theory.problem.updating.rule import Rule
from theory.symbols import Symbols
from verify.documents.pages import Page

PACKAGES = (theory, numerics, verify)
# a base, and what the others work with inside
NOT_MADE = {theory.Derived, Layout, Page, Rule, Symbols}
# records of a few words or numbers, which read best as text, and tools
TEXT_ONLY = {
    "Activation", "Bands", "BinnedSpectrum", "CompiledExpressions", "Comparison",
    "DerivationStep", "Domain", "Estimate", "Evidence", "Finding", "Formulas", "FreeSymbol",
    "LabelledData", "Layer", "Level", "MeasureOptions", "Measurement", "Moments", "Noise",
    "Output", "RandomStart", "SampleData", "Schedule", "SeparatedFixedPoint", "Setting",
    "SoftmaxNetwork", "SpanMatrix", "Stage", "Statistic", "Sweep", "System", "Theory", "Trial",
    "Update", "Variable", "Verdict", "Weight",
}  # fmt: skip


def public() -> Iterator[object]:
    for package in PACKAGES:
        yield from (getattr(package, name) for name in package.__all__)


def classes_in(hint: object) -> Iterator[type]:
    if isinstance(hint, type) and not isinstance(hint, GenericAlias):
        yield hint
    for argument in typing.get_args(hint):
        yield from classes_in(argument)


def handed_out(thing: object) -> Iterator[type]:
    """Classes of what a function, or a method or property of a class, returns."""
    functions = [thing]
    if isinstance(thing, type):
        members = [getattr(m, "fget", m) for n, m in vars(thing).items() if not n.startswith("_")]
        functions = [getattr(m, "__func__", getattr(m, "func", m)) for m in members]
    for function in map(inspect.unwrap, functions):
        if inspect.isfunction(function):
            # some names are imported for type checkers alone: what they are is public
            try:
                hints = typing.get_type_hints(function)
            except NameError:
                continue
            yield from classes_in(hints.get("return"))


def met() -> set[type]:
    """Classes of this project whose values a user holds, without errors and SymPy's own kinds."""
    things = set(filter(inspect.isclass, public()))
    things |= {c for thing in public() for c in handed_out(thing)}
    packages = {package.__name__ for package in PACKAGES}
    return {
        c
        for c in things - NOT_MADE
        if c.__module__.split(".")[0] in packages
        and not issubclass(c, (BaseException, sp.Basic))
        and not inspect.isabstract(c)
        and not getattr(c, "_is_protocol", False)
    }


def test_every_class_whose_values_a_user_meets_is_tried():
    assert met() == set(MADE)


@pytest.mark.parametrize("kind", MADE, ids=lambda kind: kind.__name__)
def test_it_says_what_it_is_in_a_few_lines(kind):
    value = MADE[kind]()
    assert type(value) is kind
    text = repr(value)
    assert kind.__repr__ is not object.__repr__
    assert " at 0x" not in text
    assert len(text.splitlines()) < 20
    assert len(text) < 1000


@pytest.mark.parametrize("kind", MADE, ids=lambda kind: kind.__name__)
def test_it_is_a_formula_or_a_table_in_a_notebook(kind):
    value = MADE[kind]()
    latex, html = (getattr(value, name, None) for name in ("_repr_latex_", "_repr_html_"))
    assert (latex is None and html is None) == (kind.__name__ in TEXT_ONLY)
    if latex is not None:
        assert re.fullmatch(r"\$\$.+\$\$", latex(), re.S)
        assert balanced(latex())
        assert len(latex()) < 12_000
    if html is not None:
        tags = re.findall(r"<(/?)(\w+)", html())
        assert sorted(n for end, n in tags if not end) == sorted(n for end, n in tags if end)
        assert len(html()) < 12_000


@pytest.mark.slow
def test_large_arrays_are_shown_by_their_shape():
    large = sa.State(np.zeros((40, 30)), np.eye(40), np.zeros(50))
    assert repr(large) == (
        "State(overlap=array of 40 x 30, gram_perp=array of 40 x 40, readout=array of 50)"
    )
    numbers = sa.Parameters(np.full(40, 1 / 40), 10, 0.1, 1)
    assert "directions_gram=array of 40 x 40" in repr(numbers)
    assert len(repr(sa.Problem(sa.kgmm(40), numbers)).splitlines()) < 20


def test_what_is_shown_is_what_it_holds():
    curve, design, claim, confirmation = (
        MADE[kind]() for kind in (sa.Curve, sa.Design, sa.Claim, sa.Confirmation)
    )
    end = f"{curve.state(curve.end).overlap[0, 0]:.4g}"
    assert rf"m({curve.end:.4g}) &= \begin{{pmatrix}}{end} & " in curve._repr_latex_()
    assert rf"c_\delta &= {design.setting.step:.4g}" in design._repr_latex_()
    assert f"step={design.setting.step:.4g})" in repr(design)
    assert claim.read_as in claim._repr_html_()
    assert f"{confirmation.comparison.measured:.6g}</td>" in confirmation._repr_html_()
    assert "holds" in confirmation._repr_html_()

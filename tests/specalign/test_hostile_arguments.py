"""Arguments of the Python interface that mean nothing: an InputError at once, and nothing else."""

from __future__ import annotations

import inspect
import warnings

import numpy as np
import pytest
import sympy as sp
import xarray as xr
from audit import import_everything, watched
from hostile_objects import ARGUMENTS, good

import numerics
import specalign as sa
from numerics import Parameters, Problem, State
from theory import InputError, Loss, Model, kgmm, symbols

# values that are functions or classes of the user's: what they raise is theirs, and comes through
OWN = {"function": ZeroDivisionError, "class": TypeError}


@pytest.fixture(scope="module", autouse=True)
def warmed():
    import_everything()
    good()


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("argument", ARGUMENTS)
def test_no_argument_trips_a_function(argument):
    call, values = ARGUMENTS[argument]
    for name, make in values.items():
        value = make()
        print(name)
        with watched() as watch, pytest.raises((InputError, *OWN.values())) as caught:
            call(value)
        watch.check()
        if not caught.errisinstance(InputError):
            assert callable(value), f"{name}: {caught.value!r}"
            assert caught.errisinstance(OWN[name])
            continue
        message = str(caught.value)
        assert "expected" in message
        assert "Remedy: " in message
        assert len(message) < 4000
        assert all(c.isprintable() or c == "\n" for c in message)


def test_there_are_enough_of_them():
    assert sum(len(values) for _, values in ARGUMENTS.values()) > 200


class Marked(np.ndarray):
    """A subclass of arrays."""


def frozen(rows) -> np.ndarray:
    array = np.array(rows)
    array.flags.writeable = False
    return array


# arrays of unusual kinds that hold the same numbers
SAME = {
    "read only": frozen,
    "half precision": lambda rows: np.array(rows, dtype=np.float16),
    "long doubles": lambda rows: np.array(rows, dtype=np.longdouble),
    "other byte order": lambda rows: np.array(rows, dtype=">f8"),
    "subclass": lambda rows: np.array(rows).view(Marked),
    "masked, no entry hidden": lambda rows: np.ma.array(rows),
    "columns first": lambda rows: np.asfortranarray(rows),
    "strided": lambda rows: np.repeat(np.array(rows), 2, axis=0)[::2],
    "objects": lambda rows: np.array(rows, dtype=object),
    "DataArray": lambda rows: xr.DataArray(rows),
}


@pytest.mark.parametrize("name", SAME)
def test_unusual_arrays_of_numbers_are_numbers(name):
    make = SAME[name]
    rows = np.array([[0.5, 0.25], [0.25, 0.5]])
    state = State(make(rows), make(rows))
    parameters = Parameters(make(rows[0] / rows[0].sum() * 0 + 0.5), 10, 0.1, 1, make(np.eye(2)))
    assert type(state.overlap) is np.ndarray
    assert state.overlap.dtype == np.float64
    np.testing.assert_array_equal(state.overlap, rows)
    np.testing.assert_array_equal(parameters.weights, [0.5, 0.5])
    assert state.overlap.flags.writeable
    curve = numerics.integrate_curves(kgmm(2), parameters, state, make(np.array([0.0, 0.5])))
    plain = numerics.integrate_curves(kgmm(2), parameters, State(rows, rows), [0.0, 0.5])
    np.testing.assert_array_equal(curve.overlap, plain.overlap)


# --- keywords ---

# errors, functions of SymPy and base classes: nobody makes them by keywords
MADE_BY_OTHERS = {"Finding", "GaussianExpectation", "GaussianLaw", "Derived", "Weight"}


def makers():
    """Every public function and constructor, and class methods that make something."""
    for name in sorted(set(dir(sa)) - MADE_BY_OTHERS):
        value = getattr(sa, name)
        if isinstance(value, type) and issubclass(value, (Exception, KeyboardInterrupt, sp.Basic)):
            continue
        if callable(value) and not isinstance(value, sp.core.function.FunctionClass):
            yield pytest.param(value, id=name)
    for make in (Model.build, sa.Mixture.build, State.zero, State.at):
        yield pytest.param(make, id=make.__qualname__)


@pytest.mark.parametrize("make", list(makers()))
def test_a_keyword_that_is_none_is_refused_with_what_there_is(make):
    known = [n for n in inspect.signature(make).parameters if n not in ("self", "cls")]
    with pytest.raises(InputError, match=r"no_such_keyword: got no argument .* Remedy: leave it"):
        make(no_such_keyword=1)
    # one letter too many is the keyword that is meant, where there is one
    for name in (n for n in known if len(n) > 4):
        with pytest.raises(InputError, match=f"Remedy: write {name}=") as caught:
            make(**{f"{name}x": 1})
        assert caught.value.parameter == f"{name}x"


def test_keywords_of_other_people_are_refused_with_the_relation():
    with pytest.raises(InputError, match=r"lr: .* Remedy: step is c_delta = step size times dim"):
        Parameters(weights=[0.5, 0.5], precision=10, ridge=0.1, lr=1)


# --- models and results ---------------------------------------------------------------------------

U, V = symbols.vector("u", 2), symbols.vector("v", 1)
STRANGER = sp.Symbol("u_1")
LOSSES = {
    "a symbol of no declaration": lambda: Loss(U[0] ** 2 + sp.Symbol("z"), 2),
    "a symbol of other assumptions": lambda: Loss(STRANGER**2, 2),
    "a unit too many": lambda: Loss(U[0] ** 2 + U[1], 1),
    "a readout that is not declared": lambda: Loss(U[0] * V[0], 2),
    "an unknown function": lambda: Loss(sp.Function("f")(U[0]), 2),
    "a kink that is not declared": lambda: Loss(sp.Abs(U[0]), 2),
    "a jump": lambda: Loss(sp.Heaviside(U[0]), 2, kinks=(U[0],)),
    "a kink of text": lambda: Loss(U[0] ** 2, 2, kinks=("__import__('os').system('id')",)),
    "a kink of nothing": lambda: Loss(U[0] ** 2, 2, kinks=(sp.Integer(1),)),
    "a gauge that is none": lambda: Loss(U[0] ** 2, 2, gauge=sp.ImmutableDenseMatrix([1, 0])),
    "no finite value": lambda: Loss(sp.log(U[0]), 2),
    "a number that is not real": lambda: Loss(sp.I * U[0] ** 2, 2),
    "infinity": lambda: Loss(sp.oo * U[0], 2),
    "a text": lambda: Loss("u_1**2", 2),
    "a model of swapped parts": lambda: Model.build(good().model.loss, good().model.mixture),
    "a model of a negative ridge": lambda: kgmm(2, ridge=-1),
    "a model of an infinite step": lambda: kgmm(2, step=sp.oo),
    "a model of a huge text": lambda: kgmm(2, ridge="1e999999999"),
    "a model of a text of digits": lambda: kgmm(2, ridge="9" * 5000),
    "a model of other digits": lambda: kgmm(2, ridge="\u0661"),
    "weights of a complex number": lambda: kgmm(2, weights=[sp.I, 1 - sp.I]),
    "dependent means": lambda: kgmm(2, directions_gram=[[1, 1], [1, 1]]),
}
RESULTS = {
    "without overlap": lambda: State.at(good().curve.drop_vars("overlap"), 0),
    "without gram_perp": lambda: State.at(good().curve.drop_vars("gram_perp"), 0),
    "without attributes": lambda: numerics.parameters_of(good().curve.drop_attrs()),
    "attributes of no numbers": lambda: numerics.parameters_of(
        good().curve.assign_attrs(parameters="[1")
    ),
    "attributes of a list": lambda: numerics.parameters_of(
        good().curve.assign_attrs(parameters="[1]")
    ),
    "attributes of other names": lambda: numerics.parameters_of(
        good().curve.assign_attrs(parameters='{"a": 1}')
    ),
    "attributes of nan": lambda: numerics.parameters_of(
        good().curve.assign_attrs(
            parameters='{"weights": [NaN], "precision": 1, "ridge": 0, "step": 1}'
        )
    ),
    "attributes of brackets": lambda: numerics.parameters_of(
        good().curve.assign_attrs(parameters="[" * 100_000)
    ),
    "attributes of a number": lambda: numerics.parameters_of(
        good().curve.assign_attrs(parameters=1)
    ),
    "of another model": lambda: Problem(kgmm(3), good().curve),
    "overlap of nan": lambda: State.at(good().curve * np.nan, 0),
    "overlap of texts": lambda: State.at(
        good().curve.assign(overlap=good().curve.overlap.astype(str)), 0
    ),
    "time of texts": lambda: State.at(
        good().curve.assign_coords(time=["first"] * good().curve.sizes["time"]), 0
    ),
    "a wrong shape": lambda: State.at(good().curve.isel(unit=0), 0),
    "swapped": lambda: Problem(good().parameters, good().model),
}


@pytest.mark.parametrize("name", LOSSES | RESULTS)
def test_models_and_results_that_are_none_are_refused(name):
    with watched() as watch, warnings.catch_warnings(), pytest.raises(InputError) as caught:
        (LOSSES | RESULTS)[name]()
    watch.check()
    assert "Remedy: " in str(caught.value)

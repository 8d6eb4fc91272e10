"""Arguments that no function of the Python interface should trip over."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from fractions import Fraction
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import sympy as sp
import xarray as xr

import numerics
import theory
import verify
from numerics import Parameters, Problem, Setting, State, Sweep
from theory import kgmm, symbols, xor

Call = Callable[[], object]
BILLION = 10**9


class Raises:
    """What raises whatever is asked of it."""

    def __array__(self, *_: object, **__: object) -> Any:
        raise RuntimeError("no array")

    def __float__(self) -> float:
        raise RuntimeError("no number")

    def __len__(self) -> int:
        raise RuntimeError("no length")


class Endless:
    """A sequence that never ends."""

    def __len__(self) -> int:
        return 10**15

    def __getitem__(self, index: int) -> float:
        return 0.5


def _endless() -> Iterator[float]:
    return itertools.repeat(0.5)


def _raise(*_: object, **__: object) -> Any:
    raise ZeroDivisionError("from a callable of the user")


_MASKED = np.ma.array([0.5, 0.5], mask=[False, True])
_CYCLE: list[Any] = []
_CYCLE.append(_CYCLE)

# what no number is, as functions, since some can be used but once
NO_NUMBERS: dict[str, Callable[[], object]] = {
    "None": lambda: None,
    "text": lambda: "1",
    "bytes": lambda: b"1",
    "code": lambda: "__import__('os').system('touch pwned')",
    "truth value": lambda: True,
    "truth value of NumPy": lambda: np.True_,
    "complex": lambda: 1 + 0j,
    "complex of NumPy": lambda: np.complex128(1),
    "nan": lambda: float("nan"),
    "infinity": lambda: float("inf"),
    "minus infinity": lambda: -float("inf"),
    "minus one": lambda: -1,
    "tiny below zero": lambda: -5e-324,
    "huge integer": lambda: 10**400,
    "huge negative integer": lambda: -(10**400),
    "huge fraction": lambda: Fraction(10**400),
    "list": lambda: [1, 2],
    "empty list": list,
    "array": lambda: np.ones(3),
    "array of texts": lambda: np.array(["1"]),
    "array of objects": lambda: np.array([object()], dtype=object),
    "dictionary": lambda: {"a": 1},
    "set": lambda: {1},
    "function": lambda: _raise,
    "class": lambda: float,
    "generator": _endless,
    "date": lambda: datetime.now(UTC),
    "date of NumPy": lambda: np.datetime64("2020"),
    "Dataset": lambda: xr.Dataset({"a": ("x", [1.0])}),
    "symbol": lambda: sp.Symbol("x"),
    "raises": Raises,
    "long double of 1e4000": lambda: np.longdouble("1e4000"),
}
# what no array of two weights is
NO_ARRAYS: dict[str, Callable[[], object]] = {
    "None": lambda: None,
    "text": lambda: "0.5,0.5",
    "bytes": lambda: b"\x00" * 16,
    "code": lambda: ["__import__('os')", "0.5"],
    "texts": lambda: ["0.5", "0.5"],
    "number": lambda: 0.5,
    "complex": lambda: np.array([0.5 + 0j, 0.5]),
    "complex entry": lambda: [0.5, 0.5 + 1j],
    "truth values": lambda: np.array([True, False]),
    "truth value": lambda: [True, 0.0],
    "nan": lambda: [np.nan, 0.5],
    "infinity": lambda: [np.inf, 0.5],
    "minus infinity": lambda: [-np.inf, 0.5],
    "huge integer": lambda: [10**400, 1],
    "long double": lambda: np.array(["1e4000", "1"], dtype=np.longdouble),
    "objects": lambda: np.array([object(), object()]),
    "arrays in an array": lambda: np.array([np.ones(2), np.ones(3)], dtype=object),
    "ragged": lambda: [[1.0], [1.0, 2.0]],
    "empty": list,
    "empty array": lambda: np.empty((0, 0)),
    "three dimensions": lambda: np.ones((2, 2, 2)),
    "sixty dimensions": lambda: np.ones((1,) * 60),
    "cycle": lambda: _CYCLE,
    "masked": lambda: _MASKED,
    "structured": lambda: np.array([(1.0, 2.0)], dtype=[("a", "f8"), ("b", "f8")]),
    "dates": lambda: np.array(["2020", "2021"], dtype="M8[Y]"),
    "dictionary": lambda: {"a": 0.5},
    "set": lambda: {0.5},
    "generator": _endless,
    "function": lambda: _raise,
    "Dataset": lambda: xr.Dataset({"a": ("x", [0.5, 0.5])}),
    "symbols": lambda: [sp.Symbol("x"), sp.Symbol("y")],
    "raises": Raises,
    "endless": Endless,
    "long range": lambda: range(10**12),
    "view of zeros": lambda: np.broadcast_to(0.5, (10**12,)),
}
NO_COUNTS: dict[str, Callable[[], object]] = {
    **{name: value for name, value in NO_NUMBERS.items() if name not in ("huge integer",)},
    "zero": lambda: 0,
    "float": lambda: 2.0,
    "half": lambda: 0.5,
    "fraction": lambda: Fraction(2),
    "beyond memory": lambda: 10**15,
    "of 400 digits": lambda: 10**400,
}
NO_CHOICES: dict[str, Callable[[], object]] = {
    "number": lambda: 1,
    "bytes": lambda: b"hessian",
    "nothing": lambda: "",
    "misspelt": lambda: "hesian",
    "code": lambda: "eval('1')",
    "zero width": lambda: "hessian\u200b",
    "long": lambda: "h" * 100_000,
    "list": lambda: ["hessian"],
    "array": lambda: np.array(["hessian", "hessian"]),
    "function": lambda: _raise,
    "raises": Raises,
}


def _pair(samples: int, dimension: int = 2) -> tuple[np.ndarray, np.ndarray]:
    return np.ones((samples, dimension)), np.ones(samples)


# functions that make chunks (X, y)
NO_CHUNKS: dict[str, Callable[[], object]] = {
    "one sample without end": lambda: lambda: itertools.repeat(_pair(1)),
    "many samples without end": lambda: lambda: itertools.repeat(_pair(100_000)),
    "wide samples without end": lambda: lambda: itertools.repeat(_pair(2_000_000)),
    "no sample without end": lambda: lambda: itertools.repeat(_pair(0)),
    "nothing without end": lambda: lambda: itertools.repeat(None),
    "numbers without end": lambda: itertools.count,
    "endless": lambda: Endless,
    "none": lambda: lambda: [],
    "one iterator": lambda: iter(()).__iter__,
    "nothing": lambda: lambda: None,
    "text": lambda: lambda: "abc",
    "other dimensions": lambda: lambda: [_pair(1), _pair(1, 3)],
    "other precisions": lambda: lambda: [_pair(1), (np.ones((1, 2), np.float32), np.ones(1))],
    "labels of texts": lambda: lambda: [(np.ones((1, 2)), ["a"])],
    "labels of nan": lambda: lambda: [(np.ones((1, 2)), [np.nan])],
    "more labels": lambda: lambda: [(np.ones((1, 2)), np.ones(2))],
    "labels of objects": lambda: lambda: [(np.ones((1, 2)), np.array([None]))],
    "huge zeros": lambda: lambda: [(np.broadcast_to(0.5, (10**11, 2)), np.ones(1))],
    "infinities": lambda: lambda: [(np.full((1, 2), np.inf), np.ones(1))],
}


# titles that no figure can show
NO_TITLES: dict[str, Callable[[], object]] = {
    "number": lambda: 1,
    "bytes": lambda: b"a",
    "list": lambda: ["a"],
    "function": lambda: _raise,
    "long": lambda: "a" * 100_000,
    "terminal": lambda: "\x1b[31mred",
    "zero byte": lambda: "a\0b",
    "other direction": lambda: "\u202eabc",
    "half a character": lambda: "\ud800",
    "no mathematics": lambda: "$$",
    "unknown command": lambda: r"$\undefined{x}$",
    "open brace": lambda: "${$",
    "command of TeX": lambda: r"$\input{/etc/passwd}$",
    "deep": lambda: "$" + "{" * 900 + "}" * 900 + "$",
}


@lru_cache(maxsize=None)
def good() -> SimpleNamespace:
    """Values that are what they should be."""
    model = kgmm(2)
    parameters = Parameters([0.5, 0.5], 10, 0.1, 1)
    problem = Problem(model, parameters)
    state = State.zero(problem)
    data = numerics.draw_data(problem, state, 10, 20, 0)
    curve = numerics.integrate_curves(problem, state, [0, 1])
    # what is compiled once is compiled here
    numerics.empirical_spectrum(data, count=2)
    for noise in ("gaussian", np.random.Generator.standard_normal):
        numerics.simulate_sgd(problem, state, 0.1, 20, replicas=1, seed=0, noise=noise)
    with suppress(ImportError):
        importlib.import_module("distributed")
    return SimpleNamespace(
        model=model, parameters=parameters, problem=problem, state=state, data=data, curve=curve
    )


def _without(name: str) -> xr.Dataset:
    return good().curve.drop_vars(name)


def _setting(**changed: Any) -> Setting:
    g = good()
    asked = {"problem": g.problem, "initial": g.state, "time": [0, 1], "dimension": 20}
    return Setting(**asked | changed)


def _sweep(**changed: Any) -> Sweep:
    asked: dict[str, Any] = {
        "axes": {"precision": [5]},
        "build": lambda values: _setting(),
        "measure": ["statistics"],
    }
    return Sweep(**asked | changed)


def _but(values: dict[str, Callable[[], object]], *names: str) -> dict[str, Callable[[], object]]:
    """The values without some, which are what they should be after all."""
    assert set(names) <= set(values)
    return {name: value for name, value in values.items() if name not in names}


def _p(name: str) -> Callable[[object], object]:
    numbers = {"weights": [0.5, 0.5], "precision": 10, "ridge": 0.1, "step": 1}
    return lambda value: Parameters(**numbers | {name: value})


def _s(**named: Any) -> Callable[[object], object]:
    """simulate_sgd with one argument in the place of "?"."""

    def call(value: object) -> object:
        asked = {"time": 1, "dimension": 20, "replicas": 1, "seed": 0}
        asked |= {k: value if v == "?" else v for k, v in named.items()}
        return numerics.simulate_sgd(good().problem, good().state, **asked)

    return call


def _f(function: Callable[..., object], *first: str, **named: Any) -> Callable[[object], object]:
    """A function of good things with one argument in the place of "?"."""

    def call(value: object) -> object:
        arguments = [value if n == "?" else getattr(good(), n) for n in first]
        return function(*arguments, **{k: value if v == "?" else v for k, v in named.items()})

    return call


DRAWN = {"dimension": 10, "samples": 5, "seed": 0}
# argument -> (call with a value, the values it refuses)
ARGUMENTS: dict[str, tuple[Callable[[object], object], dict[str, Callable[[], object]]]] = {
    "Parameters weights": (_p("weights"), NO_ARRAYS),
    "Parameters precision": (_p("precision"), NO_NUMBERS),
    "Parameters ridge": (_p("ridge"), NO_NUMBERS),
    "Parameters step": (_p("step"), NO_NUMBERS),
    "Parameters directions_gram": (_p("directions_gram"), _but(NO_ARRAYS, "None")),
    "State overlap": (lambda v: State(v, np.eye(2)), NO_ARRAYS),
    "State gram_perp": (lambda v: State(np.zeros((2, 2)), v), NO_ARRAYS),
    "State readout": (lambda v: State(np.zeros((2, 2)), np.eye(2), v), _but(NO_ARRAYS, "empty")),
    "State.at result": (lambda v: State.at(v, 1), NO_NUMBERS),
    "State.at time": (lambda v: State.at(good().curve, v), NO_NUMBERS),
    "Problem model": (lambda v: Problem(v, good().parameters), NO_NUMBERS),
    "Problem parameters": (lambda v: Problem(good().model, v), NO_NUMBERS),
    "simulate_sgd time": (_s(time="?"), _but(NO_ARRAYS, "number")),
    "simulate_sgd dimension": (_s(dimension="?"), NO_COUNTS),
    "simulate_sgd replicas": (_s(replicas="?"), NO_COUNTS),
    "simulate_sgd batch": (_s(batch="?"), NO_COUNTS | {"a gigabyte": lambda: 10**7}),
    "simulate_sgd batch of a chain": (
        _s(batch="?", method="reduced"),
        {"a gigabyte": lambda: 10**7},
    ),
    "simulate_sgd seed": (_s(seed="?"), NO_NUMBERS),
    "simulate_sgd workers": (_s(workers="?"), _but(NO_COUNTS, "None", "beyond memory")),
    "simulate_sgd method": (_s(method="?"), NO_CHOICES),
    "simulate_sgd frame": (_s(frame="?"), NO_CHOICES),
    "simulate_sgd noise": (
        _s(noise="?"),
        NO_CHOICES | {"digits of another script": lambda: "student:\uff13"},
    ),
    "simulate_sgd schedule": (_s(schedule="?"), NO_CHOICES),
    "simulate_sgd initial": (lambda v: numerics.simulate_sgd(good().problem, v, 1, 20), NO_NUMBERS),
    "solve_curve end": (_f(numerics.solve_curve, "problem", "state", "?"), NO_NUMBERS),
    "solve_curve batch": (
        _f(numerics.solve_curve, "problem", "state", end=1, batch="?"),
        _but(NO_COUNTS, "beyond memory"),
    ),
    "solve_curve tolerance": (
        _f(numerics.solve_curve, "problem", "state", end=1, tolerance="?"),
        _but(NO_NUMBERS, "None"),
    ),
    "solve_curve seed": (_f(numerics.solve_curve, "problem", "state", end=1, seed="?"), NO_NUMBERS),
    "solve_curve route": (
        _f(numerics.solve_curve, "problem", "state", end=1, route="?"),
        NO_CHOICES,
    ),
    "integrate_curves time": (
        _f(numerics.integrate_curves, "problem", "state", "?"),
        _but(NO_ARRAYS, "number"),
    ),
    "integrate_noiseless time": (
        _f(numerics.integrate_noiseless, "problem", "state", "?"),
        _but(NO_ARRAYS, "number"),
    ),
    "draw_data dimension": (
        _f(numerics.draw_data, "problem", "state", dimension="?", samples=5, seed=0),
        NO_COUNTS,
    ),
    "draw_data samples": (
        _f(numerics.draw_data, "problem", "state", dimension=10, samples="?", seed=0),
        NO_COUNTS,
    ),
    "draw_data seed": (
        _f(numerics.draw_data, "problem", "state", dimension=10, samples=5, seed="?"),
        NO_NUMBERS,
    ),
    "draw_data dtype": (_f(numerics.draw_data, "problem", "state", **DRAWN, dtype="?"), NO_CHOICES),
    "realise_weights dimension": (_f(numerics.realise_weights, "problem", "state", "?"), NO_COUNTS),
    "state_of_weights weights": (_f(numerics.state_of_weights, "problem", "?"), NO_ARRAYS),
    "user_data features": (
        lambda v: numerics.user_data(good().problem, v, [1, 2], np.eye(2)),
        NO_ARRAYS | {"rows of a view": lambda: np.broadcast_to(0.5, (10**11, 2))},
    ),
    "user_data chunks": (
        lambda v: numerics.user_data(good().problem, v, None, np.eye(2)),
        NO_CHUNKS,
    ),
    "user_data labels": (
        lambda v: numerics.user_data(good().problem, np.eye(2), v, np.eye(2)),
        NO_ARRAYS,
    ),
    "user_data weights": (
        lambda v: numerics.user_data(good().problem, np.eye(2), [1, 2], v),
        NO_ARRAYS,
    ),
    "user_data ridge": (
        lambda v: numerics.user_data(good().model, np.eye(2), [1, 2], np.eye(2), ridge=v),
        NO_NUMBERS,
    ),
    "user_data samples": (
        lambda v: numerics.user_data(
            good().problem, lambda: itertools.repeat(_pair(1000)), None, np.eye(2), samples=v
        ),
        _but(NO_COUNTS, "None") | {"fewer": lambda: 10, "of ten chunks": lambda: 10_000},
    ),
    "user_data role": (
        lambda v: numerics.user_data(good().problem, np.eye(2), [1, 2], np.eye(2), role=v),
        NO_CHOICES,
    ),
    "population_spectrum matrix": (
        _f(numerics.population_spectrum, "problem", "state", matrix="?"),
        NO_CHOICES,
    ),
    "population_spectrum block": (
        _f(numerics.population_spectrum, "problem", "state", block="?"),
        NO_CHOICES | NO_NUMBERS,
    ),
    "population_spectrum dimension": (
        _f(numerics.population_spectrum, "problem", "state", dimension="?"),
        _but(NO_COUNTS, "None", "beyond memory", "of 400 digits"),
    ),
    "empirical_spectrum block": (_f(numerics.empirical_spectrum, "data", block="?"), NO_CHOICES),
    "empirical_spectrum count": (
        _f(numerics.empirical_spectrum, "data", count="?"),
        _but(NO_COUNTS, "None"),
    ),
    "empirical_density probes": (
        _f(numerics.empirical_density, "data", probes="?"),
        _but(NO_COUNTS, "beyond memory"),
    ),
    "empirical_density steps": (
        _f(numerics.empirical_density, "data", steps="?"),
        _but(NO_COUNTS, "beyond memory"),
    ),
    "empirical_density method": (_f(numerics.empirical_density, "data", method="?"), NO_CHOICES),
    "effective_spectrum aspect_ratio": (
        _f(numerics.effective_spectrum, "problem", "state", "?"),
        NO_NUMBERS,
    ),
    "effective_spectrum tail": (
        _f(numerics.effective_spectrum, "problem", "state", aspect_ratio=4, tail="?"),
        _but(NO_NUMBERS, "None"),
    ),
    "phase_diagram precisions": (
        _f(numerics.phase_diagram, "problem", "state", "?", aspect_ratios=[4.0]),
        NO_ARRAYS,
    ),
    "phase_diagram state": (
        _f(numerics.phase_diagram, "problem", "?", precisions=[5.0], aspect_ratios=[4.0]),
        {"raises": lambda: Raises(), "number": lambda: 1},
    ),
    "eigenspace_share vectors": (lambda v: numerics.eigenspace_share(v, np.ones(2)), NO_ARRAYS),
    "principal_angles a": (lambda v: numerics.principal_angles(v, np.eye(2)), NO_ARRAYS),
    "matrix_misalignment matrix": (lambda v: numerics.matrix_misalignment(v, np.eye(2)), NO_ARRAYS),
    "vector_misalignment basis": (lambda v: numerics.vector_misalignment(np.ones(2), v), NO_ARRAYS),
    "from_netcdf path": (numerics.from_netcdf, NO_NUMBERS),
    "open_store path": (numerics.open_store, NO_NUMBERS | {"long name": lambda: "n" * 5000}),
    "run_sweep store": (
        lambda v: numerics.run_sweep(_sweep(), v),
        {"number": lambda: 1, "long name": lambda: "n" * 5000, "zero byte": lambda: "a\0.zarr"},
    ),
    "parameters_of source": (numerics.parameters_of, NO_NUMBERS),
    "Setting time": (lambda v: _setting(time=v), _but(NO_ARRAYS, "number")),
    "Setting dimension": (lambda v: _setting(dimension=v), NO_COUNTS),
    "Setting replicas": (lambda v: _setting(replicas=v), NO_COUNTS),
    "Setting initial": (lambda v: _setting(initial=v), NO_NUMBERS),
    "Setting options": (lambda v: _setting(options=v), NO_NUMBERS),
    "Sweep axes": (lambda v: _sweep(axes=v), _but(NO_NUMBERS, "Dataset")),
    "Sweep axis": (
        lambda v: _sweep(axes={"precision": v}),
        {
            k: NO_ARRAYS[k]
            for k in (
                "None",
                "text",
                "bytes",
                "number",
                "empty",
                "generator",
                "function",
                "raises",
                "endless",
                "long range",
            )
        },
    ),
    "Sweep build": (lambda v: _sweep(build=v), NO_NUMBERS),
    "Sweep measure": (lambda v: _sweep(measure=v), NO_NUMBERS),
    "Sweep seed": (lambda v: _sweep(seed=v), NO_NUMBERS),
    "Sweep options": (lambda v: _sweep(options=v), NO_NUMBERS),
    "run_sweep sweep": (lambda v: numerics.run_sweep(v, "nowhere.zarr"), NO_NUMBERS),
    "run_sweep workers": (
        lambda v: numerics.run_sweep(_sweep(), "nowhere.zarr", workers=v),
        {k: v for k, v in NO_COUNTS.items() if k in ("text", "zero", "minus one", "half")},
    ),
    "MeasureOptions threshold": (
        lambda v: numerics.MeasureOptions(threshold=v),
        _but(NO_NUMBERS, "None"),
    ),
    "MeasureOptions blocks": (
        lambda v: numerics.MeasureOptions(blocks=v),
        _but(NO_NUMBERS, "None", "list"),
    ),
    "RandomStart scale": (lambda v: numerics.RandomStart(v), NO_NUMBERS),
    "dask_executor address": (
        lambda v: numerics.dask_executor(v).__enter__(),
        _but(NO_NUMBERS, "text"),
    ),
    "kgmm k": (kgmm, _but(NO_COUNTS, "beyond memory", "of 400 digits")),
    "kgmm weights": (lambda v: kgmm(2, weights=v), _but(NO_ARRAYS, "None", "symbols", "texts")),
    "kgmm precision": (
        lambda v: kgmm(2, precision=v),
        {
            k: v
            for k, v in NO_NUMBERS.items()
            if k not in ("None", "text", "symbol", "huge integer", "huge fraction")
        },
    ),
    "kgmm ridge": (
        lambda v: kgmm(2, ridge=v),
        {
            k: v
            for k, v in NO_NUMBERS.items()
            if k not in ("None", "text", "symbol", "huge integer", "huge fraction")
        },
    ),
    "kgmm directions_gram": (
        lambda v: kgmm(2, directions_gram=v),
        _but(NO_ARRAYS, "None", "symbols"),
    ),
    "xor width": (xor, _but(NO_COUNTS, "beyond memory", "of 400 digits")),
    "xor activation": (lambda v: xor(2, activation=v), NO_CHOICES),
    "Loss expression": (lambda v: theory.Loss(v, 1), NO_NUMBERS),
    "Loss units": (
        lambda v: theory.Loss(symbols.vector("u", 1)[0] ** 2, v),
        _but(NO_COUNTS, "beyond memory", "of 400 digits"),
    ),
    "Loss kinks": (
        lambda v: theory.Loss(symbols.vector("u", 1)[0] ** 2, 1, kinks=(v,)),
        NO_NUMBERS,
    ),
    "Model.build mixture": (lambda v: theory.Model.build(v, good().model.loss), NO_NUMBERS),
    "Model.build loss": (lambda v: theory.Model.build(good().model.mixture, v), NO_NUMBERS),
    "derive_drift model": (theory.derive_drift, NO_NUMBERS),
    "derive_drift route": (lambda v: theory.derive_drift(good().model, v), NO_CHOICES),
    "low_noise order": (
        lambda v: theory.low_noise(theory.derive_drift(good().model), v),
        NO_NUMBERS,
    ),
    "check quantity": (
        lambda v: verify.make_claim(good().model, v, "0"),
        _but(NO_NUMBERS | NO_CHOICES, "text"),
    ),
    "check claim": (
        lambda v: verify.make_claim(good().model, "drift m_a_s", v),
        _but(NO_NUMBERS | NO_CHOICES, "text"),
    ),
    "check order": (
        lambda v: verify.make_claim(good().model, "drift m_a_s", "0", order=v),
        _but(NO_NUMBERS, "None"),
    ),
    "check model": (lambda v: verify.make_claim(v, "drift m_a_s", "0"), NO_NUMBERS),
    "read_claims path": (verify.read_claims, NO_NUMBERS),
    "verify.run system": (verify.run, NO_CHOICES),
    "verify.run level": (lambda v: verify.run("kgmm", v), NO_CHOICES),
    "verify.run seed": (lambda v: verify.run("kgmm", "quick", v, only=["curves"]), NO_NUMBERS),
    "verify.run only": (lambda v: verify.run("kgmm", "quick", 0, only=v), _but(NO_NUMBERS, "None")),
    "check_model model": (verify.check_model, NO_NUMBERS),
    "plot_curves title": (_f(verify.plot_curves, "curve", title="?"), NO_TITLES),
    "effective_spectrum precision": (
        lambda v: numerics.effective_spectrum(
            good().model, good().parameters.with_precision(v), good().state, 4
        ),
        {"noise of nothing": lambda: 1e300},
    ),
    "save_figure path": (lambda v: verify.save_figure(None, v), NO_NUMBERS),
}

"""A model of the user's own, read from a Python file: what the commands know of it.

A Python file is a program. It is run when it is named, with the rights of whoever names it; nothing
that a configuration or a manuscript says makes one run.
"""

from __future__ import annotations

import runpy
import sys
import traceback
from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from theory.errors import InputError, brief, check_choice, printable
from theory.regular_files import check_regular

from .configuration import Configuration, exact_entry, exact_rows
from .models import DEFAULT_MODEL, ModelKind, Shape, Start
from .option_table import IDENTITY, ORTHONORMAL, keys

if TYPE_CHECKING:
    from numerics import Parameters, State
    from theory import Model

_HOW = "write --model FILE.py:NAME, where NAME = sa.Model.build(...) stands in the file"
_BUILT_IN = ("name", "k", "width", "activation")


def load_model(text: str) -> Model:
    """Run a Python file as the user and return the model of a name in it.

    Parameters
    ----------
    text : str
        ``FILE.py:NAME``; the name may be left out where the file holds one model.

    Raises
    ------
    theory.InputError
        No such file, an error while it runs, no model of that name.
    """
    from theory import Model

    path_text, colon, name = text.rpartition(":")
    if not colon or not name.isidentifier():
        path_text, name = text, ""
    path = Path(path_text)
    if path.suffix != ".py":
        raise InputError("--model", text, "a Python file and a name in it", _HOW)
    check_regular("--model", path, "a Python file", "check the path")
    content = _run(path)
    models = [n for n, value in content.items() if isinstance(value, Model)]
    if not name:
        if len(models) != 1:
            got = f"{len(models)} models in {path}" + (f": {', '.join(models)}" if models else "")
            raise InputError("--model", got, "one model, or its name", _HOW)
        name = models[0]
    if name not in content and models:
        check_choice("--model", name, models, kind=f"model in {path.name}")
    model = content.get(name)
    if not isinstance(model, Model):
        got = f"{name}, {'a ' + type(model).__name__ if name in content else 'which is not there'}"
        raise InputError("--model", got, f"a Model in {path}", _HOW)
    return model


def _run(path: Path) -> Mapping[str, Any]:
    """What a file defines; an error in it is one of the input, with its place."""
    # as for a script, modules beside the file are found
    beside = str(path.resolve().parent)
    sys.path.insert(0, beside)
    try:
        # another name than __main__: what a file does as a program is not done here
        return runpy.run_path(str(path), run_name="specalign_model")
    except (Exception, SystemExit) as error:
        places = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
        line = f", line {places[-1].lineno}" if places else ""
        got = printable(brief(" ".join(f"{type(error).__name__}: {error}".split())))
        expected = f"a file that runs ({got}{line})"
        raise InputError("--model", path, expected, f"run python {path} to see it all") from error
    finally:
        if beside in sys.path:
            sys.path.remove(beside)


class UserConfiguration(Configuration):
    """What file and options say about a model of the user's own.

    Numbers that the model fixes are its own.  Those that it leaves open are what the options say,
    else the defaults that the built-in model of the command has; units start without overlaps,
    R_perp = I and a readout of zeros.  Matrices of bands are said one below the other.

    Parameters
    ----------
    user : theory.Model
    **values
        By name, as for :class:`Configuration`.
    """

    def __init__(self, user: Model, **values: Any) -> None:
        super().__init__(**values)
        self.user = user
        for option in _BUILT_IN:
            if option in self.values:
                expected = "nothing of the kind together with --model"
                remedy = f"leave {option} or --model away: it belongs to a built-in model"
                raise InputError(option, repr(self.values[option]), expected, remedy)

    def override(self, other: Configuration) -> Self:
        """Return this configuration with everything that ``other`` says."""
        return type(self)(self.user, **{**self.values, **other.values})

    def but(self, **values: Any) -> Self:
        """Return this configuration with other values; None for not said."""
        return type(self)(self.user, **{**self.values, **values})

    def value(self, name: str) -> Any:
        """What was said, or the default."""
        return self.values[name] if name in self.values else keys()[name].default_of(DEFAULT_MODEL)

    @property
    def model_name(self) -> str:
        """The name that the model has."""
        return self.user.name

    @cached_property
    def kind(self) -> ModelKind:
        """The sizes of the model, and where its units start."""
        model, default = self.user, keys()
        scales = ("precision", "ridge", "step", "time")
        numbers: dict[str, Any] = {n: default[n].default_of(DEFAULT_MODEL) for n in scales}
        still = Start(
            [[Fraction(0)] * model.directions for _ in range(model.units)],
            Fraction(1),
            [Fraction(0)] * model.readout_size,
        )
        return ModelKind(
            build=lambda _, **numbers: model,
            description="a model of the user's own",
            size="units",
            meaning="the number of units of the model",
            default=model.units,
            least=model.units,
            most=model.units,
            components=lambda _: model.components,
            directions=lambda _: model.directions,
            component="component",
            start=lambda _: still,
            **numbers,
        )

    @property
    def size(self) -> int:
        """Number of units."""
        return self.user.units

    @property
    def size_name(self) -> str:
        """The model, for messages."""
        return self.user.name

    @property
    def smallest(self) -> Self:
        """The model has one size."""
        return self

    @property
    def shape(self) -> Shape:
        """Sizes of the model."""
        model = self.user
        sizes = (model.units, model.directions, model.readout_size, model.bands)
        return Shape(model.name, *sizes)

    def initial(self, model: Model | Shape) -> State:
        """The initial state; with bands R_perp of each is its share of the identity."""
        import numpy as np

        from numerics import State
        from numerics.core.covariance.band_arrays import fractions_of

        if self.user.bands == 1:
            return super().initial(model)
        bands, c, r = self.user.bands, model.units, model.directions
        overlap, gram = np.zeros((bands * c, r)), self._rows_or_word("gram_perp", IDENTITY)
        if self.overlap is not None:
            overlap = np.array(self._floats("overlap", self.overlap, overlap.shape))
        if gram is None or gram == IDENTITY:
            grams = fractions_of(self.user)[:, None, None] * np.eye(c)
        else:
            grams = np.array(self._floats("gram_perp", gram, (bands * c, c))).reshape(bands, c, c)
        readout = np.zeros(model.readout_size) if self.readout is None else self.readout
        return State(overlap.reshape(bands, c, r), grams, np.array(readout, dtype=float))

    def _gram(self, gram: Any) -> Any:
        """Gamma of rows, or orthonormal directions that every band has its share of."""
        import numpy as np

        from numerics.core.covariance.band_arrays import fractions_of

        bands, size = self.user.bands, self.user.directions
        if gram == ORTHONORMAL:
            found = fractions_of(self.user)[:, None, None] * np.eye(size)
        else:
            rows = self._floats("directions_gram", gram, (bands * size, size))
            found = np.array(rows).reshape(bands, size, size)
        return found[0] if bands == 1 else found

    def model(self) -> Model:
        """The model as its file builds it."""
        return self.user

    def symbolic_model(self) -> Model:
        """The model with the numbers that were given in place of what it leaves open."""
        import sympy as sp

        from theory.problem.exact_numbers import exact

        mixture, asked = self.user.mixture, []
        for name, entry in (
            ("precision", mixture.precision), ("ridge", self.user.ridge), ("step", self.user.step)
        ):  # fmt: skip
            asked.append((name, entry, exact_entry(name, self.values.get(name))))
        if self.weights is not None:
            self._check_weights()
            values = [exact_entry("weights", value) for value in self.weights]
            asked += [("weights", *pair) for pair in zip(mixture.weights, values, strict=True)]
        gram = self._rows_or_word("directions_gram", ORTHONORMAL)
        if gram is not None:
            size, bands = mixture.directions, mixture.bands
            shares = [sp.Integer(1)] if self.user.bands == 1 or bands is None else bands.fractions
            even = [row for share in shares for row in (share * sp.eye(size)).tolist()]
            rows: Any = even if gram == ORTHONORMAL else exact_rows(gram)
            self._floats("directions_gram", rows, (len(even), size))
            entries = [entry for row in rows for entry in row]
            asked += [
                ("directions_gram", *pair)
                for pair in zip(mixture.directions_gram, entries, strict=True)
            ]
        open_, numbers = {}, [(n, entry, v) for n, entry, v in asked if v is not None]
        given = self.values.get("set", {})
        self._check_names(given)
        for each in self.user.loss.free_parameters:
            if each.name in given:
                open_[each.symbol] = exact_entry(each.name, given[each.name])
        for name, entry, value in numbers:
            if entry.is_Symbol:
                open_[entry] = value
            elif entry != exact(name, value):
                expected = f"{brief(entry)}, as the model {self.user.name} says"
                raise InputError(name, str(value), expected, f"leave {name} away")
        return self.user.substitute(open_) if open_ else self.user

    def parameters(self) -> Parameters:
        """The numbers of the model; what it leaves open from options, else the defaults."""
        import numpy as np

        from numerics import Problem

        model = self.user
        mixture = model.mixture
        self._check_weights()
        gram = self._rows_or_word("directions_gram", ORTHONORMAL)
        numbers: dict[str, Any] = {"weights": self.weights, "directions_gram": None}
        if gram is not None:
            numbers["directions_gram"] = self._gram(gram)
        scalars = {"precision": mixture.precision, "ridge": model.ridge, "step": model.step}
        for name, entry in scalars.items():
            numbers[name] = self.values.get(name) if entry.is_number else self.value(name)
        if self.weights is None and any(not p.is_number for p in mixture.weights):
            numbers["weights"] = np.full(model.components, 1 / model.components)
        if gram is None and mixture.directions_gram.free_symbols:
            numbers["directions_gram"] = self._gram(ORTHONORMAL)
        floats: dict[str, Any] = {
            n: np.array(v, dtype=float) for n, v in numbers.items() if v is not None
        }
        if model.loss.free_parameters:
            floats["values"] = self._free_values()
        elif "set" in self.values:
            self._check_names(self.values["set"])
        return Problem(model, **floats).parameters

    def _free_values(self) -> dict[str, float]:
        """A number for every free parameter of the loss, and for nothing else."""
        given = self.values.get("set", {})
        self._check_names(given)
        missing = [e.name for e in self.user.loss.free_parameters if e.name not in given]
        if missing:
            got, expected = f"no number of {', '.join(missing)}", "one for each free parameter"
            raise InputError("set", got, expected, f"write --set {missing[0]}=0.5")
        return {name: float(number) for name, number in given.items()}

    def _check_names(self, names: Iterable[str]) -> None:
        known = [each.name for each in self.user.loss.free_parameters]
        for name in names:
            if name not in known:
                expected = f"free parameters of {self.user.name}: {', '.join(known) or 'none'}"
                remedy = "declare it in the loss: Loss(..., parameters={...})"
                raise InputError("set", brief(name), expected, remedy)

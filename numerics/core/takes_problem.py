"""One decorator for both ways to call a function: (problem, ...) and (model, parameters, ...)."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, signature
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, overload

import numpy as np
import xarray as xr

from theory import InputError, Model
from theory.keywords import check_keywords
from theory.problem.covariance.bands import refuse_bands
from theory.problem.covariance.tokens import refuse_tokens

from .parameters import Parameters
from .problem import Problem
from .validation import kind_of

Subject = TypeVar("Subject", contravariant=True)
Rest = ParamSpec("Rest")
Result = TypeVar("Result", covariant=True)


class TakesProblem(Protocol[Subject, Rest, Result]):
    """A function of a problem that may be called with a model and parameters in its place."""

    @overload
    def __call__(self, problem: Subject, /, *args: Rest.args, **kwargs: Rest.kwargs) -> Result: ...

    @overload
    def __call__(
        self, model: Model, parameters: Parameters, /, *args: Rest.args, **kwargs: Rest.kwargs
    ) -> Result: ...


@overload
def takes_problem(
    function: Callable[Concatenate[Subject, Rest], Result], /
) -> TakesProblem[Subject, Rest, Result]: ...


@overload
def takes_problem(
    *, beside: type = ..., bands: bool = ..., tokens: bool = ...
) -> Callable[
    [Callable[Concatenate[Subject, Rest], Result]], TakesProblem[Subject, Rest, Result]
]: ...


def takes_problem(
    function: Any = None, /, *, beside: type = Problem, bands: bool = False, tokens: bool = False
) -> Any:
    """Decorate ``function(problem, ...)`` so that it also takes ``(model, parameters, ...)``.

    The one place where both ways to call a numeric function meet: the problem is made, and its
    numbers are checked, here; ``function`` sees a Problem.

    Parameters
    ----------
    function : callable
        Its first parameter is a Problem.
    beside : type, optional
        Another type that the first parameter may have; ``function`` tells them apart.
    bands : bool
        Whether it knows noise with scales of its own in bands; such models are refused by name
        where it does not.
    tokens : bool
        The same of samples that hold several tokens.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        # a function that takes any keyword refuses the wrong ones itself
        parameters = signature(function).parameters
        checked = all(p.kind is not Parameter.VAR_KEYWORD for p in parameters.values())
        known = list(parameters)

        @wraps(function)
        def call(*arguments: Any, **named: Any) -> Any:
            if checked:
                others = (n for n in named if n not in ("problem", "model", "parameters"))
                check_keywords(function.__name__, others, known)
            joined = _join(arguments, named, beside)
            if not (bands and tokens) and joined:
                problem = getattr(joined[0], "problem", joined[0])
                mixture = getattr(getattr(problem, "model", None), "mixture", None)
                if not bands:
                    refuse_bands(mixture, function.__name__)
                if not tokens:
                    refuse_tokens(mixture, function.__name__)
            return function(*joined, **named)

        return call

    return decorate if function is None else decorate(function)


def _join(arguments: tuple[Any, ...], named: dict[str, Any], beside: type) -> tuple[Any, ...]:
    """The arguments with a problem in front; what was named ``model`` or ``parameters`` leaves
    ``named``.
    """
    arguments = (*(named.pop(n) for n in ("problem", "model") if n in named), *arguments)
    if not arguments:
        return arguments  # Python says which argument is missing
    first, *rest = arguments
    if isinstance(first, Model):
        if "parameters" in named:
            rest = [named.pop("parameters"), *rest]
        second = rest[0] if rest else None
        if not isinstance(second, Parameters):
            raise _no_parameters(rest)
        return Problem(first, second), *rest[1:]
    if isinstance(first, (Problem, beside)):
        extra = named.get("parameters", rest[0] if rest else None)
        if isinstance(extra, Parameters):
            raise InputError(
                "parameters",
                f"Parameters after a {type(first).__name__}",
                "one of the two: what comes first holds its numbers already",
                "leave them out; problem.with_parameters(...) has others",
            )
        return arguments
    swapped = isinstance(first, Parameters) and any(isinstance(r, Model) for r in rest)
    remedy = "write Problem(model, parameters) first"
    if swapped:
        remedy = "model and parameters are swapped: the model comes first"
    elif isinstance(first, np.ndarray):
        remedy = "arrays of your own become data first: user_data(model, X, y, weights, ridge=0)"
    raise InputError(
        "problem",
        kind_of(first),
        "an sa.Problem, or an sa.Model with sa.Parameters after it",
        remedy,
    )


def _no_parameters(rest: list[Any]) -> InputError:
    """What to say when a model is not followed by its parameters."""
    remedy = "write Problem(model, weights=..., ...) in place of the model"
    if any(isinstance(r, Parameters) for r in rest):
        remedy = "the order is (model, parameters, state, ...)"
    elif rest and isinstance(rest[0], (xr.Dataset, Problem)):
        remedy = "write Problem(model, result) or the Problem in place of the model"
    return InputError(
        "parameters",
        kind_of(rest[0]) if rest else "nothing",
        "sa.Parameters after an sa.Model",
        remedy,
    )

"""Keyword arguments as other people name them, refused with the argument that is meant."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any, TypeVar, cast

from .errors import InputError, brief

# other ways to make an object of a class, which fill in what is not given
_MAKERS = ("derive", "build")

Target = TypeVar("Target", bound=Callable[..., Any])

# names of another number -> the argument that it is related to, and how
RELATIONS: dict[str, tuple[str, str]] = {
    **dict.fromkeys(
        ("lr", "learning_rate", "eta", "delta", "step_size"),
        ("step", "c_delta = step size times dimension: give their product"),
    ),
    **dict.fromkeys(
        ("sigma", "variance", "noise_variance", "noise_std", "std"),
        ("precision", "lambda = 1 / variance of the noise in a feature"),
    ),
    **dict.fromkeys(
        ("steps", "epochs", "iterations"), ("time", "steps * c_delta / dimension: give that time")
    ),
}
# what belongs to another object, or has no place in the class of models -> what to do
ELSEWHERE: dict[str, str] = {
    **dict.fromkeys(
        ("epochs", "passes", "replacement", "shuffle"),
        "several passes over the same data are no Markov chain of these statistics: every sample "
        "is a fresh one; sa.train_data takes one pass over given samples",
    ),
    **dict.fromkeys(
        ("rates", "ridges", "frozen", "rules", "averages", "momentum", "project"),
        "what a step does belongs to the model: model.with_update(Update({name}=...))",
    ),
    **dict.fromkeys(
        ("optimizer", "adam", "rmsprop", "adagrad", "nesterov", "preconditioner"),
        "steps that are scaled coordinate by coordinate, or look ahead, are no functions of these "
        "statistics: an Update has rates, rules, averages and the momentum of a heavy ball",
    ),
    **dict.fromkeys(
        ("clip", "clipping", "max_norm", "gradient_clipping"),
        "clipping is a rule of an Update: Update(rules={'layer 1': Max(-c, Min(c, SLOPE))})",
    ),
    **dict.fromkeys(
        ("dropout", "augmentation", "batch_norm", "layer_norm"),
        "noise inside of the network and statistics of a batch are not in the class of models: a "
        "loss holds u, v, t, the label and the label noise xi of one sample",
    ),
    **dict.fromkeys(
        ("teacher", "teachers"),
        "a teacher is a direction whose t_s stands in the loss: symbols.vector('t', r)",
    ),
}
# other names of the same number -> its argument
SAME: dict[str, str] = {
    **dict.fromkeys(("lambda", "lambda_", "lamda", "lam"), "precision"),
    **dict.fromkeys(("beta", "weight_decay"), "ridge"),
    "c_delta": "step",
    "gamma": "directions_gram",
    "class_weights": "weights",
    **dict.fromkeys(("dim", "d"), "dimension"),
    **dict.fromkeys(("runs", "repeats"), "replicas"),
    "num_samples": "samples",
    "random_seed": "seed",
    "batch_size": "batch",
}


def check_keywords(function: str, named: Iterable[str], known: Iterable[str]) -> None:
    """Refuse the first keyword that ``function`` does not have, with the one that is meant."""
    names = list(known)
    for name in named:
        if name not in names:
            expected = f"an argument of {function}: {', '.join(names)}"
            raise InputError(brief(name), "no argument of this name", expected, _meant(name, names))


def _meant(name: str, known: list[str]) -> str:
    elsewhere = ELSEWHERE.get(name, "").replace("{name}", name)
    meant, relation = RELATIONS.get(name, ("", ""))
    if meant in known:
        return f"{meant} is {relation}" + (f"; {elsewhere}" if elsewhere else "")
    if elsewhere:
        return elsewhere
    close = [SAME[name]] if name in SAME else difflib.get_close_matches(name, known, 1, 0.6)
    if not close:  # a word of a longer name, as ratio is of aspect_ratio, where it is that of one
        holders = [each for each in known if name in each.split("_")]
        close = holders if len(holders) == 1 else []
    return f"write {close[0]}=..." if close and close[0] in known else "leave it away"


def with_known_keywords(target: Target) -> Target:
    """Decorate a function, or the constructor of a class, so that keywords that it does not have
    are input errors with a remedy.

    Examples
    --------
    >>> @with_known_keywords
    ... def draw(samples): ...
    >>> draw(sample=3)
    Traceback (most recent call last):
        ...
    theory.errors.InputError: sample: got no argument of this name; ... Remedy: write samples=....
    """
    if isinstance(target, type):
        # __init__ is known by the name of its class
        make = target.__init__  # type: ignore[misc]
        makers = [name for name in _MAKERS if hasattr(target, name)]
        setattr(target, "__init__", _refusing(make, target.__qualname__, makers))  # noqa: B010
        return target
    title = target.__qualname__.removesuffix(".__init__")
    return cast(Target, _refusing(target, title))


def _refusing(
    function: Callable[..., Any], title: str, makers: Sequence[str] = ()
) -> Callable[..., Any]:
    """With another maker of a class a missing argument is an input error too: users look for it."""
    parameters = inspect.signature(function).parameters
    known = [n for n in parameters if n not in ("self", "cls")]
    names = frozenset(known)
    open_ended = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [
        n
        for n in known
        if parameters[n].default is inspect.Parameter.empty and parameters[n].kind not in open_ended
    ]

    @wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        if not names.issuperset(named):
            check_keywords(title, named, known)
        if makers:
            # the object itself stands in front of the arguments
            for name in needed[max(len(arguments) - 1, 0) :]:
                if name not in named:
                    expected = f"all arguments of {title}: {', '.join(needed)}"
                    raise InputError(name, "nothing", expected, f"write {title}.{makers[0]}(...)")
        __tracebackhide__ = True  # of tests: nothing of the error is in this line
        return function(*arguments, **named)

    return call

"""What was found in order is not looked at again: equal objects take over what was found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from typing import Any

# objects that are remembered, the oldest is forgotten first
MOST = 256


def checked_once(check: Callable[[Any], None]) -> Callable[[Any], None]:
    """Decorate ``__post_init__`` of a frozen dataclass that checks its fields and may rewrite them.

    An object whose fields are as they were given to another one takes the fields of that: rewritten
    ones, and those that gather what is derived.  What is refused is refused every time.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Even:
    ...     number: int
    ...
    ...     @checked_once
    ...     def __post_init__(self):
    ...         print("looked at", self.number)
    >>> Even(2) == Even(2)
    looked at 2
    True
    """
    found: dict[tuple[Any, ...], dict[str, Any]] = {}

    @wraps(check)
    def look(made: Any) -> None:
        # 1, 1.0 and True are equal, and not the same thing to a check
        given = tuple((type(v), v) for f in fields(made) if f.init for v in [getattr(made, f.name)])
        try:
            known = found.get(given)
        except TypeError:  # a field without a hash
            check(made)
            return
        if known is None:
            check(made)
            if len(found) >= MOST:
                found.pop(next(iter(found)), None)
            found[given] = {f.name: getattr(made, f.name) for f in fields(made)}
            return
        for name, value in known.items():
            object.__setattr__(made, name, value)

    return look

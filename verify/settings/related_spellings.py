"""What people type for options that are called otherwise."""

from __future__ import annotations

from theory.keywords import RELATIONS, SAME

from .option_table import keys

# what people type and what is none of the options: the nearest ones and how they are related
RELATED: dict[str, tuple[str, str]] = {
    **{
        f"--{typed.replace('_', '-')}": (f"--{meant}", f"--{meant} is {relation}")
        for typed, (meant, relation) in RELATIONS.items()
    },
    "--gram": ("--directions-gram", "--directions-gram is that of means, --gram-perp of weights"),
    "--readouts": ("--readout", "--readout holds the second layer"),
}

# further spellings that single commands have, where an alias of others would mislead
OWN_SPELLINGS: dict[str, dict[str, str]] = {"fit": {"--classes": "--labels"}}


def spelling(key: str) -> tuple[str, str] | None:
    """The option that somebody means who writes another name for it, and what to write."""
    flag = f"--{key.replace('_', '-')}"
    if flag in RELATED:
        return RELATED[flag][0].removeprefix("--"), RELATED[flag][1].replace("--", "")
    for name, option in keys().items():
        if flag in option.aliases or SAME.get(key) == name:
            return name, f"write {name} = ..."
    return None

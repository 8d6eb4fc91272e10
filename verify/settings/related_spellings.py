"""What people type for options that are called otherwise."""

from __future__ import annotations

from theory.keywords import RELATIONS

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

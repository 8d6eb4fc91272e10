"""Print the lowest version of every dependency that pyproject.toml allows, as constraints of pip.

Usage: python .ci/lowest_versions.py [EXTRA ...] > lowest.txt
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"


def lowest(requirement: str) -> str:
    """``numpy>=2.0`` -> ``numpy==2.0``.

    Raises
    ------
    ValueError
        A requirement without a lowest version.
    """
    found = re.fullmatch(r"([\w.-]+)(?:\[[\w,-]+\])?>=([\d.a-z]+)", requirement.replace(" ", ""))
    if found is None:
        raise ValueError(f"{requirement} names no lowest version")
    return f"{found[1]}=={found[2]}"


def main(extras: list[str]) -> None:
    """Print the constraints of the dependencies and of some extras."""
    project = tomllib.loads(PROJECT.read_text("utf-8"))["project"]
    requirements = list(project["dependencies"])
    for extra in extras:
        requirements += project["optional-dependencies"][extra]
    print("\n".join(sorted(set(map(lowest, requirements)))))


if __name__ == "__main__":
    main(sys.argv[1:])
